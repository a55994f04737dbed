//! Deterministic archives: POSIX ustar entries, PAX records only where ustar cannot say it.
//!
//! The `tar` crate's [`tar::Header`] lays out the fields; its `Builder` is not used, because it
//! writes GNU long names and metadata of the host.
//!
//! [`ArchiveReader`] reads what others wrote, within bounds and without believing it.

mod reader;
mod writer;

pub use reader::{ArchiveEntry, ArchiveEntryKind, ArchiveReader, Special, clean_path};
pub(crate) use writer::write_error;
pub use writer::{ArchiveWriter, MODIFICATION_TIME};
