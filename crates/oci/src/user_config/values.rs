//! The values of known keys of a user's `config`: what engines load and run, and nothing else.
//!
//! Sources: config.md of the OCI image specification; `api/types/container` and `daemon/container.go` of
//! moby; `manifest/schema2.go` of containers/image; `libcontainer` of runc.

use serde_json::{Map, Value};

use strata_error::{Error, Result};

/// What the value of a known key must be.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    Boolean,
    Integer,
    Text,
    Texts,
    TextMap,
    /// `NAME=value`.
    Variables,
    /// A set of `80/tcp`.
    Ports,
    /// A set of absolute paths.
    Volumes,
    /// A signal's name or number, in a string.
    Signal,
    /// A number of seconds, or -1.
    Seconds,
    /// `USER[:GROUP]`, names or numbers.
    User,
    /// The object of moby's `HealthcheckConfig`.
    HealthCheck,
    /// The words of a health check.
    Test,
    /// Nanoseconds, or a text such as `30s`.
    Duration,
    /// A number of times.
    Count,
}

/// The keys of a health check (moby image spec 1.3).
const HEALTH_CHECK: [(&str, Shape); 6] = [
    ("Interval", Shape::Duration),
    ("Retries", Shape::Count),
    ("StartInterval", Shape::Duration),
    ("StartPeriod", Shape::Duration),
    ("Test", Shape::Test),
    ("Timeout", Shape::Duration),
];

/// The value for the document, when `value` is what the known key `key` must have. What engines pass over
/// is told in `warnings`.
pub(super) fn check(
    attribute: &str,
    key: &str,
    value: &Value,
    shape: Shape,
    warnings: &mut Vec<String>,
) -> Result<Value> {
    let hint = hint(key, shape);
    let refuse = |message: String| refused(attribute, message, hint);
    match shape {
        Shape::Boolean => expect(value.is_boolean(), attribute, "true or false", value, hint)?,
        Shape::Integer => integer(attribute, value, i64::MIN, hint)?,
        Shape::Seconds => integer(attribute, value, -1, hint)?,
        Shape::Count => integer(attribute, value, 0, hint)?,
        Shape::Duration => return duration(attribute, value),
        Shape::Text => {
            text(attribute, value, hint)?;
        }
        Shape::Signal => {
            let text = text(attribute, value, hint)?;
            if !text.is_empty() && !is_signal(text) {
                return Err(refuse(format!("{text:?} is not a signal of Linux")));
            }
        }
        Shape::User => {
            let text = text(attribute, value, hint)?;
            if let Some(number) = text.split(':').find(|part| is_no_account(part)) {
                return Err(refuse(format!(
                    "{number} is not the number of a user or group"
                )));
            }
        }
        Shape::Texts => {
            texts(attribute, value, hint)?;
        }
        Shape::Variables => {
            for (number, text) in texts(attribute, value, hint)?.into_iter().enumerate() {
                let attribute = format!("{attribute}[{number}]");
                let message = match text.split_once('=') {
                    None => "has no value",
                    Some(("", _)) => "has no name",
                    Some(_) if text.contains('\0') => "has a null character in it",
                    Some(_) => continue,
                };
                return Err(refused(&attribute, format!("{text:?} {message}"), hint));
            }
        }
        Shape::Test => test(attribute, value, hint)?,
        Shape::TextMap => {
            for (name, item) in object(attribute, value, hint)? {
                expect(
                    item.is_string(),
                    &quoted(attribute, name),
                    "a string",
                    item,
                    hint,
                )?;
            }
        }
        Shape::Ports | Shape::Volumes => {
            for (name, item) in object(attribute, value, hint)? {
                let attribute = quoted(attribute, name);
                expect(item.is_object(), &attribute, "an empty set", item, hint)?;
                let (fits, what) = match shape {
                    Shape::Ports => (is_port(name), "is not a port"),
                    _ => (is_place(name), "is not the absolute path of a directory"),
                };
                if !fits {
                    return Err(refused(&attribute, what.to_owned(), hint));
                }
            }
        }
        Shape::HealthCheck => return health_check(attribute, value, warnings),
    }
    Ok(value.clone())
}

