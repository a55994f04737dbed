//! Writes what is in a directory as a layer: what is remembered of its inodes, and only what changed since a base
//! was laid there.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Stat, statat};
use strata_archive::{ArchiveEntry, ArchiveEntryKind, ArchiveWriter, Special, WHITEOUT_PREFIX};
use strata_error::{Error, Result};

use crate::state::inode::{Found, InodeId, Inodes, Remembered, TYPE};
use crate::trace::tracee::found;

/// What entries have that nobody set something else for.
#[derive(Clone, Debug)]
pub struct Defaults {
    /// When everything was changed, in seconds since 1970.
    pub modified: u64,
    /// The owner's number.
    pub uid: u32,
    /// The group's number.
    pub gid: u32,
    /// The owner's name.
    pub uname: String,
    /// The group's name.
    pub gname: String,
}

/// What a directory had in it at some moment.
#[derive(Debug, Default)]
pub(crate) struct Snapshot {
    files: BTreeMap<Vec<u8>, Before>,
    inodes: Inodes,
    root_mode: u32,
}

/// A file as it was.
#[derive(Debug, PartialEq, Eq)]
struct Before {
    found: Found,
    /// When anything of the inode was changed, in seconds and nanoseconds.
    changed: (i64, u64),
}

impl Snapshot {
    /// What is in `root`, and what is remembered of it.
    pub(crate) fn of(root: &Path, inodes: &Inodes) -> Result<Self> {
        let mut snapshot = Self::empty(root)?;
        snapshot.inodes = inodes.clone();
        let mut add = |path: &[u8], stat: &Stat| {
            snapshot.files.insert(path.to_vec(), before(stat));
            Ok(())
        };
        walk(root, &mut Vec::new(), &mut add)?;
        Ok(snapshot)
    }

    /// Nothing that was in `root`.
    pub(crate) fn empty(root: &Path) -> Result<Self> {
        Ok(Self {
            root_mode: look(root, b"")?.st_mode,
            ..Self::default()
        })
    }
}

fn before(stat: &Stat) -> Before {
    Before {
        found: found(stat),
        changed: (stat.st_ctime, stat.st_ctime_nsec),
    }
}

fn full(root: &Path, path: &[u8]) -> PathBuf {
    match path {
        b"" => root.to_path_buf(),
        path => root.join(OsStr::from_bytes(path)),
    }
}

fn look(root: &Path, path: &[u8]) -> Result<Stat> {
    let path = full(root, path);
    statat(CWD, &path, AtFlags::SYMLINK_NOFOLLOW)
        .map_err(|error| Error::io("read", path)(error.into()))
}

/// Shows `visit` all that is in a directory, sorted, directories before what is in them.
fn walk(
    root: &Path,
    path: &mut Vec<u8>,
    visit: &mut dyn FnMut(&[u8], &Stat) -> Result<()>,
) -> Result<()> {
    let directory = full(root, path);
    let mut names = BTreeSet::new();
    for entry in fs::read_dir(&directory).map_err(Error::io("read", &directory))? {
        let entry = entry.map_err(Error::io("read", &directory))?;
        names.insert(entry.file_name().into_vec());
    }
    for name in names {
        let length = path.len();
        if length > 0 {
            path.push(b'/');
        }
        path.extend_from_slice(&name);
        let stat = look(root, path)?;
        visit(path, &stat)?;
        if stat.st_mode & TYPE == libc::S_IFDIR {
            walk(root, path, visit)?;
        }
        path.truncate(length);
    }
    Ok(())
}

