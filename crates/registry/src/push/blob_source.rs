//! What a blob of a registry is made of, and its bytes as they are to be sent.

use std::io::{self, Read, Write};
use std::sync::{Mutex, PoisonError};

use strata_compress::compress_layer;
use strata_error::{Error, Result};
use strata_layer::{Layer, piped};
use strata_oci::{Compression, Descriptor};
use strata_progress::Context;

/// The largest blob that is held in memory to be sent in one request, in bytes before it is compressed: no more
/// than GHCR takes in one piece.
pub(super) const SMALL: usize = 4 << 20;

/// A blob to be sent.
#[derive(Clone, Copy)]
pub(crate) enum BlobSource<'a> {
    /// The config.
    Config(&'a Descriptor, &'a [u8]),
    /// A layer as the image describes it.
    Layer(&'a dyn Layer),
    /// A layer that is compressed while it is sent.
    Compressed(&'a dyn Layer, Compression),
}

impl<'a> BlobSource<'a> {
    /// How the image describes it.
    pub(super) fn descriptor(&self) -> &'a Descriptor {
        match self {
            Self::Config(descriptor, _) => descriptor,
            Self::Layer(layer) | Self::Compressed(layer, _) => layer.descriptor(),
        }
    }

    /// Whether it is sent in one request, and more such blobs at once.
    pub(super) fn is_small(&self) -> bool {
        self.descriptor().size <= SMALL as u64
    }

    /// How the registry will describe it, if that is known before it is made.
    pub(super) fn known(&self) -> Option<&'a Descriptor> {
        match self {
            Self::Config(..) | Self::Layer(_) => Some(self.descriptor()),
            Self::Compressed(..) => None,
        }
    }

    /// Lets `consume` read the bytes, which are made meanwhile; gives its result and how the registry
    /// will describe them. `context` hears how many bytes were made, before they are compressed, and
    /// may stop it.
    pub(super) fn read<T>(
        &self,
        context: Context<'_>,
        consume: impl FnOnce(&mut dyn Read) -> Result<T>,
    ) -> Result<(T, Descriptor)> {
        let stopped = Mutex::new(None);
        let write = |layer: &dyn Layer, writer: &mut dyn Write| {
            layer.write_to(&mut Watched {
                writer,
                blob: self.descriptor(),
                context,
                stopped: &stopped,
            })
        };
        let result = match self {
            Self::Config(descriptor, bytes) => {
                context.advance(descriptor, bytes.len() as u64)?;
                consume(&mut &**bytes).map(|used| (used, (*descriptor).clone()))
            }
            Self::Layer(layer) => piped(|writer| write(*layer, writer), consume)
                .map(|((), used)| (used, self.descriptor().clone())),
            Self::Compressed(layer, compression) => piped(
                |writer| {
                    compress_layer(layer.descriptor(), *compression, writer, |writer| {
                        write(*layer, writer)
                    })
                },
                consume,
            )
            .map(|(descriptor, used)| (used, descriptor)),
        };
        match stopped.into_inner().unwrap_or_else(PoisonError::into_inner) {
            Some(error) => Err(error),
            None => result,
        }
    }
}

/// The bytes of a blob for an upload: where it is in them, and what is wrong with them.
pub(super) struct UploadReader<'a> {
    reader: &'a mut dyn Read,
    /// What was promised, if anything was.
    known: Option<&'a Descriptor>,
    position: u64,
    failure: Option<Error>,
}

impl<'a> UploadReader<'a> {
    /// The bytes that `reader` gives, of a blob that may be known.
    pub(super) fn new(reader: &'a mut dyn Read, known: Option<&'a Descriptor>) -> Self {
        Self {
            reader,
            known,
            position: 0,
            failure: None,
        }
    }

    /// How many bytes were read.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// How many bytes are left, if that is known.
    pub(super) fn left(&self) -> Option<u64> {
        self.known
            .map(|blob| blob.size.saturating_sub(self.position))
    }

    /// Passes over what the registry has.
    pub(super) fn skip(&mut self, bytes: u64) -> io::Result<()> {
        io::copy(&mut self.take(bytes), &mut io::sink()).map(|_| ())
    }

    /// Whether everything was read. Reading to the end also lets a layer say that it is not the
    /// promised one.
    pub(super) fn is_at_end(&mut self) -> bool {
        if self.failure.is_some() || self.left().is_some_and(|left| left > 0) {
            return false;
        }
        match (self.reader.read(&mut [0]), self.known) {
            (Ok(0), _) => true,
            (Ok(_), Some(known)) => {
                self.failure = Some(wrong_size(known));
                false
            }
            (Ok(_), None) => false,
            (Err(error), _) => {
                self.failure = Some(Error::stream("a blob")(error));
                false
            }
        }
    }

    /// What is wrong with the bytes themselves.
    pub(super) fn check(self) -> Result<()> {
        self.failure.map_or(Ok(()), Err)
    }
}

impl UploadReader<'_> {
    /// Ends what cannot go on. Where no length was promised, the registry then answers where the upload
    /// is, and it can be cancelled: docker-registry 2.8 does not know it any more at its old URL.
    fn stop(&self) -> io::Result<usize> {
        match self.known {
            Some(_) => Err(io::Error::other("stopped")),
            None => Ok(0),
        }
    }
}

impl Read for UploadReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.failure.is_some() {
            return self.stop();
        }
        let left = self.left().and_then(|left| usize::try_from(left).ok());
        let most = left.unwrap_or(usize::MAX).min(buffer.len());
        if most == 0 {
            return Ok(0);
        }
        let count = match self.reader.read(&mut buffer[..most]) {
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Err(error),
            Err(error) => {
                self.failure = Some(Error::stream("a blob")(error));
                return self.stop();
            }
        };
        if count == 0
            && let Some(known) = self.known
        {
            self.failure = Some(wrong_size(known));
            return Err(io::Error::other("stopped"));
        }
        self.position += count as u64;
        Ok(count)
    }
}

fn wrong_size(blob: &Descriptor) -> Error {
    Error::Mismatch {
        what: format!("layer {}", blob.digest),
        expected: format!("{} bytes", blob.size),
        found: "another number".to_owned(),
        hint: "build the image again".to_owned(),
    }
}

/// A writer that reports what passes through it, and stops when it is told to. Unlike the one of
/// `strata_progress` it keeps the reason aside: the encoders between here and the reader lose it.
struct Watched<'w, 'a> {
    writer: &'w mut dyn Write,
    blob: &'a Descriptor,
    context: Context<'a>,
    /// Why it stopped, if it was told to.
    stopped: &'a Mutex<Option<Error>>,
}

impl Write for Watched<'_, '_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.writer.write(bytes)?;
        self.context
            .advance(self.blob, count as u64)
            .map_err(|error| {
                *self.stopped.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                io::Error::other("stopped")
            })?;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}
