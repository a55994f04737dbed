//! A repository to pull from.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use crate::ask::Ask;
use crate::auth::Purpose;
use crate::client::Client;
use crate::options::Options;
use strata_copy::directory::{MANIFEST_FILE, publish};
use strata_copy::worker_pool::{self, Transfers};
use strata_error::{Error, Result};
use strata_oci::{Descriptor, Digest, Document, IndexEntry, Platform, Reference, media_type};
use strata_progress::{Context, Outcome};

/// How many indexes may lie in each other.
const DEEPEST_INDEX: usize = 4;
/// The most layers of an image.
const MOST_LAYERS: usize = 1_000;
/// The most images that one name is taken for.
const MOST_IMAGES: usize = 100;
/// The most bytes of a config.
const LARGEST_CONFIG: u64 = 16 << 20;
/// The most bytes of a layer.
const LARGEST_LAYER: u64 = 256 << 30;

/// A repository to pull from.
pub struct Source {
    client: Client,
    pub(super) reference: Reference,
}

/// An image as a registry has it.
#[derive(Clone, Debug)]
pub struct RemoteImage {
    /// The index that led to it, if it is one of several.
    pub index: Option<Descriptor>,
    /// Its manifest.
    pub manifest: Descriptor,
    /// The bytes of the manifest.
    pub manifest_bytes: Vec<u8>,
    /// Its config.
    pub config: Descriptor,
    /// Its layers, lowest first.
    pub layers: Vec<Descriptor>,
}

/// What a name stands for.
pub(super) struct Top {
    pub(super) descriptor: Descriptor,
    bytes: Vec<u8>,
    pub(super) document: Document,
}

impl Source {
    /// Reaches the registry of `reference`, whose manifest is what is asked for first, and logs in if it
    /// wants that.
    pub fn connect(reference: &Reference, options: &Options, context: Context<'_>) -> Result<Self> {
        let first = Ask::manifest(&name(reference), &media_type::DOCUMENTS);
        Self::asking(first, reference, options, context)
    }

    /// The same for a blob that need not be of an image.
    pub fn connect_for_blob(
        blob: &Digest,
        reference: &Reference,
        options: &Options,
        context: Context<'_>,
    ) -> Result<Self> {
        Self::asking(Ask::has_blob(blob), reference, options, context)
    }

    fn asking(
        first: Ask,
        reference: &Reference,
        options: &Options,
        context: Context<'_>,
    ) -> Result<Self> {
        let client = Client::new(reference, Purpose::Pull, options, context)?;
        Ok(Self {
            client: client.connect(first, Vec::new(), context)?,
            reference: reference.clone(),
        })
    }

    /// The image that the reference and, where there are several, the platform mean.
    pub fn find(&self, platform: &Platform, context: Context<'_>) -> Result<RemoteImage> {
        self.watch(context, || {
            let top = self.top(context)?;
            self.choose(top, platform, context)
        })
    }

    /// The image that the reference means, or all of those that its index is of. What builders put beside images is
    /// left out.
    pub fn images(&self, context: Context<'_>) -> Result<Vec<RemoteImage>> {
        self.watch(context, || {
            let top = self.top(context)?;
            let Document::Index(entries) = &top.document else {
                return Ok(vec![self.only(top)?]);
            };
            let entries = entries.iter().filter(|entry| !entry.is_attestation());
            let mut images = Vec::new();
            for entry in entries {
                if images.len() == MOST_IMAGES {
                    let message = format!("its index is of more than {MOST_IMAGES} images");
                    return Err(self.error(&message, "name those that you want by their digests"));
                }
                images.push(self.only(self.document(&entry.digest.to_string(), context)?)?);
            }
            Ok(images)
        })
    }

