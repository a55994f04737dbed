//! The Nix database of an image: which store paths its layers hold, as a directory for the root.

use std::os::unix::fs::symlink;
use std::path::Path;

use crate::nix::{NixDatabase, Registration, Store, nar, parse_outputs, write_database};
use crate::oci::{Compression, History};
use crate::plan::PlannedLayer;
use crate::tree::{Rule, Source};
use crate::{Error, Result};

/// Its name in the output.
const DIRECTORY: &str = "database";

/// Directories that Nix works in and would otherwise make itself, as whoever runs it.
const STATE: [&str; 6] = [
    "gcroots/auto",
    "gcroots/per-user",
    "gcroots/strata",
    "profiles/per-user",
    "temproots",
    "userpool",
];

/// Writes the database of the store paths in `layers` below the output `out` and adds it to the
/// uppermost layer that is the image's own, or as a layer of its own.
pub(super) fn add(
    layers: &mut Vec<PlannedLayer>,
    lower: usize,
    compression: Option<Compression>,
    owner: NixDatabase,
    store: &Store,
    out: &str,
) -> Result<()> {
    if owner.own_store {
        give_away(layers, owner);
    }
    let path = format!("{out}/{DIRECTORY}");
    write(
        &store.locate_below(&path),
        registrations(layers, store)?,
        store,
    )?;
    let source = source(path, owner, store)?;
    match layers.get_mut(lower..).and_then(<[PlannedLayer]>::last_mut) {
        Some(layer) => {
            layer.sources.push(source);
            layer
                .sources
                .sort_by(|one, other| one.store_path.cmp(&other.store_path));
        }
        None => layers.push(PlannedLayer {
            sources: vec![source],
            whiteouts: Vec::new(),
            history: History {
                created_by: Some("strata".into()),
                ..History::default()
            },
            keep_tar: false,
            compression,
        }),
    }
    Ok(())
}

/// Gives the store paths to `owner`, as far as no rule is about them.
fn give_away(layers: &mut [PlannedLayer], owner: NixDatabase) {
    let rule = Rule {
        uid: Some(owner.uid),
        gid: Some(owner.gid),
        ..Rule::default()
    };
    let sources = layers.iter_mut().flat_map(|layer| &mut layer.sources);
    for source in sources.filter(|source| !source.to_root) {
        source.rules.insert(0, rule.clone());
    }
}

/// What is in the image under the store directory.
fn registrations(layers: &[PlannedLayer], store: &Store) -> Result<Vec<Registration>> {
    let sources = layers
        .iter()
        .flat_map(|layer| &layer.sources)
        .filter(|source| !source.to_root);
    let registration = |source: &Source| {
        let outputs = if Path::new(&source.store_path).extension() == Some("drv".as_ref()) {
            let file = store.locate_below(&source.store_path);
            let bytes = std::fs::read(&file).map_err(Error::io("read", &file))?;
            parse_outputs(&bytes).unwrap_or_default()
        } else {
            Vec::new()
        };
        Ok(Registration {
            path: source.store_path.clone(),
            nar_hash: source.nar_hash.clone(),
            nar_size: source.nar_size,
            references: source.references.clone(),
            outputs,
        })
    };
    sources.map(registration).collect()
}

/// The tree that goes to `/`: the database, roots that keep the garbage collector from the image's
/// paths, and the directories that Nix works in.
fn write(directory: &Path, paths: Vec<Registration>, store: &Store) -> Result<()> {
    let create = |path: &Path| std::fs::create_dir_all(path).map_err(Error::io("create", path));
    let store_dir = store.dir.trim_start_matches('/');
    let prefix = store_dir.strip_suffix("/store").unwrap_or(store_dir);
    let var = directory.join(prefix).join("var");
    let state = var.join("nix");
    create(&directory.join(store_dir).join(".links"))?;
    create(&var.join("log/nix/drvs"))?;
    for name in STATE {
        create(&state.join(name))?;
    }
    let link = |target: &str, path: &Path| symlink(target, path).map_err(Error::io("create", path));
    link(
        &format!("/{prefix}/var/nix/profiles"),
        &state.join("gcroots/profiles"),
    )?;
    for path in &paths {
        let name = path.path.rsplit('/').next().unwrap_or(&path.path);
        link(&path.path, &state.join("gcroots/strata").join(name))?;
    }
    let db = state.join("db");
    create(&db)?;
    write_database(&db, paths)
}

/// The tree as a source; all of it belongs to whoever runs Nix, also the directories above that
/// other layers name.
fn source(path: String, owner: NixDatabase, store: &Store) -> Result<Source> {
    let info = nar::hash(&store.locate_below(&path))?;
    let rule = |regex: &str, mode: Option<&str>| Rule {
        regex: regex.to_owned(),
        mode: mode.and_then(|mode| mode.parse().ok()),
        ..Rule::default()
    };
    let owner = Rule {
        uid: Some(owner.uid),
        gid: Some(owner.gid),
        ..rule("", Some("0755"))
    };
    let files = rule("/var/nix/db/[^/]+$", Some("0644"));
    Ok(Source {
        store_path: path,
        nar_hash: info.hash,
        nar_size: info.size,
        references: Vec::new(),
        to_root: true,
        rules: vec![owner, files],
    })
}
