//! `strata serve IMAGE...`.

use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use indicatif::HumanBytes;

use clap::Args;
use serde_json::json;

use crate::cli::address::resolve;
use crate::cli::failure::Failure;
use crate::cli::interruption::Interruption;
use crate::cli::printer::Printer;
use crate::cli::progress::Unseen;
use strata_error::Result;
use strata_image::ManifestOrIndex;
use strata_oci::{Compression, Descriptor};
use strata_progress::{Detail, Outcome, Progress};
use strata_serve::{Catalog, Limits, Observer, Server, SharedLayers, compress_all_images};

const HELP: &str = "\
Standard output has the registry's address, and a line for each image: ADDRESS:PORT/NAME:TAG@DIGEST.
It speaks plain HTTP and asks for no password.";

/// Be a read-only registry with these images, until interrupted
#[derive(Args)]
#[command(after_help = HELP)]
pub(crate) struct ServeArgs {
    /// The images: outputs of their derivations, or links to them such as `result`
    #[arg(required = true, value_name = "IMAGE")]
    images: Vec<PathBuf>,

    /// Where to listen; port 0 is any that is free
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:5000")]
    listen: String,

    /// Serve layers like this: none, gzip, zstd or zstd:chunked, or with a level as in zstd:3
    #[arg(long, value_name = "COMPRESSION", default_value = "none")]
    compression: Compression,

    /// Answer in JSON: one line once it listens; docs/cli.md describes it
    #[arg(long)]
    json: bool,

    /// Say nothing but errors and the addresses
    #[arg(long, short)]
    quiet: bool,
}

/// How often to look whether the user wants it to end.
const POLL: Duration = Duration::from_millis(50);

/// Runs the command.
pub(crate) fn run(
    arguments: &ServeArgs,
    printer: &Printer,
    interruption: &Interruption,
) -> Result<(), Failure> {
    let address = resolve(&arguments.listen).map_err(Failure::Usage)?;
    let said = printer.silenced(arguments.quiet);
    let log = Log(&said);
    let shared = Arc::new(SharedLayers::default());
    let images = arguments.images.iter().map(|path| {
        let built = ManifestOrIndex::open(path)?;
        compress_all_images(
            built,
            arguments.compression,
            &shared,
            interruption.context(&Unseen(printer)),
        )
    });
    let images = images.collect::<Result<Vec<_>>>()?;
    let server = Server::bind(address, Limits::default())?;
    let address = server.address();

    let mut catalog = Catalog::default();
    let mut lines = format!("http://{address}\n");
    let mut listed = Vec::new();
    for image in &images {
        let name = catalog.add(image.borrowed())?;
        let digest = image.borrowed().digest();
        lines.extend([format!("{address}/{name}@{digest}\n")]);
        listed.push(json!({ "name": format!("{address}/{name}"), "digest": digest }));
    }
    if arguments.json {
        let value = json!({ "address": format!("http://{address}"), "images": listed });
        lines = format!("{value}\n");
    }
    if !address.ip().is_loopback() {
        said.note("whoever reaches this address can read the images");
    }
    let observer = Observer {
        context: interruption.context(&log),
        failed: &|error| printer.error(&error.report()),
    };
    server.run(&catalog, observer, || {
        // Only now, so that whoever reads this finds the server ready.
        printer.data(&lines)?;
        while !interruption.happened() {
            thread::sleep(POLL);
        }
        Ok(())
    })
}

/// Says what was sent.
struct Log<'a>(&'a Printer);

impl Progress for Log<'_> {
    fn finish(&self, blob: &Descriptor, _: Outcome) {
        let (digest, size) = (blob.digest, HumanBytes(blob.size));
        self.0.note(&format!("sent {digest} ({size})"));
    }

    fn explain(&self, detail: Detail, text: &str) {
        self.0.explain(detail, text);
    }
}
