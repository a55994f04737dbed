//! What images and layers were called, over restarts: an SQLite database that several servers may share.
//!
//! All of it can be found again. What cannot be read is as if it had never been there, and a database that is
//! damaged is moved aside.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OptionalExtension as _, Row, params};

use strata_error::{Error, Result};
use strata_oci::{Compression, Descriptor, Digest};

/// The version of the tables below. Another one is another file.
const FILE: &str = "memory-1.sqlite";
/// How long to wait for another server that writes.
const PATIENCE: Duration = Duration::from_secs(5);

const TABLES: &str = "
    -- Which image a request stood for, what it was called, and when that was evaluated.
    CREATE TABLE IF NOT EXISTS tags (
        request TEXT PRIMARY KEY, label TEXT NOT NULL, image TEXT NOT NULL, evaluated INTEGER NOT NULL
    ) WITHOUT ROWID;
    -- Images by the digest of their manifest or index: the store paths that they are made of, one a line.
    CREATE TABLE IF NOT EXISTS images (
        digest TEXT PRIMARY KEY, paths TEXT NOT NULL, compression TEXT NOT NULL, used INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS images_by_paths ON images (paths, compression);
    -- Manifests, indexes and configs of images.
    CREATE TABLE IF NOT EXISTS documents (
        digest TEXT NOT NULL, image TEXT NOT NULL, media_type TEXT NOT NULL, bytes BLOB NOT NULL,
        PRIMARY KEY (digest, image)
    ) WITHOUT ROWID;
    -- What layers are called when they are compressed.
    CREATE TABLE IF NOT EXISTS layers (
        diff_id TEXT NOT NULL, compression TEXT NOT NULL, descriptor TEXT NOT NULL,
        PRIMARY KEY (diff_id, compression)
    ) WITHOUT ROWID;
    -- Which store path a layer is in.
    CREATE TABLE IF NOT EXISTS origins (
        digest TEXT NOT NULL, path TEXT NOT NULL, PRIMARY KEY (digest, path)
    ) WITHOUT ROWID;
";

/// The memory of servers that share a directory.
pub(crate) struct Memory {
    path: PathBuf,
    connection: Mutex<Option<Connection>>,
}

/// What a name and a tag stood for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tagged {
    pub(crate) image: Digest,
    /// In seconds since 1970.
    pub(crate) evaluated: i64,
}

/// An image as it is remembered.
pub(crate) struct Remembered<'a> {
    /// The digest of its manifest or index.
    pub(crate) digest: Digest,
    /// What it is made of.
    pub(crate) paths: &'a [PathBuf],
    pub(crate) compression: Compression,
    /// Its manifests, indexes and configs.
    pub(crate) documents: Vec<(Descriptor, Vec<u8>)>,
    /// Its layers, each with the store path that it is in.
    pub(crate) layers: Vec<(Digest, &'a Path)>,
}

impl Memory {
    /// The memory in a directory that exists.
    pub(crate) fn open(directory: &Path) -> Result<Self> {
        let path = directory.join(FILE);
        let connection = connect(&path).or_else(|error| {
            if !is_damaged(&error) {
                return Err(error);
            }
            move_aside(&path);
            connect(&path)
        });
        let connection = connection.map_err(|source| Error::Document {
            document: path.display().to_string(),
            message: source.to_string(),
            hint: "it can be deleted: all of it is found again".to_owned(),
        })?;
        Ok(Self {
            path,
            connection: Mutex::new(Some(connection)),
        })
    }

    /// What a request stood for, and the store paths that it is made of.
    pub(crate) fn tagged(&self, request: &Digest) -> Option<(Tagged, Vec<PathBuf>)> {
        self.ask(|connection| {
            let mut statement = connection.prepare(
                "SELECT image, evaluated, paths FROM tags JOIN images ON image = digest
                 WHERE request = ? AND EXISTS (SELECT 1 FROM documents WHERE digest = tags.image)",
            )?;
            let row = |row: &Row<'_>| Ok((row.get::<_, String>(0)?, row.get(1)?, row.get(2)?));
            let found = statement.query_row([request.to_string()], row).optional()?;
            let tagged = |(image, evaluated, paths): (String, i64, String)| {
                let image = image.parse().ok()?;
                let paths = paths.lines().map(PathBuf::from).collect();
                Some((Tagged { image, evaluated }, paths))
            };
            Ok(found.and_then(tagged))
        })
    }

