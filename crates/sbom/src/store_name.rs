//! What a store path is, by its name.

/// Outputs that nixpkgs knows besides `out`; the name of such a store path ends in a hyphen and this.
const OUTPUTS: [&str; 15] = [
    "bin", "data", "debug", "dev", "devdoc", "dist", "doc", "info", "lib", "libgcc", "man", "out",
    "static", "terminfo", "tools",
];

/// The parts of the name of a store path.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct StoreName<'a> {
    /// The package.
    pub(crate) name: &'a str,
    /// Its version; empty if the name has none.
    pub(crate) version: &'a str,
    /// The output, if the name says so.
    pub(crate) output: Option<&'a str>,
}

impl<'a> StoreName<'a> {
    /// The parts of what follows the hash. The version begins behind the first hyphen that no letter follows, as for
    /// Nix's `builtins.parseDrvName`.
    pub(crate) fn parse(text: &'a str) -> Self {
        let hyphens = text.match_indices('-').map(|(place, _)| place);
        let mut hyphens = hyphens.filter(|place| {
            let next = text[place + 1..].chars().next();
            next.is_some_and(|next| !next.is_alphabetic())
        });
        let (name, version) = match hyphens.next() {
            Some(place) => (&text[..place], &text[place + 1..]),
            None => (text, ""),
        };
        let whole = if version.is_empty() { name } else { version };
        let output = whole.rsplit_once('-').map(|(_, output)| output);
        let output = output.filter(|output| OUTPUTS.contains(output));
        let without = |text: &'a str| match output {
            Some(output) => text
                .strip_suffix(output)
                .and_then(|text| text.strip_suffix('-'))
                .unwrap_or(text),
            None => text,
        };
        if version.is_empty() {
            return Self {
                name: without(name),
                version,
                output,
            };
        }
        Self {
            name,
            version: without(version),
            output,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_versions_and_outputs() {
        for (text, name, version, output) in [
            ("hello-2.12.1", "hello", "2.12.1", None),
            ("openssl-3.0.12-dev", "openssl", "3.0.12", Some("dev")),
            ("gcc-12.2.0-libgcc", "gcc", "12.2.0", Some("libgcc")),
            (
                "python3.11-requests-2.31.0",
                "python3.11-requests",
                "2.31.0",
                None,
            ),
            ("glibc-2.38-44-bin", "glibc", "2.38-44", Some("bin")),
            ("bash-5.2-p15", "bash", "5.2-p15", None),
            ("profile-dev", "profile", "", Some("dev")),
            ("source", "source", "", None),
            ("lib", "lib", "", None),
            ("a-", "a-", "", None),
            ("font-awesome", "font-awesome", "", None),
        ] {
            let expected = StoreName {
                name,
                version,
                output,
            };
            assert_eq!(StoreName::parse(text), expected, "{text}");
        }
    }
}
