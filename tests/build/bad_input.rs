//! Every mistake of a user gets one message that says what, where and the way out, and leaves
//! nothing half-written (which [`FakeStore::build`] checks).

use strata_testing as support;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::process::Command;

use serde_json::{Value, json};
use support::fake_store::{FakeStore, Item};

/// A store with two packages, a layer and an image in it.
struct Case {
    store: FakeStore,
    request: Value,
    app: String,
    env: String,
}

fn case() -> Case {
    let mut store = FakeStore::new();
    let app = store.add("app", &[Item::Executable("bin/app", "#!")], &[]);
    let env = store.add(
        "env",
        &[Item::File("etc/conf", "1"), Item::Directory("tmp")],
        &[],
    );
    let mut request = store.image_request();
    request["deps"] = json!([app]);
    request["copyToRoot"] = json!([env]);
    Case {
        store,
        request,
        app,
        env,
    }
}

fn refused(name: &str, case: &mut Case, message: &str) {
    let request = case.request.clone();
    let report = case.store.build(&request).expect_err(name);
    let report = report.replace(&case.store.dir, "STORE");
    // Hashes are there to be copied, not to be read in a test.
    let report = strip_hashes(&report);
    let (first, hint) = report.split_once("\nhint: ").expect(&report);
    assert_eq!(first, format!("error: {message}"), "{name}");
    assert!(!hint.is_empty() && !hint.contains('\n'), "{report}");
}

fn strip_hashes(text: &str) -> String {
    let mut parts = text.split("STORE/");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |mut text, part| {
        let (hash, rest) = part.split_at_checked(33).unwrap_or(("", part));
        text += "STORE/";
        text += if hash.ends_with('-') { rest } else { part };
        text
    })
}

type Mistake = (&'static str, fn(&mut Case), &'static str);

/// Says this of `/x` in `files`.
fn with_file(case: &mut Case, file: &Value) {
    case.request["files"] = json!({ "/x": file });
}

/// Puts a file into the image, at the root or in the store, whose name begins with `.wh.`.
fn with_whiteout(case: &mut Case, item: Item<'_>, attribute: &str) {
    let path = case.store.add("files", &[item], &[]);
    case.request[attribute] = json!([path]);
}

