//! Which of several images is for a platform: one rule for indexes of registries, of base images and of our
//! own.

use super::Platform;

/// The variants of processors that run what was built for those after them. This is the order in which
/// skopeo and podman look for them.
fn variants(architecture: &str) -> &'static [&'static str] {
    match architecture {
        "arm" => &["v8", "v7", "v6", "v5"],
        "arm64" => &["v8"],
        _ => &[],
    }
}

impl Platform {
    /// Which of `items` is best for this platform, chosen as skopeo does with `--override-os`,
    /// `--override-arch` and `--override-variant`: with a variant, that one or what it runs too, and then
    /// the one without; without, the one without first, and at last any. Of several the first counts.
    /// `platform` tells what an item runs on, if that is known.
    pub fn choose<'a, T>(
        &self,
        items: &'a [T],
        platform: impl Fn(&T) -> Option<Self>,
    ) -> Option<&'a T> {
        let known = variants(&self.architecture);
        let order: Vec<Option<&str>> = match &self.variant {
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
        let best = order.into_iter().find_map(|variant| {
            items.iter().find(|item| {
                platform(item).is_some_and(|found| {
                    found.os == self.os
                        && found.architecture == self.architecture
                        && found.variant.as_deref() == variant
                })
            })
        });
        let any = || {
            let fits = |found: Self| found.fits(self);
            items.iter().find(|item| platform(item).is_some_and(fits))
        };
        best.or_else(any)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn platforms_are_chosen_as_skopeo_does() {
        let platforms: Vec<Platform> = [
            "unknown/unknown",
            "linux/arm/v6",
            "linux/arm/v7",
            "linux/amd64",
            "linux/arm64/v8",
            "windows/amd64",
            "linux/amd64",
            "linux/ppc64le/power9",
        ]
        .into_iter()
        .map(|platform| platform.parse().unwrap())
        .collect();
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
            ("linux/ppc64le", Some(7)),
            ("linux/riscv64", None),
            ("unknown/unknown", Some(0)),
        ] {
            let numbers: Vec<usize> = (0..platforms.len()).collect();
            let wanted: Platform = wanted.parse().unwrap();
            let chosen = wanted.choose(&numbers, |number| platforms.get(*number).cloned());
            assert_eq!(chosen.copied(), number, "{wanted}");
        }
    }
}
