//! Texts from outside for people, and texts of ours for addresses.

use std::fmt::Write;

/// So many characters of a text are shown.
pub const LONGEST_TEXT: usize = 800;

/// `text` on one line, without what could steer a terminal, and not too long.
pub fn printable(text: &str) -> String {
    let words = text.split(|character: char| character.is_control() || character.is_whitespace());
    let line = words
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join(" ");
    match line.char_indices().nth(LONGEST_TEXT) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

/// Everything but RFC 3986's unreserved characters as `%XX`.
pub fn percent_encode(text: &str) -> String {
    text.bytes().fold(String::new(), |mut encoded, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
        encoded
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_from_outside_are_short_lines() {
        assert_eq!(printable("a\u{1b}[2J\n\t b "), "a [2J b");
        let long = printable(&"é".repeat(70_000));
        assert_eq!(long.chars().count(), LONGEST_TEXT + 1);
        assert!(long.ends_with("é…"));
    }

    #[test]
    fn what_means_something_in_an_address_is_encoded() {
        assert_eq!(
            percent_encode("repository:a/b:pull,push é-._~"),
            "repository%3Aa%2Fb%3Apull%2Cpush%20%C3%A9-._~"
        );
    }
}