    /// Writes the image to the directory `path`, in skopeo's form `dir:`, byte for byte as skopeo does.
    /// A directory of that form that is there is replaced; any other one is an error.
    pub fn write_directory(
        &self,
        image: &RemoteImage,
        path: &Path,
        context: Context<'_>,
    ) -> Result<()> {
        // The largest first: what takes longest must not begin last. An image may have a layer twice.
        let blobs = image.layers.iter().chain([&image.config]);
        let blobs: BTreeMap<Digest, &Descriptor> = blobs.map(|blob| (blob.digest, blob)).collect();
        let mut blobs: Vec<&Descriptor> = blobs.into_values().collect();
        blobs.sort_by_key(|blob| std::cmp::Reverse(blob.size));
        publish(path, context, |filling| {
            let is_present = |blob: &&Descriptor, context: Context<'_>| {
                let is_present = filling.keep(&blob.digest.hex(), blob.size);
                if is_present {
                    context.progress.begin(blob);
                    context.progress.finish(blob, Outcome::Present);
                }
                Ok(is_present.then_some(()))
            };
            let fetch = |blob: &&Descriptor, context: Context<'_>| {
                let mut file = filling.create(&blob.digest.hex())?;
                self.fetch(blob, &mut file, context)?;
                file.sync_all().map_err(Error::io("write", path))
            };
            self.watch(context, || {
                let transfers = Transfers::default();
                worker_pool::run(&blobs, transfers, context, |_| false, is_present, fetch)
            })?;
            filling.write_bytes(MANIFEST_FILE, &image.manifest_bytes)
        })
    }

    /// The bytes of an image's config.
    pub fn config(&self, image: &RemoteImage, context: Context<'_>) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.watch(context, || self.fetch(&image.config, &mut bytes, context))?;
        Ok(bytes)
    }

    /// What a blob is called and how long it is; the registry is asked for its length.
    pub fn describe_blob(&self, digest: Digest, context: Context<'_>) -> Result<Descriptor> {
        let operation = format!("cannot find {digest} in {}", self.name());
        let size = self.watch(context, || {
            self.client.retry(&operation, context.cancel, || {
                self.client.blob_size(&digest)
            })
        })?;
        let blob = Descriptor::new("application/octet-stream", digest, size);
        check_size(&blob, LARGEST_LAYER, &self.reference)?;
        Ok(blob)
    }

    /// Fetches a blob to `writer`. Other bytes than the descriptor promises are an error, which is known
    /// after the last one.
    pub fn write_blob(
        &self,
        blob: &Descriptor,
        writer: &mut dyn Write,
        context: Context<'_>,
    ) -> Result<()> {
        self.watch(context, || self.fetch(blob, writer, context))
    }

    /// The registry and the repository.
    pub(super) fn name(&self) -> String {
        format!("{}/{}", self.reference.registry, self.reference.repository)
    }

    pub(super) fn watch<T>(
        &self,
        context: Context<'_>,
        work: impl FnOnce() -> Result<T>,
    ) -> Result<T> {
        self.client.watch(context, work)
    }

    pub(super) fn fetch(
        &self,
        blob: &Descriptor,
        writer: &mut dyn Write,
        context: Context<'_>,
    ) -> Result<()> {
        context.progress.begin(blob);
        self.client.download(blob, writer, context)?;
        context.progress.finish(blob, Outcome::Copied);
        Ok(())
    }

    /// What the reference stands for.
    pub(super) fn top(&self, context: Context<'_>) -> Result<Top> {
        self.document(&name(&self.reference), context)
    }

    pub(super) fn document(&self, name: &str, context: Context<'_>) -> Result<Top> {
        let operation = format!("cannot pull {name} from {}", self.name());
        let error = |[message, hint]: [String; 2]| Error::Registry {
            operation: operation.clone(),
            message,
            codes: Vec::new(),
            hint,
        };
        let found = self.client.retry(&operation, context.cancel, || {
            self.client.manifest(name, &media_type::DOCUMENTS)
        })?;
        let found = found.ok_or_else(|| {
            error([
                "the registry has no such image".to_owned(),
                "check the name and the tag or digest; some registries say this also to those who \
                 may not pull"
                    .to_owned(),
            ])
        })?;
        let (media_type, document) = Document::parse(&found.bytes).map_err(error)?;
        Ok(Top {
            descriptor: Descriptor::new(&media_type, found.digest, found.bytes.len() as u64),
            bytes: found.bytes,
            document,
        })
    }

    /// The image for a platform that a document leads to.
    pub(super) fn choose(
        &self,
        mut top: Top,
        platform: &Platform,
        context: Context<'_>,
    ) -> Result<RemoteImage> {
        let mut index = None;
        for _ in 0..=DEEPEST_INDEX {
            let entries = match top.document {
                Document::Index(entries) => entries,
                Document::Image { config, layers } => {
                    let image = RemoteImage {
                        index,
                        manifest: top.descriptor,
                        manifest_bytes: top.bytes,
                        config,
                        layers,
                    };
                    return self.check(image);
                }
            };
            index.get_or_insert_with(|| top.descriptor.clone());
            let chosen = platform
                .choose(&entries, IndexEntry::platform)
                .ok_or_else(|| self.no_platform(platform, &entries))?;
            top = self.document(&chosen.digest.to_string(), context)?;
        }
        Err(self.error("its indexes lie in each other without end", ""))
    }

    /// The image that a document is.
    fn only(&self, top: Top) -> Result<RemoteImage> {
        let Document::Image { config, layers } = top.document else {
            let digest = top.descriptor.digest;
            return Err(self.error(
                &format!("{digest} is an index in an index"),
                "name the images that you want by their digests",
            ));
        };
        self.check(RemoteImage {
            index: None,
            manifest: top.descriptor,
            manifest_bytes: top.bytes,
            config,
            layers,
        })
    }

    /// Refuses what is too much before anything of it is fetched.
    fn check(&self, image: RemoteImage) -> Result<RemoteImage> {
        if image.layers.len() > MOST_LAYERS {
            return Err(self.error(&format!("has more than {MOST_LAYERS} layers"), ""));
        }
        check_size(&image.config, LARGEST_CONFIG, &self.reference)?;
        for layer in &image.layers {
            check_size(layer, LARGEST_LAYER, &self.reference)?;
        }
        Ok(image)
    }

    pub(super) fn no_platform(&self, platform: &Platform, entries: &[IndexEntry]) -> Error {
        let mut known: Vec<String> = (entries.iter().filter_map(IndexEntry::platform))
            .map(|platform| platform.to_string())
            .collect();
        known.dedup();
        known.truncate(20);
        self.error(
            &format!("there is no image for {platform}"),
            &format!("it is there for {}", known.join(", ")),
        )
    }

    pub(super) fn error(&self, message: &str, hint: &str) -> Error {
        Error::Registry {
            operation: format!("cannot pull {}", self.reference),
            message: message.to_owned(),
            codes: Vec::new(),
            hint: hint.to_owned(),
        }
    }
}

/// What a reference names in its repository: its digest counts more than its tag.
fn name(reference: &Reference) -> String {
    match &reference.digest {
        Some(digest) => digest.to_string(),
        None => reference.tag_or_latest().to_owned(),
    }
}

fn check_size(blob: &Descriptor, limit: u64, reference: &Reference) -> Result<()> {
    if blob.size <= limit {
        return Ok(());
    }
    Err(Error::Registry {
        operation: format!("cannot pull {reference}"),
        message: format!("{} has {} bytes, more than {limit}", blob.digest, blob.size),
        codes: Vec::new(),
        hint: String::new(),
    })
}
