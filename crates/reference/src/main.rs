//! Writes docs/reference in the current directory, which is the root of the tree (scripts/reference).

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

fn main() -> Result<()> {
    let root = Path::new(".");
    for (name, text) in strata_reference::pages(root)? {
        let file = root.join(&name);
        if let Some(directory) = file.parent() {
            fs::create_dir_all(directory)
                .with_context(|| format!("create the folder of {name}"))?;
        }
        fs::write(&file, text).with_context(|| format!("write {name}"))?;
    }
    Ok(())
}
