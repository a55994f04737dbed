//! How many bytes updates send again, by how a closure is cut: every strategy of `strata layers` on images of a
//! made-up distribution, with updates as they happen. The same on every machine; it writes its tables and its chart
//! into the book.

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]
#![expect(clippy::cast_precision_loss, reason = "figures for people")]

mod chart;
mod closure;
mod events;
mod measure;
mod table;
mod universe;

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use strata_nix::StrategyName;

use measure::{Planner, measure};
use table::Row;
use universe::Universe;

/// How many layers there may be.
const BUDGETS: [usize; 3] = [40, 60, 100];

/// The page that has the tables, between these lines, and the chart.
const PAGE: &str = "docs/internals/layering.md";
const BEGIN: &str = "<!-- measured: make bench-layering -->\n";
const END: &str = "\n<!-- /measured -->";
const CHART: &str = "docs/pictures/layering.svg";

fn main() -> Result<()> {
    let universe = Universe::new();
    let mut rows = Vec::new();
    for layers in BUDGETS {
        for strategy in StrategyName::ALL.map(StrategyName::name) {
            let planner = Planner {
                strategy,
                layers,
                remembers: false,
                at_once: false,
            };
            rows.push(row(&universe, strategy, planner)?);
            if strategy == "auto" {
                let (remembers, at_once) = (true, true);
                let name = "auto, told the plan before";
                rows.push(row(
                    &universe,
                    name,
                    Planner {
                        remembers,
                        ..planner
                    },
                )?);
                let name = "auto, images planned at once";
                rows.push(row(&universe, name, Planner { at_once, ..planner })?);
            }
        }
    }
    let measured = table::text(&universe, &rows)?;
    println!("{measured}");
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = root.join(PAGE);
    let text = fs::read_to_string(&page)?;
    fs::write(page, replaced(&text, &measured)?)?;
    fs::write(root.join(CHART), chart::svg(&rows)?)?;
    Ok(())
}

fn row(universe: &Universe, name: &'static str, planner: Planner) -> Result<Row> {
    let sent = measure(universe, planner).with_context(|| format!("{name}, {}", planner.layers))?;
    Ok(Row {
        layers: planner.layers,
        name,
        sent,
    })
}

/// The page with what was measured in its place.
fn replaced(page: &str, measured: &str) -> Result<String> {
    let parts = page.split_once(BEGIN);
    let parts = parts.and_then(|(before, rest)| Some((before, rest.split_once(END)?.1)));
    let Some((before, after)) = parts else {
        bail!("{PAGE} has no place for what is measured: {BEGIN}..{END}");
    };
    Ok(format!("{before}{BEGIN}\n{measured}{END}{after}"))
}
