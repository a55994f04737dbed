//! Files in the store that mention store paths.

use std::io::Read;
use std::path::Path;

use strata_contents::{HASH_LENGTH, Mention, mentions};
use strata_error::{Error, Result};
use strata_nix::Store;
use strata_nix::walk::{Kind, OpenFile, open_regular, walk};
use strata_progress::Context;

/// Of larger files, only so many bytes are looked at.
const LARGEST: u64 = 1 << 30;

/// A file that mentions a store path.
#[derive(Debug)]
pub struct Mentioning {
    /// The file, with its whole path.
    pub file: String,
    /// Where, the first places; of a symlink, where it points.
    pub mentions: Vec<Mention>,
}

/// The files of the store path `from`, or the only one that it is, that mention `to`; of each the first `most` places.
pub fn mentioning(
    store: &Store,
    from: &str,
    to: &str,
    most: usize,
    context: Context<'_>,
) -> Result<Vec<Mentioning>> {
    let Some(hash) = hash_of(to) else {
        return Ok(Vec::new());
    };
    let located = store
        .locate_inside(from)
        .map_err(|message| not_there(from, &message))?;
    if located.symlink_metadata().is_err() {
        return Err(not_there(from, "it is not on this machine"));
    }
    let mut found = Vec::new();
    let mut add = |relative: &[u8], bytes: &[u8]| {
        let mentions = mentions(bytes, hash, most);
        if !mentions.is_empty() {
            let relative = String::from_utf8_lossy(relative);
            let slash = if relative.is_empty() { "" } else { "/" };
            found.push(Mentioning {
                file: format!("{from}{slash}{relative}"),
                mentions,
            });
        }
    };
    walk(&located, &mut |visit| {
        context.check()?;
        match &visit.kind {
            Kind::Symlink { target } => add(visit.relative, target),
            Kind::File(file) => add(visit.relative, &read(file.open()?, &visit.path())?),
            Kind::Directory | Kind::Leave => {}
        }
        Ok(())
    })?;
    Ok(found)
}

/// What one file, `path`, which lies in the store, mentions of store paths with these full names.
pub fn mentioned_by<'a>(
    store: &Store,
    path: &str,
    others: impl Iterator<Item = &'a str>,
    most: usize,
) -> Result<Vec<(&'a str, Vec<Mention>)>> {
    let located = store
        .locate_inside(path)
        .map_err(|message| not_there(path, &message))?;
    let about = located.symlink_metadata();
    let about = about.map_err(|_| not_there(path, "it is not on this machine"))?;
    let bytes = if about.is_symlink() {
        let target = std::fs::read_link(&located).map_err(Error::io("read", &located))?;
        target.to_string_lossy().into_owned().into_bytes()
    } else if about.is_file() {
        read(open_regular(&located)?, &located)?
    } else {
        return Ok(Vec::new());
    };
    let found = others.filter_map(|other| {
        let mentions = mentions(&bytes, hash_of(other)?, most);
        (!mentions.is_empty()).then_some((other, mentions))
    });
    Ok(found.collect())
}

fn read(file: OpenFile, path: &Path) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = file.file.take(LARGEST).read_to_end(&mut bytes);
    read.map_err(Error::io("read", path))?;
    Ok(bytes)
}

fn hash_of(path: &str) -> Option<&str> {
    path.rsplit_once('/')?.1.get(..HASH_LENGTH)
}

fn not_there(path: &str, message: &str) -> Error {
    Error::Document {
        document: path.to_owned(),
        message: format!("cannot be looked into: {message}"),
        hint: format!("bring it here: nix-store --realise {path}"),
    }
}
