//! Images whose layers are bytes in memory, so that a test of a destination needs no Nix.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::Arc;

use strata_error::{Error, Result};
use strata_image::Image;
use strata_layer::Layer;
use strata_oci::{
    Config, Descriptor, Digest, Hasher, History, ImageConfig, Manifest, Platform, json, media_type,
};
use strata_tree::Recipe;

/// A layer that promises one thing and may give another.
pub struct MemoryLayer {
    promised: Descriptor,
    diff_id: Digest,
    content: Content,
    /// Whether it finds out that it broke its promise.
    checked: bool,
    recipe: Recipe,
}

/// Where a layer's bytes are from.
enum Content {
    Bytes(Vec<u8>),
    /// So many zero bytes, made while they are written.
    Zeros(u64),
    /// Nothing: it cannot be made.
    Gone,
}

impl MemoryLayer {
    /// A layer of these bytes.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        let bytes = bytes.into();
        let promised = Descriptor::of(media_type::LAYER_TAR, &bytes);
        Self {
            diff_id: promised.digest,
            promised,
            content: Content::Bytes(bytes),
            checked: true,
            recipe: Recipe::default(),
        }
    }

    /// A layer of programs with these contents.
    pub fn programs(files: &[(&str, &[u8])]) -> Self {
        let mut archive = tar::Builder::new(Vec::new());
        for (path, content) in files {
            let mut header = tar::Header::new_ustar();
            header.set_size(content.len() as u64);
            header.set_mode(0o755);
            archive.append_data(&mut header, path, *content).unwrap();
        }
        Self::new(archive.into_inner().unwrap())
    }

    /// The same layer, compressed with gzip.
    pub fn compressed(self) -> Self {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        self.write_to(&mut gzip).unwrap();
        let bytes = gzip.finish().unwrap();
        Self {
            promised: Descriptor::of(media_type::LAYER_TAR_GZIP, &bytes),
            content: Content::Bytes(bytes),
            ..self
        }
    }

    /// The same layer with an annotation.
    pub fn annotated(mut self, key: &str, value: &str) -> Self {
        let annotations = &mut self.promised.annotations;
        annotations.insert(key.to_owned(), value.to_owned());
        self
    }

    /// A layer of these bytes that cannot be made, since it should not be.
    pub fn gone(bytes: impl Into<Vec<u8>>) -> Self {
        Self {
            content: Content::Gone,
            ..Self::new(bytes)
        }
    }

    /// A layer that promises `promised` and gives `given`.
    pub fn broken(promised: &[u8], given: &[u8]) -> Self {
        Self {
            content: Content::Bytes(given.to_vec()),
            ..Self::new(promised)
        }
    }

    /// A layer that does not notice that it gives something else.
    pub fn lying(promised: &[u8], given: &[u8]) -> Self {
        Self {
            checked: false,
            ..Self::broken(promised, given)
        }
    }

    /// A layer that nobody has to hold in memory.
    pub fn zeros(size: u64) -> Self {
        let mut hasher = Hasher::default();
        io::copy(&mut io::Read::take(io::repeat(0), size), &mut hasher).unwrap();
        let (digest, size) = hasher.finish();
        Self {
            promised: Descriptor::new(media_type::LAYER_TAR, digest, size),
            diff_id: digest,
            content: Content::Zeros(size),
            checked: true,
            recipe: Recipe::default(),
        }
    }
}

impl Layer for MemoryLayer {
    fn descriptor(&self) -> &Descriptor {
        &self.promised
    }

    fn diff_id(&self) -> Digest {
        self.diff_id
    }

    fn recipe(&self) -> Option<&Recipe> {
        Some(&self.recipe)
    }

    fn write_to(&self, writer: &mut dyn Write) -> Result<()> {
        let mut hasher = Hasher::default();
        let mut both = Both(&mut hasher, writer);
        match &self.content {
            Content::Bytes(bytes) => both.write_all(bytes),
            Content::Gone => Err(io::Error::other("the layer should not be made")),
            Content::Zeros(size) => {
                io::copy(&mut io::Read::take(io::repeat(0), *size), &mut both).map(|_| ())
            }
        }
        // Whoever takes the bytes may have an error of its own.
        .map_err(|error| {
            error.downcast().unwrap_or_else(|source| Error::Stream {
                what: "a layer".to_owned(),
                source,
            })
        })?;
        let (found, _) = hasher.finish();
        if found == self.promised.digest || !self.checked {
            return Ok(());
        }
        Err(Error::Mismatch {
            what: "layer in memory".to_owned(),
            expected: self.promised.digest.to_string(),
            found: found.to_string(),
            hint: String::new(),
        })
    }
}

struct Both<'a>(&'a mut Hasher, &'a mut dyn Write);

impl Write for Both<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.1.write(bytes)?;
        self.0.write_all(&bytes[..count])?;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.1.flush()
    }
}

/// An image of these layers.
pub fn image(layers: Vec<MemoryLayer>) -> Image {
    let history = layers
        .iter()
        .map(|layer| (layer.diff_id(), History::default()));
    let created = "1970-01-01T00:00:01Z".to_owned();
    let config = ImageConfig::new(Platform::linux("amd64"), created, Config::new(), history);
    let config_bytes = json::to_bytes(&config);
    let manifest = Manifest::new(
        Descriptor::of(media_type::CONFIG, &config_bytes),
        layers
            .iter()
            .map(|layer| layer.descriptor().clone())
            .collect(),
        BTreeMap::new(),
    );
    let manifest_bytes = json::to_bytes(&manifest);
    Image {
        name: None,
        format: None,
        manifest_descriptor: Descriptor::of(media_type::MANIFEST, &manifest_bytes),
        manifest,
        manifest_bytes,
        config,
        config_bytes,
        layers: layers
            .into_iter()
            .map(|layer| Arc::new(layer) as Arc<dyn Layer>)
            .collect(),
    }
}
