//! Reading a base image, whatever its form.

use super::bounds::{DEEPEST_INDEX, LONGEST_NAME, MOST_LAYERS, MOST_MANIFESTS};
use super::damaged::{DAMAGED, damaged};
use super::documents::{parse_config, parse_docker_manifest, parse_manifest, parse_platform};
use super::image_source::{BlobLocation, ImageSource};
use super::layers::{self, Expected};
use super::select::{ImageCandidate, Selection};
use strata_error::{Error, Result};
use strata_layer::{
    BaseRecord, Described, Documents, ImagesFile, LayerRecord, NamedPath, read_tar, visit_beside,
};
use strata_nix::Store;
use strata_oci::{Descriptor, Digest, Document, ImageConfig, Index, Platform, layout};
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
    /// What its arguments named, if Strata made it.
    pub named: Vec<NamedPath>,
    /// What its layers make together.
    pub tree: BaseTree,
    /// Whether each blob lies behind everything before it in a compressed archive.
    pub is_compressed: bool,
    /// What may still be kept of it.
    pub budget: Budget,
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
    let mut budget = Budget::default();
    let source = ImageSource::open(named, store, &mut budget)?;
    if source.is_directory() && Documents::are_in(&source.located) {
        return read_strata(&source, selection, architecture, store, budget);
    }
    if source.is_directory() && ImagesFile::is_in(&source.located) {
        let image = choose_of_index(&source, selection, architecture, store)?;
        return read(&image, &Selection::default(), architecture, store);
    }
    let chosen = find(&source)?.choose(selection, architecture, named)?;
    let (config, layers) = chosen.contents(&source, &mut budget)?;
    let expected = expected(&source, layers, &config)?;
    let checked = layers::check(&expected, &mut budget)?;
    Ok(Base {
        config: Some(config),
        blobs: checked.records,
        layers: Vec::new(),
        named: Vec::new(),
        tree: checked.tree,
        is_compressed: checked.is_compressed,
        budget,
    })
}

/// Where the layers of an image are, and what is said of them.
pub(super) fn expected(
    source: &ImageSource,
    layers: Vec<FoundLayer>,
    config: &ImageConfig,
) -> Result<Vec<Expected>> {
    if layers.len() > MOST_LAYERS {
        let message = format!("more than {MOST_LAYERS} layers");
        return Err(damaged(&source.named, &message));
    }
    if layers.len() != config.rootfs.diff_ids.len() {
        let message = format!(
            "{} layers, but {} diff IDs in the config",
            layers.len(),
            config.rootfs.diff_ids.len()
        );
        return Err(damaged(&source.named, &message));
    }
    let expected = layers.into_iter().zip(&config.rootfs.diff_ids);
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
    expected.collect()
}

/// What is in a source, before one is chosen.
#[derive(Default)]
pub(super) struct FoundImages {
    pub(super) images: Vec<FoundImage>,
    /// What is no image, or a damaged one: nobody's loss until it is the one that is meant.
    pub(super) others: Vec<(ImageCandidate, Error)>,
}

/// An image that was found, of which no more is kept than what it is chosen by.
pub(super) struct FoundImage {
    pub(super) candidate: ImageCandidate,
    pub(super) manifest: FoundManifest,
}

/// Where it is said what an image is made of.
#[derive(Clone)]
pub(super) enum FoundManifest {
    /// A manifest in this file, and how the files of its blobs are called.
    Blob(String, BlobName),
    /// An entry of the list in a Docker archive.
    Docker { config: String, layers: Vec<String> },
}

/// The name of the file of a blob, and whether it is a manifest.
pub(super) type BlobName = fn(Digest, bool) -> String;

pub(super) struct FoundLayer {
    /// The file or member.
    pub(super) name: String,
    /// What a manifest says of it.
    pub(super) descriptor: Option<Descriptor>,
}

impl FoundImages {
    /// The image that is meant.
    fn choose(
        mut self,
        selection: &Selection,
        architecture: &str,
        named: &str,
    ) -> Result<FoundImage> {
        let candidates = self.images.iter().map(|found| found.candidate.clone());
        let candidates: Vec<ImageCandidate> = candidates.collect();
        let chosen = selection.choose(&candidates, architecture, named);
        // What is wrong with what was meant tells more than that it is no image.
        if let Err(error) = chosen {
            let mut others = self.others.into_iter();
            let meant = others.find(|(other, _)| candidates.is_empty() || selection.names(other));
            return Err(meant.map_or(error, |(_, error)| error));
        }
        let number = chosen?;
        if number < self.images.len() {
            return Ok(self.images.swap_remove(number));
        }
        // The choice is the number of a candidate.
        Err(damaged(named, "no image in it"))
    }
}

