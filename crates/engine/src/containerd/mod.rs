//! `containerd:`, and the clusters that have one: `k3s:`, `kind:`, `minikube:`.
//!
//! Every node of a cluster gets the image, one after the other, each only what it lacks.

mod ctr;
mod load;
mod nodes;

use std::path::PathBuf;

use ctr::{Ctr, KUBERNETES};
use strata_copy::CopyName;
use strata_error::{Error, Result};
use strata_image::Image;
use strata_progress::Context;

/// The namespace of a containerd without a cluster, as everywhere in containerd.
const DEFAULT_NAMESPACE: &str = "default";

/// Who runs containerd.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Runner {
    /// `containerd:`: this machine.
    Containerd,
    /// `k3s:`: k3s on this machine.
    K3s,
    /// `kind:`: the nodes of a kind cluster.
    Kind,
    /// `minikube:`: the nodes of a minikube cluster.
    Minikube,
}

impl Runner {
    /// How the destination begins.
    pub fn transport(self) -> &'static str {
        match self {
            Self::Containerd => "containerd",
            Self::K3s => "k3s",
            Self::Kind => "kind",
            Self::Minikube => "minikube",
        }
    }
}

/// How to reach it.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// containerd's socket; else what `ctr` takes: `CONTAINERD_ADDRESS`, or where containerd (or that
    /// of k3s) has it.
    pub address: Option<PathBuf>,
    /// containerd's namespace; else `k8s.io` in clusters, and elsewhere `CONTAINERD_NAMESPACE` or
    /// `default`.
    pub namespace: Option<String>,
    /// The cluster, of kind or minikube; else the one that these programs take.
    pub cluster: Option<String>,
}

/// Copies `image` there. What has its name keeps it until all of the new image is there.
pub fn copy(
    image: &Image,
    runner: Runner,
    name: &CopyName,
    options: &Options,
    context: Context<'_>,
) -> Result<()> {
    let error = |message: &str, hint: String| Error::Name {
        what: "destination",
        value: format!("{}:", runner.transport()),
        message: message.to_owned(),
        hint,
    };
    let Some(full) = &name.full else {
        return Err(error(
            "the image has no name of its own",
            format!("write {}:NAME[:TAG]", runner.transport()),
        ));
    };
    let cluster = options.cluster.as_deref();
    let alone = Ctr {
        program: vec!["ctr".to_owned()],
        in_shell: false,
        address: address(options)?,
        namespace: namespace(runner, options),
        snapshotter: None,
    };
    let nodes = match runner {
        Runner::Containerd | Runner::K3s if cluster.is_some() => {
            return Err(error(
                "it is not a cluster with a name",
                "leave --cluster out, or copy to kind: or minikube:".to_owned(),
            ));
        }
        Runner::Containerd => vec![alone],
        Runner::K3s => vec![Ctr {
            program: vec!["k3s".to_owned(), "ctr".to_owned()],
            ..alone
        }],
        Runner::Kind => nodes::kind(cluster, &alone, context)?,
        Runner::Minikube => {
            let cluster = nodes::minikube(cluster, context)?;
            if cluster.runtime != "containerd" {
                return load::copy(&cluster, image, name, full, context);
            }
            nodes::minikube_nodes(&cluster, &alone, context)?
        }
    };
    nodes
        .iter()
        .try_for_each(|node| node.copy(image, full, context))
}

fn address(options: &Options) -> Result<Option<String>> {
    let Some(path) = &options.address else {
        return Ok(None);
    };
    let text = path.to_str().ok_or_else(|| Error::Name {
        what: "containerd address",
        value: path.display().to_string(),
        message: "not UTF-8".to_owned(),
        hint: "make a link to the socket".to_owned(),
    })?;
    Ok(Some(text.to_owned()))
}

fn namespace(runner: Runner, options: &Options) -> String {
    let default = || match runner {
        Runner::K3s | Runner::Kind | Runner::Minikube => KUBERNETES.to_owned(),
        Runner::Containerd => std::env::var("CONTAINERD_NAMESPACE")
            .ok()
            .filter(|namespace| !namespace.is_empty())
            .unwrap_or_else(|| DEFAULT_NAMESPACE.to_owned()),
    };
    options.namespace.clone().unwrap_or_else(default)
}
