//! Simple signing (containers/image, `docs/containers-signature.5.md`, in cosign's form), which the policies of
//! podman, skopeo and CRI-O read.

use serde::Deserialize;
use serde_json::json;

use strata_oci::{Digest, json as canonical};

/// The media type of a payload.
pub const SIMPLE_SIGNING: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
/// The annotation of a payload's layer with its signature, in base 64.
pub const SIGNATURE_ANNOTATION: &str = "dev.cosignproject.cosign/signature";
/// What kind of thing is signed.
const TYPE: &str = "cosign container image signature";

/// What is signed: that the manifest with this digest is an image of the repository `name`, without a tag.
pub fn payload(name: &str, digest: &Digest) -> Vec<u8> {
    canonical::to_bytes(&json!({
        "critical": {
            "identity": { "docker-reference": name },
            "image": { "docker-manifest-digest": digest },
            "type": TYPE,
        },
        "optional": null,
    }))
}

/// Whether a payload, whose signature was verified, is about the manifest with this digest in the repository `name`;
/// the error says what else it is about.
pub fn check_payload(bytes: &[u8], name: &str, digest: &Digest) -> Result<(), String> {
    #[derive(Deserialize)]
    struct Payload {
        critical: Critical,
    }
    #[derive(Deserialize)]
    struct Critical {
        identity: Identity,
        image: Image,
        #[serde(rename = "type")]
        kind: String,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "kebab-case")]
    struct Identity {
        docker_reference: String,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "kebab-case")]
    struct Image {
        docker_manifest_digest: String,
    }
    let Payload { critical } = serde_json::from_slice(bytes)
        .map_err(|error| format!("what is signed is no image: {error}"))?;
    let signed = critical.image.docker_manifest_digest;
    let repository = critical.identity.docker_reference;
    if critical.kind != TYPE {
        return Err(format!("what is signed is no image: {:?}", critical.kind));
    }
    if signed != digest.to_string() {
        return Err(format!("the signature is of {signed}"));
    }
    // A tag may follow, as engines write it.
    let without_tag = repository
        .strip_prefix(name)
        .map(|rest| rest.split('@').next());
    let is_here = without_tag
        .flatten()
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(':') && !rest.contains('/'));
    if is_here {
        Ok(())
    } else {
        Err(format!("the signature is for the repository {repository}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_of_one_image_in_one_repository() {
        let digest = Digest::of(b"image");
        let bytes = payload("h.x/a", &digest);
        assert_eq!(check_payload(&bytes, "h.x/a", &digest), Ok(()));
        let tagged = payload("h.x/a:1.0", &digest);
        assert_eq!(check_payload(&tagged, "h.x/a", &digest), Ok(()));
        for (name, digest, said) in [
            ("h.x/b", digest, "for the repository h.x/a"),
            ("h.x", digest, "for the repository h.x/a"),
            ("h.x/a", Digest::of(b"other"), "is of sha256:"),
        ] {
            let error = check_payload(&bytes, name, &digest).unwrap_err();
            assert!(error.contains(said), "{error}");
        }
        let longer = payload("h.x/a/b", &digest);
        assert!(check_payload(&longer, "h.x/a", &digest).is_err());
        assert!(check_payload(b"{}", "h.x/a", &digest).is_err());
    }
}
