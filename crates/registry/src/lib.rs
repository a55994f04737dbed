//! `docker://`: a client of registries (OCI distribution specification, spec.md).
//!
//! ```text
//!  push ──> client ──> http ─────────> connection ──> ureq
//!  pull     login,     one exchange:   proxies, TLS
//!           retries    redirects,
//!                      limits, time-outs
//! ```
//!
//! Layers are made while they are sent: nothing is spooled and nothing is held whole in memory. A
//! layer can be made again, so an upload that fails is cancelled and started over.

#![warn(missing_docs, unreachable_pub)]
#![warn(clippy::expect_used, clippy::panic, clippy::unwrap_used)]
#![warn(clippy::print_stderr, clippy::print_stdout)]

mod address;
mod auth;
pub mod certificates;
mod client;
mod connection;
mod delays;
mod error;
mod fetch;
#[cfg(test)]
mod fixture;
mod options;
mod proxy;
pub mod pull;
mod push;
mod request;
mod response;
mod tls;
mod transport;
mod worker_pool;

pub use auth::Credentials;
pub use options::{Options, Retry, Timeouts};
pub use proxy::Proxies;
pub use push::{
    Action, Plan, PlannedLayer, PushOptions, Pushed, plan, plan_index, push, push_index, tags,
};
