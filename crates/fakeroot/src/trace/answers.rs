//! Answers calls that are not made: looks up what they are about, has `decide` decide, and writes what they give
//! into the caller's memory.

use super::tracee::{self, Tracee};
use crate::kernel::calls::{self, Call, Place};
use crate::state::credentials::{
    Capabilities, Capability, Credentials, Errno, Ids, Kind, MOST_GROUPS,
};
use crate::state::decide;
use crate::state::inode::Inodes;

/// More than the longest name of an extended attribute, so that one that is too long is seen to be.
const NAME: usize = 257;
/// The flags of `setxattr`.
const SET_FLAGS: u32 = (libc::XATTR_CREATE | libc::XATTR_REPLACE).cast_unsigned();

/// What a call gives.
pub(crate) fn answer(
    call: Call,
    tracee: Tracee<'_>,
    inodes: &mut Inodes,
    credentials: &mut Credentials,
) -> Result<u64, Errno> {
    match call {
        Call::ChangeMode(place, mode) => change_mode(place, mode, tracee, inodes, credentials),
        Call::ChangeOwner(place, uid, gid) => {
            let found = tracee.look_up(place)?.found;
            decide::change_owner(inodes, credentials, &found, uid, gid).map(|()| 0)
        }
        Call::SetXattr(place, name, value, size, flags) => {
            let name = xattr_name(tracee, name)?;
            let size = usize::try_from(size).map_err(|_| libc::E2BIG)?;
            if flags & !SET_FLAGS != 0 {
                return Err(libc::EINVAL);
            }
            if size > decide::LARGEST_XATTR {
                return Err(libc::E2BIG);
            }
            let mut bytes = vec![0; size];
            if size > 0 {
                tracee::read(tracee.pid, value, &mut bytes)?;
            }
            let found = tracee.look_up(place)?.found;
            decide::set_xattr(inodes, credentials, &found, (&name, &bytes), flags).map(|()| 0)
        }
        Call::GetXattr(place, name, address, size) => {
            let name = xattr_name(tracee, name)?;
            let found = tracee.look_up(place)?.found;
            let value = decide::xattr(inodes, credentials, &found, &name)?;
            give(tracee, address, size, value)
        }
        Call::ListXattr(place, address, size) => {
            let found = tracee.look_up(place)?.found;
            let list = decide::xattr_list(inodes, credentials, &found);
            give(tracee, address, size, &list)
        }
        Call::RemoveXattr(place, name) => {
            let name = xattr_name(tracee, name)?;
            let found = tracee.look_up(place)?.found;
            decide::remove_xattr(inodes, credentials, &found, &name).map(|()| 0)
        }
        Call::Refuse(errno) => Err(errno),
        other => of_credentials(other, tracee, credentials),
    }
}

fn change_mode(
    place: Place,
    mode: u32,
    tracee: Tracee<'_>,
    inodes: &mut Inodes,
    credentials: &Credentials,
) -> Result<u64, Errno> {
    let opened = tracee.look_up(place)?;
    let before = inodes.get(opened.found.id).cloned();
    let permissions = decide::change_mode(inodes, credentials, &opened.found, mode)?;
    let result = tracee.set_permissions(&opened, permissions);
    if result.is_err() {
        // A file system that cannot be written keeps what it had.
        match before {
            Some(before) => *inodes.remember(opened.found.id) = before,
            None => inodes.forget(opened.found.id),
        }
    }
    result.map(|()| 0)
}

fn xattr_name(tracee: Tracee<'_>, address: u64) -> Result<Vec<u8>, Errno> {
    let name = tracee::read_text(tracee.pid, address, NAME, libc::ERANGE)?;
    decide::check_xattr_name(&name)?;
    Ok(name)
}

/// Hands over bytes to a caller that has room for so many, or asks with none how many there are.
fn give(tracee: Tracee<'_>, address: u64, room: u64, bytes: &[u8]) -> Result<u64, Errno> {
    let size = bytes.len() as u64;
    if room > 0 {
        if room < size {
            return Err(libc::ERANGE);
        }
        tracee::write(tracee.pid, address, bytes)?;
    }
    Ok(size)
}

