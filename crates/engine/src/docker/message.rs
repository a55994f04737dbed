//! The bodies of an engine's responses (Docker Engine API, docs.docker.com/reference/api/engine): the few fields that
//! matter, leniently read.

use std::collections::BTreeMap;

use serde::Deserialize;

use strata_error::printable;
use strata_oci::Digest;

/// What the containerd image store calls itself among the properties of the storage driver.
const CONTAINERD_DRIVER: &str = "io.containerd.snapshotter.v1";
/// How a load begins to say that the image is there and cannot run.
const NOT_UNPACKED: &str = "Error unpacking image";

/// `GET /info`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Info {
    #[serde(default)]
    driver_status: Option<Vec<Vec<String>>>,
}

impl Info {
    /// Whether images are in containerd's store.
    pub(super) fn is_containerd(&self) -> bool {
        let mut properties = self.driver_status.iter().flatten().flatten();
        properties.any(|property| property == CONTAINERD_DRIVER)
    }
}

/// `GET /version`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Version {
    /// GOOS.
    pub(super) os: String,
    /// GOARCH.
    pub(super) arch: String,
}

/// An entry of `GET /images/json`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ImageSummary {
    /// The digest of the config, or of the manifest or index in containerd's store.
    pub(super) id: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    #[serde(default)]
    manifests: Option<Vec<ManifestSummary>>,
}

#[derive(Debug, Deserialize)]
struct ManifestSummary {
    #[serde(rename = "ID", default)]
    id: String,
    #[serde(rename = "Available", default)]
    available: bool,
}

impl ImageSummary {
    /// Whether it has a name in `repository`, written in full.
    pub(super) fn is_of(&self, repository: &str) -> bool {
        let mut names = self.repo_tags.iter().flatten();
        names.any(|name| {
            let name = name
                .rsplit_once(':')
                .map_or(name.as_str(), |(name, _)| name);
            repository
                .strip_suffix(name)
                .is_some_and(|before| before.is_empty() || before.ends_with('/'))
        })
    }

    /// Whether every blob of the manifest `digest` is there. An engine that says nothing about that
    /// (before API 1.47) lists no others.
    pub(super) fn is_whole(&self, digest: Digest) -> bool {
        let digest = digest.to_string();
        self.id == digest
            && self.manifests.as_ref().is_none_or(|manifests| {
                manifests
                    .iter()
                    .any(|manifest| manifest.id == digest && manifest.available)
            })
    }
}

/// `GET /images/NAME/json`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ImageInspect {
    /// As in [`ImageSummary`].
    pub(super) id: String,
    /// The names.
    #[serde(default)]
    pub(super) repo_tags: Option<Vec<String>>,
    #[serde(default, rename = "RootFS")]
    root_fs: RootFs,
}

#[derive(Debug, Default, Deserialize)]
struct RootFs {
    #[serde(default, rename = "Layers")]
    layers: Option<Vec<String>>,
}

impl ImageInspect {
    /// The layers' digests when uncompressed, lowest first, as far as they can be understood.
    pub(super) fn diff_ids(&self) -> Vec<Digest> {
        let layers = self.root_fs.layers.iter().flatten();
        layers.map_while(|layer| layer.parse().ok()).collect()
    }
}

/// What went wrong by the stream of messages in the response to a load; `None` if nothing did.
pub(super) fn failure_of_load(bytes: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Message {
        #[serde(default)]
        stream: Option<String>,
        #[serde(default)]
        error: Option<String>,
        #[serde(default, rename = "errorDetail")]
        detail: Option<BTreeMap<String, serde_json::Value>>,
    }
    for message in serde_json::Deserializer::from_slice(bytes).into_iter::<Message>() {
        let Ok(message) = message else {
            return Some(format!(
                "unclear: {}",
                printable(&String::from_utf8_lossy(bytes))
            ));
        };
        let detail = message
            .detail
            .as_ref()
            .and_then(|it| it.get("message")?.as_str());
        let not_unpacked = message
            .stream
            .as_deref()
            .filter(|it| it.starts_with(NOT_UNPACKED));
        let failure = detail.or(message.error.as_deref()).or(not_unpacked);
        if let Some(failure) = failure {
            return Some(printable(failure));
        }
        if message.detail.is_some() {
            return Some("failed without a reason".to_owned());
        }
    }
    None
}

