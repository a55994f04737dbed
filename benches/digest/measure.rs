//! Running programs and reading the clock.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use wait4::Wait4;

/// What one run took.
#[derive(Clone, Copy)]
pub(crate) struct Sample {
    /// Wall time, with the start of the process.
    pub(crate) wall: Duration,
    /// Time on all processors, also of the programs that it started.
    pub(crate) cpu: Duration,
    /// The most memory that the process, or one that it started, had at a time, in bytes.
    pub(crate) peak: u64,
}

/// Runs a program to its end; it must succeed.
pub(crate) fn run(command: &mut Command) -> Result<Sample> {
    let start = Instant::now();
    let used = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()?
        .wait4()?;
    let wall = start.elapsed();
    ensure!(used.status.success(), "{command:?} failed: {}", used.status);
    let cpu = used.rusage.utime + used.rusage.stime;
    Ok(Sample {
        wall,
        cpu,
        peak: used.rusage.maxrss,
    })
}

/// The medians of the times, and the highest peak.
pub(crate) fn median(samples: &[Sample]) -> Sample {
    let middle = |time: fn(&Sample) -> Duration| {
        let mut times: Vec<_> = samples.iter().map(time).collect();
        times.sort_unstable();
        times.get(times.len() / 2).copied().unwrap_or_default()
    };
    Sample {
        wall: middle(|sample| sample.wall),
        cpu: middle(|sample| sample.cpu),
        peak: samples.iter().map(|sample| sample.peak).max().unwrap_or(0),
    }
}
