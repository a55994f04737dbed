//! Paths inside an image.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A path in an image, relative to `/`, without a trailing slash. Any bytes, as file names are.
///
/// As JSON it is a string, or, when it is not UTF-8, a list of bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct ImagePath(pub Vec<u8>);

impl ImagePath {
    /// The path of `name` in the directory `self`.
    #[must_use]
    pub fn join(&self, name: &[u8]) -> Self {
        let mut path = self.clone();
        path.push(name);
        path
    }

    /// Goes down to `name` in the directory.
    pub(super) fn push(&mut self, name: &[u8]) {
        if !self.0.is_empty() {
            self.0.push(b'/');
        }
        self.0.extend_from_slice(name);
    }

    /// Goes up to the directory that it is in; `/` is in itself.
    pub(super) fn pop(&mut self) {
        let slash = self.0.iter().rposition(|byte| *byte == b'/');
        self.0.truncate(slash.unwrap_or(0));
    }

    /// The directory that it is in, and its last name, which is empty for `/`.
    pub fn split(&self) -> (Self, &[u8]) {
        match self.0.iter().rposition(|byte| *byte == b'/') {
            Some(slash) => (Self(self.0[..slash].to_vec()), &self.0[slash + 1..]),
            None => (Self::default(), &self.0),
        }
    }

    /// The directories above it, outermost first, without `/`.
    pub fn ancestors(&self) -> impl Iterator<Item = Self> {
        let slashes = self.0.iter().enumerate().filter(|(_, byte)| **byte == b'/');
        slashes.map(|(slash, _)| Self(self.0[..slash].to_vec()))
    }

    /// Whether it is `directory`, or in it.
    pub fn is_below(&self, directory: &Self) -> bool {
        match self.0.strip_prefix(directory.0.as_slice()) {
            Some([]) => true,
            Some(rest) => directory.0.is_empty() || rest.starts_with(b"/"),
            None => false,
        }
    }

    /// The names on the way.
    pub fn components(&self) -> impl DoubleEndedIterator<Item = &[u8]> {
        self.0
            .split(|byte| *byte == b'/')
            .filter(|name| !name.is_empty())
    }
}

impl From<&str> for ImagePath {
    fn from(path: &str) -> Self {
        Self(path.trim_matches('/').as_bytes().to_vec())
    }
}

impl fmt::Display for ImagePath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&String::from_utf8_lossy(&self.0))
    }
}

impl Serialize for ImagePath {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match std::str::from_utf8(&self.0) {
            Ok(text) => serializer.serialize_str(text),
            Err(_) => self.0.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for ImagePath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Form {
            Text(String),
            Bytes(Vec<u8>),
        }
        Ok(Self(match Form::deserialize(deserializer)? {
            Form::Text(text) => text.into_bytes(),
            Form::Bytes(bytes) => bytes,
        }))
    }
}
