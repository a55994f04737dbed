//! What an image runs on: `platform`, or else `arch`, `os` and `variant`, all in Go's names.

use strata_error::{Error, Result};
use strata_nix::ImageRequest;
use strata_oci::Platform;

/// Go's names of processors that programs can be made for (GOARCH, `internal/syslist` of Go).
const ARCHITECTURES: [&str; 16] = [
    "386", "amd64", "arm", "arm64", "loong64", "mips", "mips64", "mips64le", "mipsle", "ppc",
    "ppc64", "ppc64le", "riscv64", "s390x", "sparc64", "wasm",
];

/// Go's name for what Nix, `uname -m` or LLVM call a processor, with its variant.
fn in_go(word: &str) -> Option<(&'static str, Option<&'static str>)> {
    Some(match word {
        "x86_64" | "x64" => ("amd64", None),
        "i386" | "i486" | "i586" | "i686" | "x86" => ("386", None),
        "aarch64" | "armv8" | "armv8l" => ("arm64", None),
        "armv7" | "armv7a" | "armv7l" | "armhf" => ("arm", Some("v7")),
        "armv6" | "armv6l" => ("arm", Some("v6")),
        "armv5" | "armv5tel" => ("arm", Some("v5")),
        "powerpc64le" => ("ppc64le", None),
        "powerpc64" => ("ppc64", None),
        "loongarch64" => ("loong64", None),
        "mipsel" => ("mipsle", None),
        "mips64el" => ("mips64le", None),
        _ => return None,
    })
}

/// `platform`, or else `arch`, `os` and `variant`.
pub(super) fn check_platform(image: &ImageRequest) -> Result<Platform> {
    let (attribute, platform) = match &image.platform {
        Some(platform) => ("platform", parse(platform)?),
        None => ("arch", join(image)?),
    };
    check_architecture(attribute, &platform.architecture)?;
    Ok(platform)
}

fn error(attribute: &str, message: String, hint: &str) -> Error {
    Error::Attribute {
        attribute: attribute.to_owned(),
        message,
        hint: hint.to_owned(),
    }
}

fn parse(platform: &str) -> Result<Platform> {
    platform.parse().map_err(|message| {
        let hint = "write it as in \"linux/arm64\" or \"linux/arm/v7\"";
        error("platform", message, hint)
    })
}

fn join(image: &ImageRequest) -> Result<Platform> {
    let (os, arch) = (image.os.as_deref(), image.arch.as_deref());
    let (os, arch) = (os.unwrap_or("linux"), arch.unwrap_or_default());
    let variant = image.variant.as_deref();
    for (attribute, word, hint) in [
        (
            "arch",
            arch,
            "write Go's name of the processor, as in amd64 or arm64",
        ),
        ("os", os, "write Go's name of the system, as in linux"),
        (
            "variant",
            variant.unwrap_or("v8"),
            "write it as in \"v7\", or leave it out",
        ),
    ] {
        if word.is_empty() {
            return Err(error(attribute, "is empty".to_owned(), hint));
        }
        // What is one word has no slash in it.
        format!("{word}/{word}")
            .parse::<Platform>()
            .map_err(|_| error(attribute, format!("{word:?} is not a name"), hint))?;
    }
    Ok(Platform {
        architecture: arch.to_owned(),
        os: os.to_owned(),
        variant: variant.map(str::to_owned),
    })
}

/// Engines take an image only if its processor has Go's name.
fn check_architecture(attribute: &str, word: &str) -> Result<()> {
    if ARCHITECTURES.contains(&word) {
        return Ok(());
    }
    let hint = match in_go(word) {
        Some((name, None)) => format!("write {name}"),
        Some((name, Some(variant))) => {
            format!(
                "write {name}, and the variant {variant}: platform = \"linux/{name}/{variant}\""
            )
        }
        None => format!("there are {}", ARCHITECTURES.join(", ")),
    };
    let message = format!("{word:?} is not Go's name of a processor");
    Err(error(attribute, message, &hint))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hints_name_the_word_of_go() {
        for (word, hint) in [
            ("x86_64", "write amd64"),
            ("aarch64", "write arm64"),
            ("i686", "write 386"),
            ("powerpc64le", "write ppc64le"),
            (
                "armv7l",
                "write arm, and the variant v7: platform = \"linux/arm/v7\"",
            ),
        ] {
            let error = check_architecture("arch", word).unwrap_err();
            assert_eq!(error.hint().as_deref(), Some(hint));
            let (name, _) = in_go(word).unwrap();
            check_architecture("arch", name).unwrap();
        }
        let hint = check_architecture("arch", "amd46").unwrap_err().hint();
        assert!(
            hint.unwrap()
                .starts_with("there are 386, amd64, arm, arm64, ")
        );
    }
}
