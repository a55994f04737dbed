//! What the name of a store path tells.

/// The parts of a name such as `openssl-3.0.1-dev`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PackageName<'a> {
    /// The name without version and output: `openssl`.
    pub name: &'a str,
    /// The version, empty if there is none: `3.0.1`.
    pub version: &'a str,
    /// The output, empty for the first one: `dev`.
    pub output: &'a str,
}

/// The outputs of nixpkgs that are in the names of their store paths.
const OUTPUTS: [&str; 17] = [
    "bin", "data", "debug", "dev", "devdoc", "devman", "dist", "doc", "info", "lib", "libgcc",
    "man", "out", "py", "static", "terminfo", "tools",
];

impl<'a> PackageName<'a> {
    /// The parts of what follows the hash in a store path. The version begins behind the first hyphen that no letter
    /// follows, as for `builtins.parseDrvName`.
    pub fn parse(text: &'a str) -> Self {
        let (rest, output) = match text.rsplit_once('-') {
            Some((rest, output)) if OUTPUTS.contains(&output) => (rest, output),
            _ => (text, ""),
        };
        let bytes = rest.as_bytes();
        let begins = |at: &usize| {
            let next = bytes.get(at + 1);
            bytes[*at] == b'-' && next.is_some_and(|next| !next.is_ascii_alphabetic())
        };
        let at = (0..bytes.len()).find(begins);
        let (name, version) = at.map_or((rest, ""), |at| (&rest[..at], &rest[at + 1..]));
        Self {
            name,
            version,
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
            ("openssl-3.0.1", "openssl", "3.0.1", ""),
            ("openssl-3.0.1-dev", "openssl", "3.0.1", "dev"),
            (
                "bash-interactive-5.2-p15",
                "bash-interactive",
                "5.2-p15",
                "",
            ),
            ("glibc-2.38-44-bin", "glibc", "2.38-44", "bin"),
            ("gcc-12.2.0-libgcc", "gcc", "12.2.0", "libgcc"),
            (
                "python3.11-requests-2.31.0",
                "python3.11-requests",
                "2.31.0",
                "",
            ),
            ("hello", "hello", "", ""),
            ("app-lib", "app", "", "lib"),
            ("lib", "lib", "", ""),
            ("font-awesome", "font-awesome", "", ""),
            ("x-", "x-", "", ""),
            ("ü-1", "ü", "1", ""),
        ] {
            let expected = PackageName {
                name,
                version,
                output,
            };
            assert_eq!(PackageName::parse(text), expected);
        }
    }
}
