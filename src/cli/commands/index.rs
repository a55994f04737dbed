//! `strata index create DESTINATION SOURCE...`.

use std::collections::BTreeMap;

use clap::{Args, Subcommand};
use serde_json::json;

use crate::cli::failure::Failure;
use crate::cli::interruption::Interruption;
use crate::cli::output::write_text;
use crate::cli::printer::Printer;
use crate::cli::progress::{Reporter, Unseen};
use crate::cli::registry_args::{DestinationRegistryArgs, with_plain_name};
use crate::remote;
use strata_destination::{self as destination, Options};
use strata_engine::{containerd, docker};
use strata_error::{Error, Result};
use strata_image::{Image, ImageIndex, ManifestOrIndexRef};
use strata_oci::{Compression, Reference, validate_tag};
use strata_progress::Context;
use strata_registry::pull::Source;
use strata_registry::{self as registry, PushOptions};

const HELP: &str = "\
A SOURCE is docker://NAME[:TAG] or docker://NAME@DIGEST; all images of an index are taken. Their manifests stay as they
are. What the destination's registry has is neither fetched nor sent.
Example: strata index create docker://ghcr.io/me/app:1 docker://ghcr.io/me/app:1-amd64 docker://ghcr.io/me/app:1-arm64";

/// Make one name of images of several platforms
#[derive(Args)]
pub(crate) struct IndexArgs {
    #[command(subcommand)]
    command: IndexCommand,
}

#[derive(Subcommand)]
enum IndexCommand {
    Create(Box<CreateArgs>),
}

/// Join images that are in registries, as separate machines pushed them, in one index
#[derive(Args)]
#[command(after_help = HELP, mut_args = with_plain_name)]
struct CreateArgs {
    /// Where the index goes: `docker://NAME[:TAG]`, or another destination of `strata copy` that takes indexes
    destination: String,

    /// The images, each for a platform of its own
    #[arg(required = true, value_name = "SOURCE")]
    sources: Vec<String>,

    /// Push under this tag too; may be given several times
    #[arg(long, value_name = "TAG")]
    tag: Vec<String>,

    /// Write this into the annotations of the index; may be given several times
    #[arg(long, value_name = "KEY=VALUE", value_parser = annotation)]
    annotation: Vec<(String, String)>,

    #[command(flatten)]
    registry: DestinationRegistryArgs,

    /// Replace an index of images for other platforms
    #[arg(long)]
    overwrite_index: bool,

    /// Write the index's digest to this file
    #[arg(long, value_name = "FILE")]
    digestfile: Option<std::path::PathBuf>,

    /// Answer in JSON; docs/cli.md describes it
    #[arg(long)]
    json: bool,

    /// Say nothing but errors, also not what was made
    #[arg(long, short)]
    quiet: bool,
}

fn annotation(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("write KEY=VALUE".to_owned()),
    }
}

/// Runs the command.
pub(crate) fn run(
    arguments: IndexArgs,
    printer: &Printer,
    interruption: &Interruption,
) -> Result<(), Failure> {
    let IndexCommand::Create(arguments) = arguments.command;
    create(*arguments, printer, interruption)
}

fn create(
    arguments: CreateArgs,
    printer: &Printer,
    interruption: &Interruption,
) -> Result<(), Failure> {
    let destination = destination::parse(&arguments.destination).map_err(Failure::Usage)?;
    let destination = destination.as_ref();
    let sources = arguments.sources.iter().map(|source| reference(source));
    let sources = sources
        .collect::<Result<Vec<_>>>()
        .map_err(Failure::Usage)?;
    for tag in &arguments.tag {
        validate_tag(tag).map_err(Failure::Usage)?;
    }
    let printer = printer.silenced(arguments.quiet);
    let unseen = Unseen(&printer);
    let context = interruption.context(&unseen);
    let registry = arguments.registry.options().map_err(Failure::Usage)?;
    let images = images(&sources, destination.reference(), &registry, context)?;
    let annotations = arguments.annotation.into_iter().collect();
    let index = join(images, annotations)?;
    let options = Options {
        push: PushOptions {
            // Manifests keep their digests.
            compression: Some(Compression::None),
            additional_tags: arguments.tag,
            no_reuse: true,
            mount_from: here(&sources, destination.reference()),
            overwrite_index: arguments.overwrite_index,
            ..PushOptions::default()
        },
        registry,
        docker: docker::Options { host: None },
        containerd: containerd::Options {
            address: None,
            namespace: None,
            cluster: None,
        },
        stdout: Printer::stdout,
    };
    let root = ManifestOrIndexRef::Index(&index);
    let name = destination.copy_name(None)?;
    let mut reporter = Reporter::for_copy([root], &printer);
    let copied = destination.copy(root, &name, &options, interruption.context(&reporter));
    reporter.end();
    let copied = copied?;
    for warning in &copied.warnings {
        printer.note(warning);
    }
    reporter.summarize();
    let digest = copied.digest;
    if let Some(file) = &arguments.digestfile {
        write_text(file, &digest.to_string(), context)?;
    }
    let places = destination.places(&name, &options);
    for other in places.iter().skip(1) {
        let other = strata_destination::reference(other);
        printer.note(&format!("also {other}@{digest}"));
    }
    if arguments.json {
        let image = |image: &Image| {
            let platform = image.config.platform().to_string();
            json!({ "platform": platform, "digest": image.manifest_descriptor.digest })
        };
        let value = json!({
            "destination": places.first(),
            "also": places.get(1..),
            "digest": digest,
            "images": index.images.iter().map(image).collect::<Vec<_>>(),
        });
        return printer.data(&format!("{value:#}\n"));
    }
    match places.first().filter(|_| !printer.is_quiet()) {
        Some(place) => {
            let reference = destination::reference(place);
            printer.data(&format!("{reference}@{digest}\n"))
        }
        None => Ok(()),
    }
}

