//! Which layers images have together, as a picture.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::html::{bytes, escaped};
use strata_oci::Digest;

/// The width of the picture, and of its bars.
const WIDTH: u64 = 900;
const BARS: u64 = 640;
/// The height of a row.
const ROW: u64 = 26;

/// The layers of an image.
pub(crate) struct ImageLayers {
    /// Its name and tag.
    pub(crate) label: String,
    /// Its layers, the lowest first.
    pub(crate) layers: Vec<LayerSize>,
}

/// A layer.
#[derive(Clone, Copy)]
pub(crate) struct LayerSize {
    pub(crate) digest: Digest,
    pub(crate) size: u64,
}

/// A bar for each image, its layers side by side, as wide as they are large; those that another one has, too, in
/// another colour.
pub(super) fn picture(images: &[ImageLayers]) -> String {
    let mut owners: BTreeMap<Digest, u64> = BTreeMap::new();
    for image in images {
        let mut digests: Vec<Digest> = image.layers.iter().map(|layer| layer.digest).collect();
        digests.sort();
        digests.dedup();
        for digest in digests {
            *owners.entry(digest).or_default() += 1;
        }
    }
    let size = |image: &ImageLayers| image.layers.iter().map(|layer| layer.size).sum::<u64>();
    let widest = images.iter().map(size).max().unwrap_or(0).max(1);
    let height = ROW * images.len() as u64;
    let mut svg =
        format!("<svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"Layers\">\n");
    for (row, image) in (0_u64..).zip(images) {
        let y = row * ROW;
        let label: String = image.label.chars().take(34).collect();
        let _ = writeln!(
            svg,
            "<text x=\"0\" y=\"{}\">{}</text>",
            y + 16,
            escaped(&label)
        );
        let mut x = WIDTH - BARS;
        for layer in &image.layers {
            let wide = u128::from(layer.size) * u128::from(BARS) / u128::from(widest);
            let wide = u64::try_from(wide).unwrap_or(BARS).max(1);
            let class = match owners.get(&layer.digest) {
                Some(2..) => "shared",
                _ => "own",
            };
            // Neighbours are told apart by what is left free between them.
            let drawn = wide.saturating_sub(1).max(1);
            let _ = writeln!(
                svg,
                "<rect class=\"{class}\" x=\"{x}\" y=\"{}\" width=\"{drawn}\" height=\"18\">\
                 <title>{}: {}</title></rect>",
                y + 3,
                layer.digest,
                bytes(layer.size),
            );
            x += wide;
        }
    }
    svg.push_str("</svg>\n");
    svg
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_of_several_images_have_another_colour() {
        let layer = |text: &str, size| LayerSize {
            digest: Digest::of(text.as_bytes()),
            size,
        };
        let image = |label: &str, layers| ImageLayers {
            label: label.to_owned(),
            layers,
        };
        let svg = picture(&[
            image(
                "a<b",
                vec![layer("both", 10), layer("one", 1), layer("one", 1)],
            ),
            image("c", vec![layer("both", 10), layer("other", u64::MAX / 2)]),
        ]);
        assert_eq!(svg.matches("class=\"shared\"").count(), 2);
        assert_eq!(svg.matches("class=\"own\"").count(), 3);
        assert!(svg.contains("a&lt;b"));
        assert!(picture(&[]).contains("<svg"));
    }
}
