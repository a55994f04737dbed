//! Whoever knows nothing of tables reads the layer as Zstandard.

use std::fs;

use serde_json::Value;
use strata_testing::fake_store::FakeStore;
use strata_testing::registry::{Registry, Setup};

use crate::closure::{Built, Change, build};
use crate::debian::Place;
use crate::partial_pulls::push_as;

/// What each of them does with the image.
const READERS: [(&str, &str); 3] = [
    (
        "skopeo",
        "skopeo copy --src-tls-verify=false docker://\"$1\" dir:copy >&2",
    ),
    (
        "dockerd",
        "mkdir docker
        dockerd --iptables=false --ip6tables=false --ip-forward=false --ip-masq=false --userland-proxy=false \\
            --bridge=none --data-root $PWD/docker/data --exec-root $PWD/docker/exec --pidfile $PWD/docker/pid \\
            -H unix://$PWD/docker/s.sock >docker/log 2>&1 &
        export DOCKER_HOST=unix://$PWD/docker/s.sock
        for _ in $(seq 100); do docker version >/dev/null 2>&1 && break; sleep .2; done
        docker pull -q \"$1\" >&2
        docker save -o image.tar \"$1\"
        kill %1; wait %1 || true",
    ),
    (
        "containerd",
        "mkdir containerd
        printf 'version=2\\nroot=\"%s/root\"\\nstate=\"%s/state\"\\ndisabled_plugins=[\"io.containerd.grpc.v1.cri\"]\\n[grpc]\\n address=\"%s/c.sock\"\\n[plugins.\"io.containerd.internal.v1.opt\"]\\n path=\"%s/opt\"\\n' \\
            $PWD/containerd $PWD/containerd $PWD/containerd $PWD/containerd >containerd/c.toml
        containerd -c containerd/c.toml >containerd/log 2>&1 &
        for _ in $(seq 100); do ctr -a $PWD/containerd/c.sock version >/dev/null 2>&1 && break; sleep .2; done
        ctr -a $PWD/containerd/c.sock images pull --local --plain-http --snapshotter native \"$1\" >&2
        kill %1; wait %1 || true",
    ),
];

#[test]
fn others_read_the_layer() {
    let registry = Registry::start(Setup::default());
    let mut store = FakeStore::new();
    let Built { image, .. } = build(&mut store, Change::default());
    push_as(&image, &registry.host, "tag");
    let place = Place::new();
    for (reader, script) in READERS {
        place.run_well(script, &[&format!("{}/name:tag", registry.host)]);
        println!("{reader} reads it");
    }
    let manifest = fs::read(place.path().join("copy/manifest.json")).unwrap();
    let manifest: Value = serde_json::from_slice(&manifest).unwrap();
    let layer = &manifest["layers"][0];
    assert_eq!(layer["annotations"].as_object().unwrap().len(), 3);
    let digest = layer["digest"]
        .as_str()
        .unwrap()
        .strip_prefix("sha256:")
        .unwrap();
    let script = "zstd --quiet --test - <\"$1\" && zstd -dc <\"$1\" | tar --list | wc -l";
    let blob = format!("copy/{digest}");
    let count = place.run_well(script, &[&blob]);
    let expected = image.layers[0].recipe().unwrap().sources.len();
    assert!(
        count.trim().parse::<usize>().unwrap() > 8 * expected,
        "{count}"
    );
}
