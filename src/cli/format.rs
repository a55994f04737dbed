//! Whose form the manifests of a copy have: OCI's or Docker's, as the flag or the image says.

use strata_destination::{Destination, DockerFormat};
use strata_error::{Error, Result};
use strata_image::{Image, ManifestOrIndex};
use strata_oci::{Compression, Format};
use strata_registry::{ManifestFormat, PushOptions};

/// What is copied, in its form.
pub(super) struct Formatted {
    pub(super) image: ManifestOrIndex,
    /// What the user should know.
    pub(super) warnings: Vec<String>,
}

/// Refuses `--format docker` where manifests cannot have that form.
pub(super) fn check(destination: &dyn Destination, compression: Option<Compression>) -> Result<()> {
    match destination.docker_format() {
        DockerFormat::Never | DockerFormat::Indifferent => Err(wrong(
            "registries, podman:, dir: and docker-archive: hold Docker's format, and no others",
            "leave --format out, or copy to docker-archive:",
        )),
        DockerFormat::Pushed => check_compression(compression),
        DockerFormat::Always | DockerFormat::Possible => Ok(()),
    }
}

fn check_compression(compression: Option<Compression>) -> Result<()> {
    match compression {
        None | Some(Compression::Gzip { .. }) => Ok(()),
        Some(Compression::None | Compression::Zstd { .. } | Compression::ZstdChunked { .. }) => {
            Err(wrong(
                "its layers are compressed with gzip",
                "leave out --compression and --preserve-digests, or write --format oci",
            ))
        }
    }
}

fn wrong(message: &str, hint: &str) -> Error {
    Error::Name {
        what: "format",
        value: "docker".to_owned(),
        message: message.to_owned(),
        hint: hint.to_owned(),
    }
}

/// Gives the image or index the form that was `asked` for, or else that it was built for, as far as the
/// `destination` can hold it; a push is told to do so.
pub(super) fn apply(
    image: ManifestOrIndex,
    asked: Option<Format>,
    destination: &dyn Destination,
    push: &mut PushOptions,
) -> Result<Formatted> {
    let images = image.borrowed().images();
    let mut wishes = images.iter().filter_map(|image| image.format);
    let wants_docker = asked.map_or_else(
        || wishes.any(|wish| wish == Format::Docker),
        |asked| asked == Format::Docker,
    );
    let is_mounted = images.iter().any(|image| image.mounts_store_paths());
    let has_health_check = images.into_iter().any(Image::has_health_check);
    let mut warnings = Vec::new();
    let image = match destination.docker_format() {
        DockerFormat::Always if is_mounted => return Err(no_annotations(destination)),
        DockerFormat::Always | DockerFormat::Indifferent => image,
        DockerFormat::Pushed => {
            if wants_docker {
                check_compression(push.compression)?;
                push.compression.get_or_insert(Compression::GZIP);
                push.format = ManifestFormat::Docker;
            }
            image
        }
        DockerFormat::Possible if wants_docker => image
            .in_docker_format()
            .ok_or_else(strata_registry::no_docker_format)?,
        DockerFormat::Possible => {
            if has_health_check {
                warnings.push(health_check(
                    "write --format docker, or format = \"docker\" in buildImage",
                ));
            }
            image
        }
        DockerFormat::Never => {
            if wants_docker {
                warnings.push(format!(
                    "warning: {destination} holds no manifests in Docker's format; this one is in OCI's\n\
                     hint: docker-archive:, dir: and registries hold them"
                ));
            }
            if has_health_check {
                warnings.push(health_check(
                    "copy to docker-archive:, or with --format docker to podman: or a registry",
                ));
            }
            image
        }
    };
    Ok(Formatted { image, warnings })
}

fn no_annotations(destination: &dyn Destination) -> Error {
    Error::Name {
        what: "destination",
        value: destination.to_string(),
        message: "it has no annotations, which tell nix-snapshotter what to mount".to_owned(),
        hint: "copy to a registry, oci-archive: or containerd:, or copy the image itself and not its `snapshotter`"
            .to_owned(),
    }
}

/// What to say of a health check that podman will not see.
fn health_check(hint: &str) -> String {
    format!(
        "warning: the image has a Healthcheck, which podman does not read from OCI manifests\nhint: {hint}"
    )
}