    /// Remembers what a request stands for; `label` is its name and tag.
    pub(crate) fn keep_tag(&self, request: &Digest, label: &str, tagged: Tagged) {
        self.tell(|connection| {
            let Tagged { image, evaluated } = tagged;
            let values = params![request.to_string(), label, image.to_string(), evaluated];
            let sql = "INSERT OR REPLACE INTO tags (request, label, image, evaluated) VALUES (?, ?, ?, ?)";
            connection.prepare(sql)?.execute(values).map(|_| ())
        });
    }

    /// What was evaluated last, the newest first: names with their tags, and images.
    pub(crate) fn newest(&self, most: u32) -> Vec<(String, Digest)> {
        let found: Option<Vec<(String, String)>> = self.ask(|connection| {
            let sql = "SELECT label, image FROM tags ORDER BY evaluated DESC, label LIMIT ?";
            let mut statement = connection.prepare(sql)?;
            let rows = statement.query_map([most], |row| Ok((row.get(0)?, row.get(1)?)))?;
            rows.collect::<rusqlite::Result<_>>().map(Some)
        });
        let found = found.unwrap_or_default().into_iter();
        found
            .filter_map(|(label, image)| Some((label, image.parse().ok()?)))
            .collect()
    }

    /// The image that these store paths make, and that it is used at this second.
    pub(crate) fn image_of(
        &self,
        paths: &[PathBuf],
        compression: Compression,
        now: i64,
    ) -> Option<Digest> {
        self.ask(|connection| {
            let mut statement = connection
                .prepare("SELECT digest FROM images WHERE paths = ? AND compression = ?")?;
            let values = params![lines(paths), compression.to_string()];
            let digest = |row: &Row<'_>| row.get::<_, String>(0);
            let found = statement.query_row(values, digest).optional()?;
            if let Some(digest) = &found {
                let sql = "UPDATE images SET used = ? WHERE digest = ?";
                connection.execute(sql, params![now, digest])?;
            }
            Ok(found.and_then(|digest| digest.parse().ok()))
        })
    }

    /// Remembers an image that is used at this second.
    pub(crate) fn keep_image(&self, image: &Remembered<'_>, now: i64) {
        self.tell(|connection| {
            let transaction = connection.unchecked_transaction()?;
            let digest = image.digest.to_string();
            let compression = image.compression.to_string();
            transaction.execute(
                "INSERT OR REPLACE INTO images (digest, paths, compression, used) VALUES (?, ?, ?, ?)",
                params![digest, lines(image.paths), compression, now],
            )?;
            for (descriptor, bytes) in &image.documents {
                transaction.execute(
                    "INSERT OR REPLACE INTO documents (digest, image, media_type, bytes) VALUES (?, ?, ?, ?)",
                    params![descriptor.digest.to_string(), digest, descriptor.media_type, bytes],
                )?;
            }
            for (layer, path) in &image.layers {
                transaction.execute(
                    "INSERT OR REPLACE INTO origins (digest, path) VALUES (?, ?)",
                    params![layer.to_string(), path.to_string_lossy()],
                )?;
            }
            transaction.commit()
        });
    }

