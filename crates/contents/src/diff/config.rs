//! What a container starts with, and what is said of the image.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

/// A field that differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldChange {
    /// Which, as users write it: `config.Env.PATH`.
    pub field: String,
    /// What the old image has there.
    pub old: Option<Value>,
    /// What the new image has there.
    pub new: Option<Value>,
}

/// The fields of two configs that differ: variables and keys of objects each on its own. What else is said of an
/// image may be in them under names of its own.
pub fn configs(old: &Map<String, Value>, new: &Map<String, Value>) -> Vec<FieldChange> {
    let (old, new) = (flat(old), flat(new));
    let fields: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let changed = fields.into_iter().filter_map(|field| {
        let (before, after) = (old.get(field), new.get(field));
        (before != after).then(|| FieldChange {
            field: field.clone(),
            old: before.cloned(),
            new: after.cloned(),
        })
    });
    changed.collect()
}

/// The fields by the names that users write.
fn flat(fields: &Map<String, Value>) -> BTreeMap<String, Value> {
    let mut flat = BTreeMap::new();
    for (name, value) in fields {
        add(name, value, &mut flat);
    }
    flat
}

fn add(name: &str, value: &Value, flat: &mut BTreeMap<String, Value>) {
    match value {
        Value::Null => {}
        Value::Object(fields) if !fields.is_empty() => {
            for (key, field) in fields {
                add(&format!("{name}.{key}"), field, flat);
            }
        }
        Value::Array(items) if name == "config.Env" => {
            for item in items {
                let text = item.as_str().unwrap_or_default();
                let (variable, value) = text.split_once('=').unwrap_or((text, ""));
                flat.insert(format!("{name}.{variable}"), value.into());
            }
        }
        value => {
            flat.insert(name.to_owned(), value.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn fields_have_the_names_that_users_write() {
        let map = |value: Value| match value {
            Value::Object(map) => map,
            _ => unreachable!(),
        };
        let old = map(json!({ "config": {
            "Env": ["A=1", "B=2"], "Cmd": ["x"], "Labels": { "a": "1" }, "User": "app", "Volumes": { "/v": {} }
        }}));
        let new = map(json!({ "config": {
            "Env": ["B=2", "A=2"], "Cmd": ["x", "y"], "Labels": { "a": "1", "b": "2" }, "Volumes": { "/v": {} }
        }}));
        let changes = configs(&old, &new);
        let fields: Vec<&str> = changes.iter().map(|change| change.field.as_str()).collect();
        let expected = [
            "config.Cmd",
            "config.Env.A",
            "config.Labels.b",
            "config.User",
        ];
        assert_eq!(fields, expected);
        assert_eq!(changes[1].old, Some("1".into()));
        assert_eq!(changes[3].new, None);
    }
}
