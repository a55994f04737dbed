//! Lock files: which manifests, configs and layers a name meant when it was asked for
//! (docs/internals/formats.md, "Lock files").

use std::collections::BTreeMap;
use std::collections::btree_map::Entry as Place;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::pull::source::{RemoteImage, Source};
use strata_error::{Error, Result};
use strata_oci::{Descriptor, Document, IndexEntry, Platform, Reference, check_lock_keys};
use strata_progress::Context;

/// The version of the format.
const VERSION: u32 = 1;
/// The most platforms.
const MOST_PLATFORMS: usize = 64;

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

impl Source {
    /// Asks what the reference means now, for these platforms, or for all that it has if none are given.
    pub fn lock(&self, platforms: &[Platform], context: Context<'_>) -> Result<Lock> {
        self.watch(context, || {
            let top = self.top(context)?;
            let mut lock = Lock {
                version: VERSION,
                name: self.name(),
                tag: match &self.reference.digest {
                    Some(_) => None,
                    None => Some(self.reference.tag_or_latest().to_owned()),
                },
                index: None,
                platforms: BTreeMap::new(),
            };
            let Document::Index(entries) = &top.document else {
                let image = self.choose(top, &placeholder(), context)?;
                lock.platforms = self.lock_one(&image, platforms, context)?;
                return Ok(lock);
            };
            lock.index = Some(top.descriptor.clone());
            let all = entries.iter().filter(|entry| !entry.is_index());
            let all: Vec<Platform> = all.filter_map(IndexEntry::platform).collect();
            let wanted = if platforms.is_empty() {
                &all
            } else {
                platforms
            };
            for platform in wanted {
                let Place::Vacant(place) = lock.platforms.entry(key(platform)) else {
                    continue;
                };
                let chosen = platform
                    .choose(entries, IndexEntry::platform)
                    .ok_or_else(|| self.no_platform(platform, entries))?;
                let chosen = self.document(&chosen.digest.to_string(), context)?;
                place.insert(locked(&self.choose(chosen, platform, context)?));
                if lock.platforms.len() > MOST_PLATFORMS {
                    let message = format!("it has more than {MOST_PLATFORMS} platforms");
                    return Err(self.error(&message, "name those that you want with --platform"));
                }
            }
            if lock.platforms.is_empty() {
                return Err(self.error("its index has no image with a platform", ""));
            }
            Ok(lock)
        })
    }

    /// The only image of a name, whose platform is in its config.
    fn lock_one(
        &self,
        image: &RemoteImage,
        platforms: &[Platform],
        context: Context<'_>,
    ) -> Result<BTreeMap<String, LockedImage>> {
        let mut config = Vec::new();
        self.fetch(&image.config, &mut config, context)?;
        let own = platform_of(&config).ok_or_else(|| {
            self.error(
                "its config does not say what it runs on: it is no image",
                "",
            )
        })?;
        // One image for several platforms is a mistake that only shows when it is run.
        if let Some(other) = platforms.iter().find(|wanted| !own.fits(wanted)) {
            let hint = "leave --platform out, or name an index that has it";
            return Err(self.error(&format!("it is for {own}, not for {other}"), hint));
        }
        let keys = match platforms {
            [] => vec![key(&own)],
            platforms => platforms.iter().map(key).collect(),
        };
        Ok(keys.into_iter().map(|key| (key, locked(image))).collect())
    }
}

/// What a config says that its image runs on.
pub fn platform_of(config: &[u8]) -> Option<Platform> {
    let platform: Platform = serde_json::from_slice(config).ok()?;
    (!platform.os.is_empty() && !platform.architecture.is_empty()).then_some(Platform {
        variant: platform.variant.filter(|variant| !variant.is_empty()),
        ..platform
    })
}

/// A platform without the variant that is the only one: `arm64/v8` is `arm64`.
fn plain(platform: &Platform) -> Platform {
    let variant = platform.variant.clone();
    Platform {
        variant: variant.filter(|variant| platform.architecture != "arm64" || variant != "v8"),
        ..platform.clone()
    }
}

fn key(platform: &Platform) -> String {
    plain(platform).to_string()
}

/// For choosing where there is nothing to choose.
fn placeholder() -> Platform {
    Platform {
        os: String::new(),
        architecture: String::new(),
        variant: None,
    }
}

fn locked(image: &RemoteImage) -> LockedImage {
    let bare = |blob: &Descriptor| Descriptor::new(&blob.media_type, blob.digest, blob.size);
    LockedImage {
        manifest: bare(&image.manifest),
        config: bare(&image.config),
        layers: image.layers.iter().map(bare).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use strata_oci::{Digest, media_type};

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

    #[test]
    fn one_variant_is_no_variant() {
        let platform = |text: &str| text.parse::<Platform>().unwrap();
        assert_eq!(key(&platform("linux/arm64/v8")), "linux/arm64");
        assert_eq!(key(&platform("linux/arm/v7")), "linux/arm/v7");
        let config = br#"{"architecture":"arm64","os":"linux","variant":"","rootfs":{}}"#;
        assert_eq!(platform_of(config), Some(platform("linux/arm64")));
        assert_eq!(platform_of(b"{}"), None);
    }
}
