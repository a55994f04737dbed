//! What the tests share: a user who is not root, and what root makes of the same.

#![allow(dead_code)]

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use tempfile::TempDir;

/// A user and group that need not have a name.
const USER: &str = "4711";

/// The program.
pub fn fakeroot() -> String {
    env!("CARGO_BIN_EXE_strata-fakeroot").to_owned()
}

/// A command of a user who is not root, which tests start as root, since they compare with it.
pub fn as_user(program: &str) -> Command {
    assert!(
        rustix::process::geteuid().is_root(),
        "compares with root: run it as root"
    );
    let mut command = Command::new("setpriv");
    command.args(["--reuid", USER, "--regid", USER, "--clear-groups"]);
    command.args(["--inh-caps=-all", "--bounding-set=-all", program]);
    command
}

/// A directory that everybody may write to.
pub fn directory() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    let everybody = std::fs::Permissions::from_mode(0o777);
    std::fs::set_permissions(directory.path(), everybody).unwrap();
    directory
}
