//! Copies of images in real engines and under the eyes of independent readers.

use strata_testing as support;

use std::path::{Path, PathBuf};
use std::process::Command;

use rstest::rstest;
use serde_json::{Value, json};
use support::engines::{self, Engine as _};
use support::fake_store::read_json;
use support::nix::{build, digest, name_of, store_paths, strata};
use support::oci::{Layout, check, violations};
use support::registry::{Registry, Setup, run};

/// An image of several layers that says `word` when it runs. Each word makes other layers, because
/// engines do not read again what they know.
fn speaker(name: &str, word: &str) -> PathBuf {
    build(&format!(
        r#"
        let
          busybox = pkgs.runCommand "busybox-{word}" {{ }} ''
            mkdir -p $out/bin
            cp ${{pkgs.busybox}}/bin/busybox $out/bin/
            echo {word} > $out/word
          '';
        in
        buildImage {{
          name = "{name}";
          tag = "v1";
          maxLayers = 2;
          copyToRoot = pkgs.writeTextDir "etc/words/{word}" "{word}\n";
          config = {{
            Cmd = [ "${{busybox}}/bin/busybox" "sh" "-c" "cat /etc/words/$WORD; id -u" ];
            Env = [ "WORD={word}" ];
            User = "1234:1234";
            Labels."org.example.word" = "{word}";
            ExposedPorts."80/tcp" = {{ }};
            Volumes."/data" = {{ }};
            WorkingDir = "/etc";
            StopSignal = "SIGINT";
          }};
          annotations."org.example.word" = "{word}";
        }}
        "#
    ))
}

fn copy(image: &Path, destination: &str) {
    run(strata()
        .args(["copy", "--quiet"])
        .arg(image)
        .arg(destination));
}

/// A copy in a fresh directory, as `FORM:PATH:v1`.
struct Copy {
    directory: tempfile::TempDir,
    reference: String,
}

impl Copy {
    fn new(image: &Path, form: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("copy").display().to_string();
        let reference = match form {
            "dir" => format!("dir:{path}"),
            "docker-archive" => format!("docker-archive:{path}:speaker:v1"),
            form => format!("{form}:{path}:v1"),
        };
        copy(image, &reference);
        Self {
            directory,
            reference,
        }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("copy")
    }
}

fn skopeo_inspect(reference: &str) -> Value {
    let output = run(Command::new("skopeo").args(["inspect", "--tls-verify=false", reference]));
    serde_json::from_str(&output).unwrap()
}

/// The layers are made when the image is copied; everything else is read from the image itself.
#[test]
fn the_image_itself_is_a_layout() {
    let image = speaker("speaker", "itself");
    let layout = Layout::read(&image);
    assert_eq!(layout.digest(), digest(&image));
    assert!(layout.layers().iter().all(|blob| !blob.exists()));
    assert_eq!(layout.layers().len(), 2);

    let inspected = skopeo_inspect(&format!("oci:{}:v1", image.display()));
    assert_eq!(inspected["Digest"], json!(digest(&image)));
    assert_eq!(inspected["Labels"], json!({ "org.example.word": "itself" }));
    let digests = layout.manifest["layers"].as_array().unwrap().iter();
    let digests: Vec<&Value> = digests.map(|layer| &layer["digest"]).collect();
    assert_eq!(inspected["Layers"], json!(digests));

    let reference = format!("{}:v1", image.display());
    let stat = run(Command::new("umoci").args(["stat", "--image", &reference]));
    for layer in digests {
        assert!(stat.contains(layer.as_str().unwrap()), "{stat}");
    }
}

