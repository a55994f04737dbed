//! What `strata layers` reads: closure graphs as Nix lists them, alone or with what a plan is to heed.
//!
//! ```text
//! [{"path": .., "narSize": .., "references": [..]}, ..]      exportReferencesGraph, `nix path-info --json`
//! {"/nix/store/..": {"narSize": .., "references": [..]}, ..}  `nix path-info --json` since Nix 2.19
//! {"info": {"..": {..}}, "storeDir": "/nix/store", ..}        the same with `--json-format 2`
//! {"graph": LIST, "max_layers": 60, "previous": [[PATH]], "alongside": [[[PATH]]], "roots": [PATH],
//!  "hints": {"stable": [PATH], "volatile": [PATH], "together": [[PATH]], "alone": [PATH]}}
//! {"fleet": [{"graph": LIST}, ..], "max_layers": 60}
//! ```
//!
//! Fields that are not needed are passed over, as newer Nix adds some.

use std::borrow::Cow;
use std::fmt;
use std::num::NonZeroUsize;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use strata_error::{Error, Result};

use crate::strategy::{Budget, Fault, Graph, Hints, Node, Request};

/// What is to be planned.
#[derive(Debug, Default)]
pub struct Listing {
    /// The images; one, unless it is a fleet.
    pub images: Vec<ListedImage>,
    /// Whether the images are a fleet, which is planned at once.
    pub is_fleet: bool,
    /// The most layers of each image, if anybody said so.
    pub max_layers: Option<NonZeroUsize>,
}

/// A closure, and what its plan is to heed. Layers with paths that are not in the closure are left out.
#[derive(Debug, Default)]
pub struct ListedImage {
    /// The closure.
    pub graph: Graph,
    /// The plan before.
    pub previous: Vec<Vec<u32>>,
    /// Layers of other images.
    pub alongside: Vec<Vec<u32>>,
    /// What the user names and edits; empty for the paths without users.
    pub roots: Vec<u32>,
    /// What the user knows better.
    pub hints: Hints,
}

impl ListedImage {
    /// What a strategy is asked to make of the image. `members` are all its paths.
    pub fn request<'a>(&'a self, members: &'a [u32], budget: Budget) -> Request<'a> {
        Request {
            graph: &self.graph,
            members,
            roots: &self.roots,
            budget,
            previous: &self.previous,
            alongside: &self.alongside,
            hints: &self.hints,
        }
    }
}

/// Reads a listing from JSON that may come from anywhere.
pub fn parse(bytes: &[u8]) -> Result<Listing> {
    let document: Document<'_> =
        serde_json::from_slice(bytes).map_err(|error| wrong(error.to_string()))?;
    let max_layers = match document.max_layers {
        None => None,
        Some(number) => {
            let number = usize::try_from(number).unwrap_or(usize::MAX);
            let number = NonZeroUsize::new(number);
            Some(number.ok_or_else(|| {
                wrong("max_layers is 0, but an image has at least one layer".into())
            })?)
        }
    };
    let is_fleet = document.fleet.is_some();
    let lists = match (document.graph, document.fleet) {
        (Some(nodes), None) => vec![(nodes, document.heeded)],
        (None, Some(fleet)) if document.heeded.is_nothing() => {
            let fleet = fleet.into_iter();
            fleet.map(|image| (image.graph, image.heeded)).collect()
        }
        (None, Some(_)) => {
            return Err(wrong(
                "says beside a fleet what an image of it is to heed".into(),
            ));
        }
        (Some(_), Some(_)) => return Err(wrong("has a graph and a fleet".into())),
        (None, None) => return Err(wrong("has neither a graph nor a fleet".into())),
    };
    let images = lists
        .into_iter()
        .map(|(nodes, heeded)| image(nodes, &heeded));
    Ok(Listing {
        images: images.collect::<Result<_>>()?,
        is_fleet,
        max_layers,
    })
}

