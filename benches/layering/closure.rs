//! Images of the made-up distribution at one time, as Nix lists their closures.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use strata_nix::base32;
use strata_oci::Digest;

use crate::universe::{Universe, draw};

const KB: u64 = 1 << 10;

/// What an image is called, the areas of its packages, how many somebody chose, and in KB its application and what is
/// private to that.
type About = (&'static str, &'static [usize], usize, u64, &'static [u64]);

const IMAGES: [About; 16] = [
    ("cache", &[], 3, 10, &[200]),
    ("static-site", &[], 5, 31_000, &[800]),
    ("service", &[0], 4, 24_000, &[900]),
    ("web", &[1], 8, 900, &[4_200, 600]),
    ("shop", &[1, 2], 14, 8_000, &[96_000, 12_000]),
    ("blog", &[2], 9, 14_000, &[52_000]),
    ("api", &[3], 6, 2_400, &[184_000]),
    ("ledger", &[4], 5, 1_900, &[78_000]),
    ("ci", &[0, 5], 16, 60, &[300]),
    ("reports", &[5, 6], 22, 90, &[2_000]),
    ("media", &[7], 24, 700, &[5_000]),
    ("notebook", &[1, 6], 30, 2_000, &[15_000]),
    ("model", &[1], 18, 800, &[640_000, 20_000]),
    ("browser", &[8], 40, 500, &[42_000]),
    ("desktop", &[7, 8, 9], 90, 100, &[900]),
    ("workshop", &[0, 1, 3, 5, 9], 120, 300, &[9_000]),
];

/// All images.
pub(crate) fn images() -> std::ops::Range<usize> {
    0..IMAGES.len()
}

/// An image at one time.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct State {
    pub(crate) image: usize,
    /// Edits of the application, and of the first of what is private to it.
    pub(crate) edits: u32,
    pub(crate) private_edits: u32,
    /// Updates of sources that change nothing but bytes.
    pub(crate) patches: BTreeMap<usize, u32>,
    /// New versions of sources, which have other sizes and needs.
    pub(crate) versions: BTreeMap<usize, u32>,
}

impl State {
    /// The image as it was first.
    pub(crate) fn new(image: usize) -> Self {
        Self {
            image,
            ..Self::default()
        }
    }

    /// The packages of the image.
    pub(crate) fn packages(&self, universe: &Universe) -> BTreeSet<usize> {
        let mut found = BTreeSet::new();
        let mut todo = self.chosen();
        while let Some(package) = todo.pop() {
            if found.insert(package) {
                todo.extend(universe.needs(package, self.version(universe, package)));
            }
        }
        found
    }

    fn chosen(&self) -> Vec<usize> {
        let (name, areas, count, ..) = IMAGES[self.image];
        Universe::choose(name, areas, count)
    }

    fn version(&self, universe: &Universe, package: usize) -> u32 {
        let source = universe.get(package).source;
        self.versions.get(&source).copied().unwrap_or(0)
    }
}

/// A closure: sizes and references by store path.
pub(crate) struct Closure {
    pub(crate) paths: BTreeMap<String, (u64, Vec<String>)>,
}

impl Closure {
    pub(crate) fn new(universe: &Universe, state: &State) -> Self {
        let mut closure = Self {
            paths: BTreeMap::new(),
        };
        let mut path_of: BTreeMap<usize, String> = BTreeMap::new();
        for package in state.packages(universe) {
            let version = state.version(universe, package);
            let needs = universe.needs(package, version);
            let needs = needs.iter().map(|need| path_of[need].clone()).collect();
            let about = universe.get(package);
            let patches = state.patches.get(&about.source).copied().unwrap_or(0);
            let name = format!("{}-1.{version}.{patches}", about.name);
            let path = closure.add(&name, universe.size(package, version), needs);
            path_of.insert(package, path);
        }
        let (name, _, _, size, private) = IMAGES[state.image];
        let chosen = state.chosen();
        let mut needs: Vec<String> = chosen.iter().map(|need| path_of[need].clone()).collect();
        for (number, size) in private.iter().enumerate() {
            let edits = if number == 0 { state.private_edits } else { 0 };
            let name = format!("{name}-private{number}-1.{edits}");
            let first = needs[..1].to_vec();
            needs.push(closure.add(&name, size * KB, first));
        }
        closure.add(&format!("{name}-1.{}", state.edits), size * KB, needs);
        closure
    }

    fn add(&mut self, name: &str, size: u64, mut needs: Vec<String>) -> String {
        let hash = Digest::of(format!("{name} {}", needs.join(" ")).as_bytes());
        let path = format!(
            "/nix/store/{}-{name}",
            base32::encode(&hash.as_bytes()[..20])
        );
        // Half of all paths name themselves.
        if draw(name, 2) == 0 {
            needs.push(path.clone());
        }
        self.paths.insert(path.clone(), (size, needs));
        path
    }

    /// The bytes of all paths.
    pub(crate) fn size(&self) -> u64 {
        self.paths.values().map(|(size, _)| size).sum()
    }

    /// What `nix path-info --json` says.
    pub(crate) fn listed(&self) -> Value {
        let paths = self.paths.iter().map(|(path, (size, references))| {
            json!({ "path": path, "narSize": size, "references": references })
        });
        paths.collect()
    }
}
