//! The command line, as people and scripts use it.

mod commands;
mod compression;
mod contents;
mod copies;
mod crashes;
mod help;
mod layers;
mod merge;
mod stumbled;
mod terminals;
mod verify;
