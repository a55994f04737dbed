//! What Nix hands over, and what an image holds for Nix: attributes of a derivation, the closure graph,
//! store paths, the archive format whose hash Nix records, and its database.
//!
//! Values are typed here and not judged: what a request may say is checked in `strata_plan` and
//! `strata_system`. What is read of the store is the same on every machine.
//!
//! - `build_cores`: how many threads Nix allots
//! - `attrs`: `.attrs.json`, which is one of `request` and `requests`, and
//!   `diagnostic`, what is wrong with it in the words of those who write Nix
//! - `store`, `closure`, `derivation`, [`base32`]: store paths and what is known of them
//! - `package_name`: `openssl` and `3.0.1` in the name of a store path
//! - [`walk`] and [`nar`]: the files of a store path in their order, and as an archive
//! - `database`, `database_reader`: which paths are valid, written, and read without being believed

#![warn(missing_docs, unreachable_pub)]
#![warn(clippy::expect_used, clippy::panic, clippy::unwrap_used)]
#![warn(clippy::print_stderr, clippy::print_stdout)]

mod attrs;
pub mod base32;
mod build_cores;
mod closure;
mod database;
mod database_reader;
mod derivation;
mod diagnostic;
pub mod nar;
mod package_name;
mod request;
mod requests;
mod store;
pub mod walk;

pub use attrs::{Attrs, Requested, find_attrs_file};
pub use build_cores::threads;
pub use closure::{Closure, ClosureEntry};
pub use database::{Registration, write_database};
pub use database_reader::{DATABASE_FILES, read_database};
pub use derivation::{DerivationOutput, parse_outputs};
pub use nar::hash_of;
pub use package_name::PackageName;
pub use request::{
    AccountsRequest, FileRequest, FileType, FleetRequest, FromImage, GrowthRequest, ImageRequest,
    InheritRequest, LayerHints, LimitsRequest, NixDatabase, OwnerRequest, PermsRule, Request,
    StrategyName,
};
pub use requests::index::{IndexArguments, IndexRequest};
pub use requests::system::{
    ChannelRequest, FlakeRegistryRequest, GroupRequest, PackageRequest, ProfileRequest, System,
    SystemRequest, USUAL_PRIORITY, UserRequest,
};
pub use requests::tree::{TreeArguments, TreeForm, TreeRequest};
pub use store::{Store, StorePath};