const MISTAKES: &[Mistake] = &[
    (
        "limit_that_is_no_amount",
        |case| case.request["image"]["limits"] = json!({ "size": "200 apples" }),
        "attribute limits.size: \"200 apples\" is no amount",
    ),
    // Row 44: devenv#1367.
    (
        "denied_package",
        |case| {
            let gcc = case
                .store
                .add("gcc-12.2.0", &[Item::File("bin/gcc", "x")], &[]);
            let app = case
                .store
                .add("tool-1", &[Item::Executable("bin/tool", "#!")], &[&gcc]);
            case.request["deps"] = json!([app]);
            case.request["image"]["config"] = json!({ "Cmd": [format!("{app}/bin/tool")] });
            case.request["image"]["limits"] = json!({ "layers": 60, "deny": ["perl", "gcc"] });
        },
        "attribute limits.deny: it has gcc-12.2.0 (456 B), and gcc is denied: config.Cmd -> tool-1 -> gcc-12.2.0",
    ),
    (
        "too_many_layers",
        |case| case.request["image"]["limits"] = json!({ "size": "1G", "layers": 0 }),
        "attribute limits.layers: it has 1 layers, and 0 are allowed",
    ),
    (
        "growth_over_what_is_no_image",
        |case| {
            let against = case.app.clone();
            case.request["image"]["limits"] =
                json!({ "growth": { "against": against, "size": "5 %" } });
        },
        "attribute limits.growth.against: STORE/app is not an image that Strata built",
    ),
    // Row 2 of "Wrong images": podman#3582, openshift/imagebuilder#75.
    (
        "whiteout_at_the_root",
        |case| with_whiteout(case, Item::File("etc/.wh.passwd", "x"), "copyToRoot"),
        "store path STORE/files: etc/.wh.passwd: no image can have a file whose name begins with .wh.",
    ),
    (
        "opaque_whiteout_in_the_store",
        |case| with_whiteout(case, Item::File("lib/.wh..wh..opq", "x"), "deps"),
        "store path STORE/files: lib/.wh..wh..opq: no image can have a file whose name begins with .wh.",
    ),
    (
        "whiteout_that_is_a_directory",
        |case| with_whiteout(case, Item::Directory(".wh."), "copyToRoot"),
        "store path STORE/files: .wh.: no image can have a file whose name begins with .wh.",
    ),
    (
        "whiteout_that_is_a_symlink",
        |case| with_whiteout(case, Item::Symlink("a/.wh.b", "c"), "deps"),
        "store path STORE/files: a/.wh.b: no image can have a file whose name begins with .wh.",
    ),
    // `files`.
    (
        "file_that_says_nothing",
        |case| with_file(case, &json!({ "mode": "0755" })),
        "attribute files.\"/x\": does not say what it is",
    ),
    (
        "file_with_a_mode_that_is_none",
        |case| with_file(case, &json!({ "type": "directory", "mode": "9999" })),
        "attribute files.\"/x\".mode: \"9999\" is not an octal mode",
    ),
    (
        "file_with_a_number_as_mode",
        |case| with_file(case, &json!({ "type": "directory", "mode": 755 })),
        "attribute files.\"/x\".mode: expected a string, found the number 755",
    ),
    (
        "file_with_an_unknown_attribute",
        |case| with_file(case, &json!({ "type": "directory", "owner": "app" })),
        "attribute files.\"/x\".owner: is not an attribute of this",
    ),
    (
        "file_of_an_unknown_type",
        |case| with_file(case, &json!({ "type": "socket" })),
        "attribute files.\"/x\".type: \"socket\" is not known",
    ),
    (
        "file_of_two_types",
        |case| with_file(case, &json!({ "type": "fifo", "link": "y" })),
        "attribute files.\"/x\".type: is \"fifo\", but there is a `link`",
    ),
    (
        "file_that_is_two_things",
        |case| with_file(case, &json!({ "link": "y", "hardlink": "/y" })),
        "attribute files.\"/x\": has both `link` and `hardlink`",
    ),
    (
        "file_without_content",
        |case| with_file(case, &json!({ "type": "file" })),
        "attribute files.\"/x\".source: is missing",
    ),
    (
        "file_from_outside_of_the_store",
        |case| with_file(case, &json!({ "source": "/etc/passwd" })),
        "attribute files.\"/x\".source: \"/etc/passwd\" is not in the store directory STORE",
    ),
    (
        "file_from_above_its_package",
        |case| with_file(case, &json!({ "source": format!("{}/../x", case.app) })),
        "attribute files.\"/x\".source: \"STORE/app/../x\" is not a plain path",
    ),
    (
        "file_that_its_package_does_not_have",
        |case| {
            with_file(
                case,
                &json!({ "source": format!("{}/bin/nothing", case.app) }),
            );
        },
        "attribute files.\"/x\".source: STORE/app/bin/nothing: No such file or directory (os error 2)",
    ),
    (
        "file_that_is_a_directory",
        |case| with_file(case, &json!({ "type": "file", "source": case.app })),
        "attribute files.\"/x\".type: is \"file\", but STORE/app is a directory",
    ),
    (
        "file_that_leads_out_of_the_store",
        |case| {
            let out = case
                .store
                .add("out", &[Item::Symlink("l", "/etc/passwd")], &[]);
            with_file(case, &json!({ "source": format!("{out}/l") }));
        },
        "attribute files.\"/x\".source: STORE/out/l leads to /etc/passwd, out of the store",
    ),
    (
        "file_in_a_package_whose_name_is_a_whiteout",
        |case| {
            let out = case.store.add("out", &[Item::File(".wh.a", "")], &[]);
            with_file(case, &json!({ "source": out }));
        },
        "store path STORE/out: .wh.a: no image can have a file whose name begins with .wh.",
    ),
    (
        "file_with_capabilities_that_are_none",
        |case| {
            with_file(
                case,
                &json!({ "source": case.app, "capabilities": ["fly"] }),
            );
        },
        "attribute files.\"/x\".capabilities: \"fly\" is not a capability",
    ),
    (
        "file_with_flags_that_are_none",
        |case| {
            with_file(
                case,
                &json!({ "source": case.app, "capabilities": ["kill+x"] }),
            );
        },
        "attribute files.\"/x\".capabilities: \"kill+x\" has flags other than e, i and p",
    ),
    (
        "directory_with_capabilities",
        |case| {
            with_file(
                case,
                &json!({ "type": "directory", "capabilities": ["kill"] }),
            );
        },
        "attribute files.\"/x\".capabilities: is for programs, which are regular files",
    ),
    (
        "tree_with_capabilities",
        |case| {
            with_file(
                case,
                &json!({ "source": case.app, "capabilities": ["kill"] }),
            );
        },
        "attribute files.\"/x\".capabilities: STORE/app is a directory, and programs have these",
    ),
    (
        "file_with_an_xattr_without_namespace",
        |case| with_file(case, &json!({ "source": case.app, "xattrs": { "a": "b" } })),
        "attribute files.\"/x\".xattrs: \"a\" begins with none of user., trusted., security., system., and Linux has no others",
    ),
    (
        "fifo_with_xattrs",
        |case| {
            with_file(
                case,
                &json!({ "type": "fifo", "xattrs": { "user.a": "b" } }),
            );
        },
        "attribute files.\"/x\".xattrs: is for regular files and directories",
    ),
    (
        "file_of_nobody",
        |case| {
            with_file(
                case,
                &json!({ "type": "directory", "uid": 4_294_967_295_u64 }),
            );
        },
        "attribute files.\"/x\".uid: is larger than Linux allows",
    ),
    (
        "link_with_a_mode",
        |case| with_file(case, &json!({ "link": "y", "mode": "0755" })),
        "attribute files.\"/x\".mode: is not heeded of symlinks",
    ),
    (
        "link_to_nothing",
        |case| with_file(case, &json!({ "link": "" })),
        "attribute files.\"/x\".link: is nothing that a symlink can lead to",
    ),
    (
        "device_without_a_number",
        |case| with_file(case, &json!({ "type": "block", "major": 8 })),
        "attribute files.\"/x\".minor: is missing",
    ),
    (
        "device_with_a_number_that_is_too_large",
        |case| {
            with_file(
                case,
                &json!({ "type": "character", "major": 4096, "minor": 0 }),
            );
        },
        "attribute files.\"/x\".major: is 4096, and Linux has none above 4095",
    ),
    (
        "file_with_the_number_of_a_device",
        |case| with_file(case, &json!({ "type": "fifo", "minor": 0 })),
        "attribute files.\"/x\".minor: is for devices",
    ),
    (
        "hard_link_to_what_is_not_there",
        |case| with_file(case, &json!({ "hardlink": "/etc/conf" })),
        "attribute files.\"/x\".hardlink: \"/etc/conf\" is not in `files`",
    ),
    (
        "hard_link_to_a_hard_link",
        |case| {
            case.request["files"] = json!({
                "/a": { "source": case.app }, "/b": { "hardlink": "/a" }, "/x": { "hardlink": "/b" }
            });
        },
        "attribute files.\"/x\".hardlink: \"/b\" is such a link itself",
    ),
    (
        "hard_link_to_a_tree",
        |case| {
            case.request["files"] =
                json!({ "/a": { "source": case.app }, "/x": { "hardlink": "/a" } });
        },
        "attribute files.\"/x\".hardlink: \"/a\" is a directory, which has one name only",
    ),
    (
        "hard_link_to_a_directory",
        |case| {
            case.request["files"] =
                json!({ "/a": { "type": "directory" }, "/x": { "hardlink": "/a" } });
        },
        "attribute files.\"/x\".hardlink: \"/a\" is no file with content",
    ),
    (
        "hard_link_with_an_owner",
        |case| {
            case.request["files"] =
                json!({ "/a": { "source": case.app }, "/x": { "hardlink": "/a", "uid": 1 } });
        },
        "attribute files.\"/x\".uid: is not that of a name",
    ),
    (
        "file_at_a_relative_path",
        |case| case.request["files"] = json!({ "etc/x": { "type": "directory" } }),
        "attribute files.\"etc/x\": is not an absolute path",
    ),
    (
        "file_above_the_root",
        |case| case.request["files"] = json!({ "/../x": { "type": "directory" } }),
        "attribute files.\"/../x\": the path leads out of the archive",
    ),
    (
        "file_at_a_path_that_is_not_plain",
        |case| case.request["files"] = json!({ "/etc//x/": { "type": "directory" } }),
        "attribute files.\"/etc//x/\": is not written plainly",
    ),
    (
        "file_that_is_the_root",
        |case| case.request["files"] = json!({ "/": { "type": "directory", "mode": "0700" } }),
        "attribute files.\"/\": is the root of the image",
    ),
    (
        "file_in_the_store",
        |case| {
            let path = format!("{}/x", case.app);
            case.request["files"] = json!({ path: { "type": "directory" } });
        },
        "attribute files.\"STORE/app/x\": is in the store",
    ),
    (
        "file_with_the_name_of_a_whiteout",
        |case| case.request["files"] = json!({ "/a/.wh.x": { "type": "fifo" } }),
        "attribute files.\"/a/.wh.x\": has a name that begins with .wh.",
    ),
    (
        "file_that_differs_from_what_goes_to_the_root",
        |case| case.request["files"] = json!({ "/etc/conf": { "link": "x" } }),
        "conflict at /etc/conf: STORE/env and files.\"/etc/conf\" disagree about its content",
    ),
    (
        "file_with_another_mode_than_at_the_root",
        |case| {
            let conf = case.store.add_file("conf", "1");
            case.request["files"] = json!({ "/etc/conf": { "source": conf } });
        },
        "conflict at /etc/conf: STORE/env and files.\"/etc/conf\" disagree about its mode or owner",
    ),
    (
        "directory_where_a_file_goes_to_the_root",
        |case| case.request["files"] = json!({ "/etc/conf": { "type": "directory" } }),
        "conflict at /etc/conf: STORE/env and files.\"/etc/conf\" disagree about whether it is a directory",
    ),
    (
        "file_below_a_file_at_the_root",
        |case| case.request["files"] = json!({ "/etc/conf/x": { "link": "y" } }),
        "conflict at /etc/conf: STORE/env and files.\"/etc/conf/x\" disagree about whether it is a directory",
    ),
    (
        "file_below_a_file",
        |case| case.request["files"] = json!({ "/a": { "link": "y" }, "/a/b": { "type": "fifo" } }),
        "conflict at /a: files.\"/a\" and files.\"/a/b\" disagree about whether it is a directory",
    ),
    (
        "directory_about_which_a_rule_says_otherwise",
        |case| {
            case.request["perms"] = json!([{ "path": case.env, "regex": "/tmp$", "mode": "1777" }]);
            case.request["files"] = json!({ "/tmp": { "type": "directory", "mode": "0700" } });
        },
        "conflict at /tmp: STORE/env and files.\"/tmp\" disagree about mode",
    ),
    (
        "file_where_the_store_is",
        |case| {
            let first = case.store.dir.split('/').nth(1).unwrap().to_owned();
            case.request["copyToRoot"] = json!([]);
            case.request["files"] = json!({ format!("/{first}"): { "type": "fifo" } });
        },
        "conflict at /tmp: STORE/app and files.\"/tmp\" disagree about whether it is a directory",
    ),
    (
        "missing_store_path",
        |case| {
            std::fs::remove_dir_all(case.store.locate(&case.app)).unwrap();
        },
        "cannot read STORE/app: No such file or directory (os error 2)",
    ),
    (
        "max_layers_zero",
        |case| case.request["maxLayers"] = json!(0),
        "attribute maxLayers: is 0, but the files need at least one layer",
    ),
    (
        "max_layers_negative",
        |case| case.request["maxLayers"] = json!(-1),
        "attribute maxLayers: expected a number that is not negative, found the number -1",
    ),
    (
        "compression_that_is_none",
        |case| case.request["compression"] = json!("xz"),
        "attribute compression: \"xz\" is no compression",
    ),
    (
        "hint_that_does_not_exist",
        |case| case.request["layerHints"] = json!({ "stabel": [] }),
        "attribute layerHints.stabel: is not an attribute of this",
    ),
    (
        "hints_that_contradict_each_other",
        |case| {
            let path = case.request["deps"][0].clone();
            case.request["layerHints"] = json!({ "stable": [path], "volatile": [path] });
        },
        "attribute layerHints.stable[0]: STORE/app is in `volatile`, too",
    ),
    (
        "previous_layers_that_are_no_file",
        |case| case.request["previousLayers"] = json!("/etc/passwd"),
        "attribute previousLayers: \"/etc/passwd\" is not in the store directory STORE",
    ),
    (
        "compression_of_no_level",
        |case| case.request["compression"] = json!("zstd:20"),
        "attribute compression: \"zstd:20\" is no compression",
    ),
    (
        "config_is_not_an_object",
        |case| case.request["image"]["config"] = json!(["Cmd"]),
        "attribute config: expected an attribute set, found a list",
    ),
    (
        "config_entry_of_the_wrong_kind",
        |case| case.request["image"]["config"] = json!({ "entrypoint": "ls" }),
        "attribute config.Entrypoint: expected a list of strings, found a string",
    ),
    // Issue 11, row 4: runc starts nothing there.
    (
        "working_directory_that_is_relative",
        |case| case.request["image"]["config"] = json!({ "WorkingDir": "app" }),
        "attribute config.WorkingDir: \"app\" is not an absolute path",
    ),
    (
        "duration_that_is_none",
        |case| {
            case.request["image"]["config"] = json!({ "Healthcheck": { "Timeout": "30" } });
        },
        "attribute config.Healthcheck.Timeout: \"30\" is not a duration",
    ),
    (
        "platform_without_an_architecture",
        |case| case.request["image"]["platform"] = json!("linux"),
        "attribute platform: \"linux\" is not a platform",
    ),
    (
        "architecture_that_is_a_platform",
        |case| case.request["image"]["arch"] = json!("linux/arm64"),
        "attribute arch: \"linux/arm64\" is not a name",
    ),
    (
        "architecture_in_the_words_of_nix",
        |case| case.request["image"]["arch"] = json!("x86_64"),
        "attribute arch: \"x86_64\" is not Go's name of a processor",
    ),
    (
        "platform_in_the_words_of_nix",
        |case| case.request["image"]["platform"] = json!("linux/aarch64"),
        "attribute platform: \"aarch64\" is not Go's name of a processor",
    ),
    (
        "architecture_that_is_missing",
        |case| case.request["image"]["arch"] = json!(null),
        "attribute arch: is empty",
    ),
    (
        "variant_that_is_none",
        |case| case.request["image"]["variant"] = json!(""),
        "attribute variant: is empty",
    ),
    (
        "invalid_regex",
        |case| case.request["perms"] = json!([{ "path": case.env, "regex": "(" }]),
        "attribute perms[0].regex: \"(\": unclosed group",
    ),
    (
        "mode_that_is_none",
        |case| case.request["perms"] = json!([{ "path": case.env, "mode": "9999" }]),
        "attribute perms[0].mode: \"9999\" is not an octal mode",
    ),
    (
        "mode_that_is_a_number",
        |case| case.request["perms"] = json!([{ "path": case.env, "mode": 755 }]),
        "attribute perms[0].mode: expected a string, found the number 755",
    ),
    (
        "perms_path_that_is_not_in_the_image",
        |case| {
            let path = case.store.path("elsewhere");
            case.request["perms"] = json!([{ "path": path, "mode": "0755" }]);
        },
        "attribute perms[0].path: STORE/elsewhere is not in the image",
    ),
    (
        "perms_path_that_is_no_store_path",
        |case| case.request["perms"] = json!([{ "path": "tmp", "mode": "1777" }]),
        "attribute perms[0].path: tmp is not in the image",
    ),
    (
        "perms_with_an_unknown_field",
        |case| case.request["perms"] = json!([{ "path": case.env, "user": "x" }]),
        "attribute perms[0].user: is not an attribute of this",
    ),
    (
        "perms_on_the_root",
        |case| {
            case.request["perms"] = json!([{ "path": case.env, "regex": "-env$", "mode": "0700" }]);
        },
        "attribute perms: the regex \"-env$\" for STORE/env matches only the root of the image",
    ),
    (
        "capability_that_is_none",
        |case| case.request["perms"] = json!([{ "path": case.env, "capabilities": ["CAP_FLY"] }]),
        "attribute perms[0].capabilities: \"CAP_FLY\" is not a capability",
    ),
    (
        "conflicting_files",
        |case| {
            let other = case.store.add("other", &[Item::File("etc/conf", "2")], &[]);
            case.request["copyToRoot"]
                .as_array_mut()
                .unwrap()
                .push(json!(other));
        },
        "conflict at /etc/conf: STORE/other and STORE/env disagree about its content",
    ),
    (
        "file_against_directory",
        |case| {
            let other = case.store.add("other", &[Item::File("tmp", "")], &[]);
            case.request["copyToRoot"]
                .as_array_mut()
                .unwrap()
                .push(json!(other));
        },
        "conflict at /tmp: STORE/other and STORE/env disagree about whether it is a directory",
    ),
    (
        "file_in_the_place_of_the_store",
        |case| {
            let place = case.store.dir.trim_start_matches('/').to_owned();
            let other = case.store.add("other", &[Item::Symlink(&place, "/x")], &[]);
            case.request["copyToRoot"] = json!([other]);
            case.request["maxLayers"] = json!(2);
        },
        "conflict at STORE: STORE/app and STORE/other disagree about whether it is a directory",
    ),
    (
        "conflicting_modes_of_a_directory",
        |case| {
            let other = case.store.add("other", &[Item::Directory("tmp")], &[]);
            case.request["perms"] = json!([
                { "path": case.env, "regex": "tmp$", "mode": "1777" },
                { "path": other, "regex": "tmp$", "mode": "0700" },
            ]);
            case.request["copyToRoot"]
                .as_array_mut()
                .unwrap()
                .push(json!(other));
        },
        "conflict at /tmp: STORE/other and STORE/env disagree about mode",
    ),
    (
        "root_that_is_a_file",
        |case| {
            let file = case.store.add_file("file", "x");
            case.request["copyToRoot"] = json!([file]);
        },
        "attribute copyToRoot: STORE/file is not a directory",
    ),
    (
        "path_below_a_store_path",
        |case| case.request["deps"] = json!([format!("{}/bin", case.app)]),
        "attribute deps[0]: \"STORE/app/bin\" is a path below a store path, not a store path",
    ),
    (
        "root_outside_the_closure",
        |case| case.request["deps"] = json!([case.store.path("unknown")]),
        "attribute deps: STORE/unknown is not in the closure graph",
    ),
    (
        "package_as_a_layer",
        |case| case.request["layers"] = json!([case.app]),
        "attribute layers: STORE/app was not made by buildLayer",
    ),
    (
        "image_as_a_layer",
        |case| {
            let image = case.store.build(&case.request.clone()).unwrap();
            case.request["layers"] = json!([image]);
        },
        "attribute layers: STORE/output-1 is an image",
    ),
    (
        "cyclic_layers",
        |case| {
            let mut request = case.request.clone();
            request["image"] = Value::Null;
            let layer = case.store.build(&request).unwrap();
            let file = case.store.locate(&layer).join("layers.json");
            let text = std::fs::read_to_string(&file).unwrap();
            std::fs::write(
                &file,
                text.replace("\"nested\":[]", &format!("\"nested\":[\"{layer}\"]")),
            )
            .unwrap();
            case.request["layers"] = json!([layer]);
        },
        "attribute layers: STORE/output-1 contains itself",
    ),
    (
        "layer_of_another_version",
        |case| {
            let mut request = case.request.clone();
            request["image"] = Value::Null;
            let layer = case.store.build(&request).unwrap();
            std::fs::write(
                case.store.locate(&layer).join("layers.json"),
                "{\"version\":7,\"new\":1}",
            )
            .unwrap();
            case.request["layers"] = json!([layer]);
        },
        "STORE/output-1/layers.json: version 7, expected 1",
    ),
    (
        "layer_whose_list_is_too_large",
        |case| {
            let mut request = case.request.clone();
            request["image"] = Value::Null;
            let layer = case.store.build(&request).unwrap();
            let file = case.store.locate(&layer).join("layers.json");
            fs::File::create(file)
                .unwrap()
                .set_len((64 << 20) + 1)
                .unwrap();
            case.request["layers"] = json!([layer]);
        },
        "STORE/output-1/layers.json: larger than 64 MiB",
    ),
    (
        "name_that_is_none",
        |case| case.request["image"]["name"] = json!("no good"),
        "attribute name: image name \"no good\": the name is not a repository",
    ),
    (
        "name_with_a_tag",
        |case| case.request["image"]["name"] = json!("a:1"),
        "attribute name: \"a:1\" has a tag or digest in it",
    ),
    (
        "tag_that_is_none",
        |case| case.request["image"]["tag"] = json!("no good"),
        "attribute tag: tag \"no good\": not a tag",
    ),
    (
        "created_that_is_no_time",
        |case| case.request["image"]["created"] = json!("yesterday"),
        "attribute created: \"yesterday\" is not a time",
    ),
    (
        "mtime_that_is_no_time",
        |case| case.request["mtime"] = json!("yesterday"),
        "attribute mtime: \"yesterday\" is not a time",
    ),
    (
        "mtime_before_all_others",
        |case| case.request["mtime"] = json!("1969-12-31T23:59:59Z"),
        "attribute mtime: \"1969-12-31T23:59:59Z\" is before 1970, where the time of files begins",
    ),
    (
        "store_owner_that_linux_does_not_know",
        |case| case.request["storeOwner"] = json!({ "uid": 4_294_967_295_u64 }),
        "attribute uid: is larger than Linux allows",
    ),
    (
        "tar_that_is_not_in_the_store",
        |case| case.request["tarLayers"] = json!(["/tmp/layer.tar"]),
        "attribute tarLayers[0]: \"/tmp/layer.tar\" is not in the store directory STORE",
    ),
    (
        "no_tar_to_join",
        |case| case.request["joinTar"] = json!(true),
        "attribute joinTar: is true, but there are 0 tars in `tarLayers`",
    ),
    (
        "unknown_argument",
        |case| case.request["maxLayer"] = json!(1),
        "attribute maxLayer: is not an attribute of this",
    ),
    (
        "unknown_strategy",
        |case| case.request["strategy"] = json!("magic"),
        "attribute strategy: \"magic\" is not known",
    ),
    // Issue 12: mistakes in a pipeline name the operation.
    (
        "pipeline_that_is_none",
        |case| case.request["layeringPipeline"] = json!({ "limit_layers": 5 }),
        "attribute layeringPipeline: expected a list of operations, found an attribute set",
    ),
    (
        "pipeline_of_words",
        |case| case.request["layeringPipeline"] = json!(["popularity_contest", "flatten"]),
        "attribute layeringPipeline[0]: expected an operation, found the string \"popularity_contest\"",
    ),
    (
        "pipeline_with_an_unknown_operation",
        |case| case.request["layeringPipeline"] = json!([["flatten"], ["limitLayers", 5]]),
        "attribute layeringPipeline[1]: there is no operation \"limitLayers\"",
    ),
    (
        "pipeline_without_an_argument",
        |case| case.request["layeringPipeline"] = json!([["map", ["split_every"]]]),
        "attribute layeringPipeline[0][1]: split_every takes one argument, found 0",
    ),
    (
        "pipeline_with_a_path_of_elsewhere",
        |case| case.request["layeringPipeline"] = json!([["split_paths", ["/usr/lib"]]]),
        "attribute layeringPipeline[0][1][0]: \"/usr/lib\" is not in the store directory STORE",
    ),
    (
        "pipeline_whose_stages_do_not_fit",
        |case| {
            case.request["layeringPipeline"] =
                json!([["popularity_contest"], ["popularity_contest"]]);
        },
        "attribute layeringPipeline[1]: popularity_contest takes a graph, found a list of 2",
    ),
    (
        "pipeline_in_a_file_of_elsewhere",
        |case| case.request["layeringPipeline"] = json!("pipeline.json"),
        "attribute layeringPipeline: \"pipeline.json\" is not in the store directory STORE",
    ),
    (
        "pipeline_in_a_file_that_leads_elsewhere",
        |case| {
            case.request["layeringPipeline"] = json!(format!("{}/../../../etc/passwd", case.app));
        },
        "attribute layeringPipeline: \"STORE/app/../../../etc/passwd\" leads out of its store path",
    ),
    (
        "pipeline_in_a_file_that_is_missing",
        |case| case.request["layeringPipeline"] = json!(format!("{}/missing", case.app)),
        "cannot open STORE/app/missing: No such file or directory (os error 2)",
    ),
    (
        "pipeline_in_a_file_that_is_no_json",
        |case| case.request["layeringPipeline"] = json!(format!("{}/bin/app", case.app)),
        "attribute layeringPipeline: STORE/app/bin/app is not JSON: expected value at line 1 column 1",
    ),
    (
        "pipeline_in_a_file_of_something_else",
        |case| {
            let path = case.store.add_file("pipeline.json", "\"/nix/store\"");
            case.request["layeringPipeline"] = json!(path);
        },
        "attribute layeringPipeline: STORE/pipeline.json is not a list of operations",
    ),
    (
        "unknown_format",
        |case| case.request["image"]["format"] = json!("v2s2"),
        "attribute format: \"v2s2\" is not known",
    ),
    // NixOS/nix#10456, nlewo/nix2container#127: a store path that is not what Nix recorded.
    (
        "damaged_store_path",
        |case| {
            std::fs::write(
                case.store.locate(&case.app).join("bin/app"),
                "#!/bin/longer",
            )
            .unwrap();
        },
        "store path STORE/app: expected an archive of 488 bytes, as Nix recorded, found one of 496 bytes",
    ),
];

