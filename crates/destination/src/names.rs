//! What copies are called where they have names.

use std::fmt;

use strata_copy::CopyName;
use strata_error::{Error, Result};
use strata_layer::ImageName;
use strata_oci::{Reference, validate_tag};

/// A name with or without a tag, as it was typed, and what it means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct WholeName {
    /// As typed: `hello:1.0`.
    typed: String,
    /// Completed: `docker.io/library/hello:1.0`.
    reference: Reference,
}

/// A tag of the image's own name, or a name instead of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum GivenName {
    /// A tag; the image keeps its name.
    Tag(String),
    /// A name of its own.
    Whole(WholeName),
}

impl WholeName {
    /// A name without a digest.
    pub(super) fn parse(text: &str) -> Result<Self> {
        let reference = Reference::parse(text)?;
        if reference.digest.is_some() {
            return Err(Error::Name {
                what: "image name",
                value: text.to_owned(),
                message: "a digest cannot be given to a copy".to_owned(),
                hint: "write NAME[:TAG]; the digest follows from the image".to_owned(),
            });
        }
        Ok(Self {
            typed: text.to_owned(),
            reference,
        })
    }

    /// The name that follows an engine, if there is one.
    pub(super) fn parse_optional(text: &str) -> Result<Option<Self>> {
        (!text.is_empty()).then(|| Self::parse(text)).transpose()
    }

    fn copy_name(&self) -> CopyName {
        let Self { typed, reference } = self;
        let tag = reference.tag_or_latest();
        let complete = |name: &str| match reference.tag {
            Some(_) => name.to_owned(),
            None => format!("{name}:{tag}"),
        };
        CopyName {
            reference: Some(tag.to_owned()),
            familiar: Some(complete(typed)),
            full: Some(complete(&reference.to_string())),
        }
    }
}

impl GivenName {
    /// A tag, or a whole name where it can be nothing else.
    pub(super) fn parse(text: &str) -> Result<Self> {
        if text.contains(['/', ':', '@']) {
            return WholeName::parse(text).map(Self::Whole);
        }
        validate_tag(text)?;
        Ok(Self::Tag(text.to_owned()))
    }
}

impl fmt::Display for WholeName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.typed)
    }
}

impl fmt::Display for GivenName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tag(tag) => formatter.write_str(tag),
            Self::Whole(name) => name.fmt(formatter),
        }
    }
}

/// The whole name that is given, else the image's own.
pub(super) fn whole_or_own(given: Option<&WholeName>, own: Option<&ImageName>) -> Result<CopyName> {
    match (given, own) {
        (Some(name), _) => Ok(name.copy_name()),
        (None, Some(own)) => tagged(&own.name, &own.tag),
        (None, None) => Ok(CopyName::default()),
    }
}

/// The tag or name that is given, else the image's own, in an OCI layout: skopeo finds
/// `oci:PATH:NAME:TAG` by exactly what follows the path.
pub(super) fn in_layout(given: Option<&GivenName>, own: Option<&ImageName>) -> Result<CopyName> {
    match (given, own) {
        (Some(GivenName::Whole(name)), _) => Ok(CopyName {
            reference: Some(name.typed.clone()),
            ..name.copy_name()
        }),
        (Some(GivenName::Tag(tag)), Some(own)) => tagged(&own.name, tag),
        (Some(GivenName::Tag(tag)), None) => Ok(CopyName {
            reference: Some(tag.clone()),
            ..CopyName::default()
        }),
        (None, own) => whole_or_own(None, own),
    }
}

fn tagged(name: &str, tag: &str) -> Result<CopyName> {
    let familiar = format!("{name}:{tag}");
    let full = Reference::parse(&familiar)?.to_string();
    Ok(CopyName {
        reference: Some(tag.to_owned()),
        familiar: Some(familiar),
        full: Some(full),
    })
}

/// `PLACE:NAME`, and `PLACE` alone where there is no name.
pub(super) fn named<N: fmt::Display>(place: &str, name: Option<N>) -> String {
    match name {
        Some(name) => format!("{place}:{name}"),
        None => place.to_owned(),
    }
}

/// `TRANSPORT:NAME`, and `TRANSPORT:` where there is no name.
pub(super) fn in_engine<N: fmt::Display>(transport: &str, name: Option<N>) -> String {
    match name {
        Some(name) => format!("{transport}:{name}"),
        None => format!("{transport}:"),
    }
}
