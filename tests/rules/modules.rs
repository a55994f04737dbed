//! Modules of a crate use each other in one direction only, so that each can be read with what it uses and
//! nothing else. The compiler sees to that between crates and not within them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::source::{files, is_test, packages, read, without_tests};

#[test]
fn no_module_uses_one_that_uses_it() {
    let circles: Vec<String> = packages()
        .iter()
        .flat_map(|package| circles(&Crate::read(package).uses()))
        .collect();
    assert!(circles.is_empty(), "\n{}", circles.join("\n\n"));
}

/// What uses what: for each file the files that it uses, each with the names that it uses of it.
type Uses = BTreeMap<PathBuf, BTreeMap<PathBuf, BTreeSet<String>>>;

/// The modules of a crate that are files, by their paths: `docker::client` is `["docker", "client"]`.
struct Crate {
    modules: BTreeMap<Vec<String>, Module>,
}

struct Module {
    file: PathBuf,
    imports: Vec<Import>,
    /// The code besides the imports.
    tokens: Vec<String>,
}

/// One name of a `use`.
struct Import {
    /// What it is called here.
    name: String,
    path: Vec<String>,
    /// A `pub use` is for others, and no use of one's own.
    is_for_others: bool,
}

impl Crate {
    fn read(package: &Path) -> Self {
        let texts = files(package)
            .into_iter()
            .filter(|file| !is_test(file))
            .map(|file| (file.clone(), read(&file)));
        Self::of(package, texts.collect())
    }

    fn of(package: &Path, texts: BTreeMap<PathBuf, String>) -> Self {
        let has_library = texts.contains_key(&package.join("lib.rs"));
        let mut modules = BTreeMap::new();
        let mut only_tests = BTreeSet::new();
        for (file, text) in texts {
            // A program beside a library is another crate, of one file.
            if has_library && file == package.join("main.rs") {
                continue;
            }
            let path = module_path(file.strip_prefix(package).unwrap());
            for piece in text.split("#[cfg(test)]\nmod ").skip(1) {
                if let Some((name, "")) = piece.lines().next().unwrap_or_default().split_once(';') {
                    only_tests.insert([path.clone(), vec![name.to_owned()]].concat());
                }
            }
            let (imports, tokens) = imports(tokens(&without_tests(&text)));
            let module = Module {
                file,
                imports,
                tokens,
            };
            assert!(modules.insert(path, module).is_none());
        }
        modules.retain(|path, _| !only_tests.contains(path));
        Self { modules }
    }

    fn uses(&self) -> Uses {
        let mut uses = Uses::new();
        for (path, module) in &self.modules {
            let words: BTreeSet<&String> = module.tokens.iter().collect();
            let imported = module
                .imports
                .iter()
                .filter(|import| !import.is_for_others || words.contains(&import.name))
                .map(|import| import.path.clone());
            for named in imported.chain(paths(&module.tokens)) {
                // A module alone is used when something of it is.
                let Some((target, Some(name))) = self.resolve(path, &named) else {
                    continue;
                };
                let target = &self.modules[&target].file;
                if *target != module.file {
                    let of_file = uses.entry(module.file.clone()).or_default();
                    of_file.entry(target.clone()).or_default().insert(name);
                }
            }
        }
        uses
    }

    /// Which module of this crate a path leads to, and the item in it unless it is the module itself.
    fn resolve(&self, from: &[String], path: &[String]) -> Option<(Vec<String>, Option<String>)> {
        let mut module = from.to_vec();
        let mut rest = path;
        let [first, ..] = path else { return None };
        match first.as_str() {
            "crate" => {
                module.clear();
                rest = &rest[1..];
            }
            "self" => rest = &rest[1..],
            "super" => {
                while let [first, others @ ..] = rest
                    && first == "super"
                {
                    module.pop()?;
                    rest = others;
                }
            }
            name => {
                let is_child = self.modules.contains_key(&child(&module, name));
                let is_imported = || self.modules[from].imports.iter().any(|it| it.name == name);
                if !is_child && !is_imported() {
                    return None;
                }
            }
        }
        while let [name, others @ ..] = rest {
            let inner = child(&module, name);
            if self.modules.contains_key(&inner) {
                module = inner;
                rest = others;
                continue;
            }
            let imports = &self.modules[&module].imports;
            // A name that stands for itself is one of another crate.
            if let Some(import) = imports
                .iter()
                .find(|it| it.name == *name && it.path != path)
            {
                let whole = [&import.path[..], others].concat();
                return self.resolve(&module, &whole);
            }
            return Some((module, Some(name.clone())));
        }
        Some((module, None))
    }
}