#[test]
fn mistakes_are_one_message() {
    for (name, change, message) in MISTAKES {
        let mut case = case();
        change(&mut case);
        refused(name, &mut case, message);
    }
}

/// Directories with rules that agree, or of which one is silent, are one directory.
#[test]
fn one_rule_settles_a_shared_directory() {
    let Case {
        mut store,
        mut request,
        env,
        ..
    } = case();
    let other = store.add(
        "other",
        &[Item::Directory("tmp"), Item::File("etc/conf", "1")],
        &[],
    );
    request["copyToRoot"] = json!([env, other]);
    for path in [&env, &other] {
        request["perms"] = json!([{ "path": path, "regex": "tmp$", "mode": "1777" }]);
        let output = store.build(&request).unwrap();
        let tmp = store
            .headers(&output, 0)
            .into_iter()
            .find(|(name, ..)| name == "tmp/")
            .unwrap();
        assert_eq!(tmp.1, 0o1777);
    }
}

#[test]
fn rules_that_match_nothing_are_reported() {
    let Case {
        mut store,
        mut request,
        app,
        env,
    } = case();
    request["perms"] = json!([
        { "path": env, "regex": "/nothing$", "mode": "0700" },
        { "path": app, "regex": "/bin/other$", "mode": "0700" },
        { "path": app, "regex": "/bin/app$", "mode": "0700" },
    ]);
    let (_, warnings) = store.build_with(&request, 1).unwrap();
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert!(
        warnings[0].contains("\"/nothing$\" matches no file of"),
        "{warnings:?}"
    );
    assert!(
        warnings[1].contains("\"/bin/other$\" matches no file of"),
        "{warnings:?}"
    );
}

