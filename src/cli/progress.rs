//! Showing how far a copy is: a bar on a terminal, a line for each layer elsewhere.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use indicatif::{HumanBytes, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::printer::Printer;
use strata_image::{Image, ManifestOrIndexRef};
use strata_oci::{Descriptor, Digest};
use strata_progress::{Detail, Outcome, Progress};
use strata_registry::pull::RemoteImage;
use strata_tree::Recipe;

/// Draws again at most so many times a second.
const DRAWS_PER_SECOND: u8 = 10;

/// How often something is said where no bar is, while nothing else is.
const HEARTBEAT: Duration = Duration::from_secs(5);

/// Reports to the user.
pub(super) struct Reporter<'a> {
    printer: &'a Printer,
    bar: ProgressBar,
    shared: Arc<Shared>,
    /// Ends the thread that says that the work goes on, when it is dropped.
    heartbeat: Option<Sender<()>>,
}

/// What that thread looks at, too.
struct Shared {
    started: Instant,
    /// The layers by digest: "layer 3/12". The other blobs are too small to be talked about.
    layers: BTreeMap<Digest, String>,
    /// What there is to do, in bytes.
    total: u64,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// How much of each blob that is not done went out.
    sent: BTreeMap<Digest, u64>,
    /// The bytes of the blobs that are done.
    done: u64,
    /// How often something was said.
    lines: usize,
    /// The layers that were told of, since images of an index have layers in common.
    told: BTreeSet<Digest>,
    copied: Count,
    present: Count,
    /// What was there elsewhere, and was taken from there.
    mounted: Count,
    /// What layers were compressed to on their way.
    compressed: Option<u64>,
}

#[derive(Clone, Copy, Default)]
struct Count {
    layers: usize,
    bytes: u64,
}

impl Count {
    fn add(&mut self, layer: &Descriptor) {
        self.layers += 1;
        self.bytes += layer.size;
    }
}

