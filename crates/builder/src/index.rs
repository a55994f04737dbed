//! An index of images that Strata built.

use std::path::Path;

use super::output::Output;
use strata_error::{Error, Result};
use strata_layer::{Documents, ImageName, ImagesFile};
use strata_nix::{IndexRequest, Store};
use strata_oci::{Descriptor, Index, Platform, json};
use strata_plan::{check_name, check_tag};

/// The way to make an image of ours of anything.
const WRAP: &str = "images takes results of buildImage; for another image, write \
                    buildImage { fromImage = ..; }";

/// An image of the index.
struct Member {
    /// The entry of the index.
    entry: Descriptor,
    platform: Platform,
    /// The manifest and the config.
    documents: [Vec<u8>; 2],
}

/// Writes the output of an index derivation.
pub(super) fn build(request: IndexRequest, store: &Store, out: &str) -> Result<()> {
    let arguments = request.index;
    let name = ImageName {
        name: check_name(&arguments.name)?,
        tag: check_tag(arguments.tag, out)?,
    };
    if arguments.images.is_empty() {
        return Err(wrong("images", "is empty", WRAP));
    }
    let mut members: Vec<Member> = Vec::new();
    for (number, path) in arguments.images.iter().enumerate() {
        let attribute = format!("images[{number}]");
        let member = read(path, &attribute, store)?;
        let same = |other: &Member| other.platform.is_same(&member.platform);
        if let Some(other) = members.iter().position(same) {
            return Err(wrong(
                &attribute,
                &format!("is for {}, as images[{other}] is", member.platform),
                "take one of the two out, or build one for another platform or variant",
            ));
        }
        members.push(member);
    }
    let mut index = Index::new(members.iter().map(|member| member.entry.clone()).collect());
    index.annotations = arguments.annotations;
    let file = ImagesFile::new(store.dir.clone(), name, arguments.images);
    let documents = members.into_iter().flat_map(|member| member.documents);
    let output = Output::create(store.locate_below(out))?;
    output.write_index(&file, &json::to_bytes(&index), documents)
}

fn read(path: &str, attribute: &str, store: &Store) -> Result<Member> {
    let parsed = store
        .parse(path)
        .map_err(|message| wrong(attribute, &message, WRAP))?;
    let directory = store.locate(&parsed);
    check_kind(&directory, path, attribute)?;
    let documents = Documents::read(&directory)?;
    let platform = documents.config.platform();
    if platform.os.is_empty() || platform.architecture.is_empty() {
        return Err(wrong(
            attribute,
            &format!("{path} does not say what it runs on"),
            "build it with the argument platform",
        ));
    }
    let Descriptor {
        media_type,
        digest,
        size,
        ..
    } = documents.manifest_descriptor;
    Ok(Member {
        entry: Descriptor {
            platform: Some(platform.clone()),
            ..Descriptor::new(&media_type, digest, size)
        },
        platform,
        documents: [documents.manifest_bytes, documents.config_bytes],
    })
}

fn check_kind(directory: &Path, path: &str, attribute: &str) -> Result<()> {
    if ImagesFile::is_in(directory) {
        return Err(wrong(
            attribute,
            &format!("{path} is an index itself"),
            "give the images that it has",
        ));
    }
    if Documents::are_in(directory) {
        return Ok(());
    }
    let message = format!("{path} is not an image that Strata built");
    Err(wrong(attribute, &message, WRAP))
}

fn wrong(attribute: &str, message: &str, hint: &str) -> Error {
    Error::Attribute {
        attribute: attribute.to_owned(),
        message: message.to_owned(),
        hint: hint.to_owned(),
    }
}
