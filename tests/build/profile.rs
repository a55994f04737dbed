//! Profiles: whose files are in them, and what Nix makes of them.

use strata_testing as support;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use support::fake_store::FakeStore;
use support::fake_store::Item::{self, Directory, Executable, File, Symlink};
use support::listing::listing;
use tempfile::TempDir;

fn request(store: &FakeStore, system: &Value) -> Value {
    json!({ "version": 1, "storeDir": store.dir, "system": system })
}

/// A package of a profile.
fn package(name: &str, path: &str, priority: i64) -> Value {
    json!({ "name": name, "outputs": { "out": path }, "priority": priority })
}

/// The profile of these packages, without its manifest.
fn profile(store: &mut FakeStore, packages: &[Value]) -> Result<BTreeMap<String, String>, String> {
    let system = json!({ "profile": { "packages": packages } });
    let request = request(store, &system);
    let outputs = store.build_system(&request, &["out", "profile"])?;
    let mut files = listing(&store.locate(&outputs[1]));
    for name in ["manifest.nix", ".manifest.nix"] {
        files.remove(name).unwrap();
    }
    let files = files.into_iter();
    Ok(files
        .map(|(path, content)| (path, strip_hash(&content, &store.dir)))
        .collect())
}

/// A link's target without the store directory and the hash.
fn strip_hash(content: &str, store_dir: &str) -> String {
    let start = format!(" -> {store_dir}/");
    let rest = content.strip_prefix(&start);
    rest.map_or(content, |rest| rest.split_once('-').unwrap().1)
        .to_owned()
}

type Items = &'static [Item<'static>];
/// The paths of a profile and where they lead.
type Files = &'static [(&'static str, &'static str)];

/// Two packages with files, the priority of the second (the first has 5), and what becomes of them:
/// the files of the profile, or what the message says that they disagree about.
type Case = (&'static str, Items, Items, i64, Result<Files, &'static str>);

const CONTENT: &str = "its content";
const KIND: &str = "whether it is a directory";

