//! Texts of paragraphs, as dpkg and apk write them.

use std::collections::BTreeMap;

/// The fields of a text of paragraphs with lines `KEY: VALUE`, one paragraph at a time. Lines that begin with a space
/// go on with the one before, and are left out. `separator` is what stands between key and value.
pub(super) fn paragraphs<'t>(
    text: &'t str,
    separator: &'static str,
) -> impl Iterator<Item = BTreeMap<&'t str, &'t str>> {
    text.split("\n\n").map(move |paragraph| {
        let lines = paragraph.lines().filter(|line| !line.starts_with(' '));
        let fields = lines.filter_map(|line| line.split_once(separator));
        fields.map(|(key, value)| (key, value.trim())).collect()
    })
}
