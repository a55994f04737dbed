//! The flags of `copy` that say what goes to a registry, and how.

use clap::Args;

use crate::oci::Compression;
use crate::transport::Destination;
use crate::transport::registry::PushOptions;
use crate::{Error, Result};

/// The flags.
#[derive(Args)]
#[allow(clippy::struct_excessive_bools, reason = "they are flags")]
pub(super) struct PushArguments {
    /// How to compress layers for a registry: none, gzip[:LEVEL] or zstd[:LEVEL]
    #[arg(long, value_name = "METHOD")]
    compression: Option<Compression>,

    /// Keep the image's own digest, which means --compression=none
    #[arg(long, conflicts_with_all = ["compression", "dest_compress_format", "dest_compress_level"])]
    preserve_digests: bool,

    /// Compress layers, which is what happens anyway
    #[arg(long, hide = true)]
    dest_compress: bool,

    /// The same as --compression, in skopeo's words: gzip or zstd
    #[arg(
        long,
        value_name = "FORMAT",
        hide = true,
        conflicts_with = "compression"
    )]
    #[arg(value_parser = compression_format)]
    dest_compress_format: Option<Compression>,

    /// The level of --dest-compress-format, else of gzip
    #[arg(
        long,
        value_name = "LEVEL",
        hide = true,
        conflicts_with = "compression"
    )]
    dest_compress_level: Option<u8>,
}

impl PushArguments {
    /// Checks the flags for a copy to `destination`, which refuses those that mean nothing there.
    pub(super) fn settings(self, destination: &Destination) -> Result<PushOptions> {
        let compression = self.compression()?;
        if !matches!(destination, Destination::Registry(_))
            && (compression.is_some() || self.dest_compress)
        {
            return Err(Error::Name {
                what: "destination",
                value: destination.to_string(),
                message: "layers are compressed on the way to a registry only".to_owned(),
                hint: "leave --compression out".to_owned(),
            });
        }
        Ok(PushOptions {
            compression: if self.preserve_digests {
                Some(Compression::None)
            } else {
                compression
            },
            ..PushOptions::default()
        })
    }

    /// `--compression`, or skopeo's two flags for the same.
    fn compression(&self) -> Result<Option<Compression>> {
        let Some(level) = self.dest_compress_level else {
            return Ok(self.compression.or(self.dest_compress_format));
        };
        let name = match self.dest_compress_format.unwrap_or_default() {
            Compression::Zstd { .. } => "zstd",
            Compression::None | Compression::Gzip { .. } => "gzip",
        };
        let value = format!("{name}:{level}");
        value.parse().map(Some).map_err(|message| Error::Name {
            what: "compression",
            value,
            message,
            hint: "write --compression=gzip:LEVEL or zstd:LEVEL".to_owned(),
        })
    }
}

/// skopeo's words for methods of compression that a registry's layers can have.
fn compression_format(text: &str) -> Result<Compression, String> {
    match text {
        "gzip" | "zstd" => text.parse(),
        _ => Err("write gzip or zstd".to_owned()),
    }
}
