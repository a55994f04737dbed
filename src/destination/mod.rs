//! Destinations: where copies go. There is a file for each, with how it is typed, what it is in the
//! help, what a copy is called there, and the copy.
//!
//! ```text
//!  table ──> registry, layout, archive, ... ──> contract   the trait and what it is handed
//!  parse     one file for each                  syntax     TRANSPORT:REST
//!  help                                         names      what follows a path or an engine
//!                                               checks     what several refuse
//! ```
//!
//! A new destination is a new file and its row in the table.

mod archive;
mod checks;
mod containerd;
mod contract;
mod directory;
mod docker;
mod layout;
mod names;
mod podman;
mod registry;
mod skopeo;
mod syntax;
mod table;

pub use archive::{check_archive_name, is_stdout};
pub use contract::{Copied, Destination, DryRun, Options};
pub use table::{beginnings, forms, help, parse};
