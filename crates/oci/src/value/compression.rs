//! How layers are compressed, as people write it: `gzip`, `zstd:3`, `none`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::media_type;

/// What skopeo and podman call Zstandard in frames with a table.
const CHUNKED: &str = "zstd:chunked";

/// How a layer is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Compression {
    /// Not at all.
    None,
    /// gzip (RFC 1952), which everybody reads.
    Gzip {
        /// 1 (fast) to 9 (small).
        level: u8,
    },
    /// Zstandard (RFC 8878): faster and smaller; Docker reads it since version 23.
    Zstd {
        /// 1 (fast) to 19 (small).
        level: u8,
    },
    /// Zstandard in frames that a client may fetch one by one, with a table of what is in them: what podman,
    /// CRI-O and buildah call `zstd:chunked`. Everybody else reads it as Zstandard.
    ZstdChunked {
        /// 1 (fast) to 19 (small).
        level: u8,
    },
}

impl Compression {
    /// gzip at its default level.
    pub const GZIP: Self = Self::Gzip { level: 3 };
    /// Zstandard at its default level, the fastest at which programs get smaller than with gzip.
    pub const ZSTD: Self = Self::Zstd { level: 2 };
    /// Zstandard in frames at its default level, the first at which layers are as small as skopeo makes them.
    pub const ZSTD_CHUNKED: Self = Self::ZstdChunked { level: 4 };

    /// Whether the bytes depend on the byte order of the machine that compresses, as those of Zstandard do from
    /// level 5 (1.5.7, `zstd_preSplit.c`).
    pub fn depends_on_byte_order(self) -> bool {
        matches!(self, Self::Zstd { level } | Self::ZstdChunked { level } if level >= 5)
    }

    /// The media type of a layer that is compressed like this.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::None => media_type::LAYER_TAR,
            Self::Gzip { .. } => media_type::LAYER_TAR_GZIP,
            Self::Zstd { .. } | Self::ZstdChunked { .. } => media_type::LAYER_TAR_ZSTD,
        }
    }
}

impl Default for Compression {
    fn default() -> Self {
        Self::GZIP
    }
}

impl FromStr for Compression {
    type Err = String;

    /// Parses `none`, `gzip[:LEVEL]`, `zstd[:LEVEL]` or `zstd:chunked[:LEVEL]`.
    fn from_str(text: &str) -> Result<Self, String> {
        let (name, level) = match text.strip_prefix(CHUNKED) {
            Some("") => (CHUNKED, None),
            Some(level) if level.starts_with(':') => (CHUNKED, level.get(1..)),
            _ => match text.split_once(':') {
                Some((name, level)) => (name, Some(level)),
                None => (text, None),
            },
        };
        let between = |least: u8, most: u8| {
            level
                .map(|level| match level.parse() {
                    Ok(level) if (least..=most).contains(&level) => Ok(level),
                    _ => Err(format!(
                        "a level of {name} is a number from {least} to {most}"
                    )),
                })
                .transpose()
        };
        match (name, level) {
            ("none", None) => Ok(Self::None),
            ("gzip", _) => Ok(between(1, 9)?.map_or(Self::GZIP, |level| Self::Gzip { level })),
            ("zstd", _) => Ok(between(1, 19)?.map_or(Self::ZSTD, |level| Self::Zstd { level })),
            (CHUNKED, _) => {
                Ok(between(1, 19)?.map_or(Self::ZSTD_CHUNKED, |level| Self::ZstdChunked { level }))
            }
            _ => Err("write none, gzip, zstd or zstd:chunked, with or without :LEVEL".to_owned()),
        }
    }
}

impl fmt::Display for Compression {
    /// With the level, so that the text means the same when a default changes.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => formatter.write_str("none"),
            Self::Gzip { level } => write!(formatter, "gzip:{level}"),
            Self::Zstd { level } => write!(formatter, "zstd:{level}"),
            Self::ZstdChunked { level } => write!(formatter, "{CHUNKED}:{level}"),
        }
    }
}

impl TryFrom<String> for Compression {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Compression> for String {
    fn from(compression: Compression) -> Self {
        compression.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compressions_are_shown_as_they_are_typed() {
        for text in [
            "none",
            "gzip:1",
            "gzip:9",
            "zstd:1",
            "zstd:19",
            "zstd:chunked:1",
            "zstd:chunked:19",
        ] {
            assert_eq!(text.parse::<Compression>().unwrap().to_string(), text);
        }
        assert_eq!("gzip".parse(), Ok(Compression::GZIP));
        assert_eq!("zstd".parse(), Ok(Compression::ZSTD));
        assert_eq!("zstd:chunked".parse(), Ok(Compression::ZSTD_CHUNKED));
    }

    #[test]
    fn other_words_and_levels_are_refused() {
        for text in [
            "",
            "xz",
            "none:1",
            "gzip:",
            "gzip:0",
            "gzip:10",
            "zstd:20",
            "zstd:-1",
            "zstd:chunked:",
            "zstd:chunked:0",
            "zstd:chunked:20",
            "zstd:chunkedly",
            "zstd:Chunked",
        ] {
            assert!(text.parse::<Compression>().is_err(), "{text}");
        }
    }
}