/// Issue 11, a seed that does not build: a path outside the store is one of the image, whoever has it there.
#[test]
fn rules_about_paths_of_the_image_reach_every_source() {
    let Case {
        mut store,
        mut request,
        env,
        ..
    } = case();
    let items = [
        Item::Directory("tmp"),
        Item::Directory("var/tmp"),
        Item::File("var/tmpfile", ""),
    ];
    let other = store.add("other", &items, &[]);
    request["copyToRoot"] = json!([env, other]);
    request["perms"] = json!([
        { "path": "/tmp", "regex": ".*", "mode": "1777" },
        { "path": "/var/tmp/", "regex": ".*", "mode": "1777" },
        { "path": other, "regex": "/var/tmp$", "uid": 7 },
        { "path": "/var", "regex": "^/var/tmpfile$", "uid": 8 },
        { "path": "/nothing", "mode": "0700" },
        { "path": "/tmp", "regex": "/x$", "mode": "0700" },
    ]);
    let (output, warnings) = store.build_with(&request, 1).unwrap();
    let headers = store.headers(&output, 0);
    let find = |path: &str| {
        headers
            .iter()
            .find(|(name, ..)| name == path)
            .map(|(_, mode, uid)| (*mode, *uid))
    };
    assert_eq!(find("tmp/"), Some((0o1777, 0)));
    assert_eq!(find("var/tmp/"), Some((0o1777, 7)));
    assert_eq!(find("var/"), Some((0o555, 0)));
    assert_eq!(find("var/tmpfile"), Some((0o444, 8)));
    let [nothing, x] = warnings.as_slice() else {
        panic!("{warnings:?}");
    };
    assert!(nothing.starts_with("warning: perms: the regex \"\" matches nothing at or below /nothing of the image\nhint: "), "{nothing}");
    assert!(x.starts_with("warning: perms: the regex \"/x$\" matches nothing at or below /tmp of the image\nhint: "), "{x}");
}

