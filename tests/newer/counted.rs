//! How many bytes come from a server.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

/// A proxy that counts; it ends with the test program.
pub struct Counted {
    /// `127.0.0.1:PORT`.
    pub host: String,
    bytes: Arc<AtomicU64>,
}

impl Counted {
    /// Stands before a server.
    pub fn start(server: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let bytes = Arc::new(AtomicU64::new(0));
        let (counter, server) = (Arc::clone(&bytes), server.to_owned());
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let Ok(server) = TcpStream::connect(&server) else {
                    continue;
                };
                let pairs = [
                    (
                        client.try_clone().unwrap(),
                        server.try_clone().unwrap(),
                        None,
                    ),
                    (server, client, Some(Arc::clone(&counter))),
                ];
                for (from, to, counter) in pairs {
                    thread::spawn(move || pass_on(from, to, counter.as_deref()));
                }
            }
        });
        Self { host, bytes }
    }

    /// How many came since this was asked last.
    pub fn take(&self) -> u64 {
        self.bytes.swap(0, Ordering::SeqCst)
    }
}

fn pass_on(mut from: TcpStream, mut to: TcpStream, counter: Option<&AtomicU64>) {
    let mut buffer = [0; 64 * 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        if let Some(counter) = counter {
            counter.fetch_add(count as u64, Ordering::SeqCst);
        }
        if to.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}
