//! The `netrc` file of curl and others: lines of words, `machine HOST login USER password PASSWORD`.

use crate::credentials::Credentials;

/// What the first entry for one of `hosts` says that has a user and a password. What comes under
/// `default` is for no registry: it is rarely meant to be sent to all of them.
pub(super) fn find(text: &str, hosts: &[&str]) -> Option<Credentials> {
    let mut words = words(text).into_iter();
    // The entry at hand: whether it is about one of the hosts, and what it says.
    let (mut is_meant, mut user, mut password) = (false, None, None);
    while let Some(word) = words.next() {
        match word.as_str() {
            "machine" | "default" => {
                let name = (word == "machine").then(|| words.next()).flatten();
                is_meant = name.is_some_and(|name| {
                    hosts
                        .iter()
                        .any(|host| host.eq_ignore_ascii_case(name.trim_matches(['[', ']'])))
                });
                (user, password) = (None, None);
            }
            "login" => user = words.next(),
            "password" => password = words.next(),
            "account" => drop(words.next()),
            _ => {}
        }
        if is_meant && let (Some(username), Some(password)) = (&user, &password) {
            return Some(Credentials::Basic {
                username: username.clone(),
                password: password.clone(),
            });
        }
    }
    None
}

/// The words without comments and macros. A word in double quotes may have spaces, and `\\` before a
/// character that is to be taken as it is.
fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut in_macro = false;
    for line in text.lines() {
        // A macro ends with an empty line.
        in_macro &= !line.trim().is_empty();
        if in_macro {
            continue;
        }
        let mut rest = line.trim_start();
        while !rest.is_empty() && !rest.starts_with('#') {
            let (word, after) = if let Some(quoted) = rest.strip_prefix('"') {
                unquote(quoted)
            } else {
                let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
                (rest[..end].to_owned(), &rest[end..])
            };
            if word == "macdef" {
                in_macro = true;
                break;
            }
            words.push(word);
            rest = after.trim_start();
        }
    }
    words
}

/// A word up to the next quotation mark, and what follows it.
fn unquote(text: &str) -> (String, &str) {
    let mut word = String::new();
    let mut characters = text.char_indices();
    while let Some((index, character)) = characters.next() {
        match character {
            '"' => return (word, &text[index + 1..]),
            '\\' => match characters.next() {
                Some((_, 'n')) => word.push('\n'),
                Some((_, 'r')) => word.push('\r'),
                Some((_, 't')) => word.push('\t'),
                other => word.extend(other.map(|(_, escaped)| escaped)),
            },
            other => word.push(other),
        }
    }
    (word, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_found() {
        let text = r#"
            # machine r.example login comment password comment
            machine other.example login other password other
            default login everybody password everybody
            macdef init
            machine r.example login macro password macro

            machine r.example
                account x
                login me   # a comment
                password "my \"secret\" \\"
            machine r.example login second password second
            machine p.example password only
            machine ::1 password x login six
            machine last.example login last password"#;
        let find = |host: &str| match find(text, &[host]) {
            Some(Credentials::Basic { username, password }) => Some((username, password)),
            _ => None,
        };
        let pair = |user: &str, password: &str| Some((user.to_owned(), password.to_owned()));
        assert_eq!(find("r.example"), pair("me", r#"my "secret" \"#));
        assert_eq!(find("R.Example"), pair("me", r#"my "secret" \"#));
        assert_eq!(find("other.example"), pair("other", "other"));
        assert_eq!(find("::1"), pair("six", "x"));
        for host in ["p.example", "last.example", "unknown.example", "example"] {
            assert_eq!(find(host), None, "{host}");
        }
    }
}