    /// A manifest, an index or a config.
    pub(crate) fn document(&self, digest: Digest) -> Option<(Descriptor, Vec<u8>)> {
        let found: Option<(String, Vec<u8>)> = self.ask(|connection| {
            let sql = "SELECT media_type, bytes FROM documents WHERE digest = ? LIMIT 1";
            let mut statement = connection.prepare(sql)?;
            let row = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?));
            statement.query_row([digest.to_string()], row).optional()
        });
        let (media_type, bytes) = found?;
        // A file that somebody wrote to may say anything.
        let descriptor = Descriptor::of(&media_type, &bytes);
        (descriptor.digest == digest).then_some((descriptor, bytes))
    }

    /// What a layer is called when it is compressed like this.
    pub(crate) fn layer(&self, diff_id: Digest, compression: Compression) -> Option<Descriptor> {
        let text: Option<String> = self.ask(|connection| {
            let sql = "SELECT descriptor FROM layers WHERE diff_id = ? AND compression = ?";
            let mut statement = connection.prepare(sql)?;
            let values = params![diff_id.to_string(), compression.to_string()];
            statement.query_row(values, |row| row.get(0)).optional()
        });
        serde_json::from_str(&text?).ok()
    }

    /// Remembers what a layer is called.
    pub(crate) fn keep_layer(&self, diff_id: Digest, compression: Compression, blob: &Descriptor) {
        let text = serde_json::to_string(blob).unwrap_or_default();
        self.tell(|connection| {
            let sql =
                "INSERT OR REPLACE INTO layers (diff_id, compression, descriptor) VALUES (?, ?, ?)";
            let values = params![diff_id.to_string(), compression.to_string(), text];
            connection.execute(sql, values).map(|_| ())
        });
    }

    /// The store paths that a layer is in.
    pub(crate) fn origins(&self, layer: Digest) -> Vec<PathBuf> {
        let found: Option<Vec<String>> = self.ask(|connection| {
            let mut statement = connection.prepare("SELECT path FROM origins WHERE digest = ?")?;
            let paths = statement.query_map([layer.to_string()], |row| row.get(0))?;
            paths.collect::<rusqlite::Result<_>>().map(Some)
        });
        found
            .unwrap_or_default()
            .into_iter()
            .map(PathBuf::from)
            .collect()
    }

    /// Forgets the images that were used least recently, but for `most` of them; gives the store paths that no
    /// image is made of any more.
    pub(crate) fn forget(&self, most: u32) -> Vec<PathBuf> {
        let forgotten: Option<Vec<String>> = self.ask(|connection| {
            let transaction = connection.unchecked_transaction()?;
            let old = "SELECT digest FROM images ORDER BY used DESC, digest LIMIT -1 OFFSET ?";
            let mut statement = transaction
                .prepare(&format!("SELECT paths FROM images WHERE digest IN ({old})"))?;
            let all = statement.query_map([most], |row| row.get::<_, String>(0))?;
            let all = all.collect::<rusqlite::Result<Vec<_>>>()?;
            drop(statement);
            if all.is_empty() {
                return Ok(None);
            }
            transaction.execute(
                &format!("DELETE FROM images WHERE digest IN ({old})"),
                [most],
            )?;
            let gone = "NOT IN (SELECT digest FROM images)";
            transaction.execute(&format!("DELETE FROM tags WHERE image {gone}"), [])?;
            transaction.execute(&format!("DELETE FROM documents WHERE image {gone}"), [])?;
            let mut unused = Vec::new();
            for path in all.iter().flat_map(|paths| paths.lines()) {
                let is_used: bool = transaction.query_row(
                    "SELECT EXISTS (SELECT 1 FROM images WHERE instr(paths, ?) > 0)",
                    [path],
                    |row| row.get(0),
                )?;
                if !is_used {
                    transaction.execute("DELETE FROM origins WHERE path = ?", [path])?;
                    unused.push(path.to_owned());
                }
            }
            transaction.commit()?;
            Ok(Some(unused))
        });
        forgotten
            .unwrap_or_default()
            .into_iter()
            .map(PathBuf::from)
            .collect()
    }

    /// Asks the database; nothing if it cannot be asked.
    fn ask<T>(
        &self,
        question: impl FnOnce(&Connection) -> rusqlite::Result<Option<T>>,
    ) -> Option<T> {
        let mut connection = self.connection();
        match question(connection.as_ref()?) {
            Ok(answer) => answer,
            Err(error) => {
                if is_damaged(&error) {
                    *connection = None;
                    move_aside(&self.path);
                    *connection = connect(&self.path).ok();
                }
                None
            }
        }
    }

    /// Tells the database something. That this fails is nobody's problem.
    fn tell(&self, statement: impl FnOnce(&Connection) -> rusqlite::Result<()>) {
        self.ask(|connection| statement(connection).map(Some));
    }

    fn connection(&self) -> MutexGuard<'_, Option<Connection>> {
        // What a panic left undone, SQLite takes back.
        let connection = self.connection.lock();
        connection.unwrap_or_else(PoisonError::into_inner)
    }
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(PATIENCE)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // What the last seconds brought may be lost when the machine fails: it is found again.
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.execute_batch(TABLES)?;
    Ok(connection)
}

/// Whether an error is about the file and not about what was asked.
fn is_damaged(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
    )
}

fn move_aside(path: &Path) {
    for suffix in ["", "-wal", "-shm"] {
        let mut from = path.as_os_str().to_owned();
        from.push(suffix);
        let mut to = path.as_os_str().to_owned();
        to.push(".damaged");
        to.push(suffix);
        let _ = std::fs::rename(from, to);
    }
}

