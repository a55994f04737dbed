//! Packages that dpkg installed (deb-control(5), the file `status`).

use std::collections::BTreeMap;

use super::os_release::OsRelease;
use super::paragraphs::paragraphs;
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
    let name = *fields.get("Package")?;
    let version = *fields.get("Version")?;
    // Distroless images leave the status out.
    let status = fields.get("Status").copied().unwrap_or("installed");
    if !status.ends_with("installed") || status.ends_with("not-installed") {
        return None;
    }
    let architecture = fields.get("Architecture").copied().unwrap_or_default();
    let distribution = release.distribution();
    let url = package_url(
        "deb",
        &[release.id_or("debian"), name],
        version,
        &[("arch", architecture), ("distro", &distribution)],
    );
    let mut properties = BTreeMap::new();
    // `NAME (VERSION)`, where the source has another version.
    if let Some(source) = fields.get("Source") {
        properties.insert("deb:source".to_owned(), (*source).to_owned());
    }
    Some(Package {
        id: url.clone(),
        name: name.to_owned(),
        version: version.to_owned(),
        url,
        description: fields.get("Description").map(|text| (*text).to_owned()),
        homepage: fields.get("Homepage").map(|text| (*text).to_owned()),
        properties,
        ..Package::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_installed_is_listed() {
        let text = "Package: bash\nStatus: install ok installed\nArchitecture: amd64\n\
                    Version: 5.2.15-2+b2\nSource: bash (5.2.15-2)\nDescription: GNU shell\n more: text\n\
                    \n\
                    Package: gone\nStatus: deinstall ok config-files\nVersion: 1\n\
                    \n\
                    Package: never\nStatus: unknown ok not-installed\nVersion: 1\n\
                    \n\
                    Package: tzdata\nVersion: 2024a\nArchitecture: all\n\nrubbish\n";
        let release = OsRelease::parse(b"ID=debian\nVERSION_ID=12\n");
        let found = packages(text.as_bytes(), &release);
        let urls: Vec<&str> = found.iter().map(|package| package.url.as_str()).collect();
        assert_eq!(
            urls,
            [
                "pkg:deb/debian/bash@5.2.15-2%2Bb2?arch=amd64&distro=debian-12",
                "pkg:deb/debian/tzdata@2024a?arch=all&distro=debian-12"
            ]
        );
        assert_eq!(found[0].description.as_deref(), Some("GNU shell"));
        assert_eq!(found[0].properties["deb:source"], "bash (5.2.15-2)");
    }
}
