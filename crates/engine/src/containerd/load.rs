//! minikube with another runtime than containerd: its own loader takes the whole image.

use std::collections::BTreeSet;
use std::process::Command;

use serde::Deserialize;

use super::nodes::Minikube;
use crate::process::{query, run_with_input};
use strata_copy::{CopyName, archive};
use strata_error::{Error, Result};
use strata_image::Image;
use strata_oci::Reference;
use strata_progress::Context;

const HINT: &str = "start the cluster with `minikube start`";

/// Copies `image` to every node of `cluster`.
///
/// `minikube image load` reports success whatever becomes of the image (minikube#21678), so the
/// cluster is asked for it. Docker and CRI-O call it by the digest of its config.
pub(super) fn copy(
    cluster: &Minikube,
    image: &Image,
    name: &CopyName,
    full: &str,
    context: Context<'_>,
) -> Result<()> {
    let minikube = |arguments: &[&str]| {
        let mut command = Command::new("minikube");
        command.args(["--profile", &cluster.profile, "image"]);
        command.args(arguments);
        command
    };
    let everything = BTreeSet::new();
    run_with_input(
        minikube(&["load", "-"]),
        Box::new(|writer| archive::stream(image, writer, name, &everything, context)),
        HINT,
        context,
    )?;
    let output = query(minikube(&["ls", "--format", "json"]), HINT, context)?;
    let expected = image.manifest.config.digest.hex();
    let found = find(&output, full).map_err(|source| Error::Command {
        command: "minikube image ls".to_owned(),
        message: source.to_string(),
        hint: HINT.to_owned(),
    })?;
    if found.as_deref() == Some(expected.as_str()) {
        return Ok(());
    }
    Err(Error::Mismatch {
        what: format!("config of {full} in minikube"),
        expected,
        found: found.unwrap_or_else(|| "no image".to_owned()),
        hint: "`minikube image load --alsologtostderr` may tell why".to_owned(),
    })
}

/// The hex digits by which the cluster knows the image that is called `full`.
fn find(output: &[u8], full: &str) -> serde_json::Result<Option<String>> {
    #[derive(Deserialize)]
    struct ListedImage {
        id: String,
        #[serde(rename = "repoTags", default)]
        tags: Option<Vec<String>>,
    }
    let images: Option<Vec<ListedImage>> = serde_json::from_slice(output)?;
    let is_ours =
        |tag: &String| Reference::parse(tag).is_ok_and(|reference| reference.to_string() == full);
    let mut images = images.unwrap_or_default().into_iter();
    let found = images.find(|image| image.tags.iter().flatten().any(is_ours));
    Ok(found.map(|image| match image.id.strip_prefix("sha256:") {
        Some(hex) => hex.to_owned(),
        None => image.id,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listed_images_are_found_by_their_names() {
        let output = br#"[{"id": "aa", "repoDigests": [], "repoTags": null, "size": "1"},
            {"id": "sha256:bb", "repoTags": ["hello:2", "docker.io/library/hello:1"]},
            {"id": "cc", "repoTags": ["<none>:<none>", "h.x/hello:1"]}]"#;
        let found = |full| find(output, full).unwrap();
        assert_eq!(found("docker.io/library/hello:1").as_deref(), Some("bb"));
        assert_eq!(found("docker.io/library/hello:2").as_deref(), Some("bb"));
        assert_eq!(found("h.x/hello:1").as_deref(), Some("cc"));
        assert_eq!(found("h.x/hello:2"), None);
        assert!(find(b"[{", "x").is_err());
    }
}
