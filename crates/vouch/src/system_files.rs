//! The lists of packages in the layers of a base image.

use std::collections::BTreeMap;
use std::io::{self, Read};

use strata_archive::{ArchiveEntryKind, ArchiveReader, decompress};
use strata_error::{Error, Result};
use strata_image::Image;
use strata_layer::{Layer, piped};
use strata_sbom::SYSTEM_FILES;

/// The most bytes of all lists together.
const LARGEST: u64 = 256 << 20;
/// What a name begins with that hides another (OCI layer.md, "Whiteouts"), and the one that hides a whole directory.
const WHITEOUT: &str = ".wh.";
const OPAQUE: &str = ".wh..opq";

/// The files by their paths, as the layers that Strata did not make leave them, and what those on top hide.
pub(super) fn read(image: &Image) -> Result<BTreeMap<String, Vec<u8>>> {
    let mut files = BTreeMap::new();
    for layer in &image.layers {
        match layer.recipe() {
            None => read_layer(layer.as_ref(), &mut files)?,
            Some(recipe) => {
                for hidden in &recipe.whiteouts {
                    let hidden = String::from_utf8_lossy(&hidden.0).into_owned();
                    hide(&mut files, &hidden);
                }
            }
        }
    }
    Ok(files)
}

fn read_layer(layer: &dyn Layer, files: &mut BTreeMap<String, Vec<u8>>) -> Result<()> {
    let name = format!("layer {}", layer.descriptor().digest);
    let consume = |blob: &mut dyn Read| {
        let (_, reader) = decompress(&mut *blob).map_err(Error::stream(&name))?;
        let mut archive = ArchiveReader::new(reader, &name, "build the image again");
        let mut found = Vec::new();
        let mut left = LARGEST;
        while let Some(entry) = archive.next_entry()? {
            let path = String::from_utf8_lossy(&entry.path).into_owned();
            let (directory, file) = path.rsplit_once('/').unwrap_or(("", &path));
            if file == OPAQUE {
                hide_below(files, directory);
            } else if let Some(hidden) = file.strip_prefix(WHITEOUT) {
                hide(
                    files,
                    format!("{directory}/{hidden}").trim_start_matches('/'),
                );
            } else if is_wanted(&path) && entry.kind == ArchiveEntryKind::File {
                if entry.size > left {
                    return Err(Error::Document {
                        document: format!("/{path} of the base image"),
                        message: format!("more than {LARGEST} bytes of lists of packages"),
                        hint: String::new(),
                    });
                }
                left -= entry.size;
                let mut bytes = Vec::new();
                archive
                    .by_ref()
                    .take(entry.size)
                    .read_to_end(&mut bytes)
                    .map_err(Error::stream(&name))?;
                found.push((path, bytes));
            }
        }
        files.extend(found);
        drop(archive);
        // Whoever writes the layer writes all of it.
        io::copy(blob, &mut io::sink()).map_err(Error::stream(&name))?;
        Ok(())
    };
    piped(|writer| layer.write_to(writer), consume).map(|((), ())| ())
}

fn is_wanted(path: &str) -> bool {
    SYSTEM_FILES
        .iter()
        .any(|wanted| match wanted.strip_suffix('/') {
            Some(_) => path.starts_with(wanted),
            None => path == *wanted,
        })
}

fn hide(files: &mut BTreeMap<String, Vec<u8>>, path: &str) {
    files.remove(path);
    hide_below(files, path);
}

fn hide_below(files: &mut BTreeMap<String, Vec<u8>>, directory: &str) {
    let below = format!("{directory}/");
    files.retain(|path, _| !path.starts_with(&below));
}
