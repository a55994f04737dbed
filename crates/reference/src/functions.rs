//! Pages of the public functions, from their doc comments (RFC 145).
//!
//! A file is a comment, and a function in the layout of nixfmt. Below the heading `# Inputs`, the
//! comment has an entry for each argument:
//!
//! ```text
//! `name` (type; default: `value`)
//! : What it means. Whatever belongs to the entry is indented.
//! ```
//!
//! Without a default, the argument is required. Other headings may have entries, too, of another kind. Without any
//! entry, the argument is no set of names, and `images:` stands in the place of the pattern.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail, ensure};
use regex::Regex;

use crate::markdown::{self, anchor, code, table};

/// The heading of the arguments.
const INPUTS: &str = "Inputs";

/// A part of a comment, below a heading.
struct Section {
    title: String,
    /// What is before the first entry.
    text: String,
    entries: Vec<Entry>,
}

/// An argument, or something else that has a name and a type.
struct Entry {
    name: String,
    kind: String,
    default: Option<String>,
    text: String,
}

/// The public functions, of which nix/default.nix is the list, or that in the folder of a set of functions.
pub(crate) fn names(default_nix: &str) -> Result<Vec<String>> {
    let import = Regex::new(r"(?m)^ {2,4}(\w+) = import \./(\w+)\.nix ")?;
    let names = import.captures_iter(default_nix).map(|import| {
        ensure!(import[1] == import[2], "nix/default.nix: {}", &import[0]);
        Ok(import[1].to_owned())
    });
    names.collect()
}

/// The page of a function, or of a value, from its file `source`. `all` are the names of the functions, which are linked
/// to.
pub(crate) fn page(name: &str, source: &str, file: &str, all: &[String]) -> Result<String> {
    let (comment, code) = file
        .strip_prefix("/**\n")
        .and_then(|file| file.split_once("\n*/\n"))
        .context("begins with no doc comment: /**, its lines, and */")?;
    let sections = sections(comment)?;
    let (description, sections) = sections.split_first().context("the comment is empty")?;
    let inputs = sections.iter().find(|section| section.title == INPUTS);
    // A value that is none of our functions may have arguments all the same, as one with `override` has.
    if code.contains("makeOverridable (\n") {
        let inputs = inputs.with_context(|| format!("the comment has no heading `# {INPUTS}`"))?;
        ensure!(!inputs.entries.is_empty(), "the comment has no arguments");
        compare(&inputs.entries, &arguments(code)?)?;
    }

    let mut blocks = vec![description.text.clone()];
    for section in sections {
        blocks.extend(if section.title == INPUTS {
            inputs_blocks(section)
        } else {
            section_blocks(section)
        });
    }
    let page = markdown::page(source, name, blocks);
    Ok(linked(&page, name, all))
}

fn inputs_blocks(section: &Section) -> Vec<String> {
    let rows: Vec<[String; 3]> = section
        .entries
        .iter()
        .map(|entry| {
            let name = format!("[`{}`](#{})", entry.name, anchor(&entry.name));
            [name, entry.kind.clone(), said(entry.default.as_ref())]
        })
        .collect();
    let mut blocks = vec!["## Arguments".to_owned(), section.text.clone()];
    if rows.is_empty() {
        return blocks;
    }
    blocks.push(table(["argument", "type", "default"], &rows));
    for entry in &section.entries {
        let default = match &entry.default {
            Some(default) => format!("default {}", code(default)),
            None => "required".to_owned(),
        };
        blocks.push(format!("### {}", code(&entry.name)));
        blocks.push(format!("*{}, {default}*", entry.kind));
        blocks.push(entry.text.clone());
    }
    blocks
}

fn section_blocks(section: &Section) -> Vec<String> {
    let mut blocks = vec![format!("## {}", section.title), section.text.clone()];
    if !section.entries.is_empty() {
        let rows: Vec<[String; 3]> = section
            .entries
            .iter()
            .map(|entry| [code(&entry.name), entry.kind.clone(), entry.text.clone()])
            .collect();
        blocks.push(table(["name", "type", "meaning"], &rows));
    }
    blocks
}

/// A page in which the names of other functions lead to their pages.
fn linked(page: &str, own: &str, all: &[String]) -> String {
    let mut is_code = false;
    let lines = page.split_inclusive('\n').map(|line| {
        let is_fence = line.trim_start().starts_with("```");
        is_code ^= is_fence;
        if is_code || is_fence || line.starts_with('#') {
            return line.to_owned();
        }
        let others = all.iter().filter(|name| *name != own);
        others.fold(line.to_owned(), |line, name| {
            line.replace(&code(name), &format!("[`{name}`]({name}.md)"))
        })
    });
    lines.collect()
}

/// The parts of a comment; the first has no title, and is the description.
fn sections(comment: &str) -> Result<Vec<Section>> {
    let mut parts = vec![(String::new(), Vec::new())];
    let mut is_code = false;
    for line in comment.lines() {
        // As RFC 145 has it, without the indentation that all lines have.
        let line = line.strip_prefix("  ").unwrap_or(line.trim_start());
        is_code ^= line.trim_start().starts_with("```");
        match (line.strip_prefix("# "), parts.last_mut()) {
            (Some(title), _) if !is_code => parts.push((title.to_owned(), Vec::new())),
            (_, Some((_, lines))) => lines.push(line),
            (_, None) => {}
        }
    }
    let parts = parts.into_iter();
    parts.map(|(title, lines)| section(title, &lines)).collect()
}

