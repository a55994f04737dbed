//! What Go's programs write and read in JSON: null for an empty list, map or text, and keys in any case.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, de};
use serde_json::{Map, Value};

/// A value, or the default where there is null: for fields with `default`.
pub(super) fn null_is_default<'de, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: Deserialize<'de> + Default,
    D: Deserializer<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// A value that nobody needs: none if it is not of its type.
pub(super) fn if_it_fits<'de, T, D>(deserializer: D) -> Result<Option<T>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Either<T> {
        Fits(T),
        Other(IgnoredAny),
    }
    Ok(match Either::deserialize(deserializer)? {
        Either::Fits(value) => Some(value),
        Either::Other(_) => None,
    })
}

/// Texts by name, as annotations are: what is null or no text is nobody's loss.
pub(super) fn texts<'de, D>(deserializer: D) -> Result<BTreeMap<String, String>, D::Error>
where
    D: Deserializer<'de>,
{
    let values: Option<BTreeMap<String, Value>> = Option::deserialize(deserializer)?;
    let texts = values
        .into_iter()
        .flatten()
        .filter_map(|(name, value)| match value {
            Value::String(text) => Some((name, text)),
            _ => None,
        });
    Ok(texts.collect())
}

/// The fields of an object as Go reads them: those that `names` has in any case, of which the last counts that is
/// there more than once, and of two objects both; no fields where there is null.
pub fn go_object(bytes: &[u8], names: &[&str]) -> serde_json::Result<Map<String, Value>> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let object = GoObject(names).deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(object)
}

/// The same of an object that was read.
pub fn go_fields(object: Map<String, Value>, names: &[&str]) -> Map<String, Value> {
    let mut fields = Map::new();
    for (key, value) in object {
        add_field(&mut fields, key, value, names);
    }
    fields
}

fn add_field(fields: &mut Map<String, Value>, key: String, value: Value, names: &[&str]) {
    let folded = fold(&key);
    let name = names.iter().find(|name| fold(name) == folded);
    let key = name.map_or(key, |name| (*name).to_owned());
    match (fields.get_mut(&key), value) {
        (Some(Value::Object(before)), Value::Object(more)) => before.extend(more),
        (_, value) => {
            fields.insert(key, value);
        }
    }
}

struct GoObject<'a>(&'a [&'a str]);

impl<'de> DeserializeSeed<'de> for GoObject<'_> {
    type Value = Map<String, Value>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for GoObject<'_> {
    type Value = Map<String, Value>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut fields = Map::new();
        while let Some((key, value)) = map.next_entry()? {
            add_field(&mut fields, key, value, self.0);
        }
        Ok(fields)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Map::new())
    }
}

/// A list that may not be there.
#[derive(Debug, Default)]
pub(super) enum FittingItems<T> {
    /// There is no such field.
    #[default]
    Absent,
    /// It is null, as Go writes an empty list.
    Null,
    /// Its items that are of their type; the others are passed over.
    Items(Vec<T>),
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for FittingItems<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fitting<T>(Option<T>);
        impl<'de, T: Deserialize<'de>> Deserialize<'de> for Fitting<T> {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                if_it_fits(deserializer).map(Fitting)
            }
        }
        let items: Option<Vec<Fitting<T>>> = Option::deserialize(deserializer)?;
        Ok(items.map_or(Self::Null, |items| {
            Self::Items(items.into_iter().filter_map(|item| item.0).collect())
        }))
    }
}

/// What may be in a document.
#[derive(Clone, Copy)]
pub(super) enum Shape {
    /// Anything; keys are data.
    Any,
    /// An object whose keys are data, each of which is there once.
    Once,
    /// An object with these keys, and others that nobody knows.
    Object(&'static [(&'static str, Shape)]),
    /// A list of such things.
    List(&'static Shape),
}

/// A descriptor (OCI descriptor.md).
const DESCRIPTOR: Shape = Shape::Object(&[
    ("mediaType", Shape::Any),
    ("digest", Shape::Any),
    ("size", Shape::Any),
    ("urls", Shape::Any),
    ("annotations", Shape::Any),
    ("data", Shape::Any),
    ("artifactType", Shape::Any),
    (
        "platform",
        Shape::Object(&[
            ("architecture", Shape::Any),
            ("os", Shape::Any),
            ("os.version", Shape::Any),
            ("os.features", Shape::Any),
            ("variant", Shape::Any),
        ]),
    ),
]);

