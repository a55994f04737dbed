//! `.attrs.json`, the file in which Nix hands a derivation's structured attributes to its builder.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::env;
use std::path::PathBuf;

use serde::Deserialize;
use serde_json::value::{RawValue, Value};

use super::closure::{ClosureEntry, Entries};
use super::diagnostic::{Diagnostic, explain};
use super::request::{FleetRequest, Request, VERSION};
use super::requests::index::IndexRequest;
use super::requests::system::SystemRequest;
use super::requests::tree::TreeRequest;
use strata_error::{Error, Result};

/// The file's name in the build directory.
const ATTRS_FILE: &str = ".attrs.json";

/// Objects of the request whose fields are arguments of the functions. The first that fits counts.
const CARRIERS: [&str; 6] = [
    "image.",
    "index.",
    "system.profile.",
    "system.channel.",
    "system.",
    "tree.",
];

/// The attributes that Strata reads. Nix writes many more.
#[derive(Clone, Debug)]
pub struct Attrs {
    /// The path of the output `out`.
    pub out: String,
    /// The paths of the other outputs, by their names.
    pub outputs: BTreeMap<String, String>,
    /// What the Nix functions ask for.
    pub request: Requested,
}

/// The kinds of requests.
#[derive(Clone, Debug)]
pub enum Requested {
    /// A layer or an image.
    Layers {
        /// What it consists of.
        request: Box<Request>,
        /// The closure graph of the request's roots.
        closure: Vec<ClosureEntry>,
    },
    /// The layers of several images.
    Fleet {
        /// The images.
        request: FleetRequest,
        /// The closure graph of all their roots.
        closure: Vec<ClosureEntry>,
    },
    /// A base system.
    System(Box<SystemRequest>),
    /// An index of images.
    Index(Box<IndexRequest>),
    /// A tree for the root of an image.
    Tree(TreeRequest),
}

impl Attrs {
    /// Reads the file's bytes.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        #[derive(Deserialize)]
        struct Outputs {
            out: String,
            #[serde(flatten)]
            others: BTreeMap<String, String>,
        }
        let attrs: Raw<'_> = serde_json::from_slice(bytes).map_err(|source| Error::Document {
            document: ATTRS_FILE.into(),
            message: format!("not the attributes of a derivation: {source}"),
            hint: "the file is damaged; is the disk of the build directory full?".into(),
        })?;
        let outputs: Outputs = attrs.get("outputs")?;
        // The version goes first: a request of another version has other fields.
        let about: Option<Value> = match attrs.0.get("request") {
            Some(_) => Some(attrs.get("request")?),
            None => None,
        };
        let about = |field: &str| about.as_ref()?.get(field);
        let version = about("version");
        if let Some(version) = version.filter(|version| version.as_u64() != Some(VERSION.into())) {
            return Err(Error::Attribute {
                attribute: "request.version".into(),
                message: format!("is {version}, expected {VERSION}"),
                hint: "take the Nix functions and strata-builder from the same version of Strata"
                    .into(),
            });
        }
        let has = |field: &str| about(field).is_some();
        let (is_system, is_index, is_fleet) = (has("system"), has("index"), has("images"));
        let request = if has("tree") {
            Requested::Tree(attrs.get("request")?)
        } else if is_system {
            Requested::System(attrs.get("request")?)
        } else if is_index {
            Requested::Index(attrs.get("request")?)
        } else if is_fleet {
            Requested::Fleet {
                request: attrs.get("request")?,
                closure: attrs.get::<Entries>("closure")?.0,
            }
        } else {
            Requested::Layers {
                request: attrs.get("request")?,
                closure: attrs.get::<Entries>("closure")?.0,
            }
        };
        Ok(Self {
            out: outputs.out,
            outputs: outputs.others,
            request,
        })
    }
}

/// The attributes of the file as they are written: what is not asked for is not made into values, and a closure not
/// twice, which is almost all of the file.
#[derive(Deserialize)]
struct Raw<'a>(#[serde(borrow)] BTreeMap<Cow<'a, str>, &'a RawValue>);

impl<'a> Raw<'a> {
    /// An attribute; an error names what inside it is wrong.
    fn get<T: Deserialize<'a>>(&self, name: &str) -> Result<T> {
        let raw = self.0.get(name).ok_or_else(|| Error::Attribute {
            attribute: name.to_owned(),
            message: "is missing".into(),
            hint: "build images with Strata's Nix functions; they set it".into(),
        })?;
        let mut text = serde_json::Deserializer::from_str(raw.get());
        serde_path_to_error::deserialize(&mut text).map_err(|error| {
            let path = written(error.path());
            wrong(name, &path, &error.into_inner())
        })
    }
}

/// The error about what is at `path` in the attribute `name`.
fn wrong(name: &str, path: &str, error: &serde_json::Error) -> Error {
    // Users know the arguments of the functions, not the object that carries them.
    let attribute = match (name, path) {
        (name, ".") => name.to_owned(),
        ("request", path) => CARRIERS
            .iter()
            .find_map(|carrier| path.strip_prefix(carrier))
            .unwrap_or(path)
            .to_owned(),
        (name, path) => format!("{name}.{path}"),
    };
    // Users do not see the file, so its lines tell them nothing.
    let place = format!(" at line {} column {}", error.line(), error.column());
    let message = error.to_string();
    let Diagnostic {
        missing,
        message,
        hint,
    } = explain(message.strip_suffix(&place).unwrap_or(&message));
    Error::Attribute {
        attribute: match missing {
            Some(missing) => format!("{attribute}.{missing}"),
            None => attribute,
        },
        message,
        hint,
    }
}

