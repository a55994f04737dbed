//! What `strata-builder` makes: layers, images, indexes and base systems, byte by byte.

mod bad_input;
mod base;
mod bytes;
mod database;
mod files;
mod given;
mod indexes;
mod inheritance;
mod layering;
mod limits;
mod nar;
mod plan;
mod profile;
mod regressions;
mod snapshotter;
mod startup;
mod strangers;
mod system;
