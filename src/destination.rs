//! Destinations as people type them, in skopeo's syntax (containers-transports(5)).
//!
//! As there, a path ends at its first colon, so that a name with a port or a tag can follow it; a
//! path with a colon in it cannot be written.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use strata_copy::CopyName;
use strata_engine::containerd::Runner;
use strata_error::{Error, Result};
use strata_layer::ImageName;
use strata_oci::{Reference, validate_tag, without_password};

/// Every form that [`Destination`] parses and that needs no other program to say what it means, for
/// completions and error messages.
pub const FORMS: [&str; 12] = [
    "docker://NAME[:TAG]",
    "oci:PATH[:TAG]",
    "oci-archive:PATH[:TAG]",
    "docker-archive:PATH[:NAME[:TAG]]",
    "dir:PATH",
    "docker-daemon:[NAME[:TAG]]",
    "podman:[NAME[:TAG]]",
    "containers-storage:[NAME[:TAG]]",
    "containerd:[NAME[:TAG]]",
    "k3s:[NAME[:TAG]]",
    "kind:[NAME[:TAG]]",
    "minikube:[NAME[:TAG]]",
];

/// How destinations begin, such as `docker://` and `oci:`.
pub fn transports() -> impl Iterator<Item = &'static str> {
    let is_name = |character: char| character == '[' || character.is_ascii_uppercase();
    FORMS
        .iter()
        .filter_map(move |form| form.split(is_name).next())
}

/// Where a copy goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// `oci:PATH[:TAG]`: a directory, an OCI image layout.
    Layout {
        /// The directory.
        path: PathBuf,
        /// The tag or whole name that follows the path.
        name: Option<GivenName>,
    },
    /// `oci-archive:PATH[:TAG]` and `docker-archive:PATH[:NAME[:TAG]]`: a tar file.
    Archive {
        /// How it was typed. Both are the same file; what may follow the path differs.
        form: ArchiveForm,
        /// The file, or the standard output.
        target: ArchiveTarget,
        /// The tag or whole name that follows the path.
        name: Option<GivenName>,
    },
    /// `dir:PATH`: skopeo's directory of blobs.
    Directory {
        /// The directory.
        path: PathBuf,
    },
    /// `docker://NAME[:TAG]`: a registry.
    Registry(Reference),
    /// `docker-daemon:[NAME[:TAG]]`: a Docker engine.
    Docker(Option<WholeName>),
    /// `containers-storage:[NAME[:TAG]]`, also `podman:`: podman.
    Podman(Option<WholeName>),
    /// `containerd:[NAME[:TAG]]` and the same for clusters.
    Containerd {
        /// Who runs containerd.
        runner: Runner,
        /// What the copy is called; else the image's own name.
        name: Option<WholeName>,
    },
    /// What only skopeo knows, as it was typed.
    Skopeo(String),
}

/// The two ways to type an archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArchiveForm {
    /// `oci-archive:`.
    Oci,
    /// `docker-archive:`.
    Docker,
}

/// What an archive is written to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ArchiveTarget {
    /// `-` or `/dev/stdout`.
    Stdout,
    /// A file, a named pipe or a device.
    Path(PathBuf),
}

/// What follows a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GivenName {
    /// A tag; the image keeps its name.
    Tag(String),
    /// A name of its own.
    Whole(WholeName),
}

/// A name with or without a tag, as it was typed, and what it means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WholeName {
    /// As typed: `hello:1.0`.
    pub typed: String,
    /// Completed: `docker.io/library/hello:1.0`.
    pub reference: Reference,
}

impl Destination {
    /// What the copy of an image is called here: what was typed, and the image's `own` name where
    /// nothing was. Directories of skopeo hold no name, and a registry's is its reference.
    pub fn copy_name(&self, own: Option<&ImageName>) -> Result<CopyName> {
        let given = match self {
            Self::Layout { name, .. } | Self::Archive { name, .. } => name.as_ref(),
            Self::Docker(Some(name))
            | Self::Podman(Some(name))
            | Self::Containerd {
                name: Some(name), ..
            } => return Ok(self.whole_copy_name(name)),
            Self::Docker(None) | Self::Podman(None) | Self::Containerd { name: None, .. } => None,
            Self::Directory { .. } | Self::Registry(_) | Self::Skopeo(_) => {
                return Ok(CopyName::default());
            }
        };
        let (name, tag) = match (given, own) {
            (Some(GivenName::Whole(name)), _) => return Ok(self.whole_copy_name(name)),
            (Some(GivenName::Tag(tag)), Some(own)) => (&own.name, tag),
            (Some(GivenName::Tag(tag)), None) => {
                return Ok(CopyName {
                    reference: Some(tag.clone()),
                    ..CopyName::default()
                });
            }
            (None, Some(own)) => (&own.name, &own.tag),
            (None, None) => return Ok(CopyName::default()),
        };
        let familiar = format!("{name}:{tag}");
        let full = Reference::parse(&familiar)?.to_string();
        Ok(CopyName {
            reference: Some(tag.clone()),
            familiar: Some(familiar),
            full: Some(full),
        })
    }

