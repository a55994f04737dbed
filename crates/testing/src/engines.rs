//! Real container engines, each with a store of its own.

use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::keeper::{Keeper, new_directory};
use super::registry::run;

/// Something that runs images.
pub trait Engine: Sync {
    /// What it is called in messages.
    fn name(&self) -> &'static str;
    /// Loads an archive.
    fn load(&self, archive: &Path);
    /// Runs a container of an image (`NAME:TAG`) with other arguments than the image's if there
    /// are any; gives what it says.
    fn run(&self, image: &str, arguments: &[&str]) -> String;
}

/// The engines: dockerd with overlay2, podman with overlay and with vfs, containerd.
pub fn all() -> [&'static dyn Engine; 4] {
    [docker(), podman(), podman_vfs(), containerd()]
}

/// podman with overlay.
pub fn podman() -> &'static Podman {
    static PODMAN: OnceLock<Podman> = OnceLock::new();
    PODMAN.get_or_init(|| Podman::new("podman (overlay)", "overlay"))
}

/// podman with vfs.
pub fn podman_vfs() -> &'static Podman {
    static PODMAN: OnceLock<Podman> = OnceLock::new();
    PODMAN.get_or_init(|| Podman::new("podman (vfs)", "vfs"))
}

/// dockerd with overlay2.
pub fn docker() -> &'static Docker {
    static DOCKER: OnceLock<Docker> = OnceLock::new();
    DOCKER.get_or_init(|| Docker::start(&[]))
}

/// containerd.
pub fn containerd() -> &'static Containerd {
    static CONTAINERD: OnceLock<Containerd> = OnceLock::new();
    CONTAINERD.get_or_init(Containerd::new)
}

/// The full name that engines give to `NAME:TAG`.
fn full_name(image: &str) -> String {
    if image.contains('/') {
        image.to_owned()
    } else {
        format!("docker.io/library/{image}")
    }
}

/// podman 4.
pub struct Podman {
    name: &'static str,
    driver: &'static str,
    keeper: Keeper,
}

impl Podman {
    fn new(name: &'static str, driver: &'static str) -> Self {
        Self {
            name,
            driver,
            keeper: Keeper::directory(),
        }
    }

    /// podman with these arguments.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("podman");
        for (option, directory) in [("--root", "r"), ("--runroot", "n"), ("--tmpdir", "t")] {
            command.arg(option).arg(self.keeper.path().join(directory));
        }
        command
            .args(["--runtime", "runc", "--cgroup-manager", "cgroupfs"])
            .args(["--storage-driver", self.driver])
            .args(arguments);
        command
    }

    /// A command that makes a container without a network.
    fn container(&self, verb: &[&str]) -> Command {
        let mut command = self.command(verb);
        command.args(["--rm", "--pull", "never", "--network", "none"]);
        // podman would raise limits further than a container with tests in it may.
        command.args([
            "--ulimit",
            "nofile=1024:4096",
            "--ulimit",
            "nproc=1000:1000",
        ]);
        command
    }

    /// Starts a container that stays; gives its name.
    pub fn start(&self, image: &str) -> String {
        let mut command = self.container(&["run", "--detach"]);
        run(command.arg(full_name(image))).trim().to_owned()
    }
}

impl Engine for Podman {
    fn name(&self) -> &'static str {
        self.name
    }

    fn load(&self, archive: &Path) {
        let load = ["load", "--quiet", "--input", archive.to_str().unwrap()];
        run(&mut self.command(&load));
    }

    fn run(&self, image: &str, arguments: &[&str]) -> String {
        let mut command = self.container(&["run"]);
        run(command.arg(full_name(image)).args(arguments))
    }
}

/// dockerd 20 on the containerd of the tests.
pub struct Docker {
    socket: String,
    keeper: Keeper,
}

