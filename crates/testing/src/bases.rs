//! Base images as other programs write them.

use std::io::Write;
use std::path::{Path, PathBuf};

use flate2::write::GzEncoder;
use serde_json::{Value, json};
use strata_oci::Digest;

/// How a layer or an archive is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packed {
    Plain,
    Gzip,
    Zstd,
}

/// Compresses.
pub fn pack(bytes: &[u8], packed: Packed) -> Vec<u8> {
    match packed {
        Packed::Plain => bytes.to_vec(),
        Packed::Gzip => {
            let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        }
        Packed::Zstd => zstd::encode_all(bytes, 1).unwrap(),
    }
}

/// One entry of a layer.
#[derive(Clone, Copy)]
pub enum Piece<'a> {
    /// With its mode and owner.
    Directory(&'a str, u32, u64),
    File(&'a str, &'a str),
    /// What everybody may run.
    Program(&'a str, &'a [u8]),
    Symlink(&'a str, &'a str),
    HardLink(&'a str, &'a str),
}

/// The tar of a layer.
pub fn tar(pieces: &[Piece<'_>]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for piece in pieces {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_size(0);
        match piece {
            Piece::Directory(path, mode, uid) => {
                header.set_entry_type(tar::EntryType::Directory);
                header.set_mode(*mode);
                header.set_uid(*uid);
                builder
                    .append_data(&mut header, format!("{path}/"), std::io::empty())
                    .unwrap();
            }
            Piece::File(path, content) => {
                header.set_size(content.len() as u64);
                builder
                    .append_data(&mut header, path, content.as_bytes())
                    .unwrap();
            }
            Piece::Program(path, content) => {
                header.set_mode(0o755);
                header.set_size(content.len() as u64);
                builder.append_data(&mut header, path, *content).unwrap();
            }
            Piece::Symlink(path, target) | Piece::HardLink(path, target) => {
                header.set_entry_type(match piece {
                    Piece::Symlink(..) => tar::EntryType::Symlink,
                    _ => tar::EntryType::Link,
                });
                builder.append_link(&mut header, path, target).unwrap();
            }
        }
    }
    builder.into_inner().unwrap()
}

/// An image to be written in one form or another.
#[derive(Clone)]
pub struct BaseImage {
    /// The tars, lowest first.
    pub layers: Vec<Vec<u8>>,
    /// How each is compressed, where that is up to whoever writes.
    pub packed: Packed,
    /// The `config` of the config.
    pub config: Value,
    /// GOARCH.
    pub architecture: String,
    /// Of the architecture.
    pub variant: Option<String>,
    /// `name:tag`.
    pub name: String,
}

impl BaseImage {
    pub fn new(layers: Vec<Vec<u8>>) -> Self {
        Self {
            layers,
            packed: Packed::Gzip,
            config: json!({ "Env": ["PATH=/bin", "BASE=1"], "Entrypoint": ["/bin/base"], "Cmd": ["x"] }),
            architecture: "amd64".to_owned(),
            variant: None,
            name: "base:1".to_owned(),
        }
    }

    pub fn config_bytes(&self) -> Vec<u8> {
        let diff_ids: Vec<Digest> = self.layers.iter().map(|tar| Digest::of(tar)).collect();
        let mut history = vec![json!({ "created_by": "ENV BASE=1", "empty_layer": true })];
        history.extend(
            self.layers
                .iter()
                .map(|_| json!({ "created_by": "COPY . /" })),
        );
        json!({
            "architecture": self.architecture, "variant": self.variant, "os": "linux", "config": self.config,
            "rootfs": { "type": "layers", "diff_ids": diff_ids }, "history": history
        })
        .to_string()
        .into_bytes()
    }

    /// The blobs with their media types, the config first.
    fn blobs(&self, docker: bool) -> Vec<(String, Vec<u8>)> {
        let (config, layer) = if docker {
            (
                "application/vnd.docker.container.image.v1+json",
                "application/vnd.docker.image.rootfs.diff.tar",
            )
        } else {
            (
                "application/vnd.oci.image.config.v1+json",
                "application/vnd.oci.image.layer.v1.tar",
            )
        };
        let end = match (self.packed, docker) {
            (Packed::Plain, _) => "",
            (Packed::Gzip, true) => ".gzip",
            (Packed::Gzip, false) => "+gzip",
            (Packed::Zstd, _) => "+zstd",
        };
        let mut blobs = vec![(config.to_owned(), self.config_bytes())];
        let layers = self.layers.iter();
        blobs.extend(layers.map(|tar| (format!("{layer}{end}"), pack(tar, self.packed))));
        blobs
    }

