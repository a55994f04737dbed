//! How fast the script of `streamLayeredImage` writes, which is `strata copy` to standard output: into a pipe, and
//! through it into podman. Beside it `tar` writes the same files through the same pipes, in turn, in one run.

use std::path::Path;
use std::process::Command;

use anyhow::Result;
use strata_image::Image;
use strata_testing::engines;

use crate::corpus::Corpus;
use crate::images::Images;
use crate::measure::{Sample, median, run};
use crate::report;

const ROUNDS: usize = 5;

// What is measured.
const TAR: &str = "`tar -c` into a pipe";
const STREAM: &str = "stream into a pipe";
const TAR_PODMAN: &str = "`tar -c` into `podman import`";
const STREAM_PODMAN: &str = "stream into `podman load`";
const EDIT_PODMAN: &str = "the same, application edited, its other layers there";

const CASES: [&str; 5] = [TAR, STREAM, TAR_PODMAN, STREAM_PODMAN, EDIT_PODMAN];

/// Measures all of it, and prints the table of the book.
pub(crate) fn measure(corpus: &Corpus, directory: &Path) -> Result<()> {
    let scratch = tempfile::tempdir_in(directory)?;
    let images = Images::some(corpus, "stream", 1);
    let [image, edited] = [images.with_application(0)?, images.with_application(1)?];
    let list = scratch.path().join("list");
    let mut paths: Vec<&str> = corpus
        .closure
        .iter()
        .map(|entry| entry.path.as_str())
        .collect();
    paths.push(&corpus.applications[0].path);
    std::fs::write(&list, paths.join("\n"))?;

    let tar = format!(
        "tar --create --absolute-names --files-from {}",
        quoted(&list.display())
    );
    let stream = |image: &Path| {
        let strata = env!("CARGO_BIN_EXE_strata");
        let image = quoted(&image.display());
        format!(
            "{} copy --quiet {image} docker-archive:-:bench:latest",
            quoted(&strata)
        )
    };
    let into = |arguments: &[&str]| {
        let podman = engines::podman().command(arguments);
        let words = std::iter::once(podman.get_program()).chain(podman.get_args());
        let words: Vec<String> = words.map(|word| quoted(&word.display())).collect();
        words.join(" ")
    };
    let work = [
        (TAR, format!("{tar} | cat > /dev/null")),
        (STREAM, format!("{} | cat > /dev/null", stream(&image))),
        (
            TAR_PODMAN,
            format!("{tar} | {}", into(&["import", "--quiet", "-", "bench"])),
        ),
        (
            STREAM_PODMAN,
            format!("{} | {}", stream(&image), into(&["load", "--quiet"])),
        ),
        (
            EDIT_PODMAN,
            format!("{} | {}", stream(&edited), into(&["load", "--quiet"])),
        ),
    ];
    let load_before = report::load()?;
    let mut samples: Vec<(&str, Sample)> = Vec::new();
    for _ in 0..ROUNDS {
        for (case, pipe) in &work {
            if [TAR_PODMAN, STREAM_PODMAN].contains(case) {
                run(&mut engines::podman().command(&["rmi", "--all", "--force"]))?;
            }
            samples.push((
                case,
                run(Command::new("bash").args(["-o", "pipefail", "-c", pipe]))?,
            ));
        }
    }
    let image = Image::open(&image)?;
    let bytes: u64 = image
        .layers
        .iter()
        .map(|layer| layer.descriptor().size)
        .sum();
    let megabytes = bytes as f64 / 1e6;
    println!(
        "\n{megabytes:.0} MB in {} layers; {} cores; load {load_before} to {}; medians of {ROUNDS} rounds in turn\n",
        image.layers.len(),
        std::thread::available_parallelism()?,
        report::load()?,
    );
    println!("| | seconds | processor seconds | MB a second |\n|---|---:|---:|---:|");
    let of = |case: &str| {
        let samples = samples.iter().filter(|(other, _)| *other == case);
        median(&samples.map(|(_, sample)| *sample).collect::<Vec<_>>())
    };
    for case in CASES {
        let Sample { wall, cpu, .. } = of(case);
        let (wall, cpu) = (wall.as_secs_f64(), cpu.as_secs_f64());
        println!(
            "| {case} | {wall:.2} | {cpu:.2} | {:.0} |",
            megabytes / wall
        );
    }
    println!();
    let times = |slow, fast| of(slow).wall.as_secs_f64() / of(fast).wall.as_secs_f64();
    report::at_least("stream: times as fast as tar", times(TAR, STREAM), 1.0);
    Ok(())
}

/// A word for a shell.
fn quoted(word: &dyn std::fmt::Display) -> String {
    format!("'{}'", word.to_string().replace('\'', r"'\''"))
}
