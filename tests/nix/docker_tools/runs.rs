//! What containers of the examples say.

use std::io::Write as _;
use std::net::TcpStream;

use super::support::engines::{self, Engine};
use super::{archive_of, example, files, layout, loaded, run, says, tag_of, try_run};

/// A criterion, the example, the command if it is not the image's own, and a line that it says.
type Row = (
    &'static str,
    &'static str,
    &'static [&'static str],
    &'static str,
);

const ROWS: &[Row] = &[
    ("T1", "helloOnRoot", &[], "Hello, world!"),
    (
        "T9",
        "bash",
        &["/bin/bash", "--version"],
        "GNU bash, version",
    ),
    (
        "T13",
        "bashLayeredWithUser",
        &[],
        "755 /nix\n755 /nix/store\n1000",
    ),
    ("T14", "nix", &["/bin/readlink", "/bin/nix-daemon"], "nix"),
    (
        "T15",
        "nixLayered",
        &["/bin/readlink", "/bin/nix-daemon"],
        "nix",
    ),
    ("T18", "prefixedImage", &[], "Hello, world!"),
    (
        "T19",
        "runAsRootExtraCommands",
        &["/bin/cat", "/runAsRoot"],
        "(runAsRoot)",
    ),
    (
        "T19",
        "runAsRootExtraCommands",
        &["/bin/cat", "/extraCommands"],
        "(extraCommands)",
    ),
    ("T22", "layeredImage", &[], "Hello, world!"),
    (
        "T22",
        "layeredImage",
        &["cat", "/extraCommands"],
        "(extraCommands)",
    ),
    ("T23", "onTopOfLayered", &[], "hello"),
    ("T24", "layeredOnTopOfLayered", &[], "hello"),
    ("T26", "layersOrder", &["/bin/cat", "/tmp/layer1"], "layer1"),
    ("T26", "layersOrder", &["/bin/cat", "/tmp/layer2"], "layer2"),
    ("T26", "layersOrder", &["/bin/cat", "/tmp/layer3"], "layer3"),
    (
        "T27",
        "layersUnpackOrder",
        &["/bin/cat", "/layer-order"],
        "abc",
    ),
    (
        "T29",
        "environmentVariables",
        &["/bin/env"],
        "FROM_PARENT=true",
    ),
    (
        "T29",
        "environmentVariables",
        &["/bin/env"],
        "FROM_CHILD=true",
    ),
    (
        "T29",
        "environmentVariables",
        &["/bin/env"],
        "LAST_LAYER=child",
    ),
    (
        "T30",
        "environmentVariablesLayered",
        &["/bin/env"],
        "FROM_PARENT=true",
    ),
    (
        "T30",
        "environmentVariablesLayered",
        &["/bin/env"],
        "LAST_LAYER=child",
    ),
    ("T32", "bulkLayer", &["/bin/hello"], "Hello, world!"),
    (
        "T33",
        "bulkLayer",
        &["/bin/ls", "/bin/hello", "/bin/env"],
        "/bin/env",
    ),
    ("T34", "fourLayers", &[], "Hello, world!"),
    (
        "T35",
        "noStorePaths",
        &["/bin/sh", "-c", "ls -d /nix 2>/dev/null || echo none"],
        "none",
    ),
    ("T40", "prefixedLayeredImage", &[], "Hello, world!"),
    (
        "T41",
        "fakeRoot",
        &["/bin/stat", "-c", "%u", "/home/somebody"],
        "1000",
    ),
    (
        "T41",
        "fakeRoot",
        &["/bin/stat", "-c", "%a", "/home/somebody"],
        "4755",
    ),
    ("T45", "fakeRoot", &["/hello"], "Hello, world!"),
    ("T48", "fakeChroot", &["/tools/hello"], "Hello, world!"),
    (
        "T49",
        "imageWithPath",
        &["/bin/cat", "/greeting"],
        "Hello from a directory",
    ),
    (
        "T49",
        "layeredImageWithPath",
        &["/bin/cat", "/greeting"],
        "Hello from a directory",
    ),
    ("T51", "etc", &[], "127.0.0.1 localhost"),
    (
        "T53",
        "fakeChroot",
        &["/bin/stat", "-c", "%u:%g", "/home/somebody"],
        "12345:12345",
    ),
    (
        "T54",
        "storeOwner",
        &["/bin/stat", "-c", "%u:%g", "/nix/store"],
        "12345:12345",
    ),
    ("O3", "service", &[], "kept"),
    (
        "shadowSetup",
        "shadow",
        &["/bin/cat", "/etc/pam.d/other"],
        "pam_unix.so nullok yescrypt",
    ),
    (
        "shadowSetup",
        "shadow",
        &["/bin/stat", "-c", "%u:%g", "/home/somebody"],
        "1000:1000",
    ),
    ("binSh, usrBinEnv", "environment", &[], "greeted"),
    (
        "fakeNss",
        "environment",
        &[
            "/bin/sh",
            "-c",
            "IFS= read -r line < /etc/passwd; echo $line",
        ],
        "root:x:0:0:root user:/var/empty:/bin/sh",
    ),
];

