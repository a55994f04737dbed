//! A read-only registry (OCI distribution specification) whose blobs are made while they are sent.
//!
//! ```text
//!  server ──> connection ──> request      api: contents, range
//!   │ clients    ├─────────> response <────┘     └ catalog: contents that do not change
//!   │            └ sending: what goes to a client
//!  loopback: a server for one image and one program
//! ```
//!
//! It serves what it is given and stores nothing; it knows no destinations and no other registries. The server is our own, over the standard library's sockets and `httparse`, because
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
mod contents;
mod limits;
mod loopback;
mod observer;
mod range;
mod request;
mod response;
mod sending;
mod server;

pub use catalog::Catalog;
pub use compressed::{SharedLayers, compress_all_images};
pub use contents::{Answered, Content, Contents, Denied, ManifestReference, Page, Visit};
pub use limits::Limits;
pub use loopback::{is_loopback_name, on_loopback};
pub use observer::Observer;
pub use server::Server;