fn image(nodes: Nodes<'_>, heeded: &Heeded<'_>) -> Result<ListedImage> {
    let graph = Graph::new(nodes.0).map_err(|fault| match fault {
        Fault::Twice(path) => wrong(format!("{path} is listed twice")),
        Fault::Missing(path, reference) => {
            wrong(format!("{path} refers to {reference}, which is not listed"))
        }
        Fault::TooMany => wrong("lists more paths than can be planned".into()),
    })?;
    let layer = |layer: &Vec<Text<'_>>| -> Option<Vec<u32>> {
        layer.iter().map(|path| graph.find(&path.0)).collect()
    };
    let all = |field: &str, paths: &[Text<'_>]| -> Result<Vec<u32>> {
        let number = |path: &Text<'_>| {
            let found = graph.find(&path.0);
            found.ok_or_else(|| wrong(format!("{field} has {}, which is not listed", path.0)))
        };
        paths.iter().map(number).collect()
    };
    let given = &heeded.hints;
    let together = given.together.iter();
    Ok(ListedImage {
        previous: heeded.previous.iter().filter_map(layer).collect(),
        alongside: heeded
            .alongside
            .iter()
            .flatten()
            .filter_map(layer)
            .collect(),
        roots: all("roots", &heeded.roots)?,
        hints: Hints {
            stable: all("hints.stable", &given.stable)?,
            volatile: all("hints.volatile", &given.volatile)?,
            together: together
                .map(|paths| all("hints.together", paths))
                .collect::<Result<_>>()?,
            alone: all("hints.alone", &given.alone)?,
        },
        graph,
    })
}

fn wrong(message: String) -> Error {
    Error::Document {
        document: "closure graph".into(),
        message,
        hint: "give what `nix path-info --json --recursive PATH` prints, or {\"graph\": .., \"max_layers\": 60}".into(),
    }
}

/// The whole input.
#[derive(Default)]
struct Document<'a> {
    graph: Option<Nodes<'a>>,
    fleet: Option<Vec<ListedGraph<'a>>>,
    max_layers: Option<u64>,
    heeded: Heeded<'a>,
}

/// An image of a fleet.
#[derive(Deserialize)]
struct ListedGraph<'a> {
    #[serde(borrow)]
    graph: Nodes<'a>,
    #[serde(borrow, flatten)]
    heeded: Heeded<'a>,
}

/// What the plan of an image is to heed.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Heeded<'a> {
    #[serde(borrow)]
    previous: Vec<Vec<Text<'a>>>,
    #[serde(borrow)]
    alongside: Vec<Vec<Vec<Text<'a>>>>,
    #[serde(borrow)]
    roots: Vec<Text<'a>>,
    #[serde(borrow)]
    hints: ListedHints<'a>,
}

impl Heeded<'_> {
    fn is_nothing(&self) -> bool {
        let hints = &self.hints;
        let lists = [&self.roots, &hints.stable, &hints.volatile, &hints.alone];
        lists.iter().all(|list| list.is_empty())
            && self.previous.is_empty()
            && self.alongside.is_empty()
            && hints.together.is_empty()
    }
}

/// What the user knows better.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct ListedHints<'a> {
    #[serde(borrow)]
    stable: Vec<Text<'a>>,
    #[serde(borrow)]
    volatile: Vec<Text<'a>>,
    #[serde(borrow)]
    together: Vec<Vec<Text<'a>>>,
    #[serde(borrow)]
    alone: Vec<Text<'a>>,
}

/// The paths of a closure in any of the forms of Nix.
struct Nodes<'a>(Vec<Node<'a>>);

/// A string, borrowed from the input where nothing in it is escaped: of millions of references none is copied.
struct Text<'a>(Cow<'a, str>);

/// A path of a list.
#[derive(Deserialize)]
#[serde(
    rename_all = "camelCase",
    expecting = "an object with path, narSize and references"
)]
struct Entry<'a> {
    #[serde(borrow)]
    path: Text<'a>,
    nar_size: u64,
    #[serde(borrow)]
    references: Vec<Text<'a>>,
}

/// What a map says of a path.
#[derive(Deserialize)]
#[serde(
    rename_all = "camelCase",
    expecting = "an object with narSize and references"
)]
struct Info<'a> {
    nar_size: u64,
    #[serde(borrow)]
    references: Vec<Text<'a>>,
}

fn node<'a>(path: Cow<'a, str>, info: Info<'a>) -> Node<'a> {
    Node {
        path,
        size: info.nar_size,
        references: info.references.into_iter().map(|text| text.0).collect(),
    }
}

