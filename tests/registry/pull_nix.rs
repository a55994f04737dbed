//! Images out of registries by real fixed-output derivations, with and without Nix's sandbox, and
//! images on top of them.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "this is a test"
)]

use strata_testing as support;

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::proxy::Proxy;
use crate::remote::{digest, image_of, nar_hash, push, push_index, skopeo};
use serde_json::{Value, json};
use support::bases::Packed;
use support::engines::{Engine, podman};
use support::nix::{SANDBOX, digest as image_digest, expression, nix, references, strata};
use support::registry::{Certificate, NAME, PASSWORD, Registry, Setup, USERNAME, run};

/// Nix keeps what it fetched, so each run has images of its own.
fn fresh(word: &str) -> String {
    let time = std::time::UNIX_EPOCH.elapsed().unwrap().as_nanos();
    format!("{word} {} {time}", std::process::id())
}

/// `nix-build` of an [`expression`], without variables of the user's that lead elsewhere.
fn nix_build(body: &str) -> Command {
    let mut command = nix("nix-build");
    command.args(["--no-out-link", "--expr", &expression(body)]);
    for name in ["NETRC", "REGISTRY_AUTH_FILE", "NIX_SSL_CERT_FILE"] {
        command.env_remove(name);
    }
    command
}

fn built(command: &mut Command) -> PathBuf {
    PathBuf::from(run(command).trim_end())
}

/// What Nix says about a build that fails.
fn failure(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success(), "{said}");
    said
}

/// An image in a registry, and what skopeo makes of it.
struct Pushed {
    name: String,
    digest: String,
    /// What skopeo writes, and its hash.
    directory: tempfile::TempDir,
    hash: String,
}

/// Pushes an image of its own to an open registry.
fn push_fresh(registry: &Registry, word: &str, packed: Packed, flags: &[&str]) -> Pushed {
    let name = format!("{}/name", registry.host);
    push(
        &image_of(&fresh(word), packed),
        &format!("{name}:v1"),
        flags,
    );
    pushed(registry)
}

fn pushed(registry: &Registry) -> Pushed {
    let name = format!("{}/name", registry.host);
    let digest = digest(&registry.host, "name", "v1");
    let directory = tempfile::tempdir().unwrap();
    let theirs = directory.path().join("theirs");
    skopeo(&[
        &format!("docker://{name}@{digest}"),
        &format!("dir:{}", theirs.display()),
    ]);
    Pushed {
        name,
        digest,
        hash: nar_hash(&theirs),
        directory,
    }
}

impl Pushed {
    /// `pullImage` of it, with more arguments.
    fn pull(&self, more: &str) -> String {
        format!(
            "strata.pullImage {{ imageName = \"{}\"; imageDigest = \"{}\"; sha256 = \"{}\"; \
             tlsVerify = false; {more} }}",
            self.name, self.digest, self.hash
        )
    }

    fn is_at(&self, path: &Path) {
        let theirs = self.directory.path().join("theirs");
        run(Command::new("diff").arg("-r").arg(theirs).arg(path));
    }
}

/// nlewo/nix2container#76, #177: the hash of a base is the one of skopeo's directory, and another one is
/// refused with the right one in the message.
#[test]
fn nix2container_177_existing_hashes_keep_working() {
    let registry = Registry::start(Setup::default());
    for (packed, flags) in [
        (Packed::Gzip, &["--format", "v2s2"][..]),
        (Packed::Zstd, &[]),
    ] {
        let image = push_fresh(&registry, "plain", packed, flags);
        let wrong = image.pull("").replace(&image.hash, &"0".repeat(52));
        let said = failure(nix_build(&wrong).args(SANDBOX));
        let sri = run(nix("nix").args(["hash", "to-sri", "--type", "sha256", &image.hash]));
        assert!(
            said.contains("hash mismatch") && said.contains(sri.trim()),
            "{said}"
        );
        let output = built(nix_build(&image.pull("")).args(SANDBOX));
        assert!(output.to_str().unwrap().ends_with("-name"), "{output:?}");
        image.is_at(&output);
        // A prefetched hash in the other forms.
        for form in ["hash", "sha256"] {
            let other = format!("{form} = \"{}\";", sri.trim());
            let pull = image
                .pull("")
                .replace(&format!("sha256 = \"{}\";", image.hash), &other);
            assert_eq!(built(&mut nix_build(&pull)), output);
        }
    }
}

