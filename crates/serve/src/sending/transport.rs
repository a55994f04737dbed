//! What a client's requests come through: a connection, with TLS or without.

use std::cell::RefCell;
use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::fs::FileExt as _;

use rustix::fs::sendfile;

use strata_http::{ServerStream, ServerTls};

/// How much of a file is encrypted at a time, in bytes.
const PIECE: usize = 64 << 10;

/// A connection that one thread reads and writes.
pub(crate) struct Transport<'s> {
    stream: &'s TcpStream,
    tls: Option<RefCell<ServerStream<&'s TcpStream>>>,
}

impl<'s> Transport<'s> {
    /// The connection over `stream`, with `tls` if there is any.
    pub(crate) fn new(stream: &'s TcpStream, tls: Option<&ServerTls>) -> io::Result<Self> {
        let tls = tls.map(|tls| tls.over(stream).map_err(io::Error::other));
        Ok(Self {
            stream,
            tls: tls.transpose()?.map(RefCell::new),
        })
    }

    /// The connection below, for its settings.
    pub(crate) fn stream(&self) -> &TcpStream {
        self.stream
    }

    /// Whether it is encrypted.
    pub(crate) fn is_encrypted(&self) -> bool {
        self.tls.is_some()
    }

    /// Reads once.
    pub(crate) fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut stream = self.stream;
        match &self.tls {
            Some(tls) => tls.borrow_mut().read(buffer),
            None => stream.read(buffer),
        }
    }

    /// Writes once.
    pub(crate) fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        let mut stream = self.stream;
        match &self.tls {
            Some(tls) => tls.borrow_mut().write(bytes),
            None => stream.write(bytes),
        }
    }

    /// Makes sure that what was written is on its way.
    pub(crate) fn flush(&self) -> io::Result<()> {
        match &self.tls {
            Some(tls) => tls.borrow_mut().flush(),
            None => Ok(()),
        }
    }

    /// Writes once, at most `most` bytes of a file from a place on. Without TLS the kernel copies them by itself.
    pub(crate) fn write_file(&self, file: &File, at: u64, most: usize) -> io::Result<usize> {
        let Some(tls) = &self.tls else {
            let mut place = at;
            return Ok(sendfile(self.stream, file, Some(&mut place), most)?);
        };
        let mut piece = vec![0; PIECE.min(most)];
        let count = file.read_at(&mut piece, at)?;
        tls.borrow_mut()
            .write(piece.get(..count).unwrap_or_default())
    }

    /// Tells the client that nothing more comes.
    pub(crate) fn close(&self) -> io::Result<()> {
        if let Some(tls) = &self.tls {
            tls.borrow_mut().close()?;
        }
        self.stream.shutdown(Shutdown::Write)
    }
}
