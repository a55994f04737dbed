//! Registries: pushes and pulls, with the real one and with one that misbehaves.

mod compression;
mod login;
mod proxy;
mod pull;
mod pull_nix;
mod push;
mod remote;
mod reuse;
mod stress;
mod upload;
