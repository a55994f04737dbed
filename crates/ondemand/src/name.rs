//! Names of images that list packages: `shell/git/python3packages.flask`.
//!
//! They come from whoever reaches the server. What is no name here never gets further.

use std::collections::BTreeSet;

use strata_oci::is_repository;

/// The most bytes of a name: what clients take, with the host, is 255.
const LONGEST_NAME: usize = 255;
/// The most dots in the name of a package: no set of nixpkgs is nested deeper.
const MOST_DOTS: usize = 4;

/// What `shell` adds.
const SHELL: [&str; 4] = ["bashInteractive", "coreutils", "moreutils", "nano"];
/// What is in each image.
const ALWAYS: [&str; 2] = ["cacert", "iana-etc"];

/// What names may be.
#[derive(Clone, Debug)]
pub struct NameRules<'a> {
    /// The sources of packages that may be named, but for the one that is meant without a name.
    pub sources: &'a BTreeSet<String>,
    /// The most packages.
    pub packages: usize,
}

/// What a name asks for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ImageName {
    /// The source of packages; the one without a name if there is none.
    pub source: Option<String>,
    /// The system, in Nix's words, if the name says so.
    pub system: Option<&'static str>,
    /// The packages in their order, each once, with those that are always there.
    pub packages: BTreeSet<String>,
}

/// Why a text is no name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidName(pub String);

impl ImageName {
    /// Takes a name apart. Words at its front are no packages: a source, `shell` and `arm64`, in any order.
    pub fn parse(name: &str, rules: &NameRules<'_>) -> Result<Self, InvalidName> {
        let invalid = |message: &str| Err(InvalidName(message.to_owned()));
        if name.len() > LONGEST_NAME {
            return invalid("the name is too long");
        }
        if !is_repository(name) {
            return invalid("the name is not one of an image");
        }
        let mut parsed = Self {
            source: None,
            system: None,
            packages: ALWAYS.map(str::to_owned).into(),
        };
        let mut components = name.split('/').peekable();
        while let Some(&word) = components.peek() {
            match word {
                "shell" => parsed.packages.extend(SHELL.map(str::to_owned)),
                "arm64" => parsed.system = Some("aarch64-linux"),
                source if parsed.source.is_none() && rules.sources.contains(source) => {
                    parsed.source = Some(source.to_owned());
                }
                _ => break,
            }
            components.next();
        }
        let packages: BTreeSet<&str> = components.collect();
        if packages.len() > rules.packages {
            let message = format!(
                "an image has {} packages at most, and these are {}",
                rules.packages,
                packages.len()
            );
            return Err(InvalidName(message));
        }
        for package in packages {
            if package.matches('.').count() > MOST_DOTS {
                return invalid("a package is not that deep in a set");
            }
            parsed.packages.insert(package.to_owned());
        }
        Ok(parsed)
    }

    /// Refuses packages that are, or are in, what is called like this at the top of the package set, in lower case.
    pub fn check(&self, refused: &BTreeSet<String>) -> Result<(), InvalidName> {
        let mut tops = self.packages.iter().map(|package| top(package));
        match tops.find(|top| refused.contains(*top)) {
            Some(top) => Err(InvalidName(format!("{top} is not served"))),
            None => Ok(()),
        }
    }
}

/// What a package is in, or is, at the top of the package set.
pub(crate) fn top(package: &str) -> &str {
    package.split('.').next().unwrap_or_default()
}

/// Whether a word at the front of a name means something already.
pub(crate) fn is_taken(word: &str) -> bool {
    matches!(word, "shell" | "arm64")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(name: &str) -> Result<ImageName, InvalidName> {
        let sources = BTreeSet::from(["unstable".to_owned(), "work".to_owned()]);
        let rules = NameRules {
            sources: &sources,
            packages: 3,
        };
        let parsed = ImageName::parse(name, &rules)?;
        parsed.check(&BTreeSet::from(["nixostests".to_owned()]))?;
        Ok(parsed)
    }

    fn packages(name: &str) -> Vec<String> {
        let always = ALWAYS.map(str::to_owned);
        let parsed = parse(name).unwrap();
        assert!(always.iter().all(|it| parsed.packages.contains(it)));
        let others = parsed.packages.into_iter();
        others.filter(|it| !always.contains(it)).collect()
    }

    #[test]
    fn names_list_packages_in_any_order() {
        assert_eq!(packages("hello"), ["hello"]);
        assert_eq!(packages("htop/git/hello"), ["git", "hello", "htop"]);
        assert_eq!(parse("git/hello"), parse("hello/git/hello"));
        assert_eq!(packages("xorg.xev/7zz"), ["7zz", "xorg.xev"]);
        assert_eq!(packages("cacert"), [""; 0]);
    }

    #[test]
    fn words_at_the_front_are_no_packages() {
        let name = parse("arm64/unstable/shell/git").unwrap();
        assert_eq!(name.system, Some("aarch64-linux"));
        assert_eq!(name.source.as_deref(), Some("unstable"));
        assert_eq!(packages("shell/git")[..2], ["bashInteractive", "coreutils"]);
        assert_eq!(Ok(name), parse("shell/unstable/arm64/git"));
        assert_eq!(
            packages("git/shell"),
            ["git", "shell"],
            "it is a package there"
        );
        assert_eq!(packages("unstable/work"), ["work"], "one source is enough");
        assert_eq!(packages("shell").len(), 4);
    }

    #[test]
    fn what_is_no_name_goes_no_further() {
        let long = "a".repeat(256);
        let many = "a/".repeat(2000) + "a";
        for name in [
            "",
            "/",
            "hello/",
            "/hello",
            "a//b",
            ".",
            "..",
            "../etc",
            "a/../b",
            "a..b",
            "a.",
            ".a",
            "-a",
            "--option/x",
            "a/--option",
            "Hello",
            "hello world",
            "a;b",
            "a\"b",
            "${a}",
            "a'b",
            "a\\b",
            "a\nb",
            "a\0b",
            "ä",
            "a\u{202e}b",
            "a:b",
            "a@b",
            "a.b.c.d.e.f",
            "a/b/c/d",
            "nixostests.login",
            long.as_str(),
            many.as_str(),
        ] {
            assert!(parse(name).is_err(), "{name:?}");
        }
    }

    proptest! {
        /// Whatever was sent, what comes out are words of a few plain characters, and not many.
        #[test]
        fn what_comes_out_is_bounded(name in "\\PC{0,40}|[a-z0-9./_-]{0,300}") {
            if let Ok(parsed) = parse(&name) {
                let known = ALWAYS.len() + SHELL.len();
                prop_assert!(parsed.packages.len() <= 3 + known);
                for package in &parsed.packages {
                    let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
                    prop_assert!(package.chars().all(plain) && !package.starts_with('-'));
                    prop_assert!(!package.contains("..") && package.len() <= LONGEST_NAME);
                }
            }
        }
    }
}
