//! The ways from what was named to a package.

use std::collections::{BTreeSet, VecDeque};

use super::contents::Contents;

/// References that are followed for each way that is listed: without cycles, which Nix does not make, far fewer do.
const STEPS_FOR_A_CHAIN: usize = 10_000;

/// A list of ways that grows.
struct Search {
    chains: BTreeSet<Vec<u32>>,
    most: usize,
    steps_left: usize,
}

/// The ways to one package.
pub struct Chains<'a> {
    contents: &'a Contents,
    target: u32,
    /// Whether a package is a root.
    is_root: Vec<bool>,
    /// Whether a package leads to the target, which leads to itself.
    leads: Vec<bool>,
}

impl<'a> Chains<'a> {
    /// The ways to `target`.
    pub fn new(contents: &'a Contents, target: u32) -> Self {
        let count = contents.graph.len();
        let mut is_root = vec![false; count];
        for root in &contents.roots {
            is_root[root.package as usize] = true;
        }
        let mut leads = vec![false; count];
        let mut todo = vec![target];
        while let Some(package) = todo.pop() {
            if !std::mem::replace(&mut leads[package as usize], true) {
                todo.extend(contents.graph.users(package));
            }
        }
        Self {
            contents,
            target,
            is_root,
            leads,
        }
    }

    /// The shortest way, from a root to the target; of several the one through the first packages. None if no root
    /// leads to it, which only a cycle of references makes.
    pub fn shortest(&self) -> Option<Vec<u32>> {
        let steps = self.steps();
        let roots = self.contents.root_packages();
        let nearest = roots
            .into_iter()
            .filter(|root| steps[*root as usize] != u32::MAX)
            .min_by_key(|root| steps[*root as usize])?;
        Some(self.descend(nearest, &steps))
    }

    /// The shortest way from each root that leads to the target, the shortest first.
    pub fn of_each_root(&self) -> Vec<Vec<u32>> {
        let steps = self.steps();
        let roots = self.contents.root_packages().into_iter();
        let leading = roots.filter(|root| steps[*root as usize] != u32::MAX);
        let mut chains: Vec<Vec<u32>> = leading.map(|root| self.descend(root, &steps)).collect();
        chains.sort_by_key(Vec::len);
        chains
    }

    /// How many ways there are, at most `u64::MAX`. A cycle is passed once.
    pub fn count(&self) -> u64 {
        let graph = &self.contents.graph;
        let mut counts = vec![0u64; graph.len()];
        // Users come after what they mention: from the end, each is counted before what it mentions.
        for package in graph.order().iter().rev() {
            let package = *package as usize;
            if !self.leads[package] {
                continue;
            }
            let own = u64::from(self.is_root[package]);
            let number = u32::try_from(package).unwrap_or(u32::MAX);
            let users = graph.users(number).iter();
            let count = users.fold(own, |sum, user| sum.saturating_add(counts[*user as usize]));
            counts[package] = count;
        }
        counts[self.target as usize]
    }

    /// At most `most` ways, the shortest first: all, if there are no more, and else those from each root that are
    /// shortest and some others.
    pub fn all(&self, most: usize) -> Vec<Vec<u32>> {
        let mut chains = self.of_each_root();
        chains.truncate(most);
        let mut search = Search {
            chains: chains.iter().cloned().collect(),
            most,
            steps_left: most.saturating_mul(STEPS_FOR_A_CHAIN),
        };
        for root in self.contents.root_packages() {
            if self.leads[root as usize] {
                self.search_from(root, &mut search);
            }
        }
        chains = Vec::from_iter(search.chains);
        chains.sort_by_key(Vec::len);
        chains
    }

    /// Adds the ways that begin with a root. Without recursion, since graphs may be deep.
    fn search_from(&self, root: u32, search: &mut Search) {
        let mut on_chain = vec![false; self.contents.graph.len()];
        on_chain[root as usize] = true;
        // The packages of the way, each with how many of its references were followed.
        let mut chain: Vec<(u32, usize)> = vec![(root, 0)];
        while let Some((last, next)) = chain.last_mut() {
            if search.chains.len() >= search.most || search.steps_left == 0 {
                return;
            }
            search.steps_left -= 1;
            if *last == self.target {
                let way = chain.iter().map(|(package, _)| *package).collect();
                search.chains.insert(way);
                on_chain[self.target as usize] = false;
                chain.pop();
                continue;
            }
            if let Some(reference) = self.contents.graph.references(*last).get(*next) {
                *next += 1;
                let place = *reference as usize;
                if self.leads[place] && !on_chain[place] {
                    on_chain[place] = true;
                    chain.push((*reference, 0));
                }
            } else {
                on_chain[*last as usize] = false;
                chain.pop();
            }
        }
    }

