//! Issue 11, row 5: images with which no container starts do not build, and where a mount may change that, a
//! warning says so.

use strata_testing as support;

use std::fs;
use std::os::unix::fs::PermissionsExt;

use rstest::rstest;
use serde_json::{Value, json};
use support::bases::{BaseImage, Piece, tar, write};
use support::fake_store::{FakeStore, Item};

/// An ELF file without a loader, for this `e_machine`.
fn elf(machine: u8) -> Vec<u8> {
    let mut head = vec![0; 64];
    head[..6].copy_from_slice(&[0x7f, b'E', b'L', b'F', 2, 1]);
    head[18] = machine;
    head
}

const X86_64: u8 = 62;
const AARCH64: u8 = 183;

struct Case {
    store: FakeStore,
    request: Value,
    app: String,
}

/// A package with programs, and one at the root with links to them.
fn case() -> Case {
    let mut store = FakeStore::new();
    let items = [
        Item::Executable("bin/script", "#!/bin/sh\n"),
        Item::Executable("bin/lonely", "#!/usr/bin/env python\n"),
        Item::Executable("bin/data", "data"),
        Item::File("bin/file", "#!/bin/sh\n"),
    ];
    let app = store.add("app", &items, &[]);
    for (name, machine) in [("amd64", X86_64), ("arm64", AARCH64)] {
        let file = store.locate(&app).join("bin").join(name);
        fs::write(&file, elf(machine)).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    }
    store.register(&app, &[]);
    let at = |name: &str| format!("{app}/bin/{name}");
    let (program, script, sh) = (at("amd64"), at("script"), at("amd64"));
    let gone = store.path("gone");
    let items = [
        Item::Symlink("bin/program", &program),
        Item::Symlink("bin/script", &script),
        Item::Symlink("bin/sh", &sh),
        Item::Symlink("bin/far", "../usr/bin/near"),
        Item::Symlink("usr/bin/near", "/bin/program"),
        Item::Symlink("bin/gone", &gone),
        Item::Symlink("bin/loop", "loop"),
        Item::Symlink("package", &app),
        Item::File(
            "etc/passwd",
            "root:x:0:0::/:/bin/sh\napp:x:1000:1000::/:/bin/sh\n",
        ),
        Item::File("etc/group", "app:x:1000:\n"),
    ];
    let root = store.add("root", &items, &[&app]);
    let mut request = store.image_request();
    request["copyToRoot"] = json!([root]);
    request["deps"] = json!([app]);
    Case {
        store,
        request,
        app,
    }
}

impl Case {
    fn build(&mut self, config: &Value) -> Result<Vec<String>, String> {
        let config = config.to_string().replace("APP", &self.app);
        self.request["image"]["config"] = serde_json::from_str(&config).unwrap();
        let built = self.store.build_with(&self.request, 1);
        built.map(|(_, warnings)| warnings)
    }
}

/// What nothing is in is to be mounted as a whole, or to be built on.
#[test]
fn row_5_an_image_without_files_builds() {
    let mut case = case();
    case.request["copyToRoot"] = json!([]);
    case.request["deps"] = json!([]);
    let warnings = case.build(&json!({ "Cmd": ["/bin/hello"] })).unwrap();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].contains("/bin/hello is not in the image"));
}

/// A file at `/` is what people mount.
#[test]
fn row_5_a_program_at_the_root_may_be_mounted() {
    let mut case = case();
    let warnings = case.build(&json!({ "Cmd": ["/x"] })).unwrap();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].contains("/x is not in the image"));
}

