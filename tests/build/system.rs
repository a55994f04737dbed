//! Base systems: what is in their outputs, and what is wrong with requests.

use strata_testing as support;

use std::collections::BTreeMap;
use std::fmt::Write;

use serde_json::{Value, json};
use support::fake_store::{FakeStore, Item};
use support::listing::listing;

fn text(title: &str, listing: &BTreeMap<String, String>) -> String {
    let mut text = format!("== {title}\n");
    for (path, content) in listing {
        writeln!(text, "{path}{content}").unwrap();
    }
    text
}

fn request(store: &FakeStore, system: &Value) -> Value {
    json!({ "version": 1, "storeDir": store.dir, "system": system })
}

/// Everything that a base system can have.
fn whole_system(store: &mut FakeStore) -> Value {
    let bash = store.add("bash-5", &[Item::Executable("bin/bash", "bash")], &[]);
    let git = store.add(
        "git-2",
        &[
            Item::Executable("bin/git", "git"),
            Item::Directory("share/git"),
        ],
        &[],
    );
    let man = store.add(
        "git-2-man",
        &[Item::File("share/man/man1/git.1", "man")],
        &[],
    );
    let nixpkgs = store.add("source", &[Item::File("default.nix", "{ }")], &[]);
    let registry = store.add("registry", &[Item::File("flake-registry.json", "{}")], &[]);
    json!({
        "users": {
            "root": { "uid": 0, "gid": 0, "home": "/root", "shell": format!("{bash}/bin/bash"),
                      "groups": ["root"], "description": "System administrator" },
            "nobody": { "uid": 65534, "gid": 65534, "groups": ["nobody"] },
            "app": { "uid": 1000, "home": "/home/app", "shell": "/bin/sh", "password": "$6$x$y" },
            "nixbld1": { "uid": 30001, "gid": 30000, "groups": ["nixbld"] },
            "nixbld10": { "uid": 30010, "gid": 30000, "groups": ["nixbld"] },
            "nixbld2": { "uid": 30002, "gid": 30000, "groups": ["nixbld"] },
        },
        "groups": {
            "root": { "gid": 0 }, "nixbld": { "gid": 30000 }, "nobody": { "gid": 65534 },
            "app": { "gid": 1000, "members": ["root"] },
        },
        "gshadow": true,
        "nsswitch": true,
        "osRelease": { "ID": "strata", "PRETTY_NAME": "An image of \"Strata\"" },
        "loginDefs": { "UID_MIN": 1000, "USERGROUPS_ENAB": true },
        "nixConf": {
            "build-users-group": "nixbld", "sandbox": false, "cores": 2,
            "extra-experimental-features": ["nix-command", "flakes"],
        },
        "files": { "/etc/motd": "Hello\n" },
        "links": { "/bin/sh": format!("{bash}/bin/bash"), "/usr/share": "/nix/var/nix/profiles/share" },
        "directories": ["/tmp", "/var/tmp"],
        "profile": {
            "packages": [
                { "name": "bash-5", "system": "x86_64-linux", "outputs": { "out": bash },
                  "outputsToInstall": ["out"], "priority": 5 },
                { "name": "git-2", "system": "x86_64-linux", "outputs": { "out": git, "man": man },
                  "outputsToInstall": ["out", "man"], "priority": 4 },
            ],
            "links": { "/root/.nix-profile": "/nix/var/nix/profiles/default" },
        },
        "channel": {
            "nixpkgs": nixpkgs, "profile": "/nix/var/nix/profiles/per-user/root/channels",
            "channelName": "nixpkgs", "channelURL": "https://nixos.org/channels/nixpkgs-unstable", "home": "/root",
        },
        "flake-registry": { "path": registry, "home": "/root" },
    })
}

const ALL: [&str; 3] = ["out", "profile", "channel"];

