//! `strata man DIRECTORY`.

use std::fs;
use std::path::PathBuf;

use clap::{Args, Command};
use clap_mangen::Man;

use crate::cli::failure::Failure;
use crate::cli::interruption::Interruption;
use crate::cli::output::write_text;
use strata_error::Error;
use strata_progress::Silent;

/// Write these explanations as manual pages
#[derive(Args)]
pub(crate) struct ManArgs {
    /// The directory that the pages go to, such as share/man/man1
    directory: PathBuf,
}

/// Writes a page for `strata` and one for each command of it. Each is there whole or as it was before; after a failure
/// those that are new go.
pub(crate) fn run(
    arguments: &ManArgs,
    mut strata: Command,
    interruption: &Interruption,
) -> Result<(), Failure> {
    let directory = &arguments.directory;
    fs::create_dir_all(directory).map_err(Error::io("create", directory))?;
    strata.build();
    let mut commands = Vec::new();
    collect(strata, &mut commands);
    let mut new = Vec::new();
    for command in commands {
        let page = page(command);
        let file = directory.join(page.get_filename());
        let was_there = file.exists();
        let text = render(&page).map_err(Error::io("write", &file))?;
        let written = write_text(&file, &text, interruption.context(&Silent));
        written.inspect_err(|_| {
            for file in &new {
                // The first error is the one to tell.
                let _ = fs::remove_file(file);
            }
        })?;
        if !was_there {
            new.push(file);
        }
    }
    Ok(())
}

/// A command, and all below it but those that scripts alone call.
fn collect(command: Command, commands: &mut Vec<Command>) {
    let shown = command.get_subcommands().filter(|it| !it.is_hide_set());
    let below: Vec<Command> = shown.cloned().collect();
    commands.push(command);
    for command in below {
        collect(command, commands);
    }
}

/// A page that belongs to Strata, and whose synopsis does not repeat every option.
fn page(mut command: Command) -> Man {
    let usage = command.render_usage().to_string();
    let usage = usage.trim_start_matches("Usage: ").to_owned();
    Man::new(command.override_usage(usage)).source(concat!("strata ", env!("CARGO_PKG_VERSION")))
}

fn render(page: &Man) -> std::io::Result<String> {
    let mut text = Vec::new();
    page.render(&mut text)?;
    // What follows the options has tables, whose lines are not to be filled.
    Ok(String::from_utf8_lossy(&text).replace(".SH EXTRA\n", ".SH DETAILS\n.nf\n"))
}