const CASES: &[Case] = &[
    (
        "a directory of one package is one link",
        &[File("x/f", "1")],
        &[File("y/f", "1")],
        5,
        Ok(&[("x", "a/x"), ("y", "b/y")]),
    ),
    (
        "a directory of both has the files of both",
        &[File("x/f", "1")],
        &[File("x/g", "2")],
        5,
        Ok(&[("x", "/"), ("x/f", "a/x/f"), ("x/g", "b/x/g")]),
    ),
    (
        "deeper directories are one link again",
        &[File("x/y/f", ""), File("x/z/f", "")],
        &[File("x/y/g", "")],
        5,
        Ok(&[
            ("x", "/"),
            ("x/y", "/"),
            ("x/y/f", "a/x/y/f"),
            ("x/y/g", "b/x/y/g"),
            ("x/z", "a/x/z"),
        ]),
    ),
    (
        "empty directories are kept",
        &[Directory("x")],
        &[Directory("x"), Directory("y")],
        5,
        Ok(&[("x", "/"), ("y", "b/y")]),
    ),
    (
        "hidden files are files",
        &[File(".f", "")],
        &[File("x/.g", "")],
        5,
        Ok(&[(".f", "a/.f"), ("x", "b/x")]),
    ),
    (
        "the same content is one file",
        &[File("x/f", "1")],
        &[File("x/f", "1")],
        5,
        Ok(&[("x", "/"), ("x/f", "a/x/f")]),
    ),
    (
        "another content is a collision",
        &[File("x/f", "2")],
        &[File("x/f", "1")],
        5,
        Err(CONTENT),
    ),
    (
        "another mode is a collision",
        &[Executable("x/f", "1")],
        &[File("x/f", "1")],
        5,
        Err(CONTENT),
    ),
    (
        "the lower number wins",
        &[File("x/f", "1")],
        &[File("x/f", "2")],
        4,
        Ok(&[("x", "/"), ("x/f", "b/x/f")]),
    ),
    (
        "the higher number loses",
        &[File("x/f", "1")],
        &[File("x/f", "2")],
        6,
        Ok(&[("x", "/"), ("x/f", "a/x/f")]),
    ),
    (
        "numbers may be negative",
        &[File("x/f", "1")],
        &[File("x/f", "2")],
        -10,
        Ok(&[("x", "/"), ("x/f", "b/x/f")]),
    ),
    (
        "a file against a directory",
        &[File("x", "1")],
        &[File("x/f", "1")],
        5,
        Err(KIND),
    ),
    (
        "a directory that wins",
        &[File("x", "1")],
        &[File("x/f", "1")],
        4,
        Ok(&[("x", "b/x")]),
    ),
    (
        "a directory that loses",
        &[File("x", "1")],
        &[File("x/f", "1")],
        6,
        Ok(&[("x", "a/x")]),
    ),
    (
        "links to the same file are one",
        &[File("f", "1"), Symlink("x/f", "../f")],
        &[File("x/f", "1")],
        5,
        Ok(&[("f", "a/f"), ("x", "/"), ("x/f", "a/x/f")]),
    ),
    (
        "links out of the store are files",
        &[Symlink("x/f", "/etc")],
        &[Symlink("x/f", "/etc")],
        5,
        Ok(&[("x", "/"), ("x/f", "a/x/f")]),
    ),
    (
        "links to other places are a collision",
        &[Symlink("x/f", "/etc")],
        &[Symlink("x/f", "/bin")],
        5,
        Err(CONTENT),
    ),
    (
        "a link to a directory is one",
        &[File("z/g", "1"), Symlink("x", "z")],
        &[File("x/f", "1")],
        5,
        Ok(&[("x", "/"), ("x/f", "b/x/f"), ("x/g", "a/x/g"), ("z", "a/z")]),
    ),
    (
        "circles end",
        &[Symlink("x/x", "../x"), File("x/f", "1")],
        &[Symlink("x/x", "../x"), File("x/f", "2")],
        5,
        Err(CONTENT),
    ),
    (
        "what nobody wants is left out",
        &[
            File("nix-support/x", "1"),
            File("propagated-build-inputs", "1"),
            File("log", "1"),
            File("manifest.nix", "1"),
            File(".manifest.nix", "1"),
            File("manifest.json", "1"),
            File("share/info/dir", "1"),
            File("share/mime/cache", "1"),
            File("share/mime/packages/a", "1"),
            File("lib/perl/perllocal.pod", "1"),
        ],
        &[
            File("nix-support/x", "2"),
            File("propagated-build-inputs", "2"),
            File("log", "2"),
            File("manifest.nix", "2"),
            File("manifest.json", "2"),
            File("share/info/dir", "2"),
            File("share/mime/cache", "2"),
            File("share/mime/packages/b", "2"),
            File("lib/perl/perllocal.pod", "2"),
        ],
        5,
        Ok(&[
            ("lib", "/"),
            ("lib/perl", "/"),
            ("share", "/"),
            ("share/info", "/"),
            ("share/mime", "/"),
            ("share/mime/packages", "/"),
            ("share/mime/packages/a", "a/share/mime/packages/a"),
            ("share/mime/packages/b", "b/share/mime/packages/b"),
        ]),
    ),
];

#[test]
fn packages_share_directories_and_settle_files() {
    for (name, a, b, priority, expected) in CASES {
        let mut store = FakeStore::relocated();
        let packages = [
            package("a", &store.add("a", a, &[]), 5),
            package("b", &store.add("b", b, &[]), *priority),
        ];
        match (profile(&mut store, &packages), expected) {
            (Ok(files), Ok(expected)) => {
                let expected = expected
                    .iter()
                    .map(|(path, content)| ((*path).into(), (*content).into()));
                assert_eq!(files, expected.collect(), "{name}");
            }
            (Err(report), Err(about)) => {
                let report = report
                    .replace(&store.path("a"), "STORE/a")
                    .replace(&store.path("b"), "STORE/b");
                let (message, hint) = report.split_once("\nhint: ").expect(&report);
                let parts = [
                    "conflict at /x",
                    " of the profile: ",
                    "STORE/a/x",
                    "STORE/b/x",
                    about,
                ];
                for part in parts {
                    assert!(message.contains(part), "{name}: {part}: {message}");
                }
                assert!(hint.contains("priority"), "{hint}");
            }
            (found, expected) => panic!("{name}: {found:?}, expected {expected:?}"),
        }
    }
}

