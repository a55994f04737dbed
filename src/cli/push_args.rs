//! The flags of `copy` that say what goes to a registry, and how.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Args;

use crate::cli::registry_args::reference;
use strata_destination::Destination;
use strata_error::{Error, Result};
use strata_oci::{Compression, Reference, validate_tag};
use strata_registry::{ManifestFormat, PushOptions};

/// The flags.
#[derive(Args)]
#[allow(clippy::struct_excessive_bools, reason = "they are flags")]
pub(super) struct PushArgs {
    /// How to compress layers for a registry: none, gzip[:LEVEL], zstd[:LEVEL] or zstd:chunked[:LEVEL]
    #[arg(long, value_name = "METHOD")]
    compression: Option<Compression>,

    /// Keep the image's own digest, which means --compression=none
    #[arg(long, conflicts_with_all = ["compression", "dest_compress_format", "dest_compress_level"])]
    preserve_digests: bool,

    /// Compress layers, which is what happens anyway
    #[arg(long, hide = true)]
    dest_compress: bool,

    /// The same as --compression, in skopeo's words: gzip, zstd or zstd:chunked
    #[arg(
        long,
        value_name = "FORMAT",
        hide = true,
        conflicts_with = "compression"
    )]
    #[arg(value_parser = compression_format)]
    dest_compress_format: Option<Compression>,

    /// The level of --dest-compress-format, else of gzip
    #[arg(
        long,
        value_name = "LEVEL",
        hide = true,
        conflicts_with = "compression"
    )]
    dest_compress_level: Option<u8>,

    /// Push under this tag too; may be given several times
    #[arg(long, value_name = "TAG", visible_alias = "additional-tag")]
    tag: Vec<String>,

    /// Say what would be done for each layer, and write nothing
    #[arg(long)]
    dry_run: bool,

    /// Look at this image, too, for layers that need not be compressed and sent again
    #[arg(long, value_name = "NAME[:TAG]", conflicts_with = "no_reuse")]
    reuse_from: Vec<String>,

    /// The same as --reuse-from with the repository of the destination
    #[arg(long, value_name = "TAG", conflicts_with = "no_reuse")]
    reuse_from_tag: Vec<String>,

    /// The name that --tag had when it was about reuse, too
    #[arg(long, hide = true, value_name = "TAG", conflicts_with = "no_reuse")]
    reuse_tag: Option<String>,

    /// Do not believe what images in the registry and the cache say of layers
    #[arg(long)]
    no_reuse: bool,

    /// Fetch and check the layers that images in the registry and the cache are believed about
    #[arg(long, conflicts_with = "no_reuse")]
    verify_reused: bool,

    /// Take layers from this repository of the registry if they are there
    #[arg(long, value_name = "REPOSITORY")]
    mount_from: Vec<String>,

    /// Do not remember what compressed layers are called
    #[arg(long)]
    no_cache: bool,

    /// Replace an index of images for other platforms
    #[arg(long)]
    overwrite_index: bool,
}

/// What the flags mean.
#[derive(Default)]
pub(super) struct PushSettings {
    /// What goes to the registry, and how.
    pub(super) options: PushOptions,
    /// Whether only to say so.
    pub(super) dry_run: bool,
    /// What the user should know about the flags.
    pub(super) warnings: Vec<String>,
}

/// What to say about the flag that was two.
const REUSE_TAG: &str = "warning: --reuse-tag will go: a push always looks at the tags that it is for\n\
                         hint: write --tag; --reuse-from-tag looks at a tag and leaves it as it is";

impl PushArgs {
    /// Checks the flags for a copy to `destination`, which refuses those that mean nothing there.
    /// `environment` is asked for the directory of the cache.
    pub(super) fn settings(
        self,
        destination: &dyn Destination,
        environment: &dyn Fn(&str) -> Option<OsString>,
    ) -> Result<PushSettings> {
        let Some(reference) = destination.reference() else {
            return match self.only_for_registries() {
                None => Ok(PushSettings::default()),
                Some(flag) => Err(Error::Name {
                    what: "destination",
                    value: destination.to_string(),
                    message: format!("{flag} is about copies to a registry only"),
                    hint: format!("leave {flag} out"),
                }),
            };
        };
        let compression = if self.preserve_digests {
            Some(Compression::None)
        } else {
            self.compression()?
        };
        let tags = self.tag.iter().chain(&self.reuse_tag);
        let tags = tags.map(|given| additional_tag(given, reference));
        let looked_at = self.reuse_from_tag.iter();
        let looked_at = looked_at.map(|tag| {
            validate_tag(tag)?;
            Ok(Reference {
                tag: Some(tag.clone()),
                digest: None,
                ..reference.clone()
            })
        });
        let looked_at = looked_at.collect::<Result<Vec<_>>>()?;
        let mounts = self.mount_from.iter();
        let mounts = mounts.map(|given| mounted_repository(given, reference));
        Ok(PushSettings {
            options: PushOptions {
                compression,
                format: ManifestFormat::Any,
                additional_tags: tags.collect::<Result<_>>()?,
                reuse_from: [references(&self.reuse_from)?, looked_at].concat(),
                no_reuse: self.no_reuse,
                verify_reused: self.verify_reused,
                mount_from: mounts.collect::<Result<_>>()?,
                cache: (!self.no_cache).then(|| cache(environment)).flatten(),
                jobs: None,
                overwrite_index: self.overwrite_index,
            },
            dry_run: self.dry_run,
            warnings: self
                .reuse_tag
                .iter()
                .map(|_| REUSE_TAG.to_owned())
                .collect(),
        })
    }

