//! What unit tests, integration tests, benchmarks and fuzz targets share: fixtures, fake servers, and ways
//! to start real ones.

#![allow(
    clippy::missing_panics_doc,
    clippy::must_use_candidate,
    clippy::new_without_default,
    clippy::return_self_not_must_use,
    reason = "a fixture panics where a test has to fail"
)]

pub mod bases;
pub mod engines;
pub mod fake_registry;
pub mod fake_store;
pub mod flake;
pub mod image;
pub mod keeper;
pub mod listing;
pub mod memory_image;
pub mod nix;
pub mod oci;
pub mod pushing;
pub mod registry;
pub mod stress;

/// Where Cargo put a program of the workspace, for tests and benchmarks of its root package.
pub fn program(name: &str) -> String {
    let test = std::env::current_exe().unwrap();
    let directory = test.ancestors().nth(2).unwrap();
    let program = directory.join(name);
    assert!(
        program.exists(),
        "{} is not built: cargo build --workspace --bins",
        program.display()
    );
    program.into_os_string().into_string().unwrap()
}
