//! Texts from outside, for people.

use std::borrow::Cow;

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

/// `text` with what would steer a terminal or reorder what it shows written as `\u001b`: control characters
/// (those of ISO/IEC 6429 above ASCII, too) and the formatting characters of bidirectional text (Unicode Standard
/// Annex 9). Line breaks and tabs stay.
///
/// In JSON, where these characters are in strings only, it is the same document.
pub fn visible(text: &str) -> Cow<'_, str> {
    escape(text, |character| {
        steers(character) && !matches!(character, '\n' | '\t')
    })
}

/// The same for what is to be on one line: line breaks and tabs are written as `\n` and `\t`.
pub fn visible_line(text: &str) -> Cow<'_, str> {
    escape(text, steers)
}

fn escape(text: &str, is_escaped: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.contains(&is_escaped) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        match character {
            _ if !is_escaped(character) => escaped.push(character),
            '\n' => escaped.push_str("\\n"),
            '\t' => escaped.push_str("\\t"),
            other => escaped.extend(["\\u", &format!("{:04x}", u32::from(other))]),
        }
    }
    Cow::Owned(escaped)
}

/// Whether a terminal may do something else with a character than show it at its place.
fn steers(character: char) -> bool {
    let is_bidirectional = matches!(
        character,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
    );
    let breaks_lines = matches!(character, '\u{2028}' | '\u{2029}');
    character.is_control() || is_bidirectional || breaks_lines
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

    /// Issue 11, "Reliability and security" 16.
    #[test]
    fn row_16_what_steers_terminals_is_shown() {
        for (text, shown, on_one_line) in [
            ("é → 日本\n\t", "é → 日本\n\t", "é → 日本\\n\\t"),
            (
                "\u{1b}]0;x\u{7}",
                "\\u001b]0;x\\u0007",
                "\\u001b]0;x\\u0007",
            ),
            (
                "\u{9b}2J\u{7f}\r",
                "\\u009b2J\\u007f\\u000d",
                "\\u009b2J\\u007f\\u000d",
            ),
            (
                "a\u{202e}b\u{2066}c",
                "a\\u202eb\\u2066c",
                "a\\u202eb\\u2066c",
            ),
            ("a\u{2028}error: b", "a\\u2028error: b", "a\\u2028error: b"),
        ] {
            assert_eq!(visible(text), shown);
            assert_eq!(visible_line(text), on_one_line);
        }
        let value = serde_json::json!({ "a\u{9b}": "b\u{202e}\u{7f}\n" });
        let text = value.to_string();
        assert_ne!(visible(&text), text);
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(&visible(&text)).unwrap(),
            value
        );
    }
}