/// A manifest or an index.
pub(super) const MANIFEST: Shape = Shape::Object(&[
    ("schemaVersion", Shape::Any),
    ("mediaType", Shape::Any),
    ("artifactType", Shape::Any),
    ("config", DESCRIPTOR),
    ("layers", Shape::List(&DESCRIPTOR)),
    ("manifests", Shape::List(&DESCRIPTOR)),
    ("subject", DESCRIPTOR),
    ("annotations", Shape::Any),
]);

/// A config (OCI config.md), and what Docker adds to it.
pub(super) const CONFIG: Shape = Shape::Object(&[
    ("created", Shape::Any),
    ("author", Shape::Any),
    ("architecture", Shape::Any),
    ("variant", Shape::Any),
    ("os", Shape::Any),
    ("os.version", Shape::Any),
    ("os.features", Shape::Any),
    (
        "config",
        Shape::Object(&[
            ("ArgsEscaped", Shape::Any),
            ("Cmd", Shape::Any),
            ("Entrypoint", Shape::Any),
            ("Env", Shape::Any),
            ("ExposedPorts", Shape::Any),
            ("Healthcheck", Shape::Any),
            ("Labels", Shape::Any),
            ("OnBuild", Shape::Any),
            ("Shell", Shape::Any),
            ("StopSignal", Shape::Any),
            ("StopTimeout", Shape::Any),
            ("User", Shape::Any),
            ("Volumes", Shape::Any),
            ("WorkingDir", Shape::Any),
        ]),
    ),
    (
        "rootfs",
        Shape::Object(&[("type", Shape::Any), ("diff_ids", Shape::Any)]),
    ),
    (
        "history",
        Shape::List(&Shape::Object(&[
            ("created", Shape::Any),
            ("created_by", Shape::Any),
            ("author", Shape::Any),
            ("comment", Shape::Any),
            ("empty_layer", Shape::Any),
        ])),
    ),
]);

/// A lock file of Strata's (docs/internals/formats.md), whose platforms are data.
pub(super) const LOCK: Shape = Shape::Object(&[
    ("version", Shape::Any),
    ("name", Shape::Any),
    ("tag", Shape::Any),
    ("index", DESCRIPTOR),
    ("platforms", Shape::Once),
]);

/// The list in a Docker archive.
pub(super) const DOCKER_ARCHIVE: Shape = Shape::List(&Shape::Object(&[
    ("Config", Shape::Any),
    ("RepoTags", Shape::Any),
    ("Layers", Shape::Any),
    ("Parent", Shape::Any),
    ("LayerSources", Shape::Any),
]));

/// Refuses a document with a known key twice or in another case than its own. Go takes both for the key,
/// and the last one counts; other programs see another image in it.
pub(super) fn check_keys(bytes: &[u8], shape: Shape) -> Result<(), String> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let result = shape.deserialize(&mut deserializer);
    result.map_err(|error| error.to_string())
}

impl<'de> DeserializeSeed<'de> for Shape {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        match self {
            Self::Any => IgnoredAny::deserialize(deserializer).map(|_| ()),
            shape => deserializer.deserialize_any(Keys(shape)),
        }
    }
}

/// Looks at the keys of what has this shape; whatever has another is not looked at.
struct Keys(Shape);