fn health_check(attribute: &str, value: &Value, warnings: &mut Vec<String>) -> Result<Value> {
    let mut checked = Map::new();
    for (key, value) in object(attribute, value, hint("Healthcheck", Shape::HealthCheck))? {
        if value.is_null() {
            continue;
        }
        // Go's decoder takes any spelling, also here.
        let known = HEALTH_CHECK
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(key));
        let (name, value) = if let Some((name, shape)) = known {
            let attribute = format!("{attribute}.{name}");
            (*name, check(&attribute, name, value, *shape, warnings)?)
        } else {
            let names = HEALTH_CHECK.map(|(name, _)| name);
            let hint = match meant(key, &names) {
                Some(meant) => format!("did you mean {meant}?"),
                None => format!("the keys are {}", names.join(", ")),
            };
            warnings.push(format!(
                "warning: attribute {}: no engine knows this; it is kept\nhint: {hint}",
                attribute_of(attribute, key)
            ));
            (key.as_str(), value.clone())
        };
        if checked.insert(name.to_owned(), value).is_some() {
            return Err(refused(
                &format!("{attribute}.{name}"),
                "given twice in different spellings".to_owned(),
                &format!("keep the one called {name}"),
            ));
        }
    }
    Ok(Value::Object(checked))
}

/// The first word says how the others are run (`getProbe` in `daemon/health.go` of moby).
fn test(attribute: &str, value: &Value, hint: &str) -> Result<()> {
    let words = texts(attribute, value, hint)?;
    let message = match words.as_slice() {
        // The first is the base's, the second none at all.
        [] | ["NONE"] | ["CMD", _, ..] | ["CMD-SHELL", _] => return Ok(()),
        ["NONE", ..] => "has words after NONE".to_owned(),
        ["CMD" | "CMD-SHELL"] => "has nothing to run".to_owned(),
        ["CMD-SHELL", ..] => "has more than one string for the shell".to_owned(),
        [first, ..] => format!("begins with {first:?} in place of CMD, CMD-SHELL or NONE"),
    };
    Err(refused(attribute, message, hint))
}

/// Docker refuses to start what has a shorter duration but none (`validateHealthCheck` in
/// `daemon/container.go` of moby).
const SHORTEST: i64 = 1_000_000;

/// The nanoseconds of a duration.
fn duration(attribute: &str, value: &Value) -> Result<Value> {
    let hint = hint("", Shape::Duration);
    let nanoseconds = match value {
        Value::Number(number) => number
            .as_i64()
            .ok_or_else(|| refused(attribute, format!("{number} is too large"), hint))?,
        Value::String(text) => nanoseconds(text)
            .ok_or_else(|| refused(attribute, format!("{text:?} is not a duration"), hint))?,
        other => return Err(wrong_kind(attribute, "a duration", other, hint)),
    };
    if nanoseconds != 0 && nanoseconds < SHORTEST {
        let message = format!("{value} is less than a millisecond, which Docker refuses");
        let hint = "a number is in nanoseconds; write seconds as in \"30s\"";
        return Err(refused(attribute, message, hint));
    }
    Ok(nanoseconds.into())
}

