//! What the server answers: names become requests, requests images, and images documents and blobs.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use http::StatusCode;

use super::builder::{Builder, Request};
use super::config::{Config, DEFAULT_SOURCE, Source};
use super::journal::Log;
use super::login::Login;
use super::name::{ImageName, InvalidName, NameRules};
use super::nix::PackageSet;
use super::pages::{self, Found, Gauges, ImageLayers, LayerSize};
use super::publish::find_layer;
use super::queue;
use strata_error::{Error, Result};
use strata_oci::{Descriptor, Digest, Index, Manifest, validate_tag};
use strata_serve::{Answered, Content, Contents, Denied, ManifestReference, Page, Visit};

/// Where it is told whether the server is well. Whoever asks need not log in.
const HEALTH: &str = "/healthz";
/// How many images the status page shows the layers of.
const SHOWN_IMAGES: u32 = 12;

/// A registry that builds.
pub struct Registry {
    config: Config,
    builder: Builder,
    login: Option<Login>,
    /// The sources that are named.
    sources: BTreeSet<String>,
}

impl Registry {
    /// A registry as the configuration says, which tells `log` each event.
    pub fn new(config: Config, log: Log) -> Result<Self> {
        let functions: PathBuf = config.functions.clone().ok_or_else(|| Error::Document {
            document: "the configuration of the registry".to_owned(),
            message: "functions is missing".to_owned(),
            hint:
                "name a file whose value are the functions of Strata, as `nix run .#registry` does"
                    .to_owned(),
        })?;
        let sources = config.sources.keys().filter(|name| *name != DEFAULT_SOURCE);
        Ok(Self {
            sources: sources.cloned().collect(),
            builder: Builder::new(&config, functions, log)?,
            login: config.login.as_deref().map(Login::read).transpose()?,
            config,
        })
    }

    /// Tells the log of something that no client is told.
    pub fn failed(&self, error: &Error) {
        self.builder.journal.failed(&error.report());
    }

    /// Ends what is being built: whoever waits for it is told so.
    pub fn stop(&self) {
        self.builder.is_stopping.store(true, Ordering::Relaxed);
    }

    /// What a name asks for.
    fn request(&self, name: &str, tag: &str) -> Result<Request, Denied> {
        if let Some(attribute) = self.config.images.get(name) {
            return Ok(Request::Flake(attribute.clone()));
        }
        let (parsed, source) = self.parse(name)?;
        let (source_type, reference) = source.arguments(tag);
        let systems = match parsed.system {
            Some(system) => vec![system.to_owned()],
            None => source.systems.clone(),
        };
        let sets = systems.into_iter().map(|system| PackageSet {
            source_type,
            reference: reference.clone(),
            system,
        });
        Ok(Request::Packages {
            sets: sets.collect(),
            packages: parsed.packages,
            is_fixed: source.is_fixed(tag),
        })
    }

    /// The packages that a name lists, and where they come from.
    fn parse(&self, name: &str) -> Result<(ImageName, &Source), Denied> {
        let rules = NameRules {
            sources: &self.sources,
            packages: self.config.limits.packages,
        };
        let invalid =
            |InvalidName(message)| Denied::new(StatusCode::BAD_REQUEST, "NAME_INVALID", message);
        let parsed = ImageName::parse(name, &rules).map_err(invalid)?;
        let source = parsed.source.as_deref().unwrap_or(DEFAULT_SOURCE);
        let source = self.config.sources.get(source);
        let unknown = || Denied::not_found("NAME_UNKNOWN", "no image has this name");
        let source = source.ok_or_else(unknown)?;
        parsed.check(&source.refuse).map_err(invalid)?;
        Ok((parsed, source))
    }

    fn landing(&self, visit: &Visit<'_>) -> String {
        let host = visit.host.unwrap_or(&self.config.listen);
        let images: Vec<String> = self.config.images.keys().cloned().collect();
        let query = visit.query.get("q").map(|query| query.trim());
        let query = query.filter(|query| !query.is_empty());
        let found = query.map(|query| self.search(query));
        pages::landing(host, &images, found.as_ref())
    }

    /// What a text in the search box means.
    fn search(&self, query: &str) -> Found {
        // Forms write a space as a plus.
        let words = query
            .split([' ', '+', '/', ','])
            .filter(|word| !word.is_empty());
        let words: Vec<String> = words.map(str::to_lowercase).collect();
        let name = words.join("/");
        let request = self.request(&name, "latest");
        let checked = request.and_then(|request| {
            let builder = &self.builder;
            let is_there = builder.check_names(&self.config, &request).is_ok();
            let names = match &request {
                Request::Packages { sets, .. } => sets.first(),
                Request::Flake(_) => None,
            };
            let names = names
                .map(|set| builder.names(&self.config, set))
                .transpose()?;
            Ok((is_there, names))
        });
        let (is_there, names, failure) = match checked {
            Ok((is_there, names)) => (is_there, names, None),
            Err(denied) => (false, None, Some(denied.message)),
        };
        let last = words.last().map_or("", String::as_str);
        let names = names.iter().flat_map(|names| names.iter());
        let packages = names.filter(|name| name.contains(last)).cloned().collect();
        Found {
            image: is_there.then_some(name),
            packages,
            failure,
            words,
        }
    }

