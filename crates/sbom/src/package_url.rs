//! Package URLs (<https://github.com/package-url/purl-spec>).

use std::fmt::Write;

/// The package URL of a type, a name after its namespaces, and a version, with qualifiers in the order of their names.
pub(crate) fn package_url(
    kind: &str,
    name: &[&str],
    version: &str,
    qualifiers: &[(&str, &str)],
) -> String {
    let mut text = format!("pkg:{kind}");
    for part in name {
        let _ = write!(text, "/{}", encode(part));
    }
    if !version.is_empty() {
        let _ = write!(text, "@{}", encode(version));
    }
    let given = qualifiers.iter().filter(|(_, value)| !value.is_empty());
    for (number, (key, value)) in given.enumerate() {
        let mark = if number == 0 { '?' } else { '&' };
        let _ = write!(text, "{mark}{key}={}", encode(value));
    }
    text
}

/// A part of a package URL: all but letters, digits and `.-_~:` in percents.
fn encode(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b".-_~:".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_encoded() {
        assert_eq!(
            package_url("nix", &["libstdc++"], "12.2", &[]),
            "pkg:nix/libstdc%2B%2B@12.2"
        );
        assert_eq!(
            package_url(
                "deb",
                &["debian", "bash"],
                "5.2~rc-1",
                &[("arch", "amd64"), ("distro", ""), ("epoch", "1")]
            ),
            "pkg:deb/debian/bash@5.2~rc-1?arch=amd64&epoch=1"
        );
    }
}
