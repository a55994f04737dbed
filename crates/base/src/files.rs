//! Reading single files of a base image, which its layers hold.

use std::collections::BTreeMap;
use std::io::Read;

use super::Base;
use super::damaged::{DAMAGED, damaged};
use strata_archive::{ArchiveEntryKind, ArchiveReader, EntryKind, Metadata, decompress};
use strata_error::{Error, Result};
use strata_layer::{BaseRecord, open_stored, read_tar};
use strata_nix::Store;
use strata_tree::{Budget, ImagePath, LayerTree, Recipe, Stored};

/// A regular file of a base image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseFile {
    /// Where it is when all symlinks are followed.
    pub place: ImagePath,
    /// Mode, owner and extended attributes.
    pub metadata: Metadata,
    /// What is in it.
    pub content: Vec<u8>,
}

/// What is looked for in one layer: the files, where they are in it.
type Wanted<'a> = BTreeMap<(Stored, ImagePath), Vec<&'a str>>;
type Found<'a> = BTreeMap<&'a str, BaseFile>;

impl Base {
    /// Reads the regular files that `paths` mean, through symlinks; others are left out. None may
    /// have more than `largest` bytes, nor all together more than may be kept. Each layer is read once at most.
    pub fn read_files<'a>(
        &self,
        paths: &[&'a str],
        largest: u64,
        store: &Store,
    ) -> Result<Found<'a>> {
        let limits = Limits {
            largest,
            is_cut: false,
            budget: self.budget.clone(),
        };
        self.find(paths, limits, store)
    }

    /// Reads the first `most` bytes of the regular file that `path` means; none if it means something else. The
    /// layer that has it is read as far as the file.
    pub fn read_head(&self, path: &str, most: u64, store: &Store) -> Result<Option<BaseFile>> {
        let limits = Limits {
            largest: most,
            is_cut: true,
            budget: self.budget.clone(),
        };
        Ok(self.find(&[path], limits, store)?.remove(path))
    }

    fn find<'a>(&self, paths: &[&'a str], mut limits: Limits, store: &Store) -> Result<Found<'a>> {
        let mut layers: BTreeMap<usize, Wanted<'a>> = BTreeMap::new();
        for path in paths {
            if let Some((place, stored)) = self.tree.file(&ImagePath::from(*path)) {
                let wanted = layers.entry(stored.layer).or_default();
                wanted.entry((stored, place)).or_default().push(path);
            }
        }
        let mut found = BTreeMap::new();
        let limits = &mut limits;
        for (number, wanted) in layers {
            let own = number.checked_sub(self.blobs.len());
            match (
                self.blobs.get(number),
                own.and_then(|own| self.layers.get(own)),
            ) {
                (Some(record), _) => from_blob(record, &wanted, limits, store, &mut found)?,
                (None, Some(record)) => {
                    from_tar(&record.recipe, &wanted, limits, store, &mut found)?;
                    from_recipe(&record.recipe, &wanted, limits, store, &mut found)?;
                }
                (None, None) => {}
            }
        }
        Ok(found)
    }
}

fn from_blob<'a>(
    record: &BaseRecord,
    wanted: &Wanted<'a>,
    limits: &mut Limits,
    store: &Store,
    found: &mut Found<'a>,
) -> Result<()> {
    let path = record.located(store)?;
    let name = format!("{}: layer {}", record.path, record.blob.digest);
    let blob = open_stored(&path, record.offset, record.blob.size)?;
    let (_, reader) = decompress(blob).map_err(Error::io("read", &path))?;
    let mut archive = ArchiveReader::new(reader, name, DAMAGED);
    let mut left: usize = wanted.values().map(Vec::len).sum();
    while left > 0
        && let Some(entry) = archive.next_entry()?
    {
        if entry.kind != ArchiveEntryKind::File {
            continue;
        }
        let here = wanted
            .iter()
            .filter(|((stored, _), _)| stored.offset == entry.offset);
        let here: Vec<(&ImagePath, &Vec<&str>)> =
            here.map(|((_, place), paths)| (place, paths)).collect();
        let Some((place, _)) = here.first() else {
            continue;
        };
        let times = here.iter().map(|(_, paths)| paths.len()).sum();
        let content = read(&mut archive, entry.size, limits, times, place)?;
        add(found, &here, &entry.metadata(), content);
        left -= times;
    }
    Ok(())
}

