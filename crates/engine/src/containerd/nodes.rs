//! Where the containerds of a cluster are, and how to reach the `ctr` beside each.

use std::path::Path;
use std::process::Command;

use serde::Deserialize;

use super::ctr::Ctr;
use crate::process::query;
use strata_error::{Error, Result};
use strata_progress::Context;

/// How kind calls the container in front of several control planes; it has no containerd.
/// (`ExternalLoadBalancerNodeRoleValue` in kind's pkg/cluster/constants.)
const LOAD_BALANCER: &str = "-external-load-balancer";

/// The programs that kind runs nodes with, in the order in which it looks for them
/// (`DetectNodeProvider` in kind's pkg/cluster/provider.go).
const PROVIDERS: [&str; 3] = ["docker", "nerdctl", "podman"];

/// The nodes of a kind cluster.
pub(super) fn kind(cluster: Option<&str>, like: &Ctr, context: Context<'_>) -> Result<Vec<Ctr>> {
    let mut command = Command::new("kind");
    command.args(["get", "nodes"]);
    // Without it kind asks KIND_CLUSTER_NAME, as with any command.
    if let Some(cluster) = cluster {
        command.args(["--name", cluster]);
    }
    let hint = "`kind get clusters` lists the clusters; --cluster names one";
    let output = query(command, hint, context)?;
    let provider = provider();
    let nodes = first_words(&output)
        .into_iter()
        .filter(|node| !node.ends_with(LOAD_BALANCER));
    let nodes = nodes.map(|node| {
        let inside = |program: &[&str]| {
            // Privileged as kind itself, which some snapshotters need.
            let before = [provider.as_str(), "exec", "--privileged", "-i", &node];
            let words = before.iter().chain(program);
            words.map(|word| (*word).to_owned()).collect::<Vec<_>>()
        };
        let snapshotter = snapshotter(&inside(&["containerd", "config", "dump"]), context)?;
        Ok(Ctr {
            program: inside(&["ctr"]),
            snapshotter,
            ..like.clone()
        })
    });
    found(nodes.collect::<Result<_>>()?, "kind get nodes", hint)
}

/// A minikube cluster.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Minikube {
    /// Its name, which minikube calls profile.
    pub(super) profile: String,
    /// What runs its containers: `containerd`, `docker`, `crio`.
    pub(super) runtime: String,
}

/// The cluster that is asked for, or else the one that minikube works with.
pub(super) fn minikube(cluster: Option<&str>, context: Context<'_>) -> Result<Minikube> {
    let hint = "`minikube profile list` lists the clusters; --cluster names one";
    let profile = if let Some(cluster) = cluster {
        cluster.to_owned()
    } else {
        let mut command = Command::new("minikube");
        command.arg("profile");
        let output = query(command, hint, context)?;
        String::from_utf8_lossy(&output).trim().to_owned()
    };
    let mut command = Command::new("minikube");
    command.args(["profile", "list", "--light", "--output", "json"]);
    let output = query(command, hint, context)?;
    let error = |message: String| Error::Command {
        command: "minikube profile list".to_owned(),
        message,
        hint: hint.to_owned(),
    };
    let runtime = parse_runtime(&output, &profile).map_err(|source| error(source.to_string()))?;
    match runtime {
        Some(runtime) => Ok(Minikube { profile, runtime }),
        None => Err(error(format!("there is no cluster {profile:?}"))),
    }
}

/// The nodes of a minikube cluster that runs containerd.
pub(super) fn minikube_nodes(
    cluster: &Minikube,
    like: &Ctr,
    context: Context<'_>,
) -> Result<Vec<Ctr>> {
    let mut command = Command::new("minikube");
    command.args(["--profile", &cluster.profile, "node", "list"]);
    let hint = "start the cluster with `minikube start`";
    let output = query(command, hint, context)?;
    let nodes = first_words(&output).into_iter().map(|node| Ctr {
        // minikube's own client would make a terminal of the connection, which changes bytes.
        program: [
            "minikube",
            "--profile",
            &cluster.profile,
            "ssh",
            "--native-ssh=false",
            "--node",
            &node,
            "--",
            "sudo",
            "ctr",
        ]
        .map(str::to_owned)
        .into(),
        in_shell: true,
        ..like.clone()
    });
    found(nodes.collect(), "minikube node list", hint)
}

fn found(nodes: Vec<Ctr>, command: &str, hint: &str) -> Result<Vec<Ctr>> {
    if nodes.is_empty() {
        return Err(Error::Command {
            command: command.to_owned(),
            message: "there are no nodes".to_owned(),
            hint: hint.to_owned(),
        });
    }
    Ok(nodes)
}

