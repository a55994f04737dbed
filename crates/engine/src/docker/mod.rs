//! `docker-daemon:`: a Docker engine, by its API.
//!
//! ```text
//!  resolve ─────> client ────> strata-http
//!  context,       │ requests  unix, tcp (tls), ssh
//!  endpoint       │
//!  shared_layers ─┴──> load without the layers that are there ──> check ──> tag
//! ```
//!
//! An archive is loaded without a name, looked for, and only then named, so that a name never means
//! an image that is not whole. What other images tell of the engine's layers can be wrong (an image
//! is removed, a layer was kept in another form): when the engine refuses the archive or does not
//! have the image afterwards, everything is sent once.

mod client;
mod context;
mod endpoint;
mod environment;
mod message;
mod resolve;
mod shared_layers;
mod tls;

use std::collections::BTreeSet;
use std::io::Write;
use std::sync::{Mutex, PoisonError};

use self::client::Client;
use self::environment::text;
use self::message::ImageSummary;
use self::resolve::resolve;
use self::shared_layers::{SharedLayers, Store};
use strata_copy::{CopyName, archive, blobs};
use strata_error::{Error, Result};
use strata_image::Image;
use strata_layer::piped;
use strata_oci::{Descriptor, Digest, Platform};
use strata_progress::{Context, Detail, Outcome, Progress};

/// When so few bytes of layers are left to send, no further image is asked for what it shares.
const FEW: u64 = 1 << 20;
/// So many images are asked for what they share, as the API tells of one at a time: those of the same name,
/// then those that the engine lists first, which are the newest.
const MOST_ASKED: usize = 200;

/// How to reach it.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The engine's address: `unix://`, `tcp://` or `ssh://`; else what the environment and the current
    /// context say.
    pub host: Option<String>,
}

/// Copies `image` there. It has its name only when the engine has all of it.
pub fn copy(image: &Image, name: &CopyName, options: &Options, context: Context<'_>) -> Result<()> {
    connected(options, context, |client| {
        let store = if client.info()?.is_containerd() {
            Store::Containerd
        } else {
            Store::Classic
        };
        let engine = Engine { client, store };
        engine.ensure_loaded(image, name, context)?;
        engine.tag(image, name)
    })
}

/// What the engine runs on.
pub fn platform(options: &Options, context: Context<'_>) -> Result<Platform> {
    connected(options, context, |client| client.platform())
}

/// Writes the archive of its image `name`, as `docker save` does.
pub fn save(
    name: &str,
    options: &Options,
    output: &mut dyn Write,
    context: Context<'_>,
) -> Result<()> {
    connected(options, context, |client| client.save(name, output))
}

fn connected<T>(
    options: &Options,
    context: Context<'_>,
    work: impl FnOnce(Client<'_>) -> Result<T>,
) -> Result<T> {
    let environment = |name: &str| std::env::var_os(name);
    let endpoint = resolve(options.host.as_deref(), &environment, context)?;
    let version = text(&environment, "DOCKER_API_VERSION");
    work(Client::connect(&endpoint, version.as_deref(), context)?)
}

struct Engine<'a> {
    client: Client<'a>,
    store: Store,
}

