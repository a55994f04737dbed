//! What explains the command line: `--help`, manual pages and completions.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests may fail"
)]

use strata_testing as support;

use std::path::Path;
use std::process::Command;

use regex::Regex;
use support::nix::build;
use support::registry::run;

fn strata(arguments: &[&str]) -> String {
    run(Command::new(env!("CARGO_BIN_EXE_strata")).args(arguments))
}

/// What the only group of an expression finds.
fn captures(text: &str, expression: &str) -> Vec<String> {
    let expression = Regex::new(expression).unwrap();
    let found = expression.captures_iter(text);
    found.map(|found| found[1].to_owned()).collect()
}

/// The commands below one, or of the program.
fn commands_of(command: &[&str]) -> Vec<String> {
    let help = strata(&[command, &["--help"]].concat());
    let Some((_, commands)) = help.split_once("Commands:\n") else {
        return Vec::new();
    };
    let (commands, _) = commands.split_once("\n\n").unwrap();
    captures(commands, r"(?m)^  ([a-z-]+) +\S")
}

fn commands() -> Vec<String> {
    commands_of(&[])
}

/// Every command with those that it is in, as in `index create`.
fn all_commands() -> Vec<String> {
    let below = |command: &String| {
        let names = commands_of(&[command]);
        let names = names.iter().map(|name| format!("{command} {name}"));
        [vec![command.clone()], names.collect()].concat()
    };
    commands().iter().flat_map(below).collect()
}

fn flags(command: &str) -> Vec<String> {
    let words: Vec<&str> = command.split(' ').chain(["--help"]).collect();
    captures(&strata(&words), r"(?m)^ +(?:-\w, )?(--[a-z-]+)")
}

#[test]
fn every_command_flag_and_argument_is_explained() {
    let commands = all_commands();
    assert!(commands.len() >= 5, "{commands:?}");
    // A name, and after it or below it what it means.
    let entry = Regex::new(r"^ +(-\w, )?(--[a-z-]+|<[A-Z_]+>)(\[?[ =][^ ]+|\.\.\.)*").unwrap();
    for command in &commands {
        let words: Vec<&str> = command.split(' ').chain(["--help"]).collect();
        let help = strata(&words);
        let (about, _) = help.split_once("\n\nUsage: strata ").unwrap();
        assert!(!about.is_empty(), "{command}");
        let lines: Vec<&str> = help.lines().collect();
        let entries = (0..lines.len()).filter(|number| entry.is_match(lines[*number]));
        let mut count = 0;
        for number in entries {
            let rest = entry.replace(lines[number], "");
            let next = lines.get(number + 1).copied().unwrap_or_default();
            let below = if entry.is_match(next) { "" } else { next };
            let explained = !rest.trim().is_empty() || !below.trim().is_empty();
            assert!(explained, "{command}: {}", lines[number]);
            count += 1;
        }
        assert!(count >= 2, "{command}: {help}");
    }
}

/// groff reads every page without a warning, and each has what `--help` has.
#[test]
fn manual_pages_say_what_the_help_says() {
    let directory = tempfile::tempdir().unwrap();
    let pages = directory.path().join("share/man/man1");
    strata(&["man", pages.to_str().unwrap()]);
    let all = all_commands();
    let mut names = vec![("strata".to_owned(), vec!["--version".to_owned()])];
    names.extend(all.iter().map(|command| {
        let name = format!("strata-{}", command.replace(' ', "-"));
        (name, flags(command))
    }));
    assert_eq!(std::fs::read_dir(&pages).unwrap().count(), names.len());
    for (name, flags) in &names {
        let page = render(&pages.join(format!("{name}.1")));
        for flag in flags {
            assert!(
                page.contains(&format!("{flag} "))
                    || page.contains(&format!("{flag}\n"))
                    || page.contains(&format!("{flag}[")),
                "{name}: {flag}: {page}"
            );
        }
    }
    // The footer says whose page it is, and the synopsis does not repeat the options.
    let page = render(&pages.join("strata-copy.1"));
    assert!(
        page.contains("strata copy [OPTIONS] <IMAGE> <DESTINATION>\n"),
        "{page}"
    );
    assert!(page.trim_start().starts_with("strata-copy(1)"), "{page}");
    let footer = page.trim_end().lines().next_back().unwrap_or_default();
    assert!(
        footer
            .trim_start()
            .starts_with(concat!("strata ", env!("CARGO_PKG_VERSION"), " ")),
        "{footer}"
    );
    // A line of a table is a line.
    let page = render(&pages.join("strata-copy.1"));
    let destination = Regex::new(r"(?m)^ +docker://NAME\[:TAG\]   .*HOST\[:PORT\]/$").unwrap();
    assert!(destination.is_match(&page), "{page}");
}

