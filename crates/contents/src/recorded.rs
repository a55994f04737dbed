//! Layers as the output of a derivation records them.

use strata_layer::{BaseRecord, LayerRecord, LayersFile};

use super::found::{FoundLayer, FoundPackage, Named, References};

/// The layers of an output, lowest first. Those of a base image that Strata did not make tell nothing of what is in
/// them.
pub fn recorded(file: &LayersFile) -> Vec<FoundLayer> {
    let base = file.base.iter().map(of_base);
    base.chain(file.layers.iter().map(of_record)).collect()
}

/// What the arguments of an output named.
pub fn recorded_names(file: &LayersFile) -> Vec<Named> {
    let named = file.named.iter().map(|named| Named {
        argument: named.argument.clone(),
        path: named.path.clone(),
    });
    named.collect()
}

fn of_base(record: &BaseRecord) -> FoundLayer {
    let blob = record.descriptor();
    FoundLayer {
        digest: blob.digest,
        diff_id: record.diff_id,
        media_type: blob.media_type,
        size: blob.size,
        created_by: None,
        reason: None,
        is_base: true,
        packages: Vec::new(),
        files: None,
    }
}

fn of_record(record: &LayerRecord) -> FoundLayer {
    let blob = record.descriptor();
    let packages = record.recipe.sources.iter().map(|source| {
        let references = source.references.iter().map(ToString::to_string);
        FoundPackage {
            path: source.store_path.clone(),
            size: source.nar_size,
            nar_hash: Some(source.nar_hash.clone()),
            references: References::Recorded(references.collect()),
            to_root: source.to_root,
        }
    });
    FoundLayer {
        digest: blob.digest,
        diff_id: record.digest,
        media_type: blob.media_type,
        size: blob.size,
        created_by: record.history.created_by.clone(),
        reason: record.reason.clone(),
        is_base: false,
        packages: packages.collect(),
        files: None,
    }
}
