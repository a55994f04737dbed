//! A made-up distribution: packages with sizes, versions and needs, the same on every machine.
//!
//! It is made as real ones are: all but some data needs the C library, an area (a language, a desktop) has its
//! platform and modules on that, what is old is needed by much, and few packages have most of the bytes.

use strata_oci::Digest;

/// How many packages need nothing but are of use to many: fonts, time zones, certificates.
const DATA: usize = 8;
/// How many libraries belong to no area.
const BASE: usize = 90;
/// Areas, and how many packages each has.
const AREAS: usize = 10;
const AREA: usize = 110;

const C_LIBRARY: usize = 0;
const FIRST_BASE: usize = 1 + DATA;
const FIRST_AREA: usize = FIRST_BASE + BASE;

const MB: u64 = 1 << 20;

/// All packages. Each needs only those before it.
pub(crate) struct Universe {
    packages: Vec<Package>,
}

/// A package as it was first released.
pub(crate) struct Package {
    pub(crate) name: String,
    /// Packages of one source are updated together.
    pub(crate) source: usize,
    size: u64,
    needs: Vec<usize>,
}

impl Universe {
    pub(crate) fn new() -> Self {
        let mut universe = Self {
            packages: Vec::new(),
        };
        for number in 0..FIRST_AREA + AREAS * AREA {
            let package = universe.package(number);
            universe.packages.push(package);
        }
        universe
    }

    pub(crate) fn get(&self, number: usize) -> &Package {
        &self.packages[number]
    }

    /// The source of the C library.
    pub(crate) fn c_library(&self) -> usize {
        self.get(C_LIBRARY).source
    }

    /// So many packages of these areas, which somebody installs, and some tools and data beside them.
    pub(crate) fn choose(image: &str, areas: &[usize], count: usize) -> Vec<usize> {
        let mut chosen: Vec<usize> = (0..count)
            .map(|number| {
                let key = format!("{image} chooses {number}");
                match (number % 4, areas) {
                    (0 | 1, [area, ..]) => first_of(*area) + draw(&key, AREA),
                    (2, [_, ..]) => {
                        let area = areas[draw(&format!("{key} of"), areas.len())];
                        first_of(area) + draw(&key, AREA)
                    }
                    _ => 1 + draw(&key, FIRST_AREA - 1),
                }
            })
            .collect();
        chosen.sort_unstable();
        chosen.dedup();
        chosen
    }

    /// What a package needs, after so many new versions of it. Each brings one dependency more.
    pub(crate) fn needs(&self, number: usize, versions: u32) -> Vec<usize> {
        let package = self.get(number);
        let more = (1..=versions)
            .filter(|_| number > FIRST_BASE)
            .map(|version| {
                let key = format!("{} {version} needs", package.name);
                FIRST_BASE + draw(&key, number.min(FIRST_AREA) - FIRST_BASE)
            });
        let mut needs = package.needs.clone();
        needs.extend(more);
        needs.sort_unstable();
        needs.dedup();
        needs
    }

    /// The bytes of a package, after so many new versions of it.
    pub(crate) fn size(&self, number: usize, versions: u32) -> u64 {
        let package = self.get(number);
        if versions == 0 {
            return package.size;
        }
        let key = format!("{} {versions} has the size", package.name);
        package.size / 100 * (95 + draw(&key, 16) as u64)
    }

    /// How often a source is updated beside others: few often, most hardly ever.
    pub(crate) fn updates(source: usize) -> usize {
        let drawn = draw(&format!("updates of {source}"), 10);
        drawn * drawn * drawn
    }

    fn package(&self, number: usize) -> Package {
        let area = number.checked_sub(FIRST_AREA).map(|place| place / AREA);
        let name = match area {
            _ if number == C_LIBRARY => "libc".to_owned(),
            None if number < FIRST_BASE => format!("data{number}"),
            None => format!("lib{number}"),
            Some(area) if number == first_of(area) => format!("platform{area}"),
            Some(area) => format!("area{area}-package{}", number - first_of(area)),
        };
        let is_platform = area.is_some_and(|area| number == first_of(area));
        let is_of_last = number > FIRST_BASE && !is_platform && chance(&name, "of the last", 35);
        Package {
            source: match self.packages.last() {
                Some(last) if is_of_last => last.source,
                _ => number,
            },
            size: match number {
                C_LIBRARY => 30 * MB,
                _ if is_platform => (20 + draw(&format!("{name} MB"), 160) as u64) * MB,
                _ => size(&name),
            },
            needs: Self::first_needs(number, &name, area, is_of_last),
            name,
        }
    }

    fn first_needs(number: usize, name: &str, area: Option<usize>, is_of_last: bool) -> Vec<usize> {
        if number < FIRST_BASE {
            return Vec::new();
        }
        let mut needs = Vec::new();
        // Fonts and scripts do not.
        if chance(name, "is a program", 92) {
            needs.push(C_LIBRARY);
        }
        if is_of_last {
            needs.push(number - 1);
        }
        let begin = area.map_or(FIRST_BASE, first_of);
        let mut some_of = |what: &str, most: usize, first: usize, end: usize| {
            for place in 0..draw(&format!("{name} needs of {what}"), most + 1) {
                if first < end {
                    needs.push(first + low(&format!("{name} needs {what} {place}"), end - first));
                }
            }
        };
        match area {
            None => some_of("base", 3, FIRST_BASE, number),
            Some(area) => {
                let is_platform = number == begin;
                some_of(
                    "base",
                    if is_platform { 12 } else { 3 },
                    FIRST_BASE,
                    FIRST_AREA,
                );
                some_of("area", 4, begin, number);
                if chance(name, "is of two areas", 12) {
                    some_of("others", 2, FIRST_AREA, first_of(area));
                }
            }
        }
        if area.is_some() && number > begin && chance(name, "is a module", 70) {
            needs.push(begin);
        }
        needs
    }
}

fn first_of(area: usize) -> usize {
    FIRST_AREA + area * AREA
}

/// From 2 KB to 128 MB, most of them some 100 KB.
fn size(name: &str) -> u64 {
    let doubled: usize = (0..3)
        .map(|place| draw(&format!("{name} doubled {place}"), 6))
        .sum();
    let least = 1 << (11 + doubled);
    (least + draw(&format!("{name} bytes"), least)) as u64
}

/// Whether something with a chance of so many percent is so.
fn chance(name: &str, what: &str, percent: usize) -> bool {
    draw(&format!("{name} {what}"), 100) < percent
}

/// A number below `limit`, rather a low one.
fn low(key: &str, limit: usize) -> usize {
    let drawn = ["one", "other"].map(|which| draw(&format!("{key} {which}"), limit));
    drawn[0].min(drawn[1])
}

/// A number below `limit` that the key decides: what is added to the distribution changes nothing else of it.
pub(crate) fn draw(key: &str, limit: usize) -> usize {
    let digest = Digest::of(key.as_bytes());
    let [a, b, c, d, ..] = *digest.as_bytes();
    u32::from_be_bytes([a, b, c, d]) as usize % limit.max(1)
}