/// A path of a map: null stands for one that is not valid.
fn keyed_node<'a, E: serde::de::Error>(
    path: Cow<'a, str>,
    info: Option<Info<'a>>,
) -> Result<Node<'a>, E> {
    match info {
        Some(info) => Ok(node(path, info)),
        None => Err(E::custom(format_args!(
            "{path} is not valid: the store does not have it"
        ))),
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct OfText;
        impl<'de> Visitor<'de> for OfText {
            type Value = Text<'de>;

            fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
                to.write_str("a store path")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }
        from.deserialize_str(OfText)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Nodes<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let document = Document::deserialize(from)?;
        let Document {
            graph: Some(nodes),
            fleet: None,
            ..
        } = document
        else {
            return Err(D::Error::custom("expected a closure graph"));
        };
        Ok(nodes)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Document<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct OfDocument;
        impl<'de> Visitor<'de> for OfDocument {
            type Value = Document<'de>;

            fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
                to.write_str("a closure graph")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                let mut nodes = Vec::new();
                while let Some(entry) = list.next_element::<Entry<'de>>()? {
                    let info = Info {
                        nar_size: entry.nar_size,
                        references: entry.references,
                    };
                    nodes.push(node(entry.path.0, info));
                }
                Ok(Document {
                    graph: Some(Nodes(nodes)),
                    ..Document::default()
                })
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                read_map(map)
            }
        }
        from.deserialize_any(OfDocument)
    }
}

fn read_map<'de, A: MapAccess<'de>>(mut map: A) -> Result<Document<'de>, A::Error> {
    let mut document = Document::default();
    let mut nodes = Vec::new();
    let mut store_directory = None;
    let mut below_store: Option<Vec<(Text<'de>, Option<Info<'de>>)>> = None;
    while let Some(key) = map.next_key::<Text<'de>>()? {
        match &*key.0 {
            "graph" => document.graph = Some(map.next_value()?),
            "fleet" => document.fleet = Some(map.next_value()?),
            "max_layers" => document.max_layers = map.next_value()?,
            "previous" => document.heeded.previous = map.next_value()?,
            "alongside" => document.heeded.alongside = map.next_value()?,
            "roots" => document.heeded.roots = map.next_value()?,
            "hints" => document.heeded.hints = map.next_value()?,
            "info" => below_store = Some(map.next_value::<Infos<'de>>()?.0),
            "storeDir" => store_directory = Some(map.next_value::<Text<'de>>()?.0),
            "version" => drop(map.next_value::<IgnoredAny>()?),
            path if path.starts_with('/') => {
                let info = map.next_value()?;
                nodes.push(keyed_node(key.0, info)?);
            }
            other => {
                return Err(A::Error::custom(format_args!("knows no field {other:?}")));
            }
        }
    }
    if let Some(infos) = below_store {
        let directory = store_directory.unwrap_or("/nix/store".into());
        for (name, info) in infos {
            let info = info.map(|info| Info {
                references: info
                    .references
                    .iter()
                    .map(|name| Text(joined(&directory, &name.0)))
                    .collect(),
                ..info
            });
            nodes.push(keyed_node(joined(&directory, &name.0), info)?);
        }
    }
    if !nodes.is_empty() && document.graph.replace(Nodes(nodes)).is_some() {
        return Err(A::Error::custom("lists paths beside a graph"));
    }
    Ok(document)
}

/// A path of the format that leaves the store directory out.
fn joined<'a>(directory: &str, name: &str) -> Cow<'a, str> {
    Cow::Owned(format!("{directory}/{name}"))
}

/// A map of paths without their directory.
struct Infos<'a>(Vec<(Text<'a>, Option<Info<'a>>)>);

