//! A queue: so many at once, so many more that wait, and nobody else.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// A queue with a bound.
pub(crate) struct Queue {
    at_once: usize,
    waiting: usize,
    state: Mutex<State>,
    changed: Condvar,
}

/// How many there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) running: usize,
    pub(crate) waiting: usize,
}

/// A place among those that run. Others get it when it is dropped.
pub(crate) struct Place<'a>(&'a Queue);

impl Queue {
    /// A queue in which `at_once` run, and `waiting` more wait for that.
    pub(crate) fn new(at_once: usize, waiting: usize) -> Self {
        Self {
            at_once,
            waiting,
            state: Mutex::default(),
            changed: Condvar::new(),
        }
    }

    /// How many there are at this moment.
    pub(crate) fn state(&self) -> State {
        *self.lock()
    }

    /// Waits for a place; none if too many wait already.
    pub(crate) fn enter(&self) -> Option<Place<'_>> {
        let mut state = self.lock();
        if state.running >= self.at_once {
            if state.waiting >= self.waiting {
                return None;
            }
            state.waiting += 1;
            let full = |state: &mut State| state.running >= self.at_once;
            let waited = self.changed.wait_while(state, full);
            state = waited.unwrap_or_else(PoisonError::into_inner);
            state.waiting -= 1;
        }
        state.running += 1;
        Some(Place(self))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.lock().running -= 1;
        self.0.changed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    #[test]
    fn who_finds_no_room_is_sent_away() {
        let queue = Queue::new(1, 1);
        let place = queue.enter().unwrap();
        thread::scope(|scope| {
            let waiting = scope.spawn(|| queue.enter().is_some());
            while queue.state().waiting == 0 {
                thread::yield_now();
            }
            assert!(queue.enter().is_none());
            drop(place);
            assert!(waiting.join().unwrap());
        });
        assert_eq!(queue.state(), State::default());
    }
}