/// Writes the layer; gives what could not be in it.
pub(crate) fn write(
    root: &Path,
    inodes: &Inodes,
    snapshot: &Snapshot,
    defaults: &Defaults,
    output: impl Write,
) -> Result<Vec<String>> {
    let mut now = BTreeMap::new();
    walk(root, &mut Vec::new(), &mut |path, stat| {
        now.insert(path.to_vec(), before(stat));
        Ok(())
    })?;
    let mut wanted = BTreeSet::new();
    for (path, file) in &now {
        if is_changed(path, file, inodes, snapshot) {
            want(&mut wanted, path);
        }
    }
    let whiteouts = whiteouts(&now, snapshot);
    for path in &whiteouts {
        want_parents(&mut wanted, path);
    }

    let mut writer = LayerWriter {
        root,
        inodes,
        defaults,
        archive: ArchiveWriter::new(output, "the layer"),
        links: BTreeMap::new(),
        left_out: Vec::new(),
    };
    let root_stat = look(root, b"")?;
    let root_found = found(&root_stat);
    if inodes.get(root_found.id) != snapshot.inodes.get(root_found.id)
        || root_found.mode != snapshot.root_mode
    {
        writer.entry(b".", &root_found, root_stat.st_size)?;
    }
    // By component, as `wanted` is sorted: a slash comes before every other byte of a name.
    let mut all: BTreeMap<Vec<&[u8]>, (&[u8], bool)> = BTreeMap::new();
    for path in &wanted {
        all.insert(components(path), (path, false));
    }
    for path in &whiteouts {
        all.insert(components(path), (path, true));
    }
    for (path, is_whiteout) in all.values() {
        if *is_whiteout {
            writer.whiteout(path)?;
        } else if let Some(file) = now.get(*path) {
            let size = if file.found.mode & TYPE == libc::S_IFREG {
                look(root, path)?.st_size
            } else {
                0
            };
            writer.entry(path, &file.found, size)?;
        }
    }
    writer.archive.finish()?;
    Ok(writer.left_out)
}

fn components(path: &[u8]) -> Vec<&[u8]> {
    path.split(|byte| *byte == b'/').collect()
}

fn parent(path: &[u8]) -> Option<&[u8]> {
    let slash = path.iter().rposition(|byte| *byte == b'/')?;
    Some(&path[..slash])
}

fn want(wanted: &mut BTreeSet<Vec<u8>>, path: &[u8]) {
    wanted.insert(path.to_vec());
    want_parents(wanted, path);
}

/// Directories that something is in are entries, since engines give those that are not a mode of their own.
fn want_parents(wanted: &mut BTreeSet<Vec<u8>>, path: &[u8]) {
    let mut path = path;
    while let Some(directory) = parent(path) {
        if !wanted.insert(directory.to_vec()) {
            break;
        }
        path = directory;
    }
}

fn is_changed(path: &[u8], file: &Before, inodes: &Inodes, snapshot: &Snapshot) -> bool {
    let Some(before) = snapshot.files.get(path) else {
        return true;
    };
    let id = file.found.id;
    if before.found.id != id || snapshot.inodes.get(id) != inodes.get(id) {
        return true;
    }
    if file.found.mode & TYPE == libc::S_IFDIR {
        // What is in it is compared by itself.
        before.found.mode != file.found.mode
    } else {
        before != file
    }
}

/// The paths of what is no more, of which the directory is still there.
fn whiteouts(now: &BTreeMap<Vec<u8>, Before>, snapshot: &Snapshot) -> Vec<Vec<u8>> {
    let is_directory = |path: &[u8]| {
        now.get(path)
            .is_some_and(|file| file.found.mode & TYPE == libc::S_IFDIR)
    };
    let gone = snapshot
        .files
        .keys()
        .filter(|path| !now.contains_key(*path) && parent(path).is_none_or(is_directory));
    gone.map(|path| {
        let (directory, name) = match parent(path) {
            Some(directory) => (directory, &path[directory.len() + 1..]),
            None => (&b""[..], &path[..]),
        };
        let name = [WHITEOUT_PREFIX, name].concat();
        match directory {
            b"" => name,
            directory => [directory, b"/", &name].concat(),
        }
    })
    .collect()
}

struct LayerWriter<'a, W> {
    root: &'a Path,
    inodes: &'a Inodes,
    defaults: &'a Defaults,
    archive: ArchiveWriter<W>,
    /// The first name of each inode that has several.
    links: BTreeMap<InodeId, Vec<u8>>,
    left_out: Vec<String>,
}

