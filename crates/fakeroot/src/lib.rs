//! Runs scripts as root where one is not root, as in Nix's sandbox, and writes a layer of what they did.
//!
//! Owners, setuid bits, devices and extended attributes that a script sets are remembered, shown to it, and end up
//! in the layer. Nothing of that needs root, a virtual machine, or a C library that cooperates: a seccomp filter
//! stops the script at the calls in question, and a tracer answers them. How that works, and what a script cannot
//! do, is in `docs/internals/root-without-a-vm.md`; the command line in `arguments`.
//!
//! Decisions, which have no effects:
//!
//! - `state/`: `inode`, what is remembered of inodes, and what is seen of them;
//!   `credentials`, who a thread believes to be; `decide`, what calls about inodes answer and change
//! - `kernel/`: `calls`, `filter`, `stat`, the calls of Linux, which ones stop a script, and what they say
//!
//! Effects:
//!
//! - `kernel/registers`, `trace/tracee`: a stopped thread, and the files that it means
//! - `trace/`: `answers`, `watch`, `tracer`, calls that are answered, calls that are made, and all that a script
//!   starts
//! - `namespace`, `script`: where a script runs, and that it runs
//! - `base`, `layer`: what is there before it, and what is there after it
//! - `arguments`, `run`: the command line, and from it to a layer

// Elsewhere there is nothing in it, and the program says so.
#![cfg(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
))]
#![warn(missing_docs, unreachable_pub)]
#![warn(clippy::expect_used, clippy::panic, clippy::unwrap_used)]
#![warn(clippy::print_stderr, clippy::print_stdout)]

mod arguments;
mod base;
mod kernel;
mod layer;
mod namespace;
mod run;
mod script;
mod state;
mod trace;

pub use arguments::{Arguments, LayerArguments, USAGE};
pub use layer::Defaults;
pub use run::run;
pub use script::Show;
