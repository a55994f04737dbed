//! What an edit of the user changes.

use super::strategy::Graph;

/// More packages than this in one environment are a set of tools, and none of them is the application.
const MOST_APPLICATIONS: usize = 8;

/// An environment is at most such a part of what it links to; a package is not.
const ENVIRONMENT: u64 = 20;

/// The paths that no other needs, and where such a path is an environment at `/` that only links to packages
/// (`pkgs.buildEnv`), those of them that nothing else needs. `at_root` has what is at `/`. Ascending.
pub fn roots(graph: &Graph, at_root: &[u32]) -> Vec<u32> {
    let mut roots = graph.without_users();
    let environments = roots.iter().filter(|root| at_root.contains(root));
    let packages = environments.flat_map(|root| {
        let linked = graph.references(*root);
        let size: u64 = linked.iter().map(|path| graph.size(*path)).sum();
        let own = linked.iter().copied();
        let own: Vec<u32> = own.filter(|path| graph.users(*path).len() == 1).collect();
        let is_environment =
            graph.size(*root) < size / ENVIRONMENT && own.len() <= MOST_APPLICATIONS;
        if is_environment { own } else { Vec::new() }
    });
    let packages: Vec<u32> = packages.collect();
    roots.extend(packages);
    roots.sort_unstable();
    roots.dedup();
    roots
}