/// A file that loses against one package's directory does not shut out another's, in any order.
#[test]
fn the_order_of_packages_does_not_decide() {
    let mut store = FakeStore::relocated();
    let packages = [
        package("file", &store.add("file", &[File("x", "")], &[]), 5),
        package("winner", &store.add("winner", &[File("x/f", "1")], &[]), 4),
        package(
            "loser",
            &store.add("loser", &[File("x/f", "2"), File("x/g", "")], &[]),
            6,
        ),
    ];
    let expected = [("x", "/"), ("x/f", "winner/x/f"), ("x/g", "loser/x/g")];
    let expected = expected.map(|(path, content)| (path.into(), content.into()));
    for order in [
        [0, 1, 2],
        [0, 2, 1],
        [1, 0, 2],
        [1, 2, 0],
        [2, 0, 1],
        [2, 1, 0],
    ] {
        let packages = order.map(|number: usize| packages[number].clone());
        let files = profile(&mut store, &packages).unwrap();
        assert_eq!(files, expected.clone().into(), "{order:?}");
    }
}

/// Of two ways to a file the one without a link of the package's own is taken.
#[test]
fn a_file_and_a_link_to_it_are_one() {
    let mut store = FakeStore::relocated();
    let file = store.add("file", &[File("x/f", "1")], &[]);
    let link = store.add("link", &[Symlink("x/f", &format!("{file}/x/f"))], &[]);
    for (link_priority, file_priority) in [(5, 5), (4, 5), (5, 4)] {
        let packages = [
            package("link", &link, link_priority),
            package("file", &file, file_priority),
        ];
        let files = profile(&mut store, &packages).unwrap();
        assert_eq!(files["x/f"], "file/x/f");
    }
}

#[test]
fn packages_bring_others_along() {
    let mut store = FakeStore::relocated();
    let propagated = "nix-support/propagated-user-env-packages";
    let last = store.add("last", &[File("bin/f", "last"), File("bin/last", "")], &[]);
    let next = store.path("next");
    let items = [
        File("bin/f", "next"),
        File("bin/next", ""),
        // In a circle.
        File(propagated, &format!("{next} {last}\n")),
    ];
    store.add("next", &items, &[]);
    let first = [
        File("bin/f", "first"),
        File(propagated, &format!("  {next}\n\n")),
    ];
    let first = store.add("first", &first, &[]);
    let files = profile(&mut store, &[package("first", &first, 2000)]).unwrap();
    let expected = [
        ("bin", "/"),
        // Whoever is brought along later gives way to whoever was there.
        ("bin/f", "next/bin/f"),
        ("bin/last", "last/bin/last"),
        ("bin/next", "next/bin/next"),
    ];
    assert_eq!(
        files,
        expected
            .map(|(path, content)| (path.into(), content.into()))
            .into()
    );

    let broken = store.add("broken", &[File(propagated, "/etc/passwd")], &[]);
    let report = profile(&mut store, &[package("broken", &broken, 5)]).unwrap_err();
    assert!(
        report.contains(propagated) && report.contains("/etc/passwd"),
        "{report}"
    );
    let file = store.add_file("file", "");
    let report = profile(&mut store, &[package("file", &file, 5)]).unwrap_err();
    assert!(
        report.contains("attribute packages: ") && report.contains("not a directory"),
        "{report}"
    );
}

/// A store of the real Nix in a temporary directory.
struct NixStore {
    temporary: TempDir,
}

impl NixStore {
    fn new() -> Self {
        Self {
            temporary: tempfile::tempdir().unwrap(),
        }
    }

    fn dir(&self) -> PathBuf {
        self.temporary.path().join("store")
    }

    fn run(&self, program: &str, arguments: &[&str]) -> String {
        let place = |name: &str| self.temporary.path().join(name);
        let output = Command::new(program)
            .args(arguments)
            .env("NIX_STORE_DIR", self.dir())
            .env("NIX_STATE_DIR", place("var/nix"))
            .env("NIX_LOG_DIR", place("var/log"))
            .env("NIX_CONF_DIR", place("etc"))
            .env("HOME", place("home"))
            .env_remove("NIX_REMOTE")
            .env(
                "NIX_CONFIG",
                "build-users-group =\nsubstituters =\nsandbox = false",
            )
            .output()
            .unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{program} {arguments:?}: {errors}");
        String::from_utf8(output.stdout)
            .unwrap()
            .trim_end()
            .to_owned()
    }

