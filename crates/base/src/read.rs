//! Reading a base image, whatever its form.

use super::bounds::{DEEPEST_INDEX, MOST_LAYERS, MOST_MANIFESTS};
use super::damaged::{DAMAGED, damaged};
use super::documents::{DockerImage, parse_config, parse_docker_manifest, parse_manifest};
use super::image_source::{BlobLocation, ImageSource};
use super::layers::{self, Expected};
use super::select::{ImageCandidate, Selection};
use strata_error::{Error, Result};
use strata_layer::{BaseRecord, Documents, ImagesFile, LayerRecord};
use strata_nix::Store;
use strata_oci::{Descriptor, Digest, Document, ImageConfig, Index, layout};
use strata_tree::{BaseListing, BaseTree, Budget, LayerTree};

/// A base image; the default is none.
#[derive(Debug, Default)]
pub struct Base {
    /// Its config.
    pub config: Option<ImageConfig>,
    /// The layers that others made, lowest first.
    pub blobs: Vec<BaseRecord>,
    /// The layers that Strata made, which lie above them, lowest first.
    pub layers: Vec<LayerRecord>,
    /// What its layers make together.
    pub tree: BaseTree,
    /// Whether each blob lies behind everything before it in a compressed archive.
    pub is_compressed: bool,
}

impl Base {
    /// How many layers it has.
    pub fn count(&self) -> usize {
        self.blobs.len() + self.layers.len()
    }
}

/// Reads the base image at `named`, a path at or below a store path. Where there are several, it is
/// the one that `selection` means, else the one for Linux on `architecture`.
pub fn read(named: &str, selection: &Selection, architecture: &str, store: &Store) -> Result<Base> {
    let source = ImageSource::open(named, store)?;
    if source.is_directory() && Documents::are_in(&source.located) {
        return read_strata(&source, selection, architecture, store);
    }
    if source.is_directory() && ImagesFile::is_in(&source.located) {
        let image = choose_of_index(&source, selection, architecture, store)?;
        return read(&image, &Selection::default(), architecture, store);
    }
    let found = find(&source)?;
    let candidates: Vec<ImageCandidate> =
        found.iter().map(|found| found.candidate.clone()).collect();
    let chosen = selection.choose(&candidates, architecture, named)?;
    // The choice is the number of a candidate.
    let Some(chosen) = found.into_iter().nth(chosen) else {
        return Err(damaged(named, "no image in it"));
    };
    if chosen.layers.len() > MOST_LAYERS {
        return Err(damaged(named, &format!("more than {MOST_LAYERS} layers")));
    }
    if chosen.layers.len() != chosen.config.rootfs.diff_ids.len() {
        let message = format!(
            "{} layers, but {} diff IDs in the config",
            chosen.layers.len(),
            chosen.config.rootfs.diff_ids.len()
        );
        return Err(damaged(named, &message));
    }
    let expected = chosen
        .layers
        .into_iter()
        .zip(&chosen.config.rootfs.diff_ids);
    let expected = expected.map(|(layer, diff_id)| {
        let place = source.find(&layer.name)?;
        let name = source.name_of(&layer.name);
        Ok(Expected {
            place: place.ok_or_else(|| damaged(&name, "a layer that is not there"))?,
            name,
            descriptor: layer.descriptor,
            diff_id: *diff_id,
        })
    });
    let expected = expected.collect::<Result<Vec<_>>>()?;
    let checked = layers::check(&expected, &mut Budget::default())?;
    Ok(Base {
        config: Some(chosen.config),
        blobs: checked.records,
        layers: Vec::new(),
        tree: checked.tree,
        is_compressed: checked.is_compressed,
    })
}

/// An image that was found, before its layers are read.
struct FoundImage {
    candidate: ImageCandidate,
    config: ImageConfig,
    layers: Vec<FoundLayer>,
}

struct FoundLayer {
    /// The file or member.
    name: String,
    /// What a manifest says of it.
    descriptor: Option<Descriptor>,
}

/// All images in `source`.
fn find(source: &ImageSource) -> Result<Vec<FoundImage>> {
    let is_layout = source.find(layout::MARKER_FILE)?.is_some();
    if is_layout && let Some(index) = source.document(layout::INDEX_FILE)? {
        let blobs = Blobs {
            source,
            name: |digest, _| layout::blob_name(digest),
        };
        return blobs.find(layout::INDEX_FILE, &index);
    }
    let Some(manifest) = source.document("manifest.json")? else {
        return Err(Error::Document {
            document: source.named.clone(),
            message: "not an image: neither oci-layout nor manifest.json is in it".to_owned(),
            hint: "fromImage takes images of Strata, archives of docker save, podman save and \
                   dockerTools.buildImage, OCI archives and layouts, and skopeo's dir:"
                .to_owned(),
        });
    };
    if manifest.trim_ascii_start().starts_with(b"[") {
        return find_docker(source, &manifest);
    }
    let blobs = Blobs {
        source,
        name: |digest, is_manifest| {
            let end = if is_manifest { ".manifest.json" } else { "" };
            format!("{}{end}", digest.hex())
        },
    };
    blobs.find("manifest.json", &manifest)
}

