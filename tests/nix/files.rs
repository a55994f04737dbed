//! `files` of an image, built by Nix, in containers, on the disks of engines, and as every command of `strata` tells of it.

use strata_testing as support;

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use support::engines::{self, Engine};
use support::nix::{build, strata};
use support::registry::run;

/// What there is, by its path.
const IMAGE: &str = r#"
    buildImage {
      name = "declared";
      tag = "latest";
      system = {
        users.app = { uid = 1000; gid = 100; };
        groups.users.gid = 100;
      };
      files = {
        "/var/lib/app" = { type = "directory"; user = "app"; mode = "0750"; };
        "/tmp" = { type = "directory"; mode = "1777"; };
        "/srv/conf" = { text = "port = 80"; xattrs."user.origin" = "nix"; };
        "/srv/setuid" = { source = "${pkgs.busybox}/bin/busybox"; mode = "6755"; };
        "/srv/again".hardlink = "/srv/setuid";
        "/srv/grep" = { source = "${pkgs.busybox}/bin/busybox"; capabilities = "cap_net_bind_service+ep"; };
        "/srv/link" = { link = "conf"; user = "app"; };
        "/srv/null" = { type = "character"; major = 1; minor = 3; mode = "0666"; };
        "/srv/disk" = { type = "block"; major = 8; minor = 0; mode = "0600"; };
        "/srv/pipe" = { type = "fifo"; mode = "0620"; group = "users"; };
        "/srv/tree" = { source = pkgs.runCommand "tree" { } "mkdir $out; touch $out/a"; uid = 7; mode = "0700"; };
      };
      config = { Cmd = [ "${pkgs.busybox}/bin/busybox" "sh" ]; User = "app"; };
    }
"#;

/// What `stat` says as anybody.
const STAT: &str = "\
750 1000:100 0 directory /var/lib/app
1777 0:0 0 directory /tmp
644 0:0 0 regular file /srv/conf
6755 0:0 0 regular file /srv/setuid
6755 0:0 0 regular file /srv/again
755 0:0 0 regular file /srv/grep
777 1000:100 0 symbolic link /srv/link
666 0:0 1 character special file /srv/null
600 0:0 8 block special file /srv/disk
620 0:100 0 fifo /srv/pipe
700 7:0 0 directory /srv/tree
";

/// In a container, as the image's user: `set -e` makes each line an assertion.
const SCRIPT: &str = r#"
    set -e
    cd /srv
    stat -c '%a %u:%g %t %F %n' /var/lib/app /tmp conf setuid again grep link null disk pipe tree
    [ setuid -ef again ]
    echo "names: $(stat -c %h setuid)"
    echo x > null
    echo y > /var/lib/app/mine
    cat link
    echo " $(./grep CapEff /proc/self/status)"
"#;

/// Row 28 of "What users ask": file capabilities, for which dockerTools and nix2container had no way
/// (<https://github.com/nlewo/nix2container/issues/156>, <https://github.com/NixOS/nixpkgs/issues/463986>), and a
/// `/tmp` without a script (<https://github.com/NixOS/nixpkgs/issues/257172>).
#[test]
fn nix2container_156_nixpkgs_463986_257172_files_are_as_they_are_declared() {
    let image = build(IMAGE);
    let directory = tempfile::tempdir().unwrap();
    let archive = directory.path().join("archive.tar");
    let copy = |to: &str| run(strata().args(["copy", "--quiet"]).arg(&image).arg(to));
    copy(&format!("docker-archive:{}", archive.display()));

    let expected = STAT.replace("/srv/", "");
    let expected = format!("{expected}names: 2\nport = 80 CapEff:\t0000000000000400\n");
    let (docker, podman) = (engines::docker(), engines::podman());
    for engine in [docker as &dyn Engine, podman] {
        engine.load(&archive);
        let busybox = build("pkgs.busybox").join("bin/busybox");
        let shell = [busybox.to_str().unwrap(), "sh", "-c", SCRIPT];
        assert_eq!(
            engine.run("declared:latest", &shell),
            expected,
            "{}",
            engine.name()
        );
    }
    let format = "{{.GraphDriver.Data.UpperDir}}";
    let inspect = ["image", "inspect", "--format", format, "declared:latest"];
    let upper = run(&mut docker.command(&inspect));
    check_attributes(Path::new(upper.trim()));
    let mounted = run(&mut podman.command(&["image", "mount", "declared:latest"]));
    check_attributes(Path::new(mounted.trim()));
    run(&mut podman.command(&["image", "unmount", "declared:latest"]));

    run(strata().arg("verify").arg(&image));
    check_inspect(&image);
    check_export(&image, directory.path());
}

/// What `stat` does not tell.
fn check_attributes(root: &Path) {
    let found = run(Command::new("tar")
        .args(["--create", "--xattrs", "--xattrs-include=*", "--directory"])
        .arg(root)
        .args(["--use-compress-program", "cat -v", "srv/conf", "srv/grep"]));
    assert!(
        found.contains("SCHILY.xattr.user.origin=nix"),
        "{}",
        root.display()
    );
    assert!(
        found.contains("SCHILY.xattr.security.capability="),
        "{}",
        root.display()
    );
}

fn check_inspect(image: &Path) {
    let said: Value =
        serde_json::from_str(&run(strata().args(["inspect", "--json"]).arg(image))).unwrap();
    let files = said["layers"].as_array().unwrap().iter();
    let files: Vec<&Value> = files
        .flat_map(|layer| layer["files"].as_array().unwrap())
        .collect();
    let at = |path: &str| files.iter().find(|file| file["path"] == path).unwrap();
    assert_eq!(files.len(), 11);
    assert_eq!(
        **at("/var/lib/app"),
        json!({
            "path": "/var/lib/app", "type": "directory", "mode": "0750",
            "uid": 1000, "uname": "app", "gid": 100, "gname": "users"
        })
    );
    assert_eq!(
        **at("/srv/again"),
        json!({ "path": "/srv/again", "type": "hardlink", "target": "/srv/setuid" })
    );
    let layer = |number: &str| run(strata().arg("inspect").arg(image).args(["--layer", number]));
    let text = ["1", "2"].map(layer).concat();
    for line in [
        "/srv/null  character device 1:3  0666",
        "/var/lib/app  directory  0750  1000:100",
        "/srv/again  = /srv/setuid",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
}

/// The root file system as one archive, which GNU tar unpacks.
fn check_export(image: &Path, directory: &Path) {
    let archive = directory.join("root.tar");
    run(strata().arg("export").arg(image).arg(&archive));
    let root = directory.join("root");
    std::fs::create_dir(&root).unwrap();
    run(Command::new("tar")
        .args([
            "--extract",
            "--xattrs",
            "--xattrs-include=*",
            "--same-owner",
            "--preserve-permissions",
        ])
        .arg("--directory")
        .arg(&root)
        .arg("--file")
        .arg(&archive));
    let paths = STAT.lines().map(|line| line.rsplit(' ').next().unwrap());
    let stat = run(Command::new("stat")
        .args(["--format", "%a %u:%g %t %F .%n"])
        .args(paths.map(|path| path.trim_start_matches('/')))
        .current_dir(&root));
    assert_eq!(stat.replace(" .", " /"), STAT);
    check_attributes(&root);
}
