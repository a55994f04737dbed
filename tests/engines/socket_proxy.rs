//! A socket that passes everything on to another one and counts what goes there.

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

/// The socket. Its threads end with the test's process.
pub struct SocketProxy {
    directory: tempfile::TempDir,
    sent: Arc<AtomicU64>,
}

impl SocketProxy {
    /// Passes on to the socket `target`.
    pub fn start(target: &Path) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let proxy = Self {
            directory,
            sent: Arc::default(),
        };
        let listener = UnixListener::bind(proxy.path()).unwrap();
        let (target, sent) = (target.to_owned(), Arc::clone(&proxy.sent));
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                // A daemon that is only about to listen is asked again.
                let Ok(server) = UnixStream::connect(&target) else {
                    continue;
                };
                let back = (server.try_clone().unwrap(), client.try_clone().unwrap());
                thread::spawn(move || pass(back.0, back.1, &AtomicU64::new(0)));
                let sent = Arc::clone(&sent);
                thread::spawn(move || pass(client, server, &sent));
            }
        });
        proxy
    }

    /// Where it listens.
    pub fn path(&self) -> PathBuf {
        self.directory.path().join("socket")
    }

    /// How many bytes were sent to the target since this was last asked.
    pub fn sent(&self) -> u64 {
        self.sent.swap(0, Ordering::SeqCst)
    }
}

/// Passes on until one side ends.
fn pass(mut from: UnixStream, mut to: UnixStream, count: &AtomicU64) {
    let mut buffer = vec![0; 64 << 10];
    let mut copy = || -> io::Result<()> {
        loop {
            let read = from.read(&mut buffer)?;
            if read == 0 {
                return Ok(());
            }
            count.fetch_add(read as u64, Ordering::SeqCst);
            to.write_all(&buffer[..read])?;
        }
    };
    let _ = copy();
    let _ = to.shutdown(Shutdown::Write);
    let _ = from.shutdown(Shutdown::Read);
}
