//! `files`: what is put into an image one by one, as the tar of its layer has it.

use std::collections::BTreeMap;
use std::io::Read;

use strata_testing as support;

use proptest::prelude::*;
use serde_json::{Value, json};
use support::fake_store::{FakeStore, Item};

/// What a tar says of an entry.
#[derive(Debug, PartialEq, Eq)]
struct Found {
    kind: tar::EntryType,
    mode: u32,
    owner: (u64, u64),
    names: (String, String),
    link: Option<String>,
    device: (u32, u32),
    xattrs: BTreeMap<String, Vec<u8>>,
    content: String,
}

/// The entries of a layer, and their paths in order.
fn entries(
    store: &FakeStore,
    output: &str,
    layer: usize,
) -> (BTreeMap<String, Found>, Vec<String>) {
    let tar = store.tars(output).swap_remove(layer);
    let mut archive = tar::Archive::new(tar.as_slice());
    let mut found = BTreeMap::new();
    let mut order = Vec::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let path = String::from_utf8(entry.path_bytes().into_owned()).unwrap();
        let xattrs = match entry.pax_extensions().unwrap() {
            None => BTreeMap::new(),
            Some(records) => records
                .map(|record| record.unwrap())
                .filter_map(|record| {
                    let name = record.key().unwrap().strip_prefix("SCHILY.xattr.")?;
                    Some((name.to_owned(), record.value_bytes().to_vec()))
                })
                .collect(),
        };
        let mut content = String::new();
        entry.read_to_string(&mut content).unwrap();
        let header = entry.header();
        let link = entry.link_name_bytes();
        let link = link.map(|link| String::from_utf8(link.into_owned()).unwrap());
        let name = |name: Option<&str>| name.unwrap_or_default().to_owned();
        order.push(path.clone());
        let entry = Found {
            kind: header.entry_type(),
            mode: header.mode().unwrap(),
            owner: (header.uid().unwrap(), header.gid().unwrap()),
            names: (
                name(header.username().unwrap()),
                name(header.groupname().unwrap()),
            ),
            link,
            device: (
                header.device_major().unwrap().unwrap_or_default(),
                header.device_minor().unwrap().unwrap_or_default(),
            ),
            xattrs,
            content,
        };
        assert!(found.insert(path.clone(), entry).is_none(), "{path} twice");
    }
    (found, order)
}

/// A request with nothing in it but `files`.
fn request(store: &FakeStore, files: Value) -> Value {
    let mut request = store.image_request();
    request["files"] = files;
    request
}

