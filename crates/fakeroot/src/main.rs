//! Runs a script as root where one is not root, and writes a layer of what it did.

use std::process::ExitCode;

#[cfg(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
))]
fn main() -> ExitCode {
    use strata_fakeroot::{Arguments, USAGE, run};

    let arguments = Arguments::parse(std::env::args_os().skip(1));
    if let Ok(Arguments::Help) = arguments {
        print!("{USAGE}");
        return ExitCode::SUCCESS;
    }
    match arguments.and_then(|arguments| run(arguments, show)) {
        Ok(warnings) => {
            for warning in warnings {
                report(&format!("warning: {warning}"));
            }
            ExitCode::SUCCESS
        }
        Err(error) => {
            report(&error.report());
            ExitCode::FAILURE
        }
    }
}

#[cfg(not(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
)))]
fn main() -> ExitCode {
    report(
        "error: scripts are run as root on Linux only, on x86-64 and aarch64\n\
         hint: build the image on such a machine, or have Nix build it on one",
    );
    ExitCode::FAILURE
}

/// What a script says is shown as it is; nobody may be there to read it.
#[cfg(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
))]
fn show(bytes: &[u8]) {
    use std::io::Write as _;

    let _ = std::io::stderr().write_all(bytes);
}

/// Nix shows what builders write to standard error. Names in bases and of files are of others.
fn report(text: &str) {
    eprintln!("{}", strata_error::visible(text));
}
