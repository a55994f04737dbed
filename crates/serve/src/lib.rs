//! A read-only registry (OCI distribution specification) whose blobs are made while they are sent.
//!
//! ```text
//!  server ──> connection ──> request      api: catalog, range
//!   │ clients    └─────────> response <────┘
//!  loopback: a server for one image and one program
//! ```
//!
//! It serves what it is given and stores nothing; it knows no destinations, no other registries and
//! nothing of TLS. The server is our own, over the standard library's sockets and `httparse`, because
//! the small ones that stream a body are not kept any more or guess where a request ends. This one does
//! not have to: a request with a body is refused and its connection closed.

#![warn(missing_docs, unreachable_pub)]
#![warn(clippy::expect_used, clippy::panic, clippy::unwrap_used)]
#![warn(clippy::print_stderr, clippy::print_stdout)]

mod api;
mod catalog;
mod clients;
mod compressed;
mod connection;
mod limits;
mod loopback;
mod observer;
mod range;
mod request;
mod response;
mod sending;
mod server;
mod window;

pub use catalog::Catalog;
pub use compressed::{SharedLayers, compress_all_images};
pub use limits::Limits;
pub use loopback::{is_loopback_name, on_loopback};
pub use observer::Observer;
pub use server::Server;
