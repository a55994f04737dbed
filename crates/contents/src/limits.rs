//! Budgets of an image: what it may weigh, hold and gain.

use super::amount::{Amount, Growth};
use super::chains::Chains;
use super::contents::{Contents, Package};
use super::sizes::Sizes;

/// What an image must keep to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// The most bytes of all layers together.
    pub size: Option<Amount>,
    /// The most layers.
    pub layers: Option<u64>,
    /// Packages that must not be in it, each by its name as [`Limits::denies`] reads it.
    pub deny: Vec<String>,
    /// How much it may gain over an earlier image.
    pub growth: Option<Growth>,
}

/// An image that an image may not outgrow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Measured {
    /// What it is called.
    pub name: String,
    /// All bytes of its layers.
    pub size: u64,
}

/// A limit that an image does not keep to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// Which: `size`, `layers`, `deny` or `growth`.
    pub limit: &'static str,
    /// What is wrong.
    pub message: String,
    /// The way out.
    pub hint: String,
    /// The store path that is denied.
    pub package: Option<String>,
    /// What the arguments named, and through what that leads to it: store paths.
    pub chain: Vec<String>,
}

/// So many packages are named as those that weigh most.
const HEAVIEST: usize = 3;

impl Limits {
    /// What of it `contents` do not keep to. `against` is the image that growth is measured by.
    pub fn check(&self, contents: &Contents, against: Option<&Measured>) -> Vec<Broken> {
        let size = contents.size();
        let mut broken = Vec::new();
        if let Some(most) = self.size.filter(|most| size > most.0) {
            broken.push(Broken {
                limit: "size",
                message: format!("the layers have {}, and {most} are allowed", Amount(size)),
                hint: heaviest(contents),
                package: None,
                chain: Vec::new(),
            });
        }
        let count = contents.layers.len() as u64;
        if let Some(most) = self.layers.filter(|most| count > *most) {
            broken.push(Broken {
                limit: "layers",
                message: format!("it has {count} layers, and {most} are allowed"),
                hint: "set maxLayers; the layers of a base image and those in `layers` count, too"
                    .to_owned(),
                package: None,
                chain: Vec::new(),
            });
        }
        for (number, package) in contents.numbers().zip(&contents.packages) {
            if let Some(pattern) = self.deny.iter().find(|deny| denies(deny, package)) {
                broken.push(denied(contents, number, pattern));
            }
        }
        if let (Some(growth), Some(before)) = (self.growth, against) {
            let most = growth.most(before.size);
            if size > most {
                broken.push(Broken {
                    limit: "growth",
                    message: format!(
                        "the layers have {}, {} more than {}, and {} are allowed",
                        Amount(size),
                        Amount(size - before.size),
                        before.name,
                        Amount(most)
                    ),
                    hint: "`strata diff` says what was added; if that is meant, measure by the newer image"
                        .to_owned(),
                    package: None,
                    chain: Vec::new(),
                });
            }
        }
        broken
    }

    /// Whether a name in `deny` means a package: `gcc` means `gcc-12.2.0` and not its library `gcc-12.2.0-lib`, which
    /// is `gcc-lib`; `gcc-12.2.0` and a whole store path mean one version; `*` stands for anything.
    pub fn denies(pattern: &str, package: &Package) -> bool {
        denies(pattern, package)
    }
}

fn denies(pattern: &str, package: &Package) -> bool {
    let name = package.name();
    let main = matches!(name.output, "" | "bin" | "out").then(|| name.name.to_owned());
    let output = (!name.output.is_empty()).then(|| format!("{}-{}", name.name, name.output));
    let names = main.into_iter().chain(output);
    let mut names = names.chain([package.full_name().to_owned(), package.path.clone()]);
    names.any(|name| fits(pattern.as_bytes(), name.as_bytes()))
}

/// Whether a text is as a pattern in which `*` stands for anything.
fn fits(pattern: &[u8], text: &[u8]) -> bool {
    // Where to go on when what follows the last star does not fit.
    let (mut at, mut place, mut star) = (0, 0, None);
    while place < text.len() {
        if pattern.get(at) == Some(&b'*') {
            star = Some((at, place));
            at += 1;
        } else if pattern.get(at) == Some(&text[place]) {
            at += 1;
            place += 1;
        } else if let Some((star_at, taken)) = star {
            at = star_at + 1;
            place = taken + 1;
            star = Some((star_at, place));
        } else {
            return false;
        }
    }
    pattern[at..].iter().all(|byte| *byte == b'*')
}

