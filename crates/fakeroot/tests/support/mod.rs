//! What the tests share: a user who is not root, and what root makes of the same.

#![allow(dead_code)]

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::{Command, Output};

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
    command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    command
}

/// A directory that everybody may write to.
pub fn directory() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    let everybody = fs::Permissions::from_mode(0o777);
    fs::set_permissions(directory.path(), everybody).unwrap();
    directory
}

/// Runs a command that must succeed.
pub fn run(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (said, errors) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{command:?}\n{said}{errors}");
    output
}

/// All that is in a directory: kind, mode, owner, device, extended attributes, target, and the first name of the
/// same inode.
pub fn listing(root: &Path) -> BTreeMap<String, String> {
    let mut files = BTreeMap::new();
    let mut first = BTreeMap::new();
    list(root, root, &mut files);
    let mut listing = BTreeMap::new();
    for (path, (inode, text)) in files {
        let first = first.entry(inode).or_insert_with(|| path.clone());
        let text = format!("{text} {first}");
        listing.insert(path, text);
    }
    listing
}

fn list(root: &Path, directory: &Path, files: &mut BTreeMap<String, (u64, String)>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let metadata = path.symlink_metadata().unwrap();
        let kind = metadata.file_type();
        let is_device = kind.is_char_device() || kind.is_block_device();
        let device = if is_device { metadata.rdev() } else { 0 };
        let target = fs::read_link(&path).unwrap_or_default();
        let (uid, gid) = (metadata.uid(), metadata.gid());
        let text = format!(
            "{:o} {uid}:{gid} {device:x} {:?} {}",
            metadata.mode(),
            xattrs(&path),
            target.display()
        );
        let name = path.strip_prefix(root).unwrap().to_str().unwrap();
        files.insert(name.to_owned(), (metadata.ino(), text));
        if kind.is_dir() {
            list(root, &path, files);
        }
    }
}

fn xattrs(path: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut list = [0; 4096];
    let size = rustix::fs::llistxattr(path, &mut list).unwrap_or(0);
    let names = list[..size].split(|byte| *byte == 0);
    let names = names.filter(|name| !name.is_empty());
    let value = |name: &[u8]| {
        let mut value = [0; 4096];
        let size = rustix::fs::lgetxattr(path, OsStr::from_bytes(name), &mut value).unwrap();
        let name = String::from_utf8(name.to_vec()).unwrap();
        (name, value[..size].to_vec())
    };
    names.map(value).collect()
}

/// Unpacks a layer over what is in a directory, as engines do.
pub fn unpack(layer: &Path, root: &Path) {
    let mut tar = Command::new("tar");
    tar.args(["--xattrs", "--xattrs-include=*", "--numeric-owner", "-xpf"]);
    run(tar.arg(layer).arg("-C").arg(root));
    let paths: Vec<String> = listing(root).into_keys().collect();
    for path in paths {
        let path = root.join(path);
        let name = path.file_name().unwrap().to_str().unwrap();
        if let Some(hidden) = name.strip_prefix(".wh.") {
            let hidden = path.with_file_name(hidden);
            if hidden.symlink_metadata().unwrap().is_dir() {
                fs::remove_dir_all(&hidden).unwrap();
            } else {
                fs::remove_file(&hidden).unwrap();
            }
            fs::remove_file(&path).unwrap();
        }
    }
}

/// Says in which lines two listings differ.
pub fn assert_same(root: &BTreeMap<String, String>, user: &BTreeMap<String, String>) {
    let missing = |of: &BTreeMap<String, String>, other: &BTreeMap<String, String>| {
        let lines = of
            .iter()
            .filter(|(path, text)| other.get(*path) != Some(text));
        lines
            .map(|(path, text)| format!("{path} {text}"))
            .collect::<Vec<_>>()
    };
    let (only_root, only_user) = (missing(root, user), missing(user, root));
    assert!(
        only_root.is_empty() && only_user.is_empty(),
        "root: {only_root:#?}\nuser: {only_user:#?}"
    );
}
