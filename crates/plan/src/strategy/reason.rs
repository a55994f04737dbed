//! Why a layer is one.

use std::fmt;

/// Why some paths are a layer; displayed, it is the sentence that `strata explain` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// What the user names, or says to change often: a number of paths.
    Edited(usize),
    /// One path, alone because of what it costs otherwise.
    Alone {
        /// Its size in bytes.
        size: u64,
        /// Which part of all updates changes it, in thousandths.
        touched: u32,
        /// How likely another image has it, in thousandths.
        shared: u32,
    },
    /// Paths that change together.
    Together {
        /// How many they are.
        paths: usize,
        /// Which part of all updates changes one of them, in thousandths.
        touched: u32,
    },
    /// Paths that change rarely: those that are said to.
    Stable(usize),
    /// A layer of the plan before.
    Kept,
    /// A layer of another image.
    Adopted,
    /// One path that is to be alone.
    AskedAlone,
    /// There may be no more layers than one.
    Everything(usize),
    /// A path to which so many ways lead.
    Popular(u64),
    /// One of the biggest paths.
    Big(u64),
    /// What is reached first from the same big paths: their names.
    Reached(Vec<String>),
    /// A path and what only it needs: its name, how many they are.
    Subtree(String, usize),
    /// What is left: a number of paths.
    Rest(usize),
}

impl fmt::Display for Reason {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Edited(1) => write!(to, "the application: an edit sends only this"),
            Self::Edited(paths) => {
                write!(
                    to,
                    "{paths} paths of the application: an edit sends only these"
                )
            }
            Self::Alone {
                size,
                touched,
                shared,
            } => {
                let (size, touched) = (Size(*size), Percent(*touched));
                let shared = Percent(*shared);
                write!(
                    to,
                    "alone: {size}, changes with {touched} of updates, {shared} likely in other images"
                )
            }
            Self::Together { paths, touched } => {
                let touched = Percent(*touched);
                write!(
                    to,
                    "{paths} paths that change together: {touched} of updates touch them"
                )
            }
            Self::Stable(1) => write!(to, "said to be stable"),
            Self::Stable(paths) => write!(to, "{paths} paths that are said to be stable"),
            Self::Kept => write!(to, "as before, nothing in it changed"),
            Self::Adopted => write!(to, "as in another image, which has all of it"),
            Self::AskedAlone => write!(to, "alone, as asked for"),
            Self::Everything(1) => write!(to, "the only path"),
            Self::Everything(paths) => write!(to, "all {paths} paths, as one layer is asked for"),
            Self::Popular(ways) => write!(to, "popular: {ways} ways lead to it"),
            Self::Big(size) => write!(to, "one of the biggest: {}", Size(*size)),
            Self::Reached(names) if names.is_empty() => write!(to, "reached from no big path"),
            Self::Reached(names) => write!(to, "reached first from {}", Names(names)),
            Self::Subtree(name, 1) => write!(to, "{name}"),
            Self::Subtree(name, paths) => {
                write!(to, "{name} and what only it needs, {paths} paths")
            }
            Self::Rest(1) => write!(to, "what is left, one path"),
            Self::Rest(paths) => write!(to, "what is left, {paths} paths"),
        }
    }
}

/// Some names, the first three of many.
struct Names<'a>(&'a [String]);

impl fmt::Display for Names<'_> {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 3;
        let shown = &self.0[..self.0.len().min(SHOWN)];
        write!(to, "{}", shown.join(", "))?;
        match self.0.len() - shown.len() {
            0 => Ok(()),
            more => write!(to, " and {more} more"),
        }
    }
}

/// Thousandths as percent.
struct Percent(u32);

impl fmt::Display for Percent {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0..5 => write!(to, "less than 1 %"),
            part => write!(to, "{} %", (part + 5) / 10),
        }
    }
}

/// Bytes with a unit of powers of ten, as registries tell them.
struct Size(u64);

impl fmt::Display for Size {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [(1_000_000_000, "GB"), (1_000_000, "MB"), (1000, "KB")];
        match units.into_iter().find(|(unit, _)| self.0 >= *unit) {
            Some((unit, name)) if self.0 < 10 * unit => {
                let tenths = self.0 / (unit / 10);
                write!(to, "{}.{} {name}", tenths / 10, tenths % 10)
            }
            Some((unit, name)) => write!(to, "{} {name}", self.0 / unit),
            None => write!(to, "{} B", self.0),
        }
    }
}
