//! What the commands say in JSON, as docs/cli.md describes it. Fields may be added, never
//! changed.

use serde_json::{Value, json};

use strata_contents::{Chains, Contents, FoundFile, FoundKind, Sizes, Visible};
use strata_source::SourceImage;

/// What is in an image.
pub(super) fn contents(contents: &Contents) -> Value {
    let sizes = Sizes::new(contents);
    let packages: Vec<Value> = contents
        .numbers()
        .map(|number| package(contents, &sizes, number))
        .collect();
    json!({
        "packages": packages,
        "roots": roots(contents),
        "wasted": Visible::new(contents).map(|visible| wasted(&visible)),
    })
}

/// A package with its sizes, layers and references.
pub(super) fn package(contents: &Contents, sizes: &Sizes, number: u32) -> Value {
    let package = contents.package(number);
    let name = package.name();
    let references = contents.graph.references(number).iter();
    json!({
        "path": package.path,
        "name": name.name,
        "version": (!name.version.is_empty()).then_some(name.version),
        "output": (!name.output.is_empty()).then_some(name.output),
        "size": package.size,
        "exclusiveSize": sizes.exclusive(number),
        "closureSize": contents.graph.closure_size(&[number], &mut Vec::new()),
        "narHash": package.nar_hash,
        "layers": package.layers.iter().map(|layer| layer + 1).collect::<Vec<_>>(),
        "references": references.map(|other| contents.graph.path(*other)).collect::<Vec<_>>(),
    })
}

fn roots(contents: &Contents) -> Vec<Value> {
    let roots = contents.roots.iter();
    let root = roots.map(|root| {
        json!({
            "argument": root.argument,
            "path": contents.graph.path(root.package),
        })
    });
    root.collect()
}

fn wasted(visible: &Visible<'_>) -> Value {
    let paths = visible.waste.paths.iter().map(|(path, (bytes, times))| {
        json!({ "path": format!("/{path}"), "size": bytes, "times": times })
    });
    json!({
        "size": visible.waste.bytes,
        "paths": paths.collect::<Vec<_>>(),
    })
}

/// An entry of a layer.
pub(super) fn entry(file: &FoundFile) -> Value {
    let (kind, target) = match &file.kind {
        FoundKind::Directory => ("directory", None),
        FoundKind::File => ("file", None),
        FoundKind::Symlink(target) => ("link", Some(target.clone())),
        FoundKind::HardLink(target) => ("hardlink", Some(format!("/{target}"))),
        FoundKind::Special => ("special", None),
        FoundKind::Whiteout => ("whiteout", None),
        FoundKind::Opaque => ("opaque", None),
    };
    let mut value = json!({
        "path": format!("/{}", file.path),
        "type": kind,
        "size": file.size,
        "mode": format!("{:04o}", file.mode),
        "uid": file.uid,
        "gid": file.gid,
    });
    if let Some(fields) = value.as_object_mut() {
        fields.extend(target.map(|target| ("target".to_owned(), target.into())));
        let digest = file.content.map(|digest| digest.to_string().into());
        fields.extend(digest.map(|digest| ("digest".to_owned(), digest)));
    }
    value
}

/// A way to a package, by store paths.
pub(super) fn chain(contents: &Contents, chain: &[u32]) -> Value {
    let first = chain.first();
    let arguments: Vec<&str> =
        first.map_or_else(Vec::new, |root| contents.arguments(*root).collect());
    let paths = chain.iter().map(|link| contents.graph.path(*link));
    json!({
        "arguments": arguments,
        "paths": paths.collect::<Vec<_>>(),
    })
}

/// Why a package is there.
pub(super) fn why(contents: &Contents, sizes: &Sizes, number: u32, most: usize) -> Value {
    let chains = Chains::new(contents, number);
    let all = chains.all(most);
    let all = all.iter().map(|links| chain(contents, links));
    let layers = contents.package(number).layers.iter();
    let reasons = layers.map(|layer| contents.layers[*layer].reason.clone());
    let mut value = package(contents, sizes, number);
    if let Some(fields) = value.as_object_mut() {
        fields.insert("chains".to_owned(), all.collect());
        fields.insert("chainCount".to_owned(), chains.count().into());
        fields.insert("reasons".to_owned(), reasons.collect::<Vec<_>>().into());
    }
    value
}

/// What is said of an image as a whole.
pub fn facts(image: &SourceImage) -> Value {
    let facts = &image.facts;
    json!({
        "name": facts.name,
        "tag": facts.tag,
        "digest": facts.digest,
        "mediaType": facts.media_type,
        "platform": image.config.platform().to_string(),
    })
}
