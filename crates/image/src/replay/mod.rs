//! Reading the layers of an image, and laying each over those before it, which `strata_tree` does.

mod tree;

use std::io::{self, Read};

pub(super) use self::tree::{EntryPosition, Listing, Tree, Winners};
use strata_archive::{ArchiveEntry, ArchiveReader, decompress};
use strata_error::{Error, Result};
use strata_layer::{Layer, read_layer};
use strata_tree::Budget;

/// The way out of a layer that cannot be laid over others.
pub(super) const HINT: &str =
    "build or fetch the image again; if it comes from elsewhere, its layers are damaged";

/// What a layer has; the inner error is that this is too much to keep. `check` says what is wrong with an
/// entry besides. The layer is read to its end in any case.
pub(super) fn list(
    layer: &dyn Layer,
    budget: &mut Budget,
    advance: &dyn Fn(u64) -> Result<()>,
    check: impl Fn(&ArchiveEntry) -> Result<(), String>,
) -> Result<Result<Listing, String>> {
    let mut listing = Listing::default();
    let mut kept = Ok(());
    read(layer, advance, &mut |archive| {
        while kept.is_ok()
            && let Some(entry) = archive.next_entry()?
        {
            check(&entry).map_err(|message| archive.damaged(&message))?;
            let counted = budget.entries(1);
            kept = counted.and_then(|()| listing.add(&entry, budget));
        }
        Ok(())
    })?;
    Ok(kept.map(|()| listing))
}

/// How layers are read.
pub type LayerArchive<'a> = ArchiveReader<Box<dyn Read + 'a>>;

/// Reads the archive that a layer is, compressed or not, to its end, so that its digest is checked, too. `advance` hears
/// how many bytes of the layer were read; its error ends the work.
pub fn read(
    layer: &dyn Layer,
    advance: &dyn Fn(u64) -> Result<()>,
    consume: &mut dyn FnMut(&mut LayerArchive<'_>) -> Result<()>,
) -> Result<()> {
    let name = format!("layer {}", layer.descriptor().digest);
    let mut stopped = None;
    let result = read_layer(layer, |reader| {
        let watched = Watched {
            reader,
            advance,
            stopped: &mut stopped,
        };
        let (_, plain) = decompress(watched).map_err(|error| damaged(layer, error.to_string()))?;
        let mut archive = ArchiveReader::new(plain, name, HINT);
        consume(&mut archive)?;
        archive.drain()
    });
    match stopped {
        Some(error) => Err(error),
        None => result,
    }
}

/// The error for a layer, and what is wrong with it.
pub(super) fn damaged(layer: &dyn Layer, message: String) -> Error {
    Error::Document {
        document: format!("layer {}", layer.descriptor().digest),
        message,
        hint: HINT.to_owned(),
    }
}

/// A reader that tells how much goes through it, and stops when it is told to.
struct Watched<'a> {
    reader: &'a mut dyn Read,
    advance: &'a dyn Fn(u64) -> Result<()>,
    /// Why it stopped.
    stopped: &'a mut Option<Error>,
}

impl Read for Watched<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.reader.read(buffer)?;
        (self.advance)(count as u64).map_err(|error| {
            *self.stopped = Some(error);
            io::Error::other("stopped")
        })?;
        Ok(count)
    }
}