#[test]
fn t01_to_t54_containers_say_what_they_should() {
    for (criterion, name, arguments, expected) in ROWS {
        let said = says(name, arguments);
        assert!(said.contains(expected), "{criterion}: {name} says {said:?}");
    }
}

#[test]
fn t01_t11_docker_loads_and_runs_them() {
    let docker = engines::docker();
    for (name, arguments, expected) in [
        ("helloOnRoot", &[][..], "Hello, world!"),
        ("layeredImage", &[], "Hello, world!"),
        ("uncompressed", &[], "Hello, world!"),
        ("bash", &["/bin/bash", "--version"], "GNU bash"),
        ("imageUncompressed", &["/bin/bash", "--version"], "GNU bash"),
        (
            "fakeRoot",
            &["/bin/stat", "-c", "%u", "/home/somebody"],
            "1000",
        ),
        ("service", &[], "kept"),
    ] {
        let archive = archive_of(&example(name));
        docker.load(&archive);
        let said = docker.run(&tag_of(&archive), arguments);
        assert!(said.contains(expected), "{name} says {said:?}");
    }
    // As it is: Docker decompresses gzip itself.
    docker.load(&example("anotherLayeredImage"));
    assert_eq!(
        docker.run("another-layered-image:latest", &[]),
        "Hello, world!\n"
    );
}

#[test]
fn t02_to_t07_without_store_paths_the_host_store_is_mounted() {
    for name in ["helloOnRootNoStore", "helloOnRootNoStoreFakechroot"] {
        assert!(!try_run(name, &[], &[]).status.success(), "T2, T3: {name}");
        let in_store = |path: &&String| path.trim_start_matches('/').starts_with("nix/store/");
        assert_eq!(
            files(&layout(name)).iter().find(in_store),
            None,
            "T4, T5: {name}"
        );
        let mounted = try_run(name, &["--volume", "/nix/store:/nix/store:ro"], &[]);
        let said = String::from_utf8_lossy(&mounted.stdout).into_owned();
        assert_eq!(said, "Hello, world!\n", "T6, T7: {name}: {mounted:?}");
    }
    assert!(files(&layout("helloOnRootNoStoreFakechroot")).contains("made/"));
}

#[test]
fn t11_t46_all_compressors_load() {
    for name in ["zstd", "uncompressed", "layeredImage"] {
        assert_eq!(says(name, &[]), "Hello, world!\n", "{name}");
    }
    for name in ["imageZstd", "imageUncompressed"] {
        assert!(
            says(name, &["/bin/bash", "--version"]).contains("GNU bash"),
            "{name}"
        );
    }
}

