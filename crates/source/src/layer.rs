//! What is in a layer that has to be read to know that.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read, Write};

use super::depth::Depth;
use strata_archive::{ArchiveEntry, ArchiveEntryKind};
use strata_contents::{
    FoundFile, FoundKind, FoundLayer, FoundPackage, HASH_LENGTH, MentionedHashes, Named, NarSize,
    References, named_by_config,
};
use strata_error::{Error, Result};
use strata_image::{LayerArchive, read_archive};
use strata_layer::Layer;
use strata_oci::{Config, Digest, Hasher, ImageConfig};
use strata_progress::Context;
use strata_tree::Budget;

/// The store directory in images of others. Whoever has another one has no packages here.
const STORE: &str = "nix/store/";
/// How much of a file is read at a time, in bytes.
const BUFFER: usize = 64 * 1024;
/// What a file takes in a list besides its path.
const FILE: usize = 2 * size_of::<FoundFile>();

/// What the history says of each of `count` layers, if it has an entry for each.
pub(super) fn history(config: &ImageConfig, count: usize) -> Vec<Option<String>> {
    let said: Vec<Option<String>> = config
        .layer_history()
        .map(|entry| entry.metadata.created_by.clone())
        .collect();
    if said.len() == count {
        said
    } else {
        vec![None; count]
    }
}

/// What the config names of what is in the layers.
pub(super) fn named(config: &Config, layers: &[FoundLayer]) -> Vec<Named> {
    let packages = layers.iter().flat_map(|layer| &layer.packages);
    let there: BTreeSet<&str> = packages.map(|package| package.path.as_str()).collect();
    let store = format!("/{}", STORE.trim_end_matches('/'));
    named_by_config(config, &store, &|path| there.contains(path))
}

/// Reads a layer: its files, and the store paths that they are of. They take a part of `budget`.
pub(super) fn read(
    layer: &dyn Layer,
    budget: &mut Budget,
    depth: Depth,
    context: Context<'_>,
) -> Result<FoundLayer> {
    let mut reading = Reading {
        depth,
        budget,
        packages: BTreeMap::new(),
        files: Vec::new(),
        sizes: BTreeMap::new(),
    };
    let advance = |_| context.check();
    read_archive(layer, &advance, &mut |archive| {
        while let Some(entry) = archive.next_entry()? {
            reading.entry(&entry, archive)?;
        }
        Ok(())
    })?;
    let Reading {
        packages, files, ..
    } = reading;
    let packages = packages.into_iter().map(|(path, package)| FoundPackage {
        path: format!("/{STORE}{path}"),
        size: package.size.bytes(),
        nar_hash: None,
        references: References::Hashes(package.hashes),
        to_root: false,
    });
    let descriptor = layer.descriptor();
    Ok(FoundLayer {
        digest: descriptor.digest,
        diff_id: layer.diff_id(),
        media_type: descriptor.media_type.clone(),
        size: descriptor.size,
        created_by: None,
        reason: None,
        is_base: false,
        packages: packages.collect(),
        files: Some(files),
    })
}

/// What was found in a layer that is the same when it is not compressed.
pub(super) fn again(found: &FoundLayer, layer: &dyn Layer) -> FoundLayer {
    let descriptor = layer.descriptor();
    FoundLayer {
        digest: descriptor.digest,
        media_type: descriptor.media_type.clone(),
        size: descriptor.size,
        ..found.clone()
    }
}

struct Reading<'a> {
    depth: Depth,
    /// What may be kept.
    budget: &'a mut Budget,
    /// By their names below the store directory.
    packages: BTreeMap<String, Package>,
    files: Vec<FoundFile>,
    /// What regular files have, for other names of them.
    sizes: BTreeMap<Vec<u8>, (u64, bool)>,
}

/// A store path, as far as it was read.
#[derive(Default)]
struct Package {
    size: NarSize,
    hashes: BTreeSet<String>,
}

