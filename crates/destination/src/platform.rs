//! What this machine runs.

use strata_oci::Platform;

/// What this machine runs, in Go's names.
pub fn of_this_machine() -> Platform {
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "x86" => "386",
        "powerpc64" => "ppc64le",
        other => other,
    };
    // Wherever containers run, they are for Linux.
    Platform::linux(architecture)
}
