//! Derivations as Nix stores them: `Derive([("out","/nix/store/..","",""),..],..)`
//! (`src/libstore/derivations.cc` of Nix). Only the outputs are read.

/// An output of a derivation.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DerivationOutput {
    /// Its name, usually `out`.
    pub name: String,
    /// Its store path.
    pub path: String,
}

/// The outputs whose paths are known before they are built; nothing if `bytes` are no derivation.
pub fn parse_outputs(bytes: &[u8]) -> Option<Vec<DerivationOutput>> {
    let mut rest = bytes.strip_prefix(b"Derive([")?;
    let mut outputs = Vec::new();
    while rest.first() != Some(&b']') {
        rest = rest.strip_prefix(b",").unwrap_or(rest).strip_prefix(b"(")?;
        let mut fields = [const { String::new() }; 4];
        for (number, field) in fields.iter_mut().enumerate() {
            if number > 0 {
                rest = rest.strip_prefix(b",")?;
            }
            (*field, rest) = string(rest)?;
        }
        rest = rest.strip_prefix(b")")?;
        let [name, path, ..] = fields;
        if !path.is_empty() {
            outputs.push(DerivationOutput { name, path });
        }
    }
    Some(outputs)
}

/// A quoted string and what follows it.
fn string(bytes: &[u8]) -> Option<(String, &[u8])> {
    let mut text = Vec::new();
    let mut rest = bytes.strip_prefix(b"\"")?;
    loop {
        let (byte, behind) = rest.split_first()?;
        rest = behind;
        match byte {
            b'"' => return Some((String::from_utf8(text).ok()?, rest)),
            b'\\' => {
                let (escaped, behind) = rest.split_first()?;
                rest = behind;
                text.push(match escaped {
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    other => *other,
                });
            }
            other => text.push(*other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_with_known_paths_are_found() {
        let text = br#"Derive([("dev","/nix/store/a-x-dev","",""),("out","","r:sha256",""),("q\"","/p","","")],[("#;
        let output = |name: &str, path: &str| DerivationOutput {
            name: name.to_owned(),
            path: path.to_owned(),
        };
        assert_eq!(
            parse_outputs(text).unwrap(),
            [output("dev", "/nix/store/a-x-dev"), output("q\"", "/p")]
        );
        for length in 0..text.len() - 3 {
            assert_eq!(parse_outputs(&text[..length]), None, "{length}");
        }
    }
}
