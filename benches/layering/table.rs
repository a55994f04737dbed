//! What was measured, as the tables of the book.

use std::collections::BTreeMap;
use std::fmt::Write;

use anyhow::{Context, Result};

use crate::closure::{Closure, State, images};
use crate::events::{Kind, of_fleet, of_image};
use crate::measure::Sent;
use crate::universe::Universe;

const GB: f64 = 1e9;

/// A strategy with a number of layers.
pub(crate) struct Row {
    pub(crate) layers: usize,
    pub(crate) name: &'static str,
    pub(crate) sent: BTreeMap<Kind, Sent>,
}

impl Row {
    /// What is sent beyond what changed, in percent of the image, if the event was measured.
    fn excess(&self, kind: Kind) -> Option<f64> {
        Some(100.0 * self.sent.get(&kind)?.excess)
    }

    /// The mean over all kinds, each weighted alike; none if a kind was not measured.
    pub(crate) fn alike(&self) -> Option<f64> {
        self.weighted(|kind| f64::from(u8::from(kind.is_counted())))
    }

    /// The mean over all kinds, each weighted as often as it happens.
    pub(crate) fn lived(&self) -> Option<f64> {
        self.weighted(Kind::lived)
    }

    fn weighted(&self, weight: fn(Kind) -> f64) -> Option<f64> {
        let mut sum = 0.0;
        for kind in Kind::ALL {
            sum += weight(kind) * self.excess(kind)?;
        }
        Some(sum / Kind::ALL.map(weight).iter().sum::<f64>())
    }
}

/// What the images are, and a table of all rows for each half of the kinds.
pub(crate) fn text(universe: &Universe, rows: &[Row]) -> Result<String> {
    let mut text = String::new();
    let closures = images().map(|image| Closure::new(universe, &State::new(image)));
    let sizes: Vec<(usize, u64)> = closures
        .map(|closure| (closure.paths.len(), closure.size()))
        .collect();
    let paths =
        |order: fn(usize, usize) -> usize| sizes.iter().map(|(paths, _)| *paths).reduce(order);
    let single = images()
        .map(|image| of_image(universe, image).len())
        .sum::<usize>();
    writeln!(
        text,
        "{} images of {} to {} paths, {:.1} GB together; {} events.\n",
        sizes.len(),
        paths(usize::min).context("there are images")?,
        paths(usize::max).context("there are images")?,
        sizes.iter().map(|(_, size)| size).sum::<u64>() as f64 / GB,
        single + of_fleet(universe).len(),
    )?;
    let (few, others): (Vec<Kind>, Vec<Kind>) = Kind::ALL.into_iter().partition(|kind| {
        matches!(
            kind,
            Kind::Edit
                | Kind::Security
                | Kind::Library
                | Kind::Share
                | Kind::Fleet
                | Kind::FleetUpdate
        )
    });
    summary(&mut text, rows, &few)?;
    text.push('\n');
    rest(&mut text, rows, &others)?;
    Ok(text)
}

/// The means, and the kinds that matter most.
fn summary(text: &mut String, rows: &[Row], kinds: &[Kind]) -> Result<()> {
    head(text, &["alike", "as lived"], kinds)?;
    for row in rows {
        begin(text, row)?;
        for mean in [row.alike(), row.lived()] {
            cell(text, mean)?;
        }
        end(text, row, kinds)?;
    }
    least(text, rows, "| | |", kinds)
}

fn rest(text: &mut String, rows: &[Row], kinds: &[Kind]) -> Result<()> {
    head(text, &[], kinds)?;
    for row in rows.iter().filter(|row| row.lived().is_some()) {
        begin(text, row)?;
        end(text, row, kinds)?;
    }
    least(text, rows, "|", kinds)
}

fn head(text: &mut String, means: &[&str], kinds: &[Kind]) -> Result<()> {
    let columns = means
        .iter()
        .copied()
        .chain(kinds.iter().map(|kind| kind.name()));
    let columns: Vec<&str> = columns.collect();
    writeln!(text, "| layers | strategy | {} |", columns.join(" | "))?;
    writeln!(text, "|---:|---|{}", "---:|".repeat(columns.len()))?;
    Ok(())
}

fn begin(text: &mut String, row: &Row) -> Result<()> {
    let (name, more) = row.name.split_once(',').unwrap_or((row.name, ""));
    let more = if more.is_empty() {
        String::new()
    } else {
        format!(",{more}")
    };
    write!(text, "| {} | `{name}`{more} |", row.layers)?;
    Ok(())
}

fn end(text: &mut String, row: &Row, kinds: &[Kind]) -> Result<()> {
    for kind in kinds {
        cell(text, row.excess(*kind))?;
    }
    text.push('\n');
    Ok(())
}

/// What changed itself, which is the same for all rows.
fn least(text: &mut String, rows: &[Row], means: &str, kinds: &[Kind]) -> Result<()> {
    let first = rows.first().context("something was measured")?;
    write!(text, "| | *what changed itself* {means}")?;
    for kind in kinds {
        cell(text, first.sent.get(kind).map(|sent| 100.0 * sent.least))?;
    }
    text.push('\n');
    Ok(())
}

fn cell(text: &mut String, percent: Option<f64>) -> Result<()> {
    match percent {
        Some(percent) => write!(text, " {percent:.2} |")?,
        None => text.push_str(" |"),
    }
    Ok(())
}