/// An image in a registry.
fn reference(source: &str) -> Result<Reference> {
    match source.strip_prefix("docker://") {
        Some(name) => Reference::parse_in_registry(name),
        None => Err(Error::Name {
            what: "source",
            value: source.to_owned(),
            message: "not an image in a registry".to_owned(),
            hint: "write docker://NAME[:TAG]; what a derivation built, push first: strata copy IMAGE docker://NAME"
                .to_owned(),
        }),
    }
}

/// The repositories of sources that are in the destination's registry.
fn here(sources: &[Reference], destination: Option<&Reference>) -> Vec<String> {
    let sources = sources.iter();
    let here =
        sources.filter(|source| destination.is_some_and(|it| it.registry == source.registry));
    here.map(|source| source.repository.clone()).collect()
}

/// The images that the sources mean.
fn images(
    sources: &[Reference],
    destination: Option<&Reference>,
    options: &registry::Options,
    context: Context<'_>,
) -> Result<Vec<Image>> {
    let mut images = Vec::new();
    for source in sources {
        let options = remote::options_of(source, destination, options);
        let source = Source::connect(source, &options, context)?;
        images.extend(remote::images(source, context)?);
    }
    Ok(images)
}

/// The index of these images, which must be for different platforms.
fn join(images: Vec<Image>, annotations: BTreeMap<String, String>) -> Result<ImageIndex> {
    for (number, image) in images.iter().enumerate() {
        let platform = image.config.platform();
        let mut before = images[..number].iter();
        if let Some(other) = before.find(|other| other.config.platform().is_same(&platform)) {
            let (one, other) = (&other.manifest_descriptor, &image.manifest_descriptor);
            return Err(Error::Document {
                document: format!("image {}", other.digest),
                message: format!("it is for {platform}, as {} is", one.digest),
                hint: "leave one of them out, or name the image of an index by its digest"
                    .to_owned(),
            });
        }
    }
    Ok(ImageIndex::of(images, annotations))
}

#[cfg(test)]
mod tests {
    use super::*;
    use strata_testing::image::image;

    #[test]
    fn a_platform_is_there_once() {
        let two = || vec![image(&[b"a"]), image(&[b"b"])];
        let error = join(two(), BTreeMap::new()).err().unwrap();
        assert!(
            error
                .to_string()
                .contains("it is for linux/amd64, as sha256:"),
            "{error}"
        );
        let mut images = two();
        images[1].config.architecture = "arm64".to_owned();
        let index = join(images, BTreeMap::from([("a".into(), "b".into())])).unwrap();
        let platforms: Vec<String> = index.platforms().map(|it| it.to_string()).collect();
        assert_eq!(platforms, ["linux/amd64", "linux/arm64"]);
        assert_eq!(index.index.annotations["a"], "b");
    }

    #[test]
    fn sources_are_images_in_registries() {
        let parse = |text| reference(text).map(|it| it.to_string());
        assert_eq!(parse("docker://h.x/a:1").unwrap(), "h.x/a:1");
        for wrong in ["result", "oci:x", "h.x/a:1", "docker://"] {
            let error = reference(wrong).unwrap_err();
            assert!(error.hint().is_some(), "{wrong}: {error}");
        }
    }
}
