//! What an image must keep to.

use std::str::FromStr;

use strata_contents::{Broken, Contents, Limits, Measured, recorded, recorded_names};
use strata_error::{Error, Result};
use strata_layer::{Documents, LayersFile};
use strata_nix::{GrowthRequest, LimitsRequest, Store};

/// The limits of an image, and what its growth is measured by.
#[derive(Debug, Default)]
pub(super) struct CheckedLimits {
    limits: Limits,
    against: Option<Measured>,
}

/// Reads what the limits name.
pub(super) fn read(request: &LimitsRequest, store: &Store) -> Result<CheckedLimits> {
    let growth = request.growth.as_ref();
    Ok(CheckedLimits {
        limits: Limits {
            size: request
                .size
                .as_deref()
                .map(|text| parse("size", text))
                .transpose()?,
            layers: request.layers,
            deny: request.deny.clone(),
            growth: growth
                .map(|growth| parse("growth.size", &growth.size))
                .transpose()?,
        },
        against: growth.map(|growth| measure(growth, store)).transpose()?,
    })
}

fn parse<T: FromStr<Err = String>>(field: &str, text: &str) -> Result<T> {
    text.parse().map_err(|hint| Error::Attribute {
        attribute: format!("limits.{field}"),
        message: format!("{text:?} is no amount"),
        hint,
    })
}

fn measure(growth: &GrowthRequest, store: &Store) -> Result<Measured> {
    let wrong = |message: String| Error::Attribute {
        attribute: "limits.growth.against".into(),
        message,
        hint: "give an image of buildImage".into(),
    };
    let path = &growth.against;
    let located = store.locate_inside(path).map_err(wrong)?;
    if !Documents::are_in(&located) {
        return Err(wrong(format!("{path} is not an image that Strata built")));
    }
    let file = LayersFile::read(&located)?;
    let name = file.image.as_ref();
    let layers = recorded(&file);
    Ok(Measured {
        name: name.map_or_else(
            || path.clone(),
            |name| format!("{}:{}", name.name, name.tag),
        ),
        size: layers.iter().map(|layer| layer.size).sum(),
    })
}

impl CheckedLimits {
    /// An error that names all that the image does not keep to.
    pub(super) fn check(&self, file: &LayersFile) -> Result<()> {
        let contents = Contents::new(recorded(file), &recorded_names(file))?;
        let broken = self.limits.check(&contents, self.against.as_ref());
        let Some((first, others)) = broken.split_first() else {
            return Ok(());
        };
        let others = others
            .iter()
            .map(|Broken { limit, message, .. }| format!("; limits.{limit}: {message}"));
        Err(Error::Attribute {
            attribute: format!("limits.{}", first.limit),
            message: [first.message.clone(), others.collect()].concat(),
            hint: first.hint.clone(),
        })
    }
}
