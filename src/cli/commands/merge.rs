//! `strata merge IMAGE... OUTPUT`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};

use crate::cli::failure::Failure;
use crate::cli::interruption::Interruption;
use crate::cli::output::{check_archive, two_answers, write_to_stdout};
use crate::cli::printer::Printer;
use crate::cli::progress::{Reporter, Unseen};
use crate::destination::{self, is_stdout};
use strata_copy::{CopyName, archive, plain};
use strata_error::{Error, Result};
use strata_image::{ManifestOrIndex, ManifestOrIndexRef};
use strata_layer::ImageName;

const HELP: &str = "\
The archive is that of `strata copy IMAGE docker-archive:OUTPUT`, with every image under its own name.";

/// Write several images into one archive
#[derive(Args)]
#[command(after_help = HELP)]
pub(crate) struct MergeArgs {
    /// The images: outputs of their derivations, or links to them such as `result`
    #[arg(required = true, value_name = "IMAGE")]
    images: Vec<PathBuf>,

    /// The file to write, compressed if it ends in .gz; - is standard output
    output: PathBuf,

    /// Answer in JSON; docs/cli.md describes it
    #[arg(long)]
    json: bool,

    /// Say nothing but errors, also not what was written
    #[arg(long, short)]
    quiet: bool,
}

/// Runs the command.
pub(crate) fn run(
    arguments: &MergeArgs,
    printer: &Printer,
    interruption: &Interruption,
) -> Result<(), Failure> {
    let MergeArgs {
        images,
        output,
        json,
        quiet,
    } = arguments;
    check_archive(output, printer).map_err(Failure::Usage)?;
    if *json && is_stdout(output) {
        return Err(Failure::Usage(two_answers()));
    }
    let said = printer.silenced(*quiet);
    let images = images.iter().map(|path| ManifestOrIndex::open(path));
    let images = images.collect::<Result<Vec<_>>>()?;
    let names = names(&images)?;
    let unseen = Unseen(&said);
    let mut plain_images = Vec::new();
    for image in images {
        let plain = plain(image.borrowed(), interruption.context(&unseen))?;
        plain_images.push(plain.unwrap_or(image));
    }
    let images = plain_images;
    let roots = images.iter().map(ManifestOrIndex::borrowed);
    let all: Vec<_> = roots.clone().zip(&names).collect();
    let mut reporter = Reporter::for_copy(roots, &said);
    let written = if is_stdout(output) {
        write_to_stdout(interruption.context(&reporter), |writer| {
            archive::stream_all(
                &all,
                writer,
                &BTreeSet::new(),
                interruption.context(&reporter),
            )
        })
    } else {
        archive::write_all(&all, output, interruption.context(&reporter)).map_err(Failure::Failed)
    };
    reporter.end();
    written?;
    reporter.summarize();
    if *json {
        let image = |(root, name): &(ManifestOrIndexRef<'_>, &CopyName)| json!({ "name": name.familiar, "digest": root.digest() });
        let images: Vec<Value> = all.iter().map(image).collect();
        let value = json!({ "output": output.display().to_string(), "images": images });
        return printer.data(&format!("{value:#}\n"));
    }
    let mut lines = String::new();
    for (root, name) in &all {
        let (shown, name) = (output.display(), name.familiar.as_deref());
        let (name, digest) = (name.unwrap_or_default(), root.digest());
        // Writing to a String cannot fail.
        let _ = writeln!(lines, "docker-archive:{shown}:{name}@{digest}");
    }
    if is_stdout(output) {
        said.note(&lines);
    } else if !said.is_quiet() {
        said.data(&lines)?;
    }
    Ok(())
}

/// What the images are called in the archive, which is what they are called anyway.
fn names(images: &[ManifestOrIndex]) -> Result<Vec<CopyName>> {
    let archive = destination::parse("docker-archive:-")?;
    let mut known = BTreeMap::new();
    let mut names = Vec::new();
    for built in images {
        let root = built.borrowed();
        let name = archive.copy_name(root.name())?;
        let before = known.insert(name.full.clone(), root.digest());
        if let (Some(before), Some(ImageName { name, tag })) = (before, root.name()) {
            let (message, hint) = if before == root.digest() {
                ("it is given twice".to_owned(), "leave one out")
            } else {
                let message = format!("{before} is called {name}:{tag}, too");
                (message, "give one of them another name or tag")
            };
            return Err(Error::Document {
                document: format!("image {}", root.digest()),
                message,
                hint: hint.to_owned(),
            });
        }
        names.push(name);
    }
    Ok(names)
}