impl Reading<'_> {
    fn entry(&mut self, entry: &ArchiveEntry, archive: &mut LayerArchive<'_>) -> Result<()> {
        let counted = self.budget.entries(1);
        let counted = counted.and_then(|()| self.budget.keep(FILE + 2 * entry.path.len()));
        counted.map_err(|message| archive.damaged(&message))?;
        let path = String::from_utf8_lossy(&entry.path).into_owned();
        let package = store_path(&path);
        let mut hashes = MentionedHashes::default();
        if let ArchiveEntryKind::Symlink(target) = &entry.kind {
            // Writing to it cannot fail.
            let _ = hashes.write_all(target);
        }
        let mut content = None;
        if entry.kind == ArchiveEntryKind::File {
            let wants_digest = self.depth == Depth::Files;
            if wants_digest || package.is_some() {
                let read = read_content(archive, &mut hashes, wants_digest);
                content = read.map_err(Error::stream("a layer"))?;
            }
            if package.is_some() {
                let is_executable = entry.mode & 0o100 != 0;
                self.sizes
                    .insert(entry.path.clone(), (entry.size, is_executable));
            }
        }
        if let Some((name, rest)) = package {
            self.add_to_package(name, rest, entry, hashes.take());
        }
        self.files.push(found(path, entry, content));
        Ok(())
    }

    fn add_to_package(
        &mut self,
        name: &str,
        rest: Option<&str>,
        entry: &ArchiveEntry,
        hashes: BTreeSet<String>,
    ) {
        let is_whiteout = rest
            .map_or(name, |rest| rest.rsplit('/').next().unwrap_or(rest))
            .starts_with(WHITEOUT);
        if is_whiteout {
            return;
        }
        let package = self.packages.entry(name.to_owned()).or_default();
        package.hashes.extend(hashes);
        if let Some(rest) = rest {
            let name = rest.rsplit('/').next().unwrap_or(rest);
            package.size.entry(name.len() as u64);
        }
        match &entry.kind {
            ArchiveEntryKind::Directory => package.size.directory(),
            ArchiveEntryKind::File => package.size.file(entry.size, entry.mode & 0o100 != 0),
            ArchiveEntryKind::Symlink(target) => package.size.symlink(target.len() as u64),
            ArchiveEntryKind::HardLink(target) => {
                let (size, is_executable) = self.sizes.get(target).copied().unwrap_or_default();
                package.size.file(size, is_executable);
            }
            // Nix stores none.
            ArchiveEntryKind::Special(_) => {}
        }
    }
}

/// What a whiteout begins with.
const WHITEOUT: &str = ".wh.";
/// The whiteout of all that is in its directory.
const OPAQUE: &str = ".wh..wh..opq";

/// The name of the store path that a path is in, and what follows it.
fn store_path(path: &str) -> Option<(&str, Option<&str>)> {
    let below = path.strip_prefix(STORE)?;
    let (name, rest) = match below.split_once('/') {
        Some((name, rest)) => (name, Some(rest)),
        None => (below, None),
    };
    let (hash, rest_of_name) = name.split_at_checked(HASH_LENGTH)?;
    let is_hash = hash
        .bytes()
        .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    (is_hash && rest_of_name.len() > 1 && rest_of_name.starts_with('-')).then_some((name, rest))
}

/// Reads the content of the last entry; gives its digest if that is wanted.
fn read_content(
    archive: &mut LayerArchive<'_>,
    mentioned: &mut MentionedHashes,
    wants_digest: bool,
) -> io::Result<Option<Digest>> {
    let mut hasher = wants_digest.then(Hasher::default);
    let mut buffer = vec![0; BUFFER];
    loop {
        let count = archive.read(&mut buffer)?;
        if count == 0 {
            break;
        }
        mentioned.write_all(&buffer[..count])?;
        if let Some(hasher) = &mut hasher {
            hasher.write_all(&buffer[..count])?;
        }
    }
    Ok(hasher.map(|hasher| hasher.finish().0))
}

fn found(path: String, entry: &ArchiveEntry, content: Option<Digest>) -> FoundFile {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (directory, name) = path.rsplit_once('/').unwrap_or(("", &path));
    let (path, kind) = match name.strip_prefix(WHITEOUT) {
        Some(_) if name == OPAQUE => (directory.to_owned(), FoundKind::Opaque),
        Some(hidden) => {
            let hidden = if directory.is_empty() {
                hidden.to_owned()
            } else {
                format!("{directory}/{hidden}")
            };
            (hidden, FoundKind::Whiteout)
        }
        None => {
            let kind = match &entry.kind {
                ArchiveEntryKind::Directory => FoundKind::Directory,
                ArchiveEntryKind::File => FoundKind::File,
                ArchiveEntryKind::Symlink(target) => FoundKind::Symlink(text(target)),
                ArchiveEntryKind::HardLink(target) => FoundKind::HardLink(text(target)),
                ArchiveEntryKind::Special(_) => FoundKind::Special,
            };
            (path, kind)
        }
    };
    FoundFile {
        path,
        kind,
        size: if entry.kind == ArchiveEntryKind::File {
            entry.size
        } else {
            0
        },
        mode: entry.mode,
        uid: entry.uid,
        gid: entry.gid,
        content,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn store_paths_are_known_by_their_hashes() {
        let name = format!("{}-a", "0".repeat(32));
        let path = format!("nix/store/{name}");
        assert_eq!(store_path(&path), Some((name.as_str(), None)));
        let below = format!("{path}/bin/a");
        assert_eq!(store_path(&below), Some((name.as_str(), Some("bin/a"))));
        for path in [
            "nix/store",
            "nix/store/.links",
            "etc/passwd",
            "nix/store/short-a/b",
        ] {
            assert_eq!(store_path(path), None);
        }
    }
}
