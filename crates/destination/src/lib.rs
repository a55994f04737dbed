//! Destinations: where copies go. There is a file for each, with how it is typed, what it is in the
//! help, what a copy is called there, and the copy.
//!
//! ```text
//!  this table ──> registry, layout, archive, ... ──> contract   the trait and what it is handed
//!  parse          one file for each                  syntax     TRANSPORT:REST
//!  help                                              names      what follows a path or an engine
//!                                                    checks     what several refuse
//! ```
//!
//! The table lists them; how destinations are read, completed and explained follows from it. A new
//! destination is a new file and its rows here.

#![warn(missing_docs, unreachable_pub)]
#![warn(clippy::expect_used, clippy::panic, clippy::unwrap_used)]
#![warn(clippy::print_stderr, clippy::print_stdout)]

mod archive;
mod checks;
mod containerd;
mod contract;
mod directory;
mod docker;
mod layout;
mod names;
mod platform;
mod podman;
mod registry;
mod skopeo;
mod syntax;

use self::syntax::{Transport, error};
use strata_error::{Error, Result};
use strata_oci::Reference;

pub use self::archive::{check_archive_name, check_directory, is_stdout};
pub use self::contract::{Copied, Destination, DockerFormat, DryRun, Options};
pub use self::platform::of_this_machine;

/// Every destination, in the order in which hints and completions offer them.
const TRANSPORTS: &[&Transport] = &[
    &registry::DOCKER,
    &layout::OCI,
    &archive::OCI_ARCHIVE,
    &archive::DOCKER_ARCHIVE,
    &directory::DIR,
    &docker::DOCKER_DAEMON,
    &podman::PODMAN,
    &podman::CONTAINERS_STORAGE,
    &containerd::CONTAINERD,
    &containerd::K3S,
    &containerd::KIND,
    &containerd::MINIKUBE,
    &skopeo::OSTREE,
    &skopeo::SIF,
];

/// Those with a line in the help, in its order: what runs images, then what is written to files.
const IN_HELP: &[&Transport] = &[
    &registry::DOCKER,
    &docker::DOCKER_DAEMON,
    &podman::PODMAN,
    &containerd::CONTAINERD,
    &archive::DOCKER_ARCHIVE,
    &archive::OCI_ARCHIVE,
    &layout::OCI,
    &directory::DIR,
];

/// Reads a destination as it is typed. The error has a hint about what can be typed.
pub fn parse(text: &str) -> Result<Box<dyn Destination>> {
    let Some((name, rest)) = text.split_once(':') else {
        return Err(no_transport(text));
    };
    match find(name) {
        Some(transport) => (transport.parse)(text, rest),
        None => Err(no_transport(text)),
    }
}

/// Every form that [`parse`] takes and that needs no other program to say what it means.
pub fn forms() -> impl Iterator<Item = &'static str> {
    TRANSPORTS.iter().filter_map(|transport| transport.form)
}

/// How destinations begin, such as `docker://` and `oci:`.
pub fn beginnings() -> impl Iterator<Item = &'static str> {
    let is_name = |character: char| character == '[' || character.is_ascii_uppercase();
    forms().filter_map(move |form| form.split(is_name).next())
}

/// A place as the next program takes it: in a registry the name alone.
pub fn reference(place: &str) -> &str {
    place.strip_prefix("docker://").unwrap_or(place)
}

/// A line for each destination: its form and what it is.
pub fn help() -> String {
    let rows = IN_HELP.iter();
    let rows = rows.filter_map(|transport| transport.form.zip(transport.help));
    let width = rows.clone().map(|(form, _)| form.len()).max();
    let width = width.unwrap_or_default();
    let lines: Vec<String> = rows
        .map(|(form, help)| format!("  {form:width$}  {help}"))
        .collect();
    lines.join("\n")
}

fn find(name: &str) -> Option<&'static Transport> {
    let mut transports = TRANSPORTS.iter().copied();
    transports.find(|transport| transport.name == name)
}

