//! Image references as people type them, by the grammar of the `distribution/reference` package,
//! which Docker, podman and the registries share.

use core::net::Ipv6Addr;
use std::fmt;

use super::digest::Digest;
use strata_error::{Error, Result};

/// The registry that a name without one means.
const DEFAULT_REGISTRY: &str = "docker.io";
/// What that registry was called once.
const OLD_DEFAULT_REGISTRY: &str = "index.docker.io";
/// The tag that a name without one means.
const DEFAULT_TAG: &str = "latest";

/// A registry, a repository and what to find in it: `[registry/]repository[:tag][@digest]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// Host and port, `docker.io` when none was given.
    pub registry: String,
    /// The repository, with `library/` before Docker's official ones.
    pub repository: String,
    /// The tag, if one was given.
    pub tag: Option<String>,
    /// The digest, if one was given.
    pub digest: Option<Digest>,
}

impl Reference {
    /// Parses what follows `docker://` or a plain image name.
    pub fn parse(text: &str) -> Result<Self> {
        let error = |message: &str, hint: &str| Error::Name {
            what: "image name",
            value: without_password(text),
            message: message.to_owned(),
            hint: hint.to_owned(),
        };
        if text
            .split_once('@')
            .is_some_and(|(_, after)| after.contains('/'))
        {
            return Err(error(
                "credentials are not part of an image's name",
                "log in with `docker login`, `podman login` or the flags for credentials",
            ));
        }
        let (name, digest) = match text.split_once('@') {
            Some((name, digest)) => {
                let digest = digest.parse().map_err(|message: String| {
                    error(&message, "a digest is sha256: and 64 lower-case hex digits")
                })?;
                (name, Some(digest))
            }
            None => (text, None),
        };
        let (name, tag) = match name.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => {
                validate_tag(tag)?;
                (name, Some(tag.to_owned()))
            }
            _ => (name, None),
        };
        if let Some(meant) = without_slash_in_tag(name) {
            return Err(error(
                "the name is not a repository, since its tag has a slash",
                &format!("write {meant}"),
            ));
        }
        let (registry, repository) = match split_registry(name) {
            (None | Some(OLD_DEFAULT_REGISTRY), repository) => (DEFAULT_REGISTRY, repository),
            (Some(registry), repository) => (registry, repository),
        };
        let repository = if registry == DEFAULT_REGISTRY && !repository.contains('/') {
            format!("library/{repository}")
        } else {
            repository.to_owned()
        };
        if !is_registry(registry) {
            return Err(error(
                "the registry is not a host name",
                "write HOST[:PORT]/NAME[:TAG]",
            ));
        }
        if !is_repository(&repository) {
            let rest = text.get(name.len()..).unwrap_or_default();
            return Err(match in_lower_case(name) {
                Some(meant) => error(
                    "the name is not a repository, since it has upper-case letters",
                    &format!("names have lower-case letters only: write {meant}{rest}"),
                ),
                None => error(
                    "the name is not a repository",
                    "use lower-case letters, digits, and . _ - between them; parts are joined by /",
                ),
            });
        }
        Ok(Self {
            registry: registry.to_owned(),
            repository,
            tag,
            digest,
        })
    }

    /// Parses what follows `docker://`. `HOST:PORT` alone would be an image of Docker's with a tag, which
    /// nobody means: no official image has a dot in its name.
    pub fn parse_in_registry(text: &str) -> Result<Self> {
        if let Some((host, port)) = text.split_once(':')
            && (host.contains('.') || host == "localhost")
            && is_registry(text)
            && port.parse::<u16>().is_ok()
        {
            return Err(Error::Name {
                what: "image name",
                value: text.to_owned(),
                message: "a registry without the name of an image".to_owned(),
                hint: format!("write {text}/NAME[:TAG]"),
            });
        }
        Self::parse(text)
    }

    /// The tag, or `latest`.
    pub fn tag_or_latest(&self) -> &str {
        self.tag.as_deref().unwrap_or(DEFAULT_TAG)
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.registry, self.repository)?;
        if let Some(tag) = &self.tag {
            write!(formatter, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(formatter, "@{digest}")?;
        }
        Ok(())
    }
}

