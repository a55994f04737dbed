//! Commands in the Debians of `scripts/test-newer`.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use tempfile::TempDir;

/// Enters the root that is the first argument, so that it is a mount point, as dockerd wants it.
const ENTER: &str = r#"
mount --make-rprivate /
mount --bind "$0" "$0"
for name in proc sys dev; do mount --rbind "/$name" "$0/$name"; done
mkdir -p "$0/old"
cd "$0"
pivot_root . old
cd /
umount -l /old
exec "$@"
"#;

/// A directory in a Debian that goes when this is dropped.
pub struct Place {
    directory: TempDir,
    root: PathBuf,
}

impl Place {
    /// In the Debian of the engines: 13, or unstable.
    pub fn new() -> Self {
        let root = std::env::var_os("STRATA_DEBIAN_ENGINES");
        Self::below(PathBuf::from(
            root.expect("run this with scripts/test-newer"),
        ))
    }

    /// In Debian unstable, if there is one.
    pub fn unstable() -> Option<Self> {
        let root = std::env::var_os("STRATA_DEBIAN_SID");
        let root = root.expect("run this with scripts/test-newer");
        (!root.is_empty()).then(|| Self::below(PathBuf::from(root)))
    }

    fn below(root: PathBuf) -> Self {
        Self {
            directory: TempDir::new_in(root.join("var/tmp")).unwrap(),
            root,
        }
    }

    /// What the directory is called there.
    pub fn name(&self) -> String {
        let inside = self.directory.path().strip_prefix(&self.root).unwrap();
        format!("/{}", inside.display())
    }

    /// Where it is here.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Runs a script of bash there, in the directory; `$1` and so on are `arguments`.
    pub fn run(&self, script: &str, arguments: &[&str]) -> Output {
        self.command(script, arguments).output().unwrap()
    }

    /// Starts a script that ends by `exec` of a program, which ends when the result is dropped.
    pub fn start(&self, script: &str, arguments: &[&str]) -> Started {
        let mut command = self.command(script, arguments);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        Started(command.spawn().unwrap())
    }

    fn command(&self, script: &str, arguments: &[&str]) -> Command {
        let script = format!("set -eu\ncd {}\n{script}", self.name());
        let mut command = Command::new("unshare");
        command
            .args(["--mount", "sh", "-euc", ENTER])
            .arg(&self.root)
            .args(["bash", "-c", &script, "script"])
            .args(arguments)
            .env("TMPDIR", "/var/tmp");
        command
    }

    /// The same; gives what it wrote, and panics if it failed.
    pub fn run_well(&self, script: &str, arguments: &[&str]) -> String {
        let output = self.run(script, arguments);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{script}\n{errors}");
        String::from_utf8(output.stdout).unwrap()
    }
}

/// A program that runs.
pub struct Started(Child);

impl Drop for Started {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
