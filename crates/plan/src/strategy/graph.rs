//! A closure graph with numbers for paths: what strategies work on.

use std::borrow::Cow;

use strata_nix::Closure;

/// A path as a list names it.
#[derive(Clone, Debug, Default)]
pub struct Node<'a> {
    /// The full store path.
    pub path: Cow<'a, str>,
    /// The length of its archive in bytes.
    pub size: u64,
    /// The full store paths that it mentions; itself may be among them.
    pub references: Vec<Cow<'a, str>>,
}

/// What is wrong with a list of nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A path is there twice.
    Twice(String),
    /// A path mentions one that is not there: the path, and what it mentions.
    Missing(String, String),
    /// There are more paths or references than a graph can number.
    TooMany,
}

/// Lists of numbers, one for each path, in one piece of memory.
#[derive(Clone, Debug, Default)]
struct Lists {
    starts: Vec<u32>,
    items: Vec<u32>,
}

impl Lists {
    fn get(&self, number: u32) -> &[u32] {
        let number = number as usize;
        &self.items[self.starts[number] as usize..self.starts[number + 1] as usize]
    }
}

/// Store paths with their sizes and references, numbered in the order of their names.
///
/// The order in which they were listed leaves no trace. References to a path itself are left out. It takes 8 bytes
/// for each reference, and for each path some 20 and its name.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    paths: Vec<Box<str>>,
    sizes: Vec<u64>,
    references: Lists,
    users: Lists,
    order: Vec<u32>,
}

impl Graph {
    /// The graph of a list of paths.
    pub fn new(mut nodes: Vec<Node<'_>>) -> Result<Self, Fault> {
        nodes.sort_unstable_by(|one, other| one.path.cmp(&other.path));
        if let Some(pair) = nodes.windows(2).find(|pair| pair[0].path == pair[1].path) {
            return Err(Fault::Twice(pair[0].path.to_string()));
        }
        let count = nodes.iter().map(|node| 1 + node.references.len());
        if u32::try_from(count.sum::<usize>()).is_err() {
            return Err(Fault::TooMany);
        }
        let names = Names::new(nodes.iter().map(|node| &*node.path).collect());
        let mut references = Vec::with_capacity(nodes.len());
        for (own, node) in nodes.iter().enumerate() {
            let mut list = Vec::with_capacity(node.references.len());
            for reference in &node.references {
                match names.find(reference) {
                    Some(found) if found == own => {}
                    Some(found) => list.push(number(found)),
                    None => {
                        return Err(Fault::Missing(node.path.to_string(), reference.to_string()));
                    }
                }
            }
            references.push(list);
        }
        let paths = nodes.iter().map(|node| node.path.as_ref().into()).collect();
        let sizes = nodes.iter().map(|node| node.size).collect();
        drop(nodes);
        Ok(Self::of_parts(paths, sizes, references))
    }

    /// The graph of a closure; what it mentions and does not list is passed over.
    pub fn of_closure(closure: &Closure) -> Self {
        let names = Names::new(closure.iter().map(|(path, _)| path.as_str()).collect());
        let references = closure.iter().enumerate().map(|(own, (_, entry))| {
            let found = entry.references.iter().filter_map(|name| names.find(name));
            found.filter(|found| *found != own).map(number).collect()
        });
        let references = references.collect();
        let paths = names.sorted.iter().map(|path| (*path).into()).collect();
        let sizes = closure.iter().map(|(_, entry)| entry.nar_size).collect();
        Self::of_parts(paths, sizes, references)
    }

    fn of_parts(paths: Vec<Box<str>>, sizes: Vec<u64>, mut references: Vec<Vec<u32>>) -> Self {
        let mut users = vec![Vec::new(); paths.len()];
        for (user, list) in references.iter_mut().enumerate() {
            list.sort_unstable();
            list.dedup();
            for reference in list {
                users[*reference as usize].push(number(user));
            }
        }
        let references = in_one_piece(references);
        let users = in_one_piece(users);
        let order = dependencies_first(&references);
        Self {
            paths,
            sizes,
            references,
            users,
            order,
        }
    }

    /// The number of paths.
    pub fn len(&self) -> usize {
        self.paths.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.paths.is_empty()
    }

    /// All numbers of paths.
    pub fn all(&self) -> std::ops::Range<u32> {
        0..number(self.len())
    }

    /// A path's name in full.
    pub fn path(&self, number: u32) -> &str {
        &self.paths[number as usize]
    }

    /// The number of a path.
    pub fn find(&self, path: &str) -> Option<u32> {
        let found = self.paths.binary_search_by(|name| (**name).cmp(path));
        found.ok().map(number)
    }

    /// A path's size in bytes.
    pub fn size(&self, number: u32) -> u64 {
        self.sizes[number as usize]
    }

    /// What a path mentions besides itself, ascending.
    pub fn references(&self, number: u32) -> &[u32] {
        self.references.get(number)
    }

