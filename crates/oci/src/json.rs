//! The canonical form of JSON: keys sorted, no white space, integers only.
//!
//! Digests are taken over these bytes, so this module is the only place that makes them.

use serde::Serialize;
use serde_json::Value;

/// The canonical bytes of `value`.
pub fn to_bytes<T: Serialize>(value: &T) -> Vec<u8> {
    // `Value` keeps objects in a `BTreeMap`, which sorts the keys that structs declare in any order.
    // Documents of ours have string keys only, so neither step can fail.
    serde_json::to_value(value)
        .and_then(|value| serde_json::to_vec(&value))
        .unwrap_or_default()
}

/// The canonical bytes of the object `rest` with these `items` as its `field`: what [`to_bytes`] gives of the whole, but
/// only one item at a time is made into values, which take several times the memory of their bytes.
pub fn to_bytes_with_list<T: Serialize, I: Serialize>(
    rest: &T,
    field: &str,
    items: &[I],
) -> Vec<u8> {
    let Ok(Value::Object(mut fields)) = serde_json::to_value(rest) else {
        // As above: documents of ours are objects with strings as keys.
        return Vec::new();
    };
    fields.insert(field.to_owned(), Value::Null);
    let mut bytes = Vec::new();
    for (number, (name, value)) in fields.iter().enumerate() {
        bytes.push(if number == 0 { b'{' } else { b',' });
        bytes.extend(to_bytes(name));
        bytes.push(b':');
        if name != field {
            bytes.extend(to_bytes(value));
            continue;
        }
        bytes.push(b'[');
        for (number, item) in items.iter().enumerate() {
            if number > 0 {
                bytes.push(b',');
            }
            bytes.extend(to_bytes(item));
        }
        bytes.push(b']');
    }
    bytes.push(b'}');
    bytes
}

/// Where `value` holds a number that is not an integer, as a dotted path; Nix prints `1.0` as `1`
/// or `1.0` depending on its version, so floats cannot be digested.
pub fn find_float(value: &Value, at: &str) -> Option<String> {
    match value {
        Value::Number(number) => number.is_f64().then(|| at.to_owned()),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .find_map(|(index, item)| find_float(item, &format!("{at}[{index}]"))),
        Value::Object(fields) => fields
            .iter()
            .find_map(|(key, item)| find_float(item, &format!("{at}.{key}"))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn keys_are_sorted_and_nothing_is_padded() {
        let value = json!({ "b": [1, "ü\n"], "a": { "d": null, "c": true } });
        assert_eq!(
            String::from_utf8(to_bytes(&value)).unwrap(),
            r#"{"a":{"c":true,"d":null},"b":[1,"ü\n"]}"#
        );
    }

    #[test]
    fn a_list_apart_gives_the_same_bytes() {
        let whole = json!({ "b": [{ "z": 1, "a": "\"" }, {}], "c": 2, "a": ["b"] });
        let items = whole["b"].as_array().unwrap();
        for rest in [
            json!({ "c": 2, "a": ["b"], "b": [] }),
            json!({ "a": ["b"], "c": 2 }),
        ] {
            assert_eq!(to_bytes_with_list(&rest, "b", items), to_bytes(&whole));
        }
        let none: [Value; 0] = [];
        assert_eq!(to_bytes_with_list(&json!({}), "b", &none), br#"{"b":[]}"#);
    }

    #[test]
    fn floats_are_found_with_their_place() {
        let value = json!({ "Healthcheck": { "Interval": [1, 2.5] } });
        assert_eq!(
            find_float(&value, "config").unwrap(),
            "config.Healthcheck.Interval[1]"
        );
        assert_eq!(find_float(&json!({ "a": -3 }), "config"), None);
    }
}
