//! Images around one document that is taken as it is.

use serde_json::{Value, json};
use strata_oci::Digest;

use crate::bases::{BaseImage, Piece, descriptor, tar};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

type Files = Vec<(String, Vec<u8>)>;

/// The image that the other documents are of.
pub fn image() -> BaseImage {
    let layer = tar(&[
        Piece::Directory("etc", 0o755, 0),
        Piece::File("etc/base", "1"),
        Piece::Symlink("bin", "usr/bin"),
    ]);
    BaseImage::new(vec![layer])
}

/// The files of an image, one of which is the document behind the first byte.
pub fn around(bytes: &[u8]) -> Option<Files> {
    let (which, document) = bytes.split_first()?;
    let image = image();
    let layer = image.layers.first()?.clone();
    let config = image.config_bytes();
    let document = document.to_vec();
    Some(match which % 5 {
        0 => vec![
            ("manifest.json".to_owned(), document),
            ("config.json".to_owned(), config),
            ("layer.tar".to_owned(), layer),
        ],
        1 => {
            let list = json!([{ "Config": "config.json", "Layers": ["layer.tar"] }]);
            vec![
                ("manifest.json".to_owned(), to_bytes(&list)),
                ("config.json".to_owned(), document),
                ("layer.tar".to_owned(), layer),
            ]
        }
        2 => layout(document, vec![manifest(&config, &layer), config, layer]),
        3 => {
            let index = index(&document);
            layout(index, vec![document, config, layer])
        }
        _ => {
            let manifest = manifest(&document, &layer);
            layout(index(&manifest), vec![manifest, document, layer])
        }
    })
}

/// A document of each kind, as [`around`] takes it.
pub fn seeds() -> Vec<Vec<u8>> {
    let image = image();
    let config = image.config_bytes();
    let manifest = manifest(&config, &image.layers[0]);
    let index = index(&manifest);
    let list = json!([{ "Config": "config.json", "RepoTags": ["a:b"], "Layers": ["layer.tar"] }]);
    let documents = [to_bytes(&list), config.clone(), index, manifest, config];
    let seed = |(which, document): (u8, Vec<u8>)| [vec![which], document].concat();
    (0..).zip(documents).map(seed).collect()
}

fn layout(index: Vec<u8>, blobs: Vec<Vec<u8>>) -> Files {
    let mut files = vec![
        ("oci-layout".to_owned(), b"{}".to_vec()),
        ("index.json".to_owned(), index),
    ];
    files.extend(blobs.into_iter().map(|blob| {
        let name = format!("blobs/sha256/{}", Digest::of(&blob).hex());
        (name, blob)
    }));
    files
}

fn index(manifest: &[u8]) -> Vec<u8> {
    let mut entry = descriptor(MANIFEST, manifest);
    entry["annotations"] = json!({ "org.opencontainers.image.ref.name": "base:1" });
    to_bytes(&json!({ "schemaVersion": 2, "manifests": [entry] }))
}

fn manifest(config: &[u8], layer: &[u8]) -> Vec<u8> {
    let (config, layer) = (descriptor(CONFIG, config), descriptor(LAYER, layer));
    to_bytes(&json!({ "schemaVersion": 2, "config": config, "layers": [layer] }))
}

fn to_bytes(value: &Value) -> Vec<u8> {
    value.to_string().into_bytes()
}
