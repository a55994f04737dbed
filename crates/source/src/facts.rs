//! What is said of an image as a whole.

use std::collections::BTreeMap;

use strata_oci::Digest;

/// What is said of an image as a whole, besides its config.
#[derive(Clone, Debug)]
pub struct Facts {
    /// Its name, without a tag, if it has one.
    pub name: Option<String>,
    /// Its tag.
    pub tag: Option<String>,
    /// The digest of its manifest; where nobody has that, of its config.
    pub digest: Digest,
    /// The media type of what has that digest.
    pub media_type: String,
    /// The annotations of its manifest.
    pub annotations: BTreeMap<String, String>,
    /// The index that it is one of, if it is.
    pub index: Option<IndexFacts>,
}

/// What is said of an index.
#[derive(Clone, Debug)]
pub struct IndexFacts {
    /// The digest of the index.
    pub digest: Digest,
    /// Its media type.
    pub media_type: String,
    /// Its annotations.
    pub annotations: BTreeMap<String, String>,
}

impl Facts {
    /// Name and tag as one.
    pub fn whole_name(&self) -> Option<String> {
        match (&self.name, &self.tag) {
            (Some(name), Some(tag)) => Some(format!("{name}:{tag}")),
            (name, tag) => name.clone().or_else(|| tag.clone()),
        }
    }
}
