//! `strata browse IMAGE`.

use clap::Args;

use super::image_args::ImageArgs;
use crate::cli::failure::Failure;
use crate::cli::interruption::Interruption;
use crate::cli::printer::Printer;
use crate::cli::progress::Unseen;
use strata_browse::browse;
use strata_error::Error;
use strata_oci::Platform;
use strata_source::{self as source, Depth};

/// Look around in an image: its layers, packages and files, what they weigh and why they are there
#[derive(Args)]
#[command(after_help = format!("{HELP}\n\n{}", source::FORMS))]
pub(crate) struct BrowseArgs {
    /// The image, in any of the forms below
    image: String,

    /// The image for this platform, of an index; without it the one for this machine
    #[arg(long, value_name = "OS/ARCH[/VARIANT]")]
    platform: Option<Platform>,

    #[command(flatten)]
    reach: ImageArgs,
}

const HELP: &str = "\
Arrows or h, j, k, l move; Tab changes the list; Enter opens a directory or goes to what is needed; s sorts, / searches,
f shows files, q ends.";

/// Runs the command.
pub(crate) fn run(
    arguments: BrowseArgs,
    printer: &Printer,
    interruption: &Interruption,
) -> Result<(), Failure> {
    if !printer.output_is_terminal() {
        return Err(Failure::Failed(Error::Name {
            what: "output",
            value: "standard output".to_owned(),
            message: "it is no terminal".to_owned(),
            hint: "`strata inspect` prints, and with --html FILE writes a page".to_owned(),
        }));
    }
    let options = arguments.reach.options()?;
    let unseen = Unseen(printer);
    let context = interruption.context(&unseen);
    let images = source::open(&arguments.image, &options, context)?;
    let image = source::choose(&arguments.image, images, arguments.platform.as_ref())?;
    let contents = image.contents(Depth::Packages, context)?;
    let name = image.facts.whole_name();
    let name = name.unwrap_or_else(|| arguments.image.clone());
    let read_files = || image.contents(Depth::Files, context);
    let writer = Printer::stdout(context);
    Ok(browse(name, contents, &read_files, writer, context)?)
}
