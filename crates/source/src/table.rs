//! Tables of layers that clients fetch in parts (`zstd:chunked`).

use std::io::{self, Write};
use std::ops::Range;
use std::sync::Arc;

use super::image::{Layers, SourceImage};
use strata_compress::{TableOfContents, TablePosition, layer_contents};
use strata_error::{Error, Result};
use strata_image::Image;
use strata_layer::Layer;
use strata_oci::Compression;
use strata_progress::{Context, Watched};

impl SourceImage {
    /// The table of each layer, of those that have one or are to be compressed so that they have one. For that, layers
    /// are read, or made and compressed for nobody.
    pub fn tables(&self, context: Context<'_>) -> Result<Vec<Option<TableOfContents>>> {
        let opened;
        let layers: &[Arc<dyn Layer>] = match &self.layers {
            Layers::Recorded(_, path) => {
                opened = Image::open(path)?.layers;
                &opened
            }
            Layers::Read(layers) => layers,
        };
        layers
            .iter()
            .map(|layer| table(layer.as_ref(), context))
            .collect()
    }
}

fn table(layer: &dyn Layer, context: Context<'_>) -> Result<Option<TableOfContents>> {
    let descriptor = layer.descriptor();
    if let Some(position) = TablePosition::of(descriptor) {
        let mut part = Part {
            wanted: position.range.clone(),
            position: 0,
            bytes: Vec::new(),
        };
        layer.write_to(&mut Watched::new(&mut part, descriptor, context))?;
        let parsed = TableOfContents::parse(&part.bytes, &position);
        return parsed.map(Some).map_err(|message| Error::Document {
            document: format!("the table of layer {}", descriptor.digest),
            message,
            hint: "push the image again; clients fetch the layer whole as it is".to_owned(),
        });
    }
    let Some(compression @ Compression::ZstdChunked { .. }) = layer.compression() else {
        return Ok(None);
    };
    let tar = layer.uncompressed();
    let tar = tar.as_deref().unwrap_or(layer);
    let (_, table) = layer_contents(tar.descriptor(), compression, |writer| {
        tar.write_to(&mut Watched::new(writer, tar.descriptor(), context))
    })?;
    Ok(table)
}

/// Keeps a part of what is written.
struct Part {
    wanted: Range<u64>,
    position: u64,
    bytes: Vec<u8>,
}

impl Write for Part {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let place = |offset: u64| {
            let offset = offset.saturating_sub(self.position);
            usize::try_from(offset).map_or(bytes.len(), |offset| offset.min(bytes.len()))
        };
        let (start, end) = (place(self.wanted.start), place(self.wanted.end));
        self.bytes.extend_from_slice(&bytes[start..end]);
        self.position += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_kept_wherever_the_pieces_end() {
        for size in 1..12 {
            let mut part = Part {
                wanted: 3..7,
                position: 0,
                bytes: Vec::new(),
            };
            for piece in b"0123456789".chunks(size) {
                part.write_all(piece).unwrap();
            }
            assert_eq!(part.bytes, b"3456");
        }
    }
}
