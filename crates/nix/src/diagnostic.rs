//! What serde says of a value that does not fit, in the words of those who write Nix.

/// What is wrong with an attribute.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Diagnostic {
    /// The attribute inside it that is missing.
    pub(super) missing: Option<String>,
    pub(super) message: String,
    pub(super) hint: String,
}

/// Where the arguments are explained.
const DOCUMENTED: &str = "the arguments and their types are in the documentation of the function";

/// Translates a message of serde; one that it does not know stays as it is.
pub(super) fn explain(message: &str) -> Diagnostic {
    let diagnostic = |message: String, hint: &str| Diagnostic {
        missing: None,
        message,
        hint: hint.to_owned(),
    };
    if let Some(name) = message.strip_prefix("missing field ") {
        return Diagnostic {
            missing: Some(unquoted(name).to_owned()),
            ..diagnostic("is missing".to_owned(), DOCUMENTED)
        };
    }
    let Some((found, expected)) = message.split_once(", expected ") else {
        return diagnostic(message.to_owned(), DOCUMENTED);
    };
    if found.starts_with("unknown field ") {
        let hint = format!("write one of {}", expected.trim_start_matches("one of "));
        return diagnostic("is not an attribute of this".to_owned(), &hint);
    }
    if let Some(word) = found.strip_prefix("unknown variant ") {
        let hint = format!("write {expected}");
        return diagnostic(format!("{:?} is not known", unquoted(word)), &hint);
    }
    let Some(found) = found
        .strip_prefix("invalid type: ")
        .or_else(|| found.strip_prefix("invalid value: "))
    else {
        return diagnostic(message.to_owned(), DOCUMENTED);
    };
    let is_number = |name: &str| name.len() <= 4 && name.starts_with(['u', 'i']);
    let (expected, hint) = match expected {
        "a string" if found.starts_with("sequence") => ("a string", "write it without brackets"),
        "a string" => ("a string", "write it in quotes"),
        "a boolean" => ("true or false", "write it without quotes"),
        "a sequence" => ("a list", "write it in brackets, as in [ \"…\" ]"),
        name if is_number(name) && found.starts_with("string") => {
            ("a number", "write it without quotes")
        }
        name if is_number(name) && found.starts_with("integer `-") => {
            ("a number that is not negative", DOCUMENTED)
        }
        name if is_number(name) => ("a whole number", DOCUMENTED),
        "a map" => ("an attribute set", "write { … }"),
        name if name.starts_with("struct ") => ("an attribute set", "write { … }"),
        other => (other, DOCUMENTED),
    };
    diagnostic(format!("expected {expected}, found {}", kind(found)), hint)
}

/// What was found, as in `string "5"`.
fn kind(found: &str) -> String {
    let (kind, value) = found.split_once(' ').unwrap_or((found, ""));
    match (kind, value) {
        ("string", value) => format!("the string {value}"),
        ("integer", value) => format!("the number {}", unquoted(value)),
        ("floating", value) => format!(
            "the number {}",
            unquoted(value.trim_start_matches("point "))
        ),
        ("boolean", value) => unquoted(value).to_owned(),
        ("sequence", _) => "a list".to_owned(),
        ("map", _) => "an attribute set".to_owned(),
        _ => found.to_owned(),
    }
}

fn unquoted(text: &str) -> &str {
    text.trim_matches('`')
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;
    use serde::de::DeserializeOwned;
    use serde_json::{Value, json};

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Fields {
        #[expect(dead_code, reason = "only read")]
        uid: u64,
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "camelCase")]
    enum Word {
        Popularity,
    }

    fn explained<T: DeserializeOwned + std::fmt::Debug>(value: Value) -> (String, String) {
        let error = serde_json::from_value::<T>(value).unwrap_err();
        let Diagnostic {
            missing,
            message,
            hint,
        } = explain(&error.to_string());
        let message = missing.map_or(message.clone(), |name| format!("{name} {message}"));
        (message, hint)
    }

    #[test]
    fn serde_speaks_nix() {
        type Map = BTreeMap<String, String>;
        for ((message, hint), expected, way_out) in [
            (
                explained::<u64>(json!("5")),
                "expected a number, found the string \"5\"",
                "without quotes",
            ),
            (
                explained::<u64>(json!(1.5)),
                "expected a whole number, found the number 1.5",
                "",
            ),
            (
                explained::<u64>(json!(-1)),
                "expected a number that is not negative, found the number -1",
                "",
            ),
            (
                explained::<String>(json!(755)),
                "expected a string, found the number 755",
                "in quotes",
            ),
            (
                explained::<String>(json!(["a"])),
                "expected a string, found a list",
                "without brackets",
            ),
            (
                explained::<String>(json!(null)),
                "expected a string, found null",
                "in quotes",
            ),
            (
                explained::<bool>(json!("true")),
                "expected true or false, found the string \"true\"",
                "without quotes",
            ),
            (
                explained::<Vec<String>>(json!("/x")),
                "expected a list, found the string \"/x\"",
                "in brackets",
            ),
            (
                explained::<Map>(json!(true)),
                "expected an attribute set, found true",
                "{ … }",
            ),
            (
                explained::<Map>(json!([])),
                "expected an attribute set, found a list",
                "{ … }",
            ),
            (
                explained::<Fields>(json!("x")),
                "expected an attribute set, found the string \"x\"",
                "{ … }",
            ),
            (explained::<Fields>(json!({})), "uid is missing", ""),
            (
                explained::<Fields>(json!({ "user": 1 })),
                "is not an attribute of this",
                "write one of `uid`",
            ),
            (
                explained::<Word>(json!("magic")),
                "\"magic\" is not known",
                "write `popularity`",
            ),
        ] {
            assert_eq!(message, expected);
            assert!(hint.contains(way_out), "{expected}: {hint}");
        }
        assert_eq!(explain("something new").message, "something new");
    }
}
