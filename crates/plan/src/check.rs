//! From what the Nix functions asked for to what can be planned: every value is checked here.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;

use super::files::{CheckedFile, check_files};
use super::pipeline::Pipeline;
use super::platform::check_platform;
use strata_archive::{Mode, clean_path};
use strata_base::{Inheritance, Selection};
use strata_error::{Error, Result};
use strata_layer::PathRule;
use strata_nix::{
    AccountsRequest, FromImage, ImageRequest, LayerHints, LimitsRequest, NixDatabase, OwnerRequest,
    PermsRule, Request, Store, StorePath, StrategyName,
};
use strata_oci::{
    Compression, Config, Format, History, Platform, Reference, UserConfig, canonical_user_config,
    is_rfc3339, seconds_of, validate_tag,
};
use strata_tree::{ImagePath, Owner, Rule};

/// A request whose values are known to be good.
pub struct CheckedRequest {
    /// What goes to the root.
    pub copy_to_root: BTreeSet<StorePath>,
    /// What goes into the store, with its closure.
    pub deps: BTreeSet<StorePath>,
    /// What is left out.
    pub ignore: BTreeSet<StorePath>,
    /// The parent layers, outputs of `buildLayer`, lowest first.
    pub layers: Vec<StorePath>,
    /// The rules, in order.
    pub perms: Vec<PathRule>,
    /// What is put into the image file by file, sorted by path.
    pub files: Vec<CheckedFile>,
    /// At least one; none leaves it to the strategy.
    pub max_layers: Option<NonZeroUsize>,
    /// How layers are cut.
    pub strategy: StrategyName,
    /// What the strategy is told of store paths.
    pub hints: CheckedHints,
    /// Where layers are that stay if they can: at or below a store path.
    pub previous_layers: Option<String>,
    /// Where a file is that says which layers there are.
    pub layers_file: Option<String>,
    /// The images whose layers are taken where they fit.
    pub alongside: Vec<String>,
    /// How they are cut instead.
    pub pipeline: Option<Pipeline>,
    /// The time of entries, in seconds since 1970; none is that of the store.
    pub mtime: Option<u64>,
    /// Whose the store paths are, if not root's.
    pub store_owner: Option<Owner>,
    /// Whether store paths are in layers.
    pub include_store_paths: bool,
    /// Whether what goes to the root is in a layer of its own.
    pub root_apart: bool,
    /// Tars that are layers, lowest first: at or below a store path.
    pub tar_layers: Vec<String>,
    /// Whether the only one is in the uppermost layer of store paths instead.
    pub join_tar: bool,
    /// Whether tars need not be kept.
    pub reproducible: bool,
    /// How layers are compressed that do not say so themselves.
    pub compression: Option<Compression>,
    /// The base systems that go to the root.
    pub accounts: Vec<AccountsRequest>,
    /// The history entry of each layer, if the user wrote one.
    pub history: Option<History>,
    /// What makes it an image.
    pub image: Option<CheckedImage>,
}

/// What the user knows of store paths, as [`LayerHints`] has it.
#[derive(Debug, Default)]
pub struct CheckedHints {
    /// They change seldom.
    pub stable: Vec<StorePath>,
    /// They change often.
    pub volatile: Vec<StorePath>,
    /// Each list is in one layer.
    pub together: Vec<Vec<StorePath>>,
    /// Each is a layer.
    pub alone: Vec<StorePath>,
}

/// The part that only an image has.
#[derive(Debug)]
pub struct CheckedImage {
    /// Lower-case.
    pub name: String,
    /// The tag.
    pub tag: String,
    /// What the image runs on.
    pub platform: Platform,
    /// The form of the manifest where it is copied to.
    pub format: Option<Format>,
    /// RFC 3339.
    pub created: String,
    /// Known keys in their own spelling.
    pub config: Config,
    /// What engines pass over in the config.
    pub warnings: Vec<String>,
    /// Annotations of the manifest.
    pub annotations: BTreeMap<String, String>,
    /// The base image.
    pub base: Option<CheckedBase>,
    /// Who owns the Nix database, if there is to be one.
    pub nix_database: Option<NixDatabase>,
    /// Whether store paths are mounted instead of being in layers.
    pub mount_store_paths: bool,
    /// What it must keep to, as it was written.
    pub limits: Option<LimitsRequest>,
}

