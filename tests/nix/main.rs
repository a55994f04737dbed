//! What goes through Nix: derivations, examples, flakes, and images in which Nix works.

mod builds;
mod contents;
mod docker_tools;
mod examples;
mod files;
mod flakes;
mod image;
mod layers;
mod nixos;