fn child(module: &[String], name: &str) -> Vec<String> {
    [module, &[name.to_owned()]].concat()
}

/// The path of the module that a file is, from its place in the package.
fn module_path(file: &Path) -> Vec<String> {
    let mut path: Vec<String> = file
        .with_extension("")
        .iter()
        .map(|part| part.to_str().unwrap().to_owned())
        .collect();
    if ["lib", "main", "mod"].contains(&path.last().unwrap().as_str()) {
        path.pop();
    }
    path
}

/// Words, `::`, and every other sign; no comments, strings, characters and lifetimes.
fn tokens(text: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = if first.is_alphanumeric() || first == '_' {
            word(rest)
        } else {
            first.len_utf8()
        };
        let (token, after) = rest.split_at(length);
        let left_out = match token {
            "/" if after.starts_with('/') => after.find('\n').unwrap_or(after.len()),
            "r" | "br" if after.starts_with("#\"") => raw(after),
            "\"" => quoted(after, '"'),
            "'" => match word(after) {
                // A lifetime.
                name if name > 0 && !after[name..].starts_with('\'') => name,
                _ => quoted(after, '\''),
            },
            ":" if after.starts_with(':') => {
                tokens.push("::".to_owned());
                1
            }
            _ => {
                if !first.is_whitespace() {
                    tokens.push(token.to_owned());
                }
                0
            }
        };
        rest = &after[left_out..];
    }
    tokens
}

/// How many bytes of a word a text begins with.
fn word(text: &str) -> usize {
    text.find(|sign: char| !sign.is_alphanumeric() && sign != '_')
        .unwrap_or(text.len())
}

/// Where a string or character ends that has begun.
fn quoted(text: &str, quote: char) -> usize {
    let mut is_escaped = false;
    let end = text.char_indices().find(|(_, sign)| {
        let is_end = *sign == quote && !is_escaped;
        is_escaped = *sign == '\\' && !is_escaped;
        is_end
    });
    end.map_or(text.len(), |(place, _)| place + 1)
}

/// Where `#"..."#` ends.
fn raw(text: &str) -> usize {
    text[2..].find("\"#").map_or(text.len(), |end| 2 + end + 2)
}

/// Takes the imports out of the code.
fn imports(tokens: Vec<String>) -> (Vec<Import>, Vec<String>) {
    let mut imports = Vec::new();
    let mut others: Vec<String> = Vec::new();
    let mut tokens = tokens.into_iter();
    while let Some(token) = tokens.next() {
        if token != "use" {
            others.push(token);
            continue;
        }
        let before = others.last().map(String::as_str);
        let is_for_others = matches!(before, Some("pub" | ")"));
        let tree: Vec<String> = tokens.by_ref().take_while(|token| token != ";").collect();
        for mut path in leaves(&tree, &[]) {
            let mut name = path.last().unwrap().clone();
            if let [.., keyword, _] = &path[..]
                && keyword == "as"
            {
                path.truncate(path.len() - 2);
            }
            // `a::{self, b}`
            if name == "self" {
                path.pop();
                name.clone_from(path.last().unwrap());
            }
            imports.push(Import {
                name,
                path,
                is_for_others,
            });
        }
    }
    (imports, others)
}

/// The paths of a tree of imports, those with another name with `as` and that at their ends.
fn leaves(tree: &[String], before: &[String]) -> Vec<Vec<String>> {
    let open = tree.iter().position(|token| token == "{");
    let own = tree[..open.unwrap_or(tree.len())].iter();
    let path: Vec<String> = before
        .iter()
        .chain(own.filter(|token| *token != "::"))
        .cloned()
        .collect();
    let Some(open) = open else {
        return vec![path];
    };
    let mut depth = 0;
    let branches = tree[open + 1..tree.len() - 1].split(|token| {
        match token.as_str() {
            "{" => depth += 1,
            "}" => depth -= 1,
            _ => {}
        }
        depth == 0 && token == ","
    });
    branches
        .filter(|branch| !branch.is_empty())
        .flat_map(|branch| leaves(branch, &path))
        .collect()
}

