//! The packages of a profile, and the links that lead to it.

use super::argument::{self, error};
use super::{Tree, TreeEntry};
use strata_error::Result;
use strata_nix::{PackageRequest, ProfileRequest, Store};

/// The argument of the function.
const ATTRIBUTE: &str = "packages";

/// A package whose values are known to be good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Package {
    /// The name with the version.
    pub name: String,
    /// For which system it was built; none if nobody said.
    pub system: Option<String>,
    /// The names and full store paths of the outputs in the profile, at least one.
    pub outputs: Vec<(String, String)>,
    /// The lower wins.
    pub priority: i64,
}

/// Checks the packages of a profile; one that is there twice is one.
pub fn check_packages(requests: &[PackageRequest], store: &Store) -> Result<Vec<Package>> {
    let mut packages: Vec<Package> = Vec::new();
    for (number, request) in requests.iter().enumerate() {
        let package = check(&format!("{ATTRIBUTE}[{number}]"), request, store)?;
        if !packages.contains(&package) {
            packages.push(package);
        }
    }
    Ok(packages)
}

fn check(attribute: &str, package: &PackageRequest, store: &Store) -> Result<Package> {
    let output = |(number, name): (usize, &String)| {
        let attribute = format!("{attribute}.outputsToInstall[{number}]");
        let path = package.outputs.get(name).ok_or_else(|| {
            let message = format!("{name:?} is not an output of {}", package.name);
            error(&attribute, message, "name outputs that the package has")
        })?;
        store.parse(path).map_err(|message| {
            let hint = "give a package, or a path that Nix has copied to the store";
            error(&attribute, message, hint)
        })?;
        Ok((name.clone(), path.clone()))
    };
    let outputs = package.outputs_to_install.iter().enumerate();
    let outputs = outputs.map(output).collect::<Result<Vec<_>>>()?;
    if outputs.is_empty() {
        let attribute = format!("{attribute}.outputsToInstall");
        let hint = "name an output, or leave the package out";
        return Err(error(&attribute, "is empty", hint));
    }
    Ok(Package {
        name: package.name.clone(),
        system: package.system.clone().filter(|system| !system.is_empty()),
        outputs,
        priority: package.priority,
    })
}

/// Adds the generation links, and the links to them.
pub(super) fn add_links(tree: &mut Tree, request: &ProfileRequest, output: &str) -> Result<()> {
    for (path, generation) in &request.links {
        add_generation(tree, ATTRIBUTE, generation, output)?;
        // A link to itself asks for the generation alone.
        if argument::path(ATTRIBUTE, path)? != argument::path(ATTRIBUTE, generation)? {
            tree.add(ATTRIBUTE, path, TreeEntry::Link(generation.clone()))?;
        }
    }
    Ok(())
}

/// A profile at `path` whose first generation is `output`.
///
/// Each link names the next by its path in the image: a path below the output that is being built
/// would lead into the store, and not to what `nix-env` changes.
pub(super) fn add_generation(
    tree: &mut Tree,
    attribute: &str,
    path: &str,
    output: &str,
) -> Result<()> {
    let first = format!("/{}-1-link", argument::path(attribute, path)?);
    tree.add(attribute, &first, TreeEntry::Link(output.to_owned()))?;
    tree.add(attribute, path, TreeEntry::Link(first))
}