/// The images of a Docker archive.
fn find_docker(source: &ImageSource, manifest: &[u8]) -> Result<Vec<FoundImage>> {
    let images = parse_docker_manifest(manifest, &source.name_of("manifest.json"))?;
    if images.len() > MOST_MANIFESTS {
        let message = format!("more than {MOST_MANIFESTS} images");
        return Err(damaged(&source.named, &message));
    }
    let found = |image: DockerImage| {
        let document = source.name_of(&image.config);
        let bytes = source.document(&image.config)?;
        let bytes = bytes.ok_or_else(|| damaged(&document, "a config that is not there"))?;
        let digest = Digest::of(&bytes);
        check_config_name(&image.config, digest, &document)?;
        let config = parse_config(&bytes, &document)?;
        let layer = |name| FoundLayer {
            name,
            descriptor: None,
        };
        Ok(FoundImage {
            candidate: ImageCandidate {
                names: image.repo_tags.unwrap_or_default(),
                digests: vec![digest],
                platform: config.platform(),
            },
            layers: image.layers.into_iter().flatten().map(layer).collect(),
            config,
        })
    };
    images.into_iter().map(found).collect()
}

/// Docker calls a config by its digest: `<hex>.json`, or `blobs/sha256/<hex>`.
fn check_config_name(name: &str, digest: Digest, document: &str) -> Result<()> {
    let base = name.rsplit('/').next().unwrap_or(name);
    let base = base.strip_suffix(".json").unwrap_or(base);
    match format!("sha256:{base}").parse::<Digest>() {
        Ok(promised) if promised != digest => Err(mismatch(document, promised, digest)),
        _ => Ok(()),
    }
}

fn mismatch(what: &str, expected: Digest, found: Digest) -> Error {
    Error::Mismatch {
        what: what.to_owned(),
        expected: expected.to_string(),
        found: found.to_string(),
        hint: DAMAGED.to_owned(),
    }
}

/// Manifests that name their blobs by digests.
struct Blobs<'a> {
    source: &'a ImageSource,
    /// The file of a blob, and whether it is a manifest.
    name: fn(Digest, bool) -> String,
}

/// What led to a manifest.
#[derive(Clone, Default)]
struct Way {
    names: Vec<String>,
    /// Its own and those of the indexes, the outermost last.
    digests: Vec<Digest>,
}

impl Blobs<'_> {
    /// The images that a manifest or index leads to.
    fn find(&self, name: &str, bytes: &[u8]) -> Result<Vec<FoundImage>> {
        let mut found = Vec::new();
        self.follow(name, bytes, &Way::default(), &mut found, &mut 0)?;
        if found.is_empty() {
            let document = self.source.name_of(name);
            return Err(damaged(&document, "leads to no image that is there"));
        }
        Ok(found)
    }

    /// Adds the images that a document leads to; `count` is how many manifests were looked at.
    fn follow(
        &self,
        name: &str,
        bytes: &[u8],
        way: &Way,
        found: &mut Vec<FoundImage>,
        count: &mut usize,
    ) -> Result<()> {
        let document = self.source.name_of(name);
        let entries = match parse_manifest(bytes, &document)? {
            Document::Image { config, layers } => {
                let mut way = way.clone();
                if way.digests.is_empty() {
                    // The only manifest of a `dir:`.
                    way.digests.push(Digest::of(bytes));
                }
                found.extend(self.image(&config, layers, way)?);
                return Ok(());
            }
            Document::Index(entries) => entries,
        };
        if way.digests.len() > DEEPEST_INDEX {
            let message = format!("more than {DEEPEST_INDEX} indexes in each other");
            return Err(damaged(&document, &message));
        }
        for entry in entries {
            *count += 1;
            if *count > MOST_MANIFESTS {
                let message = format!("more than {MOST_MANIFESTS} manifests");
                return Err(damaged(&document, &message));
            }
            if entry.is_attestation() {
                continue;
            }
            // An archive of one platform may keep the index of all.
            let Some((name, bytes)) = self.document(entry.digest, true)? else {
                continue;
            };
            let mut way = way.clone();
            way.digests.insert(0, entry.digest);
            for key in [Index::CONTAINERD_NAME, Index::REFERENCE_NAME] {
                way.names.extend(entry.annotation(key).map(str::to_owned));
            }
            self.follow(&name, &bytes, &way, found, count)?;
        }
        Ok(())
    }

    fn image(
        &self,
        config: &Descriptor,
        layers: Vec<Descriptor>,
        mut way: Way,
    ) -> Result<Option<FoundImage>> {
        let Some((name, bytes)) = self.document(config.digest, false)? else {
            return Ok(None);
        };
        way.digests.push(config.digest);
        let config = parse_config(&bytes, &self.source.name_of(&name))?;
        let layer = |descriptor: Descriptor| FoundLayer {
            name: (self.name)(descriptor.digest, false),
            descriptor: Some(descriptor),
        };
        Ok(Some(FoundImage {
            candidate: ImageCandidate {
                names: way.names,
                digests: way.digests,
                platform: config.platform(),
            },
            layers: layers.into_iter().map(layer).collect(),
            config,
        }))
    }

    /// The name and bytes of a document, which have their digest; none if it is not there.
    fn document(&self, digest: Digest, is_manifest: bool) -> Result<Option<(String, Vec<u8>)>> {
        let name = (self.name)(digest, is_manifest);
        let read = |name: &str| self.source.document(name);
        let wrong = |found| mismatch(&self.source.name_of(&name), digest, found);
        let bytes = layout::Reader::new(&read).blob_at(&name, digest, None, wrong)?;
        Ok(bytes.map(|bytes| (name, bytes)))
    }
}

