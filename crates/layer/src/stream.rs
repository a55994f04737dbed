//! Making the bytes of layers: straight into a writer, into many digests at once, or as a reader.

use std::cmp::Reverse;
use std::io::{self, Read, Write};
use std::num::NonZeroUsize;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread;

use super::tar_layer::{Described, visit_beside, write_entries, write_whole};
use super::{Layer, PathRule};
use strata_archive::{ArchiveWriter, MODIFICATION_TIME};
use strata_error::{Error, Result};
use strata_nix::Store;
use strata_oci::{Digest, Hasher};
use strata_tree::{LayerTree, Recipe};

/// How much is handed from one thread to another at a time, in bytes. It and what waits fit into a
/// second-level cache.
const CHUNK: usize = 128 * 1024;
/// How many chunks may wait.
const WAITING: usize = 4;

/// What digesting a recipe gives.
#[derive(Clone, Debug)]
pub struct Digested {
    /// The digest of the tar.
    pub digest: Digest,
    /// The length of the tar in bytes.
    pub size: u64,
    /// The rules about paths in the store that match no file.
    pub unmatched: Vec<PathRule>,
}

/// Writes the tar of a layer; gives the rules about paths in the store that match no file.
pub fn write_layer(
    recipe: &Recipe,
    store: &Store,
    writer: &mut dyn Write,
) -> Result<Vec<PathRule>> {
    if let Some(tar) = &recipe.tar
        && recipe.is_tar_alone()
        && recipe.redirects.is_empty()
    {
        write_whole(tar, store, writer)?;
        return Ok(Vec::new());
    }
    let tree = LayerTree::new(recipe, store)?;
    let time = recipe.mtime.unwrap_or(MODIFICATION_TIME);
    let mut archive = ArchiveWriter::new(writer, "a layer").modified_at(time);
    let described = match &recipe.tar {
        Some(tar) => write_entries(recipe, tar, store, &mut archive)?,
        None => Described::default(),
    };
    visit_beside(&tree, &described, &mut |entry| archive.entry(entry))?;
    archive.finish()?;
    let unmatched = tree.unmatched().filter(|(source, _)| !source.to_root);
    let unmatched = unmatched.map(|(source, rule)| PathRule {
        path: source.store_path.clone(),
        rule: rule.clone(),
    });
    Ok(unmatched.collect())
}

/// Digests recipes, `threads` at a time; the results are in the recipes' order.
pub fn digest_recipes(
    recipes: &[&Recipe],
    store: &Store,
    threads: NonZeroUsize,
) -> Result<Vec<Digested>> {
    let size = |recipe: &Recipe| {
        let contents = recipe.store_contents();
        contents.map(|content| content.nar_size).sum::<u64>()
    };
    let total: u64 = recipes.iter().map(|recipe| size(recipe)).sum();
    let mut largest_first: Vec<usize> = (0..recipes.len()).collect();
    largest_first.sort_by_key(|number| Reverse(size(recipes[*number])));

    let next = AtomicUsize::new(0);
    let results = Mutex::new((0..recipes.len()).map(|_| None).collect::<Vec<_>>());
    let work = || {
        while let Some(number) = largest_first.get(next.fetch_add(1, Ordering::Relaxed)) {
            let recipe = recipes[*number];
            // A layer that alone takes longer than its share would end when the other threads
            // have nothing left to do: give its files to one thread and its hash to another.
            let is_large = size(recipe).saturating_mul(threads.get() as u64) > total;
            let result = if threads.get() > 1 && is_large {
                digest_with_two_threads(recipe, store)
            } else {
                digest(recipe, store)
            };
            let is_error = result.is_err();
            if let Ok(mut results) = results.lock() {
                results[*number] = Some(result);
            }
            if is_error {
                next.store(largest_first.len(), Ordering::Relaxed);
            }
        }
    };
    thread::scope(|scope| {
        for _ in 1..threads.get().min(recipes.len()) {
            scope.spawn(work);
        }
        work();
    });
    // No thread panics while it holds the lock.
    let results = results.into_inner().unwrap_or_default();
    results.into_iter().flatten().collect()
}

fn digest(recipe: &Recipe, store: &Store) -> Result<Digested> {
    let mut hasher = Hasher::default();
    let unmatched = write_layer(recipe, store, &mut hasher)?;
    let (digest, size) = hasher.finish();
    Ok(Digested {
        digest,
        size,
        unmatched,
    })
}

