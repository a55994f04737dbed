//! What neither the compiler nor clippy sees: rules about the code and its size, and that documents are
//! true.

mod code;
mod crates;
mod documents;
mod modules;
mod sizes;
mod source;
