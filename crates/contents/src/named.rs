//! Which store paths a config names.

use serde_json::Value;
use strata_oci::Config;

use super::found::Named;

/// The longest name of a store path: the hash, a hyphen and 211 characters.
const LONGEST: usize = super::HASH_LENGTH + 1 + 211;

/// The store paths of `store_dir` that the strings of a config name, as far as `is_there` knows them. An argument is
/// `config.Cmd` and the like, with the variable or key where there is one.
pub fn named_by_config(
    config: &Config,
    store_dir: &str,
    is_there: &dyn Fn(&str) -> bool,
) -> Vec<Named> {
    let begin = format!("{store_dir}/");
    let mut named = Vec::new();
    for (key, value) in config {
        visit(&format!("config.{key}"), value, &mut |argument, text| {
            for path in store_paths(text, &begin, is_there) {
                named.push(Named {
                    argument: argument.to_owned(),
                    path: path.to_owned(),
                });
            }
        });
    }
    named.sort();
    named.dedup();
    named
}

/// Shows `visit` all strings of a value, with what users call their place.
fn visit(argument: &str, value: &Value, see: &mut dyn FnMut(&str, &str)) {
    match value {
        Value::String(text) => see(argument, text),
        Value::Array(items) => {
            for item in items {
                let variable = item
                    .as_str()
                    .filter(|_| argument == "config.Env")
                    .and_then(|text| text.split_once('='));
                match variable {
                    Some((name, _)) => visit(&format!("{argument}.{name}"), item, see),
                    None => visit(argument, item, see),
                }
            }
        }
        Value::Object(fields) => {
            for (key, field) in fields {
                see(&format!("{argument}.{key}"), key);
                visit(&format!("{argument}.{key}"), field, see);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// The store paths in a text. A name may end in characters that are a sentence's or an address's, so the longest one
/// counts that is there.
fn store_paths<'a>(text: &'a str, begin: &str, is_there: &dyn Fn(&str) -> bool) -> Vec<&'a str> {
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"+-._?=".contains(&byte);
    let mut found = Vec::new();
    for (at, _) in text.match_indices(begin) {
        let name = &text.as_bytes()[at + begin.len()..];
        let most = name.iter().take(LONGEST).take_while(|byte| is_name(**byte));
        let ends = (super::HASH_LENGTH + 2..=most.count()).rev();
        // Characters of names are bytes.
        let mut paths = ends.map(|end| &text[at..at + begin.len() + end]);
        found.extend(paths.find(|path| is_there(path)));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contents::fixture::path;
    use serde_json::json;

    #[test]
    fn arguments_have_the_names_that_users_write() {
        let (app, data) = (path("app-1"), path("data"));
        let config = json!({
            "Cmd": [format!("{app}/bin/app"), format!("--file={data}.")],
            "Env": [format!("PATH={app}/bin:{app}/sbin"), "PLAIN"],
            "Labels": { "a": format!("see {data}"), "b": 1 },
            "Healthcheck": { "Test": ["CMD", path("gone")] },
            "User": null
        });
        let Value::Object(config) = config else {
            unreachable!()
        };
        let is_there = |path: &str| path == app || path == data;
        let named = named_by_config(&config, "/nix/store", &is_there);
        let named: Vec<(&str, &str)> = named
            .iter()
            .map(|named| (named.argument.as_str(), named.path.as_str()))
            .collect();
        let expected = [
            ("config.Cmd", app.as_str()),
            ("config.Cmd", &data),
            ("config.Env.PATH", &app),
            ("config.Labels.a", &data),
        ];
        let mut expected = expected;
        expected.sort_unstable();
        assert_eq!(named, expected);
    }
}
