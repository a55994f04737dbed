//! Pages: for people, for Prometheus, and for whoever asks whether the server is well.
//!
//! HTML is made here, without scripts and without anything from elsewhere. Everything that is shown is escaped by
//! [`html`].

mod html;
mod landing;
mod layers;
mod metrics;
mod status;

pub(crate) use landing::{Found, landing};
pub(crate) use layers::{ImageLayers, LayerSize};
pub(crate) use metrics::{Gauges, metrics};
pub(crate) use status::status;

use http::StatusCode;
use strata_serve::Page;

/// What a browser may do with the pages: show them with their own styles, and send their forms here.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; \
                      base-uri 'none'; frame-ancestors 'none'";

/// A page of HTML.
pub(crate) fn of_html(text: String) -> Page {
    Page {
        status: StatusCode::OK,
        content_type: "text/html; charset=utf-8",
        headers: vec![
            ("Content-Security-Policy", POLICY.to_owned()),
            ("X-Content-Type-Options", "nosniff".to_owned()),
            ("Cache-Control", "no-store".to_owned()),
        ],
        body: text.into_bytes(),
    }
}

/// A page of plain text.
pub(crate) fn of_text(status: StatusCode, text: String) -> Page {
    Page {
        status,
        content_type: "text/plain; version=0.0.4; charset=utf-8",
        headers: vec![("Cache-Control", "no-store".to_owned())],
        body: text.into_bytes(),
    }
}