/// The paths that are written out in code.
fn paths(tokens: &[String]) -> Vec<Vec<String>> {
    let is_word =
        |token: &String| token.starts_with(|first: char| first.is_alphabetic() || first == '_');
    let mut paths = Vec::new();
    for (place, token) in tokens.iter().enumerate() {
        let is_start = place == 0 || ![".", "::"].contains(&tokens[place - 1].as_str());
        if !is_word(token) || !is_start {
            continue;
        }
        let more = tokens[place + 1..]
            .chunks(2)
            .take_while(|pair| pair[0] == "::" && pair.get(1).is_some_and(is_word));
        let path: Vec<String> = std::iter::once(token)
            .chain(more.map(|pair| &pair[1]))
            .cloned()
            .collect();
        if path.len() > 1 {
            paths.push(path);
        }
    }
    paths
}

/// A text for each set of files that lead to each other.
fn circles(uses: &Uses) -> Vec<String> {
    let reached: BTreeMap<&PathBuf, BTreeSet<&PathBuf>> =
        uses.keys().map(|file| (file, reach(uses, file))).collect();
    let mut told = BTreeSet::new();
    let mut circles = Vec::new();
    for (file, from_here) in &reached {
        let circle: BTreeSet<&PathBuf> = from_here
            .iter()
            .filter(|other| reached.get(*other).is_some_and(|them| them.contains(file)))
            .copied()
            .collect();
        if circle.is_empty() || !told.insert(circle.clone()) {
            continue;
        }
        let mut lines = Vec::new();
        for from in &circle {
            for (to, names) in &uses[*from] {
                if circle.contains(to) {
                    let names: Vec<&str> = names.iter().map(String::as_str).collect();
                    let (from, to, names) = (from.display(), to.display(), names.join(", "));
                    lines.push(format!("{from} uses {names} of {to}"));
                }
            }
        }
        circles.push(lines.join("\n"));
    }
    circles
}

/// Everything that a file uses, and that those use, and so on.
fn reach<'u>(uses: &'u Uses, file: &PathBuf) -> BTreeSet<&'u PathBuf> {
    let mut found = BTreeSet::new();
    let mut todo = vec![file];
    while let Some(file) = todo.pop() {
        for used in uses.get(file).into_iter().flat_map(BTreeMap::keys) {
            if found.insert(used) {
                todo.push(used);
            }
        }
    }
    found
}

/// The circles in a crate of these files.
fn example(files: &[(&str, &str)]) -> Vec<String> {
    let texts = files
        .iter()
        .map(|(file, text)| (PathBuf::from(file), (*text).to_owned()));
    circles(&Crate::of(Path::new(""), texts.collect()).uses())
}

#[test]
fn circles_are_found() {
    let two = [
        ("lib.rs", "mod a;\nmod b;\npub use a::One;\n"),
        (
            "a.rs",
            "use std::{fs, io};\nuse crate::b::{self, Two as Other};\nstruct One(b::Two);",
        ),
        ("b/mod.rs", "mod c;\nuse super::One;\npub use c::Two;\n"),
        ("b/c.rs", "struct Two;\nfn f() -> crate::One {}"),
    ];
    let expected = "a.rs uses Two of b/c.rs\nb/c.rs uses One of a.rs";
    assert_eq!(example(&two), [expected]);

    // An item of a module that uses it.
    let above = [
        ("lib.rs", "mod a;\nconst ONE: u8 = 1;\nfn f() { a::f() }"),
        ("a.rs", "fn f() -> u8 { super::ONE }"),
    ];
    let expected = "a.rs uses ONE of lib.rs\nlib.rs uses f of a.rs";
    assert_eq!(example(&above), [expected]);
    let handed_on = [
        (
            "lib.rs",
            "mod a;\npub use a::f;\nconst ONE: u8 = 1;\nfn g() { f() }",
        ),
        above[1],
    ];
    assert_eq!(example(&handed_on), [expected]);
}

#[test]
fn what_is_none_is_not_found() {
    let none = [
        (
            "lib.rs",
            "mod a;\nmod b;\npub use a::One;\nconst ONE: u8 = 1;",
        ),
        ("main.rs", "use crate::a;\nfn main() { a::f() }"),
        (
            "a.rs",
            "use crate::b;\nstruct One(b::Two, u8);\nfn f() { super::ONE }",
        ),
        (
            "b.rs",
            "// crate::a::f()\nstruct Two(String);\nfn f<'a>() { println!(\"\\\"crate::a::f()\"); }\n\
             #[cfg(test)]\nmod tests {\n    use crate::a;\n}\n",
        ),
    ];
    assert_eq!(example(&none), Vec::<String>::new());
}
