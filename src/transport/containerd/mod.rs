//! `containerd:`, and the clusters that have one: `k3s:`, `kind:`, `minikube:`.

use std::path::PathBuf;

use super::Progress;
use super::destination::CopyName;
use crate::image::Image;
use crate::{Error, Result};

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
    /// containerd's socket.
    pub address: Option<PathBuf>,
    /// containerd's namespace.
    pub namespace: Option<String>,
    /// The cluster, of kind or minikube.
    pub cluster: Option<String>,
}

/// Copies `image` there.
pub fn copy(
    _image: &Image,
    _runner: Runner,
    _name: &CopyName,
    _options: &Options,
    _progress: &dyn Progress,
) -> Result<()> {
    Err(Error::Name {
        what: "destination",
        value: "containerd:".to_owned(),
        message: "not there yet".to_owned(),
        hint: String::new(),
    })
}