    /// How many steps each package is from the target; `u32::MAX` for those that do not lead to it.
    fn steps(&self) -> Vec<u32> {
        let mut steps = vec![u32::MAX; self.contents.graph.len()];
        steps[self.target as usize] = 0;
        let mut todo = VecDeque::from([self.target]);
        while let Some(package) = todo.pop_front() {
            for user in self.contents.graph.users(package) {
                if steps[*user as usize] == u32::MAX {
                    steps[*user as usize] = steps[package as usize] + 1;
                    todo.push_back(*user);
                }
            }
        }
        steps
    }

    /// The shortest way from `from`, given the steps to the target.
    fn descend(&self, from: u32, steps: &[u32]) -> Vec<u32> {
        let mut chain = vec![from];
        let mut package = from;
        while steps[package as usize] > 0 {
            let nearer = steps[package as usize] - 1;
            let references = self.contents.graph.references(package).iter();
            let Some(next) = references
                .copied()
                .find(|next| steps[*next as usize] == nearer)
            else {
                break;
            };
            chain.push(next);
            package = next;
        }
        chain
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contents::fixture::{contents, layer, number, package, path};
    use crate::found::Named;

    fn names(contents: &Contents, chain: &[u32]) -> String {
        let names: Vec<&str> = chain
            .iter()
            .map(|package| contents.package(*package).full_name())
            .collect();
        names.join(" ")
    }

    #[test]
    fn a_way_may_be_as_long_as_the_closure() {
        let name = |step: usize| format!("p{step:06}-1");
        let packages = (0..100_000).map(|step| package(&name(step), 1, &[&name(step + 1)]));
        let layers = vec![layer(packages.collect())];
        let contents = Contents::new(layers, &[]).unwrap();
        let chains = Chains::new(&contents, number(&contents, &name(99_999)));
        assert_eq!(chains.count(), 1);
        assert_eq!(chains.all(10)[0].len(), 100_000);
        assert_eq!(chains.shortest().unwrap().len(), 100_000);
    }

    #[test]
    fn a_cycle_is_passed_once() {
        let layers = vec![layer(vec![
            package("a", 1, &["b", "c"]),
            package("b", 2, &["a", "c"]),
            package("c", 2, &["a", "b", "d"]),
            package("d", 2, &[]),
        ])];
        let named = Named {
            argument: "config.Cmd".to_owned(),
            path: path("a"),
        };
        let contents = Contents::new(layers, &[named]).unwrap();
        let chains = Chains::new(&contents, number(&contents, "d"));
        let all: Vec<String> = chains
            .all(10)
            .iter()
            .map(|chain| names(&contents, chain))
            .collect();
        assert_eq!(all, ["a c d", "a b c d"]);
    }

    #[test]
    fn the_shortest_way_and_all() {
        let contents = contents();
        let chains = Chains::new(&contents, number(&contents, "libc-2"));
        let shortest = chains.shortest().unwrap();
        assert_eq!(names(&contents, &shortest), "app-1 curl-8 libc-2");
        assert_eq!(chains.count(), 2);
        let all: Vec<String> = chains
            .all(10)
            .iter()
            .map(|chain| names(&contents, chain))
            .collect();
        assert_eq!(all, ["app-1 curl-8 libc-2", "app-1 curl-8 ssl-3.0 libc-2"]);
        assert_eq!(chains.all(1).len(), 1);
        let own = Chains::new(&contents, number(&contents, "app-1"));
        assert_eq!(own.all(10), [own.shortest().unwrap()]);
    }

    /// A ladder of 60 steps has more ways than anybody can list.
    #[test]
    fn many_ways_are_counted_and_not_walked() {
        let name = |side: &str, step: usize| format!("{side}{step:02}-1");
        let mut packages = Vec::new();
        for step in 0..60 {
            for side in ["a", "b"] {
                let needs = [name("a", step + 1), name("b", step + 1)];
                let needs: Vec<&str> = needs.iter().map(String::as_str).collect();
                packages.push(package(&name(side, step), 1, &needs));
            }
        }
        let named = Named {
            argument: "config.Cmd".to_owned(),
            path: path(&name("a", 0)),
        };
        let contents = Contents::new(vec![layer(packages)], &[named]).unwrap();
        let chains = Chains::new(&contents, number(&contents, &name("a", 59)));
        // From the one that is named, and from the other, which nothing mentions.
        assert_eq!(chains.count(), 2 * (1 << 58));
        assert_eq!(chains.all(100).len(), 100);
        assert_eq!(chains.of_each_root().len(), 2);
    }
}
