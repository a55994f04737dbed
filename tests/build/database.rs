//! The Nix database of an image, judged by Nix and SQLite.

use strata_testing as support;

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use strata_oci::Digest;
use support::bases::{BaseImage, archive};
use support::fake_store::{FakeStore, Item};

const DATABASE: &str = "nix/var/nix/db/db.sqlite";

/// An image with references, a self-reference, a derivation, a path that is moved to the root, a
/// lower layer, and a database.
fn image(store: &mut FakeStore, owner: &Value) -> String {
    let library = store.add("library", &[Item::File("lib/x", "x")], &[]);
    let own = store.path("app");
    let app = store.add("app", &[Item::File("bin/app", "app")], &[&library, &own]);
    let derivation = instantiate(store);
    let root = store.add(
        "root",
        &[Item::Symlink("bin/app", &format!("{app}/bin/app"))],
        &[&app],
    );
    let layer = json!({ "version": 1, "storeDir": store.dir, "maxLayers": 1, "deps": [library] });
    let layer = store.build(&layer).unwrap();
    let mut request = store.image_request();
    request["copyToRoot"] = json!([root]);
    request["deps"] = json!([app, derivation]);
    request["layers"] = json!([layer]);
    request["maxLayers"] = json!(3);
    request["image"]["nixDatabase"] = owner.clone();
    store.build(&request).unwrap()
}

/// What `nix-store --load-db` reads about a source: path, hash, size, deriver, references.
fn registration(source: &Value) -> String {
    let hash = &source["narHash"].as_str().unwrap()["sha256:".len()..];
    let hash = run("nix-hash", &["--type", "sha256", "--to-base16", hash], "");
    let references = source["references"].as_array().unwrap();
    let mut lines = vec![
        source["storePath"].as_str().unwrap().to_owned(),
        hash.trim().to_owned(),
        source["narSize"].to_string(),
        String::new(),
        references.len().to_string(),
    ];
    lines.extend(
        references
            .iter()
            .map(|path| path.as_str().unwrap().to_owned()),
    );
    lines.join("\n") + "\n"
}

/// A derivation as Nix writes it, with two outputs that are not built.
fn instantiate(store: &mut FakeStore) -> String {
    let expression =
        r#"derivation { name = "drv"; system = "x"; builder = "/b"; outputs = [ "out" "dev" ]; }"#;
    let root = tempfile::tempdir().unwrap();
    let place = format!("local?root={}", root.path().display());
    let path = run(
        "nix-instantiate",
        &["--store", &place, "--expr", expression],
        "",
    );
    let path = path.trim().to_owned();
    let file = root.path().join(path.trim_start_matches('/'));
    std::fs::copy(file, store.locate(&path)).unwrap();
    store.register(&path, &[]);
    path
}

/// Unpacks all layers into a directory.
fn unpack(store: &FakeStore, image: &str, directory: &Path) {
    for tar in store.tars(image) {
        let mut archive = tar::Archive::new(tar.as_slice());
        archive.set_preserve_ownerships(false);
        archive.unpack(directory).unwrap();
    }
}