    fn add(&self, name: &str, files: &[(&str, &str)]) -> String {
        let directory = self.temporary.path().join("files").join(name);
        for (path, content) in files {
            let path = directory.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            match content.strip_prefix("-> ") {
                Some(target) => symlink(target, path).unwrap(),
                None => fs::write(path, content).unwrap(),
            }
        }
        self.run("nix-store", &["--add", directory.to_str().unwrap()])
    }

    /// The store paths of an expression's outputs.
    fn build(&self, expression: &str) -> Vec<PathBuf> {
        let built = self.run("nix-build", &["--no-out-link", "--expr", expression]);
        built.lines().map(PathBuf::from).collect()
    }
}

/// Names and store paths.
type Outputs = Vec<(&'static str, String)>;

/// Names, outputs that are installed, and priorities of packages in a store of Nix.
struct Installed {
    packages: Vec<(&'static str, Outputs, i64)>,
}

impl Installed {
    fn new(store: &NixStore) -> Self {
        let brought = store.add(
            "brought-1",
            &[
                ("bin/brought", "1"),
                ("bin/shared", "3"),
                ("share/doc/brought", "1"),
            ],
        );
        let first = store.add(
            "first-1",
            &[
                ("bin/first", "1"),
                ("bin/shared", "1"),
                ("etc/first/conf", "1"),
                ("share/man/man1/first.1", "1"),
                ("share/doc/first/a/b", "1"),
                ("lib/libfirst.so", "-> libfirst.so.1"),
                ("lib/libfirst.so.1", "1"),
                ("nix-support/propagated-user-env-packages", &brought),
                ("nix-support/setup-hook", "1"),
            ],
        );
        let manual = store.add("first-1-man", &[("share/man/man3/first.3", "1")]);
        let second = store.add(
            "second-2.0",
            &[
                ("bin/second", "2"),
                ("bin/shared", "2"),
                ("sbin", "-> bin"),
                ("share/man/man1/second.1", "2"),
                ("share/locale/de/second.mo", "2"),
                ("share/info/dir", "2"),
                ("nix-support/setup-hook", "2"),
                ("manifest.nix", "2"),
            ],
        );
        let third = store.add(
            "third-3",
            &[("share/info/dir", "3"), ("share/info/third", "3")],
        );
        Self {
            packages: vec![
                ("first-1", vec![("out", first), ("man", manual)], 5),
                ("second-2.0", vec![("out", second)], 4),
                ("third-3", vec![("out", third)], 5),
            ],
        }
    }

    /// The elements of a Nix list.
    fn each(&self, element: impl Fn(&str, &[(&str, String)], i64) -> String) -> String {
        let packages = self.packages.iter();
        packages
            .map(|(name, outputs, priority)| element(name, outputs, *priority) + "\n")
            .collect()
    }

    /// What `nix-env` would build.
    fn by_nix(&self, store: &NixStore) -> PathBuf {
        let packages = self.each(|_, outputs, priority| {
            let paths: Vec<String> = outputs.iter().map(|(_, path)| store_path(path)).collect();
            format!("\"true\" {priority} {} {}", paths.len(), paths.join(" "))
        });
        let expression = format!(
            r#"derivation {{
                name = "user-environment"; system = "builtin"; builder = "builtin:buildenv";
                manifest = builtins.toFile "manifest.nix" "[ ]"; derivations = [ {packages} ];
            }}"#
        );
        store.build(&expression).remove(0)
    }

    /// What our builder makes as a builder of Nix: the profile.
    fn by_us(&self, store: &NixStore) -> PathBuf {
        let packages = self.each(|name, outputs, priority| {
            let names: Vec<String> = outputs
                .iter()
                .map(|(name, _)| format!("{name:?}"))
                .collect();
            let set: Vec<String> = outputs
                .iter()
                .map(|(name, path)| format!("{name} = {};", store_path(path)))
                .collect();
            let set = set.concat();
            format!(
                r#"{{ name = "{name}"; system = "x86_64-linux"; outputs = {{ {set} }};
                      outputsToInstall = [ {} ]; priority = {priority}; }}"#,
                names.join(" ")
            )
        });
        let expression = format!(
            r#"(derivation {{
                name = "base-system"; system = builtins.currentSystem; builder = "{}";
                __structuredAttrs = true; outputs = [ "out" "profile" ];
                request = {{
                  version = 1; storeDir = builtins.storeDir;
                  system.profile = {{
                    packages = [ {packages} ];
                    links."/root/.nix-profile" = "/nix/var/nix/profiles/default";
                  }};
                }};
            }}).profile"#,
            support::program("strata-builder")
        );
        store.build(&expression).remove(0)
    }
}