/// In an early `docker.nix` of Lix the links of profiles led below the output that was being built,
/// and not to the profile in the image. Here each is seen to name the next.
#[test]
fn everything_is_where_it_belongs() {
    let mut store = FakeStore::relocated();
    let system = whole_system(&mut store);
    let request = request(&store, &system);
    let outputs = store.build_system(&request, &ALL).unwrap();
    let texts = ALL.iter().zip(&outputs);
    let texts: String = texts
        .map(|(name, path)| text(name, &listing(&store.locate(path))))
        .collect();
    insta::assert_snapshot!(texts);
}

#[test]
fn what_is_not_asked_for_is_not_there() {
    let mut store = FakeStore::new();
    let mut build = |system: Value, outputs: &[&str]| {
        let request = request(&store, &system);
        let outputs = store.build_system(&request, outputs).unwrap();
        let listings = outputs.iter().map(|output| listing(&store.locate(output)));
        listings.collect::<Vec<_>>()
    };
    assert_eq!(build(json!({}), &["out"]), [BTreeMap::new()]);

    let user = json!({ "shadow": false, "users": { "app": { "uid": 1, "home": "/" } } });
    let names: Vec<String> = build(user, &["out"]).remove(0).into_keys().collect();
    assert_eq!(names, ["etc", "etc/group", "etc/passwd"]);

    let channel = json!({ "channelName": "n", "channelURL": "https://n", "home": "/" });
    let channel = build(json!({ "channel": channel }), &["out", "channel"]);
    assert!(channel[1].is_empty(), "{channel:?}");
    assert_eq!(channel[0][".nix-channels"], ": \"https://n n\\n\"");

    // A link to itself asks for the generation alone.
    let default = "/nix/var/nix/profiles/default";
    let profile = json!({ "profile": { "links": { default: default } } });
    let profile = build(profile, &["out", "profile"]);
    let links = profile[0]
        .values()
        .filter(|content| content.starts_with(' '));
    assert_eq!(links.count(), 2, "{profile:?}");
    // The link is what `nix profile` wants: one that leads into the store.
    assert_eq!(profile[1].len(), 2, "{profile:?}");
    assert_eq!(profile[1][".manifest.nix"], ": \"[ ]\\n\"");
    let link = &profile[1]["manifest.nix"];
    let output = profile[0]["nix/var/nix/profiles/default-1-link"].as_str();
    assert_eq!(link, &format!("{output}/.manifest.nix"));
}

