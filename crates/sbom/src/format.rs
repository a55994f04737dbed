//! The formats of a bill.

use serde_json::Value;

use crate::bill::Bill;
use crate::{cyclonedx, spdx};

/// The file formats of a bill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// CycloneDX 1.6 in JSON.
    CycloneDx,
    /// SPDX 2.3 in JSON.
    Spdx,
}

impl Format {
    /// The media type, which referrers are found by.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::CycloneDx => "application/vnd.cyclonedx+json",
            Self::Spdx => "application/spdx+json",
        }
    }

    /// What an in-toto statement calls it.
    pub fn predicate_type(self) -> &'static str {
        match self {
            Self::CycloneDx => "https://cyclonedx.org/bom",
            Self::Spdx => "https://spdx.dev/Document",
        }
    }

    /// What its file is called.
    pub fn file_name(self) -> &'static str {
        match self {
            Self::CycloneDx => "cyclonedx.json",
            Self::Spdx => "spdx.json",
        }
    }
}

impl Bill {
    /// The document.
    pub fn document(&self, format: Format) -> Value {
        match format {
            Format::CycloneDx => cyclonedx::document(self),
            Format::Spdx => spdx::document(self),
        }
    }
}