/// The units of Go's `time.ParseDuration`, in nanoseconds. Those that end like others come first.
const UNITS: [(&str, i128); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("μs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

/// Reads a duration as Go's `time.ParseDuration`, but no negative one.
fn nanoseconds(text: &str) -> Option<i64> {
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest == "0" {
        return Some(0);
    }
    let mut total: i128 = 0;
    loop {
        let number = rest.find(|letter: char| !letter.is_ascii_digit() && letter != '.')?;
        let (digits, after) = rest.split_at(number);
        let unit = after
            .find(|letter: char| letter.is_ascii_digit() || letter == '.')
            .unwrap_or(after.len());
        let (unit, after) = after.split_at(unit);
        let (_, factor) = UNITS.iter().find(|(name, _)| *name == unit)?;
        total = total.checked_add(amount(digits, *factor)?)?;
        rest = after;
        if rest.is_empty() {
            return i64::try_from(total).ok();
        }
    }
}

/// `digits`, which may have one point, times `factor`, rounded down.
fn amount(digits: &str, factor: i128) -> Option<i128> {
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
        return None;
    }
    let parse = |text: &str| match text {
        "" => Some(0),
        text => text.parse::<i128>().ok(),
    };
    // More places than nanoseconds have say nothing.
    let fraction = fraction.get(..fraction.len().min(18))?;
    let places = u32::try_from(fraction.len()).ok()?;
    let below = parse(fraction)?.checked_mul(factor)? / 10_i128.pow(places);
    parse(whole)?.checked_mul(factor)?.checked_add(below)
}

/// The names of Linux' signals without `SIG` (`signal_linux.go` of moby/sys).
const SIGNALS: [&str; 36] = [
    "ABRT", "ALRM", "BUS", "CHLD", "CLD", "CONT", "FPE", "HUP", "ILL", "INT", "IO", "IOT", "KILL",
    "PIPE", "POLL", "PROF", "PWR", "QUIT", "RTMAX", "RTMIN", "SEGV", "STKFLT", "STOP", "SYS",
    "TERM", "TRAP", "TSTP", "TTIN", "TTOU", "URG", "USR1", "USR2", "VTALRM", "WINCH", "XCPU",
    "XFSZ",
];

/// Docker and podman take names in any case, with or without `SIG`, and numbers.
fn is_signal(text: &str) -> bool {
    if let Ok(number) = text.parse::<u8>() {
        return (1..=64).contains(&number);
    }
    let name = text.to_ascii_uppercase();
    let name = name.strip_prefix("SIG").unwrap_or(&name);
    let is_near = |number: &str, most| {
        number
            .parse()
            .is_ok_and(|number: u8| (1..=most).contains(&number))
    };
    SIGNALS.contains(&name)
        || name
            .strip_prefix("RTMIN+")
            .is_some_and(|number| is_near(number, 15))
        || name
            .strip_prefix("RTMAX-")
            .is_some_and(|number| is_near(number, 14))
}

/// `PORT[-PORT][/PROTOCOL]` (`ParsePortSpec` of docker/go-connections).
fn is_port(text: &str) -> bool {
    let (ports, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let protocol = protocol.to_ascii_lowercase();
    let port = |text: &str| {
        let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<u16>()
            .ok()
            .filter(|port| is_number && *port > 0)
    };
    let is_range = match ports.split_once('-') {
        Some((first, last)) => port(first).is_some() && port(first) <= port(last),
        None => port(ports).is_some(),
    };
    is_range && matches!(protocol.as_str(), "tcp" | "udp" | "sctp")
}

/// Podman refuses relative ones, both refuse `/`.
fn is_place(text: &str) -> bool {
    text.starts_with('/')
        && text.split('/').any(|name| !matches!(name, "" | "." | ".."))
        && !text.contains('\0')
}

/// Whether it is a number, but not one of a user or group (`user.go` of moby/sys takes 31 bits).
fn is_no_account(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number && !text.parse::<i32>().is_ok_and(|number| number >= 0)
}

/// How a known key is written.
fn hint(key: &str, shape: Shape) -> &'static str {
    match shape {
        Shape::Boolean => "write it without quotes",
        Shape::Integer | Shape::Count => "write the number without quotes",
        Shape::Seconds => "write the seconds without quotes, as in StopTimeout = 10;",
        Shape::Text if key == "WorkingDir" => "write an absolute path in quotes, as in \"/app\"",
        Shape::Text => "write it in quotes",
        Shape::Signal => "write a name or a number in quotes, as in \"SIGTERM\" or \"15\"",
        Shape::User => "write it in quotes, as in \"1000\", \"1000:100\" or \"app\"",
        Shape::Texts => "write each word as a string of its own: [ \"ls\" \"-l\" ]",
        Shape::TextMap => "write { key = \"value\"; }",
        Shape::Variables => "write [ \"NAME=value\" ]",
        Shape::Ports => "write { \"80/tcp\" = { }; }",
        Shape::Volumes => "write { \"/data\" = { }; }",
        Shape::HealthCheck => {
            "write { Test = [ \"CMD\" \"curl\" \"-f\" \"http://localhost/\" ]; Interval = \"30s\"; }"
        }
        Shape::Test => {
            "write [ \"CMD\" \"curl\" \"-f\" \"http://localhost/\" ], [ \"CMD-SHELL\" \"curl -f http://localhost/ || exit 1\" ] or [ \"NONE\" ]"
        }
        Shape::Duration => "write it as in \"30s\", \"1m30s\" or \"500ms\"",
    }
}

fn text<'a>(attribute: &str, value: &'a Value, hint: &str) -> Result<&'a str> {
    value
        .as_str()
        .ok_or_else(|| wrong_kind(attribute, "a string", value, hint))
}