#[test]
fn t12_t36_t55_t56_nix_knows_what_is_in_the_image() {
    let closure = "nix-store -qR $(readlink -f /bin/nix) 2>&1";
    let verify = "nix-store --verify --check-contents 2>&1 && echo verified";
    for name in ["nix", "nixLayered"] {
        let known = says(name, &["/bin/bash", "-c", closure]);
        assert!(known.contains("-glibc-"), "T12, T56: {name}: {known}");
        let said = says(name, &["/bin/bash", "-c", verify]);
        let is_intact = said.ends_with("verified\n") && !said.contains("error");
        assert!(
            is_intact && !said.contains("not valid"),
            "T36: {name}: {said}"
        );
        let roots = says(name, &["/bin/ls", "/nix/var/nix/gcroots/docker"]);
        assert!(roots.contains("-bash-"), "{name}: {roots}");
    }
    let references = says(
        "nixDbStream",
        &["/bin/nix-store", "-q", "--references", "/bin/bash"],
    );
    assert!(references.contains("glibc"), "T55: {references}");
}

/// NixOS/nixpkgs#257172: no image gets a `/tmp` that it did not ask for.
#[test]
fn nixpkgs_257172_scripts_may_make_tmp_and_nobody_else_does() {
    let has_tmp = |name| {
        files(&layout(name))
            .iter()
            .any(|path| path.starts_with("tmp"))
    };
    assert!(has_tmp("layersOrder"));
    for name in [
        "service",
        "shadow",
        "layersUnpackOrder",
        "fakeChroot",
        "bash",
    ] {
        assert!(!has_tmp(name), "{name}");
    }
}

#[test]
fn t17_a_server_serves_on_a_published_port() {
    let podman = engines::podman();
    let image = format!("docker.io/library/{}", loaded("web"));
    // podman chooses the port.
    let mut start = podman.command(&["run", "--detach", "--rm", "--pull", "never"]);
    start.args(["--publish", "127.0.0.1::8080"]);
    start.args([
        "--ulimit",
        "nofile=1024:4096",
        "--ulimit",
        "nproc=1000:1000",
    ]);
    let container = run(start.arg(image)).trim().to_owned();
    let address = run(&mut podman.command(&["port", &container, "8080/tcp"]));
    let fetch = || -> std::io::Result<String> {
        let mut connection = TcpStream::connect(address.trim())?;
        connection.write_all(b"GET / HTTP/1.0\r\n\r\n")?;
        std::io::read_to_string(connection)
    };
    let mut said = fetch();
    for _ in 0..100 {
        if said.as_ref().is_ok_and(|said| said.contains("served")) {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
        said = fetch();
    }
    run(&mut podman.command(&["rm", "--force", &container]));
    let said = said.unwrap();
    assert!(said.ends_with("<h1>served</h1>\n"), "{said}");
}

#[test]
fn t38_a_store_path_that_is_a_symlink_stays_one() {
    let links = "for path in /nix/store/*-symlink; do [ -L $path ] && echo link; done";
    assert_eq!(
        says("layeredStoreSymlink", &["/bin/bash", "-c", links]),
        "link\n"
    );
}

#[test]
fn t42_to_t46_merged_images_run() {
    let podman = engines::podman();
    for name in [
        "merged",
        "mergedWithoutTag",
        "mergedFakeRoot",
        "mergedCompressors",
    ] {
        podman.load(&archive_of(&example(name)));
    }
    assert_eq!(podman.run("layered-image:latest", &[]), "Hello, world!\n");
    assert!(
        podman
            .run("bash:latest", &["/bin/bash", "--version"])
            .contains("GNU bash")
    );
    let owner = ["/bin/stat", "-c", "%u", "/home/somebody"];
    assert_eq!(
        podman.run("layered-fakeroot:latest", &owner),
        "1000\n",
        "T44"
    );
    assert_eq!(
        podman.run("another-layered-image:latest", &[]),
        "Hello, world!\n",
        "T46"
    );
}

#[test]
fn t52_certificates_are_where_programs_look() {
    for path in [
        "/etc/ssl/certs/ca-bundle.crt",
        "/etc/ssl/certs/ca-certificates.crt",
        "/etc/pki/tls/certs/ca-bundle.crt",
    ] {
        let head = says("certificates", &["/bin/head", "-n", "40", path]);
        assert!(head.contains("BEGIN CERTIFICATE"), "{path}");
    }
}

#[test]
fn o1_others_than_root_may_read_the_store() {
    let ran = try_run(
        "bash",
        &["--user", "1000:1000"],
        &["/bin/bash", "--version"],
    );
    assert!(ran.status.success(), "{ran:?}");
}
