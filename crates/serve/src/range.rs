//! Parts of blobs (RFC 9110, section 14).

use std::ops::Range;

/// What a client wants of a blob.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// All of it.
    Whole,
    /// These bytes, at least one.
    Part(Range<u64>),
    /// These, each at least one, in their order and apart from each other.
    Parts(Vec<Range<u64>>),
    /// What the blob does not have.
    Unsatisfiable,
}

/// What a `Range` header means for a blob of `size` bytes. Other units, what is not a range at all, and ranges that
/// are not in the order of the blob, in which it is made, are ignored, as section 14.2 allows.
pub(crate) fn wanted(header: &str, size: u64) -> Wanted {
    let Some((unit, ranges)) = header.split_once('=') else {
        return Wanted::Whole;
    };
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return Wanted::Whole;
    }
    let mut parts: Vec<Range<u64>> = Vec::new();
    // Section 5.6.1: there may be nothing between commas.
    let ranges = ranges.split(',').map(str::trim);
    let mut ranges = ranges.filter(|range| !range.is_empty()).peekable();
    if ranges.peek().is_none() {
        return Wanted::Whole;
    }
    for range in ranges {
        match one(range, size) {
            Wanted::Part(part) if parts.last().is_none_or(|last| last.end <= part.start) => {
                parts.push(part);
            }
            // What the blob has of several is sent (section 14.1.1).
            Wanted::Unsatisfiable => {}
            Wanted::Whole | Wanted::Part(_) | Wanted::Parts(_) => return Wanted::Whole,
        }
    }
    match parts.as_slice() {
        [] => Wanted::Unsatisfiable,
        [part] => Wanted::Part(part.clone()),
        _ => Wanted::Parts(parts),
    }
}

/// What one range means.
fn one(range: &str, size: u64) -> Wanted {
    let Some((first, last)) = range.split_once('-') else {
        return Wanted::Whole;
    };
    let part = match (number(first), number(last)) {
        (Some(first), None) if last.is_empty() => first..size,
        // Section 14.1.1 calls it invalid when they are the wrong way round. Other registries say 416, and a
        // client that means a part does not want all of it.
        (Some(first), Some(last)) if first > last => return Wanted::Unsatisfiable,
        (Some(first), Some(last)) => first..size.min(last.saturating_add(1)),
        (None, Some(count)) if first.is_empty() => size.saturating_sub(count)..size,
        _ => return Wanted::Whole,
    };
    if part.is_empty() {
        Wanted::Unsatisfiable
    } else {
        Wanted::Part(part)
    }
}

/// A number of digits alone. What is too large for us is larger than any blob.
fn number(text: &str) -> Option<u64> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_understood() {
        for (header, part) in [
            ("bytes=0-0", 0..1),
            ("bytes=2-5", 2..6),
            ("bytes=2-", 2..10),
            ("bytes=-3", 7..10),
            ("bytes=-30", 0..10),
            ("bytes=9-99999999999999999999999", 9..10),
            ("Bytes= 9-9", 9..10),
        ] {
            assert_eq!(wanted(header, 10), Wanted::Part(part), "{header}");
        }
    }

    #[test]
    fn several_ranges_are_in_order() {
        for (header, parts) in [
            ("bytes=0-1,3-4", vec![0..2, 3..5]),
            ("bytes=0-1, 2-4 ,, -1", vec![0..2, 2..5, 9..10]),
            ("bytes=0-1,5-6,70-80", vec![0..2, 5..7]),
        ] {
            assert_eq!(wanted(header, 10), Wanted::Parts(parts), "{header}");
        }
        assert_eq!(wanted("bytes=1-1,30-31", 10), Wanted::Part(1..2));
        for header in ["bytes=3-4,0-1", "bytes=0-4,4-5", "bytes=0-1,x"] {
            assert_eq!(wanted(header, 10), Wanted::Whole, "{header}");
        }
        assert_eq!(wanted("bytes=10-11,20-", 10), Wanted::Unsatisfiable);
    }

    #[test]
    fn what_the_blob_does_not_have_is_refused() {
        // The last ones: issue 11, row 6 of the clients.
        for header in [
            "bytes=10-",
            "bytes=10-12",
            "bytes=-0",
            "bytes=5-2",
            "bytes=500-0",
        ] {
            assert_eq!(wanted(header, 10), Wanted::Unsatisfiable, "{header}");
        }
        assert_eq!(wanted("bytes=-5", 0), Wanted::Unsatisfiable);
    }

    #[test]
    fn anything_else_is_ignored() {
        for header in [
            "",
            "bytes",
            "bytes=",
            "bytes=-",
            "bytes=a-b",
            "bytes=,",
            "lines=0-1",
            "bytes=+1-2",
            "bytes=1--2",
        ] {
            assert_eq!(wanted(header, 10), Wanted::Whole, "{header}");
        }
    }
}
