//! Comparing the layers of an image with the store that they are made from, and with the layers below them.

use std::io::{self, Write};
use std::path::Path;

use super::replay::{self, Tree};
use strata_archive::write_error;
use strata_error::{Error, Result};
use strata_layer::Layer;
use strata_nix::nar;
use strata_nix::nar::NarInfo;
use strata_oci::Hasher;
use strata_tree::{Budget, Recipe, StoreContent, SymlinksBelow};

/// The layers of one image, lowest first, as they are verified.
#[derive(Default)]
pub struct Verification {
    tree: Tree,
    budget: Budget,
    /// Why no more layers are laid over those before, and whether that is told already.
    stopped: Option<Stopped>,
}

enum Stopped {
    /// A layer could not be made or laid, which is among the findings.
    Told,
    /// The layers have too much in them.
    TooMuch(String),
}

impl Verification {
    /// Makes the next layer again, archives each of its store paths, and lays it over the layers before
    /// it; gives everything that is not as it was when the image was built, or that engines do not lay
    /// alike. `name` is what findings call the layer.
    ///
    /// `advance` is told how many bytes more were read, each store path once for its archive and the
    /// layer once; its error ends the work and is the only one that this function returns.
    pub fn verify(
        &mut self,
        layer: &dyn Layer,
        name: &str,
        advance: &dyn Fn(u64) -> Result<()>,
    ) -> Result<Vec<Error>> {
        let mut findings = Vec::new();
        let recipes = layer.recipe().into_iter();
        for content in recipes.flat_map(Recipe::store_contents) {
            findings.extend(verify_content(&content, name, advance)?);
        }
        let Err(error) = self.lay(layer, name, advance) else {
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

    /// Makes a layer that was verified in another image, and lays it over the layers before it.
    pub fn lay(
        &mut self,
        layer: &dyn Layer,
        name: &str,
        advance: &dyn Fn(u64) -> Result<()>,
    ) -> Result<()> {
        let result = self.make_and_lay(layer, name, advance);
        if result.is_err() {
            self.stopped = Some(Stopped::Told);
        }
        result
    }

    /// Why some layers were not laid over others, if that is no finding.
    pub fn unchecked(&self) -> Option<&str> {
        match &self.stopped {
            Some(Stopped::TooMuch(message)) => Some(message),
            Some(Stopped::Told) | None => None,
        }
    }

    fn make_and_lay(
        &mut self,
        layer: &dyn Layer,
        name: &str,
        advance: &dyn Fn(u64) -> Result<()>,
    ) -> Result<()> {
        if self.stopped.is_some() {
            let writer = io::sink();
            return layer.write_to(&mut Counted { writer, advance });
        }
        let listing = match replay::list(layer, &mut self.budget, advance, |_| Ok(()))? {
            Ok(listing) => listing,
            Err(message) => {
                self.stopped = Some(Stopped::TooMuch(message));
                return Ok(());
            }
        };
        // Where layers of Strata go was settled when the image was built; a base is as it is.
        let below = match layer.recipe() {
            Some(_) => SymlinksBelow::Refused,
            None => SymlinksBelow::Followed,
        };
        let laid = self.tree.apply(&listing, below, &mut self.budget);
        listing.release(&mut self.budget);
        laid.map_err(|unlayable| Error::Document {
            document: name.to_owned(),
            message: unlayable.to_string(),
            hint: "engines do not unpack it, or not alike; build the image again".to_owned(),
        })
    }
}

fn verify_content(
    content: &StoreContent<'_>,
    layer: &str,
    advance: &dyn Fn(u64) -> Result<()>,
) -> Result<Option<Error>> {
    let mut writer = Counted {
        writer: Hasher::default(),
        advance,
    };
    let found = match nar::write(Path::new(content.path), &mut writer) {
        Ok(()) => NarInfo::from(writer.writer).hash,
        Err(Error::Stream { what, source }) => match write_error(&what)(source) {
            Error::Interrupted => return Err(Error::Interrupted),
            error => error.to_string(),
        },
        Err(error) => error.to_string(),
    };
    let differs = found != content.nar_hash;
    Ok(differs.then(|| Error::Mismatch {
        what: format!("{layer}: store path {}", content.path),
        expected: content.nar_hash.to_owned(),
        found,
        hint: format!("repair it with `nix-store --repair-path {}`", content.path),
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
