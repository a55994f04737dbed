//! What a name means now, to be locked.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry as Place;

use crate::pull::source::{RemoteImage, Source};
use strata_error::Result;
use strata_oci::{Descriptor, Document, IndexEntry, Lock, LockedImage, Platform};
use strata_progress::Context;

/// The most platforms.
const MOST_PLATFORMS: usize = 64;

impl Source {
    /// Asks what the reference means now, for these platforms, or for all that it has if none are given.
    pub fn lock(&self, platforms: &[Platform], context: Context<'_>) -> Result<Lock> {
        self.watch(context, || {
            let top = self.top(context)?;
            let tag = match &self.reference.digest {
                Some(_) => None,
                None => Some(self.reference.tag_or_latest().to_owned()),
            };
            let mut lock = Lock::new(self.name(), tag);
            let Document::Index(entries) = &top.document else {
                let image = self.choose(top, &placeholder(), context)?;
                lock.platforms = self.lock_one(&image, platforms, context)?;
                return Ok(lock);
            };
            lock.index = Some(top.descriptor.clone());
            let all = entries.iter().filter(|entry| !entry.is_index());
            let all: Vec<Platform> = all.filter_map(IndexEntry::platform).collect();
            let wanted = if platforms.is_empty() {
                &all
            } else {
                platforms
            };
            for platform in wanted {
                let Place::Vacant(place) = lock.platforms.entry(key(platform)) else {
                    continue;
                };
                let chosen = platform
                    .choose(entries, IndexEntry::platform)
                    .ok_or_else(|| self.no_platform(platform, entries))?;
                let chosen = self.document(&chosen.digest.to_string(), context)?;
                place.insert(locked(&self.choose(chosen, platform, context)?));
                if lock.platforms.len() > MOST_PLATFORMS {
                    let message = format!("it has more than {MOST_PLATFORMS} platforms");
                    return Err(self.error(&message, "name those that you want with --platform"));
                }
            }
            if lock.platforms.is_empty() {
                return Err(self.error("its index has no image with a platform", ""));
            }
            Ok(lock)
        })
    }

    /// The only image of a name, whose platform is in its config.
    fn lock_one(
        &self,
        image: &RemoteImage,
        platforms: &[Platform],
        context: Context<'_>,
    ) -> Result<BTreeMap<String, LockedImage>> {
        let mut config = Vec::new();
        self.fetch(&image.config, &mut config, context)?;
        let own = platform_of(&config).ok_or_else(|| {
            self.error(
                "its config does not say what it runs on: it is no image",
                "",
            )
        })?;
        // One image for several platforms is a mistake that only shows when it is run.
        if let Some(other) = platforms.iter().find(|wanted| !own.fits(wanted)) {
            let hint = "leave --platform out, or name an index that has it";
            return Err(self.error(&format!("it is for {own}, not for {other}"), hint));
        }
        let keys = match platforms {
            [] => vec![key(&own)],
            platforms => platforms.iter().map(key).collect(),
        };
        Ok(keys.into_iter().map(|key| (key, locked(image))).collect())
    }
}

/// What a config says that its image runs on.
pub fn platform_of(config: &[u8]) -> Option<Platform> {
    let platform: Platform = serde_json::from_slice(config).ok()?;
    (!platform.os.is_empty() && !platform.architecture.is_empty()).then_some(Platform {
        variant: platform.variant.filter(|variant| !variant.is_empty()),
        ..platform
    })
}

/// A platform without the variant that is the only one: `arm64/v8` is `arm64`.
fn plain(platform: &Platform) -> Platform {
    let variant = platform.variant.clone();
    Platform {
        variant: variant.filter(|variant| platform.architecture != "arm64" || variant != "v8"),
        ..platform.clone()
    }
}

fn key(platform: &Platform) -> String {
    plain(platform).to_string()
}

/// For choosing where there is nothing to choose.
fn placeholder() -> Platform {
    Platform {
        os: String::new(),
        architecture: String::new(),
        variant: None,
    }
}

fn locked(image: &RemoteImage) -> LockedImage {
    let bare = |blob: &Descriptor| Descriptor::new(&blob.media_type, blob.digest, blob.size);
    LockedImage {
        manifest: bare(&image.manifest),
        config: bare(&image.config),
        layers: image.layers.iter().map(bare).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_variant_is_no_variant() {
        let platform = |text: &str| text.parse::<Platform>().unwrap();
        assert_eq!(key(&platform("linux/arm64/v8")), "linux/arm64");
        assert_eq!(key(&platform("linux/arm/v7")), "linux/arm/v7");
        let config = br#"{"architecture":"arm64","os":"linux","variant":"","rootfs":{}}"#;
        assert_eq!(platform_of(config), Some(platform("linux/arm64")));
        assert_eq!(platform_of(b"{}"), None);
    }
}
