//! The flags to reach an image, wherever it is.

use clap::Args;

use crate::cli::failure::Failure;
use crate::cli::registry_args::SourceRegistryArgs;
use strata_engine::docker;
use strata_source::Options;

/// The flags of what looks at images.
#[derive(Args)]
pub(super) struct ImageArgs {
    #[command(flatten)]
    registry: SourceRegistryArgs,

    /// The address of the Docker engine of docker-daemon:, with unix://, tcp:// or ssh://
    #[arg(long, value_name = "HOST")]
    daemon_host: Option<String>,
}

impl ImageArgs {
    /// What the flags mean.
    pub(super) fn options(self) -> Result<Options, Failure> {
        Ok(Options {
            registry: self.registry.options().map_err(Failure::Usage)?,
            docker: docker::Options {
                host: self.daemon_host,
            },
        })
    }
}
