//! Packages of a base image, as its package manager lists them.

mod apk;
mod debian;
mod os_release;
mod paragraphs;
mod rpm;

use std::collections::BTreeMap;

use crate::package::Package;
use os_release::OsRelease;

/// The files of a base image that [`System::of`] wants to see, as far as they are there. What ends in a slash is a
/// directory, of which it wants all files.
pub const SYSTEM_FILES: [&str; 10] = [
    "etc/os-release",
    "usr/lib/os-release",
    DPKG,
    // Of distroless images, whose packages have a file each.
    DPKG_PARTS,
    APK[0],
    APK[1],
    RPM[0],
    RPM[1],
    OLD_RPM[0],
    OLD_RPM[1],
];

const DPKG: &str = "var/lib/dpkg/status";
const DPKG_PARTS: &str = "var/lib/dpkg/status.d/";
const APK: [&str; 2] = ["lib/apk/db/installed", "usr/lib/apk/db/installed"];
const RPM: [&str; 2] = [
    "var/lib/rpm/rpmdb.sqlite",
    "usr/lib/sysimage/rpm/rpmdb.sqlite",
];
/// Databases of rpm in forms that nobody reads here; they are named to be told of.
const OLD_RPM: [&str; 2] = ["var/lib/rpm/Packages", "var/lib/rpm/Packages.db"];

/// What the package manager of a base image lists.
#[derive(Clone, Debug, Default)]
pub struct System {
    packages: BTreeMap<String, Package>,
    warnings: Vec<String>,
}

impl System {
    /// What these files list, by their paths without the leading slash. A list that cannot be read is a warning, as
    /// images may have anything in such a place.
    pub fn of(files: &BTreeMap<String, Vec<u8>>) -> Self {
        let mut system = Self::default();
        let release = ["etc/os-release", "usr/lib/os-release"];
        let release = release.iter().find_map(|path| files.get(*path));
        let release = release.map_or_else(OsRelease::default, |bytes| OsRelease::parse(bytes));
        for (path, bytes) in files {
            let is_part = path.starts_with(DPKG_PARTS) && !path.ends_with(".md5sums");
            let found = if path == DPKG || is_part {
                Ok(debian::packages(bytes, &release))
            } else if APK.contains(&path.as_str()) {
                Ok(apk::packages(bytes, &release))
            } else if RPM.contains(&path.as_str()) {
                rpm::packages(bytes, &release)
            } else if OLD_RPM.contains(&path.as_str()) {
                Err("a database of rpm before 4.16, which is not read".to_owned())
            } else {
                Ok(Vec::new())
            };
            match found {
                Ok(found) => {
                    let found = found.into_iter();
                    let found = found.map(|mut package| {
                        let place = format!("/{path}");
                        package
                            .properties
                            .insert("strata:listedIn".to_owned(), place);
                        (package.id.clone(), package)
                    });
                    system.packages.extend(found);
                }
                Err(message) => system.warnings.push(format!(
                    "packages of the base image are missing: /{path}: {message}"
                )),
            }
        }
        system
    }

    /// The packages, each once.
    pub(crate) fn packages(&self) -> impl Iterator<Item = Package> {
        self.packages.values().cloned()
    }

    /// What could not be read.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }
}
