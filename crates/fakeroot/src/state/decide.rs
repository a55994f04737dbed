//! What root's calls about inodes answer and change, from what is remembered and who calls: decisions
//! without any effect but on what is remembered.

use crate::state::credentials::{Capability, Credentials, Errno, UNCHANGED};
use crate::state::inode::{Found, Inodes, PERMISSIONS, Remembered, SET_ID, TYPE, View, Xattrs};

/// The longest name of an extended attribute, Linux's `XATTR_NAME_MAX`.
const LONGEST_XATTR: usize = 255;
/// The largest value of an extended attribute, Linux's `XATTR_SIZE_MAX`.
pub(crate) const LARGEST_XATTR: usize = 65_536;
/// Where programs have their capabilities.
const CAPABILITY: &[u8] = b"security.capability";

fn owns(credentials: &Credentials, view: &View) -> bool {
    credentials.has(Capability::FileOwner) || credentials.users.file_system == view.uid
}

/// `chmod`: gives the permissions that the file system is to keep.
pub(crate) fn change_mode(
    inodes: &mut Inodes,
    credentials: &Credentials,
    found: &Found,
    mode: u32,
) -> Result<u32, Errno> {
    let view = inodes.view(found);
    if !owns(credentials, &view) {
        return Err(libc::EPERM);
    }
    let mut set_id = mode & SET_ID;
    if !credentials.has(Capability::FileSetId) && !credentials.is_in(view.gid) {
        set_id &= !libc::S_ISGID;
    }
    // The file system keeps none, even if it had some.
    if (set_id | view.mode) & SET_ID != 0 {
        inodes.set_id(found, set_id);
    }
    Ok(mode & PERMISSIONS)
}

/// `chown`.
pub(crate) fn change_owner(
    inodes: &mut Inodes,
    credentials: &Credentials,
    found: &Found,
    uid: u32,
    gid: u32,
) -> Result<(), Errno> {
    let view = inodes.view(found);
    if !credentials.has(Capability::Chown) {
        let is_owner = credentials.users.file_system == view.uid;
        let keeps_user = uid == UNCHANGED || is_owner && uid == view.uid;
        let may_group = gid == UNCHANGED || is_owner && (credentials.is_in(gid) || gid == view.gid);
        if !keeps_user || !may_group {
            return Err(libc::EPERM);
        }
    }
    let kept = if view.is_directory() {
        view.mode & SET_ID
    } else {
        kept_by_others(&view)
    };
    // To take the rest away is to change the mode.
    if kept != view.mode & SET_ID && !owns(credentials, &view) {
        return Err(libc::EPERM);
    }
    if uid != UNCHANGED {
        inodes.remember(found.id).uid = Some(uid);
    }
    if gid != UNCHANGED {
        inodes.remember(found.id).gid = Some(gid);
    }
    if kept != view.mode & SET_ID {
        inodes.set_id(found, kept);
    }
    if !view.is_directory() {
        lose_capabilities(inodes, found);
    }
    Ok(())
}

/// The bits of [`SET_ID`] that stay when a file gets another owner.
fn kept_by_others(view: &View) -> u32 {
    // Without the right to execute, setgid once meant that locks are mandatory.
    if view.mode & libc::S_IXGRP == 0 {
        view.mode & libc::S_ISGID
    } else {
        0
    }
}

/// What a program may do that others may not goes with its owner.
fn lose_capabilities(inodes: &mut Inodes, found: &Found) {
    // A value that takes all away stays.
    if let Some(remembered) = inodes.get(found.id)
        && let Some(value) = remembered.xattrs.get(CAPABILITY)
        && !value.is_empty()
    {
        inodes.remember(found.id).xattrs.remove(CAPABILITY);
    }
}

/// What is made, besides what the file system knows.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Made {
    /// The bits of [`SET_ID`] that the caller wants it to have.
    pub(crate) set_id: u32,
    /// The device that it stands for: type and number.
    pub(crate) device: Option<(u32, u64)>,
}

/// An inode was made in a directory of which this is seen, if that matters.
pub(crate) fn created(
    inodes: &mut Inodes,
    credentials: &Credentials,
    found: &Found,
    parent: Option<&View>,
    made: Made,
) {
    // One that had its number before is no more.
    inodes.forget(found.id);
    let Made { mut set_id, device } = made;
    let is_directory = found.mode & TYPE == libc::S_IFDIR;
    let (uid, mut gid) = (
        credentials.users.file_system,
        credentials.groups.file_system,
    );
    if let Some(parent) = parent.filter(|parent| parent.mode & libc::S_ISGID != 0) {
        gid = parent.gid;
        if is_directory {
            set_id |= libc::S_ISGID;
        } else if found.mode & libc::S_IXGRP != 0
            && !credentials.has(Capability::FileSetId)
            && !credentials.is_in(gid)
        {
            set_id &= !libc::S_ISGID;
        }
    }
    if (uid, gid) != (0, 0) {
        let remembered = inodes.remember(found.id);
        (remembered.uid, remembered.gid) = (Some(uid), Some(gid));
    }
    if set_id != found.mode & SET_ID {
        inodes.set_id(found, set_id);
    }
    if device.is_some() {
        inodes.remember(found.id).device = device;
    }
}

