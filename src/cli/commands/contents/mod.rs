//! The commands that look into an image: what is in it, why, what differs, what is too much.
//!
//! They find images (`strata_source`) and say what is in them (`strata_contents`) in a form that `strata_report` has.
//! `image_args` has the flags to reach an image, wherever it is.

pub(crate) mod browse;
pub(crate) mod check;
pub(crate) mod diff;
pub(crate) mod inspect;
pub(crate) mod why;

mod image_args;