fn of_credentials(
    call: Call,
    tracee: Tracee<'_>,
    credentials: &mut Credentials,
) -> Result<u64, Errno> {
    let ids = |credentials: &Credentials, kind| match kind {
        Kind::User => credentials.users,
        Kind::Group => credentials.groups,
    };
    match call {
        Call::SetId(kind, id) => credentials.set(kind, id).map(|()| 0),
        Call::SetTwo(kind, real, effective) => {
            credentials.set_two(kind, real, effective).map(|()| 0)
        }
        Call::SetThree(kind, three) => credentials.set_three(kind, three).map(|()| 0),
        Call::SetFileSystem(kind, id) => Ok(u64::from(credentials.set_file_system(kind, id))),
        Call::SetGroups(count, address) => {
            let count = usize::try_from(count).map_err(|_| libc::EINVAL)?;
            if !credentials.has(Capability::SetGid) {
                return Err(libc::EPERM);
            }
            if count > MOST_GROUPS {
                return Err(libc::EINVAL);
            }
            let mut bytes = vec![0; count * size_of::<u32>()];
            if count > 0 {
                tracee::read(tracee.pid, address, &mut bytes)?;
            }
            let (groups, _) = bytes.as_chunks();
            let groups = groups.iter().map(|group| u32::from_ne_bytes(*group));
            credentials.set_groups(groups.collect()).map(|()| 0)
        }
        Call::GetReal(kind) => Ok(u64::from(ids(credentials, kind).real)),
        Call::GetEffective(kind) => Ok(u64::from(ids(credentials, kind).effective)),
        Call::GetThree(kind, addresses) => {
            let Ids {
                real,
                effective,
                saved,
                ..
            } = ids(credentials, kind);
            for (address, id) in addresses.into_iter().zip([real, effective, saved]) {
                tracee::write(tracee.pid, address, &id.to_ne_bytes())?;
            }
            Ok(0)
        }
        Call::GetGroups(room, address) => {
            let groups = &credentials.supplementary;
            let count = groups.len() as u64;
            let room = room.cast_signed();
            if room < 0 {
                return Err(libc::EINVAL);
            }
            if room > 0 {
                if u64::from(room.cast_unsigned()) < count {
                    return Err(libc::EINVAL);
                }
                let bytes: Vec<u8> = groups.iter().flat_map(|id| id.to_ne_bytes()).collect();
                tracee::write(tracee.pid, address, &bytes)?;
            }
            Ok(count)
        }
        Call::GetCapabilities(header, data) => {
            let words = capability_words(tracee, header)?;
            if data == 0 {
                return Ok(0);
            }
            let Capabilities {
                effective,
                permitted,
                inheritable,
            } = credentials.capabilities;
            for word in 0..words {
                let half = |set: u64| calls::low(set >> (32 * word)).to_ne_bytes();
                let bytes = [effective, permitted, inheritable].map(half).concat();
                tracee::write(tracee.pid, data + word * CAPABILITY_WORD, &bytes)?;
            }
            Ok(0)
        }
        Call::SetCapabilities(header, data) => {
            let words = capability_words(tracee, header)?;
            let mut sets = [0_u64; 3];
            for word in 0..words {
                let mut bytes = [0; 12];
                tracee::read(tracee.pid, data + word * CAPABILITY_WORD, &mut bytes)?;
                let (halves, _) = bytes.as_chunks();
                for (set, half) in sets.iter_mut().zip(halves) {
                    *set |= u64::from(u32::from_ne_bytes(*half)) << (32 * word);
                }
            }
            let [effective, permitted, inheritable] = sets;
            let wanted = Capabilities {
                effective,
                permitted,
                inheritable,
            };
            credentials.set_capabilities(wanted).map(|()| 0)
        }
        // The others are made.
        _ => Err(libc::ENOSYS),
    }
}

/// How many bytes there are for each 32 capabilities: one set in use, one permitted, one inheritable.
const CAPABILITY_WORD: u64 = 12;

/// How many times 32 capabilities a caller of `capget` has room for (capget(2)); one that asks for a version that
/// there is not is told the newest.
fn capability_words(tracee: Tracee<'_>, header: u64) -> Result<u64, Errno> {
    /// `_LINUX_CAPABILITY_VERSION_1` to `_3`.
    const VERSIONS: [(u32, u64); 3] = [(0x1998_0330, 1), (0x2007_1026, 2), (NEWEST, 2)];
    const NEWEST: u32 = 0x2008_0522;
    let mut version = [0; 4];
    tracee::read(tracee.pid, header, &mut version)?;
    let version = u32::from_ne_bytes(version);
    if let Some((_, words)) = VERSIONS.iter().find(|(known, _)| *known == version) {
        return Ok(*words);
    }
    tracee::write(tracee.pid, header, &NEWEST.to_ne_bytes())?;
    Err(libc::EINVAL)
}
