//! Who watches a server.

use strata_error::Error;
use strata_progress::Context;

/// Somebody who watches a server.
#[derive(Clone, Copy)]
pub struct Observer<'a> {
    /// Is told about blobs that are sent, and can interrupt them.
    pub context: Context<'a>,
    /// Is told why a blob could not be made. Its client finds that the response ends too early.
    pub failed: &'a (dyn Fn(Error) + Sync),
}
