//! `containerd:`, and the clusters that have one: `k3s:`, `kind:`, `minikube:`.
//!
//! Every node of a cluster gets the image, one after the other, each only what it lacks.

mod ctr;
mod load;
mod nodes;

use std::path::PathBuf;

use ctr::{Ctr, KUBERNETES};
use nodes::Minikube;
use strata_copy::CopyName;
use strata_error::{Error, Result};
use strata_image::Image;
use strata_progress::Context;

/// The namespace of a containerd without a cluster, as everywhere in containerd.
const DEFAULT_NAMESPACE: &str = "default";

/// Who runs containerd: one of the constants below.
#[derive(Debug)]
pub struct Runner {
    /// How the destination begins.
    pub transport: &'static str,
    /// The namespace that is taken where none is asked for.
    namespace: fn() -> String,
    /// Whether there may be several clusters, which have names.
    has_clusters: bool,
    /// Finds what takes images, given how to call `ctr` on this machine and the cluster that is asked
    /// for.
    find: fn(Ctr, Option<&str>, Context<'_>) -> Result<Found>,
}

/// `containerd:`: this machine.
pub const CONTAINERD: Runner = Runner {
    transport: "containerd",
    namespace: || {
        std::env::var("CONTAINERD_NAMESPACE")
            .ok()
            .filter(|namespace| !namespace.is_empty())
            .unwrap_or_else(|| DEFAULT_NAMESPACE.to_owned())
    },
    has_clusters: false,
    find: |here, _, _| Ok(Found::Containerds(vec![here])),
};

/// `k3s:`: k3s on this machine.
pub const K3S: Runner = Runner {
    transport: "k3s",
    namespace: || KUBERNETES.to_owned(),
    has_clusters: false,
    find: |here, _, _| {
        let program = vec!["k3s".to_owned(), "ctr".to_owned()];
        Ok(Found::Containerds(vec![Ctr { program, ..here }]))
    },
};

/// `kind:`: the nodes of a kind cluster.
pub const KIND: Runner = Runner {
    transport: "kind",
    namespace: || KUBERNETES.to_owned(),
    has_clusters: true,
    find: |here, cluster, context| nodes::kind(cluster, &here, context).map(Found::Containerds),
};

/// `minikube:`: the nodes of a minikube cluster.
pub const MINIKUBE: Runner = Runner {
    transport: "minikube",
    namespace: || KUBERNETES.to_owned(),
    has_clusters: true,
    find: |here, cluster, context| {
        let cluster = nodes::minikube(cluster, context)?;
        if cluster.runtime != "containerd" {
            return Ok(Found::Loader(cluster));
        }
        nodes::minikube_nodes(&cluster, &here, context).map(Found::Containerds)
    },
};

/// What takes images.
enum Found {
    /// A containerd, or one in each node.
    Containerds(Vec<Ctr>),
    /// The loader of a cluster that has another runtime.
    Loader(Minikube),
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
    runner: &Runner,
    name: &CopyName,
    options: &Options,
    context: Context<'_>,
) -> Result<()> {
    let error = |message: &str, hint: String| Error::Name {
        what: "destination",
        value: format!("{}:", runner.transport),
        message: message.to_owned(),
        hint,
    };
    let Some(full) = &name.full else {
        return Err(error(
            "the image has no name of its own",
            format!("write {}:NAME[:TAG]", runner.transport),
        ));
    };
    let here = Ctr {
        program: vec!["ctr".to_owned()],
        in_shell: false,
        address: address(options)?,
        namespace: options.namespace.clone().unwrap_or_else(runner.namespace),
        snapshotter: None,
    };
    let cluster = options.cluster.as_deref();
    if cluster.is_some() && !runner.has_clusters {
        return Err(error(
            "it is not a cluster with a name",
            "leave --cluster out, or copy to kind: or minikube:".to_owned(),
        ));
    }
    match (runner.find)(here, cluster, context)? {
        Found::Containerds(all) => all
            .iter()
            .try_for_each(|containerd| containerd.copy(image, full, context)),
        Found::Loader(cluster) => load::copy(&cluster, image, name, full, context),
    }
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
