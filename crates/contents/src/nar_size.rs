//! The size that Nix would give to a store path of which the files are known.

/// The length of a string in an archive of Nix: its length, and its bytes up to a multiple of eight.
const fn string(length: u64) -> u64 {
    8 + length.next_multiple_of(8)
}

/// `(`, `type` and `)`.
const NODE: u64 = string(1) + string(4) + string(1);

/// Adds up what the archive of a store path takes (Nix's manual, "Nix Archive (NAR) Format").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NarSize(u64);

impl Default for NarSize {
    /// What every archive has.
    fn default() -> Self {
        Self(string(13))
    }
}

impl NarSize {
    /// A regular file of `size` bytes.
    pub fn file(&mut self, size: u64, is_executable: bool) {
        let executable = if is_executable {
            string(10) + string(0)
        } else {
            0
        };
        self.0 += NODE + string(7) + executable + string(8) + string(size);
    }

    /// A symlink that leads to a path of `length` bytes.
    pub fn symlink(&mut self, length: u64) {
        self.0 += NODE + string(7) + string(6) + string(length);
    }

    /// A directory, without what is in it.
    pub fn directory(&mut self) {
        self.0 += NODE + string(9);
    }

    /// The place of something in its directory, where it has a name of `length` bytes.
    pub fn entry(&mut self, length: u64) {
        self.0 += string(5) + string(1) + string(4) + string(length) + string(4) + string(1);
    }

    /// The bytes of all of it.
    pub fn bytes(self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As `nix-store --dump | wc -c` says.
    #[test]
    fn as_nix_counts() {
        let mut file = NarSize::default();
        file.file(0, false);
        assert_eq!(file.bytes(), 112);
        let mut tree = NarSize::default();
        tree.directory();
        assert_eq!(tree.bytes(), 96);
        tree.entry(1);
        tree.file(6, true);
        tree.entry(4);
        tree.symlink(1);
        assert_eq!(tree.bytes(), 512);
    }
}
