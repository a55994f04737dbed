//! `docker://NAME[:TAG]`: a registry.

use std::collections::BTreeMap;
use std::fmt::{self, Write};

use indicatif::HumanBytes;
use serde_json::{Value, json};

use super::contract::{Copied, Destination, DockerFormat, DryRun, Options};
use super::syntax::{Transport, error};
use strata_copy::CopyName;
use strata_error::{Result, visible_line};
use strata_image::ManifestOrIndexRef;
use strata_oci::{Digest, Reference, without_password};
use strata_progress::Context;
use strata_registry::{self as registry, Action, Fetched, Plan, PushOptions, RefetchedFile};

pub(super) const DOCKER: Transport = Transport {
    name: "docker",
    form: Some("docker://NAME[:TAG]"),
    help: Some("a registry; NAME may begin with HOST[:PORT]/"),
    parse: |text, rest| Ok(Box::new(Registry::parse(text, rest)?)),
};

#[derive(Debug, PartialEq, Eq)]
struct Registry(Reference);

impl Registry {
    fn parse(text: &str, rest: &str) -> Result<Self> {
        match rest.strip_prefix("//") {
            Some(reference) => Ok(Self(Reference::parse_in_registry(reference)?)),
            None => Err(error(
                text,
                "a registry's name begins with docker://",
                format!(
                    "write docker://{}",
                    without_password(rest.trim_start_matches('/'))
                ),
            )),
        }
    }

    fn plans(
        &self,
        image: ManifestOrIndexRef<'_>,
        options: &Options,
        context: Context<'_>,
    ) -> Result<Vec<Plan>> {
        let Options { registry, push, .. } = options;
        match image {
            ManifestOrIndexRef::Image(image) => {
                registry::plan(image, &self.0, registry, push, context).map(|plan| vec![plan])
            }
            ManifestOrIndexRef::Index(index) => {
                registry::plan_index(index, &self.0, registry, push, context)
            }
        }
    }
}

impl fmt::Display for Registry {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "docker://{}", self.0)
    }
}

impl Destination for Registry {
    fn reference(&self) -> Option<&Reference> {
        Some(&self.0)
    }

    fn dry_run(
        &self,
        image: ManifestOrIndexRef<'_>,
        options: &Options,
        context: Context<'_>,
    ) -> Result<Vec<DryRun>> {
        let plans = self.plans(image, options, context)?;
        let mut sent = BTreeMap::new();
        let mut said = Vec::new();
        for (one, plan) in image.images().into_iter().zip(plans) {
            let heading = match image {
                ManifestOrIndexRef::Image(_) => String::new(),
                ManifestOrIndexRef::Index(_) => format!("{}:\n", one.config.platform()),
            };
            let mut json = describe_as_json(&plan, &sent);
            json["platform"] = json!(one.config.platform().to_string());
            said.push(DryRun {
                text: heading + &describe(&plan, &mut sent),
                json: Some(json),
                warnings: plan.warnings,
            });
        }
        if let ManifestOrIndexRef::Index(_) = image {
            let (number, bytes) = (sent.len(), HumanBytes(sent.values().sum()));
            said.push(DryRun {
                text: format!("index: {number} layers would be sent, {bytes} uncompressed\n"),
                json: None,
                warnings: Vec::new(),
            });
        }
        Ok(said)
    }

    fn docker_format(&self) -> DockerFormat {
        DockerFormat::Pushed
    }

    fn copy(
        &self,
        image: ManifestOrIndexRef<'_>,
        _: &CopyName,
        options: &Options,
        context: Context<'_>,
    ) -> Result<Copied> {
        let Options { registry, push, .. } = options;
        let pushed = match image {
            ManifestOrIndexRef::Image(image) => {
                registry::push(image, &self.0, registry, push, context)?
            }
            ManifestOrIndexRef::Index(index) => {
                registry::push_index(index, &self.0, registry, push, context)?
            }
        };
        Ok(Copied {
            id: None,
            digest: pushed.manifest.digest,
            warnings: pushed.warnings,
        })
    }

    fn places(&self, _: &CopyName, options: &Options) -> Vec<String> {
        places(&self.0, &options.push)
    }
}

/// The name of the image by each of its tags, or by none, without its digest.
fn places(reference: &Reference, options: &PushOptions) -> Vec<String> {
    let place = |tag| {
        let reference = Reference {
            tag,
            digest: None,
            ..reference.clone()
        };
        format!("docker://{reference}")
    };
    let tags = registry::tags(reference, options);
    if tags.is_empty() {
        return vec![place(None)];
    }
    tags.into_iter().map(Some).map(place).collect()
}