    fn whole_copy_name(&self, WholeName { typed, reference }: &WholeName) -> CopyName {
        let tag = reference.tag_or_latest();
        let complete = |name: &str| match reference.tag {
            Some(_) => name.to_owned(),
            None => format!("{name}:{tag}"),
        };
        // skopeo finds oci:PATH:NAME:TAG by exactly what follows the path.
        let found_by = match self {
            Self::Layout { .. }
            | Self::Archive {
                form: ArchiveForm::Oci,
                ..
            } => typed,
            _ => tag,
        };
        CopyName {
            reference: Some(found_by.to_owned()),
            familiar: Some(complete(typed)),
            full: Some(complete(&reference.to_string())),
        }
    }
}

impl FromStr for Destination {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let Some((transport, rest)) = text.split_once(':') else {
            return Err(no_transport(text));
        };
        match transport {
            "oci" => {
                let (path, name) = split_path(text, rest)?;
                Ok(Self::Layout {
                    path: path.into(),
                    name: name.map(given_name).transpose()?,
                })
            }
            "oci-archive" => {
                let (path, name) = split_path(text, rest)?;
                Ok(Self::Archive {
                    form: ArchiveForm::Oci,
                    target: path.into(),
                    name: name.map(given_name).transpose()?,
                })
            }
            "docker-archive" => {
                let (path, name) = split_path(text, rest)?;
                Ok(Self::Archive {
                    form: ArchiveForm::Docker,
                    target: path.into(),
                    name: name.map(whole_name).transpose()?.map(GivenName::Whole),
                })
            }
            "dir" if rest.is_empty() => Err(no_path(text)),
            "dir" => Ok(Self::Directory { path: rest.into() }),
            "docker" => match rest.strip_prefix("//") {
                Some(reference) => Ok(Self::Registry(Reference::parse_in_registry(reference)?)),
                None => Err(error(
                    text,
                    "a registry's name begins with docker://",
                    format!(
                        "write docker://{}",
                        without_password(rest.trim_start_matches('/'))
                    ),
                )),
            },
            "docker-daemon" => Ok(Self::Docker(own_name(rest)?)),
            // A storage of its own, which podman is not asked for.
            "containers-storage" if rest.starts_with('[') => Ok(Self::Skopeo(text.to_owned())),
            "containers-storage" | "podman" => Ok(Self::Podman(own_name(rest)?)),
            "containerd" => containerd(Runner::Containerd, rest),
            "k3s" => containerd(Runner::K3s, rest),
            "kind" => containerd(Runner::Kind, rest),
            "minikube" => containerd(Runner::Minikube, rest),
            "ostree" | "sif" => Ok(Self::Skopeo(text.to_owned())),
            _ => Err(no_transport(text)),
        }
    }
}

impl fmt::Display for Destination {
    /// The destination as it can be typed again.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Self::Layout { path, name } => {
                write!(formatter, "oci:{}", path.display())?;
                name
            }
            Self::Archive { form, target, name } => {
                let transport = match form {
                    ArchiveForm::Oci => "oci-archive",
                    ArchiveForm::Docker => "docker-archive",
                };
                write!(formatter, "{transport}:{target}")?;
                name
            }
            Self::Directory { path } => return write!(formatter, "dir:{}", path.display()),
            Self::Registry(reference) => return write!(formatter, "docker://{reference}"),
            Self::Docker(name) => return write_engine(formatter, "docker-daemon", name.as_ref()),
            Self::Podman(name) => {
                return write_engine(formatter, "containers-storage", name.as_ref());
            }
            Self::Containerd { runner, name } => {
                return write_engine(formatter, runner.transport(), name.as_ref());
            }
            Self::Skopeo(text) => return formatter.write_str(text),
        };
        match name {
            None => Ok(()),
            Some(GivenName::Tag(tag)) => write!(formatter, ":{tag}"),
            Some(GivenName::Whole(name)) => write!(formatter, ":{}", name.typed),
        }
    }
}