/// What a user does wrong, and the message about it.
const MISTAKES: &[(&str, &str, &str)] = &[
    (
        "users",
        r#"{ "a": { "uid": -1 } }"#,
        "users.a.uid: -1 is out of range",
    ),
    (
        "users",
        r#"{ "a": { "uid": 4294967295 } }"#,
        "users.a.uid: 4294967295 is out of range",
    ),
    (
        "users",
        r#"{ "a": { "uid": 65535 } }"#,
        "users.a.uid: is 65535, which is -1 for programs that keep 16 bits",
    ),
    (
        "users",
        r#"{ "a": { "uid": "1" } }"#,
        "users.a.uid: expected a number, found the string \"1\"",
    ),
    (
        "users",
        r#"{ "a": { "uid": 1.5 } }"#,
        "users.a.uid: expected a whole number, found the number 1.5",
    ),
    (
        "users",
        r#"{ "a": { "uid": 1, "gid": 65535 } }"#,
        "users.a.gid: is 65535, which is -1 for programs that keep 16 bits",
    ),
    ("users", r#"{ "a": { } }"#, "users.a.uid: is missing"),
    (
        "users",
        r#"{ "a": { "uid": 1 }, "b": { "uid": 1 } }"#,
        "users.b.uid: is 1, as users.a.uid is",
    ),
    (
        "users",
        r#"{ "App": { "uid": 1 } }"#,
        "users.App: \"App\" is not a name",
    ),
    (
        "users",
        r#"{ "a:b": { "uid": 1 } }"#,
        "users.\"a:b\": \"a:b\" is not a name",
    ),
    (
        "users",
        r#"{ "a": { "uid": 1, "home": "home" } }"#,
        "users.a.home: \"home\" is not an absolute path",
    ),
    (
        "users",
        r#"{ "a": { "uid": 1, "home": "/a/../b" } }"#,
        "users.a.home: \"/a/../b\" has . or .. in it",
    ),
    (
        "users",
        r#"{ "a": { "uid": 1, "home": "/a:b" } }"#,
        "users.a.home: \"/a:b\" has a colon, line break or null character in it",
    ),
    (
        "users",
        r#"{ "a": { "uid": 1, "shell": "sh" } }"#,
        "users.a.shell: \"sh\" is not an absolute path",
    ),
    (
        "users",
        r#"{ "a": { "uid": 1, "shell": "/sh\nroot2:x:0:0::/:/sh" } }"#,
        "users.a.shell: \"/sh\\nroot2:x:0:0::/:/sh\" has a colon, line break or null character in it",
    ),
    (
        "users",
        r#"{ "a": { "uid": 1, "description": "a:b" } }"#,
        "users.a.description: \"a:b\" has a colon, line break or null character in it",
    ),
    (
        "users",
        r#"{ "a": { "uid": 1, "password": "s:cret" } }"#,
        "users.a.password: has a colon, line break or null character in it",
    ),
    (
        "users",
        r#"{ "a": { "uid": 1, "groups": ["b"] } }"#,
        "users.a.groups[0]: \"b\" is not a group",
    ),
    (
        "users",
        r#"{ "a": { "uid": 1, "shel": "/sh" } }"#,
        "users.a.shel: is not an attribute of this",
    ),
    (
        "groups",
        r#"{ "a": { "gid": 1 }, "b": { "gid": 1 } }"#,
        "groups.b.gid: is 1, as groups.a.gid is",
    ),
    (
        "groups",
        r#"{ "a": { "gid": -5 } }"#,
        "groups.a.gid: -5 is out of range",
    ),
    (
        "groups",
        r#"{ "": { "gid": 1 } }"#,
        "groups.\"\": \"\" is not a name",
    ),
    (
        "groups",
        r#"{ "x": { "gid": 1, "members": ["a"] } }"#,
        "groups.x.members[0]: \"a\" is not a user",
    ),
    (
        "nixConf",
        r#"{ "substituters": ["https://a", "b c"] }"#,
        "nixConf.substituters[1]: \"b c\" is not one word",
    ),
    (
        "nixConf",
        r#"{ "x": "a\nsandbox = false" }"#,
        "nixConf.x: \"a\\nsandbox = false\" has a line break or null character in it",
    ),
    (
        "nixConf",
        r#"{ "x": 1.5 }"#,
        "nixConf.x: 1.5 is not an integer",
    ),
    (
        "nixConf",
        r#"{ "x": { "y": 1 } }"#,
        "nixConf.x: is an attribute set",
    ),
    (
        "nixConf",
        r#"{ "x y": 1 }"#,
        "nixConf.\"x y\": \"x y\" is not a setting",
    ),
    (
        "osRelease",
        r#"{ "name": "x" }"#,
        "osRelease.name: \"name\" is not a name",
    ),
    (
        "osRelease",
        r#"{ "NAME": ["x"] }"#,
        "osRelease.NAME: is a list",
    ),
    (
        "loginDefs",
        r#"{ "UID_MIN": null }"#,
        "loginDefs.UID_MIN: is null",
    ),
    (
        "files",
        r#"{ "etc/x": "" }"#,
        "files.\"etc/x\": \"etc/x\" is not an absolute path",
    ),
    (
        "files",
        r#"{ "/../x": "" }"#,
        "files.\"/../x\": \"/../x\" has . or .. in it",
    ),
    (
        "files",
        r#"{ "/": "" }"#,
        "files.\"/\": is the root of the image",
    ),
    (
        "files",
        r#"{ "/etc/nsswitch.conf": "" }"#,
        "files.\"/etc/nsswitch.conf\": /etc/nsswitch.conf is made by nsswitch already",
    ),
    (
        "files",
        r#"{ "/etc/nsswitch.conf/x": "" }"#,
        "files.\"/etc/nsswitch.conf/x\": /etc/nsswitch.conf/x is below /etc/nsswitch.conf, which nsswitch makes no directory",
    ),
    (
        "links",
        r#"{ "/x": "" }"#,
        "links.\"/x\": \"\" is no target",
    ),
    (
        "links",
        r#"{ "/x\u0000y": "/z" }"#,
        "links.\"/x\\0y\": \"/x\\0y\" has a null character in it",
    ),
    (
        "links",
        r#"{ "/tmp": "/var/tmp" }"#,
        "directories[0]: /tmp is made by links.\"/tmp\" already",
    ),
    (
        "directories",
        r#"["tmp"]"#,
        "directories[0]: \"tmp\" is not an absolute path",
    ),
    (
        "channel",
        r#"{ "channelName": "a b", "channelURL": "https://n", "home": "/" }"#,
        "channelName: \"a b\" is not a name",
    ),
    (
        "channel",
        r#"{ "channelName": "a", "channelURL": "n", "home": "/" }"#,
        "channelURL: \"n\" is not an address",
    ),
    (
        "channel",
        r#"{ "channelName": "a", "channelURL": "https://n", "home": "root" }"#,
        "channelURL: \"root/.nix-channels\" is not an absolute path",
    ),
    (
        "channel",
        r#"{ "channelName": "a", "channelURL": "https://n", "home": "/", "profile": "x" }"#,
        "channelURL: \"x\" is not an absolute path",
    ),
    (
        "channel",
        r#"{ "channelName": "a", "channelURL": "https://n", "home": "/", "nixpkgs": "/etc" }"#,
        "nixpkgs: \"/etc\" is not in the store",
    ),
    (
        "profile",
        r#"{ "links": { "/x": "y" } }"#,
        "packages: \"y\" is not an absolute path",
    ),
    (
        "profile",
        r#"{ "packages": [{ "name": "a", "outputs": {} }] }"#,
        "packages[0].outputsToInstall[0]: \"out\" is not an output of a",
    ),
    (
        "profile",
        r#"{ "packages": [{ "name": "a", "outputs": {}, "outputsToInstall": [] }] }"#,
        "packages[0].outputsToInstall: is empty",
    ),
    (
        "profile",
        r#"{ "packages": [{ "name": "a", "outputs": { "out": "/etc" } }] }"#,
        "packages[0].outputsToInstall[0]: \"/etc\" is not in the store directory STORE",
    ),
    (
        "flake-registry",
        r#"{ "path": "/etc", "home": "/" }"#,
        "flake-registry: \"/etc\" is not in the store",
    ),
    ("sytem", "{}", "sytem: is not an attribute of this"),
];

/// The outputs that Nix would ask for.
fn outputs(system: &Value) -> Vec<&'static str> {
    let is_there = |name: &&&str| **name == "out" || !system[**name].is_null();
    ALL.iter().filter(is_there).copied().collect()
}

