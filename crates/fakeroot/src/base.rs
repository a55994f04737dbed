//! Lays the layers of base images into a directory, and what is the image's own over them.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, SystemTime};

use nix::sched::{CloneFlags, unshare};
use nix::unistd::{chdir, chroot};
use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags, mknodat, openat2};
use strata_archive::{
    ArchiveEntry, ArchiveEntryKind, ArchiveReader, Special, WHITEOUT_PREFIX, decompress,
};
use strata_base::{Base, Selection};
use strata_error::{Error, Result};
use strata_layer::{BaseLayer, Layer, piped, write_layer};
use strata_nix::Store;

use crate::state::inode::{Found, InodeId, Inodes, PERMISSIONS, SET_ID};

/// What hides everything that layers below have in its directory (OCI layer.md, "Opaque Whiteout").
const OPAQUE: &[u8] = b".wh..wh..opq";
/// What the names of other things begin with that are for engines alone.
const ENGINES: &[u8] = b".wh..wh.";
/// What to do about a base that cannot be read.
const DAMAGED: &str = "build or fetch the base image again";

/// Lays the layers of an image over what is in `root`, and remembers what the file system cannot keep.
pub(crate) fn unpack(
    named: &str,
    architecture: &str,
    store: &Store,
    root: &Path,
    inodes: &mut Inodes,
) -> Result<()> {
    let base: Base = strata_base::read(named, &Selection::default(), architecture, store)?;
    for record in base.blobs {
        let path = record.located(store)?;
        let layer = BaseLayer { record, path };
        lay(named, root, inodes, |writer| layer.write_to(writer))?;
    }
    for record in &base.layers {
        lay(named, root, inodes, |writer| {
            write_layer(&record.recipe, store, writer).map(|_| ())
        })?;
    }
    Ok(())
}

/// Lays one layer. The thread that does has `root` as its `/`, so that no symlink leads out of it.
fn lay(
    named: &str,
    root: &Path,
    inodes: &mut Inodes,
    produce: impl FnOnce(&mut dyn io::Write) -> Result<()> + Send,
) -> Result<()> {
    let consume = |reader: &mut dyn Read| {
        let enter = unshare(CloneFlags::CLONE_FS)
            .and_then(|()| chroot(root))
            .and_then(|()| chdir("/"));
        enter.map_err(|error| Error::io("enter", root)(error.into()))?;
        let (_, reader) = decompress(reader).map_err(Error::io("read", named))?;
        let mut unpacker = Unpacker {
            inodes,
            own: BTreeSet::new(),
        };
        let mut archive = ArchiveReader::new(reader, format!("a layer of {named}"), DAMAGED);
        while let Some(entry) = archive.next_entry()? {
            unpacker.entry(&entry, &mut archive)?;
        }
        archive.drain()
    };
    let done = thread::scope(|scope| scope.spawn(|| piped(produce, consume)).join());
    match done {
        Ok(result) => result.map(|_| ()),
        Err(_) => Err(Error::Document {
            document: named.to_owned(),
            message: "the thread that unpacks it ended".to_owned(),
            hint: DAMAGED.to_owned(),
        }),
    }
}

struct Unpacker<'a> {
    inodes: &'a mut Inodes,
    /// What this layer brought.
    own: BTreeSet<PathBuf>,
}

