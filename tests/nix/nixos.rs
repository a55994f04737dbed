//! The services of `nix/nixos-module.nix`, run as systemd would, against real engines.

use strata_testing as support;

use std::ffi::OsStr;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

use support::engines;
use support::nix::{ROOT, build_all};
use support::registry::run;

/// What a copy says of an image that an engine has.
const ALREADY_THERE: &str = "copied 0 layers (0 B), 1 layer";

/// An image that says `text`.
fn image(name: &str, tag: &str, text: &str) -> String {
    format!(
        r#"(buildImage {{
          name = "{name}";
          tag = "{tag}";
          config.Cmd = [ "${{pkgs.busybox}}/bin/busybox" "sh" "-c" "echo {text}; exec ${{pkgs.busybox}}/bin/busybox sleep 600" ];
        }})"#
    )
}

/// The scripts of both services for these images.
fn services(engine: &str, images: &[String]) -> [PathBuf; 2] {
    let images = images.iter().enumerate();
    let images: Vec<String> = images
        .map(|(number, image)| format!("image{number} = {image};"))
        .collect();
    let images = images.join("\n");
    let scripts = build_all(&format!(
        r#"
        let
          system = import {ROOT}/tests/nix/nixos.nix {{
            inherit pkgs;
            settings.virtualisation.strata = {{
              enable = true;
              backend = "{engine}";
              images = {{ {images} }};
            }};
          }};
          inherit (system.systemd.services) strata-images strata-images-prune;
          script =
            service:
            pkgs.runCommand "service" {{ }} "ln -s ${{service.serviceConfig.ExecStart}} $out";
        in
        [ (script strata-images) (script strata-images-prune) ]
        "#
    ));
    scripts.try_into().unwrap()
}

/// A machine whose services are started one after the other.
struct Machine {
    directory: tempfile::TempDir,
    engine: &'static str,
    /// The program of the engine, with what it takes to find the one of the tests.
    command: Command,
}

impl Machine {
    /// `command` is the engine's with arguments of its own and its environment.
    fn new(engine: &'static str, command: Command) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let words = std::iter::once(command.get_program()).chain(command.get_args());
        let words: Vec<&str> = words.map(|word| word.to_str().unwrap()).collect();
        let path = std::env::var("PATH").unwrap();
        let script = format!("#!/bin/sh\nPATH='{path}' exec {} \"$@\"\n", words.join(" "));
        let wrapper = directory.path().join(engine);
        std::fs::write(&wrapper, script).unwrap();
        std::fs::set_permissions(&wrapper, Permissions::from_mode(0o755)).unwrap();
        std::fs::create_dir(directory.path().join("state")).unwrap();
        Self {
            directory,
            engine,
            command,
        }
    }

    /// Runs the scripts as services: with no more of an environment than systemd gives.
    fn start(&self, services: &[PathBuf]) -> String {
        let said = services.iter().map(|script| {
            let path = format!("{}:/usr/bin:/bin", self.directory.path().display());
            let mut command = Command::new(script);
            command
                .env_clear()
                .env("PATH", path)
                .env("STATE_DIRECTORY", self.directory.path().join("state"))
                .env("XDG_CACHE_HOME", self.directory.path().join("cache"))
                .envs(self.environment());
            let output = command.output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(output.status.success(), "{said}");
            said
        });
        said.collect()
    }

    fn program(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.directory.path().join(self.engine));
        command.envs(self.environment()).args(arguments);
        command
    }

    fn run(&self, arguments: &[&str]) -> String {
        run(&mut self.program(arguments))
    }

    /// What the engine of the tests is found by.
    fn environment(&self) -> impl Iterator<Item = (&OsStr, &OsStr)> {
        let all = self.command.get_envs();
        all.filter_map(|(name, value)| Some((name, value?)))
    }

    /// The names of images that begin with `services-`.
    fn images(&self) -> Vec<String> {
        let list = self.run(&["image", "ls", "--format", "{{.Repository}}:{{.Tag}}"]);
        let names = list
            .lines()
            .filter_map(|name| Some(format!("services-{}", name.split_once("services-")?.1)));
        let mut names: Vec<String> = names.collect();
        names.sort_unstable();
        names
    }

    fn id(&self, image: &str) -> Option<String> {
        let inspect = ["image", "inspect", "--format", "{{.Id}}", image];
        let output = self.program(&inspect).output().unwrap();
        let id = String::from_utf8(output.stdout).unwrap().trim().to_owned();
        output.status.success().then_some(id)
    }
}

fn services_load_and_prune(machine: &Machine) {
    let first = services(
        machine.engine,
        &[
            image("services-a", "1", "one"),
            image("services-b", "1", "b"),
        ],
    );
    machine.start(&first);
    assert_eq!(machine.images(), ["services-a:1", "services-b:1"]);
    let old = machine.id("services-a:1").unwrap();
    // What is there is not copied again.
    let again = machine.start(&first);
    assert_eq!(again.matches(ALREADY_THERE).count(), 2, "{again}");
    assert_eq!(machine.images(), ["services-a:1", "services-b:1"]);

    // A name means something else, another is gone, and a container of the old one runs.
    let second = services(
        machine.engine,
        &[
            image("services-a", "1", "two"),
            image("services-c", "1", "c"),
        ],
    );
    let options = "run --detach --pull never --network none --ulimit nofile=1024:4096 --ulimit nproc=1000:1000 services-a:1";
    let start: Vec<&str> = options.split(' ').collect();
    let container = machine.run(&start);
    machine.start(&second);
    assert_eq!(machine.images(), ["services-a:1", "services-c:1"]);
    assert_ne!(machine.id("services-a:1").unwrap(), old);
    assert_eq!(machine.id(&old), Some(old.clone()));
    machine.run(&["kill", container.trim()]);
    machine.run(&["rm", "--force", container.trim()]);
    machine.start(&second[1..]);
    assert_eq!(machine.images(), ["services-a:1", "services-c:1"]);
    assert_eq!(machine.id(&old), None);

    // What somebody else has named is theirs.
    machine.run(&["tag", "services-c:1", "services-mine:1"]);
    machine.start(&services(machine.engine, &[])[1..]);
    assert_eq!(machine.images(), ["services-mine:1"]);
    let state = machine.directory.path().join("state/loaded");
    assert_eq!(std::fs::read_to_string(state).unwrap(), "");
}

#[test]
fn nixos_services_load_images_into_podman() {
    services_load_and_prune(&Machine::new("podman", engines::podman().command(&[])));
}

#[test]
fn nixos_services_load_images_into_docker() {
    services_load_and_prune(&Machine::new("docker", engines::docker().command(&[])));
}
