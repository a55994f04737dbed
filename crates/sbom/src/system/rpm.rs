//! Packages that rpm installed: its database in SQLite, whose rows are headers (rpm's `rpmpkg` and `header.c`;
//! "RPM V4 header format").

use std::collections::BTreeMap;
use std::io::Read;

use rusqlite::config::DbConfig;
use rusqlite::limits::Limit;
use rusqlite::{Connection, MAIN_DB};

use super::os_release::OsRelease;
use crate::licence::Licence;
use crate::package::Package;
use crate::package_url::package_url;

/// The most packages.
const MOST_PACKAGES: usize = 100_000;
/// The most bytes of a header.
const LARGEST_HEADER: i32 = 64 << 20;
/// How many instructions of its machine SQLite may run between two looks, and how many looks there are.
const INSTRUCTIONS: (i32, u32) = (1_000_000, 1_000);

/// Tags of a header that are read.
mod tag {
    pub(super) const NAME: u32 = 1000;
    pub(super) const VERSION: u32 = 1001;
    pub(super) const RELEASE: u32 = 1002;
    pub(super) const EPOCH: u32 = 1003;
    pub(super) const SUMMARY: u32 = 1004;
    pub(super) const LICENSE: u32 = 1014;
    pub(super) const URL: u32 = 1020;
    pub(super) const ARCH: u32 = 1022;
    pub(super) const SOURCE_RPM: u32 = 1044;
}

/// The packages of a database; the error says what is wrong with it.
pub(super) fn packages(bytes: &[u8], release: &OsRelease) -> Result<Vec<Package>, String> {
    let packages = read(bytes, |header| package(header, release));
    packages.map_err(|error| format!("not a database of rpm: {error}"))
}

/// What is made of the headers in a database, which is read from memory, never written, and not believed.
fn read<T>(bytes: &[u8], make: impl Fn(&[u8]) -> Option<T>) -> rusqlite::Result<Vec<T>> {
    let mut connection = Connection::open_in_memory()?;
    // What was not finished when the image was made is in a log beside it, and missing here: the file itself is whole.
    let mut whole = bytes.to_vec();
    if let Some([write, read]) = whole
        .get_mut(18..20)
        .and_then(|pair| <&mut [u8; 2]>::try_from(pair).ok())
    {
        // Without its log, a database in that mode cannot be opened from memory.
        *write = 1;
        *read = 1;
    }
    let size = whole.len();
    connection.deserialize_read_exact(MAIN_DB, whole.take(size as u64), size, true)?;
    // Views and triggers may compute anything.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_VIEW, false)?;
    connection.set_limit(Limit::SQLITE_LIMIT_LENGTH, LARGEST_HEADER)?;
    let (instructions, mut looks) = INSTRUCTIONS;
    let handler = move || {
        looks = looks.saturating_sub(1);
        looks == 0
    };
    connection.progress_handler(instructions, Some(handler))?;
    let mut statement = connection.prepare("select blob from Packages order by hnum")?;
    let mut rows = statement.query([])?;
    let mut results = Vec::new();
    while let Some(row) = rows.next()? {
        results.extend(make(row.get_ref(0)?.as_blob()?));
        if results.len() >= MOST_PACKAGES {
            break;
        }
    }
    Ok(results)
}

fn package(header: &[u8], release: &OsRelease) -> Option<Package> {
    let fields = Header::parse(header)?;
    let name = fields.text(tag::NAME)?;
    // Keys of the package manager are listed like packages.
    if name == "gpg-pubkey" {
        return None;
    }
    let version = fields.text(tag::VERSION)?;
    let version = match fields.text(tag::RELEASE) {
        Some(release) => format!("{version}-{release}"),
        None => version,
    };
    let architecture = fields.text(tag::ARCH).unwrap_or_default();
    let epoch = fields.number(tag::EPOCH).map(|epoch| epoch.to_string());
    let distribution = release.distribution();
    let url = package_url(
        "rpm",
        &[release.id_or("redhat"), &name],
        &version,
        &[
            ("arch", &architecture),
            ("distro", &distribution),
            ("epoch", epoch.as_deref().unwrap_or_default()),
        ],
    );
    let mut properties = BTreeMap::new();
    if let Some(source) = fields.text(tag::SOURCE_RPM) {
        properties.insert("rpm:source".to_owned(), source);
    }
    Some(Package {
        id: url.clone(),
        name,
        version,
        url,
        licences: fields
            .text(tag::LICENSE)
            .iter()
            .map(|text| Licence::named(text))
            .collect(),
        description: fields.text(tag::SUMMARY),
        homepage: fields.text(tag::URL),
        properties,
        ..Package::default()
    })
}

