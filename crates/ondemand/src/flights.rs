//! Work that several want: done once, for all who ask while it is done.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// Work that is being done, by its key.
pub(crate) struct Flights<K, T> {
    flying: Mutex<BTreeMap<K, Arc<Flight<T>>>>,
}

struct Flight<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
}

enum State<T> {
    Flying,
    Landed(T),
    /// Whoever did it is gone without a result.
    Lost,
}

impl<K, T> Default for Flights<K, T> {
    fn default() -> Self {
        Self {
            flying: Mutex::default(),
        }
    }
}

impl<K: Clone + Ord, T: Clone> Flights<K, T> {
    /// Does the work, or waits for whoever does it already.
    pub(crate) fn run(&self, key: &K, work: impl FnOnce() -> T) -> T {
        loop {
            let mut flying = lock(&self.flying);
            let Some(flight) = flying.get(key).map(Arc::clone) else {
                let flight = Arc::new(Flight {
                    state: Mutex::new(State::Flying),
                    changed: Condvar::new(),
                });
                flying.insert(key.clone(), Arc::clone(&flight));
                drop(flying);
                let landing = Landing {
                    flights: self,
                    key,
                    flight,
                };
                let result = work();
                *lock(&landing.flight.state) = State::Landed(result.clone());
                return result;
            };
            drop(flying);
            let state = lock(&flight.state);
            let flies = |state: &mut State<T>| matches!(state, State::Flying);
            let state = flight.changed.wait_while(state, flies);
            if let State::Landed(result) = &*state.unwrap_or_else(PoisonError::into_inner) {
                return result.clone();
            }
        }
    }
}

/// Ends a flight, also when the work panics.
struct Landing<'a, K: Ord, T> {
    flights: &'a Flights<K, T>,
    key: &'a K,
    flight: Arc<Flight<T>>,
}

impl<K: Ord, T> Drop for Landing<'_, K, T> {
    fn drop(&mut self) {
        lock(&self.flights.flying).remove(self.key);
        let mut state = lock(&self.flight.state);
        if matches!(*state, State::Flying) {
            *state = State::Lost;
        }
        self.flight.changed.notify_all();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is in it is right between any two statements.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;
    use std::time::Duration;

    #[test]
    fn work_is_done_once_for_all_who_wait() {
        let flights = Flights::default();
        let (done, all) = (AtomicUsize::new(0), Barrier::new(8));
        let results: Vec<usize> = thread::scope(|scope| {
            let ask = || {
                all.wait();
                flights.run(&"key", || {
                    thread::sleep(Duration::from_millis(200));
                    done.fetch_add(1, Ordering::Relaxed) + 1
                })
            };
            let asking: Vec<_> = (0..8).map(|_| scope.spawn(ask)).collect();
            asking.into_iter().map(|it| it.join().unwrap()).collect()
        });
        assert_eq!(results, [1; 8]);
        assert_eq!(flights.run(&"key", || 5), 5, "later it is done again");
    }

    #[test]
    fn work_that_is_lost_is_done_by_somebody_else() {
        let flights = Flights::default();
        let lost = catch_unwind(AssertUnwindSafe(|| flights.run(&1, || panic!("lost"))));
        assert!(lost.is_err());
        assert_eq!(flights.run(&1, || 2), 2);
    }
}
