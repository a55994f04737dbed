//! Whether a build comes to the image that a registry has: proof of what provenance says.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use super::subjects::Subject;
use strata_archive::decompress;
use strata_attest::{Built, FlakeSource};
use strata_copy::compressed::compress_all;
use strata_error::{Error, Result};
use strata_image::Image;
use strata_layer::piped;
use strata_oci::{Descriptor, Digest, Document, Hasher, Manifest, Reference, json, media_type};
use strata_progress::Context;
use strata_registry::pull;
use strata_registry::{Options, Repository};

/// What an image is built from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A reference to a flake and what of it.
    Flake(String),
    /// A derivation in the store.
    Derivation(String),
}

impl Source {
    /// What provenance says; none if it says nothing that can be built here.
    pub fn of(built: &Built) -> Option<Self> {
        let flake = built.flake.as_ref().and_then(installable);
        let derivation = built.derivation.as_ref();
        let is_derivation = |path: &Path| path.extension().is_some_and(|end| end == "drv");
        let derivation = derivation.filter(|path| {
            let path = Path::new(path);
            is_derivation(path) && path.exists()
        });
        flake
            .map(Self::Flake)
            .or_else(|| derivation.cloned().map(Self::Derivation))
    }

    /// How people name it.
    pub fn name(&self) -> &str {
        match self {
            Self::Flake(name) | Self::Derivation(name) => name,
        }
    }
}

/// A flake at its commit, as Nix takes it on a command line.
fn installable(flake: &FlakeSource) -> Option<String> {
    let uri = flake.uri.as_deref()?;
    // Nothing that a stranger wrote is a flag.
    if uri.starts_with('-') || uri.contains('#') {
        return None;
    }
    let is_named = uri.contains("rev=") || uri.contains("ref=");
    let place = match (&flake.revision, uri.split_once(':')) {
        (Some(revision), Some(("github" | "gitlab" | "sourcehut", path)))
            if path.matches('/').count() == 1 =>
        {
            format!("{uri}/{revision}")
        }
        (Some(revision), Some((scheme, _)))
            if (scheme == "git" || scheme.starts_with("git+")) && !is_named =>
        {
            let mark = if uri.contains('?') { '&' } else { '?' };
            format!("{uri}{mark}rev={revision}")
        }
        _ => uri.to_owned(),
    };
    Some(match &flake.attribute {
        Some(attribute) => format!("{place}#{attribute}"),
        None => place,
    })
}

/// Builds it; gives the output.
pub fn build(source: &Source) -> Result<PathBuf> {
    let mut command;
    match source {
        Source::Flake(name) => {
            command = Command::new("nix");
            command.args(["--extra-experimental-features", "nix-command flakes"]);
            command.args(["build", "--no-link", "--json", "--", name]);
        }
        Source::Derivation(path) => {
            command = Command::new("nix-store");
            command.args(["--realise", path]);
        }
    }
    let error = |message: String| {
        Error::Command {
        command: format!("building {}", source.name()),
        message,
        hint: "Nix says above what is wrong; --flake names another place to build from, --image what is built"
            .to_owned(),
    }
    };
    let output = command
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|problem| error(problem.to_string()))?;
    if !output.status.success() {
        return Err(error(output.status.to_string()));
    }
    let said = String::from_utf8_lossy(&output.stdout);
    let path = match source {
        Source::Flake(_) => output_of(&said),
        Source::Derivation(_) => said.lines().next().map(str::to_owned),
    };
    let path = path.ok_or_else(|| error("Nix does not say what it built".to_owned()))?;
    Ok(PathBuf::from(path))
}

/// The output in what `nix build --json` writes.
fn output_of(text: &str) -> Option<String> {
    let built: Value = serde_json::from_str(text).ok()?;
    Some(
        built
            .get(0)?
            .get("outputs")?
            .get("out")?
            .as_str()?
            .to_owned(),
    )
}

/// What became of a comparison.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Comparison {
    /// What differs; nothing if they are the same.
    pub differences: Vec<String>,
    /// What is worth knowing besides.
    pub notes: Vec<String>,
}

