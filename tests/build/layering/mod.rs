//! How images are cut where nobody says how, and what users may say of it. What strategies do with a graph is tested
//! in `crates/plan/src/strategy/`.

mod pipeline;
mod snapshotter;

use strata_testing as support;

use serde_json::{Value, json};
use support::fake_store::{FakeStore, Item};

/// A package with a file of so many bytes, which do not repeat.
fn package(store: &mut FakeStore, name: &str, size: usize, references: &[&str]) -> String {
    let content: String = (0..)
        .flat_map(|n: usize| format!("{name}{n} ").into_bytes())
        .take(size)
        .map(char::from)
        .collect();
    store.add(name, &[Item::File("file", &content)], references)
}

/// The request of an image as the Nix functions make it where nobody says how it is cut.
fn request(store: &FakeStore) -> Value {
    let mut request = store.image_request();
    for field in ["maxLayers", "strategy", "metadata"] {
        request.as_object_mut().unwrap().remove(field);
    }
    request
}

/// The names of what is in each layer.
fn names(layers: &Value) -> Vec<Vec<String>> {
    let name = |source: &Value| {
        let path = source["storePath"].as_str().unwrap();
        path.rsplit_once('/').unwrap().1[33..].to_owned()
    };
    let layer = |layer: &Value| {
        let sources = layer["recipe"]["sources"].as_array().unwrap();
        let mut names: Vec<String> = sources.iter().map(name).collect();
        names.sort();
        names
    };
    layers["layers"]
        .as_array()
        .unwrap()
        .iter()
        .map(layer)
        .collect()
}

/// Libraries on a C library, and an application on all of them.
struct Case {
    store: FakeStore,
    libraries: Vec<String>,
    app: String,
}

fn case(count: usize, size: usize) -> Case {
    let mut store = FakeStore::new();
    let libc = package(&mut store, "libc-2.38", 40_000, &[]);
    let mut libraries = vec![libc.clone()];
    for number in 0..count {
        libraries.push(package(
            &mut store,
            &format!("lib{number:02}-1.0"),
            size,
            &[&libc],
        ));
    }
    let references: Vec<&str> = libraries.iter().map(String::as_str).collect();
    let app = package(&mut store, "app-1.2", 1000, &references);
    Case {
        store,
        libraries,
        app,
    }
}

#[test]
fn what_the_user_names_is_alone_on_top_and_crumbs_share() {
    let Case { mut store, app, .. } = case(40, 4000);
    let mut request = request(&store);
    request["deps"] = json!([app]);
    let output = store.build(&request).unwrap();
    let layers = store.layers(&output);
    let names = names(&layers);
    assert_eq!(names.last().unwrap(), &["app-1.2"]);
    assert!((2..8).contains(&names.len()), "{names:?}");
    let top = layers["layers"].as_array().unwrap().last().unwrap();
    assert_eq!(top["reason"], "the application: an edit sends only this");
    assert_eq!(top["history"]["created_by"], "strata: app-1.2");
}

#[test]
fn an_environment_at_the_root_is_looked_through() {
    let Case {
        mut store,
        app,
        libraries,
    } = case(6, 400_000);
    let tool = package(&mut store, "tool-3", 300_000, &[&libraries[0]]);
    let link = format!("{app}/file");
    let env = store.add("env", &[Item::Symlink("bin", &link)], &[&app, &tool]);
    let mut request = request(&store);
    request["copyToRoot"] = json!([env]);
    request["maxLayers"] = json!(5);
    let output = store.build(&request).unwrap();
    let names = names(&store.layers(&output));
    // An edit of the application changes the environment, too.
    assert!(
        names.contains(&vec!["app-1.2".to_owned(), "env".to_owned()]),
        "{names:?}"
    );
    assert!(names.contains(&vec!["tool-3".to_owned()]), "{names:?}");
}

