//! The root file system of an image as one archive: what all layers make together.
//!
//! Two passes over the layers, so that memory holds paths and no contents: the first finds out which
//! entries are left in the end, the second writes these. Directories come first, because the entry
//! that describes one may be above what is in it.

mod tree;

use std::io::{self, Read, Write};

use self::tree::{EntryPosition, Listing, Tree, Winners};
use crate::Image;
use strata_archive::{
    ArchiveEntry, ArchiveEntryKind, ArchiveReader, ArchiveWriter, Metadata, Mode, decompress,
};
use strata_error::{Error, Result};
use strata_layer::{Layer, read_layer};
use strata_tree::Budget;

const HINT: &str =
    "build or fetch the image again; if it comes from elsewhere, its layers are damaged";

/// Writes the root file system of `image`: without what upper layers hide or replace, and with names
/// that several layers give one file as hard links. The bytes follow from the image.
///
/// `advance` hears how many bytes of layers were read, each layer twice; its error ends the work.
pub fn flatten(
    image: &Image,
    writer: &mut dyn Write,
    advance: &dyn Fn(u64) -> Result<()>,
) -> Result<()> {
    let mut tree = Tree::default();
    // As for a base image.
    let mut budget = Budget::default();
    for layer in &image.layers {
        let layer = layer.as_ref();
        let listing = list(layer, &mut budget, advance)?;
        let result = tree.apply(&listing, &mut budget);
        result.map_err(|unlayable| damaged(layer, unlayable.to_string()))?;
        listing.release(&mut budget);
    }
    let winners = tree.winners(&mut budget);
    let winners = winners.map_err(|message| Error::Document {
        document: "the layers".to_owned(),
        message,
        hint: HINT.to_owned(),
    })?;
    let mut archive = ArchiveWriter::new(writer, "archive");
    let nobodys = Metadata::root(Mode::ANCESTOR);
    for (path, entry) in &winners.directories {
        match entry {
            Some(entry) => archive.copy(&path.0, entry, &mut io::empty())?,
            None => archive.directory(&path.0, &nobodys)?,
        }
    }
    for (number, layer) in image.layers.iter().enumerate() {
        let all = EntryPosition {
            layer: number,
            entry: 0,
        }..EntryPosition {
            layer: number + 1,
            entry: 0,
        };
        if winners.leaves.range(all).next().is_some() {
            write(layer.as_ref(), number, &winners, &mut archive, advance)?;
        }
    }
    let writer = archive.finish()?;
    writer.flush().map_err(Error::stream("archive"))
}

/// What a layer has.
fn list(
    layer: &dyn Layer,
    budget: &mut Budget,
    advance: &dyn Fn(u64) -> Result<()>,
) -> Result<Listing> {
    let mut listing = Listing::default();
    read(layer, advance, &mut |archive| {
        while let Some(entry) = archive.next_entry()? {
            if entry.is_sparse {
                return Err(archive.damaged(&"a sparse file, which cannot be exported"));
            }
            let counted = budget.entries(1);
            let added = counted.and_then(|()| listing.add(&entry, budget));
            added.map_err(|message| archive.damaged(&message))?;
        }
        Ok(())
    })?;
    Ok(listing)
}

/// Writes what is left of a layer.
fn write(
    layer: &dyn Layer,
    number: usize,
    winners: &Winners,
    output: &mut ArchiveWriter<&mut dyn Write>,
    advance: &dyn Fn(u64) -> Result<()>,
) -> Result<()> {
    read(layer, advance, &mut |archive| {
        let mut place = EntryPosition {
            layer: number,
            entry: 0,
        };
        while let Some(entry) = archive.next_entry()? {
            if let Some((first, others)) = winners
                .leaves
                .get(&place)
                .and_then(|paths| paths.split_first())
            {
                output.copy(&first.0, &entry, archive)?;
                let link = ArchiveEntry {
                    kind: ArchiveEntryKind::HardLink(first.0.clone()),
                    size: 0,
                    ..entry
                };
                for other in others {
                    output.copy(&other.0, &link, &mut io::empty())?;
                }
            }
            place.entry += 1;
        }
        Ok(())
    })
}

/// How layers are read.
type LayerArchive<'a> = ArchiveReader<Box<dyn Read + 'a>>;

/// Reads a layer to its end, so that its digest is checked, too.
fn read(
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

fn damaged(layer: &dyn Layer, message: String) -> Error {
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
