//! A pool of workers for the blobs of an image: many quick checks at once, and few long transfers, the
//! first of which begin before the last check.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use strata_error::{Error, Result};
use strata_progress::{Cancel, Context};

/// The most checks at once: what a registry answers from memory, and the network delays.
const CHECKS: usize = 8;
/// The most transfers at once, on any number of cores: while one waits for a registry's response, others
/// make and compress layers. More hardly fill a line better, and registries limit requests.
const TRANSFERS: usize = 4;

/// Calls `check` for each of `jobs`, and `transfer` for those for which it gives no result, the first of
/// them first. Gives the results in the order of the jobs. The first failure is the result of all; the
/// context of the other jobs is cancelled then.
pub fn run<J: Sync, T: Send>(
    jobs: &[J],
    context: Context<'_>,
    check: impl Fn(&J, Context<'_>) -> Result<Option<T>> + Sync,
    transfer: impl Fn(&J, Context<'_>) -> Result<T> + Sync,
) -> Result<Vec<T>> {
    let checkers = jobs.len().min(CHECKS);
    let stop = Stop {
        stopped: AtomicBool::new(false),
        cancel: context.cancel,
    };
    let pool = Pool {
        queue: Mutex::new(Queue::new(checkers)),
        changed: Condvar::new(),
        stop: &stop,
    };
    let context = context.cancelled_by(&stop);
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..checkers {
            scope.spawn(|| {
                while let Some((number, job)) = pool.next_check(&next, jobs) {
                    match check(job, context) {
                        Ok(Some(result)) => pool.finish(number, result),
                        Ok(None) => pool.change(|queue| {
                            queue.waiting.insert(number);
                        }),
                        Err(error) => pool.fail(error),
                    }
                }
                pool.change(|queue| queue.checkers -= 1);
            });
        }
        for _ in 0..jobs.len().min(TRANSFERS) {
            scope.spawn(|| {
                while let Some((number, job)) = pool.next_transfer(jobs) {
                    match transfer(job, context) {
                        Ok(result) => pool.finish(number, result),
                        Err(error) => pool.fail(error),
                    }
                }
            });
        }
    });
    let queue = pool.queue.into_inner();
    let queue = queue.unwrap_or_else(PoisonError::into_inner);
    match queue.failure {
        Some(error) => Err(error),
        None => Ok(queue.results.into_values().collect()),
    }
}

/// Stops a job because another one failed, or because the user gave up.
struct Stop<'a> {
    stopped: AtomicBool,
    cancel: &'a dyn Cancel,
}

impl Stop<'_> {
    fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }
}

impl Cancel for Stop<'_> {
    fn check(&self) -> Result<()> {
        // The failure of the other one is what is reported.
        if self.is_stopped() {
            return Err(Error::Interrupted);
        }
        self.cancel.check()
    }
}

/// What the workers share.
struct Queue<T> {
    /// The jobs that wait to be transferred.
    waiting: BTreeSet<usize>,
    /// Workers that may still find such jobs.
    checkers: usize,
    results: BTreeMap<usize, T>,
    failure: Option<Error>,
}

impl<T> Queue<T> {
    fn new(checkers: usize) -> Self {
        Self {
            waiting: BTreeSet::new(),
            checkers,
            results: BTreeMap::new(),
            failure: None,
        }
    }
}

struct Pool<'a, T> {
    queue: Mutex<Queue<T>>,
    changed: Condvar,
    stop: &'a Stop<'a>,
}

impl<T> Pool<'_, T> {
    fn next_check<'j, J>(&self, next: &AtomicUsize, jobs: &'j [J]) -> Option<(usize, &'j J)> {
        let number = next.fetch_add(1, Ordering::Relaxed);
        let job = jobs.get(number)?;
        (!self.stop.is_stopped()).then_some((number, job))
    }

    fn next_transfer<'j, J>(&self, jobs: &'j [J]) -> Option<(usize, &'j J)> {
        let mut queue = self.lock();
        loop {
            if self.stop.is_stopped() {
                return None;
            }
            if let Some(number) = queue.waiting.pop_first() {
                return Some((number, jobs.get(number)?));
            }
            if queue.checkers == 0 {
                return None;
            }
            queue = self
                .changed
                .wait(queue)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn finish(&self, number: usize, result: T) {
        self.lock().results.insert(number, result);
    }

    fn change(&self, change: impl FnOnce(&mut Queue<T>)) {
        change(&mut self.lock());
        self.changed.notify_all();
    }

    fn fail(&self, error: Error) {
        self.change(|queue| {
            queue.failure.get_or_insert(error);
            // After the reason: others fail because of it.
            self.stop.stopped.store(true, Ordering::Relaxed);
        });
    }

    fn lock(&self) -> MutexGuard<'_, Queue<T>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn numbers(count: usize) -> Vec<usize> {
        (0..count).collect()
    }

    #[test]
    fn what_no_check_settles_is_transferred_once() {
        let done = Mutex::new(Vec::new());
        let transfer = |number: &usize, _: Context<'_>| {
            done.lock().unwrap().push(*number);
            Ok((*number, "transferred"))
        };
        let check = |number: &usize, _: Context<'_>| {
            Ok((!number.is_multiple_of(3)).then_some((*number, "checked")))
        };
        let results = run(&numbers(100), Context::silent(), check, transfer).unwrap();
        let expected = (0..100).map(|number| match number % 3 {
            0 => (number, "transferred"),
            _ => (number, "checked"),
        });
        assert_eq!(results, expected.collect::<Vec<_>>());
        let mut done = done.lock().unwrap();
        done.sort_unstable();
        assert_eq!(*done, (0..100).step_by(3).collect::<Vec<_>>());
        assert_eq!(run(&[], Context::silent(), check, transfer).unwrap(), []);
    }

    /// Whoever sees that it should stop finds the reason there already.
    #[test]
    fn the_first_failure_is_the_result() {
        let stop = Stop {
            stopped: AtomicBool::new(false),
            cancel: Context::silent().cancel,
        };
        let pool = Pool::<()> {
            queue: Mutex::new(Queue::new(0)),
            changed: Condvar::new(),
            stop: &stop,
        };
        thread::scope(|scope| {
            let queue = pool.lock();
            scope.spawn(|| pool.fail(Error::Interrupted));
            // Time enough to do what must not be done.
            thread::sleep(Duration::from_millis(20));
            assert!(!stop.is_stopped());
            drop(queue);
        });
        assert!(stop.check().is_err() && pool.lock().failure.is_some());
    }

    #[test]
    fn a_failure_ends_everything() {
        let count = AtomicUsize::new(0);
        let fail = |_: &usize, _: Context<'_>| -> Result<()> {
            count.fetch_add(1, Ordering::Relaxed);
            Err(Error::Interrupted)
        };
        let jobs = numbers(1000);
        assert!(run(&jobs, Context::silent(), |_, _| Ok(None), fail).is_err());
        assert!(count.load(Ordering::Relaxed) <= TRANSFERS);
        let check = |number: &usize, _: Context<'_>| {
            if *number == 3 {
                Err(Error::Interrupted)
            } else {
                Ok(Some(()))
            }
        };
        assert!(run(&jobs, Context::silent(), check, |_, _| Ok(())).is_err());
    }
}