/// A path to an attribute as it is written in Nix: names that are none there are in quotes.
fn written(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    let is_plain = |name: &str| {
        let is_inside = |character: char| {
            character.is_ascii_alphanumeric() || matches!(character, '_' | '-' | '\'')
        };
        name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
            && name.chars().all(is_inside)
    };
    let parts = path.iter().map(|segment| match segment {
        Segment::Map { key } if !is_plain(key) => format!(".{key:?}"),
        Segment::Seq { .. } => segment.to_string(),
        segment => format!(".{segment}"),
    });
    let text: String = parts.collect();
    match text.strip_prefix('.').unwrap_or(&text) {
        "" => ".".to_owned(),
        text => text.to_owned(),
    }
}

/// Where the file is: Nix before 2.14 names a path in `NIX_ATTRS_JSON_FILE` that does not exist in
/// the sandbox.
pub fn find_attrs_file() -> PathBuf {
    let named = env::var_os("NIX_ATTRS_JSON_FILE").map(PathBuf::from);
    let in_build = env::var_os("NIX_BUILD_TOP").map(|top| PathBuf::from(top).join(ATTRS_FILE));
    named
        .into_iter()
        .chain(in_build)
        .find(|file| file.exists())
        .unwrap_or_else(|| PathBuf::from(ATTRS_FILE))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn attrs() -> Value {
        json!({
            "name": "image-a", "outputs": { "out": "/nix/store/x" },
            "closure": [{ "path": "/p", "narHash": "sha256:0", "narSize": 1, "references": [],
                          "valid": true, "ca": "text:sha256:0", "closureSize": 1, "new": {} }],
            "request": { "version": 1, "storeDir": "/nix/store" }
        })
    }

    fn error(attrs: &Value) -> String {
        Attrs::parse(attrs.to_string().as_bytes())
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn absent_and_extra_fields_are_fine() {
        let attrs = Attrs::parse(attrs().to_string().as_bytes()).unwrap();
        let Requested::Layers { request, closure } = attrs.request else {
            panic!("{attrs:?}");
        };
        assert_eq!(closure[0].nar_size, 1);
        assert_eq!(request.max_layers, None);
        assert!(request.reproducible && request.image.is_none());
    }

    #[test]
    fn a_base_system_is_known_by_its_field() {
        let attrs = json!({
            "outputs": { "out": "/nix/store/x", "profile": "/nix/store/y" },
            "request": { "version": 1, "storeDir": "/nix/store", "system": {} }
        });
        let attrs = Attrs::parse(attrs.to_string().as_bytes()).unwrap();
        assert_eq!(
            (attrs.out.as_str(), attrs.outputs["profile"].as_str()),
            ("/nix/store/x", "/nix/store/y")
        );
        let Requested::System(request) = attrs.request else {
            panic!("{attrs:?}");
        };
        assert!(request.system.shadow && !request.system.gshadow);
    }

    #[test]
    fn mistakes_name_the_argument() {
        let mut wrong = attrs();
        wrong["request"]["perms"] = json!([{ "path": "/p", "uid": "root" }]);
        assert_eq!(
            error(&wrong),
            "attribute perms[0].uid: expected a number, found the string \"root\""
        );
        let mut wrong = attrs();
        wrong["request"]["image"] = json!({ "name": 1, "arch": "amd64", "created": "now" });
        assert_eq!(
            error(&wrong),
            "attribute name: expected a string, found the number 1"
        );
        let mut wrong = attrs();
        wrong["request"] = json!({
            "version": 1, "storeDir": "/s", "system": { "users": { "app": { "uid": "1000" } } }
        });
        assert_eq!(
            error(&wrong),
            "attribute users.app.uid: expected a number, found the string \"1000\""
        );
        for (system, argument) in [
            (json!({ "channel": { "channelURL": 1 } }), "channelURL"),
            (json!({ "profile": { "packages": [1] } }), "packages[0]"),
            (
                json!({ "flake-registry": { "path": 1 } }),
                "flake-registry.path",
            ),
        ] {
            wrong["request"]["system"] = system;
            let said = error(&wrong);
            assert!(
                said.starts_with(&format!("attribute {argument}: expected "))
                    && said.ends_with('1'),
                "{said}"
            );
        }
        let mut wrong = attrs();
        wrong["request"]["version"] = json!(2);
        assert_eq!(error(&wrong), "attribute request.version: is 2, expected 1");
        let mut wrong = attrs();
        wrong.as_object_mut().unwrap().remove("closure");
        assert_eq!(error(&wrong), "attribute closure: is missing");
    }

    #[test]
    fn a_truncated_file_is_one_error() {
        let text = attrs().to_string();
        for length in 0..text.len() {
            let error = Attrs::parse(&text.as_bytes()[..length]).unwrap_err();
            assert!(error.hint().is_some() && error.to_string().starts_with(".attrs.json: not"));
        }
    }
}
