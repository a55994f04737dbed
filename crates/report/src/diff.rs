//! What differs between two images.

use serde_json::{Map, Value, json};

use super::described;
use super::html;
use super::page::{self, Page};
use strata_compress::{Refetched, refetched};
use strata_contents::diff::{
    FieldChange, FileChange, LayerChanges, PackageChange, PackageChangeKind,
};
use strata_contents::{Amount, Contents, diff};
use strata_error::{Result, visible_line};
use strata_progress::Context;
use strata_source::SourceImage;

/// All that differs.
pub struct Difference<'a> {
    old: (&'a SourceImage, &'a Contents),
    new: (&'a SourceImage, &'a Contents),
    packages: Vec<PackageChange>,
    layers: LayerChanges,
    fields: Vec<FieldChange>,
    files: Option<Vec<FileChange>>,
    /// What clients fetch of the layers that are sent, by their numbers; none of one that is fetched whole.
    parts: Option<Vec<(usize, Option<Refetched>)>>,
}

impl<'a> Difference<'a> {
    /// Compares two images; files are, if their layers were read.
    pub fn new(old: (&'a SourceImage, &'a Contents), new: (&'a SourceImage, &'a Contents)) -> Self {
        Self {
            packages: diff::packages(old.1, new.1),
            layers: diff::layers(old.1, new.1),
            fields: diff::configs(&fields(old.0), &fields(new.0)),
            files: None,
            parts: None,
            old,
            new,
        }
    }

    /// Compares files, too, whose layers were read.
    #[must_use]
    pub fn with_files(self) -> Self {
        Self {
            files: diff::files(self.old.1, self.new.1),
            ..self
        }
    }

    /// Finds out what clients fetch that take layers in parts. Layers are read, or made and compressed for nobody.
    pub fn with_parts(self, context: Context<'_>) -> Result<Self> {
        let parts = parts(self.old.0, self.new.0, &self.layers.sent, context)?;
        Ok(Self {
            parts: Some(parts),
            ..self
        })
    }

    /// All of it as JSON.
    pub fn json(&self) -> Value {
        describe(self)
    }

    /// All of it for people to read; packages that only were rebuilt are listed if `all`.
    pub fn text(&self, all: bool) -> String {
        in_text(self, all)
    }

    /// All of it as Markdown.
    pub fn markdown(&self) -> String {
        in_markdown(self)
    }

    /// All of it as a page of HTML.
    pub fn html(&self) -> String {
        html::page(&html::View {
            image: self.new.0,
            contents: self.new.1,
            target: None,
            difference: Some(html::Changes {
                before: title(self.old.0),
                packages: &self.packages,
                layers: &self.layers,
                sending: sending_sentence(self),
            }),
        })
    }
}

/// What clients fetch of these layers of the new image that have the old one.
fn parts(
    old: &SourceImage,
    new: &SourceImage,
    sent: &[usize],
    context: Context<'_>,
) -> Result<Vec<(usize, Option<Refetched>)>> {
    let (known, tables) = (old.tables(context)?, new.tables(context)?);
    let parts = sent.iter().map(|number| {
        let table = tables.get(*number).and_then(Option::as_ref);
        let known = known.iter().flatten();
        (*number, table.map(|table| refetched(known, table)))
    });
    Ok(parts.collect())
}

