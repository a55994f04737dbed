//! What the integration tests share.
#![allow(dead_code, reason = "each test takes what it needs")]

pub mod bases;
pub mod engines;
pub mod fake_docker;
pub mod fake_registry;
pub mod fake_store;
pub mod flake;
pub mod keeper;
pub mod listing;
pub mod memory_image;
pub mod nix;
pub mod oci;
pub mod proxy;
pub mod pushing;
pub mod registry;
pub mod remote;
pub mod socket_proxy;
pub mod speaker;
