//! Keys that OpenSSL makes, locked as cosign does it.

use std::path::{Path, PathBuf};
use std::process::Command;

use strata_testing::registry::run;
use tempfile::TempDir;

/// A pair of keys in files.
pub struct Keys {
    directory: TempDir,
}

impl Keys {
    /// A pair of keys without a password.
    pub fn new() -> Self {
        let directory = TempDir::new().unwrap();
        let at = |name: &str| directory.path().join(name).display().to_string();
        let curve = ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"];
        run(Command::new("openssl")
            .arg("genpkey")
            .args(curve)
            .args(["-out", &at("key.pem")]));
        run(Command::new("openssl").args([
            "pkey",
            "-in",
            &at("key.pem"),
            "-pubout",
            "-out",
            &at("key.pub"),
        ]));
        Self { directory }
    }

    pub fn private(&self) -> String {
        self.file("key.pem").display().to_string()
    }

    pub fn public(&self) -> String {
        self.file("key.pub").display().to_string()
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn write(&self, name: &str, bytes: &[u8]) -> String {
        let path = self.file(name);
        std::fs::write(&path, bytes).unwrap();
        path.display().to_string()
    }
}

/// A pair that `cosign generate-key-pair` of version 3.1.1 made with the password `correct horse`.
pub fn of_cosign(name: &str) -> String {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.join("tests/attest").join(name).display().to_string()
}
