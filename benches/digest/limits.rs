//! What this machine can do at best, without archives: run by the benchmark as programs of their
//! own, so that they are measured as the others are.

use std::cmp::Reverse;
use std::hint::black_box;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use anyhow::{Result, anyhow};
use rustix::fs::{CWD, FileType, Mode, OFlags, RawDir};
use sha2::{Digest, Sha256};
use strata_nix::ClosureEntry;

/// How much is read at a time.
const BUFFER: usize = 128 * 1024;
/// How much of a directory is listed at a time.
const LIST: usize = 16 * 1024;

/// Hashes `bytes` bytes that are in memory, divided among `threads`.
pub(crate) fn sha256(threads: u64, bytes: u64) {
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let buffer = vec![1; 1 << 20];
                let mut hasher = Sha256::new();
                let mut left = bytes / threads;
                while left > 0 {
                    let count = left.min(buffer.len() as u64);
                    hasher.update(&buffer[..count as usize]);
                    left -= count;
                }
                black_box(hasher.finalize())
            });
        }
    });
}

/// Walks, reads and hashes all files of a closure: in no order, with nothing between them.
pub(crate) fn read_and_hash(closure: &[ClosureEntry], threads: usize) -> Result<()> {
    let mut largest_first: Vec<&ClosureEntry> = closure.iter().collect();
    largest_first.sort_by_key(|entry| Reverse(entry.nar_size));
    let next = AtomicUsize::new(0);
    let work = || -> Result<()> {
        let mut buffer = vec![0; BUFFER];
        while let Some(entry) = largest_first.get(next.fetch_add(1, Ordering::Relaxed)) {
            let mut hasher = Sha256::new();
            hash_directory(CWD, Path::new(&entry.path), &mut buffer, &mut hasher)?;
            black_box(hasher.finalize());
        }
        Ok(())
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        workers.into_iter().try_for_each(|worker| {
            let result = worker.join();
            result.map_err(|_| anyhow!("a thread panicked"))?
        })
    })
}

fn hash_directory<P: rustix::path::Arg>(
    parent: BorrowedFd<'_>,
    name: P,
    buffer: &mut [u8],
    hasher: &mut Sha256,
) -> Result<()> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let directory = rustix::fs::openat(parent, name, flags | OFlags::DIRECTORY, Mode::empty())?;
    let mut list = [MaybeUninit::uninit(); LIST];
    let mut entries = RawDir::new(&directory, &mut list);
    while let Some(entry) = entries.next() {
        let entry = entry?;
        let name = entry.file_name();
        match entry.file_type() {
            FileType::Directory if ![c".", c".."].contains(&name) => {
                hash_directory(directory.as_fd(), name, buffer, hasher)?;
            }
            FileType::RegularFile => {
                let file = rustix::fs::openat(&directory, name, flags, Mode::empty())?;
                loop {
                    let count = rustix::io::read(&file, &mut *buffer)?;
                    hasher.update(&buffer[..count]);
                    // The size is not asked for, so the end is where nothing comes any more.
                    if count == 0 {
                        break;
                    }
                }
            }
            _ => {}
        }
    }
    Ok(())
}
