//! The error for a base image that is not what it should be.

use strata_error::Error;

/// The way out of most things that are wrong with a base.
pub(super) const DAMAGED: &str =
    "fetch or build the base image again; this one is damaged, or no image";

/// An error about the file or member `document` of a base.
pub(super) fn damaged(document: &str, message: &str) -> Error {
    Error::Document {
        document: document.to_owned(),
        message: message.to_owned(),
        hint: DAMAGED.to_owned(),
    }
}
