//! Images of nix-shell (`nixos/tests/docker-tools-nix-shell.nix`).

use std::path::Path;
use std::process::Command;

use super::support::engines::{self, Engine};
use super::support::nix::{build, expression, nix};
use super::{archive_of, run_image, tag_of};

/// A derivation with a stand-in for stdenv, and the image of its shell with these arguments.
fn shell(name: &str, arguments: &str) -> String {
    format!(
        r#"strata.dockerTools.streamNixShellImage {{
          drv = pkgs.runCommand "{name}" {{
            stdenv = pkgs.writeTextDir "setup" ''
              PATH=${{pkgs.hello}}/bin:${{pkgs.coreutils}}/bin
              runHook() {{ eval "''${{!1}}"; }}
            '';
            shellHook = "echo hooked";
            passAsFile = [ "given" ];
            given = "in a file";
            greeting = [ "two" true ];
          }} "hello > $out";
          {arguments}
        }}"#
    )
}

fn load(body: &str) -> String {
    let archive = archive_of(&build(body));
    engines::podman().load(&archive);
    tag_of(&archive)
}

#[test]
fn n1_to_n9_shells_have_the_environment() {
    let podman = engines::podman();
    let commands = "type -P hello; cat $givenPath; echo; echo greeting: $greeting; echo home: $HOME; touch $HOME/x; buildDerivation && cat $out";
    let image = load(&shell(
        "run",
        &format!("run = ''{commands}''; tag = \"latest\";"),
    ));
    let said = podman.run(&image, &[]);
    for (criterion, line) in [
        ("N2", "hooked"),
        ("N3", "/bin/hello"),
        ("N4", "in a file"),
        ("stringification", "greeting: two 1"),
        ("N7", "home: /build"),
        ("N1, N9", "Hello, world!"),
    ] {
        assert!(said.contains(line), "{criterion}: {said}");
    }
    let image = load(&shell(
        "interactive",
        "command = ''case $- in *i*) echo interactive ;; esac''; homeDirectory = \"/nowhere\";",
    ));
    // bash is interactive on a terminal.
    let ran = run_image(&image, &["--tty"], &[]);
    let said = String::from_utf8_lossy(&ran.stdout).into_owned();
    assert!(said.contains("interactive"), "N6, N8: {ran:?}");
    let image = load(&shell(
        "plain",
        "run = ''case $- in *i*) ;; *) echo plain ;; esac'';",
    ));
    assert!(podman.run(&image, &[]).contains("plain"), "N5");
}

/// NixOS/nixpkgs#387173: CI systems run a command of their own.
#[test]
fn nixpkgs_387173_the_environment_survives_another_command() {
    let podman = engines::podman();
    let image = load(&shell("ci", "entrypoint = true;"));
    let said = podman.run(&image, &["sh", "-c", "hello; echo $greeting"]);
    assert!(said.contains("Hello, world!\ntwo 1"), "{said}");
}

#[test]
fn shells_are_files_too() {
    let body = shell("file", "tag = \"1\";").replace(
        "streamNixShellImage {",
        "buildNixShellImage { compressor = \"none\";",
    );
    let file = build(&body);
    assert!(
        file.to_str().unwrap().ends_with("-file-env.tar"),
        "{}",
        file.display()
    );
    assert_eq!(tag_of(Path::new(&file)), "file-env:1");
}

#[test]
fn what_has_no_environment_is_refused() {
    for (body, expected) in [
        (
            shell("both", "run = \"\"; command = \"\";"),
            "both `command` and `run`",
        ),
        (
            "strata.dockerTools.streamNixShellImage { drv = strata.buildImage { name = \"a\"; }; }"
                .to_owned(),
            "has structured attributes",
        ),
    ] {
        let mut command: Command = nix("nix-instantiate");
        let output = command
            .args(["--expr", &expression(&body)])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(said.contains(expected), "{said}");
    }
}