/// The message in the response to a request that failed.
pub(super) fn message(bytes: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Message {
        message: String,
    }
    match serde_json::from_slice::<Message>(bytes) {
        Ok(Message { message }) => printable(&message),
        Err(_) => printable(&String::from_utf8_lossy(bytes)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use strata_error::LONGEST_TEXT;

    #[test]
    fn the_store_is_told_by_the_driver() {
        let is_containerd =
            |text: &str| serde_json::from_str::<Info>(text).unwrap().is_containerd();
        assert!(is_containerd(
            r#"{"Driver":"overlayfs","DriverStatus":[["driver-type","io.containerd.snapshotter.v1"]]}"#
        ));
        assert!(!is_containerd(
            r#"{"DriverStatus":[["Backing Filesystem","extfs"]]}"#
        ));
        assert!(!is_containerd(r#"{"DriverStatus":null}"#));
        assert!(!is_containerd("{}"));
    }

    #[test]
    fn failures_of_loads_are_found() {
        for (stream, failure) in [
            ("", None),
            ("{\"stream\":\"Loaded image: a:b\\n\"}\n", None),
            (
                "{\"stream\":\"a\"}\n{\"errorDetail\":{\"message\":\"no\"},\"error\":\"x\"}",
                Some("no"),
            ),
            (r#"{"error":"no"}"#, Some("no")),
            (
                r#"{"errorDetail":{"message":"a\u001b[2J\nb"}}"#,
                Some("a [2J b"),
            ),
            (r#"{"errorDetail":{}}"#, Some("failed without a reason")),
            (
                r#"{"stream":"Error unpacking image a: b\n"}"#,
                Some("Error unpacking image a: b"),
            ),
            ("<html>", Some("unclear: <html>")),
        ] {
            assert_eq!(
                failure_of_load(stream.as_bytes()).as_deref(),
                failure,
                "{stream}"
            );
        }
        assert_eq!(message(br#"{"message":"no such image"}"#), "no such image");
        assert_eq!(message(b"404 page\nnot found"), "404 page not found");
        assert_eq!(message(&[b'x'; 5000]).chars().count(), LONGEST_TEXT + 1);
    }

    #[test]
    fn a_listed_image_may_lack_blobs() {
        let (ours, other) = (Digest::of(b"ours"), Digest::of(b"other"));
        let listed = |manifests: &str| {
            let text = format!(r#"{{"Id":"{ours}","RepoTags":null{manifests}}}"#);
            serde_json::from_str::<ImageSummary>(&text).unwrap()
        };
        assert!(listed("").is_whole(ours));
        assert!(!listed("").is_whole(other));
        let manifest = |id, available| {
            listed(&format!(
                r#","Manifests":[{{"ID":"{id}","Available":{available}}}]"#
            ))
        };
        assert!(manifest(ours, true).is_whole(ours));
        assert!(!manifest(ours, false).is_whole(ours));
        assert!(!manifest(other, true).is_whole(ours));
    }

    #[test]
    fn names_are_compared_in_full() {
        let text = r#"{"Id":"x","RepoTags":["hello:1","h.x:5/a/b:2"]}"#;
        let listed: ImageSummary = serde_json::from_str(text).unwrap();
        for (repository, expected) in [
            ("docker.io/library/hello", true),
            ("h.x:5/a/b", true),
            ("docker.io/library/othello", false),
            ("docker.io/library/b", false),
        ] {
            assert_eq!(listed.is_of(repository), expected, "{repository}");
        }
    }
}
