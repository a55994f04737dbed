//! Where an image is: a directory, or a file that is a tar archive, as it is or compressed.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::bounds::{LARGEST_DOCUMENT, MOST_DOCUMENTS, MOST_LINKS, MOST_MEMBERS};
use super::damaged::{DAMAGED, damaged};
use strata_archive::{
    ArchiveEntryKind, ArchiveReader, clean_path, foreign_compression, open_archive,
};
use strata_error::{Error, Result};
use strata_nix::Store;
use strata_tree::Budget;

/// What holds the documents and blobs of an image.
pub(super) struct ImageSource {
    /// The path as the user gave it, at or below a store path.
    pub(super) named: String,
    /// Where that is.
    pub(super) located: PathBuf,
    form: Form,
}

enum Form {
    /// A directory, and the store that its symlinks must not lead out of.
    Directory { store: PathBuf },
    /// An archive.
    Archive { members: Members },
}

/// What a member takes in the list besides what is said of it.
const MEMBER: usize = 2 * size_of::<(Vec<u8>, Member)>();

type Members = BTreeMap<Vec<u8>, Member>;

/// Where a blob is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct BlobLocation {
    /// Where the file is.
    pub(super) located: PathBuf,
    /// Where the blob begins in the file, when it is decompressed; none if it is the file.
    pub(super) offset: Option<u64>,
    /// The blob's length in bytes.
    pub(super) size: u64,
    /// The file, as the user would name it.
    pub(super) named: String,
}

/// A file in an archive.
#[derive(Debug, PartialEq, Eq)]
struct StoredFile {
    offset: u64,
    size: u64,
    /// Of documents in compressed archives, which cannot be read at random.
    content: Option<Vec<u8>>,
}

/// A member of an archive.
#[derive(Debug, PartialEq, Eq)]
enum Member {
    Directory,
    File(StoredFile),
    /// Another member's name.
    Link(Vec<u8>),
}

impl ImageSource {
    /// Opens what `named` is; of an archive the list of members is read.
    pub(super) fn open(named: &str, store: &Store, budget: &mut Budget) -> Result<Self> {
        let located = store.locate_inside(named);
        let located = located.map_err(|message| damaged("the base image", &message))?;
        Self::open_at(named, located, &store.location, budget)
    }

    /// Opens what is at `located`. Symlinks in a directory must not lead out of `root`.
    pub(super) fn open_at(
        named: &str,
        located: PathBuf,
        root: &Path,
        budget: &mut Budget,
    ) -> Result<Self> {
        let metadata = located.metadata().map_err(Error::io("read", &located))?;
        let form = if metadata.is_dir() {
            let store = root.canonicalize().map_err(Error::io("read", root))?;
            Form::Directory { store }
        } else if metadata.is_file() {
            let file = File::open(&located).map_err(Error::io("open", &located))?;
            let mut file = BufReader::new(file);
            let start = file.fill_buf().map_err(Error::io("read", &located))?;
            if start.starts_with(b"#!") {
                return Err(is_script(named));
            }
            let packer = foreign_compression(start);
            if let Some((name, program)) =
                packer.filter(|(name, _)| !["xz", "bzip2"].contains(name))
            {
                return Err(is_packed(named, name, program));
            }
            let members = list(file, named, budget)?;
            Form::Archive { members }
        } else {
            return Err(damaged(named, "neither a file nor a directory"));
        };
        Ok(Self {
            named: named.to_owned(),
            located,
            form,
        })
    }

    /// Whether this is a directory.
    pub(super) fn is_directory(&self) -> bool {
        matches!(self.form, Form::Directory { .. })
    }

    /// Where the file `name` is; none if there is none.
    pub(super) fn find(&self, name: &str) -> Result<Option<BlobLocation>> {
        match &self.form {
            Form::Directory { store } => self.find_in_directory(name, store),
            Form::Archive { members } => {
                let member = self.member(members, name)?;
                Ok(member.map(|file| BlobLocation {
                    named: self.named.clone(),
                    located: self.located.clone(),
                    offset: Some(file.offset),
                    size: file.size,
                }))
            }
        }
    }

