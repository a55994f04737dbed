//! The Nix database of an image: which store paths its layers hold, as a directory for the root.

use std::collections::BTreeMap;
use std::os::unix::fs::symlink;
use std::path::Path;

use strata_base::{Base, bounds};
use strata_error::{Error, Result};
use strata_nix::{
    DATABASE_FILES, NixDatabase, Registration, Store, nar, parse_outputs, read_database,
    write_database,
};
use strata_oci::{Compression, History};
use strata_plan::{LayerSpec, Plan};
use strata_tree::{BaseEntry, ImagePath, Rule, Source};

/// Its name in the output.
pub(super) const DIRECTORY: &str = "database";

/// Directories that Nix works in and would otherwise make itself, as whoever runs it.
const STATE: [&str; 5] = [
    "gcroots/auto",
    "gcroots/per-user",
    "profiles/per-user",
    "temproots",
    "userpool",
];

/// Files of a base's database that would be taken for parts of the new one: what was not finished,
/// and the mark of tables that only experimental features of Nix have.
const LEFT_BEHIND: [&str; 4] = [
    "ca-schema",
    "db.sqlite-journal",
    "db.sqlite-shm",
    "db.sqlite-wal",
];

/// Writes the database of the store paths in the layers of `plan` and of `base` below the output
/// `out`, and adds it to the uppermost layer that is the image's own, or as a layer of its own.
pub(super) fn add(
    plan: &mut Plan,
    base: &Base,
    compression: Option<Compression>,
    settings: &NixDatabase,
    store: &Store,
    out: &str,
) -> Result<()> {
    if settings.own_store {
        give_away(&mut plan.layers, settings);
    }
    let path = format!("{out}/{DIRECTORY}");
    let directory = store.locate_below(&path);
    std::fs::create_dir(&directory).map_err(Error::io("create", &directory))?;
    let database = ImagePath::from(&*format!("{}/db", in_image(&store.state_directory())));
    let inherited = registered_in_base(base, &database, &directory, store)?;
    let mut paths = registrations(&plan.layers, store)?;
    for record in &base.layers {
        for source in in_store(&record.recipe.sources) {
            if is_in(base, &source.store_path) && !inherited.contains_key(&source.store_path) {
                paths.insert(source.store_path.clone(), registration(source, store)?);
            }
        }
    }
    let roots = Roots {
        directory: &settings.gc_roots,
        paths: paths.keys().cloned().collect(),
    };
    let time = i64::try_from(settings.registration_time).unwrap_or(i64::MAX);
    for registration in paths.values_mut() {
        registration.time = time;
    }
    merge(&mut paths, inherited)?;
    write(&directory, &paths, &roots, store)?;
    let source = source(path, settings, store)?;
    let history = History {
        created_by: Some("strata: Nix database".into()),
        ..History::default()
    };
    let layer = plan.top(history, compression);
    layer.sources.push(source);
    layer
        .sources
        .sort_by(|one, other| one.store_path.cmp(&other.store_path));
    layer.whiteouts.extend(left_behind(base, &database));
    layer.whiteouts.sort_unstable();
    Ok(())
}

/// What the base's database says of the store paths that are still there. `directory` is empty, and is
/// so again.
fn registered_in_base(
    base: &Base,
    database: &ImagePath,
    directory: &Path,
    store: &Store,
) -> Result<BTreeMap<String, Registration>> {
    let paths = DATABASE_FILES.map(|name| format!("{database}/{name}"));
    let paths = paths.each_ref().map(String::as_str);
    let files = base.read_files(&paths, bounds::LARGEST_DATABASE, store)?;
    if !files.contains_key(paths[0]) {
        return Ok(BTreeMap::new());
    }
    let copy =
        tempfile::tempdir_in(directory).map_err(Error::io("create a directory in", directory))?;
    for (name, path) in DATABASE_FILES.iter().zip(paths) {
        if let Some(file) = files.get(path) {
            let to = copy.path().join(name);
            std::fs::write(&to, &file.content).map_err(Error::io("write", &to))?;
        }
    }
    drop(files);
    let document = format!("/{} of the base image", paths[0]);
    let mut registered = read_database(copy.path(), &document, base.budget.bytes())?;
    registered.retain(|path, _| store.parse(path).is_ok() && is_in(base, path));
    Ok(registered)
}

/// Whether the base has the store path, and nothing has hidden it.
fn is_in(base: &Base, path: &str) -> bool {
    let path = ImagePath::from(path);
    let (directory, name) = path.split();
    let place = base.tree.directory(&directory);
    place.is_ok_and(|place| base.tree.at(&place.join(name)) != BaseEntry::Nothing)
}

