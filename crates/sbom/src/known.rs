//! What Nix knew of packages when it evaluated the image (`nix/internal/evaluation.nix`).

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::licence::Licence;
use strata_error::{Error, Result};

/// The version of the file.
const VERSION: u32 = 1;

/// Packages by their store paths.
#[derive(Clone, Debug, Default)]
pub struct KnownPackages(BTreeMap<String, KnownPackage>);

/// What `meta` has of a package.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct KnownPackage {
    /// Its name without the version.
    pub(crate) name: Option<String>,
    /// Its version.
    pub(crate) version: Option<String>,
    /// What it is, in a sentence.
    pub(crate) description: Option<String>,
    /// Where people read about it.
    pub(crate) homepage: Option<String>,
    /// What the National Vulnerability Database calls it.
    pub(crate) cpe: Option<String>,
    /// Its licences, all of which apply.
    pub(crate) licences: Vec<Licence>,
    /// Whether there is a program that people mean when they name it.
    pub(crate) is_program: bool,
}

impl KnownPackages {
    /// Reads the file's bytes; `document` is its path, for the error.
    pub fn parse(bytes: &[u8], document: &str) -> Result<Self> {
        #[derive(Deserialize)]
        struct File {
            version: u32,
            packages: BTreeMap<String, KnownPackage>,
        }
        let error = |message: String| Error::Document {
            document: document.to_owned(),
            message,
            hint: "the attribute `evaluation` of the image is such a file".to_owned(),
        };
        let file: File = serde_json::from_slice(bytes)
            .map_err(|source| error(format!("not a list of packages: {source}")))?;
        if file.version != VERSION {
            let version = file.version;
            return Err(error(format!("version {version}, expected {VERSION}")));
        }
        Ok(Self(file.packages))
    }

    /// What is known of a store path.
    pub(crate) fn get(&self, store_path: &str) -> Option<&KnownPackage> {
        self.0.get(store_path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_other_versions_are_refused() {
        let text = r#"{"version":1,"packages":{"/s/a":{"name":"a","isProgram":true,"more":1}}}"#;
        let known = KnownPackages::parse(text.as_bytes(), "f").unwrap();
        assert!(known.get("/s/a").unwrap().is_program);
        for text in [
            r#"{"version":2,"packages":{}}"#,
            r#"{"version":1}"#,
            r#"{"version":1,"packages":[]}"#,
            "",
        ] {
            let error = KnownPackages::parse(text.as_bytes(), "f").unwrap_err();
            assert!(error.hint().is_some(), "{text}");
        }
    }
}
