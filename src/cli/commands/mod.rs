//! The commands: a file for each, with its flags, its part of the help, and what it does.

pub(super) mod attest;
pub(super) mod compress;
pub(super) mod contents;
pub(super) mod copy;
pub(super) mod explain;
pub(super) mod export;
pub(super) mod generated;
pub(super) mod index;
pub(super) mod layers;
pub(super) mod lock;
pub(super) mod lock_layers;
pub(super) mod merge;
pub(super) mod pull;
pub(super) mod registry;
pub(super) mod serve;
pub(super) mod tarsum;
pub(super) mod verify;
