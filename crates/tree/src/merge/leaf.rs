//! Files and symlinks at one path, and in what they differ.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::path::ImagePath;
use crate::rules::{Changes, EntryType};
use strata_archive::{Metadata, Mode, Special};
use strata_error::{Error, Result};
use strata_nix::walk::{self, Kind};

/// A file or symlink of a source.
pub(super) struct Leaf {
    pub(super) metadata: Metadata,
    pub(super) content: Content,
}

/// What is in it.
#[derive(PartialEq)]
pub(super) enum Content {
    /// Where a symlink points.
    Symlink(Vec<u8>),
    /// The size of a file in bytes, and where it is.
    File { size: u64, path: PathBuf },
    /// The file that it is another name of.
    HardLink(ImagePath),
    /// A device or pipe.
    Special(Special),
    /// Nothing: another file will be mounted there.
    Empty,
}

/// Reads the file or symlink at `file`, for which `changes` are set; `mode` is that of a file, which may be executable,
/// if they say nothing of it.
pub(super) fn read(file: &Path, changes: &Changes, mode: impl Fn(bool) -> Mode) -> Result<Leaf> {
    let mut leaf = None;
    walk::walk(file, &mut |found| {
        let (content, metadata) = match &found.kind {
            Kind::Directory | Kind::Leave => return Ok(()),
            Kind::Symlink { target } => (
                Content::Symlink(target.to_vec()),
                changes.apply(Mode::SYMLINK, EntryType::Symlink),
            ),
            Kind::File(regular) => {
                let (size, executable) = regular.stat()?;
                let path = file.to_path_buf();
                let metadata = changes.apply(mode(executable), EntryType::File);
                (Content::File { size, path }, metadata)
            }
        };
        leaf = Some(Leaf { metadata, content });
        Ok(())
    })?;
    leaf.ok_or_else(|| walk::changed(file))
}

/// In what two leaves at one path differ.
pub(super) fn difference(first: &Leaf, second: &Leaf) -> Result<Option<&'static str>> {
    let same = match (&first.content, &second.content) {
        (
            Content::File { size, path },
            Content::File {
                size: other_size,
                path: other_path,
            },
        ) => size == other_size && same_bytes(path, other_path)?,
        (one, other) => one == other,
    };
    if !same {
        return Ok(Some("its content"));
    }
    Ok((first.metadata != second.metadata).then_some("its mode or owner"))
}

fn same_bytes(one: &Path, other: &Path) -> Result<bool> {
    let open = |path: &Path| std::fs::File::open(path).map_err(Error::io("open", path));
    let mut one_file = io::BufReader::with_capacity(64 * 1024, open(one)?);
    let mut other_file = io::BufReader::with_capacity(64 * 1024, open(other)?);
    let mut buffers = [[0_u8; 8192], [0_u8; 8192]];
    let [left, right] = &mut buffers;
    loop {
        let count = one_file.read(left).map_err(Error::io("read", one))?;
        if count == 0 {
            return Ok(other_file.read(right).map_err(Error::io("read", other))? == 0);
        }
        match other_file.read_exact(&mut right[..count]) {
            Ok(()) if left[..count] == right[..count] => {}
            Ok(()) => return Ok(false),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(false),
            Err(error) => return Err(Error::io("read", other)(error)),
        }
    }
}