fn error(store: &mut FakeStore, system: &Value) -> String {
    let request = request(store, system);
    let report = store.build_system(&request, &outputs(system));
    let report = report.expect_err("should be refused");
    let (first, hint) = report.split_once("\nhint: ").expect(&report);
    assert!(!hint.is_empty() && !hint.contains('\n'), "{report}");
    first.replace(&store.dir, "STORE")
}

#[test]
fn mistakes_are_one_message() {
    let mut store = FakeStore::new();
    for (field, value, message) in MISTAKES {
        let mut system = json!({ "nsswitch": true, "directories": ["/tmp"] });
        system[field] = serde_json::from_str(value).expect(value);
        let expected = format!("error: attribute {message}");
        assert_eq!(error(&mut store, &system), expected, "{field} = {value}");
    }
}

#[test]
fn outputs_are_those_that_are_asked_for() {
    let mut store = FakeStore::new();
    for (system, outputs, message) in [
        (
            json!({}),
            &["out", "profile"][..],
            "has profile, but profile is null",
        ),
        (json!({ "profile": {} }), &["out"], "lacks profile"),
        (
            json!({}),
            &["out", "dev"],
            "a base system has no output \"dev\"",
        ),
    ] {
        let report = store
            .build_system(&request(&store, &system), outputs)
            .unwrap_err();
        let expected = format!("error: attribute outputs: {message}\n");
        assert!(report.starts_with(&expected), "{report}");
    }
    let mut layer = request(&store, &json!({}));
    layer["maxLayers"] = json!(1);
    let report = store.build_system(&layer, &["out"]).unwrap_err();
    assert!(
        report.contains("attribute maxLayers: is not an attribute of this"),
        "{report}"
    );
}

