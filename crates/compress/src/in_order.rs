//! Work on its way: done by whoever has time, its results taken in order.

use std::collections::VecDeque;
use std::io;
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

/// How many tasks may be on their way at most: as many as compressors need that together are as
/// fast as one that makes a layer.
const MOST_ON_THE_WAY: usize = 16;

/// Tasks in their order.
pub(super) struct InOrder<T> {
    tasks: VecDeque<Task<T>>,
    /// How many may be on their way.
    most: usize,
}

impl<T: Send + 'static> InOrder<T> {
    pub(super) fn new() -> Self {
        Self {
            tasks: VecDeque::new(),
            // One more than there are threads, so that none is idle while the first is written.
            most: (rayon::current_num_threads() + 1).min(MOST_ON_THE_WAY),
        }
    }

    /// Has `work` done, behind all that is on its way.
    pub(super) fn push(&mut self, work: impl FnOnce() -> io::Result<T> + Send + 'static) {
        self.tasks.push_back(Task::send(Box::new(work)));
    }

    /// The result of the first task while more are on their way than may be.
    pub(super) fn next_of_many(&mut self) -> Option<io::Result<T>> {
        if self.tasks.len() > self.most {
            self.next()
        } else {
            None
        }
    }

    /// The result of the first task.
    pub(super) fn next(&mut self) -> Option<io::Result<T>> {
        self.tasks.pop_front().map(Task::result)
    }
}

type Work<T> = Box<dyn FnOnce() -> io::Result<T> + Send>;

/// A task that some thread of the pool will do, if the caller does not need it before.
///
/// The caller may be a thread of the pool itself, and all others may be waiting just like it. So a
/// task that no thread has begun is done by the one who waits for it: a thread only ever
/// waits for another that is at work.
struct Task<T> {
    work: Arc<Mutex<Option<Work<T>>>>,
    output: Receiver<io::Result<T>>,
}

impl<T: Send + 'static> Task<T> {
    fn send(work: Work<T>) -> Self {
        let work = Arc::new(Mutex::new(Some(work)));
        let (sender, output) = sync_channel(1);
        // Weak: when the caller has given up, there is nothing to do.
        let begun = Arc::downgrade(&work);
        rayon::spawn(move || {
            let work = begun.upgrade().and_then(|work| take(&work));
            if let Some(work) = work {
                // The caller may have given up meanwhile.
                let _ = sender.send(work());
            }
        });
        Self { work, output }
    }

    fn result(self) -> io::Result<T> {
        match take(&self.work) {
            Some(work) => work(),
            None => self
                .output
                .recv()
                .unwrap_or_else(|_| Err(io::Error::other("a piece could not be compressed"))),
        }
    }
}

fn take<T>(work: &Mutex<Option<T>>) -> Option<T> {
    work.lock().unwrap_or_else(PoisonError::into_inner).take()
}
