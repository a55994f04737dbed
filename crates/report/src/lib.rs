//! What is said of images: pages for people, JSON, Markdown and HTML.
//!
//! - `inspect`: what is in one; `why`: the ways to a package; `diff`: what differs between two
//! - `described`: what several of them say in JSON, as docs/cli.md describes it
//! - `html`: pages of HTML
//! - `page`: rows and numbers of pages for people

#![warn(missing_docs, unreachable_pub)]
#![warn(clippy::expect_used, clippy::panic, clippy::unwrap_used)]
#![warn(clippy::print_stderr, clippy::print_stdout)]

mod described;
pub mod diff;
pub mod html;
pub mod inspect;
mod page;
pub mod why;

pub use described::facts;
