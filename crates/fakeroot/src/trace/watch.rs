//! Looks at calls that are made: before them, whether there is anything to do about them, and after them, to
//! remember what they made or to show what root would see.

use super::tracee::{self, Tracee};
use crate::kernel::calls::{self, Call, Place};
use crate::kernel::stat;
use crate::state::credentials::Credentials;
use crate::state::decide::{self, Made};
use crate::state::inode::{Inodes, SET_ID, TYPE, View};

/// What is to be done before a call is made, and after it.
#[derive(Default)]
pub(crate) struct Watched {
    /// An argument that is to be another one.
    pub(crate) change: Option<(usize, u64)>,
    /// What is to be done if it succeeds.
    pub(crate) after: Option<After>,
}

/// What is to be done when a call has succeeded.
pub(crate) enum After {
    /// Show what root would see in a `struct stat` at this address.
    Stat(u64),
    /// The same for a `struct statx`.
    Statx(u64),
    /// A file was made, which is now open as the number that the call gave.
    Opened(Option<View>, Made),
    /// Something was made here.
    Made(Place, Option<View>, Made),
    /// The thread keeps its capabilities, or no longer.
    KeepsCapabilities(bool),
    /// The last name of an inode was taken away.
    Removed(crate::state::inode::InodeId),
}

impl From<After> for Watched {
    fn from(after: After) -> Self {
        Self {
            change: None,
            after: Some(after),
        }
    }
}

/// What to do about a call that is to be made.
pub(crate) fn before(
    call: Call,
    arguments: [u64; 6],
    tracee: Tracee<'_>,
    inodes: &Inodes,
    credentials: &Credentials,
) -> Watched {
    match call {
        Call::Stat(address) => After::Stat(address).into(),
        Call::Statx(address) => After::Statx(address).into(),
        Call::Open(place, mode_argument) => {
            let mode = arguments.get(mode_argument).copied();
            open(
                place,
                mode.map(|mode| (mode_argument, mode)),
                tracee,
                inodes,
                credentials,
            )
        }
        Call::OpenHow(place, address) => {
            let mut flags = [0; 8];
            let is_read = tracee::read(tracee.pid, address, &mut flags).is_ok();
            if is_read && calls::may_create(u64::from_ne_bytes(flags)) {
                open(place, None, tracee, inodes, credentials)
            } else {
                Watched::default()
            }
        }
        Call::Make(place) => {
            if !matters(inodes, credentials) {
                return Watched::default();
            }
            let parent = parent(place, tracee, inodes);
            After::Made(place, parent, Made::default()).into()
        }
        Call::MakeNode(place, mode, mode_argument, device) => make_node(
            place,
            (mode, mode_argument),
            device,
            tracee,
            inodes,
            credentials,
        ),
        Call::KeepCapabilities(keeps) => After::KeepsCapabilities(keeps).into(),
        Call::Remove(place) => removed(place, None, tracee, inodes),
        Call::Rename(old, new, false) => removed(new, Some(old), tracee, inodes),
        _ => Watched::default(),
    }
}

/// Whether it matters what is made: who makes it, in which directory, and what had its number before.
fn matters(inodes: &Inodes, credentials: &Credentials) -> bool {
    let owner = (
        credentials.users.file_system,
        credentials.groups.file_system,
    );
    !inodes.is_empty() || owner != (0, 0)
}

fn parent(place: Place, tracee: Tracee<'_>, inodes: &Inodes) -> Option<View> {
    if !inodes.has_group_directories() {
        return None;
    }
    let parent = tracee.look_up_parent(place).ok()?;
    Some(inodes.view(&parent.found))
}

