//! A script and all that it starts, stopped at calls.

mod answers;
pub(crate) mod tracee;
pub(crate) mod tracer;
mod watch;
