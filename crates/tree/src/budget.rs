//! How much may be kept of layers that others made.

/// The most entries of all layers, whiteouts too; those of a layer that is there twice count twice.
pub const MOST_ENTRIES: usize = 10_000_000;
/// The most bytes of memory that is kept of an image at a time: its names, where its symlinks lead, what
/// its directories have, its documents.
pub const MOST_KEPT: usize = 256 * 1024 * 1024;

/// What may still be kept: whoever keeps something counts it here, and gives it back when it is gone.
#[derive(Clone, Debug)]
pub struct Budget {
    bytes: usize,
    entries: usize,
}

impl Default for Budget {
    fn default() -> Self {
        Self::new(MOST_KEPT, MOST_ENTRIES)
    }
}

impl Budget {
    /// A budget of this many bytes and entries.
    pub fn new(bytes: usize, entries: usize) -> Self {
        Self { bytes, entries }
    }

    /// How many bytes may still be kept.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Counts bytes that are kept; the error is that there are too many.
    pub fn keep(&mut self, bytes: usize) -> Result<(), String> {
        let left = self.bytes.checked_sub(bytes);
        self.bytes = left.ok_or_else(|| {
            format!("its names, links and attributes take more than {MOST_KEPT} bytes of memory")
        })?;
        Ok(())
    }

    /// Gives back bytes that were counted and are kept no longer.
    pub fn release(&mut self, bytes: usize) {
        self.bytes = self.bytes.saturating_add(bytes);
    }

    /// Counts an entry of a layer that is there `times` times; the error is that there are too many.
    pub fn entries(&mut self, times: usize) -> Result<(), String> {
        let left = self.entries.checked_sub(times);
        self.entries =
            left.ok_or_else(|| format!("more than {MOST_ENTRIES} entries with those before"))?;
        Ok(())
    }
}

/// What an allocation of this many bytes takes, with what the allocator adds.
pub(super) fn allocation(bytes: usize) -> usize {
    const OWN: usize = 8;
    const SMALLEST: usize = 32;
    if bytes == 0 {
        return 0;
    }
    (bytes + OWN).next_multiple_of(16).max(SMALLEST)
}
