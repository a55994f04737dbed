//! Which store path ends in which layer, for closures, nestings and budgets of any shape.

use strata_testing as support;

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use serde_json::{Value, json};
use support::fake_store::{FakeStore, Item};

/// What a random image is made of. Package `n` refers only to packages below `n`.
#[derive(Clone, Debug)]
struct Shape {
    references: Vec<BTreeSet<usize>>,
    /// For each layer: its packages, the layers below it, its budget, whether its tar is kept.
    layers: Vec<(BTreeSet<usize>, BTreeSet<usize>, usize, bool)>,
    /// The image's packages, its layers and its budget.
    image: (BTreeSet<usize>, BTreeSet<usize>, usize),
    /// The packages whose content goes to the root.
    roots: BTreeSet<usize>,
}

fn below(limit: usize, count: usize) -> impl Strategy<Value = BTreeSet<usize>> {
    proptest::collection::btree_set(0..limit.max(1), 0..count)
        .prop_map(move |set| set.into_iter().filter(|number| *number < limit).collect())
}

fn shapes() -> impl Strategy<Value = Shape> {
    (1_usize..9, 0_usize..5).prop_flat_map(|(packages, layers)| {
        let references: Vec<_> = (0..packages).map(|number| below(number + 1, 4)).collect();
        let layers: Vec<_> = (0..layers)
            .map(|number| {
                (
                    below(packages, 4),
                    below(number, 3),
                    1_usize..6,
                    any::<bool>(),
                )
            })
            .collect();
        let image = (below(packages, 4), below(layers.len(), 4), 1..packages + 2);
        (references, layers, image, below(packages, 3)).prop_map(
            |(references, layers, image, roots)| Shape {
                references,
                layers,
                image,
                roots,
            },
        )
    })
}

struct Built {
    packages: Vec<String>,
    image: Value,
    budget: usize,
}

fn build(shape: &Shape) -> Built {
    let mut store = FakeStore::new();
    let mut packages: Vec<String> = Vec::new();
    for (number, references) in shape.references.iter().enumerate() {
        let name = format!("package-{number}");
        let own = store.path(&name);
        let references: Vec<&str> = references
            .iter()
            .map(|reference| {
                packages
                    .get(*reference)
                    .map_or(own.as_str(), String::as_str)
            })
            .collect();
        let file = format!("share/{name}");
        packages.push(store.add(&name, &[Item::File(&file, &name)], &references));
    }
    let paths = |numbers: &BTreeSet<usize>, list: &[String]| -> Vec<String> {
        numbers.iter().map(|number| list[*number].clone()).collect()
    };
    let mut layers: Vec<String> = Vec::new();
    for (members, nested, budget, keep) in &shape.layers {
        let request = json!({
            "version": 1, "storeDir": store.dir, "deps": paths(members, &packages),
            "layers": paths(nested, &layers), "maxLayers": budget, "reproducible": !keep,
        });
        layers.push(store.build(&request).unwrap());
    }
    let (members, nested, budget) = &shape.image;
    let mut request = store.image_request();
    request["deps"] = json!(paths(members, &packages));
    request["copyToRoot"] = json!(paths(&shape.roots, &packages));
    request["layers"] = json!(paths(nested, &layers));
    request["maxLayers"] = json!(budget);
    let output = store.build(&request).unwrap();
    let image = store.layers(&output);
    Built {
        packages,
        image,
        budget: *budget,
    }
}

/// The packages that these need, themselves included.
fn closure(shape: &Shape, from: impl IntoIterator<Item = usize>) -> BTreeSet<usize> {
    let mut todo: Vec<usize> = from.into_iter().collect();
    let mut found = BTreeSet::new();
    while let Some(number) = todo.pop() {
        if found.insert(number) {
            todo.extend(&shape.references[number]);
        }
    }
    found
}

/// The layers that a set of layers brings along.
fn nested(shape: &Shape, from: &BTreeSet<usize>) -> BTreeSet<usize> {
    let mut todo: Vec<usize> = from.iter().copied().collect();
    let mut found = BTreeSet::new();
    while let Some(number) = todo.pop() {
        if found.insert(number) {
            todo.extend(&shape.layers[number].1);
        }
    }
    found
}

