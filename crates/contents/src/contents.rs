//! The packages of all layers as one graph, and what the arguments named.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use strata_error::{Error, Result};
use strata_nix::PackageName;
use strata_oci::Digest;
use strata_plan::shortened;
use strata_plan::strategy::{Graph, Node};

use super::found::{FoundFile, FoundLayer, FoundPackage, Named, References};

/// So many names stand for a layer.
const NAMES: usize = 3;

/// What is in an image.
#[derive(Clone, Debug, Default)]
pub struct Contents {
    /// The layers, lowest first.
    pub layers: Vec<Layer>,
    /// The packages by their numbers, which are those of the graph.
    pub packages: Vec<Package>,
    /// What mentions what.
    pub graph: Graph,
    /// What the arguments named, by argument; then the packages that no other mentions and no argument named.
    pub roots: Vec<Root>,
}

/// A layer.
#[derive(Clone, Debug)]
pub struct Layer {
    /// The digest of the blob, as the manifest has it.
    pub digest: Digest,
    /// The digest of the uncompressed layer.
    pub diff_id: Digest,
    /// What the manifest calls the blob.
    pub media_type: String,
    /// The length of the blob in bytes.
    pub size: u64,
    /// What the history says of it.
    pub created_by: Option<String>,
    /// Why it is a layer, where a strategy said so.
    pub reason: Option<String>,
    /// Whether it is of a base image that Strata did not make.
    pub is_base: bool,
    /// The packages in it, ascending; one that is in its place and at `/` is there twice.
    pub packages: Vec<Placement>,
    /// All that is in it, where that was looked at.
    pub files: Option<Vec<FoundFile>>,
}

/// A package in a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Placement {
    /// Its number.
    pub package: u32,
    /// Whether its content is at `/`.
    pub to_root: bool,
}

/// A store path of the image.
#[derive(Clone, Debug)]
pub struct Package {
    /// The full path.
    pub path: String,
    /// The length of its archive in bytes.
    pub size: u64,
    /// The hash of its archive, where Nix recorded it.
    pub nar_hash: Option<String>,
    /// The numbers of the layers that have it, ascending.
    pub layers: Vec<usize>,
}

impl Package {
    /// Its name, version and output.
    pub fn name(&self) -> PackageName<'_> {
        PackageName::parse(self.full_name())
    }

    /// The name in whole: `openssl-3.0.1-dev`.
    pub fn full_name(&self) -> &str {
        let base = self
            .path
            .rsplit_once('/')
            .map_or(&*self.path, |(_, base)| base);
        let rest = base.get(super::HASH_LENGTH..);
        rest.and_then(|rest| rest.strip_prefix('-')).unwrap_or(base)
    }
}

/// A package from which chains begin.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Root {
    /// The argument that names it, as users write it; none if nobody said which, as in images of others.
    pub argument: Option<String>,
    /// The number of the package.
    pub package: u32,
}

impl Contents {
    /// The contents of `layers`, lowest first. `named` is what the arguments named; what of that is not in the
    /// layers is passed over.
    pub fn new(layers: Vec<FoundLayer>, named: &[Named]) -> Result<Self> {
        let found = merge(&layers);
        let hashes: BTreeMap<&str, &str> = found
            .keys()
            .filter_map(|path| Some((hash_of(path)?, *path)))
            .collect();
        let nodes = found.iter().map(|(path, (package, _))| Node {
            path: (*path).into(),
            size: package.size,
            references: match &package.references {
                // What `ignore` left out is mentioned and not there.
                References::Recorded(paths) => {
                    let there = paths
                        .iter()
                        .filter(|path| found.contains_key(path.as_str()));
                    there.map(|path| path.as_str().into()).collect()
                }
                References::Hashes(all) => {
                    let paths = all.iter().filter_map(|hash| hashes.get(hash.as_str()));
                    paths.map(|path| (*path).into()).collect()
                }
            },
        });
        let graph = Graph::new(nodes.collect()).map_err(|_| Error::Document {
            document: "the image".to_owned(),
            // Each is there once, and mentions what is there.
            message: "has more store paths than can be numbered".to_owned(),
            hint: "look at a smaller image".to_owned(),
        })?;
        // Numbers are in the order of the paths, as the map is.
        let packages = found.into_iter().map(|(path, (package, layers))| Package {
            path: path.to_owned(),
            size: package.size,
            nar_hash: package.nar_hash.clone(),
            layers: Vec::from_iter(layers),
        });
        let packages = packages.collect();
        let roots = roots(&graph, named);
        let layers = layers.into_iter().map(|layer| placed(layer, &graph));
        Ok(Self {
            layers: layers.collect(),
            packages,
            graph,
            roots,
        })
    }

