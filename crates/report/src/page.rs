//! Rows and numbers of pages for people.

use std::fmt::Write as _;

use strata_contents::Amount;
use strata_error::visible_line;

/// How wide the names of fields are.
const FIELD: usize = 12;

/// A page that grows by lines.
#[derive(Default)]
pub(super) struct Page(String);

impl Page {
    /// A line as it is; what others wrote must be visible already.
    pub(super) fn line(&mut self, text: &str) {
        self.0.push_str(text.trim_end());
        self.0.push('\n');
    }

    /// A field with its value, which others may have written.
    pub(super) fn field(&mut self, name: &str, value: &str) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.0, "{name:<FIELD$}  {}", visible_line(value));
    }

    /// A list of values of one field, a line for each.
    pub(super) fn list(&mut self, name: &str, values: impl IntoIterator<Item = String>) {
        let mut name = name;
        for value in values {
            self.field(name, &value);
            name = "";
        }
    }

    /// The text.
    pub(super) fn into_text(self) -> String {
        self.0
    }
}

/// Bytes in ten columns.
pub(super) fn bytes(bytes: u64) -> String {
    format!("{:>10}", Amount(bytes).to_string())
}

/// More or fewer bytes, with a sign, in eleven columns.
pub(super) fn growth(bytes: i128) -> String {
    let size = u64::try_from(bytes.unsigned_abs()).unwrap_or(u64::MAX);
    let sign = match bytes {
        0 => "",
        1.. => "+",
        _ => "-",
    };
    format!("{:>11}", format!("{sign}{}", Amount(size)))
}

/// A part of a whole in percent, in seven columns.
pub(super) fn share(part: u64, whole: u64) -> String {
    let tenths = u128::from(part) * 1000 / u128::from(whole.max(1));
    format!("{:>7}", format!("{}.{} %", tenths / 10, tenths % 10))
}

/// Words of a command line as a shell would take them.
pub(super) fn words<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    let is_plain = |word: &str| {
        !word.is_empty()
            && word
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_./:=,+@%".contains(&byte))
    };
    let words = words.into_iter().map(|word| {
        if is_plain(word) {
            word.to_owned()
        } else {
            format!("'{}'", word.replace('\'', "'\\''"))
        }
    });
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_aligned() {
        assert_eq!(bytes(1024), "  1.00 KiB");
        assert_eq!(growth(-1), "       -1 B");
        assert_eq!(growth(2048), "  +2.00 KiB");
        assert_eq!(growth(0), "        0 B");
        assert_eq!(share(1, 8), " 12.5 %");
        assert_eq!(share(0, 0), "  0.0 %");
        assert_eq!(share(u64::MAX, u64::MAX), "100.0 %");
    }

    #[test]
    fn words_are_those_of_a_shell() {
        assert_eq!(words(["/bin/sh", "-c", "it's"]), "/bin/sh -c 'it'\\''s'");
        assert_eq!(words([""]), "''");
    }
}
