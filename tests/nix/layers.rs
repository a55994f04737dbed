//! Layers that survive updates, from Nix to a registry (issue 12).

use strata_testing as support;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use support::fake_store::read_json;
use support::nix::{build, build_all, strata};
use support::registry::{Registry, Setup, run};

/// A program that is edited, on bash and hello, as people write it: linked to `/` by an environment.
fn edited(version: usize) -> String {
    format!(
        r#"
        (let
          app = pkgs.writeShellScriptBin "app" "echo ${{pkgs.hello}} {version}";
        in
        buildImage {{
          name = "edited";
          copyToRoot = pkgs.buildEnv {{ name = "root"; paths = [ app pkgs.bash ]; }};
          config.Cmd = [ "/bin/app" ];
        }})
        "#
    )
}

fn layers(image: &Path) -> Vec<(String, u64)> {
    let file = read_json(&image.join("layers.json"));
    let layers = file["layers"].as_array().unwrap().iter();
    let layer = |layer: &Value| {
        let digest = layer["digest"].as_str().unwrap().to_owned();
        (digest, layer["size"].as_u64().unwrap())
    };
    layers.map(layer).collect()
}

#[test]
fn an_edit_changes_what_was_edited_and_nothing_else() {
    let images = build_all(&format!("[ {} {} ]", edited(1), edited(2)));
    let [one, two] = [&images[0], &images[1]].map(|image| layers(image));
    let before: BTreeSet<&String> = one.iter().map(|(digest, _)| digest).collect();
    let changed = two.iter().filter(|(digest, _)| !before.contains(digest));
    let changed: u64 = changed.map(|(_, size)| size).sum();
    let all: u64 = two.iter().map(|(_, size)| size).sum();
    assert!(changed > 0 && changed < 100_000, "{changed} of {all}");
    assert!(all > 1_000_000, "{all}");

    let told = run(strata().arg("explain").arg(&images[1]));
    assert!(told.contains("an edit sends only"), "{told}");
    assert!(
        told.contains("  after an edit of the application\n"),
        "{told}"
    );
    let why = run(strata()
        .arg("explain")
        .arg(&images[1])
        .args(["--why", "hello"]));
    assert!(why.contains("needed by ") && why.contains("-app"), "{why}");
    let beside = run(strata()
        .args(["explain", "--json", "--beside"])
        .args([&images[0], &images[1]]));
    let beside: Value = serde_json::from_str(&beside).unwrap();
    let shared = beside["beside"][0]["layers"].as_array().unwrap().len();
    assert!(shared > 0 && shared < two.len(), "{beside}");
}

#[test]
fn the_cut_of_a_lock_file_stays() {
    let directory = tempfile::tempdir().unwrap();
    let lock = directory.path().join("layers.lock.json");
    let image = "buildImage { name = \"kept\"; config.Cmd = [ \"${pkgs.hello}/bin/hello\" \"${pkgs.bash}/bin/bash\" ]; ";
    let cut = build(&format!(
        "{image} strategy = \"popularity\"; maxLayers = 3; }}"
    ));
    run(strata().arg("lock-layers").args([&cut, &lock]));
    let again = build(&format!(
        "{image} maxLayers = 3; previousLayers = {}; }}",
        lock.display()
    ));
    assert_eq!(layers(&again), layers(&cut));
    let of_image = build(&format!(
        "let cut = {image} strategy = \"popularity\"; maxLayers = 3; }}; in {image} maxLayers = 3; previousLayers = cut; }}"
    ));
    assert_eq!(layers(&of_image), layers(&cut));
}

