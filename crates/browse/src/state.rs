//! What is chosen, and what keys do to that.

use std::cmp::Reverse;

use super::tree::Tree;
use strata_contents::{Chains, Contents, Sizes};

/// A key, whatever sent it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    Up,
    Down,
    Left,
    Right,
    PageUp,
    PageDown,
    First,
    Last,
    Next,
    Before,
    Enter,
    Escape,
    Backspace,
    Character(char),
}

/// What the program is to do after a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    Nothing,
    /// Read the files.
    Files,
    End,
}

/// The lists, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pane {
    Layers,
    /// Packages or files.
    Things,
    Ways,
}

const PANES: [Pane; 3] = [Pane::Layers, Pane::Things, Pane::Ways];

/// What packages are sorted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sort {
    Exclusive,
    Size,
    Name,
}

/// A list with a row that is chosen.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Cursor {
    pub(super) chosen: usize,
    /// The first row that is seen.
    pub(super) top: usize,
    /// How many rows are seen.
    pub(super) height: usize,
}

impl Cursor {
    /// Moves by so many rows in a list of `count`.
    fn step(&mut self, by: isize, count: usize) {
        let last = count.saturating_sub(1);
        self.chosen = self.chosen.saturating_add_signed(by).min(last);
    }

    /// Keeps the chosen row in sight, in `height` rows.
    pub(super) fn show(&mut self, height: usize, count: usize) {
        self.height = height;
        self.chosen = self.chosen.min(count.saturating_sub(1));
        if self.chosen < self.top {
            self.top = self.chosen;
        }
        if self.chosen >= self.top + height.max(1) {
            self.top = self.chosen + 1 - height.max(1);
        }
        self.top = self.top.min(count.saturating_sub(height));
    }
}

/// All of it.
pub(super) struct State {
    pub(super) name: String,
    pub(super) contents: Contents,
    pub(super) sizes: Sizes,
    pub(super) pane: Pane,
    pub(super) layers: Cursor,
    pub(super) things: Cursor,
    pub(super) ways: Cursor,
    pub(super) sort: Sort,
    /// What is searched for.
    pub(super) search: String,
    /// Whether it is being typed.
    pub(super) is_typing: bool,
    /// The files, if they are what is shown.
    pub(super) files: Option<Tree>,
    has_files: bool,
    /// The packages that are shown, by their numbers.
    pub(super) packages: Vec<u32>,
    /// The way to the chosen package.
    pub(super) way: Vec<u32>,
    /// How many ways there are.
    pub(super) way_count: u64,
    /// What is to be said.
    pub(super) message: String,
}

impl State {
    /// The image `name` as it is seen first.
    pub(super) fn new(name: String, contents: Contents) -> Self {
        let mut state = Self {
            name,
            sizes: Sizes::new(&contents),
            contents,
            pane: Pane::Layers,
            layers: Cursor::default(),
            things: Cursor::default(),
            ways: Cursor::default(),
            sort: Sort::Exclusive,
            search: String::new(),
            is_typing: false,
            files: None,
            has_files: false,
            packages: Vec::new(),
            way: Vec::new(),
            way_count: 0,
            message: String::new(),
        };
        state.list();
        state
    }

    /// Says something in the last line until the next key.
    pub(super) fn say(&mut self, text: &str) {
        text.clone_into(&mut self.message);
    }

    /// Shows the files of `contents`, which are of the same image.
    pub(super) fn show_files(&mut self, contents: Contents) {
        self.sizes = Sizes::new(&contents);
        self.contents = contents;
        self.has_files = true;
        self.message.clear();
        self.pane = Pane::Things;
        self.list();
        self.open_files();
    }

    /// The number of the layer that is chosen; none if it is all of them.
    pub(super) fn layer(&self) -> Option<usize> {
        self.layers.chosen.checked_sub(1)
    }

    /// The package that is chosen.
    pub(super) fn package(&self) -> Option<u32> {
        match &self.files {
            Some(tree) => {
                let row = tree.rows().get(self.things.chosen)?;
                self.contents.containing(&format!("/{}", row.path))
            }
            None => self.packages.get(self.things.chosen).copied(),
        }
    }

    /// How many packages or files are shown.
    pub(super) fn thing_count(&self) -> usize {
        match &self.files {
            Some(tree) => tree.rows().len(),
            None => self.packages.len(),
        }
    }

    /// What a key does.
    pub(super) fn press(&mut self, key: Key) -> Wish {
        self.message.clear();
        if self.is_typing {
            self.type_search(key);
            return Wish::Nothing;
        }
        let page = isize::try_from(self.cursor().height).unwrap_or(10).max(1);
        match key {
            Key::Character('q') => return Wish::End,
            Key::Escape if self.search.is_empty() => return Wish::End,
            Key::Escape => {
                self.search.clear();
                self.list();
                self.refilter_files();
            }
            Key::Up | Key::Character('k') => self.step(-1),
            Key::Down | Key::Character('j') => self.step(1),
            Key::PageUp => self.step(-page),
            Key::PageDown | Key::Character(' ') => self.step(page),
            Key::First | Key::Character('g') => self.step(isize::MIN),
            Key::Last | Key::Character('G') => self.step(isize::MAX),
            Key::Next => self.turn(1),
            Key::Before => self.turn(PANES.len() - 1),
            Key::Right | Key::Character('l') => self.go_right(),
            Key::Left | Key::Character('h') => self.go_left(),
            Key::Enter => self.enter(),
            Key::Character('/') => {
                self.is_typing = true;
                self.pane = Pane::Things;
            }
            Key::Character('s') => {
                self.sort = match self.sort {
                    Sort::Exclusive => Sort::Size,
                    Sort::Size => Sort::Name,
                    Sort::Name => Sort::Exclusive,
                };
                self.list();
            }
            Key::Character('f') if self.files.is_some() => {
                self.files = None;
                self.list();
            }
            Key::Character('f') if self.has_files => self.open_files(),
            Key::Character('f') => return Wish::Files,
            Key::Character(_) | Key::Backspace => {}
        }
        Wish::Nothing
    }

