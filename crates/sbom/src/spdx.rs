//! SPDX 2.3 in JSON (<https://spdx.github.io/spdx-spec/v2.3/>).

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::bill::Bill;
use crate::cyclonedx::is_cpe;
use crate::licence::{Licence, expression, id_string};
use crate::package::Package;

/// What is said where nobody knows.
const NOT_SAID: &str = "NOASSERTION";
/// The document, and the image in it.
const DOCUMENT: &str = "SPDXRef-DOCUMENT";
const IMAGE: &str = "SPDXRef-Image";

/// The bill as a document.
pub(crate) fn document(bill: &Bill) -> Value {
    let ids = ids(&bill.packages);
    let id = |package: &Package| ids.get(package.id.as_str());
    let relation = |from: &str, kind: &str, to: &str| json!({ "spdxElementId": from, "relationshipType": kind, "relatedSpdxElement": to });
    let mut relations = vec![relation(DOCUMENT, "DESCRIBES", IMAGE)];
    for package in &bill.packages {
        let Some(own) = id(package) else { continue };
        relations.push(relation(IMAGE, "CONTAINS", own));
        let needed = package.dependencies.iter();
        let needed = needed.filter_map(|other| ids.get(other.as_str()));
        relations.extend(needed.map(|other| relation(own, "DEPENDS_ON", other)));
    }
    let packages = bill.packages.iter();
    let packages = packages.filter_map(|it| Some(package(it, id(it)?)));
    let packages: Vec<Value> = [image(bill)].into_iter().chain(packages).collect();
    let name = match &bill.tag {
        Some(tag) => format!("{}:{tag}", bill.name),
        None => bill.name.clone(),
    };
    let mut document = json!({
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": DOCUMENT,
        "name": name,
        "documentNamespace": format!(
            "https://spdx.org/spdxdocs/{}-{}", id_string(&bill.name), bill.uuid()
        ),
        "creationInfo": {
            "created": bill.created,
            "creators": [concat!("Tool: strata-", env!("CARGO_PKG_VERSION"))],
        },
        "packages": packages,
        "relationships": relations,
    });
    let others = other_licences(&bill.packages);
    if !others.is_empty() {
        document["hasExtractedLicensingInfos"] = json!(others);
    }
    document
}

fn image(bill: &Bill) -> Value {
    json!({
        "SPDXID": IMAGE,
        "name": bill.name,
        "versionInfo": bill.tag.clone().unwrap_or_else(|| bill.digest.to_string()),
        "primaryPackagePurpose": "CONTAINER",
        "downloadLocation": NOT_SAID,
        "filesAnalyzed": false,
        "licenseConcluded": NOT_SAID,
        "licenseDeclared": NOT_SAID,
        "copyrightText": NOT_SAID,
        "checksums": [{ "algorithm": "SHA256", "checksumValue": bill.digest.hex() }],
        "externalRefs": [purl(&bill.url())],
    })
}

fn package(package: &Package, id: &str) -> Value {
    let purpose = if package.is_program {
        "APPLICATION"
    } else {
        "LIBRARY"
    };
    let mut references = vec![purl(&package.url)];
    if let Some(cpe) = package.cpe.as_ref().filter(|cpe| is_cpe(cpe)) {
        let kind = if cpe.starts_with("cpe:2.3:") {
            "cpe23Type"
        } else {
            "cpe22Type"
        };
        references.push(reference("SECURITY", kind, cpe));
    }
    let declared = expression(&package.licences);
    let mut fields = Map::new();
    let mut set = |name: &str, value: Value| fields.insert(name.to_owned(), value);
    set("SPDXID", json!(id));
    set("name", json!(package.name));
    set("primaryPackagePurpose", json!(purpose));
    set("downloadLocation", json!(NOT_SAID));
    set("filesAnalyzed", json!(false));
    set("licenseConcluded", json!(NOT_SAID));
    set(
        "licenseDeclared",
        json!(declared.as_deref().unwrap_or(NOT_SAID)),
    );
    set("copyrightText", json!(NOT_SAID));
    set("externalRefs", json!(references));
    if !package.version.is_empty() {
        set("versionInfo", json!(package.version));
    }
    if let Some(description) = &package.description {
        set("description", json!(description));
    }
    if let Some(homepage) = package.address() {
        set("homepage", json!(homepage));
    }
    if let Some(hash) = &package.hash {
        let hash = json!({ "algorithm": "SHA256", "checksumValue": hash.hex() });
        set("checksums", json!([hash]));
    }
    if !package.properties.is_empty() {
        let properties = package.properties.iter();
        let lines: Vec<String> = properties
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        set("comment", json!(lines.join("\n")));
    }
    Value::Object(fields)
}

fn purl(url: &str) -> Value {
    reference("PACKAGE-MANAGER", "purl", url)
}

fn reference(category: &str, kind: &str, locator: &str) -> Value {
    json!({
        "referenceCategory": category,
        "referenceType": kind,
        "referenceLocator": locator,
    })
}

/// What packages are called in the document, by their ids: a name without a store directory, with a number where
/// two differ in nothing but signs that such names have not.
fn ids(packages: &[Package]) -> BTreeMap<&str, String> {
    let mut used: BTreeMap<String, usize> = BTreeMap::new();
    let mut ids = BTreeMap::new();
    for package in packages {
        let is_path = package.id.starts_with('/');
        let last = package.id.rsplit('/').next().filter(|_| is_path);
        let id = format!("SPDXRef-Package-{}", id_string(last.unwrap_or(&package.id)));
        let count = used.entry(id.clone()).or_default();
        *count += 1;
        let id = if *count > 1 {
            format!("{id}-{count}")
        } else {
            id
        };
        ids.insert(package.id.as_str(), id);
    }
    ids
}

/// The licences that SPDX has no name for, each once.
fn other_licences(packages: &[Package]) -> Vec<Value> {
    let licences = packages.iter().flat_map(|package| &package.licences);
    let others = licences.filter(|licence| licence.id().is_none());
    let others: BTreeMap<String, &Licence> = others
        .map(|licence| (licence.in_expression(), licence))
        .collect();
    let describe = |(id, licence): (String, &Licence)| {
        let text = licence.url.as_deref().unwrap_or(licence.text());
        json!({ "licenseId": id, "name": licence.text(), "extractedText": text })
    };
    others.into_iter().map(describe).collect()
}