fn write_engine(
    formatter: &mut fmt::Formatter<'_>,
    transport: &str,
    name: Option<&WholeName>,
) -> fmt::Result {
    let name = name.map_or("", |name| &name.typed);
    write!(formatter, "{transport}:{name}")
}

impl From<&str> for ArchiveTarget {
    fn from(path: &str) -> Self {
        if is_stdout(Path::new(path)) {
            Self::Stdout
        } else {
            Self::Path(path.into())
        }
    }
}

/// Whether a path stands for standard output: `-` or `/dev/stdout`.
pub fn is_stdout(path: &Path) -> bool {
    [Path::new("-"), Path::new("/dev/stdout")].contains(&path)
}

impl fmt::Display for ArchiveTarget {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stdout => formatter.write_str("-"),
            Self::Path(path) => path.display().fmt(formatter),
        }
    }
}

/// `PATH` and what follows its first colon.
fn split_path<'a>(text: &str, rest: &'a str) -> Result<(&'a str, Option<&'a str>)> {
    let (path, name) = match rest.split_once(':') {
        Some((path, name)) => (path, Some(name)),
        None => (rest, None),
    };
    if path.is_empty() {
        return Err(no_path(text));
    }
    if name == Some("") {
        return Err(error(
            text,
            "nothing follows the last colon",
            "leave the colon out to keep the image's own name and tag".to_owned(),
        ));
    }
    Ok((path, name))
}

/// A tag, or a whole name where it can be nothing else.
fn given_name(text: &str) -> Result<GivenName> {
    if text.contains(['/', ':', '@']) {
        return whole_name(text).map(GivenName::Whole);
    }
    validate_tag(text)?;
    Ok(GivenName::Tag(text.to_owned()))
}

/// The name that follows an engine; nothing keeps the image's own.
fn own_name(text: &str) -> Result<Option<WholeName>> {
    (!text.is_empty()).then(|| whole_name(text)).transpose()
}

fn containerd(runner: Runner, rest: &str) -> Result<Destination> {
    let name = own_name(rest)?;
    Ok(Destination::Containerd { runner, name })
}

fn whole_name(text: &str) -> Result<WholeName> {
    let reference = Reference::parse(text)?;
    if reference.digest.is_some() {
        return Err(Error::Name {
            what: "image name",
            value: text.to_owned(),
            message: "a digest cannot be given to a copy".to_owned(),
            hint: "write NAME[:TAG]; the digest follows from the image".to_owned(),
        });
    }
    Ok(WholeName {
        typed: text.to_owned(),
        reference,
    })
}

fn error(text: &str, message: &str, hint: String) -> Error {
    Error::Name {
        what: "destination",
        value: without_password(text),
        message: message.to_owned(),
        hint,
    }
}

/// The form of a transport that was typed, with or without its colon.
fn form_of(text: &str) -> Option<&'static str> {
    let transport = text.split(':').next();
    let mut forms = FORMS.into_iter();
    forms.find(|form| form.split(':').next() == transport)
}

fn no_path(text: &str) -> Error {
    let form = form_of(text).unwrap_or("the path behind the colon");
    error(text, "no path", format!("write {form}"))
}

