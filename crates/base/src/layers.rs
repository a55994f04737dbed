//! Checking the layers of a base image: each blob against its digest, each layer against its diff
//! ID, and every header of it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

use super::bounds::LARGEST_LAYER;
use super::damaged::{DAMAGED, damaged};
use super::image_source::BlobLocation;
use strata_archive::{ArchiveReader, CompressionFormat, decompress, open_archive};
use strata_error::{Error, Result};
use strata_layer::{BaseRecord, open_stored};
use strata_oci::{Descriptor, Digest, HashingReader};
use strata_tree::{BaseListing, BaseTree, Budget};

/// What is said about a layer before it is read.
#[derive(Clone, Debug)]
pub(super) struct Expected {
    /// What it is called in errors.
    pub(super) name: String,
    /// Where its blob is.
    pub(super) place: BlobLocation,
    /// What the manifest says of its blob, if there is one.
    pub(super) descriptor: Option<Descriptor>,
    /// What the config says of its tar.
    pub(super) diff_id: Digest,
}

/// What reading a blob shows.
struct Found {
    digest: Digest,
    size: u64,
    diff_id: Digest,
    format: CompressionFormat,
    listing: BaseListing,
}

/// Layers that are what they should be.
pub(super) struct Checked {
    /// A record of each, lowest first.
    pub(super) records: Vec<BaseRecord>,
    /// What they make together.
    pub(super) tree: BaseTree,
    /// Whether one lies in a compressed archive, behind everything before it.
    pub(super) is_compressed: bool,
}

/// A layer that is to be read.
struct Wanted<'a> {
    name: &'a str,
    /// How often the image has it, above what is laid already.
    times: usize,
}

/// Reads all layers, given lowest first. What a layer has is kept until it is laid for the last time:
/// an image may have the same layer several times (NixOS/nixpkgs#214434), and in a compressed archive
/// they are read in the archive's order.
pub(super) fn check(expected: &[Expected], budget: &mut Budget) -> Result<Checked> {
    let mut files: BTreeMap<&Path, BTreeMap<&BlobLocation, Wanted<'_>>> = BTreeMap::new();
    for Expected { name, place, .. } in expected {
        let places = files.entry(&place.located).or_default();
        let wanted = places.entry(place).or_insert(Wanted { name, times: 0 });
        wanted.times += 1;
    }
    let mut checked = Checked {
        records: Vec::new(),
        tree: BaseTree::default(),
        is_compressed: false,
    };
    let mut found = BTreeMap::new();
    for (number, layer) in expected.iter().enumerate() {
        let (path, place) = (layer.place.located.as_path(), &layer.place);
        // Each layer is in its file.
        let Some(places) = files.get_mut(path) else {
            continue;
        };
        if !found.contains_key(place) {
            if place.offset.is_some() && is_packed(path)? {
                checked.is_compressed = true;
                read_in_order(path, places, &mut found, budget)?;
            } else if let Some(wanted) = places.get(place) {
                let reader = open_stored(path, place.offset, place.size)?;
                found.insert(place, read(reader, wanted, budget)?);
            }
        }
        if let (Some(wanted), Some(read)) = (places.get_mut(place), found.get(place)) {
            checked.records.push(compare(layer, read)?);
            let result = checked.tree.apply(number, &read.listing, budget);
            result.map_err(|message| damaged(&layer.name, &message))?;
            wanted.times -= 1;
            if wanted.times == 0
                && let Some(read) = found.remove(place)
            {
                read.listing.release(budget);
            }
        }
    }
    Ok(checked)
}

fn is_packed(path: &Path) -> Result<bool> {
    let file = File::open(path).map_err(Error::io("open", path))?;
    let (is_packed, _) = open_archive(file).map_err(Error::io("read", path))?;
    Ok(is_packed)
}

/// Reads layers of a compressed archive while it is decompressed once.
fn read_in_order<'a>(
    path: &Path,
    places: &BTreeMap<&'a BlobLocation, Wanted<'_>>,
    all: &mut BTreeMap<&'a BlobLocation, Found>,
    budget: &mut Budget,
) -> Result<()> {
    let file = File::open(path).map_err(Error::io("open", path))?;
    let (_, mut archive) = open_archive(BufReader::new(file)).map_err(Error::io("read", path))?;
    let mut position = 0;
    // Places in one file are sorted by their offsets.
    for (place, wanted) in places {
        let name = wanted.name;
        let offset = place.offset.unwrap_or(0);
        let before = offset
            .checked_sub(position)
            .ok_or_else(|| damaged(name, "lies within another layer"))?;
        io::copy(&mut archive.by_ref().take(before), &mut io::sink())
            .map_err(|error| damaged(name, &error.to_string()))?;
        let found = read(archive.by_ref().take(place.size), wanted, budget)?;
        position = offset + found.size;
        all.insert(place, found);
    }
    Ok(())
}