/// Where the image is that a build is compared with.
pub struct Remote<'a> {
    /// The repository.
    pub reference: &'a Reference,
    /// How it is reached.
    pub options: &'a Options,
    /// The same, to read documents.
    pub repository: &'a Repository,
}

/// Compares an image of a registry with one that was built, whose layers are compressed as provenance says.
pub fn compare(
    subject: &Subject,
    image: &Image,
    built: &Built,
    remote: &Remote<'_>,
    context: Context<'_>,
) -> Result<Comparison> {
    let mut comparison = Comparison::default();
    let error = |[message, hint]: [String; 2]| Error::Document {
        document: format!("manifest {}", subject.descriptor.digest),
        message,
        hint,
    };
    let (_, document) = Document::parse(&subject.bytes).map_err(error)?;
    let Document::Image { config, layers } = document else {
        comparison
            .differences
            .push("the registry has an index, and one image was built".to_owned());
        return Ok(comparison);
    };
    if config.digest != image.manifest.config.digest {
        let theirs = remote.repository.blob(&config, context)?;
        comparison.differences = different_configs(&theirs, image);
        return Ok(comparison);
    }
    if layers.len() != image.layers.len() {
        comparison.differences.push(format!(
            "it has {} layers, and {} were built",
            layers.len(),
            image.layers.len()
        ));
        return Ok(comparison);
    }
    let made = compress_all(&image.layers, built.compression, context)?;
    let made: Vec<Descriptor> = made.into_iter().map(|made| made.descriptor).collect();
    let pairs = layers.iter().zip(made).zip(&image.layers).enumerate();
    let mut others = Vec::new();
    let mut agreed = Vec::new();
    for (number, ((theirs, ours), layer)) in pairs {
        if theirs.digest == ours.digest {
            agreed.push(ours);
            continue;
        }
        // The same layer, compressed by somebody else or otherwise: what is in it counts.
        let number = number + 1;
        if found_in(remote, theirs, context)? == layer.diff_id() {
            others.push(number.to_string());
            agreed.push(theirs.clone());
        } else {
            comparison.differences.push(format!(
                "layer {number} ({}) is not {}",
                theirs.digest,
                layer.diff_id()
            ));
        }
    }
    if !others.is_empty() {
        comparison.notes.push(format!(
            "compressed otherwise than here, with the same in them: layers {}",
            others.join(", ")
        ));
    }
    let digest = digest_of(&image.manifest, agreed, &subject.descriptor.media_type);
    if comparison.differences.is_empty() && digest != Some(subject.descriptor.digest) {
        comparison.differences.push(
            "the manifest says other things of the same layers: annotations, or its form"
                .to_owned(),
        );
    }
    Ok(comparison)
}

/// The digest of a manifest with these layers in the form of a media type.
fn digest_of(manifest: &Manifest, layers: Vec<Descriptor>, form: &str) -> Option<Digest> {
    let manifest = manifest.with_layers(layers);
    let manifest = if form == media_type::DOCKER_MANIFEST {
        manifest.in_docker_format()?
    } else {
        manifest
    };
    Some(Digest::of(&json::to_bytes(&manifest)))
}

/// The digest of what is compressed in a blob.
fn found_in(remote: &Remote<'_>, blob: &Descriptor, context: Context<'_>) -> Result<Digest> {
    let source =
        pull::Source::connect_for_blob(&blob.digest, remote.reference, remote.options, context)?;
    let hash = |blob: &mut dyn Read| {
        let (_, mut reader) = decompress(&mut *blob).map_err(Error::stream("a layer"))?;
        let mut hasher = Hasher::default();
        io::copy(&mut reader, &mut hasher).map_err(Error::stream("a layer"))?;
        drop(reader);
        // Whoever fetches the blob fetches all of it.
        io::copy(blob, &mut io::sink()).map_err(Error::stream("a layer"))?;
        Ok(hasher.finish().0)
    };
    piped(|writer| source.write_blob(blob, writer, context), hash).map(|((), digest)| digest)
}

