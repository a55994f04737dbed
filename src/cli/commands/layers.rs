//! `strata layers`.

use std::io::Read as _;
use std::num::NonZeroUsize;

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};

use crate::cli::failure::Failure;
use crate::cli::printer::Printer;
use strata_error::{Error, Result};
use strata_nix::StrategyName;
use strata_plan::listing::{self, ListedImage, Listing};
use strata_plan::strategy::{self, Budget, MOST_WORTHWHILE, PlannedLayer, Request};

/// More is read from nobody: a hundred times what the largest closures are.
const LARGEST: u64 = 4 << 30;

/// Say how a closure would be cut into layers
///
/// Reads a closure graph on standard input, as `nix path-info --json --recursive` or `exportReferencesGraph` give it,
/// and prints a list of layers, each a list of store paths, the lowest first. It builds nothing and reads nothing
/// else, not even the store.
#[derive(Args)]
#[command(after_long_help = "\
The input is the graph alone, or with what the plan is to heed:

    {\"graph\": [..], \"max_layers\": 60, \"previous\": [[PATH]], \"alongside\": [[[PATH]]], \"roots\": [PATH],
     \"hints\": {\"stable\": [PATH], \"volatile\": [PATH], \"together\": [[PATH]], \"alone\": [PATH]}}

`previous` is an earlier answer, whose layers stay if they can; `alongside` has answers for other images, whose layers \
are used where that costs little. `roots` is what an edit changes; without it, it is what no other path needs. `hints` \
are those of `layerHints` of the Nix functions. Images that live together are planned at once, which gives a list of answers:

    {\"fleet\": [{\"graph\": [..]}, ..], \"max_layers\": 60}

Example:

    nix path-info --json --recursive nixpkgs#hello | strata layers --explain")]
pub(crate) struct LayersArgs {
    /// How it is cut, by a name that `strategy` of the Nix functions takes, too
    #[arg(long, value_parser = strategies(), value_name = "NAME", default_value = "auto")]
    strategy: StrategyName,

    /// The most layers; without it, as many as are worth their requests, and at most 60
    #[arg(long, value_name = "NUMBER")]
    max_layers: Option<NonZeroUsize>,

    /// Say on standard error of each layer why it is one
    #[arg(long)]
    explain: bool,
}

fn strategies() -> impl TypedValueParser<Value = StrategyName> {
    let names = StrategyName::ALL.map(StrategyName::name);
    // The names before it are those that there are.
    PossibleValuesParser::new(names).map(|name| StrategyName::named(&name).unwrap_or_default())
}

/// Runs the command.
pub(crate) fn run(arguments: &LayersArgs, printer: &Printer) -> Result<(), Failure> {
    let listing = listing::parse(&read()?)?;
    let plans = plan(arguments, &listing);
    let answers: Vec<Vec<Vec<&str>>> = listing
        .images
        .iter()
        .zip(&plans)
        .map(|(image, plan)| named(image, plan))
        .collect();
    if arguments.explain {
        for (image, plan) in listing.images.iter().zip(&plans) {
            explain(image, plan, printer);
        }
    }
    let text = match answers.as_slice() {
        [answer] if !listing.is_fleet => serde_json::json!(answer),
        answers => serde_json::json!(answers),
    };
    printer.data(&format!("{text}\n"))
}

fn read() -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = std::io::stdin()
        .lock()
        .take(LARGEST + 1)
        .read_to_end(&mut bytes);
    read.map_err(Error::io("read", "standard input"))?;
    if bytes.len() as u64 > LARGEST {
        return Err(Error::Document {
            document: "closure graph".into(),
            message: format!("is larger than {LARGEST} bytes"),
            hint: "give the closure of one image".into(),
        });
    }
    Ok(bytes)
}

fn plan(arguments: &LayersArgs, listing: &Listing) -> Vec<Vec<PlannedLayer>> {
    let budget = match arguments.max_layers.or(listing.max_layers) {
        Some(most) => Budget::AtMost(most),
        None => Budget::Worthwhile(MOST_WORTHWHILE),
    };
    let members: Vec<Vec<u32>> = listing
        .images
        .iter()
        .map(|image| image.graph.all().collect())
        .collect();
    let requests: Vec<Request<'_>> = listing
        .images
        .iter()
        .zip(&members)
        .map(|(image, members)| image.request(members, budget))
        .collect();
    let name = arguments.strategy;
    if listing.is_fleet && name == StrategyName::Auto {
        return strategy::fleet(&requests);
    }
    requests
        .iter()
        .map(|request| strategy::layers(name, request))
        .collect()
}

fn named<'a>(image: &'a ListedImage, plan: &[PlannedLayer]) -> Vec<Vec<&'a str>> {
    let layer = |layer: &PlannedLayer| {
        layer
            .paths
            .iter()
            .map(|path| image.graph.path(*path))
            .collect()
    };
    plan.iter().map(layer).collect()
}

/// A line for each layer: which paths are biggest in it, and why it is one.
fn explain(image: &ListedImage, plan: &[PlannedLayer], printer: &Printer) {
    for (number, layer) in plan.iter().enumerate() {
        let biggest = layer
            .paths
            .iter()
            .max_by_key(|path| image.graph.size(**path));
        let name = biggest.map_or("", |path| image.graph.name(*path));
        let more = match layer.paths.len() {
            0 | 1 => String::new(),
            paths => format!(" and {} more", paths - 1),
        };
        printer.note(&format!("{:3} {name}{more}: {}", number + 1, layer.reason));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 400 paths, each on some before it, of sizes up to 50 MB.
    fn listing() -> Listing {
        let mut draw: u64 = 1;
        let mut next = |below: u64| {
            draw = draw.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (draw >> 33) % below
        };
        let name = |number: u64| format!("/nix/store/{number:0>32}-package{number}");
        let entries = (0..400).map(|number| {
            let references: Vec<String> = (0..next(8)).map(|_| name(next(number + 1))).collect();
            serde_json::json!({
                "path": name(number),
                "narSize": next(50_000_000),
                "references": references,
            })
        });
        let graph: Vec<serde_json::Value> = entries.collect();
        listing::parse(serde_json::json!(graph).to_string().as_bytes()).unwrap()
    }

    #[test]
    fn the_same_plan_on_1_and_16_threads() {
        let arguments = LayersArgs {
            strategy: StrategyName::Auto,
            max_layers: NonZeroUsize::new(60),
            explain: false,
        };
        let once = plan(&arguments, &listing());
        assert_eq!(once[0].len(), 60);
        std::thread::scope(|scope| {
            let again = || plan(&arguments, &listing());
            let threads: Vec<_> = (0..16).map(|_| scope.spawn(again)).collect();
            for thread in threads {
                assert_eq!(thread.join().unwrap(), once);
            }
        });
    }
}
