//! What is in an image.

use std::cmp::Reverse;

use serde_json::{Value, json};

use super::described;
use super::page::{self, Page};
use strata_contents::{Amount, Contents, FoundFile, FoundKind, Layer, Sizes, Visible};
use strata_error::visible_line;
use strata_oci::{Config, media_type};
use strata_source::SourceImage;
use strata_tree::{FileKind, FileRecord, Recipe};

/// So many packages are listed, unless all are asked for.
const SHOWN: usize = 20;

/// What packages are sorted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    /// What would go with them.
    Exclusive,
    /// Their own size.
    Size,
    /// Their size with all that they need.
    Closure,
    /// Their names.
    Name,
    /// Their layers, the lowest first.
    Layer,
}

/// How an image is shown.
#[derive(Clone, Copy, Debug)]
pub struct View {
    /// What packages are sorted by.
    pub sort: Sort,
    /// Whether all packages are shown, and not only the first.
    pub all: bool,
    /// The only layer that is shown, by its number from 1.
    pub layer: Option<usize>,
    /// Whether files are shown.
    pub files: bool,
}

/// All of it as JSON: one image, or those of an index.
pub fn json(images: &[SourceImage], found: &[Contents], view: &View) -> Value {
    let all = images.iter().zip(found);
    let described = all.map(|(image, contents)| describe(image, contents, view));
    together(images, described.collect())
}

/// All of it for people to read. `names_index` says what is said of the index, too, if it is one.
pub fn text(images: &[SourceImage], found: &[Contents], view: &View, names_index: bool) -> String {
    let mut text = String::new();
    if let Some((index, image)) = images
        .first()
        .and_then(|image| Some((image.facts.index.as_ref()?, image)))
        .filter(|_| names_index)
    {
        let mut page = Page::default();
        page.field("name", &image.facts.whole_name().unwrap_or_default());
        page.field("digest", &index.digest.to_string());
        let annotations = index.annotations.iter();
        page.list(
            "annotation",
            annotations.map(|(key, value)| format!("{key}={value}")),
        );
        page.line("");
        text = page.into_text();
    }
    for (number, (image, contents)) in images.iter().zip(found).enumerate() {
        if number > 0 {
            text.push('\n');
        }
        text.push_str(&table(image, contents, view));
    }
    text
}

/// One image, or those of an index.
fn together(images: &[SourceImage], mut described: Vec<Value>) -> Value {
    let first = images.first();
    let index = first.and_then(|image| Some((&image.facts, image.facts.index.as_ref()?)));
    match index {
        Some((facts, index)) => json!({
            "name": facts.name,
            "tag": facts.tag,
            "digest": index.digest,
            "mediaType": index.media_type,
            "annotations": index.annotations,
            "images": described,
        }),
        None if described.len() == 1 => described.remove(0),
        None => json!({ "images": described }),
    }
}

/// The image as JSON. docs/cli.md describes it; fields may be added, never changed.
fn describe(image: &SourceImage, contents: &Contents, view: &View) -> Value {
    let layers = contents.layers.iter().enumerate();
    let layers: Vec<Value> = layers
        .filter(|(number, _)| view.layer.is_none_or(|only| only == number + 1))
        .map(|(number, layer)| describe_layer(image, contents, number, layer, view))
        .collect();
    let config = &image.config;
    let mut value = json!({
        "name": image.facts.name,
        "tag": image.facts.tag,
        "digest": image.facts.digest,
        "mediaType": image.facts.media_type,
        "annotations": image.facts.annotations,
        "created": config.created,
        "architecture": config.architecture,
        "os": config.os,
        "variant": config.variant,
        "config": config.config,
        "size": contents.size(),
        "layers": layers,
    });
    if let (Some(fields), Value::Object(more)) =
        (value.as_object_mut(), described::contents(contents))
    {
        fields.extend(more);
    }
    value
}

