//! `strata man DIRECTORY`.

use std::fs;
use std::iter::once;
use std::path::PathBuf;

use clap::{Args, Command};
use clap_mangen::Man;

use crate::cli::failure::Failure;
use strata_error::Error;

/// Write these explanations as manual pages
#[derive(Args)]
pub(crate) struct ManArgs {
    /// The directory that the pages go to, such as share/man/man1
    directory: PathBuf,
}

/// Writes a page for `strata` and one for each command of it.
pub(crate) fn run(arguments: &ManArgs, mut strata: Command) -> Result<(), Failure> {
    let directory = &arguments.directory;
    fs::create_dir_all(directory).map_err(Error::io("create", directory))?;
    strata.build();
    let commands = strata.get_subcommands().cloned();
    for command in once(strata.clone()).chain(commands) {
        let page = page(command);
        let file = directory.join(page.get_filename());
        let text = render(&page).map_err(Error::io("write", &file))?;
        fs::write(&file, text).map_err(Error::io("write", &file))?;
    }
    Ok(())
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
