//! What layers make together, and which bytes nobody sees.

use std::collections::BTreeMap;

use super::contents::Contents;
use super::found::{FoundFile, FoundKind};

/// The files of an image by their paths, and what became of the others.
#[derive(Debug, Default)]
pub struct Visible<'a> {
    /// What is seen: the number of the layer, and the entry.
    pub files: BTreeMap<&'a str, (usize, &'a FoundFile)>,
    /// What is in layers and not seen.
    pub waste: Waste,
}

/// Bytes that layers have and nobody sees.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Waste {
    /// All of them.
    pub bytes: u64,
    /// Those of each path, and how often it is there unseen.
    pub paths: BTreeMap<String, (u64, usize)>,
}

impl<'a> Visible<'a> {
    /// Lays the layers over each other; none if one of them was not looked at. Symlinks among directories are not
    /// followed, as engines do when they unpack a layer.
    pub fn new(contents: &'a Contents) -> Option<Self> {
        let mut visible = Self::default();
        for (number, layer) in contents.layers.iter().enumerate() {
            let files = layer.files.as_ref()?;
            // What a layer hides is of those below, wherever in it that is said.
            for file in files {
                match file.kind {
                    FoundKind::Whiteout => visible.hide(&file.path, true),
                    FoundKind::Opaque => visible.hide(&file.path, false),
                    _ => {}
                }
            }
            for file in files {
                visible.add(number, file);
            }
        }
        Some(visible)
    }

    fn add(&mut self, layer: usize, file: &'a FoundFile) {
        match file.kind {
            FoundKind::Whiteout | FoundKind::Opaque => return,
            // A directory that is there again is described anew, and keeps what is in it.
            FoundKind::Directory => {
                if let Some((_, before)) = self.files.get(file.path.as_str())
                    && before.kind != FoundKind::Directory
                {
                    self.hide(&file.path, true);
                }
            }
            _ => self.hide(&file.path, true),
        }
        self.files.insert(&file.path, (layer, file));
    }

    /// Hides what is below a path, and what is there, too, if `itself`.
    fn hide(&mut self, path: &str, itself: bool) {
        if itself && let Some((_, file)) = self.files.remove(path) {
            self.waste.add(file);
        }
        let below = format!("{path}/");
        // What begins with this is together in the order.
        let hidden = self.files.range(below.as_str()..);
        let hidden: Vec<&str> = hidden
            .map(|(path, _)| *path)
            .take_while(|path| path.starts_with(&below))
            .collect();
        for path in hidden {
            if let Some((_, file)) = self.files.remove(path) {
                self.waste.add(file);
            }
        }
    }
}

impl Waste {
    fn add(&mut self, file: &FoundFile) {
        if file.kind != FoundKind::File || file.size == 0 {
            return;
        }
        self.bytes = self.bytes.saturating_add(file.size);
        let (bytes, times) = self.paths.entry(file.path.clone()).or_default();
        *bytes = bytes.saturating_add(file.size);
        *times += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contents::fixture::layer;

    fn file(path: &str, kind: FoundKind, size: u64) -> FoundFile {
        FoundFile {
            path: path.to_owned(),
            kind,
            size,
            mode: 0o644,
            uid: 0,
            gid: 0,
            content: None,
        }
    }

    fn contents(layers: Vec<Vec<FoundFile>>) -> Contents {
        let layers = layers.into_iter().map(|files| {
            let mut layer = layer(Vec::new());
            layer.files = Some(files);
            layer
        });
        Contents::new(layers.collect(), &[]).unwrap()
    }

    #[test]
    fn upper_layers_hide_and_replace() {
        let contents = contents(vec![
            vec![
                file("etc", FoundKind::Directory, 0),
                file("etc/a", FoundKind::File, 1),
                file("etc/b", FoundKind::File, 2),
                file("etc-a", FoundKind::File, 4),
                file("var", FoundKind::Directory, 0),
                file("var/x", FoundKind::File, 8),
            ],
            vec![
                file("etc", FoundKind::Directory, 0),
                file("etc/a", FoundKind::File, 16),
                // Said after what the same layer has there, and not about that.
                file("etc/b", FoundKind::Whiteout, 0),
                file("var/new", FoundKind::File, 32),
                file("var", FoundKind::Opaque, 0),
            ],
            vec![file("var", FoundKind::Symlink("etc".to_owned()), 0)],
        ]);
        let visible = Visible::new(&contents).unwrap();
        let paths: Vec<(&str, usize)> = visible
            .files
            .iter()
            .map(|(path, (layer, _))| (*path, *layer))
            .collect();
        assert_eq!(paths, [("etc", 1), ("etc-a", 0), ("etc/a", 1), ("var", 2)]);
        assert_eq!(visible.waste.bytes, 1 + 2 + 8 + 32);
        assert_eq!(visible.waste.paths["etc/a"], (1, 1));
    }

    #[test]
    fn a_layer_that_nobody_looked_at_leaves_it_open() {
        let mut contents = contents(vec![vec![]]);
        contents.layers[0].files = None;
        assert!(Visible::new(&contents).is_none());
    }
}
