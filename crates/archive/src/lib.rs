//! Deterministic archives: POSIX ustar entries, PAX records only where ustar cannot say it.
//!
//! The `tar` crate's [`tar::Header`] lays out the fields; its `Builder` is not used, because it
//! writes GNU long names and metadata of the host.
//!
//! [`ArchiveReader`] reads what others wrote, within bounds and without believing it.

#![warn(missing_docs, unreachable_pub)]
#![warn(clippy::expect_used, clippy::panic, clippy::unwrap_used)]
#![warn(clippy::print_stderr, clippy::print_stdout)]

mod archive_entry;
mod decompress;
mod entry;
mod metadata;
mod path;
mod pax;
mod reader;
mod writer;

pub use archive_entry::{ArchiveEntry, ArchiveEntryKind, Special};
pub use decompress::{CompressionFormat, decompress};
pub use entry::{Entry, EntryKind, WHITEOUT_PREFIX};
pub use metadata::{Metadata, Mode};
pub use path::clean_path;
pub use reader::ArchiveReader;
pub use writer::{ArchiveWriter, MODIFICATION_TIME, write_error};
