//! What the Nix functions ask for besides layers and images.

pub(super) mod index;
pub(super) mod system;
pub(super) mod tree;
