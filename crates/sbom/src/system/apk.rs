//! Packages that apk installed (apk-package(5), the file `installed`).

use std::collections::BTreeMap;

use super::os_release::OsRelease;
use super::paragraphs::paragraphs;
use crate::licence::Licence;
use crate::package::Package;
use crate::package_url::package_url;

/// The packages of a file of paragraphs.
pub(super) fn packages(bytes: &[u8], release: &OsRelease) -> Vec<Package> {
    let text = String::from_utf8_lossy(bytes);
    paragraphs(&text, ":")
        .filter_map(|fields| package(&fields, release))
        .collect()
}

fn package(fields: &BTreeMap<&str, &str>, release: &OsRelease) -> Option<Package> {
    let name = *fields.get("P")?;
    let version = *fields.get("V")?;
    let architecture = fields.get("A").copied().unwrap_or_default();
    let distribution = release.distribution();
    let url = package_url(
        "apk",
        &[release.id_or("alpine"), name],
        version,
        &[("arch", architecture), ("distro", &distribution)],
    );
    let mut properties = BTreeMap::new();
    if let Some(origin) = fields.get("o") {
        properties.insert("apk:origin".to_owned(), (*origin).to_owned());
    }
    let licences = fields.get("L").copied().unwrap_or_default();
    let licences = licences.split(" AND ").filter(|text| !text.is_empty());
    Some(Package {
        id: url.clone(),
        name: name.to_owned(),
        version: version.to_owned(),
        url,
        licences: licences.map(Licence::named).collect(),
        description: fields.get("T").map(|text| (*text).to_owned()),
        homepage: fields.get("U").map(|text| (*text).to_owned()),
        properties,
        ..Package::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_installed_is_listed() {
        let text = "C:Q1abc=\nP:musl\nV:1.2.5-r0\nA:x86_64\nT:the musl c library\n\
                    U:https://musl.libc.org/\nL:MIT\no:musl\nF:lib\nR:ld-musl-x86_64.so.1\n\n\
                    P:busybox\nV:1.36.1-r29\nA:x86_64\nL:GPL-2.0-only AND BSD-3-Clause\n\n";
        let release = OsRelease::parse(b"ID=alpine\nVERSION_ID=3.20.3\n");
        let found = packages(text.as_bytes(), &release);
        assert_eq!(found.len(), 2);
        assert_eq!(
            found[0].url,
            "pkg:apk/alpine/musl@1.2.5-r0?arch=x86_64&distro=alpine-3.20.3"
        );
        assert_eq!(found[0].homepage.as_deref(), Some("https://musl.libc.org/"));
        assert_eq!(found[1].licences.len(), 2);
    }
}
