//! Images by name: the functions that make them, and `strata registry`, which has Nix build them when real programs
//! pull them.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod by_name;
mod faults;
mod image;
mod pages;
mod pulls;
mod serving;
