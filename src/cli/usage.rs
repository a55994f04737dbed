//! What is said about wrong arguments, and how commands that scripts call are shown.

use clap::error::{ContextKind, ContextValue, ErrorKind};

/// Flags of skopeo that would need something Strata does not do, and what to do instead. They match
/// by their beginning.
const REFUSED: [(&str, &str); 12] = [
    (
        "--decryption-key",
        "an image from the Nix store is not encrypted",
    ),
    (
        "--dest-force-compress-format",
        "layers that a base image has compressed stay as they are; leave it out",
    ),
    (
        "--dest-shared-blob-dir",
        "copy several images into one oci: layout; blobs are shared there",
    ),
    (
        "--encrypt",
        "encrypt the copy with `skopeo copy --encryption-key`",
    ),
    ("--override-", "choose an image of an index with --platform"),
    (
        "--policy",
        "an image from the Nix store is not subject to a signature policy",
    ),
    ("--registries.d", "signatures are not copied"),
    (
        "--require-signed",
        "an image from the Nix store has no signatures",
    ),
    (
        "--screds",
        "the image comes from the Nix store, not from a registry",
    ),
    (
        "--sign-",
        "sign with a key of cosign: --sign-by-key; signatures of GnuPG are not made",
    ),
    (
        "--src-",
        "the image comes from the Nix store, not from a registry",
    ),
    (
        "--user-agent-prefix",
        "registries see strata/VERSION; leave it out",
    ),
];

/// The environment variable with which a script says how it is called itself:
/// `copyTo [OPTIONS] <DESTINATION>`.
pub(super) const VARIABLE: &str = "STRATA_USAGE";

/// Shows `usage` as that of every command, and no arguments that are not in it: the script gives them.
pub(super) fn called_by_script(commands: clap::Command, usage: &str) -> clap::Command {
    commands.mut_subcommands(|command| {
        command
            .override_usage(usage.to_owned())
            .mut_args(|argument| {
                let name = argument.get_id().as_str().to_uppercase();
                let given = argument.is_positional() && !usage.contains(&name);
                let hidden = given || argument.is_hide_set();
                argument.hide(hidden)
            })
    })
}

/// An error of one line and a hint. Only `strata` alone gets the whole help.
///
/// `commands` are those that there are.
pub(super) fn explain(error: &clap::Error, commands: &[String]) -> String {
    let text = error.to_string();
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        return text;
    }
    if let (ErrorKind::UnknownArgument, Some(ContextValue::String(flag))) =
        (error.kind(), error.get(ContextKind::InvalidArg))
        && let Some((_, hint)) = REFUSED.iter().find(|(start, _)| flag.starts_with(start))
    {
        return format!("error: {flag} of skopeo is not supported\nhint: {hint}");
    }
    // The first paragraph is what is wrong; the hint has what follows.
    let message = text.split("\n\n").next().unwrap_or_default();
    let message = message
        .split("\n  [possible values")
        .next()
        .unwrap_or_default();
    format!("{}\nhint: {}", one_line(message), hint(error, commands))
}