/// A prefetch that was given the digest of an index: the image of `arch` is taken, and the log says
/// which.
#[test]
fn nixpkgs_133515_the_digest_of_an_index() {
    let registry = Registry::start(Setup::default());
    let name = format!("{}/name", registry.host);
    for architecture in ["amd64", "arm64"] {
        let mut image = image_of(&fresh(architecture), Packed::Gzip);
        architecture.clone_into(&mut image.architecture);
        push(&image, &format!("{name}:{architecture}"), &[]);
    }
    let platform = |name: &str| json!({ "os": "linux", "architecture": name });
    let images = [("amd64", platform("amd64")), ("arm64", platform("arm64"))];
    let index = push_index(&registry.host, "name", "v1", &images);
    let directory = tempfile::tempdir().unwrap();
    let theirs = directory.path().join("theirs");
    let arguments = ["--override-os=linux", "--override-arch=arm64"];
    let copied = [
        format!("docker://{name}@{index}"),
        format!("dir:{}", theirs.display()),
    ];
    skopeo(&[arguments[0], arguments[1], &copied[0], &copied[1]]);
    let image = Pushed {
        hash: nar_hash(&theirs),
        digest: index.clone(),
        name,
        directory,
    };
    let output = nix_build(&image.pull("arch = \"arm64\";"))
        .args(SANDBOX)
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}");
    let own = digest(&registry.host, "name", "arm64");
    let expected = format!("{index} is an index; its image for linux/arm64 is {own}");
    assert!(said.contains(&expected), "{said}");
    image.is_at(Path::new(
        String::from_utf8(output.stdout).unwrap().trim_end(),
    ));

    // The hash of one platform is not that of another.
    let other = image.pull("arch = \"amd64\"; name = \"other\";");
    assert!(failure(&mut nix_build(&other)).contains("hash mismatch"));
    let none = image.pull("arch = \"s390x\"; name = \"none\";");
    let said = failure(&mut nix_build(&none));
    assert!(said.contains("there is no image for linux/s390x"), "{said}");
}

/// nlewo/nix2container#137 and #104: private images, by a file that the sandbox shows or that the
/// environment names. No secret is in the derivation, its log or its output.
#[test]
fn nix2container_137_private_images_are_pulled() {
    let registry = Registry::start(Setup {
        password: true,
        ..Setup::default()
    });
    let login = format!("{USERNAME}:{PASSWORD}");
    let file = registry.file(
        "auth.json",
        &format!(
            r#"{{"auths":{{"{}":{{"auth":"dGVzdGVyOmNvcnJlY3QtaG9yc2U="}}}}}}"#,
            registry.host
        ),
    );
    let entry = format!("machine 127.0.0.1 login {USERNAME} password {PASSWORD}");
    let netrc = registry.file("netrc", &entry);
    let file = file.display();
    let shown = format!("/etc/skopeo/auth.json={file}");
    let paths = ["--option", "extra-sandbox-paths", &shown];
    let name = format!("{}/name", registry.host);
    for way in ["sandbox path", "authFile", "NETRC", "REGISTRY_AUTH_FILE"] {
        push(
            &image_of(&fresh(way), Packed::Gzip),
            &format!("{name}:v1"),
            &["--dest-creds", &login],
        );
        let directory = tempfile::tempdir().unwrap();
        let theirs = directory.path().join("theirs");
        let target = format!("dir:{}", theirs.display());
        skopeo(&[
            "--src-creds",
            &login,
            &format!("docker://{name}:v1"),
            &target,
        ]);
        let manifest = std::fs::read(theirs.join("manifest.json")).unwrap();
        let image = Pushed {
            name: name.clone(),
            digest: strata_digest(&manifest),
            hash: nar_hash(&theirs),
            directory,
        };
        let said = failure(&mut nix_build(&image.pull("")));
        assert!(said.contains("cannot log in to the registry"), "{said}");
        let mut command = match way {
            "sandbox path" => {
                let mut command = nix_build(&image.pull(""));
                command.args(SANDBOX).args(paths);
                command
            }
            "authFile" => nix_build(&image.pull(&format!("authFile = \"{file}\";"))),
            "NETRC" => {
                let mut command = nix_build(&image.pull(""));
                command.env("NETRC", &netrc);
                command
            }
            _ => {
                let mut command = nix_build(&image.pull(""));
                command.env(
                    "REGISTRY_AUTH_FILE",
                    registry.certificates().with_file_name("auth.json"),
                );
                command
            }
        };
        let output = command.output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{way}: {said}");
        assert!(!said.contains(PASSWORD), "{said}");
        image.is_at(Path::new(
            String::from_utf8(output.stdout).unwrap().trim_end(),
        ));
    }
}

