//! `strata copy IMAGE DESTINATION`. Its flags are those of `skopeo copy`, because scripts pass them on;
//! what skopeo has and Strata has not is refused with a reason, never ignored in silence where ignoring
//! it would matter.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgAction, Args};
use serde_json::json;

use super::attest::publish::PublishArgs;
use super::compress::limit_threads;
use crate::cli::failure::Failure;
use crate::cli::format;
use crate::cli::interruption::Interruption;
use crate::cli::output;
use crate::cli::printer::Printer;
use crate::cli::progress::{Reporter, Unseen};
use crate::cli::push_args::{PushArgs, PushSettings};
use crate::cli::registry_args::DestinationRegistryArgs;
use crate::remote;
use strata_destination::of_this_machine;
use strata_destination::{self as destination, Destination, Options};
use strata_engine::{containerd, docker};
use strata_error::{Error, Result};
use strata_image::ManifestOrIndex;
use strata_oci::{Compression, Digest, Format, Platform, Reference, is_rfc3339};
use strata_progress::Context;
use strata_registry::{self as registry, ManifestFormat};
use strata_vouch::subjects;

/// Copy an image to a registry, an engine, an archive or a directory
#[derive(Args)]
#[command(after_help = help())]
pub(crate) struct CopyArgs {
    /// The image: the output of its derivation, or a link to it such as `result`; or `docker://NAME[:TAG]`
    image: PathBuf,

    /// Leave behind what is attached to an image of a registry: signatures, bills of materials
    #[arg(long)]
    no_referrers: bool,

    /// Where to copy it
    #[arg(value_name = "DESTINATION")]
    destination: String,

    /// The image for this platform, of an index; without it all of them where that is possible, and else
    /// the one for the engine
    #[arg(long, value_name = "OS/ARCH[/VARIANT]", conflicts_with = "multi_arch")]
    platform: Option<Platform>,

    /// skopeo's way to ask for the image of this machine
    #[arg(long, hide = true, value_parser = PossibleValuesParser::new(["all", "system"]))]
    multi_arch: Option<String>,

    #[command(flatten)]
    registry: DestinationRegistryArgs,

    #[command(flatten)]
    push: PushArgs,

    #[command(flatten)]
    publish: PublishArgs,

    /// The address of the Docker engine, with unix://, tcp:// or ssh://
    #[arg(long, value_name = "HOST")]
    dest_daemon_host: Option<String>,

    /// The socket of containerd
    #[arg(long, value_name = "PATH")]
    containerd_address: Option<PathBuf>,

    /// The namespace of containerd
    #[arg(long, value_name = "NAMESPACE")]
    containerd_namespace: Option<String>,

    /// The cluster of kind or minikube
    #[arg(long, value_name = "CLUSTER")]
    cluster: Option<String>,

    /// Write the image's digest to this file
    #[arg(long, value_name = "FILE")]
    digestfile: Option<PathBuf>,

    #[command(flatten)]
    skopeo: SkopeoArgs,

    /// The format of manifests: oci or docker; without it oci, and docker where a registry takes nothing else
    #[arg(long, short, value_name = "FORMAT", value_parser = manifest_format)]
    format: Option<Format>,

    /// Say that the image was made at this time, as in 2024-12-31T23:59:59Z; its digest is another one then
    #[arg(long, value_name = "TIME", value_parser = time)]
    created: Option<String>,

    /// Answer in JSON; docs/cli.md describes it
    #[arg(long)]
    json: bool,

    /// Compress with so many threads, and send so many layers at once to a registry; without it one thread for
    /// each core, and four large layers or sixteen small ones
    #[arg(long, value_name = "N")]
    jobs: Option<NonZeroUsize>,

    /// Say nothing but errors, also not what was copied
    #[arg(long, short)]
    quiet: bool,
}

/// Flags of skopeo that are taken, with a warning, because a copy is as good without them.
#[derive(Args)]
struct SkopeoArgs {
    /// skopeo's limit of time
    #[arg(long, hide = true, value_name = "DURATION")]
    command_timeout: Option<String>,

    /// Where skopeo puts what it spools
    #[arg(long, hide = true, value_name = "DIRECTORY")]
    tmpdir: Option<String>,

    /// How many layers skopeo sends at once
    #[arg(long, hide = true, value_name = "N")]
    image_parallel_copies: Option<String>,

    /// skopeo's pause between tries
    #[arg(long, hide = true, value_name = "DURATION")]
    retry_delay: Option<String>,
}