fn from_tar<'a>(
    recipe: &Recipe,
    wanted: &Wanted<'a>,
    limits: &mut Limits,
    store: &Store,
    found: &mut Found<'a>,
) -> Result<()> {
    let Some(tar) = recipe.tar.as_ref().filter(|_| wanted.keys().any(is_in_tar)) else {
        return Ok(());
    };
    read_tar(recipe, tar, store, &mut |entry, mut content| {
        let here = wanted
            .iter()
            .filter(|((stored, _), _)| stored.offset == entry.offset);
        let here: Vec<(&ImagePath, &Vec<&str>)> =
            here.map(|((_, place), paths)| (place, paths)).collect();
        let Some((place, _)) = here
            .first()
            .filter(|_| entry.kind == ArchiveEntryKind::File)
        else {
            return Ok(());
        };
        let times = here.iter().map(|(_, paths)| paths.len()).sum();
        let content = read(&mut content, entry.size, limits, times, place)?;
        add(found, &here, &entry.metadata(), content);
        Ok(())
    })
}

fn from_recipe<'a>(
    recipe: &Recipe,
    wanted: &Wanted<'a>,
    limits: &mut Limits,
    store: &Store,
    found: &mut Found<'a>,
) -> Result<()> {
    if wanted.keys().all(is_in_tar) {
        return Ok(());
    }
    LayerTree::new(recipe, store)?.visit(&mut |entry| {
        let here = wanted
            .iter()
            .find(|(key, _)| !is_in_tar(key) && key.1.0 == entry.path);
        let (Some(((_, place), paths)), EntryKind::File(mut file)) = (here, entry.kind) else {
            return Ok(());
        };
        let content = read(&mut file.file, file.size, limits, paths.len(), place)?;
        add(found, &[(place, paths)], entry.metadata, content);
        Ok(())
    })
}

/// Whether a file of a layer that Strata made is in the tar that the layer has.
fn is_in_tar((stored, _): &(Stored, ImagePath)) -> bool {
    stored.offset != 0
}

/// What may be read.
struct Limits {
    /// The most bytes of a file.
    largest: u64,
    /// Whether of larger ones only so much is read; else they are an error.
    is_cut: bool,
    budget: Budget,
}

/// Adds a file that was found under each of the paths that mean it.
fn add<'a>(
    found: &mut Found<'a>,
    here: &[(&ImagePath, &Vec<&'a str>)],
    metadata: &Metadata,
    content: Vec<u8>,
) {
    let all = here.iter();
    let mut all = all.flat_map(|(place, paths)| paths.iter().map(move |path| (*place, *path)));
    let file = |place: &ImagePath, content| BaseFile {
        place: place.clone(),
        metadata: metadata.clone(),
        content,
    };
    let Some((first_place, first)) = all.next() else {
        return;
    };
    for (place, path) in all {
        found.insert(path, file(place, content.clone()));
    }
    found.insert(first, file(first_place, content));
}

/// Reads a file, which is kept `times` times.
fn read(
    reader: &mut impl Read,
    size: u64,
    limits: &mut Limits,
    times: usize,
    place: &ImagePath,
) -> Result<Vec<u8>> {
    let name = format!("/{place} of the base image");
    let largest = limits.largest;
    let size = if limits.is_cut {
        size.min(largest)
    } else {
        size
    };
    if size > largest {
        return Err(damaged(
            &name,
            &format!("{size} bytes, more than {largest}"),
        ));
    }
    let kept = usize::try_from(size).unwrap_or(usize::MAX);
    let counted = limits.budget.keep(kept.saturating_mul(times));
    counted.map_err(|message| damaged(&name, &message))?;
    // Memory is taken once, and not for as much again while it grows.
    let mut content = Vec::with_capacity(kept);
    reader
        .take(size)
        .read_to_end(&mut content)
        .map_err(|error| damaged(&name, &error.to_string()))?;
    Ok(content)
}
