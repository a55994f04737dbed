//! `strata sbom IMAGE [OUTPUT]`.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use crate::cli::failure::Failure;
use crate::cli::interruption::Interruption;
use crate::cli::output::write_text;
use crate::cli::printer::Printer;
use crate::cli::progress::Unseen;
use strata_error::{Error, Result, small_file};
use strata_image::{Image, ManifestOrIndex};
use strata_oci::Platform;
use strata_sbom::{Bill, Format, KnownPackages};
use strata_vouch::bill;

/// The most bytes of what Nix knew of packages.
const LARGEST_EVALUATION: u64 = 256 << 20;

const HELP: &str = "\
Every store path is listed, by its name at least. Licences, homepages and the like are what Nix knows of packages: \
the attribute `sbom` of an image has them, and this command with --evaluation.";

/// Write what is in an image as a software bill of materials
#[derive(Args)]
#[command(after_help = HELP)]
pub(crate) struct SbomArgs {
    /// The image: the output of its derivation, or a link to it such as `result`
    image: PathBuf,

    /// The file to write; - is standard output. With --format=all the directory
    #[arg(default_value = "-")]
    output: PathBuf,

    /// The format: cyclonedx (1.6) or spdx (2.3), both in JSON; all writes both
    #[arg(long, value_name = "FORMAT", default_value = "cyclonedx")]
    format: BillFormat,

    /// The image for this platform, of an index
    #[arg(long, value_name = "OS/ARCH[/VARIANT]")]
    platform: Option<Platform>,

    /// What Nix knew of packages: the attribute `evaluation` of the image
    #[arg(long, value_name = "FILE")]
    evaluation: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum BillFormat {
    Cyclonedx,
    Spdx,
    All,
}

/// Runs the command.
pub(crate) fn run(
    arguments: &SbomArgs,
    printer: &Printer,
    interruption: &Interruption,
) -> Result<(), Failure> {
    let is_stdout = arguments.output.as_os_str() == "-";
    if is_stdout && arguments.format == BillFormat::All {
        return Err(Failure::Usage(Error::Name {
            what: "output",
            value: "-".to_owned(),
            message: "two documents do not go to standard output".to_owned(),
            hint: "name a directory, or one format".to_owned(),
        }));
    }
    let image = one_image(&arguments.image, arguments.platform.as_ref())?;
    let known = known_packages(arguments.evaluation.as_deref())?;
    let (bill, warnings) = bill(&image, image.manifest_descriptor.digest, &known)?;
    for warning in warnings {
        printer.note(&format!("warning: {warning}"));
    }
    let unseen = Unseen(printer);
    let context = interruption.context(&unseen);
    let format = match arguments.format {
        BillFormat::Cyclonedx => Format::CycloneDx,
        BillFormat::Spdx => Format::Spdx,
        BillFormat::All => {
            let directory = &arguments.output;
            std::fs::create_dir_all(directory).map_err(Error::io("make", directory))?;
            for format in [Format::CycloneDx, Format::Spdx] {
                let file = directory.join(format.file_name());
                write_text(&file, &text(&bill, format), context)?;
            }
            return Ok(());
        }
    };
    if is_stdout {
        printer.data(&text(&bill, format))
    } else {
        Ok(write_text(
            &arguments.output,
            &text(&bill, format),
            context,
        )?)
    }
}

fn text(bill: &Bill, format: Format) -> String {
    format!("{:#}\n", bill.document(format))
}

/// The only image, or the one for a platform.
fn one_image(path: &Path, platform: Option<&Platform>) -> Result<Image> {
    match (ManifestOrIndex::open(path)?, platform) {
        (ManifestOrIndex::Image(image), None) => Ok(*image),
        (built, Some(platform)) => built.into_image(platform),
        (ManifestOrIndex::Index(index), None) => {
            let platforms: Vec<String> = index.platforms().map(|it| it.to_string()).collect();
            Err(Error::Document {
                document: path.display().to_string(),
                message: format!("an index of images for {}", platforms.join(", ")),
                hint: "choose one with --platform; each has a bill of its own".to_owned(),
            })
        }
    }
}

/// What Nix knew of packages, in the file of an image's attribute `evaluation`.
pub(super) fn known_packages(file: Option<&Path>) -> Result<KnownPackages> {
    match evaluation(file)? {
        Some((bytes, name)) => KnownPackages::parse(&bytes, &name),
        None => Ok(KnownPackages::default()),
    }
}

/// The bytes of that file, and its name.
pub(super) fn evaluation(file: Option<&Path>) -> Result<Option<(Vec<u8>, String)>> {
    let Some(file) = file else { return Ok(None) };
    let bytes = small_file::read(file, LARGEST_EVALUATION)?;
    Ok(Some((bytes, file.display().to_string())))
}