fn digest_with_two_threads(recipe: &Recipe, store: &Store) -> Result<Digested> {
    let mut hasher = Hasher::default();
    let (unmatched, _) = piped(
        |writer| write_layer(recipe, store, writer),
        // The copying pays: it gets the bytes from the other core's cache faster than hashing does.
        |reader| io::copy(reader, &mut hasher).map_err(Error::stream("a layer")),
    )?;
    let (digest, size) = hasher.finish();
    Ok(Digested {
        digest,
        size,
        unmatched,
    })
}

/// Lets `consume` read the bytes of a layer while another thread makes them. The result is an
/// error if either fails; when the layer's bytes turn out wrong, it is that error.
pub fn read_layer<T>(
    layer: &dyn Layer,
    consume: impl FnOnce(&mut dyn Read) -> Result<T>,
) -> Result<T> {
    piped(|writer| layer.write_to(writer), consume).map(|((), result)| result)
}

/// Runs a producer in another thread and a consumer, which reads what it writes, in this one. The
/// result is an error if either fails; the producer's, if both do, unless the consumer just stopped
/// reading.
pub fn piped<P: Send, C>(
    produce: impl FnOnce(&mut dyn Write) -> Result<P> + Send,
    consume: impl FnOnce(&mut dyn Read) -> Result<C>,
) -> Result<(P, C)> {
    let (sender, receiver) = sync_channel(WAITING);
    let (used, recycled) = channel();
    let mut writer = PipeWriter {
        sender,
        recycled,
        chunk: Vec::with_capacity(CHUNK),
    };
    let mut reader = LayerReader {
        receiver,
        used,
        chunk: Vec::new(),
        position: 0,
        ended: false,
    };
    thread::scope(|scope| {
        let making = scope.spawn(move || {
            let result = produce(&mut writer)?;
            writer.finish().map_err(Error::stream("a layer"))?;
            Ok(result)
        });
        let used = consume(&mut reader);
        // A producer that still writes must find out that nobody reads.
        drop(reader);
        let produced = making.join().unwrap_or(Err(Error::Interrupted));
        match (produced, used) {
            (Ok(produced), Ok(used)) => Ok((produced, used)),
            (Err(error), Err(used)) if error.is_broken_pipe() => Err(used),
            (Err(error), _) | (Ok(_), Err(error)) => Err(error),
        }
    })
}

struct PipeWriter {
    sender: SyncSender<Option<Vec<u8>>>,
    recycled: Receiver<Vec<u8>>,
    chunk: Vec<u8>,
}

impl PipeWriter {
    fn send(&mut self) -> io::Result<()> {
        let empty = self
            .recycled
            .try_recv()
            .unwrap_or_else(|_| Vec::with_capacity(CHUNK));
        let full = std::mem::replace(&mut self.chunk, empty);
        self.sender
            .send(Some(full))
            .map_err(|_| io::ErrorKind::BrokenPipe.into())
    }

    /// Says that this is all. Without it the reader takes the end for a failure.
    fn finish(mut self) -> io::Result<()> {
        self.send()?;
        self.sender
            .send(None)
            .map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

impl Write for PipeWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = bytes.len().min(CHUNK - self.chunk.len());
        self.chunk.extend_from_slice(&bytes[..count]);
        if self.chunk.len() == CHUNK {
            self.send()?;
        }
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The reading end of a layer that another thread makes.
struct LayerReader {
    receiver: Receiver<Option<Vec<u8>>>,
    used: Sender<Vec<u8>>,
    chunk: Vec<u8>,
    position: usize,
    ended: bool,
}

impl LayerReader {
    fn next_chunk(&mut self) -> Option<Vec<u8>> {
        match self.receiver.recv() {
            Ok(Some(chunk)) => Some(chunk),
            Ok(None) => {
                self.ended = true;
                None
            }
            Err(_) => None,
        }
    }

    fn recycle(&self, mut chunk: Vec<u8>) {
        chunk.clear();
        // The producer may be done with it all.
        let _ = self.used.send(chunk);
    }
}

impl Read for LayerReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.position == self.chunk.len() && !self.ended {
            let Some(chunk) = self.next_chunk() else {
                if self.ended {
                    break;
                }
                return Err(io::Error::other("the layer could not be made"));
            };
            let empty = std::mem::replace(&mut self.chunk, chunk);
            self.recycle(empty);
            self.position = 0;
        }
        let count = buffer.len().min(self.chunk.len() - self.position);
        buffer[..count].copy_from_slice(&self.chunk[self.position..self.position + count]);
        self.position += count;
        Ok(count)
    }
}
