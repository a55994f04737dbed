//! Which image of an index is meant.

use super::settings::CopySettings;
use crate::destination::Destination;
use strata_engine::{docker, podman};
use strata_error::Result;
use strata_image::ManifestOrIndex;
use strata_oci::Platform;
use strata_progress::Context;

/// What of `built` is copied: the image that was asked for; where one image must do, the one for the
/// engine; else all.
pub(super) fn choose(
    built: ManifestOrIndex,
    settings: &CopySettings,
    context: Context<'_>,
) -> Result<ManifestOrIndex> {
    let image = |built: ManifestOrIndex, platform: &Platform| {
        let image = built.into_image(platform)?;
        Ok(ManifestOrIndex::Image(Box::new(image)))
    };
    match (&settings.platform, &built) {
        (Some(platform), _) => image(built, platform),
        (None, ManifestOrIndex::Image(_)) => Ok(built),
        (None, ManifestOrIndex::Index(_)) => match of_engine(settings, context)? {
            Some(platform) => image(built, &platform),
            None => Ok(built),
        },
    }
}

/// What the destination runs on, if it takes images for that only.
fn of_engine(settings: &CopySettings, context: Context<'_>) -> Result<Option<Platform>> {
    Ok(match settings.destination {
        Destination::Layout { .. }
        | Destination::Archive { .. }
        | Destination::Directory { .. }
        | Destination::Registry(_) => None,
        Destination::Docker(_) => Some(docker::platform(&settings.docker, context)?),
        Destination::Podman(_) => Some(podman::platform(context)?),
        // These run here, or their nodes do.
        Destination::Containerd { .. } | Destination::Skopeo(_) => Some(of_this_machine()),
    })
}

/// What this machine runs, in Go's names.
pub(super) fn of_this_machine() -> Platform {
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
