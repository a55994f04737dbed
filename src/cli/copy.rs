//! `strata copy IMAGE DESTINATION`.

use std::collections::BTreeSet;
use std::path::Path;

use super::Failure;
use super::arguments::CopyArguments;
use super::dry_run;
use super::interruption::Interruption;
use super::output::write_to_stdout;
use super::platform;
use super::printer::Printer;
use super::progress::{Reporter, Unseen};
use super::settings::CopySettings;
use crate::image::{Built, Image, ImageName, Root};
use crate::oci::{Digest, Reference};
use crate::transport::destination::{ArchiveTarget, CopyName};
use crate::transport::{
    Destination, archive, containerd, directory, docker, layout, podman, registry, skopeo,
};
use crate::{Error, Result};

pub(super) fn run(
    arguments: CopyArguments,
    printer: &Printer,
    interruption: &Interruption,
) -> Result<(), Failure> {
    let settings = CopySettings::try_from(arguments).map_err(Failure::Usage)?;
    check_destination(&settings, printer).map_err(Failure::Usage)?;
    check_digest_file(&settings).map_err(Failure::Usage)?;
    let printer = Printer::new(settings.quiet);
    let built = Built::open(&settings.image)?;
    let built = platform::choose(built, &settings, &Unseen(&printer, interruption))?;
    let root = built.root();
    if settings.push.dry_run {
        return dry_run::run(root, &settings, &printer, interruption);
    }
    let reporter = Reporter::for_copy([root], &printer, interruption);
    let copied = copy(root, &settings, &printer, &reporter);
    reporter.end();
    let digest = copied?;
    reporter.summarize();

    if let Some(file) = &settings.digest_file {
        std::fs::write(file, digest.to_string()).map_err(Error::io("write", file))?;
    }
    let line = describe(&settings.destination, root.name(), digest);
    let line = format!("{line}\n");
    match &settings.destination {
        // Standard output is the archive.
        Destination::Archive {
            target: ArchiveTarget::Stdout,
            ..
        } => printer.remark(&line),
        _ if printer.is_quiet() => {}
        _ => printer.data(&line)?,
    }
    Ok(())
}

/// Copies, and gives the digest of the manifest that is at the destination then.
fn copy(
    root: Root<'_>,
    settings: &CopySettings,
    printer: &Printer,
    reporter: &Reporter<'_>,
) -> Result<Digest, Failure> {
    let name = settings.destination.copy_name(root.name())?;
    match (&settings.destination, root) {
        (Destination::Layout { path, .. }, _) => layout::write(root, path, &name, reporter)?,
        (Destination::Directory { path }, _) => directory::write(root, path, reporter)?,
        (Destination::Registry(reference), _) => {
            let (how, what) = (&settings.registry, &settings.push.options);
            let pushed = match root {
                Root::Image(image) => registry::push(image, reference, how, what, reporter)?,
                Root::Index(index) => registry::push_index(index, reference, how, what, reporter)?,
            };
            reporter.end();
            for remark in &pushed.remarks {
                printer.remark(remark);
            }
            return Ok(pushed.manifest.digest);
        }
        (
            Destination::Archive {
                target: ArchiveTarget::Path(path),
                ..
            },
            _,
        ) => {
            archive::write(root, path, &name, reporter)?;
        }
        (
            Destination::Archive {
                target: ArchiveTarget::Stdout,
                ..
            },
            _,
        ) => {
            let nothing = BTreeSet::new();
            write_to_stdout(printer, |writer| {
                archive::stream_all(&[(root, &name)], writer, &nothing, reporter)
            })?;
        }
        (_, Root::Image(image)) => return copy_to_engine(image, &name, settings, reporter),
        (destination, Root::Index(_)) => {
            return Err(Failure::Failed(Error::Name {
                what: "destination",
                value: destination.to_string(),
                message: "it takes one image and not an index".to_owned(),
                hint: "choose one with --platform".to_owned(),
            }));
        }
    }
    Ok(root.digest())
}

