//! `strata why IMAGE WHAT`.

use std::path::PathBuf;

use clap::Args;

use super::image_args::ImageArgs;
use crate::cli::failure::Failure;
use crate::cli::interruption::Interruption;
use crate::cli::output::write_text;
use crate::cli::printer::Printer;
use crate::cli::progress::Unseen;
use strata_error::Error;
use strata_oci::Platform;
use strata_report::why::Wanted;
use strata_report::{self as report, html};
use strata_source::{self as source, Depth};

/// Tell why something is in an image: the ways that lead to it from what the arguments name
#[derive(Args)]
#[command(after_help = format!("{HELP}\n\n{}", source::FORMS))]
pub(crate) struct WhyArgs {
    /// The image, in any of the forms below
    image: String,

    /// A store path, a file in one, or the name of a package, with or without its version
    what: String,

    /// All ways, and not only the shortest
    #[arg(long)]
    all: bool,

    /// Also which files mention the next package on the way, and where
    #[arg(long)]
    precise: bool,

    /// The image for this platform, of an index; without it the one for this machine
    #[arg(long, value_name = "OS/ARCH[/VARIANT]")]
    platform: Option<Platform>,

    #[command(flatten)]
    reach: ImageArgs,

    /// Answer in JSON; docs/cli.md describes it
    #[arg(long)]
    json: bool,

    /// Write one page of HTML to this file, which needs nothing else, with the graph of these ways
    #[arg(long, value_name = "FILE", conflicts_with = "json")]
    html: Option<PathBuf>,
}

const HELP: &str = "\
Example: strata why result openssl --precise
A file: strata why result /nix/store/HASH-app/bin/app
says also what the file mentions. `strata explain --why` tells why a store path is in its layer.";

/// Runs the command.
pub(crate) fn run(
    arguments: WhyArgs,
    printer: &Printer,
    interruption: &Interruption,
) -> Result<(), Failure> {
    let WhyArgs {
        image: text,
        what,
        all,
        precise,
        platform,
        reach,
        json,
        html,
    } = arguments;
    let options = reach.options()?;
    let unseen = Unseen(printer);
    let context = interruption.context(&unseen);
    let images = source::open(&text, &options, context)?;
    let image = source::choose(&text, images, platform.as_ref())?;
    let contents = image.contents(Depth::Packages, context)?;
    let found = contents.find(&what);
    if found.is_empty() {
        return Err(not_there(&what, &text).into());
    }
    if let Some(file) = html {
        let view = html::View {
            image: &image,
            contents: &contents,
            target: found.first().copied(),
            difference: None,
        };
        return Ok(write_text(&file, &html::page(&view), context)?);
    }
    // A path below a store path.
    let file = found
        .first()
        .map(|package| contents.package(*package).path.len())
        .filter(|length| what.starts_with('/') && what.trim_end_matches('/').len() > *length)
        .map(|_| what.trim_end_matches('/'));
    let wanted = Wanted {
        packages: &found,
        file,
        all,
        precise,
    };
    if json {
        let value = report::why::json(&image, &contents, &wanted, context)?;
        return printer.data(&format!("{value:#}\n"));
    }
    printer.data(&report::why::text(&image, &contents, &wanted, context)?)
}

fn not_there(what: &str, image: &str) -> Error {
    Error::Document {
        document: image.to_owned(),
        message: format!("no store path of its layers is {what:?} or has that in its name"),
        hint: "give a store path of the image or a part of a package's name; `strata inspect --all` lists them"
            .to_owned(),
    }
}
