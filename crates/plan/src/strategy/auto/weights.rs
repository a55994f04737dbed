//! The constants of the cost model, each with its reason, and what is computed from them alone.

use super::super::reach::Reach;

/// Parts of one are counted in 2^-18.
pub(super) const ONE: i64 = 1 << 18;

/// What a layer costs at each update, in bytes: its HEAD when a registry is asked what it has, its entries in the
/// manifest and the config, and the extraction when it is new. docs/internals/layering.md says what was measured: about a
/// millisecond, in which a line of a gigabit carries 128 KB.
pub(super) const PRICE: i64 = 128 << 10;

/// Powers are computed in 2^-32.
const FINE: u64 = 1 << 32;

/// How finely the part of the paths that a layer depends on is told apart.
pub(super) const STEPS: usize = 1 << 14;

/// A private dependency of the application changes as often as three paths of all: it is written by the same people.
pub(super) const PRIVATE: i64 = 3;

/// For each of the other updates there are so many edits of the application.
const EDITS: i64 = 50;

/// A routine update brings so many packages at once.
const SOME: u32 = 6;

/// An update to all that a release of the distribution has brought since brings so many.
const MANY: u32 = 60;

/// Another image is taken to be the closures of so many paths drawn from this one.
const DRAWN: u32 = 12;

/// e^(-1/80) in 2^-32: a path that needs 80 others is less likely in another image by the factor e, since what needs
/// much is mostly an image's own.
const DAMPING: u64 = 4_241_614_355;

/// How many fractional bits the weight of shares has.
pub(super) const WEIGHT_BITS: u32 = 8;

/// How many updates a cost is the expected bytes of: one path, one with many users, some, many, a private dependency
/// and the application, as they are weighted.
pub(super) fn updates() -> i64 {
    (4 + PRIVATE + EDITS) * ONE
}

/// What an edit of one of so many roots weighs.
pub(super) fn edit(roots: usize) -> i64 {
    EDITS * ONE / i64::try_from(roots.max(1)).unwrap_or(i64::MAX)
}

/// For each part r of the paths that a layer depends on, how many of three updates touch it: of one path (r), of some
/// and of many (1 - (1 - r)^k).
pub(super) fn changes() -> Vec<i64> {
    let expected = |step: usize| {
        let part = step as u64 * (FINE / STEPS as u64);
        let touched = part + (FINE - power(FINE - part, SOME)) + (FINE - power(FINE - part, MANY));
        coarse(touched)
    };
    (0..=STEPS).map(expected).collect()
}

/// How likely another image has each path: (1 - (1 - a/n)^12) e^(-b/80).
pub(super) fn shared(reach: &Reach) -> Vec<i64> {
    let count = reach.below.len().max(1) as u64;
    let most = reach.below.iter().max().map_or(0, |most| *most as usize);
    let mut damped = vec![FINE];
    while damped.len() <= most && damped.last().is_some_and(|last| *last > 0) {
        damped.extend(damped.last().map(|last| product(*last, DAMPING)));
    }
    let likely = |(above, below): (&u32, &u32)| {
        let part = u64::from(*above) * FINE / count;
        let drawn = FINE - power(FINE - part.min(FINE), DRAWN);
        coarse(product(
            drawn,
            damped.get(*below as usize).copied().unwrap_or(0),
        ))
    };
    reach.above.iter().zip(&reach.below).map(likely).collect()
}

/// The weight of what is lost for other images, 5/2 sqrt(n / 4 N), in 2^-8: the fewer layers there are for the paths,
/// the more other images' layers differ from those of this one. With 3/2 updates of one image send a fifth less, and
/// images that share send an eighth more; with 3 the other way round.
pub(super) fn share(paths: usize, layers: usize) -> u64 {
    let bits = 2 * WEIGHT_BITS;
    let square = ((25 * paths as u128) << bits) / (16 * layers.max(1) as u128);
    u64::try_from(square.isqrt()).unwrap_or(u64::MAX)
}

fn coarse(fine: u64) -> i64 {
    i64::try_from(fine >> 14).unwrap_or(i64::MAX)
}

/// The product of two parts of one.
fn product(one: u64, other: u64) -> u64 {
    u64::try_from((u128::from(one) * u128::from(other)) >> 32).unwrap_or(u64::MAX)
}

fn power(mut base: u64, mut exponent: u32) -> u64 {
    let mut found = FINE;
    while exponent > 0 {
        if exponent % 2 == 1 {
            found = product(found, base);
        }
        base = product(base, base);
        exponent /= 2;
    }
    found
}
