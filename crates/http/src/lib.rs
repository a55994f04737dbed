//! How HTTP reaches a server, for the clients of registries and of engines alike.
//!
//! ```text
//!  url, percent, proxies, challenge     tls <── certificates
//!                                        │
//!  server_tls: TLS of a server
//!  agent ──> connector: socket (unix, ssh), plain_proxy, tcp, tls, hang_up, silence, early
//! ```
//!
//! It makes connections and notices what happens on them; requests and responses are `ureq`'s, which
//! takes the connectors as a chain. It knows nothing of registries, engines and images, follows no
//! redirect, has no credentials but those of proxies, and judges no status: that is for its callers,
//! who also say in their own words what went wrong.

#![warn(missing_docs, unreachable_pub)]
#![warn(clippy::expect_used, clippy::panic, clippy::unwrap_used)]
#![warn(clippy::print_stderr, clippy::print_stdout)]

mod agent;
mod certificates;
mod challenge;
mod connector;
mod environment;
mod percent;
mod proxies;
mod server_tls;
mod tls;
pub mod url;

pub use agent::{NotThisMachine, Route, Transport, USER_AGENT, config};
pub use certificates::{CERTIFICATE_HINT, ClientCertificate, TrustStore, certificate_variable};
pub use challenge::Challenge;
pub use connector::{Ssh, early_response};
pub use environment::Environment;
pub use percent::{percent_decode, percent_encode};
pub use proxies::{InvalidProxy, Proxies};
pub use server_tls::{ServerStream, ServerTls};
pub use tls::{Tls, TlsError};
