//! What a server has: images under their names and tags, and their blobs.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use crate::contents::{Content, Contents, Denied, ManifestReference};
use strata_copy::{Blob, blobs};
use strata_error::{Error, Result};
use strata_image::ManifestOrIndexRef;
use strata_oci::{Digest, Reference, split_registry, validate_tag};

/// Images to serve.
#[derive(Default)]
pub struct Catalog<'a> {
    repositories: BTreeMap<String, Repository<'a>>,
}

/// What is known under one name.
#[derive(Default)]
struct Repository<'a> {
    /// The manifests by tag.
    tags: BTreeMap<String, Digest>,
    /// The manifests.
    manifests: BTreeMap<Digest, Blob<'a>>,
    /// The configs and layers.
    blobs: BTreeMap<Digest, Blob<'a>>,
}

impl<'a> Catalog<'a> {
    /// Adds an image or index and gives what it is called here: its own name without the registry, and its tag.
    pub fn add(&mut self, root: impl Into<ManifestOrIndexRef<'a>>) -> Result<String> {
        let root = root.into();
        let error = |message: String, hint: &str| Error::Document {
            document: format!("image {}", root.digest()),
            message,
            hint: hint.to_owned(),
        };
        let Some(own) = root.name() else {
            return Err(error(
                "it has no name to serve it under".to_owned(),
                "give it a name in buildImage",
            ));
        };
        let repository = without_registry(&own.name)?;
        let known = self
            .repositories
            .get(repository)
            .and_then(|known| known.tags.get(&own.tag));
        if known.is_some_and(|known| *known != root.digest()) {
            return Err(error(
                format!("another image is called {repository}:{}, too", own.tag),
                "serve it on another --listen, or give one of them another name or tag",
            ));
        }
        self.add_as(root, repository, &own.tag);
        Ok(format!("{repository}:{}", own.tag))
    }

    /// Adds an image or index under this name and tag, of which the caller knows that they are good.
    pub fn add_as(&mut self, root: impl Into<ManifestOrIndexRef<'a>>, name: &str, tag: &str) {
        let root = root.into();
        let repository = self.repositories.entry(name.to_owned()).or_default();
        repository.tags.insert(tag.to_owned(), root.digest());
        let images = root.images().into_iter();
        let manifests = images.map(|image| image.manifest_descriptor.digest);
        let manifests: BTreeSet<Digest> = manifests.chain([root.digest()]).collect();
        for (digest, blob) in blobs(root) {
            if manifests.contains(&digest) {
                repository.manifests.insert(digest, blob);
            } else {
                repository.blobs.insert(digest, blob);
            }
        }
    }

    /// What is known under a name.
    fn repository(&self, name: &str) -> Result<&Repository<'a>, Denied> {
        let error = || Denied::not_found("NAME_UNKNOWN", "no image has this name");
        self.repositories.get(name).ok_or_else(error)
    }
}

impl Contents for Catalog<'_> {
    fn names(&self, last: Option<&str>) -> Vec<String> {
        keys_behind(&self.repositories, last)
    }

    fn check(&self, name: &str) -> Result<(), Denied> {
        self.repository(name).map(|_| ())
    }

    fn tags(&self, name: &str, last: Option<&str>) -> Result<Vec<String>, Denied> {
        Ok(keys_behind(&self.repository(name)?.tags, last))
    }

    fn manifest(
        &self,
        name: &str,
        reference: ManifestReference<'_>,
    ) -> Result<Content<'_>, Denied> {
        let repository = self.repository(name)?;
        let (digest, message) = match reference {
            ManifestReference::Digest(digest) => (Some(digest), "no image has this digest"),
            ManifestReference::Tag(tag) if validate_tag(tag).is_ok() => {
                (repository.tags.get(tag).copied(), "no image has this tag")
            }
            ManifestReference::Tag(_) => (None, "this is neither a tag nor a digest"),
        };
        let manifest = digest.and_then(|digest| repository.manifests.get(&digest));
        let error = || Denied::not_found("MANIFEST_UNKNOWN", message);
        manifest.copied().map(Content::Blob).ok_or_else(error)
    }

    fn blob(&self, name: &str, digest: Digest) -> Result<Content<'_>, Denied> {
        let blob = self.repository(name)?.blobs.get(&digest);
        let error = || Denied::not_found("BLOB_UNKNOWN", "the image has no such blob");
        blob.copied().map(Content::Blob).ok_or_else(error)
    }
}

fn keys_behind<V>(map: &BTreeMap<String, V>, last: Option<&str>) -> Vec<String> {
    let start = last.map_or(Bound::Unbounded, Bound::Excluded);
    let found = map.range::<str, _>((start, Bound::Unbounded));
    found.map(|(key, _)| key.clone()).collect()
}

/// A name without the registry that it may begin with. `hello` stays `hello`, although Docker says
/// `library/hello` to its own registry.
fn without_registry(name: &str) -> Result<&str> {
    Reference::parse(name)?;
    Ok(split_registry(name).1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use strata_testing::image as fixture;

    #[test]
    fn images_are_known_without_their_registry() {
        for (name, known) in [
            ("hello", "hello"),
            ("me/hello", "me/hello"),
            ("docker.io/hello", "hello"),
            ("index.docker.io/hello", "hello"),
            ("localhost:5000/me/hello", "me/hello"),
        ] {
            let mut image = fixture::image(&[b"one"]);
            image.name.as_mut().unwrap().name = name.to_owned();
            let mut catalog = Catalog::default();
            assert_eq!(catalog.add(&image).unwrap(), format!("{known}:latest"));
            assert_eq!(catalog.names(None), [known]);
        }
    }

    #[test]
    fn one_name_is_one_image() {
        let one = fixture::image(&[b"one"]);
        let two = fixture::image(&[b"two"]);
        let mut catalog = Catalog::default();
        catalog.add(&one).unwrap();
        catalog.add(&one).unwrap();
        let error = catalog.add(&two).unwrap_err();
        assert!(error.to_string().contains("hello:latest"), "{error}");
        let mut other = fixture::image(&[b"two"]);
        other.name.as_mut().unwrap().tag = "other".to_owned();
        catalog.add(&other).unwrap();
        let hello = &catalog.repositories["hello"];
        assert_eq!((hello.tags.len(), hello.manifests.len()), (2, 2));
        assert_eq!(hello.blobs.len(), 4);
        let mut nameless = fixture::image(&[b"one"]);
        nameless.name = None;
        assert!(
            catalog
                .add(&nameless)
                .unwrap_err()
                .to_string()
                .contains("no name")
        );
    }
}