/// The name that was meant when there is a slash in the tag of `name`, as in a branch's name.
fn without_slash_in_tag(name: &str) -> Option<String> {
    let is_port = |tag: &str| {
        let first = tag.split('/').next().unwrap_or_default();
        first.parse::<u16>().is_ok()
    };
    let (path, tag) = name.match_indices(':').find_map(|(colon, _)| {
        let (path, tag) = (name.get(..colon)?, name.get(colon + 1..)?);
        (tag.contains('/') && !is_port(tag)).then_some((path, tag))
    })?;
    let (registry, repository) = split_registry(path);
    let is_host_alone = registry.is_none() && path.contains('.');
    let meant = format!("{path}:{}", tag.replace('/', "-"));
    (!is_host_alone && is_repository(repository)).then_some(meant)
}

/// The name that was meant when the repository in `name` has upper-case letters.
fn in_lower_case(name: &str) -> Option<String> {
    let (registry, repository) = split_registry(name);
    let lower = repository.to_lowercase();
    let fits = is_repository(&lower);
    let registry = registry.map_or_else(String::new, |registry| format!("{registry}/"));
    fits.then(|| format!("{registry}{lower}"))
}

/// `text` for a message: without what stands before an `@`, unless that is the one of a digest. It may be
/// a password, wherever in an address somebody tried it.
pub fn without_password(text: &str) -> String {
    let name = text.split("@sha256:").next().unwrap_or_default();
    match name.rsplit_once('@') {
        Some((password, _)) => text.replacen(password, "…", 1),
        None => text.to_owned(),
    }
}

/// The registry that a name begins with, if it does, and the rest: both as they are written.
pub fn split_registry(name: &str) -> (Option<&str>, &str) {
    match name.split_once('/') {
        Some((first, rest)) if first.contains(['.', ':']) || first == "localhost" => {
            (Some(first), rest)
        }
        _ => (None, name),
    }
}

/// Whether a text is the name of a repository, without a registry: components with slashes between them.
pub fn is_repository(name: &str) -> bool {
    name.split('/').all(is_path_component)
}

/// Refuses what no registry takes for a tag.
pub fn validate_tag(tag: &str) -> Result<()> {
    let word = |character: char| character.is_ascii_alphanumeric() || character == '_';
    let rest = |character: char| word(character) || character == '.' || character == '-';
    if (1..=128).contains(&tag.len()) && tag.starts_with(word) && tag.chars().all(rest) {
        return Ok(());
    }
    Err(Error::Name {
        what: "tag",
        value: tag.to_owned(),
        message: "not a tag".to_owned(),
        hint: match slug(tag) {
            Some(slug) => format!("write {slug}: a tag has up to 128 letters, digits, and _ . -"),
            None => "use up to 128 letters, digits, and _ . -, not starting with . or -".to_owned(),
        },
    })
}

/// What a name such as that of a branch is as a tag: `feature/x` is `feature-x`. Nothing if nothing is left.
fn slug(name: &str) -> Option<String> {
    let is_allowed =
        |character: char| character.is_ascii_alphanumeric() || "_.-".contains(character);
    let replaced = name.chars().map(|it| if is_allowed(it) { it } else { '-' });
    let replaced: String = replaced.collect();
    let slug: String = replaced
        .trim_matches(['.', '-'])
        .chars()
        .take(128)
        .collect();
    (!slug.is_empty()).then_some(slug)
}

/// A host name, an IPv4 address or an IPv6 address in brackets, and perhaps a port.
fn is_registry(text: &str) -> bool {
    let is_port = |port: &str| port.parse::<u16>().is_ok();
    if let Some(address) = text.strip_prefix('[') {
        let Some((address, port)) = address.split_once(']') else {
            return false;
        };
        let port = port.strip_prefix(':').map_or(port.is_empty(), is_port);
        return port && address.parse::<Ipv6Addr>().is_ok();
    }
    let (host, port) = text
        .split_once(':')
        .map_or((text, None), |(host, port)| (host, Some(port)));
    !host.is_empty()
        && host
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || c == '.' || c == '-')
        && port.is_none_or(is_port)
}

