//! Images of engines, by the archives that they write.

use std::io::{BufWriter, Write};
use std::sync::Arc;

use super::image::SourceImage;
use super::stored;
use super::wrong::wrong;
use strata_engine::{docker, podman};
use strata_error::{Error, Result};
use strata_oci::Reference;
use strata_progress::Context;

/// The name of the archive in its directory.
const ARCHIVE: &str = "image.tar";

/// An image of a Docker engine.
pub(super) fn docker(
    name: &str,
    options: &docker::Options,
    context: Context<'_>,
) -> Result<Vec<SourceImage>> {
    check(name, "docker-daemon:")?;
    in_archive(|file| {
        let created = std::fs::File::create(file).map_err(Error::io("create", file))?;
        let mut writer = BufWriter::new(created);
        docker::save(name, options, &mut writer, context)?;
        writer.flush().map_err(Error::io("write", file))
    })
}

/// An image of podman.
pub(super) fn podman(name: &str, context: Context<'_>) -> Result<Vec<SourceImage>> {
    check(name, "containers-storage:")?;
    in_archive(|file| podman::save(name, file, context))
}

/// Refuses what could be no name, or a flag of another program.
fn check(name: &str, transport: &str) -> Result<()> {
    let is_id = name.len() >= 12 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_id || Reference::parse(name).is_ok() {
        return Ok(());
    }
    Err(wrong(
        &format!("{transport}{name}"),
        "no name of an image",
        &format!("write {transport}NAME[:TAG]"),
    ))
}

/// The images in an archive that `write` writes, and that is there as long as they are.
fn in_archive(write: impl FnOnce(&std::path::Path) -> Result<()>) -> Result<Vec<SourceImage>> {
    let directory = tempfile::tempdir().map_err(Error::io("create", std::env::temp_dir()))?;
    let file = directory.path().join(ARCHIVE);
    write(&file)?;
    stored::open(&file, None, Some(&Arc::new(directory)))
}
