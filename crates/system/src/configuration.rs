//! Files of `/etc` that are made from attribute sets, and one that is always the same.

use std::collections::BTreeMap;

use serde_json::Value;

use super::argument::{error, field};
use strata_error::Result;

/// `/etc/nsswitch.conf` (`nsswitch.conf(5)`): everything is in files, hosts also in the DNS.
pub(super) const NSSWITCH: &str = "\
passwd: files
group: files
shadow: files
gshadow: files
hosts: files dns
networks: files
services: files
protocols: files
";

type Settings = BTreeMap<String, Value>;

/// `/etc/nix/nix.conf` (`nix.conf(5)`).
pub(super) fn nix_conf(settings: &Settings) -> Result<String> {
    let line = |(key, value): (&String, &Value)| {
        let attribute = field("nixConf", key);
        check_nix_key(&attribute, key)?;
        let text = match value {
            Value::Array(items) => nix_list(&attribute, items)?,
            value => scalar(&attribute, value)?,
        };
        // Nix cuts every line at the first one, also inside a value.
        if text.contains('#') {
            let hint = "leave it out: nix.conf has no way to write one";
            return Err(error(
                &attribute,
                "has a # in it, which begins a comment",
                hint,
            ));
        }
        Ok(format!("{key} = {text}\n"))
    };
    settings.iter().map(line).collect()
}

fn check_nix_key(attribute: &str, key: &str) -> Result<()> {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if key == "include" {
        let hint = "put the settings of the other file into nixConf";
        return Err(error(attribute, "is not a setting", hint));
    }
    if key.is_empty() || !key.bytes().all(fits) {
        let hint = "settings of Nix are named with a-z, 0-9 and -, as in extra-substituters";
        return Err(error(attribute, format!("{key:?} is not a setting"), hint));
    }
    Ok(())
}

/// The elements, between spaces.
fn nix_list(attribute: &str, items: &[Value]) -> Result<String> {
    let item = |(number, item): (usize, &Value)| {
        let attribute = format!("{attribute}[{number}]");
        let text = scalar(&attribute, item)?;
        if text.is_empty() || text.contains(char::is_whitespace) {
            let message = format!("{text:?} is not one word");
            return Err(error(&attribute, message, "make one element of each word"));
        }
        Ok(text)
    };
    let items = items.iter().enumerate().map(item);
    Ok(items.collect::<Result<Vec<_>>>()?.join(" "))
}

/// `/etc/os-release` (`os-release(5)`): assignments that a shell can read.
pub(super) fn os_release(variables: &Settings) -> Result<String> {
    let line = |(key, value): (&String, &Value)| {
        let attribute = field("osRelease", key);
        check_upper_key(&attribute, key)?;
        Ok(format!(
            "{key}={}\n",
            shell_quote(&scalar(&attribute, value)?)
        ))
    };
    variables.iter().map(line).collect()
}

/// `/etc/login.defs` (`login.defs(5)`).
pub(super) fn login_defs(settings: &Settings) -> Result<String> {
    let line = |(key, value): (&String, &Value)| {
        let attribute = field("loginDefs", key);
        check_upper_key(&attribute, key)?;
        let text = match value {
            Value::Bool(true) => "yes".to_owned(),
            Value::Bool(false) => "no".to_owned(),
            value => scalar(&attribute, value)?,
        };
        Ok(format!("{key} {text}\n"))
    };
    settings.iter().map(line).collect()
}

fn check_upper_key(attribute: &str, key: &str) -> Result<()> {
    let fits = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
    if key.starts_with(|letter: char| letter.is_ascii_uppercase()) && key.bytes().all(fits) {
        return Ok(());
    }
    let hint = "names have A-Z, 0-9 and _, and begin with a letter, as in PRETTY_NAME";
    Err(error(attribute, format!("{key:?} is not a name"), hint))
}

