//! Which distribution a base image is (os-release(5)).

/// What package URLs say of a distribution.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct OsRelease {
    /// Its name: `debian`, `alpine`.
    pub(super) id: String,
    /// Its version; empty if it has none.
    pub(super) version: String,
}

impl OsRelease {
    /// Reads `KEY=VALUE` by lines; values may be in quotes.
    pub(super) fn parse(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes);
        let value = |key: &str| {
            let mut lines = text.lines().filter_map(|line| line.split_once('='));
            let (_, value) = lines.find(|(name, _)| name.trim() == key)?;
            Some(value.trim().trim_matches(['"', '\'']).to_owned())
        };
        Self {
            id: value("ID").unwrap_or_default(),
            version: value("VERSION_ID").unwrap_or_default(),
        }
    }

    /// The name, or what it is for most who use such packages.
    pub(super) fn id_or<'a>(&'a self, usual: &'a str) -> &'a str {
        if self.id.is_empty() { usual } else { &self.id }
    }

    /// Name and version in one, as scanners know them: `debian-12`.
    pub(super) fn distribution(&self) -> String {
        match (self.id.as_str(), self.version.as_str()) {
            ("", _) => String::new(),
            (id, "") => id.to_owned(),
            (id, version) => format!("{id}-{version}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_may_be_quoted() {
        let text = "NAME=\"x y\"\nID=debian\nVERSION_ID=\"12\"\n";
        let release = OsRelease::parse(text.as_bytes());
        assert_eq!(release.distribution(), "debian-12");
        assert_eq!(OsRelease::parse(b"\xff").distribution(), "");
        assert_eq!(OsRelease::parse(b"ID='arch'").distribution(), "arch");
    }
}