/// Copies to what runs images; gives the digest that is there then.
fn copy_to_engine(
    image: &Image,
    name: &CopyName,
    settings: &CopySettings,
    reporter: &Reporter<'_>,
) -> Result<Digest, Failure> {
    match &settings.destination {
        Destination::Docker(_) => docker::copy(image, name, &settings.docker, reporter)?,
        Destination::Podman(_) => return Ok(podman::copy(image, name, reporter)?),
        Destination::Containerd { runner, .. } => {
            containerd::copy(image, *runner, name, &settings.containerd, reporter)?;
        }
        Destination::Skopeo(destination) => {
            return Ok(skopeo::copy(image, destination, reporter)?);
        }
        Destination::Layout { .. }
        | Destination::Directory { .. }
        | Destination::Registry(_)
        | Destination::Archive { .. } => {}
    }
    Ok(image.manifest_descriptor.digest)
}

/// Refuses destinations that are right in themselves and wrong here.
fn check_destination(settings: &CopySettings, printer: &Printer) -> Result<()> {
    let error = |message: &str, hint: &str| {
        Err(Error::Name {
            what: "destination",
            value: settings.destination.to_string(),
            message: message.to_owned(),
            hint: hint.to_owned(),
        })
    };
    match &settings.destination {
        Destination::Archive {
            target: ArchiveTarget::Stdout,
            ..
        } if printer.output_is_terminal() => error(
            "an archive is not written to a terminal",
            "pipe it, as in: strata copy IMAGE docker-archive:- | docker load",
        ),
        // The superuser could write to the image itself, which the Nix store would not notice.
        Destination::Layout { path, .. } | Destination::Directory { path }
            if path.canonicalize().is_ok_and(|path| {
                settings
                    .image
                    .canonicalize()
                    .is_ok_and(|image| path == image)
            }) =>
        {
            error("the image itself is there", "name another directory")
        }
        _ => Ok(()),
    }
}

/// Finds out before the copy that its digest cannot be written.
fn check_digest_file(settings: &CopySettings) -> Result<()> {
    let directory = settings.digest_file.as_deref().and_then(Path::parent);
    match directory.filter(|directory| !directory.as_os_str().is_empty()) {
        Some(directory) if !directory.is_dir() => Err(Error::Name {
            what: "digest file's directory",
            value: directory.display().to_string(),
            message: "there is no such directory".to_owned(),
            hint: format!("make it first: mkdir -p {}", directory.display()),
        }),
        _ => Ok(()),
    }
}

/// The destination with the digest, and with the whole name that the image has there.
fn describe(destination: &Destination, own: Option<&ImageName>, digest: Digest) -> String {
    match (destination, own) {
        (Destination::Registry(reference), _) => {
            let tag = match reference {
                Reference {
                    tag: None,
                    digest: Some(_),
                    ..
                } => None,
                reference => Some(reference.tag_or_latest().to_owned()),
            };
            let reference = Reference {
                tag,
                digest: Some(digest),
                ..reference.clone()
            };
            format!("docker://{reference}")
        }
        (Destination::Docker(_) | Destination::Podman(_) | Destination::Containerd { .. }, own) => {
            let typed = destination.to_string();
            let transport = typed.split(':').next().unwrap_or_default();
            match destination.copy_name(own).ok().and_then(|name| name.full) {
                Some(full) => format!("{transport}:{full}@{digest}"),
                None => format!("{typed}@{digest}"),
            }
        }
        (destination, _) => format!("{destination}@{digest}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_are_described_in_full() {
        let digest = Digest::of(b"");
        let own = ImageName {
            name: "own".into(),
            tag: "1".into(),
        };
        let describe =
            |destination: &Destination, digest| describe(destination, Some(&own), digest);
        for (destination, shown) in [
            ("docker://hello", "docker://docker.io/library/hello:latest"),
            ("docker://h.x:5000/a/b:1", "docker://h.x:5000/a/b:1"),
            ("oci:out:1", "oci:out:1"),
            ("dir:/tmp/x", "dir:/tmp/x"),
            ("kind:", "kind:docker.io/library/own:1"),
            ("containerd:a/b", "containerd:docker.io/a/b:latest"),
            ("podman:h.x/a:2", "containers-storage:h.x/a:2"),
            ("docker-daemon:a:2", "docker-daemon:docker.io/library/a:2"),
        ] {
            let destination = destination.parse().unwrap();
            assert_eq!(describe(&destination, digest), format!("{shown}@{digest}"));
        }
        let by_digest = format!("docker://h.x/a@{digest}");
        assert_eq!(describe(&by_digest.parse().unwrap(), digest), by_digest);
    }
}