impl Unpacker<'_> {
    fn entry(&mut self, entry: &ArchiveEntry, content: &mut dyn Read) -> Result<()> {
        let path = Path::new("/").join(OsStr::from_bytes(&entry.path));
        let (Some(directory), Some(name)) = (path.parent(), path.file_name()) else {
            self.remember(&path, entry)?;
            return set_mode(&path, entry.mode & PERMISSIONS);
        };
        if name.as_bytes().starts_with(WHITEOUT_PREFIX) {
            return self.whiteout(directory, name.as_bytes());
        }
        let path = make_directory(directory, self.inodes)?.join(name);
        self.make(&path, entry, content)?;
        self.own.insert(path);
        Ok(())
    }

    fn whiteout(&mut self, directory: &Path, name: &[u8]) -> Result<()> {
        let Ok(directory) = directory.canonicalize() else {
            return Ok(());
        };
        if name == OPAQUE {
            return self.remove_below(&directory);
        }
        match name.strip_prefix(WHITEOUT_PREFIX) {
            Some(hidden) if !name.starts_with(ENGINES) => {
                self.remove_lower(&directory.join(OsStr::from_bytes(hidden)))
            }
            _ => Ok(()),
        }
    }

    fn remove_below(&mut self, directory: &Path) -> Result<()> {
        for entry in fs::read_dir(directory).map_err(Error::io("read", directory))? {
            let entry = entry.map_err(Error::io("read", directory))?;
            self.remove_lower(&entry.path())?;
        }
        Ok(())
    }

    /// Removes what is of the layers below.
    fn remove_lower(&mut self, path: &Path) -> Result<()> {
        let Ok(found) = path.symlink_metadata() else {
            return Ok(());
        };
        if found.is_dir() {
            self.remove_below(path)?;
            let mut left = fs::read_dir(path).map_err(Error::io("read", path))?;
            if self.own.contains(path) || left.next().is_some() {
                return Ok(());
            }
        } else if self.own.contains(path) {
            return Ok(());
        }
        remove(path, self.inodes)
    }

    fn make(&mut self, path: &Path, entry: &ArchiveEntry, content: &mut dyn Read) -> Result<()> {
        let create = |error| Error::io("create", path)(error);
        let is_directory = entry.kind == ArchiveEntryKind::Directory;
        match path.symlink_metadata() {
            Ok(found) if is_directory && found.is_dir() => {}
            found => {
                if found.is_ok() {
                    remove(path, self.inodes)?;
                }
                match &entry.kind {
                    ArchiveEntryKind::Directory => fs::create_dir(path).map_err(create)?,
                    ArchiveEntryKind::Symlink(target) => {
                        symlink(OsStr::from_bytes(target), path).map_err(create)?;
                    }
                    ArchiveEntryKind::HardLink(target) => {
                        let target = Path::new("/").join(OsStr::from_bytes(target));
                        let target = no_last_symlink(&target);
                        return fs::hard_link(target, path).map_err(create);
                    }
                    ArchiveEntryKind::File => {
                        let mut file = File::create_new(path).map_err(create)?;
                        io::copy(&mut content.take(entry.size), &mut file)
                            .map_err(Error::io("write", path))?;
                        let modified =
                            SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(entry.modified));
                        if let Some(modified) = modified {
                            // A time that the file system has no room for is no loss.
                            let _ = file.set_modified(modified);
                        }
                    }
                    ArchiveEntryKind::Special(Special::Pipe) => {
                        mknodat(CWD, path, FileType::Fifo, Mode::RUSR, 0)
                            .map_err(|error| create(error.into()))?;
                    }
                    ArchiveEntryKind::Special(_) => {
                        File::create_new(path).map_err(create)?;
                    }
                }
            }
        }
        if !matches!(entry.kind, ArchiveEntryKind::Symlink(_)) {
            set_mode(path, entry.mode & PERMISSIONS)?;
        }
        self.remember(path, entry)
    }

    fn remember(&mut self, path: &Path, entry: &ArchiveEntry) -> Result<()> {
        let metadata = path.symlink_metadata().map_err(Error::io("read", path))?;
        let found = found(&metadata);
        self.inodes.forget(found.id);
        let number = |id: u64| u32::try_from(id).ok();
        if (entry.uid, entry.gid) != (0, 0) {
            let remembered = self.inodes.remember(found.id);
            (remembered.uid, remembered.gid) = (number(entry.uid), number(entry.gid));
        }
        if entry.mode & SET_ID != 0 {
            self.inodes.set_id(&found, entry.mode & SET_ID);
        }
        let device = match entry.kind {
            ArchiveEntryKind::Special(Special::Character(major, minor)) => {
                Some((libc::S_IFCHR, libc::makedev(major, minor)))
            }
            ArchiveEntryKind::Special(Special::Block(major, minor)) => {
                Some((libc::S_IFBLK, libc::makedev(major, minor)))
            }
            _ => None,
        };
        if device.is_some() {
            self.inodes.remember(found.id).device = device;
        }
        for (name, value) in &entry.xattrs {
            let xattrs = &mut self.inodes.remember(found.id).xattrs;
            xattrs.insert(name.clone().into_bytes(), value.clone());
        }
        Ok(())
    }
}