/// What is planned for an image, for programs. `sent` are the layers that go out with earlier ones.
fn describe_as_json(plan: &Plan, sent: &BTreeMap<Digest, u64>) -> Value {
    let layers = plan.layers.iter().map(|layer| {
        let (action, from) = match &layer.action {
            Action::Present { known_from } => ("present", known_from.as_ref()),
            Action::Mounted { from } => ("mounted", Some(from)),
            Action::Sent | Action::Compressed(_) if sent.contains_key(&layer.digest) => {
                ("sent-before", None)
            }
            Action::Sent | Action::Compressed(_) => ("sent", None),
        };
        let compression = match &layer.action {
            Action::Compressed(compression) => Some(compression.to_string()),
            _ => None,
        };
        json!({
            "digest": layer.digest,
            "size": layer.size,
            "action": action,
            "from": from,
            "compression": compression,
            "fetched": layer.fetched.as_ref().map(fetched_as_json),
        })
    });
    let tags = plan
        .tags
        .iter()
        .map(|tag| format!("{}:{tag}", plan.repository));
    json!({
        "layers": layers.collect::<Vec<_>>(),
        "tags": tags.collect::<Vec<_>>(),
        "older": plan.older,
    })
}

/// What a client fetches of a layer, for programs.
fn fetched_as_json(fetched: &Fetched) -> Value {
    match fetched {
        Fetched::Nothing => json!({ "how": "nothing" }),
        Fetched::Whole => json!({ "how": "whole" }),
        Fetched::Parts { size, parts } => {
            let file = |file: &RefetchedFile| {
                json!({
                    "path": format!("/{}", file.name),
                    "bytes": file.bytes,
                    "chunks": file.chunks,
                    "ofChunks": file.of_chunks,
                })
            };
            json!({
                "how": "parts",
                "bytes": parts.bytes,
                "ofBytes": size,
                "chunks": parts.chunks,
                "ofChunks": parts.of_chunks,
                "files": parts.files.iter().map(file).collect::<Vec<_>>(),
            })
        }
    }
}

/// Describes what is planned for an image. `sent` are the layers that go out with earlier ones, and
/// their sizes.
fn describe(plan: &Plan, sent: &mut BTreeMap<Digest, u64>) -> String {
    let mut text = String::new();
    let count = plan.layers.len();
    let (mut number, mut bytes) = (0_usize, 0_u64);
    for (index, layer) in plan.layers.iter().enumerate() {
        let is_found = layer.action.is_found();
        let is_new = !is_found && sent.insert(layer.digest, layer.size).is_none();
        if is_new {
            number += 1;
            bytes = bytes.saturating_add(layer.size);
        }
        let what = match &layer.action {
            _ if !is_found && !is_new => "sent already by then".to_owned(),
            Action::Present { known_from: None } => "already there".to_owned(),
            Action::Present {
                known_from: Some(name),
            } => format!("already there, says {name}"),
            Action::Mounted { from } => format!("taken from {from}, if the registry does that"),
            Action::Sent => "sent".to_owned(),
            Action::Compressed(compression) => format!("compressed with {compression} and sent"),
        };
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "layer {}/{count} {} {}: {what}",
            index + 1,
            layer.digest,
            HumanBytes(layer.size)
        );
    }
    if let Some(older) = &plan.older {
        text.push_str(&describe_fetched(plan, older));
    }
    let names: Vec<String> = plan
        .tags
        .iter()
        .map(|tag| format!("{}:{tag}", plan.repository))
        .collect();
    let _ = writeln!(
        text,
        "{number} of {count} layers would be sent, {} uncompressed; tags: {}",
        HumanBytes(bytes),
        if names.is_empty() {
            "none".to_owned()
        } else {
            names.join(", ")
        }
    );
    text
}

