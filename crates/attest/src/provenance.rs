//! How an image was built: provenance of SLSA (<https://slsa.dev/spec/v1.0/provenance>), from what Nix knew when it
//! evaluated the image (`nix/internal/evaluation.nix`).

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use strata_error::{Error, Result};
use strata_oci::{Compression, Digest};

/// The predicate type.
pub const SLSA_PROVENANCE: &str = "https://slsa.dev/provenance/v1";
/// What says how to read the parameters of a build.
const BUILD_TYPE: &str =
    "https://github.com/strata-oci/strata/blob/main/docs/guides/signatures.md#what-provenance-says";
/// Who built, if nobody says so.
const BUILDER: &str = "https://github.com/strata-oci/strata";
/// The version of the file.
const VERSION: u32 = 1;

/// What Nix knew of the build.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Build {
    /// The store path of the image's derivation.
    pub derivation: String,
    /// The system that it is built on.
    pub system: String,
    /// The SHA-256 of the arguments as the builder gets them, in hex.
    pub arguments: String,
    /// The version of Nix that evaluated it.
    pub nix_version: String,
    /// Where it is from, if the arguments said so.
    #[serde(default)]
    pub flake: Option<FlakeSource>,
}

/// The flake that an image is from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct FlakeSource {
    /// Where it is, without what follows `#`: `github:me/app`.
    pub uri: Option<String>,
    /// What of it the image is: `packages.x86_64-linux.image`.
    pub attribute: Option<String>,
    /// Its commit.
    pub revision: Option<String>,
    /// The hash of its source, as Nix writes it.
    pub nar_hash: Option<String>,
    /// What it is locked to, by the names of its lock file.
    pub inputs: Vec<FlakeInput>,
}

/// Something that a flake is locked to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct FlakeInput {
    /// What the lock file calls it.
    pub name: String,
    /// Where it is.
    pub uri: Option<String>,
    /// Its commit.
    pub revision: Option<String>,
    /// The hash of its source, as Nix writes it.
    pub nar_hash: Option<String>,
}

/// What was pushed, as far as another build needs to know it to come to the same digest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Built {
    /// The output of the derivation.
    pub output: Option<String>,
    /// The digest of the image before its layers were compressed.
    pub image: Option<Digest>,
    /// How layers were compressed that did not say so themselves.
    pub compression: Option<Compression>,
    /// The derivation.
    pub derivation: Option<String>,
    /// Where it is from.
    pub flake: Option<FlakeSource>,
}

impl Build {
    /// Reads the file's bytes; `document` is its path, for the error.
    pub fn parse(bytes: &[u8], document: &str) -> Result<Self> {
        #[derive(Deserialize)]
        struct File {
            version: u32,
            build: Build,
        }
        let error = |message: String| Error::Document {
            document: document.to_owned(),
            message,
            hint: "the attribute `evaluation` of the image is such a file".to_owned(),
        };
        let file: File = serde_json::from_slice(bytes)
            .map_err(|source| error(format!("does not say how an image is built: {source}")))?;
        if file.version != VERSION {
            let version = file.version;
            return Err(error(format!("version {version}, expected {VERSION}")));
        }
        Ok(file.build)
    }
}

