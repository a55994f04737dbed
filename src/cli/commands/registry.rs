//! `strata registry`.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use clap::Args;

use crate::cli::address::resolve;
use crate::cli::failure::Failure;
use crate::cli::interruption::Interruption;
use crate::cli::printer::Printer;
use strata_error::{Error, Result};
use strata_http::{ClientCertificate, ServerTls};
use strata_ondemand::{Config, Registry, Source, Tls};
use strata_progress::{Context, Detail, Progress};
use strata_serve::{Limits, Observer, Server};

const HELP: &str = "\
HOST/shell/git/htop is an image with a shell, git and htop: its name lists packages. Standard output has the \
registry's address once it answers. standard error has a line of JSON for each event. Without a configuration it speaks plain HTTP and asks nobody to log in.";

/// Be a registry whose images Nix builds when they are pulled, until interrupted
#[derive(Args)]
#[command(after_help = HELP)]
pub(crate) struct RegistryArgs {
    /// The configuration, in TOML
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// Where packages come from: nixpkgs:BRANCH, git:ADDRESS, path:DIRECTORY or flake:REFERENCE
    #[arg(long, value_name = "TYPE:REFERENCE")]
    source: Option<String>,

    /// Where to listen; port 0 is any that is free
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<String>,

    /// The directory of what is remembered: digests and compressed layers
    #[arg(long, value_name = "DIRECTORY")]
    state: Option<PathBuf>,

    /// A file whose value are the functions of Strata, in Nix's language
    #[arg(long, value_name = "FILE")]
    functions: Option<PathBuf>,

    /// Say what is wrong with the configuration, and end
    #[arg(long)]
    check_config: bool,

    /// Say nothing but errors and the address
    #[arg(long, short)]
    quiet: bool,
}

/// How often to look whether the user wants it to end.
const POLL: Duration = Duration::from_millis(50);

/// Runs the command.
pub(crate) fn run(
    arguments: &RegistryArgs,
    printer: &Printer,
    interruption: &Interruption,
) -> Result<(), Failure> {
    let config = config(arguments)?;
    let address = resolve(&config.listen).map_err(Failure::Usage)?;
    let limits = Limits {
        connections: config.limits.connections,
        grace: Duration::from_secs(config.limits.grace_seconds),
        ..Limits::default()
    };
    let tls = config.tls.as_ref().map(tls).transpose()?;
    if arguments.check_config {
        return Ok(());
    }
    let quiet = arguments.quiet;
    let errors = printer.silenced(false);
    let registry = Registry::new(
        config,
        Box::new(move |event| {
            if !quiet {
                errors.error(&event.to_string());
            }
        }),
    )?;
    let mut server = Server::bind(address, limits)?;
    let address = server.address();
    let scheme = if tls.is_some() { "https" } else { "http" };
    if let Some(tls) = tls {
        server = server.with_tls(tls);
    }
    if !address.ip().is_loopback() {
        printer.note("whoever reaches this address can have packages built and read them");
    }
    let log = Log(printer);
    let observer = Observer {
        // Who is being answered when it is to end has a while for it.
        context: Context::silent().watched_by(&log),
        failed: &|error| registry.failed(&error),
    };
    server.run(&registry, observer, || {
        printer.data(&format!("{scheme}://{address}\n"))?;
        while !interruption.happened() {
            thread::sleep(POLL);
        }
        registry.stop();
        Ok(())
    })
}

/// How TLS is spoken, with these files.
fn tls(files: &Tls) -> Result<ServerTls> {
    let hint = "write the path of a file in PEM form";
    let certificate = ClientCertificate::read((&files.certificate, hint), (&files.key, hint))?;
    ServerTls::new(certificate).map_err(|error| Error::Document {
        document: files.certificate.display().to_string(),
        message: error.to_string(),
        hint: format!("{} has to be its key", files.key.display()),
    })
}

/// The configuration with what flags say.
fn config(arguments: &RegistryArgs) -> Result<Config, Failure> {
    let (mut text, mut path) = (String::new(), Path::new("the configuration"));
    if let Some(file) = &arguments.config {
        text = fs::read_to_string(file).map_err(Error::io("read", file))?;
        path = file;
    }
    let mut config = Config::parse(&text, path)?;
    if let Some(source) = &arguments.source {
        let source = source.parse::<Source>().map_err(Failure::Usage)?;
        config.set_default_source(source);
    }
    if let Some(listen) = &arguments.listen {
        config.listen.clone_from(listen);
    }
    if let Some(state) = &arguments.state {
        config.state.clone_from(state);
    }
    if let Some(functions) = &arguments.functions {
        config.functions = Some(functions.clone());
    }
    config.check(path)?;
    Ok(config)
}

/// Says what was answered to whoever asked for that.
struct Log<'a>(&'a Printer);

impl Progress for Log<'_> {
    fn explain(&self, detail: Detail, text: &str) {
        self.0.explain(detail, text);
    }
}