/// A schema that takes everything proves nothing.
#[test]
fn the_schemas_refuse() {
    let image = speaker("speaker", "itself");
    let layout = Layout::read(&image);
    let mistakes = [
        ("index", &layout.index, "/schemaVersion", json!(1)),
        ("index", &layout.index, "/manifests/0/size", json!("1")),
        ("manifest", &layout.manifest, "/layers", json!([])),
        ("manifest", &layout.manifest, "/mediaType", json!("a/b")),
        (
            "manifest",
            &layout.manifest,
            "/annotations",
            json!({ "a": 1 }),
        ),
        (
            "manifest",
            &layout.manifest,
            "/config/digest",
            json!("sha256:0"),
        ),
        (
            "manifest",
            &layout.manifest,
            "/layers/0/mediaType",
            json!("tar"),
        ),
        ("config", &layout.config, "/rootfs/type", json!("snapshots")),
        ("config", &layout.config, "/created", json!("today")),
        ("config", &layout.config, "/config/Env", json!(["A"])),
        (
            "config",
            &layout.config,
            "/config/ExposedPorts",
            json!({ "a": {} }),
        ),
        ("config", &layout.config, "/history/0/created", json!("")),
    ];
    for (kind, document, place, value) in mistakes {
        check(kind, document);
        let mut document = document.clone();
        *document.pointer_mut(place).unwrap() = value;
        assert_eq!(violations(kind, &document).len(), 1, "{kind}{place}");
    }
}

/// Whatever form it has, skopeo finds the image that was built, and can copy it, which checks the
/// digests of all blobs.
#[rstest]
#[case::layout("oci")]
#[case::layout_in_an_archive("oci-archive")]
#[case::directory("dir")]
#[case::archive("docker-archive")]
fn skopeo_reads_copies(#[case] form: &str) {
    let image = speaker("speaker", "itself");
    let copy = Copy::new(&image, form);
    let target = tempfile::tempdir().unwrap();
    let target_reference = format!("dir:{}", target.path().display());
    let mut skopeo = Command::new("skopeo");
    skopeo.args([
        "copy",
        "--insecure-policy",
        &copy.reference,
        &target_reference,
    ]);
    run(&mut skopeo);
    let manifest = read_json(&target.path().join("manifest.json"));
    // An archive of Docker's has no manifest of its own.
    if form == "docker-archive" {
        let config = &Layout::read(&image).manifest["config"]["digest"];
        assert_eq!(manifest["config"]["digest"], *config);
    } else {
        check("manifest", &manifest);
        assert_eq!(manifest, Layout::read(&image).manifest);
        assert_eq!(
            skopeo_inspect(&copy.reference)["Digest"],
            json!(digest(&image))
        );
    }
}

#[test]
fn skopeo_and_podman_read_the_registry() {
    let image = speaker("speaker", "registry");
    let registry = Registry::start(Setup::default());
    let name = format!("{}/some/speaker:v1", registry.host);
    let said = run(strata()
        .args(["copy", "--dest-tls-verify=false"])
        .arg(&image)
        .arg(format!("docker://{name}")));

    let digest = skopeo_inspect(&format!("docker://{name}"))["Digest"].take();
    let said = said.trim_end().rsplit('@').next();
    assert_eq!(said, digest.as_str());
    let target = tempfile::tempdir().unwrap();
    let target_reference = format!("dir:{}", target.path().display());
    let mut skopeo = Command::new("skopeo");
    skopeo.args(["copy", "--insecure-policy", "--src-tls-verify=false"]);
    run(skopeo.args([&format!("docker://{name}"), &target_reference]));

    let podman = engines::podman();
    run(&mut podman.command(&["pull", "--quiet", "--tls-verify=false", &name]));
    assert_eq!(podman.run(&name, &[]), "registry\n1234\n");
}

#[test]
fn umoci_unpacks_the_layout() {
    let image = speaker("speaker", "unpacked");
    let copied = Copy::new(&image, "oci");
    let layout = Layout::read(&copied.path());
    assert_eq!(layout.digest(), digest(&image));
    let bundle = copied.directory.path().join("bundle");
    let reference = format!("{}:v1", copied.path().display());
    run(Command::new("umoci")
        .args(["unpack", "--image", &reference])
        .arg(&bundle));

    let rootfs = bundle.join("rootfs");
    let word = std::fs::read_to_string(rootfs.join("etc/words/unpacked")).unwrap();
    assert_eq!(word, "unpacked\n");
    let paths = store_paths(&image).into_iter();
    let in_store: Vec<String> = paths
        .filter(|(_, to_root)| !to_root)
        .map(|it| it.0)
        .collect();
    assert_eq!(in_store.len(), 1, "{in_store:?}");
    for path in in_store {
        let unpacked = rootfs.join(path.trim_start_matches('/'));
        let hash = |path: &Path| strata_nix::nar::hash(path).unwrap().hash;
        assert_eq!(hash(&unpacked), hash(Path::new(&path)), "{path}");
    }
}

