//! What an image takes over from the config of its base, as a Dockerfile does after `FROM`
//! (Docker's "Dockerfile reference").

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use strata_error::{Error, Result};
use strata_nix::InheritRequest;
use strata_oci::Config;

/// How a field of the base and one of the image make one.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Merge {
    /// The image's, else the base's.
    Replace,
    /// By the names of variables.
    Variables,
    /// By key.
    Keys,
    /// The image's is below the base's if it is relative.
    Directory,
    /// It belongs to the base's build, or to the container that it was made from.
    Never,
}

/// The fields that a Dockerfile or an engine treats in a way of their own; all others are replaced.
const FIELDS: [(&str, Merge); 24] = [
    ("ArgsEscaped", Merge::Replace),
    ("AttachStderr", Merge::Never),
    ("AttachStdin", Merge::Never),
    ("AttachStdout", Merge::Never),
    ("Cmd", Merge::Replace),
    ("Domainname", Merge::Never),
    ("Entrypoint", Merge::Replace),
    ("Env", Merge::Variables),
    ("ExposedPorts", Merge::Keys),
    ("Healthcheck", Merge::Replace),
    ("Hostname", Merge::Never),
    ("Image", Merge::Never),
    ("Labels", Merge::Keys),
    ("MacAddress", Merge::Never),
    ("NetworkDisabled", Merge::Never),
    ("OnBuild", Merge::Never),
    ("OpenStdin", Merge::Never),
    ("Shell", Merge::Replace),
    ("StdinOnce", Merge::Never),
    ("StopSignal", Merge::Replace),
    ("Tty", Merge::Never),
    ("User", Merge::Replace),
    ("Volumes", Merge::Keys),
    ("WorkingDir", Merge::Directory),
];

/// Which fields are taken over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Inheritance {
    /// All of them.
    All,
    /// These, in the spelling of the specification.
    Only(BTreeSet<String>),
}

impl Inheritance {
    /// Checks the argument `inheritConfig`.
    pub fn check(request: &InheritRequest) -> Result<Self> {
        let names = match request {
            InheritRequest::All(true) => return Ok(Self::All),
            InheritRequest::All(false) => return Ok(Self::Only(BTreeSet::new())),
            InheritRequest::Only(names) => names,
        };
        let field = |(number, name): (usize, &String)| {
            let known = FIELDS
                .iter()
                .filter(|(_, merge)| *merge != Merge::Never)
                .map(|(field, _)| *field);
            let found = known.clone().find(|field| field.eq_ignore_ascii_case(name));
            found.map(str::to_owned).ok_or_else(|| Error::Attribute {
                attribute: format!("inheritConfig[{number}]"),
                message: format!("{name:?} is not a field that images inherit"),
                hint: format!("the fields are {}", known.collect::<Vec<_>>().join(", ")),
            })
        };
        let names = names.iter().enumerate().map(field);
        Ok(Self::Only(names.collect::<Result<_>>()?))
    }

    fn has(&self, name: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(names) => names.contains(name),
        }
    }
}

/// The config of an image that says `own` on top of `base`.
pub fn inherit(base: &Config, own: Config, inheritance: &Inheritance) -> Config {
    let mut config = Config::new();
    for (name, value) in base {
        if merge_of(name) != Merge::Never && inheritance.has(name) && !is_nothing(value) {
            config.insert(name.clone(), value.clone());
        }
    }
    // The base's arguments are for the base's program.
    if own.contains_key("Entrypoint") {
        config.remove("Cmd");
    }
    if own.contains_key("Entrypoint") || own.contains_key("Cmd") {
        config.remove("ArgsEscaped");
    }
    for (name, value) in own {
        let merged = match (merge_of(&name), config.remove(&name)) {
            (Merge::Variables, Some(Value::Array(base))) => variables(base, value),
            (Merge::Keys, Some(Value::Object(base))) => keys(base, value),
            (Merge::Directory, Some(Value::String(base))) => directory(&base, value),
            (Merge::Directory, _) => directory("/", value),
            _ => value,
        };
        config.insert(name, merged);
    }
    config
}

fn merge_of(name: &str) -> Merge {
    let known = FIELDS.iter().find(|(field, _)| *field == name);
    known.map_or(Merge::Replace, |(_, merge)| *merge)
}

/// Docker writes these for what nobody set.
fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(value) => !value,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::Number(_) => false,
    }
}