fn denied(contents: &Contents, number: u32, pattern: &str) -> Broken {
    let package = contents.package(number);
    let chain = Chains::new(contents, number).shortest().unwrap_or_default();
    let names = chain.iter().map(|link| contents.package(*link).full_name());
    let names: Vec<&str> = names.collect();
    let argument = chain
        .first()
        .and_then(|root| contents.arguments(*root).next());
    let way = match argument {
        Some(argument) => format!("{argument} -> {}", names.join(" -> ")),
        None => names.join(" -> "),
    };
    let size = Amount(package.size);
    Broken {
        limit: "deny",
        message: format!(
            "it has {} ({size}), and {pattern} is denied: {way}",
            package.full_name()
        ),
        hint: "`strata why` shows all ways to it, and with --precise which files mention it"
            .to_owned(),
        package: Some(package.path.clone()),
        chain: chain
            .iter()
            .map(|link| contents.package(*link).path.clone())
            .collect(),
    }
}

/// The packages without which the image would be smallest.
fn heaviest(contents: &Contents) -> String {
    let sizes = Sizes::new(contents);
    let roots = contents.root_packages();
    // That all goes with what the image is for helps nobody.
    let others = contents.numbers().filter(|number| !roots.contains(number));
    let mut all: Vec<(u64, u32)> = others
        .map(|number| (sizes.exclusive(number), number))
        .collect();
    all.sort_by_key(|(size, number)| (std::cmp::Reverse(*size), *number));
    let shown = all.iter().take(HEAVIEST).map(|(size, number)| {
        let name = contents.package(*number).full_name();
        format!("{name} {}", Amount(*size))
    });
    let shown: Vec<String> = shown.collect();
    if shown.is_empty() {
        return "raise the limit".to_owned();
    }
    format!(
        "most would go with {}; `strata inspect` lists all, `strata why` says why one is there",
        shown.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contents::fixture::{contents, path};

    fn broken(limits: &Limits, against: Option<u64>) -> Vec<(&'static str, String)> {
        let against = against.map(|size| Measured {
            name: "app:1".to_owned(),
            size,
        });
        let broken = limits.check(&contents(), against.as_ref()).into_iter();
        broken
            .map(|broken| (broken.limit, broken.message))
            .collect()
    }

    #[test]
    fn what_is_kept_to_is_no_finding() {
        let limits = Limits {
            size: Some(Amount(136)),
            layers: Some(3),
            deny: vec!["gcc".to_owned(), "ss".to_owned()],
            growth: Some(Growth::Share(10_000)),
        };
        assert_eq!(broken(&limits, Some(124)), []);
        assert_eq!(broken(&Limits::default(), None), []);
    }

    #[test]
    fn what_is_broken_is_said_with_the_way_to_it() {
        let limits = Limits {
            size: Some(Amount(135)),
            layers: Some(2),
            deny: vec!["ssl".to_owned()],
            growth: Some(Growth::Share(10_000)),
        };
        let size = "the layers have 136 B, and 135 B are allowed";
        let layers = "it has 3 layers, and 2 are allowed";
        let deny =
            "it has ssl-3.0 (10 B), and ssl is denied: config.Cmd -> app-1 -> curl-8 -> ssl-3.0";
        let growth = "the layers have 136 B, 13 B more than app:1, and 135 B are allowed";
        let expected = [
            ("size", size),
            ("layers", layers),
            ("deny", deny),
            ("growth", growth),
        ];
        let expected = expected.map(|(limit, message)| (limit, message.to_owned()));
        assert_eq!(broken(&limits, Some(123)), expected);
    }

    #[test]
    fn names_in_deny_mean_packages_and_not_their_libraries() {
        let package = |name: &str| Package {
            path: path(name),
            size: 1,
            nar_hash: None,
            layers: Vec::new(),
        };
        for (pattern, name, expected) in [
            ("gcc", "gcc-12.2.0", true),
            ("gcc", "gcc-12.2.0-lib", false),
            ("gcc-lib", "gcc-12.2.0-lib", true),
            ("gcc", "gcc-wrapper-12.2.0", false),
            ("gcc*", "gcc-wrapper-12.2.0", true),
            ("openssl-3.0.1", "openssl-3.0.1", true),
            ("openssl-3.0.1", "openssl-3.0.2", false),
            ("openssl", "openssl-3.0.1-bin", true),
            ("*-dev", "openssl-3.0.1-dev", true),
            ("*ss*-*", "openssl-3.0.1-dev", true),
            ("", "x", false),
        ] {
            assert_eq!(
                Limits::denies(pattern, &package(name)),
                expected,
                "{pattern} {name}"
            );
        }
        assert!(Limits::denies(&path("x-1"), &package("x-1")));
    }
}