    /// Which paths mention a path, besides itself, ascending.
    pub fn users(&self, number: u32) -> &[u32] {
        self.users.get(number)
    }

    /// The paths that no other mentions, ascending.
    pub fn without_users(&self) -> Vec<u32> {
        let is_root = |number: &u32| self.users(*number).is_empty();
        self.all().filter(is_root).collect()
    }

    /// All paths, each after what it mentions. Nix makes no graphs with cycles; of one, some path comes first.
    pub fn order(&self) -> &[u32] {
        &self.order
    }

    /// What the path is called without its directory and hash: `openssl-3.0.1`.
    pub fn name(&self, number: u32) -> &str {
        let path = self.path(number);
        let base = path.rsplit_once('/').map_or(path, |(_, base)| base);
        match base.split_at_checked(HASH_LENGTH) {
            Some((_, rest)) => rest.strip_prefix('-').unwrap_or(base),
            None => base,
        }
    }

    /// The name without the version, as `builtins.parseDrvName` finds it: `openssl`.
    pub fn package(&self, number: u32) -> &str {
        let name = self.name(number);
        let bytes = name.as_bytes();
        let begins = |at: &usize| {
            bytes[*at] == b'-'
                && bytes
                    .get(at + 1)
                    .is_some_and(|next| !next.is_ascii_alphabetic())
        };
        (0..bytes.len()).find(begins).map_or(name, |at| &name[..at])
    }

    /// What the members and all that they need have in bytes together.
    pub fn closure_size(&self, members: &[u32], seen: &mut Vec<bool>) -> u64 {
        seen.clear();
        seen.resize(self.len(), false);
        let mut todo = members.to_vec();
        let mut size: u64 = 0;
        while let Some(path) = todo.pop() {
            if !std::mem::replace(&mut seen[path as usize], true) {
                size = size.saturating_add(self.size(path));
                todo.extend(self.references(path));
            }
        }
        size
    }
}

/// Names in their order, found by the eight bytes that follow what all begin with: in lists of store paths these
/// decide almost always, and comparing numbers that lie together takes a fraction of the time.
struct Names<'a> {
    sorted: Vec<&'a str>,
    common: usize,
    keys: Vec<u64>,
}

impl<'a> Names<'a> {
    fn new(sorted: Vec<&'a str>) -> Self {
        let ends = [sorted.first(), sorted.last()].map(|name| name.map_or("", |name| name));
        let pairs = ends[0].bytes().zip(ends[1].bytes());
        let common = pairs.take_while(|(one, other)| one == other).count();
        let keys = sorted.iter().map(|name| key(name, common)).collect();
        Self {
            sorted,
            common,
            keys,
        }
    }

    fn find(&self, name: &str) -> Option<usize> {
        let wanted = key(name, self.common);
        let start = self.keys.partition_point(|key| *key < wanted);
        let same = self.keys[start..].partition_point(|key| *key == wanted);
        let found = self.sorted[start..start + same].binary_search(&name);
        found.ok().map(|place| start + place)
    }
}

/// Eight bytes of a name as a number, so that numbers are in the order of names that begin alike.
fn key(name: &str, from: usize) -> u64 {
    let mut bytes = [0; 8];
    for (byte, own) in bytes.iter_mut().zip(name.bytes().skip(from)) {
        *byte = own;
    }
    u64::from_be_bytes(bytes)
}

/// The number of characters of the hash in a store path.
const HASH_LENGTH: usize = 32;

/// The number of a place in a list of paths, which `Graph::new` keeps short enough.
pub(super) fn number(place: usize) -> u32 {
    u32::try_from(place).unwrap_or(u32::MAX)
}

fn in_one_piece(lists: Vec<Vec<u32>>) -> Lists {
    let mut starts = Vec::with_capacity(lists.len() + 1);
    let mut items = Vec::with_capacity(lists.iter().map(Vec::len).sum());
    starts.push(0);
    for list in lists {
        items.extend(list);
        starts.push(number(items.len()));
    }
    Lists { starts, items }
}

/// A walk into depth without recursion, since graphs may be deep.
fn dependencies_first(references: &Lists) -> Vec<u32> {
    let count = references.starts.len() - 1;
    let mut order = Vec::with_capacity(count);
    let mut seen = vec![false; count];
    let mut todo: Vec<(u32, usize)> = Vec::new();
    for start in 0..count {
        if !std::mem::replace(&mut seen[start], true) {
            todo.push((number(start), 0));
        }
        while let Some((path, next)) = todo.last_mut() {
            if let Some(reference) = references.get(*path).get(*next) {
                *next += 1;
                if !std::mem::replace(&mut seen[*reference as usize], true) {
                    todo.push((*reference, 0));
                }
            } else {
                order.push(*path);
                todo.pop();
            }
        }
    }
    order
}
