//! The builder of Strata's derivations. Nix starts it with `.attrs.json` in place; a path to such a
//! file may be given instead.

use std::process::ExitCode;

use strata_builder::{Settings, attrs_file, run};

fn main() -> ExitCode {
    let argument = std::env::args_os().nth(1);
    let build_cores = std::env::var("NIX_BUILD_CORES").ok();
    let attrs_file = attrs_file(argument.as_ref().map(AsRef::as_ref));
    let settings = Settings {
        attrs_file,
        threads: strata_nix::threads(build_cores.as_deref()),
        store_location: None,
    };
    match run(&settings) {
        Ok(warnings) => {
            for warning in warnings {
                report(&warning);
            }
            ExitCode::SUCCESS
        }
        Err(error) => {
            report(&error.report());
            ExitCode::FAILURE
        }
    }
}

/// Nix shows what builders write to standard error. Names in bases and store paths are of others.
fn report(text: &str) {
    eprintln!("{}", strata_error::visible(text));
}