impl FoundImage {
    /// Its config and its layers.
    pub(super) fn contents(
        self,
        source: &ImageSource,
        budget: &mut Budget,
    ) -> Result<(ImageConfig, Vec<FoundLayer>)> {
        let gone = |name: &str| damaged(&source.name_of(name), "is not there");
        let document = |name: &str| source.document(name)?.ok_or_else(|| gone(name));
        match self.manifest {
            FoundManifest::Blob(name, blob_name) => {
                let manifest = parse_manifest(&document(&name)?, &source.name_of(&name))?;
                let Document::Image { config, layers } = manifest else {
                    return Err(damaged(&source.name_of(&name), "not an image"));
                };
                let name = blob_name(config.digest, false);
                let config = parse_config(&document(&name)?, &source.name_of(&name), budget)?;
                let layer = |descriptor: Descriptor| FoundLayer {
                    name: blob_name(descriptor.digest, false),
                    descriptor: Some(descriptor),
                };
                Ok((config, layers.into_iter().map(layer).collect()))
            }
            FoundManifest::Docker { config, layers } => {
                let name = source.name_of(&config);
                let config = parse_config(&document(&config)?, &name, budget)?;
                let layer = |name| FoundLayer {
                    name,
                    descriptor: None,
                };
                Ok((config, layers.into_iter().map(layer).collect()))
            }
        }
    }
}

