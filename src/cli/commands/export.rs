//! `strata export IMAGE [OUTPUT]`.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use crate::cli::failure::Failure;
use crate::cli::interruption::Interruption;
use crate::cli::output::{check_archive, two_answers, write_to_stdout};
use crate::cli::printer::Printer;
use crate::cli::progress::Unseen;
use strata_copy::archive;
use strata_destination::is_stdout;
use strata_destination::of_this_machine;
use strata_error::Error;
use strata_image::{ManifestOrIndex, flatten};
use strata_oci::{Compression, Platform};

/// Write the root file system of an image as one archive, without layers
#[derive(Args)]
pub(crate) struct ExportArgs {
    /// The image: the output of its derivation, or a link to it such as `result`
    image: PathBuf,

    /// The file to write, compressed if it ends in .gz or .zst; - is standard output
    #[arg(default_value = "-")]
    output: PathBuf,

    /// The image for this platform, of an index; without it the one for this machine
    #[arg(long, value_name = "OS/ARCH[/VARIANT]")]
    platform: Option<Platform>,

    /// How the file is compressed, whatever it is called: none, gzip[:LEVEL] or zstd[:LEVEL]
    #[arg(long, value_name = "METHOD")]
    compression: Option<Compression>,

    /// Begin names with ./, as tar does that is told to archive a directory
    #[arg(long)]
    dot: bool,

    /// Answer in JSON; docs/cli.md describes it
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub(crate) fn run(
    arguments: &ExportArgs,
    printer: &Printer,
    interruption: &Interruption,
) -> Result<(), Failure> {
    let ExportArgs {
        image,
        output,
        platform,
        compression,
        dot,
        json,
    } = arguments;
    let prefix: &[u8] = if *dot { b"./" } else { b"" };
    check_archive(output, printer).map_err(Failure::Usage)?;
    if *json && is_stdout(output) {
        return Err(Failure::Usage(two_answers()));
    }
    let image = match (ManifestOrIndex::open(image)?, platform) {
        (ManifestOrIndex::Image(image), None) => *image,
        (built, Some(platform)) => built.into_image(platform)?,
        (built, None) => built
            .into_image(&of_this_machine())
            .map_err(named_by_attribute)?,
    };
    let unseen = Unseen(printer);
    let context = interruption.context(&unseen);
    let advance = |_| context.check();
    if is_stdout(output) {
        return write_to_stdout(context, |writer| flatten(&image, writer, prefix, &advance));
    }
    let compression = compression.unwrap_or_else(|| archive::compression_of(output));
    archive::to_file(output, compression, context, |writer| {
        flatten(&image, writer, prefix, &advance)
    })?;
    if *json {
        let digest = image.manifest_descriptor.digest;
        let value = json!({ "output": output.display().to_string(), "digest": digest });
        return printer.data(&format!("{value:#}\n"));
    }
    let line = format!(
        "{}: the files of {}",
        output.display(),
        image.manifest_descriptor.digest
    );
    printer.note(&line);
    Ok(())
}

/// The attribute `rootfs` of an index, which runs this command, has no flags but an argument.
fn named_by_attribute(error: Error) -> Error {
    match error {
        Error::Document {
            document,
            message,
            hint,
        } => Error::Document {
            document,
            message,
            hint: format!("{hint}, and in Nix rootfs.override {{ platform = \"OS/ARCH\"; }}"),
        },
        other => other,
    }
}
