//! Serving one image to a program of this machine, for as long as that runs.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::catalog::Catalog;
use crate::observer::Observer;
use crate::server::Server;
use strata_copy::blobs;
use strata_error::{Error, Result};
use strata_image::Image;
use strata_oci::{Descriptor, Digest};
use strata_progress::{Context, Detail, Outcome, Progress};

/// What the image is called.
const NAME: &str = "strata";

/// Serves `image` on loopback while `work` runs, which is told its name: `127.0.0.1:PORT/strata:TAG`.
///
/// The tag is the config's digest, so that nobody can take the name for that of another image. When
/// the work is done, blobs that it did not want are reported as present. If a blob could not be made,
/// that is the error, whatever the work says.
pub fn on_loopback<T>(
    image: &Image,
    context: Context<'_>,
    work: impl FnOnce(&str) -> Result<T>,
) -> Result<T> {
    let server = Server::on_loopback()?;
    let tag = image.manifest.config.digest.hex();
    let mut catalog = Catalog::default();
    catalog.add_as(image, NAME, &tag);
    let sent = Sent {
        progress: context.progress,
        done: Mutex::default(),
    };
    let failure = Mutex::new(None);
    let observer = Observer {
        context: context.watched_by(&sent),
        failed: &|error| {
            lock(&failure).get_or_insert(error);
        },
    };
    let name = format!("{}/{NAME}:{tag}", server.address());
    let result = server.run(&catalog, observer, || work(&name));
    match (
        result,
        failure.into_inner().unwrap_or_else(PoisonError::into_inner),
    ) {
        (Ok(result), _) => {
            sent.report_present(image);
            Ok(result)
        }
        (Err(Error::Interrupted), _) => Err(Error::Interrupted),
        (Err(_), Some(failure)) => Err(failure),
        (Err(error), None) => Err(error),
    }
}

/// Whether `name` is one under which [`on_loopback`] may have served the image.
pub fn is_loopback_name(image: &Image, name: &str) -> bool {
    let path = format!("/{NAME}:{}", image.manifest.config.digest.hex());
    let address = name.strip_suffix(&path);
    let port = address.and_then(|address| address.strip_prefix("127.0.0.1:"));
    port.is_some_and(|port| port.parse::<u16>().is_ok())
}

/// Remembers what was sent.
struct Sent<'a> {
    progress: &'a dyn Progress,
    done: Mutex<BTreeSet<Digest>>,
}

impl Sent<'_> {
    fn report_present(&self, image: &Image) {
        let done = lock(&self.done);
        for (digest, blob) in blobs(image) {
            if !done.contains(&digest) {
                self.progress.begin(blob.descriptor());
                self.progress.finish(blob.descriptor(), Outcome::Present);
            }
        }
    }
}

impl Progress for Sent<'_> {
    fn begin(&self, blob: &Descriptor) {
        self.progress.begin(blob);
    }

    fn advance(&self, blob: &Descriptor, bytes: u64) {
        self.progress.advance(blob, bytes);
    }

    fn finish(&self, blob: &Descriptor, outcome: Outcome) {
        // Some programs ask twice.
        if lock(&self.done).insert(blob.digest) {
            self.progress.finish(blob, outcome);
        }
    }

    fn warn(&self, text: &str) {
        self.progress.warn(text);
    }

    fn explain(&self, detail: Detail, text: &str) {
        self.progress.explain(detail, text);
    }
}

fn lock<T>(value: &Mutex<T>) -> MutexGuard<'_, T> {
    value.lock().unwrap_or_else(PoisonError::into_inner)
}
