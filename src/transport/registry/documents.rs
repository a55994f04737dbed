//! What a name in a registry stands for: a manifest of one image, or an index of several (image-spec,
//! manifest.md and image-index.md; Docker's `manifest-v2-2.md`). Pure: whoever fetched the document
//! gives its bytes.

use serde::Deserialize;

use crate::oci::{Descriptor, Digest, Platform, media_type};

/// The media types of the documents, to ask a registry for.
pub(in crate::transport) const ACCEPTED: [&str; 4] = super::learned::ACCEPTED;

/// What an index says of the proof of how an image was built, which is no image.
const UNKNOWN: &str = "unknown";

/// A manifest or an index.
#[derive(Debug)]
pub(in crate::transport) enum Document {
    /// One image.
    Image {
        /// The config blob.
        config: Descriptor,
        /// The layer blobs, lowest first.
        layers: Vec<Descriptor>,
    },
    /// Several, for other platforms for example.
    Index(Vec<Entry>),
}

/// An image in an index.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::transport) struct Entry {
    #[serde(default)]
    pub(in crate::transport) media_type: String,
    pub(in crate::transport) digest: Digest,
    #[serde(default)]
    platform: Option<EntryPlatform>,
}

/// What an index says of a platform; nobody has to say all of it.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct EntryPlatform {
    #[serde(default)]
    architecture: String,
    #[serde(default)]
    os: String,
    #[serde(default)]
    variant: Option<String>,
}

impl Entry {
    /// What the image runs on, if the index says so.
    pub(in crate::transport) fn platform(&self) -> Option<Platform> {
        self.platform.as_ref().and_then(EntryPlatform::said)
    }
}

impl EntryPlatform {
    /// Whether this is how indexes mark what is no image.
    pub(super) fn is_unknown(&self) -> bool {
        self.os == UNKNOWN
    }

    /// The platform, if it is said.
    pub(super) fn said(&self) -> Option<Platform> {
        let Self {
            architecture,
            os,
            variant,
        } = self.clone();
        let is_said = [&os, &architecture]
            .iter()
            .all(|word| !word.is_empty() && word.as_str() != UNKNOWN);
        is_said.then_some(Platform {
            architecture,
            os,
            variant: variant.filter(|variant| !variant.is_empty()),
        })
    }
}

impl Document {
    /// Reads a document, and the media type that it has. An error is a message and a hint.
    pub(in crate::transport) fn parse(bytes: &[u8]) -> Result<(String, Self), [String; 2]> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Either {
            schema_version: u32,
            #[serde(default)]
            media_type: Option<String>,
            config: Option<Descriptor>,
            layers: Option<Vec<Descriptor>>,
            manifests: Option<Vec<Entry>>,
        }
        let error = |message: &str, hint: &str| Err([message.to_owned(), hint.to_owned()]);
        let either: Either = match serde_json::from_slice(bytes) {
            Ok(either) => either,
            Err(problem) => return error(&format!("no manifest: {problem}"), ""),
        };
        if either.schema_version != 2 {
            return error(
                "a manifest of Docker's first schema, which says too little of its layers",
                "push the image again with a current docker, podman or skopeo",
            );
        }
        let (default, document) = match (either.config, either.layers, either.manifests) {
            (None, None, Some(entries)) => (media_type::INDEX, Self::Index(entries)),
            (Some(config), Some(layers), None) => {
                (media_type::MANIFEST, Self::Image { config, layers })
            }
            // Who takes it for one and who for the other see different images (CVE-2021-41190).
            _ => return error("both a manifest and an index, or half of one", ""),
        };
        Ok((
            either.media_type.unwrap_or_else(|| default.to_owned()),
            document,
        ))
    }
}

/// The variants of processors that run what was built for those after them. This is the order in which
/// skopeo and podman look for them.
fn variants(architecture: &str) -> &'static [&'static str] {
    match architecture {
        "arm" => &["v8", "v7", "v6", "v5"],
        "arm64" => &["v8"],
        _ => &[],
    }
}