impl<'a> Reporter<'a> {
    /// A reporter for copying the blobs of images and indexes.
    pub(super) fn for_copy<'r>(
        roots: impl IntoIterator<Item = ManifestOrIndexRef<'r>>,
        printer: &'a Printer,
    ) -> Self {
        let roots: Vec<ManifestOrIndexRef<'_>> = roots.into_iter().collect();
        let images: Vec<&Image> = roots.iter().flat_map(ManifestOrIndexRef::images).collect();
        let documents = images
            .iter()
            .flat_map(|image| [&image.manifest.config, &image.manifest_descriptor])
            .chain(roots.iter().map(ManifestOrIndexRef::descriptor));
        let blobs: BTreeMap<Digest, u64> = layers(&images)
            .chain(documents)
            .map(|blob| (blob.digest, blob.size))
            .collect();
        Self::new(layers(&images), blobs.values().sum(), printer)
    }

    /// A reporter for fetching the blobs of `image`.
    pub(super) fn for_pull(image: &RemoteImage, printer: &'a Printer) -> Self {
        let blobs = image.layers.iter().chain([&image.config]);
        let blobs: BTreeMap<Digest, u64> = blobs.map(|blob| (blob.digest, blob.size)).collect();
        Self::new(image.layers.iter(), blobs.values().sum(), printer)
    }

    /// A reporter for reading the layers of images and each of their store paths.
    pub(super) fn for_verification(images: &[&Image], printer: &'a Printer) -> Self {
        let layers = layers(images).map(|layer| layer.size);
        let contents = images
            .iter()
            .flat_map(|image| &image.layers)
            .filter_map(|layer| layer.recipe())
            .flat_map(Recipe::store_contents);
        let total = layers.chain(contents.map(|content| content.nar_size)).sum();
        Self::new(self::layers(images), total, printer)
    }

    fn new<'d>(
        layers: impl Iterator<Item = &'d Descriptor>,
        total: u64,
        printer: &'a Printer,
    ) -> Self {
        let bar = if printer.can_draw() {
            let target = ProgressDrawTarget::stderr_with_hz(DRAWS_PER_SECOND);
            ProgressBar::with_draw_target(Some(total), target).with_style(style())
        } else {
            ProgressBar::hidden()
        };
        // What several images have is one layer.
        let mut numbers = BTreeMap::new();
        for layer in layers {
            let next = numbers.len() + 1;
            numbers.entry(layer.digest).or_insert(next);
        }
        let count = numbers.len();
        let names = numbers
            .into_iter()
            .map(|(digest, number)| (digest, format!("layer {number}/{count}")))
            .collect();
        let shared = Arc::new(Shared {
            started: Instant::now(),
            layers: names,
            total,
            state: Mutex::default(),
        });
        let is_told = bar.is_hidden() && !printer.is_quiet();
        let heartbeat = is_told.then(|| {
            let speaker = printer.silenced(false);
            beat(Arc::clone(&shared), HEARTBEAT, move |line| {
                speaker.note(line);
            })
        });
        Self {
            printer,
            bar,
            shared,
            heartbeat,
        }
    }

    /// Takes the bar away, so that something can be printed.
    pub(super) fn end(&mut self) {
        self.heartbeat = None;
        self.bar.finish_and_clear();
    }

    /// Says what was copied and what was not.
    pub(super) fn summarize(&self) {
        let took = self.shared.started.elapsed();
        let State {
            copied,
            present,
            mounted,
            compressed,
            ..
        } = &*self.shared.state();
        let compressed = compressed.map_or_else(String::new, |size| {
            format!(", compressed to {}", HumanBytes(size))
        });
        let others = [
            (present, "already there"),
            (mounted, "taken from other repositories"),
        ];
        let others = others.into_iter().filter(|(group, _)| group.layers > 0);
        let others = others.map(|(group, how)| {
            let bytes = HumanBytes(group.bytes);
            format!(", {} ({bytes}) {how}", count(group.layers))
        });
        let others = others.collect::<Vec<_>>().concat();
        self.printer.note(&format!(
            "copied {} ({}{compressed}){others} in {:.1} s{}",
            count(copied.layers),
            HumanBytes(copied.bytes),
            took.as_secs_f64(),
            rate(copied.bytes, took),
        ));
    }

    /// A blob is done, and `how`, in words; its bytes went somewhere unless it was there.
    pub(super) fn done(&self, blob: &Descriptor, how: &str, outcome: Outcome) {
        let sent = matches!(outcome, Outcome::Copied | Outcome::Compressed { .. });
        let mut state = self.shared.state();
        state.done += blob.size;
        let already_sent = state.sent.remove(&blob.digest).unwrap_or_default();
        if !sent {
            // What is not sent must not look like speed.
            self.bar.dec_length(blob.size.saturating_sub(already_sent));
        }
        let Some(name) = self.shared.layers.get(&blob.digest) else {
            return;
        };
        if !state.told.insert(blob.digest) {
            return;
        }
        match outcome {
            Outcome::Copied | Outcome::Compressed { .. } => state.copied.add(blob),
            Outcome::Present => state.present.add(blob),
            Outcome::Mounted => state.mounted.add(blob),
        }
        let copied = state.copied.layers;
        let present = state.present.layers + state.mounted.layers;
        state.lines += 1;
        drop(state);
        if self.bar.is_hidden() {
            let size = HumanBytes(blob.size);
            self.printer
                .note(&format!("{name} {} {size} {how}", blob.digest));
        } else {
            let total = self.shared.layers.len();
            let there = match present {
                0 => String::new(),
                present => format!(", {present} already there"),
            };
            self.bar
                .set_message(format!("{}/{total} layers{there}", copied + present));
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        // The numbers stay right when a thread panics between two of them.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How far the work is.
    fn status(&self) -> String {
        let state = self.state();
        let done = state.done + state.sent.values().sum::<u64>();
        let mut status = format!(
            "{} of {} after {} s",
            HumanBytes(done.min(self.total)),
            HumanBytes(self.total),
            self.started.elapsed().as_secs()
        );
        for (digest, sent) in &state.sent {
            if let Some(name) = self.layers.get(digest) {
                status.extend([format!("; {name}: {}", HumanBytes(*sent))]);
            }
        }
        status
    }
}

/// Has a thread say how far the work is, whenever nothing was said for a while. It ends when the sender is
/// dropped.
fn beat(shared: Arc<Shared>, pause: Duration, say: impl Fn(&str) + Send + 'static) -> Sender<()> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut lines = 0;
        while receiver.recv_timeout(pause) == Err(RecvTimeoutError::Timeout) {
            let now = shared.state().lines;
            if now == lines {
                say(&shared.status());
            }
            lines = now;
        }
    });
    sender
}

impl Progress for Reporter<'_> {
    fn begin(&self, blob: &Descriptor) {
        // A registry's blob may begin again after a failure.
        if let Some(sent) = self.shared.state().sent.insert(blob.digest, 0) {
            self.bar
                .set_position(self.bar.position().saturating_sub(sent));
        }
    }

    fn advance(&self, blob: &Descriptor, bytes: u64) {
        *self.shared.state().sent.entry(blob.digest).or_default() += bytes;
        self.bar.inc(bytes);
    }

    fn finish(&self, blob: &Descriptor, outcome: Outcome) {
        let how = match outcome {
            Outcome::Copied => "copied".to_owned(),
            Outcome::Compressed { size } => {
                *self.shared.state().compressed.get_or_insert(0) += size;
                format!("copied, compressed to {}", HumanBytes(size))
            }
            Outcome::Mounted => "taken from another repository".to_owned(),
            Outcome::Present => "already there".to_owned(),
        };
        self.done(blob, &how, outcome);
    }

    fn warn(&self, text: &str) {
        self.bar.suspend(|| self.printer.note(text));
    }

    fn explain(&self, detail: Detail, text: &str) {
        self.bar.suspend(|| self.printer.explain(detail, text));
    }
}