/// The store path of the image that is meant in an index of Strata.
fn choose_of_index(
    source: &ImageSource,
    selection: &Selection,
    architecture: &str,
    store: &Store,
) -> Result<String> {
    let file = ImagesFile::read(&source.located)?;
    let name = format!("{}:{}", file.index.name, file.index.tag);
    let candidates = file.images.iter().map(|image| {
        let Documents {
            manifest_descriptor,
            manifest,
            config,
            ..
        } = Documents::read(&store.locate_below(image))?;
        Ok(ImageCandidate {
            names: vec![name.clone()],
            digests: vec![manifest_descriptor.digest, manifest.config.digest],
            platform: config.platform(),
        })
    });
    let candidates = candidates.collect::<Result<Vec<_>>>()?;
    let chosen = selection.choose(&candidates, architecture, &source.named)?;
    // The choice is the number of a candidate.
    let image = file.images.into_iter().nth(chosen);
    image.ok_or_else(|| damaged(&source.named, "no image in it"))
}

/// Reads an image of Strata, whose layers of the store need no blobs.
fn read_strata(
    source: &ImageSource,
    selection: &Selection,
    architecture: &str,
    store: &Store,
) -> Result<Base> {
    let Documents {
        layers: mut file,
        manifest_descriptor,
        config,
        manifest,
        ..
    } = Documents::read(&source.located)?;
    let names = file.image.iter();
    let candidate = ImageCandidate {
        names: names
            .map(|image| format!("{}:{}", image.name, image.tag))
            .collect(),
        digests: vec![manifest_descriptor.digest, manifest.config.digest],
        platform: config.platform(),
    };
    selection.choose(&[candidate], architecture, &source.named)?;
    let expected = |record: &BaseRecord| Expected {
        name: format!("{}: layer {}", record.path, record.blob.digest),
        place: BlobLocation {
            named: record.path.clone(),
            located: store.locate_below(&record.path),
            offset: record.offset,
            size: record.blob.size,
        },
        descriptor: Some(record.blob.clone()),
        diff_id: record.diff_id,
    };
    let expected: Vec<Expected> = file.base.iter().map(expected).collect();
    let mut budget = Budget::default();
    let mut checked = layers::check(&expected, &mut budget)?;
    for (checked, record) in checked.records.iter_mut().zip(&file.base) {
        checked.compression = record.compression;
    }
    for (number, record) in (expected.len()..).zip(&mut file.layers) {
        // An image promises no compressed layers; what is made of it may.
        record.compressed = None;
        let mut listing = BaseListing::default();
        LayerTree::new(&record.recipe, store)?.visit(&mut |entry| {
            let counted = budget.entries(1);
            let added = counted.and_then(|()| listing.add_own(&entry, &mut budget));
            added.map_err(|message| damaged(&source.named, &message))
        })?;
        let result = checked.tree.apply(number, &listing, &mut budget);
        result.map_err(|message| damaged(&source.named, &message))?;
        listing.release(&mut budget);
    }
    Ok(Base {
        config: Some(config),
        blobs: checked.records,
        layers: file.layers,
        tree: checked.tree,
        is_compressed: checked.is_compressed,
    })
}
