//! The database in which Nix keeps which store paths are valid: schema 10
//! (`src/libstore/schema.sql` of Nix), with the same bytes for the same paths.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use rusqlite::{Connection, Transaction, params};

use super::{DerivationOutput, hash_of};
use strata_error::{Error, Result};
use strata_oci::Digest;

/// The content of the file `schema` beside the database.
pub(super) const SCHEMA_VERSION: &str = "10";
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
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    /// The full store path.
    pub path: String,
    /// The digest of its archive.
    pub hash: Digest,
    /// The length of its archive in bytes; 0 if it is not known.
    pub nar_size: u64,
    /// The full store paths that it refers to. Those that are not registered are left out.
    pub references: Vec<String>,
    /// If it is a derivation, what it builds.
    pub outputs: Vec<DerivationOutput>,
    /// When it was registered, in seconds since 1970.
    pub time: i64,
    /// The derivation that built it.
    pub deriver: Option<String>,
    /// Whether it was built where it was registered.
    pub is_ultimate: bool,
    /// Signatures, with spaces between them.
    pub signatures: Option<String>,
    /// What makes the path follow from its content, in Nix's form (`fixed:..`, `text:..`).
    pub content_address: Option<String>,
}

impl Registration {
    /// What is known of a path in a closure graph: `nar_hash` is `sha256:` and 52 characters of
    /// Nix's base 32.
    pub fn new(
        path: String,
        nar_hash: &str,
        nar_size: u64,
        references: Vec<String>,
    ) -> Result<Self> {
        let hash = hash_of(nar_hash).ok_or_else(|| Error::Document {
            document: "closure".into(),
            message: format!("{nar_hash:?} of {path} is not a hash of Nix"),
            hint: "build images with Strata's Nix functions; they set it".into(),
        })?;
        Ok(Self {
            path,
            hash,
            nar_size,
            references,
            outputs: Vec::new(),
            time: REGISTRATION_TIME,
            deriver: None,
            is_ultimate: false,
            signatures: None,
            content_address: None,
        })
    }
}

/// Writes the files `db.sqlite` and `schema` into the directory `db`. Each path is there once.
pub fn write_database(db: &Path, paths: &BTreeMap<String, Registration>) -> Result<()> {
    let file = db.join("db.sqlite");
    let error = |error: rusqlite::Error| Error::io("write", &file)(std::io::Error::other(error));
    let mut connection = Connection::open(&file).map_err(error)?;
    connection
        .execute_batch("pragma journal_mode = delete")
        .map_err(error)?;
    let transaction = connection.transaction().map_err(error)?;
    transaction.execute_batch(SCHEMA).map_err(error)?;
    register(&transaction, paths.values()).map_err(error)?;
    refer(&transaction, paths.values()).map_err(error)?;
    transaction.commit().map_err(error)?;
    connection.close().map_err(|(_, closing)| error(closing))?;
    let schema = db.join("schema");
    std::fs::write(&schema, SCHEMA_VERSION).map_err(Error::io("write", &schema))
}

fn register<'a>(
    transaction: &Transaction<'_>,
    paths: impl Iterator<Item = &'a Registration>,
) -> rusqlite::Result<()> {
    let mut insert = transaction.prepare(
        "insert into ValidPaths
             (path, hash, registrationTime, deriver, narSize, ultimate, sigs, ca)
         values (?, ?, ?, ?, ?, ?, ?, ?)",
    )?;
    for path in paths {
        // SQLite's integers have a sign; no file is longer than they reach.
        let size = i64::try_from(path.nar_size).unwrap_or(i64::MAX);
        insert.execute(params![
            path.path,
            path.hash.to_string(),
            path.time,
            path.deriver,
            size,
            path.is_ultimate.then_some(1),
            path.signatures,
            path.content_address,
        ])?;
    }
    Ok(())
}

fn refer<'a>(
    transaction: &Transaction<'_>,
    paths: impl Iterator<Item = &'a Registration>,
) -> rusqlite::Result<()> {
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
