//! One page of HTML that needs nothing else: a map of packages in layers, the ways to a chosen one, what changed.

use serde_json::{Value, json};

use strata_contents::diff::{LayerChanges, PackageChange, PackageChangeKind};
use strata_contents::{Amount, Contents, Sizes};
use strata_source::SourceImage;

/// The page, in which names in braces stand for its parts.
const PAGE: &str = include_str!("page.html");
const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("script.js");

/// What a page shows.
pub struct View<'a> {
    /// The image.
    pub image: &'a SourceImage,
    /// What is in it.
    pub contents: &'a Contents,
    /// The package that is chosen when the page opens.
    pub target: Option<u32>,
    /// What changed since another image.
    pub difference: Option<Changes<'a>>,
}

/// What changed since another image.
pub struct Changes<'a> {
    /// What that is called.
    pub before: String,
    /// The packages that differ.
    pub packages: &'a [PackageChange],
    /// What becomes of layers.
    pub layers: &'a LayerChanges,
    /// What is to be sent, in a sentence.
    pub sending: String,
}

/// The page as a document.
pub fn page(view: &View<'_>) -> String {
    let name = view.image.facts.whole_name();
    let name = name.unwrap_or_else(|| view.image.facts.digest.to_string());
    let title = match &view.difference {
        Some(changes) => format!("{} → {name}", changes.before),
        None => name,
    };
    // In a script, where only the end of the element would be read as one, and in strings only.
    let data = data(view, &title).to_string().replace('<', "\\u003c");
    let parts = [
        ("{{title}}", escaped(&title)),
        ("{{style}}", STYLE.to_owned()),
        ("{{script}}", SCRIPT.to_owned()),
        ("{{data}}", data),
    ];
    // What is put in is not looked at again.
    let mut page = String::new();
    let mut rest = PAGE;
    while let Some(start) = rest.find("{{") {
        page.push_str(&rest[..start]);
        rest = &rest[start..];
        if let Some((mark, part)) = parts.iter().find(|(mark, _)| rest.starts_with(mark)) {
            page.push_str(part);
            rest = &rest[mark.len()..];
        } else {
            page.push_str("{{");
            rest = &rest[2..];
        }
    }
    page.push_str(rest);
    page
}

fn data(view: &View<'_>, title: &str) -> Value {
    let contents = view.contents;
    let sizes = Sizes::new(contents);
    let roots = contents.root_packages();
    let mut seen = Vec::new();
    let packages = contents.numbers().map(|number| {
        let package = contents.package(number);
        json!({
            "path": package.path,
            "name": package.full_name(),
            "size": package.size,
            "exclusive": sizes.exclusive(number),
            "closure": contents.graph.closure_size(&[number], &mut seen),
            "layers": package.layers,
            "references": contents.graph.references(number),
            "root": roots.binary_search(&number).is_ok(),
            "arguments": contents.arguments(number).collect::<Vec<_>>(),
        })
    });
    let packages: Vec<Value> = packages.collect();
    let layers = contents.layers.iter().enumerate().map(|(number, layer)| {
        let mut own: Vec<u32> = layer.packages.iter().map(|it| it.package).collect();
        own.dedup();
        json!({
            "size": layer.size,
            "base": layer.is_base,
            "reason": layer.reason,
            "createdBy": layer.created_by,
            "what": contents.what(number),
            "packages": own,
        })
    });
    let facts = [
        view.image.config.platform().to_string(),
        format!(
            "{} in {} layers",
            Amount(contents.size()),
            contents.layers.len()
        ),
        format!("{} packages", contents.packages.len()),
        view.image.facts.digest.to_string(),
    ];
    json!({
        "title": title,
        "facts": facts,
        "packages": packages,
        "layers": layers.collect::<Vec<_>>(),
        "target": view.target,
        "diff": view.difference.as_ref().map(changes),
    })
}

fn changes(changes: &Changes<'_>) -> Value {
    let marks = changes.packages.iter().flat_map(|change| {
        let kind = change.kind.name();
        change
            .new_only
            .iter()
            .map(move |number| json!([number, kind]))
    });
    let mut sorted: Vec<&PackageChange> = changes.packages.iter().collect();
    // What was only rebuilt tells least.
    let is_rebuilt = |change: &PackageChange| change.kind == PackageChangeKind::Rebuilt;
    sorted.sort_by_key(|change| {
        (
            is_rebuilt(change),
            std::cmp::Reverse(change.growth().unsigned_abs()),
        )
    });
    let packages = sorted.into_iter().map(|change| {
        json!({
            "name": change.name,
            "change": change.kind.name(),
            "oldVersions": change.old_versions.join(", "),
            "newVersions": change.new_versions.join(", "),
            "growth": i64::try_from(change.growth()).unwrap_or_default(),
            "package": change.new_only.first(),
        })
    });
    json!({
        "sending": changes.sending,
        "kept": changes.layers.kept,
        "marks": marks.collect::<Vec<_>>(),
        "packages": packages.collect::<Vec<_>>(),
    })
}

/// A text in HTML.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_a_place_for_each_part_and_fetches_nothing() {
        for mark in ["{{title}}", "{{style}}", "{{script}}", "{{data}}"] {
            assert_eq!(PAGE.matches(mark).count(), 1, "{mark}");
        }
        // The name of a namespace is no address that anything is fetched from.
        let all = [
            PAGE,
            STYLE,
            &SCRIPT.replace("http://www.w3.org/2000/svg", ""),
        ]
        .concat();
        for word in [
            "http:",
            "https:",
            "src=",
            "@import",
            "url(",
            "fetch(",
            "innerHTML",
        ] {
            assert!(!all.contains(word), "{word}");
        }
    }

    #[test]
    fn texts_of_others_are_texts() {
        assert_eq!(escaped("<a href=\"x\">&"), "&lt;a href=&quot;x&quot;>&amp;");
    }
}
