//! `layers.json`: how the layer blobs of an image are made (docs/internals/formats.md).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::BaseRecord;
use strata_error::{Error, Result};
use strata_nix::AccountsRequest;
use strata_oci::{Compression, Descriptor, Digest, Format, History, json, media_type};
use strata_tree::{Recipe, Rule};

/// The file's name in the output of a derivation.
pub const LAYERS_FILE: &str = "layers.json";
/// The file beside it that holds the manifest's digest and a line break.
pub const DIGEST_FILE: &str = "digest";
/// The version of the format that this program writes and reads.
const VERSION: u32 = 1;

/// The whole file.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LayersFile {
    version: u32,
    /// The store directory that the recipes' store paths are in.
    pub store_dir: String,
    /// What the image is called; null for the output of `buildLayer`.
    pub image: Option<ImageName>,
    /// The form of the manifest where the image is copied to, if anybody said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<Format>,
    /// The parents: outputs of `buildLayer` that lie below these layers; empty for an image.
    #[serde(default)]
    pub nested: Vec<String>,
    /// The rules given to `buildLayer`, which may name paths of the nested layers; empty for an image.
    #[serde(default)]
    pub perms: Vec<PathRule>,
    /// The base systems in a `buildLayer`, for whoever puts the layer on a base image; empty for an image.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub accounts: Vec<AccountsRequest>,
    /// What the arguments name, and what is in the layers because of that. Sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub named: Vec<NamedPath>,
    /// The layers of a base image that lie below all others as they are, lowest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub base: Vec<BaseRecord>,
    /// The layers, lowest first.
    pub layers: Vec<LayerRecord>,
}

/// A rule with the store path that it is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathRule {
    /// A store path.
    pub path: String,
    /// The rule itself.
    #[serde(flatten)]
    pub rule: Rule,
}

/// A store path that an argument names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NamedPath {
    /// The argument, as users write it: `config.Cmd`, `copyToRoot`.
    pub argument: String,
    /// The store path.
    pub path: String,
}

/// What an image is called.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageName {
    /// The name, lower-case, with or without a registry.
    pub name: String,
    /// The tag.
    pub tag: String,
}

/// One layer.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LayerRecord {
    /// The digest of the uncompressed tar, the diff ID.
    pub digest: Digest,
    /// The length of the uncompressed tar in bytes.
    pub size: u64,
    /// How the layer is to be compressed where it goes to a registry, or is in `compressed`, if
    /// anybody said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compression: Option<Compression>,
    /// What the compressed layer is called, in an image that promises that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compressed: Option<Descriptor>,
    /// Where the tar is kept, for layers that are not reproducible.
    pub tar: Option<String>,
    /// What the manifest says of the layer besides.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// Why these paths are a layer, where a strategy said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The layer's entry in the config's history.
    pub history: History,
    /// How to make the tar.
    pub recipe: Recipe,
}

impl LayerRecord {
    /// The layer as the manifest lists it.
    pub fn descriptor(&self) -> Descriptor {
        let compressed = self.compressed.clone();
        compressed.unwrap_or_else(|| self.tar_descriptor())
    }

    /// The uncompressed layer.
    pub fn tar_descriptor(&self) -> Descriptor {
        Descriptor {
            annotations: self.annotations.clone(),
            ..Descriptor::new(media_type::LAYER_TAR, self.digest, self.size)
        }
    }
}

impl LayersFile {
    /// A file of this version.
    pub fn new(store_dir: String, image: Option<ImageName>, layers: Vec<LayerRecord>) -> Self {
        Self {
            version: VERSION,
            store_dir,
            image,
            format: None,
            nested: Vec::new(),
            perms: Vec::new(),
            accounts: Vec::new(),
            named: Vec::new(),
            base: Vec::new(),
            layers,
        }
    }

    /// Reads the file's bytes; `document` is its path, for the error.
    pub fn parse(bytes: &[u8], document: &str) -> Result<Self> {
        #[derive(Deserialize)]
        struct Version {
            version: u32,
        }
        let error = |message: String, hint: &str| Error::Document {
            document: document.to_owned(),
            message,
            hint: hint.to_owned(),
        };
        let rebuild = "rebuild it with this version of Strata";
        let Version { version } = serde_json::from_slice(bytes)
            .map_err(|source| error(format!("not a list of layers: {source}"), rebuild))?;
        if version != VERSION {
            return Err(error(
                format!("version {version}, expected {VERSION}"),
                rebuild,
            ));
        }
        serde_json::from_slice(bytes).map_err(|source| error(source.to_string(), rebuild))
    }

    /// The file's bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        // Almost all of them are of layers.
        let rest = Self {
            version: self.version,
            store_dir: self.store_dir.clone(),
            image: self.image.clone(),
            format: self.format,
            nested: self.nested.clone(),
            perms: self.perms.clone(),
            accounts: self.accounts.clone(),
            named: self.named.clone(),
            base: self.base.clone(),
            layers: Vec::new(),
        };
        json::to_bytes_with_list(&rest, "layers", &self.layers)
    }
}
