//! CycloneDX 1.6 (<https://cyclonedx.org/docs/1.6/json/>).

use serde_json::{Map, Value, json};

use crate::bill::Bill;
use crate::licence::Licence;
use crate::package::Package;

/// The bill as a document.
pub(crate) fn document(bill: &Bill) -> Value {
    let image = bill.url();
    let all: Vec<&str> = bill.packages.iter().map(|it| it.id.as_str()).collect();
    let of_image = json!({ "ref": image, "dependsOn": all });
    let dependencies = bill.packages.iter().map(|package| {
        if package.dependencies.is_empty() {
            json!({ "ref": package.id })
        } else {
            json!({ "ref": package.id, "dependsOn": package.dependencies })
        }
    });
    let dependencies: Vec<Value> = [of_image].into_iter().chain(dependencies).collect();
    json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": format!("urn:uuid:{}", bill.uuid()),
        "version": 1,
        "metadata": {
            "timestamp": bill.created,
            "tools": { "components": [{
                "type": "application",
                "name": "strata",
                "version": env!("CARGO_PKG_VERSION"),
            }] },
            "component": {
                "type": "container",
                "bom-ref": image,
                "name": bill.name,
                "version": bill.tag.clone().unwrap_or_else(|| bill.digest.to_string()),
                "purl": image,
                "hashes": [{ "alg": "SHA-256", "content": bill.digest.hex() }],
                "properties": [{ "name": "strata:platform", "value": bill.platform.to_string() }],
            },
        },
        "components": bill.packages.iter().map(component).collect::<Vec<_>>(),
        "dependencies": dependencies,
    })
}

fn component(package: &Package) -> Value {
    let kind = if package.is_program {
        "application"
    } else {
        "library"
    };
    let mut fields = Map::new();
    let mut set = |name: &str, value: Value| fields.insert(name.to_owned(), value);
    set("type", json!(kind));
    set("bom-ref", json!(package.id));
    set("name", json!(package.name));
    set("purl", json!(package.url));
    if !package.version.is_empty() {
        set("version", json!(package.version));
    }
    if let Some(cpe) = package.cpe.as_ref().filter(|cpe| is_cpe(cpe)) {
        set("cpe", json!(cpe));
    }
    if let Some(description) = &package.description {
        set("description", json!(description));
    }
    if let Some(homepage) = package.address() {
        let reference = json!({ "type": "website", "url": homepage });
        set("externalReferences", json!([reference]));
    }
    if let Some(hash) = &package.hash {
        let hash = json!({ "alg": "SHA-256", "content": hash.hex() });
        set("hashes", json!([hash]));
    }
    if !package.licences.is_empty() {
        let licences: Vec<Value> = package.licences.iter().map(licence).collect();
        set("licenses", json!(licences));
    }
    if !package.properties.is_empty() {
        let properties = package.properties.iter();
        let properties = properties.map(|(name, value)| json!({ "name": name, "value": value }));
        set("properties", properties.collect());
    }
    Value::Object(fields)
}

fn licence(licence: &Licence) -> Value {
    let mut about = match licence.id() {
        Some(id) => json!({ "id": id }),
        None => json!({ "name": licence.text() }),
    };
    if let Some(url) = &licence.url {
        about["url"] = json!(url);
    }
    json!({ "license": about })
}

/// Whether a text is a name of the dictionary of the National Vulnerability Database (version 2.3), or one of the
/// form before.
pub(crate) fn is_cpe(text: &str) -> bool {
    let has_space = text.chars().any(|character| !character.is_ascii_graphic());
    let is_new = text
        .strip_prefix("cpe:2.3:")
        .is_some_and(|rest| rest.replace("\\:", "").split(':').count() == 11);
    !has_space && (is_new || text.starts_with("cpe:/"))
}
