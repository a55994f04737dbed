//! The links of the chain by which `ureq` makes a connection. Its interface for them may change with its
//! minor versions, which is why `Cargo.toml` pins them.

mod early;
mod hang_up;
mod plain_proxy;
mod silence;
mod socket;
mod ssh;
mod tcp;
mod tls;

pub(crate) use early::EarlyResponseConnector;
pub use early::early_response;
pub(crate) use hang_up::{HangUp, HangUpConnector};
pub(crate) use plain_proxy::PlainProxyConnector;
pub(crate) use silence::{SilenceConnector, SilentServers};
pub(crate) use socket::{Socket, SocketConnector};
pub use ssh::Ssh;
pub(crate) use ssh::SshStderr;
pub(crate) use tcp::TcpConnector;
pub(crate) use tls::TlsConnector;
