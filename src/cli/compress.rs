//! `strata compress IMAGE OUTPUT`.

use rayon::ThreadPoolBuilder;

use super::Failure;
use super::arguments::CompressArguments;
use super::interruption::Interruption;
use super::printer::Printer;
use super::progress::Reporter;
use strata_builder as builder;
use strata_copy::compressed;
use strata_error::Error;
use strata_image::{ManifestOrIndex, ManifestOrIndexRef};

pub(super) fn run(
    arguments: &CompressArguments,
    printer: &Printer,
    interruption: &Interruption,
) -> Result<(), Failure> {
    let CompressArguments {
        image: path,
        output,
        compression,
        quiet,
    } = arguments;
    limit_threads();
    let said = Printer::new(*quiet);
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
    let reporter = Reporter::for_copy([ManifestOrIndexRef::Image(&image)], &said);
    let written = compressed::write(
        path,
        &image,
        output,
        *compression,
        interruption.context(&reporter),
    );
    reporter.end();
    let digest = written?;
    if said.is_quiet() {
        return Ok(());
    }
    printer.data(&format!("{digest}\n"))
}

/// In a build of Nix, uses only so many cores as Nix allots.
fn limit_threads() {
    if let Ok(cores) = std::env::var("NIX_BUILD_CORES") {
        let threads = builder::threads(Some(&cores)).get();
        // If it is too late, all cores are used.
        let _ = ThreadPoolBuilder::new().num_threads(threads).build_global();
    }
}
