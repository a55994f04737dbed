//! A store made of temporary files, and images built in it by the library, without Nix.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use strata_builder as builder;
use strata_builder::Settings;
use strata_layer::{LayerRecord, LayersFile, write_layer};
use strata_nix::{Store, base32, nar};
use strata_oci::Digest;
use tempfile::TempDir;

/// What a store path may hold.
pub enum Item<'a> {
    Directory(&'a str),
    File(&'a str, &'a str),
    Executable(&'a str, &'a str),
    Symlink(&'a str, &'a str),
}

pub struct FakeStore {
    temporary: TempDir,
    /// The store directory that paths name.
    pub dir: String,
    /// Where it is.
    pub location: PathBuf,
    closure: BTreeMap<String, Value>,
    outputs: usize,
}

impl FakeStore {
    /// A store that is where its paths say.
    pub fn new() -> Self {
        let temporary = tempfile::tempdir().unwrap();
        let location = temporary.path().join("store");
        Self::at(temporary, location.to_str().unwrap().to_owned())
    }

    /// A store whose paths say `/nix/store`, for digests that do not depend on where it is. For
    /// Nix it is the store `local?root=` [`FakeStore::root`].
    pub fn relocated() -> Self {
        Self::at(tempfile::tempdir().unwrap(), "/nix/store".to_owned())
    }

    fn at(temporary: TempDir, dir: String) -> Self {
        let location = match dir.strip_prefix(temporary.path().to_str().unwrap()) {
            Some(_) => PathBuf::from(&dir),
            None => temporary.path().join(dir.trim_start_matches('/')),
        };
        std::fs::create_dir_all(&location).unwrap();
        Self {
            temporary,
            dir,
            location,
            closure: BTreeMap::new(),
            outputs: 0,
        }
    }

    /// The directory that stands for `/`.
    pub fn root(&self) -> &Path {
        self.temporary.path()
    }

