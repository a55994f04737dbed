//! The root file system of an image as one archive: what all layers make together.
//!
//! Two passes over the layers, so that memory holds paths and no contents: the first finds out which
//! entries are left in the end, the second writes these. Directories come first, because the entry
//! that describes one may be above what is in it.

use std::io::{self, Write};

use super::image::Image;
use super::replay::{self, EntryPosition, Tree, Winners, damaged};
use strata_archive::{ArchiveEntry, ArchiveEntryKind, ArchiveWriter, Metadata, Mode};
use strata_error::{Error, Result};
use strata_layer::Layer;
use strata_tree::{Budget, SymlinksBelow};

/// Writes the root file system of `image`: without what upper layers hide or replace, and with names
/// that several layers give one file as hard links. The bytes follow from the image.
///
/// Every name begins with `prefix`. `advance` hears how many bytes of layers were read, each layer twice; its error
/// ends the work.
pub fn flatten(
    image: &Image,
    writer: &mut dyn Write,
    prefix: &[u8],
    advance: &dyn Fn(u64) -> Result<()>,
) -> Result<()> {
    let mut tree = Tree::default();
    // As for a base image.
    let mut budget = Budget::default();
    for layer in &image.layers {
        let layer = layer.as_ref();
        let listing = replay::list(layer, &mut budget, advance, |entry| {
            if entry.is_sparse {
                return Err("a sparse file, which cannot be exported".to_owned());
            }
            Ok(())
        })?;
        let listing = listing.map_err(|message| damaged(layer, message))?;
        let result = tree.apply(&listing, SymlinksBelow::Followed, &mut budget);
        result.map_err(|unlayable| damaged(layer, unlayable.to_string()))?;
        listing.release(&mut budget);
    }
    let winners = tree.winners(&mut budget);
    let winners = winners.map_err(|message| Error::Document {
        document: "the layers".to_owned(),
        message,
        hint: replay::HINT.to_owned(),
    })?;
    let mut archive = ArchiveWriter::new(writer, "archive").below(prefix);
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

/// Writes what is left of a layer.
fn write(
    layer: &dyn Layer,
    number: usize,
    winners: &Winners,
    output: &mut ArchiveWriter<&mut dyn Write>,
    advance: &dyn Fn(u64) -> Result<()>,
) -> Result<()> {
    replay::read(layer, advance, &mut |archive| {
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
