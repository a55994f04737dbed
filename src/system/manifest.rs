//! `manifest.nix` of a user environment: what `nix-env` knows about the packages in it
//! (`src/nix-env/user-env.cc` of Nix).

use super::Package;
use crate::nix::USUAL_PRIORITY;

/// The list of packages as a Nix expression, on one line as `nix-env` writes it.
pub fn manifest(packages: &[Package]) -> String {
    let packages: String = packages
        .iter()
        .map(|package| entry(package) + " ")
        .collect();
    format!("[ {packages}]\n")
}

fn entry(package: &Package) -> String {
    let mut attributes = vec![
        ("name".to_owned(), string(&package.name)),
        ("type".to_owned(), string("derivation")),
        ("meta".to_owned(), meta(package.priority)),
    ];
    let names: Vec<String> = package
        .outputs
        .iter()
        .map(|(name, _)| string(name))
        .collect();
    attributes.push(("outputs".to_owned(), format!("[ {} ]", names.join(" "))));
    if let Some((_, path)) = package.outputs.first() {
        attributes.push(("outPath".to_owned(), string(path)));
    }
    if let Some(system) = &package.system {
        attributes.push(("system".to_owned(), string(system)));
    }
    for (name, path) in &package.outputs {
        let set = format!("{{ outPath = {}; }}", string(path));
        attributes.push((name.clone(), set));
    }
    attributes.sort();
    let mut set = String::from("{ ");
    for (name, value) in attributes {
        set.extend([&name, " = ", &value, "; "]);
    }
    set + "}"
}

/// Without a priority `nix-env` would take the usual one when it installs more.
fn meta(priority: i64) -> String {
    if priority == USUAL_PRIORITY {
        "{ }".to_owned()
    } else {
        format!("{{ priority = {priority}; }}")
    }
}

/// A string literal of the Nix language.
fn string(text: &str) -> String {
    let mut literal = String::from('"');
    for letter in text.chars() {
        match letter {
            '"' | '\\' | '$' => literal.extend(['\\', letter]),
            '\n' => literal.push_str("\\n"),
            '\r' => literal.push_str("\\r"),
            '\t' => literal.push_str("\\t"),
            other => literal.push(other),
        }
    }
    literal + "\""
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_have_what_nix_env_writes() {
        let package = |name: &str, outputs: &[(&str, &str)], priority| Package {
            name: name.into(),
            system: (priority == 5).then(|| "x86_64-linux".into()),
            outputs: outputs
                .iter()
                .map(|(name, path)| ((*name).into(), (*path).into()))
                .collect(),
            priority,
        };
        let packages = [
            package("git-2.1", &[("out", "/s/git"), ("man", "/s/git-man")], 5),
            package("a\"${x}\\", &[("bin", "/s/a")], -1),
        ];
        assert_eq!(
            manifest(&packages),
            r#"[ { man = { outPath = "/s/git-man"; }; meta = { }; name = "git-2.1"; out = { outPath = "/s/git"; }; outPath = "/s/git"; outputs = [ "out" "man" ]; system = "x86_64-linux"; type = "derivation"; } { bin = { outPath = "/s/a"; }; meta = { priority = -1; }; name = "a\"\${x}\\"; outPath = "/s/a"; outputs = [ "bin" ]; type = "derivation"; } ]"#
                .to_owned() + "\n"
        );
        assert_eq!(manifest(&[]), "[ ]\n");
    }
}