    /// A flag that was given and means nothing but to a registry.
    fn only_for_registries(&self) -> Option<&'static str> {
        let compressed = self.compression.or(self.dest_compress_format).is_some()
            || self.dest_compress_level.is_some()
            || self.dest_compress;
        let given = [
            (compressed, "--compression"),
            (!self.tag.is_empty(), "--tag"),
            (self.dry_run, "--dry-run"),
            (!self.reuse_from.is_empty(), "--reuse-from"),
            (!self.reuse_from_tag.is_empty(), "--reuse-from-tag"),
            (self.reuse_tag.is_some(), "--reuse-tag"),
            (!self.mount_from.is_empty(), "--mount-from"),
            (self.no_reuse, "--no-reuse"),
            (self.verify_reused, "--verify-reused"),
            (self.no_cache, "--no-cache"),
            (self.overwrite_index, "--overwrite-index"),
        ];
        given
            .into_iter()
            .find_map(|(given, flag)| given.then_some(flag))
    }

    /// `--compression`, or skopeo's two flags for the same.
    fn compression(&self) -> Result<Option<Compression>> {
        let Some(level) = self.dest_compress_level else {
            return Ok(self.compression.or(self.dest_compress_format));
        };
        let name = match self.dest_compress_format.unwrap_or_default() {
            Compression::Zstd { .. } => "zstd",
            Compression::ZstdChunked { .. } => "zstd:chunked",
            Compression::None | Compression::Gzip { .. } => "gzip",
        };
        let value = format!("{name}:{level}");
        value.parse().map(Some).map_err(|message| Error::Name {
            what: "compression",
            value,
            message,
            hint: "write --compression=gzip:LEVEL, zstd:LEVEL or zstd:chunked:LEVEL".to_owned(),
        })
    }
}

/// A tag, or the destination's name with a tag as skopeo wants it.
fn additional_tag(given: &str, destination: &Reference) -> Result<String> {
    // A digest has a colon, too, and no branch has one.
    if !given.contains(':') {
        validate_tag(given)?;
        return Ok(given.to_owned());
    }
    let error = |message: String| Error::Name {
        what: "additional tag",
        value: given.to_owned(),
        message,
        hint: "give a tag; to push to another repository, copy once more".to_owned(),
    };
    let reference = reference(given)?;
    if (&reference.registry, &reference.repository)
        != (&destination.registry, &destination.repository)
    {
        return Err(error("not in the repository of the destination".to_owned()));
    }
    reference
        .tag
        .filter(|_| reference.digest.is_none())
        .ok_or_else(|| error("there is no tag in it".to_owned()))
}

/// A repository of the destination's registry, with or without that.
fn mounted_repository(given: &str, destination: &Reference) -> Result<String> {
    let registry = format!("{}/", destination.registry);
    let repository = given.strip_prefix("docker://").unwrap_or(given);
    let repository = repository.strip_prefix(&registry).unwrap_or(repository);
    let error = |message: String| Error::Name {
        what: "repository to mount from",
        value: given.to_owned(),
        message,
        hint: format!(
            "give one of {}, without a tag, as in app/base",
            destination.registry
        ),
    };
    let parsed = Reference::parse(&format!("{registry}{repository}"))
        .map_err(|_| error("not a repository".to_owned()))?;
    if parsed.tag.is_some() || parsed.digest.is_some() {
        return Err(error("there is a tag in it".to_owned()));
    }
    let host = repository.split('/').next().unwrap_or_default();
    if repository.contains('/') && (host == "localhost" || host.contains(['.', ':'])) {
        return Err(error("in another registry".to_owned()));
    }
    Ok(parsed.repository)
}