fn describe_layer(
    image: &SourceImage,
    contents: &Contents,
    number: usize,
    layer: &Layer,
    view: &View,
) -> Value {
    let store_paths = layer.packages.iter().map(|placed| {
        let package = contents.package(placed.package);
        json!({
            "path": package.path,
            "narHash": package.nar_hash,
            "narSize": package.size,
            "toRoot": placed.to_root,
        })
    });
    let (recipe, compression) = image.recipe(number);
    let mut value = json!({
        "digest": layer.digest,
        "diffId": layer.diff_id,
        "mediaType": layer.media_type,
        "compression": compression,
        "size": layer.size,
        "history": image.config.layer_history().nth(number),
        "reason": layer.reason,
        "base": layer.is_base,
        "storePaths": store_paths.collect::<Vec<_>>(),
        "files": recipe.map(describe_files).unwrap_or_default(),
    });
    if let (Some(fields), Some(files)) = (
        value.as_object_mut(),
        layer.files.as_ref().filter(|_| view.files),
    ) {
        let entries = files.iter().map(described::entry).collect();
        fields.insert("entries".to_owned(), entries);
    }
    value
}

/// What a layer has file by file.
fn describe_files(recipe: &Recipe) -> Vec<Value> {
    let describe = |file: &FileRecord| {
        let (kind, details) = match &file.kind {
            FileKind::Directory => ("directory", json!({})),
            FileKind::Empty => ("empty", json!({})),
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

/// The image for people to read.
fn table(image: &SourceImage, contents: &Contents, view: &View) -> String {
    let mut page = Page::default();
    if let Some(number) = view.layer {
        one_layer(&mut page, image, contents, number - 1, view);
    } else {
        whole(&mut page, image, contents);
        layers(&mut page, contents);
        packages(&mut page, contents, view);
        if view.files {
            largest_files(&mut page, contents, view);
        }
        wasted(&mut page, contents);
    }
    page.into_text()
}

/// What is said of the image as a whole.
fn whole(page: &mut Page, image: &SourceImage, contents: &Contents) {
    if let Some(name) = image.facts.whole_name() {
        page.field("name", &name);
    }
    page.field("digest", &image.facts.digest.to_string());
    page.field("platform", &image.config.platform().to_string());
    if let Some(created) = &image.config.created {
        page.field("created", created);
    }
    page.field(
        "size",
        &format!(
            "{} {}, layers: {}",
            Amount(contents.size()),
            how_compressed(contents),
            contents.layers.len()
        ),
    );
    let own: u64 = contents.packages.iter().map(|package| package.size).sum();
    page.field(
        "packages",
        &format!("{}, {}", contents.packages.len(), Amount(own)),
    );
    config(page, &image.config.config);
    page.list(
        "annotation",
        (image.facts.annotations.iter()).map(|(key, value)| format!("{key}={value}")),
    );
}

/// What a container starts with, in words.
fn config(page: &mut Page, config: &Config) {
    let texts = |key: &str| -> Vec<String> {
        let list = config.get(key).and_then(Value::as_array);
        let list = list.into_iter().flatten().filter_map(Value::as_str);
        list.map(str::to_owned).collect()
    };
    let keys = |key: &str| -> Vec<String> {
        let fields = config.get(key).and_then(Value::as_object);
        fields.map_or_else(Vec::new, |fields| fields.keys().cloned().collect())
    };
    let command = [texts("Entrypoint"), texts("Cmd")].concat();
    if !command.is_empty() {
        page.field("runs", &page::words(command.iter().map(String::as_str)));
    }
    for (key, name) in [("User", "as user"), ("WorkingDir", "in")] {
        let text = config.get(key).and_then(Value::as_str);
        if let Some(text) = text.filter(|text| !text.is_empty()) {
            page.field(name, text);
        }
    }
    page.list("environment", texts("Env"));
    page.list("ports", keys("ExposedPorts"));
    page.list("volumes", keys("Volumes"));
    let labels = config.get("Labels").and_then(Value::as_object);
    page.list(
        "label",
        labels.into_iter().flatten().map(|(key, value)| {
            let text = value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned);
            format!("{key}={text}")
        }),
    );
    let told = [
        "Entrypoint",
        "Cmd",
        "User",
        "WorkingDir",
        "Env",
        "ExposedPorts",
        "Volumes",
        "Labels",
    ];
    for (key, value) in config
        .iter()
        .filter(|(key, _)| !told.contains(&key.as_str()))
    {
        page.field(key, &value.to_string());
    }
}

/// A row for each layer.
fn layers(page: &mut Page, contents: &Contents) {
    page.line("");
    page.line("layer        size    share  what, and why it is a layer");
    let whole = contents.size();
    let is_partly = how_compressed(contents) == PARTLY;
    for (number, layer) in contents.layers.iter().enumerate() {
        let compressed = match (is_partly, is_compressed(layer)) {
            (false, _) => "",
            (true, true) => "  compressed",
            (true, false) => "  uncompressed",
        };
        page.line(&format!(
            "{:>5}  {}  {}  {}{compressed}",
            number + 1,
            page::bytes(layer.size),
            page::share(layer.size, whole),
            visible_line(&contents.what(number)),
        ));
        if let Some(reason) = &layer.reason {
            page.line(&format!("{:28}{}", "", visible_line(reason)));
        }
    }
}

/// The packages that weigh most.
fn packages(page: &mut Page, contents: &Contents, view: &View) {
    if contents.packages.is_empty() {
        return;
    }
    let sizes = Sizes::new(contents);
    let mut seen = Vec::new();
    let mut rows: Vec<(u32, u64)> = contents
        .numbers()
        .map(|number| (number, contents.graph.closure_size(&[number], &mut seen)))
        .collect();
    let size = |number: u32| contents.package(number).size;
    match view.sort {
        Sort::Exclusive => rows.sort_by_key(|(number, _)| Reverse(sizes.exclusive(*number))),
        Sort::Size => rows.sort_by_key(|(number, _)| Reverse(size(*number))),
        Sort::Closure => rows.sort_by_key(|(_, closure)| Reverse(*closure)),
        Sort::Name => rows.sort_by_key(|(number, _)| contents.package(*number).full_name()),
        Sort::Layer => rows.sort_by_key(|(number, _)| &contents.package(*number).layers),
    }
    page.line("");
    page.line("       own  exclusive    closure  layer  package");
    let most = if view.all { usize::MAX } else { SHOWN };
    for (number, closure) in rows.iter().take(most) {
        let package = contents.package(*number);
        let layers: Vec<String> = package
            .layers
            .iter()
            .map(|it| (it + 1).to_string())
            .collect();
        page.line(&format!(
            "{} {} {}  {:>5}  {}{}",
            page::bytes(package.size),
            page::bytes(sizes.exclusive(*number)),
            page::bytes(*closure),
            layers.join(","),
            visible_line(package.full_name()),
            named(contents, *number),
        ));
    }
    let more = rows.len().saturating_sub(most);
    if more > 0 {
        page.line(&format!("and {more} more; --all lists them"));
    }
}

/// Which arguments name a package, for the end of its row.
fn named(contents: &Contents, number: u32) -> String {
    let arguments: Vec<&str> = contents.arguments(number).collect();
    if arguments.is_empty() {
        return String::new();
    }
    format!("  ({})", visible_line(&arguments.join(", ")))
}

/// All that is in one layer.
fn one_layer(
    page: &mut Page,
    image: &SourceImage,
    contents: &Contents,
    number: usize,
    view: &View,
) {
    let layer = &contents.layers[number];
    page.field("layer", &(number + 1).to_string());
    page.field("digest", &layer.digest.to_string());
    page.field("diff ID", &layer.diff_id.to_string());
    let how = if is_compressed(layer) {
        "compressed"
    } else {
        "uncompressed"
    };
    page.field("size", &format!("{} {how}", Amount(layer.size)));
    if let Some(reason) = &layer.reason {
        page.field("why", reason);
    }
    if let Some(said) = layer.created_by.as_deref().filter(|said| *said != "strata") {
        page.field("made by", said);
    }
    page.line("");
    for placed in &layer.packages {
        let package = contents.package(placed.package);
        let place = if placed.to_root { "  (to /)" } else { "" };
        page.line(&format!(
            "{}  {}{place}",
            page::bytes(package.size),
            package.path
        ));
    }
    let (recipe, _) = image.recipe(number);
    for file in recipe.iter().flat_map(|recipe| &recipe.files) {
        let size = match &file.kind {
            FileKind::Source { nar_size, .. } => page::bytes(*nar_size),
            _ => " ".repeat(10),
        };
        page.line(&format!("{size}  {}", visible_line(&row_of_file(file))));
    }
    if let Some(files) = layer.files.as_ref().filter(|_| view.files) {
        page.line("");
        for file in files {
            page.line(&entry(file));
        }
    }
}

/// What of a file is worth a line: what it is, its mode and its owner, as far as they are given.
fn row_of_file(file: &FileRecord) -> String {
    let set = &file.set;
    let what = match &file.kind {
        FileKind::Directory => "directory".to_owned(),
        FileKind::Empty => "empty file".to_owned(),
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

/// A file as `ls -l` shows one.
fn entry(file: &FoundFile) -> String {
    let (letter, rest) = match &file.kind {
        FoundKind::Directory => ('d', String::new()),
        FoundKind::File => ('-', String::new()),
        FoundKind::Symlink(target) => ('l', format!(" -> {target}")),
        FoundKind::HardLink(target) => ('h', format!(" = /{target}")),
        FoundKind::Special => ('s', String::new()),
        FoundKind::Whiteout => ('w', " (hidden)".to_owned()),
        FoundKind::Opaque => ('w', " (all below it is hidden)".to_owned()),
    };
    let line = format!(
        "{letter}{:04o}  {:>5}:{:<5}  {}  /{}{rest}",
        file.mode,
        file.uid,
        file.gid,
        page::bytes(file.size),
        file.path
    );
    visible_line(&line).into_owned()
}

/// The largest files of all layers.
fn largest_files(page: &mut Page, contents: &Contents, view: &View) {
    let Some(visible) = Visible::new(contents) else {
        return;
    };
    let mut files: Vec<(usize, &FoundFile)> = visible.files.into_values().collect();
    files.retain(|(_, file)| file.kind == FoundKind::File);
    files.sort_by_key(|(_, file)| Reverse(file.size));
    page.line("");
    page.line("      size  layer  file");
    let most = if view.all { usize::MAX } else { SHOWN };
    for (layer, file) in files.iter().take(most) {
        page.line(&format!(
            "{}  {:>5}  /{}",
            page::bytes(file.size),
            layer + 1,
            visible_line(&file.path)
        ));
    }
    let more = files.len().saturating_sub(most);
    if more > 0 {
        page.line(&format!("and {more} more; --all lists them"));
    }
}

/// What layers have and nobody sees, and what was not looked at.
fn wasted(page: &mut Page, contents: &Contents) {
    let Some(visible) = Visible::new(contents) else {
        if contents.layers.iter().any(|layer| layer.is_base) {
            page.line("");
            page.line("the layers of the base image were not read; --files does that");
        }
        return;
    };
    if visible.waste.bytes == 0 {
        return;
    }
    page.line("");
    page.line(&format!(
        "{} in files that upper layers replace or hide:",
        Amount(visible.waste.bytes)
    ));
    let mut paths: Vec<_> = visible.waste.paths.iter().collect();
    paths.sort_by_key(|(_, (bytes, _))| Reverse(*bytes));
    for (path, (bytes, _)) in paths.iter().take(SHOWN) {
        page.line(&format!("{}  /{}", page::bytes(*bytes), visible_line(path)));
    }
}

/// What is said where some layers are compressed.
const PARTLY: &str = "partly compressed";

/// How the layers are promised: a base may have others than the image's own.
fn how_compressed(contents: &Contents) -> &'static str {
    let layers = contents.layers.iter();
    match layers.filter(|layer| is_compressed(layer)).count() {
        0 => "uncompressed",
        count if count == contents.layers.len() => "compressed",
        _ => PARTLY,
    }
}

/// Whether a layer is promised compressed.
fn is_compressed(layer: &Layer) -> bool {
    ![media_type::LAYER_TAR, media_type::DOCKER_LAYER_TAR].contains(&layer.media_type.as_str())
}
