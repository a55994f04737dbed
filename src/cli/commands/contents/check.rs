//! `strata check IMAGE`.

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};

use super::image_args::ImageArgs;
use crate::cli::failure::Failure;
use crate::cli::interruption::Interruption;
use crate::cli::output::write_text;
use crate::cli::printer::Printer;
use crate::cli::progress::Unseen;
use strata_contents::{Amount, Broken, Growth, Limits, Measured};
use strata_error::{Error, visible_line};
use strata_oci::Platform;
use strata_report::facts;
use strata_source::{self as source, Depth};

/// Check an image against limits: size, layers, packages that must not be in it, growth
#[derive(Args)]
#[command(after_help = format!("{HELP}\n\n{}", source::FORMS))]
pub(crate) struct CheckArgs {
    /// The image, in any of the forms below
    image: String,

    /// The most bytes of its layers, as they are: 200M, 1.5G
    #[arg(long, value_name = "SIZE")]
    max_size: Option<Amount>,

    /// The most layers
    #[arg(long, value_name = "NUMBER")]
    max_layers: Option<u64>,

    /// A package that must not be in it: a name with or without a version, or a store path; * stands for anything.
    /// May be given several times
    #[arg(long, value_name = "PACKAGE")]
    deny: Vec<String>,

    /// How much more its layers may have than those of --against: 5%, 10M
    #[arg(long, value_name = "SIZE", requires = "against")]
    max_growth: Option<Growth>,

    /// The image that growth is measured by
    #[arg(long, value_name = "IMAGE", requires = "max_growth")]
    against: Option<String>,

    /// Of an index, the image for this platform; without it all, or of one in a registry that for this machine
    #[arg(long, value_name = "OS/ARCH[/VARIANT]")]
    platform: Option<Platform>,

    #[command(flatten)]
    reach: ImageArgs,

    /// Answer in JSON; docs/cli.md describes it
    #[arg(long)]
    json: bool,

    /// Write the answer in JSON to this file, if all is within the limits
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,

    /// Say nothing but what is wrong
    #[arg(long, short)]
    quiet: bool,
}

const HELP: &str = "\
Example: strata check result --max-size 200M --deny gcc --deny 'perl*'
The exit code is 1 if a limit is not kept to. `limits` of buildImage checks the same while an image is built.";

/// Runs the command.
pub(crate) fn run(
    arguments: CheckArgs,
    printer: &Printer,
    interruption: &Interruption,
) -> Result<(), Failure> {
    let limits = Limits {
        size: arguments.max_size,
        layers: arguments.max_layers,
        deny: arguments.deny,
        growth: arguments.max_growth,
    };
    if limits == Limits::default() {
        return Err(Failure::Usage(Error::Name {
            what: "check",
            value: arguments.image,
            message: "there is no limit to check".to_owned(),
            hint: "give --max-size, --max-layers, --deny, or --max-growth with --against"
                .to_owned(),
        }));
    }
    let options = arguments.reach.options()?;
    let said = printer.silenced(arguments.quiet);
    let unseen = Unseen(&said);
    let context = interruption.context(&unseen);
    let platform = arguments.platform.as_ref();
    let images = source::open(&arguments.image, &options, context)?;
    let images = source::choose_some(&arguments.image, images, platform)?;
    let mut answers = Vec::new();
    let mut text = String::new();
    let mut is_kept = true;
    for image in &images {
        let contents = image.contents(Depth::Packages, context)?;
        let against = match &arguments.against {
            None => None,
            Some(text) => {
                // Of an index, the one that is for the same.
                let own = image.config.platform();
                let others = source::open(text, &options, context)?;
                let other = source::choose(text, others, Some(&own))?;
                Some(Measured {
                    name: other.facts.whole_name().unwrap_or_else(|| text.clone()),
                    size: other.contents(Depth::Packages, context)?.size(),
                })
            }
        };
        let broken = limits.check(&contents, against.as_ref());
        is_kept &= broken.is_empty();
        for finding in &broken {
            printer.error(&report(finding));
        }
        if broken.is_empty() {
            // Writing to a String cannot fail.
            let _ = writeln!(
                text,
                "{}  {} in {} layers: within the limits",
                image.facts.digest,
                Amount(contents.size()),
                contents.layers.len()
            );
        }
        let mut value = facts(image);
        if let Some(fields) = value.as_object_mut() {
            fields.insert("size".to_owned(), contents.size().into());
            fields.insert("layers".to_owned(), contents.layers.len().into());
            fields.insert("findings".to_owned(), broken.iter().map(describe).collect());
        }
        answers.push(value);
    }
    let value = json!({ "kept": is_kept, "images": answers });
    let answer = format!("{value:#}\n");
    if let Some(file) = arguments.report.filter(|_| is_kept) {
        write_text(&file, &answer, context)?;
    }
    if arguments.json {
        printer.data(&answer)?;
    } else if !said.is_quiet() && !text.is_empty() {
        printer.data(&text)?;
    }
    if is_kept {
        Ok(())
    } else {
        Err(Failure::Refuted)
    }
}

/// A finding as an error is told.
fn report(broken: &Broken) -> String {
    let message = format!("error: {}: {}", broken.limit, broken.message);
    format!(
        "{}\nhint: {}",
        visible_line(&message),
        visible_line(&broken.hint)
    )
}

fn describe(broken: &Broken) -> Value {
    json!({
        "limit": broken.limit,
        "message": broken.message,
        "hint": broken.hint,
        "path": broken.package,
        "chain": broken.chain,
    })
}
