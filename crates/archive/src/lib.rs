//! The bytes of tar entries, written and read.
//!
//! What is written is deterministic: POSIX ustar entries, PAX records only where ustar cannot say it. The
//! `tar` crate's [`tar::Header`] lays out the fields; its `Builder` is not used, because it writes GNU
//! long names and metadata of the host. What others wrote is read within bounds and without being
//! believed. Which entries there are is not decided here.
//!
//! - `metadata`, `entry`: what an entry of a layer of ours is; `writer` writes it
//! - `archive_entry`: an entry as others have it; `reader` reads it with
//!   what `header` says, `writer` copies it
//! - `member`: headers word for word, as they come
//! - `tarsum`: Docker's sum of an archive
//! - `pax`, `path`: records and paths, for both
//! - `decompress`: how a stream is compressed, and what it was before

#![warn(missing_docs, unreachable_pub)]
#![warn(clippy::expect_used, clippy::panic, clippy::unwrap_used)]
#![warn(clippy::print_stderr, clippy::print_stdout)]

mod archive_entry;
mod decompress;
mod entry;
mod header;
mod member;
mod metadata;
mod path;
mod pax;
mod reader;
mod tarsum;
mod writer;

pub use archive_entry::{ArchiveEntry, ArchiveEntryKind, Special};
pub use decompress::{CompressionFormat, decompress, foreign_compression, open_archive};
pub use entry::{Entry, EntryKind, WHITEOUT_PREFIX};
pub use member::{Head, Member, MemberKind, read_head};
pub use metadata::{Metadata, Mode};
pub use path::clean_path;
pub use reader::ArchiveReader;
pub use tarsum::tarsum;
pub use writer::{ArchiveWriter, MODIFICATION_TIME, write_error};
