//! What Nix hands over: the attributes of a derivation, the closure graph, store paths, and the
//! archive format whose hash Nix records for each store path.

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
mod index_request;
pub mod nar;
mod request;
mod store;
mod system_request;
pub mod walk;

pub use attrs::{Attrs, Requested, find_attrs_file};
pub use build_cores::threads;
pub use closure::{Closure, ClosureEntry};
pub use database::{Registration, write_database};
pub use database_reader::{DATABASE_FILES, read_database};
pub use derivation::{DerivationOutput, parse_outputs};
pub use index_request::{IndexArguments, IndexRequest};
pub use request::{
    AccountsRequest, FromImage, ImageRequest, InheritRequest, NixDatabase, PermsRule, Request,
    StrategyName,
};
pub use store::{Store, StorePath};
pub use system_request::{
    ChannelRequest, FlakeRegistryRequest, GroupRequest, PackageRequest, ProfileRequest, System,
    SystemRequest, USUAL_PRIORITY, UserRequest,
};
