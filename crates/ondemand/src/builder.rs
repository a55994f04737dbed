//! From a name and a tag to an image: remembered, or built.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use std::{fs, io};

use serde_json::json;

use super::blobs::Blobs;
use super::config::Config;
use super::failure::Failure;
use super::flights::Flights;
use super::journal::{Build, Journal, Log};
use super::memory::{Memory, Tagged};
use super::name::top;
use super::nix::{Nix, PackageSet};
use super::publish::Publisher;
use super::queue::Queue;
use strata_error::{Error, Result};
use strata_oci::Digest;

/// The most failures, and names of package sets, that are remembered.
const MOST_FAILURES: usize = 4096;
const MOST_SETS: usize = 16;

/// Names at the top of a package set, in lower case.
type Names = Arc<BTreeSet<String>>;

/// What is to be built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    /// Packages, for each of these sets.
    Packages {
        sets: Vec<PackageSet>,
        packages: BTreeSet<String>,
        /// Whether it is always the same.
        is_fixed: bool,
    },
    /// An attribute of a flake.
    Flake(String),
}

/// Builds images and remembers them.
pub(crate) struct Builder {
    pub(crate) memory: Memory,
    pub(crate) blobs: Arc<Blobs>,
    pub(crate) queue: Queue,
    pub(crate) journal: Journal,
    pub(crate) is_stopping: AtomicBool,
    functions: PathBuf,
    roots: PathBuf,
    flights: Flights<Digest, Result<Digest, Failure>>,
    failures: Mutex<BTreeMap<Digest, (Instant, Failure)>>,
    names: Mutex<BTreeMap<PackageSet, (Instant, Names)>>,
    naming: Flights<PackageSet, Result<Names, Failure>>,
}

impl Builder {
    /// A builder with the memory that the configuration names.
    pub(crate) fn new(config: &Config, functions: PathBuf, log: Log) -> Result<Self> {
        let state = &config.state;
        let roots = state.join("roots");
        fs::create_dir_all(&roots).map_err(Error::io("create", &roots))?;
        Ok(Self {
            memory: Memory::open(state)?,
            blobs: Arc::new(Blobs::open(
                state.join("blobs"),
                config.limits.blobs_mib.saturating_mul(1 << 20),
            )?),
            queue: Queue::new(config.limits.builds, config.limits.queue),
            journal: Journal::new(log),
            is_stopping: AtomicBool::new(false),
            functions,
            roots,
            flights: Flights::default(),
            failures: Mutex::default(),
            names: Mutex::default(),
            naming: Flights::default(),
        })
    }

    /// The digest of the image's manifest or index. It takes as long as Nix does. `label` is its name and tag.
    pub(crate) fn image(
        &self,
        config: &Config,
        request: &Request,
        label: &str,
    ) -> Result<Digest, Failure> {
        let key = self.key(config, request);
        if let Some(known) = self.fresh(config, request, &key) {
            self.journal.remembered();
            return Ok(known);
        }
        if let Some(failure) = self.failure(config, &key) {
            return Err(failure);
        }
        let result = self.check_names(config, request);
        let result = result.and_then(|()| {
            self.flights.run(&key, || {
                // Somebody may have built it since.
                match self.fresh(config, request, &key) {
                    Some(known) => Ok(known),
                    None => self.build(config, request, &key, label),
                }
            })
        });
        if let Err(failure) = &result
            && !failure.is_passing()
        {
            self.remember_failure(config, key, failure);
        }
        result
    }

    /// What a request is called in the memory. Everything that the bytes depend on is in it.
    fn key(&self, config: &Config, request: &Request) -> Digest {
        let what = match request {
            Request::Packages { sets, packages, .. } => {
                let sets = sets.iter();
                let sets = sets.map(|set| json!([set.source_type, set.reference, set.system]));
                json!({ "sets": sets.collect::<Vec<_>>(), "packages": packages })
            }
            Request::Flake(attribute) => json!({ "flake": attribute }),
        };
        let key = json!([self.functions, config.compression.to_string(), what]);
        Digest::of(key.to_string().as_bytes())
    }

    /// The image that was built before, if that was not long ago and it is still there.
    fn fresh(&self, config: &Config, request: &Request, key: &Digest) -> Option<Digest> {
        let (Tagged { image, evaluated }, paths) = self.memory.tagged(key)?;
        let is_fixed = matches!(request, Request::Packages { is_fixed: true, .. });
        let age = u64::try_from(now().saturating_sub(evaluated)).unwrap_or(0);
        let is_fresh = is_fixed || age < config.limits.fresh_seconds;
        (is_fresh && paths.iter().all(|path| path.exists())).then_some(image)
    }

