//! Types that serde reads, in a Rust file.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail, ensure};
use syn::meta::ParseNestedMeta;
use syn::{Attribute, Expr, Fields, ImplItem, Lit, LitStr, Meta, Stmt, Type};

/// What a file has.
#[derive(Default)]
pub(super) struct Source {
    /// Types by name.
    items: BTreeMap<String, syn::Item>,
    /// What implementations of `Default` give, by the name of the type.
    defaults: BTreeMap<String, Expr>,
    /// The values of functions that are nothing but one.
    pub(super) functions: BTreeMap<String, Expr>,
    /// The values of constants.
    pub(super) constants: BTreeMap<String, Expr>,
}

/// A type.
pub(super) enum Item {
    /// A struct.
    Object { doc: String, fields: Vec<Field> },
    /// An untagged enum.
    OneOf {
        kinds: Vec<Type>,
        default: Option<Expr>,
    },
    /// An enum without fields.
    Word { default: Option<String> },
}

/// A field of a struct.
pub(super) struct Field {
    /// The name in JSON.
    pub(super) name: String,
    pub(super) kind: Type,
    pub(super) absent: Absent,
    pub(super) doc: String,
}

/// What it means that a field is not there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Absent {
    /// It is required.
    #[default]
    Mistake,
    /// The value that `Default` gives.
    Default,
    /// What this function gives.
    Call(String),
}

/// What `#[serde(..)]` says.
#[derive(Default)]
struct Serde {
    is_camel_case: bool,
    is_untagged: bool,
    rename: Option<String>,
    absent: Absent,
}

impl Source {
    /// Reads a file.
    pub(super) fn parse(text: &str) -> Result<Self> {
        let mut source = Self::default();
        for item in syn::parse_file(text)?.items {
            match item {
                syn::Item::Struct(syn::ItemStruct { ref ident, .. })
                | syn::Item::Enum(syn::ItemEnum { ref ident, .. }) => {
                    source.items.insert(ident.to_string(), item);
                }
                syn::Item::Fn(function) => {
                    if let Some(value) = only_value(&function.block.stmts) {
                        let name = function.sig.ident.to_string();
                        source.functions.insert(name, value);
                    }
                }
                syn::Item::Const(constant) => {
                    let name = constant.ident.to_string();
                    source.constants.insert(name, *constant.expr);
                }
                syn::Item::Impl(implementation) => source.defaults.extend(default(implementation)),
                _ => {}
            }
        }
        Ok(source)
    }

    /// The type of this name, if it is in this file.
    pub(super) fn item(&self, name: &str) -> Option<Result<Item>> {
        let item = match self.items.get(name)? {
            syn::Item::Struct(item) => object(item),
            syn::Item::Enum(item) => self.choice(item),
            _ => return None,
        };
        Some(item.with_context(|| name.to_owned()))
    }

    fn choice(&self, item: &syn::ItemEnum) -> Result<Item> {
        let of_enum = serde(&item.attrs)?;
        if of_enum.is_untagged {
            let kinds = item.variants.iter().map(|variant| match &variant.fields {
                Fields::Unnamed(fields) if fields.unnamed.len() == 1 => {
                    Ok(fields.unnamed[0].ty.clone())
                }
                _ => bail!("{} has not one field", variant.ident),
            });
            return Ok(Item::OneOf {
                kinds: kinds.collect::<Result<_>>()?,
                default: self.defaults.get(&item.ident.to_string()).cloned(),
            });
        }
        let is_word = item
            .variants
            .iter()
            .all(|variant| variant.fields.is_empty());
        ensure!(
            is_word && of_enum.is_camel_case,
            "is neither untagged nor a word in camel case"
        );
        let default = item.variants.iter().find(|variant| {
            let mut attributes = variant.attrs.iter();
            attributes.any(|attribute| attribute.path().is_ident("default"))
        });
        let default = default.map(|variant| lower_first(&variant.ident.to_string()));
        Ok(Item::Word { default })
    }
}

fn object(item: &syn::ItemStruct) -> Result<Item> {
    let of_struct = serde(&item.attrs)?;
    let fields = item.fields.iter().map(|field| {
        let name = field.ident.as_ref().context("a field has no name")?;
        let name = name.to_string();
        let of_field = serde(&field.attrs).with_context(|| name.clone())?;
        let name = match of_field.rename {
            Some(name) => name,
            None if of_struct.is_camel_case => camel_case(&name),
            None => name,
        };
        Ok(Field {
            name,
            kind: field.ty.clone(),
            absent: of_field.absent,
            doc: doc(&field.attrs),
        })
    });
    Ok(Item::Object {
        doc: doc(&item.attrs),
        fields: fields.collect::<Result<_>>()?,
    })
}

