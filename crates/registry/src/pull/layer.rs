//! A layer that is in a registry.

use std::io::Write;
use std::sync::Arc;

use crate::pull::source::Source;
use strata_error::Result;
use strata_layer::Layer;
use strata_oci::{Descriptor, Digest};
use strata_progress::Context;
use strata_tree::Recipe;

/// A layer that is in a registry, as it is there. It is fetched each time that it is written.
pub struct RemoteLayer {
    /// Where it is.
    pub source: Arc<Source>,
    /// What it is called there.
    pub blob: Descriptor,
    /// The digest of the uncompressed layer, as the config of its image says.
    pub diff_id: Digest,
}

impl Layer for RemoteLayer {
    fn descriptor(&self) -> &Descriptor {
        &self.blob
    }

    fn diff_id(&self) -> Digest {
        self.diff_id
    }

    fn recipe(&self) -> Option<&Recipe> {
        None
    }

    fn write_to(&self, writer: &mut dyn Write) -> Result<()> {
        // Whoever reads is told when to stop, and fails then.
        self.source
            .write_blob(&self.blob, writer, Context::silent())
    }
}
