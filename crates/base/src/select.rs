//! Which of several images is meant.

use strata_error::{Error, Result};
use strata_nix::FromImage;
use strata_oci::{Digest, Platform, Reference, validate_tag};

/// What a user said about the image that is meant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// A name, with or without a registry.
    pub name: Option<String>,
    /// A tag.
    pub tag: Option<String>,
    /// The digest of a manifest, of an index that leads to it, or of a config.
    pub digest: Option<Digest>,
    /// What the image runs on.
    pub platform: Option<Platform>,
}

/// An image that may be meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ImageCandidate {
    /// Names with tags, or tags alone, as its archive gives them.
    pub(super) names: Vec<String>,
    /// The digests that lead to it; the first one is its own.
    pub(super) digests: Vec<Digest>,
    /// What it runs on.
    pub(super) platform: Platform,
}

/// Whether a candidate is what a part of a selection means.
type Fits<'a> = &'a dyn Fn(&ImageCandidate) -> bool;

impl Selection {
    /// Checks what a request says.
    pub fn check(request: &FromImage) -> Result<Self> {
        let error = |attribute: &str, message: String, hint: &str| Error::Attribute {
            attribute: format!("fromImage.{attribute}"),
            message,
            hint: hint.to_owned(),
        };
        let digest = request.digest.as_ref().map(|digest| {
            digest
                .parse()
                .map_err(|message| error("digest", message, "write sha256: and 64 hex digits"))
        });
        let platform = request.platform.as_ref().map(|platform| {
            platform.parse::<Platform>().map_err(|message| {
                error(
                    "platform",
                    message,
                    "write it as in \"linux/arm64\" or \"linux/arm/v7\"",
                )
            })
        });
        if let Some(tag) = &request.tag {
            validate_tag(tag).map_err(|problem| {
                error(
                    "tag",
                    problem.to_string(),
                    &problem.hint().unwrap_or_default(),
                )
            })?;
        }
        if let Some(name) = &request.name {
            let reference = Reference::parse(name).map_err(|problem| {
                error(
                    "name",
                    problem.to_string(),
                    &problem.hint().unwrap_or_default(),
                )
            })?;
            if reference.tag.is_some() || reference.digest.is_some() {
                let message = format!("{name:?} has a tag or digest in it");
                return Err(error(
                    "name",
                    message,
                    "give them as fromImage.tag and fromImage.digest",
                ));
            }
        }
        Ok(Self {
            name: request.name.clone(),
            tag: request.tag.clone(),
            digest: digest.transpose()?,
            platform: platform.transpose()?,
        })
    }

