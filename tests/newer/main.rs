//! What newer engines than this machine's make of layers that clients can fetch in parts. They are in a Debian 13
//! that `scripts/test-newer` sets up, and that runs this program.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "this is a test"
)]

mod closure;
mod counted;
mod debian;
mod partial_pulls;
mod readers;