impl Docker {
    /// Starts one, with further arguments, in a namespace of containerd of its own.
    pub fn start(arguments: &[&str]) -> Self {
        let directory = new_directory();
        let at = |name: &str| format!("{}/{name}", directory.display());
        let socket = format!("unix://{}", at("socket"));
        let (data, exec, pid) = (at("data"), at("exec"), at("pid"));
        let namespace = directory.file_name().unwrap().to_str().unwrap();
        let (containers, plugins) = (namespace.to_owned(), format!("{namespace}-plugins"));
        let mut command = vec![
            "dockerd",
            "--bridge=none",
            "--containerd",
            containerd().socket.as_str(),
            "--containerd-namespace",
            &containers,
            "--containerd-plugins-namespace",
            &plugins,
            "--data-root",
            &data,
            "--exec-root",
            &exec,
            "--host",
            &socket,
            "--ip-forward=false",
            "--ip-masq=false",
            "--ip6tables=false",
            "--iptables=false",
            "--pidfile",
            &pid,
            "--storage-driver=overlay2",
            "--userland-proxy=false",
        ];
        command.extend(arguments);
        let keeper = Keeper::daemon(directory, &command);
        let docker = Self { socket, keeper };
        let answers = || docker.command(&["info"]).output().unwrap().status.success();
        docker.keeper.wait_until(answers);
        docker
    }

    /// Its address, as in `DOCKER_HOST`.
    pub fn host(&self) -> &str {
        &self.socket
    }

    /// docker with these arguments.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("docker");
        command
            .env_remove("DOCKER_CONTEXT")
            .env("DOCKER_CONFIG", self.keeper.path())
            .env("DOCKER_HOST", &self.socket)
            .args(arguments);
        command
    }
}

impl Engine for Docker {
    fn name(&self) -> &'static str {
        "docker (overlay2)"
    }

    fn load(&self, archive: &Path) {
        run(&mut self.command(&["load", "--input", archive.to_str().unwrap()]));
    }

    fn run(&self, image: &str, arguments: &[&str]) -> String {
        let mut command = self.command(&["run", "--rm", "--pull", "never", "--network", "none"]);
        run(command.arg(image).args(arguments))
    }
}

/// containerd 1.
pub struct Containerd {
    socket: String,
    keeper: Keeper,
}

impl Containerd {
    /// Starts one.
    pub fn new() -> Self {
        let directory = new_directory();
        let at = |name: &str| format!("{}/{name}", directory.display());
        let (config, socket) = (at("config.toml"), at("socket"));
        let text = format!(
            r#"
            version = 2
            root = "{}"
            state = "{}"
            disabled_plugins = ["io.containerd.grpc.v1.cri"]
            [grpc]
            address = "{socket}"
            [plugins."io.containerd.internal.v1.opt"]
            path = "{}"
            "#,
            at("root"),
            at("state"),
            at("opt"),
        );
        std::fs::write(&config, text).unwrap();
        let command = ["containerd", "--config", &config, "--log-level", "warn"];
        let keeper = Keeper::daemon(directory, &command);
        let containerd = Self { socket, keeper };
        let answers = || {
            let version = containerd.command(&["version"]).output();
            version.unwrap().status.success()
        };
        containerd.keeper.wait_until(answers);
        containerd
    }

    /// Its socket.
    pub fn socket(&self) -> &str {
        &self.socket
    }

    /// ctr with these arguments.
    pub fn command(&self, arguments: &[&str]) -> Command {
        self.command_in("strata", arguments)
    }

    /// ctr with these arguments in a namespace.
    pub fn command_in(&self, namespace: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new("ctr");
        command.args(["--address", &self.socket, "--namespace", namespace]);
        command.args(arguments);
        command
    }
}

impl Engine for Containerd {
    fn name(&self) -> &'static str {
        "containerd"
    }

    fn load(&self, archive: &Path) {
        run(&mut self.command(&["images", "import", archive.to_str().unwrap()]));
    }

    fn run(&self, image: &str, arguments: &[&str]) -> String {
        static CONTAINERS: AtomicUsize = AtomicUsize::new(0);
        let id = format!("container-{}", CONTAINERS.fetch_add(1, Ordering::Relaxed));
        // What is still in ctr's own pipes when a container ends is lost (containerd 13931); a log is whole.
        let log = self.keeper.path().join(&id);
        let address = format!("file://{}", log.display());
        let mut command = self.command(&["run", "--rm", "--log-uri", &address]);
        run(command.args([&full_name(image), &id]).args(arguments));
        std::fs::read_to_string(log).unwrap()
    }
}
