//! Reading a database of Nix that others wrote, without believing it.

use std::collections::BTreeMap;
use std::path::Path;

use rusqlite::config::DbConfig;
use rusqlite::limits::Limit;
use rusqlite::{Connection, OpenFlags, Row};

use super::database::SCHEMA_VERSION;
use super::{DerivationOutput, Registration};
use strata_error::{Error, Result};
use strata_oci::Digest;

/// The files of a database: with the log or the journal of what was not finished, SQLite finishes it or
/// takes it back.
pub const DATABASE_FILES: [&str; 4] = ["db.sqlite", "db.sqlite-journal", "db.sqlite-wal", "schema"];
/// The most bytes of a row.
const LARGEST_ROW: i32 = 1024 * 1024;
/// The most rows of a table.
const MOST_ROWS: usize = 2_000_000;
/// How many instructions of its machine SQLite may run between two looks, and how many looks there are:
/// enough to read as many rows several times.
const INSTRUCTIONS: (i32, u32) = (1_000_000, 1_000);

/// The tables, which must be plain ones: views and virtual tables may compute anything.
const TABLES: [&str; 3] = ["ValidPaths", "Refs", "DerivationOutputs"];

/// Reads the database in the directory `db`, which has [`DATABASE_FILES`], by path; `document` names it in
/// errors. What is kept of it takes `most` bytes of memory at most. SQLite may change the files.
pub fn read_database(
    db: &Path,
    document: &str,
    most: usize,
) -> Result<BTreeMap<String, Registration>> {
    let error = |message: String| Error::Document {
        document: document.to_owned(),
        message,
        hint: "repair the base image, take the database out of it with remove = [ .. ], or set \
               initializeNixDatabase = false"
            .to_owned(),
    };
    let schema = std::fs::read_to_string(db.join("schema")).unwrap_or_default();
    if schema.trim() != SCHEMA_VERSION {
        let message = format!(
            "has the schema {:?} of Nix, expected {SCHEMA_VERSION}",
            schema.trim()
        );
        return Err(error(message));
    }
    let damaged = |problem: rusqlite::Error| error(format!("not a database of Nix: {problem}"));
    let connection = open(&db.join("db.sqlite")).map_err(damaged)?;
    for table in TABLES {
        if !is_plain(&connection, table).map_err(damaged)? {
            return Err(error(format!("not a database of Nix: no table {table}")));
        }
    }
    read(&connection, most).map_err(damaged)?.map_err(error)
}

fn open(file: &Path) -> rusqlite::Result<Connection> {
    // Finishing what is in a log or journal writes.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(file, flags)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_VIEW, false)?;
    connection.set_limit(Limit::SQLITE_LIMIT_LENGTH, LARGEST_ROW)?;
    let (instructions, mut looks) = INSTRUCTIONS;
    let handler = move || {
        looks = looks.saturating_sub(1);
        looks == 0
    };
    connection.progress_handler(instructions, Some(handler))?;
    connection.execute_batch("pragma cell_size_check = on")?;
    Ok(connection)
}

fn is_plain(connection: &Connection, table: &str) -> rusqlite::Result<bool> {
    let mut statements = connection.prepare(
        "select sql from sqlite_schema where type = 'table' and name = ? collate nocase",
    )?;
    let statement = statements.query_row([table], |row| row.get::<_, Option<String>>(0));
    match statement {
        Ok(sql) => Ok(sql.is_some_and(|sql| sql.to_ascii_lowercase().starts_with("create table"))),
        Err(rusqlite::Error::QueryReturnedNoRows) => Ok(false),
        Err(error) => Err(error),
    }
}

