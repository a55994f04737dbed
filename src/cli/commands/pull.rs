//! `strata pull IMAGE OUTPUT`.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::Args;
use serde_json::json;

use crate::cli::failure::Failure;
use crate::cli::interruption::Interruption;
use crate::cli::output::write_to_stdout;
use crate::cli::printer::Printer;
use crate::cli::progress::{Reporter, Unseen};
use crate::cli::registry_args::{SourceRegistryArgs, reference};
use strata_copy::write_file;
use strata_destination::is_stdout;
use strata_destination::of_this_machine;
use strata_error::{Error, visible_line};
use strata_oci::{Digest, Platform, Reference};
use strata_progress::Context;
use strata_registry::pull;
use strata_registry::pull::{RemoteImage, Source};

const HELP: &str = "\
OUTPUT is the directory that `skopeo copy docker://IMAGE dir:OUTPUT` would write, with the same bytes.
With --only it is a file; - is standard output.";

/// Fetch an image, or a part of one, from a registry as it is there
#[derive(Args)]
#[command(after_help = HELP)]
pub(crate) struct PullArgs {
    /// The image: NAME[:TAG] or NAME@DIGEST; NAME may begin with HOST[:PORT]/
    image: String,

    /// Where to write it
    output: PathBuf,

    /// Which of several images, as in linux/arm64; without it, for Linux on this processor
    #[arg(long, value_name = "OS/ARCH[/VARIANT]")]
    platform: Option<Platform>,

    /// Fetch one part as a file: manifest, config, or the digest of a blob
    #[arg(long, value_name = "PART")]
    only: Option<Part>,

    #[command(flatten)]
    registry: SourceRegistryArgs,

    /// Answer in JSON; docs/cli.md describes it
    #[arg(long, conflicts_with = "only")]
    json: bool,

    /// Say nothing but errors
    #[arg(long, short)]
    quiet: bool,
}

/// A part of an image that is one file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// The manifest of the image, not that of an index.
    Manifest,
    /// The config.
    Config,
    /// Any blob of the repository.
    Blob(Digest),
}

impl FromStr for Part {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "manifest" => Ok(Self::Manifest),
            "config" => Ok(Self::Config),
            digest => digest
                .parse()
                .map(Self::Blob)
                .map_err(|_| "write manifest, config, or the digest of a blob".to_owned()),
        }
    }
}

/// Runs the command.
pub(crate) fn run(
    arguments: PullArgs,
    printer: &Printer,
    interruption: &Interruption,
) -> Result<(), Failure> {
    let reference = reference(&arguments.image).map_err(Failure::Usage)?;
    let output = arguments.output;
    if arguments.only.is_none() && is_stdout(&output) {
        return Err(Failure::Usage(Error::Name {
            what: "directory",
            value: output.display().to_string(),
            message: "a whole image is a directory, and does not go to standard output".to_owned(),
            hint: "name a directory, or one part with --only".to_owned(),
        }));
    }
    check_terminal(arguments.only, &output, printer).map_err(Failure::Usage)?;
    let printer = printer.silenced(arguments.quiet);
    let unseen = Unseen(&printer);
    let context = interruption.context(&unseen);
    let wanted = arguments.platform.clone().unwrap_or_else(of_this_machine);
    let options = arguments.registry.options().map_err(Failure::Usage)?;
    let source = match &arguments.only {
        Some(Part::Blob(digest)) => {
            Source::connect_for_blob(digest, &reference, &options, context)?
        }
        Some(Part::Manifest | Part::Config) | None => {
            Source::connect(&reference, &options, context)?
        }
    };
    let pull = Pull {
        source: &source,
        reference: &reference,
        printer: &printer,
        interruption,
    };
    match arguments.only {
        Some(Part::Blob(digest)) => {
            let blob = source.describe_blob(digest, context)?;
            write(&output, &printer, context, |writer| {
                source.write_blob(&blob, writer, context)
            })
        }
        Some(Part::Manifest) => {
            let image = pull.find(&wanted)?;
            let fill = |writer: &mut dyn Write| {
                let written = writer.write_all(&image.manifest_bytes);
                written.map_err(Error::stream("a manifest"))
            };
            write(&output, &printer, context, fill)
        }
        Some(Part::Config) => {
            let image = pull.find(&wanted)?;
            write(&output, &printer, context, |writer| {
                source.write_blob(&image.config, writer, context)
            })
        }
        None => {
            let image = pull.find(&wanted)?;
            let asked = arguments.platform.as_ref();
            pull.write_image(&image, asked, &output, arguments.json)
        }
    }
}