fn texts<'a>(attribute: &str, value: &'a Value, hint: &str) -> Result<Vec<&'a str>> {
    let Value::Array(items) = value else {
        return Err(wrong_kind(attribute, "a list of strings", value, hint));
    };
    let text = |(number, item)| text(&format!("{attribute}[{number}]"), item, hint);
    items.iter().enumerate().map(text).collect()
}

fn object<'a>(attribute: &str, value: &'a Value, hint: &str) -> Result<&'a Map<String, Value>> {
    value
        .as_object()
        .ok_or_else(|| wrong_kind(attribute, "an attribute set", value, hint))
}

fn integer(attribute: &str, value: &Value, least: i64, hint: &str) -> Result<()> {
    expect(value.is_number(), attribute, "a number", value, hint)?;
    match value.as_i64() {
        Some(number) if number >= least => Ok(()),
        Some(number) => Err(refused(attribute, format!("{number} is too small"), hint)),
        None => Err(refused(attribute, format!("{value} is too large"), hint)),
    }
}

fn expect(fits: bool, attribute: &str, expected: &str, value: &Value, hint: &str) -> Result<()> {
    if fits {
        return Ok(());
    }
    Err(wrong_kind(attribute, expected, value, hint))
}

/// The error for a value of another kind.
pub(super) fn wrong_kind(attribute: &str, expected: &str, value: &Value, hint: &str) -> Error {
    let message = format!("expected {expected}, found {}", kind_of(value));
    refused(attribute, message, hint)
}

fn refused(attribute: &str, message: String, hint: &str) -> Error {
    Error::Attribute {
        attribute: attribute.to_owned(),
        message,
        hint: hint.to_owned(),
    }
}

fn quoted(attribute: &str, key: &str) -> String {
    format!("{attribute}.{key:?}")
}

/// The attribute `key` of the set `attribute`, quoted where Nix needs it.
pub(super) fn attribute_of(attribute: &str, key: &str) -> String {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'\'');
    let is_plain = key.bytes().all(word)
        && key.starts_with(|letter: char| letter.is_ascii_alphabetic() || letter == '_');
    if is_plain {
        format!("{attribute}.{key}")
    } else {
        quoted(attribute, key)
    }
}

/// What a value is, in the words of a Nix user.
fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an attribute set",
    }
}

