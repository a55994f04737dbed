//! What newer engines than this machine's make of layers that clients can fetch in parts, and newer tools of what vouches
//! for images. They are in a Debian 13 and a Debian unstable that `scripts/test-newer` sets up, which runs this program.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "this is a test"
)]

mod attested;
mod closure;
mod counted;
mod debian;
mod partial_pulls;
mod readers;
