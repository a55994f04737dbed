//! `strata copy --dry-run`: what a push would do.

use std::collections::BTreeMap;
use std::fmt::Write;

use indicatif::HumanBytes;

use super::Failure;
use super::interruption::Interruption;
use super::printer::Printer;
use super::progress::Unseen;
use super::settings::CopySettings;
use crate::destination::Destination;
use strata_image::ManifestOrIndexRef;
use strata_oci::Digest;
use strata_registry::{Action, Plan, plan, plan_index};

/// Prints a line for each layer, and the sum.
pub(super) fn run(
    root: ManifestOrIndexRef<'_>,
    settings: &CopySettings,
    printer: &Printer,
    interruption: &Interruption,
) -> Result<(), Failure> {
    // The flag is refused elsewhere.
    let Destination::Registry(reference) = &settings.destination else {
        return Ok(());
    };
    let (how, what) = (&settings.registry, &settings.push.options);
    let unseen = Unseen(printer);
    let context = interruption.context(&unseen);
    let plans = match root {
        ManifestOrIndexRef::Image(image) => vec![plan(image, reference, how, what, context)?],
        ManifestOrIndexRef::Index(index) => plan_index(index, reference, how, what, context)?,
    };
    let mut sent = BTreeMap::new();
    for (image, plan) in root.images().into_iter().zip(&plans) {
        for warning in &plan.warnings {
            printer.note(warning);
        }
        let heading = match root {
            ManifestOrIndexRef::Image(_) => String::new(),
            ManifestOrIndexRef::Index(_) => format!("{}:\n", image.config.platform()),
        };
        printer.data(&(heading + &describe(plan, &mut sent)))?;
    }
    if let ManifestOrIndexRef::Index(_) = root {
        let (number, bytes) = (sent.len(), HumanBytes(sent.values().sum()));
        printer.data(&format!(
            "index: {number} layers would be sent, {bytes} uncompressed\n"
        ))?;
    }
    Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;
    use strata_oci::{Compression, Digest};
    use strata_registry::PlannedLayer;

    #[test]
    fn every_layer_is_told_about() {
        let digests = ["a", "b", "c", "d", "e"].map(|text| Digest::of(text.as_bytes()));
        let layer = |digest, action| PlannedLayer {
            digest,
            size: 2048,
            action,
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
}
