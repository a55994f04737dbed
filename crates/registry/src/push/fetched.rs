//! What a client fetches that has the older image: layers that can be fetched in parts are compared with those of the
//! older one, chunk by chunk.

use std::collections::BTreeMap;

use crate::client::Client;
use crate::push::blob_source::BlobSource;
use crate::push::blob_upload::ResolvedBlob;
use crate::push::plan::{PushPlan, PushTarget};
use strata_compress::{Refetched, TableOfContents, TablePosition, layer_contents, refetched};
use strata_error::{Error, Result};
use strata_layer::Layer;
use strata_oci::{Compression, Descriptor, Digest};
use strata_progress::{Context, Watched};

/// What a client fetches of a layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fetched {
    /// Nothing, the older image has the layer.
    Nothing,
    /// All of it.
    Whole,
    /// What of the blob it does not have.
    Parts {
        /// How long the blob is in bytes.
        size: u64,
        /// What of it.
        parts: Refetched,
    },
}

/// What a client fetches that has the older image, by the digests that layers have in the image; and a warning for each
/// table of the registry that cannot be read. Layers that are still to be compressed are, for nobody, if there is anything
/// to compare them with.
pub(super) fn fetched_layers(
    plan: &PushPlan<'_>,
    target: &PushTarget<'_>,
    blobs: &BTreeMap<Digest, &ResolvedBlob>,
) -> Result<(BTreeMap<Digest, Fetched>, Vec<String>)> {
    let Some(older) = &plan.older else {
        return Ok((BTreeMap::new(), Vec::new()));
    };
    let mut tables = Tables {
        client: &target.client,
        context: target.context,
        warnings: Vec::new(),
    };
    let mut known = Vec::new();
    for layer in &older.layers {
        known.extend(tables.read(layer)?);
    }
    let mut fetched = BTreeMap::new();
    for blob in &plan.blobs {
        let digest = blob.source.descriptor().digest;
        let there = blobs.get(&digest).filter(|there| there.action.is_found());
        let there = there.map(|there| &there.blob);
        let is_older = |found: &Descriptor| {
            let mut older = older.layers.iter();
            older.any(|layer| layer.digest == found.digest)
        };
        let found = match (blob.source, there) {
            (BlobSource::Config(..), _) => continue,
            (_, Some(there)) if is_older(there) => Fetched::Nothing,
            // What nobody has is fetched whole, whatever it is.
            _ if known.is_empty() => Fetched::Whole,
            (_, Some(there)) if TablePosition::of(there).is_some() => {
                of_table(&known, there, tables.read(there)?.as_ref())
            }
            (BlobSource::Compressed(layer, compression), None) => {
                made(&known, layer, compression, target.context)?
            }
            (BlobSource::Layer(layer), None) if is_older(layer.descriptor()) => Fetched::Nothing,
            (BlobSource::Layer(layer), None) => match (layer.uncompressed(), layer.compression()) {
                (Some(tar), Some(compression)) => {
                    made(&known, tar.as_ref(), compression, target.context)?
                }
                _ => Fetched::Whole,
            },
            (_, Some(_)) => Fetched::Whole,
        };
        fetched.insert(digest, found);
    }
    Ok((fetched, tables.warnings))
}

/// What a client fetches of a layer that is made for that.
fn made(
    known: &[TableOfContents],
    layer: &dyn Layer,
    compression: Compression,
    context: Context<'_>,
) -> Result<Fetched> {
    if !matches!(compression, Compression::ZstdChunked { .. }) {
        return Ok(Fetched::Whole);
    }
    let tar = layer.descriptor();
    let (blob, table) = layer_contents(tar, compression, |writer| {
        layer.write_to(&mut Watched::new(writer, tar, context))
    })?;
    Ok(of_table(known, &blob, table.as_ref()))
}

fn of_table(
    known: &[TableOfContents],
    blob: &Descriptor,
    table: Option<&TableOfContents>,
) -> Fetched {
    table.map_or(Fetched::Whole, |table| Fetched::Parts {
        size: blob.size,
        parts: refetched(known, table),
    })
}

/// Tables that are read from a registry.
struct Tables<'a> {
    client: &'a Client,
    context: Context<'a>,
    /// What is wrong with those that cannot be read.
    warnings: Vec<String>,
}

impl Tables<'_> {
    /// The table of a layer, if it has one that can be read.
    fn read(&mut self, layer: &Descriptor) -> Result<Option<TableOfContents>> {
        let Some(position) = TablePosition::of(layer) else {
            return Ok(None);
        };
        let Self {
            client, context, ..
        } = self;
        let operation = format!("cannot read the table of {}", layer.digest);
        let bytes = client.retry(&operation, context.cancel, || {
            client.blob_part(&layer.digest, position.range.clone())
        });
        let read = match bytes {
            Err(Error::Interrupted) => return Err(Error::Interrupted),
            Err(error) => Err(error.to_string()),
            Ok(bytes) => TableOfContents::parse(&bytes, &position)
                .map_err(|message| format!("{operation}: {message}")),
        };
        match read {
            Ok(table) => Ok(Some(table)),
            Err(message) => {
                self.warnings.push(format!(
                    "not known what clients fetch of {}: {message}",
                    layer.digest
                ));
                Ok(None)
            }
        }
    }
}
