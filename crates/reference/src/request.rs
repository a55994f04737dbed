//! The page of the requests, from the Rust types that they are read into.
//!
//! A table is the fields of a type, under the names that serde gives them. What a default is comes from
//! the function that `#[serde(default = "..")]` names, which has to be a plain value. Whatever is not
//! understood is an error, never left out.

mod defaults;
mod source;

use anyhow::{Context, Result, bail};
use syn::{GenericArgument, PathArguments, Type};

use crate::markdown::{self, anchor, code, table};
use source::{Absent, Field, Item, Source};

/// The files that have the types.
pub(crate) const FILES: [&str; 6] = [
    "crates/nix/src/request.rs",
    "crates/nix/src/requests/index.rs",
    "crates/nix/src/requests/system.rs",
    "crates/nix/src/requests/tree.rs",
    "crates/oci/src/config.rs",
    "crates/oci/src/manifest.rs",
];

/// The kinds of requests, and the types that they are read into.
const KINDS: [(&str, &str); 4] = [
    ("A layer or an image", "Request"),
    ("An index", "IndexRequest"),
    ("A base system", "SystemRequest"),
    ("The root of an image of dockerTools", "TreeRequest"),
];

const INTRODUCTION: &str = "\
What the Nix functions ask the builder for: the attribute `request` of a derivation, which Nix writes to
`.attrs.json`. Other fields than these are refused.";

/// The page, from the files and their texts.
pub(crate) fn page(files: &[(&str, String)]) -> Result<String> {
    let sources = files
        .iter()
        .map(|(name, text)| Source::parse(text).with_context(|| name.to_string()));
    let sources = Sources(sources.collect::<Result<_>>()?);
    let names: Vec<&str> = files.iter().map(|(name, _)| *name).collect();
    let mut blocks = vec![INTRODUCTION.to_owned()];
    for (title, name) in KINDS {
        blocks.push(format!("## {title}"));
        blocks.extend(sources.section("request", name).context(name)?);
    }
    Ok(markdown::page(&names.join(", "), "Requests", blocks))
}

/// A part of a request that has a section of its own.
struct Part {
    /// Where it is, as in `request.perms[]`.
    path: String,
    /// Its type.
    name: String,
}

/// A type in words, as one and as several.
struct Words {
    one: String,
    many: String,
}

impl Words {
    fn new(one: &str) -> Self {
        Self {
            one: one.to_owned(),
            many: format!("{one}s"),
        }
    }
}

struct Sources(Vec<Source>);

impl Sources {
    fn find(&self, name: &str) -> Result<(&Source, Item)> {
        let mut sources = self.0.iter();
        let found = sources.find_map(|source| Some((source, source.item(name)?)));
        let (source, item) =
            found.with_context(|| format!("no file in FILES has the type {name}"))?;
        Ok((source, item?))
    }

    /// What a type has, and below it what its parts have.
    fn section(&self, path: &str, name: &str) -> Result<Vec<String>> {
        let (source, item) = self.find(name)?;
        let Item::Object { doc, fields } = item else {
            bail!("{name} is no object");
        };
        let mut parts = Vec::new();
        let rows = fields
            .iter()
            .map(|field| self.row(path, source, field, &mut parts))
            .collect::<Result<Vec<_>>>()?;
        let table = table(["field", "type", "default", "meaning"], &rows);
        let mut blocks = vec![doc, table];
        for Part { path, name } in parts {
            blocks.push(format!("### {}", code(&path)));
            blocks.extend(self.section(&path, &name).context(name)?);
        }
        Ok(blocks)
    }

    fn row(
        &self,
        path: &str,
        source: &Source,
        field: &Field,
        parts: &mut Vec<Part>,
    ) -> Result<[String; 4]> {
        let Field { name, doc, .. } = field;
        let kind = self.words(&format!("{path}.{name}"), &field.kind, parts)?;
        let default = self.default(source, field).with_context(|| name.clone())?;
        let default = default.map_or("required".to_owned(), |default| code(&default));
        Ok([code(name), kind.one, default, doc.clone()])
    }

