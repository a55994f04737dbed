//! Writing the output of a derivation.

use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use strata_error::{Error, Result};
use strata_layer::{
    DIGEST_FILE, Digested, IMAGES_FILE, ImageName, ImagesFile, LAYERS_FILE, LayerRecord,
    LayersFile, write_layer,
};
use strata_nix::Store;
use strata_oci::{
    Config, Descriptor, HashingWriter, ImageConfig, Index, Manifest, Reference, json, layout,
    media_type,
};
use strata_plan::CheckedImage;
use strata_tree::Recipe;

/// An output that is removed again unless it is completed.
pub(super) struct Output {
    directory: PathBuf,
    is_complete: bool,
}

impl Output {
    pub(super) fn create(directory: PathBuf) -> Result<Self> {
        std::fs::create_dir(&directory).map_err(Error::io("create", &directory))?;
        Ok(Self {
            directory,
            is_complete: false,
        })
    }

    /// The directory, for what is written into it elsewhere.
    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Keeps the output.
    pub(super) fn complete(mut self) {
        self.is_complete = true;
    }

    /// Writes the tar of a layer under the name of its digest.
    pub(super) fn keep_tar(&self, recipe: &Recipe, store: &Store) -> Result<Digested> {
        let file =
            NamedTempFile::new_in(&self.directory).map_err(self.error("create a file in"))?;
        let mut writer = std::io::BufWriter::with_capacity(256 * 1024, file);
        let mut hashing = HashingWriter::new(&mut writer);
        let unmatched = write_layer(recipe, store, &mut hashing)?;
        let (digest, size) = hashing.finish();
        let file = writer
            .into_inner()
            .map_err(|error| self.error("write to")(error.into_error()))?;
        let path = self.directory.join(format!("{}.tar", digest.hex()));
        file.persist(&path)
            .map_err(|error| Error::io("rename to", &path)(error.error))?;
        Ok(Digested {
            digest,
            size,
            unmatched,
        })
    }

    pub(super) fn write_layers(mut self, layers: &LayersFile) -> Result<()> {
        self.write(LAYERS_FILE, &layers.to_bytes())?;
        self.is_complete = true;
        Ok(())
    }

    /// Writes an image that starts with `config`, on top of `base`, the config of a base image.
    pub(super) fn write_image(
        self,
        layers: &LayersFile,
        image: CheckedImage,
        config: Config,
        base: Option<ImageConfig>,
    ) -> Result<()> {
        // The base's config has the layers of its own already.
        let inherited = base.as_ref().map_or(0, |base| base.rootfs.diff_ids.len());
        let own = layers.layers.iter().skip(inherited - layers.base.len());
        let history = own.map(|layer| (layer.digest, layer.history.clone()));
        let mut config = ImageConfig::new(image.platform, image.created, config, history);
        if let Some(base) = base {
            config = config.on_top_of(base);
        }
        let config = json::to_bytes(&config);
        let descriptors = layers.base.iter().map(|layer| layer.blob.clone());
        let descriptors = descriptors
            .chain(layers.layers.iter().map(LayerRecord::descriptor))
            .collect();
        let manifest = Manifest::new(
            Descriptor::of(media_type::CONFIG, &config),
            descriptors,
            image.annotations,
        );
        let manifest = json::to_bytes(&manifest);
        let descriptor = Descriptor::of(media_type::MANIFEST, &manifest);
        let name = ImageName {
            name: image.name,
            tag: image.tag,
        };
        self.write_layout(descriptor, &name, &[config, manifest])?;
        self.write_layers(layers)
    }

    /// Writes an index with the `documents` of its images.
    pub(super) fn write_index(
        mut self,
        images: &ImagesFile,
        index: &[u8],
        documents: impl Iterator<Item = Vec<u8>>,
    ) -> Result<()> {
        let descriptor = Descriptor::of(media_type::INDEX, index);
        let blobs: Vec<Vec<u8>> = documents.chain([index.to_vec()]).collect();
        self.write_layout(descriptor, &images.index, &blobs)?;
        self.write(IMAGES_FILE, &images.to_bytes())?;
        self.is_complete = true;
        Ok(())
    }

    /// Writes a layout that has `root` under `name`, and the digest of that.
    fn write_layout(
        &self,
        mut root: Descriptor,
        name: &ImageName,
        documents: &[Vec<u8>],
    ) -> Result<()> {
        let digest = root.digest;
        let reference = Reference {
            tag: Some(name.tag.clone()),
            ..Reference::parse(&name.name)?
        };
        root.annotations.extend([
            (Index::REFERENCE_NAME.to_owned(), name.tag.clone()),
            (Index::CONTAINERD_NAME.to_owned(), reference.to_string()),
        ]);
        let blobs = self.directory.join(layout::BLOBS);
        std::fs::create_dir_all(&blobs).map_err(Error::io("create", &blobs))?;
        let mut write = |name: &str, bytes: &[u8]| self.write(name, bytes);
        let mut layout = layout::Writer::new(&mut write);
        for document in documents {
            layout.blob(document)?;
        }
        layout.marker()?;
        layout.index(&Index::new(vec![root]))?;
        self.write(DIGEST_FILE, format!("{digest}\n").as_bytes())
    }

    pub(super) fn write(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let path = self.directory.join(name);
        std::fs::write(&path, bytes).map_err(Error::io("write", &path))
    }

    fn error(&self, operation: &'static str) -> impl FnOnce(std::io::Error) -> Error {
        Error::io(operation, &self.directory)
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        if !self.is_complete {
            remove(&self.directory);
        }
    }
}

/// Removes what was begun; Nix ignores the output of a builder that failed, so errors do no harm.
fn remove(directory: &Path) {
    let _ = std::fs::remove_dir_all(directory);
}