impl<'de> Visitor<'de> for Keys {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let known = match self.0 {
            Shape::Object(known) => known,
            Shape::Any | Shape::Once | Shape::List(_) => &[],
        };
        let mut found = BTreeSet::new();
        let mut data = BTreeSet::new();
        while let Some(key) = map.next_key::<String>()? {
            if matches!(self.0, Shape::Once) && !data.insert(key.clone()) {
                return Err(de::Error::custom(format!("{key:?} is there twice")));
            }
            let folded = fold(&key);
            let Some((name, shape)) = known.iter().find(|(name, _)| fold(name) == folded) else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            if key != *name {
                return Err(de::Error::custom(format!("{key:?} is written {name:?}")));
            }
            if !found.insert(name) {
                return Err(de::Error::custom(format!("{name:?} is there twice")));
            }
            map.next_value_seed(*shape)?;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let shape = match self.0 {
            Shape::List(shape) => *shape,
            Shape::Any | Shape::Once | Shape::Object(_) => Shape::Any,
        };
        while list.next_element_seed(shape)?.is_some() {}
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

/// A key as Go compares it: without case, where signs that look like `k` and `s` are these.
fn fold(key: &str) -> String {
    key.to_uppercase().to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Kind "Strangers' documents": files of credentials, tokens and answers of helpers.
    #[test]
    fn objects_are_read_as_go_reads_them() {
        for (document, expected) in [
            ("null", "{}"),
            (
                r#"{"Token":"a","x":1,"X":2}"#,
                r#"{"token":"a","x":1,"X":2}"#,
            ),
            (r#"{"token":"a","TOKEN":"b"}"#, r#"{"token":"b"}"#),
            (
                r#"{"token":{"a":1,"b":1},"token":{"b":2}}"#,
                r#"{"token":{"a":1,"b":2}}"#,
            ),
            (r#"{"token":{"a":1},"token":null}"#, r#"{"token":null}"#),
        ] {
            let expected: Map<String, Value> = serde_json::from_str(expected).unwrap();
            let object = go_object(document.as_bytes(), &["token"]).unwrap();
            assert_eq!(object, expected, "{document}");
        }
        for document in ["", "[]", "7", r#"{"a":1"#, "{} {}"] {
            assert!(go_object(document.as_bytes(), &[]).is_err(), "{document}");
        }
    }

    #[test]
    fn keys_are_there_once_and_as_they_are_written() {
        for (document, shape, message) in [
            (
                r#"{"layers":[{"digest":"x","annotations":{"a":"1","A":"2"}}],"x":1,"X":2}"#,
                MANIFEST,
                None,
            ),
            (
                r#"{"layers":[],"Layers":[]}"#,
                MANIFEST,
                Some("\"Layers\" is written \"layers\""),
            ),
            (
                r#"{"Layers":[]}"#,
                MANIFEST,
                Some("\"Layers\" is written \"layers\""),
            ),
            (
                r#"{"layer\u017f":[]}"#,
                MANIFEST,
                Some("is written \"layers\""),
            ),
            (
                r#"{"layers":[],"layers":[]}"#,
                MANIFEST,
                Some("\"layers\" is there twice"),
            ),
            (
                r#"{"layers":[{"digest":"x","digest":"y"}]}"#,
                MANIFEST,
                Some("\"digest\" is there twice"),
            ),
            (
                r#"{"manifests":[{"platform":{"OS":"linux"}}]}"#,
                MANIFEST,
                Some("\"OS\" is written \"os\""),
            ),
            (
                r#"{"config":{"cmd":["a"],"Cmd":null}}"#,
                CONFIG,
                Some("\"cmd\" is written \"Cmd\""),
            ),
            (
                r#"{"config":{"Labels":{"a":"1","A":"2"}},"history":null}"#,
                CONFIG,
                None,
            ),
            (
                r#"{"config":{"\u212Aey":1},"rootfs":{"type":"layers","DIFF_IDS":[]}}"#,
                CONFIG,
                Some("DIFF_IDS"),
            ),
            (
                r#"{"history":[{"created":"x","created":"y"}]}"#,
                CONFIG,
                Some("twice"),
            ),
            (
                r#"[{"Config":"a","config":"b"}]"#,
                DOCKER_ARCHIVE,
                Some("\"config\" is written \"Config\""),
            ),
            ("[1, \"a\", null, true, 1.5, -1, {}]", DOCKER_ARCHIVE, None),
        ] {
            let result = check_keys(document.as_bytes(), shape);
            match message {
                None => assert_eq!(result, Ok(()), "{document}"),
                Some(message) => {
                    let error = result.unwrap_err();
                    assert!(error.contains(message), "{document}: {error}");
                }
            }
        }
    }
}
