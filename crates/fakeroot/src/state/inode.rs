//! What is remembered of inodes that root would have changed, and what a script sees of them.

use std::collections::BTreeMap;

/// The bits of a mode that say what an inode is.
pub(crate) const TYPE: u32 = libc::S_IFMT;
/// The bits that Nix's sandbox refuses, and which are remembered therefore.
pub(crate) const SET_ID: u32 = libc::S_ISUID | libc::S_ISGID;
/// The bits that the file system keeps.
pub(crate) const PERMISSIONS: u32 = 0o1777;

/// Which inode it is, while it exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct InodeId {
    /// The number of the file system's device, as `st_dev` has it.
    pub(crate) device: u64,
    /// Its number in the file system.
    pub(crate) number: u64,
}

/// What the file system says of an inode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    /// Which one.
    pub(crate) id: InodeId,
    /// Type and permissions.
    pub(crate) mode: u32,
    /// How many names it has.
    pub(crate) links: u64,
    /// The device that it is, as `st_rdev` has it.
    pub(crate) device: u64,
}

/// What root would see of an inode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct View {
    /// Type and permissions.
    pub(crate) mode: u32,
    /// The owner.
    pub(crate) uid: u32,
    /// The group.
    pub(crate) gid: u32,
    /// The device that it is, as `st_rdev` has it.
    pub(crate) device: u64,
}

impl View {
    /// Whether it is a directory.
    pub(crate) fn is_directory(&self) -> bool {
        self.mode & TYPE == libc::S_IFDIR
    }
}

/// The extended attributes of an inode.
pub(crate) type Xattrs = BTreeMap<Vec<u8>, Vec<u8>>;

/// What is remembered of one inode.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Remembered {
    /// The owner, if it was set.
    pub(crate) uid: Option<u32>,
    /// The group, if it was set.
    pub(crate) gid: Option<u32>,
    /// The bits of [`SET_ID`], if they were set or taken away.
    pub(crate) set_id: Option<u32>,
    /// The type and number of the device that it stands for.
    pub(crate) device: Option<(u32, u64)>,
    /// Its extended attributes.
    pub(crate) xattrs: Xattrs,
}

/// All that is remembered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Inodes {
    inodes: BTreeMap<InodeId, Remembered>,
    /// Whether there was ever a directory that gives its group to what is made in it.
    has_group_directories: bool,
}

impl Inodes {
    /// Whether nothing is remembered.
    pub(crate) fn is_empty(&self) -> bool {
        self.inodes.is_empty()
    }

    /// Whether a directory may give its group to what is made in it.
    pub(crate) fn has_group_directories(&self) -> bool {
        self.has_group_directories
    }

    /// What is remembered of an inode.
    pub(crate) fn get(&self, id: InodeId) -> Option<&Remembered> {
        self.inodes.get(&id)
    }

    /// What is remembered of an inode, to be changed.
    pub(crate) fn remember(&mut self, id: InodeId) -> &mut Remembered {
        self.inodes.entry(id).or_default()
    }

    /// Remembers bits of [`SET_ID`] of an inode.
    pub(crate) fn set_id(&mut self, found: &Found, bits: u32) {
        if bits & libc::S_ISGID != 0 && found.mode & TYPE == libc::S_IFDIR {
            self.has_group_directories = true;
        }
        self.remember(found.id).set_id = Some(bits);
    }

    /// Forgets an inode that exists no more.
    pub(crate) fn forget(&mut self, id: InodeId) {
        self.inodes.remove(&id);
    }

    /// What root would see of an inode. What nobody set an owner of belongs to root, whoever the
    /// file system says has it.
    pub(crate) fn view(&self, found: &Found) -> View {
        let mut view = View {
            mode: found.mode,
            uid: 0,
            gid: 0,
            device: found.device,
        };
        if let Some(remembered) = self.inodes.get(&found.id) {
            view.uid = remembered.uid.unwrap_or(0);
            view.gid = remembered.gid.unwrap_or(0);
            if let Some(bits) = remembered.set_id {
                view.mode = view.mode & !SET_ID | bits;
            }
            if let Some((kind, device)) = remembered.device {
                view.mode = view.mode & !TYPE | kind;
                view.device = device;
            }
        }
        view
    }
}