fn store_path(path: &str) -> String {
    format!("(builtins.storePath {path:?})")
}

#[test]
fn profiles_are_those_of_nix() {
    let store = NixStore::new();
    let installed = Installed::new(&store);
    let [mut ours, mut expected] = [installed.by_us(&store), installed.by_nix(&store)]
        .map(|environment| listing(&environment));
    assert!(expected.len() > 20, "{expected:?}");
    assert!(ours.remove("manifest.nix").is_some() && expected.remove("manifest.nix").is_some());
    // Nix has it in a store path of its own.
    assert!(ours.remove(".manifest.nix").is_some());
    assert_eq!(ours, expected);
}

#[test]
fn nix_env_reads_and_changes_profiles() {
    let store = NixStore::new();
    let installed = Installed::new(&store);
    let profile = installed.by_us(&store);
    let profiles = store.temporary.path().join("profiles");
    fs::create_dir(&profiles).unwrap();
    symlink(&profile, profiles.join("default-1-link")).unwrap();
    symlink(profiles.join("default-1-link"), profiles.join("default")).unwrap();
    let default = profiles.join("default");
    let default = default.to_str().unwrap();
    let query = || {
        let arguments = ["-p", default, "-q", "--out-path", "--system", "--json"];
        serde_json::from_str::<Value>(&store.run("nix-env", &arguments)).unwrap()
    };
    let names = |packages: &Value| {
        let packages = packages.as_object().unwrap().values();
        let names = packages.map(|package| package["name"].as_str().unwrap().to_owned());
        let mut names: Vec<String> = names.collect();
        names.sort();
        names
    };
    assert_eq!(names(&query()), ["first-1", "second-2.0", "third-3"]);

    let closure = store.run("nix-store", &["-qR", default]);
    for (name, outputs, _) in &installed.packages {
        for (output, path) in outputs {
            assert!(
                closure.contains(path.as_str()),
                "{name}, {output}: {closure}"
            );
        }
    }

    let more = store.add("more-4", &[("bin/more", "4"), ("share/doc/more", "4")]);
    store.run("nix-env", &["-p", default, "-i", &more]);
    assert_eq!(
        names(&query()),
        ["first-1", "more-4", "second-2.0", "third-3"]
    );
    let mut files = listing(&fs::canonicalize(default).unwrap());
    // The package with the better priority still has its file.
    assert!(
        files
            .remove("bin/shared")
            .unwrap()
            .contains("-second-2.0/bin/shared")
    );
    assert!(
        files.contains_key("bin/more") && files.contains_key("share/man/man3"),
        "{files:?}"
    );
    store.run("nix-env", &["-p", default, "-e", "more-4"]);
    store.run("nix-env", &["-p", default, "--rollback"]);
    store.run("nix-env", &["-p", default, "--switch-generation", "1"]);
    assert_eq!(fs::canonicalize(default).unwrap(), profile);
}

/// What the links name is what the garbage collector keeps.
#[test]
fn outputs_refer_to_each_other() {
    let store = NixStore::new();
    let installed = Installed::new(&store);
    let profile = installed.by_us(&store);
    let referrers = store.run(
        "nix-store",
        &["-q", "--referrers", profile.to_str().unwrap()],
    );
    let system = referrers
        .lines()
        .find(|path| path.ends_with("-base-system"))
        .unwrap();
    let links = listing(Path::new(system));
    let link = |path: &str| links[path].trim_start_matches(" -> ");
    assert_eq!(
        link("nix/var/nix/profiles/default-1-link"),
        profile.to_str().unwrap()
    );
    assert_eq!(
        link("nix/var/nix/profiles/default"),
        "/nix/var/nix/profiles/default-1-link"
    );
    assert_eq!(link("root/.nix-profile"), "/nix/var/nix/profiles/default");
}