/// The one of `names` that somebody meant, if a letter or two are wrong.
pub(super) fn meant(key: &str, names: &[&'static str]) -> Option<&'static str> {
    let key = key.to_ascii_lowercase();
    let distance = |name: &str| strsim::osa_distance(&key, &name.to_ascii_lowercase());
    let nearest = names.iter().min_by_key(|name| distance(name))?;
    let tolerated = if nearest.len() > 4 { 2 } else { 1 };
    (distance(nearest) <= tolerated).then_some(nearest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{UserConfig, canonical_user_config};
    use serde_json::json;

    fn checked(value: &Value) -> UserConfig {
        canonical_user_config(value).unwrap()
    }

    /// Issue 11, row 4: what no engine loads or runs.
    #[test]
    #[expect(clippy::too_many_lines, reason = "it is a table")]
    fn row_4_values_that_no_engine_takes_are_errors() {
        for (value, message) in [
            (
                json!({ "Labels": { "a": 1 } }),
                "Labels.\"a\": expected a string, found a number",
            ),
            (
                json!({ "Labels": ["a"] }),
                "Labels: expected an attribute set, found a list",
            ),
            (
                json!({ "Cmd": ["sleep", 1] }),
                "Cmd[1]: expected a string, found a number",
            ),
            (
                json!({ "Shell": "/bin/sh -c" }),
                "Shell: expected a list of strings, found a string",
            ),
            (json!({ "Env": ["A=", "B"] }), "Env[1]: \"B\" has no value"),
            (json!({ "Env": ["=a"] }), "Env[0]: \"=a\" has no name"),
            (
                json!({ "Env": { "A": "b" } }),
                "Env: expected a list of strings, found an attribute set",
            ),
            (
                json!({ "Volumes": { "/data": true } }),
                "Volumes.\"/data\": expected an empty set, found a boolean",
            ),
            (
                json!({ "Volumes": { "data": {} } }),
                "Volumes.\"data\": is not the absolute path of a directory",
            ),
            (
                json!({ "Volumes": { "/": {} } }),
                "Volumes.\"/\": is not the absolute path of a directory",
            ),
            (
                json!({ "Volumes": ["/data"] }),
                "Volumes: expected an attribute set, found a list",
            ),
            (
                json!({ "ExposedPorts": { "http": {} } }),
                "ExposedPorts.\"http\": is not a port",
            ),
            (
                json!({ "ExposedPorts": { "80/http": {} } }),
                "ExposedPorts.\"80/http\": is not a port",
            ),
            (
                json!({ "ExposedPorts": { "70000/tcp": {} } }),
                "ExposedPorts.\"70000/tcp\": is not a port",
            ),
            (
                json!({ "ExposedPorts": { "0": {} } }),
                "ExposedPorts.\"0\": is not a port",
            ),
            (
                json!({ "ExposedPorts": { "9-8": {} } }),
                "ExposedPorts.\"9-8\": is not a port",
            ),
            (
                json!({ "ExposedPorts": { "8080:80": {} } }),
                "ExposedPorts.\"8080:80\": is not a port",
            ),
            (
                json!({ "ExposedPorts": [80] }),
                "ExposedPorts: expected an attribute set, found a list",
            ),
            (
                json!({ "StopSignal": 15 }),
                "StopSignal: expected a string, found a number",
            ),
            (
                json!({ "StopSignal": "SIGTREM" }),
                "StopSignal: \"SIGTREM\" is not a signal of Linux",
            ),
            (
                json!({ "StopSignal": "0" }),
                "StopSignal: \"0\" is not a signal of Linux",
            ),
            (
                json!({ "StopTimeout": "10" }),
                "StopTimeout: expected a number, found a string",
            ),
            (
                json!({ "StopTimeout": "10s" }),
                "StopTimeout: expected a number, found a string",
            ),
            (json!({ "StopTimeout": -2 }), "StopTimeout: -2 is too small"),
            (
                json!({ "User": 1000 }),
                "User: expected a string, found a number",
            ),
            (
                json!({ "User": "1:4294967295" }),
                "User: 4294967295 is not the number of a user or group",
            ),
            (
                json!({ "User": "-1" }),
                "User: -1 is not the number of a user or group",
            ),
            (
                json!({ "WorkingDir": ["/a"] }),
                "WorkingDir: expected a string, found a list",
            ),
            (
                json!({ "Tty": "true" }),
                "Tty: expected true or false, found a string",
            ),
            (
                json!({ "Healthcheck": ["CMD", "x"] }),
                "Healthcheck: expected an attribute set, found a list",
            ),
            (
                json!({ "Healthcheck": { "Test": "curl" } }),
                "Healthcheck.Test: expected a list of strings, found a string",
            ),
            (
                json!({ "Healthcheck": { "Test": ["curl", "x"] } }),
                "Healthcheck.Test: begins with \"curl\" in place of CMD, CMD-SHELL or NONE",
            ),
            (
                json!({ "Healthcheck": { "Test": ["CMD"] } }),
                "Healthcheck.Test: has nothing to run",
            ),
            (
                json!({ "Healthcheck": { "Test": ["CMD-SHELL", "a", "b"] } }),
                "Healthcheck.Test: has more than one string for the shell",
            ),
            (
                json!({ "Healthcheck": { "Test": ["CMD", 1] } }),
                "Healthcheck.Test[1]: expected a string, found a number",
            ),
            (
                json!({ "Healthcheck": { "retries": "3" } }),
                "Healthcheck.Retries: expected a number, found a string",
            ),
            (
                json!({ "Healthcheck": { "Retries": -1 } }),
                "Healthcheck.Retries: -1 is too small",
            ),
            (
                json!({ "Healthcheck": { "Interval": 30 } }),
                "Healthcheck.Interval: 30 is less than a millisecond, which Docker refuses",
            ),
            (
                json!({ "Healthcheck": { "Timeout": "30" } }),
                "Healthcheck.Timeout: \"30\" is not a duration",
            ),
            (
                json!({ "Healthcheck": { "Timeout": "-1s" } }),
                "Healthcheck.Timeout: \"-1s\" is not a duration",
            ),
            (
                json!({ "Healthcheck": { "StartPeriod": true } }),
                "Healthcheck.StartPeriod: expected a duration, found a boolean",
            ),
            (
                json!({ "Healthcheck": { "Timeout": "1s", "timeout": "2s" } }),
                "Healthcheck.Timeout: given twice in different spellings",
            ),
        ] {
            let error = canonical_user_config(&value).unwrap_err();
            assert_eq!(error.to_string(), format!("attribute config.{message}"));
            assert!(error.hint().is_some_and(|hint| !hint.is_empty()), "{value}");
        }
    }

    /// Issue 11, row 4: what engines take is taken, and durations are written as they read them.
    #[test]
    fn row_4_values_that_engines_take_are_kept() {
        for value in [
            json!({ "ExposedPorts": { "80": {}, "80/TCP": {}, "53/udp": {}, "9000-9010/sctp": {} } }),
            json!({ "StopSignal": "term" }),
            json!({ "StopSignal": "SIGRTMIN+3" }),
            json!({ "StopSignal": "9" }),
            json!({ "StopSignal": "" }),
            json!({ "StopTimeout": -1 }),
            json!({ "User": "" }),
            json!({ "User": "app:app" }),
            json!({ "User": "2147483647:0" }),
            json!({ "Volumes": { "/data/": {} } }),
            json!({ "WorkingDir": "" }),
            json!({ "Healthcheck": { "Test": [] } }),
            json!({ "Healthcheck": { "Test": ["NONE"], "Retries": 0, "Interval": 0 } }),
            json!({ "Healthcheck": { "Test": ["CMD-SHELL", "true"], "Interval": 1_000_000 } }),
        ] {
            let UserConfig { config, warnings } = checked(&value);
            assert_eq!((Value::Object(config), warnings), (value, Vec::new()));
        }
    }

    #[test]
    fn row_4_durations_are_nanoseconds() {
        for (text, expected) in [
            ("30s", 30_000_000_000_i64),
            ("1m30s", 90_000_000_000),
            ("1.5h", 5_400_000_000_000),
            (".5s", 500_000_000),
            ("1.s", 1_000_000_000),
            ("500ms", 500_000_000),
            ("2000us", 2_000_000),
            ("2000µs", 2_000_000),
            ("+1h0s", 3_600_000_000_000),
            ("0", 0),
            ("0s", 0),
            ("1.0000000000000000000000000001s", 1_000_000_000),
        ] {
            let config = json!({ "healthcheck": { "interval": text } });
            let expected = json!({ "Healthcheck": { "Interval": expected } });
            assert_eq!(Value::Object(checked(&config).config), expected, "{text}");
        }
        for text in [
            "", "s", "1", ".s", "1..s", "1.2.3s", "1 s", "1d", "1s2", "3000000h", "é", "1é", "+",
            "--1s",
        ] {
            assert_eq!(nanoseconds(text), None, "{text}");
        }
    }

    #[test]
    fn row_4_misspelt_keys_below_the_top_are_told_and_kept() {
        let health = json!({ "Test": ["NONE"], "Intervall": "30s", "x": 1 });
        let UserConfig { config, warnings } = checked(&json!({ "Healthcheck": health }));
        assert_eq!(config["Healthcheck"], health);
        let expected = [
            "warning: attribute config.Healthcheck.Intervall: no engine knows this; it is kept\n\
             hint: did you mean Interval?",
            "warning: attribute config.Healthcheck.x: no engine knows this; it is kept\n\
             hint: the keys are Interval, Retries, StartInterval, StartPeriod, Test, Timeout",
        ];
        assert_eq!(warnings, expected);
    }
}