#[test]
fn everything_that_the_store_cannot_hold_is_in_the_layer() {
    use tar::EntryType::{Block, Char, Directory, Fifo, Link, Regular, Symlink};

    let mut store = FakeStore::new();
    let text = store.add_file("conf", "port = 80");
    let tools = store.add("tools", &[Item::Executable("bin/ping", "#!")], &[]);
    let request = request(
        &store,
        json!({
            "/var/lib/app": { "type": "directory", "mode": "0750", "uid": 1000, "uname": "app", "gid": 100 },
            "/etc/app.conf": { "source": text, "xattrs": { "user.origin": "nix" } },
            "/bin/ping": { "source": format!("{tools}/bin/ping"), "mode": "4755", "capabilities": ["cap_net_raw+ep"] },
            "/bin/a-link-before-its-file": { "hardlink": "/bin/ping" },
            "/bin/sh": { "link": "ping", "uid": 7 },
            "/dev/fuse": { "type": "character", "major": 10, "minor": 229, "mode": "0666" },
            "/dev/sda": { "type": "block", "major": 8, "minor": 0 },
            "/run/pipe": { "type": "fifo", "mode": "0600" },
        }),
    );
    let output = store.build(&request).unwrap();
    let (found, order) = entries(&store, &output, 0);

    let plain = |kind, mode| Found {
        kind,
        mode,
        owner: (0, 0),
        names: ("root".to_owned(), "root".to_owned()),
        link: None,
        device: (0, 0),
        xattrs: BTreeMap::new(),
        content: String::new(),
    };
    let capability = BTreeMap::from([(
        "security.capability".to_owned(),
        vec![
            1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        ],
    )]);
    for directory in ["bin/", "dev/", "etc/", "run/", "var/", "var/lib/"] {
        assert_eq!(found[directory], plain(Directory, 0o755), "{directory}");
    }
    assert_eq!(
        found["var/lib/app/"],
        Found {
            owner: (1000, 100),
            names: ("app".to_owned(), String::new()),
            ..plain(Directory, 0o750)
        }
    );
    assert_eq!(
        found["etc/app.conf"],
        Found {
            content: "port = 80".to_owned(),
            xattrs: BTreeMap::from([("user.origin".to_owned(), b"nix".to_vec())]),
            ..plain(Regular, 0o644)
        }
    );
    assert_eq!(
        found["bin/ping"],
        Found {
            content: "#!".to_owned(),
            xattrs: capability.clone(),
            ..plain(Regular, 0o4755)
        }
    );
    assert_eq!(
        found["bin/a-link-before-its-file"],
        Found {
            link: Some("bin/ping".to_owned()),
            xattrs: capability,
            ..plain(Link, 0o4755)
        }
    );
    assert_eq!(
        found["bin/sh"],
        Found {
            link: Some("ping".to_owned()),
            owner: (7, 0),
            names: (String::new(), "root".to_owned()),
            ..plain(Symlink, 0o777)
        }
    );
    assert_eq!(
        found["dev/fuse"],
        Found {
            device: (10, 229),
            ..plain(Char, 0o666)
        }
    );
    assert_eq!(
        found["dev/sda"],
        Found {
            device: (8, 0),
            ..plain(Block, 0o644)
        }
    );
    assert_eq!(found["run/pipe"], plain(Fifo, 0o600));

    let place = |path: &str| order.iter().position(|other| other == path).unwrap();
    assert!(place("bin/a-link-before-its-file") > place("bin/ping"));
    // The text has no place of its own in the store, the package of the program has.
    let text = text.trim_start_matches('/').to_owned();
    assert!(!found.contains_key(&text));
    let in_store = format!("{}/bin/ping", tools.trim_start_matches('/'));
    assert!(found.contains_key(&in_store), "{order:?}");
}

#[test]
fn a_tree_belongs_to_its_owner_and_is_in_its_place() {
    let mut store = FakeStore::new();
    let library = store.add("library", &[Item::File("lib/l", "l")], &[]);
    let app = store.add(
        "app",
        &[
            Item::File("conf/a", "1"),
            Item::Executable("run", "#!"),
            Item::Symlink("current", "conf"),
            Item::Directory("cache"),
        ],
        &[&library],
    );
    let request = request(
        &store,
        json!({ "/srv/app": { "source": app, "uid": 1000, "gid": 1000, "mode": "0700" } }),
    );
    let output = store.build(&request).unwrap();
    let (found, _) = entries(&store, &output, 0);
    for (path, mode) in [
        ("srv/app/", 0o700),
        ("srv/app/cache/", 0o755),
        ("srv/app/conf/", 0o755),
        ("srv/app/conf/a", 0o644),
        ("srv/app/current", 0o777),
        ("srv/app/run", 0o755),
    ] {
        assert_eq!(
            (found[path].mode, found[path].owner),
            (mode, (1000, 1000)),
            "{path}"
        );
    }
    assert_eq!(found["srv/"].owner, (0, 0));
    // What the tree refers to is in the image; the tree itself has moved.
    let in_store = |path: &str| found.contains_key(&format!("{}/", path.trim_start_matches('/')));
    assert!(in_store(&library) && !in_store(&app));
}

/// A directory that several have is one; what `files` says of it holds, and a file in it makes it writable.
#[test]
fn directories_are_shared_with_what_goes_to_the_root() {
    let mut store = FakeStore::new();
    let root = store.add(
        "root",
        &[
            Item::File("etc/passwd", "root"),
            Item::Directory("tmp"),
            Item::Directory("opt/x"),
        ],
        &[],
    );
    let conf = store.add_file("conf", "1");
    let mut request = request(
        &store,
        json!({ "/tmp": { "type": "directory", "mode": "1777" }, "/etc/conf": { "source": conf } }),
    );
    request["copyToRoot"] = json!([root]);
    let output = store.build(&request).unwrap();
    let (found, _) = entries(&store, &output, 0);
    for (path, mode) in [
        ("tmp/", 0o1777),
        ("etc/", 0o755),
        ("etc/passwd", 0o444),
        ("etc/conf", 0o644),
        ("opt/x/", 0o555),
    ] {
        assert_eq!(found[path].mode, mode, "{path}");
    }
}

