//! Container engines: each function `copy` brings an image into one, and sends no more than it lacks.
//!
//! - `docker`: by the API of the engine, which [`docker::Options`] or Docker's own settings name.
//! - `podman`: by the program `podman`, which pulls from a registry on loopback or loads an archive.
//! - `containerd`: by the program `ctr`, here or in the nodes of k3s, kind and minikube.
//! - `skopeo`: whatever else skopeo can copy to, from a registry on loopback.
//! - `process`: how these programs are run, fed and ended.
//!
//! No image is made or changed here: its blobs come from `strata-image`, archives of them from
//! `strata-copy`. Connections to Docker are those of `strata-http`. Nothing here knows registries
//! of others or the command line.

#![warn(missing_docs, unreachable_pub)]
#![warn(clippy::expect_used, clippy::panic, clippy::unwrap_used)]
#![warn(clippy::print_stderr, clippy::print_stdout)]

pub mod containerd;
pub mod docker;
pub mod podman;
mod process;
pub mod skopeo;