/// Issue 11: those of a layer reach what the image adds.
#[test]
fn rules_about_paths_of_the_image_come_with_layers() {
    let Case {
        mut store,
        request,
        env,
        ..
    } = case();
    let other = store.add("other", &[Item::Directory("tmp/sub")], &[]);
    let mut layer = request.clone();
    layer["image"] = Value::Null;
    layer["deps"] = json!([]);
    layer["perms"] = json!([{ "path": "/tmp", "mode": "1777" }]);
    layer["copyToRoot"] = json!([env]);
    let layer = store.build(&layer).unwrap();
    let mut request = store.image_request();
    request["layers"] = json!([layer]);
    request["copyToRoot"] = json!([other]);
    let (output, warnings) = store.build_with(&request, 1).unwrap();
    assert_eq!(warnings, Vec::<String>::new());
    for number in [0, 1] {
        let headers = store.headers(&output, number);
        let tmp = headers.iter().filter(|(name, ..)| name.starts_with("tmp/"));
        assert!(
            tmp.clone().count() > 0 && tmp.clone().all(|(_, mode, _)| *mode == 0o1777),
            "{headers:?}"
        );
    }
}

/// Issue 11, row 4.
#[test]
fn keys_of_the_config_that_no_engine_knows_are_reported() {
    let Case {
        mut store,
        mut request,
        ..
    } = case();
    request["image"]["config"] = json!({ "Healthcheck": { "Intervall": "30s" }, "x-mine": 1 });
    let (_, warnings) = store.build_with(&request, 1).unwrap();
    let [below, top] = warnings.as_slice() else {
        panic!("{warnings:?}");
    };
    assert!(below.contains("config.Healthcheck.Intervall: "), "{below}");
    assert!(top.contains("config.x-mine: "), "{top}");
}

