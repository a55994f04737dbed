//! A client of registries (OCI distribution specification): pushes images and indexes, pulls images and
//! single blobs, logs in.
//!
//! It knows no command line and prints nothing; what the user should know is in its results or goes to
//! the [`Context`](strata_progress::Context). It spools nothing and holds no layer whole in memory: a layer
//! is made while it is sent, and made again when an upload has to start over.
//!
//! - `auth/`: how requests are authorized, tokens; it knows no client. Credentials are found by `strata-keychain`.
//! - `push/` and `pull/`: what is done with a repository; neither knows the other.
//! - `repository.rs`: small documents and blobs that are read and written as they are, for what belongs to images
//!   (`strata-referrers`).
//! - what was pushed before is remembered by `strata_copy::cache`.
//! - beside them what both use: `client.rs` (a repository: logs in, tries again) over `http.rs` (one
//!   exchange: redirects, limits, time-outs), `fetch.rs`, `list_tags.rs`, `options.rs`; requests, responses and errors are of
//!   `strata-exchange`.
//!
//! A push from its arguments to the manifest (a dry run ends after `Resolver::find`):
//!
//! ```text
//!  push (push/mod.rs) ─> Client::connect (client.rs)
//!  ─> PushPlan::resolve (push/plan.rs) ─> Discovery::discover (push/discover.rs)
//!  ─> execute (push/execute.rs), for each blob: Resolver::find (push/resolve.rs)
//!     ─> Client::mount (push/mount.rs) ─> Upload::attempt (push/upload.rs)
//!     ─> BlobSource::read (push/blob_source.rs)
//!  ─> put_document (push/manifest.rs)
//! ```
//!
//! It is written by hand because no crate does all that it is for: to compress a layer while it is sent,
//! to go on with an upload or a download that broke off, to end at once when the user gives up.

#![warn(missing_docs, unreachable_pub)]
#![warn(clippy::expect_used, clippy::panic, clippy::unwrap_used)]
#![warn(clippy::print_stderr, clippy::print_stdout)]

mod ask;
mod auth;
mod client;
mod delays;
mod fetch;
#[cfg(test)]
mod fixture;
mod http;
mod list_tags;
mod options;
pub mod pull;
mod push;
mod repository;

pub use options::{Options, Retry, Timeouts};
pub use push::{
    Action, Fetched, ManifestFormat, Plan, PlannedLayer, PushOptions, Pushed, no_docker_format,
    plan, plan_index, push, push_index, tags,
};
pub use repository::{Answer, Repository, StoredDocument};
pub use strata_compress::{Refetched, RefetchedFile};
pub use strata_http::Proxies;
pub use strata_keychain::Credentials;