/// The inner error is about what is in the rows.
fn read(
    connection: &Connection,
    most: usize,
) -> rusqlite::Result<Result<BTreeMap<String, Registration>, String>> {
    let mut paths = BTreeMap::new();
    let mut names = BTreeMap::new();
    let mut left = Left(most);
    let mut statement = connection.prepare(
        "select id, path, hash, registrationTime, deriver, narSize, ultimate, sigs, ca
         from ValidPaths",
    )?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let registration = match registration(row)? {
            Ok(registration) => registration,
            Err(message) => return Ok(Err(message)),
        };
        if let Err(message) = left.take(PATH + size_of_registration(&registration)) {
            return Ok(Err(message));
        }
        names.insert(row.get::<_, i64>(0)?, registration.path.clone());
        paths.insert(registration.path.clone(), registration);
        if names.len() > MOST_ROWS {
            return Ok(Err(too_many(TABLES[0])));
        }
    }
    let mut count = 0;
    let mut statement = connection.prepare("select referrer, reference from Refs")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let [one, other] = [row.get(0)?, row.get(1)?].map(|id: i64| names.get(&id));
        if let (Some(one), Some(other)) = (one, other)
            && let Some(registration) = paths.get_mut(one)
        {
            if let Err(message) = left.take(2 * size_of::<String>() + OWN + other.len()) {
                return Ok(Err(message));
            }
            registration.references.push(other.clone());
        }
        count += 1;
        if count > MOST_ROWS {
            return Ok(Err(too_many(TABLES[1])));
        }
    }
    let mut count = 0;
    let mut statement = connection.prepare("select drv, id, path from DerivationOutputs")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let derivation = names.get(&row.get(0)?);
        if let Some(registration) = derivation.and_then(|path| paths.get_mut(path)) {
            let (name, path): (String, String) = (row.get(1)?, row.get(2)?);
            let size = 2 * size_of::<DerivationOutput>() + 2 * OWN + name.len() + path.len();
            if let Err(message) = left.take(size) {
                return Ok(Err(message));
            }
            registration.outputs.push(DerivationOutput { name, path });
        }
        count += 1;
        if count > MOST_ROWS {
            return Ok(Err(too_many(TABLES[2])));
        }
    }
    Ok(Ok(paths))
}

/// What a path takes in both maps, without its texts; what an allocation takes besides its content.
const PATH: usize = 2 * (size_of::<(String, Registration)>() + size_of::<(i64, String)>());
const OWN: usize = 32;

/// How many bytes may still be kept.
struct Left(usize);

impl Left {
    fn take(&mut self, bytes: usize) -> Result<(), String> {
        let left = self.0.checked_sub(bytes);
        self.0 = left.ok_or("what it says takes more memory than a base image may")?;
        Ok(())
    }
}

/// How long the texts of a registration are, of which the path is there three times.
fn size_of_registration(registration: &Registration) -> usize {
    let length = |text: &Option<String>| text.as_ref().map_or(0, |text| OWN + text.len());
    3 * (OWN + registration.path.len())
        + length(&registration.deriver)
        + length(&registration.signatures)
        + length(&registration.content_address)
}

fn too_many(table: &str) -> String {
    format!("more than {MOST_ROWS} rows in {table}")
}

