//! What packages weigh with others.

use super::contents::Contents;

/// What packages weigh with others, by their numbers.
pub struct Sizes {
    /// The bytes that would go if a package went: its own, and those of what only it leads to.
    exclusive: Vec<u64>,
}

/// Stands for what names the roots.
const ROOT: usize = 0;

impl Sizes {
    /// Looks at all packages.
    pub fn new(contents: &Contents) -> Self {
        let dominators = dominators(contents);
        let mut exclusive: Vec<u64> = contents.packages.iter().map(|it| it.size).collect();
        // Each before the one that dominates it.
        for place in dominators.order.iter().rev() {
            let above = dominators.above[*place];
            if *place != ROOT && above != ROOT {
                exclusive[above - 1] = exclusive[above - 1].saturating_add(exclusive[*place - 1]);
            }
        }
        Self { exclusive }
    }

    /// The bytes that would go if a package went: its own, and those of what only it leads to.
    pub fn exclusive(&self, number: u32) -> u64 {
        self.exclusive[number as usize]
    }
}

/// For each node the one through which all ways lead to it. Node 0 is above all roots, the others are the packages
/// behind it.
struct Dominators {
    above: Vec<usize>,
    /// All nodes, each after those through which all ways lead to it.
    order: Vec<usize>,
}

/// Cooper, Harvey and Kennedy, "A Simple, Fast Dominance Algorithm".
fn dominators(contents: &Contents) -> Dominators {
    let graph = &contents.graph;
    let order = reverse_postorder(contents);
    let mut rank = vec![usize::MAX; graph.len() + 1];
    for (place, node) in order.iter().enumerate() {
        rank[*node] = place;
    }
    let mut is_root = vec![false; graph.len() + 1];
    for root in &contents.roots {
        is_root[root.package as usize + 1] = true;
    }
    let none = usize::MAX;
    let mut above = vec![none; graph.len() + 1];
    above[ROOT] = ROOT;
    let mut changed = true;
    while changed {
        changed = false;
        for node in order.iter().skip(1) {
            let package = u32::try_from(node - 1).unwrap_or(u32::MAX);
            let users = graph.users(package).iter().map(|user| *user as usize + 1);
            let users = users.chain(is_root[*node].then_some(ROOT));
            let mut common = none;
            for user in users.filter(|user| rank[*user] != usize::MAX) {
                if above[user] != none {
                    common = if common == none {
                        user
                    } else {
                        meet(common, user, &above, &rank)
                    };
                }
            }
            if common != none && above[*node] != common {
                above[*node] = common;
                changed = true;
            }
        }
    }
    Dominators { above, order }
}

/// Where the ways up from two nodes meet.
fn meet(one: usize, other: usize, above: &[usize], rank: &[usize]) -> usize {
    let (mut one, mut other) = (one, other);
    while one != other {
        while rank[one] > rank[other] {
            one = above[one];
        }
        while rank[other] > rank[one] {
            other = above[other];
        }
    }
    one
}

/// All nodes that a root leads to, each before what it mentions where there are no cycles. What only a cycle leads
/// to hangs below the root, too.
fn reverse_postorder(contents: &Contents) -> Vec<usize> {
    let graph = &contents.graph;
    let mut seen = vec![false; graph.len()];
    let mut order = Vec::with_capacity(graph.len() + 1);
    let mut todo: Vec<(u32, usize)> = Vec::new();
    for root in contents.root_packages() {
        if !std::mem::replace(&mut seen[root as usize], true) {
            todo.push((root, 0));
        }
        while let Some((package, next)) = todo.last_mut() {
            if let Some(reference) = graph.references(*package).get(*next) {
                *next += 1;
                if !std::mem::replace(&mut seen[*reference as usize], true) {
                    todo.push((*reference, 0));
                }
            } else {
                order.push(*package as usize + 1);
                todo.pop();
            }
        }
    }
    order.push(ROOT);
    order.reverse();
    order
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contents::fixture::{contents, layer, number, package, path};
    use crate::found::Named;
    use proptest::prelude::*;

    #[test]
    fn what_only_a_package_leads_to_goes_with_it() {
        let contents = contents();
        let sizes = Sizes::new(&contents);
        for (name, expected) in [
            ("app-1", 131),
            ("curl-8", 130),
            // curl needs the C library itself.
            ("ssl-3.0", 10),
            ("libc-2", 100),
            ("data", 5),
        ] {
            let package = number(&contents, name);
            assert_eq!(sizes.exclusive(package), expected, "{name}");
        }
    }

    #[test]
    fn a_cycle_is_no_trap() {
        let layers = vec![layer(vec![
            package("a", 1, &["b"]),
            package("b", 2, &["a"]),
            package("c", 4, &["a"]),
        ])];
        let contents = Contents::new(layers, &[]).unwrap();
        let sizes = Sizes::new(&contents);
        assert_eq!(sizes.exclusive(number(&contents, "c")), 7);
        assert_eq!(sizes.exclusive(number(&contents, "a")), 3);
    }

    proptest! {
        /// What stays reachable when a package is taken away says what goes with it.
        #[test]
        fn as_taking_it_away_shows(edges in prop::collection::vec((0u32..12, 0u32..12), 0..40)) {
            let name = |number: u32| format!("p{number}-1");
            let packages = (0..12).map(|own| {
                let needs: Vec<String> = edges
                    .iter()
                    .filter(|(from, to)| *from == own && from < to)
                    .map(|(_, to)| name(*to))
                    .collect();
                let needs: Vec<&str> = needs.iter().map(String::as_str).collect();
                package(&name(own), 1 << own, &needs)
            });
            let named = Named { argument: "x".to_owned(), path: path(&name(3)) };
            let contents = Contents::new(vec![layer(packages.collect())], &[named]).unwrap();
            let sizes = Sizes::new(&contents);
            for gone in contents.numbers() {
                let mut seen = vec![false; contents.graph.len()];
                let mut todo = contents.root_packages();
                let mut left = 0;
                while let Some(package) = todo.pop() {
                    if package != gone && !std::mem::replace(&mut seen[package as usize], true) {
                        left += contents.graph.size(package);
                        todo.extend(contents.graph.references(package));
                    }
                }
                let all: u64 = contents.packages.iter().map(|package| package.size).sum();
                prop_assert_eq!(sizes.exclusive(gone), all - left);
            }
        }
    }
}