/// Whether somebody may make a device.
pub(crate) fn may_make_device(credentials: &Credentials) -> Result<(), Errno> {
    if credentials.has(Capability::MakeNode) {
        Ok(())
    } else {
        Err(libc::EPERM)
    }
}

/// Whether somebody may write or read an extended attribute of this name (xattr(7)).
fn check_xattr(
    view: &View,
    credentials: &Credentials,
    name: &[u8],
    writes: bool,
) -> Result<(), Errno> {
    let refused = if writes { libc::EPERM } else { libc::ENODATA };
    let Some(dot) = name.iter().position(|byte| *byte == b'.') else {
        return Err(libc::EOPNOTSUPP);
    };
    let for_security = match name {
        CAPABILITY => Capability::SetFileCapabilities,
        _ => Capability::SystemAdministrator,
    };
    let (class, name) = name.split_at(dot + 1);
    match class {
        b"trusted." if !credentials.has(Capability::SystemAdministrator) => return Err(refused),
        b"security." if writes && !credentials.has(for_security) => return Err(libc::EPERM),
        b"user." => {
            let kind = view.mode & TYPE;
            if kind != libc::S_IFREG && kind != libc::S_IFDIR {
                return Err(refused);
            }
            if writes && !owns(credentials, view) {
                return Err(libc::EPERM);
            }
        }
        b"trusted." | b"security." => {}
        _ => return Err(libc::EOPNOTSUPP),
    }
    if name.is_empty() {
        return Err(libc::EINVAL);
    }
    Ok(())
}

/// Checks the name of an extended attribute before anything else is looked at.
pub(crate) fn check_xattr_name(name: &[u8]) -> Result<(), Errno> {
    if name.is_empty() || name.len() > LONGEST_XATTR {
        return Err(libc::ERANGE);
    }
    Ok(())
}

/// `setxattr`.
pub(crate) fn set_xattr(
    inodes: &mut Inodes,
    credentials: &Credentials,
    found: &Found,
    (name, value): (&[u8], &[u8]),
    flags: u32,
) -> Result<(), Errno> {
    check_xattr(&inodes.view(found), credentials, name, true)?;
    // Linux takes none for one that takes all away.
    if name == CAPABILITY && !value.is_empty() {
        check_capability(value)?;
    }
    let is_there = has_xattr(inodes, found, name);
    if is_there && flags & libc::XATTR_CREATE as u32 != 0 {
        return Err(libc::EEXIST);
    }
    if !is_there && flags & libc::XATTR_REPLACE as u32 != 0 {
        return Err(libc::ENODATA);
    }
    let xattrs = &mut inodes.remember(found.id).xattrs;
    xattrs.insert(name.to_vec(), value.to_vec());
    Ok(())
}

fn has_xattr(inodes: &Inodes, found: &Found, name: &[u8]) -> bool {
    let remembered = inodes.get(found.id);
    remembered.is_some_and(|remembered| remembered.xattrs.contains_key(name))
}

/// A value of capabilities that Linux takes: `struct vfs_cap_data` of version 2, or of version 3 with a user.
fn check_capability(value: &[u8]) -> Result<(), Errno> {
    /// The sizes of both versions.
    const VERSIONS: [(u32, usize); 2] = [(0x0200_0000, 20), (0x0300_0000, 24)];
    let magic = value.first_chunk().map(|bytes| u32::from_le_bytes(*bytes));
    let version = magic.map(|magic| (magic & 0xff00_0000, value.len()));
    match version {
        Some(version) if VERSIONS.contains(&version) => Ok(()),
        _ => Err(libc::EINVAL),
    }
}

/// `getxattr`.
pub(crate) fn xattr<'a>(
    inodes: &'a Inodes,
    credentials: &Credentials,
    found: &Found,
    name: &[u8],
) -> Result<&'a [u8], Errno> {
    check_xattr(&inodes.view(found), credentials, name, false)?;
    let remembered = inodes.get(found.id);
    let value = remembered.and_then(|remembered| remembered.xattrs.get(name));
    match value {
        // As it is no value, Linux shows none.
        Some(value) if name == CAPABILITY && value.is_empty() => Err(libc::EINVAL),
        Some(value) => Ok(value),
        None => Err(libc::ENODATA),
    }
}

