//! The commands that vouch for images: bills of materials, what is beside images in registries, signatures.

pub(in crate::cli) mod attach;
mod flags;
pub(in crate::cli) mod publish;
pub(in crate::cli) mod referrers;
pub(in crate::cli) mod sbom;
pub(in crate::cli) mod sign;
pub(in crate::cli) mod verify_remote;
