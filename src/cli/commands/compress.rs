//! `strata compress IMAGE OUTPUT`.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use rayon::ThreadPoolBuilder;

use clap::Args;
use serde_json::json;

use crate::cli::failure::Failure;
use crate::cli::interruption::Interruption;
use crate::cli::printer::Printer;
use crate::cli::progress::Reporter;
use strata_copy::compressed;
use strata_error::Error;
use strata_image::{ManifestOrIndex, ManifestOrIndexRef};
use strata_oci::Compression;

/// Write the same image with the digests of its compressed layers, but no layers
#[derive(Args)]
pub(crate) struct CompressArgs {
    /// The image: the output of its derivation, or a link to it such as `result`
    image: PathBuf,

    /// The directory to write; it must not exist
    output: PathBuf,

    /// How to compress all layers: none, gzip[:LEVEL], zstd[:LEVEL] or zstd:chunked[:LEVEL]; without it as the image says,
    /// else with gzip
    #[arg(long, value_name = "METHOD")]
    compression: Option<Compression>,

    /// Answer in JSON; docs/cli.md describes it
    #[arg(long)]
    json: bool,

    /// Compress with so many threads; without it one for each core
    #[arg(long, value_name = "N")]
    jobs: Option<NonZeroUsize>,

    /// Say nothing but errors
    #[arg(long, short)]
    quiet: bool,
}

/// Runs the command.
pub(crate) fn run(
    arguments: &CompressArgs,
    printer: &Printer,
    interruption: &Interruption,
) -> Result<(), Failure> {
    let CompressArgs {
        image: path,
        output,
        compression,
        json,
        jobs,
        quiet,
    } = arguments;
    limit_threads(*jobs);
    let said = printer.silenced(*quiet);
    let image = match ManifestOrIndex::open(path)? {
        ManifestOrIndex::Image(image) => image,
        ManifestOrIndex::Index(_) => {
            return Err(Failure::Failed(Error::Document {
                document: path.display().to_string(),
                message: "an index of images".to_owned(),
                hint: "compress the images, and make an index of those; its attribute compressed \
                       does that"
                    .to_owned(),
            }));
        }
    };
    let mut reporter = Reporter::for_copy([ManifestOrIndexRef::Image(&image)], &said);
    let written = compressed::write(
        path,
        &image,
        output,
        *compression,
        interruption.context(&reporter),
    );
    reporter.end();
    let digest = written?;
    if *json {
        let value = json!({ "digest": digest, "output": output.display().to_string() });
        return printer.data(&format!("{value:#}\n"));
    }
    if said.is_quiet() {
        return Ok(());
    }
    printer.data(&format!("{digest}\n"))
}

/// Uses so many threads as were asked for, and in a build of Nix else only so many cores as Nix allots.
pub(super) fn limit_threads(jobs: Option<NonZeroUsize>) {
    let cores = std::env::var("NIX_BUILD_CORES").ok();
    let allotted = || cores.map(|cores| strata_nix::threads(Some(&cores)));
    if let Some(threads) = jobs.or_else(allotted) {
        let threads = threads.get();
        // If it is too late, all cores are used.
        let _ = ThreadPoolBuilder::new().num_threads(threads).build_global();
    }
}