/// The program that kind's nodes run in.
fn provider() -> String {
    match std::env::var("KIND_EXPERIMENTAL_PROVIDER") {
        Ok(provider) if !provider.is_empty() => provider,
        _ => {
            let mut providers = PROVIDERS.into_iter();
            let provider = providers.find(|program| is_in_path(program));
            provider.unwrap_or("docker").to_owned()
        }
    }
}

fn is_in_path(program: &str) -> bool {
    let directories = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&directories)
        .any(|directory| Path::new(&directory).join(program).is_file())
}

/// The snapshotter that Kubernetes uses in a node: `ctr` has its own idea, which does not work in
/// rootless nodes. A node that does not tell is left with `ctr`'s.
fn snapshotter(dump: &[String], context: Context<'_>) -> Result<Option<String>> {
    let mut words = dump.iter();
    let mut command = Command::new(words.next().map_or("containerd", String::as_str));
    command.args(words);
    match query(command, "", context) {
        Ok(config) => Ok(parse_snapshotter(&config)),
        Err(Error::Command { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The first word of each line.
fn first_words(output: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(output);
    let words = text
        .lines()
        .filter_map(|line| line.split_whitespace().next());
    words.map(str::to_owned).collect()
}

/// The snapshotter in `containerd config dump`. It is TOML as containerd writes it, one key on a
/// line: the plugin `io.containerd.grpc.v1.cri` has it in version 2 (containerd 1.3 and later),
/// `io.containerd.cri.v1.images` in version 3 (containerd 2).
fn parse_snapshotter(config: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(config).replace('\'', "\"");
    let mut in_section = false;
    for line in text.lines().map(str::trim) {
        if line.starts_with('[') {
            in_section = [
                r#"[plugins."io.containerd.grpc.v1.cri".containerd]"#,
                r#"[plugins."io.containerd.cri.v1.images"]"#,
            ]
            .contains(&line);
        }
        if let (true, Some((key, value))) = (in_section, line.split_once('=')) {
            let value = value.trim().trim_matches('"');
            if key.trim() == "snapshotter" && !value.is_empty() {
                return Some(value.to_owned());
            }
        }
    }
    None
}

/// The container runtime of a cluster in `minikube profile list --output json`.
fn parse_runtime(output: &[u8], profile: &str) -> serde_json::Result<Option<String>> {
    #[derive(Deserialize)]
    struct Profiles {
        #[serde(default)]
        valid: Option<Vec<Profile>>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Profile {
        name: String,
        config: Config,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Config {
        kubernetes_config: Kubernetes,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Kubernetes {
        container_runtime: String,
    }
    let profiles: Profiles = serde_json::from_slice(output)?;
    let mut profiles = profiles.valid.unwrap_or_default().into_iter();
    let found = profiles.find(|found| found.name == profile);
    Ok(found.map(|found| found.config.kubernetes_config.container_runtime))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_snapshotter_of_kubernetes_is_found() {
        let two = b"version = 2\n[plugins]\n  [plugins.\"io.containerd.grpc.v1.cri\"]\n    \
            snapshotter = \"wrong\"\n    [plugins.\"io.containerd.grpc.v1.cri\".containerd]\n      \
            default_runtime_name = \"runc\"\n      snapshotter = \"fuse-overlayfs\"\n      \
            [plugins.\"io.containerd.grpc.v1.cri\".containerd.runtimes]\n";
        assert_eq!(parse_snapshotter(two).as_deref(), Some("fuse-overlayfs"));
        let three = b"version = 3\n[plugins]\n  [plugins.'io.containerd.cri.v1.images']\n    \
            snapshotter = 'native'\n";
        assert_eq!(parse_snapshotter(three).as_deref(), Some("native"));
        let none = b"[plugins.\"io.containerd.cri.v1.images\"]\nsnapshotter = \"\"\n[other]\n\
            snapshotter = \"x\"\n";
        assert_eq!(parse_snapshotter(none), None);
    }

    #[test]
    fn the_runtime_of_a_cluster_is_found() {
        let output = br#"{"invalid": [], "valid": [
            {"Name": "a", "Config": {"KubernetesConfig": {"ContainerRuntime": "docker", "x": 1}}},
            {"Name": "b", "Config": {"KubernetesConfig": {"ContainerRuntime": "containerd"}}}]}"#;
        let runtime = |profile| parse_runtime(output, profile).unwrap();
        assert_eq!(runtime("a").as_deref(), Some("docker"));
        assert_eq!(runtime("b").as_deref(), Some("containerd"));
        assert_eq!(runtime("c"), None);
        assert_eq!(parse_runtime(br#"{"valid": null}"#, "a").unwrap(), None);
        assert!(parse_runtime(b"minikube", "a").is_err());
    }

    #[test]
    fn nodes_are_the_first_words() {
        let nodes = first_words(b"minikube\t192.168.49.2\n\nminikube-m02\t192.168.49.3\n");
        assert_eq!(nodes, ["minikube", "minikube-m02"]);
    }
}
