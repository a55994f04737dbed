//! The tags of a repository (distribution specification, "Content Discovery", end-8), to discover what
//! some of them say.

use serde::Deserialize;

use crate::ask::Ask;
use crate::client::Client;
use strata_exchange::Failure;
use strata_oci::validate_tag;

/// How many tags are asked for. Registries that give fewer at once do that.
const MOST_TAGS: usize = 500;
/// The largest list that is read, in bytes.
const LARGEST_LIST: usize = 1 << 20;
/// How the tags of what belongs to an image begin: its signatures, and what refers to it where the
/// registry has no other way to say so (distribution specification, "Referrers Tag Schema").
const BESIDE_IMAGES: &str = "sha256-";

impl Client {
    /// The first tags of the repository, in the registry's order and one response.
    pub(crate) fn list_tags(&self) -> Result<Vec<String>, Failure> {
        let response = self.ask(&Ask::tags(MOST_TAGS, LARGEST_LIST))?.success()?;
        Ok(images(&response.body))
    }
}

/// The tags in a response that may be images. A registry must not lead elsewhere with what is no tag.
fn images(body: &[u8]) -> Vec<String> {
    #[derive(Deserialize)]
    struct List {
        tags: Vec<String>,
    }
    let list = serde_json::from_slice::<List>(body);
    let mut tags = list.map(|list| list.tags).unwrap_or_default();
    tags.retain(|tag| validate_tag(tag).is_ok() && !tag.starts_with(BESIDE_IMAGES));
    tags
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_tags_of_images_count() {
        for (body, expected) in [
            (r#"{"name":"n","tags":["b","a"]}"#, &["b", "a"][..]),
            (
                r#"{"tags":["../../other/manifests/a","1?n=2","","sha256:0","1.0"]}"#,
                &["1.0"],
            ),
            (r#"{"tags":["1","sha256-00","sha256-00.sig"]}"#, &["1"]),
            (r#"{"tags":null}"#, &[]),
            (r#"{"tags":[1]}"#, &[]),
            (r#"{"tags":["a","b""#, &[]),
            ("", &[]),
        ] {
            assert_eq!(images(body.as_bytes()), expected, "{body}");
        }
    }
}
