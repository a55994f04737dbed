//! What an update sends again, given how a closure is cut.

use super::strategy::Graph;

/// Bytes of layers that an update changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Updates {
    /// After an edit of what the user named.
    pub edit: u64,
    /// After an update of one other package, which changes all that need it, too: the mean over all packages.
    pub package: u64,
    /// After an update of the package that most others need, such as the C library: its number in the graph, and
    /// the bytes. None if no package needs another.
    pub foundation: Option<(u32, u64)>,
}

/// With more packages, as many are taken to stand for all.
const MOST_PACKAGES: usize = 1000;

impl Updates {
    /// The updates of an image whose layers hold these paths of a graph, and whose user edits `roots`.
    pub fn new(graph: &Graph, layers: &[Vec<u32>], roots: &[u32]) -> Self {
        let mut all = Changes::new(graph, layers);
        let edit = all.after(roots).bytes;
        let others: Vec<u32> = graph
            .all()
            .filter(|path| !graph.users(*path).is_empty())
            .collect();
        let step = others.len().div_ceil(MOST_PACKAGES).max(1);
        let mut foundation = None;
        let mut bytes: u128 = 0;
        let mut count: u128 = 0;
        for path in others.iter().step_by(step) {
            let change = all.after(&[*path]);
            bytes += u128::from(change.bytes);
            count += 1;
            if foundation.is_none_or(|(_, _, paths)| change.paths > paths) {
                foundation = Some((*path, change.bytes, change.paths));
            }
        }
        Self {
            edit,
            // A mean is not larger than the largest.
            package: u64::try_from(bytes.checked_div(count).unwrap_or(0)).unwrap_or(u64::MAX),
            foundation: foundation.map(|(path, bytes, _)| (path, bytes)),
        }
    }
}

/// What changes with some paths.
struct Change {
    paths: usize,
    bytes: u64,
}

/// Memory for looking at one change after another.
struct Changes<'a> {
    graph: &'a Graph,
    /// The layer of each path, if it is in one.
    layer_of: Vec<Option<usize>>,
    sizes: Vec<u64>,
    /// When each path and layer was last seen.
    seen: Vec<u32>,
    sent: Vec<u32>,
    now: u32,
}

impl<'a> Changes<'a> {
    fn new(graph: &'a Graph, layers: &[Vec<u32>]) -> Self {
        let mut layer_of = vec![None; graph.len()];
        for (layer, paths) in layers.iter().enumerate() {
            for path in paths {
                layer_of[*path as usize] = Some(layer);
            }
        }
        let size = |paths: &Vec<u32>| paths.iter().map(|path| graph.size(*path)).sum();
        Self {
            graph,
            layer_of,
            sizes: layers.iter().map(size).collect(),
            seen: vec![0; graph.len()],
            sent: vec![0; layers.len()],
            now: 0,
        }
    }

    fn after(&mut self, changed: &[u32]) -> Change {
        self.now += 1;
        let mut change = Change { paths: 0, bytes: 0 };
        let mut todo = changed.to_vec();
        while let Some(path) = todo.pop() {
            if std::mem::replace(&mut self.seen[path as usize], self.now) == self.now {
                continue;
            }
            change.paths += 1;
            todo.extend(self.graph.users(path));
            if let Some(layer) = self.layer_of[path as usize]
                && std::mem::replace(&mut self.sent[layer], self.now) != self.now
            {
                change.bytes += self.sizes[layer];
            }
        }
        change
    }
}

#[cfg(test)]
mod tests {
    use super::super::strategy::Node;
    use super::*;

    #[test]
    fn an_update_sends_the_layers_of_all_that_need_it() {
        let node = |name: &str, size, references: &[&str]| Node {
            path: format!("/nix/store/{}-{name}", "0".repeat(32)).into(),
            size,
            references: references
                .iter()
                .map(|name| format!("/nix/store/{}-{name}", "0".repeat(32)).into())
                .collect(),
        };
        // Numbered in the order of their names.
        let graph = Graph::new(vec![
            node("a-app", 1, &["b-ssl", "c-libc", "d-data"]),
            node("b-ssl", 10, &["c-libc"]),
            node("c-libc", 100, &[]),
            node("d-data", 1000, &[]),
        ]);
        let graph = graph.unwrap();
        let apart = Updates::new(&graph, &[vec![2], vec![1], vec![3], vec![0]], &[0]);
        assert_eq!(apart.edit, 1);
        assert_eq!(apart.package, (11 + 111 + 1001) / 3);
        assert_eq!(apart.foundation, Some((2, 111)));
        let together = Updates::new(&graph, &[vec![2, 3], vec![0, 1]], &[0]);
        assert_eq!((together.edit, together.foundation), (11, Some((2, 1111))));
        // What is in no layer of its own is in a base image.
        let on_base = Updates::new(&graph, &[vec![0, 1]], &[0]);
        assert_eq!((on_base.edit, on_base.package), (11, 11));
        assert_eq!(Updates::new(&Graph::default(), &[], &[]).foundation, None);
    }
}
