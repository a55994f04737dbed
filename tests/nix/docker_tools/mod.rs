//! `dockerTools`: its examples are built by Nix, and asked what the tests of nixpkgs ask theirs
//! (`nixos/tests/docker-tools.nix`). The names of the criteria are those of docs/coming-from/dockertools.md.

use strata_testing as support;

mod archives;
mod derivations;
mod differential;
mod fakeroot;
mod nix_docker;
mod pulled;
mod regressions;
mod runs;
mod shells;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read as _, Seek as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Mutex, OnceLock};

use serde_json::Value;
use support::engines::{self, Engine};
use support::keeper::Keeper;
use support::nix::build;
use support::registry::run;

/// All examples, built at once, by their names.
fn examples() -> &'static Path {
    static EXAMPLES: OnceLock<PathBuf> = OnceLock::new();
    EXAMPLES.get_or_init(|| {
        build(
            r#"pkgs.linkFarm "examples" (pkgs.lib.mapAttrsToList
                 (name: path: { inherit name path; })
                 strata.dockerTools.examples)"#,
        )
    })
}

/// The result that is an example: a file or a script.
fn example(name: &str) -> PathBuf {
    examples().join(name).canonicalize().unwrap()
}

/// The archive that a result is or writes, not compressed.
fn archive_of(result: &Path) -> PathBuf {
    static ARCHIVES: OnceLock<(Keeper, Mutex<BTreeMap<PathBuf, PathBuf>>)> = OnceLock::new();
    let (keeper, known) = ARCHIVES.get_or_init(|| (Keeper::directory(), Mutex::default()));
    let mut known = known.lock().unwrap();
    let number = known.len();
    let make = || {
        let path = keeper.path().join(format!("{number}.tar"));
        unpack(result, &path);
        path
    };
    known.entry(result.to_owned()).or_insert_with(make).clone()
}

fn unpack(result: &Path, path: &Path) {
    let mut archive = File::create(path).unwrap();
    let mut file = File::open(result).unwrap();
    let mut head = [0; 4];
    file.read_exact(&mut head).unwrap();
    file.rewind().unwrap();
    match head {
        [b'#', b'!', ..] => {
            let status = Command::new(result).arg("--quiet").stdout(archive).status();
            assert!(status.unwrap().success(), "{}", result.display());
        }
        [0x1f, 0x8b, ..] => {
            let mut gzip = Command::new("gzip");
            let status = gzip.arg("-cd").stdin(file).stdout(archive).status();
            assert!(status.unwrap().success(), "{}", result.display());
        }
        [0x28, 0xb5, 0x2f, 0xfd] => zstd::stream::copy_decode(file, archive).unwrap(),
        _ => {
            io::copy(&mut file, &mut archive).unwrap();
        }
    }
}

/// A file in an archive.
fn member(archive: &Path, name: &str) -> Option<Vec<u8>> {
    let mut archive = tar::Archive::new(File::open(archive).unwrap());
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        if entry.path().unwrap() == Path::new(name) {
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).unwrap();
            return Some(bytes);
        }
    }
    None
}

fn json_member(archive: &Path, name: &str) -> Value {
    let bytes = member(archive, name).unwrap_or_else(|| panic!("no {name}"));
    serde_json::from_slice(&bytes).unwrap()
}

/// The config of the first image in an archive.
fn config_of(archive: &Path) -> Value {
    let manifest = json_member(archive, "manifest.json");
    json_member(archive, manifest[0]["Config"].as_str().unwrap())
}

/// The name that the first image in an archive has.
fn tag_of(archive: &Path) -> String {
    let manifest = json_member(archive, "manifest.json");
    manifest[0]["RepoTags"][0].as_str().unwrap().to_owned()
}

/// Loads an example into podman, once; gives what it is called.
fn loaded(name: &str) -> String {
    static LOADED: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    let archive = archive_of(&example(name));
    let mut known = LOADED.lock().unwrap();
    if known.insert(name.to_owned()) {
        engines::podman().load(&archive);
    }
    tag_of(&archive)
}

/// What a container of an example says: with the image's own command if there are no `arguments`.
fn says(name: &str, arguments: &[&str]) -> String {
    engines::podman().run(&loaded(name), arguments)
}

/// podman with an example, whether that goes well or not.
fn try_run(name: &str, options: &[&str], arguments: &[&str]) -> Output {
    run_image(&loaded(name), options, arguments)
}

/// podman with an image, whether that goes well or not.
fn run_image(image: &str, options: &[&str], arguments: &[&str]) -> Output {
    let image = if image.contains('/') {
        image.to_owned()
    } else {
        format!("docker.io/library/{image}")
    };
    let mut command = engines::podman().command(&["run", "--rm", "--pull", "never"]);
    command
        .args(["--network", "none"])
        .args(["--ulimit", "nofile=1024:4096"])
        .args(["--ulimit", "nproc=1000:1000"])
        .args(options)
        .arg(image)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

/// The paths in the root file system of an example, as `tar -t` lists what `strata export` writes of its image.
fn files(layout: &Path) -> BTreeSet<String> {
    let mut export = support::nix::strata();
    export.arg("export").arg(layout).stdout(Stdio::piped());
    let mut export = export.spawn().unwrap();
    let mut archive = tar::Archive::new(export.stdout.take().unwrap());
    let entries = archive.entries().unwrap();
    let paths = entries.map(|entry| entry.unwrap().path().unwrap().display().to_string());
    let paths = paths.collect();
    assert!(export.wait().unwrap().success());
    paths
}

/// The image below an example.
fn layout(name: &str) -> PathBuf {
    build(&format!("strata.dockerTools.examples.{name}.ociLayout"))
}

/// What an expression evaluates to.
fn text(body: &str) -> String {
    support::nix::evaluate(body)
}

fn nix_store(arguments: &[&str]) -> String {
    run(support::nix::nix("nix-store").args(arguments))
}
