//! Compressed layers that several clients want: made once for all that ask at the same time, and kept for those
//! who ask later, as far as there is room.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;

use strata_error::{Error, Result};
use strata_layer::Layer;
use strata_oci::{Compression, Descriptor, Digest};
use strata_tree::Recipe;

/// The most bytes of layers that are kept. A larger layer is made for each client.
const MOST_KEPT: u64 = 256 << 20;

/// The layers that are made or kept.
pub struct SharedLayers {
    most: u64,
    layers: Mutex<BTreeMap<Digest, Kept>>,
}

struct Kept {
    bytes: Arc<Readable>,
    size: u64,
    /// Larger for what was asked for later.
    asked: u64,
}

/// What readers share, so that they can be counted: whoever makes the bytes is none of them.
struct Readable(Arc<Bytes>);

/// The bytes of a layer, as far as they are made.
#[derive(Default)]
struct Bytes {
    made: Mutex<Made>,
    changed: Condvar,
}

#[derive(Default)]
struct Made {
    chunks: Vec<Arc<[u8]>>,
    /// How it ended: what is wrong with the layer, and the way out.
    end: Option<Result<(), (String, String)>>,
}

/// A compressed layer that is shared.
pub(crate) struct SharedLayer {
    pub(crate) layer: Arc<dyn Layer>,
    pub(crate) shared: Arc<SharedLayers>,
}

impl Default for SharedLayers {
    fn default() -> Self {
        Self::new(MOST_KEPT)
    }
}

impl SharedLayers {
    /// Keeps so many bytes at most.
    fn new(most: u64) -> Self {
        Self {
            most,
            layers: Mutex::default(),
        }
    }

    /// The bytes of a layer; they begin to be made if nobody has begun. None if there is no room for them.
    fn get(&self, layer: &Arc<dyn Layer>) -> Option<Arc<Readable>> {
        let Descriptor { digest, size, .. } = *layer.descriptor();
        let mut layers = lock(&self.layers);
        let asked = layers.values().map(|kept| kept.asked + 1).max();
        let asked = asked.unwrap_or_default();
        // What failed may work the next time: the store is repaired.
        if let Some(kept) = layers.get_mut(&digest)
            && !kept.bytes.0.has_failed()
        {
            kept.asked = asked;
            return Some(Arc::clone(&kept.bytes));
        }
        layers.remove(&digest);
        let mut used: u64 = layers.values().map(|kept| kept.size).sum();
        while used.checked_add(size)? > self.most {
            // What somebody reads takes its memory in any case.
            let unused = layers.iter();
            let unused = unused.filter(|(_, kept)| Arc::strong_count(&kept.bytes) == 1);
            let (oldest, kept) = unused.min_by_key(|(_, kept)| kept.asked)?;
            let (oldest, size) = (*oldest, kept.size);
            layers.remove(&oldest);
            used -= size;
        }
        let bytes = Arc::new(Readable(Arc::default()));
        let (layer, making) = (Arc::clone(layer), Arc::downgrade(&bytes.0));
        let make = thread::Builder::new().spawn(move || make(layer.as_ref(), making));
        // Without another thread each client makes its own.
        make.ok()?;
        let kept = Kept {
            bytes: Arc::clone(&bytes),
            size,
            asked,
        };
        layers.insert(digest, kept);
        Some(bytes)
    }
}

/// Makes a layer, as long as somebody may read it: when the server ends, or the room is needed, nobody does.
fn make(layer: &dyn Layer, bytes: Weak<Bytes>) {
    let mut writer = Filling(bytes);
    let result = layer.write_to(&mut writer);
    if let Some(bytes) = writer.0.upgrade() {
        let result = result.map_err(|error| (error.to_string(), error.hint().unwrap_or_default()));
        lock(&bytes.made).end = Some(result);
        bytes.changed.notify_all();
    }
}

/// Writes to what readers wait for.
struct Filling(Weak<Bytes>);

