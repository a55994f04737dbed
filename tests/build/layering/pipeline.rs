//! `layeringPipeline` from the request to the layers of an output. What each operation does is tested in
//! `crates/plan/src/pipeline/`.

use strata_testing as support;

use serde_json::{Value, json};
use support::fake_store::{FakeStore, Item};

/// A closure of three in the store and one at the root: `app` needs `library` and `data`, `library` needs `libc`.
struct Case {
    store: FakeStore,
    request: Value,
    libc: String,
    library: String,
    root: String,
}

fn case() -> Case {
    let mut store = FakeStore::new();
    let file = [Item::File("f", "1")];
    let libc = store.add("libc", &file, &[]);
    let library = store.add("library", &file, &[&libc]);
    let data = store.add("data", &file, &[]);
    let app = store.add("app", &file, &[&library, &data]);
    let root = store.add("root", &[Item::File("etc/conf", "1")], &[]);
    let mut request = store.image_request();
    request["deps"] = json!([app]);
    request["copyToRoot"] = json!([root]);
    Case {
        store,
        request,
        libc,
        library,
        root,
    }
}

impl Case {
    /// The names of what is in each layer, and the warnings.
    fn build(&mut self, pipeline: &Value) -> (Vec<String>, Vec<String>) {
        self.request["layeringPipeline"] = pipeline.clone();
        let (output, warnings) = self.store.build_with(&self.request, 2).unwrap();
        (self.names(&output), warnings)
    }

    fn names(&self, output: &str) -> Vec<String> {
        let layers = self.store.layers(output);
        let name = |source: &Value| {
            let path = source["storePath"].as_str().unwrap();
            path.rsplit_once('-').unwrap().1.to_owned()
        };
        let layer = |layer: &Value| {
            let sources = layer["recipe"]["sources"].as_array().unwrap();
            let mut names: Vec<String> = sources.iter().map(name).collect();
            names.sort();
            names.join(" ")
        };
        layers["layers"]
            .as_array()
            .unwrap()
            .iter()
            .map(layer)
            .collect()
    }
}

#[test]
fn a_pipeline_cuts_an_image() {
    let mut case = case();
    let pipeline = json!([
        ["subcomponent_out", [case.library]],
        ["over", "main", ["popularity_contest"]],
        [
            "over",
            "rest",
            ["pipe", [["split_paths", case.root], ["reverse"]]]
        ]
    ]);
    let expected = ["libc", "library", "app data", "root"];
    assert_eq!(
        case.build(&pipeline),
        (expected.map(str::to_owned).to_vec(), vec![])
    );

    // The same as a file, and below a directory.
    let file = case.store.add_file("pipeline.json", &pipeline.to_string());
    assert_eq!(case.build(&json!(file)).0, expected);
    let directory = case.store.add(
        "pipelines",
        &[Item::File("a/b", &pipeline.to_string())],
        &[],
    );
    assert_eq!(case.build(&json!(format!("{directory}/a/b"))).0, expected);

    assert_eq!(case.build(&json!([])).0, ["app data libc library root"]);
    assert_eq!(case.build(&json!([["popularity", 2]])).0.len(), 2);
    assert_eq!(case.build(&json!([["popularity"]])).0.len(), 5);
    // Null is none.
    assert_eq!(case.build(&json!(null)).0.len(), 1);
}

#[test]
fn a_pipeline_cuts_a_layer_and_what_is_above_it() {
    let mut case = case();
    let mut layer = json!({
        "version": 1, "storeDir": case.store.dir, "deps": [case.library],
        "layeringPipeline": [["popularity_contest"]]
    });
    let output = case.store.build(&layer).unwrap();
    assert_eq!(case.names(&output), ["libc", "library"]);
    case.request["layers"] = json!([output]);
    // What is in the layer is not cut again, and no operation finds it.
    let pipeline = json!([
        ["subcomponent_out", [case.library]],
        ["over", "rest", ["split_every", 2]]
    ]);
    let (names, warnings) = case.build(&pipeline);
    assert_eq!(names[..2], ["libc", "library"]);
    assert_eq!(names.len(), 4);
    let warning = "warning: layeringPipeline[0]: subcomponent_out finds none of its paths\n";
    assert!(
        warnings.len() == 1 && warnings[0].starts_with(warning),
        "{warnings:?}"
    );

    layer["layeringPipeline"] = json!([["limit_layers", 0]]);
    let report = case.store.build(&layer).unwrap_err();
    assert!(
        report.starts_with("error: attribute layeringPipeline[0][1]: limit_layers"),
        "{report}"
    );
}

#[test]
fn removed_paths_are_not_in_the_image() {
    let mut case = case();
    let pipeline = json!([["remove_paths", [case.libc, case.root]]]);
    assert_eq!(case.build(&pipeline).0, ["app data library"]);
}

#[test]
fn max_layers_beside_a_pipeline_is_told() {
    let mut case = case();
    case.request["maxLayers"] = json!(1);
    assert_eq!(case.build(&json!([["split_every", 1]])).1, [""; 0]);
    case.request["maxLayers"] = json!(2);
    let (names, warnings) = case.build(&json!([["split_every", 1]]));
    assert_eq!(names.len(), 5);
    let warning = "warning: maxLayers does nothing beside layeringPipeline\n\
                   hint: end the pipeline with [ \"limit_layers\" N ]";
    assert_eq!(warnings, [warning]);
}

/// Engines take 125 layers, those below included.
#[test]
fn engines_have_room_for_what_a_pipeline_makes() {
    let mut store = FakeStore::new();
    let paths: Vec<String> = (0..130)
        .map(|number| store.add(&format!("p{number}"), &[], &[]))
        .collect();
    let layer = json!({ "version": 1, "storeDir": store.dir, "deps": paths[..2], "maxLayers": 2 });
    let layer = store.build(&layer).unwrap();
    let mut request = store.image_request();
    request["deps"] = json!(paths);
    request["layers"] = json!([layer]);
    // 128 paths are the image's own, and two layers are below. A strategy keeps to what there is.
    let told = "warning: layeringPipeline: it makes 128 layers, and there is room for 123; the last one holds the rest\n\
                hint: end it with [ \"limit_layers\" 123 ], or a smaller number";
    for (pipeline, warning) in [
        (json!([["split_every", 1]]), vec![told]),
        (json!([["popularity", 200]]), vec![]),
        (json!([["popularity"]]), vec![]),
    ] {
        request["layeringPipeline"] = pipeline;
        let (output, warnings) = store.build_with(&request, 2).unwrap();
        let layers = store.layers(&output);
        assert_eq!(layers["layers"].as_array().unwrap().len(), 125);
        assert_eq!(warnings, warning);
    }
}