/// The base image of one.
#[derive(Debug)]
pub struct CheckedBase {
    /// Where it is: at or below a store path.
    pub path: String,
    /// Which of the images there.
    pub selection: Selection,
    /// What is taken over from its config.
    pub inheritance: Inheritance,
    /// Paths of it that are hidden.
    pub remove: Vec<ImagePath>,
}

/// Checks a request whose output is `out`, and in which nothing depends on the clock or on files any more.
pub fn check(request: Request, store: &Store, out: &str) -> Result<CheckedRequest> {
    let paths = |attribute: &str, paths: &[String]| check_paths(attribute, paths, store);
    let set = |attribute, list: &[String]| Ok(paths(attribute, list)?.into_iter().collect());
    let pipeline = request.layering_pipeline.as_ref();
    let pipeline = pipeline.map(|pipeline| Pipeline::parse(pipeline, store));
    Ok(CheckedRequest {
        copy_to_root: set("copyToRoot", &request.copy_to_root)?,
        deps: set("deps", &request.deps)?,
        ignore: set("ignore", &request.ignore)?,
        layers: paths("layers", &request.layers)?,
        perms: check_perms(request.perms, store)?,
        files: check_files(request.files, store)?,
        max_layers: request.max_layers.map(check_max_layers).transpose()?,
        strategy: request.strategy,
        hints: check_hints(&request.layer_hints, store)?,
        previous_layers: request.previous_layers,
        layers_file: request.layers_file,
        alongside: request.alongside,
        pipeline: pipeline.transpose()?,
        mtime: request.mtime.as_deref().map(check_mtime).transpose()?,
        store_owner: request.store_owner.map(check_owner).transpose()?,
        include_store_paths: request.include_store_paths,
        root_apart: request.root_apart,
        join_tar: check_join_tar(request.join_tar, &request.tar_layers)?,
        tar_layers: check_tars(request.tar_layers, store)?,
        reproducible: request.reproducible,
        compression: check_compression(request.compression.as_deref())?,
        accounts: request.accounts,
        history: request.metadata,
        image: request
            .image
            .map(|image| check_image(image, store, out))
            .transpose()?,
    })
}

fn check_paths(attribute: &str, paths: &[String], store: &Store) -> Result<Vec<StorePath>> {
    let number = |(number, path): (usize, &String)| {
        store.parse(path).map_err(|message| Error::Attribute {
            attribute: format!("{attribute}[{number}]"),
            message,
            hint: "give a package, or a path that Nix has copied to the store".into(),
        })
    };
    paths.iter().enumerate().map(number).collect()
}

fn check_mtime(mtime: &str) -> Result<u64> {
    let seconds = seconds_of(mtime).ok_or_else(|| not_a_time("mtime", mtime))?;
    u64::try_from(seconds).map_err(|_| Error::Attribute {
        attribute: "mtime".into(),
        message: format!("{mtime:?} is before 1970, where the time of files begins"),
        hint: "write a later time, or leave it out".into(),
    })
}

fn not_a_time(attribute: &str, text: &str) -> Error {
    Error::Attribute {
        attribute: attribute.into(),
        message: format!("{text:?} is not a time"),
        hint: "write it as in 2024-12-31T23:59:59Z, or \"now\"".into(),
    }
}

fn check_owner(owner: OwnerRequest) -> Result<Owner> {
    let rule = Rule {
        uid: Some(owner.uid),
        gid: Some(owner.gid),
        uname: owner.uname.clone(),
        gname: owner.gname.clone(),
        ..Rule::default()
    };
    rule.check().map_err(|(field, message)| Error::Attribute {
        attribute: field.into(),
        message,
        hint: "give numbers below 4294967295, and names as in /etc/passwd".into(),
    })?;
    let name = |name: Option<String>, number| {
        let usual = if number == 0 { "root" } else { "" };
        name.unwrap_or_else(|| usual.to_owned())
    };
    Ok(Owner {
        uname: name(owner.uname, owner.uid),
        gname: name(owner.gname, owner.gid),
        uid: owner.uid,
        gid: owner.gid,
    })
}

fn check_tars(paths: Vec<String>, store: &Store) -> Result<Vec<String>> {
    for (number, path) in paths.iter().enumerate() {
        store
            .parse_below(path)
            .map_err(|message| Error::Attribute {
                attribute: format!("tarLayers[{number}]"),
                message,
                hint: "give a tar that is in the store".into(),
            })?;
    }
    Ok(paths)
}