/// The entry of an index that fits a platform best, chosen as skopeo does with `--override-os`,
/// `--override-arch` and `--override-variant`: with a variant, that one or what it runs too, and then
/// the one without; without, the one without first. Of several the first counts.
pub(in crate::transport) fn choose<'a>(
    entries: &'a [Entry],
    wanted: &Platform,
) -> Option<&'a Entry> {
    let known = variants(&wanted.architecture);
    let order: Vec<Option<&str>> = match &wanted.variant {
        None => [None]
            .into_iter()
            .chain(known.iter().copied().map(Some))
            .collect(),
        Some(variant) => {
            let own = known.iter().position(|known| known == variant);
            let own = own.and_then(|place| known.get(place..));
            let own = own.map_or_else(|| vec![variant.as_str()], <[&str]>::to_vec);
            own.into_iter().map(Some).chain([None]).collect()
        }
    };
    order.into_iter().find_map(|variant| {
        entries.iter().find(|entry| {
            entry.platform().is_some_and(|platform| {
                platform.os == wanted.os
                    && platform.architecture == wanted.architecture
                    && platform.variant.as_deref() == variant
            })
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn index(platforms: &[&str]) -> Vec<Entry> {
        let entry = |(number, platform): (usize, &&str)| {
            let mut parts = platform.split('/');
            let mut part = || parts.next().unwrap_or_default();
            json!({
                "mediaType": media_type::MANIFEST, "size": 1,
                "digest": Digest::of(number.to_string().as_bytes()),
                "platform": { "os": part(), "architecture": part(), "variant": part() },
            })
        };
        let entries: Vec<Value> = platforms.iter().enumerate().map(entry).collect();
        let index = json!({ "schemaVersion": 2, "manifests": entries });
        match Document::parse(index.to_string().as_bytes()) {
            Ok((_, Document::Index(entries))) => entries,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn platforms_are_chosen_as_skopeo_does() {
        let entries = index(&[
            "unknown/unknown",
            "linux/arm/v6",
            "linux/arm/v7",
            "linux/amd64",
            "linux/arm64/v8",
            "windows/amd64",
            "linux/amd64",
        ]);
        for (wanted, number) in [
            ("linux/amd64", Some(3)),
            ("linux/amd64/v3", Some(3)),
            ("windows/amd64", Some(5)),
            ("linux/arm64", Some(4)),
            ("linux/arm64/v8", Some(4)),
            ("linux/arm", Some(2)),
            ("linux/arm/v8", Some(2)),
            ("linux/arm/v6", Some(1)),
            ("linux/arm/v5", None),
            ("linux/riscv64", None),
            ("unknown/unknown", None),
        ] {
            let chosen = choose(&entries, &wanted.parse().unwrap());
            let expected = number.map(|number: usize| Digest::of(number.to_string().as_bytes()));
            assert_eq!(chosen.map(|entry| entry.digest), expected, "{wanted}");
        }
    }

    #[test]
    fn documents_are_told_apart() {
        let blob = Descriptor::new("x", Digest::of(b""), 0);
        let parse = |value: &Value| {
            let parsed = Document::parse(value.to_string().as_bytes());
            parsed
                .map(|(media_type, _)| media_type)
                .map_err(|[message, _]| message)
        };
        let image = json!({ "schemaVersion": 2, "config": blob, "layers": [blob] });
        assert_eq!(parse(&image).as_deref(), Ok(media_type::MANIFEST));
        let index = json!({ "schemaVersion": 2, "mediaType": "list", "manifests": [] });
        assert_eq!(parse(&index).as_deref(), Ok("list"));
        for (wrong, message) in [
            (
                json!({ "schemaVersion": 1, "fsLayers": [] }),
                "first schema",
            ),
            (json!({ "schemaVersion": 2 }), "half of one"),
            (
                json!({ "schemaVersion": 2, "config": blob, "layers": [], "manifests": [] }),
                "both",
            ),
            (json!([]), "no manifest"),
        ] {
            let error = parse(&wrong).unwrap_err();
            assert!(error.contains(message), "{error}");
        }
    }
}
