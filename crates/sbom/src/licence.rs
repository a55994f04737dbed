//! Licences.

use std::fmt::Write;

use serde::Deserialize;

/// A licence of a package, as it was declared.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Licence {
    /// What SPDX calls it; none if its list does not have it.
    pub spdx_id: Option<String>,
    /// What it is called.
    pub name: Option<String>,
    /// Where it is explained.
    pub url: Option<String>,
}

impl Licence {
    /// A licence of which no more is known than a text, which may be SPDX's name of it.
    pub fn named(text: &str) -> Self {
        Self {
            spdx_id: Some(text.to_owned()),
            name: Some(text.to_owned()),
            url: None,
        }
    }

    /// SPDX's name, if its list has it.
    pub(crate) fn id(&self) -> Option<&'static str> {
        let given = self.spdx_id.as_deref()?;
        // It also finds names with a `+` behind them, which the list does not have.
        let found = spdx::license_id(given)?;
        (found.name == given).then_some(found.name)
    }

    /// What people call it.
    pub(crate) fn text(&self) -> &str {
        let name = self.name.as_deref().or(self.spdx_id.as_deref());
        name.filter(|name| !name.is_empty()).unwrap_or("unknown")
    }

    /// What it is called in an expression of SPDX: its name, or one for this document only (SPDX 2.3, annex D).
    pub(crate) fn in_expression(&self) -> String {
        match self.id() {
            Some(id) => id.to_owned(),
            None => format!("LicenseRef-{}", id_string(self.text())),
        }
    }
}

/// A text with nothing in it but what identifiers of SPDX may have: letters, digits, `.` and `-`.
pub(crate) fn id_string(text: &str) -> String {
    let fits = |character: char| character.is_ascii_alphanumeric() || ".-".contains(character);
    let mut id = String::new();
    for character in text.chars() {
        // Writing to a String cannot fail.
        let _ = if fits(character) {
            write!(id, "{character}")
        } else {
            write!(id, "-")
        };
    }
    id
}

/// All of several licences as an expression of SPDX, if there are any.
pub(crate) fn expression(licences: &[Licence]) -> Option<String> {
    let names: Vec<String> = licences.iter().map(Licence::in_expression).collect();
    (!names.is_empty()).then(|| names.join(" AND "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_spdx_lists_has_its_name() {
        let licences = [Licence::named("MIT"), Licence::named("Ours, 2+")];
        assert_eq!(licences[0].id(), Some("MIT"));
        assert_eq!(licences[1].id(), None);
        assert_eq!(Licence::named("GPL-2.0-only+").id(), None);
        let text = expression(&licences).unwrap();
        assert_eq!(text, "MIT AND LicenseRef-Ours--2-");
        assert_eq!(expression(&[]), None);
    }
}
