//! The error of an image that means nothing.

use strata_error::Error;
use strata_oci::without_password;

/// The error about what was typed.
pub(super) fn wrong(text: &str, message: &str, hint: &str) -> Error {
    Error::Name {
        what: "image",
        value: without_password(text),
        message: message.to_owned(),
        hint: hint.to_owned(),
    }
}
