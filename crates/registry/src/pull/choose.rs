//! Which image of an index is meant. Pure: whoever fetched the index gives its entries.

use strata_oci::{IndexEntry, Platform};

/// The variants of processors that run what was built for those after them. This is the order in which
/// skopeo and podman look for them.
fn variants(architecture: &str) -> &'static [&'static str] {
    match architecture {
        "arm" => &["v8", "v7", "v6", "v5"],
        "arm64" => &["v8"],
        _ => &[],
    }
}

/// The entry of an index that fits a platform best, chosen as skopeo does with `--override-os`,
/// `--override-arch` and `--override-variant`: with a variant, that one or what it runs too, and then
/// the one without; without, the one without first. Of several the first counts.
pub(crate) fn choose<'a>(entries: &'a [IndexEntry], wanted: &Platform) -> Option<&'a IndexEntry> {
    let known = variants(&wanted.architecture);
    let order: Vec<Option<&str>> = match &wanted.variant {
        None => [None]
            .into_iter()
            .chain(known.iter().copied().map(Some))
            .collect(),
        Some(variant) => {
            let own = known.iter().position(|known| known == variant);
            let own = own.and_then(|place| known.get(place..));
            let own = own.map_or_else(|| vec![variant.as_str()], <[&str]>::to_vec);
            own.into_iter().map(Some).chain([None]).collect()
        }
    };
    order.into_iter().find_map(|variant| {
        entries.iter().find(|entry| {
            entry.platform().is_some_and(|platform| {
                platform.os == wanted.os
                    && platform.architecture == wanted.architecture
                    && platform.variant.as_deref() == variant
            })
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};
    use strata_oci::{Digest, Document, media_type};

    fn index(platforms: &[&str]) -> Vec<IndexEntry> {
        let entry = |(number, platform): (usize, &&str)| {
            let mut parts = platform.split('/');
            let mut part = || parts.next().unwrap_or_default();
            json!({
                "mediaType": media_type::MANIFEST, "size": 1,
                "digest": Digest::of(number.to_string().as_bytes()),
                "platform": { "os": part(), "architecture": part(), "variant": part() },
            })
        };
        let entries: Vec<Value> = platforms.iter().enumerate().map(entry).collect();
        let index = json!({ "schemaVersion": 2, "manifests": entries });
        match Document::parse(index.to_string().as_bytes()) {
            Ok((_, Document::Index(entries))) => entries,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn platforms_are_chosen_as_skopeo_does() {
        let entries = index(&[
            "unknown/unknown",
            "linux/arm/v6",
            "linux/arm/v7",
            "linux/amd64",
            "linux/arm64/v8",
            "windows/amd64",
            "linux/amd64",
        ]);
        for (wanted, number) in [
            ("linux/amd64", Some(3)),
            ("linux/amd64/v3", Some(3)),
            ("windows/amd64", Some(5)),
            ("linux/arm64", Some(4)),
            ("linux/arm64/v8", Some(4)),
            ("linux/arm", Some(2)),
            ("linux/arm/v8", Some(2)),
            ("linux/arm/v6", Some(1)),
            ("linux/arm/v5", None),
            ("linux/riscv64", None),
            ("unknown/unknown", None),
        ] {
            let chosen = choose(&entries, &wanted.parse().unwrap());
            let expected = number.map(|number: usize| Digest::of(number.to_string().as_bytes()));
            assert_eq!(chosen.map(|entry| entry.digest), expected, "{wanted}");
        }
    }
}
