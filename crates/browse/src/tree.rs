//! Files as rows that open and close.

use std::collections::{BTreeMap, BTreeSet};

use strata_contents::{Contents, FoundFile, FoundKind, Visible};

/// Files of an image or a layer.
pub(super) struct Tree {
    /// By path: the bytes of it and of all below it, and what it is.
    nodes: BTreeMap<String, Node>,
    open: BTreeSet<String>,
    rows: Vec<Row>,
}

struct Node {
    size: u64,
    kind: FoundKind,
    children: BTreeSet<String>,
}

/// A row that is shown.
pub(super) struct Row {
    /// The path in the image, relative to `/`.
    pub(super) path: String,
    /// How deep it is.
    pub(super) depth: usize,
    /// The bytes of it and of all below it.
    pub(super) size: u64,
    /// What it is.
    pub(super) kind: FoundKind,
    /// Whether it is a directory that is open.
    pub(super) is_open: bool,
}

impl Tree {
    /// The files of a layer, or what all layers make together, whose paths have `wanted` in them.
    pub(super) fn new(contents: &Contents, layer: Option<usize>, wanted: &str) -> Self {
        let mut tree = Self {
            nodes: BTreeMap::new(),
            open: BTreeSet::new(),
            rows: Vec::new(),
        };
        tree.node("").kind = FoundKind::Directory;
        let wanted = wanted.to_lowercase();
        let mut add = |file: &FoundFile| {
            if wanted.is_empty() || file.path.to_lowercase().contains(&wanted) {
                tree.add(file);
            }
        };
        if let Some(number) = layer {
            let files = contents.layers.get(number).and_then(|it| it.files.as_ref());
            files.into_iter().flatten().for_each(&mut add);
        } else {
            let visible = Visible::new(contents).unwrap_or_default();
            visible.files.values().for_each(|(_, file)| add(file));
        }
        // What is found is seen at once.
        if !wanted.is_empty() {
            tree.open = tree.nodes.keys().cloned().collect();
        }
        tree.open.insert(String::new());
        tree.list();
        tree
    }

    /// What is seen.
    pub(super) fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// Whether the row is a directory that is open.
    pub(super) fn is_open(&self, row: usize) -> bool {
        self.rows.get(row).is_some_and(|row| row.is_open)
    }

    /// Opens or closes a row.
    pub(super) fn open(&mut self, row: usize, open: bool) {
        let Some(row) = self.rows.get(row) else {
            return;
        };
        if open {
            self.open.insert(row.path.clone());
        } else {
            self.open.remove(&row.path);
        }
        self.list();
    }

    /// The row of the directory that a row is in.
    pub(super) fn above(&self, row: usize) -> Option<usize> {
        let depth = self.rows.get(row)?.depth;
        self.rows[..row]
            .iter()
            .rposition(|other| other.depth < depth)
    }

    fn add(&mut self, file: &FoundFile) {
        if file.path.is_empty() {
            return;
        }
        let mut path = file.path.as_str();
        self.node(path).kind = file.kind.clone();
        self.node(path).size += file.size;
        while let Some((directory, _)) = path
            .rsplit_once('/')
            .or((!path.is_empty()).then_some(("", path)))
        {
            let node = self.node(directory);
            node.size += file.size;
            node.children.insert(path.to_owned());
            path = directory;
        }
    }

    fn node(&mut self, path: &str) -> &mut Node {
        self.nodes.entry(path.to_owned()).or_insert_with(|| Node {
            size: 0,
            kind: FoundKind::Directory,
            children: BTreeSet::new(),
        })
    }

    fn list(&mut self) {
        let mut rows = Vec::new();
        let mut todo = vec![(String::new(), 0)];
        while let Some((path, depth)) = todo.pop() {
            let Some(node) = self.nodes.get(&path) else {
                continue;
            };
            let is_open = self.open.contains(&path) && !node.children.is_empty();
            if is_open {
                let mut children: Vec<&String> = node.children.iter().collect();
                // The largest comes first, so it is taken last.
                children.sort_by_key(|child| self.nodes.get(*child).map_or(0, |node| node.size));
                todo.extend(children.into_iter().map(|child| (child.clone(), depth + 1)));
            }
            rows.push(Row {
                depth,
                size: node.size,
                kind: node.kind.clone(),
                is_open,
                path,
            });
        }
        self.rows = rows;
    }
}
