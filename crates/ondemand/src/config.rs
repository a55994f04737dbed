//! The configuration: a document in TOML.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer};

use super::login::Login;
use super::name::is_taken;
use strata_error::{Error, Result};
use strata_oci::{Compression, is_repository};

/// The source that is meant where a name does not say another one.
pub(crate) const DEFAULT_SOURCE: &str = "default";

/// What a registry serves, and how.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where to listen: `ADDRESS:PORT`.
    pub listen: String,
    /// The directory of what is remembered: digests, compressed layers, and what Nix must not collect.
    pub state: PathBuf,
    /// A file in Nix's language whose value are the functions of Strata.
    pub functions: Option<PathBuf>,
    /// A file of users, who have to log in: lines `NAME:SHA256`, the digest of a token.
    pub login: Option<PathBuf>,
    /// Certificate and key. Without them it speaks plain HTTP.
    pub tls: Option<Tls>,
    /// How layers are compressed.
    #[serde(deserialize_with = "compression")]
    pub compression: Compression,
    /// The sources of packages, by the word that chooses them at the front of a name; `default` needs none.
    pub sources: BTreeMap<String, Source>,
    /// Images by their names: attributes of flakes, as `nix build` takes them.
    pub images: BTreeMap<String, String>,
    /// What it takes on.
    pub limits: Limits,
}

/// Files in PEM form.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// The certificate, and those that lead to its authority.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

/// Where packages come from.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// What the reference is.
    #[serde(rename = "type")]
    pub source_type: SourceType,
    /// The branch or commit of nixpkgs, the address of a repository, the path, or the reference of a flake.
    pub reference: String,
    /// The systems, in Nix's words, whose packages there are. The image of a name is one for each of them together.
    #[serde(default = "default_systems")]
    pub systems: Vec<String>,
    /// Names at the top of the package set, in lower case, that are not served.
    #[serde(default = "default_refusals")]
    pub refuse: BTreeSet<String>,
}

/// What the reference of a source is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SourceType {
    /// A branch or commit of nixpkgs.
    Nixpkgs,
    /// The address of a Git repository; the tag of an image is a branch or commit of it, and `latest` its head.
    Git,
    /// A directory or file of this machine.
    Path,
    /// A flake.
    Flake,
}

/// What a registry takes on.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// The most packages that a name lists.
    pub packages: usize,
    /// How many images are evaluated and built at once.
    pub builds: usize,
    /// How many more may wait for that.
    pub queue: usize,
    /// How long an evaluation may take, in seconds.
    pub evaluation_seconds: u64,
    /// The most memory that an evaluation may take, in MiB.
    pub evaluation_mib: u64,
    /// How long the build of one image may take, in seconds.
    pub build_seconds: u64,
    /// For how long a tag stands for the same image before it is evaluated again, in seconds.
    pub fresh_seconds: u64,
    /// For how long a failure is not tried again, in seconds.
    pub failure_seconds: u64,
    /// The most MiB of compressed layers that are kept.
    pub blobs_mib: u64,
    /// The most images whose store paths are kept from Nix's garbage collector.
    pub images: u32,
    /// The most connections at a time.
    pub connections: usize,
    /// How long who is being answered may take when the server ends, in seconds.
    pub grace_seconds: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:5000".to_owned(),
            state: "/var/lib/strata-registry".into(),
            functions: None,
            login: None,
            tls: None,
            compression: Compression::GZIP,
            sources: BTreeMap::new(),
            images: BTreeMap::new(),
            limits: Limits::default(),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            packages: 40,
            builds: 2,
            queue: 64,
            evaluation_seconds: 120,
            evaluation_mib: 4096,
            build_seconds: 3600,
            fresh_seconds: 300,
            failure_seconds: 30,
            blobs_mib: 10 << 10,
            images: 1000,
            connections: 512,
            grace_seconds: 10,
        }
    }
}

impl Config {
    /// Parses a document, which [`Config::check`] has not judged yet; `path` is where it is, for errors.
    pub fn parse(text: &str, path: &Path) -> Result<Self> {
        toml::from_str(text).map_err(|source| {
            let line = source.span().map(|span| line_of(text, span.start));
            let place = line.map_or_else(String::new, |line| format!("line {line}: "));
            error(path, format!("{place}{}", source.message()), "")
        })
    }

    /// Replaces the source that is meant where a name does not say another one.
    pub fn set_default_source(&mut self, source: Source) {
        self.sources.insert(DEFAULT_SOURCE.to_owned(), source);
    }

