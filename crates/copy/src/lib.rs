//! What copies share, wherever they go: the blobs of an image, files that appear whole or not at all,
//! and the forms that are files: archives, layouts and directories. No network is asked.
//!
//! ```text
//!  archive   layout   directory   compressed      the forms
//!     │        └───┬──────┴───┬──────┘
//!    file          │        lock                  one at a time in a directory
//!     └────────> target ─> staging                what is not whole yet
//!                     open_directory              everything is reached from an open directory
//! ```
//!
//! Beside them [`worker_pool`]: many quick checks and few long transfers at once.

#![warn(missing_docs, unreachable_pub)]
#![warn(clippy::expect_used, clippy::panic, clippy::unwrap_used)]
#![warn(clippy::print_stderr, clippy::print_stdout)]

pub mod archive;
mod blob;
pub mod cache;
pub mod compressed;
pub mod directory;
mod file;
pub mod layout;
mod lock;
mod name;
mod open_directory;
mod plain;
mod staging;
mod target;
pub mod worker_pool;
mod writer;

pub use blob::{Blob, blobs};
pub use file::write_file;
pub use name::CopyName;
pub use plain::plain;
pub use writer::PipeWriter;
