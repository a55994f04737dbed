//! Registries: pushes and pulls, with the real one and with one that misbehaves.

mod ci;
mod compression;
mod join;
mod login;
mod proxy;
mod pull;
mod pull_nix;
mod push;
mod remote;
mod requests;
mod reuse;
mod stress;
mod upload;