fn no_transport(text: &str) -> Error {
    let looks_like_name = text.contains('/') && !text.starts_with(['/', '.']);
    let advice = match (form_of(text), Reference::parse(text)) {
        (Some(form), _) => format!("write {form}"),
        (None, Ok(_)) if looks_like_name => format!("for a registry write docker://{text}"),
        _ => {
            let lines: Vec<String> = FORMS.chunks(4).map(|forms| forms.join(", ")).collect();
            format!("known destinations: {}", lines.join(",\n  "))
        }
    };
    error(text, "unknown transport", advice)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Destination {
        text.parse()
            .unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    fn name_of(text: &str) -> CopyName {
        let own = ImageName {
            name: "me/hello".into(),
            tag: "own".into(),
        };
        parse(text).copy_name(Some(&own)).unwrap()
    }

    #[test]
    fn destinations_are_shown_as_they_are_typed() {
        for text in [
            "oci:out",
            "oci:/tmp/a b:latest",
            "oci:out:h.x:5000/me/hello:1.0",
            "oci-archive:out.tar:latest",
            "oci-archive:out.tar",
            "docker-archive:out.tar",
            "docker-archive:-",
            "docker-archive:out.tar:hello:1.0",
            "dir:/tmp/with:colon",
            "docker://localhost:5000/hello:latest",
            "docker-daemon:",
            "docker-daemon:hello:1.0",
            "containers-storage:h.x/hello",
            "containers-storage:[vfs@/tmp/x]hello",
            "containerd:hello",
            "k3s:hello",
            "kind:hello:1.0",
            "minikube:",
            "ostree:hello@/repo",
        ] {
            assert_eq!(parse(text).to_string(), text);
        }
    }

    #[test]
    fn some_forms_mean_the_same() {
        assert_eq!(
            parse("docker-archive:/dev/stdout"),
            parse("docker-archive:-")
        );
        assert_eq!(
            parse("docker://hello:1"),
            parse("docker://docker.io/library/hello:1")
        );
        // As in skopeo: the two slashes belong to the path.
        assert_eq!(
            parse("dir:///tmp/x"),
            Destination::Directory {
                path: "/tmp/x".into()
            }
        );
    }

    #[test]
    fn names_given_at_the_destination_win() {
        for (text, reference, familiar, full) in [
            ("oci:x", "own", "me/hello:own", "docker.io/me/hello:own"),
            ("oci:x:1.0", "1.0", "me/hello:1.0", "docker.io/me/hello:1.0"),
            ("oci:x:bye:2", "bye:2", "bye:2", "docker.io/library/bye:2"),
            (
                "docker-archive:x:bye",
                "latest",
                "bye:latest",
                "docker.io/library/bye:latest",
            ),
            ("docker-archive:x:h.x/bye:2", "2", "h.x/bye:2", "h.x/bye:2"),
            (
                "oci-archive:x:h.x/bye:2",
                "h.x/bye:2",
                "h.x/bye:2",
                "h.x/bye:2",
            ),
            (
                "docker-daemon:",
                "own",
                "me/hello:own",
                "docker.io/me/hello:own",
            ),
            (
                "containerd:bye",
                "latest",
                "bye:latest",
                "docker.io/library/bye:latest",
            ),
        ] {
            let name = name_of(text);
            assert_eq!(name.reference.as_deref(), Some(reference), "{text}");
            assert_eq!(name.familiar.as_deref(), Some(familiar), "{text}");
            assert_eq!(name.full.as_deref(), Some(full), "{text}");
        }
        assert_eq!(parse("oci:x").copy_name(None).unwrap(), CopyName::default());
    }

    #[test]
    fn anything_else_is_refused_with_a_hint() {
        for (text, message, hint) in [
            ("", "unknown transport", "oci:PATH"),
            ("/tmp/x", "unknown transport", "oci:PATH"),
            ("ftp:x", "unknown transport", "docker://NAME"),
            (
                "ghcr.io/me/hello:1",
                "unknown transport",
                "docker://ghcr.io/me/hello:1",
            ),
            ("docker:hello", "begins with docker://", "docker://hello"),
            ("docker:/hello", "begins with docker://", "docker://hello"),
            ("oci", "unknown transport", "write oci:PATH"),
            ("foo:1", "unknown transport", "podman:[NAME"),
            ("oci:", "no path", "oci:PATH"),
            ("dir:", "no path", "dir:PATH"),
            ("docker-archive::hello", "no path", "docker-archive:PATH"),
            ("oci:x:", "nothing follows", "own name"),
            ("oci:x:-tag", "not a tag", "letters"),
            ("docker-archive:x:Hello", "not a repository", "lower-case"),
            ("docker-daemon:Hello", "not a repository", "lower-case"),
        ] {
            let error = text.parse::<Destination>().unwrap_err();
            assert!(error.to_string().contains(message), "{text}: {error}");
            assert!(
                error.hint().unwrap().contains(hint),
                "{text}: {:?}",
                error.hint()
            );
        }
        let secret = "docker://me:hunter2@h.x/hello"
            .parse::<Destination>()
            .unwrap_err();
        assert!(!secret.report().contains("hunter2"), "{}", secret.report());
        let digest = format!("oci:x:hello@{}", strata_oci::Digest::of(b""));
        assert!(
            digest
                .parse::<Destination>()
                .unwrap_err()
                .to_string()
                .contains("digest")
        );
    }
}
