//! Writes images and documents for the targets to begin with, to `corpus/TARGET`.

use std::path::Path;

use strata_fuzz::bases::{BaseImage, Packed, Piece, archive, pack, tar};
use strata_fuzz::documents;
use strata_nix::{Registration, write_database};

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
    write("database", &[database()]);
    write("credentials", &CREDENTIALS.map(|text| text.as_bytes().to_vec()));
    write("image_names", &NAMES.map(|text| text.as_bytes().to_vec()));
    write("listing", &LISTINGS.map(|text| text.as_bytes().to_vec()));
    // A symlink to a directory, files below it, links and whiteouts, in three layers.
    let entries = [
        0, 0, 0, 1, 3, 0, 3, 1, 0, 1, 5, 0, 4, 2, 3, 90, 8, 0, 88, 11, 0, 87, 4, 0, 175, 15, 0, 176, 6, 1,
    ];
    write("layer_tree", &[entries.to_vec()]);
}

/// Files as `docker login` and `podman login` write them, and netrc.
const CREDENTIALS: [&str; 3] = [
    r#"{"auths":{"r.example:5000":{"auth":"dTpw"},"r.example:5000/a":null,"https://index.docker.io/v1/":{"username":"u","password":"secret"}},"credsStore":"x"}"#,
    r#"{"Auths":{"ghcr.io":{"identitytoken":"secret","auth":null}},"credHelpers":{"ghcr.io":"y"}}"#,
    "machine r.example login u password secret\ndefault login d password secret\n",
];

/// Names of images that list packages.
const NAMES: [&str; 3] = [
    "hello",
    "work/shell/arm64/git/python3packages.flask/7zz",
    "a-b__c.d/e--f",
];

/// Closure graphs in each form, with all that a plan may heed.
const LISTINGS: [&str; 4] = [
    r#"[{"path":"/s/b","narSize":2,"references":["/s/b"]},{"path":"/s/a","narSize":1,"references":["/s/b"]}]"#,
    r#"{"/s/b":{"narSize":2,"references":[]},"/s/a":{"narSize":1,"references":["/s/b"]}}"#,
    r#"{"info":{"b":{"narSize":2,"references":[]},"a":{"narSize":1,"references":["b"]}},"storeDir":"/s","version":2}"#,
    r#"{"fleet":[{"graph":[{"path":"/s/a","narSize":1,"references":["/s/b"]},{"path":"/s/b","narSize":9000000,"references":[]},
{"path":"/s/c","narSize":70000,"references":["/s/b"]},{"path":"/s/d","narSize":1,"references":["/s/a","/s/c"]}],
"roots":["/s/d"],"previous":[["/s/a","/s/b"]],"alongside":[[["/s/c"]]],"hints":{"stable":["/s/b"],"volatile":["/s/a"],
"together":[["/s/a","/s/c"]],"alone":["/s/c"]}},{"graph":[{"path":"/s/b","narSize":9000000,"references":[]}]}],"max_layers":3}"#,
];

/// A database of two paths, one of which refers to the other and was built by a derivation.
fn database() -> Vec<u8> {
    let place = tempfile::tempdir().unwrap();
    let path = |name: &str| format!("/nix/store/00000000000000000000000000000000-{name}");
    let registration = |name: &str, references: &[&str]| {
        let references = references.iter().map(|name| path(name)).collect();
        let hash = format!("sha256:{}", "0".repeat(52));
        (path(name), Registration::new(path(name), &hash, 120, references).unwrap())
    };
    let paths = [registration("a", &[]), registration("b", &["a", "b"])];
    write_database(place.path(), &paths.into_iter().collect()).unwrap();
    std::fs::read(place.path().join("db.sqlite")).unwrap()
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