    /// The content of the file `name`, a document; none if there is none.
    pub(super) fn document(&self, name: &str) -> Result<Option<Vec<u8>>> {
        if let Form::Archive { members } = &self.form
            && let Some(file) = self.member(members, name)?
            && file.content.is_some()
        {
            return Ok(file.content.clone());
        }
        let Some(place) = self.find(name)? else {
            return Ok(None);
        };
        let document = self.name_of(name);
        if place.size > LARGEST_DOCUMENT {
            let size = place.size;
            return Err(damaged(
                &document,
                &format!("{size} bytes, more than {LARGEST_DOCUMENT} of a document"),
            ));
        }
        let mut bytes = Vec::new();
        strata_layer::open_stored(&place.located, place.offset, place.size)?
            .read_to_end(&mut bytes)
            .map_err(|error| damaged(&document, &error.to_string()))?;
        if bytes.len() as u64 != place.size {
            return Err(damaged(&document, "ends too early"));
        }
        Ok(Some(bytes))
    }

    /// What a member is called in errors.
    pub(super) fn name_of(&self, name: &str) -> String {
        match self.form {
            Form::Directory { .. } => format!("{}/{name}", self.named),
            Form::Archive { .. } => format!("{}: {name}", self.named),
        }
    }

    fn find_in_directory(&self, name: &str, store: &Path) -> Result<Option<BlobLocation>> {
        let error = |message: &str| damaged(&self.name_of(name), message);
        let clean = clean_path(name.as_bytes()).map_err(error)?;
        let located = self.located.join(OsStr::from_bytes(&clean));
        let Ok(canonical) = located.canonicalize() else {
            return Ok(None);
        };
        if !canonical.starts_with(store) {
            return Err(error("a symlink that leads out of the store"));
        }
        let metadata = canonical.metadata().map_err(Error::io("read", &located))?;
        if !metadata.is_file() {
            return Err(error("not a regular file"));
        }
        Ok(Some(BlobLocation {
            named: format!("{}/{}", self.named, String::from_utf8_lossy(&clean)),
            located,
            offset: None,
            size: metadata.len(),
        }))
    }

    /// A file in the archive, through its links.
    fn member<'a>(&self, members: &'a Members, name: &str) -> Result<Option<&'a StoredFile>> {
        let error = |message: &str| damaged(&self.name_of(name), message);
        let mut path = &clean_path(name.as_bytes()).map_err(error)?;
        for _ in 0..MOST_LINKS {
            match members.get(path) {
                None if path.as_slice() == name.as_bytes() => return Ok(None),
                None => return Err(error("a link to what is not there")),
                Some(Member::Directory) => return Err(error("a directory, not a file")),
                Some(Member::File(file)) => return Ok(Some(file)),
                Some(Member::Link(target)) => path = target,
            }
        }
        Err(error("a link that leads to itself"))
    }
}

fn is_script(named: &str) -> Error {
    Error::Document {
        document: named.to_owned(),
        message: "a script, not an image".to_owned(),
        hint: "give the archive: dockerTools.buildLayeredImage instead of streamLayeredImage"
            .to_owned(),
    }
}

fn is_packed(named: &str, name: &str, program: &str) -> Error {
    Error::Document {
        document: named.to_owned(),
        message: format!("compressed with {name}, which Strata does not read"),
        hint: format!(
            "unpack it before it is the base: {program} < {named} > base.tar; or compress it with gzip or zstd"
        ),
    }
}