#[test]
fn row_5_images_that_cannot_start_do_not_build() {
    let mut case = case();
    for (config, message) in [
        (
            json!({ "Cmd": ["/bin/hello"] }),
            "config.Cmd[0]: /bin/hello is not in the image",
        ),
        (
            json!({ "Entrypoint": ["/bin/hello"], "Cmd": ["x"] }),
            "config.Entrypoint[0]: /bin/hello is not in the image",
        ),
        (
            json!({ "Cmd": ["APP/bin/helo"] }),
            "config.Cmd[0]: APP/bin/helo is not in the image",
        ),
        (
            json!({ "Cmd": ["APP"] }),
            "config.Cmd[0]: APP is a directory",
        ),
        (
            json!({ "Cmd": ["/package"] }),
            "config.Cmd[0]: /package leads to APP, which is a directory",
        ),
        (json!({ "Cmd": ["/"] }), "config.Cmd[0]: / is a directory"),
        (
            json!({ "Cmd": ["APP/bin/file"] }),
            "config.Cmd[0]: APP/bin/file is not executable",
        ),
        (
            json!({ "Cmd": ["/etc/passwd"] }),
            "config.Cmd[0]: /etc/passwd is not executable",
        ),
        (
            json!({ "Cmd": ["/etc/passwd/x"] }),
            "config.Cmd[0]: /etc/passwd/x leads nowhere: /etc/passwd is no directory, or a symlink to itself",
        ),
        (
            json!({ "Cmd": ["/bin/loop"] }),
            "config.Cmd[0]: /bin/loop leads nowhere: /bin/loop is no directory, or a symlink to itself",
        ),
        (
            json!({ "Cmd": ["APP/bin/arm64"] }),
            "config.Cmd[0]: APP/bin/arm64 is for arm64, but the image is for linux/amd64",
        ),
        (
            json!({ "Cmd": ["APP/bin/lonely"] }),
            "config.Cmd[0]: /usr/bin/env, which APP/bin/lonely runs with, is not in the image",
        ),
        (
            json!({ "Cmd": ["/bin/hello"], "Volumes": { "/data": {} } }),
            "config.Cmd[0]: /bin/hello is not in the image",
        ),
    ] {
        let report = case.build(&config).expect_err(&config.to_string());
        let report = report.replace(&case.app, "APP");
        let (first, hint) = report.split_once("\nhint: ").unwrap();
        assert_eq!(first, format!("error: attribute {message}"));
        assert!(!hint.is_empty());
    }
    let report = case.build(&json!({ "Cmd": ["/bin/gone"] })).unwrap_err();
    assert!(
        report.contains("/bin/gone leads to /")
            && report.contains("-gone, which is not in the image"),
        "{report}"
    );
    let report = case.build(&json!({ "Cmd": ["APP"] })).unwrap_err();
    assert!(
        report.contains(&format!("as in {}/bin/amd64", case.app)),
        "{report}"
    );
}

#[test]
fn row_5_images_that_may_start_build() {
    let mut case = case();
    for config in [
        json!({}),
        json!({ "Cmd": [] }),
        json!({ "Cmd": ["hello"] }),
        json!({ "Cmd": ["./hello"] }),
        json!({ "Cmd": ["APP/bin/amd64"] }),
        json!({ "Cmd": ["APP/bin/data"] }),
        json!({ "Cmd": ["APP/bin/script"] }),
        json!({ "Cmd": ["/bin/program"] }),
        json!({ "Cmd": ["/bin/far"] }),
        json!({ "Cmd": ["//bin/../bin/./far"] }),
        json!({ "Cmd": ["/package/bin/amd64"] }),
        json!({ "Entrypoint": ["/bin/program"], "Cmd": ["/no/program"] }),
        json!({ "Cmd": ["/proc/self/exe"] }),
        json!({ "User": "1000:1000" }),
        json!({ "User": "app:app" }),
        json!({ "User": "" }),
    ] {
        assert_eq!(case.build(&config), Ok(Vec::new()), "{config}");
    }
}

#[test]
fn row_5_what_a_mount_may_bring_is_a_warning() {
    let mut case = case();
    for (config, message) in [
        (
            json!({ "Cmd": ["/data/bin/x"], "Volumes": { "/data": {} } }),
            "config.Cmd[0]: /data/bin/x is not in the image",
        ),
        (
            json!({ "User": "nobody" }),
            "config.User: no user \"nobody\" is in /etc/passwd of the image, so that engines do not start it",
        ),
        (
            json!({ "User": "0:wheel" }),
            "config.User: no group \"wheel\" is in /etc/group of the image, so that engines do not start it",
        ),
        (
            json!({ "Entrypoint": ["/bin/program"], "Cmd": ["APP/bin/arm64"] }),
            "config.Cmd[0]: APP/bin/arm64 is for arm64, but the image is for linux/amd64",
        ),
    ] {
        let warnings = case.build(&config).unwrap();
        let [warning] = warnings.as_slice() else {
            panic!("{warnings:?}");
        };
        let warning = warning.replace(&case.app, "APP");
        let (first, hint) = warning.split_once("\nhint: ").unwrap();
        assert_eq!(first, format!("warning: attribute {message}"));
        assert!(!hint.is_empty());
    }
}