/// Adds what the base says to what the closure says. The base knows more: who built a path, who signed
/// it. Both must mean the same content.
fn merge(
    paths: &mut BTreeMap<String, Registration>,
    inherited: BTreeMap<String, Registration>,
) -> Result<()> {
    for (path, registration) in inherited {
        let ours = paths.get(&path);
        if let Some(ours) = ours.filter(|ours| ours.hash != registration.hash) {
            return Err(Error::Conflict {
                path: path.trim_start_matches('/').to_owned(),
                first: format!("the base image ({})", registration.hash),
                second: format!("this machine's store ({})", ours.hash),
                about: "its content".into(),
                hint: format!(
                    "take the base's out with remove = [ \"{path}\" ], or use the same build of it"
                ),
            });
        }
        paths.insert(path, registration);
    }
    Ok(())
}

/// What of [`LEFT_BEHIND`] the base has.
fn left_behind(base: &Base, database: &ImagePath) -> Vec<ImagePath> {
    let Ok(place) = base.tree.directory(database) else {
        return Vec::new();
    };
    let places = LEFT_BEHIND.iter().map(|name| place.join(name.as_bytes()));
    places
        .filter(|place| base.tree.at(place) != BaseEntry::Nothing)
        .collect()
}

/// Gives the store paths to `owner`, as far as no rule is about them.
fn give_away(layers: &mut [LayerSpec], owner: &NixDatabase) {
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

/// Store paths that stay in the store.
fn in_store(sources: &[Source]) -> impl Iterator<Item = &Source> {
    sources.iter().filter(|source| !source.to_root)
}

/// What is in these layers under the store directory.
fn registrations(layers: &[LayerSpec], store: &Store) -> Result<BTreeMap<String, Registration>> {
    let sources = layers.iter().flat_map(|layer| in_store(&layer.sources));
    let named = |source: &Source| Ok((source.store_path.clone(), registration(source, store)?));
    sources.map(named).collect()
}

fn registration(source: &Source, store: &Store) -> Result<Registration> {
    let mut registration = Registration::new(
        source.store_path.clone(),
        &source.nar_hash,
        source.nar_size,
        source.references.iter().map(ToString::to_string).collect(),
    )?;
    if Path::new(&source.store_path).extension() == Some("drv".as_ref()) {
        let file = store.locate_below(&source.store_path);
        let bytes = std::fs::read(&file).map_err(Error::io("read", &file))?;
        registration.outputs = parse_outputs(&bytes).unwrap_or_default();
    }
    Ok(registration)
}

/// An absolute path as one below the root of the image.
fn in_image(path: &str) -> &str {
    path.trim_start_matches('/')
}

/// Links that keep the garbage collector from paths.
struct Roots<'a> {
    /// Where they are, below `gcroots`.
    directory: &'a str,
    paths: Vec<String>,
}

/// The tree that goes to `/`: the database, roots that keep the garbage collector from paths, and the
/// directories that Nix works in.
fn write(
    directory: &Path,
    paths: &BTreeMap<String, Registration>,
    roots: &Roots<'_>,
    store: &Store,
) -> Result<()> {
    let create = |path: &Path| std::fs::create_dir_all(path).map_err(Error::io("create", path));
    let state_directory = store.state_directory();
    let state = directory.join(in_image(&state_directory));
    create(&directory.join(in_image(&store.dir)).join(".links"))?;
    create(
        &directory
            .join(in_image(&store.var_directory()))
            .join("log/nix/drvs"),
    )?;
    for name in STATE {
        create(&state.join(name))?;
    }
    let link = |target: &str, path: &Path| symlink(target, path).map_err(Error::io("create", path));
    link(
        &format!("{state_directory}/profiles"),
        &state.join("gcroots/profiles"),
    )?;
    let links = state.join("gcroots").join(roots.directory);
    create(&links)?;
    for path in &roots.paths {
        let name = path.rsplit('/').next().unwrap_or(path);
        link(path, &links.join(name))?;
    }
    let db = state.join("db");
    create(&db)?;
    write_database(&db, paths)
}

/// The tree as a source; all of it belongs to whoever runs Nix, also the directories above that
/// other layers name.
fn source(path: String, owner: &NixDatabase, store: &Store) -> Result<Source> {
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
        without: Vec::new(),
        rules: vec![owner, files],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Roots of the base system are beside it (`system::system_tree`).
    #[test]
    fn the_database_is_where_the_store_has_its_state() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::new("/opt/nix/objects");
        let roots = Roots {
            directory: "strata",
            paths: Vec::new(),
        };
        write(directory.path(), &BTreeMap::new(), &roots, &store).unwrap();
        for path in [
            "opt/nix/objects/.links",
            "opt/nix/var/log/nix/drvs",
            "opt/nix/var/nix/db/db.sqlite",
            "opt/nix/var/nix/gcroots/auto",
        ] {
            assert!(directory.path().join(path).exists(), "{path}");
        }
    }
}
