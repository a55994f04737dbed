//! The `oci-layout` marker file (image-layout.md, "oci-layout file").

/// Its name.
pub const LAYOUT_FILE: &str = "oci-layout";
/// Its content: the version of the layout.
pub const LAYOUT_VERSION: &str = r#"{"imageLayoutVersion":"1.0.0"}"#;
