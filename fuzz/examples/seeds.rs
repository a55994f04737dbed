//! Writes images and documents for the targets to begin with, to `corpus/TARGET`.

use std::path::Path;

use strata_fuzz::bases::{BaseImage, Packed, Piece, archive, pack, tar};
use strata_fuzz::documents;

fn main() {
    let image = BaseImage {
        layers: vec![lower(), upper(), lower()],
        ..documents::image()
    };
    let zstd = BaseImage {
        packed: Packed::Zstd,
        ..image.clone()
    };
    let docker = archive(&image.docker_archive());
    let layout = archive(&BaseImage::layout(&[image.clone(), zstd]));
    let skopeo = archive(&image.skopeo_directory());
    write(
        "archive",
        &[
            docker.clone(),
            pack(&docker, Packed::Gzip),
            pack(&docker, Packed::Zstd),
            layout.clone(),
            pack(&layout, Packed::Zstd),
        ],
    );
    write("layout", &[docker, layout, skopeo]);
    let blocks = u8::try_from(lower().len() / 512).unwrap();
    write("layer", &[[vec![blocks], lower(), upper()].concat()]);
    write("documents", &documents::seeds());
    write(
        "layers_json",
        &[include_bytes!("../src/layers.json").to_vec()],
    );
}

fn lower() -> Vec<u8> {
    let long = "d/".repeat(80) + "file";
    tar(&[
        Piece::Directory("etc", 0o755, 7),
        Piece::File("etc/passwd", "root:x:0:0::/:/bin/sh\n"),
        Piece::Symlink("bin", "usr/bin"),
        Piece::Symlink("loop", "loop"),
        Piece::HardLink("etc/hard", "etc/passwd"),
        Piece::File(&long, "1"),
    ])
}

fn upper() -> Vec<u8> {
    tar(&[
        Piece::File("etc/.wh.hard", ""),
        Piece::File("d/.wh..wh..opq", ""),
        Piece::File("bin", "a file now"),
    ])
}

fn write(target: &str, seeds: &[Vec<u8>]) {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("corpus")
        .join(target);
    std::fs::create_dir_all(&corpus).unwrap();
    for (number, seed) in seeds.iter().enumerate() {
        std::fs::write(corpus.join(format!("seed-{number}")), seed).unwrap();
    }
}
