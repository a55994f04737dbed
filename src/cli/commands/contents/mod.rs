//! The commands that look into an image: what is in it, why, what differs, what is too much.
//!
//! - `inspect`, `why`, `diff`, `check`: the commands, each with its page for people; `browse`: a terminal to look around
//! - `described`: what they say in JSON
//! - `html`: what they show as a page of HTML
//! - `image_args`: the flags to reach an image, wherever it is
//! - `page`: rows and numbers of pages for people

pub(crate) mod browse;
pub(crate) mod check;
pub(crate) mod diff;
pub(crate) mod inspect;
pub(crate) mod why;

mod described;
mod html;
mod image_args;
mod page;