/// Shows no progress, only what the user should know now.
pub(super) struct Unseen<'a>(pub(super) &'a Printer);

impl Progress for Unseen<'_> {
    fn warn(&self, text: &str) {
        self.0.note(text);
    }

    fn explain(&self, detail: Detail, text: &str) {
        self.0.explain(detail, text);
    }
}

fn layers<'a>(images: &[&'a Image]) -> impl Iterator<Item = &'a Descriptor> {
    let layers = images.iter().flat_map(|image| &image.layers);
    layers.map(|layer| layer.descriptor())
}

fn count(layers: usize) -> String {
    if layers == 1 {
        "1 layer".to_owned()
    } else {
        format!("{layers} layers")
    }
}

/// How much that was a second, if it was anything.
fn rate(bytes: u64, took: Duration) -> String {
    let a_second = u128::from(bytes) * 1000 / took.as_millis().max(1);
    match u64::try_from(a_second) {
        Ok(a_second) if a_second > 0 => format!(" ({}/s)", HumanBytes(a_second)),
        _ => String::new(),
    }
}

/// The fewest columns that a bar and all numbers have room in.
const WIDE: u16 = 80;

/// What is drawn in so many columns: a line that is longer would be drawn again on the next one.
fn template(columns: u16) -> &'static str {
    match columns {
        WIDE.. => "{wide_bar} {bytes}/{total_bytes} {binary_bytes_per_sec} {eta} {msg}",
        _ => "{percent:>3}% {bytes}/{total_bytes} {wide_msg}",
    }
}

fn style() -> ProgressStyle {
    let (_, columns) = console::Term::stderr().size();
    let template = template(columns);
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

#[cfg(test)]
mod tests {
    use super::*;
    use indicatif::TermLike;
    use std::io;

    /// A terminal of so many columns, and what is written to it.
    #[derive(Clone, Debug)]
    struct Terminal(u16, Arc<Mutex<String>>);

    impl TermLike for Terminal {
        fn width(&self) -> u16 {
            self.0
        }
        fn move_cursor_up(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_down(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_right(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_left(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn write_line(&self, text: &str) -> io::Result<()> {
            self.write_str(text)
        }
        fn write_str(&self, text: &str) -> io::Result<()> {
            self.1.lock().unwrap().push_str(text);
            Ok(())
        }
        fn clear_line(&self) -> io::Result<()> {
            Ok(())
        }
        fn flush(&self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Issue 11, "What new users stumbled over" 2: where lines are read by programs, long work is not silent.
    #[test]
    fn row_2_long_work_says_that_it_goes_on() {
        let (long, other) = (Digest::of(b"long"), Digest::of(b"other"));
        let state = State {
            sent: BTreeMap::from([(long, 3 << 20), (other, 10)]),
            done: 1 << 20,
            ..State::default()
        };
        let shared = Arc::new(Shared {
            started: Instant::now(),
            layers: BTreeMap::from([(long, "layer 2/3".to_owned())]),
            total: 8 << 20,
            state: Mutex::new(state),
        });
        let (say, said) = mpsc::channel();
        let beating = beat(shared, Duration::from_millis(1), move |line| {
            let _ = say.send(line.to_owned());
        });
        let status = "4.00 MiB of 8.00 MiB after 0 s; layer 2/3: 3.00 MiB";
        for _ in 0..2 {
            let line = said.recv_timeout(Duration::from_secs(10)).unwrap();
            assert_eq!(line, status);
        }
        drop(beating);
        while said.recv().is_ok() {}
    }

    /// Issue 11, "What new users stumbled over" 9.
    #[test]
    fn row_9_the_bar_fits_into_its_line() {
        for columns in [30, 40, 79, 80, 200] {
            let terminal = Terminal(columns, Arc::default());
            let target = ProgressDrawTarget::term_like(Box::new(terminal.clone()));
            let style = ProgressStyle::with_template(template(columns)).unwrap();
            let bar = ProgressBar::with_draw_target(Some(9_999 << 20), target).with_style(style);
            bar.set_message("20/20 layers");
            bar.set_position(9_998 << 20);
            terminal.1.lock().unwrap().clear();
            bar.force_draw();
            let shown = terminal.1.lock().unwrap().clone();
            let width = shown.trim_end().chars().count();
            assert!(
                width > 0 && width <= usize::from(columns),
                "{columns}: {shown:?}"
            );
            assert!(shown.contains("9.76 GiB"), "{columns}: {shown:?}");
        }
    }
}