    /// The numbers of all packages.
    pub fn numbers(&self) -> std::ops::Range<u32> {
        self.graph.all()
    }

    /// A package by its number.
    pub fn package(&self, number: u32) -> &Package {
        &self.packages[number as usize]
    }

    /// The arguments that name a package.
    pub fn arguments(&self, number: u32) -> impl Iterator<Item = &str> {
        let roots = self.roots.iter().filter(move |root| root.package == number);
        roots.filter_map(|root| root.argument.as_deref())
    }

    /// The numbers of the packages that are roots, ascending, each once.
    pub fn root_packages(&self) -> Vec<u32> {
        let roots: BTreeSet<u32> = self.roots.iter().map(|root| root.package).collect();
        Vec::from_iter(roots)
    }

    /// The packages that are meant by a store path, or a path below one; by a package's name, with or without its
    /// version; or else by a part of one, of which nothing is none.
    pub fn find(&self, wanted: &str) -> Vec<u32> {
        if wanted.is_empty() {
            return Vec::new();
        }
        if let Some(path) = self.containing(wanted) {
            return vec![path];
        }
        let named = |fits: &dyn Fn(&Package) -> bool| -> Vec<u32> {
            let all = self.numbers();
            all.filter(|number| fits(self.package(*number))).collect()
        };
        let exact =
            named(&|package| package.full_name() == wanted || package.name().name == wanted);
        if !exact.is_empty() {
            return exact;
        }
        named(&|package| package.full_name().contains(wanted))
    }

    /// The package whose store path `path` is, or is below.
    pub fn containing(&self, path: &str) -> Option<u32> {
        let mut path = path.trim_end_matches('/');
        loop {
            if let Some(found) = self.graph.find(path) {
                return Some(found);
            }
            path = path.rsplit_once('/')?.0;
        }
    }

    /// What a layer is, in a few words.
    pub fn what(&self, layer: usize) -> String {
        let layer = &self.layers[layer];
        // The default of `buildLayer` says nothing, and the default of an image what stands here anyway.
        let said = layer.created_by.as_deref();
        let said = said.filter(|said| *said != "strata" && !said.starts_with("strata: "));
        let base = if layer.is_base { "base image: " } else { "" };
        if let Some(said) = said {
            return format!("{base}{said}");
        }
        let mut packages: Vec<u32> = layer.packages.iter().map(|it| it.package).collect();
        packages.dedup();
        packages.sort_by_key(|number| Reverse(self.package(*number).size));
        let names = packages
            .iter()
            .map(|number| self.package(*number).full_name());
        let mut what = shortened(names, NAMES);
        if what.is_empty() {
            let said = layer.created_by.as_deref().unwrap_or_default();
            said.strip_prefix("strata: ")
                .unwrap_or(said)
                .clone_into(&mut what);
        }
        format!("{base}{what}")
    }

    /// All bytes of the layers.
    pub fn size(&self) -> u64 {
        self.layers.iter().map(|layer| layer.size).sum()
    }
}

/// The hash part of a store path.
fn hash_of(path: &str) -> Option<&str> {
    let base = path.rsplit_once('/')?.1;
    let (hash, rest) = base.split_at_checked(super::HASH_LENGTH)?;
    rest.starts_with('-').then_some(hash)
}

/// Each store path once, and the layers that have it.
fn merge(layers: &[FoundLayer]) -> BTreeMap<&str, (&FoundPackage, BTreeSet<usize>)> {
    let mut found = BTreeMap::new();
    for (number, layer) in layers.iter().enumerate() {
        for package in &layer.packages {
            let of_path = found
                .entry(package.path.as_str())
                .or_insert_with(|| (package, BTreeSet::new()));
            of_path.1.insert(number);
        }
    }
    found
}

fn roots(graph: &Graph, named: &[Named]) -> Vec<Root> {
    let mut roots: Vec<Root> = named
        .iter()
        .filter_map(|named| {
            Some(Root {
                argument: Some(named.argument.clone()),
                package: graph.find(&named.path)?,
            })
        })
        .collect();
    roots.sort();
    roots.dedup();
    let known: BTreeSet<u32> = roots.iter().map(|root| root.package).collect();
    let others = graph.without_users().into_iter();
    let others = others.filter(|package| !known.contains(package));
    roots.extend(others.map(|package| Root {
        argument: None,
        package,
    }));
    roots
}

