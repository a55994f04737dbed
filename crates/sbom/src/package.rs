//! Something in an image.

use std::collections::BTreeMap;

use crate::licence::Licence;
use strata_oci::Digest;

/// Something in an image.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Package {
    /// What it is called in the bill only: the store path, or the package URL.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its version; empty if nobody knows.
    pub version: String,
    /// Its package URL.
    pub url: String,
    /// What the National Vulnerability Database calls it.
    pub cpe: Option<String>,
    /// Its licences.
    pub licences: Vec<Licence>,
    /// What it is, in a sentence.
    pub description: Option<String>,
    /// Where people read about it.
    pub homepage: Option<String>,
    /// Whether it is a program, and no library or data.
    pub is_program: bool,
    /// The digest of its archive as Nix makes it.
    pub hash: Option<Digest>,
    /// The ids of what it needs, sorted.
    pub dependencies: Vec<String>,
    /// More about it, by names with a namespace.
    pub properties: BTreeMap<String, String>,
}

impl Package {
    /// The homepage, if it is an address that readers of documents take for one.
    pub(crate) fn address(&self) -> Option<&str> {
        let homepage = self.homepage.as_deref()?;
        let is_address = ["https://", "http://"]
            .iter()
            .any(|scheme| homepage.starts_with(scheme));
        let fits = |byte: u8| byte.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&byte);
        (is_address && homepage.bytes().all(fits)).then_some(homepage)
    }
}