impl SkopeoArgs {
    /// What to say about those that were given.
    fn warnings(&self) -> Vec<String> {
        let flags = [
            (
                "--command-timeout",
                &self.command_timeout,
                "end it with timeout(1)",
            ),
            ("--tmpdir", &self.tmpdir, "leave it out; nothing is spooled"),
            (
                "--image-parallel-copies",
                &self.image_parallel_copies,
                "write --jobs=N",
            ),
            (
                "--retry-delay",
                &self.retry_delay,
                "leave it out; pauses grow with each try, and are those that the registry asks for",
            ),
        ];
        let given = flags.into_iter().filter(|(_, value, _)| value.is_some());
        let warning =
            |(flag, _, hint)| format!("warning: {flag} of skopeo has no effect\nhint: {hint}");
        given.map(warning).collect()
    }
}

fn help() -> String {
    format!(
        "Destinations:\n{}\n\n\
         A PATH ends at its first colon. An archive that exists is replaced.\n\
         On success the destination and the image's digest are printed.",
        destination::help()
    )
}

/// Flags of skopeo that ask for what a copy of Strata does anyway, or for what cannot matter: the
/// image comes from the Nix store, has no signatures, and keeps its digest; an index is copied whole.
const WITHOUT_EFFECT: [&str; 6] = [
    "dest-decompress",
    "dest-oci-accept-uncompressed-layers",
    "dest-precompute-digests",
    "insecure-policy",
    "remove-signatures",
    "src-no-creds",
];

/// Flags that are taken besides those that are explained.
pub(crate) fn accepted_flags() -> Vec<Arg> {
    let flags = WITHOUT_EFFECT.into_iter().map(|name| {
        Arg::new(name)
            .long(name)
            .hide(true)
            .action(ArgAction::SetTrue)
    });
    let all = Arg::new("all")
        .long("all")
        .short('a')
        .hide(true)
        .action(ArgAction::SetTrue);
    flags.chain([all]).collect()
}

fn manifest_format(text: &str) -> Result<Format, String> {
    match text {
        "oci" => Ok(Format::Oci),
        // The second is skopeo's word.
        "docker" | "v2s2" => Ok(Format::Docker),
        "v2s1" => Err("schema 1 is not read any more; write docker for schema 2".to_owned()),
        _ => Err("the formats are oci and docker".to_owned()),
    }
}

fn time(text: &str) -> Result<String, String> {
    if is_rfc3339(text) {
        Ok(text.to_owned())
    } else {
        Err("write a time as in 2024-12-31T23:59:59Z".to_owned())
    }
}

/// Arguments that were checked and understood.
#[expect(clippy::struct_excessive_bools, reason = "they are flags")]
struct CopySettings {
    /// The output of the image's derivation.
    image: PathBuf,
    /// Where it is instead, if it is in a registry.
    source: Option<Reference>,
    /// Whether what is attached to it there stays behind.
    no_referrers: bool,
    /// Where it goes.
    destination: Box<dyn Destination>,
    /// Which image of an index is copied.
    platform: Option<Platform>,
    /// What the destination is handed.
    options: Options,
    /// The form of manifests that was asked for.
    format: Option<Format>,
    /// What is attached afterwards, and who signs.
    publish: PublishArgs,
    /// When the image is said to be made, if not when it was.
    created: Option<String>,
    /// Whether only to say what would be done.
    dry_run: bool,
    /// The file that the digest is written to.
    digest_file: Option<PathBuf>,
    /// What the user should know about the flags.
    warnings: Vec<String>,
    /// Whether to answer in JSON.
    json: bool,
    /// Whether nothing but errors is to be said.
    quiet: bool,
}

impl TryFrom<CopyArgs> for CopySettings {
    type Error = Error;

    fn try_from(arguments: CopyArgs) -> Result<Self> {
        check_image(&arguments.image)?;
        let destination = destination::parse(&arguments.destination)?;
        let name = arguments.image.to_str();
        let name = name.and_then(|text| text.strip_prefix("docker://"));
        let source = name.map(Reference::parse_in_registry).transpose()?;
        let PushSettings {
            mut options,
            dry_run,
            warnings,
        } = arguments
            .push
            .settings(destination.as_ref(), &|name| std::env::var_os(name))?;
        options.jobs = arguments.jobs;
        if source.is_some() {
            // It keeps its digest.
            options.compression = Some(Compression::None);
            options.no_reuse = true;
        }
        if arguments.format == Some(Format::Docker) {
            format::check(destination.as_ref(), options.compression)?;
        }
        if arguments.format == Some(Format::Oci) {
            options.format = ManifestFormat::Oci;
        }
        arguments.publish.check(destination.as_ref())?;
        Ok(Self {
            publish: arguments.publish,
            image: arguments.image,
            source,
            no_referrers: arguments.no_referrers,
            destination,
            platform: match arguments.multi_arch.as_deref() {
                Some("system") => Some(of_this_machine()),
                _ => arguments.platform,
            },
            options: Options {
                registry: arguments.registry.options()?,
                push: options,
                docker: docker::Options {
                    host: arguments.dest_daemon_host,
                },
                containerd: containerd::Options {
                    address: arguments.containerd_address,
                    namespace: arguments.containerd_namespace,
                    cluster: arguments.cluster,
                },
                stdout: Printer::stdout,
            },
            format: arguments.format,
            created: arguments.created,
            dry_run,
            digest_file: arguments.digestfile,
            warnings: [arguments.skopeo.warnings(), warnings].concat(),
            json: arguments.json,
            quiet: arguments.quiet,
        })
    }
}