/// Who leaves the store out mounts one: dockerTools' `includeStorePaths = false`.
#[test]
fn row_5_store_paths_that_are_left_out_are_mounted() {
    let mut case = case();
    case.request["ignore"] = json!([case.app]);
    for program in ["/bin/program", "APP/bin/amd64"] {
        let warnings = case.build(&json!({ "Cmd": [program] })).unwrap();
        assert!(
            warnings[0].contains("is not in the image\nhint: containers start only where"),
            "{warnings:?}"
        );
    }
}

/// Links of an older image of Lix, into the store path that `copyToRoot` moves away.
#[test]
fn row_5_links_into_what_is_moved_are_a_warning() {
    let mut case = case();
    let root = case.request["copyToRoot"][0].as_str().unwrap().to_owned();
    let items = [Item::Symlink("profile", &format!("{root}/package"))];
    let links = case.store.add("links", &items, &[]);
    case.request["copyToRoot"] = json!([root, links]);
    let warnings = case.build(&json!({ "Cmd": ["/profile/bin/sh"] })).unwrap();
    assert!(
        warnings[0].contains("copyToRoot moves what is there to /\nhint: "),
        "{warnings:?}"
    );
}

#[test]
fn row_5_modes_of_rules_count() {
    let mut case = case();
    let config = json!({ "Cmd": ["APP/bin/file"] });
    case.request["perms"] = json!([{ "path": case.app, "regex": "/bin/file$", "mode": "0755" }]);
    assert_eq!(case.build(&config), Ok(Vec::new()));
    case.request["perms"] = json!([{ "path": case.app, "regex": "/bin/amd64$", "mode": "0644" }]);
    let report = case
        .build(&json!({ "Cmd": ["APP/bin/amd64"] }))
        .unwrap_err();
    assert!(report.contains("amd64 is not executable"), "{report}");
}

#[rstest]
#[case("arm64", "amd64")]
#[case("amd64", "arm64")]
fn row_5_programs_are_for_the_platform(#[case] platform: &str, #[case] program: &str) {
    let mut case = case();
    case.request["image"]["arch"] = json!(platform);
    assert_eq!(
        case.build(&json!({ "Cmd": [format!("APP/bin/{platform}")] })),
        Ok(Vec::new())
    );
    let report = case
        .build(&json!({ "Cmd": [format!("APP/bin/{program}")] }))
        .unwrap_err();
    let message =
        format!("bin/{program} is for {program}, but the image is for linux/{platform}\nhint: ");
    assert!(report.contains(&message), "{report}");
    // What reads a script is a program, too.
    let report = case.build(&json!({ "Cmd": ["APP/bin/script"] }));
    assert_eq!(report.is_ok(), platform == "amd64", "{report:?}");
}

/// What lies below counts, with its symlinks; what is hidden of it does not.
#[test]
fn row_5_programs_of_the_base_count() {
    let pieces = [
        Piece::Program("usr/bin/tool", b"x"),
        Piece::Symlink("bin", "usr/bin"),
        Piece::File("etc/passwd", "base:x:5:5::/:/bin/sh\n"),
    ];
    let mut case = case();
    let base = BaseImage::new(vec![tar(&pieces)]);
    let path = case.store.path("base");
    write(&BaseImage::layout(&[base]), &case.store.locate(&path));
    let top = case
        .store
        .add("top", &[Item::Executable("bin/own", "data")], &[]);
    case.request["image"]["fromImage"] = json!({ "path": path });
    case.request["copyToRoot"] = json!([top]);
    for program in ["/usr/bin/tool", "/bin/tool", "/bin/own", "/usr/bin/own"] {
        let config = json!({ "Entrypoint": [program], "User": "base" });
        assert_eq!(case.build(&config), Ok(Vec::new()), "{program}");
    }
    // The base's own entry point is the base's.
    assert_eq!(case.build(&json!({ "Env": ["A=b"] })), Ok(Vec::new()));
    let warnings = case.build(&json!({ "User": "app" })).unwrap();
    assert!(warnings[0].contains("no user \"app\""), "{warnings:?}");
    case.request["image"]["remove"] = json!(["/usr/bin/tool"]);
    let report = case
        .build(&json!({ "Entrypoint": ["/bin/tool"] }))
        .unwrap_err();
    assert!(
        report.contains("/bin/tool is not in the image")
            || report.contains("leads to /usr/bin/tool, which is not in the image"),
        "{report}"
    );
}

