//! The image of the registry, built with Strata: Nix in a container builds what is pulled from it.

use std::time::{Duration, Instant};

use crate::serving::ask;
use strata_testing::engines::{self, Engine as _};
use strata_testing::nix::{build, offline_nixpkgs_with_nix, strata};
use strata_testing::registry::run;

#[test]
fn the_image_of_the_registry_builds_images() {
    let set = offline_nixpkgs_with_nix().display().to_string();
    let registry = format!("(strata.registry.override {{ nixpkgs = \"{set}\"; }}).image");
    let layout = build(&registry);
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("image.tar");
    let mut copy = strata();
    copy.args(["copy", "--quiet"]).arg(&layout);
    run(copy.arg(format!("docker-archive:{}", file.display())));
    let podman = engines::podman();
    podman.load(&file);

    // A port of its own, as far as nobody takes it in between.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let host = listener.local_addr().unwrap().to_string();
    drop(listener);
    // The package set is not in the store here, as it is elsewhere.
    let volume = format!("{set}:{set}:ro");
    let run_options = ["run", "--detach", "--network", "host", "--pull", "never"];
    let mut command = podman.command(&run_options);
    command.args([
        "--ulimit",
        "nofile=1024:4096",
        "--ulimit",
        "nproc=1000:1000",
    ]);
    command.args([
        "--volume",
        &volume,
        "docker.io/library/strata-registry:latest",
    ]);
    command.args(["strata-registry", "--listen", &host]);
    let container = run(&mut command).trim().to_owned();
    let end = Instant::now() + Duration::from_secs(20);
    while std::net::TcpStream::connect(&host).is_err() {
        assert!(
            Instant::now() < end,
            "{}",
            run(&mut podman.command(&["logs", &container]))
        );
        std::thread::sleep(Duration::from_millis(50));
    }
    let manifest = ask(&host, "GET", "/v2/hello/manifests/latest", &[]);
    let stop = ["rm", "--force", "--time", "2", &container];
    run(&mut podman.command(&stop));
    assert_eq!(manifest.status, 200, "{}", manifest.text());
}