    fn type_search(&mut self, key: Key) {
        match key {
            Key::Character(character) => self.search.push(character),
            Key::Backspace => {
                self.search.pop();
            }
            Key::Escape => {
                self.search.clear();
                self.is_typing = false;
            }
            Key::Enter => self.is_typing = false,
            _ => return,
        }
        self.list();
        self.refilter_files();
    }

    fn refilter_files(&mut self) {
        if self.files.is_some() {
            self.open_files();
        }
    }

    fn cursor(&mut self) -> &mut Cursor {
        match self.pane {
            Pane::Layers => &mut self.layers,
            Pane::Things => &mut self.things,
            Pane::Ways => &mut self.ways,
        }
    }

    fn step(&mut self, by: isize) {
        let count = match self.pane {
            Pane::Layers => self.contents.layers.len() + 1,
            Pane::Things => self.thing_count(),
            Pane::Ways => self.way.len(),
        };
        self.cursor().step(by, count);
        match self.pane {
            Pane::Layers => {
                self.list();
                self.refilter_files();
            }
            Pane::Things => self.find_way(),
            Pane::Ways => {}
        }
    }

    fn turn(&mut self, by: usize) {
        let at = PANES.iter().position(|pane| *pane == self.pane);
        self.pane = PANES[(at.unwrap_or(0) + by) % PANES.len()];
    }

    fn go_right(&mut self) {
        match self.pane {
            Pane::Layers => self.pane = Pane::Things,
            Pane::Things => match &mut self.files {
                Some(tree) => tree.open(self.things.chosen, true),
                None => self.pane = Pane::Ways,
            },
            Pane::Ways => {}
        }
    }

    fn go_left(&mut self) {
        match self.pane {
            Pane::Layers => {}
            Pane::Things => match &mut self.files {
                Some(tree) if tree.is_open(self.things.chosen) => {
                    tree.open(self.things.chosen, false);
                }
                Some(tree) => match tree.above(self.things.chosen) {
                    Some(above) => self.things.chosen = above,
                    None => self.pane = Pane::Layers,
                },
                None => self.pane = Pane::Layers,
            },
            Pane::Ways => self.pane = Pane::Things,
        }
        self.find_way();
    }

    fn enter(&mut self) {
        match self.pane {
            Pane::Layers => self.pane = Pane::Things,
            Pane::Things => match &mut self.files {
                Some(tree) => {
                    let is_open = tree.is_open(self.things.chosen);
                    tree.open(self.things.chosen, !is_open);
                }
                None => self.pane = Pane::Ways,
            },
            Pane::Ways => {
                if let Some(package) = self.way.get(self.ways.chosen).copied() {
                    self.go_to(package);
                }
            }
        }
    }

    /// Chooses a package among all.
    fn go_to(&mut self, package: u32) {
        self.files = None;
        self.search.clear();
        self.layers.chosen = 0;
        self.list();
        let place = self.packages.iter().position(|other| *other == package);
        self.things.chosen = place.unwrap_or(0);
        self.pane = Pane::Things;
        self.find_way();
    }

    /// Lists the packages of the chosen layer that are searched for.
    fn list(&mut self) {
        let before = self.package();
        let layer = self.layer();
        let wanted = self.search.to_lowercase();
        let contents = &self.contents;
        let mut packages: Vec<u32> = contents
            .numbers()
            .filter(|number| {
                let package = contents.package(*number);
                layer.is_none_or(|layer| package.layers.contains(&layer))
                    && package.path.to_lowercase().contains(&wanted)
            })
            .collect();
        match self.sort {
            Sort::Exclusive => packages.sort_by_key(|it| Reverse(self.sizes.exclusive(*it))),
            Sort::Size => packages.sort_by_key(|it| Reverse(contents.package(*it).size)),
            Sort::Name => packages.sort_by_key(|it| contents.package(*it).full_name()),
        }
        self.packages = packages;
        if self.files.is_none() {
            let place = self
                .packages
                .iter()
                .position(|other| Some(*other) == before);
            self.things.chosen = place.unwrap_or(0);
            self.find_way();
        }
    }

    fn open_files(&mut self) {
        let layer = self.layer();
        self.files = Some(Tree::new(&self.contents, layer, &self.search));
        self.things = Cursor::default();
        self.find_way();
    }

    fn find_way(&mut self) {
        self.ways = Cursor::default();
        (self.way, self.way_count) = match self.package() {
            Some(package) => {
                let chains = Chains::new(&self.contents, package);
                (chains.shortest().unwrap_or_default(), chains.count())
            }
            None => (Vec::new(), 0),
        };
    }
}