#[rstest]
#[case::docker_archive("docker-archive")]
#[case::oci_archive("oci-archive")]
fn engines_run_archives(#[case] form: &str) {
    let word = form.replace("-archive", "-word");
    let image = speaker(&format!("speaker-{form}"), &word);
    let directory = tempfile::tempdir().unwrap();
    let archive = directory.path().join("archive.tar");
    copy(&image, &format!("{form}:{}", archive.display()));
    for engine in engines::all() {
        engine.load(&archive);
        let said = engine.run(&format!("speaker-{form}:v1"), &[]);
        assert_eq!(said, format!("{word}\n1234\n"), "{}", engine.name());
    }
}

/// Runs an image called `NAME:v1` in every engine; what it says must be this.
fn says_everywhere(image: &Path, name: &str, expected: &str) {
    let directory = tempfile::tempdir().unwrap();
    let archive = directory.path().join("archive.tar");
    copy(image, &format!("docker-archive:{}", archive.display()));
    for engine in engines::all() {
        engine.load(&archive);
        let said = engine.run(&format!("{name}:v1"), &[]);
        assert_eq!(said, expected, "{}", engine.name());
    }
}

/// What layers say about directories that lower layers have too. Some engines take it for the whole
/// image's word, some fall back to their own idea when it is missing.
#[test]
fn directories_of_lower_layers_keep_modes_and_owners() {
    let image = build(
        r#"
        let
          files = name: pkgs.runCommand name { } ''
            mkdir -p $out/etc $out/tmp $out/srv
            touch $out/etc/${name} $out/tmp/${name} $out/srv/${name}
          '';
          lower = files "lower";
          upper = files "upper";
        in
        buildImage {
          name = "ancestors";
          tag = "v1";
          layers = [
            (buildLayer {
              copyToRoot = files "middle";
              layers = [
                (buildLayer {
                  copyToRoot = lower;
                  perms = [
                    { path = lower; regex = "/tmp$"; mode = "1777"; }
                    { path = lower; regex = "/etc$"; mode = "0750"; uid = 7; gid = 8; }
                  ];
                })
              ];
            })
          ];
          copyToRoot = upper;
          # What only the uppermost layer has a rule about is so in the lower ones, too.
          perms = [ { path = upper; regex = "/srv$"; mode = "2775"; gid = 9; } ];
          config.Cmd = [
            "${pkgs.busybox}/bin/stat" "-c" "%n %a %u:%g" "/tmp" "/etc" "/srv"
            "/etc/lower" "/etc/middle" "/etc/upper" "/tmp/lower" "/tmp/upper" "/nix" "/nix/store"
          ];
        }
        "#,
    );
    // busybox is apart from what goes to `/`.
    assert_eq!(Layout::read(&image).layers().len(), 4);
    let expected = "\
        /tmp 1777 0:0\n/etc 750 7:8\n/srv 2775 0:9\n\
        /etc/lower 444 0:0\n/etc/middle 444 0:0\n/etc/upper 444 0:0\n\
        /tmp/lower 444 0:0\n/tmp/upper 444 0:0\n\
        /nix 755 0:0\n/nix/store 755 0:0\n";
    says_everywhere(&image, "ancestors", expected);
}