/// What differs between two configs: fields, and layers with the largest of what was built into them.
fn different_configs(theirs: &[u8], image: &Image) -> Vec<String> {
    let theirs: Value = serde_json::from_slice(theirs).unwrap_or_default();
    let ours: Value = serde_json::from_slice(&image.config_bytes).unwrap_or_default();
    let mut differences = different_fields("", &theirs, &ours);
    let list = |value: &Value| -> Vec<String> {
        let ids = value.pointer("/rootfs/diff_ids").and_then(Value::as_array);
        let ids = ids.into_iter().flatten().filter_map(Value::as_str);
        ids.map(str::to_owned).collect()
    };
    let (theirs, ours) = (list(&theirs), list(&ours));
    let known: BTreeSet<&String> = theirs.iter().collect();
    for (number, (id, layer)) in ours.iter().zip(&image.layers).enumerate() {
        if !known.contains(id) {
            let recipe = layer.recipe();
            let mut contents: Vec<_> = recipe.iter().flat_map(|it| it.store_contents()).collect();
            contents.sort_by_key(|content| std::cmp::Reverse(content.nar_size));
            let names: Vec<&str> = contents
                .iter()
                .take(3)
                .filter_map(|content| Path::new(content.path).file_name().and_then(OsStr::to_str))
                .collect();
            let names = if names.is_empty() {
                String::new()
            } else {
                format!(", which has {}", names.join(", "))
            };
            let number = number + 1;
            differences.push(format!("layer {number} is built as {id}{names}"));
        }
    }
    let known: BTreeSet<&String> = ours.iter().collect();
    for (number, id) in theirs.iter().enumerate() {
        if !known.contains(id) {
            differences.push(format!("layer {} of the registry is {id}", number + 1));
        }
    }
    differences
}

/// The fields that differ, with both values; of layers there is more to say.
fn different_fields(at: &str, theirs: &Value, ours: &Value) -> Vec<String> {
    if theirs == ours || at == "rootfs" || at == "history" {
        return Vec::new();
    }
    let (Some(left), Some(right)) = (theirs.as_object(), ours.as_object()) else {
        return vec![format!("{at} is {theirs}, and {ours} was built")];
    };
    let names: BTreeSet<&String> = left.keys().chain(right.keys()).collect();
    let fields = names.into_iter().flat_map(|name| {
        let place = if at.is_empty() {
            name.clone()
        } else {
            format!("{at}.{name}")
        };
        let [left, right] = [left, right].map(|side| side.get(name).unwrap_or(&Value::Null));
        different_fields(&place, left, right)
    });
    fields.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn flakes_are_built_at_their_commits() {
        for (uri, revision, expected) in [
            (
                "github:me/app",
                Some("abc"),
                Some("github:me/app/abc#image"),
            ),
            (
                "github:me/app/v1",
                Some("abc"),
                Some("github:me/app/v1#image"),
            ),
            (
                "git+https://h.x/app",
                Some("abc"),
                Some("git+https://h.x/app?rev=abc#image"),
            ),
            (
                "git+file:///app?dir=x",
                Some("abc"),
                Some("git+file:///app?dir=x&rev=abc#image"),
            ),
            (
                "git+file:///app?rev=def",
                Some("abc"),
                Some("git+file:///app?rev=def#image"),
            ),
            ("path:/app", None, Some("path:/app#image")),
            ("--option", None, None),
            ("a#b", None, None),
        ] {
            let flake = FlakeSource {
                uri: Some(uri.to_owned()),
                attribute: Some("image".to_owned()),
                revision: revision.map(str::to_owned),
                ..FlakeSource::default()
            };
            assert_eq!(installable(&flake).as_deref(), expected, "{uri}");
        }
    }

    #[test]
    fn fields_that_differ_are_named() {
        let theirs = json!({ "config": { "Cmd": ["a"], "User": "1" }, "os": "linux" });
        let ours =
            json!({ "config": { "Cmd": ["b"], "User": "1" }, "os": "linux", "variant": "v7" });
        assert_eq!(
            different_fields("", &theirs, &ours),
            [
                r#"config.Cmd is ["a"], and ["b"] was built"#,
                r#"variant is null, and "v7" was built"#
            ]
        );
    }
}
