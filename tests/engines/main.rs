//! Container engines, and what they are given: by an archive, through their own protocols, and from a
//! registry that serves images.

mod config;
mod containerd;
mod docker;
mod export;
mod fake_docker;
mod podman;
mod run;
mod serve;
mod serve_clients;
mod socket_proxy;
mod speaker;
