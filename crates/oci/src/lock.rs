//! Lock files: which manifests, configs and layers a name meant when it was asked for
//! (docs/internals/formats.md, "Lock files").

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::document::check_lock_keys;
use super::{Descriptor, Platform, Reference};
use strata_error::{Error, Result};

/// The version of the format.
const VERSION: u32 = 1;

/// What a name means, by platforms.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Lock {
    /// The version of the format.
    version: u32,
    /// The registry and the repository.
    pub name: String,
    /// The tag that was asked for; none if that was a digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// The index, if the name is one of several images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<Descriptor>,
    /// The images, by what they run on (`linux/arm64`).
    pub platforms: BTreeMap<String, LockedImage>,
}

/// An image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LockedImage {
    /// Its manifest.
    pub manifest: Descriptor,
    /// Its config.
    pub config: Descriptor,
    /// Its layers, lowest first.
    pub layers: Vec<Descriptor>,
}

impl Lock {
    /// A lock of a name, of no platform yet.
    pub fn new(name: String, tag: Option<String>) -> Self {
        Self {
            version: VERSION,
            name,
            tag,
            index: None,
            platforms: BTreeMap::new(),
        }
    }

    /// The text of the file: JSON with sorted keys, indented by two spaces, and a line break at its end.
    pub fn to_text(&self) -> String {
        // `Value` sorts the keys. Keys are strings, so neither step can fail.
        let value = serde_json::to_value(self).unwrap_or_default();
        format!("{value:#}\n")
    }

    /// Reads a file; `document` is its name for errors.
    pub fn parse(bytes: &[u8], document: &str) -> Result<Self> {
        let error = |message: String| Error::Document {
            document: document.to_owned(),
            message,
            hint: "write it anew with `strata lock IMAGE`".to_owned(),
        };
        check_lock_keys(bytes).map_err(&error)?;
        let mut value: Value =
            serde_json::from_slice(bytes).map_err(|problem| error(problem.to_string()))?;
        if let Some(version) = value.get("version").filter(|version| **version != VERSION) {
            return Err(error(format!("version {version}, expected {VERSION}")));
        }
        // An editor of theirs may have written it with Go.
        let images = value.get_mut("platforms").and_then(Value::as_object_mut);
        for image in images.into_iter().flat_map(serde_json::Map::values_mut) {
            if let Some(layers) = image.get_mut("layers").filter(|layers| layers.is_null()) {
                *layers = Value::Array(Vec::new());
            }
        }
        serde_path_to_error::deserialize(value).map_err(|problem| error(problem.to_string()))
    }

    /// The name to ask for again.
    pub fn reference(&self, document: &str) -> Result<Reference> {
        let mut images = self.platforms.values();
        let pinned = match (&self.tag, &self.index) {
            (Some(tag), _) => format!(":{tag}"),
            (None, Some(index)) => format!("@{}", index.digest),
            (None, None) => images
                .next()
                .map(|image| format!("@{}", image.manifest.digest))
                .unwrap_or_default(),
        };
        Reference::parse(&format!("{}{pinned}", self.name)).map_err(|error| Error::Document {
            document: document.to_owned(),
            message: error.to_string(),
            hint: error.hint().unwrap_or_default(),
        })
    }

    /// The platforms, to be locked again.
    pub fn platforms(&self, document: &str) -> Result<Vec<Platform>> {
        let parse = |name: &String| {
            name.parse().map_err(|message| Error::Document {
                document: document.to_owned(),
                message: format!("{name:?} is no platform: {message}"),
                hint: String::new(),
            })
        };
        self.platforms.keys().map(parse).collect()
    }