/// `removexattr`.
pub(crate) fn remove_xattr(
    inodes: &mut Inodes,
    credentials: &Credentials,
    found: &Found,
    name: &[u8],
) -> Result<(), Errno> {
    check_xattr(&inodes.view(found), credentials, name, true)?;
    if !has_xattr(inodes, found, name) {
        return Err(libc::ENODATA);
    }
    inodes.remember(found.id).xattrs.remove(name);
    Ok(())
}

/// `listxattr`: the names, each with a null behind it.
pub(crate) fn xattr_list(inodes: &Inodes, credentials: &Credentials, found: &Found) -> Vec<u8> {
    let none = Xattrs::new();
    let remembered: Option<&Remembered> = inodes.get(found.id);
    let xattrs = remembered.map_or(&none, |remembered| &remembered.xattrs);
    let sees_all = credentials.has(Capability::SystemAdministrator);
    let is_shown = |name: &&Vec<u8>| sees_all || !name.starts_with(b"trusted.");
    let mut list = Vec::new();
    for name in xattrs.keys().filter(is_shown) {
        list.extend_from_slice(name);
        list.push(0);
    }
    list
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::credentials::Kind;
    use crate::state::inode::InodeId;
    use proptest::prelude::*;

    fn file(number: u64, mode: u32) -> Found {
        Found {
            id: InodeId { device: 1, number },
            mode,
            links: 1,
            device: 0,
        }
    }

    #[test]
    fn directories_give_their_group_to_what_is_made_in_them() {
        let (mut inodes, root) = (Inodes::default(), Credentials::default());
        let parent = file(1, libc::S_IFDIR | 0o755);
        change_owner(&mut inodes, &root, &parent, UNCHANGED, 50).unwrap();
        assert!(!inodes.has_group_directories());
        assert_eq!(change_mode(&mut inodes, &root, &parent, 0o2775), Ok(0o775));
        assert!(inodes.has_group_directories());
        let view = inodes.view(&parent);
        assert_eq!((view.mode, view.gid), (libc::S_IFDIR | 0o2755, 50));
        for (number, kind, expected) in [(2, libc::S_IFREG, 0), (3, libc::S_IFDIR, 0o2000)] {
            let made = file(number, kind | 0o755);
            created(&mut inodes, &root, &made, Some(&view), Made::default());
            let seen = inodes.view(&made);
            assert_eq!((seen.uid, seen.gid), (0, 50));
            assert_eq!(seen.mode & SET_ID, expected);
        }
    }

    /// The number of a file that is no more is given to another one.
    #[test]
    fn what_is_made_is_new() {
        let (mut inodes, root) = (Inodes::default(), Credentials::default());
        let before = file(1, libc::S_IFREG | 0o644);
        change_owner(&mut inodes, &root, &before, 5, 6).unwrap();
        created(&mut inodes, &root, &before, None, Made::default());
        assert_eq!(inodes, Inodes::default());
    }

    proptest! {
        /// What was set is what is seen, whatever there was before.
        #[test]
        fn root_gets_what_it_sets(
            uid in 0..u32::MAX, gid in 0..u32::MAX, mode in 0..0o10_000_u32, before in 0..0o10_000_u32,
        ) {
            let (mut inodes, root) = (Inodes::default(), Credentials::default());
            let mut found = file(1, libc::S_IFREG | before);
            change_owner(&mut inodes, &root, &found, uid, gid).unwrap();
            let kept = change_mode(&mut inodes, &root, &found, mode).unwrap();
            found.mode = libc::S_IFREG | kept;
            let view = inodes.view(&found);
            prop_assert_eq!((view.uid, view.gid), (uid, gid));
            prop_assert_eq!(view.mode, libc::S_IFREG | mode);
        }

        /// Nobody but root takes files from others.
        #[test]
        fn others_are_refused(user in 1..100_u32, owner in 100..200_u32, mode in 0..0o10_000_u32) {
            let (mut inodes, mut other) = (Inodes::default(), Credentials::default());
            let found = file(1, libc::S_IFREG | 0o644);
            change_owner(&mut inodes, &other, &found, owner, owner).unwrap();
            other.set(Kind::User, user).unwrap();
            let before = inodes.clone();
            prop_assert_eq!(change_owner(&mut inodes, &other, &found, user, UNCHANGED), Err(libc::EPERM));
            prop_assert_eq!(change_mode(&mut inodes, &other, &found, mode), Err(libc::EPERM));
            let value = (&b"user.a"[..], &b"v"[..]);
            prop_assert_eq!(set_xattr(&mut inodes, &other, &found, value, 0), Err(libc::EPERM));
            prop_assert_eq!(inodes, before);
        }
    }
}
