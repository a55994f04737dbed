//! What goes wrong in dockerTools, by the numbers of its reports: <https://github.com/NixOS/nixpkgs/issues>.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::OnceLock;

use serde_json::Value;

use super::support::fake_store::read_json;
use super::support::nix::{build, expression, nix};
use super::{archive_of, config_of, json_member, member, run, text};

/// The images of this file, built at once: files and scripts, and the images below them under `NAME-image`.
const IMAGES: &str = r#"
  let
    inherit (strata.dockerTools) buildImage buildLayeredImage streamLayeredImage;
    files = count: map (number: builtins.toFile "path-${toString number}" (toString number))
      (pkgs.lib.range 1 count);
    manyLayers = streamLayeredImage {
      name = "many-layers";
      tag = "1";
      contents = pkgs.busybox;
      config.Env = [ "FILES=${toString (files 20)}" ];
      layeringPipeline = [ [ "popularity_contest" ] ];
    };
    images = {
      smallMachine = buildImage {
        name = "small-machine";
        tag = "1";
        copyToRoot = pkgs.busybox;
        diskSize = 1;
        buildVMMemorySize = 1;
        runAsRoot = "dd if=/dev/zero of=/big bs=1M count=8 2>/dev/null; sort /big > /dev/null; rm /big; touch /done";
      };
      longPaths = streamLayeredImage {
        name = "long-paths";
        tag = "1";
        contents = pkgs.busybox;
        enableFakechroot = true;
        fakeRootCommands = ''
          name=$(printf '%0100d' 0)
          cd /
          for number in $(seq 25); do mkdir $name; chown 7:8 $name; cd $name; done
          echo deep > file
          test "$(stat -c %u:%g .)" = 7:8
        '';
      };
      rootReads = streamLayeredImage {
        name = "root-reads";
        tag = "1";
        contents = pkgs.busybox;
        enableFakechroot = true;
        fakeRootCommands = ''
          mkdir /secret
          echo text > /secret/file
          chown 1000:1000 /secret/file /secret
          chmod 0000 /secret/file
          chmod 0500 /secret
          test "$(cat /secret/file)" = text
          cat /proc/self/status > /dev/null
          echo more >> /secret/file
        '';
      };
      ownersStay = streamLayeredImage {
        name = "owners-stay";
        tag = "1";
        contents = pkgs.busybox;
        enableFakechroot = true;
        fakeRootCommands = ''
          mkdir -p /home/one
          touch /home/one/file
          chown -R 1000:100 /home/one
          test "$(stat -c %u:%g /home/one/file)" = 1000:100
          mv /home/one /home/two
          test "$(stat -c %u:%g /home/two/file)" = 1000:100
        '';
      };
      onManyLayers = buildImage {
        name = "on-many-layers";
        tag = "1";
        fromImage = manyLayers;
        runAsRoot = ''
          test -x /bin/busybox
          echo made > /made
        '';
      };
      longScript = streamLayeredImage {
        name = "long-script";
        tag = "1";
        fakeRootCommands = ''
          ${toString (map (number: ": ${toString number} is a line of a long script\n") (pkgs.lib.range 1 9000))}
          touch done
        '';
      };
      links = buildLayeredImage {
        name = "links";
        tag = "1";
        contents = [ pkgs.hello ];
      };
      linksInOne = buildImage {
        name = "links-in-one";
        tag = "1";
        copyToRoot = pkgs.buildEnv { name = "root"; paths = [ pkgs.hello ]; };
      };
      undated = buildLayeredImage { name = "dated"; tag = "1"; contents = pkgs.hello; };
      dated = images.undated.override { created = "2024-12-31T23:59:59Z"; };
    };
    lib = pkgs.lib;
  in
  pkgs.linkFarm "regressions" (
    lib.mapAttrsToList (name: path: { inherit name path; }) images
    ++ lib.mapAttrsToList (name: image: { name = "${name}-image"; path = image.ociLayout; }) images
  )
"#;

fn image(name: &str) -> PathBuf {
    static IMAGES_BUILT: OnceLock<PathBuf> = OnceLock::new();
    let images = IMAGES_BUILT.get_or_init(|| build(IMAGES));
    images.join(name).canonicalize().unwrap()
}

fn layers(name: &str) -> Vec<String> {
    let manifest = json_member(&archive_of(&image(name)), "manifest.json");
    let layers = manifest[0]["Layers"].as_array().unwrap();
    let layers = layers
        .iter()
        .map(|layer| layer.as_str().unwrap().to_owned());
    layers.collect()
}

/// Path, owner, mode, type and content of the entries of an image's uppermost layer.
fn uppermost(name: &str) -> Vec<(String, String, u32, tar::EntryType, String)> {
    entries(name, layers(name).last().unwrap())
}

fn entries(name: &str, layer: &str) -> Vec<(String, String, u32, tar::EntryType, String)> {
    let bytes = member(&archive_of(&image(name)), layer).unwrap();
    let mut archive = tar::Archive::new(bytes.as_slice());
    let entries = archive.entries().unwrap().map(|entry| {
        let mut entry = entry.unwrap();
        let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let header = entry.header();
        let owner = format!("{}:{}", header.uid().unwrap(), header.gid().unwrap());
        let (mode, kind) = (header.mode().unwrap(), header.entry_type());
        let content = if header.size().unwrap() < 1024 {
            std::io::read_to_string(&mut entry).unwrap_or_default()
        } else {
            String::new()
        };
        (path, owner, mode, kind, content)
    });
    entries.collect()
}

