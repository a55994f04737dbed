//! What the fuzz targets share: images made of bytes that nobody checked, read as a base is.

pub mod documents;

pub use strata_testing::bases;

use std::path::PathBuf;
use std::sync::OnceLock;

use strata_base::{Base, Selection};
use strata_base as base;
use strata_nix::Store;
use strata_tree::ImagePath;
use tempfile::TempDir;

/// The store path at which the base is.
const BASE: &str = "/nix/store/00000000000000000000000000000000-base";

/// A store of this process, in the directory for temporary files.
pub fn store() -> Store {
    static PLACE: OnceLock<TempDir> = OnceLock::new();
    let place = PLACE.get_or_init(|| tempfile::tempdir().unwrap());
    Store {
        dir: "/nix/store".to_owned(),
        location: place.path().to_owned(),
    }
}

/// Where the base is.
pub fn place() -> PathBuf {
    store().locate_below(BASE)
}

/// Reads what is there as a base, and looks around in it.
pub fn read() -> Option<Base> {
    let base = base::read(BASE, &Selection::default(), "amd64", &store()).ok()?;
    let paths = ["bin/sh", "etc/passwd", "etc/hard", "bin"];
    for path in paths {
        if let Ok(real) = base.tree.directory(&ImagePath::from(path)) {
            base.tree.at(&real);
        }
    }
    // What is not there, or is too large, is an error and no more.
    let _ = base.read_files(&paths, 4096, &store());
    Some(base)
}

/// Reads an archive as a base.
pub fn read_archive(bytes: &[u8]) -> Option<Base> {
    std::fs::write(place(), bytes).unwrap();
    read()
}

/// Makes the checksums of an archive's headers right, which hardly any change of a byte leaves so.
pub fn repair(bytes: &mut [u8]) {
    let mut position = 0;
    while let Some(block) = bytes.get_mut(position..position + 512) {
        let mut header = tar::Header::new_old();
        header.as_mut_bytes().copy_from_slice(block);
        if block.iter().all(|byte| *byte == 0) {
            return;
        }
        header.set_cksum();
        block.copy_from_slice(header.as_bytes());
        let size = header.entry_size().unwrap_or(0);
        let blocks = usize::try_from(size.div_ceil(512)).unwrap_or(usize::MAX);
        position = position.saturating_add(blocks.saturating_mul(512).saturating_add(512));
        if position >= bytes.len() {
            return;
        }
    }
}