impl<'de: 'a, 'a> Deserialize<'de> for Infos<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct OfInfos;
        impl<'de> Visitor<'de> for OfInfos {
            type Value = Infos<'de>;

            fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
                to.write_str("what is known of each path")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut infos = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    infos.push(entry);
                }
                Ok(Infos(infos))
            }
        }
        from.deserialize_map(OfInfos)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(text: &str) -> Vec<String> {
        let listing = parse(text.as_bytes()).unwrap();
        let graph = &listing.images[0].graph;
        let path = |number| {
            format!(
                "{} {} {:?}",
                graph.path(number),
                graph.size(number),
                graph.references(number)
            )
        };
        graph.all().map(path).collect()
    }

    #[test]
    fn each_form_of_nix() {
        let wanted = ["/s/a 1 [1]", "/s/b 2 []"];
        for text in [
            r#"[{"path":"/s/b","narSize":2,"references":["/s/b"],"valid":true},{"path":"/s/a","narSize":1,"references":["/s/b"]}]"#,
            r#"{"/s/b":{"narSize":2,"references":[]},"/s/a":{"ca":null,"narSize":1,"references":["/s/b"]}}"#,
            r#"{"version":2,"info":{"b":{"narSize":2,"references":[]},"a":{"narSize":1,"references":["b"]}},"storeDir":"/s"}"#,
            r#"{"graph":{"\/s\/b":{"narSize":2,"references":[]},"/s/a":{"narSize":1,"references":["\/s/b"]}}}"#,
            r#"{"fleet":[{"graph":[{"path":"/s/b","narSize":2,"references":[]},{"path":"/s/a","narSize":1,"references":["/s/b"]}]}]}"#,
        ] {
            assert_eq!(paths(text), wanted, "{text}");
        }
        assert!(paths("[]").is_empty());
    }

    #[test]
    fn layers_with_unknown_paths_are_left_out() {
        let text = r#"{"graph":[{"path":"/s/a","narSize":1,"references":[]}],"max_layers":3,
            "previous":[["/s/a"],["/s/a","/s/gone"]],"alongside":[[["/s/gone"]],[["/s/a"]]]}"#;
        let listing = parse(text.as_bytes()).unwrap();
        assert_eq!(listing.images[0].previous, [[0]]);
        assert_eq!(listing.images[0].alongside, [[0]]);
        assert_eq!(listing.max_layers, NonZeroUsize::new(3));
        assert!(!listing.is_fleet);
    }

    #[test]
    fn roots_and_hints_are_paths_of_the_graph() {
        let text = r#"{"fleet":[{"graph":[{"path":"/s/a","narSize":1,"references":[]},
            {"path":"/s/b","narSize":1,"references":[]}],"roots":["/s/b"],"hints":{"stable":["/s/a"],
            "volatile":["/s/b"],"together":[["/s/b","/s/a"]],"alone":["/s/a"]}}]}"#;
        let listing = parse(text.as_bytes()).unwrap();
        let image = &listing.images[0];
        assert_eq!(image.roots, [1]);
        let Hints {
            stable,
            volatile,
            together,
            alone,
        } = &image.hints;
        assert_eq!((stable, volatile, alone), (&vec![0], &vec![1], &vec![0]));
        assert_eq!(*together, [[1, 0]]);
    }

    #[test]
    fn what_is_wrong_is_said_with_a_way_out() {
        let a = r#"{"path":"/s/a","narSize":1,"references":[]}"#;
        for (text, said) in [
            ("", "EOF"),
            ("3", "expected a closure graph"),
            ("{}", "neither a graph nor a fleet"),
            ("[[]]", "expected an object with path"),
            (r#"{"x":1}"#, r#"no field "x""#),
            (r#"{"/s/a":null}"#, "/s/a is not valid"),
            (r#"[{"path":"/s/a","narSize":-1,"references":[]}]"#, "-1"),
            (r#"[{"path":"/s/a","narSize":1.5,"references":[]}]"#, "1.5"),
            (
                r#"[{"path":"/s/a","narSize":1}]"#,
                "missing field `references`",
            ),
            (
                r#"[{"path":"/s/a","narSize":1,"references":["/s/b"]}]"#,
                "/s/b, which is not listed",
            ),
            (&format!("[{a},{a}]"), "/s/a is listed twice"),
            (
                &format!(r#"{{"graph":[{a}],"max_layers":0}}"#),
                "at least one layer",
            ),
            (&format!(r#"{{"graph":[{a}],"max_layers":-1}}"#), "-1"),
            (
                &format!(r#"{{"graph":[{a}],"fleet":[]}}"#),
                "a graph and a fleet",
            ),
            (
                &format!(r#"{{"graph":[{a}],"roots":["/s/b"]}}"#),
                "roots has /s/b, which is not listed",
            ),
            (
                &format!(r#"{{"graph":[{a}],"hints":{{"together":[["/s/a","/s/b"]]}}}}"#),
                "hints.together has /s/b, which is not listed",
            ),
            (
                &format!(r#"{{"graph":[{a}],"hints":{{"often":["/s/a"]}}}}"#),
                "unknown field `often`",
            ),
            (
                r#"{"fleet":[],"roots":["/s/a"]}"#,
                "says beside a fleet what an image of it is to heed",
            ),
            (
                &format!(r#"{{"graph":{{"fleet":[{{"graph":[{a}]}}]}}}}"#),
                "expected a closure graph",
            ),
            (&"[".repeat(100_000), "invalid type: sequence"),
            (
                r#"{"/s/a":{"narSize":1,"references":[]},"graph":[]}"#,
                "beside a graph",
            ),
            (&r#"{"graph":"#.repeat(100_000), "recursion limit"),
        ] {
            let error = parse(text.as_bytes()).unwrap_err();
            assert!(error.to_string().contains(said), "{text:.80}: {error}");
            assert!(error.hint().is_some());
        }
    }
}
