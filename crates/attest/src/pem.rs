//! PEM (RFC 7468): bytes between two lines that say what they are.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// The bytes of the first block with one of these labels, and its label.
pub(crate) fn decode<'l>(text: &str, labels: &[&'l str]) -> Option<(&'l str, Vec<u8>)> {
    labels.iter().find_map(|label| {
        let (_, rest) = text.split_once(&format!("-----BEGIN {label}-----"))?;
        let (body, _) = rest.split_once(&format!("-----END {label}-----"))?;
        let body: String = body.split_whitespace().collect();
        Some((*label, STANDARD.decode(body).ok()?))
    })
}

/// The bytes of a text in base 64, if it is one.
pub fn from_base64(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}

/// Bytes as text in base 64.
pub fn to_base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}
