//! The image of Nix itself, made by `docker.nix` (`tests/nixos/containers` and the container test of NixOS/nix).

use rstest::rstest;

use super::support::engines::{self, Engine};
use super::support::nix::{ROOT, build};
use super::{archive_of, tag_of};

/// What Nix has to do in it, as whoever runs it. `set -e` makes each line an assertion.
const WORK: &str = r#"
    set -e
    nix --version > /dev/null
    echo "user: $(id -u) $HOME"
    echo "store: $(stat -c %u /nix/store)"
    echo "tmp: $(stat -c %a /tmp) $(stat -c %a /var/tmp)"
    greeting=$(nix-build '<nixpkgs>' -A greeting --no-out-link 2>/dev/null)
    echo "build: $(cat "$greeting")"
    nix-store --verify --check-contents 2>&1 | grep -i -E 'error|disappeared|not valid' && exit 1
    nix-collect-garbage > /dev/null 2>&1
    [ ! -e "$greeting" ]
    nix-env -q > /dev/null
    printf '#!/bin/sh\necho sh\n' > /tmp/one
    printf '#!/usr/bin/env bash\necho env\n' > /tmp/two
    chmod +x /tmp/one /tmp/two
    echo "scripts: $(/tmp/one) $(/tmp/two)"
"#;

#[rstest]
#[case::d1_to_d4_root("", "user: 0 /root", "store: 0")]
#[case::d5_somebody(
    "uid = 1000; gid = 1000; uname = \"user\"; gname = \"user\";",
    "user: 1000 /home/user",
    "store: 1000"
)]
fn nix_works(#[case] arguments: &str, #[case] user: &str, #[case] store: &str) {
    let image = build(&format!(
        "import {ROOT}/tests/nix/docker_tools/docker.nix {{
           inherit pkgs;
           inherit (strata) dockerTools;
           name = \"docker-nix{}\";
           nixConf.substituters = \"\";
           {arguments}
         }}",
        store.rsplit(' ').next().unwrap_or_default()
    ));
    let podman = engines::podman();
    let archive = archive_of(&image);
    podman.load(&archive);
    let home = user.rsplit(' ').next().unwrap_or_default();
    let command = format!("export HOME={home}; {WORK}");
    let said = podman.run(&tag_of(&archive), &["bash", "-c", &command]);
    for line in [user, store, "tmp: 1777 1777", "build: ", "scripts: sh env"] {
        assert!(said.contains(line), "{line}: {said}");
    }
}