/// A value that takes no more than its line.
fn scalar(attribute: &str, value: &Value) -> Result<String> {
    let hint = "give a string, an integer or a boolean; in nixConf also a list of them";
    match value {
        Value::String(text) if text.contains(['\n', '\r', '\0']) => Err(error(
            attribute,
            format!("{text:?} has a line break or null character in it"),
            "write it on one line",
        )),
        Value::String(text) => Ok(text.clone()),
        Value::Bool(value) => Ok(value.to_string()),
        Value::Number(number) if number.is_i64() || number.is_u64() => Ok(number.to_string()),
        Value::Number(number) => Err(error(
            attribute,
            format!("{number} is not an integer"),
            "write it as a string",
        )),
        Value::Null => Err(error(attribute, "is null", hint)),
        Value::Array(_) => Err(error(attribute, "is a list", hint)),
        Value::Object(_) => Err(error(attribute, "is an attribute set", hint)),
    }
}

/// As it is if it is letters and digits, else in double quotes.
fn shell_quote(text: &str) -> String {
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return text.to_owned();
    }
    let mut quoted = String::from('"');
    for letter in text.chars() {
        if "\"$\\`".contains(letter) {
            quoted.push('\\');
        }
        quoted.push(letter);
    }
    quoted + "\""
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;
    use std::process::Command;

    fn settings(value: Value) -> Settings {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn nix_conf_has_all_kinds_of_values() {
        let text = nix_conf(&settings(json!({
            "substituters": ["https://a", "https://b"], "sandbox": false, "max-jobs": 4,
            "extra-platforms": [], "build-users-group": "nixbld", "cores": [0, true], "empty": "",
        })));
        let expected = "build-users-group = nixbld\ncores = 0 true\nempty = \nextra-platforms = \n\
                        max-jobs = 4\nsandbox = false\nsubstituters = https://a https://b\n";
        assert_eq!(text.unwrap(), expected);
    }

    #[test]
    fn mistakes_name_the_setting() {
        for (value, message) in [
            (
                json!({ "a": "x\ny" }),
                "nixConf.a: \"x\\ny\" has a line break or null character in it",
            ),
            (
                json!({ "a": ["x", "y z"] }),
                "nixConf.a[1]: \"y z\" is not one word",
            ),
            (json!({ "a": [""] }), "nixConf.a[0]: \"\" is not one word"),
            (json!({ "a": [["x"]] }), "nixConf.a[0]: is a list"),
            (json!({ "a": [1.5] }), "nixConf.a[0]: 1.5 is not an integer"),
            (json!({ "a": 1.0 }), "nixConf.a: 1.0 is not an integer"),
            (json!({ "a": null }), "nixConf.a: is null"),
            (json!({ "a": {} }), "nixConf.a: is an attribute set"),
            (
                json!({ "a": "x#y" }),
                "nixConf.a: has a # in it, which begins a comment",
            ),
            (
                json!({ "A b": 1 }),
                "nixConf.\"A b\": \"A b\" is not a setting",
            ),
            (json!({ "": 1 }), "nixConf.\"\": \"\" is not a setting"),
            (
                json!({ "include": "/x" }),
                "nixConf.include: is not a setting",
            ),
        ] {
            let error = nix_conf(&settings(value)).unwrap_err();
            assert_eq!(error.to_string(), format!("attribute {message}"));
        }
        for key in ["", "id", "1A", "A-B", "_A", "A=B"] {
            let value = settings(json!({ key: "x" }));
            assert!(
                os_release(&value).is_err() && login_defs(&value).is_err(),
                "{key}"
            );
        }
    }

    #[test]
    fn other_files() {
        let text = os_release(&settings(
            json!({ "ID": "strata", "NAME": "A \"B\"", "N": 1, "E": "" }),
        ));
        assert_eq!(
            text.unwrap(),
            "E=\"\"\nID=strata\nN=1\nNAME=\"A \\\"B\\\"\"\n"
        );
        let text = login_defs(&settings(
            json!({ "UMASK": "077", "USERGROUPS_ENAB": true, "UID_MIN": 1 }),
        ));
        assert_eq!(text.unwrap(), "UID_MIN 1\nUMASK 077\nUSERGROUPS_ENAB yes\n");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn a_shell_reads_os_release(value in "[ -~é]{0,12}") {
            let text = os_release(&settings(json!({ "NAME": value }))).unwrap();
            let script = format!("{text}printf %s \"$NAME\"");
            let output = Command::new("sh").args(["-c", &script]).output().unwrap();
            prop_assert_eq!(String::from_utf8(output.stdout).unwrap(), value);
        }
    }
}
