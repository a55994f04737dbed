//! Indexes: one name for images of several platforms.

use std::path::Path;

use super::image::Image;
use super::open::{inside, store_of};
use strata_error::{Error, Result};
use strata_layer::{ImageName, ImagesFile, OutputLayout, damaged, parse};
use strata_oci::{Descriptor, Digest, Index, Platform, json, media_type};

/// An index that can be copied.
pub struct ImageIndex {
    /// What the index is called, if its builder said so.
    pub name: Option<ImageName>,
    /// The index.
    pub index: Index,
    /// Its bytes, of which `descriptor` holds the digest.
    pub index_bytes: Vec<u8>,
    /// Its media type, digest and size.
    pub descriptor: Descriptor,
    /// The images, one for each entry of the index.
    pub images: Vec<Image>,
}

/// What a derivation built.
pub enum ManifestOrIndex {
    /// One image.
    Image(Box<Image>),
    /// An index of several.
    Index(Box<ImageIndex>),
}

/// An image or an index, which is what a name can stand for.
#[derive(Clone, Copy)]
pub enum ManifestOrIndexRef<'a> {
    /// One image.
    Image(&'a Image),
    /// An index of several.
    Index(&'a ImageIndex),
}

impl ImageIndex {
    /// Opens the output of an index derivation, and the images that it names. Documents are read and
    /// checked against each other; layers are made when they are asked for.
    pub fn open(path: &Path) -> Result<Self> {
        let file = ImagesFile::read(path)?;
        let store = store_of(file.store_dir, path)?;
        let layout = OutputLayout(path);
        let descriptor = layout.only_entry("does not have one entry")?;
        let index_bytes = layout.blob(&descriptor)?;
        let index: Index = parse(path, &index_bytes)?;
        let images = file.images.iter();
        let images = images.map(|image| Image::open(&inside(&store, image)?));
        let images = images.collect::<Result<Vec<_>>>()?;
        let digests = images.iter().map(|image| image.manifest_descriptor.digest);
        if !digests.eq(index.manifests.iter().map(|entry| entry.digest)) {
            return Err(damaged(path, "does not have the images of its images.json"));
        }
        Ok(Self {
            name: Some(file.index),
            index,
            index_bytes,
            descriptor,
            images,
        })
    }

    /// The same index of other forms of its images, as of compressed ones.
    #[must_use]
    pub fn with_images(&self, images: Vec<Image>) -> Self {
        let manifests = images.iter().map(|image| &image.manifest_descriptor);
        let index = self.index.with_manifests(manifests);
        let index_bytes = json::to_bytes(&index);
        Self {
            descriptor: Descriptor {
                annotations: self.descriptor.annotations.clone(),
                ..Descriptor::of(media_type::INDEX, &index_bytes)
            },
            index,
            index_bytes,
            images,
            name: self.name.clone(),
        }
    }

    /// What the images run on, in the order of the index.
    pub fn platforms(&self) -> impl Iterator<Item = Platform> {
        self.images.iter().map(|image| image.config.platform())
    }

    /// The number of the image that is best for `platform`.
    fn find(&self, platform: &Platform) -> Result<usize> {
        let platforms: Vec<(usize, Platform)> = self.platforms().enumerate().collect();
        let found = platform.choose(&platforms, |(_, found)| Some(found.clone()));
        found.map(|(number, _)| *number).ok_or_else(|| {
            let all: Vec<String> = self.platforms().map(|it| it.to_string()).collect();
            no_image(
                &format!("index {}", self.descriptor.digest),
                platform,
                &format!(
                    "it has images for {}; --platform chooses one",
                    all.join(", ")
                ),
            )
        })
    }
}

impl ManifestOrIndex {
    /// Opens the output of an image or index derivation.
    pub fn open(path: &Path) -> Result<Self> {
        if ImagesFile::is_in(path) {
            ImageIndex::open(path).map(|index| Self::Index(Box::new(index)))
        } else {
            Image::open(path).map(|image| Self::Image(Box::new(image)))
        }
    }

    /// The image for `platform`, which has the name of the index that it comes from.
    pub fn into_image(self, platform: &Platform) -> Result<Image> {
        match self {
            Self::Image(image) => {
                let own = image.config.platform();
                if platform
                    .choose(&[&own], |own| Some((*own).clone()))
                    .is_some()
                {
                    return Ok(*image);
                }
                let what = format!("image {}", image.manifest_descriptor.digest);
                Err(no_image(&what, platform, &format!("it is for {own}")))
            }
            Self::Index(mut index) => {
                let number = index.find(platform)?;
                let mut image = index.images.swap_remove(number);
                image.name = index.name;
                Ok(image)
            }
        }
    }

    /// The same, borrowed.
    pub fn borrowed(&self) -> ManifestOrIndexRef<'_> {
        match self {
            Self::Image(image) => ManifestOrIndexRef::Image(image),
            Self::Index(index) => ManifestOrIndexRef::Index(index),
        }
    }
}

impl<'a> ManifestOrIndexRef<'a> {
    /// What it is called, if its builder said so.
    pub fn name(&self) -> Option<&'a ImageName> {
        match self {
            Self::Image(image) => image.name.as_ref(),
            Self::Index(index) => index.name.as_ref(),
        }
    }

    /// Media type, digest and size of the manifest or index.
    pub fn descriptor(&self) -> &'a Descriptor {
        match self {
            Self::Image(image) => &image.manifest_descriptor,
            Self::Index(index) => &index.descriptor,
        }
    }

    /// The digest of the manifest or index.
    pub fn digest(&self) -> Digest {
        self.descriptor().digest
    }

    /// The images, all that there are.
    pub fn images(&self) -> Vec<&'a Image> {
        match self {
            Self::Image(image) => vec![image],
            Self::Index(index) => index.images.iter().collect(),
        }
    }
}

impl<'a> From<&'a Image> for ManifestOrIndexRef<'a> {
    fn from(image: &'a Image) -> Self {
        Self::Image(image)
    }
}

impl<'a> From<&'a ImageIndex> for ManifestOrIndexRef<'a> {
    fn from(index: &'a ImageIndex) -> Self {
        Self::Index(index)
    }
}

fn no_image(what: &str, platform: &Platform, hint: &str) -> Error {
    Error::Document {
        document: what.to_owned(),
        message: format!("there is no image for {platform}"),
        hint: hint.to_owned(),
    }
}