impl Engine<'_> {
    /// Sees to it that the engine has all of `image`.
    fn ensure_loaded(&self, image: &Image, name: &CopyName, context: Context<'_>) -> Result<()> {
        let id = self.store.id(image);
        let images = self.client.images()?;
        if self.is_listed(&images, id) {
            for blob in blobs(image).values() {
                context.progress.begin(blob.descriptor());
                context.progress.finish(blob.descriptor(), Outcome::Present);
            }
            return Ok(());
        }
        let shared = self.shared_layers(image, images, name)?;
        if !shared.is_empty() {
            let attempt = Attempt::new(context.progress);
            match self.load(image, &shared, context.watched_by(&attempt)) {
                Ok(()) => {
                    attempt.succeed();
                    return Ok(());
                }
                Err(Error::Engine { .. }) => self.clean_up(id)?,
                Err(error) => return Err(error),
            }
        }
        self.load(image, &BTreeSet::new(), context)
    }

    /// The layers of `image` that the engine has by what it says about its `images`.
    fn shared_layers(
        &self,
        image: &Image,
        mut images: Vec<ImageSummary>,
        name: &CopyName,
    ) -> Result<BTreeSet<Digest>> {
        let mut shared = SharedLayers::new(self.store, image);
        if let Some((repository, _)) = split(name) {
            // The most similar image is likely to be an older one of the same name.
            images.sort_by_key(|image| !image.is_of(repository));
        }
        for summary in images.iter().take(MOST_ASKED) {
            if shared.missing() <= FEW {
                break;
            }
            // Images come and go meanwhile.
            if let Some(other) = self.client.inspect(&summary.id)? {
                shared.add_image(&other.diff_ids());
            }
        }
        Ok(shared.blobs())
    }

    /// Loads the archive without some blobs. It is an error if the engine does not have the image
    /// then, whatever it said.
    fn load(
        &self,
        image: &Image,
        leave_out: &BTreeSet<Digest>,
        context: Context<'_>,
    ) -> Result<()> {
        let nameless = CopyName::default();
        piped(
            |writer| archive::stream(image, writer, &nameless, leave_out, context),
            |reader| self.client.load(reader),
        )?;
        let id = self.store.id(image);
        if self.is_listed(&self.client.images()?, id) {
            return Ok(());
        }
        let message = format!("it took the archive and does not have all of {id} now");
        Err(self
            .client
            .error("load the image", message, "the engine's log may tell why"))
    }

    fn is_listed(&self, images: &[ImageSummary], id: Digest) -> bool {
        match self.store {
            Store::Classic => {
                let id = id.to_string();
                images.iter().any(|image| image.id == id)
            }
            Store::Containerd => images.iter().any(|image| image.is_whole(id)),
        }
    }

    /// Removes what a load that failed left: containerd's store keeps an image without a name.
    fn clean_up(&self, id: Digest) -> Result<()> {
        match self.client.inspect(&id.to_string())? {
            Some(left) if left.repo_tags.iter().flatten().next().is_none() => {
                self.client.remove(id)
            }
            _ => Ok(()),
        }
    }

    /// Gives the image its name, and asks for it by that.
    fn tag(&self, image: &Image, name: &CopyName) -> Result<()> {
        let Some((repository, tag)) = split(name) else {
            return Ok(());
        };
        let id = self.store.id(image);
        self.client.tag(id, repository, tag)?;
        let full = format!("{repository}:{tag}");
        let found = self.client.inspect(&full)?.map(|found| found.id);
        if found.as_ref() == Some(&id.to_string()) {
            return Ok(());
        }
        let found = found.unwrap_or_else(|| "nothing".to_owned());
        let message = format!("{full} is {found} afterwards, not {id}");
        Err(self
            .client
            .error("name the image", message, "is somebody else copying there?"))
    }
}

/// The repository, with its registry, and the tag.
fn split(name: &CopyName) -> Option<(&str, &str)> {
    name.full.as_deref()?.rsplit_once(':')
}

/// A try whose end nobody knows before the engine was asked: what is finished is told only then.
struct Attempt<'a> {
    progress: &'a dyn Progress,
    finished: Mutex<Vec<(Descriptor, Outcome)>>,
}

impl<'a> Attempt<'a> {
    fn new(progress: &'a dyn Progress) -> Self {
        Self {
            progress,
            finished: Mutex::default(),
        }
    }

    fn succeed(self) {
        let finished = self
            .finished
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        for (blob, outcome) in finished {
            self.progress.finish(&blob, outcome);
        }
    }
}

impl Progress for Attempt<'_> {
    fn begin(&self, blob: &Descriptor) {
        self.progress.begin(blob);
    }

    fn advance(&self, blob: &Descriptor, bytes: u64) {
        self.progress.advance(blob, bytes);
    }

    fn finish(&self, blob: &Descriptor, outcome: Outcome) {
        let mut finished = self.finished.lock().unwrap_or_else(PoisonError::into_inner);
        finished.push((blob.clone(), outcome));
    }

    fn warn(&self, text: &str) {
        self.progress.warn(text);
    }

    fn explain(&self, detail: Detail, text: &str) {
        self.progress.explain(detail, text);
    }
}