fn check_join_tar(join_tar: bool, tars: &[String]) -> Result<bool> {
    if join_tar && tars.len() != 1 {
        return Err(Error::Attribute {
            attribute: "joinTar".into(),
            message: format!("is true, but there are {} tars in `tarLayers`", tars.len()),
            hint: "give one tar, or leave it out: tars are layers of their own then".into(),
        });
    }
    Ok(join_tar)
}

fn check_max_layers(max_layers: u64) -> Result<NonZeroUsize> {
    // More than there can be is as many as there are.
    let max_layers = usize::try_from(max_layers).unwrap_or(usize::MAX);
    NonZeroUsize::new(max_layers).ok_or_else(|| Error::Attribute {
        attribute: "maxLayers".into(),
        message: "is 0, but the files need at least one layer".into(),
        hint: "set maxLayers to 1 or more, or leave it out".into(),
    })
}

fn check_hints(hints: &LayerHints, store: &Store) -> Result<CheckedHints> {
    let paths =
        |name: &str, list: &[String]| check_paths(&format!("layerHints.{name}"), list, store);
    let stable = paths("stable", &hints.stable)?;
    let volatile = paths("volatile", &hints.volatile)?;
    if let Some(number) = stable.iter().position(|path| volatile.contains(path)) {
        return Err(Error::Attribute {
            attribute: format!("layerHints.stable[{number}]"),
            message: format!("{} is in `volatile`, too", stable[number]),
            hint: "leave it out of one of them".into(),
        });
    }
    let lists = hints.together.iter().enumerate();
    let together = lists.map(|(number, list)| paths(&format!("together[{number}]"), list));
    Ok(CheckedHints {
        together: together.collect::<Result<_>>()?,
        alone: paths("alone", &hints.alone)?,
        stable,
        volatile,
    })
}

fn check_image(image: ImageRequest, store: &Store, out: &str) -> Result<CheckedImage> {
    let platform = check_platform(&image)?;
    let name = check_name(&image.name)?;
    let tag = check_tag(image.tag, out)?;
    if !is_rfc3339(&image.created) {
        return Err(not_a_time("created", &image.created));
    }
    let inheritance = Inheritance::check(&image.inherit_config)?;
    let remove = check_remove(&image.remove)?;
    let UserConfig { config, warnings } = canonical_user_config(&image.config)?;
    check_directory(&config, image.from_image.is_some())?;
    Ok(CheckedImage {
        name,
        tag,
        platform,
        format: image.format,
        created: image.created,
        config,
        warnings,
        annotations: image.annotations,
        base: match image.from_image {
            Some(base) => Some(check_base(base, inheritance, remove, store)?),
            None if remove.is_empty() => None,
            None => {
                return Err(Error::Attribute {
                    attribute: "remove".into(),
                    message: "there is no fromImage to remove anything from".into(),
                    hint: "leave out of copyToRoot what should not be there".into(),
                });
            }
        },
        nix_database: image.nix_database,
        mount_store_paths: image.mount_store_paths,
        limits: image.limits,
    })
}

/// runc starts nothing in a relative directory. Over a base it is below the base's, or `/`.
fn check_directory(config: &Config, has_base: bool) -> Result<()> {
    let directory = config.get("WorkingDir").and_then(|value| value.as_str());
    match directory.filter(|path| !has_base && !path.is_empty() && !path.starts_with('/')) {
        None => Ok(()),
        Some(path) => Err(Error::Attribute {
            attribute: "config.WorkingDir".into(),
            message: format!("{path:?} is not an absolute path"),
            hint: format!("write {:?}", format!("/{path}")),
        }),
    }
}

/// The name of an image or index, in lower case.
pub fn check_name(name: &str) -> Result<String> {
    let name = name.to_lowercase();
    let reference = Reference::parse(&name).map_err(|error| attribute("name", &error))?;
    if reference.tag.is_some() || reference.digest.is_some() {
        return Err(Error::Attribute {
            attribute: "name".into(),
            message: format!("{name:?} has a tag or digest in it"),
            hint: "give the tag as the argument tag".into(),
        });
    }
    Ok(name)
}