fn placed(layer: FoundLayer, graph: &Graph) -> Layer {
    let packages = layer.packages.iter().filter_map(|package| {
        Some(Placement {
            package: graph.find(&package.path)?,
            to_root: package.to_root,
        })
    });
    let mut packages: Vec<Placement> = packages.collect();
    packages.sort_unstable();
    Layer {
        digest: layer.digest,
        diff_id: layer.diff_id,
        media_type: layer.media_type,
        size: layer.size,
        created_by: layer.created_by,
        reason: layer.reason,
        is_base: layer.is_base,
        packages,
        files: layer.files,
    }
}

/// Contents for tests.
#[cfg(test)]
pub(crate) mod fixture {
    use super::*;

    /// A store path of this name.
    pub(crate) fn path(name: &str) -> String {
        // Different names have different hashes.
        let mut hash: String = name
            .bytes()
            .map(|byte| char::from(b'0' + byte % 10))
            .collect();
        hash.truncate(super::super::HASH_LENGTH);
        format!("/nix/store/{hash:0>32}-{name}")
    }

    /// A package with what it mentions.
    pub(crate) fn package(name: &str, size: u64, references: &[&str]) -> FoundPackage {
        FoundPackage {
            path: path(name),
            size,
            nar_hash: None,
            references: References::Recorded(references.iter().map(|name| path(name)).collect()),
            to_root: false,
        }
    }

    /// A layer of packages.
    pub(crate) fn layer(packages: Vec<FoundPackage>) -> FoundLayer {
        let names: Vec<&str> = packages
            .iter()
            .map(|package| package.path.as_str())
            .collect();
        let digest = Digest::of(names.join(" ").as_bytes());
        FoundLayer {
            digest,
            diff_id: digest,
            media_type: strata_oci::media_type::LAYER_TAR.to_owned(),
            size: packages.iter().map(|package| package.size).sum(),
            created_by: None,
            reason: None,
            is_base: false,
            packages,
            files: None,
        }
    }

    /// The number of the package of this name.
    pub(crate) fn number(contents: &Contents, name: &str) -> u32 {
        contents.graph.find(&path(name)).unwrap()
    }

    /// An application on three libraries, two of which need the third one, and data that nobody named.
    pub(crate) fn contents() -> Contents {
        let layers = vec![
            layer(vec![package("libc-2", 100, &["libc-2"])]),
            layer(vec![
                package("ssl-3.0", 10, &["libc-2"]),
                package("curl-8", 20, &["ssl-3.0", "libc-2"]),
            ]),
            layer(vec![
                package("app-1", 1, &["curl-8", "gone"]),
                package("data", 5, &[]),
            ]),
        ];
        let named = Named {
            argument: "config.Cmd".to_owned(),
            path: path("app-1"),
        };
        Contents::new(layers, &[named]).unwrap()
    }
}

#[cfg(test)]
mod tests {
    use super::fixture::{contents, layer, number, package, path};
    use super::*;

    #[test]
    fn what_is_not_there_is_not_in_the_graph() {
        let contents = contents();
        assert_eq!(contents.packages.len(), 5);
        let app = number(&contents, "app-1");
        assert_eq!(contents.graph.references(app).len(), 1);
        assert_eq!(contents.arguments(app).collect::<Vec<_>>(), ["config.Cmd"]);
        let unnamed: Vec<u32> = contents
            .roots
            .iter()
            .filter(|root| root.argument.is_none())
            .map(|root| root.package)
            .collect();
        assert_eq!(unnamed, [number(&contents, "data")]);
        assert_eq!(contents.size(), 136);
    }

    #[test]
    fn packages_are_found_by_path_file_and_name() {
        let contents = contents();
        let ssl = number(&contents, "ssl-3.0");
        for wanted in [
            path("ssl-3.0").as_str(),
            &format!("{}/lib/libssl.so", path("ssl-3.0")),
            "ssl",
            "ssl-3.0",
            "sl-3",
        ] {
            assert_eq!(contents.find(wanted), [ssl], "{wanted}");
        }
        // A name is meant before a part of one: libc is no part of what is looked for then.
        assert_eq!(contents.find("libc").len(), 1);
        assert_eq!(contents.find("c").len(), 2);
        assert!(contents.find("nothing").is_empty());
        assert!(contents.find("/nix/store").is_empty());
    }

    #[test]
    fn hashes_in_files_are_references() {
        let hash = hash_of(&path("libc-2")).unwrap().to_owned();
        let mut app = package("app-1", 1, &[]);
        app.references = References::Hashes(BTreeSet::from([hash, "1".repeat(32)]));
        let layers = vec![layer(vec![app, package("libc-2", 100, &[])])];
        let contents = Contents::new(layers, &[]).unwrap();
        let (app, libc) = (number(&contents, "app-1"), number(&contents, "libc-2"));
        assert_eq!(contents.graph.references(app), [libc]);
    }
}
