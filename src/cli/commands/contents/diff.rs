//! `strata diff OLD NEW`.

use std::path::PathBuf;

use clap::Args;

use super::image_args::ImageArgs;
use crate::cli::failure::Failure;
use crate::cli::interruption::Interruption;
use crate::cli::output::write_text;
use crate::cli::printer::Printer;
use crate::cli::progress::Unseen;
use strata_contents::Contents;
use strata_error::Result;
use strata_oci::Platform;
use strata_report::diff::Difference;
use strata_source::{self as source, Depth, ReadLayers, SourceImage};

/// Show what differs between two images: packages, layers, bytes to send, config
#[derive(Args)]
#[command(after_help = format!("{HELP}\n\n{}", source::FORMS))]
#[expect(clippy::struct_excessive_bools, reason = "they are flags")]
pub(crate) struct DiffArgs {
    /// The image before, in any of the forms below
    old: String,

    /// The image after
    new: String,

    /// Of indexes, the images for this platform; without it those for this machine
    #[arg(long, value_name = "OS/ARCH[/VARIANT]")]
    platform: Option<Platform>,

    /// Also which files differ; all layers are read for that
    #[arg(long)]
    files: bool,

    /// Also how much clients fetch that take layers in parts (zstd:chunked) and have the old image; layers are read, or
    /// compressed for nobody
    #[arg(long)]
    chunks: bool,

    /// Also list packages that are of the same version and size, and only were rebuilt
    #[arg(long)]
    all: bool,

    #[command(flatten)]
    reach: ImageArgs,

    /// Answer in JSON; docs/cli.md describes it
    #[arg(long)]
    json: bool,

    /// Answer in Markdown, as for a comment on a pull request
    #[arg(long, conflicts_with = "json")]
    markdown: bool,

    /// Write one page of HTML to this file, which needs nothing else: a map of what changed
    #[arg(long, value_name = "FILE", conflicts_with_all = ["json", "markdown"])]
    html: Option<PathBuf>,
}

const HELP: &str = "\
Example: strata diff docker://registry.example.org/app:main result --markdown
Two tags: strata diff docker://ghcr.io/me/app:1.0 docker://ghcr.io/me/app:1.1";

/// Runs the command.
pub(crate) fn run(
    arguments: DiffArgs,
    printer: &Printer,
    interruption: &Interruption,
) -> Result<(), Failure> {
    let DiffArgs {
        old,
        new,
        platform,
        files,
        chunks,
        all,
        reach,
        json,
        markdown,
        html,
    } = arguments;
    let options = reach.options()?;
    let unseen = Unseen(printer);
    let context = interruption.context(&unseen);
    let depth = if files { Depth::Files } else { Depth::Packages };
    let mut known = ReadLayers::default();
    let mut open = |text: &str| -> Result<(SourceImage, Contents)> {
        let images = source::open(text, &options, context)?;
        let image = source::choose(text, images, platform.as_ref())?;
        let contents = image.contents_beside(&mut known, depth, context)?;
        Ok((image, contents))
    };
    let (old, new) = (open(&old)?, open(&new)?);
    let mut difference = Difference::new((&old.0, &old.1), (&new.0, &new.1));
    if files {
        difference = difference.with_files();
    }
    if chunks {
        difference = difference.with_parts(context)?;
    }
    if let Some(file) = html {
        return Ok(write_text(&file, &difference.html(), context)?);
    }
    printer.data(&if json {
        format!("{:#}\n", difference.json())
    } else if markdown {
        difference.markdown()
    } else {
        difference.text(all)
    })
}
