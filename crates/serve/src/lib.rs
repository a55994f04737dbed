//! A read-only registry (OCI distribution specification) whose blobs are made while they are sent.
//!
//! ```text
//!  catalog ─────> api ────────────────> connection ─────────> listener
//!  what there is  request -> answer,    one client after      threads, bounds,
//!                 with http and range   another request       the end
//! ```
//!
//! The server is our own, over the standard library's sockets and `httparse`, because the small ones
//! that stream a body are not kept any more or guess where a request ends. This one does not have to:
//! a request with a body is refused and its connection closed.

#![warn(missing_docs, unreachable_pub)]
#![warn(clippy::expect_used, clippy::panic, clippy::unwrap_used)]
#![warn(clippy::print_stderr, clippy::print_stdout)]

mod api;
mod catalog;
mod compressed;
mod connection;
mod http;
mod lending;
mod listener;
mod range;
mod window;

pub use catalog::Catalog;
pub use compressed::{compress, compress_all_images};
pub use lending::{lend, was_lent_as};
pub use listener::{Limits, Observer, Server};
