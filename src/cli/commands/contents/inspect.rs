//! `strata inspect IMAGE`.

use std::fmt::Write;
use std::path::PathBuf;

use indicatif::HumanBytes;
use serde_json::{Value, json};

use clap::Args;

use crate::cli::failure::Failure;
use crate::cli::printer::Printer;
use strata_error::visible_line;
use strata_image::{Image, ImageIndex, ManifestOrIndex};
use strata_layer::Layer;
use strata_oci::media_type;
use strata_tree::{FileKind, FileRecord, Recipe};

/// Show what an image consists of
#[derive(Args)]
pub(crate) struct InspectArgs {
    /// The image: the output of its derivation, or a link to it such as `result`
    image: PathBuf,

    /// Answer in JSON; docs/cli.md describes it
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub(crate) fn run(arguments: &InspectArgs, printer: &Printer) -> Result<(), Failure> {
    let text = match (ManifestOrIndex::open(&arguments.image)?, arguments.json) {
        (ManifestOrIndex::Image(image), true) => format!("{:#}\n", describe(&image)),
        (ManifestOrIndex::Image(image), false) => table(&image),
        (ManifestOrIndex::Index(index), true) => format!("{:#}\n", describe_index(&index)),
        (ManifestOrIndex::Index(index), false) => table_of_index(&index),
    };
    printer.data(&text)
}

/// An index as JSON.
fn describe_index(index: &ImageIndex) -> Value {
    let images: Vec<Value> = index.images.iter().map(describe).collect();
    json!({
        "name": index.name.as_ref().map(|name| &name.name),
        "tag": index.name.as_ref().map(|name| &name.tag),
        "digest": index.descriptor.digest,
        "mediaType": index.descriptor.media_type,
        "annotations": index.index.annotations,
        "images": images,
    })
}

/// An index for people to read.
fn table_of_index(index: &ImageIndex) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    if let Some(name) = &index.name {
        let _ = writeln!(text, "{:<13} {}:{}", "name", name.name, name.tag);
    }
    let _ = writeln!(text, "{:<13} {}", "digest", index.descriptor.digest);
    for (key, value) in &index.index.annotations {
        let _ = writeln!(
            text,
            "{:<13} {}",
            "annotation",
            visible_line(&format!("{key}={value}"))
        );
    }
    for image in &index.images {
        let _ = write!(text, "\n{}", table(image));
    }
    text
}

/// The image as JSON. docs/cli.md describes it; fields may be added, never changed.
fn describe(image: &Image) -> Value {
    let layers: Vec<Value> = (image.layers.iter().enumerate())
        .map(|(index, layer)| describe_layer(image, index, layer.as_ref()))
        .collect();
    json!({
        "name": image.name.as_ref().map(|name| &name.name),
        "tag": image.name.as_ref().map(|name| &name.tag),
        "digest": image.manifest_descriptor.digest,
        "mediaType": image.manifest_descriptor.media_type,
        "annotations": image.manifest.annotations,
        "created": image.config.created,
        "architecture": image.config.architecture,
        "os": image.config.os,
        "variant": image.config.variant,
        "config": image.config.config,
        "size": size(image),
        "layers": layers,
    })
}

fn describe_layer(image: &Image, index: usize, layer: &dyn Layer) -> Value {
    let store_paths: Vec<Value> = (layer.recipe().iter())
        .flat_map(|recipe| &recipe.sources)
        .map(|source| {
            json!({
                "path": source.store_path,
                "narHash": source.nar_hash,
                "narSize": source.nar_size,
                "toRoot": source.to_root,
            })
        })
        .collect();
    json!({
        "digest": layer.descriptor().digest,
        "diffId": layer.diff_id(),
        "mediaType": layer.descriptor().media_type,
        "compression": layer.compression(),
        "size": layer.descriptor().size,
        "history": image.config.layer_history().nth(index),
        "storePaths": store_paths,
        "files": layer.recipe().map(describe_files).unwrap_or_default(),
    })
}

/// What a layer has file by file.
fn describe_files(recipe: &Recipe) -> Vec<Value> {
    let describe = |file: &FileRecord| {
        let (kind, details) = match &file.kind {
            FileKind::Directory => ("directory", json!({})),
            FileKind::Source { path, .. } => ("file", json!({ "source": path })),
            FileKind::Symlink { target } => ("link", json!({ "target": target })),
            FileKind::HardLink { target } => {
                ("hardlink", json!({ "target": format!("/{target}") }))
            }
            FileKind::Character { major, minor } => {
                ("character", json!({ "major": major, "minor": minor }))
            }
            FileKind::Block { major, minor } => {
                ("block", json!({ "major": major, "minor": minor }))
            }
            FileKind::Fifo => ("fifo", json!({})),
        };
        let set = &file.set;
        let given = json!({
            "path": format!("/{}", file.path),
            "type": kind,
            "mode": set.mode,
            "uid": set.uid,
            "gid": set.gid,
            "uname": set.uname,
            "gname": set.gname,
            "capabilities": set.capabilities,
            "xattrs": set.xattrs,
        });
        let fields = [given, details]
            .into_iter()
            .filter_map(|value| match value {
                Value::Object(fields) => Some(fields),
                _ => None,
            });
        let given = fields.flatten().filter(|(_, value)| !value.is_null());
        Value::Object(given.collect())
    };
    recipe.files.iter().map(describe).collect()
}