/// All images in `source`.
///
/// An archive may have two lists: `docker load` believes `manifest.json`, others `index.json`. So the first
/// tells which image there is for a platform and what it is called, and the second what is said of it besides
/// and which images there are for other platforms.
pub(super) fn find(source: &ImageSource) -> Result<FoundImages> {
    let manifest = source.document("manifest.json");
    let is_layout = source.find(layout::MARKER_FILE)?.is_some();
    if is_layout && let Some(index) = source.document(layout::INDEX_FILE)? {
        let blobs = Blobs {
            source,
            name: |digest, _| layout::blob_name(digest),
        };
        let of_index = blobs.find(layout::INDEX_FILE, &index);
        return match manifest {
            Ok(Some(manifest)) if !source.is_directory() && is_list(&manifest) => {
                let of_docker = find_docker(source, &manifest)?;
                Ok(both(of_docker, of_index.unwrap_or_default()))
            }
            _ => of_index,
        };
    }
    let Some(manifest) = manifest? else {
        return Err(Error::Document {
            document: source.named.clone(),
            message: "not an image: neither oci-layout nor manifest.json is in it".to_owned(),
            hint: "fromImage takes images of Strata, archives of docker save, podman save and \
                   dockerTools.buildImage, OCI archives and layouts, and skopeo's dir:"
                .to_owned(),
        });
    };
    if is_list(&manifest) {
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

fn is_list(manifest: &[u8]) -> bool {
    manifest.trim_ascii_start().starts_with(b"[")
}

/// What two lists of one archive say together.
fn both(of_docker: FoundImages, of_index: FoundImages) -> FoundImages {
    let platforms: Vec<Platform> = (of_docker.images.iter())
        .map(|found| found.candidate.platform.clone())
        .collect();
    let mut rest = of_index.images;
    let mut images = Vec::new();
    for mut found in of_docker.images {
        let config = found.candidate.digests.first().copied();
        let same = |other: &FoundImage| {
            other
                .candidate
                .digests
                .iter()
                .any(|own| Some(*own) == config)
        };
        if let Some(FoundImage {
            candidate,
            manifest,
        }) = rest.iter().find(|other| same(other))
        {
            if found.candidate.names.is_empty() {
                found.candidate.names.clone_from(&candidate.names);
            }
            found.candidate.digests.clone_from(&candidate.digests);
            // The config has the diff IDs of the layers, which are checked: it can be no other image.
            found.manifest = manifest.clone();
        }
        images.push(found);
    }
    rest.retain(|found| {
        let own = &found.candidate.platform;
        !platforms.iter().any(|platform| platform.is_same(own))
    });
    images.extend(rest);
    let mut others = of_docker.others;
    others.extend(of_index.others);
    FoundImages { images, others }
}

/// The images of a Docker archive.
fn find_docker(source: &ImageSource, manifest: &[u8]) -> Result<FoundImages> {
    let images = parse_docker_manifest(manifest, &source.name_of("manifest.json"))?;
    if images.len() > MOST_MANIFESTS {
        let message = format!("more than {MOST_MANIFESTS} images");
        return Err(damaged(&source.named, &message));
    }
    let platform = |config: &str| {
        let document = source.name_of(config);
        let bytes = source.document(config)?;
        let bytes = bytes.ok_or_else(|| damaged(&document, "a config that is not there"))?;
        let digest = Digest::of(&bytes);
        check_config_name(config, digest, &document)?;
        Ok((parse_platform(&bytes, &document)?, digest))
    };
    let mut found = FoundImages::default();
    for image in images {
        let config = image.config.unwrap_or_default();
        let said = platform(&config);
        let mut candidate = ImageCandidate {
            names: image.repo_tags.unwrap_or_default(),
            digests: Vec::new(),
            platform: Platform::linux(""),
        };
        match said {
            Ok((platform, digest)) => {
                candidate.digests.push(digest);
                candidate.platform = platform;
                let manifest = FoundManifest::Docker {
                    config,
                    layers: image.layers.unwrap_or_default(),
                };
                found.images.push(FoundImage {
                    candidate,
                    manifest,
                });
            }
            Err(error) => found.others.push((candidate, error)),
        }
    }
    Ok(found)
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
    name: BlobName,
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
    fn find(&self, name: &str, bytes: &[u8]) -> Result<FoundImages> {
        let mut found = FoundImages::default();
        self.follow(name, bytes, &Way::default(), &mut found, &mut 0)?;
        if found.images.is_empty() && found.others.is_empty() {
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
        found: &mut FoundImages,
        count: &mut usize,
    ) -> Result<()> {
        let document = self.source.name_of(name);
        let entries = match parse_manifest(bytes, &document)? {
            Document::Image { config, .. } => {
                let mut way = way.clone();
                if way.digests.is_empty() {
                    // The only manifest of a `dir:`.
                    way.digests.push(Digest::of(bytes));
                }
                found.images.extend(self.image(name, &config, way)?);
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
            let mut way = way.clone();
            way.digests.insert(0, entry.digest);
            for key in [Index::CONTAINERD_NAME, Index::REFERENCE_NAME] {
                let name = entry
                    .annotation(key)
                    .filter(|name| name.len() <= LONGEST_NAME);
                way.names.extend(name.map(str::to_owned));
            }
            let result = match self.document(entry.digest, true) {
                // An archive of one platform may keep the index of all.
                Ok(None) => continue,
                Ok(Some((name, bytes))) => self.follow(&name, &bytes, &way, found, count),
                Err(error) => Err(error),
            };
            if let Err(error) = result {
                if *count > MOST_MANIFESTS {
                    return Err(error);
                }
                let candidate = ImageCandidate {
                    names: way.names,
                    digests: way.digests,
                    platform: entry.platform().unwrap_or_else(|| Platform::linux("")),
                };
                found.others.push((candidate, error));
            }
        }
        Ok(())
    }

    /// The image of the manifest in the file `name`.
    fn image(&self, name: &str, config: &Descriptor, mut way: Way) -> Result<Option<FoundImage>> {
        let Some((config_name, bytes)) = self.document(config.digest, false)? else {
            return Ok(None);
        };
        way.digests.push(config.digest);
        Ok(Some(FoundImage {
            candidate: ImageCandidate {
                names: way.names,
                digests: way.digests,
                platform: parse_platform(&bytes, &self.source.name_of(&config_name))?,
            },
            manifest: FoundManifest::Blob(name.to_owned(), self.name),
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
        } = {
            let located = store.locate_inside(image);
            Documents::read(&located.map_err(|message| damaged(&source.named, &message))?)?
        };
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
    mut budget: Budget,
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
    let expected = |record: &BaseRecord| {
        Ok(Expected {
            name: format!("{}: layer {}", record.path, record.blob.digest),
            place: BlobLocation {
                named: record.path.clone(),
                located: record.located(store)?,
                offset: record.offset,
                size: record.blob.size,
            },
            descriptor: Some(record.blob.clone()),
            diff_id: record.diff_id,
        })
    };
    let expected = file.base.iter().map(expected).collect::<Result<Vec<_>>>()?;
    let mut checked = layers::check(&expected, &mut budget)?;
    for (checked, record) in checked.records.iter_mut().zip(&file.base) {
        checked.compression = record.compression;
    }
    for (number, record) in (expected.len()..).zip(&mut file.layers) {
        // An image promises no compressed layers; what is made of it may.
        record.compressed = None;
        let mut listing = BaseListing::default();
        let error = |message: String| damaged(&source.named, &message);
        let mut described = Described::default();
        if let Some(tar) = &record.recipe.tar {
            read_tar(&record.recipe, tar, store, &mut |entry, _| {
                described.add(&entry);
                let counted = budget.entries(1);
                let added = counted.and_then(|()| listing.add(entry, &mut budget));
                added.map_err(error)
            })?;
        }
        let tree = LayerTree::new(&record.recipe, store)?;
        visit_beside(&tree, &described, &mut |entry| {
            let counted = budget.entries(1);
            let added = counted.and_then(|()| listing.add_own(&entry, &mut budget));
            added.map_err(error)
        })?;
        let result = checked.tree.apply(number, &listing, &mut budget);
        result.map_err(|message| damaged(&source.named, &message))?;
        listing.release(&mut budget);
    }
    Ok(Base {
        config: Some(config),
        blobs: checked.records,
        layers: file.layers,
        named: file.named,
        tree: checked.tree,
        is_compressed: checked.is_compressed,
        budget,
    })
}