/// The channel is written last; its link is longer than symlinks can be.
#[test]
fn nothing_stays_of_a_build_that_fails_at_its_last_output() {
    let mut store = FakeStore::new();
    let far_below = format!("{}{}", store.path("source"), "/a".repeat(2048));
    let channel =
        json!({ "channelName": "n", "channelURL": "https://n", "home": "/", "nixpkgs": far_below });
    let request = request(&store, &json!({ "profile": {}, "channel": channel }));
    // What is left would be noticed there.
    let report = store.build_system(&request, &ALL).unwrap_err();
    assert!(report.contains("cannot create"), "{report}");
}

/// Issue 11, row 5: a package in the place of its program or file.
#[test]
fn row_5_links_that_must_lead_to_files_do() {
    let mut store = FakeStore::new();
    let items = [
        Item::Executable("bin/bash", ""),
        Item::Symlink("bin/sh", "bash"),
        Item::Symlink("sbin", "bin"),
        Item::Symlink("out", "/etc"),
    ];
    let bash = store.add("bash", &items, &[]);
    for (path, target, message) in [
        (
            "/bin/sh",
            "",
            "binSh: BASH, where /bin/sh leads, is a directory",
        ),
        (
            "/bin/sh",
            "/sbin",
            "binSh: BASH/sbin, where /bin/sh leads, is a directory",
        ),
        (
            "/bin/sh",
            "/bin/dash",
            "binSh: BASH/bin/dash, where /bin/sh leads, does not exist",
        ),
        (
            "/usr/bin/env",
            "",
            "usrBinEnv: BASH, where /usr/bin/env leads, is a directory",
        ),
        (
            "/etc/ssl/certs/ca-bundle.crt",
            "",
            "certificates: BASH, where /etc/ssl/certs/ca-bundle.crt leads, is a directory",
        ),
    ] {
        let system = json!({ "links": { path: format!("{bash}{target}") } });
        let system = request(&store, &system);
        let report = store.build_system(&system, &["out"]).unwrap_err();
        let report = report.replace(&bash, "BASH");
        let (first, hint) = report.split_once("\nhint: ").unwrap();
        assert_eq!(first, format!("error: attribute {message}"));
        assert!(hint.starts_with("name the file in the package: "), "{hint}");
    }
    for (path, target) in [
        ("/bin/sh", format!("{bash}/bin/sh")),
        ("/bin/sh", format!("{bash}/sbin/bash")),
        ("/bin/sh", format!("{bash}/out/sh")),
        ("/bin/sh", "/run/sh".to_owned()),
        ("/opt/bash", bash.clone()),
    ] {
        let system = request(&store, &json!({ "links": { path: target } }));
        store.build_system(&system, &["out"]).unwrap();
    }
}