/// A header: an index of entries (tag, type, place, count), and what they are of.
struct Header<'a> {
    entries: BTreeMap<u32, (u32, usize)>,
    data: &'a [u8],
}

/// How many bytes an entry has.
const ENTRY: usize = 16;
/// Types of entries.
const INT32: u32 = 4;
const STRING: u32 = 6;
const STRINGS_OF_LANGUAGES: u32 = 9;

impl<'a> Header<'a> {
    fn parse(bytes: &'a [u8]) -> Option<Self> {
        let count = usize::try_from(number(bytes, 0)?).ok()?;
        let index = bytes.get(8..8_usize.checked_add(count.checked_mul(ENTRY)?)?)?;
        let data = bytes.get(8 + index.len()..)?;
        let mut entries = BTreeMap::new();
        for entry in index.chunks_exact(ENTRY) {
            let place = usize::try_from(number(entry, 8)?).ok()?;
            entries.insert(number(entry, 0)?, (number(entry, 4)?, place));
        }
        Some(Self { entries, data })
    }

    /// The text of a tag; of several languages, the first.
    fn text(&self, tag: u32) -> Option<String> {
        let (kind, place) = self.entries.get(&tag)?;
        if ![STRING, STRINGS_OF_LANGUAGES].contains(kind) {
            return None;
        }
        let bytes = self.data.get(*place..)?;
        let end = bytes.iter().position(|byte| *byte == 0)?;
        Some(String::from_utf8_lossy(bytes.get(..end)?).into_owned())
    }

    fn number(&self, tag: u32) -> Option<u32> {
        let (kind, place) = self.entries.get(&tag)?;
        (*kind == INT32).then_some(())?;
        number(self.data, *place)
    }
}

/// The number at a place, most significant byte first.
fn number(bytes: &[u8], place: usize) -> Option<u32> {
    let bytes = bytes.get(place..place.checked_add(4)?)?;
    Some(u32::from_be_bytes(bytes.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A header with texts and an epoch.
    fn header(texts: &[(u32, &str)], epoch: u32) -> Vec<u8> {
        let mut index = Vec::new();
        let mut data = epoch.to_be_bytes().to_vec();
        let mut add = |tag: u32, kind: u32, place: usize| {
            for value in [tag, kind, u32::try_from(place).unwrap(), 1] {
                index.extend(value.to_be_bytes());
            }
        };
        add(tag::EPOCH, INT32, 0);
        for (tag, text) in texts {
            add(*tag, STRING, data.len());
            data.extend(text.as_bytes());
            data.push(0);
        }
        let count = u32::try_from(texts.len() + 1).unwrap();
        let mut bytes = count.to_be_bytes().to_vec();
        bytes.extend(u32::try_from(data.len()).unwrap().to_be_bytes());
        [bytes, index, data].concat()
    }

    #[test]
    fn what_is_installed_is_listed() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("rpmdb.sqlite");
        let connection = Connection::open(&file).unwrap();
        connection
            .execute_batch("create table Packages (hnum integer primary key, blob blob not null)")
            .unwrap();
        let bash = header(
            &[
                (tag::NAME, "bash"),
                (tag::VERSION, "5.2.26"),
                (tag::RELEASE, "3.fc40"),
                (tag::ARCH, "x86_64"),
                (tag::LICENSE, "GPL-3.0-or-later"),
            ],
            1,
        );
        let key = header(&[(tag::NAME, "gpg-pubkey"), (tag::VERSION, "1")], 0);
        for blob in [bash.clone(), key, bash[..30].to_vec()] {
            connection
                .execute("insert into Packages (blob) values (?)", [blob])
                .unwrap();
        }
        drop(connection);
        let bytes = std::fs::read(&file).unwrap();
        let release = OsRelease::parse(b"ID=fedora\nVERSION_ID=40");
        let found = packages(&bytes, &release).unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(
            found[0].url,
            "pkg:rpm/fedora/bash@5.2.26-3.fc40?arch=x86_64&distro=fedora-40&epoch=1"
        );
        assert!(packages(b"rubbish", &release).is_err());
        assert!(packages(b"", &release).is_err());
    }
}
