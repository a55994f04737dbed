//! The environment as an argument, so that tests have their own.

use std::ffi::OsString;

/// An environment variable, if it is set.
pub type Environment<'a> = &'a dyn Fn(&str) -> Option<OsString>;