fn open(
    place: Place,
    mode: Option<(usize, u64)>,
    tracee: Tracee<'_>,
    inodes: &Inodes,
    credentials: &Credentials,
) -> Watched {
    let set_id = mode.map_or(0, |(_, mode)| calls::low(mode) & SET_ID);
    if set_id == 0 && !matters(inodes, credentials) {
        return Watched::default();
    }
    // What is there is opened. An unnamed file is made in a directory, which is there.
    let there = tracee.look_up(place).ok();
    if there.is_some_and(|there| there.found.mode & TYPE != libc::S_IFDIR) {
        return Watched::default();
    }
    let new = Made {
        set_id,
        device: None,
    };
    let change = mode.filter(|_| set_id != 0);
    Watched {
        change: change.map(|(argument, mode)| (argument, mode & !u64::from(SET_ID))),
        after: Some(After::Opened(parent(place, tracee, inodes), new)),
    }
}

fn make_node(
    place: Place,
    (mode, mode_argument): (u32, usize),
    device: u64,
    tracee: Tracee<'_>,
    inodes: &Inodes,
    credentials: &Credentials,
) -> Watched {
    let is_device = calls::is_device(mode) && decide::may_make_device(credentials).is_ok();
    let set_id = mode & SET_ID;
    if !is_device && set_id == 0 && !matters(inodes, credentials) {
        return Watched::default();
    }
    let mut changed = mode & !SET_ID;
    if is_device {
        changed = changed & !TYPE | libc::S_IFREG;
    }
    // The call has 32 bits of it, as user space numbers devices there.
    let device = is_device.then_some((mode & TYPE, device & 0xffff_ffff));
    let new = Made { set_id, device };
    Watched {
        change: (changed != mode).then_some((mode_argument, u64::from(changed))),
        after: Some(After::Made(place, parent(place, tracee, inodes), new)),
    }
}

/// A name goes, or another file takes its place; with the last one, what is remembered goes.
fn removed(place: Place, by: Option<Place>, tracee: Tracee<'_>, inodes: &Inodes) -> Watched {
    if inodes.is_empty() {
        return Watched::default();
    }
    let Ok(there) = tracee.look_up(place) else {
        return Watched::default();
    };
    let found = there.found;
    let is_last = found.links <= 1 || found.mode & TYPE == libc::S_IFDIR;
    if !is_last || inodes.get(found.id).is_none() {
        return Watched::default();
    }
    // A name in whose place the same file comes stays.
    let other = by.and_then(|by| tracee.look_up(by).ok());
    if other.is_none_or(|other| other.found.id != found.id) {
        After::Removed(found.id).into()
    } else {
        Watched::default()
    }
}

/// A call succeeded and gave `result`.
pub(crate) fn after(
    after: &After,
    result: u64,
    tracee: Tracee<'_>,
    inodes: &mut Inodes,
    credentials: &mut Credentials,
) {
    match after {
        After::Stat(address) => {
            let mut bytes = [0; stat::STAT];
            if tracee::read(tracee.pid, *address, &mut bytes).is_ok() {
                let view = inodes.view(&stat::found(&bytes));
                if stat::show(&mut bytes, &view) {
                    // It was written a moment ago.
                    let _ = tracee::write(tracee.pid, *address, &bytes);
                }
            }
        }
        After::Statx(address) => {
            let mut bytes = [0; stat::STATX];
            if tracee::read(tracee.pid, *address, &mut bytes).is_ok()
                && let Some(found) = stat::found_statx(&bytes)
                && stat::show_statx(&mut bytes, &inodes.view(&found))
            {
                let _ = tracee::write(tracee.pid, *address, &bytes);
            }
        }
        After::Opened(parent, made) => {
            let number = i32::try_from(result).unwrap_or(-1);
            if let Ok(opened) = tracee.descriptor(number) {
                decide::created(inodes, credentials, &opened.found, parent.as_ref(), *made);
            }
        }
        After::Made(place, parent, made) => {
            if let Ok(opened) = tracee.look_up(*place) {
                decide::created(inodes, credentials, &opened.found, parent.as_ref(), *made);
            }
        }
        After::KeepsCapabilities(keeps) => credentials.keeps_capabilities = *keeps,
        After::Removed(id) => inodes.forget(*id),
    }
}
