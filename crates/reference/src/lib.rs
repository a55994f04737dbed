//! The reference in docs/reference, from what it is about.
//!
//! ```text
//!  nix/*.nix     doc comments  ──> functions/NAME.md   one for each public function
//!  nix/dockerTools/*.nix       ──> functions/dockerTools/NAME.md
//!  strata::cli   clap          ──> cli.md
//!  crates/nix/src/*.rs  Rust types    ──> request.md
//! ```
//!
//! `scripts/reference` writes the pages, a test compares them with those that are committed. A comment
//! that does not agree with its function is an error here, so the test finds it, too.

#![warn(missing_docs, unreachable_pub)]
#![warn(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

mod command_line;
mod functions;
mod markdown;
mod request;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

/// The folder of the pages, from the root of the tree.
pub const FOLDER: &str = "docs/reference";

/// The pages, by their paths from the root of the tree, which is at `root`.
pub fn pages(root: &Path) -> Result<BTreeMap<String, String>> {
    let read =
        |name: &str| fs::read_to_string(root.join(name)).with_context(|| format!("read {name}"));
    let mut pages = BTreeMap::new();
    for folder in ["", "dockerTools/"] {
        let names = functions::names(&read(&format!("nix/{folder}default.nix"))?)?;
        for name in &names {
            let file = format!("nix/{folder}{name}.nix");
            let page = functions::page(name, &file, &read(&file)?, &names).context(file)?;
            pages.insert(format!("{FOLDER}/functions/{folder}{name}.md"), page);
        }
    }
    let sources = request::FILES.map(|file| read(file).map(|text| (file, text)));
    let sources = sources.into_iter().collect::<Result<Vec<_>>>()?;
    pages.insert(format!("{FOLDER}/request.md"), request::page(&sources)?);
    let commands = command_line::page(strata::cli::command());
    pages.insert(format!("{FOLDER}/cli.md"), commands);
    Ok(pages)
}