    /// Makes a store path and says in the closure graph what it refers to.
    pub fn add(&mut self, name: &str, items: &[Item<'_>], references: &[&str]) -> String {
        let path = self.path(name);
        let root = self.locate(&path);
        std::fs::create_dir(&root).unwrap();
        for item in items {
            make(&root, item);
        }
        self.register(&path, references);
        path
    }

    /// Makes a store path that is one file.
    pub fn add_file(&mut self, name: &str, content: &str) -> String {
        let path = self.path(name);
        std::fs::write(self.locate(&path), content).unwrap();
        self.register(&path, &[]);
        path
    }

    /// Records a store path as it is now.
    pub fn register(&mut self, path: &str, references: &[&str]) {
        let info = nar::hash(&self.locate(path)).unwrap();
        let entry = json!({
            "path": path, "narHash": info.hash, "narSize": info.size, "references": references,
            "valid": true, "closureSize": info.size
        });
        self.closure.insert(path.to_owned(), entry);
    }

    /// The full path of a store path with this name.
    pub fn path(&self, name: &str) -> String {
        let hash = base32::encode(&Digest::of(name.as_bytes()).as_bytes()[..20]);
        format!("{}/{hash}-{name}", self.dir)
    }

    /// Where a store path is.
    pub fn locate(&self, path: &str) -> PathBuf {
        self.location.join(
            path.strip_prefix(&self.dir)
                .unwrap()
                .trim_start_matches('/'),
        )
    }

    /// The request of an image called `test` with one layer and a history without words, to be changed.
    pub fn image_request(&self) -> Value {
        json!({
            "version": 1, "storeDir": self.dir, "maxLayers": 1, "strategy": "popularity", "metadata": {},
            "image": { "name": "test", "tag": "latest", "arch": "amd64", "created": "0001-01-01T00:00:00Z" }
        })
    }

    /// The attributes that Nix would write for a request, with the closure of its roots.
    pub fn attrs(&self, request: &Value, out: &str) -> Value {
        let requests: Vec<&Value> = match request["images"].as_object() {
            Some(images) => images.values().collect(),
            None => vec![request],
        };
        let mut todo: Vec<String> = Vec::new();
        for attribute in ["copyToRoot", "deps"] {
            let lists = requests
                .iter()
                .filter_map(|request| request[attribute].as_array());
            let roots = lists.flatten().filter_map(Value::as_str);
            todo.extend(roots.map(str::to_owned));
        }
        let files = requests
            .iter()
            .filter_map(|request| request["files"].as_object());
        let sources = files
            .flat_map(|files| files.values())
            .filter_map(|file| file["source"].as_str());
        // The store path that it is at or below.
        let whole = |source: &str| {
            let base = source.strip_prefix(&self.dir)?.trim_start_matches('/');
            Some(format!("{}/{}", self.dir, base.split('/').next()?))
        };
        todo.extend(sources.filter_map(whole));
        let mut closure: BTreeMap<String, &Value> = BTreeMap::new();
        while let Some(path) = todo.pop() {
            let Some(entry) = self.closure.get(&path) else {
                continue;
            };
            if closure.insert(path, entry).is_none() {
                let references = entry["references"].as_array().unwrap();
                todo.extend(
                    references
                        .iter()
                        .map(|path| path.as_str().unwrap().to_owned()),
                );
            }
        }
        let closure: Vec<&Value> = closure.into_values().collect();
        json!({ "outputs": { "out": out }, "closure": closure, "request": request })
    }

    /// Builds a request; gives the output's store path, or the error as users see it.
    pub fn build(&mut self, request: &Value) -> Result<String, String> {
        self.build_with(request, 2).map(|(path, _)| path)
    }

    /// Plans images at once; gives the directory of their `layersFile`s. `requests` has what each asks for, by
    /// its name.
    pub fn build_fleet(&mut self, requests: &Value) -> Result<String, String> {
        self.build(&json!({ "version": 1, "storeDir": self.dir, "images": requests }))
    }

    /// Builds a request with so many threads; gives the output's store path and the warnings.
    pub fn build_with(
        &mut self,
        request: &Value,
        threads: usize,
    ) -> Result<(String, Vec<String>), String> {
        self.outputs += 1;
        let out = self.path(&format!("output-{}", self.outputs));
        let attrs_file = self.temporary.path().join(".attrs.json");
        std::fs::write(&attrs_file, self.attrs(request, &out).to_string()).unwrap();
        let settings = Settings {
            attrs_file,
            threads: NonZeroUsize::new(threads).unwrap(),
            store_location: Some(self.location.clone()),
        };
        match builder::run(&settings) {
            Ok(warnings) => Ok((out, warnings)),
            Err(error) => {
                assert!(
                    !self.locate(&out).exists(),
                    "a failed build left its output"
                );
                Err(error.report())
            }
        }
    }

    /// Builds the request of a base system with these outputs; gives their store paths in order,
    /// or the error as users see it.
    pub fn build_system(
        &mut self,
        request: &Value,
        outputs: &[&str],
    ) -> Result<Vec<String>, String> {
        self.outputs += 1;
        let paths = outputs.iter().map(|output| {
            let end = Some(format!("-{output}")).filter(|_| *output != "out");
            self.path(&format!(
                "system-{}{}",
                self.outputs,
                end.unwrap_or_default()
            ))
        });
        let paths: Vec<String> = paths.collect();
        let named: BTreeMap<&&str, &String> = outputs.iter().zip(&paths).collect();
        let attrs = json!({ "outputs": named, "request": request });
        let attrs_file = self.temporary.path().join(".attrs.json");
        std::fs::write(&attrs_file, attrs.to_string()).unwrap();
        let settings = Settings {
            attrs_file,
            threads: NonZeroUsize::MIN,
            store_location: Some(self.location.clone()),
        };
        match builder::run(&settings) {
            Ok(warnings) => {
                assert!(warnings.is_empty(), "{warnings:?}");
                Ok(paths)
            }
            Err(error) => {
                let left = paths.iter().find(|path| self.locate(path).exists());
                assert!(left.is_none(), "a failed build left {left:?}");
                Err(error.report())
            }
        }
    }

    /// The tars of an output's layers, made again.
    pub fn tars(&self, output: &str) -> Vec<Vec<u8>> {
        let bytes = std::fs::read(self.locate(output).join("layers.json")).unwrap();
        let file = LayersFile::parse(&bytes, "layers.json").unwrap();
        let store = Store {
            dir: self.dir.clone(),
            location: self.location.clone(),
        };
        let tar = |layer: &LayerRecord| {
            let mut bytes = Vec::new();
            write_layer(&layer.recipe, &store, &mut bytes).unwrap();
            assert_eq!(
                (Digest::of(&bytes), bytes.len() as u64),
                (layer.digest, layer.size)
            );
            bytes
        };
        file.layers.iter().map(tar).collect()
    }

    /// Path, mode and owner of the entries of a layer, read by the tar crate.
    pub fn headers(&self, output: &str, layer: usize) -> Vec<(String, u32, u64)> {
        let tar = self.tars(output).swap_remove(layer);
        let mut archive = tar::Archive::new(tar.as_slice());
        let entries = archive.entries().unwrap().map(|entry| {
            let entry = entry.unwrap();
            let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            (
                path,
                entry.header().mode().unwrap(),
                entry.header().uid().unwrap(),
            )
        });
        entries.collect()
    }

    /// The `layers.json` of an output.
    pub fn layers(&self, output: &str) -> Value {
        read_json(&self.locate(output).join("layers.json"))
    }
}

/// The JSON document at a path.
pub fn read_json(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn make(root: &Path, item: &Item<'_>) {
    let (Item::Directory(name)
    | Item::File(name, _)
    | Item::Executable(name, _)
    | Item::Symlink(name, _)) = item;
    let path = root.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    match item {
        Item::Directory(_) => std::fs::create_dir_all(&path).unwrap(),
        Item::Symlink(_, target) => symlink(target, &path).unwrap(),
        Item::File(_, content) => std::fs::write(&path, content).unwrap(),
        Item::Executable(_, content) => {
            std::fs::write(&path, content).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
    }
}