fn strata_digest(bytes: &[u8]) -> String {
    strata_oci::Digest::of(bytes).to_string()
}

/// TLS with an authority of one's own, which the environment names; and only then.
#[test]
fn an_authority_of_ones_own_is_trusted() {
    let registry = Registry::start(Setup {
        tls: Some(Certificate::Signed),
        ..Setup::default()
    });
    let image = push_fresh(&registry, "tls", Packed::Gzip, &[]);
    let pull = image.pull("").replace("tlsVerify = false;", "");
    let said = failure(&mut nix_build(&pull));
    assert!(said.contains("certificate"), "{said}");
    let authority = registry.certificates().join("ca.crt");
    let output = built(nix_build(&pull).env("NIX_SSL_CERT_FILE", authority));
    image.is_at(&output);
}

/// nlewo/nix2container#104: the proxy of the environment is the way to the registry.
#[test]
fn nix2container_104_a_proxy_is_used() {
    let registry = Registry::start(Setup::default());
    let image = push_fresh(&registry, "proxy", Packed::Gzip, &[]);
    let proxy = Proxy::start(&registry.host, None);
    let pull = image
        .pull("")
        .replace(&image.name, &format!("{NAME}:5000/name"));
    let output = built(nix_build(&pull).env("all_proxy", format!("http://{}", proxy.host)));
    image.is_at(&output);
    let origin = format!("GET http://{NAME}:5000/v2/name/blobs/");
    assert!(
        proxy.seen().iter().any(|seen| seen.starts_with(&origin)),
        "{:?}",
        proxy.seen()
    );
}

/// A base with a shell, built by podman, which has buildah in it.
fn push_base(registry: &Registry, word: &str) {
    let context = tempfile::tempdir().unwrap();
    let at = |name: &str| context.path().join(name);
    std::fs::create_dir_all(at("root/bin")).unwrap();
    std::fs::copy("/bin/busybox", at("root/bin/busybox")).unwrap();
    std::os::unix::fs::symlink("busybox", at("root/bin/sh")).unwrap();
    std::fs::write(at("word"), word).unwrap();
    let file = "FROM scratch\nCOPY root /\nCOPY word /etc/word\nENV PATH=/bin BASE=base\nUSER 12:34\n\
                ENTRYPOINT [\"/bin/sh\", \"-c\"]\n";
    std::fs::write(at("Dockerfile"), file).unwrap();
    let name = format!("{}/name:v1", registry.host);
    let build = ["build", "--quiet", "--layers", "--tag", &name];
    run(podman().command(&build).arg(context.path()));
    run(&mut podman().command(&["push", "--quiet", "--tls-verify=false", &name]));
}

/// Builds an image on top of what an expression pulls, and runs it.
fn runs(base: &str, tag: &str, word: &str) -> PathBuf {
    let body = format!(
        r#"buildImage {{
          name = "on-pulled"; tag = "{tag}";
          fromImage = {base};
          copyToRoot = pkgs.writeTextDir "etc/own" "own";
          config.Cmd = [ "busybox cat /etc/word /etc/own; echo $BASE; busybox id -u" ];
        }}"#
    );
    let image = built(nix_build(&body).args(SANDBOX));
    let directory = tempfile::tempdir().unwrap();
    let archive = directory.path().join("image.tar");
    let mut copy = strata();
    copy.args(["copy", "--quiet"]).arg(&image);
    run(copy.arg(format!("docker-archive:{}", archive.display())));
    podman().load(&archive);
    let said = podman().run(&format!("on-pulled:{tag}"), &[]);
    assert_eq!(said, format!("{word}ownbase\n12\n"));
    image
}