fn registration(row: &Row<'_>) -> rusqlite::Result<Result<Registration, String>> {
    let path: String = row.get(1)?;
    let hash: String = row.get(2)?;
    let hash = match hash.parse::<Digest>() {
        Ok(hash) => hash,
        Err(message) => return Ok(Err(format!("the hash of {path:?}: {message}"))),
    };
    let size: Option<i64> = row.get(5)?;
    Ok(Ok(Registration {
        path,
        hash,
        nar_size: size.and_then(|size| u64::try_from(size).ok()).unwrap_or(0),
        references: Vec::new(),
        outputs: Vec::new(),
        time: row.get(3)?,
        deriver: row.get(4)?,
        is_ultimate: row.get::<_, Option<i64>>(6)? == Some(1),
        signatures: row.get(7)?,
        content_address: row.get(8)?,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::write_database;

    const MOST: usize = 1024 * 1024;

    /// Row 8 of "Reliability and security": one path of a megabyte, and 20,000 references to it.
    #[test]
    fn what_is_kept_is_bounded() {
        for change in [
            "update ValidPaths set path = hex(zeroblob(200000)) where path = 'b'",
            "with recursive n(i) as (select 3 union all select i + 1 from n where i < 3000)
             insert into ValidPaths (id, path, hash, registrationTime)
             select i, i, (select hash from ValidPaths limit 1), 1 from n;
             update ValidPaths set path = hex(zeroblob(1000)) where path = 'b';
             insert into Refs select i.id, b.id from ValidPaths i, ValidPaths b
             where length(b.path) = 2000 and i.id != b.id and i.id > 2",
            "update ValidPaths set sigs = hex(zeroblob(500000))",
            "insert into DerivationOutputs select id, 'x', hex(zeroblob(500000)) from ValidPaths",
        ] {
            let directory = tempfile::tempdir().unwrap();
            written(directory.path());
            let connection = Connection::open(directory.path().join("db.sqlite")).unwrap();
            connection.execute_batch(change).unwrap();
            drop(connection);
            let error = read_database(directory.path(), "db", 600 * 1024).unwrap_err();
            assert!(
                error.to_string().contains("takes more memory"),
                "{change}: {error}"
            );
        }
    }

    fn written(directory: &Path) -> BTreeMap<String, Registration> {
        let hash = "sha256:0000000000000000000000000000000000000000000000000000";
        let add = |name: &str, references: &[&str]| {
            let references = references.iter().map(ToString::to_string).collect();
            let path = Registration::new(name.to_owned(), hash, 7, references).unwrap();
            (name.to_owned(), path)
        };
        let mut paths: BTreeMap<_, _> = [add("a", &["a", "b"]), add("b", &[])].into();
        let full = paths.get_mut("b").unwrap();
        full.time = 99;
        full.deriver = Some("c.drv".into());
        full.is_ultimate = true;
        full.signatures = Some("one two".into());
        full.content_address = Some("text:x".into());
        full.outputs = vec![DerivationOutput {
            name: "out".into(),
            path: "d".into(),
        }];
        write_database(directory, &paths).unwrap();
        paths
    }

    #[test]
    fn what_is_written_is_read() {
        let directory = tempfile::tempdir().unwrap();
        let paths = written(directory.path());
        assert_eq!(read_database(directory.path(), "db", MOST).unwrap(), paths);
    }

    #[test]
    fn a_log_that_was_not_finished_counts() {
        let directory = tempfile::tempdir().unwrap();
        written(directory.path());
        let writer = Connection::open(directory.path().join("db.sqlite")).unwrap();
        writer
            .execute_batch("pragma journal_mode = wal; delete from ValidPaths where path = 'a'")
            .unwrap();
        for (left_out, expected) in [("", &["b"][..]), ("db.sqlite-wal", &["a", "b"])] {
            let copy = tempfile::tempdir().unwrap();
            for name in DATABASE_FILES {
                let from = directory.path().join(name);
                if name != left_out && from.exists() {
                    std::fs::copy(from, copy.path().join(name)).unwrap();
                }
            }
            let read = read_database(copy.path(), "db", MOST).unwrap();
            assert_eq!(read.keys().collect::<Vec<_>>(), expected);
        }
    }

    #[test]
    fn what_is_no_database_of_nix_is_refused() {
        for (damage, message) in [
            ("drop table Refs", "no table Refs"),
            (
                "drop table Refs; create view Refs as select 1 referrer, 2 reference",
                "no table Refs",
            ),
            (
                "update ValidPaths set hash = 'sha256:1'",
                "the hash of \"a\"",
            ),
            (
                "update ValidPaths set registrationTime = 'x'",
                "Invalid column type",
            ),
            (
                "alter table ValidPaths rename column sigs to x",
                "no such column: sigs",
            ),
            ("update ValidPaths set sigs = zeroblob(2000000)", "too big"),
        ] {
            let directory = tempfile::tempdir().unwrap();
            written(directory.path());
            Connection::open(directory.path().join("db.sqlite"))
                .unwrap()
                .execute_batch(damage)
                .unwrap();
            let error = read_database(directory.path(), "db", MOST).unwrap_err();
            assert!(error.to_string().contains(message), "{damage}: {error}");
        }
        let directory = tempfile::tempdir().unwrap();
        written(directory.path());
        std::fs::write(directory.path().join("schema"), "9\n").unwrap();
        let error = read_database(directory.path(), "db", MOST).unwrap_err();
        assert_eq!(
            error.to_string(),
            "db: has the schema \"9\" of Nix, expected 10"
        );
        std::fs::write(directory.path().join("schema"), "10").unwrap();
        std::fs::write(directory.path().join("db.sqlite"), [7; 9000]).unwrap();
        let error = read_database(directory.path(), "db", MOST).unwrap_err();
        assert!(error.to_string().contains("not a database"), "{error}");
    }
}