    /// A type in words. What it has inside is one of the `parts`.
    fn words(&self, path: &str, kind: &Type, parts: &mut Vec<Part>) -> Result<Words> {
        let (name, inner) = generic(kind)?;
        Ok(match (name.as_str(), inner) {
            ("String", _) => Words::new("string"),
            ("bool", _) => Words::new("boolean"),
            ("u32" | "u64" | "i64", _) => Words::new("integer"),
            ("Value", _) => Words::new("JSON value"),
            ("Option", Some(inner)) => {
                let inner = self.words(path, inner, parts)?;
                Words {
                    one: format!("{} or null", inner.one),
                    many: format!("{} or nulls", inner.many),
                }
            }
            ("Vec", Some(inner)) => {
                let inner = self.words(&format!("{path}[]"), inner, parts)?;
                Words {
                    one: format!("list of {}", inner.many),
                    many: format!("lists of {}", inner.many),
                }
            }
            ("BTreeMap", Some(inner)) => {
                let inner = self.words(&format!("{path}.NAME"), inner, parts)?;
                Words {
                    one: format!("object of {}", inner.many),
                    many: format!("objects of {}", inner.many),
                }
            }
            (name, None) => match self.find(name)?.1 {
                Item::Object { .. } => {
                    parts.push(Part {
                        path: path.to_owned(),
                        name: name.to_owned(),
                    });
                    let link = |word: &str| format!("[{word}](#{})", anchor(path));
                    Words {
                        one: link("object"),
                        many: link("objects"),
                    }
                }
                Item::OneOf { kinds, .. } => {
                    let kinds = kinds.iter().map(|kind| self.words(path, kind, parts));
                    let kinds: Vec<Words> = kinds.collect::<Result<_>>()?;
                    let join = |word: fn(&Words) -> &str| {
                        kinds.iter().map(word).collect::<Vec<_>>().join(" or ")
                    };
                    Words {
                        one: join(|words| &words.one),
                        many: join(|words| &words.many),
                    }
                }
                Item::Word { .. } => Words::new("string"),
            },
            (name, Some(_)) => bail!("the type {name} has no words here"),
        })
    }

    /// The value of a field that is not there, as JSON.
    fn default(&self, source: &Source, field: &Field) -> Result<Option<String>> {
        let (kind, _) = generic(&field.kind)?;
        match (&field.absent, kind.as_str()) {
            (Absent::Call(function), _) => {
                let value = source.functions.get(function);
                let value = value.with_context(|| format!("there is no function {function}"))?;
                defaults::value(value, &source.constants).map(Some)
            }
            (_, "Option") => Ok(Some("null".to_owned())),
            (Absent::Mistake, _) => Ok(None),
            (Absent::Default, kind) => self.usual(kind).map(Some),
        }
    }

    /// What `Default` gives.
    fn usual(&self, kind: &str) -> Result<String> {
        let value = match kind {
            "Vec" => "[]",
            "BTreeMap" => "{}",
            "bool" => "false",
            "u32" | "u64" | "i64" => "0",
            "String" => "\"\"",
            "Value" => "null",
            name => {
                let (source, item) = self.find(name)?;
                return match item {
                    Item::Object { .. } => Ok("{}".to_owned()),
                    Item::OneOf { default, .. } => {
                        let default = default.as_ref().context("has no default")?;
                        defaults::value(default, &source.constants)
                    }
                    Item::Word { default } => {
                        let default = default.as_ref().context("has no default")?;
                        Ok(format!("\"{default}\""))
                    }
                };
            }
        };
        Ok(value.to_owned())
    }
}

/// The name of a type, and the last of the types in its angle brackets.
fn generic(kind: &Type) -> Result<(String, Option<&Type>)> {
    let Type::Path(path) = kind else {
        bail!("a type without a name has no words here");
    };
    let last = path.path.segments.last().context("a type has no name")?;
    let inner = match &last.arguments {
        PathArguments::AngleBracketed(inner) => match inner.args.last() {
            Some(GenericArgument::Type(inner)) => Some(inner),
            _ => None,
        },
        _ => None,
    };
    Ok((last.ident.to_string(), inner))
}