    /// The number of the candidate that is meant in `named`, for an image of `architecture`.
    pub(super) fn choose(
        &self,
        candidates: &[ImageCandidate],
        architecture: &str,
        named: &str,
    ) -> Result<usize> {
        let mut fitting: Vec<usize> = (0..candidates.len()).collect();
        let keep = |fitting: &mut Vec<usize>, what: &str, attribute: &str, fits: Fits<'_>| {
            fitting.retain(|number| fits(&candidates[*number]));
            if !fitting.is_empty() {
                return Ok(());
            }
            Err(wrong(
                attribute,
                &format!("{named} has no image {what}"),
                &format!("it has {}", list(candidates)),
            ))
        };
        keep(&mut fitting, "in it", "", &|_| true)?;
        if let Some(digest) = self.digest {
            let fits = |candidate: &ImageCandidate| candidate.digests.contains(&digest);
            keep(&mut fitting, &digest.to_string(), ".digest", &fits)?;
        }
        if self.name.is_some() || self.tag.is_some() {
            let fits = |candidate: &ImageCandidate| {
                let mut found = candidate.names.iter();
                found.any(|name| self.fits_name(name))
            };
            let (name, tag) = (self.name.as_deref(), self.tag.as_deref());
            let what = match (name, tag) {
                (Some(name), Some(tag)) => format!("{name}:{tag}"),
                (Some(name), None) => name.to_owned(),
                (None, tag) => format!("with the tag {}", tag.unwrap_or_default()),
            };
            let attribute = if name.is_some() { ".name" } else { ".tag" };
            keep(&mut fitting, &what, attribute, &fits)?;
        }
        // Which platform is best for what is wanted, of those that are left.
        let best = |fitting: &[usize], wanted: &Platform| {
            let platform = |number: &usize| Some(candidates.get(*number)?.platform.clone());
            wanted.choose(fitting, platform).and_then(platform)
        };
        if let Some(platform) = &self.platform {
            let best = best(&fitting, platform);
            let fits = |candidate: &ImageCandidate| best.as_ref() == Some(&candidate.platform);
            keep(&mut fitting, &format!("for {platform}"), ".platform", &fits)?;
        } else if !is_one_image(candidates, &fitting) {
            let platform = Platform::linux(architecture);
            let best = best(&fitting, &platform);
            let fits = |candidate: &ImageCandidate| best.as_ref() == Some(&candidate.platform);
            keep(&mut fitting, &format!("for {platform}"), "", &fits)?;
        }
        match fitting.first() {
            Some(first) if is_one_image(candidates, &fitting) => Ok(*first),
            _ => {
                let fitting: Vec<ImageCandidate> = fitting
                    .iter()
                    .map(|number| candidates[*number].clone())
                    .collect();
                Err(wrong(
                    "",
                    &format!("{named} has {} images that fit", fitting.len()),
                    &format!(
                        "choose with fromImage = {{ image = ..; tag = ..; }}, or name, digest, platform: {}",
                        list(&fitting)
                    ),
                ))
            }
        }
    }

    /// Whether a name, tag or digest is said, and is this one's.
    pub(super) fn names(&self, candidate: &ImageCandidate) -> bool {
        let fits_digest = (self.digest).is_none_or(|digest| candidate.digests.contains(&digest));
        let says_name = self.name.is_some() || self.tag.is_some();
        let fits_name = !says_name || candidate.names.iter().any(|name| self.fits_name(name));
        (says_name || self.digest.is_some()) && fits_digest && fits_name
    }

    /// Whether this may be the name of an image: a tag alone says nothing about the name.
    fn fits_name(&self, found: &str) -> bool {
        let (name, tag) = match Reference::parse(found) {
            Ok(reference) if found.contains(['/', ':']) => {
                let tag = reference.tag_or_latest().to_owned();
                (Some(reference), tag)
            }
            _ => (None, found.to_owned()),
        };
        let fits_tag = self.tag.as_ref().is_none_or(|wanted| *wanted == tag);
        let fits_name = match (&self.name, name) {
            (Some(wanted), Some(found)) => is_same_name(wanted, &found),
            _ => true,
        };
        fits_tag && fits_name
    }
}

/// Whether a name means a reference. Without a registry it means any: podman calls `hello`
/// `localhost/hello`, Docker `docker.io/library/hello`.
fn is_same_name(wanted: &str, found: &Reference) -> bool {
    let Ok(reference) = Reference::parse(wanted) else {
        return false;
    };
    let short = |repository: &str| {
        let short = repository.strip_prefix("library/").unwrap_or(repository);
        short.to_owned()
    };
    let says_registry = wanted.starts_with(&format!("{}/", reference.registry));
    short(&reference.repository) == short(&found.repository)
        && (!says_registry || reference.registry == found.registry)
}

fn is_one_image(candidates: &[ImageCandidate], numbers: &[usize]) -> bool {
    let mut own = numbers
        .iter()
        .map(|number| candidates[*number].digests.first());
    let first = own.next();
    own.all(|digest| Some(digest) == first)
}

fn wrong(attribute: &str, message: &str, hint: &str) -> Error {
    Error::Attribute {
        attribute: format!("fromImage{attribute}"),
        message: message.to_owned(),
        hint: hint.to_owned(),
    }
}

