//! What an entry has besides its content.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Permission bits, at most `0o7777`, written as octal text: `"0755"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mode(u32);

impl Mode {
    /// Directories that nothing else decides about.
    pub const ANCESTOR: Self = Self(0o755);
    /// Directories in the store.
    pub const DIRECTORY: Self = Self(0o555);
    /// Symlinks; Linux ignores their modes.
    pub const SYMLINK: Self = Self(0o777);

    /// The mode of a file in the store, where Nix keeps no more than one bit.
    pub fn of_file(executable: bool) -> Self {
        Self(if executable { 0o555 } else { 0o444 })
    }

    /// The mode with these bits; what is more than permissions is left out.
    pub fn from_bits(bits: u32) -> Self {
        Self(bits & 0o7777)
    }

    /// The bits.
    pub fn bits(self) -> u32 {
        self.0
    }

    /// These bits and those of `other`.
    #[must_use]
    pub fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl FromStr for Mode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let bits = u32::from_str_radix(text, 8)
            .ok()
            .filter(|bits| digits && *bits <= 0o7777);
        bits.map(Self)
            .ok_or_else(|| format!("{text:?} is not an octal mode"))
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:04o}", self.0)
    }
}

impl Serialize for Mode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Mode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

/// Mode, owner and extended attributes of an entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Metadata {
    /// The permission bits.
    pub mode: Mode,
    /// The owner's number.
    pub uid: u64,
    /// The group's number.
    pub gid: u64,
    /// The owner's name, empty if unknown.
    pub uname: String,
    /// The group's name, empty if unknown.
    pub gname: String,
    /// Extended attributes.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub xattrs: BTreeMap<String, Vec<u8>>,
}

impl Metadata {
    /// What an entry has that no rule is about.
    pub fn root(mode: Mode) -> Self {
        let (uname, gname) = ("root".to_owned(), "root".to_owned());
        Self {
            mode,
            uid: 0,
            gid: 0,
            uname,
            gname,
            xattrs: BTreeMap::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes() {
        assert_eq!("1777".parse::<Mode>().unwrap().bits(), 0o1777);
        assert_eq!("0644".parse::<Mode>().unwrap().to_string(), "0644");
        assert_eq!("0".parse::<Mode>().unwrap().to_string(), "0000");
        for text in [
            "",
            "9999",
            "0o755",
            "-1",
            "+7",
            "10000",
            "u+x",
            "99999999999999",
        ] {
            assert!(text.parse::<Mode>().is_err(), "{text}");
        }
    }
}
