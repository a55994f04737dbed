//! What is said of an image as a whole.

use std::collections::BTreeMap;

use strata_oci::Digest;

/// What is said of an image as a whole, besides its config.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    /// Its name, without a tag, if it has one.
    pub(crate) name: Option<String>,
    /// Its tag.
    pub(crate) tag: Option<String>,
    /// The digest of its manifest; where nobody has that, of its config.
    pub(crate) digest: Digest,
    /// The media type of what has that digest.
    pub(crate) media_type: String,
    /// The annotations of its manifest.
    pub(crate) annotations: BTreeMap<String, String>,
    /// The index that it is one of, if it is.
    pub(crate) index: Option<IndexFacts>,
}

/// What is said of an index.
#[derive(Clone, Debug)]
pub(crate) struct IndexFacts {
    /// The digest of the index.
    pub(crate) digest: Digest,
    /// Its media type.
    pub(crate) media_type: String,
    /// Its annotations.
    pub(crate) annotations: BTreeMap<String, String>,
}

impl Facts {
    /// Name and tag as one.
    pub(crate) fn whole_name(&self) -> Option<String> {
        match (&self.name, &self.tag) {
            (Some(name), Some(tag)) => Some(format!("{name}:{tag}")),
            (name, tag) => name.clone().or_else(|| tag.clone()),
        }
    }
}
