//! Content descriptors (OCI descriptor.md).

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::lenient::{if_it_fits, texts};
use super::{Digest, media_type};

/// The annotations that say where the table of a `zstd:chunked` layer is (containers/storage, `pkg/chunked`).
///
/// The digest of the table as it is compressed in the blob.
pub const TABLE_DIGEST: &str = "io.github.containers.zstd-chunked.manifest-checksum";
/// Where the table is: `OFFSET:LENGTH:UNCOMPRESSED LENGTH:1`, in bytes.
pub const TABLE_POSITION: &str = "io.github.containers.zstd-chunked.manifest-position";
/// Where what belongs around the files to make the tar is: `OFFSET:LENGTH:UNCOMPRESSED LENGTH`, in bytes.
pub const TAR_SPLIT_POSITION: &str = "io.github.containers.zstd-chunked.tarsplit-position";
/// All that say where the table is.
const TABLE_ANNOTATIONS: [&str; 3] = [TABLE_DIGEST, TABLE_POSITION, TAR_SPLIT_POSITION];
/// The annotation of the table of an eStargz layer (containerd's stargz-snapshotter).
const STARGZ_TABLE: &str = "containerd.io/snapshot/stargz/toc.digest";

/// The annotation of a layer whose store paths nix-snapshotter mounts; `true` (its `pkg/nix2container`).
pub const NIX_LAYER: &str = "containerd.io/snapshot/nix-layer";
/// What the annotation of each of these store paths begins with; a number follows, from 0 on.
pub const NIX_STORE_PATH: &str = "containerd.io/snapshot/nix-store-path.";

/// What a blob is, how it is called and how long it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// One of [`super::media_type`].
    pub media_type: String,
    /// The digest of the blob's bytes.
    pub digest: Digest,
    /// The blob's length in bytes.
    pub size: u64,
    /// Free-form notes.
    #[serde(
        default,
        deserialize_with = "texts",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub annotations: BTreeMap<String, String>,
    /// What the image runs on; only in an index.
    #[serde(
        default,
        deserialize_with = "if_it_fits",
        skip_serializing_if = "Option::is_none"
    )]
    pub platform: Option<Platform>,
}

impl Descriptor {
    /// The descriptor of `bytes`.
    pub fn of(media_type: &str, bytes: &[u8]) -> Self {
        Self::new(media_type, Digest::of(bytes), bytes.len() as u64)
    }

    /// A descriptor without annotations or platform.
    pub fn new(media_type: &str, digest: Digest, size: u64) -> Self {
        Self {
            media_type: media_type.to_owned(),
            digest,
            size,
            annotations: BTreeMap::new(),
            platform: None,
        }
    }

    /// Those annotations that say where the table of a `zstd:chunked` layer is: they are about the bytes of the
    /// blob, and all others about the layer. Empty if the blob has no table.
    pub fn table_annotations(&self) -> BTreeMap<String, String> {
        let found = TABLE_ANNOTATIONS
            .map(|name| Some((name.to_owned(), self.annotations.get(name)?.clone())));
        // One without the others is of no use.
        found.into_iter().collect::<Option<_>>().unwrap_or_default()
    }

    /// Replaces the annotations that [`Self::table_annotations`] gives, and takes away those of other tables: a
    /// client refuses a layer that has two.
    pub fn set_table_annotations(&mut self, table: BTreeMap<String, String>) {
        let others = TABLE_ANNOTATIONS.into_iter().chain([STARGZ_TABLE]);
        for name in others {
            self.annotations.remove(name);
        }
        self.annotations.extend(table);
    }

    /// The same as Docker's schema 2 has it, without annotations. `None` if that has no name for it, or it says
    /// nothing without them.
    pub(super) fn in_docker_format(&self) -> Option<Self> {
        if self.annotations.contains_key(NIX_LAYER) {
            return None;
        }
        Some(Self {
            media_type: media_type::in_docker(&self.media_type)?.to_owned(),
            annotations: BTreeMap::new(),
            ..self.clone()
        })
    }
}

/// An operating system and a processor, in Go's names (OCI image-index.md).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Platform {
    /// GOARCH, as in `amd64`.
    pub architecture: String,
    /// GOOS, as in `linux`.
    pub os: String,
    /// The processor's variant, as in `v7`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
}

impl Platform {
    /// Linux on `architecture`.
    pub fn linux(architecture: &str) -> Self {
        Self {
            architecture: architecture.to_owned(),
            os: "linux".to_owned(),
            variant: None,
        }
    }

    /// Whether an image for this platform is for the platform `wanted`. A variant that is not wanted
    /// may be any; `arm64` and `arm64/v8`, the first variant, are the same.
    pub fn fits(&self, wanted: &Self) -> bool {
        let fits_variant = match (&wanted.variant, &self.variant) {
            (Some(wanted), Some(found)) => wanted == found,
            (Some(wanted), None) => wanted == "v8" && self.architecture == "arm64",
            (None, _) => true,
        };
        wanted.os == self.os && wanted.architecture == self.architecture && fits_variant
    }

    /// Whether both are for the same machines.
    pub fn is_same(&self, other: &Self) -> bool {
        self.fits(other) && other.fits(self)
    }
}

impl fmt::Display for Platform {
    /// As Docker and podman write it: `linux/arm64`, `linux/arm/v7`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.os, self.architecture)?;
        match &self.variant {
            Some(variant) => write!(formatter, "/{variant}"),
            None => Ok(()),
        }
    }
}

impl FromStr for Platform {
    type Err = String;

    /// Reads `OS/ARCHITECTURE[/VARIANT]`.
    fn from_str(text: &str) -> Result<Self, String> {
        let is_word = |word: &&str| {
            let allowed =
                |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
            !word.is_empty() && word.bytes().all(allowed)
        };
        let words: Vec<&str> = text.split('/').collect();
        match words.as_slice() {
            [os, architecture, rest @ ..] if rest.len() < 2 && words.iter().all(is_word) => {
                Ok(Self {
                    architecture: (*architecture).to_owned(),
                    os: (*os).to_owned(),
                    variant: rest.first().map(|variant| (*variant).to_owned()),
                })
            }
            _ => Err(format!("{text:?} is not a platform")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn platforms_are_read_as_they_are_written() {
        for text in ["linux/amd64", "linux/arm/v7", "windows/amd64"] {
            assert_eq!(text.parse::<Platform>().unwrap().to_string(), text);
        }
        for text in [
            "",
            "linux",
            "linux/",
            "/amd64",
            "a/b/c/d",
            "a/b/",
            "Linux/amd64",
            "a/b c",
        ] {
            assert!(text.parse::<Platform>().is_err(), "{text}");
        }
    }

    #[test]
    fn variants_are_told_apart() {
        let platform = |text: &str| text.parse::<Platform>().unwrap();
        for (found, wanted, fits) in [
            ("linux/amd64", "linux/amd64", true),
            ("linux/amd64", "linux/arm64", false),
            ("linux/amd64", "windows/amd64", false),
            ("linux/arm/v7", "linux/arm", true),
            ("linux/arm", "linux/arm/v7", false),
            ("linux/arm/v7", "linux/arm/v6", false),
            ("linux/arm64", "linux/arm64/v8", true),
            ("linux/arm64/v8", "linux/arm64", true),
        ] {
            assert_eq!(
                platform(found).fits(&platform(wanted)),
                fits,
                "{found} {wanted}"
            );
        }
        let is_same = |one, other| platform(one).is_same(&platform(other));
        assert!(is_same("linux/arm64/v8", "linux/arm64"));
        assert!(!is_same("linux/arm/v7", "linux/arm"));
    }
}
