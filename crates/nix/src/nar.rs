//! Nix archives (NAR): the serialisation of a store path whose SHA-256 Nix records
//! (`src/libutil/archive.cc` of Nix; "Nix Archive format" in its manual).

use std::io::{Read, Write};
use std::path::Path;

use super::base32;
use crate::walk;
use crate::walk::{Kind, Visit};
use strata_error::{Error, Result};
use strata_oci::{Digest, Hasher};

/// The hash and size of a store path's archive, as Nix records them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NarInfo {
    /// `sha256:` and 52 characters of Nix's base 32.
    pub hash: String,
    /// Bytes.
    pub size: u64,
}

impl From<Hasher> for NarInfo {
    /// What a hasher says that [`write()`] wrote to.
    fn from(hasher: Hasher) -> Self {
        let (digest, size) = hasher.finish();
        let hash = format!("sha256:{}", base32::encode(digest.as_bytes()));
        Self { hash, size }
    }
}

/// The digest that Nix writes as `sha256:` and 52 characters of its base 32; none if it is something else.
pub fn hash_of(text: &str) -> Option<Digest> {
    let text = text.strip_prefix("sha256:")?;
    base32::decode::<32>(text).map(Digest::from_bytes)
}

/// Archives the file or directory at `path` and hashes the archive.
pub fn hash(path: &Path) -> Result<NarInfo> {
    let mut hasher = Hasher::default();
    write(path, &mut hasher)?;
    Ok(hasher.into())
}

/// Writes the archive of the file or directory at `path`.
pub fn write(path: &Path, writer: &mut dyn Write) -> Result<()> {
    let mut archive = Archive {
        writer,
        buffer: vec![0; 128 * 1024],
    };
    archive.text(b"nix-archive-1")?;
    walk::walk(path, &mut |visit| archive.node(&visit))
}

/// The size of an archive, computed while its files are visited, without reading them.
#[derive(Default)]
pub struct SizeCounter(u64);

impl SizeCounter {
    /// Counts what [`walk::walk`] shows; `size` is that of a regular file.
    pub fn count(&mut self, visit: &Visit<'_>, size: u64, executable: bool) {
        let texts = |texts: &[&[u8]]| {
            texts
                .iter()
                .map(|text| padded(text.len() as u64))
                .sum::<u64>()
        };
        let node = texts(&[b"(", b"type", b")"]);
        let entry = match visit.name() {
            _ if matches!(visit.kind, Kind::Leave) => 0,
            Some(name) => texts(&[b"entry", b"(", b"name", name, b"node", b")"]),
            None => texts(&[b"nix-archive-1"]),
        };
        self.0 += entry
            + match &visit.kind {
                Kind::Directory => node + texts(&[b"directory"]),
                Kind::Leave => 0,
                Kind::Symlink { target } => node + texts(&[b"symlink", b"target", target]),
                Kind::File(_) => {
                    let flag = if executable {
                        texts(&[b"executable", b""])
                    } else {
                        0
                    };
                    node + texts(&[b"regular", b"contents"]) + flag + padded(size)
                }
            };
    }

    /// The size so far, in bytes.
    pub fn total(&self) -> u64 {
        self.0
    }
}

/// The space that a text of `length` bytes takes: its length, itself, zeros to a multiple of 8.
fn padded(length: u64) -> u64 {
    8 + length.next_multiple_of(8)
}

struct Archive<'a> {
    writer: &'a mut dyn Write,
    buffer: Vec<u8>,
}

impl Archive<'_> {
    fn node(&mut self, visit: &Visit<'_>) -> Result<()> {
        if let Kind::Leave = visit.kind {
            self.text(b")")?;
            return self.end_of_entry(visit);
        }
        if let Some(name) = visit.name() {
            self.texts(&[b"entry", b"(", b"name", name, b"node"])?;
        }
        self.texts(&[b"(", b"type"])?;
        match &visit.kind {
            Kind::Directory => return self.text(b"directory"),
            Kind::Leave => {}
            Kind::Symlink { target } => self.texts(&[b"symlink", b"target", target])?,
            Kind::File(file) => {
                let mut opened = file.open()?;
                self.text(b"regular")?;
                if opened.executable {
                    self.texts(&[b"executable", b""])?;
                }
                self.text(b"contents")?;
                self.bytes(&opened.size.to_le_bytes())?;
                let mut left = opened.size;
                while left > 0 {
                    let wanted = self
                        .buffer
                        .len()
                        .min(usize::try_from(left).unwrap_or(usize::MAX));
                    let count = opened
                        .file
                        .read(&mut self.buffer[..wanted])
                        .map_err(Error::io("read", visit.path()))?;
                    if count == 0 {
                        return Err(walk::changed(&visit.path()));
                    }
                    self.writer
                        .write_all(&self.buffer[..count])
                        .map_err(nar_error)?;
                    left -= count as u64;
                }
                self.pad(opened.size)?;
            }
        }
        self.text(b")")?;
        self.end_of_entry(visit)
    }

    /// Closes the `entry` around a node, which the root has not.
    fn end_of_entry(&mut self, visit: &Visit<'_>) -> Result<()> {
        if visit.name().is_some() {
            self.text(b")")
        } else {
            Ok(())
        }
    }

    fn texts(&mut self, texts: &[&[u8]]) -> Result<()> {
        texts.iter().try_for_each(|text| self.text(text))
    }

    fn text(&mut self, text: &[u8]) -> Result<()> {
        self.bytes(&(text.len() as u64).to_le_bytes())?;
        self.bytes(text)?;
        self.pad(text.len() as u64)
    }

    fn pad(&mut self, length: u64) -> Result<()> {
        let missing = length.next_multiple_of(8) - length;
        self.bytes(&[0; 8][..usize::try_from(missing).unwrap_or(0)])
    }

    fn bytes(&mut self, bytes: &[u8]) -> Result<()> {
        self.writer.write_all(bytes).map_err(nar_error)
    }
}

fn nar_error(source: std::io::Error) -> Error {
    Error::Stream {
        what: "a Nix archive".into(),
        source,
    }
}
