//! Layers that clients can fetch in parts: `zstd:chunked`, as containers/storage reads it (`pkg/chunked`; there
//! is no other specification).
//!
//! A blob is Zstandard frames (RFC 8878) that together are the tar, then three skippable frames (section 3.1.2),
//! which readers of plain Zstandard pass over:
//!
//! | what | in the skippable frame |
//! |---|---|
//! | the table | JSON in a Zstandard frame: each member of the tar with what its header says, and for files the digest and where the frames of their chunks are |
//! | the tar-split | JSON in a Zstandard frame: what is in the tar beside the content of files, so that who has the files can make the tar, and with it the diff ID |
//! | the footer | 64 bytes: `OFFSET`, `LENGTH`, `UNCOMPRESSED LENGTH` of the table, the number 1, the same three of the tar-split, all as 64-bit little-endian numbers, and `GNUlInUx` |
//!
//! Annotations of the layer's descriptor say the digest of the table and where both are; the table names the
//! digest of the tar-split. A client believes the table if it has that digest, and compares it with the tar-split
//! member by member.
//!
//! Each chunk of a file begins a frame, and the last frame of a file also holds what follows it in the tar: padding
//! and headers, up to [`writer::LONGEST_TAIL`]. Readers take no more than the length of the chunk. Which frames
//! there are follows from the tar alone; they are made on all cores.
//!
//! What the table cannot say (see [`strata_archive::Head::Other`]), or a path that comes twice, leaves a layer
//! without a table: it is Zstandard like any other, and has no annotations.
//!
//! - `cut`: where a file is cut
//! - `batch`: frames that are made together, and making them
//! - `table`, `tar_split` with `crc64`, `behind`: what is behind the frames
//! - `writer`: the tar, header by header
//! - `contents`: tables read; `refetch`: what a client fetches that has older layers

mod batch;
mod behind;
mod contents;
mod crc64;
mod cut;
mod refetch;
mod table;
mod tar_split;
mod writer;

#[cfg(test)]
mod tests;

pub(super) use behind::Finished;
pub use contents::{TableOfContents, TablePosition};
pub use refetch::{Refetched, RefetchedFile, refetched};
pub(super) use writer::Chunked;
