//! Texts from outside, for people.

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
}
