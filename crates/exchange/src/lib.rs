//! Exchanges with registries: requests, responses, and what went wrong.
//!
//! - `request`: what is asked; `response`: what comes back, and when to ask again
//! - `error`: what went wrong, who was reached, and whether another try may help
//!
//! Nothing here connects to anything; the client of `strata_registry` does.

#![warn(missing_docs, unreachable_pub)]
#![warn(clippy::expect_used, clippy::panic, clippy::unwrap_used)]
#![warn(clippy::print_stderr, clippy::print_stdout)]

mod error;
mod request;
mod response;

pub use error::{Failure, Reached, RegistryError};
pub use request::{Body, Request};
pub use response::{Response, ResponseReader};