/// Reads a blob to its end.
fn read(reader: impl Read, wanted: &Wanted<'_>, budget: &mut Budget) -> Result<Found> {
    let name = wanted.name;
    let error = |error: io::Error| damaged(name, &error.to_string());
    let mut blob = HashingReader::new(reader.take(LARGEST_LAYER + 1));
    let (format, plain) = decompress(&mut blob).map_err(error)?;
    let mut plain = HashingReader::new(plain.take(LARGEST_LAYER + 1));
    let mut listing = BaseListing::default();
    let mut archive = ArchiveReader::new(&mut plain, name, DAMAGED);
    while let Some(entry) = archive.next_entry()? {
        let counted = budget.entries(wanted.times);
        let added = counted.and_then(|()| listing.add(entry, budget));
        added.map_err(|message| archive.damaged(&message))?;
    }
    archive.drain()?;
    let (diff_id, plain_size) = plain.finish();
    io::copy(&mut blob, &mut io::sink()).map_err(error)?;
    let (digest, size) = blob.finish();
    if size.max(plain_size) > LARGEST_LAYER {
        return Err(damaged(name, &format!("larger than {LARGEST_LAYER} bytes")));
    }
    Ok(Found {
        digest,
        size,
        diff_id,
        format,
        listing,
    })
}

fn compare(expected: &Expected, found: &Found) -> Result<BaseRecord> {
    let mismatch = |what: &str, expected_digest: String, found: String| Error::Mismatch {
        what: format!("{}: {what}", expected.name),
        expected: expected_digest,
        found,
        hint: DAMAGED.to_owned(),
    };
    let mut blob = Descriptor::new(found.format.layer_media_type(), found.digest, found.size);
    if let Some(descriptor) = &expected.descriptor {
        if (descriptor.digest, descriptor.size) != (found.digest, found.size) {
            return Err(mismatch(
                "its blob",
                format!("{}, {} bytes", descriptor.digest, descriptor.size),
                format!("{}, {} bytes", found.digest, found.size),
            ));
        }
        blob.annotations.clone_from(&descriptor.annotations);
    }
    if expected.diff_id != found.diff_id {
        return Err(mismatch(
            "its uncompressed content",
            expected.diff_id.to_string(),
            found.diff_id.to_string(),
        ));
    }
    Ok(BaseRecord {
        blob,
        compression: None,
        compressed: None,
        diff_id: found.diff_id,
        path: expected.place.named.clone(),
        offset: expected.place.offset,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use strata_archive::{ArchiveWriter, Metadata, Mode};

    /// A base that names one layer a thousand times must not cost the memory of a thousand.
    #[test]
    fn entries_are_counted_over_all_layers() {
        let directory = tempfile::tempdir().unwrap();
        let layer = |name: &str, paths: &[&str]| {
            let mut archive = ArchiveWriter::new(Vec::new(), name);
            for path in paths {
                let metadata = Metadata::root(Mode::ANCESTOR);
                archive.directory(path.as_bytes(), &metadata).unwrap();
            }
            let tar = archive.finish().unwrap();
            let located = directory.path().join(name);
            std::fs::write(&located, &tar).unwrap();
            Expected {
                name: name.to_owned(),
                place: BlobLocation {
                    named: name.to_owned(),
                    located,
                    offset: None,
                    size: tar.len() as u64,
                },
                descriptor: None,
                diff_id: Digest::of(&tar),
            }
        };
        let two = layer("two", &["a", "b"]);
        let whiteout = layer("whiteout", &[".wh.a"]);
        let entries = |count| Budget::new(1024 * 1024, count);
        let layers = [two.clone(), whiteout.clone(), two.clone()];
        assert_eq!(check(&layers, &mut entries(5)).unwrap().records.len(), 3);
        let error = check(&layers, &mut entries(4)).err().unwrap();
        assert!(
            error.to_string().contains("entries with those before"),
            "{error}"
        );
        let error = check(&[whiteout], &mut entries(0)).err().unwrap();
        assert!(error.to_string().starts_with("whiteout"), "{error}");
    }
}
