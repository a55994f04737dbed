//! `strata merge IMAGE... OUTPUT`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::io;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Value, json};

use crate::cli::failure::Failure;
use crate::cli::interruption::Interruption;
use crate::cli::output::{check_archive, two_answers, write_to_stdout};
use crate::cli::printer::Printer;
use crate::cli::progress::{Reporter, Unseen};
use strata_copy::{CopyName, archive, plain};
use strata_destination::{self as destination, is_stdout};
use strata_error::{Error, Result};
use strata_image::{ManifestOrIndex, ManifestOrIndexRef};
use strata_layer::ImageName;
use strata_oci::{Compression, Reference};

const HELP: &str = "\
The archive is that of `strata copy IMAGE docker-archive:OUTPUT`, with every image under its own name.";

/// Write several images into one archive
#[derive(Args)]
#[command(after_help = HELP)]
pub(crate) struct MergeArgs {
    /// The images: outputs of their derivations, or links to them such as `result`
    #[arg(required = true, value_name = "IMAGE")]
    images: Vec<PathBuf>,

    /// The file to write, compressed if it ends in .gz or .zst; - is standard output
    output: PathBuf,

    /// How the file is compressed, whatever it is called: none, gzip[:LEVEL] or zstd[:LEVEL]
    #[arg(long, value_name = "METHOD")]
    compression: Option<Compression>,

    /// Call the only image NAME, and without a tag in it by the hash of the store path that is written
    #[arg(long, hide = true)]
    name: Option<String>,

    /// Write `repositories`, which dockerTools.buildImage has in its archives
    #[arg(long, hide = true)]
    repositories: bool,

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
        compression,
        name,
        repositories,
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
    let names = match name {
        Some(name) => vec![given_name(name, output)?],
        None => names(&images)?,
    };
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
    let context = interruption.context(&reporter);
    let write = |writer: &mut dyn io::Write| {
        if *repositories {
            archive::stream_with_repositories(&all, writer, context)
        } else {
            archive::stream_all(&all, writer, &BTreeSet::new(), context)
        }
    };
    let written = if is_stdout(output) {
        write_to_stdout(context, write)
    } else {
        let compression = compression.unwrap_or_else(|| archive::compression_of(output));
        archive::to_file(output, compression, context, write).map_err(Failure::Failed)
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

/// `name`, with the hash of the store path `output` as its tag if it has none.
fn given_name(name: &str, output: &Path) -> Result<CopyName> {
    let reference = Reference::parse(name)?;
    let file = output.file_name().and_then(|file| file.to_str());
    let hash = file.and_then(|file| Some(file.split_once('-')?.0));
    let name = match (reference.tag, hash) {
        (None, Some(hash)) => format!("{name}:{hash}"),
        _ => name.to_owned(),
    };
    destination::parse(&format!("docker-archive:-:{name}"))?.copy_name(None)
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
