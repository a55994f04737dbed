//! The fields in docs/reference/request.md are those that the builder reads.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use regex::Regex;
use serde_json::{Value, json};
use strata_nix::Attrs;

/// A field that is nowhere, before all others in the order in which they are read.
const NOWHERE: &str = "0";

/// What the expression's group captures.
fn captures(text: &str, expression: &str) -> BTreeSet<String> {
    let regex = Regex::new(expression).unwrap();
    let captures = regex.captures_iter(text);
    captures.map(|captures| captures[1].to_owned()).collect()
}

/// A request with a wrong field in the part that the path leads to, as in `request.perms[]`.
fn request(path: &str) -> Value {
    let mut value = json!({ NOWHERE: 1 });
    for step in path
        .split('.')
        .skip(1)
        .collect::<Vec<_>>()
        .into_iter()
        .rev()
    {
        value = match step.strip_suffix("[]") {
            Some(step) => json!({ step: [value] }),
            None => json!({ step: value }),
        };
    }
    value
}

/// The fields that are read there, from the hint about one that is not.
fn fields(mut request: Value) -> BTreeSet<String> {
    request["version"] = json!(1);
    request["storeDir"] = json!("/s");
    let attrs = json!({ "outputs": { "out": "/out" }, "closure": [], "request": request });
    let error = Attrs::parse(attrs.to_string().as_bytes()).unwrap_err();
    assert!(error.to_string().contains(NOWHERE), "{error}");
    captures(&error.hint().unwrap(), "`([^`]+)`")
}

#[test]
fn the_fields_are_those_that_are_read() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/request.md");
    let page = fs::read_to_string(file).unwrap();
    let heading = Regex::new("(?m)^##+ (.+)$").unwrap();
    let headings: Vec<_> = heading.captures_iter(&page).collect();
    assert!(headings.len() >= 15, "{headings:?}");
    let texts = heading.split(&page).skip(1);
    for (heading, text) in headings.iter().zip(texts) {
        let request = match &heading[1] {
            "A layer or an image" => request("request"),
            "An index" => json!({ NOWHERE: 1, "index": {} }),
            "The root of an image of dockerTools" => json!({ NOWHERE: 1, "tree": {} }),
            "A base system" => json!({ NOWHERE: 1, "system": {} }),
            part => request(part.trim_matches('`')),
        };
        let described = captures(text, r"(?m)^\| `([^`]+)` \|");
        assert_eq!(described, fields(request), "{}", &heading[1]);
    }
}
