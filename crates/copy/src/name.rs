//! What copies are called.

/// What a copy is called in the documents of an archive or a layout.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CopyName {
    /// The annotation [`strata_oci::Index::REFERENCE_NAME`]: what `oci:PATH:…` finds the image by.
    pub reference: Option<String>,
    /// Docker's `RepoTags`: the name as people write it, `hello:latest`.
    pub familiar: Option<String>,
    /// The annotation [`strata_oci::Index::CONTAINERD_NAME`]: `docker.io/library/hello:latest`.
    pub full: Option<String>,
}