/// What is said of an image and may differ.
fn fields(image: &SourceImage) -> Map<String, Value> {
    let value = json!({
        "name": image.facts.name,
        "tag": image.facts.tag,
        "platform": image.config.platform().to_string(),
        "created": image.config.created,
        "annotations": image.facts.annotations,
        "config": image.config.config,
    });
    match value {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

/// All of it as JSON. docs/cli.md describes it; fields may be added, never changed.
fn describe(difference: &Difference<'_>) -> Value {
    let side = |(image, contents): (&SourceImage, &Contents)| {
        let mut value = described::facts(image);
        if let Some(fields) = value.as_object_mut() {
            fields.insert("size".to_owned(), contents.size().into());
            fields.insert("layers".to_owned(), contents.layers.len().into());
            fields.insert("packages".to_owned(), contents.packages.len().into());
        }
        value
    };
    let (old, new) = (difference.old, difference.new);
    let paths = |contents: &Contents, numbers: &[u32]| -> Vec<String> {
        let paths = numbers.iter().map(|number| contents.package(*number));
        paths.map(|package| package.path.clone()).collect()
    };
    let packages = difference.packages.iter().map(|change| {
        json!({
            "name": change.name,
            "change": change.kind.name(),
            "oldVersions": change.old_versions,
            "newVersions": change.new_versions,
            "oldSize": change.old_size,
            "newSize": change.new_size,
            "oldPaths": paths(old.1, &change.old_only),
            "newPaths": paths(new.1, &change.new_only),
        })
    });
    let layers = &difference.layers;
    let shown = |contents: &Contents, numbers: &[usize]| -> Vec<Value> {
        let of = numbers.iter().map(|number| {
            let layer = &contents.layers[*number];
            json!({
                "layer": number + 1,
                "digest": layer.digest,
                "diffId": layer.diff_id,
                "size": layer.size,
            })
        });
        of.collect()
    };
    let fields = difference
        .fields
        .iter()
        .map(|change| json!({ "field": change.field, "old": change.old, "new": change.new }));
    let files = difference.files.as_ref().map(|files| {
        let files = files.iter().map(|change| {
            json!({
                "change": change_of(change),
                "oldPath": change.old_path,
                "newPath": change.new_path,
                "oldSize": change.old_size,
                "newSize": change.new_size,
                "about": change.about,
            })
        });
        files.collect::<Vec<_>>()
    });
    let parts = difference.parts.as_ref().map(|parts| {
        let parts = parts.iter().map(|(number, parts)| {
            json!({
                "layer": number + 1,
                "fetchedSize": parts.as_ref().map(|parts| parts.bytes),
                "chunks": parts.as_ref().map(|parts| parts.chunks),
                "ofChunks": parts.as_ref().map(|parts| parts.of_chunks),
            })
        });
        parts.collect::<Vec<_>>()
    });
    json!({
        "old": side(old),
        "new": side(new),
        "parts": parts,
        "packages": packages.collect::<Vec<_>>(),
        "layers": {
            "kept": shown(new.1, &layers.kept),
            "sent": shown(new.1, &layers.sent),
            "dropped": shown(old.1, &layers.dropped),
            "keptSize": layers.kept_size,
            "sentSize": layers.sent_size,
            "sentUncompressedSize": layers.sent_uncompressed,
        },
        "fields": fields.collect::<Vec<_>>(),
        "files": files,
    })
}

fn change_of(change: &FileChange) -> &'static str {
    match (&change.old_path, &change.new_path) {
        (None, _) => "added",
        (_, None) => "removed",
        _ => "changed",
    }
}

/// Versions as one text; nothing is a package without one.
fn versions(versions: &[String]) -> String {
    let shown = versions.iter().map(|version| match version.as_str() {
        "" => "(no version)",
        version => version,
    });
    shown.collect::<Vec<_>>().join(", ")
}

/// The headings of changes of packages, in their order.
const KINDS: [(PackageChangeKind, &str); 4] = [
    (PackageChangeKind::Updated, "updated"),
    (PackageChangeKind::Added, "added"),
    (PackageChangeKind::Removed, "removed"),
    (PackageChangeKind::Rebuilt, "rebuilt"),
];

/// The name of one side: what it is called, or its digest.
fn title(image: &SourceImage) -> String {
    let name = image.facts.whole_name();
    name.unwrap_or_else(|| image.facts.digest.to_string())
}

/// How many layers stay, and what is to be sent.
fn sending_sentence(difference: &Difference<'_>) -> String {
    let layers = &difference.layers;
    format!(
        "{} of {} layers stay, {}; to send: {}",
        layers.kept.len(),
        difference.new.1.layers.len(),
        Amount(layers.kept_size),
        sending(layers)
    )
}

/// What is to be sent, in a few words.
fn sending(layers: &LayerChanges) -> String {
    let sent = Amount(layers.sent_size);
    match layers.sent_uncompressed {
        0 => format!("{sent} to a registry"),
        uncompressed if uncompressed == layers.sent_size => {
            format!("{sent} to an engine, and to a registry what that is compressed")
        }
        uncompressed => format!(
            "{sent}, of which {} are not compressed yet",
            Amount(uncompressed)
        ),
    }
}

fn in_text(difference: &Difference<'_>, all: bool) -> String {
    let mut page = Page::default();
    let ((old, before), (new, after)) = (difference.old, difference.new);
    page.field("old", &format!("{}  {}", title(old), old.facts.digest));
    page.field("new", &format!("{}  {}", title(new), new.facts.digest));
    let growth = i128::from(after.size()) - i128::from(before.size());
    page.field(
        "size",
        &format!(
            "{} -> {}  {}",
            Amount(before.size()),
            Amount(after.size()),
            page::growth(growth).trim_start()
        ),
    );
    let layers = &difference.layers;
    page.field(
        "layers",
        &format!(
            "{} of {} stay, {}; {} are sent",
            layers.kept.len(),
            after.layers.len(),
            Amount(layers.kept_size),
            layers.sent.len(),
        ),
    );
    page.field("to send", &sending(layers));
    page.list(
        "in parts",
        difference.parts.iter().flatten().map(|(number, parts)| {
            let layer = number + 1;
            match parts {
                None => format!("layer {layer} is fetched whole"),
                Some(parts) => format!(
                    "{} of layer {layer}, {} of {} chunks",
                    Amount(parts.bytes),
                    parts.chunks,
                    parts.of_chunks
                ),
            }
        }),
    );
    for (kind, heading) in KINDS {
        let of_kind = difference.packages.iter().filter(|it| it.kind == kind);
        let of_kind: Vec<&PackageChange> = of_kind.collect();
        if of_kind.is_empty() {
            continue;
        }
        page.line("");
        page.line(&format!("{heading}: {}", of_kind.len()));
        let is_told = |change: &&PackageChange| {
            all || kind != PackageChangeKind::Rebuilt || change.growth() != 0
        };
        let told = of_kind.iter().copied().filter(is_told);
        let untold = of_kind.len() - told.clone().count();
        for change in told {
            let what = match kind {
                PackageChangeKind::Updated => format!(
                    "{} -> {}",
                    versions(&change.old_versions),
                    versions(&change.new_versions)
                ),
                PackageChangeKind::Removed => versions(&change.old_versions),
                PackageChangeKind::Added | PackageChangeKind::Rebuilt => {
                    versions(&change.new_versions)
                }
            };
            page.line(&format!(
                "{}  {}  {}",
                page::growth(change.growth()),
                visible_line(&change.name),
                visible_line(&what)
            ));
        }
        if untold > 0 {
            page.line(&format!("{untold} of the same size; --all lists them"));
        }
    }
    if !difference.fields.is_empty() {
        page.line("");
        page.line("said of the image");
        for change in &difference.fields {
            let line = format!("  {}: {}", change.field, from_to(change));
            page.line(&visible_line(&line));
        }
    }
    if let Some(files) = &difference.files {
        page.line("");
        page.line(&format!("files: {}", files.len()));
        for change in files {
            page.line(&visible_line(&file_row(change)));
        }
    }
    page.into_text()
}

/// A file with a letter for what became of it.
fn file_row(change: &FileChange) -> String {
    let growth = i128::from(change.new_size) - i128::from(change.old_size);
    let growth = page::growth(growth);
    match (&change.old_path, &change.new_path) {
        (None, Some(path)) => format!("A {growth}  {path}"),
        (Some(path), None) => format!("D {growth}  {path}"),
        (Some(_), Some(path)) => format!("M {growth}  {path}  ({})", change.about.join(", ")),
        (None, None) => String::new(),
    }
}

/// The two values of a field.
fn from_to(change: &FieldChange) -> String {
    let text = |value: &Option<Value>| match value {
        None => "nothing".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(value) => value.to_string(),
    };
    format!("{} -> {}", text(&change.old), text(&change.new))
}

fn in_markdown(difference: &Difference<'_>) -> String {
    let mut page = Page::default();
    let ((old, before), (new, after)) = (difference.old, difference.new);
    let growth = i128::from(after.size()) - i128::from(before.size());
    let layers = &difference.layers;
    page.line(&format!(
        "### `{}` → `{}`",
        code(&title(old)),
        code(&title(new))
    ));
    page.line("");
    page.line("| | before | after | |");
    page.line("|---|---:|---:|---:|");
    page.line(&format!(
        "| size | {} | {} | {} |",
        Amount(before.size()),
        Amount(after.size()),
        page::growth(growth).trim()
    ));
    page.line(&format!(
        "| layers | {} | {} | {} stay |",
        before.layers.len(),
        after.layers.len(),
        layers.kept.len()
    ));
    page.line(&format!(
        "| packages | {} | {} | {} differ |",
        before.packages.len(),
        after.packages.len(),
        difference.packages.len()
    ));
    page.line("");
    page.line(&format!("To send: {}.", sending(layers)));
    let told = difference
        .packages
        .iter()
        .filter(|change| change.kind != PackageChangeKind::Rebuilt);
    let told: Vec<&PackageChange> = told.collect();
    if !told.is_empty() {
        page.line("");
        page.line("| package | before | after | size |");
        page.line("|---|---|---|---:|");
        for change in told {
            page.line(&format!(
                "| {} | {} | {} | {} |",
                cell(&change.name),
                cell(&versions(&change.old_versions)),
                cell(&versions(&change.new_versions)),
                page::growth(change.growth()).trim()
            ));
        }
    }
    let rebuilt = difference.packages.len()
        - difference
            .packages
            .iter()
            .filter(|it| it.kind != PackageChangeKind::Rebuilt)
            .count();
    if rebuilt > 0 {
        page.line("");
        page.line(&format!(
            "{rebuilt} packages of the same version were rebuilt."
        ));
    }
    if !difference.fields.is_empty() {
        page.line("");
        page.line("| field | before | after |");
        page.line("|---|---|---|");
        for change in &difference.fields {
            let text = |value: &Option<Value>| match value {
                None => String::new(),
                Some(Value::String(text)) => format!("`{}`", code(text)),
                Some(value) => format!("`{}`", code(&value.to_string())),
            };
            page.line(&format!(
                "| {} | {} | {} |",
                cell(&change.field),
                text(&change.old),
                text(&change.new)
            ));
        }
    }
    if let Some(files) = &difference.files {
        page.line("");
        page.line(&format!(
            "<details><summary>{} files</summary>",
            files.len()
        ));
        page.line("");
        page.line("```");
        for change in files {
            page.line(&visible_line(&file_row(change)).replace("```", "'''"));
        }
        page.line("```");
        page.line("</details>");
    }
    page.into_text()
}

/// A text in a cell of a table.
fn cell(text: &str) -> String {
    let text = visible_line(text);
    let mut cell = String::with_capacity(text.len());
    for character in text.chars() {
        if "\\|`*_[]<>#".contains(character) {
            cell.push('\\');
        }
        cell.push(character);
    }
    cell
}

/// A text in code, also in a table.
fn code(text: &str) -> String {
    visible_line(text).replace('`', "'").replace('|', "\\|")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_wrote_is_no_markdown() {
        assert_eq!(cell("a|b_c<d>"), "a\\|b\\_c\\<d\\>");
        assert_eq!(code("a`b|c\n"), "a'b\\|c\\n");
    }

    #[test]
    fn what_is_sent_is_said_as_far_as_it_is_known() {
        let layers = |sent_size, sent_uncompressed| LayerChanges {
            sent_size,
            sent_uncompressed,
            ..LayerChanges::default()
        };
        assert_eq!(sending(&layers(1024, 0)), "1.00 KiB to a registry");
        assert!(sending(&layers(1024, 1024)).starts_with("1.00 KiB to an engine"));
        assert!(sending(&layers(1024, 1)).ends_with("of which 1 B are not compressed yet"));
    }
}
