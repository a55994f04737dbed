//! Images in a real registry, put there by other programs.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use strata_oci::Digest;

use strata_testing::bases::{BaseImage, Packed, Piece, tar, write};
use strata_testing::registry::run;

/// An image of two layers whose files say `word`.
pub fn image_of(word: &str, packed: Packed) -> BaseImage {
    let mut image = BaseImage::new(vec![
        tar(&[
            Piece::Directory("etc", 0o755, 0),
            Piece::File("etc/base", word),
        ]),
        tar(&[Piece::File("etc/more", &word.repeat(20_000))]),
    ]);
    image.packed = packed;
    image
}

/// `skopeo copy` with registries that speak plain HTTP.
pub fn skopeo(arguments: &[&str]) {
    let mut command = Command::new("skopeo");
    run(command
        .args(["copy", "--quiet", "--insecure-policy"])
        .args(["--src-tls-verify=false", "--dest-tls-verify=false"])
        .args(arguments));
}

/// Pushes an image to `HOST/NAME:TAG` with skopeo, as it is, or in another format; more flags say how to
/// log in.
pub fn push(image: &BaseImage, reference: &str, flags: &[&str]) {
    let directory = tempfile::tempdir().unwrap();
    write(
        &BaseImage::layout(std::slice::from_ref(image)),
        directory.path(),
    );
    let source = format!("oci:{}:{}", directory.path().display(), image.name);
    let target = format!("docker://{reference}");
    skopeo(&[flags, &[&source, &target]].concat());
}

/// Puts an index of the images under these tags, by their platforms, into the repository; gives its
/// digest.
pub fn push_index(host: &str, name: &str, tag: &str, images: &[(&str, Value)]) -> String {
    let entries: Vec<Value> = (images.iter())
        .map(|(from, platform)| {
            let manifest = manifest(host, name, from);
            json!({
                "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "digest": Digest::of(manifest.as_bytes()), "size": manifest.len(),
                "platform": platform,
            })
        })
        .collect();
    let media_type = "application/vnd.oci.image.index.v1+json";
    let index = json!({ "schemaVersion": 2, "mediaType": media_type, "manifests": entries });
    let index = index.to_string();
    let header = format!("Content-Type: {media_type}");
    let mut command = Command::new("curl");
    run(command
        .args(["--silent", "--show-error", "--fail", "--request", "PUT"])
        .args(["--header", &header, "--data-binary", &index])
        .arg(format!("http://{host}/v2/{name}/manifests/{tag}")));
    Digest::of(index.as_bytes()).to_string()
}

/// The manifest under a tag, as skopeo gets it.
pub fn manifest(host: &str, name: &str, tag: &str) -> String {
    let mut command = Command::new("skopeo");
    run(command
        .args(["inspect", "--raw", "--tls-verify=false"])
        .arg(format!("docker://{host}/{name}:{tag}")))
}

/// The digest of the manifest under a tag.
pub fn digest(host: &str, name: &str, tag: &str) -> String {
    Digest::of(manifest(host, name, tag).as_bytes()).to_string()
}

/// The hash that Nix has for a directory.
pub fn nar_hash(directory: &Path) -> String {
    let mut command = Command::new("nix-hash");
    let hash = run(command
        .args(["--type", "sha256", "--base32"])
        .arg(directory));
    hash.trim().to_owned()
}