/// The tag of an image or index; without one, the hash part of its output `out`.
pub fn check_tag(tag: Option<String>, out: &str) -> Result<String> {
    let tag = tag.unwrap_or_else(|| {
        let base = out.rsplit('/').next().unwrap_or(out);
        base.split('-').next().unwrap_or(base).to_owned()
    });
    validate_tag(&tag).map_err(|error| attribute("tag", &error))?;
    Ok(tag)
}

/// An error about an argument.
fn attribute(attribute: &str, error: &Error) -> Error {
    Error::Attribute {
        attribute: attribute.to_owned(),
        message: error.to_string(),
        hint: error.hint().unwrap_or_default(),
    }
}

/// Paths are absolute, as in the image.
fn check_remove(paths: &[String]) -> Result<Vec<ImagePath>> {
    let check = |(number, path): (usize, &String)| match clean_path(path.as_bytes()) {
        Ok(clean) if path.starts_with('/') && !clean.is_empty() => Ok(ImagePath(clean)),
        _ => Err(Error::Attribute {
            attribute: format!("remove[{number}]"),
            message: format!("{path:?} is not a path in the image"),
            hint: "write it as in \"/usr/share/doc\"".into(),
        }),
    };
    paths.iter().enumerate().map(check).collect()
}

fn check_base(
    base: FromImage,
    inheritance: Inheritance,
    remove: Vec<ImagePath>,
    store: &Store,
) -> Result<CheckedBase> {
    let selection = Selection::check(&base)?;
    let error = |message| Error::Attribute {
        attribute: "fromImage".into(),
        message,
        hint: "give an image of buildImage or pullImage, or an archive: fromImage = ./base.tar;"
            .into(),
    };
    let (store_path, below) = store.parse_below(&base.path).map_err(error)?;
    let is_plain = |name| !matches!(name, "" | "." | "..");
    if base.path != store_path.as_str() && !below.split('/').all(is_plain) {
        return Err(error(format!("{:?} is not a plain path", base.path)));
    }
    Ok(CheckedBase {
        path: base.path,
        selection,
        inheritance,
        remove,
    })
}

fn check_compression(text: Option<&str>) -> Result<Option<Compression>> {
    let parse = |text: &str| {
        text.parse().map_err(|hint| Error::Attribute {
            attribute: "compression".into(),
            message: format!("{text:?} is no compression"),
            hint,
        })
    };
    text.map(parse).transpose()
}

fn check_perms(perms: Vec<PermsRule>, store: &Store) -> Result<Vec<PathRule>> {
    let check = |(number, perms): (usize, PermsRule)| {
        let error = |field: &str, message: String| {
            Error::Attribute {
            attribute: format!("perms[{number}].{field}"),
            message,
            hint: match field {
                "mode" | "orMode" | "directoryMode" => {
                    "write four octal digits in quotes, as in \"0755\" or \"1777\""
                }
                "regex" => "regular expressions have RE2 syntax; write \"\" to match every file",
                "capabilities" => "write them as in \"CAP_NET_BIND_SERVICE\"; those of `capabilities` follow those of `perms`",
                _ => "see the documentation of perms in buildImage",
            }
            .into(),
        }
        };
        let mode = |field: &'static str, mode: Option<String>| {
            mode.map(|mode| mode.parse::<Mode>())
                .transpose()
                .map_err(|message| error(field, message))
        };
        let is_in_store = perms.path.starts_with(&format!("{}/", store.dir));
        let clean = clean_path(perms.path.as_bytes()).ok();
        let within = clean
            .filter(|_| perms.path.starts_with('/') && !is_in_store)
            .map(ImagePath);
        let rule = Rule {
            regex: perms.regex.unwrap_or_default(),
            within,
            mode: mode("mode", perms.mode)?,
            or_mode: mode("orMode", perms.or_mode)?,
            directory_mode: mode("directoryMode", perms.directory_mode)?,
            uid: perms.uid,
            gid: perms.gid,
            uname: perms.uname,
            gname: perms.gname,
            capabilities: perms.capabilities,
            xattrs: perms.xattrs,
        };
        rule.check()
            .map_err(|(field, message)| error(field, message))?;
        Ok(PathRule {
            path: perms.path,
            rule,
        })
    };
    perms.into_iter().enumerate().map(check).collect()
}