/// Refuses an image as nix2container's skopeo wants it.
fn check_image(image: &Path) -> Result<()> {
    let path = image.to_str().and_then(|text| text.strip_prefix("nix:"));
    match path.filter(|_| !image.exists()) {
        None => Ok(()),
        Some(path) => Err(Error::Name {
            what: "image",
            value: image.display().to_string(),
            message: "nix: is of nix2container's skopeo".to_owned(),
            hint: format!("write the path alone: {path}"),
        }),
    }
}

/// Runs the command.
pub(crate) fn run(
    arguments: CopyArgs,
    printer: &Printer,
    interruption: &Interruption,
) -> Result<(), Failure> {
    if arguments.jobs.is_some() {
        limit_threads(arguments.jobs);
    }
    let mut settings = CopySettings::try_from(arguments).map_err(Failure::Usage)?;
    settings
        .destination
        .check(&settings.image, printer.output_is_terminal())
        .map_err(Failure::Usage)?;
    check_digest_file(&settings).map_err(Failure::Usage)?;
    if settings.json && settings.destination.is_standard_output() {
        return Err(Failure::Usage(output::two_answers()));
    }
    let printer = printer.silenced(settings.quiet);
    for warning in &settings.warnings {
        printer.note(warning);
    }
    let unseen = Unseen(&printer);
    let image = open(&settings, interruption.context(&unseen))?;
    let image = choose(image, &settings, interruption.context(&unseen))?;
    let image = created(image, settings.created.as_deref())?;
    let formatted = format::apply(
        image,
        settings.format,
        settings.destination.as_ref(),
        &mut settings.options.push,
    )?;
    for warning in &formatted.warnings {
        printer.note(warning);
    }
    let image = formatted.image;
    if settings.dry_run {
        return dry_run(&image, &settings, &printer, interruption.context(&unseen));
    }
    copy(&image, &settings, &printer, interruption)
}

/// What is to be copied, where it is.
fn open(settings: &CopySettings, context: Context<'_>) -> Result<ManifestOrIndex> {
    match &settings.source {
        None => ManifestOrIndex::open(&settings.image),
        Some(source) => remote::open(source, &source_options(source, settings), context),
    }
}

fn source_options(source: &Reference, settings: &CopySettings) -> registry::Options {
    let destination = settings.destination.reference();
    remote::options_of(source, destination, &settings.options.registry)
}

/// Copies what is attached to an image of a registry along, and to the images of an index.
fn copy_referrers(
    settings: &CopySettings,
    digest: Digest,
    printer: &Printer,
    context: Context<'_>,
) -> Result<()> {
    let destination = settings.destination.reference();
    let (Some(source), Some(destination)) = (&settings.source, destination) else {
        return Ok(());
    };
    if settings.no_referrers {
        return Ok(());
    }
    let options = source_options(source, settings);
    let from = registry::Repository::to_read(source, &options, context)?;
    let destination = Reference {
        digest: Some(digest),
        ..destination.clone()
    };
    let to = registry::Repository::to_write(&destination, &settings.options.registry, context)?;
    let mut count = 0;
    for subject in subjects(&to, &destination, context)? {
        count += strata_referrers::copy(&from, &to, &subject.descriptor.digest, context)?;
    }
    if count > 0 {
        printer.note(&format!("copied {count} attached documents along"));
    }
    Ok(())
}

/// The image as made at the time that was asked for.
fn created(image: ManifestOrIndex, time: Option<&str>) -> Result<ManifestOrIndex> {
    match (image, time) {
        (ManifestOrIndex::Image(image), Some(time)) => {
            Ok(ManifestOrIndex::Image(Box::new(image.created_at(time))))
        }
        (ManifestOrIndex::Index(_), Some(time)) => Err(Error::Name {
            what: "time",
            value: time.to_owned(),
            message: "an index has no time, and its images have theirs".to_owned(),
            hint: "choose one of them with --platform".to_owned(),
        }),
        (image, None) => Ok(image),
    }
}