#[test]
fn the_same_file_in_both_is_no_conflict() {
    let mut store = FakeStore::new();
    let root = store.add(
        "root",
        &[Item::File("etc/conf", "1"), Item::Symlink("sh", "bash")],
        &[],
    );
    let conf = store.add_file("conf", "1");
    let mut request = request(
        &store,
        json!({ "/etc/conf": { "source": conf, "mode": "0444" }, "/sh": { "link": "bash" } }),
    );
    request["copyToRoot"] = json!([root]);
    let output = store.build(&request).unwrap();
    let (found, _) = entries(&store, &output, 0);
    assert_eq!(found["etc/conf"].content, "1");
}

/// An image repeats nothing of its layers, and a layer in an image is what it was.
#[test]
fn files_of_layers_stay_theirs() {
    let mut store = FakeStore::new();
    let conf = store.add_file("conf", "1");
    let root = store.add("root", &[Item::Directory("srv")], &[]);
    let layer = json!({
        "version": 1, "storeDir": store.dir,
        "files": {
            "/srv/conf": { "source": conf, "uid": 7 },
            "/srv/same": { "hardlink": "/srv/conf" },
            "/srv": { "type": "directory", "mode": "0711" },
        },
    });
    let layer = store.build(&layer).unwrap();
    let mut request = store.image_request();
    request["layers"] = json!([layer]);
    request["copyToRoot"] = json!([root]);
    let output = store.build(&request).unwrap();
    let (below, _) = entries(&store, &output, 0);
    assert_eq!(below["srv/conf"].owner, (7, 0));
    assert_eq!(below["srv/same"].kind, tar::EntryType::Link);
    let (above, _) = entries(&store, &output, 1);
    assert_eq!(above.keys().collect::<Vec<_>>(), ["srv/"]);
    assert_eq!(above["srv/"].mode, 0o711);
    let records = store.layers(&output);
    assert_eq!(
        records["layers"][0]["digest"],
        store.layers(&layer)["layers"][0]["digest"]
    );

    request["files"] = json!({ "/srv/conf": { "link": "elsewhere" } });
    let error = store.build(&request).unwrap_err();
    assert!(
        error.starts_with(
            "error: conflict at /srv/conf: files.\"/srv/conf\" of a layer in `layers` and \
             files.\"/srv/conf\" disagree about its content\nhint: "
        ),
        "{error}"
    );
}

/// What the base says of a directory stays, but for what is said here; links of the base are followed.
#[test]
fn files_go_where_the_base_has_their_directory() {
    let mut store = FakeStore::new();
    let conf = store.add_file("conf", "1");
    let below = request(
        &store,
        json!({
            "/usr/bin": { "type": "directory", "mode": "0711" },
            "/bin": { "link": "usr/bin" },
            "/data": { "type": "directory", "mode": "0700", "uid": 5 },
            "/usr/bin/one": { "source": conf },
            "/usr/bin/two": { "hardlink": "/usr/bin/one" },
            "/pipe": { "type": "fifo" },
        }),
    );
    let base = store.build(&below).unwrap();
    let mut above = request(
        &store,
        json!({
            "/bin/three": { "source": conf },
            "/data": { "type": "directory", "gid": 6 },
            "/usr/bin/two": { "source": conf },
        }),
    );
    above["image"]["fromImage"] = json!({ "path": base });
    let output = store.build(&above).unwrap();
    let (found, _) = entries(&store, &output, 1);
    let found: Vec<_> = found
        .iter()
        .map(|(path, it)| (path.as_str(), it.mode, it.owner))
        .collect();
    assert_eq!(
        found,
        [
            ("data/", 0o700, (5, 6)),
            ("usr/", 0o755, (0, 0)),
            ("usr/bin/", 0o711, (0, 0)),
            ("usr/bin/three", 0o644, (0, 0)),
            ("usr/bin/two", 0o644, (0, 0)),
        ]
    );

    above["files"] = json!({ "/data": { "source": conf } });
    let error = store.build(&above).unwrap_err();
    assert!(
        error.contains(
            "the base image and files.\"/data\" disagree about whether it is a directory"
        ),
        "{error}"
    );
}

