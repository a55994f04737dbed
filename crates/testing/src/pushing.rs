//! What the tests of registries push, and how.

use std::path::PathBuf;
use std::time::Duration;

use strata_error::Result;
use strata_image::Image;
use strata_oci::{Compression, Reference};
use strata_progress::Context;
use strata_registry::{Credentials, Options, PushOptions, Retry, push};

use super::memory_image::{MemoryLayer, image};

/// A layer that takes several reads and writes, and is sent while it is made.
pub fn large() -> MemoryLayer {
    MemoryLayer::new(
        (0..4_500_000_u32)
            .map(|number| (number % 251) as u8)
            .collect::<Vec<_>>(),
    )
}

/// An image of a small and a large layer.
pub fn small_image() -> Image {
    image(vec![MemoryLayer::new("one"), large()])
}

/// `127.0.0.1:PORT` where nobody listens.
pub fn closed_port() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}

/// Options with short pauses, which read no file of the user's.
pub fn options() -> Options {
    Options {
        auth_file: Some(PathBuf::from(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/src/no-credentials.json"
        ))),
        retry: Retry {
            tries: 3,
            first_pause: Duration::from_millis(10),
            ..Retry::default()
        },
        ..Options::default()
    }
}

/// The same with `USER:PASSWORD`.
pub fn with_credentials(text: &str) -> Options {
    let (username, password) = text.split_once(':').unwrap();
    Options {
        credentials: Some(Credentials::Basic {
            username: username.to_owned(),
            password: password.to_owned(),
        }),
        ..options()
    }
}

/// Layers go as they are, so that a test knows what is sent.
pub fn uncompressed() -> PushOptions {
    compressed(Compression::None)
}

/// Layers are compressed like this.
pub fn compressed(compression: Compression) -> PushOptions {
    PushOptions {
        compression: Some(compression),
        ..PushOptions::default()
    }
}

/// Pushes to `name:tag`, uncompressed.
pub fn push_to(host: &str, image: &Image, options: &Options) -> Result<()> {
    let reference = Reference::parse(&format!("{host}/name:tag")).unwrap();
    push(
        image,
        &reference,
        options,
        &uncompressed(),
        Context::silent(),
    )
    .map(drop)
}

/// The message and the hint of a failure.
pub fn failure(result: Result<()>) -> (String, String) {
    let error = result.expect_err("a failure");
    (error.to_string(), error.hint().unwrap_or_default())
}