/// The layers' sources: path, whether at the root.
fn sources(layers: &Value) -> Vec<Vec<(String, bool)>> {
    let layers = layers["layers"].as_array().unwrap().iter();
    layers
        .map(|layer| {
            let sources = layer["recipe"]["sources"].as_array().unwrap().iter();
            sources
                .map(|source| {
                    let path = source["storePath"].as_str().unwrap().to_owned();
                    (path, source["toRoot"].as_bool().unwrap())
                })
                .collect()
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_path_is_in_exactly_one_layer(shape in shapes()) {
        let built = build(&shape);
        let layers = sources(&built.image);
        let mut places: BTreeMap<(String, bool), usize> = BTreeMap::new();
        for source in layers.iter().flatten() {
            *places.entry(source.clone()).or_default() += 1;
        }
        prop_assert!(places.values().all(|count| *count == 1), "{places:?}");
        prop_assert!(layers.iter().all(|layer| !layer.is_empty()));

        // What is at the root is what was asked for, and what others need is in the store.
        let at_root: BTreeSet<&str> =
            places.keys().filter(|(_, root)| *root).map(|(path, _)| path.as_str()).collect();
        let asked: BTreeSet<&str> =
            shape.roots.iter().map(|number| built.packages[*number].as_str()).collect();
        prop_assert_eq!(at_root, asked);
        let used = nested(&shape, &shape.image.1);
        let from_layers = used.iter().flat_map(|layer| closure(&shape, shape.layers[*layer].0.clone()));
        let explicit: BTreeSet<usize> = from_layers.chain(closure(&shape, shape.image.0.clone())).collect();
        let of_roots = shape.roots.iter().flat_map(|root| {
            let references = shape.references[*root].iter().copied();
            closure(&shape, references.filter(|reference| reference != root))
        });
        let needed: BTreeSet<&str> = explicit
            .into_iter()
            .chain(of_roots)
            .map(|number| built.packages[number].as_str())
            .collect();
        let in_store: BTreeSet<&str> =
            places.keys().filter(|(_, root)| !*root).map(|(path, _)| path.as_str()).collect();
        prop_assert_eq!(in_store, needed);
    }

    #[test]
    fn budgets_are_kept(shape in shapes()) {
        let built = build(&shape);
        let lower: usize =
            nested(&shape, &shape.image.1).iter().map(|layer| shape.layers[*layer].2).sum();
        prop_assert!(sources(&built.image).len() <= lower + built.budget);
    }
}

/// nlewo/nix2container#205, #186, #41: a chain of 13 nested layers gave 8191 entries.
#[test]
fn chains_of_layers_stay_linear() {
    let mut store = FakeStore::new();
    let mut layers: Vec<String> = Vec::new();
    let mut sizes = Vec::new();
    for number in 0..30 {
        let name = format!("package-{number}");
        let package = store.add(&name, &[Item::File("file", &name)], &[]);
        let request = json!({
            "version": 1, "storeDir": store.dir, "maxLayers": 1, "deps": [package],
            // Each names all before it, the worst that a user can write.
            "layers": layers,
        });
        layers.push(store.build(&request).unwrap());
        let file = store.locate(layers.last().unwrap()).join("layers.json");
        sizes.push(std::fs::metadata(file).unwrap().len());
    }
    let mut request = store.image_request();
    request["layers"] = json!([layers.last().unwrap()]);
    let image = store.build(&request).unwrap();
    let layers = sources(&store.layers(&image));
    assert_eq!(layers.len(), 30);
    assert!(layers.iter().all(|layer| layer.len() == 1), "{layers:?}");
    // One name of a layer more in each: well under 200 bytes.
    assert!(
        sizes.windows(2).all(|pair| pair[1] <= pair[0] + 200),
        "{sizes:?}"
    );
}

#[test]
fn budgets_around_the_number_of_paths() {
    let mut store = FakeStore::new();
    let mut packages: Vec<String> = Vec::new();
    for number in 0..5 {
        let references: Vec<&str> = packages.iter().map(String::as_str).collect();
        let name = format!("package-{number}");
        let package = store.add(&name, &[Item::File("file", &name)], &references);
        packages.push(package);
    }
    for (budget, count) in [(1, 1), (4, 4), (5, 5), (6, 5), (1000, 5)] {
        let mut request = store.image_request();
        request["deps"] = json!([packages[4]]);
        request["maxLayers"] = json!(budget);
        let image = store.build(&request).unwrap();
        let layers = sources(&store.layers(&image));
        assert_eq!(layers.len(), count, "maxLayers = {budget}");
        assert_eq!(layers.iter().flatten().count(), 5);
        // The most popular is at the bottom.
        assert!(
            budget == 1 || layers[0] == [(packages[0].clone(), false)],
            "{layers:?}"
        );
    }
}

#[test]
fn ignored_paths_are_left_out_and_their_dependencies_stay() {
    let mut store = FakeStore::new();
    let library = store.add("library", &[Item::File("file", "")], &[]);
    let config = store.add("config", &[Item::File("file", "x")], &[&library]);
    let mut request = store.image_request();
    request["deps"] = json!([config]);
    request["ignore"] = json!([config]);
    let image = store.build(&request).unwrap();
    assert_eq!(sources(&store.layers(&image)), [[(library, false)]]);
}

/// A layer that `buildLayer` has digested is not digested again unless the image changes it, and a
/// kept tar is used from where it is.
#[test]
fn digests_of_layers_are_taken_over() {
    let mut store = FakeStore::new();
    let library = store.add("library", &[Item::File("file", "")], &[]);
    let app = store.add("app", &[Item::File("file", "app")], &[&library]);
    for keep in [false, true] {
        let request = json!({
            "version": 1, "storeDir": store.dir, "maxLayers": 1, "deps": [library], "reproducible": !keep,
        });
        let layer = store.build(&request).unwrap();
        // A digest that nobody would compute shows that it was taken over.
        let file = store.locate(&layer).join("layers.json");
        let mut layers = store.layers(&layer);
        let marked = format!("sha256:{}", "ab".repeat(32));
        layers["layers"][0]["digest"] = json!(marked);
        std::fs::write(&file, layers.to_string()).unwrap();

        let mut request = store.image_request();
        request["deps"] = json!([app]);
        request["layers"] = json!([layer]);
        let image = store.build(&request).unwrap();
        let image = store.layers(&image);
        assert_eq!(image["layers"][0]["digest"], marked);
        assert_eq!(image["layers"][0]["tar"].is_string(), keep);
        assert_eq!(image["layers"].as_array().unwrap().len(), 2);

        request["perms"] = json!([{ "path": library, "regex": "file$", "mode": "0600" }]);
        let image = store.build(&request).unwrap();
        let layers = store.layers(&image);
        assert_ne!(layers["layers"][0]["digest"], marked);
        if keep {
            let tar = layers["layers"][0]["tar"].as_str().unwrap();
            assert!(tar.starts_with(&image), "{tar}");
            assert!(store.locate(tar).exists());
        }
    }
}
