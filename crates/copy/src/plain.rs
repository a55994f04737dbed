//! Images no layer of which is compressed, as Docker's archives hold them.
//!
//! Layers of a base image are often compressed, and ours are not. Programs that look at the first layer of a
//! Docker archive and take all for the same misread a mixture.

use std::io::{self, Read, Write};
use std::sync::Arc;

use strata_archive::{decompress, write_error};
use strata_error::{Error, Result};
use strata_image::{Image, ManifestOrIndex, ManifestOrIndexRef};
use strata_layer::{Layer, read_layer};
use strata_oci::{Descriptor, Digest, HashingWriter, Manifest, json, media_type};
use strata_progress::{Context, interruption};
use strata_tree::Recipe;

/// The same image, or index of images, with every layer uncompressed; none if they are so already. Its
/// manifest is another one, its config the same.
///
/// What cannot be told of a compressed layer without reading it is its size: it is read here and again when
/// it is written.
pub fn plain(
    root: ManifestOrIndexRef<'_>,
    context: Context<'_>,
) -> Result<Option<ManifestOrIndex>> {
    let images = root.images();
    let mut layers = images.iter().flat_map(|image| &image.layers);
    if layers.all(|layer| is_plain(layer.as_ref())) {
        return Ok(None);
    }
    Ok(Some(match root {
        ManifestOrIndexRef::Image(image) => {
            ManifestOrIndex::Image(Box::new(plain_image(image, context)?))
        }
        ManifestOrIndexRef::Index(index) => {
            let images = images.iter().map(|image| plain_image(image, context));
            let images = images.collect::<Result<Vec<_>>>()?;
            ManifestOrIndex::Index(Box::new(index.with_images(images)))
        }
    }))
}

fn is_plain(layer: &dyn Layer) -> bool {
    layer.descriptor().digest == layer.diff_id()
}

fn plain_image(image: &Image, context: Context<'_>) -> Result<Image> {
    let layers = image.layers.iter().map(|layer| plain_layer(layer, context));
    let layers = layers.collect::<Result<Vec<_>>>()?;
    let descriptors = layers.iter().map(|layer| layer.descriptor().clone());
    let manifest = Manifest {
        layers: descriptors.collect(),
        ..image.manifest.clone()
    };
    let manifest_bytes = json::to_bytes(&manifest);
    Ok(Image {
        name: image.name.clone(),
        format: image.format,
        manifest_descriptor: Descriptor {
            annotations: image.manifest_descriptor.annotations.clone(),
            platform: image.manifest_descriptor.platform.clone(),
            ..Descriptor::of(media_type::MANIFEST, &manifest_bytes)
        },
        manifest,
        manifest_bytes,
        config: image.config.clone(),
        config_bytes: image.config_bytes.clone(),
        layers,
    })
}

fn plain_layer(layer: &Arc<dyn Layer>, context: Context<'_>) -> Result<Arc<dyn Layer>> {
    if is_plain(layer.as_ref()) {
        return Ok(Arc::clone(layer));
    }
    if let Some(plain) = layer.uncompressed() {
        // What is compressed of a compressed layer of a base is that layer.
        return plain_layer(&plain, context);
    }
    let mut counter = Counter { size: 0, context };
    write_plain(layer.as_ref(), &mut counter)?;
    Ok(Arc::new(PlainLayer {
        descriptor: Descriptor {
            annotations: layer.descriptor().annotations.clone(),
            ..Descriptor::new(media_type::LAYER_TAR, layer.diff_id(), counter.size)
        },
        compressed: Arc::clone(layer),
    }))
}

/// A layer that is decompressed while it is written.
struct PlainLayer {
    descriptor: Descriptor,
    compressed: Arc<dyn Layer>,
}

impl Layer for PlainLayer {
    fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    fn diff_id(&self) -> Digest {
        self.descriptor.digest
    }

    fn recipe(&self) -> Option<&Recipe> {
        self.compressed.recipe()
    }

    fn write_to(&self, writer: &mut dyn Write) -> Result<()> {
        write_plain(self.compressed.as_ref(), writer)
    }
}