/// Describes what a client fetches that has the older image: layer by layer, where that is less than all.
fn describe_fetched(plan: &Plan, older: &str) -> String {
    let mut text = String::new();
    let count = plan.layers.len();
    let (mut bytes, mut whole) = (0_u64, 0_usize);
    for (index, layer) in plan.layers.iter().enumerate() {
        match &layer.fetched {
            None | Some(Fetched::Nothing) => {}
            Some(Fetched::Whole) => whole += 1,
            Some(Fetched::Parts { size, parts }) => {
                bytes = bytes.saturating_add(parts.bytes);
                // Writing to a String cannot fail.
                let _ = writeln!(
                    text,
                    "layer {}/{count} is fetched in parts: {} of {}, {} of {} chunks",
                    index + 1,
                    HumanBytes(parts.bytes),
                    HumanBytes(*size),
                    parts.chunks,
                    parts.of_chunks
                );
                for file in &parts.files {
                    let _ = writeln!(
                        text,
                        "{:>12}  /{}, {} of {} chunks",
                        HumanBytes(file.bytes).to_string(),
                        visible_line(&file.name),
                        file.chunks,
                        file.of_chunks
                    );
                }
            }
        }
    }
    let parts = (!text.is_empty()).then(|| format!("{} in parts", HumanBytes(bytes)));
    let whole = (whole > 0).then(|| format!("{whole} layers whole"));
    let all: Vec<String> = parts.into_iter().chain(whole).collect();
    let all = if all.is_empty() {
        "nothing".to_owned()
    } else {
        all.join(", and ")
    };
    let _ = writeln!(text, "whoever has {older} fetches {all}");
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use strata_oci::Compression;
    use strata_registry::{PlannedLayer, Refetched};

    #[test]
    fn names_are_complete() {
        let parse = |rest| Registry::parse("", rest).unwrap();
        assert_eq!(parse("//hello:1"), parse("//docker.io/library/hello:1"));
    }

    #[test]
    fn pushes_are_described_by_every_tag() {
        let digest = Digest::of(b"");
        let by_digest = format!("h.x/a@{digest}");
        for (reference, additional, shown) in [
            ("hello", &[][..], &["docker.io/library/hello:latest"][..]),
            ("h.x:5000/a/b:1", &[], &["h.x:5000/a/b:1"]),
            (
                "h.x/a:1",
                &["2", "latest"],
                &["h.x/a:1", "h.x/a:2", "h.x/a:latest"],
            ),
            (&by_digest, &[], &["h.x/a"]),
            (&by_digest, &["2"], &["h.x/a:2"]),
        ] {
            let options = PushOptions {
                additional_tags: additional.iter().map(ToString::to_string).collect(),
                ..PushOptions::default()
            };
            let found = places(&Reference::parse(reference).unwrap(), &options);
            let lines = shown.iter().map(|shown| format!("docker://{shown}"));
            assert_eq!(found, lines.collect::<Vec<_>>());
        }
    }

    #[test]
    fn every_layer_is_told_about() {
        let digests = ["a", "b", "c", "d", "e"].map(|text| Digest::of(text.as_bytes()));
        let layer = |digest, action| PlannedLayer {
            digest,
            size: 2048,
            action,
            fetched: None,
        };
        let plan = Plan {
            layers: vec![
                layer(digests[0], Action::Present { known_from: None }),
                layer(
                    digests[1],
                    Action::Present {
                        known_from: Some("h.x/a:1".to_owned()),
                    },
                ),
                layer(
                    digests[2],
                    Action::Mounted {
                        from: "b".to_owned(),
                    },
                ),
                layer(digests[3], Action::Sent),
                layer(digests[4], Action::Compressed(Compression::GZIP)),
            ],
            repository: "h.x/a".to_owned(),
            tags: vec!["1".to_owned(), "2".to_owned()],
            older: None,
            warnings: Vec::new(),
        };
        let mut sent = BTreeMap::new();
        assert_eq!(
            describe(&plan, &mut sent),
            format!(
                "layer 1/5 {} 2.00 KiB: already there\n\
                 layer 2/5 {} 2.00 KiB: already there, says h.x/a:1\n\
                 layer 3/5 {} 2.00 KiB: taken from b, if the registry does that\n\
                 layer 4/5 {} 2.00 KiB: sent\n\
                 layer 5/5 {} 2.00 KiB: compressed with {} and sent\n\
                 2 of 5 layers would be sent, 4.00 KiB uncompressed; tags: h.x/a:1, h.x/a:2\n",
                digests[0],
                digests[1],
                digests[2],
                digests[3],
                digests[4],
                Compression::GZIP
            )
        );
        // The next image of an index.
        let said = describe(&plan, &mut sent);
        assert!(
            said.contains(&format!("{} 2.00 KiB: sent already by then\n", digests[4]))
                && said.contains("\n0 of 5 layers would be sent, 0 B uncompressed"),
            "{said}"
        );
    }

    #[test]
    fn what_clients_fetch_is_told_by_layer_and_file() {
        let layer = |fetched| PlannedLayer {
            digest: Digest::of(b""),
            size: 2048,
            action: Action::Sent,
            fetched: Some(fetched),
        };
        let file = RefetchedFile {
            name: "a/b".to_owned(),
            bytes: 1024,
            chunks: 1,
            of_chunks: 3,
        };
        let parts = Fetched::Parts {
            size: 4096,
            parts: Refetched {
                bytes: 2048,
                chunks: 1,
                of_chunks: 9,
                files: vec![file],
            },
        };
        let plan = |layers| Plan {
            layers,
            repository: "h.x/a".to_owned(),
            tags: Vec::new(),
            older: Some("h.x/a:1".to_owned()),
            warnings: Vec::new(),
        };
        let told = |layers| describe_fetched(&plan(layers), "h.x/a:1");
        assert_eq!(
            told(vec![
                layer(Fetched::Nothing),
                layer(parts),
                layer(Fetched::Whole)
            ]),
            "layer 2/3 is fetched in parts: 2.00 KiB of 4.00 KiB, 1 of 9 chunks\n    \
             1.00 KiB  /a/b, 1 of 3 chunks\n\
             whoever has h.x/a:1 fetches 2.00 KiB in parts, and 1 layers whole\n"
        );
        assert_eq!(
            told(vec![layer(Fetched::Nothing)]),
            "whoever has h.x/a:1 fetches nothing\n"
        );
    }
}