fn serde(attributes: &[Attribute]) -> Result<Serde> {
    let mut found = Serde::default();
    for attribute in attributes {
        if attribute.path().is_ident("serde") {
            attribute.parse_nested_meta(|word| read(&mut found, &word))?;
        }
    }
    Ok(found)
}

fn read(found: &mut Serde, word: &ParseNestedMeta) -> syn::Result<()> {
    let text = || Ok::<_, syn::Error>(word.value()?.parse::<LitStr>()?.value());
    let name = word.path.get_ident().map(ToString::to_string);
    match name.as_deref() {
        Some("deny_unknown_fields") => {}
        Some("untagged") => found.is_untagged = true,
        Some("rename") => found.rename = Some(text()?),
        Some("rename_all") if text()? == "camelCase" => found.is_camel_case = true,
        Some("default") if word.input.peek(syn::Token![=]) => found.absent = Absent::Call(text()?),
        Some("default") => found.absent = Absent::Default,
        // Is about writing.
        Some("skip_serializing_if") => drop(text()?),
        _ => return Err(word.error("this word of serde is not known here")),
    }
    Ok(())
}

/// What an implementation of `Default` gives, with the name of the type.
fn default(implementation: syn::ItemImpl) -> Option<(String, Expr)> {
    let (of, _) = implementation.trait_?;
    let Type::Path(name) = *implementation.self_ty else {
        return None;
    };
    let name = name.path.get_ident()?.to_string();
    let value = implementation.items.iter().find_map(|item| match item {
        ImplItem::Fn(function) => only_value(&function.block.stmts),
        _ => None,
    })?;
    of.is_ident("Default").then_some((name, value))
}

fn only_value(statements: &[Stmt]) -> Option<Expr> {
    match statements {
        [Stmt::Expr(value, None)] => Some(value.clone()),
        _ => None,
    }
}

fn doc(attributes: &[Attribute]) -> String {
    let lines = attributes.iter().filter_map(|attribute| {
        let Meta::NameValue(meta) = &attribute.meta else {
            return None;
        };
        match &meta.value {
            Expr::Lit(literal) if meta.path.is_ident("doc") => match &literal.lit {
                Lit::Str(line) => Some(
                    line.value()
                        .strip_prefix(' ')
                        .map_or_else(|| line.value(), str::to_owned),
                ),
                _ => None,
            },
            _ => None,
        }
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn camel_case(name: &str) -> String {
    let mut words = name.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |name, word| {
        let (initial, rest) = word.split_at(word.len().min(1));
        name + &initial.to_uppercase() + rest
    })
}

fn lower_first(name: &str) -> String {
    let (initial, rest) = name.split_at(name.len().min(1));
    initial.to_lowercase() + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"
        /// A thing.
        ///
        /// Of some kind.
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase", deny_unknown_fields)]
        struct Thing {
            /// Where.
            store_dir: String,
            #[serde(default, rename = "URL", skip_serializing_if = "Option::is_none")]
            url: Option<String>,
            #[serde(default = "one")]
            max: u64,
        }
        #[serde(untagged)]
        enum Which { All(bool), Only(Vec<String>) }
        impl Default for Which {
            fn default() -> Self { Self::All(true) }
        }
        #[serde(rename_all = "camelCase")]
        enum Strategy { Other, #[default] MostPopular }
        struct Odd { #[serde(flatten)] rest: Thing }
        fn one() -> u64 { 1 }
    "#;

    #[test]
    fn fields_have_the_names_that_serde_gives_them() {
        let source = Source::parse(TEXT).unwrap();
        let Item::Object { doc, fields } = source.item("Thing").unwrap().unwrap() else {
            panic!("no object");
        };
        assert_eq!(doc, "A thing.\n\nOf some kind.");
        let names: Vec<&str> = fields.iter().map(|field| field.name.as_str()).collect();
        assert_eq!(names, ["storeDir", "URL", "max"]);
        assert_eq!(fields[0].doc, "Where.");
        let absent = fields.into_iter().map(|field| field.absent);
        let called = Absent::Call("one".to_owned());
        assert!(absent.eq([Absent::Mistake, Absent::Default, called]));
        assert!(source.functions.contains_key("one"));
    }

    #[test]
    fn enums_are_types_or_words() {
        let source = Source::parse(TEXT).unwrap();
        let Item::OneOf { kinds, default } = source.item("Which").unwrap().unwrap() else {
            panic!("not one of several");
        };
        assert_eq!((kinds.len(), default.is_some()), (2, true));
        let Item::Word { default } = source.item("Strategy").unwrap().unwrap() else {
            panic!("no word");
        };
        assert_eq!(default.unwrap(), "mostPopular");
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        let source = Source::parse(TEXT).unwrap();
        let error = source.item("Odd").unwrap().err().unwrap();
        assert_eq!(
            format!("{error:#}"),
            "Odd: rest: this word of serde is not known here"
        );
    }
}
