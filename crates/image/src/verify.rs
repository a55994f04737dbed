//! Comparing a layer with the store that it is made from.

use std::io::{self, Write};
use std::path::Path;

use strata_archive::write_error;
use strata_error::{Error, Result};
use strata_layer::Layer;
use strata_nix::nar;
use strata_nix::nar::NarInfo;
use strata_oci::Hasher;
use strata_tree::Source;

/// Makes a layer again and archives each of its store paths; gives everything that is not as it was
/// when the image was built. `name` is what findings call the layer.
///
/// `advance` is told how many bytes more were read, each store path once for its archive and the
/// layer once; its error ends the work and is the only one that this function returns.
pub fn verify_layer(
    layer: &dyn Layer,
    name: &str,
    advance: &dyn Fn(u64) -> Result<()>,
) -> Result<Vec<Error>> {
    let mut findings = Vec::new();
    for source in layer.recipe().iter().flat_map(|recipe| &recipe.sources) {
        findings.extend(verify_source(source, name, advance)?);
    }
    let mut writer = Counted {
        writer: io::sink(),
        advance,
    };
    let Err(error) = layer.write_to(&mut writer) else {
        return Ok(findings);
    };
    match error {
        Error::Interrupted => return Err(error),
        error if findings.is_empty() => findings.push(error),
        // The store paths are named already.
        Error::Mismatch {
            expected, found, ..
        } => findings.push(Error::Mismatch {
            what: name.to_owned(),
            expected,
            found,
            hint: String::new(),
        }),
        _ => {}
    }
    Ok(findings)
}

fn verify_source(
    source: &Source,
    layer: &str,
    advance: &dyn Fn(u64) -> Result<()>,
) -> Result<Option<Error>> {
    let mut writer = Counted {
        writer: Hasher::default(),
        advance,
    };
    let found = match nar::write(Path::new(&source.store_path), &mut writer) {
        Ok(()) => NarInfo::from(writer.writer).hash,
        Err(Error::Stream { what, source }) => match write_error(&what)(source) {
            Error::Interrupted => return Err(Error::Interrupted),
            error => error.to_string(),
        },
        Err(error) => error.to_string(),
    };
    let differs = found != source.nar_hash;
    Ok(differs.then(|| Error::Mismatch {
        what: format!("{layer}: store path {}", source.store_path),
        expected: source.nar_hash.clone(),
        found,
        hint: format!(
            "repair it with `nix-store --repair-path {}`",
            source.store_path
        ),
    }))
}

/// A writer that tells how much goes through it.
struct Counted<'a, W> {
    writer: W,
    advance: &'a dyn Fn(u64) -> Result<()>,
}

impl<W: Write> Write for Counted<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.writer.write(bytes)?;
        (self.advance)(count as u64).map_err(io::Error::other)?;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}