    fn build(
        &self,
        config: &Config,
        request: &Request,
        key: &Digest,
        label: &str,
    ) -> Result<Digest, Failure> {
        let _place = self.queue.enter().ok_or(Failure::Busy)?;
        let nix = self.nix(config);
        let (begun, at) = (Instant::now(), SystemTime::now());
        let result = self.build_with(&nix, config, request);
        self.journal.built(Build {
            label: label.to_owned(),
            result: result.clone(),
            at,
            time: begun.elapsed(),
            log: nix.log.take(),
        });
        let image = result?;
        let evaluated = now();
        self.memory
            .keep_tag(key, label, Tagged { image, evaluated });
        for path in self.memory.forget(config.limits.images) {
            self.let_go(&path);
        }
        Ok(image)
    }

    fn build_with(
        &self,
        nix: &Nix<'_>,
        config: &Config,
        request: &Request,
    ) -> Result<Digest, Failure> {
        let paths = match request {
            Request::Packages { sets, packages, .. } => {
                let paths = sets.iter().map(|set| {
                    let derivation = nix.derivation(set, packages)?;
                    nix.realise(&derivation, &self.root(&derivation.to_string_lossy()))
                });
                paths.collect::<Result<Vec<_>, _>>()?
            }
            Request::Flake(attribute) => {
                let path = nix.build_flake(attribute)?;
                vec![nix.realise(&path, &self.root(&path.to_string_lossy()))?]
            }
        };
        let publisher = Publisher {
            memory: &self.memory,
            blobs: &self.blobs,
            compression: config.compression,
            is_stopping: &self.is_stopping,
        };
        Ok(publisher.publish(&paths, now())?)
    }

    /// Refuses packages that the package sets cannot have, so that names that somebody made up cost no evaluation.
    pub(crate) fn check_names(&self, config: &Config, request: &Request) -> Result<(), Failure> {
        let Request::Packages { sets, packages, .. } = request else {
            return Ok(());
        };
        for set in sets {
            let names = self.names(config, set)?;
            let missing = packages.iter().filter(|package| {
                let top = top(package).to_lowercase();
                let digit = top.starts_with(|first: char| first.is_ascii_digit());
                !names.contains(&if digit { format!("_{top}") } else { top })
            });
            let missing: Vec<String> = missing.cloned().collect();
            if !missing.is_empty() {
                return Err(Failure::Missing(missing));
            }
        }
        Ok(())
    }

    /// The names at the top of a package set, in lower case.
    pub(crate) fn names(&self, config: &Config, set: &PackageSet) -> Result<Names, Failure> {
        let fresh = Duration::from_secs(config.limits.fresh_seconds);
        let known = || {
            let names = lock(&self.names);
            let known = names.get(set).filter(|(since, _)| since.elapsed() < fresh);
            known.map(|(_, names)| Arc::clone(names))
        };
        if let Some(names) = known() {
            return Ok(names);
        }
        self.naming.run(set, || {
            if let Some(names) = known() {
                return Ok(names);
            }
            let _place = self.queue.enter().ok_or(Failure::Busy)?;
            let names = self.nix(config).names(set)?.into_iter();
            let found = Arc::new(names.map(|name| name.to_lowercase()).collect());
            let mut names = lock(&self.names);
            let oldest = names.iter().min_by_key(|(_, (since, _))| *since);
            let oldest = oldest.map(|(set, _)| set.clone());
            if names.len() >= MOST_SETS
                && let Some(oldest) = oldest
            {
                names.remove(&oldest);
            }
            names.insert(set.clone(), (Instant::now(), Arc::clone(&found)));
            Ok(found)
        })
    }

    fn nix<'a>(&'a self, config: &'a Config) -> Nix<'a> {
        Nix {
            functions: &self.functions,
            limits: &config.limits,
            is_stopping: &self.is_stopping,
            log: RefCell::default(),
        }
    }

    fn failure(&self, config: &Config, key: &Digest) -> Option<Failure> {
        let time = Duration::from_secs(config.limits.failure_seconds);
        let failures = lock(&self.failures);
        let known = failures
            .get(key)
            .filter(|(since, _)| since.elapsed() < time);
        known.map(|(_, failure)| failure.clone())
    }

    fn remember_failure(&self, config: &Config, key: Digest, failure: &Failure) {
        let time = Duration::from_secs(config.limits.failure_seconds);
        let mut failures = lock(&self.failures);
        if failures.len() >= MOST_FAILURES {
            failures.retain(|_, (since, _)| since.elapsed() < time);
        }
        if failures.len() < MOST_FAILURES {
            failures.insert(key, (Instant::now(), failure.clone()));
        }
    }

    /// The link that keeps what a store path or derivation brings from Nix's garbage collector.
    fn root(&self, path: &str) -> PathBuf {
        self.roots.join(Digest::of(path.as_bytes()).hex())
    }

    /// Leaves a store path to Nix's garbage collector.
    fn let_go(&self, path: &Path) {
        let links = fs::read_dir(&self.roots).into_iter().flatten().flatten();
        for link in links {
            let target: io::Result<PathBuf> = fs::read_link(link.path());
            if target.is_ok_and(|target| target == path) {
                let _ = fs::remove_file(link.path());
            }
        }
    }
}

/// Seconds since 1970.
fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
    })
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is in it is right between any two statements.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
