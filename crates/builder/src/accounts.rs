//! The users and groups of a base system over those of a base image.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use strata_archive::{Metadata, Mode};
use strata_base::{Base, BaseFile, bounds};
use strata_error::{Error, Result};
use strata_nix::{AccountsRequest, Store, nar};
use strata_plan::LayerSpec;
use strata_system::{AccountFiles, Usual, merge_accounts};
use strata_tree::{CompiledRules, EntryType, ImagePath, Rule, Source};

/// Their directory in the output.
pub(super) const DIRECTORY: &str = "accounts";
/// The files, in the order of the fields of [`AccountFiles`].
const FILES: [&str; 4] = ["etc/passwd", "etc/group", "etc/shadow", "etc/gshadow"];

/// Writes the files that a base system in `layers` and `base` make together below the output `out`, and
/// puts them in the place of the base system's.
pub(super) fn merge(
    layers: &mut [LayerSpec],
    systems: &[&AccountsRequest],
    base: &Base,
    store: &Store,
    out: &str,
) -> Result<()> {
    // Two base systems disagree about the files anyway.
    let found = systems.iter().find_map(|system| {
        let has_it = |layer: &LayerSpec| layer.sources.iter().any(|it| is_of(it, system));
        Some((*system, layers.iter().position(has_it)?))
    });
    let Some((system, number)) = found else {
        return Ok(());
    };
    let base_files = base.read_files(&FILES, bounds::LARGEST_ACCOUNTS, store)?;
    let Some(layer) = layers.get_mut(number).filter(|_| !base_files.is_empty()) else {
        return Ok(());
    };
    let Some(source) = layer.sources.iter_mut().find(|it| is_of(it, system)) else {
        return Ok(());
    };
    let usual = |names: &[String]| names.iter().map(|name| name.clone().into_bytes()).collect();
    let usual = Usual {
        users: usual(&system.usual_users),
        groups: usual(&system.usual_groups),
    };
    let content = |path: &str| base_files.get(path).map(|file| file.content.clone());
    let own = own_files(&store.locate_below(&system.path))?;
    let merged = merge_accounts(&account_files(FILES.map(content)), &own, &usual)?;
    let merged = replace(
        source,
        merged,
        &base_files,
        store,
        format!("{out}/{DIRECTORY}"),
    )?;
    layer.sources.push(merged);
    layer
        .sources
        .sort_by(|one, other| one.store_path.cmp(&other.store_path));
    Ok(())
}

fn is_of(source: &Source, system: &AccountsRequest) -> bool {
    source.to_root && source.store_path == system.path
}

/// Writes the merged files to `path` and takes them out of the base system's `source`; gives the source
/// that has them.
fn replace(
    source: &mut Source,
    merged: AccountFiles,
    base_files: &BTreeMap<&str, BaseFile>,
    store: &Store,
    path: String,
) -> Result<Source> {
    let root = store.locate_below(&path);
    let mut rules = Vec::new();
    let AccountFiles {
        passwd,
        group,
        shadow,
        gshadow,
    } = merged;
    for (name, text) in FILES.iter().zip([passwd, group, shadow, gshadow]) {
        let Some(text) = text else {
            continue;
        };
        let place = place(name, base_files, store);
        write(&root.join(OsStr::from_bytes(&place.0)), &text)?;
        let metadata = base_files.get(name).map(|file| file.metadata.clone());
        let metadata = metadata.unwrap_or_else(|| Metadata::root(Mode::of_file(false)));
        rules.push(rule(&path, &place, settle(source, name, metadata)?));
        source.without.push(ImagePath::from(*name));
    }
    source.without.sort_unstable();
    let info = nar::hash(&root)?;
    Ok(Source {
        store_path: path,
        nar_hash: info.hash,
        nar_size: info.size,
        references: Vec::new(),
        to_root: true,
        without: Vec::new(),
        rules,
    })
}

fn account_files([passwd, group, shadow, gshadow]: [Option<Vec<u8>>; 4]) -> AccountFiles {
    AccountFiles {
        passwd,
        group,
        shadow,
        gshadow,
    }
}

fn own_files(root: &Path) -> Result<AccountFiles> {
    let mut texts = [const { None }; 4];
    for (name, text) in FILES.iter().zip(&mut texts) {
        let file = root.join(name);
        if file.symlink_metadata().is_ok_and(|found| found.is_file()) {
            *text = Some(std::fs::read(&file).map_err(Error::io("read", &file))?);
        }
    }
    Ok(account_files(texts))
}

/// Where a file goes: where the base has it, through links, but never into one of its store paths.
fn place(name: &str, base_files: &BTreeMap<&str, BaseFile>, store: &Store) -> ImagePath {
    let store_dir = ImagePath::from(store.dir.as_str());
    let place = base_files.get(name).map(|file| file.place.clone());
    place
        .filter(|place| place.ancestors().all(|directory| directory != store_dir))
        .unwrap_or_else(|| ImagePath::from(name))
}

/// What a file has: what the base says, and what the rules about the base system's own file change.
fn settle(source: &Source, name: &str, metadata: Metadata) -> Result<Metadata> {
    let rules = CompiledRules::new(&source.store_path, &source.rules).map_err(|error| {
        Error::Attribute {
            attribute: "perms".into(),
            message: error.to_string(),
            hint: "regular expressions have RE2 syntax".into(),
        }
    })?;
    let path = format!("{}/{name}", source.store_path);
    let changes = rules.changes(path.as_bytes());
    Ok(changes.apply_to(metadata, EntryType::File))
}

/// The rule that gives a file its metadata.
fn rule(root: &str, place: &ImagePath, metadata: Metadata) -> Rule {
    let text = |(name, value)| Some((name, String::from_utf8(value).ok()?));
    let xattrs: BTreeMap<_, _> = metadata.xattrs.into_iter().filter_map(text).collect();
    Rule {
        regex: format!("^{}$", regex::escape(&format!("{root}/{place}"))),
        mode: Some(metadata.mode),
        uid: Some(metadata.uid),
        gid: Some(metadata.gid),
        uname: Some(metadata.uname),
        gname: Some(metadata.gname),
        xattrs: Some(xattrs).filter(|xattrs| !xattrs.is_empty()),
        ..Rule::default()
    }
}

fn write(file: &Path, text: &[u8]) -> Result<()> {
    if let Some(directory) = file.parent() {
        std::fs::create_dir_all(directory).map_err(Error::io("create", directory))?;
    }
    std::fs::write(file, text).map_err(Error::io("write", file))
}
