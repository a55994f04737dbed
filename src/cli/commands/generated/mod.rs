//! The commands that write what the command line is described by elsewhere.

pub(in crate::cli) mod completions;
pub(in crate::cli) mod man;