/// The predicate about an image. `builder` is a URI of whoever built it, `known` what Nix knew, if it did.
pub fn provenance(built: &Built, known: Option<&Build>, builder: Option<&str>) -> Value {
    let mut external = Map::new();
    let mut set = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            external.insert(name.to_owned(), value);
        }
    };
    set("image", built.image.map(|digest| json!(digest)));
    set("output", built.output.as_ref().map(|path| json!(path)));
    set(
        "compression",
        built.compression.map(|method| json!(method.to_string())),
    );
    set("derivation", known.map(|it| json!(it.derivation)));
    set(
        "arguments",
        known.map(|it| json!({ "sha256": it.arguments })),
    );
    let flake = known.and_then(|known| known.flake.as_ref());
    set(
        "flake",
        flake.map(|flake| {
            json!({
                "uri": flake.uri,
                "attribute": flake.attribute,
                "revision": flake.revision,
            })
        }),
    );
    let mut internal = Map::new();
    let mut version = json!({ "strata": env!("CARGO_PKG_VERSION") });
    if let Some(known) = known {
        internal.insert("system".to_owned(), json!(known.system));
        version["nix"] = json!(known.nix_version);
    }
    let own = flake.map(|flake| FlakeInput {
        name: "flake".to_owned(),
        uri: flake.uri.clone(),
        revision: flake.revision.clone(),
        nar_hash: flake.nar_hash.clone(),
    });
    let inputs = flake.into_iter().flat_map(|flake| flake.inputs.iter());
    let dependencies: Vec<Value> = own.iter().chain(inputs).map(dependency).collect();
    json!({
        "buildDefinition": {
            "buildType": BUILD_TYPE,
            "externalParameters": external,
            "internalParameters": internal,
            "resolvedDependencies": dependencies,
        },
        "runDetails": {
            "builder": { "id": builder.unwrap_or(BUILDER), "version": version },
        },
    })
}

/// Something that was built from, as a resource descriptor of in-toto.
fn dependency(input: &FlakeInput) -> Value {
    let mut about = json!({ "name": input.name });
    if let Some(uri) = &input.uri {
        about["uri"] = json!(uri);
    }
    if let Some(revision) = &input.revision {
        about["digest"] = json!({ "gitCommit": revision });
    }
    if let Some(hash) = &input.nar_hash {
        about["annotations"] = json!({ "narHash": hash });
    }
    about
}

impl Built {
    /// What a predicate says of the build; the error is that it is one of another builder.
    pub fn parse(predicate: &Value) -> Result<Self, String> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Predicate {
            build_definition: Definition,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Definition {
            build_type: String,
            external_parameters: External,
        }
        #[derive(Deserialize)]
        struct External {
            image: Option<Digest>,
            output: Option<String>,
            compression: Option<String>,
            derivation: Option<String>,
            flake: Option<FlakeSource>,
        }
        let predicate = Predicate::deserialize(predicate)
            .map_err(|error| format!("not provenance of SLSA: {error}"))?;
        let definition = predicate.build_definition;
        if definition.build_type != BUILD_TYPE {
            return Err(format!(
                "a build of another kind: {}",
                definition.build_type
            ));
        }
        let external = definition.external_parameters;
        let compression = external.compression.as_deref().map(str::parse);
        Ok(Self {
            output: external.output,
            image: external.image,
            compression: compression.transpose()?,
            derivation: external.derivation,
            flake: external.flake,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_said_is_read() {
        let evaluation = r#"{"version":1,"packages":{},"build":{
            "derivation":"/s/a.drv","system":"x86_64-linux","arguments":"00","nixVersion":"2.8",
            "flake":{"uri":"github:me/app","attribute":"image","revision":"abc","narHash":"sha256-x",
                     "inputs":[{"name":"nixpkgs","uri":"github:NixOS/nixpkgs","revision":"def"}]}}}"#;
        let known = Build::parse(evaluation.as_bytes(), "f").unwrap();
        let built = Built {
            image: Some(Digest::of(b"image")),
            output: Some("/s/image".to_owned()),
            compression: Some(Compression::ZSTD),
            ..Built::default()
        };
        let predicate = provenance(&built, Some(&known), None);
        let dependencies = &predicate["buildDefinition"]["resolvedDependencies"];
        assert_eq!(dependencies[0]["digest"]["gitCommit"], "abc");
        assert_eq!(dependencies[1]["name"], "nixpkgs");
        let read = Built::parse(&predicate).unwrap();
        assert_eq!(read.image, built.image);
        assert_eq!(read.compression, built.compression);
        assert_eq!(read.derivation.as_deref(), Some("/s/a.drv"));
        let flake = read.flake.unwrap();
        assert_eq!(flake.attribute.as_deref(), Some("image"));
        assert_eq!(flake.revision.as_deref(), Some("abc"));
        let other = json!({ "buildDefinition": { "buildType": "x", "externalParameters": {} } });
        assert!(Built::parse(&other).unwrap_err().contains("another kind"));
        assert!(Build::parse(b"{}", "f").is_err());
    }
}