struct Pull<'a> {
    source: &'a Source,
    reference: &'a Reference,
    printer: &'a Printer,
    interruption: &'a Interruption,
}

impl Pull<'_> {
    /// Finds the image, and says which one of several it is: who pins it may have meant its digest.
    fn find(&self, platform: &Platform) -> Result<RemoteImage, Failure> {
        let image = self
            .source
            .find(platform, self.interruption.context(&Unseen(self.printer)))?;
        if let Some(index) = &image.index {
            self.printer.note(&format!(
                "{} is an index; its image for {platform} is {}",
                index.digest, image.manifest.digest
            ));
        }
        Ok(image)
    }

    fn write_image(
        &self,
        image: &RemoteImage,
        asked: Option<&Platform>,
        output: &Path,
        as_json: bool,
    ) -> Result<(), Failure> {
        let mut reporter = Reporter::for_pull(image, self.printer);
        let written =
            self.source
                .write_directory(image, output, self.interruption.context(&reporter));
        reporter.end();
        written?;
        reporter.summarize();
        self.compare(image, asked, output);
        let Reference {
            registry,
            repository,
            ..
        } = self.reference;
        if as_json {
            let value = json!({
                "name": format!("docker://{registry}/{repository}"),
                "digest": image.manifest.digest,
                "index": image.index.as_ref().map(|index| index.digest),
                "output": output.display().to_string(),
            });
            return self.printer.data(&format!("{value:#}\n"));
        }
        if self.printer.is_quiet() {
            return Ok(());
        }
        let digest = image.manifest.digest;
        self.printer
            .data(&format!("docker://{registry}/{repository}@{digest}\n"))
    }

    /// Says so if the image is not for what was asked: a digest of one platform stands for itself, and
    /// skopeo does not even mention it.
    fn compare(&self, image: &RemoteImage, asked: Option<&Platform>, output: &Path) {
        let config = std::fs::read(output.join(image.config.digest.hex()));
        let own = config.ok().and_then(|config| pull::platform_of(&config));
        if let (Some(asked), Some(own)) = (asked, own)
            && !own.fits(asked)
        {
            let own = own.to_string();
            self.printer.note(&format!(
                "warning: {} is for {} and not for {asked}; name the digest of the index, or of the image for {asked}",
                image.manifest.digest,
                visible_line(&own)
            ));
        }
    }
}

/// Refuses to write any bytes to a terminal.
fn check_terminal(only: Option<Part>, output: &Path, printer: &Printer) -> Result<(), Error> {
    match only {
        Some(Part::Blob(_)) if is_stdout(output) && printer.output_is_terminal() => {
            Err(Error::Name {
                what: "output",
                value: output.display().to_string(),
                message: "a blob is not written to a terminal".to_owned(),
                hint: "name a file, or pipe it to a program".to_owned(),
            })
        }
        _ => Ok(()),
    }
}

/// Lets `fill` write a file or standard output, where a terminal gets the text of a document.
fn write(
    output: &Path,
    printer: &Printer,
    context: Context<'_>,
    fill: impl FnOnce(&mut dyn Write) -> strata_error::Result<()>,
) -> Result<(), Failure> {
    if is_stdout(output) && printer.output_is_terminal() {
        let mut bytes = Vec::new();
        fill(&mut bytes)?;
        return printer.data(&String::from_utf8_lossy(&bytes));
    }
    if is_stdout(output) {
        return write_to_stdout(context, fill);
    }
    Ok(write_file(output, context, fill)?)
}
