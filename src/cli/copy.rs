//! `strata copy IMAGE DESTINATION`.

use std::collections::BTreeSet;
use std::path::Path;

use super::arguments::CopyArguments;
use super::interruption::Interruption;
use super::output::{check_archive_name, write_to_stdout};
use super::printer::Printer;
use super::progress::{Reporter, Unseen};
use super::settings::CopySettings;
use super::{Failure, dry_run, platform};
use crate::destination::{ArchiveForm, ArchiveTarget, Destination};
use strata_copy::{CopyName, archive, directory, layout};
use strata_engine::{containerd, docker, podman, skopeo};
use strata_error::{Error, Result};
use strata_image::{Image, ManifestOrIndex, ManifestOrIndexRef};
use strata_layer::ImageName;
use strata_oci::{Digest, Reference};
use strata_progress::Context;
use strata_registry as registry;
use strata_registry::PushOptions;

pub(super) fn run(
    arguments: CopyArguments,
    printer: &Printer,
    interruption: &Interruption,
) -> Result<(), Failure> {
    let settings = CopySettings::try_from(arguments).map_err(Failure::Usage)?;
    check_destination(&settings, printer).map_err(Failure::Usage)?;
    check_digest_file(&settings).map_err(Failure::Usage)?;
    let printer = Printer::new(settings.quiet);
    let built = ManifestOrIndex::open(&settings.image)?;
    let built = platform::choose(built, &settings, interruption.context(&Unseen(&printer)))?;
    let root = built.borrowed();
    if settings.push.dry_run {
        return dry_run::run(root, &settings, &printer, interruption);
    }
    let reporter = Reporter::for_copy([root], &printer);
    let copied = copy(root, &settings, &printer, &reporter, interruption);
    reporter.end();
    let digest = copied?;
    reporter.summarize();

    if let Some(file) = &settings.digest_file {
        std::fs::write(file, digest.to_string()).map_err(Error::io("write", file))?;
    }
    let line = match &settings.destination {
        Destination::Registry(reference) => {
            let (line, others) = describe_push(reference, &settings.push.options, digest);
            for other in others {
                printer.note(&format!("also {other}"));
            }
            line
        }
        destination => describe(destination, root.name(), digest),
    };
    match &settings.destination {
        // Standard output is the archive.
        Destination::Archive {
            target: ArchiveTarget::Stdout,
            ..
        } => printer.note(&line),
        _ if printer.is_quiet() => {}
        _ => printer.data(&line)?,
    }
    Ok(())
}

