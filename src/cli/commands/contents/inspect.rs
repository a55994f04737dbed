//! `strata inspect IMAGE`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::image_args::ImageArgs;
use crate::cli::failure::Failure;
use crate::cli::interruption::Interruption;
use crate::cli::output::write_text;
use crate::cli::printer::Printer;
use crate::cli::progress::Unseen;
use strata_error::Error;
use strata_oci::Platform;
use strata_report::inspect::View;
use strata_report::{self as report, html};
use strata_source::{self as source, Depth};

/// Show what is in an image: its layers, its packages and what they weigh
#[derive(Args)]
#[command(after_help = source::FORMS)]
pub(crate) struct InspectArgs {
    /// The image, in any of the forms below
    image: String,

    /// Of an index, the image for this platform; without it all, or of one in a registry that for this machine
    #[arg(long, value_name = "OS/ARCH[/VARIANT]")]
    platform: Option<Platform>,

    /// What packages are sorted by
    #[arg(long, value_enum, default_value_t = Sort::Exclusive)]
    sort: Sort,

    /// All packages, and not only the first
    #[arg(long)]
    all: bool,

    /// Only this layer, by its number from the lowest, with all that is in it
    #[arg(long, value_name = "NUMBER")]
    layer: Option<usize>,

    /// Read the layers, also those of a base image, and list files: those of --layer, or the largest
    #[arg(long)]
    files: bool,

    #[command(flatten)]
    reach: ImageArgs,

    /// Answer in JSON; docs/cli.md describes it
    #[arg(long)]
    json: bool,

    /// Write one page of HTML to this file, which needs nothing else: a map of the packages, the ways to each
    #[arg(long, value_name = "FILE", conflicts_with = "json")]
    html: Option<PathBuf>,
}

/// What packages are sorted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Sort {
    /// What would go with them
    Exclusive,
    /// Their own size
    Size,
    /// Their size with all that they need
    Closure,
    /// Their names
    Name,
    /// Their layers, the lowest first
    Layer,
}

impl From<Sort> for report::inspect::Sort {
    fn from(sort: Sort) -> Self {
        match sort {
            Sort::Exclusive => Self::Exclusive,
            Sort::Size => Self::Size,
            Sort::Closure => Self::Closure,
            Sort::Name => Self::Name,
            Sort::Layer => Self::Layer,
        }
    }
}

/// Runs the command.
pub(crate) fn run(
    arguments: InspectArgs,
    printer: &Printer,
    interruption: &Interruption,
) -> Result<(), Failure> {
    let InspectArgs {
        image: text,
        platform,
        sort,
        all,
        layer,
        files,
        reach,
        json,
        html,
    } = arguments;
    let options = reach.options()?;
    let unseen = Unseen(printer);
    let context = interruption.context(&unseen);
    let images = source::open(&text, &options, context)?;
    // A page is of one image.
    let images = if html.is_some() {
        vec![source::choose(&text, images, platform.as_ref())?]
    } else {
        source::choose_some(&text, images, platform.as_ref())?
    };
    let depth = if files { Depth::Files } else { Depth::Packages };
    let view = View {
        sort: sort.into(),
        all,
        layer,
        files,
    };
    let mut found = Vec::new();
    for image in &images {
        let contents = image.contents(depth, context)?;
        if let Some(number) = layer.filter(|number| !(1..=contents.layers.len()).contains(number)) {
            return Err(Error::Name {
                what: "layer",
                value: number.to_string(),
                message: format!("the image has {} layers", contents.layers.len()),
                hint: "count from 1, the lowest".to_owned(),
            }
            .into());
        }
        found.push(contents);
    }
    if let (Some(file), Some(image), Some(contents)) = (html, images.first(), found.first()) {
        let page = html::page(&html::View {
            image,
            contents,
            target: None,
            difference: None,
        });
        return Ok(write_text(&file, &page, context)?);
    }
    if json {
        let value = report::inspect::json(&images, &found, &view);
        return printer.data(&format!("{value:#}\n"));
    }
    let names_index = platform.is_none();
    printer.data(&report::inspect::text(&images, &found, &view, names_index))
}