impl<W: Write> LayerWriter<'_, W> {
    fn entry(&mut self, path: &[u8], found: &Found, size: i64) -> Result<()> {
        let view = self.inodes.view(found);
        let remembered = self.inodes.get(found.id);
        let kind = match view.mode & TYPE {
            libc::S_IFDIR => ArchiveEntryKind::Directory,
            _ if let Some(first) = self.links.get(&found.id) => {
                ArchiveEntryKind::HardLink(first.clone())
            }
            libc::S_IFREG => ArchiveEntryKind::File,
            libc::S_IFLNK => {
                let path = full(self.root, path);
                let target = fs::read_link(&path).map_err(Error::io("read", path))?;
                ArchiveEntryKind::Symlink(target.into_os_string().into_vec())
            }
            libc::S_IFIFO => ArchiveEntryKind::Special(Special::Pipe),
            kind @ (libc::S_IFCHR | libc::S_IFBLK) => {
                let (major, minor) = (libc::major(view.device), libc::minor(view.device));
                ArchiveEntryKind::Special(match kind {
                    libc::S_IFCHR => Special::Character(major, minor),
                    _ => Special::Block(major, minor),
                })
            }
            _ => {
                let path = String::from_utf8_lossy(path);
                self.left_out
                    .push(format!("/{path} is a socket, which no layer has"));
                return Ok(());
            }
        };
        if found.links > 1 && kind != ArchiveEntryKind::Directory {
            self.links.entry(found.id).or_insert_with(|| path.to_vec());
        }
        let is_file = kind == ArchiveEntryKind::File;
        let (uid, uname) = owner(
            remembered.and_then(|remembered| remembered.uid),
            self.defaults.uid,
            &self.defaults.uname,
        );
        let (gid, gname) = owner(
            remembered.and_then(|remembered| remembered.gid),
            self.defaults.gid,
            &self.defaults.gname,
        );
        let entry = ArchiveEntry {
            path: path.to_vec(),
            kind,
            mode: view.mode & 0o7777,
            uid: u64::from(uid),
            gid: u64::from(gid),
            uname,
            gname,
            xattrs: remembered.map(xattrs).unwrap_or_default(),
            modified: self.defaults.modified,
            is_sparse: false,
            size: if is_file { size.cast_unsigned() } else { 0 },
            offset: 0,
        };
        if !is_file {
            return self.archive.copy(path, &entry, &mut io::empty());
        }
        let file = full(self.root, path);
        let opened = File::open(&file).map_err(Error::io("read", &file))?;
        let mut content = Named {
            file: opened,
            path: &file,
        };
        self.archive.copy(path, &entry, &mut content)
    }

    fn whiteout(&mut self, path: &[u8]) -> Result<()> {
        let entry = ArchiveEntry {
            path: path.to_vec(),
            kind: ArchiveEntryKind::File,
            mode: 0o444,
            uid: 0,
            gid: 0,
            uname: String::new(),
            gname: String::new(),
            xattrs: BTreeMap::new(),
            modified: self.defaults.modified,
            is_sparse: false,
            size: 0,
            offset: 0,
        };
        self.archive.copy(path, &entry, &mut io::empty())
    }
}

/// An owner with its name; of one that the script set no name is known.
fn owner(set: Option<u32>, default: u32, name: &str) -> (u32, String) {
    match set {
        None => (default, name.to_owned()),
        Some(id) if id == default => (id, name.to_owned()),
        Some(id) => (id, String::new()),
    }
}

fn xattrs(remembered: &Remembered) -> BTreeMap<String, Vec<u8>> {
    let names = remembered.xattrs.iter();
    let names = names
        .filter_map(|(name, value)| Some((String::from_utf8(name.clone()).ok()?, value.clone())));
    names.collect()
}

/// A file whose errors name it.
struct Named<'a> {
    file: File,
    path: &'a Path,
}

impl Read for Named<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let result = self.file.read(buffer);
        result.map_err(|error| io::Error::other(Error::io("read", self.path)(error)))
    }
}
