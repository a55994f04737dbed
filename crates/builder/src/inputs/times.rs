//! The times of a request, which may depend on the clock or be in files.

use std::time::{SystemTime, UNIX_EPOCH};

use strata_error::{Error, Result, small_file};
use strata_nix::{Request, Store};
use strata_oci::rfc3339;

/// As many bytes as a file with a time may have.
const LONGEST: u64 = 1024;

/// Puts what files say in the place of their paths, and the time of this moment, the same everywhere, in the place of
/// `now`.
pub(crate) fn settle(request: &mut Request, store: &Store) -> Result<()> {
    let now = now();
    let mtime = request.mtime.iter_mut().map(|time| ("mtime", time));
    let created = request.image.iter_mut();
    let created = created.map(|image| ("created", &mut image.created));
    for (attribute, time) in mtime.chain(created) {
        if time.starts_with('/') {
            *time = read(attribute, time, store)?;
        }
        if time == "now" {
            time.clone_from(&now);
        }
    }
    Ok(())
}

fn read(attribute: &str, path: &str, store: &Store) -> Result<String> {
    let file = store.locate_inside(path);
    let file = file.map_err(|message| Error::Attribute {
        attribute: attribute.to_owned(),
        message,
        hint: "write a time as in 2024-12-31T23:59:59Z, or \"now\"".into(),
    })?;
    let bytes = small_file::read(&file, LONGEST)?;
    Ok(String::from_utf8_lossy(&bytes).trim().to_owned())
}

/// The time as RFC 3339 in UTC, to the second.
fn now() -> String {
    let seconds = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |time| time.as_secs());
    rfc3339(seconds)
}