/// Copies, and gives the digest of the manifest that is at the destination then.
fn copy(
    root: ManifestOrIndexRef<'_>,
    settings: &CopySettings,
    printer: &Printer,
    reporter: &Reporter<'_>,
    interruption: &Interruption,
) -> Result<Digest, Failure> {
    let context = interruption.context(reporter);
    let name = settings.destination.copy_name(root.name())?;
    match (&settings.destination, root) {
        (Destination::Layout { path, .. }, _) => layout::write(root, path, &name, context)?,
        (Destination::Directory { path }, _) => directory::write(root, path, context)?,
        (Destination::Registry(reference), _) => {
            let (how, what) = (&settings.registry, &settings.push.options);
            let pushed = match root {
                ManifestOrIndexRef::Image(image) => {
                    registry::push(image, reference, how, what, context)?
                }
                ManifestOrIndexRef::Index(index) => {
                    registry::push_index(index, reference, how, what, context)?
                }
            };
            reporter.end();
            for warning in &pushed.warnings {
                printer.note(warning);
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
            archive::write(root, path, &name, context)?;
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
                archive::stream_all(&[(root, &name)], writer, &nothing, context)
            })?;
        }
        (_, ManifestOrIndexRef::Image(image)) => {
            return copy_to_engine(image, &name, settings, context);
        }
        (destination, ManifestOrIndexRef::Index(_)) => {
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
    context: Context<'_>,
) -> Result<Digest, Failure> {
    match &settings.destination {
        Destination::Docker(_) => docker::copy(image, name, &settings.docker, context)?,
        Destination::Podman(_) => return Ok(podman::copy(image, name, context)?),
        Destination::Containerd { runner, .. } => {
            containerd::copy(image, *runner, name, &settings.containerd, context)?;
        }
        Destination::Skopeo(destination) => {
            return Ok(skopeo::copy(image, destination, context)?);
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
        Destination::Archive {
            target: ArchiveTarget::Path(path),
            ..
        } => check_archive_name("destination", path),
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

/// A line with the destination, the whole name that the image has there, and the digest.
fn describe(destination: &Destination, own: Option<&ImageName>, digest: Digest) -> String {
    let name = destination.copy_name(own).unwrap_or_default();
    let (place, name) = match destination {
        Destination::Layout { path, .. } => (format!("oci:{}", path.display()), name.reference),
        Destination::Archive { form, target, .. } => match form {
            ArchiveForm::Oci => (format!("oci-archive:{target}"), name.reference),
            ArchiveForm::Docker => (format!("docker-archive:{target}"), name.familiar),
        },
        Destination::Docker(_) | Destination::Podman(_) | Destination::Containerd { .. } => {
            let typed = destination.to_string();
            let transport = typed.split(':').next().unwrap_or_default();
            (transport.to_owned(), name.full)
        }
        Destination::Directory { .. } | Destination::Registry(_) | Destination::Skopeo(_) => {
            (String::new(), None)
        }
    };
    match name {
        Some(name) => format!("{place}:{name}@{digest}\n"),
        None => format!("{destination}@{digest}\n"),
    }
}

/// The whole name in a registry, and those by other tags.
fn describe_push(
    reference: &Reference,
    what: &PushOptions,
    digest: Digest,
) -> (String, Vec<String>) {
    let line = |tag| {
        let reference = Reference {
            tag,
            digest: Some(digest),
            ..reference.clone()
        };
        format!("docker://{reference}\n")
    };
    let mut tags = registry::tags(reference, what).into_iter();
    let own = line(tags.next());
    (own, tags.map(Some).map(line).collect())
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
        for (destination, shown) in [
            ("oci:out", "oci:out:1"),
            ("oci:out:2", "oci:out:2"),
            ("oci:out:bye:2", "oci:out:bye:2"),
            ("oci-archive:a.tar", "oci-archive:a.tar:1"),
            ("docker-archive:a.tar", "docker-archive:a.tar:own:1"),
            ("docker-archive:-", "docker-archive:-:own:1"),
            (
                "docker-archive:a.tar:bye",
                "docker-archive:a.tar:bye:latest",
            ),
            ("dir:/tmp/x", "dir:/tmp/x"),
            ("kind:", "kind:docker.io/library/own:1"),
            ("containerd:a/b", "containerd:docker.io/a/b:latest"),
            ("podman:h.x/a:2", "containers-storage:h.x/a:2"),
            ("docker-daemon:a:2", "docker-daemon:docker.io/library/a:2"),
        ] {
            let destination = destination.parse().unwrap();
            let found = describe(&destination, Some(&own), digest);
            assert_eq!(found, format!("{shown}@{digest}\n"));
        }
        let nameless = describe(&"oci:out".parse().unwrap(), None, digest);
        assert_eq!(nameless, format!("oci:out@{digest}\n"));
    }

    #[test]
    fn pushes_are_described_by_every_tag() {
        let digest = Digest::of(b"");
        let by_digest = format!("h.x/a@{digest}");
        for (reference, additional, shown) in [
            ("hello", &[][..], &["docker.io/library/hello:latest"][..]),
            ("h.x:5000/a/b:1", &[], &["h.x:5000/a/b:1"]),
            (
                "h.x/a:1",
                &["2", "latest"],
                &["h.x/a:1", "h.x/a:2", "h.x/a:latest"],
            ),
            (&by_digest, &[], &["h.x/a"]),
            (&by_digest, &["2"], &["h.x/a:2"]),
        ] {
            let what = PushOptions {
                additional_tags: additional.iter().map(ToString::to_string).collect(),
                ..PushOptions::default()
            };
            let (own, others) = describe_push(&Reference::parse(reference).unwrap(), &what, digest);
            let found = [vec![own], others].concat();
            let lines = shown
                .iter()
                .map(|shown| format!("docker://{shown}@{digest}\n"));
            assert_eq!(found, lines.collect::<Vec<_>>());
        }
    }
}