/// <https://github.com/nlewo/nix2container/issues/12>: who was not root could not read `/nix/store`.
#[test]
fn nix2container_12_anybody_reads_the_store() {
    let image = build(
        r#"
        buildImage {
          name = "anybody";
          tag = "v1";
          maxLayers = 3;
          config.User = "12345";
          config.Cmd = [ "${pkgs.bash}/bin/bash" "-c" "cd /nix/store && for i in *-*; do echo \${i#*-}; done" ];
        }
        "#,
    );
    assert_eq!(Layout::read(&image).layers().len(), 3);
    let paths = store_paths(&image);
    let mut expected: Vec<&str> = paths.keys().map(|path| name_of(path)).collect();
    expected.sort_unstable();
    assert_eq!(expected.len(), 3, "{expected:?}");
    let directory = tempfile::tempdir().unwrap();
    let archive = directory.path().join("archive.tar");
    copy(&image, &format!("docker-archive:{}", archive.display()));
    for engine in engines::all() {
        engine.load(&archive);
        let said = engine.run("anybody:v1", &[]);
        let mut names: Vec<&str> = said.lines().collect();
        names.sort_unstable();
        assert_eq!(names, expected, "{}", engine.name());
    }
}

/// <https://github.com/nlewo/nix2container/issues/140>,
/// <https://github.com/nlewo/nix2container/issues/201>: an `/etc` that several sources share, of
/// which one has rules, as people wrote it.
#[rstest]
fn nix2container_140_201_shared_directories(#[values(1, 2, 100)] max_layers: usize) {
    let image = build(&format!(
        r#"
        let
          passwd = pkgs.writeTextDir "etc/passwd" "root:x:0:0::/root:/bin/sh\n";
          shadow = pkgs.writeTextDir "etc/shadow" "root:!:1::::::\n";
          root = pkgs.buildEnv {{ name = "root"; paths = [ pkgs.busybox ]; pathsToLink = [ "/bin" ]; }};
        in
        buildImage {{
          name = "shared-{max_layers}";
          tag = "v1";
          maxLayers = {max_layers};
          copyToRoot = [ root passwd shadow ];
          perms = [
            {{ path = shadow; regex = "/etc/shadow$"; mode = "0640"; gid = 42; }}
            {{ path = shadow; regex = "/etc$"; mode = "0711"; }}
          ];
          config.Cmd = [ "/bin/stat" "-c" "%n %a %g" "/etc" "/etc/passwd" "/etc/shadow" "/bin/sh" ];
        }}
        "#
    ));
    let expected = "/etc 711 0\n/etc/passwd 444 0\n/etc/shadow 640 42\n/bin/sh 777 0\n";
    says_everywhere(&image, &format!("shared-{max_layers}"), expected);
}

/// Everything that `config` mentions is in the image and nothing else: a file below a package, one
/// output of several, a text in a sentence; the name of a derivation is no package.
#[test]
fn what_config_mentions_is_there() {
    let image = build(
        r#"
        let
          multi = derivation {
            name = "multi";
            system = "x86_64-linux";
            outputs = [ "out" "data" ];
            builder = "${pkgs.busybox}/bin/sh";
            PATH = "${pkgs.busybox}/bin";
            args = [ "-c" "mkdir $out $data; echo data of multi > $data/file; echo no > $out/file" ];
          };
          script = pkgs.writeShellScript "script" ''
            cat "$FILE"
            [ -e "$ABSENT" ] || echo no output that nobody mentions
            cat ''${SENTENCE#*: }
          '';
          text = pkgs.writeText "text.txt" "a text\n";
        in
        buildImage {
          name = "mentions";
          tag = "v1";
          config = {
            Entrypoint = [ script ];
            Env = [
              "PATH=${pkgs.busybox}/bin"
              "FILE=${multi.data}/file"
              "ABSENT=${builtins.unsafeDiscardStringContext "${multi}"}/file"
              "SENTENCE=read this: ${text}"
            ];
            Labels.derivation = multi.drvPath;
          };
        }
        "#,
    );
    let paths = store_paths(&image);
    let names: Vec<&str> = paths.keys().map(|path| name_of(path)).collect();
    for (name, is_there) in [("multi-data", true), ("multi", false), ("multi.drv", false)] {
        assert_eq!(names.contains(&name), is_there, "{names:?}");
    }
    let expected = "data of multi\nno output that nobody mentions\na text\n";
    says_everywhere(&image, "mentions", expected);
}
