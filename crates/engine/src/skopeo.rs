//! Every other destination that skopeo knows: the image is served on loopback, and the stock skopeo
//! copies it from there.

use std::process::Command;

use crate::process;
use strata_error::{Error, Result};
use strata_image::Image;
use strata_oci::Digest;
use strata_progress::Context;
use strata_serve::on_loopback;

/// Copies `image` to `destination`, in skopeo's syntax; gives the digest of the manifest that is there
/// then. Only a storage keeps the image's own: what skopeo writes elsewhere may have another form.
pub fn copy(image: &Image, destination: &str, context: Context<'_>) -> Result<Digest> {
    let digest_file = tempfile::NamedTempFile::new()
        .map_err(Error::io("make a file in", std::env::temp_dir()))?;
    let mut flags = vec!["--quiet", "--insecure-policy", "--src-tls-verify=false"];
    if destination.starts_with("containers-storage:") {
        flags.push("--preserve-digests");
    }
    on_loopback(image, context, |ours| {
        let mut command = Command::new("skopeo");
        command
            .arg("copy")
            .args(&flags)
            .arg("--digestfile")
            .arg(digest_file.path())
            .arg(format!("docker://{ours}"))
            .arg(destination);
        process::run(command, "", context)
    })?;
    let written = std::fs::read_to_string(digest_file.path())
        .map_err(Error::io("read", digest_file.path()))?;
    written.trim().parse().map_err(|message| Error::Command {
        command: "skopeo copy".to_owned(),
        message,
        hint: String::new(),
    })
}