fn hint(error: &clap::Error, commands: &[String]) -> String {
    let words = |kind| match error.get(kind) {
        Some(ContextValue::Strings(words)) => words.join(", "),
        Some(ContextValue::String(word)) => word.clone(),
        _ => String::new(),
    };
    let possible = words(ContextKind::ValidValue);
    if !possible.is_empty() {
        return format!("write one of {possible}");
    }
    if error.kind() == ErrorKind::InvalidSubcommand {
        let similar = words(ContextKind::SuggestedSubcommand);
        let perhaps = match similar.as_str() {
            "" => String::new(),
            similar => format!("perhaps {similar}; "),
        };
        return format!("{perhaps}the commands are {}", commands.join(", "));
    }
    let similar = words(ContextKind::SuggestedArg);
    if !similar.is_empty() {
        return format!("perhaps {similar}");
    }
    match error.get(ContextKind::Usage) {
        Some(ContextValue::StyledStr(usage)) => {
            let usage = one_line(&usage.to_string());
            let usage = usage.trim_start_matches("Usage: ");
            format!("write {usage}; --help explains it")
        }
        _ => "--help explains what can be written".to_owned(),
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::super::arguments::{Parsed, parse};

    fn said(words: &[&str], usage: Option<&str>) -> String {
        let words = words.iter().map(Into::into);
        match parse(words, usage) {
            Parsed::Command(..) => panic!("it is right"),
            Parsed::Help(text) | Parsed::Wrong(text) => text,
        }
    }

    #[test]
    fn an_error_is_a_line_and_a_hint() {
        for (words, message, hint) in [
            (
                &["copy", "image"][..],
                "the following required arguments were not provided: <DESTINATION>",
                "write strata copy <IMAGE> <DESTINATION>; --help explains it",
            ),
            (
                &["completions", "tcsh"],
                "invalid value 'tcsh' for '<SHELL>'",
                "write one of bash, elvish, fish, powershell, zsh",
            ),
            (
                &["copy", "image", "dir:x", "--quite"],
                "unexpected argument '--quite' found",
                "perhaps --quiet",
            ),
            (
                &["vrify"],
                "unrecognized subcommand 'vrify'",
                "perhaps verify; the commands are copy, inspect, why, diff, check, browse, explain, layers, verify, sbom, attach, referrers, sign, serve, registry, index, merge, export, \
                 compress, pull, lock, lock-layers, completions, man",
            ),
            (
                &["frobnicate"],
                "unrecognized subcommand 'frobnicate'",
                "the commands are copy, inspect, why, diff, check, browse, explain, layers, verify, sbom, attach, referrers, sign, serve, registry, index, merge, export, compress, pull, lock, \
                 lock-layers, completions, man",
            ),
            (
                &["copy", "image", "dir:x", "--retry-times=many"],
                "invalid value 'many' for '--retry-times <N>': invalid digit found in string",
                "--help explains what can be written",
            ),
            (
                &["copy", "image", "dir:x", "--zzz"],
                "unexpected argument '--zzz' found",
                "write strata copy <IMAGE> <DESTINATION>; --help explains it",
            ),
        ] {
            let words: Vec<_> = [&["strata"], words].concat();
            let expected = format!("error: {message}\nhint: {hint}");
            assert_eq!(said(&words, None), expected);
        }
    }

    /// Issue 11, "What new users stumbled over" 9.
    #[test]
    fn row_9_help_and_version_are_commands_too() {
        let help = said(&["strata", "copy", "--help"], None);
        assert_eq!(said(&["strata", "help", "copy"], None), help);
        let all = said(&["strata", "--help"], None);
        assert_eq!(said(&["strata", "help"], None), all);
        assert!(all.contains("strata help COMMAND"), "{all}");
        let version = said(&["strata", "--version"], None);
        assert_eq!(said(&["strata", "version"], None), version);
        let wrong = said(&["strata", "help", "frobnicate"], None);
        assert!(
            wrong.contains("'frobnicate'\nhint: the commands are copy,"),
            "{wrong}"
        );
    }

    #[test]
    fn a_script_is_shown_as_it_is_called() {
        let usage = "copyTo [OPTIONS] <DESTINATION>";
        let help = said(&["strata", "copy", "image", "--help"], Some(usage));
        assert!(
            help.contains("\n\nUsage: copyTo [OPTIONS] <DESTINATION>\n"),
            "{help}"
        );
        assert!(
            !help.contains("<IMAGE>") && help.contains("  <DESTINATION>"),
            "{help}"
        );
        assert!(!help.contains("--multi-arch"), "{help}");
        let wrong = said(&["strata", "copy", "image"], Some(usage));
        assert!(
            wrong.contains("hint: write copyTo [OPTIONS] <DESTINATION>;"),
            "{wrong}"
        );
    }
}
