//! `strata lock-layers IMAGE [FILE]`.

use std::path::PathBuf;

use clap::Args;

use crate::cli::failure::Failure;
use crate::cli::interruption::Interruption;
use crate::cli::output::write_text;
use crate::cli::printer::Printer;
use crate::cli::progress::Unseen;
use strata_layer::{LayersFile, LayersLock};

const HELP: &str = "\
Example: strata lock-layers result
Then, in Nix: buildImage { previousLayers = ./layers.lock.json; .. }";

/// Write down which store paths are in a layer together, for later builds to keep
#[derive(Args)]
#[command(after_help = HELP)]
pub(crate) struct LockLayersArgs {
    /// The image: the output of its derivation, or a link to it such as `result`
    image: PathBuf,

    /// The file that is written, or replaced; `-` is standard output
    #[arg(default_value = "layers.lock.json")]
    file: PathBuf,
}

/// Runs the command.
pub(crate) fn run(
    arguments: &LockLayersArgs,
    printer: &Printer,
    interruption: &Interruption,
) -> Result<(), Failure> {
    let text = LayersLock::of(&LayersFile::read(&arguments.image)?).to_text();
    let file = &arguments.file;
    if file.as_os_str() == "-" {
        return printer.data(&text);
    }
    write_text(file, &text, interruption.context(&Unseen(printer)))?;
    printer.note(&format!("wrote {}", file.display()));
    Ok(())
}