/// Alphanumeric runs joined by one `.`, one or two `_`, or any number of `-`.
fn is_path_component(text: &str) -> bool {
    let alphanumeric = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    text.starts_with(alphanumeric)
        && text.ends_with(alphanumeric)
        && text.split(alphanumeric).all(|between| {
            matches!(between, "" | "." | "_" | "__") || between.chars().all(|c| c == '-')
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_completed() {
        for (text, shown, tag) in [
            ("hello", "docker.io/library/hello", "latest"),
            ("me/hello:1.0", "docker.io/me/hello:1.0", "1.0"),
            ("docker.io/hello", "docker.io/library/hello", "latest"),
            ("docker.io/hello:1", "docker.io/library/hello:1", "1"),
            ("docker.io/me/hello", "docker.io/me/hello", "latest"),
            ("index.docker.io/hello", "docker.io/library/hello", "latest"),
            ("index.docker.io/me/hello", "docker.io/me/hello", "latest"),
            // Docker takes this one for a registry like any other.
            (
                "registry-1.docker.io/hello",
                "registry-1.docker.io/hello",
                "latest",
            ),
            ("quay.io/hello", "quay.io/hello", "latest"),
            ("localhost/hello", "localhost/hello", "latest"),
            (
                "127.0.0.1:5000/a/b__c:x_Y",
                "127.0.0.1:5000/a/b__c:x_Y",
                "x_Y",
            ),
            ("ghcr.io/a--b/c.d", "ghcr.io/a--b/c.d", "latest"),
            ("[::1]:5000/a:1", "[::1]:5000/a:1", "1"),
            ("[fe80::1]/a/b", "[fe80::1]/a/b", "latest"),
        ] {
            let reference = Reference::parse(text).unwrap();
            assert_eq!(reference.to_string(), shown);
            assert_eq!(reference.tag_or_latest(), tag);
        }
        let digest = Digest::of(b"");
        let reference = Reference::parse(&format!("hello:x@{digest}")).unwrap();
        assert_eq!(reference.digest, Some(digest));
        assert_eq!(
            reference.to_string(),
            format!("docker.io/library/hello:x@{digest}")
        );
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "",
            "Hello",
            "a..b",
            "-a",
            "a/",
            "a/-b",
            "a_",
            "a___b",
            "a b",
            "a:",
            "a:-x",
            "h.x:y/a",
            "[::1/a",
            "[::1]x/a",
            "[::1]:/a",
            "[::g]:1/a",
            "[1.2.3.4]:1/a",
            "::1/a",
            "a@sha256:12",
            "é",
            "a:x/y/z:",
        ] {
            assert!(Reference::parse(text).is_err(), "{text}");
        }
    }

    /// Issue 11, "What new users stumbled over" 7: what is wrong, and what was meant.
    #[test]
    fn row_7_mistakes_are_told_with_what_was_meant() {
        for (text, what, hint) in [
            ("Hello", "upper-case letters", "write hello"),
            ("Hello:Tag", "upper-case letters", "write hello:Tag"),
            ("me/Hello", "upper-case letters", "write me/hello"),
            (
                "GHCR.io/Me/App:V1",
                "upper-case letters",
                "write GHCR.io/me/app:V1",
            ),
            (
                "docker.io/Hello",
                "upper-case letters",
                "write docker.io/hello",
            ),
            (
                "app:feature/x",
                "its tag has a slash",
                "write app:feature-x",
            ),
            (
                "ghcr.io/me/app:feature/x/y",
                "its tag has a slash",
                "write ghcr.io/me/app:feature-x-y",
            ),
            (
                "localhost:5000/app:a/b",
                "its tag has a slash",
                "write localhost:5000/app:a-b",
            ),
        ] {
            let error = Reference::parse(text).unwrap_err();
            assert!(error.to_string().contains(what), "{text}: {error}");
            let said = error.hint().unwrap_or_default();
            assert!(said.ends_with(hint), "{text}: {said}");
        }
    }

    #[test]
    fn a_registry_alone_is_no_image() {
        for text in ["127.0.0.1:6101", "localhost:5000", "r.example:443"] {
            let error = Reference::parse_in_registry(text).unwrap_err();
            let hint = format!("write {text}/NAME[:TAG]");
            assert_eq!(error.hint(), Some(hint), "{text}");
            // What Docker and podman hold may be called so.
            Reference::parse(text).unwrap();
        }
        for text in [
            "alpine:3",
            "me/a.b:3",
            "r.example:443/a",
            "a.b:v1",
            "localhost",
        ] {
            Reference::parse_in_registry(text).unwrap();
        }
    }

    #[test]
    fn passwords_are_not_shown() {
        let digest = Digest::of(b"");
        for (text, shown) in [
            ("hello", "hello"),
            ("hello@sha256:1", "hello@sha256:1"),
            ("me:secret@h.x/a", "…@h.x/a"),
            ("https://me:a/b@c@h.x/a", "…@h.x/a"),
            (
                &format!("me:secret@h.x/a@{digest}"),
                &format!("…@h.x/a@{digest}"),
            ),
        ] {
            assert_eq!(without_password(text), shown);
        }
    }
}