    /// What is different in a newer lock of the same name, a line for each platform.
    pub fn changes(&self, newer: &Self) -> Vec<String> {
        let digest = |lock: &Self, platform: &String| {
            lock.platforms
                .get(platform)
                .map(|image| image.manifest.digest.to_string())
        };
        let changed = newer.platforms.keys().filter_map(|platform| {
            let (old, new) = (digest(self, platform), digest(newer, platform));
            let none = || "none".to_owned();
            (old != new).then(|| {
                format!(
                    "{platform}: {} -> {}",
                    old.unwrap_or_else(none),
                    new.unwrap_or_else(none)
                )
            })
        });
        changed.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Digest, media_type};

    fn blob(number: u8, size: u64) -> Descriptor {
        Descriptor::new(media_type::LAYER_TAR_GZIP, Digest::of(&[number]), size)
    }

    fn sample() -> Lock {
        let image = |number| LockedImage {
            manifest: Descriptor::new(media_type::MANIFEST, Digest::of(&[number]), 3),
            config: Descriptor::new(media_type::CONFIG, Digest::of(&[number + 1]), 2),
            layers: vec![blob(8, 1), blob(9, 7)],
        };
        Lock {
            version: VERSION,
            name: "docker.io/library/alpine".to_owned(),
            tag: Some("3.20".to_owned()),
            index: Some(Descriptor::new(media_type::INDEX, Digest::of(b"i"), 5)),
            platforms: BTreeMap::from([
                ("linux/arm64".to_owned(), image(1)),
                ("linux/amd64".to_owned(), image(3)),
            ]),
        }
    }

    /// The bytes are part of the format: bots compare them.
    #[test]
    fn the_form_of_lock_files_is_pinned() {
        let text = sample().to_text();
        assert_eq!(Lock::parse(text.as_bytes(), "x").unwrap(), sample());
        let start = "{\n  \"index\": {\n    \"digest\": \"sha256:";
        assert!(text.starts_with(start) && text.ends_with("\n}\n"), "{text}");
        let digest = Digest::of(text.as_bytes()).to_string();
        assert_eq!(
            digest,
            "sha256:e8cd0349bc5dd4ef8353794de15d9b30fb48c3bcb2343952fd39608a435ae68b"
        );
    }

    #[test]
    fn wrong_lock_files_are_refused() {
        for (from, to, message) in [
            ("\"version\": 1", "\"version\": 2", "version 2, expected 1"),
            ("\"name\"", "\"nam\"", "unknown field `nam`"),
            ("sha256:", "sha1:", "index.digest"),
            // What other readers take, Nix among them, is the one or the other.
            (
                "\"name\"",
                "\"name\": \"o.example/x\", \"name\"",
                "\"name\" is there twice",
            ),
            (
                "\"linux/amd64\"",
                "\"linux/amd64\": {}, \"linux/amd64\"",
                "\"linux/amd64\" is there twice",
            ),
            ("\"name\"", "\"Name\"", "\"Name\" is written \"name\""),
        ] {
            let text = sample().to_text().replace(from, to);
            let error = Lock::parse(text.as_bytes(), "x").unwrap_err().to_string();
            assert!(
                error.starts_with("x: ") && error.contains(message),
                "{error}"
            );
        }
    }

    #[test]
    fn a_lock_knows_its_name_and_what_changed() {
        let mut lock = sample();
        assert_eq!(
            lock.reference("x").unwrap().to_string(),
            "docker.io/library/alpine:3.20"
        );
        lock.tag = None;
        let index = Digest::of(b"i");
        let pinned = format!("docker.io/library/alpine@{index}");
        assert_eq!(lock.reference("x").unwrap().to_string(), pinned);
        assert_eq!(lock.platforms("x").unwrap().len(), 2);

        let mut newer = sample();
        assert_eq!(sample().changes(&newer), Vec::<String>::new());
        let image = newer.platforms.get_mut("linux/arm64").unwrap();
        let old = image.manifest.digest;
        image.manifest.digest = index;
        let line = format!("linux/arm64: {old} -> {index}");
        assert_eq!(sample().changes(&newer), [line]);
    }
}