/// Decompresses a layer. Other bytes than those of its diff ID are an error.
fn write_plain(layer: &dyn Layer, writer: &mut dyn Write) -> Result<()> {
    let name = format!("layer {}", layer.descriptor().digest);
    let mut writer = HashingWriter::new(writer);
    read_layer(layer, |reader| {
        {
            let mut source = Source {
                reader: &mut *reader,
                layer: &name,
            };
            let (_, mut plain) = decompress(&mut source).map_err(write_error(&name))?;
            io::copy(
                &mut Source {
                    reader: &mut plain,
                    layer: &name,
                },
                &mut writer,
            )
            .map_err(write_error(&name))?;
        }
        // What follows the compressed bytes belongs to the layer's digest.
        io::copy(reader, &mut io::sink()).map_err(write_error(&name))?;
        Ok(())
    })?;
    let (found, _) = writer.finish();
    if found == layer.diff_id() {
        return Ok(());
    }
    Err(Error::Mismatch {
        what: format!("{name}, uncompressed"),
        expected: layer.diff_id().to_string(),
        found: found.to_string(),
        hint: "the image that it comes from is damaged; fetch it again".to_owned(),
    })
}

/// A reader whose errors name the layer.
struct Source<'a, R: ?Sized> {
    reader: &'a mut R,
    layer: &'a str,
}

impl<R: Read + ?Sized> Read for Source<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.reader.read(buffer) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => {
                Err(interruption(match error.downcast::<Error>() {
                    Ok(error) => error,
                    Err(error) => Error::Document {
                        document: self.layer.to_owned(),
                        message: error.to_string(),
                        hint: "the image that it comes from is damaged; fetch it again".to_owned(),
                    },
                }))
            }
            result => result,
        }
    }
}

/// Counts bytes, and looks whether to go on.
struct Counter<'a> {
    size: u64,
    context: Context<'a>,
}

impl Write for Counter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.context.check().map_err(interruption)?;
        self.size += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::stream;
    use strata_testing::image::interrupted;
    use strata_testing::memory_image::{MemoryLayer, image};

    fn mixed() -> Image {
        image(vec![
            MemoryLayer::new(b"one".repeat(1000))
                .compressed()
                .annotated("key", "value"),
            MemoryLayer::new("two"),
        ])
    }

    /// Issue 11, row 3 of the clients: all layers of a Docker archive are of one kind.
    #[test]
    fn a_mixed_image_becomes_plain() {
        let mixed = mixed();
        let plain = plain((&mixed).into(), Context::silent()).unwrap().unwrap();
        let ManifestOrIndex::Image(plain) = plain else {
            panic!()
        };
        assert_eq!(plain.config_bytes, mixed.config_bytes);
        for (layer, listed) in plain.layers.iter().zip(&plain.manifest.layers) {
            let mut bytes = Vec::new();
            layer.write_to(&mut bytes).unwrap();
            let mut expected = Descriptor::of(media_type::LAYER_TAR, &bytes);
            expected.annotations = listed.annotations.clone();
            assert_eq!(*listed, expected);
            assert_eq!(listed.digest, layer.diff_id());
        }
        assert_eq!(plain.manifest.layers[0].annotations["key"], "value");
        assert!(
            super::plain((&*plain).into(), Context::silent())
                .unwrap()
                .is_none()
        );
        let mut archive = Vec::new();
        let silent = Context::silent();
        stream(
            &plain,
            &mut archive,
            &crate::CopyName::default(),
            &[].into(),
            silent,
        )
        .unwrap();
    }

    #[test]
    fn what_is_damaged_or_given_up_is_told() {
        let error = plain((&mixed()).into(), interrupted()).err().unwrap();
        assert!(matches!(error, Error::Interrupted), "{error}");
        let mut damaged = mixed();
        let layer = MemoryLayer::new("one").compressed();
        let wrong = MemoryLayer::new("other");
        damaged.layers[0] = Arc::new(Wrong(layer, wrong.diff_id()));
        let error = plain((&damaged).into(), Context::silent()).err().unwrap();
        assert!(
            error.to_string().contains(", uncompressed: expected"),
            "{error}"
        );
    }

    struct Wrong(MemoryLayer, Digest);

    impl Layer for Wrong {
        fn descriptor(&self) -> &Descriptor {
            self.0.descriptor()
        }

        fn diff_id(&self) -> Digest {
            self.1
        }

        fn recipe(&self) -> Option<&Recipe> {
            None
        }

        fn write_to(&self, writer: &mut dyn Write) -> Result<()> {
            self.0.write_to(writer)
        }
    }
}
