//! The page of the command line, from clap.

use clap::{Arg, Command};

use crate::markdown::{self, anchor, code, fenced, table};

/// The page of a program and its commands.
pub(crate) fn page(mut program: Command) -> String {
    program.build();
    let mut commands = Vec::new();
    collect(&program, &mut Vec::new(), &mut commands);
    let heading = |(name, _): &(String, &Command)| format!("{} {name}", program.get_name());
    let rows: Vec<[String; 2]> = commands
        .iter()
        .map(|command| {
            let (name, described) = command;
            let link = anchor(&heading(command));
            [format!("[`{name}`](#{link})"), about(described)]
        })
        .collect();
    let mut blocks = described(&program, |_| true);
    blocks.push(table(["command", "meaning"], &rows));
    for command in &commands {
        blocks.push(format!("## {}", heading(command)));
        // All have them; they are said once.
        blocks.extend(described(command.1, |argument| {
            argument.get_id() != "help" && !argument.is_global_set()
        }));
    }
    markdown::page("the arguments in src/cli", program.get_name(), blocks)
}

/// Every command that does something, by its name, which has those of the commands that it is in.
fn collect<'a>(
    above: &'a Command,
    names: &mut Vec<&'a str>,
    commands: &mut Vec<(String, &'a Command)>,
) {
    for command in above.get_subcommands().filter(|it| !it.is_hide_set()) {
        names.push(command.get_name());
        if command.has_subcommands() {
            collect(command, names, commands);
        } else {
            commands.push((names.join(" "), command));
        }
        names.pop();
    }
}

/// What a command does and takes, of which `is_wanted` chooses.
fn described(command: &Command, is_wanted: impl Fn(&Arg) -> bool) -> Vec<String> {
    let usage = command.clone().render_usage().to_string();
    let usage = fenced(usage.trim_start_matches("Usage: "));
    let mut blocks = vec![about(command) + ".", usage];
    let (positional, options): (Vec<&Arg>, Vec<&Arg>) = command
        .get_arguments()
        .filter(|argument| !argument.is_hide_set() && is_wanted(argument))
        .partition(|argument| argument.is_positional());
    for (kind, arguments) in [("argument", positional), ("option", options)] {
        if !arguments.is_empty() {
            let rows: Vec<[String; 2]> = arguments
                .into_iter()
                .map(|argument| [form(argument), meaning(argument)])
                .collect();
            blocks.push(table([kind, "meaning"], &rows));
        }
    }
    let more = command.get_after_help();
    blocks.extend(more.map(|more| fenced(&more.to_string())));
    blocks
}

fn about(command: &Command) -> String {
    let about = command.get_about();
    about.map_or_else(String::new, |about| plain(&about.to_string()))
}

/// How an argument is written.
fn form(argument: &Arg) -> String {
    // clap's own form has the long name, and what goes with it.
    let long = code(&argument.to_string());
    match argument.get_short() {
        Some(short) if argument.get_long().is_some() => format!("`-{short}`, {long}"),
        _ => long,
    }
}

/// What an argument means, with its default and the values that there are.
fn meaning(argument: &Arg) -> String {
    let help = argument.get_help();
    let help = help.map_or_else(String::new, |help| plain(&help.to_string()));
    if !argument.get_action().takes_values() {
        return help;
    }
    let defaults = argument.get_default_values().iter();
    let defaults: Vec<String> = defaults
        .map(|value| code(&value.to_string_lossy()))
        .collect();
    let values = argument.get_possible_values();
    let values = values.iter().filter(|value| !value.is_hide_set());
    let values: Vec<String> = values.map(|value| code(value.get_name())).collect();
    let more = [("default", defaults), ("one of", values)]
        .into_iter()
        .filter(|(_, values)| !values.is_empty())
        .map(|(what, values)| format!("{what} {}", values.join(", ")));
    [help]
        .into_iter()
        .chain(more)
        .collect::<Vec<_>>()
        .join("; ")
}

/// Text for a terminal, in which angle brackets and asterisks are only themselves.
fn plain(text: &str) -> String {
    text.replace('<', "\\<").replace('*', "\\*")
}

#[cfg(test)]
mod tests {
    use clap::ArgAction;

    use super::*;

    #[test]
    fn a_page_has_every_command_and_argument() {
        let copy = Command::new("copy")
            .about("Copies <it>")
            .after_help("A  table")
            .args([
                Arg::new("image").required(true).help("The image"),
                Arg::new("quiet")
                    .long("quiet")
                    .short('q')
                    .action(ArgAction::SetTrue)
                    .help("Say nothing"),
                Arg::new("how")
                    .long("how")
                    .value_name("A|B")
                    .value_parser(["a", "b"])
                    .default_value("a")
                    .help("Which"),
                Arg::new("hidden").long("hidden").hide(true),
            ]);
        let program = Command::new("strata")
            .about("Works")
            .disable_help_subcommand(true)
            .subcommand(copy);
        assert_eq!(
            page(program),
            "\
<!-- Generated by scripts/reference from the arguments in src/cli: change it there. -->

# strata

Works.

```text
strata [COMMAND]
```

| option | meaning |
|---|---|
| `-h`, `--help` | Print help |

| command | meaning |
|---|---|
| [`copy`](#strata-copy) | Copies \\<it> |

## strata copy

Copies \\<it>.

```text
strata copy [OPTIONS] <image>
```

| argument | meaning |
|---|---|
| `<image>` | The image |

| option | meaning |
|---|---|
| `-q`, `--quiet` | Say nothing |
| `--how <A\\|B>` | Which; default `a`; one of `a`, `b` |

```text
A  table
```
"
        );
    }
}