fn lines(paths: &[PathBuf]) -> String {
    let paths = paths.iter().map(|path| path.to_string_lossy());
    paths.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn digest(text: &str) -> Digest {
        Digest::of(text.as_bytes())
    }

    fn remember(memory: &Memory, name: &str, paths: &[&str], now: i64) -> Digest {
        let document = format!("manifest of {name}").into_bytes();
        let descriptor = Descriptor::of("application/json", &document);
        let image = descriptor.digest;
        let paths: Vec<PathBuf> = paths.iter().map(PathBuf::from).collect();
        let layers = paths.iter().map(|path| (digest("layer"), path.as_path()));
        memory.keep_image(
            &Remembered {
                digest: image,
                paths: &paths,
                compression: Compression::GZIP,
                documents: vec![(descriptor, document)],
                layers: layers.collect(),
            },
            now,
        );
        let evaluated = now;
        memory.keep_tag(&digest(name), name, Tagged { image, evaluated });
        image
    }

    #[test]
    fn what_is_remembered_is_there_after_a_restart_and_for_others() {
        let directory = tempfile::tempdir().unwrap();
        let memory = Memory::open(directory.path()).unwrap();
        let other = Memory::open(directory.path()).unwrap();
        let image = remember(&memory, "a", &["/s/a"], 7);
        let blob = Descriptor::of("application/x", b"compressed");
        memory.keep_layer(digest("tar"), Compression::ZSTD, &blob);
        drop(memory);
        for memory in [other, Memory::open(directory.path()).unwrap()] {
            let tagged = (
                Tagged {
                    image,
                    evaluated: 7,
                },
                vec!["/s/a".into()],
            );
            assert_eq!(memory.tagged(&digest("a")), Some(tagged));
            assert_eq!(memory.tagged(&digest("b")), None);
            assert_eq!(memory.document(image).unwrap().1, b"manifest of a");
            assert_eq!(
                memory.layer(digest("tar"), Compression::ZSTD),
                Some(blob.clone())
            );
            assert_eq!(memory.layer(digest("tar"), Compression::GZIP), None);
            assert_eq!(memory.origins(digest("layer")), [PathBuf::from("/s/a")]);
            let paths = ["/s/a".into()];
            assert_eq!(memory.image_of(&paths, Compression::GZIP, 8), Some(image));
            assert_eq!(memory.image_of(&paths, Compression::ZSTD, 8), None);
        }
    }

    #[test]
    fn the_least_recently_used_images_are_forgotten() {
        let directory = tempfile::tempdir().unwrap();
        let memory = Memory::open(directory.path()).unwrap();
        let old = remember(&memory, "old", &["/s/old", "/s/both"], 1);
        let new = remember(&memory, "new", &["/s/new", "/s/both"], 2);
        assert!(memory.forget(2).is_empty());
        assert_eq!(memory.forget(1), [PathBuf::from("/s/old")]);
        assert!(memory.document(old).is_none() && memory.tagged(&digest("old")).is_none());
        assert!(memory.document(new).is_some() && memory.tagged(&digest("new")).is_some());
        assert_eq!(memory.newest(9), [("new".to_owned(), new)]);
        assert_eq!(memory.origins(digest("layer")).len(), 2);
    }

    #[test]
    fn a_damaged_database_is_begun_anew() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join(FILE);
        fs::write(
            &file,
            "this is not a database, whatever its name says".repeat(100),
        )
        .unwrap();
        let memory = Memory::open(directory.path()).unwrap();
        let image = remember(&memory, "a", &["/s/a"], 1);
        assert!(memory.document(image).is_some());
        // While it is used.
        let connection = Connection::open(&file).unwrap();
        connection
            .pragma_update(None, "wal_checkpoint", "TRUNCATE")
            .unwrap();
        drop(connection);
        let length = fs::metadata(&file).unwrap().len();
        fs::write(&file, vec![7; usize::try_from(length).unwrap()]).unwrap();
        for _ in 0..3 {
            let _ = memory.document(image);
            let _ = memory.tagged(&digest("a"));
            remember(&memory, "a", &["/s/a"], 1);
        }
        assert_eq!(memory.document(image).unwrap().1, b"manifest of a");
    }

    #[test]
    fn documents_are_what_they_are_called() {
        let directory = tempfile::tempdir().unwrap();
        let memory = Memory::open(directory.path()).unwrap();
        let image = remember(&memory, "a", &["/s/a"], 1);
        let connection = Connection::open(directory.path().join(FILE)).unwrap();
        connection
            .execute("UPDATE documents SET bytes = 'other'", [])
            .unwrap();
        assert!(memory.document(image).is_none());
    }
}