fn references(given: &[String]) -> Result<Vec<Reference>> {
    given.iter().map(|text| reference(text)).collect()
}

/// Where the cache is (XDG base directory specification). A relative path counts for none.
fn cache(environment: &dyn Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let absolute = |name: &str| {
        let path = PathBuf::from(environment(name)?);
        path.is_absolute().then_some(path)
    };
    let directory =
        absolute("XDG_CACHE_HOME").or_else(|| Some(absolute("HOME")?.join(".cache")))?;
    Some(directory.join("strata"))
}

/// skopeo's words for methods of compression that a registry's layers can have.
fn compression_format(text: &str) -> Result<Compression, String> {
    match text {
        "gzip" | "zstd" | "zstd:chunked" => text.parse(),
        _ => Err("write gzip, zstd or zstd:chunked".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::{Command, FromArgMatches};
    use strata_destination as destination;

    #[test]
    fn flags_that_mean_nothing_elsewhere_are_refused() {
        let settings = |flag: &str| {
            let command = PushArgs::augment_args(Command::new("copy").no_binary_name(true));
            let matches = command.get_matches_from([flag]);
            let arguments = PushArgs::from_arg_matches(&matches).unwrap();
            let destination = destination::parse("oci:x").unwrap();
            arguments.settings(destination.as_ref(), &|_| None)
        };
        for flag in [
            "--compression=gzip",
            "--tag=1",
            "--dry-run",
            "--reuse-from=a",
            "--reuse-from-tag=a",
            "--reuse-tag=a",
            "--mount-from=a",
            "--no-reuse",
            "--verify-reused",
            "--no-cache",
            "--overwrite-index",
        ] {
            let error = settings(flag).err().expect(flag);
            let name = flag.split('=').next().unwrap_or_default();
            assert!(error.to_string().contains(name), "{flag}: {error}");
        }
    }

    #[test]
    fn layers_are_mounted_from_repositories_of_the_registry() {
        let destination = Reference::parse("h.x:5000/a/b:1").unwrap();
        for (given, expected) in [
            ("base", Ok("base")),
            ("a/base", Ok("a/base")),
            ("h.x:5000/a/base", Ok("a/base")),
            ("docker://h.x:5000/base", Ok("base")),
            ("base:1", Err("a tag")),
            ("Bad Name", Err("not a repository")),
            ("", Err("not a repository")),
            ("ghcr.io/a/base", Err("another registry")),
            ("localhost/base", Err("another registry")),
        ] {
            let found = mounted_repository(given, &destination);
            match (found, expected) {
                (Ok(found), Ok(expected)) => assert_eq!(found, expected),
                (Err(error), Err(message)) => {
                    assert!(error.to_string().contains(message), "{given}: {error}");
                }
                (found, _) => panic!("{given}: {found:?}"),
            }
        }
    }

    #[test]
    fn additional_tags_are_in_the_same_repository() {
        // Issue 11, "What new users stumbled over" 1: branches have slashes.
        let destination = Reference::parse("h.x:5000/a/b:1").unwrap();
        for (branch, tag) in [
            ("feature/x", "feature-x"),
            (
                "dependabot/npm_and_yarn/@types/node",
                "dependabot-npm_and_yarn--types-node",
            ),
            ("-fix#12", "fix-12"),
            ("größe", "gr--e"),
        ] {
            let error = additional_tag(branch, &destination).unwrap_err();
            let hint = error.hint().unwrap();
            assert!(
                hint.starts_with(&format!("write {tag}: ")),
                "{branch}: {hint}"
            );
        }
        let destination = Reference::parse("h.x:5000/a/b:1").unwrap();
        for (given, tag) in [
            ("2", Some("2")),
            ("h.x:5000/a/b:2", Some("2")),
            ("docker://h.x:5000/a/b:2", Some("2")),
            ("h.x:5000/a/b", None),
            ("h.x:5000/a/c:2", None),
            ("b:2", None),
            ("a b", None),
            ("", None),
        ] {
            let found = additional_tag(given, &destination).ok();
            assert_eq!(found.as_deref(), tag, "{given}");
        }
    }

    #[test]
    fn the_cache_is_where_caches_are() {
        let found = |xdg: &'static str, home: &'static str| {
            cache(&|name| {
                let value = if name == "HOME" { home } else { xdg };
                (!value.is_empty()).then(|| value.into())
            })
        };
        assert_eq!(found("/c", "/h"), Some("/c/strata".into()));
        assert_eq!(found("", "/h"), Some("/h/.cache/strata".into()));
        assert_eq!(found("relative", "/h"), Some("/h/.cache/strata".into()));
        assert_eq!(found("", ""), None);
    }
}
