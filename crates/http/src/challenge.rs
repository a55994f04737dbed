//! What a registry asks for when it answers 401: the `WWW-Authenticate` header (RFC 9110, section
//! 11.6.1) and the token protocol that registries share (distribution's `docs/spec/auth/token.md`).

use std::collections::BTreeMap;

/// A way to log in that Strata knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Challenge {
    /// User name and password with each request (RFC 7617).
    Basic,
    /// A token, which an authorization server hands out.
    Bearer {
        /// The URL of that server.
        realm: String,
        /// Which registry the token is for.
        service: Option<String>,
        /// What the token must allow, if the registry says it.
        scope: Option<String>,
    },
}

impl Challenge {
    /// The best of what the headers offer: a token, which need not be the password itself, or else
    /// basic authentication.
    pub fn choose<'a>(headers: impl Iterator<Item = &'a str>) -> Option<Self> {
        let mut offers: Vec<_> = headers.flat_map(parse).collect();
        let basic = offers
            .iter()
            .any(|offer| offer.scheme == "basic")
            .then_some(Self::Basic);
        offers
            .iter_mut()
            .filter(|offer| offer.scheme == "bearer")
            .find_map(|offer| {
                Some(Self::Bearer {
                    realm: offer.parameters.remove("realm")?,
                    service: offer.parameters.remove("service"),
                    scope: offer.parameters.remove("scope"),
                })
            })
            .or(basic)
    }
}

/// One challenge of a header, names in lower case.
#[derive(Debug, Default, PartialEq, Eq)]
struct Offer {
    scheme: String,
    parameters: BTreeMap<String, String>,
}

/// The challenges of one header. What does not follow the grammar is skipped.
fn parse(header: &str) -> Vec<Offer> {
    let mut offers: Vec<Offer> = Vec::new();
    let mut rest = header;
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',', '=', '"']);
        let end = rest.find([' ', '\t', ',', '=', '"']).unwrap_or(rest.len());
        let (name, after) = rest.split_at(end);
        if name.is_empty() {
            return offers;
        }
        let name = name.to_ascii_lowercase();
        if let Some(value) = after.trim_start().strip_prefix('=') {
            let (value, after) = parse_value(value.trim_start());
            if let Some(offer) = offers.last_mut() {
                offer.parameters.entry(name).or_insert(value);
            }
            rest = after;
        } else {
            offers.push(Offer {
                scheme: name,
                ..Offer::default()
            });
            rest = after;
        }
    }
}

/// A token or quoted string at the start of `text`, and what follows it.
fn parse_value(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([' ', '\t', ',']).unwrap_or(text.len());
        return (text[..end].to_owned(), &text[end..]);
    };
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((index, character)) = characters.next() {
        match character {
            '"' => return (value, &quoted[index + 1..]),
            '\\' => value.extend(characters.next().map(|(_, escaped)| escaped)),
            other => value.push(other),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choose(headers: &[&str]) -> Option<Challenge> {
        Challenge::choose(headers.iter().copied())
    }

    fn bearer(realm: &str, service: Option<&str>, scope: Option<&str>) -> Challenge {
        Challenge::Bearer {
            realm: realm.to_owned(),
            service: service.map(str::to_owned),
            scope: scope.map(str::to_owned),
        }
    }

    #[test]
    fn known_schemes_are_found() {
        assert_eq!(choose(&["Basic realm=\"r\""]), Some(Challenge::Basic));
        assert_eq!(choose(&["basic"]), Some(Challenge::Basic));
        assert_eq!(
            choose(&[
                "Bearer realm=\"https://a/t\",service=\"s, x\",scope=\"repository:a/b:pull,push\""
            ]),
            Some(bearer(
                "https://a/t",
                Some("s, x"),
                Some("repository:a/b:pull,push")
            ))
        );
        assert_eq!(
            choose(&["BEARER Realm = https://a/t , error=\"invalid_token\""]),
            Some(bearer("https://a/t", None, None))
        );
        assert_eq!(
            choose(&["Bearer realm=\"a\\\"b\""]),
            Some(bearer("a\"b", None, None))
        );
    }

    #[test]
    fn a_token_is_preferred_in_any_order() {
        let wanted = Some(bearer("https://a", None, None));
        assert_eq!(
            choose(&["Basic realm=\"r\", Bearer realm=\"https://a\""]),
            wanted
        );
        assert_eq!(
            choose(&["Bearer realm=\"https://a\"", "Basic realm=\"r\""]),
            wanted
        );
        assert_eq!(
            choose(&["Negotiate abc==, Basic realm=\"r\""]),
            Some(Challenge::Basic)
        );
    }

    #[test]
    fn anything_else_is_not_a_challenge() {
        for header in [
            "",
            ",,",
            "Negotiate",
            "Bearer",
            "Bearer service=\"x\"",
            "=\"",
            "Digest realm=\"Basic\"",
        ] {
            assert_eq!(choose(&[header]), None, "{header}");
        }
    }
}
