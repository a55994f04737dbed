//! The database in which Nix keeps which store paths are valid: schema 10
//! (`src/libstore/schema.sql` of Nix), with the same bytes for the same paths.

use std::collections::BTreeSet;
use std::path::Path;

use rusqlite::{Connection, Transaction, params};

use super::{DerivationOutput, base32};
use crate::oci::Digest;
use crate::{Error, Result};

/// The content of the file `schema` beside the database.
const SCHEMA_VERSION: &str = "10";
/// When every path was registered, in seconds since 1970: the time that files in the store have.
const REGISTRATION_TIME: i64 = 1;

/// Tables, indices and trigger; Nix makes no others before 2.35, which adds its own when it opens
/// the database.
const SCHEMA: &str = "
create table ValidPaths (
    id               integer primary key autoincrement not null,
    path             text unique not null,
    hash             text not null,
    registrationTime integer not null,
    deriver          text,
    narSize          integer,
    ultimate         integer,
    sigs             text,
    ca               text
);
create table Refs (
    referrer  integer not null,
    reference integer not null,
    primary key (referrer, reference),
    foreign key (referrer) references ValidPaths(id) on delete cascade,
    foreign key (reference) references ValidPaths(id) on delete restrict
);
create index IndexReferrer on Refs(referrer);
create index IndexReference on Refs(reference);
create trigger DeleteSelfRefs before delete on ValidPaths
  begin
    delete from Refs where referrer = old.id and reference = old.id;
  end;
create table DerivationOutputs (
    drv  integer not null,
    id   text not null,
    path text not null,
    primary key (drv, id),
    foreign key (drv) references ValidPaths(id) on delete cascade
);
create index IndexDerivationOutputs on DerivationOutputs(path);
";

/// A valid store path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Registration {
    /// The full store path.
    pub path: String,
    /// `sha256:` and 52 characters of Nix's base 32.
    pub nar_hash: String,
    /// The length of its archive in bytes.
    pub nar_size: u64,
    /// The full store paths that it refers to. Those that are not registered are left out.
    pub references: Vec<String>,
    /// If it is a derivation, what it builds.
    pub outputs: Vec<DerivationOutput>,
}

/// Writes the files `db.sqlite` and `schema` into the directory `db`.
pub fn write_database(db: &Path, mut paths: Vec<Registration>) -> Result<()> {
    paths.sort_unstable();
    paths.dedup_by(|one, other| one.path == other.path);
    let hashes = paths.iter().map(hash).collect::<Result<Vec<_>>>()?;
    let file = db.join("db.sqlite");
    let error = |error: rusqlite::Error| Error::io("write", &file)(std::io::Error::other(error));
    let mut connection = Connection::open(&file).map_err(error)?;
    connection
        .execute_batch("pragma journal_mode = delete")
        .map_err(error)?;
    let transaction = connection.transaction().map_err(error)?;
    transaction.execute_batch(SCHEMA).map_err(error)?;
    register(&transaction, &paths, &hashes).map_err(error)?;
    refer(&transaction, &paths).map_err(error)?;
    transaction.commit().map_err(error)?;
    connection.close().map_err(|(_, closing)| error(closing))?;
    let schema = db.join("schema");
    std::fs::write(&schema, SCHEMA_VERSION).map_err(Error::io("write", &schema))
}

/// The hash of a path as the database has it: `sha256:` and hex digits.
fn hash(path: &Registration) -> Result<String> {
    let hash = path
        .nar_hash
        .strip_prefix("sha256:")
        .and_then(base32::decode::<32>);
    let hash = hash.ok_or_else(|| Error::Document {
        document: "closure".into(),
        message: format!("{:?} of {} is not a hash of Nix", path.nar_hash, path.path),
        hint: "build images with Strata's Nix functions; they set it".into(),
    })?;
    Ok(Digest::from_bytes(hash).to_string())
}

fn register(
    transaction: &Transaction<'_>,
    paths: &[Registration],
    hashes: &[String],
) -> rusqlite::Result<()> {
    let mut insert = transaction.prepare(
        "insert into ValidPaths (path, hash, registrationTime, narSize) values (?, ?, ?, ?)",
    )?;
    for (path, hash) in paths.iter().zip(hashes) {
        // SQLite's integers have a sign; no file is longer than they reach.
        let size = i64::try_from(path.nar_size).unwrap_or(i64::MAX);
        insert.execute(params![path.path, hash, REGISTRATION_TIME, size])?;
    }
    Ok(())
}

fn refer(transaction: &Transaction<'_>, paths: &[Registration]) -> rusqlite::Result<()> {
    let mut reference = transaction.prepare(
        "insert into Refs (referrer, reference)
         select one.id, other.id from ValidPaths one, ValidPaths other
         where one.path = ? and other.path = ?",
    )?;
    let mut output = transaction.prepare(
        "insert into DerivationOutputs (drv, id, path)
         select id, ?, ? from ValidPaths where path = ?",
    )?;
    for path in paths {
        let references: BTreeSet<&String> = path.references.iter().collect();
        for other in references {
            reference.execute(params![path.path, other])?;
        }
        for built in &path.outputs {
            output.execute(params![built.name, built.path, path.path])?;
        }
    }
    Ok(())
}
