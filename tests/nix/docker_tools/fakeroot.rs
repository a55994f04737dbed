//! Scripts that are run as root in Nix's sandbox, on bases of all kinds (issue 13).

use strata_testing as support;

use std::path::Path;
use std::process::Command;

use support::nix::{SANDBOX, expression, nix};
use support::registry::run;

/// Builds the derivation `layer` with the sandbox; the listing of the tar that it is.
fn entries(definitions: &str, options: &str, command: &str) -> Vec<String> {
    let body = format!(
        r#"
        let
          busybox = "${{pkgs.busybox}}/bin/busybox";
          {definitions}
        in
        pkgs.runCommand "layer.tar" {{ }} ''
          mkdir root
          ${{strata.strata-fakeroot}}/bin/strata-fakeroot layer --output $out --directory root {options} -- {command}
        ''
        "#
    );
    let mut build = nix("nix-build");
    build.args(["--no-out-link", "--expr", &expression(&body)]);
    let output = run(build.args(SANDBOX));
    list(Path::new(output.trim()))
}

/// Mode, owner, and path of each entry, the number of a device, and extended attributes.
fn list(layer: &Path) -> Vec<String> {
    let mut tar = Command::new("tar");
    tar.args(["--numeric-owner", "--xattrs", "--xattrs-include=*", "-tvvf"]);
    let text = run(tar.arg(layer));
    let lines = text.lines().map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["x:", _, name] => format!("has {name}"),
            [mode, owner, size, _, _, path @ ..] => {
                let device = if size.contains(',') { size } else { "" };
                format!("{mode} {owner} {device} {}", path.join(" "))
            }
            other => other.join(" "),
        }
    });
    lines.map(|line| line.replace("  ", " ")).collect()
}

#[test]
fn a_script_is_root_in_the_sandbox() {
    let script = r#"
      script = pkgs.writeText "script" ''
        set -e
        test "$(${busybox} id -u)" = 0
        ${busybox} touch a b
        ${busybox} chown 5:6 a
        ${busybox} chmod 6755 a
        ${busybox} mknod null c 1 3
        ${busybox} mkdir shared
        ${busybox} chgrp 50 shared
        ${busybox} chmod 2775 shared
        ${busybox} touch shared/file
        ${busybox} ln a again
        tar=${pkgs.gnutar}/bin/tar
        $tar --format=pax --pax-option=SCHILY.xattr.user.note:=x -cf t b
        $tar --xattrs --xattrs-include=user.note -xpf t
        ${busybox} rm t
        test "$(${busybox} stat -c %u:%g:%a again)" = 5:6:6755
      '';
    "#;
    let expected = [
        "-rwsr-sr-x 5/6 a",
        "hrwsr-sr-x 5/6 again link to a",
        "-rw-r--r--* 0/0 b",
        "has user.note",
        "crw-r--r-- 0/0 1,3 null",
        "drwxrwsr-x 0/50 shared/",
        "-rw-r--r-- 0/50 shared/file",
    ];
    // The shell of the one is static, and of the other not.
    for shell in ["${busybox} sh", "${pkgs.bash}/bin/bash"] {
        let found = entries(script, "", &format!("{shell} ${{script}}"));
        assert_eq!(found, expected, "{shell}");
    }
}

/// An image of Strata, an archive of it, and nothing: the script sees the same besides.
#[test]
fn a_script_has_the_image_as_its_root_in_the_sandbox() {
    let definitions = r#"
      base = buildImage {
        name = "base";
        tag = "1";
        copyToRoot = pkgs.runCommand "root" { } ''
          mkdir -p $out/bin $out/etc
          cp ${busybox} $out/bin/busybox
          echo one >$out/etc/one
          echo two >$out/etc/two
        '';
        perms = [ { path = "/etc/one"; uid = 7; gid = 8; mode = "4755"; } ];
      };
      script = pkgs.writeText "script" ''
        set -e
        test "$(/bin/busybox stat -c %u:%g:%a /etc/one)" = 7:8:4755
        /bin/busybox test -c /dev/null
        /bin/busybox test -e ${script0}
        /bin/busybox rm /etc/two
        /bin/busybox chown 9 /etc/one
        echo x >/tmp/x
        echo three >/etc/three
      '';
      script0 = pkgs.writeText "other" "";
      archive = pkgs.runCommand "base.tar" { } ''
        ${strata.strata}/bin/strata copy ${base} docker-archive:$out
      '';
    "#;
    for base in ["${base}", "${archive}"] {
        let options = format!("--chroot --base {base}");
        let found = entries(definitions, &options, "/bin/busybox sh ${script}");
        assert_eq!(
            found,
            [
                "dr-xr-xr-x 0/0 etc/",
                "-r--r--r-- 0/0 etc/.wh.two",
                "-rwxr-xr-x 9/8 etc/one",
                "-rw-r--r-- 0/0 etc/three",
            ],
            "{base}"
        );
    }
    let found = entries(
        definitions,
        "--chroot",
        "${busybox} sh -ec '${busybox} mkdir /etc; ${busybox} chown 3:4 /etc'",
    );
    assert_eq!(found, ["drwxr-xr-x 3/4 etc/"]);
}