/// What is copied: the image that was asked for; where one image must do, the one for the engine; else
/// all.
fn choose(
    image: ManifestOrIndex,
    settings: &CopySettings,
    context: Context<'_>,
) -> Result<ManifestOrIndex> {
    let platform = match (&settings.platform, &image) {
        (Some(platform), _) => Some(platform.clone()),
        (None, ManifestOrIndex::Image(_)) => None,
        (None, ManifestOrIndex::Index(_)) => {
            settings.destination.platform(&settings.options, context)?
        }
    };
    match platform {
        Some(platform) => {
            let image = image.into_image(&platform)?;
            Ok(ManifestOrIndex::Image(Box::new(image)))
        }
        None => Ok(image),
    }
}

/// Prints what a copy would do.
fn dry_run(
    image: &ManifestOrIndex,
    settings: &CopySettings,
    printer: &Printer,
    context: Context<'_>,
) -> Result<(), Failure> {
    let image = image.borrowed();
    let destination = settings.destination.as_ref();
    let mut images = Vec::new();
    for found in destination.dry_run(image, &settings.options, context)? {
        for warning in &found.warnings {
            printer.note(warning);
        }
        if settings.json {
            images.extend(found.json);
        } else {
            printer.data(&found.text)?;
        }
    }
    if settings.json {
        let value = json!({ "destination": destination.to_string(), "images": images });
        printer.data(&format!("{value:#}\n"))?;
    }
    Ok(())
}

/// Copies, and says what was copied to where.
fn copy(
    image: &ManifestOrIndex,
    settings: &CopySettings,
    printer: &Printer,
    interruption: &Interruption,
) -> Result<(), Failure> {
    let image = image.borrowed();
    let (destination, options) = (settings.destination.as_ref(), &settings.options);
    let publishing =
        settings
            .publish
            .publishing(&settings.image, options.push.compression, &|name| {
                std::env::var_os(name)
            })?;
    let name = destination.copy_name(image.name())?;
    let mut reporter = Reporter::for_copy([image], printer);
    let copied = destination.copy(image, &name, options, interruption.context(&reporter));
    reporter.end();
    let copied = copied.map_err(|error| {
        if destination.is_standard_output() {
            Failure::of_stdout(error)
        } else {
            Failure::Failed(error)
        }
    })?;
    for warning in &copied.warnings {
        printer.note(warning);
    }
    reporter.summarize();
    let digest = copied.digest;
    if let Some(file) = &settings.digest_file {
        output::write_text(
            file,
            &digest.to_string(),
            interruption.context(&Unseen(printer)),
        )?;
    }
    copy_referrers(
        settings,
        digest,
        printer,
        interruption.context(&Unseen(printer)),
    )?;
    let attached = match destination.reference() {
        Some(reference) => publishing.publish(
            image,
            reference,
            digest,
            &options.registry,
            printer,
            interruption.context(&Unseen(printer)),
        )?,
        None => Vec::new(),
    };
    let places = destination.places(&name, options);
    for other in places.iter().skip(1) {
        let other = destination::reference(other);
        printer.note(&format!("also {other}@{digest}"));
    }
    if settings.json {
        let value = json!({
            "destination": places.first(),
            "also": places.get(1..),
            "digest": digest,
            "id": copied.id,
            "mediaType": image.descriptor().media_type,
            "attached": attached,
        });
        return printer.data(&format!("{value:#}\n"));
    }
    let by = match copied.id {
        Some(id) => {
            printer.note(&format!("its ID there is {id}"));
            String::new()
        }
        None => format!("@{digest}"),
    };
    let reference = places.first().map(|place| destination::reference(place));
    let line = reference.map(|reference| format!("{reference}{by}\n"));
    let line = line.unwrap_or_default();
    if destination.is_standard_output() {
        printer.note(&line);
    } else if !printer.is_quiet() {
        printer.data(&line)?;
    }
    Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;
    use clap::{Command, FromArgMatches};

    #[test]
    fn flags_become_settings() {
        let settings = |flags: &[&str]| {
            let command = CopyArgs::augment_args(Command::new("copy").no_binary_name(true));
            let line = ["image", "docker://hello"].iter().chain(flags);
            let arguments = CopyArgs::from_arg_matches(&command.get_matches_from(line)).unwrap();
            CopySettings::try_from(arguments).unwrap()
        };
        let none = settings(&[]);
        assert!(!none.quiet && !none.options.registry.anonymous);
        assert!(settings(&["--quiet"]).quiet);
        assert!(settings(&["--dest-no-creds"]).options.registry.anonymous);
        let all = settings(&["--digestfile=d", "--multi-arch=system"]);
        assert_eq!(all.digest_file, Some("d".into()));
        assert_eq!(all.platform, Some(of_this_machine()));
    }
}