/// Programs that lie in the base are looked at as others are, through scripts, symlinks and hard links, in a base
/// of strangers and in one of Strata's.
#[rstest]
#[case(false)]
#[case(true)]
fn row_5_programs_of_the_base_are_looked_at(#[case] is_of_strata: bool) {
    let (amd64, arm64) = (elf(X86_64), elf(AARCH64));
    let mut case = case();
    let path = case.store.path("base");
    if is_of_strata {
        let items = [
            Item::Directory("usr/bin"),
            Item::File("usr/bin/data", "#!/bin/amd64\n"),
            Item::Executable("usr/bin/script", "#!/bin/arm64\n"),
            Item::Executable("usr/bin/lonely", "#!/opt/nothing\n"),
            Item::Executable("usr/bin/weak", "#!/usr/bin/data\n"),
            Item::Symlink("bin", "usr/bin"),
        ];
        let files = case.store.add("files", &items, &[]);
        for (name, content) in [("amd64", &amd64), ("arm64", &arm64), ("hard", &arm64)] {
            let file = case.store.locate(&files).join("usr/bin").join(name);
            fs::write(&file, content).unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
        }
        case.store.register(&files, &[]);
        let mut request = case.store.image_request();
        request["copyToRoot"] = json!([files]);
        let image = case.store.build(&request).unwrap();
        case.request["image"]["fromImage"] = json!({ "path": image });
    } else {
        let lower = tar(&[
            Piece::Program("usr/bin/amd64", &amd64),
            Piece::File("usr/bin/data", "#!/bin/amd64\n"),
            Piece::Program("usr/bin/lonely", b"#!/opt/nothing\n"),
            Piece::Program("usr/bin/weak", b"#!/usr/bin/data\n"),
            // Only what is uppermost counts.
            Piece::Program("usr/bin/script", b"#!/bin/amd64\n"),
        ]);
        let upper = tar(&[
            Piece::Symlink("bin", "usr/bin"),
            Piece::Program("usr/bin/arm64", &arm64),
            Piece::HardLink("usr/bin/hard", "usr/bin/arm64"),
            Piece::Program("usr/bin/script", b"#!/bin/arm64\n"),
        ]);
        let base = BaseImage::new(vec![lower, upper]);
        write(&BaseImage::layout(&[base]), &case.store.locate(&path));
        case.request["image"]["fromImage"] = json!({ "path": path });
    }
    let top = case.store.add(
        "top",
        &[
            Item::Executable("opt/own", "#!/bin/amd64\n"),
            Item::Executable("opt/foreign", "#!/bin/arm64\n"),
            Item::Symlink("opt/link", "/bin/amd64"),
        ],
        &[],
    );
    case.request["copyToRoot"] = json!([top]);
    for program in ["/bin/amd64", "/usr/bin/amd64", "/opt/own", "/opt/link"] {
        let built = case.build(&json!({ "Entrypoint": [program] }));
        assert_eq!(built, Ok(Vec::new()), "{program}");
    }
    let wrong =
        "in the base image is for arm64, but the image is for linux/amd64\nhint: take the base";
    for (program, message) in [
        ("/bin/arm64", wrong),
        ("/usr/bin/hard", wrong),
        ("/bin/script", wrong),
        ("/opt/foreign", wrong),
        (
            "/bin/data",
            "/bin/data is a file of the base image, and not executable",
        ),
        (
            "/bin/weak",
            "which /bin/weak runs with, is a file of the base image, and not executable",
        ),
        (
            "/bin/lonely",
            "/opt/nothing, which /bin/lonely runs with, is not in the image",
        ),
    ] {
        let report = case.build(&json!({ "Entrypoint": [program] })).unwrap_err();
        assert!(report.contains(message), "{program}: {report}");
    }
    let config = json!({ "Entrypoint": ["/bin/amd64"], "Cmd": ["/bin/arm64"] });
    let warnings = case.build(&config).unwrap();
    assert!(
        warnings.len() == 1 && warnings[0].contains(wrong),
        "{warnings:?}"
    );
}
