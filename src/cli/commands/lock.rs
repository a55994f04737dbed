//! `strata lock IMAGE`, and `strata lock --update FILE`.

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;

use crate::cli::failure::Failure;
use crate::cli::interruption::Interruption;
use crate::cli::output::write_text;
use crate::cli::printer::Printer;
use crate::cli::progress::Unseen;
use crate::cli::registry_args::{SourceRegistryArgs, reference};
use strata_error::{Error, small_file, visible_line};
use strata_oci::{Lock, Platform};
use strata_registry::pull::Source;

const HELP: &str = "\
Example: strata lock alpine:3.20 > image.lock.json
Another platform: strata lock --update image.lock.json --platform linux/arm64
Then, in Nix: pullImage { lock = ./image.lock.json; }";

/// Write down what a name in a registry means now: digests of manifests, configs and layers
#[derive(Args)]
#[command(after_help = HELP)]
pub(crate) struct LockArgs {
    /// The image: NAME[:TAG] or NAME@DIGEST; NAME may begin with HOST[:PORT]/
    #[arg(required_unless_present = "update", conflicts_with = "update")]
    image: Option<String>,

    /// A platform to lock, as in linux/arm64; may be given several times; without it, all that there are. With
    /// --update, it is added to those of the file
    #[arg(long, value_name = "OS/ARCH[/VARIANT]")]
    platform: Vec<Platform>,

    /// Ask again for the name and the platforms of this file, and rewrite it
    #[arg(long, value_name = "FILE")]
    update: Option<PathBuf>,

    #[command(flatten)]
    registry: SourceRegistryArgs,

    /// Answer in JSON, also with --update; docs/cli.md describes it
    #[arg(long)]
    json: bool,

    /// Say nothing but errors
    #[arg(long, short)]
    quiet: bool,
}

/// The largest lock file that is read, in bytes.
const LARGEST_FILE: u64 = 16 << 20;

/// Runs the command.
pub(crate) fn run(
    arguments: LockArgs,
    printer: &Printer,
    interruption: &Interruption,
) -> Result<(), Failure> {
    let notes = printer.silenced(arguments.quiet);
    let unseen = Unseen(&notes);
    let context = interruption.context(&unseen);
    let options = arguments.registry.options().map_err(Failure::Usage)?;
    if let Some(file) = &arguments.update {
        let document = file.display().to_string();
        let old = read(file)?;
        let mut platforms = old.platforms(&document)?;
        for added in &arguments.platform {
            if !platforms.iter().any(|platform| platform.is_same(added)) {
                platforms.push(added.clone());
            }
        }
        let source = Source::connect(&old.reference(&document)?, &options, context)?;
        let new = source.lock(&platforms, context)?;
        for line in old.changes(&new) {
            notes.note(&visible_line(&line));
        }
        let answer = json!({ "file": document, "changes": old.changes(&new) });
        let answer = || {
            if arguments.json {
                printer.data(&format!("{answer:#}\n"))
            } else {
                Ok(())
            }
        };
        if old == new {
            notes.note("nothing changed");
            return answer();
        }
        write_text(file, &new.to_text(), context)?;
        return answer();
    }
    // One of the two is there.
    let reference = reference(arguments.image.as_deref().unwrap_or_default());
    let source = Source::connect(&reference.map_err(Failure::Usage)?, &options, context)?;
    let lock = source.lock(&arguments.platform, context)?;
    printer.data(&lock.to_text())
}

fn read(file: &Path) -> Result<Lock, Error> {
    let bytes = small_file::read(file, LARGEST_FILE)?;
    Lock::parse(&bytes, &file.display().to_string())
}