/// Lists the members of an archive, of which `document` is the name in errors.
fn list(reader: impl Read, document: &str, budget: &mut Budget) -> Result<Members> {
    let (is_packed, reader) =
        open_archive(reader).map_err(|error| damaged(document, &error.to_string()))?;
    let mut archive = ArchiveReader::new(reader, document, DAMAGED);
    let mut members = BTreeMap::new();
    let mut kept = 0;
    while let Some(entry) = archive.next_entry()? {
        let size = MEMBER + entry.size_in_memory();
        let counted = budget.keep(size);
        counted.map_err(|message| archive.damaged(&message))?;
        let member = match entry.kind {
            ArchiveEntryKind::Directory => Member::Directory,
            ArchiveEntryKind::File => {
                let may_keep = is_packed
                    && entry.size <= LARGEST_DOCUMENT
                    && kept + entry.size <= MOST_DOCUMENTS;
                let content = if may_keep {
                    read_document(&mut archive)?
                } else {
                    None
                };
                let length = content.as_ref().map_or(0, Vec::len);
                // A vector may have room for twice what is in it.
                let counted = budget.keep(2 * length);
                counted.map_err(|message| archive.damaged(&message))?;
                kept += length as u64;
                Member::File(StoredFile {
                    offset: entry.offset,
                    size: entry.size,
                    content,
                })
            }
            ArchiveEntryKind::HardLink(target) => Member::Link(target),
            ArchiveEntryKind::Symlink(target) => Member::Link(
                resolve(&entry.path, &target).map_err(|message| archive.damaged(&message))?,
            ),
            ArchiveEntryKind::Special(_) => {
                return Err(archive.damaged(&"a device or pipe, which no image has"));
            }
        };
        let is_directory = member == Member::Directory;
        if members.insert(entry.path, member).is_some() && !is_directory {
            return Err(archive.damaged(&"there are two of this name"));
        }
        if members.len() > MOST_MEMBERS {
            return Err(archive.damaged(&format!("more than {MOST_MEMBERS} files")));
        }
    }
    archive.drain()?;
    Ok(members)
}

/// The content of the last entry if it begins like a document.
fn read_document<R: Read>(archive: &mut ArchiveReader<R>) -> Result<Option<Vec<u8>>> {
    let mut content = Vec::new();
    let mut read = |limit: u64| {
        let result = archive.by_ref().take(limit).read_to_end(&mut content);
        match result {
            Ok(_) => Ok(content.first().is_some_and(|first| b"[{".contains(first))),
            Err(error) => Err(archive.damaged(&error)),
        }
    };
    let is_document = read(1)? && read(LARGEST_DOCUMENT)?;
    Ok(is_document.then_some(content))
}

/// The path that a symlink at `path` means.
fn resolve(path: &[u8], target: &[u8]) -> Result<Vec<u8>, &'static str> {
    if target.starts_with(b"/") {
        return Err("a symlink that leads out of the archive");
    }
    let mut names: Vec<&[u8]> = path.split(|byte| *byte == b'/').collect();
    names.pop();
    for name in target.split(|byte| *byte == b'/') {
        match name {
            b"" | b"." => {}
            b".." => {
                names
                    .pop()
                    .ok_or("a symlink that leads out of the archive")?;
            }
            name => names.push(name),
        }
    }
    Ok(names.join(&b'/'))
}

/// Lists an archive in memory, for tests and fuzzing: whether it is one.
pub fn is_archive(bytes: &[u8]) -> Result<()> {
    list(bytes, "archive", &mut Budget::default()).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn symlinks_stay_in_the_archive() {
        for (path, target, expected) in [
            ("id/layer.tar", "../other/layer.tar", Ok("other/layer.tar")),
            ("id/layer.tar", ".././/a.tar", Ok("a.tar")),
            ("a", "b", Ok("b")),
            ("id/layer.tar", "../../x", Err(())),
            ("a", "/etc/passwd", Err(())),
        ] {
            let resolved = resolve(path.as_bytes(), target.as_bytes());
            let expected = expected.map(|path| path.as_bytes().to_vec());
            assert_eq!(resolved.map_err(|_| ()), expected, "{path} {target}");
        }
    }
}