    /// Refuses what cannot be served, and a file of users that has none; `path` is where it was read, for errors.
    pub fn check(&self, path: &Path) -> Result<()> {
        self.mistake()
            .map_err(|(message, hint)| error(path, message, hint))?;
        self.login.as_deref().map(Login::read).transpose()?;
        Ok(())
    }

    /// What is wrong, and the way out.
    fn mistake(&self) -> Result<(), (String, &'static str)> {
        for (name, source) in &self.sources {
            if !is_repository(name) || name.contains('/') || is_taken(name) {
                let message =
                    format!("sources.{name}: this cannot be a word in the name of an image");
                return Err((
                    message,
                    "write lower-case letters and digits; shell and arm64 are taken",
                ));
            }
            source
                .check()
                .map_err(|(what, hint)| (format!("sources.{name}.{what}"), hint))?;
        }
        for (name, attribute) in &self.images {
            if !is_repository(name) {
                let message = format!("images.{name:?}: this cannot be the name of an image");
                return Err((
                    message,
                    "write lower-case letters, digits, and . _ - between them",
                ));
            }
            if !attribute.contains('#') || attribute.starts_with('-') {
                let message = format!("images.{name:?}: {attribute:?} is no attribute of a flake");
                return Err((message, "write FLAKE#ATTRIBUTE, as in path:/srv/app#image"));
            }
        }
        if self.sources.is_empty() && self.images.is_empty() {
            let message = "there is nothing to serve".to_owned();
            return Err((
                message,
                "name a source of packages under [sources.default], or images under [images]",
            ));
        }
        let counts = [
            ("builds", self.limits.builds == 0),
            ("connections", self.limits.connections == 0),
            ("images", self.limits.images == 0),
            ("packages", self.limits.packages == 0),
        ];
        match counts.iter().find(|(_, is_zero)| *is_zero) {
            Some((name, _)) => Err((format!("limits.{name} is 0"), "write a number above it")),
            None => Ok(()),
        }
    }
}

impl Source {
    fn check(&self) -> Result<(), (String, &'static str)> {
        if self.systems.is_empty() {
            return Err((
                "systems is empty".to_owned(),
                "leave it out for x86_64-linux",
            ));
        }
        let is_system = |it: &str| {
            let processor = it.strip_suffix("-linux").unwrap_or_default();
            let word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
            !processor.is_empty() && processor.chars().all(word)
        };
        if let Some(other) = self.systems.iter().find(|it| !is_system(it)) {
            return Err((
                format!("systems: {other:?} is no system of images"),
                "write them as Nix does: x86_64-linux, aarch64-linux",
            ));
        }
        if self.source_type == SourceType::Path && !self.reference.starts_with('/') {
            return Err((
                format!("reference: {:?} is no absolute path", self.reference),
                "write a path that begins with /",
            ));
        }
        Ok(())
    }

    /// `srcType` and `srcArgs` of `prepareImage`, for the tag of an image.
    pub(crate) fn arguments(&self, tag: &str) -> (&'static str, String) {
        let reference = self.reference.clone();
        match self.source_type {
            SourceType::Nixpkgs => ("nixpkgs", reference),
            SourceType::Path => ("path", reference),
            SourceType::Flake => ("flake", reference),
            SourceType::Git => {
                let mut arguments = serde_json::json!({ "url": reference });
                match tag {
                    "latest" => {}
                    commit if is_commit(commit) => {
                        arguments["rev"] = commit.into();
                        arguments["allRefs"] = true.into();
                    }
                    branch => arguments["ref"] = branch.into(),
                }
                ("git", arguments.to_string())
            }
        }
    }

    /// Whether the packages are always the same for a tag.
    pub(crate) fn is_fixed(&self, tag: &str) -> bool {
        match self.source_type {
            SourceType::Nixpkgs => is_commit(&self.reference),
            SourceType::Git => is_commit(tag),
            SourceType::Path | SourceType::Flake => false,
        }
    }
}

impl Limits {
    pub(crate) fn evaluation(&self) -> Duration {
        Duration::from_secs(self.evaluation_seconds)
    }

    pub(crate) fn build(&self) -> Duration {
        Duration::from_secs(self.build_seconds)
    }
}

impl FromStr for Source {
    type Err = Error;