fn entry(name: &str, path: &str) -> (String, u32, String) {
    let all = uppermost(name);
    let found = all.into_iter().find(|entry| entry.0 == path);
    let (_, owner, mode, _, content) = found.unwrap_or_else(|| panic!("{path} is not in {name}"));
    (owner, mode, content)
}

/// NixOS/nixpkgs#67079: `runAsRoot` needs KVM. NixOS/nixpkgs#78720: its machine's disk or memory is too small.
#[test]
fn nixpkgs_67079_78720_root_needs_no_machine() {
    let image_of = "(strata.dockerTools.buildImage { name = \"a\"; runAsRoot = \"true\"; })";
    for attribute in ["layer", "ociLayout"] {
        let features = text(&format!(
            "({image_of}.{attribute}.drvAttrs.requiredSystemFeatures or \"none\")"
        ));
        assert_eq!(features, "none", "{attribute}");
    }
    assert_eq!(entry("smallMachine", "done").0, "0:0");
}

/// NixOS/nixpkgs#251995: what stands between a script and its root overflows.
#[test]
fn nixpkgs_251995_paths_may_be_long() {
    let path = format!("{}file", format!("{:0100}/", 0).repeat(25));
    assert_eq!(entry("longPaths", &path).2, "deep\n");
    let all = uppermost("longPaths");
    let directories = all
        .iter()
        .filter(|entry| entry.0.starts_with("000") && entry.1 == "7:8");
    assert_eq!(directories.count(), 25);
}

/// NixOS/nixpkgs#275705: root with a root of its own is refused what root may do.
#[test]
fn nixpkgs_275705_root_reads_and_writes_everything() {
    let (owner, mode, content) = entry("rootReads", "secret/file");
    assert_eq!(
        (owner.as_str(), mode, content.as_str()),
        ("1000:1000", 0, "text\nmore\n")
    );
    assert_eq!(entry("rootReads", "secret/").1, 0o500);
}

/// NixOS/nixpkgs#283300: owners that are set with a root of one's own are forgotten.
#[test]
fn nixpkgs_283300_owners_stay() {
    assert_eq!(entry("ownersStay", "home/two/file").0, "1000:100");
    assert_eq!(entry("ownersStay", "home/two/").0, "1000:100");
}

/// NixOS/nixpkgs#392421: a base of more than 16 layers cannot be mounted.
#[test]
fn nixpkgs_392421_root_on_many_layers() {
    assert!(
        layers("onManyLayers").len() > 20,
        "{:?}",
        layers("onManyLayers")
    );
    assert_eq!(entry("onManyLayers", "made").2, "made\n");
}

/// NixOS/nixpkgs#140908: thousands of store paths are too many for a command line, and for whoever looks at all of them
/// for each.
#[test]
fn nixpkgs_140908_thousands_of_store_paths() {
    let count = r#"
      let
        file = number: builtins.toFile "path-${toString number}" (toString number);
        image = strata.dockerTools.streamLayeredImage {
          name = "many-paths";
          contents = pkgs.busybox;
          config.Env = [ "FILES=${toString (map file (pkgs.lib.range 1 5000))}" ];
        };
      in
      builtins.length image.conf.request.deps
    "#;
    let mut command = nix("nix-instantiate");
    // They would stay in the machine's store.
    command.args(["--eval", "--readonly-mode", "--expr", &expression(count)]);
    assert_eq!(run(&mut command).trim(), "5000");
    // A script with as many in it is longer than an argument may be.
    assert_eq!(entry("longScript", "done").0, "0:0");
}

/// NixOS/nixpkgs#94636: what is in the image is there twice, as a store path and as a copy in `/`.
#[test]
fn nixpkgs_94636_files_are_there_once() {
    for name in ["links", "linksInOne"] {
        let mut found = BTreeSet::new();
        for layer in layers(name) {
            for (path, _, _, kind, _) in entries(name, &layer) {
                let is_in_store = path.starts_with("nix/");
                assert!(
                    is_in_store || kind != tar::EntryType::Regular,
                    "{name}: {path}"
                );
                let is_new = found.insert(path.clone());
                assert!(
                    is_new || kind == tar::EntryType::Directory,
                    "{name}: {path}"
                );
            }
        }
        assert!(found.contains("bin/hello"), "{name}");
    }
}

/// NixOS/nixpkgs#254421: a time for the image gave every layer another digest.
#[test]
fn nixpkgs_254421_the_time_of_the_image_is_in_its_config_alone() {
    let digests = |name: &str| config_of(&archive_of(&image(name)))["rootfs"]["diff_ids"].clone();
    assert_eq!(digests("dated"), digests("undated"));
    let created = |name: &str| config_of(&archive_of(&image(name)))["created"].clone();
    assert_eq!(created("dated"), "2024-12-31T23:59:59Z");
    assert_eq!(created("undated"), "1970-01-01T00:00:01Z");
    let layers = |name: &str| -> Value {
        read_json(&image(&format!("{name}-image")).join("layers.json"))["layers"].clone()
    };
    assert_eq!(layers("dated"), layers("undated"));
}