/// From buildah's push to a container: whole, by a manifest, and by a lock file that is brought up to
/// date without any hash.
#[test]
fn images_on_pulled_images_run() {
    let registry = Registry::start(Setup::default());
    let word = fresh("first");
    push_base(&registry, &word);
    let image = pushed(&registry);
    let whole = format!("({})", image.pull(""));
    let first = runs(&whole, "whole", &word);
    // Where a push takes the layers from.
    let base = &inspect(&first)["annotations"]["org.opencontainers.image.base.name"];
    assert_eq!(*base, json!(image.name));

    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    let split = format!(
        "(strata.pullImageFromManifest {{ imageName = \"name\"; imageTag = \"v1\"; tlsVerify = false; \
         registryUrl = \"{}\"; imageManifest = {}; }})",
        registry.host,
        at("manifest.json").display()
    );
    // The first time there is no manifest yet. It is asked for as docs/guides/base-images.md says.
    let none = split.replace(&at("manifest.json").display().to_string(), "null");
    let image_on_none = format!("(buildImage {{ name = \"x\"; fromImage = {none}; }})");
    let get_manifest = format!("{image_on_none}.fromImage.getManifest");
    let script = built(&mut nix_build(&get_manifest));
    let manifest = run(&mut Command::new(script.join("bin/get-manifest")));
    assert_eq!(strata_digest(manifest.as_bytes()), image.digest);
    std::fs::write(at("manifest.json"), manifest).unwrap();
    let joined = built(&mut nix_build(&split));
    image.is_at(&joined);
    // Each blob is a store path of its own, which a cache and the garbage collector know of.
    assert_eq!(references(&joined).len(), 5);
    assert!(joined.join("manifest.json").is_symlink());
    let second = runs(&split, "split", &word);
    assert_eq!(layers(&first), layers(&second));
    // The image keeps the links and so the layers.
    assert!(references(&second).contains(joined.to_str().unwrap()));

    let lock = at("image.lock.json");
    let mut command = strata();
    let text = run(command.args(["lock", &format!("{}:v1", image.name)]));
    std::fs::write(&lock, text).unwrap();
    let locked = format!(
        "(strata.pullImage {{ lock = {}; tlsVerify = false; }})",
        lock.display()
    );
    // What was fetched by the manifest is not fetched again: only the manifest is new.
    let output = nix_build(&locked).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}");
    assert_eq!(said.matches("building '").count(), 2, "{said}");
    image.is_at(Path::new(
        String::from_utf8(output.stdout).unwrap().trim_end(),
    ));
    let third = runs(&locked, "locked", &word);
    assert_eq!(layers(&first), layers(&third));

    // NixOS/nixpkgs#283098.
    let word = fresh("second");
    push_base(&registry, &word);
    run(strata().arg("lock").arg("--update").arg(&lock));
    let fourth = runs(&locked, "updated", &word);
    assert_ne!(image_digest(&first), image_digest(&fourth));
}

fn inspect(image: &Path) -> Value {
    let mut inspect = strata();
    let text = run(inspect.args(["inspect", "--json"]).arg(image));
    serde_json::from_str(&text).unwrap()
}

/// The digests of an image's layers.
fn layers(image: &Path) -> Vec<String> {
    let value = inspect(image);
    let layers = value["layers"].as_array().unwrap().iter();
    layers.map(|layer| layer["digest"].to_string()).collect()
}

/// umoci's images, and those of skopeo's other format.
#[test]
fn images_of_umoci_are_pulled() {
    let registry = Registry::start(Setup::default());
    let directory = tempfile::tempdir().unwrap();
    let layout = directory.path().join("layout").display().to_string();
    let file = directory.path().join("word");
    std::fs::write(&file, fresh("umoci")).unwrap();
    let image = format!("{layout}:v1");
    run(Command::new("umoci").args(["init", "--layout", &layout]));
    run(Command::new("umoci").args(["new", "--image", &image]));
    let insert = [
        "insert",
        "--image",
        &image,
        file.to_str().unwrap(),
        "/etc/word",
    ];
    run(Command::new("umoci").args(insert));
    let reference = format!("docker://{}/name:v1", registry.host);
    for flags in [&[][..], &["--format", "v2s2"]] {
        skopeo(&[flags, &[&format!("oci:{image}"), &reference]].concat());
        let pushed = pushed(&registry);
        let output = built(nix_build(&pushed.pull("")).args(SANDBOX));
        pushed.is_at(&output);
        let body = format!(
            "buildImage {{ name = \"x\"; fromImage = {}; }}",
            pushed.pull("")
        );
        built(&mut nix_build(&body));
    }
}
