//! The documents of the OCI image specification that Strata writes and reads.
//!
//! This crate does no I/O: parsers take bytes, writers give bytes, and [`layout`] goes through whoever
//! has the files. [`json`] is the only writer of JSON whose bytes are digested.
//!
//! - `config`, `manifest`, `index`, `descriptor`, [`media_type`]: what we write
//! - `artifact`: what belongs to images and is none
//! - `user_config` (with `values`): what a user may write as the config of an image
//! - `document`: what others mean by the name of an image; `choose`: which of several is for a platform
//! - `lenient`: what others write otherwise than we do
//! - `value/`: digests, compressions, references and times, and their texts
//! - `lock`: what a name meant, as a lock file keeps it
//! - [`layout`]: which file of an image layout holds what

#![warn(missing_docs, unreachable_pub)]
#![warn(clippy::expect_used, clippy::panic, clippy::unwrap_used)]
#![warn(clippy::print_stderr, clippy::print_stdout)]

mod artifact;
mod choose;
mod config;
mod descriptor;
mod document;
mod index;
pub mod json;
pub mod layout;
mod lenient;
mod lock;
mod manifest;
pub mod media_type;
mod user_config;
mod value;

pub use artifact::{Artifact, Referrer, Referrers};
pub use config::{Config, History, HistoryEntry, ImageConfig};
pub use descriptor::{
    Descriptor, NIX_LAYER, NIX_STORE_PATH, Platform, TABLE_DIGEST, TABLE_POSITION,
    TAR_SPLIT_POSITION,
};
pub use document::{
    Document, IndexEntry, check_config_keys, check_docker_archive_keys, check_index_keys,
};
pub use index::Index;
pub use lenient::{go_fields, go_object};
pub use lock::{Lock, LockedImage};
pub use manifest::{Format, Manifest};
pub use user_config::{UserConfig, canonical_user_config};
pub use value::{
    Compression, Digest, Hasher, HashingReader, HashingWriter, Reference, is_repository,
    is_rfc3339, rfc3339, seconds_of, split_registry, validate_tag, without_password,
};
