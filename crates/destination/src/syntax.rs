//! How destinations are typed: `TRANSPORT:REST`, in skopeo's syntax (containers-transports(5)).
//!
//! As there, a path ends at its first colon, so that a name with a port or a tag can follow it; a
//! path with a colon in it cannot be written.

use super::contract::Destination;
use strata_error::{Error, Result};
use strata_oci::without_password;

/// A row of the table of destinations.
pub(super) struct Transport {
    /// What stands before the colon.
    pub(super) name: &'static str,
    /// What can be typed, for hints and completions; none if another program says what it means.
    pub(super) form: Option<&'static str>,
    /// What it is, for the help; none if the line of another one names it.
    pub(super) help: Option<&'static str>,
    /// Reads what was typed, given as a whole and from behind the colon.
    pub(super) parse: fn(&str, &str) -> Result<Box<dyn Destination>>,
}

/// `PATH` and what follows its first colon.
pub(super) fn split_path<'a>(
    text: &str,
    rest: &'a str,
    form: &str,
) -> Result<(&'a str, Option<&'a str>)> {
    let (path, name) = match rest.split_once(':') {
        Some((path, name)) => (path, Some(name)),
        None => (rest, None),
    };
    if path.is_empty() {
        return Err(no_path(text, form));
    }
    if name == Some("") {
        return Err(error(
            text,
            "nothing follows the last colon",
            "leave the colon out to keep the image's own name and tag".to_owned(),
        ));
    }
    Ok((path, name))
}

/// The error of a transport and nothing else.
pub(super) fn no_path(text: &str, form: &str) -> Error {
    error(text, "no path", format!("write {form}"))
}

/// The error of a destination that means nothing.
pub(super) fn error(text: &str, message: &str, hint: String) -> Error {
    Error::Name {
        what: "destination",
        value: without_password(text),
        message: message.to_owned(),
        hint,
    }
}