fn run(program: &str, arguments: &[&str], input: &str) -> String {
    let mut child = Command::new(program)
        .args(arguments)
        .env("NIX_CONFIG", "build-users-group =\nsubstituters =")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(input.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {errors}");
    // `nix-store --verify` tells what is wrong without failing.
    assert!(
        !errors.contains("error"),
        "{program} {arguments:?}: {errors}"
    );
    String::from_utf8(output.stdout).unwrap()
}

/// All rows but ids and times, and the schema without comments and white space.
fn content(database: &Path) -> String {
    let query = |query: &str| {
        run(
            "sqlite3",
            &["-readonly", database.to_str().unwrap(), query],
            "",
        )
    };
    let rows = query(
        "select path, hash, deriver, narSize, ultimate, sigs, ca from ValidPaths order by path;
         select one.path, other.path from Refs join ValidPaths one on one.id = referrer
             join ValidPaths other on other.id = reference order by 1, 2;
         select path, id, (select path from ValidPaths where id = drv) from DerivationOutputs order by 1, 2;",
    );
    let schema = query(".schema");
    let schema = schema
        .lines()
        .map(|line| line.split("--").next().unwrap())
        .collect::<String>();
    let words: Vec<&str> = schema.split_whitespace().collect();
    let mut statements: Vec<String> = words
        .join(" ")
        .replace(" )", ")")
        .to_lowercase()
        .split(';')
        .map(|text| text.trim().to_owned())
        // Newer versions of Nix note there what they changed, and make it when it is missing.
        .filter(|text| !text.starts_with("create table schemamigrations "))
        .collect();
    statements.sort();
    format!("{rows}\n{}", statements.join("\n"))
}

#[test]
fn nix_makes_the_same_database() {
    let mut store = FakeStore::relocated();
    let image = image(&mut store, &json!({ "uid": 0, "gid": 0 }));
    let ours = tempfile::tempdir().unwrap();
    unpack(&store, &image, ours.path());

    let layers = store.layers(&image);
    let sources = layers["layers"].as_array().unwrap().iter();
    let sources = sources.flat_map(|layer| layer["recipe"]["sources"].as_array().unwrap());
    let in_store = sources.filter(|source| source["toRoot"] == false);
    let registration: String = in_store.map(registration).collect();
    let theirs = tempfile::tempdir().unwrap();
    unpack(&store, &image, theirs.path());
    std::fs::remove_dir_all(theirs.path().join("nix/var")).unwrap();
    let place = format!("local?root={}", theirs.path().display());
    run(
        "nix-store",
        &["--store", &place, "--load-db"],
        &registration,
    );
    assert_eq!(
        content(&ours.path().join(DATABASE)),
        content(&theirs.path().join(DATABASE))
    );
    assert_eq!(
        std::fs::read(ours.path().join("nix/var/nix/db/schema")).unwrap(),
        b"10"
    );
}

/// <https://github.com/nlewo/nix2container/issues/192>: the database named paths that were not in
/// the image, such as those that `copyToRoot` moved.
#[test]
fn nix2container_192_nix_verifies_the_store() {
    let mut store = FakeStore::relocated();
    let image = image(&mut store, &json!({ "uid": 0, "gid": 0 }));
    let root = tempfile::tempdir().unwrap();
    unpack(&store, &image, root.path());
    let place = format!("local?root={}", root.path().display());
    run(
        "nix-store",
        &["--store", &place, "--verify", "--check-contents"],
        "",
    );
    let app = store.path("app");
    let closure = run(
        "nix-store",
        &["--store", &place, "--query", "--requisites", &app],
        "",
    );
    let mut closure: Vec<&str> = closure.lines().collect();
    closure.sort_unstable();
    let mut expected = [store.path("library"), app.clone()];
    expected.sort_unstable();
    assert_eq!(closure, expected);
    let all = run(
        "nix",
        &[
            "--extra-experimental-features",
            "nix-command",
            "path-info",
            "--all",
            "--store",
            &place,
        ],
        "",
    );
    assert!(!all.contains("-root"), "{all}");

    // The collector keeps what is in the image and still works.
    run("nix-store", &["--store", &place, "--gc"], "");
    let valid = run(
        "nix-store",
        &["--store", &place, "--verify", "--check-contents"],
        "",
    );
    assert_eq!(valid, "");
    assert!(root.path().join(app.trim_start_matches('/')).exists());
}

/// <https://github.com/nlewo/nix2container/issues/97>, <https://github.com/NixOS/nixpkgs/issues/289813>:
/// times and orders in the database made every build different.
#[test]
fn nix2container_97_nixpkgs_289813_bytes_are_pinned() {
    let database = || {
        let mut store = FakeStore::relocated();
        let image = image(&mut store, &json!({}));
        let root = tempfile::tempdir().unwrap();
        unpack(&store, &image, root.path());
        Digest::of(&std::fs::read(root.path().join(DATABASE)).unwrap()).to_string()
    };
    let first = database();
    assert_eq!(first, database());
    insta::assert_snapshot!(first);
}

/// <https://github.com/nlewo/nix2container/issues/50>: a user without rights over the store could
/// not run Nix.
#[test]
fn nix2container_50_every_layer_gives_the_store_to_its_owner() {
    let mut store = FakeStore::relocated();
    let image = image(&mut store, &json!({ "uid": 1000, "gid": 100 }));
    let layers = store.layers(&image)["layers"].as_array().unwrap().len();
    assert_eq!(layers, 4);
    for layer in 0..layers {
        for (path, mode, uid) in store.headers(&image, layer) {
            match path.as_str() {
                "nix/" | "nix/store/" => assert_eq!((mode, uid), (0o755, 1000), "{layer} {path}"),
                DATABASE => assert_eq!((mode, uid), (0o644, 1000)),
                _ if path.starts_with("nix/var/") || path == "nix/store/.links/" => {
                    assert_eq!(uid, 1000, "{path}");
                }
                _ => assert_eq!(uid, 0, "{path}"),
            }
        }
    }
}

/// The owner of the database can own the store paths, too, also those in layers of `buildLayer`.
#[test]
fn the_owner_owns_the_store() {
    let mut store = FakeStore::relocated();
    let owner = json!({ "uid": 1000, "gid": 100, "ownStore": true });
    let image = image(&mut store, &owner);
    for layer in 0..4 {
        for (path, _, uid) in store.headers(&image, layer) {
            let expected = if path.starts_with("nix/") { 1000 } else { 0 };
            assert_eq!(uid, expected, "{layer} {path}");
        }
    }
}

/// The query of one value.
fn ask(database: &Path, query: &str) -> String {
    let database = database.to_str().unwrap();
    run("sqlite3", &[database, query], "").trim().to_owned()
}

/// What a database has besides what `nix-store --load-db` gives it.
fn embellish(database: &Path, path: &str) {
    let content_address = format!("fixed:r:sha256:{}", "0".repeat(52));
    let query = format!(
        "update ValidPaths set registrationTime = 1700000000, deriver = '{path}.drv', ultimate = 1,
             sigs = 'key:1 key:2', ca = '{content_address}' where path = '{path}'"
    );
    ask(database, &query);
}

/// An image with a database on a base with one.
fn on_top_of(store: &mut FakeStore, base: &str, remove: &Value) -> Result<String, String> {
    let (library, app) = (store.path("library"), store.path("app"));
    let new = store.path("new");
    if !store.locate(&new).exists() {
        store.add("new", &[Item::File("x", "new")], &[&library, &app]);
    }
    let mut request = store.image_request();
    request["deps"] = json!([new]);
    request["image"]["nixDatabase"] = json!({});
    request["image"]["fromImage"] = json!({ "path": base });
    request["image"]["remove"] = remove.clone();
    store.build(&request)
}

/// Nix agrees with the store below `root`, and has `new` with all that it needs.
fn is_whole(store: &FakeStore, root: &Path) {
    let place = format!("local?root={}", root.display());
    run(
        "nix-store",
        &["--store", &place, "--verify", "--check-contents"],
        "",
    );
    let new = store.path("new");
    let arguments = ["--store", &place, "--query", "--requisites", &new];
    let closure = run("nix-store", &arguments, "");
    for name in ["library", "app", "new"] {
        assert!(closure.contains(&store.path(name)), "{name}: {closure}");
    }
}

#[test]
fn the_database_of_a_base_of_strata_is_merged() {
    for base_has_one in [true, false] {
        let mut store = FakeStore::relocated();
        let owner = if base_has_one { json!({}) } else { json!(null) };
        let base = image(&mut store, &owner);
        let upper = on_top_of(&mut store, &base, &json!([])).unwrap();
        let root = tempfile::tempdir().unwrap();
        unpack(&store, &upper, root.path());
        is_whole(&store, root.path());
        let database = root.path().join(DATABASE);
        // Two packages and a derivation of the base, and one of its own.
        assert_eq!(ask(&database, "select count(*) from ValidPaths"), "4");
        assert_eq!(
            ask(&database, "select count(*) from DerivationOutputs"),
            "2"
        );
        // The roots of both.
        let place = format!("local?root={}", root.path().display());
        run("nix-store", &["--store", &place, "--gc"], "");
        assert_eq!(ask(&database, "select count(*) from ValidPaths"), "4");
    }
}

/// A base whose database Nix wrote, with a path that is not there, as a store path of `store`.
fn foreign_base(store: &mut FakeStore, root: &Path) -> String {
    let lower = image(store, &json!({ "uid": 0, "gid": 0 }));
    unpack(store, &lower, root);
    std::fs::remove_dir_all(root.join("nix/var")).unwrap();
    let layers = store.layers(&lower);
    let sources = layers["layers"].as_array().unwrap().iter();
    let sources = sources.flat_map(|layer| layer["recipe"]["sources"].as_array().unwrap());
    let in_store = sources.filter(|source| source["toRoot"] == false);
    let registrations: String = in_store.map(registration).collect();
    let place = format!("local?root={}", root.display());
    run(
        "nix-store",
        &["--store", &place, "--load-db"],
        &registrations,
    );
    let database = root.join(DATABASE);
    embellish(&database, &store.path("library"));
    let gone = format!(
        "insert into ValidPaths (path, hash, registrationTime) values ('{}', 'sha256:{}', 1)",
        store.path("gone"),
        "0".repeat(64)
    );
    ask(&database, &gone);
    std::fs::write(root.join("nix/var/nix/db/ca-schema"), "1").unwrap();
    let mut builder = tar::Builder::new(Vec::new());
    builder.follow_symlinks(false);
    builder.append_dir_all("", root).unwrap();
    let base = BaseImage::new(vec![builder.into_inner().unwrap()]);
    let path = store.path("base.tar");
    let bytes = archive(&base.docker_archive());
    std::fs::write(store.locate(&path), bytes).unwrap();
    path
}

/// What the base says of a path is kept, also of one that is in the image once more.
#[test]
fn the_database_that_nix_wrote_is_merged() {
    let mut store = FakeStore::relocated();
    let root = tempfile::tempdir().unwrap();
    let base = foreign_base(&mut store, root.path());
    let upper = on_top_of(&mut store, &base, &json!([])).unwrap();
    let theirs = tempfile::tempdir().unwrap();
    run(
        "cp",
        &[
            "-a",
            &format!("{}/.", root.path().display()),
            theirs.path().to_str().unwrap(),
        ],
        "",
    );
    unpack(&store, &upper, root.path());
    is_whole(&store, root.path());
    let database = root.path().join(DATABASE);
    assert_eq!(
        ask(
            &database,
            "select path, registrationTime from ValidPaths where sigs not null"
        ),
        format!("{}|1700000000", store.path("library"))
    );

    // Nix comes to the same when it adds the new path to its own database.
    let layers = store.layers(&upper);
    let sources = layers["layers"].as_array().unwrap().iter();
    let sources = sources.flat_map(|layer| layer["recipe"]["sources"].as_array().unwrap());
    let mut new = sources.filter(|source| source["storePath"] == json!(store.path("new")));
    let place = format!("local?root={}", theirs.path().display());
    let file = store.path("new");
    let from = store.locate(&file);
    let to = theirs.path().join(file.trim_start_matches('/'));
    run(
        "cp",
        &["-a", from.to_str().unwrap(), to.to_str().unwrap()],
        "",
    );
    run(
        "nix-store",
        &["--store", &place, "--load-db"],
        &registration(new.next().unwrap()),
    );
    let their_database = theirs.path().join(DATABASE);
    ask(
        &their_database,
        "delete from ValidPaths where path like '%-gone'",
    );
    assert_eq!(content(&database), content(&their_database));

    let last = store.layers(&upper)["layers"].as_array().unwrap().len() - 1;
    let headers = store.headers(&upper, last);
    let hides = |name: &str| headers.iter().any(|(path, ..)| path == name);
    assert!(hides("nix/var/nix/db/.wh.ca-schema"), "{headers:?}");
}

/// What is taken out of the base, or has another content, is not believed to be there.
#[test]
fn the_database_of_a_base_must_be_true() {
    let mut store = FakeStore::relocated();
    let root = tempfile::tempdir().unwrap();
    let base = foreign_base(&mut store, root.path());
    let derivation = run(
        "sqlite3",
        &[
            root.path().join(DATABASE).to_str().unwrap(),
            "select path from ValidPaths where path like '%.drv'",
        ],
        "",
    );
    let upper = on_top_of(&mut store, &base, &json!([derivation.trim()])).unwrap();
    let ours = tempfile::tempdir().unwrap();
    unpack(&store, &upper, ours.path());
    let count = ask(
        &ours.path().join(DATABASE),
        "select count(*) from ValidPaths",
    );
    assert_eq!(count, "3");

    let library = store.path("library");
    std::fs::remove_dir_all(store.locate(&library)).unwrap();
    store.add("library", &[Item::File("lib/x", "y")], &[]);
    let error = on_top_of(&mut store, &base, &json!([])).unwrap_err();
    assert!(
        error.contains("conflict at") && error.contains("disagree about its content"),
        "{error}"
    );
    on_top_of(&mut store, &base, &json!([library])).unwrap();
}