/// What of a file is worth a line: what it is, its mode and its owner, as far as they are given.
fn row_of_file(file: &FileRecord) -> String {
    let set = &file.set;
    let what = match &file.kind {
        FileKind::Directory => "directory".to_owned(),
        FileKind::Source { path, .. } => path.clone(),
        FileKind::Symlink { target } => format!("-> {target}"),
        FileKind::HardLink { target } => format!("= /{target}"),
        FileKind::Character { major, minor } => format!("character device {major}:{minor}"),
        FileKind::Block { major, minor } => format!("block device {major}:{minor}"),
        FileKind::Fifo => "fifo".to_owned(),
    };
    let number = |number: Option<u64>| number.map_or_else(|| "0".to_owned(), |id| id.to_string());
    let is_owned = set.uid.is_some() || set.gid.is_some();
    let owner = is_owned.then(|| format!("{}:{}", number(set.uid), number(set.gid)));
    let mode = set.mode.map(|mode| mode.to_string());
    let capabilities = set.capabilities.as_ref().map(|names| names.join(" "));
    let details = [mode, owner, capabilities].into_iter().flatten();
    let details = details.map(|detail| format!("  {detail}"));
    format!("/{}  {what}{}", file.path, details.collect::<String>())
}

/// The image for people to read.
fn table(image: &Image) -> String {
    let mut text = String::new();
    let mut row = |name: &str, value: &str| {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{name:<13} {}", visible_line(value));
    };
    if let Some(name) = &image.name {
        row("name", &format!("{}:{}", name.name, name.tag));
    }
    row("digest", &image.manifest_descriptor.digest.to_string());
    row("platform", &image.config.platform().to_string());
    if let Some(created) = &image.config.created {
        row("created", created);
    }
    row(
        "size",
        &format!(
            "{} {}, layers: {}",
            HumanBytes(size(image)),
            how_compressed(image),
            image.layers.len()
        ),
    );
    for (key, value) in &image.config.config {
        row(key, &value.to_string());
    }
    for (key, value) in &image.manifest.annotations {
        row("annotation", &format!("{key}={value}"));
    }
    for (index, layer) in image.layers.iter().enumerate() {
        table_of_layer(&mut text, index, layer.as_ref(), image);
    }
    text
}

fn table_of_layer(text: &mut String, index: usize, layer: &dyn Layer, image: &Image) {
    let descriptor = layer.descriptor();
    let history = image.config.layer_history().nth(index);
    // The default of `buildLayer` says nothing here.
    let made_by = history
        .and_then(|history| history.metadata.created_by.as_deref())
        .filter(|made_by| *made_by != "strata")
        .map_or_else(String::new, |made_by| {
            format!("  {}", visible_line(made_by))
        });
    // Writing to a String cannot fail.
    let _ = writeln!(text, "\nlayer {}  {}", index + 1, descriptor.digest);
    let how = match (how_compressed(image), is_compressed(layer)) {
        ("partly compressed", true) => "  compressed",
        ("partly compressed", false) => "  uncompressed",
        _ => "",
    };
    let _ = writeln!(
        text,
        "{:>12}{how}{made_by}",
        HumanBytes(descriptor.size).to_string()
    );
    for source in layer.recipe().iter().flat_map(|recipe| &recipe.sources) {
        let size = HumanBytes(source.nar_size).to_string();
        let place = if source.to_root { "  (to /)" } else { "" };
        let _ = writeln!(text, "{size:>12}  {}{place}", source.store_path);
    }
    for file in layer.recipe().iter().flat_map(|recipe| &recipe.files) {
        let size = match &file.kind {
            FileKind::Source { nar_size, .. } => HumanBytes(*nar_size).to_string(),
            _ => String::new(),
        };
        let _ = writeln!(text, "{size:>12}  {}", visible_line(&row_of_file(file)));
    }
}

/// How the layers are promised: a base may have others than the image's own.
fn how_compressed(image: &Image) -> &'static str {
    let layers = image.layers.iter();
    let compressed = layers.filter(|layer| is_compressed(layer.as_ref())).count();
    match compressed {
        0 => "uncompressed",
        count if count == image.layers.len() => "compressed",
        _ => "partly compressed",
    }
}

/// Whether a layer is promised compressed.
fn is_compressed(layer: &dyn Layer) -> bool {
    layer.descriptor().media_type != media_type::LAYER_TAR
}

fn size(image: &Image) -> u64 {
    image
        .layers
        .iter()
        .map(|layer| layer.descriptor().size)
        .sum()
}
