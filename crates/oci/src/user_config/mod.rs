//! The `config` that a user writes: its keys in their own spelling, and what is wrong with it.

mod values;

use serde_json::Value;

use self::values::{Shape, attribute_of, wrong_kind};
use crate::{Config, json};
use strata_error::{Error, Result};

/// A user's `config` whose values the engines take.
#[derive(Clone, Debug, PartialEq)]
pub struct UserConfig {
    /// Known keys in their own spelling, durations in nanoseconds, unknown keys as they are.
    pub config: Config,
    /// What the user should know: each begins with `warning: ` and has a hint.
    pub warnings: Vec<String>,
}

/// The keys of the specification and of Docker (moby image spec) that people write, in their spelling.
const KNOWN: [(&str, Shape); 14] = [
    ("ArgsEscaped", Shape::Boolean),
    ("Cmd", Shape::Texts),
    ("Entrypoint", Shape::Texts),
    ("Env", Shape::Variables),
    ("ExposedPorts", Shape::Ports),
    ("Healthcheck", Shape::HealthCheck),
    ("Labels", Shape::TextMap),
    ("OnBuild", Shape::Texts),
    ("Shell", Shape::Texts),
    ("StopSignal", Shape::Signal),
    ("StopTimeout", Shape::Seconds),
    ("User", Shape::User),
    ("Volumes", Shape::Volumes),
    ("WorkingDir", Shape::Text),
];

/// What old versions of Docker wrote besides. Engines read the types and nothing else (`Schema2Config` of
/// containers/image, `Config` in `api/types/container` of moby). No other key is likely to be meant for one.
const OLD: [(&str, Shape); 14] = [
    ("AttachStderr", Shape::Boolean),
    ("AttachStdin", Shape::Boolean),
    ("AttachStdout", Shape::Boolean),
    ("CpuShares", Shape::Integer),
    ("Domainname", Shape::Text),
    ("Hostname", Shape::Text),
    ("Image", Shape::Text),
    ("MacAddress", Shape::Text),
    ("Memory", Shape::Integer),
    ("MemorySwap", Shape::Integer),
    ("NetworkDisabled", Shape::Boolean),
    ("OpenStdin", Shape::Boolean),
    ("StdinOnce", Shape::Boolean),
    ("Tty", Shape::Boolean),
];

/// The user's `config` with known keys in their own spelling (nix2container's Go reader takes
/// `entrypoint` for `Entrypoint`, so flakes are full of it), nulls dropped, unknown keys kept.
///
/// An error names the attribute whose value no engine takes.
pub fn canonical_user_config(user: &Value) -> Result<UserConfig> {
    let Value::Object(fields) = user else {
        return Err(wrong_kind(
            "config",
            "an attribute set",
            user,
            "write config = { Cmd = [ \"…\" ]; };",
        ));
    };
    if let Some(attribute) = json::find_float(user, "config") {
        return Err(Error::Attribute {
            attribute,
            message: "numbers must be integers".into(),
            hint: "write a duration in quotes, as in \"1.5s\"; Nix prints fractions differently from version to version".into(),
        });
    }
    let mut config = Config::new();
    let mut warnings = Vec::new();
    for (key, value) in fields {
        if value.is_null() {
            continue;
        }
        let known = KNOWN
            .iter()
            .chain(&OLD)
            .find(|(name, _)| name.eq_ignore_ascii_case(key));
        let (name, value) = if let Some((name, shape)) = known {
            let attribute = format!("config.{name}");
            let value = values::check(&attribute, name, value, *shape, &mut warnings)?;
            (*name, value)
        } else {
            unknown(key, &mut warnings)?;
            (key.as_str(), value.clone())
        };
        if config.insert(name.to_owned(), value).is_some() {
            return Err(Error::Attribute {
                attribute: format!("config.{name}"),
                message: "given twice in different spellings".into(),
                hint: format!("keep the one called {name}"),
            });
        }
    }
    Ok(UserConfig { config, warnings })
}

/// Refuses a key that was meant to be another one, and warns of others.
fn unknown(key: &str, warnings: &mut Vec<String>) -> Result<()> {
    let attribute = attribute_of("config", key);
    let names = KNOWN.map(|(name, _)| name);
    if let Some(meant) = values::meant(key, &names) {
        return Err(Error::Attribute {
            attribute,
            message: "no engine knows this".into(),
            hint: format!("did you mean {meant}?"),
        });
    }
    warnings.push(format!(
        "warning: attribute {attribute}: no engine knows this; it is kept\n\
         hint: the keys are {}",
        names.join(", ")
    ));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn known_keys_get_their_spelling_and_unknown_ones_stay() {
        let user = canonical_user_config(&json!({
            "entrypoint": ["/bin/sh"], "ENV": ["A=b"], "x-mine": { "deep": [1] }, "Cmd": null,
            "tty": true
        }));
        let UserConfig { config, warnings } = user.unwrap();
        assert_eq!(
            Value::Object(config),
            json!({
                "Entrypoint": ["/bin/sh"], "Env": ["A=b"], "x-mine": { "deep": [1] }, "Tty": true
            })
        );
        let [warning] = warnings.as_slice() else {
            panic!("{warnings:?}");
        };
        let expected = "warning: attribute config.x-mine: no engine knows this; it is kept\nhint: ";
        assert!(warning.starts_with(expected), "{warning}");
    }

    #[test]
    fn mistakes_name_the_attribute() {
        for (value, message) in [
            (
                json!("Cmd"),
                "config: expected an attribute set, found a string",
            ),
            (
                json!({ "entrypoint": "ls -l" }),
                "config.Entrypoint: expected a list of strings, found a string",
            ),
            (
                json!({ "cmd": ["a"], "Cmd": ["b"] }),
                "config.Cmd: given twice in different spellings",
            ),
            (
                json!({ "Healthcheck": { "Interval": 0.5 } }),
                "config.Healthcheck.Interval: numbers must be integers",
            ),
            (
                json!({ "Entrypiont": ["sh"] }),
                "config.Entrypiont: no engine knows this",
            ),
            (
                json!({ "Cmds": ["sh"] }),
                "config.Cmds: no engine knows this",
            ),
            (
                json!({ "StopTimeot": 3 }),
                "config.StopTimeot: no engine knows this",
            ),
        ] {
            let error = canonical_user_config(&value).unwrap_err();
            assert_eq!(error.to_string(), format!("attribute {message}"));
            assert!(error.hint().is_some());
        }
    }
}