impl Write for Filling {
    fn write(&mut self, chunk: &[u8]) -> io::Result<usize> {
        let bytes = self.0.upgrade().ok_or(io::ErrorKind::BrokenPipe)?;
        lock(&bytes.made).chunks.push(chunk.into());
        bytes.changed.notify_all();
        Ok(chunk.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Bytes {
    fn has_failed(&self) -> bool {
        matches!(lock(&self.made).end, Some(Err(_)))
    }

    /// Writes all, as it is made.
    fn write_to(&self, name: &str, writer: &mut dyn Write) -> Result<()> {
        let mut written = 0;
        loop {
            let made = lock(&self.made);
            let waiting = |made: &mut Made| made.chunks.len() == written && made.end.is_none();
            let made = self.changed.wait_while(made, waiting);
            let made = made.unwrap_or_else(PoisonError::into_inner);
            let Some(chunk) = made.chunks.get(written).cloned() else {
                return match &made.end {
                    Some(Err((message, hint))) => Err(Error::Document {
                        document: name.to_owned(),
                        message: message.clone(),
                        hint: hint.clone(),
                    }),
                    _ => Ok(()),
                };
            };
            drop(made);
            writer
                .write_all(&chunk)
                .map_err(strata_archive::write_error("a layer"))?;
            written += 1;
        }
    }
}

impl Layer for SharedLayer {
    fn descriptor(&self) -> &Descriptor {
        self.layer.descriptor()
    }

    fn diff_id(&self) -> Digest {
        self.layer.diff_id()
    }

    fn recipe(&self) -> Option<&Recipe> {
        self.layer.recipe()
    }

    fn uncompressed(&self) -> Option<Arc<dyn Layer>> {
        self.layer.uncompressed()
    }

    fn compression(&self) -> Option<Compression> {
        self.layer.compression()
    }

    fn write_to(&self, writer: &mut dyn Write) -> Result<()> {
        match self.shared.get(&self.layer) {
            Some(bytes) => bytes
                .0
                .write_to(&format!("layer {}", self.descriptor().digest), writer),
            None => self.layer.write_to(writer),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is in it is right between any two statements.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc::{Receiver, Sender, channel};

    use strata_oci::media_type;

    /// A layer that counts how often it is made, and waits in the middle until it may go on.
    struct Counted {
        descriptor: Descriptor,
        bytes: Vec<u8>,
        times: AtomicUsize,
        is_broken: bool,
        gate: Option<Mutex<Receiver<()>>>,
    }

    impl Layer for Counted {
        fn descriptor(&self) -> &Descriptor {
            &self.descriptor
        }

        fn diff_id(&self) -> Digest {
            self.descriptor.digest
        }

        fn recipe(&self) -> Option<&Recipe> {
            None
        }

        fn write_to(&self, writer: &mut dyn Write) -> Result<()> {
            self.times.fetch_add(1, Ordering::SeqCst);
            let (one, two) = self.bytes.split_at(self.bytes.len() / 2);
            writer.write_all(one).unwrap();
            if let Some(gate) = &self.gate {
                gate.lock().unwrap().recv().unwrap();
            }
            if self.is_broken {
                return Err(Error::Document {
                    document: "it".to_owned(),
                    message: "is broken".to_owned(),
                    hint: "mend it".to_owned(),
                });
            }
            writer.write_all(two).unwrap();
            Ok(())
        }
    }

    fn layer(number: u8, size: usize) -> Counted {
        let bytes = vec![number; size];
        Counted {
            descriptor: Descriptor::of(media_type::LAYER_TAR_GZIP, &bytes),
            bytes,
            times: AtomicUsize::default(),
            is_broken: false,
            gate: None,
        }
    }

    fn gated(number: u8) -> (Counted, Sender<()>) {
        let (sender, receiver) = channel();
        let gate = Some(Mutex::new(receiver));
        (
            Counted {
                gate,
                ..layer(number, 100)
            },
            sender,
        )
    }

    fn shared(layer: &Arc<Counted>, shared: &Arc<SharedLayers>) -> SharedLayer {
        SharedLayer {
            layer: Arc::clone(layer) as Arc<dyn Layer>,
            shared: Arc::clone(shared),
        }
    }

    fn read(layer: &SharedLayer) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        layer.write_to(&mut bytes).map(|()| bytes)
    }

    /// Row 7 of "Strangers' clients and registries".
    #[test]
    fn row_7_all_who_ask_at_the_same_time_get_one() {
        let (counted, gate) = gated(1);
        let counted = Arc::new(counted);
        let layer = shared(&counted, &Arc::default());
        thread::scope(|scope| {
            let readers: Vec<_> = (0..8).map(|_| scope.spawn(|| read(&layer))).collect();
            gate.send(()).unwrap();
            for reader in readers {
                assert_eq!(reader.join().unwrap().unwrap(), counted.bytes);
            }
        });
        assert_eq!(read(&layer).unwrap(), counted.bytes);
        assert_eq!(counted.times.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn row_7_what_was_asked_for_last_is_kept() {
        let layers: Vec<_> = (0..3).map(|number| Arc::new(layer(number, 40))).collect();
        let large = Arc::new(layer(9, 101));
        let most = Arc::new(SharedLayers::new(100));
        for number in [0, 1, 0, 2, 0, 1] {
            assert_eq!(
                read(&shared(&layers[number], &most)).unwrap(),
                layers[number].bytes
            );
        }
        // 1 had to go for 2, and 2 for 1.
        let times = layers
            .iter()
            .map(|layer| layer.times.load(Ordering::SeqCst));
        assert_eq!(times.collect::<Vec<_>>(), [1, 2, 1]);
        for _ in 0..2 {
            assert_eq!(read(&shared(&large, &most)).unwrap(), large.bytes);
        }
        assert_eq!(large.times.load(Ordering::SeqCst), 2);
    }

    /// A reader that leaves is nobody's loss, one that is slow holds nobody up, and what is read or made has its
    /// room to itself.
    #[test]
    fn row_7_readers_do_not_depend_on_each_other() {
        struct Gone;
        impl Write for Gone {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let (counted, gate) = gated(1);
        let counted = Arc::new(counted);
        let most = Arc::new(SharedLayers::new(150));
        let first = shared(&counted, &most);
        first.write_to(&mut Gone).unwrap_err();
        let other = Arc::new(layer(2, 100));
        thread::scope(|scope| {
            let reader = scope.spawn(|| read(&first));
            while Arc::strong_count(&lock(&most.layers)[&counted.descriptor.digest].bytes) == 1 {
                thread::yield_now();
            }
            assert_eq!(read(&shared(&other, &most)).unwrap(), other.bytes);
            gate.send(()).unwrap();
            assert_eq!(reader.join().unwrap().unwrap(), counted.bytes);
        });
        assert_eq!(counted.times.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn row_7_what_failed_is_made_again() {
        let counted = Arc::new(Counted {
            is_broken: true,
            ..layer(1, 100)
        });
        let layer = shared(&counted, &Arc::default());
        for times in 1..3 {
            let error = read(&layer).unwrap_err();
            assert!(error.to_string().ends_with("it: is broken"), "{error}");
            assert_eq!(error.hint().as_deref(), Some("mend it"));
            assert_eq!(counted.times.load(Ordering::SeqCst), times);
        }
    }
}