    /// The layers of an image, or of the first one of an index.
    fn layers(&self, digest: Digest) -> Option<Vec<LayerSize>> {
        let (_, bytes) = self.builder.memory.document(digest)?;
        if let Ok(index) = serde_json::from_slice::<Index>(&bytes)
            && let Some(first) = index.manifests.first()
        {
            return self.layers(first.digest);
        }
        let manifest: Manifest = serde_json::from_slice(&bytes).ok()?;
        let layers = manifest.layers.iter().map(|layer| LayerSize {
            digest: layer.digest,
            size: layer.size,
        });
        Some(layers.collect())
    }

    fn status(&self) -> String {
        let images = self.builder.memory.newest(SHOWN_IMAGES).into_iter();
        let images = images.filter_map(|(label, digest)| {
            let layers = self.layers(digest)?;
            Some(ImageLayers { label, layers })
        });
        let images: Vec<ImageLayers> = images.collect();
        let journal = &self.builder.journal;
        pages::status(
            &journal.counts(),
            &self.gauges(),
            &journal.builds(),
            &images,
        )
    }

    fn gauges(&self) -> Gauges {
        let queue::State { running, waiting } = self.builder.queue.state();
        Gauges {
            running,
            waiting,
            blob_bytes: self.builder.blobs.size(),
        }
    }

    /// Whether what is remembered can be written.
    fn health(&self) -> Page {
        let well = tempfile::tempfile_in(&self.config.state);
        let path = self.config.state.display();
        match well {
            Ok(_) => pages::of_text(StatusCode::OK, "ok\n".to_owned()),
            Err(error) => {
                let text = format!("cannot write to {path}: {error}\n");
                pages::of_text(StatusCode::SERVICE_UNAVAILABLE, text)
            }
        }
    }

    fn document(&self, digest: Digest) -> Option<Content<'_>> {
        let (descriptor, bytes) = self.builder.memory.document(digest)?;
        Some(Content::Document(descriptor, bytes.into()))
    }
}

impl Contents for Registry {
    fn names(&self, last: Option<&str>) -> Vec<String> {
        let names = self.config.images.keys();
        let behind = names.filter(|name| last.is_none_or(|last| name.as_str() > last));
        behind.cloned().collect()
    }

    fn check(&self, name: &str) -> Result<(), Denied> {
        self.request(name, "latest").map(|_| ())
    }

    fn tags(&self, name: &str, last: Option<&str>) -> Result<Vec<String>, Denied> {
        self.check(name)?;
        let latest = "latest";
        let is_behind = last.is_none_or(|last| latest > last);
        Ok(is_behind.then(|| latest.to_owned()).into_iter().collect())
    }

    fn manifest(
        &self,
        name: &str,
        reference: ManifestReference<'_>,
    ) -> Result<Content<'_>, Denied> {
        let digest = match reference {
            ManifestReference::Digest(digest) => {
                self.check(name)?;
                digest
            }
            ManifestReference::Tag(tag) => {
                if validate_tag(tag).is_err() {
                    let message = "this is neither a tag nor a digest";
                    return Err(Denied::not_found("MANIFEST_UNKNOWN", message));
                }
                let request = self.request(name, tag)?;
                let label = format!("{name}:{tag}");
                self.builder.image(&self.config, &request, &label)?
            }
        };
        let unknown = "no image that was built here has this digest; pull it by its tag";
        let manifest = self.document(digest);
        manifest.ok_or_else(|| Denied::not_found("MANIFEST_UNKNOWN", unknown))
    }

    fn blob(&self, name: &str, digest: Digest) -> Result<Content<'_>, Denied> {
        self.check(name)?;
        let Builder { blobs, memory, .. } = &self.builder;
        if let Some((file, size)) = blobs.get(digest) {
            // What a client is told of a blob is its digest and size alone.
            let descriptor = Descriptor::new("", digest, size);
            return Ok(Content::File(descriptor, file));
        }
        if let Some(config) = self.document(digest) {
            return Ok(config);
        }
        let layer = find_layer(memory, digest, self.config.compression);
        let layer = layer.map(|layer| Content::Layer(Arc::clone(blobs).kept(layer)));
        let unknown = "no image that was built here has such a blob; pull it by its tag";
        layer.ok_or_else(|| Denied::not_found("BLOB_UNKNOWN", unknown))
    }

    fn admit(&self, visit: &Visit<'_>) -> Result<(), Denied> {
        match &self.login {
            Some(login) if visit.path != HEALTH => login.admit(visit.authorization),
            _ => Ok(()),
        }
    }

    fn page(&self, visit: &Visit<'_>) -> Option<Page> {
        match visit.path {
            "/" => Some(pages::of_html(self.landing(visit))),
            "/status" => Some(pages::of_html(self.status())),
            "/metrics" => {
                let counts = self.builder.journal.counts();
                let text = pages::metrics(&counts, &self.gauges());
                Some(pages::of_text(StatusCode::OK, text))
            }
            HEALTH => Some(self.health()),
            _ => None,
        }
    }

    fn answered(&self, answer: &Answered<'_>) {
        self.builder.journal.answered(answer);
    }
}