/// Each variable once: where it is first set, with what it is last set to.
fn variables(base: Vec<Value>, own: Value) -> Value {
    let Value::Array(own) = own else {
        return own;
    };
    let mut all: Vec<Value> = Vec::new();
    let mut places: BTreeMap<String, usize> = BTreeMap::new();
    for variable in base.into_iter().chain(own) {
        let name = name_of(&variable).map(str::to_owned);
        let place = name.as_ref().and_then(|name| places.get(name));
        if let Some(first) = place.and_then(|place| all.get_mut(*place)) {
            *first = variable;
            continue;
        }
        if let Some(name) = name {
            places.insert(name, all.len());
        }
        all.push(variable);
    }
    Value::Array(all)
}

fn name_of(variable: &Value) -> Option<&str> {
    let text = variable.as_str()?;
    Some(text.split_once('=').map_or(text, |(name, _)| name))
}

fn keys(mut base: Map<String, Value>, own: Value) -> Value {
    let Value::Object(own) = own else {
        return own;
    };
    base.extend(own);
    Value::Object(base)
}

/// As `WORKDIR` does: relative to the one before.
fn directory(base: &str, own: Value) -> Value {
    match own {
        Value::String(own) if !own.starts_with('/') => {
            let mut names = Vec::new();
            for name in base.split('/').chain(own.split('/')) {
                match name {
                    "" | "." => {}
                    ".." => {
                        names.pop();
                    }
                    name => names.push(name),
                }
            }
            Value::String(format!("/{}", names.join("/")))
        }
        own => own,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// Row 13 of "Reliability and security": this was quadratic.
    #[test]
    fn a_hundred_thousand_variables_take_no_time() {
        let names = |value: &str| {
            let names = (0..100_000).map(|number| json!(format!("V{number}={value}")));
            names.collect::<Vec<Value>>()
        };
        let merged = variables(names("base"), Value::Array(names("own")));
        assert_eq!(merged, Value::Array(names("own")));
    }

    fn merged(base: &Value, own: &Value, inheritance: &Inheritance) -> Value {
        let object = |value: &Value| value.as_object().cloned().unwrap();
        Value::Object(inherit(&object(base), object(own), inheritance))
    }

    #[test]
    fn each_field_is_merged_in_its_own_way() {
        for (base, own, expected) in [
            (
                json!({ "Env": ["A=1", "B=2", "C"] }),
                json!({ "Env": ["D=4", "B=3", "C=5"] }),
                json!({ "Env": ["A=1", "B=3", "C=5", "D=4"] }),
            ),
            (
                json!({ "Entrypoint": ["e"], "Cmd": ["c"] }),
                json!({ "Entrypoint": ["own"] }),
                json!({ "Entrypoint": ["own"] }),
            ),
            (
                json!({ "Entrypoint": ["e"], "Cmd": ["c"] }),
                json!({ "Cmd": ["own"] }),
                json!({ "Entrypoint": ["e"], "Cmd": ["own"] }),
            ),
            (
                json!({ "Labels": { "a": "1", "b": "2" }, "ExposedPorts": { "1/tcp": {} } }),
                json!({ "Labels": { "b": "3" }, "ExposedPorts": { "2/tcp": {} } }),
                json!({ "Labels": { "a": "1", "b": "3" }, "ExposedPorts": { "1/tcp": {}, "2/tcp": {} } }),
            ),
            (
                json!({ "User": "u", "WorkingDir": "/a", "StopSignal": "1", "StopTimeout": 3 }),
                json!({ "User": "v", "WorkingDir": "b" }),
                json!({ "User": "v", "WorkingDir": "/a/b", "StopSignal": "1", "StopTimeout": 3 }),
            ),
            (
                json!({}),
                json!({ "WorkingDir": "b" }),
                json!({ "WorkingDir": "/b" }),
            ),
            (
                json!({ "OnBuild": ["RUN x"], "Hostname": "h", "Tty": true, "Cmd": [], "User": "" }),
                json!({}),
                json!({}),
            ),
        ] {
            assert_eq!(merged(&base, &own, &Inheritance::All), expected);
        }
    }

    #[test]
    fn fields_are_switched_by_name() {
        let base = json!({ "Env": ["A=1"], "User": "u", "Labels": { "a": "1" } });
        let only = |names: &[&str]| {
            let names = names.iter().map(ToString::to_string).collect();
            Inheritance::check(&InheritRequest::Only(names))
        };
        let some = only(&["env", "Labels"]).unwrap();
        assert_eq!(
            merged(&base, &json!({}), &some),
            json!({ "Env": ["A=1"], "Labels": { "a": "1" } })
        );
        let none = Inheritance::check(&InheritRequest::All(false)).unwrap();
        assert_eq!(
            merged(&base, &json!({ "User": "v" }), &none),
            json!({ "User": "v" })
        );
        let error = only(&["Env", "Environment"]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "attribute inheritConfig[1]: \"Environment\" is not a field that images inherit"
        );
    }
}