fn section(title: String, lines: &[&str]) -> Result<Section> {
    let entry = Regex::new(r"^`([\w-]+|\.\.\.)` \((.+?)(?:; default: `(.+)`)?\)$")?;
    let begins = |at: usize| {
        let first = lines.get(at + 1)?.strip_prefix(": ")?;
        Some((entry.captures(lines[at])?, first))
    };
    let starts: Vec<usize> = (0..lines.len())
        .filter(|at| begins(*at).is_some())
        .collect();
    let mut entries: Vec<Entry> = Vec::new();
    for (number, start) in starts.iter().enumerate() {
        let end = starts.get(number + 1).copied().unwrap_or(lines.len());
        let Some((found, first)) = begins(*start) else {
            continue;
        };
        let name = &found[1];
        ensure!(
            entries.iter().all(|entry| entry.name != *name),
            "`{name}` has two entries"
        );
        let mut text = vec![first];
        for line in &lines[start + 2..end] {
            let inner = line.strip_prefix("  ").or(line.is_empty().then_some(""));
            let inner = inner.with_context(|| {
                format!("what follows `{name}` is neither indented nor an entry: {line}")
            })?;
            text.push(inner);
        }
        entries.push(Entry {
            name: name.to_owned(),
            kind: found[2].to_owned(),
            default: found.get(3).map(|default| default.as_str().to_owned()),
            text: text.join("\n").trim().to_owned(),
        });
    }
    let text = &lines[..starts.first().copied().unwrap_or(lines.len())];
    Ok(Section {
        title,
        text: text.join("\n").trim().to_owned(),
        entries,
    })
}

/// The arguments of a function with their defaults, from its code.
fn arguments(code: &str) -> Result<BTreeMap<String, Option<String>>> {
    let pattern = Regex::new(r"(?s)makeOverridable \(\n  \{\n(.*?)\n  \}(?:@arguments)?:\n")?;
    let patterns: Vec<_> = pattern.captures_iter(code).collect();
    let [pattern] = patterns.as_slice() else {
        bail!("has not one function `makeOverridable ({{ .. }}: ..)`, as nixfmt writes it");
    };
    let argument = Regex::new(r"(?ms)^    ([\w-]+)(?: \? (.*?))?,$")?;
    let arguments = argument.captures_iter(&pattern[1]).map(|argument| {
        let default = argument.get(2).map(|default| {
            let words: Vec<&str> = default.as_str().split_whitespace().collect();
            words.join(" ")
        });
        (argument[1].to_owned(), default)
    });
    Ok(arguments.collect())
}

/// Refuses a comment that says something else than the code.
fn compare(entries: &[Entry], arguments: &BTreeMap<String, Option<String>>) -> Result<()> {
    for (name, default) in arguments {
        let entry = entries.iter().find(|entry| entry.name == *name);
        let entry = entry.with_context(|| format!("the comment has no entry `{name}`"))?;
        ensure!(
            entry.default == *default,
            "`{name}` is {} in the comment, and {} in the code",
            said(entry.default.as_ref()),
            said(default.as_ref())
        );
    }
    for Entry { name, .. } in entries {
        ensure!(
            arguments.contains_key(name),
            "the comment has an entry `{name}`, which is no argument"
        );
    }
    Ok(())
}

fn said(default: Option<&String>) -> String {
    default.map_or("required".to_owned(), |default| code(default))
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMENT: &str = "\
/**
  Makes `b` things of `other`.

  # Inputs

  `name` (string)
  : Its name.
    It is short.

    ```nix
    # Inputs
    name = \"x\";
    ```

  `size` (integer or list; default: `{ a = 1; }`)
  : Its `other`.
*/
";
    const CODE: &str = "\
{ lib }:
lib.makeOverridable (
  {
    name,
    size ? {
      a = 1;
    },
  }:
  name
)
";

    fn made(comment: &str, code: &str) -> Result<String> {
        let all = ["make", "other"].map(str::to_owned);
        page("make", "nix/make.nix", &format!("{comment}{code}"), &all)
    }

    #[test]
    fn a_page_has_every_entry() {
        let page = made(COMMENT, CODE).unwrap();
        assert_eq!(
            page,
            "\
<!-- Generated by scripts/reference from nix/make.nix: change it there. -->

# make

Makes `b` things of [`other`](other.md).

## Arguments

| argument | type | default |
|---|---|---|
| [`name`](#name) | string | required |
| [`size`](#size) | integer or list | `{ a = 1; }` |

### `name`

*string, required*

Its name.
It is short.

```nix
# Inputs
name = \"x\";
```

### `size`

*integer or list, default `{ a = 1; }`*

Its [`other`](other.md).
"
        );
    }

    #[test]
    fn comments_that_do_not_agree_with_the_code_are_refused() {
        for (comment, code, expected) in [
            (
                COMMENT.replace("{ a = 1; }", "{ }"),
                CODE.to_owned(),
                "`size` is `{ }` in the comment, and `{ a = 1; }` in the code",
            ),
            (
                COMMENT.replace("(string)", "(string; default: `null`)"),
                CODE.to_owned(),
                "`name` is `null` in the comment, and required in the code",
            ),
            (
                COMMENT.to_owned(),
                CODE.replace("    name,\n", "    name,\n    more ? null,\n"),
                "the comment has no entry `more`",
            ),
            (
                COMMENT.to_owned(),
                CODE.replace("    name,\n", ""),
                "the comment has an entry `name`, which is no argument",
            ),
            (
                COMMENT.replace("`size`", "`name`"),
                CODE.to_owned(),
                "`name` has two entries",
            ),
            (
                COMMENT.replace("    It is", "  It is"),
                CODE.to_owned(),
                "what follows `name` is neither indented nor an entry: It is short.",
            ),
            (
                COMMENT.replace("# Inputs\n\n", "# Arguments\n\n"),
                CODE.to_owned(),
                "the comment has no heading `# Inputs`",
            ),
        ] {
            let error = made(&comment, &code).unwrap_err();
            assert_eq!(error.to_string(), expected);
        }
    }
}