/// Candidates on one line, as many as one can read.
fn list(candidates: &[ImageCandidate]) -> String {
    const MOST: usize = 10;
    let one = |candidate: &ImageCandidate| {
        let digest = candidate.digests.first().map(ToString::to_string);
        let name = candidate.names.first().cloned().or(digest);
        format!("{} ({})", name.unwrap_or_default(), candidate.platform)
    };
    let mut shown: Vec<String> = candidates.iter().take(MOST).map(one).collect();
    match candidates.len() {
        0 => return "none".to_owned(),
        count if count > MOST => shown.push(format!("and {} more", count - MOST)),
        _ => {}
    }
    shown.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(names: &[&str], number: u8, platform: &str) -> ImageCandidate {
        ImageCandidate {
            names: names.iter().map(ToString::to_string).collect(),
            digests: vec![Digest::of(&[number])],
            platform: platform.parse().unwrap(),
        }
    }

    fn choose(selection: &Selection, candidates: &[ImageCandidate]) -> Result<usize, String> {
        selection
            .choose(candidates, "amd64", "base.tar")
            .map_err(|error| error.report())
    }

    fn selection(name: &str, tag: &str, platform: &str) -> Selection {
        let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let request = FromImage {
            path: String::new(),
            name: text(name),
            tag: text(tag),
            digest: None,
            platform: text(platform),
        };
        Selection::check(&request).unwrap()
    }

    #[test]
    fn names_and_tags_choose() {
        let candidates = [
            candidate(&["docker.io/library/hello:1"], 1, "linux/amd64"),
            candidate(
                &["localhost/hello:2", "localhost/other:3"],
                2,
                "linux/amd64",
            ),
            candidate(&["4"], 3, "linux/amd64"),
        ];
        for (name, tag, number) in [
            ("hello", "1", 0),
            ("docker.io/library/hello", "", 0),
            ("hello", "2", 1),
            ("localhost/hello", "2", 1),
            ("", "3", 1),
            ("hello", "4", 2),
            ("", "4", 2),
        ] {
            let chosen = choose(&selection(name, tag, ""), &candidates);
            let chosen = if name == "docker.io/library/hello" {
                // A tag alone may be of any name.
                choose(&selection(name, tag, ""), &candidates[..2])
            } else {
                chosen
            };
            assert_eq!(chosen, Ok(number), "{name}:{tag}");
        }
        let error = choose(&selection("hello", "9", ""), &candidates).unwrap_err();
        assert_eq!(
            error,
            "error: attribute fromImage.name: base.tar has no image hello:9\n\
             hint: it has docker.io/library/hello:1 (linux/amd64), localhost/hello:2 (linux/amd64), 4 (linux/amd64)"
        );
        let error = choose(&selection("quay.io/hello", "1", ""), &candidates[..2]);
        assert!(error.is_err());
    }

    #[test]
    fn platforms_choose_and_the_image_s_own_is_the_default() {
        let candidates = [
            candidate(&[], 1, "linux/arm64/v8"),
            candidate(&[], 2, "linux/amd64"),
            candidate(&[], 3, "linux/arm/v6"),
            candidate(&[], 4, "linux/arm/v7"),
        ];
        for (platform, number) in [
            ("", 1),
            ("linux/arm64", 0),
            ("linux/arm64/v8", 0),
            ("linux/arm/v7", 3),
            // As a pull chooses.
            ("linux/arm", 3),
            ("linux/arm/v8", 3),
            ("linux/amd64/v3", 1),
        ] {
            assert_eq!(
                choose(&selection("", "", platform), &candidates),
                Ok(number)
            );
        }
        let error = choose(&selection("", "", "linux/riscv64"), &candidates).unwrap_err();
        assert!(error.contains("no image for linux/riscv64"), "{error}");
        assert_eq!(choose(&selection("", "", ""), &candidates[..1]), Ok(0));
    }

    #[test]
    fn one_image_of_many_names_is_one_image() {
        let candidates = [
            candidate(&["a:1"], 1, "linux/amd64"),
            candidate(&["b:2"], 1, "linux/amd64"),
        ];
        assert_eq!(choose(&Selection::default(), &candidates), Ok(0));
        let by_digest = |number: u8| Selection {
            digest: Some(Digest::of(&[number])),
            ..Selection::default()
        };
        assert_eq!(choose(&by_digest(1), &candidates), Ok(0));
        assert!(choose(&by_digest(2), &candidates).is_err());
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for (name, tag, digest, platform, attribute) in [
            (Some("a:b"), None, None, None, "fromImage.name"),
            (Some("A B"), None, None, None, "fromImage.name"),
            (None, Some("-"), None, None, "fromImage.tag"),
            (None, None, Some("sha256:1"), None, "fromImage.digest"),
            (None, None, None, Some("arm64"), "fromImage.platform"),
            (None, None, None, Some("linux/"), "fromImage.platform"),
        ] {
            let text = |text: Option<&str>| text.map(str::to_owned);
            let error = Selection::check(&FromImage {
                path: String::new(),
                name: text(name),
                tag: text(tag),
                digest: text(digest),
                platform: text(platform),
            });
            let error = error.unwrap_err().to_string();
            assert!(
                error.starts_with(&format!("attribute {attribute}: ")),
                "{error}"
            );
        }
    }
}
