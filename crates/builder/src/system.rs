//! Building a base system: a tree, and beside it a profile and a channel as outputs of their own,
//! so that Nix in the image can replace them.

use std::collections::BTreeMap;

use super::output::Output;
use strata_error::{Error, Result};
use strata_nix::{Store, System};
use strata_system::{Environment, OutputPaths, channel_tree, check_packages, system_tree};

/// The output that is a user environment.
const PROFILE: &str = "profile";
/// The output that is a channel.
const CHANNEL: &str = "channel";

/// Builds what `system` asks for. Everything is made before anything is written, and nothing stays
/// unless all of it is.
pub(super) fn build(
    system: &System,
    out: &str,
    outputs: &BTreeMap<String, String>,
    store: &Store,
) -> Result<()> {
    let profile = path(outputs, PROFILE, system.profile.is_some())?;
    let channel = path(outputs, CHANNEL, system.channel.is_some())?;
    let known = [PROFILE, CHANNEL];
    if let Some(name) = outputs.keys().find(|name| !known.contains(&name.as_str())) {
        return Err(wrong_output(format!(
            "a base system has no output {name:?}"
        )));
    }
    let tree = system_tree(system, OutputPaths { profile, channel }, store)?;
    let environment = match &system.profile {
        Some(profile) => Some(Environment::merge(
            &check_packages(&profile.packages, store)?,
            store,
        )?),
        None => None,
    };
    let channel_tree = match &system.channel {
        Some(channel) => Some(channel_tree(channel, store)?),
        None => None,
    };

    let mut written = Vec::new();
    let mut create = |path: &str| -> Result<_> {
        let output = Output::create(store.locate_below(path))?;
        let directory = output.directory().to_path_buf();
        written.push(output);
        Ok(directory)
    };
    tree.write(&create(out)?)?;
    if let Some(environment) = environment {
        environment.write(&create(profile)?, profile)?;
    }
    if let Some(tree) = channel_tree {
        tree.write(&create(channel)?)?;
    }
    written.into_iter().for_each(Output::complete);
    Ok(())
}

/// The path of an output, which is there exactly if it is asked for; else nothing.
fn path<'a>(outputs: &'a BTreeMap<String, String>, name: &str, is_wanted: bool) -> Result<&'a str> {
    match (outputs.get(name), is_wanted) {
        (Some(path), true) => Ok(path),
        (None, false) => Ok(""),
        (Some(_), false) => Err(wrong_output(format!("has {name}, but {name} is null"))),
        (None, true) => Err(wrong_output(format!("lacks {name}"))),
    }
}

fn wrong_output(message: String) -> Error {
    Error::Attribute {
        attribute: "outputs".into(),
        message,
        hint: "build base systems with Strata's Nix functions; they set it".into(),
    }
}
