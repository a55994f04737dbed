//! What was measured, as the tables of README.md and of the book, and what was aimed at.

use std::fs;
use std::path::PathBuf;
use std::thread;

use anyhow::Result;
use strata_image::Image;

use crate::measure::{Sample, median};
use crate::{
    CASES, GZIP, GZIP_LIMIT, GZIP_SKOPEO, LOAD, LOAD_LARGE, LOAD_SKOPEO, LOAD_SMALL, PODMAN, PUSH,
    PUSH_LARGE, PUSH_LIBRARY, PUSH_LIBRARY_SKOPEO, PUSH_SKOPEO, PUSH_SMALL, ZSTD, ZSTD_LIMIT,
};

const GB: f64 = 1e9;
const MB: f64 = 1e6;

/// Of what an edit takes there is so much at most, whatever the size of the image, in seconds.
const EDIT: f64 = 0.3;

/// A first push is so fast at least as compressing and hashing the same alone.
const RATE: f64 = 0.9;

/// Programs that were run.
#[derive(Default)]
pub(crate) struct Report {
    runs: Vec<Run>,
}

struct Run {
    case: &'static str,
    sample: Sample,
    /// What the registry read meanwhile; none if it had no part in it.
    received: Option<u64>,
}

impl Report {
    pub(crate) fn add(&mut self, case: &'static str, sample: Sample, received: Option<u64>) {
        self.runs.push(Run {
            case,
            sample,
            received,
        });
    }

    /// Prints everything. The images are the usual, the small and the large one.
    pub(crate) fn print(
        &self,
        images: [PathBuf; 3],
        rounds: usize,
        load_before: &str,
    ) -> Result<()> {
        let mut sizes = Vec::new();
        for image in images {
            let image = Image::open(&image)?;
            let layers = image.layers.iter().map(|layer| layer.descriptor().size);
            let size = layers.sum::<u64>() as f64 / GB;
            sizes.push(format!("{size:.1} GB in {} layers", image.layers.len()));
        }
        println!(
            "\n{}; the small image {}, the large one {}; {} cores; load {load_before} to {}; medians of \
             {rounds} rounds\n",
            sizes[0],
            sizes[1],
            sizes[2],
            thread::available_parallelism()?,
            load()?,
        );
        println!(
            "| | seconds | processor seconds | MB sent | MB at most |\n|---|---:|---:|---:|---:|"
        );
        for case in CASES {
            let (Sample { wall, cpu, peak }, received) = self.median(case);
            let sent = received.map_or(String::new(), |bytes| format!("{:.2}", bytes as f64 / MB));
            println!(
                "| {case} | {:.2} | {:.2} | {sent} | {:.0} |",
                wall.as_secs_f64(),
                cpu.as_secs_f64(),
                peak as f64 / MB,
            );
        }
        self.print_targets();
        Ok(())
    }

    fn print_targets(&self) {
        let wall = |case| self.median(case).0.wall.as_secs_f64();
        let cpu = |case| self.median(case).0.cpu.as_secs_f64();
        let sent = |case| self.median(case).1.unwrap_or(0) as f64;
        println!();
        for (what, slow, fast, target) in [
            ("first push, gzip", GZIP_SKOPEO, GZIP, 1.4),
            ("first push, zstd", GZIP_SKOPEO, ZSTD, 3.0),
            ("push of an edit", PUSH_SKOPEO, PUSH, 20.0),
            ("push of a library", PUSH_LIBRARY_SKOPEO, PUSH_LIBRARY, 1.4),
            ("load of an edit into Docker", LOAD_SKOPEO, LOAD, 20.0),
        ] {
            let times = format!("{what}: times as fast as skopeo");
            at_least(&times, wall(slow) / wall(fast), target);
            println!(
                "  {:50} {:7.2}",
                "by the client's processor time",
                cpu(slow) / cpu(fast)
            );
        }
        for (what, limit, case) in [("gzip", GZIP_LIMIT, GZIP), ("zstd", ZSTD_LIMIT, ZSTD)] {
            let rate = format!("first push, {what}: of the rate of compressing alone");
            at_least(&rate, wall(limit) / wall(case), RATE);
            println!(
                "  {:50} {:7.2}",
                "by the client's processor time",
                cpu(limit) / cpu(case)
            );
        }
        for (what, case) in [("gzip", GZIP), ("zstd", ZSTD)] {
            let share = format!("{what}: share of skopeo's bytes");
            at_most(&share, sent(case) / sent(GZIP_SKOPEO), 1.0);
        }
        for case in [
            PUSH_SMALL, PUSH, PUSH_LARGE, LOAD_SMALL, LOAD, LOAD_LARGE, PODMAN,
        ] {
            at_most(case, wall(case), EDIT);
        }
        let strata = self.runs.iter().filter(|run| run.case.ends_with("strata"));
        let peak = strata.map(|run| run.sample.peak).max().unwrap_or(0) as f64 / MB;
        at_most("peak memory of strata, MB", peak, 100.0);
    }

    /// The median times and bytes, and the highest peak.
    fn median(&self, case: &str) -> (Sample, Option<u64>) {
        let runs = || self.runs.iter().filter(|run| run.case == case);
        let samples: Vec<Sample> = runs().map(|run| run.sample).collect();
        let mut received: Vec<u64> = runs().filter_map(|run| run.received).collect();
        received.sort_unstable();
        (median(&samples), received.get(received.len() / 2).copied())
    }
}

fn at_least(what: &str, figure: f64, target: f64) {
    let verdict = if figure >= target { "met" } else { "MISSED" };
    println!("{what:58} {figure:7.2} (at least {target}): {verdict}");
}

fn at_most(what: &str, figure: f64, target: f64) {
    let verdict = if figure <= target { "met" } else { "MISSED" };
    println!("{what:58} {figure:7.2} (at most {target}): {verdict}");
}

/// How many processes wanted to run in the last minute.
pub(crate) fn load() -> Result<String> {
    let load = fs::read_to_string("/proc/loadavg")?;
    Ok(load.split(' ').next().unwrap_or_default().to_owned())
}
