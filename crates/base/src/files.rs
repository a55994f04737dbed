//! Reading single files of a base image, which its layers hold.

use std::collections::BTreeMap;
use std::io::Read;

use super::Base;
use super::damaged::{DAMAGED, damaged};
use strata_archive::{ArchiveEntryKind, ArchiveReader, EntryKind, Metadata, decompress};
use strata_error::{Error, Result};
use strata_layer::{BaseRecord, open_stored};
use strata_nix::Store;
use strata_tree::{ImagePath, LayerTree, Recipe, Stored};

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
    /// have more than `largest` bytes. Each layer is read once at most.
    pub fn read_files<'a>(
        &self,
        paths: &[&'a str],
        largest: u64,
        store: &Store,
    ) -> Result<Found<'a>> {
        let mut layers: BTreeMap<usize, Wanted<'a>> = BTreeMap::new();
        for path in paths {
            if let Some((place, stored)) = self.tree.file(&ImagePath::from(*path)) {
                let wanted = layers.entry(stored.layer).or_default();
                wanted.entry((stored, place)).or_default().push(path);
            }
        }
        let mut found = BTreeMap::new();
        for (number, wanted) in layers {
            let own = number.checked_sub(self.blobs.len());
            match (
                self.blobs.get(number),
                own.and_then(|own| self.layers.get(own)),
            ) {
                (Some(record), _) => from_blob(record, &wanted, largest, store, &mut found)?,
                (None, Some(record)) => {
                    from_recipe(&record.recipe, &wanted, largest, store, &mut found)?;
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
    largest: u64,
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
        let mut content = None;
        for ((_, place), paths) in here {
            let content = match &content {
                Some(content) => content,
                None => content.insert(read(&mut archive, entry.size, largest, place)?),
            };
            add(found, paths, place, &entry.metadata(), content);
            left -= paths.len();
        }
    }
    Ok(())
}

fn from_recipe<'a>(
    recipe: &Recipe,
    wanted: &Wanted<'a>,
    largest: u64,
    store: &Store,
    found: &mut Found<'a>,
) -> Result<()> {
    LayerTree::new(recipe, store)?.visit(&mut |entry| {
        let here = wanted.iter().find(|((_, place), _)| place.0 == entry.path);
        let (Some(((_, place), paths)), EntryKind::File(mut file)) = (here, entry.kind) else {
            return Ok(());
        };
        let content = read(&mut file.file, file.size, largest, place)?;
        add(found, paths, place, entry.metadata, &content);
        Ok(())
    })
}

/// Adds a file that was found under each of the paths that mean it.
fn add<'a>(
    found: &mut Found<'a>,
    paths: &[&'a str],
    place: &ImagePath,
    metadata: &Metadata,
    content: &[u8],
) {
    for path in paths {
        let file = BaseFile {
            place: place.clone(),
            metadata: metadata.clone(),
            content: content.to_vec(),
        };
        found.insert(path, file);
    }
}

fn read(reader: &mut impl Read, size: u64, largest: u64, place: &ImagePath) -> Result<Vec<u8>> {
    let name = format!("/{place} of the base image");
    if size > largest {
        return Err(damaged(
            &name,
            &format!("{size} bytes, more than {largest}"),
        ));
    }
    let mut content = Vec::new();
    reader
        .take(size)
        .read_to_end(&mut content)
        .map_err(|error| damaged(&name, &error.to_string()))?;
    Ok(content)
}
