//! Work in two stages: many quick questions at once, and few long answers, the first of which begin
//! before the last question was asked.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use strata_error::{Error, Result};

/// The most questions at once: what a registry answers from memory, and the network delays.
const QUESTIONS: usize = 8;
/// The most transfers at once, on any number of cores: while one waits for a registry's answer, others
/// make and compress layers. More hardly fill a line better, and registries limit requests.
const TRANSFERS: usize = 4;

/// What waits for the second stage.
struct Waiting {
    jobs: BTreeSet<usize>,
    /// Workers of the first stage that are not done.
    asking: usize,
    failure: Option<Error>,
}

struct Stages<'a> {
    waiting: Mutex<Waiting>,
    changed: Condvar,
    stop: &'a AtomicBool,
}

/// Runs `ask` for each of `jobs` jobs, and `transfer` for those for which it says that this is needed,
/// the lowest number first. The first failure is the result; it sets `stop`, which the work looks at.
pub(crate) fn in_two_stages(
    jobs: usize,
    ask: impl Fn(usize) -> Result<bool> + Sync,
    transfer: impl Fn(usize) -> Result<()> + Sync,
    stop: &AtomicBool,
) -> Result<()> {
    let asking = jobs.min(QUESTIONS);
    let stages = Stages {
        waiting: Mutex::new(Waiting {
            jobs: BTreeSet::new(),
            asking,
            failure: None,
        }),
        changed: Condvar::new(),
        stop,
    };
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..asking {
            scope.spawn(|| {
                while let Some(job) = stages.next_question(&next, jobs) {
                    match ask(job) {
                        Ok(true) => stages.change(|waiting| {
                            waiting.jobs.insert(job);
                        }),
                        Ok(false) => {}
                        Err(error) => stages.fail(error),
                    }
                }
                stages.change(|waiting| waiting.asking -= 1);
            });
        }
        for _ in 0..jobs.min(TRANSFERS) {
            scope.spawn(|| {
                while let Some(job) = stages.next_transfer() {
                    if let Err(error) = transfer(job) {
                        stages.fail(error);
                    }
                }
            });
        }
    });
    let waiting = stages.waiting.into_inner();
    let waiting = waiting.unwrap_or_else(PoisonError::into_inner);
    waiting.failure.map_or(Ok(()), Err)
}

impl Stages<'_> {
    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn next_question(&self, next: &AtomicUsize, jobs: usize) -> Option<usize> {
        let job = next.fetch_add(1, Ordering::Relaxed);
        (job < jobs && !self.stopped()).then_some(job)
    }

    fn next_transfer(&self) -> Option<usize> {
        let mut waiting = self.lock();
        loop {
            if self.stopped() {
                return None;
            }
            if let Some(job) = waiting.jobs.pop_first() {
                return Some(job);
            }
            if waiting.asking == 0 {
                return None;
            }
            waiting = self
                .changed
                .wait(waiting)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn change(&self, change: impl FnOnce(&mut Waiting)) {
        change(&mut self.lock());
        self.changed.notify_all();
    }

    fn fail(&self, error: Error) {
        self.change(|waiting| {
            waiting.failure.get_or_insert(error);
            // After the reason: others fail because of it.
            self.stop.store(true, Ordering::Relaxed);
        });
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn run(
        jobs: usize,
        ask: impl Fn(usize) -> Result<bool> + Sync,
        transfer: impl Fn(usize) -> Result<()> + Sync,
    ) -> Result<()> {
        in_two_stages(jobs, ask, transfer, &AtomicBool::new(false))
    }

    #[test]
    fn what_is_asked_for_is_transferred_once() {
        let done = Mutex::new(Vec::new());
        run(
            100,
            |job| Ok(job % 3 == 0),
            |job| {
                done.lock().unwrap().push(job);
                Ok(())
            },
        )
        .unwrap();
        let mut done = done.into_inner().unwrap();
        done.sort_unstable();
        assert_eq!(done, (0..100).step_by(3).collect::<Vec<_>>());
        run(0, |_| Ok(true), |_| Ok(())).unwrap();
    }

    /// Whoever sees that it should stop finds the reason there already.
    #[test]
    fn the_first_failure_is_the_result() {
        let stop = AtomicBool::new(false);
        let stages = Stages {
            waiting: Mutex::new(Waiting {
                jobs: BTreeSet::new(),
                asking: 0,
                failure: None,
            }),
            changed: Condvar::new(),
            stop: &stop,
        };
        thread::scope(|scope| {
            let waiting = stages.lock();
            scope.spawn(|| stages.fail(Error::Interrupted));
            // Time enough to do what must not be done.
            thread::sleep(Duration::from_millis(20));
            assert!(!stages.stopped());
            drop(waiting);
        });
        assert!(stages.stopped() && stages.lock().failure.is_some());
    }

    #[test]
    fn a_failure_ends_everything() {
        let count = AtomicUsize::new(0);
        let fail = |_| {
            count.fetch_add(1, Ordering::Relaxed);
            Err(Error::Interrupted)
        };
        assert!(run(1000, |_| Ok(true), fail).is_err());
        assert!(count.load(Ordering::Relaxed) <= TRANSFERS);
        let question = |job| {
            if job == 3 {
                Err(Error::Interrupted)
            } else {
                Ok(false)
            }
        };
        assert!(run(1000, question, |_| Ok(())).is_err());
    }
}
