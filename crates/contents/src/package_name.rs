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

/// The outputs that nixpkgs gives names of their own to.
const OUTPUTS: [&str; 16] = [
    "bin", "data", "debug", "dev", "devdoc", "devman", "dist", "doc", "info", "lib", "libgcc",
    "man", "out", "py", "static", "terminfo",
];

impl<'a> PackageName<'a> {
    /// The parts of the name that a store path, or the end of one, has.
    pub fn of(path: &'a str) -> Self {
        let base = path.rsplit_once('/').map_or(path, |(_, base)| base);
        let whole = match base.split_at_checked(super::HASH_LENGTH) {
            Some((_, rest)) => rest.strip_prefix('-').unwrap_or(base),
            None => base,
        };
        let (rest, output) = match whole.rsplit_once('-') {
            Some((rest, output)) if OUTPUTS.contains(&output) => (rest, output),
            _ => (whole, ""),
        };
        // As `builtins.parseDrvName` finds the version.
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
        let hash = "0".repeat(32);
        for (path, name, version, output) in [
            ("openssl-3.0.1", "openssl", "3.0.1", ""),
            ("openssl-3.0.1-dev", "openssl", "3.0.1", "dev"),
            (
                "bash-interactive-5.2-p15",
                "bash-interactive",
                "5.2-p15",
                "",
            ),
            ("hello", "hello", "", ""),
            ("app-lib", "app", "", "lib"),
            ("glibc-locales-2.35", "glibc-locales", "2.35", ""),
            ("x-", "x-", "", ""),
            ("ü-1", "ü", "1", ""),
        ] {
            let expected = PackageName {
                name,
                version,
                output,
            };
            assert_eq!(
                PackageName::of(&format!("/nix/store/{hash}-{path}")),
                expected
            );
        }
        assert_eq!(PackageName::of("short").name, "short");
    }
}