/// What a property says of one file: its kind, its mode and owner.
type Declared = (u8, Option<u16>, Option<u16>);

fn declared() -> impl Strategy<Value = BTreeMap<String, Declared>> {
    let path =
        prop::collection::vec("[abc]", 1..4).prop_map(|names| format!("/{}", names.join("/")));
    let mode = prop::option::of(0_u16..0o10000);
    let owner = prop::option::of(any::<u16>());
    prop::collection::btree_map(path, (0_u8..6, mode, owner), 0..8)
}

/// The request for a declared file; a hard link is to the first file there is.
fn requested((kind, mode, owner): Declared, source: &str, first: Option<&String>) -> Value {
    let mut file = match kind {
        0 | 1 => json!({ "type": "directory" }),
        2 => json!({ "source": source }),
        3 => json!({ "link": "somewhere" }),
        4 => json!({ "type": "character", "major": 1, "minor": 3 }),
        _ => match first {
            Some(first) => return json!({ "hardlink": first }),
            None => json!({ "type": "fifo" }),
        },
    };
    if let Some(mode) = mode.filter(|_| kind != 3) {
        file["mode"] = json!(format!("{mode:04o}"));
    }
    if let Some(owner) = owner {
        file["uid"] = json!(owner);
    }
    file
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 128,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    /// A layer has what is declared and the directories above, each after what it needs; or a file is where a
    /// directory has to be, and that is told.
    #[test]
    fn layers_have_what_is_declared(files in declared()) {
        let mut store = FakeStore::new();
        let source = store.add_file("source", "x");
        let first = files.iter().find(|(_, (kind, ..))| *kind == 2).map(|(path, _)| path);
        let asked = files.iter().map(|(path, file)| (path.clone(), requested(*file, &source, first)));
        let asked: serde_json::Map<String, Value> = asked.collect();
        let is_below = |path: &str, above: &str| {
            path.strip_prefix(above).is_some_and(|rest| rest.starts_with('/'))
        };
        let is_in_the_way = files.iter().any(|(above, (kind, ..))| {
            *kind > 1 && files.keys().any(|path| is_below(path, above))
        });
        let output = store.build(&request(&store, Value::Object(asked.clone())));
        prop_assert_eq!(output.is_err(), is_in_the_way, "{:?}", output);
        let Ok(output) = output else {
            prop_assert!(output.unwrap_err().contains("disagree about whether it is a directory"));
            return Ok(());
        };
        if files.is_empty() {
            return Ok(());
        }
        let (found, order) = entries(&store, &output, 0);
        for (place, path) in order.iter().enumerate() {
            let entry = &found[path];
            let needs = match entry.link.as_ref().filter(|_| entry.kind == tar::EntryType::Link) {
                Some(target) => Some(target.clone()),
                None => path.trim_end_matches('/').rsplit_once('/').map(|(above, _)| format!("{above}/")),
            };
            if let Some(needs) = needs {
                let before = order[..place].contains(&needs);
                prop_assert!(before, "{} before {}", path, needs);
            }
            let absolute = format!("/{}", path.trim_end_matches('/'));
            let Some(file) = asked.get(&absolute) else {
                prop_assert_eq!((entry.kind, entry.mode, entry.owner), (tar::EntryType::Directory, 0o755, (0, 0)));
                prop_assert!(files.keys().any(|path| is_below(path, &absolute)));
                continue;
            };
            let file = file.get("hardlink").and_then(Value::as_str).map_or(file, |first| &asked[first]);
            let usual = match entry.kind {
                tar::EntryType::Directory => 0o755,
                tar::EntryType::Symlink => 0o777,
                _ => 0o644,
            };
            let mode = file["mode"].as_str().map(|mode| u32::from_str_radix(mode, 8).unwrap());
            prop_assert_eq!(entry.mode, mode.unwrap_or(usual));
            prop_assert_eq!(entry.owner, (file["uid"].as_u64().unwrap_or(0), 0));
        }
        let there: Vec<String> = order.iter().map(|path| format!("/{}", path.trim_end_matches('/'))).collect();
        prop_assert!(asked.keys().all(|path| there.contains(path)));
    }
}
