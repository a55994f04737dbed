//! Compressing layers. The bytes follow from the input, the method and the level alone: neither the
//! number of threads nor the machine changes them, nor how the input is cut. The one exception is Zstandard
//! from level 5, whose bytes depend on the byte order, too.
//!
//! The input is cut into pieces of [`PIECE`] bytes, each of which becomes a gzip member (RFC 1952,
//! section 2.2) or a Zstandard frame (RFC 8878, section 3) of its own; readers join them. Pieces are
//! compressed on rayon's global pool, which several layers share, and written in their order. No file
//! is opened here.
//!
//! - [`compress_layer`]: a layer's bytes, and the descriptor of what was made
//! - [`TableOfContents`] and [`refetched`]: what a client fetches of a layer that can be fetched in parts
//! - [`Compressor`]: the writer, over `pieces` or, for layers that can be fetched in parts, `chunked`
//! - `encoder`: compressing one piece; `in_order`: work on all cores whose results keep their order

#![warn(missing_docs, unreachable_pub)]
#![warn(clippy::expect_used, clippy::panic, clippy::unwrap_used)]
#![warn(clippy::print_stderr, clippy::print_stdout)]

mod chunked;
mod compressor;
mod encoder;
mod in_order;
mod layer;
mod pieces;

pub use chunked::{Refetched, RefetchedFile, TableOfContents, TablePosition, refetched};
pub use compressor::Compressor;
pub use layer::{compress_layer, layer_contents};
pub use pieces::PIECE;

#[cfg(test)]
mod tests;