fn found(metadata: &fs::Metadata) -> Found {
    Found {
        id: InodeId {
            device: metadata.dev(),
            number: metadata.ino(),
        },
        mode: metadata.mode(),
        links: metadata.nlink(),
        device: metadata.rdev(),
    }
}

fn set_mode(path: &Path, mode: u32) -> Result<()> {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).map_err(Error::io("change", path))
}

/// The path without symlinks but for the one that it may lead to itself.
fn no_last_symlink(path: &Path) -> PathBuf {
    let directory = path
        .parent()
        .and_then(|directory| directory.canonicalize().ok());
    match (directory, path.file_name()) {
        (Some(directory), Some(name)) => directory.join(name),
        _ => path.to_path_buf(),
    }
}

/// Makes a directory with those that it is in; gives its path without symlinks. A file of a layer below that is in
/// the way goes.
fn make_directory(path: &Path, inodes: &mut Inodes) -> Result<PathBuf> {
    if let Err(error) = fs::create_dir_all(path) {
        let in_the_way = path.ancestors().find(|path| {
            let found = path.metadata();
            found.is_ok_and(|found| !found.is_dir())
        });
        let Some(in_the_way) = in_the_way else {
            return Err(Error::io("create", path)(error));
        };
        remove(in_the_way, inodes)?;
        fs::create_dir_all(path).map_err(Error::io("create", path))?;
    }
    path.canonicalize().map_err(Error::io("read", path))
}

/// Removes what is at a path with all that is in it, and forgets it.
fn remove(path: &Path, inodes: &mut Inodes) -> Result<()> {
    let metadata = path.symlink_metadata().map_err(Error::io("read", path))?;
    if metadata.is_dir() {
        for entry in fs::read_dir(path).map_err(Error::io("read", path))? {
            let entry = entry.map_err(Error::io("read", path))?;
            remove(&entry.path(), inodes)?;
        }
        fs::remove_dir(path).map_err(Error::io("remove", path))?;
    } else {
        fs::remove_file(path).map_err(Error::io("remove", path))?;
    }
    if metadata.is_dir() || metadata.nlink() == 1 {
        inodes.forget(found(&metadata).id);
    }
    Ok(())
}

/// Moves what is in the directory `own` into `to`, a directory of the root `root`, over what is there. A
/// directory of both is one, with the permissions that it has in `own`; one that is a symlink to a directory
/// there stays that.
pub(crate) fn merge(own: &Path, root: &Path, to: &Path, inodes: &mut Inodes) -> Result<()> {
    for entry in fs::read_dir(own).map_err(Error::io("read", own))? {
        let entry = entry.map_err(Error::io("read", own))?;
        let from = entry.path();
        let there = to.join(entry.file_name());
        let metadata = from.symlink_metadata().map_err(Error::io("read", &from))?;
        if metadata.is_dir() {
            if let Some(linked) = linked_directory(root, &there) {
                merge(&from, root, &linked, inodes)?;
                continue;
            }
            if there.symlink_metadata().is_ok_and(|there| there.is_dir()) {
                set_mode(&there, metadata.mode() & PERMISSIONS)?;
                merge(&from, root, &there, inodes)?;
                continue;
            }
        }
        if there.symlink_metadata().is_ok() {
            remove(&there, inodes)?;
        }
        fs::rename(&from, &there).map_err(Error::io("move", &from))?;
    }
    Ok(())
}

/// Where a symlink in the root leads, if that is a directory.
fn linked_directory(root: &Path, path: &Path) -> Option<PathBuf> {
    if !path.symlink_metadata().ok()?.is_symlink() {
        return None;
    }
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let handle = rustix::fs::open(root, flags, Mode::empty()).ok()?;
    let inside = path.strip_prefix(root).ok()?;
    let found = openat2(handle, inside, flags, Mode::empty(), ResolveFlags::IN_ROOT).ok()?;
    let number = std::os::fd::AsRawFd::as_raw_fd(&found);
    fs::read_link(format!("/proc/self/fd/{number}")).ok()
}