    /// Parses `TYPE:REFERENCE`.
    fn from_str(text: &str) -> Result<Self> {
        let (name, reference) = text.split_once(':').unwrap_or((text, ""));
        let types = [
            ("nixpkgs", SourceType::Nixpkgs),
            ("git", SourceType::Git),
            ("path", SourceType::Path),
            ("flake", SourceType::Flake),
        ];
        let found = types.iter().find(|(known, _)| *known == name);
        match found {
            Some((_, source_type)) if !reference.is_empty() => Ok(Self {
                source_type: *source_type,
                reference: reference.to_owned(),
                systems: default_systems(),
                refuse: default_refusals(),
            }),
            _ => Err(Error::Name {
                what: "source of packages",
                value: text.to_owned(),
                message: "not a type and a reference".to_owned(),
                hint: "write nixpkgs:BRANCH, git:ADDRESS, path:DIRECTORY or flake:REFERENCE"
                    .to_owned(),
            }),
        }
    }
}

fn error(path: &Path, message: String, hint: &str) -> Error {
    Error::Document {
        document: path.display().to_string(),
        message,
        hint: hint.to_owned(),
    }
}

fn is_commit(text: &str) -> bool {
    text.len() == 40
        && text
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn default_systems() -> Vec<String> {
    vec!["x86_64-linux".to_owned()]
}

/// Tests of NixOS run virtual machines, and those of nixpkgs build much.
fn default_refusals() -> BTreeSet<String> {
    BTreeSet::from(["nixostests", "tests"].map(str::to_owned))
}

fn compression<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Compression, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(serde::de::Error::custom)
}

/// The number of the line that a byte is in.
fn line_of(text: &str, at: usize) -> usize {
    let before = text.bytes().take(at);
    before.filter(|byte| *byte == b'\n').count() + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Config> {
        let path = Path::new("registry.toml");
        let config = Config::parse(text, path)?;
        config.check(path)?;
        Ok(config)
    }

    #[test]
    fn a_line_is_enough() {
        let config = parse("images.app = \"path:/srv/app#image\"").unwrap();
        assert_eq!(config.listen, "127.0.0.1:5000");
        assert_eq!(config.compression, Compression::GZIP);
        let text = "
            compression = \"zstd:3\"
            [sources.default]
            type = \"nixpkgs\"
            reference = \"nixos-25.05\"
            [sources.work]
            type = \"git\"
            reference = \"https://example.org/packages\"
            systems = [\"x86_64-linux\", \"aarch64-linux\"]
            [limits]
            builds = 4
        ";
        let config = parse(text).unwrap();
        assert_eq!(config.limits.builds, 4);
        assert_eq!(config.limits.queue, 64);
        let default = &config.sources["default"];
        assert_eq!(
            default.arguments("x"),
            ("nixpkgs", "nixos-25.05".to_owned())
        );
        assert!(!default.is_fixed("latest"));
    }

    #[test]
    fn tags_are_branches_and_commits_of_a_repository() {
        let text = "sources.default = { type = \"git\", reference = \"https://example.org/a b\" }";
        let source = &parse(text).unwrap().sources["default"];
        let commit = "0123456789012345678901234567890123456789";
        let of = |tag: &str| source.arguments(tag).1;
        assert_eq!(of("latest"), r#"{"url":"https://example.org/a b"}"#);
        assert_eq!(
            of("main"),
            r#"{"ref":"main","url":"https://example.org/a b"}"#
        );
        assert!(of(commit).contains(&format!(r#""rev":"{commit}""#)));
        assert!(source.is_fixed(commit) && !source.is_fixed("main"));
    }

    #[test]
    fn mistakes_are_told_with_their_place() {
        let source = "type = \"path\"\nreference = \"/x\"";
        for (text, expected) in [
            ("", "nothing to serve"),
            ("listem = \"x\"", "line 1: unknown field `listem`"),
            ("\n[limits]\nbuilds = \"x\"", "line 3: invalid type"),
            ("compression = \"brotli\"", "none, gzip, zstd"),
            ("sources.default.type = \"svn\"", "unknown variant `svn`"),
            (
                "[sources.default]\ntype = \"path\"\nreference = \"x\"",
                "no absolute path",
            ),
            (&format!("[sources.shell]\n{source}"), "sources.shell"),
            (&format!("[sources.\"a/b\"]\n{source}"), "sources.a/b"),
            (
                &format!("[sources.default]\n{source}\nsystems = [\"darwin\"]"),
                "no system",
            ),
            (
                &format!("[sources.default]\n{source}\nsystems = []"),
                "systems is empty",
            ),
            (
                &format!("[sources.default]\n{source}\n[limits]\nbuilds = 0"),
                "limits.builds is 0",
            ),
            ("images.App = \"a#b\"", "images.\"App\""),
            ("images.app = \"./app\"", "no attribute of a flake"),
            ("images.app = \"--option#x\"", "no attribute of a flake"),
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