fn render(page: &Path) -> String {
    let mut command = Command::new("groff");
    command.args(["-man", "-Tascii", "-P-c", "-P-b", "-P-u", "-ww", "-rHY=0"]);
    let output = command.arg(page).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success() && said.is_empty(), "{said}");
    String::from_utf8(output.stdout).unwrap()
}

/// bash offers commands, and flags of a command.
#[test]
fn bash_completes_commands_and_flags() {
    let complete = |words: &[&str]| {
        let script = r#"
            source /dev/stdin
            complete -p strata >/dev/null || exit 1
            COMP_WORDS=("$@")
            COMP_CWORD=$(($# - 1))
            _strata strata "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
            printf '%s\n' "${COMPREPLY[@]}"
        "#;
        let program = env!("CARGO_BIN_EXE_strata");
        let outer = r#""$0" completions bash | bash -c "$@""#;
        let mut bash = Command::new("bash");
        bash.args(["-c", outer, program, script, "bash"]);
        let output = run(bash.args(words));
        output.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    for command in commands() {
        assert_eq!(
            complete(&["strata", &command[..command.len() - 1]]),
            commands()
                .into_iter()
                .filter(|other| other.starts_with(&command[..command.len() - 1]))
                .collect::<Vec<_>>(),
            "{command}"
        );
        for flag in flags(&command) {
            let found = complete(&["strata", &command, &flag]);
            assert!(found.contains(&flag), "{command} {flag}: {found:?}");
        }
    }
    let destinations = complete(&["strata", "copy", "result", ""]);
    for transport in ["docker://", "podman:", "docker-daemon:", "oci:", "kind:"] {
        assert!(
            destinations.iter().any(|found| found == transport),
            "{destinations:?}"
        );
    }
    let archives = complete(&["strata", "copy", "result", "oci"]);
    assert_eq!(archives, ["oci:", "oci-archive:"]);
    let methods = complete(&["strata", "copy", "result", "oci:x", "--compression", ""]);
    assert_eq!(methods, ["gzip", "zstd", "zstd:chunked", "none"]);
}

#[test]
fn other_shells_have_completions() {
    for shell in ["elvish", "fish", "powershell", "zsh"] {
        let script = strata(&["completions", shell]);
        for word in ["copy", "digestfile"] {
            assert!(script.contains(word), "{shell}: {word}");
        }
    }
}

/// What `nix profile install` and NixOS look for.
#[test]
fn the_package_brings_pages_and_completions() {
    let package = build("strata.strata");
    let mut files = vec![
        "share/bash-completion/completions/strata".to_owned(),
        "share/fish/vendor_completions.d/strata.fish".to_owned(),
        "share/zsh/site-functions/_strata".to_owned(),
        "share/man/man1/strata.1".to_owned(),
    ];
    files.extend(
        commands()
            .iter()
            .map(|command| format!("share/man/man1/strata-{command}.1")),
    );
    for file in files {
        let length = package.join(&file).metadata().map(|file| file.len());
        assert!(length.is_ok_and(|length| length > 200), "{file}");
    }
    assert!(!build("strata.strata-builder").join("share").exists());
}
