//! Images that say a word when they run, built without Nix.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use strata_testing::fake_store::{FakeStore, Item};
use strata_testing::program;

/// Builds such images in a store of temporary files.
pub struct Speakers {
    store: FakeStore,
    library: String,
}

impl Speakers {
    /// A store with a static shell in it.
    pub fn new() -> Self {
        let mut store = FakeStore::new();
        let library = store.add("library", &[Item::Directory("bin")], &[]);
        let shell = store.locate(&library).join("bin/busybox");
        std::fs::copy("/bin/busybox", shell).expect("busybox-static is needed");
        store.register(&library, &[]);
        Self { store, library }
    }

    /// The output of an image called `NAME:v1` that says `word`. It has two layers, of which only the
    /// second, a small one, depends on the word.
    pub fn image(&mut self, name: &str, word: &str) -> PathBuf {
        self.image_with(name, word, |_| {})
    }

    /// The same with a request that `change` has changed.
    pub fn image_with(
        &mut self,
        name: &str,
        word: &str,
        change: impl FnOnce(&mut Value),
    ) -> PathBuf {
        let busybox = format!("{}/bin/busybox", self.library);
        let script = format!("#!{busybox} sh\necho {word}\n");
        let script = self.store.add_file(&format!("say-{word}"), &script);
        self.store.register(&script, &[&self.library]);
        let mut request = self.store.image_request();
        request["deps"] = json!([script]);
        request["maxLayers"] = json!(2);
        request["image"]["name"] = json!(name);
        request["image"]["tag"] = json!("v1");
        request["image"]["config"] = json!({ "Cmd": [busybox, "sh", script] });
        change(&mut request);
        let output = self.store.build(&request).unwrap();
        self.store.locate(&output)
    }

    /// Lets every user read the store.
    pub fn open(&self) {
        let readable = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(self.store.root(), readable).unwrap();
    }

    /// Changes the script of a word behind Nix's back.
    pub fn spoil(&self, word: &str) {
        let script = self.store.path(&format!("say-{word}"));
        std::fs::write(self.store.locate(&script), "echo spoiled\n").unwrap();
    }
}

/// A command of `strata`.
pub fn strata(name: &str) -> Command {
    let mut command = Command::new(program("strata"));
    command.arg(name);
    command
}

/// The digest of an image's manifest.
pub fn digest(image: &Path) -> String {
    let text = std::fs::read_to_string(image.join("digest")).unwrap();
    text.trim().to_owned()
}