#[test]
fn layers_stay_as_a_lock_file_or_an_image_has_them() {
    let Case {
        mut store,
        app,
        libraries,
    } = case(12, 200_000);
    let mut request = request(&store);
    request["deps"] = json!([app]);
    request["maxLayers"] = json!(5);
    let before = store.build(&request).unwrap();
    // A cut that nobody would make: neighbours by name.
    let layers: Vec<&[String]> = libraries.chunks(5).collect();
    let lock = store.add_file(
        "layers.lock.json",
        &json!({ "version": 1, "layers": layers }).to_string(),
    );
    request["previousLayers"] = json!(lock);
    let locked = store.build(&request).unwrap();
    let locked = names(&store.layers(&locked));
    let kept = |names: &[Vec<String>]| {
        let is_chunk =
            |layer: &&Vec<String>| layer.len() >= 3 && !layer.contains(&"app-1.2".into());
        names.iter().filter(is_chunk).count()
    };
    assert_ne!(locked, names(&store.layers(&before)));
    assert_eq!(kept(&locked), layers.len(), "{locked:?}");
    // Nothing changed: an image keeps its own cut.
    request["previousLayers"] = json!(before);
    let again = store.build(&request).unwrap();
    assert_eq!(names(&store.layers(&again)), names(&store.layers(&before)));
}

#[test]
fn a_file_says_which_layers_there_are() {
    let Case {
        mut store,
        app,
        libraries,
    } = case(3, 1000);
    let mut request = request(&store);
    request["deps"] = json!([app]);
    let lock = json!({ "version": 1, "layers": [[libraries[2]], [libraries[0], libraries[1]]], "reasons": ["first"] });
    request["layersFile"] = json!(store.add_file("layers.json", &lock.to_string()));
    let output = store.build(&request).unwrap();
    let layers = store.layers(&output);
    assert_eq!(
        names(&layers),
        [
            vec!["lib01-1.0"],
            vec!["lib00-1.0", "libc-2.38"],
            vec!["app-1.2", "lib02-1.0"]
        ]
    );
    let reason = |number: usize| layers["layers"][number]["reason"].as_str().unwrap();
    assert_eq!(reason(0), "first");
    assert_eq!(reason(2), "what `layersFile` does not name");
}

#[test]
fn images_that_live_together_share_layers() {
    let mut store = FakeStore::new();
    let libc = package(&mut store, "libc", 900_000, &[]);
    let shared: Vec<String> = (0..8)
        .map(|number| package(&mut store, &format!("shared{number}"), 200_000, &[&libc]))
        .collect();
    let references: Vec<&str> = shared.iter().map(String::as_str).collect();
    let mut requests = serde_json::Map::new();
    for name in ["one", "two"] {
        let own = package(&mut store, &format!("{name}-own"), 300_000, &[&libc]);
        let app = package(
            &mut store,
            name,
            1000,
            &[&references[..], &[own.as_str()]].concat(),
        );
        let mut request = request(&store);
        request["deps"] = json!([app]);
        request["maxLayers"] = json!(6);
        requests.insert(name.to_owned(), request);
    }
    let plan = store.build_fleet(&json!(requests)).unwrap();
    let digests = |store: &mut FakeStore, name: &str| {
        let mut request = requests[name].clone();
        request["layersFile"] = json!(format!("{plan}/{name}.json"));
        let output = store.build(&request).unwrap();
        let layers = store.layers(&output)["layers"].as_array().unwrap().clone();
        assert!(layers.len() <= 6, "{}", layers.len());
        layers
            .iter()
            .map(|layer| (layer["digest"].to_string(), layer["size"].as_u64().unwrap()))
            .collect::<Vec<_>>()
    };
    let one = digests(&mut store, "one");
    let two = digests(&mut store, "two");
    let both: u64 = one
        .iter()
        .filter(|layer| two.contains(layer))
        .map(|(_, size)| size)
        .sum();
    assert!(both > 2_400_000, "{both} of {one:?}");
}

#[test]
fn hints_about_what_is_not_there_are_warned_of() {
    let Case {
        mut store,
        app,
        libraries,
    } = case(2, 1000);
    let other = package(&mut store, "other", 10, &[]);
    let mut request = request(&store);
    request["deps"] = json!([app]);
    request["layerHints"] = json!({ "alone": [other, libraries[1]] });
    let (output, warnings) = store.build_with(&request, 1).unwrap();
    assert!(names(&store.layers(&output)).contains(&vec!["lib00-1.0".to_owned()]));
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    let start = format!("warning: layerHints.alone: {other} is not in the image\nhint: ");
    assert!(warnings[0].starts_with(&start), "{warnings:?}");
}
