//! Variables that Docker's own command line reads.

use std::path::PathBuf;

use strata_http::Environment;

/// A variable that is set to some text.
pub(super) fn text(environment: Environment<'_>, name: &str) -> Option<String> {
    let value = environment(name)?.into_string().ok()?;
    (!value.is_empty()).then_some(value)
}

/// A variable that is set to a path.
pub(super) fn path(environment: Environment<'_>, name: &str) -> Option<PathBuf> {
    environment(name)
        .filter(|value| !value.is_empty())
        .map(PathBuf::from)
}

/// The directory of Docker's configuration.
pub(super) fn configuration(environment: Environment<'_>) -> Option<PathBuf> {
    path(environment, "DOCKER_CONFIG")
        .or_else(|| path(environment, "HOME").map(|home| home.join(".docker")))
}
