//! A pool of workers for the blobs of an image: many quick checks at once, some short transfers and few long
//! ones, the first of which begin before the last check.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use strata_error::{Error, Result};
use strata_progress::{Cancel, Context};

/// The most checks at once: what a registry answers from memory, and the network delays. Strata cuts images
/// into 60 layers at most, so all of one are asked for in one round trip; that is no more requests than one
/// after the other.
pub const CHECKS: usize = 64;

/// The most transfers at once.
#[derive(Clone, Copy, Debug)]
pub struct Transfers {
    /// The most in all.
    pub all: usize,
    /// The most of large blobs.
    pub large: usize,
}

impl Transfers {
    /// As many as are asked for, of any size.
    pub fn limited_to(jobs: NonZeroUsize) -> Self {
        let jobs = jobs.get();
        Self {
            all: jobs,
            large: jobs,
        }
    }
}

impl Default for Transfers {
    /// On any number of cores. Small blobs mostly wait for a registry's response, two or three times each; so
    /// many of them keep the line and the cores busy at 50 ms, and hold 64 MiB at most. Of large ones more
    /// than four hardly fill a line better, and registries limit requests.
    fn default() -> Self {
        Self { all: 16, large: 4 }
    }
}

/// Calls `check` for each of `jobs`, and `transfer` for those for which it gives no result, the first of
/// them first; those that are not small wait for their turn. Gives the results in the order of the jobs. The
/// first failure is the result of all; the context of the other jobs is cancelled then.
pub fn run<J: Sync, T: Send>(
    jobs: &[J],
    transfers: Transfers,
    context: Context<'_>,
    is_small: impl Fn(&J) -> bool + Sync,
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
        for _ in 0..jobs.len().min(transfers.all) {
            scope.spawn(|| {
                while let Some((number, job)) = pool.next_transfer(jobs, transfers.large, &is_small)
                {
                    match transfer(job, context) {
                        Ok(result) => pool.finish(number, result),
                        Err(error) => pool.fail(error),
                    }
                    if !is_small(job) {
                        pool.change(|queue| queue.large -= 1);
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
    /// How many large ones are being transferred.
    large: usize,
    /// Workers that may still find such jobs.
    checkers: usize,
    results: BTreeMap<usize, T>,
    failure: Option<Error>,
}

impl<T> Queue<T> {
    fn new(checkers: usize) -> Self {
        Self {
            waiting: BTreeSet::new(),
            large: 0,
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

    /// The first job that waits and may be transferred now, when `most_large` large ones may be at once.
    fn next_transfer<'j, J>(
        &self,
        jobs: &'j [J],
        most_large: usize,
        is_small: &impl Fn(&J) -> bool,
    ) -> Option<(usize, &'j J)> {
        let mut queue = self.lock();
        loop {
            if self.stop.is_stopped() {
                return None;
            }
            let has_room = queue.large < most_large;
            let mut waiting = queue.waiting.iter().copied();
            let next = waiting.find_map(|number| {
                let job = jobs.get(number)?;
                (has_room || is_small(job)).then_some((number, job))
            });
            if let Some((number, job)) = next {
                queue.waiting.remove(&number);
                queue.large += usize::from(!is_small(job));
                return Some((number, job));
            }
            if queue.checkers == 0 && queue.waiting.is_empty() {
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

    fn run_small<T: Send>(
        jobs: &[usize],
        check: impl Fn(&usize, Context<'_>) -> Result<Option<T>> + Sync,
        transfer: impl Fn(&usize, Context<'_>) -> Result<T> + Sync,
    ) -> Result<Vec<T>> {
        let (limits, context) = (Transfers::default(), Context::silent());
        run(jobs, limits, context, |_| true, check, transfer)
    }

    /// Small ones do not wait for large ones, and of both there are never more than may be.
    #[test]
    fn large_ones_leave_room_for_small_ones() {
        let jobs = numbers(40);
        let is_small = |number: &usize| *number >= 10;
        for (limits, expected) in [
            (Transfers { all: 6, large: 2 }, (6, 2)),
            (Transfers::limited_to(NonZeroUsize::MIN), (1, 1)),
        ] {
            // Both now, and the most of both so far.
            let seen = Mutex::new([(0_usize, 0_usize); 2]);
            let transfer = |number: &usize, _: Context<'_>| {
                let large = usize::from(!is_small(number));
                let mut now = seen.lock().unwrap();
                now[0] = (now[0].0 + 1, now[0].1 + large);
                now[1] = (now[1].0.max(now[0].0), now[1].1.max(now[0].1));
                drop(now);
                thread::sleep(Duration::from_millis(5));
                let mut now = seen.lock().unwrap();
                now[0] = (now[0].0 - 1, now[0].1 - large);
                Ok(())
            };
            let none = |_: &usize, _: Context<'_>| Ok(None);
            let done = run(&jobs, limits, Context::silent(), is_small, none, transfer);
            assert_eq!(done.unwrap().len(), 40);
            assert_eq!(seen.into_inner().unwrap(), [(0, 0), expected]);
        }
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
        let results = run_small(&numbers(100), check, transfer).unwrap();
        let expected = (0..100).map(|number| match number % 3 {
            0 => (number, "transferred"),
            _ => (number, "checked"),
        });
        assert_eq!(results, expected.collect::<Vec<_>>());
        let mut done = done.lock().unwrap();
        done.sort_unstable();
        assert_eq!(*done, (0..100).step_by(3).collect::<Vec<_>>());
        assert_eq!(run_small(&[], check, transfer).unwrap(), []);
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
        assert!(run_small(&jobs, |_, _| Ok(None), fail).is_err());
        assert!(count.load(Ordering::Relaxed) <= Transfers::default().all);
        let check = |number: &usize, _: Context<'_>| {
            if *number == 3 {
                Err(Error::Interrupted)
            } else {
                Ok(Some(()))
            }
        };
        assert!(run_small(&jobs, check, |_, _| Ok(())).is_err());
    }
}