/// The builder as Nix runs it: another user, who may not read everything.
#[test]
fn files_that_the_builder_may_not_read_are_named() {
    let Case {
        store,
        request,
        app,
        ..
    } = case();
    let file = store.locate(&app).join("bin/app");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o000)).unwrap();
    let out = store.path("out");
    let attrs_file = store.root().join("attrs.json");
    fs::write(&attrs_file, store.attrs(&request, &out).to_string()).unwrap();
    let builder = support::program("strata-builder");
    // Root may read everything, so it has to become somebody else.
    let nobody = "65534";
    let is_root = fs::metadata("/proc/self").unwrap().uid() == 0;
    if is_root {
        for directory in [store.root(), &store.location] {
            fs::set_permissions(directory, fs::Permissions::from_mode(0o777)).unwrap();
        }
    }
    let mut command = Command::new(if is_root { "setpriv" } else { &builder });
    if is_root {
        command.args([
            "--reuid",
            nobody,
            "--regid",
            nobody,
            "--clear-groups",
            "--",
            &builder,
        ]);
    }
    let output = command.arg(&attrs_file).output().unwrap();
    let report = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{report}");
    assert_eq!(output.stdout, b"");
    let expected = format!("error: cannot open {}: Permission denied", file.display());
    assert!(report.starts_with(&expected), "{report}");
    assert!(report.contains("\nhint: "), "{report}");
    assert!(!store.locate(&out).exists());
}