fn no_transport(text: &str) -> Error {
    if let Some(image) = text.strip_prefix("nix:") {
        let hint = format!(
            "it is how nix2container's skopeo names an image; write it first, as in: strata copy {image} docker-daemon:"
        );
        return error(text, "nix: is no destination", hint);
    }
    let looks_like_name = text.contains('/') && !text.starts_with(['/', '.']);
    let known = find(text.split(':').next().unwrap_or_default());
    let hint = match (known.and_then(|known| known.form), Reference::parse(text)) {
        (Some(form), _) => format!("write {form}"),
        (None, Ok(_)) if looks_like_name => format!("for a registry write docker://{text}"),
        _ => {
            let forms: Vec<&str> = forms().collect();
            let lines: Vec<String> = forms.chunks(4).map(|forms| forms.join(", ")).collect();
            format!("known destinations: {}", lines.join(",\n  "))
        }
    };
    error(text, "unknown transport", hint)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use strata_copy::CopyName;
    use strata_layer::ImageName;
    use strata_oci::Digest;

    fn parse(text: &str) -> Box<dyn Destination> {
        super::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn names_are_those_of_the_forms() {
        let mut names = BTreeSet::new();
        for transport in TRANSPORTS {
            assert!(names.insert(transport.name), "{}", transport.name);
            if let Some(form) = transport.form {
                let begin = format!("{}:", transport.name);
                assert!(form.starts_with(&begin), "{form}");
            }
        }
    }

    #[test]
    fn the_help_has_a_line_or_a_word_for_each_form() {
        let explained: BTreeSet<_> = IN_HELP.iter().map(|transport| transport.name).collect();
        let help = help();
        for transport in TRANSPORTS {
            let is_explained = explained.contains(transport.name);
            assert_eq!(is_explained, transport.help.is_some(), "{}", transport.name);
            let named = format!(" {}:", transport.name);
            assert_eq!(
                help.contains(&named),
                transport.form.is_some(),
                "{}",
                transport.name
            );
        }
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
            (
                "nix:/nix/store/x",
                "no destination",
                "strata copy /nix/store/x docker-daemon:",
            ),
            ("oci:", "no path", "oci:PATH"),
            ("dir:", "no path", "dir:PATH"),
            ("docker-archive::hello", "no path", "docker-archive:PATH"),
            ("oci:x:", "nothing follows", "own name"),
            ("oci:x:-tag", "not a tag", "letters"),
            ("docker-archive:x:Hello", "not a repository", "lower-case"),
            ("docker-daemon:Hello", "not a repository", "lower-case"),
        ] {
            let error = super::parse(text).unwrap_err();
            assert!(error.to_string().contains(message), "{text}: {error}");
            assert!(
                error.hint().unwrap().contains(hint),
                "{text}: {:?}",
                error.hint()
            );
        }
        let secret = super::parse("docker://me:hunter2@h.x/hello").unwrap_err();
        assert!(!secret.report().contains("hunter2"), "{}", secret.report());
        let digest = format!("oci:x:hello@{}", Digest::of(b""));
        let error = super::parse(&digest).unwrap_err();
        assert!(error.to_string().contains("digest"), "{error}");
    }

    fn places(text: &str, own: Option<&ImageName>) -> Vec<String> {
        let options = Options {
            registry: strata_registry::Options::default(),
            push: strata_registry::PushOptions::default(),
            docker: strata_engine::docker::Options::default(),
            containerd: strata_engine::containerd::Options::default(),
            stdout: |_| Box::new(std::io::sink()),
        };
        let destination = parse(text);
        let name = destination.copy_name(own).unwrap();
        destination.places(&name, &options)
    }

    #[test]
    fn copies_are_found_by_their_whole_names() {
        let own = ImageName {
            name: "own".into(),
            tag: "1".into(),
        };
        for (destination, shown) in [
            ("oci:out", "oci:out:1"),
            ("oci:out:2", "oci:out:2"),
            ("oci:out:bye:2", "oci:out:bye:2"),
            ("oci-archive:a.tar", "oci-archive:a.tar:1"),
            ("docker-archive:a.tar", "docker-archive:a.tar:own:1"),
            ("docker-archive:-", "docker-archive:-:own:1"),
            (
                "docker-archive:a.tar:bye",
                "docker-archive:a.tar:bye:latest",
            ),
            ("dir:/tmp/x", "dir:/tmp/x"),
            ("kind:", "kind:docker.io/library/own:1"),
            ("containerd:a/b", "containerd:docker.io/a/b:latest"),
            ("podman:h.x/a:2", "containers-storage:h.x/a:2"),
            ("docker-daemon:a:2", "docker-daemon:docker.io/library/a:2"),
        ] {
            assert_eq!(places(destination, Some(&own)), [shown]);
        }
        for nameless in ["oci:out", "docker-archive:-", "docker-daemon:"] {
            assert_eq!(places(nameless, None), [nameless]);
        }
    }
}
