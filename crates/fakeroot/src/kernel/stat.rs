//! Where the answers of the stat family have what root would see, as Linux lays them out.

use crate::state::inode::{Found, InodeId, View};

/// How many bytes of an answer are looked at.
#[cfg(target_arch = "x86_64")]
pub(crate) const STAT: usize = 48;
#[cfg(target_arch = "aarch64")]
pub(crate) const STAT: usize = 40;
/// The same of `statx`.
pub(crate) const STATX: usize = 144;

// Where `struct stat` has what.
const NUMBER: usize = 8;
const LINKS: usize = if cfg!(target_arch = "x86_64") { 16 } else { 20 };
const MODE: usize = if cfg!(target_arch = "x86_64") { 24 } else { 16 };
const USER: usize = if cfg!(target_arch = "x86_64") { 28 } else { 24 };
const GROUP: usize = if cfg!(target_arch = "x86_64") { 32 } else { 28 };
const DEVICE: usize = if cfg!(target_arch = "x86_64") { 40 } else { 32 };

/// What a `struct stat` says.
pub(crate) fn found(stat: &[u8; STAT]) -> Found {
    Found {
        id: InodeId {
            device: long(stat, 0),
            number: long(stat, NUMBER),
        },
        mode: word(stat, MODE),
        links: u64::from(word(stat, LINKS)),
        device: long(stat, DEVICE),
    }
}

/// Makes a `struct stat` say what root would see; whether that is something else.
pub(crate) fn show(stat: &mut [u8; STAT], view: &View) -> bool {
    let before = *stat;
    for (at, value) in [(MODE, view.mode), (USER, view.uid), (GROUP, view.gid)] {
        put(stat, at, &value.to_ne_bytes());
    }
    put(stat, DEVICE, &view.device.to_ne_bytes());
    before != *stat
}

/// What a `struct statx` says, if it says enough.
pub(crate) fn found_statx(statx: &[u8; STATX]) -> Option<Found> {
    /// `STATX_TYPE`, `STATX_MODE` and `STATX_INO`.
    const NEEDED: u32 = 0x103;
    let device = |at| libc::makedev(word(statx, at), word(statx, at + 4));
    (word(statx, 0) & NEEDED == NEEDED).then(|| Found {
        id: InodeId {
            device: device(136),
            number: long(statx, 32),
        },
        mode: word(statx, 28) & 0xffff,
        links: u64::from(word(statx, 16)),
        device: device(128),
    })
}

/// Makes a `struct statx` say what root would see; whether that is something else.
pub(crate) fn show_statx(statx: &mut [u8; STATX], view: &View) -> bool {
    let before = *statx;
    put(statx, 20, &view.uid.to_ne_bytes());
    put(statx, 24, &view.gid.to_ne_bytes());
    put(statx, 28, &((view.mode & 0xffff) as u16).to_ne_bytes());
    put(statx, 128, &libc::major(view.device).to_ne_bytes());
    put(statx, 132, &libc::minor(view.device).to_ne_bytes());
    before != *statx
}

fn word(bytes: &[u8], at: usize) -> u32 {
    let found = bytes.get(at..).and_then(|rest| rest.first_chunk());
    found.map_or(0, |bytes| u32::from_ne_bytes(*bytes))
}

fn long(bytes: &[u8], at: usize) -> u64 {
    let found = bytes.get(at..).and_then(|rest| rest.first_chunk());
    found.map_or(0, |bytes| u64::from_ne_bytes(*bytes))
}

fn put(bytes: &mut [u8], at: usize, value: &[u8]) {
    let place = bytes.get_mut(at..at + value.len());
    if let Some(place) = place {
        place.copy_from_slice(value);
    }
}