    fn manifest(&self, docker: bool) -> Vec<u8> {
        let descriptors: Vec<Value> = (self.blobs(docker).iter())
            .map(|(media_type, bytes)| descriptor(media_type, bytes))
            .collect();
        json!({ "schemaVersion": 2, "config": descriptors[0], "layers": descriptors[1..] })
            .to_string()
            .into_bytes()
    }

    /// The files of an OCI layout of several images.
    pub fn layout(images: &[Self]) -> Vec<(String, Vec<u8>)> {
        let mut files = vec![(
            "oci-layout".to_owned(),
            br#"{"imageLayoutVersion":"1.0.0"}"#.to_vec(),
        )];
        let mut manifests = Vec::new();
        for image in images {
            let manifest = image.manifest(false);
            let mut entry = descriptor("application/vnd.oci.image.manifest.v1+json", &manifest);
            entry["annotations"] = json!({ "org.opencontainers.image.ref.name": image.name });
            manifests.push(entry);
            let blobs = image.blobs(false).into_iter().map(|(_, bytes)| bytes);
            for bytes in blobs.chain([manifest]) {
                let name = format!("blobs/sha256/{}", Digest::of(&bytes).hex());
                if !files.iter().any(|(known, _)| *known == name) {
                    files.push((name, bytes));
                }
            }
        }
        let index = json!({ "schemaVersion": 2, "manifests": manifests });
        files.push(("index.json".to_owned(), index.to_string().into_bytes()));
        files
    }

    /// The files of skopeo's `dir:`.
    pub fn skopeo_directory(&self) -> Vec<(String, Vec<u8>)> {
        let blobs = self.blobs(true).into_iter();
        let mut files: Vec<_> = blobs
            .map(|(_, bytes)| (Digest::of(&bytes).hex(), bytes))
            .collect();
        files.push(("manifest.json".to_owned(), self.manifest(true)));
        files.push((
            "version".to_owned(),
            b"Directory Transport Version: 1.1\n".to_vec(),
        ));
        files
    }

    /// The files of a Docker archive as Docker before 25 wrote it; the second of two layers that are
    /// the same is a symlink.
    pub fn docker_archive(&self) -> Vec<(String, Vec<u8>)> {
        let config = self.config_bytes();
        let mut files = vec![(format!("{}.json", Digest::of(&config).hex()), config)];
        let mut names = Vec::new();
        for (number, tar) in self.layers.iter().enumerate() {
            let name = format!("{number:064}/layer.tar");
            match self.layers[..number].iter().position(|other| other == tar) {
                Some(first) => {
                    let target = format!("../{first:064}/layer.tar");
                    files.push((format!("-> {name}"), target.into_bytes()));
                }
                None => files.push((name.clone(), tar.clone())),
            }
            names.push(name);
        }
        let manifest = json!([{ "Config": files[0].0, "RepoTags": [self.name], "Layers": names }]);
        files.push((
            "manifest.json".to_owned(),
            manifest.to_string().into_bytes(),
        ));
        files
    }
}

/// The descriptor of a blob.
pub fn descriptor(media_type: &str, bytes: &[u8]) -> Value {
    json!({ "mediaType": media_type, "digest": Digest::of(bytes), "size": bytes.len() })
}

/// Files as an archive; a name that begins with an arrow is a symlink.
pub fn archive(files: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o644);
        if let Some(name) = name.strip_prefix("-> ") {
            header.set_entry_type(tar::EntryType::Symlink);
            header.set_size(0);
            let target = std::str::from_utf8(content).unwrap();
            builder.append_link(&mut header, name, target).unwrap();
        } else {
            header.set_size(content.len() as u64);
            builder
                .append_data(&mut header, name, content.as_slice())
                .unwrap();
        }
    }
    builder.into_inner().unwrap()
}

/// Files as a directory.
pub fn write(files: &[(String, Vec<u8>)], directory: &Path) -> PathBuf {
    for (name, content) in files {
        let path = directory.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }
    directory.to_owned()
}