/// A fleet is planned at once, and pushed with one command; what several have is sent once.
#[test]
fn images_that_live_together_are_one_command() {
    let fleet = |attribute: &str| {
        format!(
            r#"
            (strata.buildImages {{
              web.config.Cmd = [ "${{pkgs.hello}}/bin/hello" ];
              worker = {{
                name = "team/worker";
                tag = "1";
                config.Cmd = [ "${{pkgs.hello}}/bin/hello" "${{pkgs.bash}}/bin/bash" ];
              }};
            }}).{attribute}
            "#
        )
    };
    let [web, worker] = ["web", "worker"].map(|name| layers(&build(&fleet(name))));
    let both: u64 = web
        .iter()
        .filter(|layer| worker.contains(layer))
        .map(|(_, size)| size)
        .sum();
    assert!(both > 1_000_000, "{both} of {web:?}");

    let registry = Registry::start(Setup::default());
    let script = build(&fleet("copyTo")).join("bin/copy-to");
    let mut command = Command::new(script);
    command.arg(format!("docker://{}/apps/", registry.host));
    let cache = tempfile::tempdir().unwrap();
    command.env("XDG_CACHE_HOME", cache.path());
    run(&mut command);
    for repository in ["web", "team/worker"] {
        let url = format!("http://{}/v2/apps/{repository}/tags/list", registry.host);
        let tags = run(Command::new("curl").args(["-fsS", &url]));
        assert!(tags.contains("tags"), "{tags}");
    }
}

/// Ten images in ten repositories: the registry gets what the layers of all of them are together, each once, also from a
/// machine that keeps no cache. skopeo, which copies the same layers from one registry to another, sends no less.
#[test]
fn a_fleet_sends_each_layer_once() {
    let fleet = r#"
        (strata.buildImages (builtins.listToAttrs (builtins.genList (number: {
          name = "image${toString number}";
          value = {
            tag = "1";
            config.Cmd = [
              "${pkgs.bash}/bin/bash" "${pkgs.busybox}/bin/busybox"
              "${pkgs.writeText "app${toString number}" (toString number)}"
            ];
          };
        }) 10))).copyTo
    "#;
    let script = build(fleet).join("bin/copy-to");
    let place = tempfile::tempdir().unwrap();
    for cache in [place.path(), Path::new("/dev/null/cache")] {
        let registry = Registry::start(Setup::default());
        let before = registry.bytes_read().unwrap();
        run(Command::new(&script)
            .arg(format!("docker://{}/", registry.host))
            .env("XDG_CACHE_HOME", cache));
        let received = registry.bytes_read().unwrap() - before;
        let mut union = BTreeMap::new();
        for number in 0..10 {
            let url = format!("http://{}/v2/image{number}/manifests/1", registry.host);
            let accept = "Accept: application/vnd.oci.image.manifest.v1+json";
            let manifest = run(Command::new("curl").args(["-fsS", "-H", accept, &url]));
            let manifest: Value = serde_json::from_str(&manifest).unwrap();
            for layer in manifest["layers"].as_array().unwrap() {
                union.insert(layer["digest"].to_string(), layer["size"].as_u64().unwrap());
            }
        }
        let union: u64 = union.values().sum();
        // What is said about them, and twice of what is small.
        let most = union + union / 10 + 10 * 20_000;
        assert!(
            received <= most,
            "{received} for {union}, {}",
            cache.display()
        );
        assert!(union > 500_000, "{union}");
        let by_skopeo = sent_by_skopeo(&registry, cache);
        assert!(
            received <= by_skopeo + by_skopeo / 100,
            "{received}, skopeo {by_skopeo}, {}",
            cache.display()
        );
    }
}

/// How many bytes skopeo sends to another registry for the images of the fleet, one after the other.
fn sent_by_skopeo(registry: &Registry, cache: &Path) -> u64 {
    let other = Registry::start(Setup::default());
    let before = other.bytes_read().unwrap();
    for number in 0..10 {
        let [from, to] =
            [registry, &other].map(|one| format!("docker://{}/image{number}:1", one.host));
        run(Command::new("skopeo")
            .args(["--insecure-policy", "copy", "--quiet"])
            .args(["--src-tls-verify=false", "--dest-tls-verify=false"])
            .args([from, to])
            .env("XDG_DATA_HOME", cache)
            // The cache of root is in a place that cannot be chosen.
            .env("_CONTAINERS_ROOTLESS_UID", "1000"));
    }
    other.bytes_read().unwrap() - before
}
