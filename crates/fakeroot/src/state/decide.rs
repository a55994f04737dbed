//! What root's calls about inodes answer and change, from what is remembered and who calls: decisions
//! without any effect but on what is remembered.

use crate::state::credentials::{Credentials, Errno, UNCHANGED};
use crate::state::inode::{Found, Inodes, PERMISSIONS, Remembered, SET_ID, TYPE, View, Xattrs};

/// The longest name of an extended attribute, Linux's `XATTR_NAME_MAX`.
const LONGEST_XATTR: usize = 255;
/// The largest value of an extended attribute, Linux's `XATTR_SIZE_MAX`.
pub(crate) const LARGEST_XATTR: usize = 65_536;
/// Where programs have their capabilities.
const CAPABILITY: &[u8] = b"security.capability";

fn owns(credentials: &Credentials, view: &View) -> bool {
    credentials.is_capable() || credentials.users.file_system == view.uid
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
    if !credentials.is_capable() && !credentials.is_in(view.gid) {
        set_id &= !libc::S_ISGID;
    }
    if set_id != view.mode & SET_ID {
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
    if !credentials.is_capable() {
        let is_owner = credentials.users.file_system == view.uid;
        let keeps_user = uid == UNCHANGED || is_owner && uid == view.uid;
        let may_group = gid == UNCHANGED || is_owner && (credentials.is_in(gid) || gid == view.gid);
        if !keeps_user || !may_group {
            return Err(libc::EPERM);
        }
    }
    if uid != UNCHANGED {
        inodes.remember(found.id).uid = Some(uid);
    }
    if gid != UNCHANGED {
        inodes.remember(found.id).gid = Some(gid);
    }
    if !view.is_directory() {
        lose_privileges(inodes, found, &view);
    }
    Ok(())
}

/// What a program may do that others may not goes with its owner.
fn lose_privileges(inodes: &mut Inodes, found: &Found, view: &View) {
    let mut set_id = view.mode & SET_ID & !libc::S_ISUID;
    // Without the right to execute it once meant that locks are mandatory, and stays.
    if view.mode & libc::S_IXGRP != 0 {
        set_id &= !libc::S_ISGID;
    }
    if set_id != view.mode & SET_ID {
        inodes.set_id(found, set_id);
    }
    if let Some(remembered) = inodes.get(found.id)
        && remembered.xattrs.contains_key(CAPABILITY)
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
            && !credentials.is_capable()
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
    if credentials.is_capable() {
        Ok(())
    } else {
        Err(libc::EPERM)
    }
}

/// What the name of an extended attribute allows.
fn check_xattr(
    view: &View,
    credentials: &Credentials,
    name: &[u8],
    writes: bool,
) -> Result<(), Errno> {
    let refused = if writes { libc::EPERM } else { libc::ENODATA };
    if name.starts_with(b"trusted.") {
        return if credentials.is_capable() {
            Ok(())
        } else {
            Err(refused)
        };
    }
    if name.starts_with(b"user.") {
        let kind = view.mode & TYPE;
        if kind != libc::S_IFREG && kind != libc::S_IFDIR {
            return Err(refused);
        }
        return if writes && !owns(credentials, view) {
            Err(libc::EPERM)
        } else {
            Ok(())
        };
    }
    if !name.starts_with(b"security.") {
        return Err(libc::EOPNOTSUPP);
    }
    if writes && !credentials.is_capable() {
        return Err(libc::EPERM);
    }
    if [&b"user."[..], b"trusted.", b"security."].contains(&name) {
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
    if name == CAPABILITY {
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
    value.map(Vec::as_slice).ok_or(libc::ENODATA)
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
    let is_shown = |name: &&Vec<u8>| credentials.is_capable() || !name.starts_with(b"trusted.");
    let mut list = Vec::new();
    for name in xattrs.keys().filter(is_shown) {
        list.extend_from_slice(name);
        list.push(0);
    }
    list
}
