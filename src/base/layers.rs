//! Checking the layers of a base image: each blob against its digest, each layer against its diff
//! ID, and every header of it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

use super::bounds::LARGEST_LAYER;
use super::medium::Place;
use super::tree::Listing;
use super::{DAMAGED, damaged};
use crate::image::{BaseRecord, Packing, decompress, open_stored};
use crate::oci::{Descriptor, Digest, HashingReader};
use crate::tar::ArchiveReader;
use crate::{Error, Result};

/// What is said about a layer before it is read.
#[derive(Clone, Debug)]
pub(super) struct Expected {
    /// What it is called in errors.
    pub(super) name: String,
    /// Where its blob is.
    pub(super) place: Place,
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
    packing: Packing,
    listing: Listing,
}

/// Layers that are what they should be.
pub(super) struct Checked {
    /// A record of each, lowest first.
    pub(super) records: Vec<BaseRecord>,
    /// What is in each.
    pub(super) listings: Vec<Listing>,
    /// Whether one lies in a compressed archive, behind everything before it.
    pub(super) is_compressed: bool,
}

/// Reads all layers, given lowest first.
pub(super) fn check(expected: &[Expected]) -> Result<Checked> {
    // An image may have the same layer several times (NixOS/nixpkgs#214434).
    let mut files: BTreeMap<&Path, BTreeMap<&Place, &str>> = BTreeMap::new();
    for Expected { name, place, .. } in expected {
        let places = files.entry(&place.located).or_default();
        places.entry(place).or_insert(name);
    }
    let mut found = BTreeMap::new();
    let mut is_compressed = false;
    for (path, places) in files {
        if places.keys().any(|place| place.offset.is_some()) && packing_of(path)? != Packing::None {
            is_compressed = true;
            read_in_order(path, places, &mut found)?;
        } else {
            for (place, name) in places {
                let reader = open_stored(path, place.offset, place.size)?;
                found.insert(place, read(reader, name)?);
            }
        }
    }
    let mut checked = Checked {
        records: Vec::new(),
        listings: Vec::new(),
        is_compressed,
    };
    for layer in expected {
        if let Some(found) = found.get(&layer.place) {
            checked.records.push(compare(layer, found)?);
            checked.listings.push(found.listing.clone());
        }
    }
    Ok(checked)
}

fn packing_of(path: &Path) -> Result<Packing> {
    let file = File::open(path).map_err(Error::io("open", path))?;
    let opened = decompress(file).map_err(Error::io("read", path))?;
    Ok(opened.0)
}

/// Reads layers of a compressed archive while it is decompressed once.
fn read_in_order<'a>(
    path: &Path,
    places: BTreeMap<&'a Place, &str>,
    all: &mut BTreeMap<&'a Place, Found>,
) -> Result<()> {
    let file = File::open(path).map_err(Error::io("open", path))?;
    let (_, mut archive) = decompress(BufReader::new(file)).map_err(Error::io("read", path))?;
    let mut position = 0;
    // Places in one file are sorted by their offsets.
    for (place, name) in places {
        let offset = place.offset.unwrap_or(0);
        let before = offset
            .checked_sub(position)
            .ok_or_else(|| damaged(name, "lies within another layer"))?;
        io::copy(&mut archive.by_ref().take(before), &mut io::sink())
            .map_err(|error| damaged(name, &error.to_string()))?;
        let found = read(archive.by_ref().take(place.size), name)?;
        position = offset + found.size;
        all.insert(place, found);
    }
    Ok(())
}

/// Reads a blob to its end.
fn read(reader: impl Read, name: &str) -> Result<Found> {
    let error = |error: io::Error| damaged(name, &error.to_string());
    let mut blob = HashingReader::new(reader.take(LARGEST_LAYER + 1));
    let (packing, plain) = decompress(&mut blob).map_err(error)?;
    let mut plain = HashingReader::new(plain.take(LARGEST_LAYER + 1));
    let mut listing = Listing::default();
    let mut archive = ArchiveReader::new(&mut plain, name, DAMAGED);
    while let Some(entry) = archive.next_entry()? {
        listing
            .add(entry)
            .map_err(|message| archive.damaged(&message))?;
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
        packing,
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
    let mut blob = Descriptor::new(found.packing.layer_media_type(), found.digest, found.size);
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
        diff_id: found.diff_id,
        path: expected.place.named.clone(),
        offset: expected.place.offset,
    })
}
