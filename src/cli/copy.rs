//! `strata copy IMAGE DESTINATION`.

use std::path::Path;

use super::Failure;
use super::arguments::CopyArguments;
use super::interruption::Interruption;
use super::printer::Printer;
use super::progress::{Reporter, Unseen};
use super::settings::CopySettings;
use strata_error::{Error, Result};
use strata_image::ManifestOrIndex;
use strata_progress::Context;

pub(super) fn run(
    arguments: CopyArguments,
    printer: &Printer,
    interruption: &Interruption,
) -> Result<(), Failure> {
    let settings = CopySettings::try_from(arguments).map_err(Failure::Usage)?;
    let destination = settings.destination.as_ref();
    destination
        .check(&settings.image, printer.output_is_terminal())
        .map_err(Failure::Usage)?;
    check_digest_file(&settings).map_err(Failure::Usage)?;
    let printer = Printer::new(settings.quiet);
    let unseen = Unseen(&printer);
    let image = ManifestOrIndex::open(&settings.image)?;
    let image = choose(image, &settings, interruption.context(&unseen))?;
    if settings.dry_run {
        return dry_run(&image, &settings, &printer, interruption.context(&unseen));
    }
    copy(&image, &settings, &printer, interruption)
}

/// What is copied: the image that was asked for; where one image must do, the one for the engine; else
/// all.
fn choose(
    image: ManifestOrIndex,
    settings: &CopySettings,
    context: Context<'_>,
) -> Result<ManifestOrIndex> {
    let platform = match (&settings.platform, &image) {
        (Some(platform), _) => Some(platform.clone()),
        (None, ManifestOrIndex::Image(_)) => None,
        (None, ManifestOrIndex::Index(_)) => {
            settings.destination.platform(&settings.options, context)?
        }
    };
    match platform {
        Some(platform) => {
            let image = image.into_image(&platform)?;
            Ok(ManifestOrIndex::Image(Box::new(image)))
        }
        None => Ok(image),
    }
}

/// Prints what a copy would do.
fn dry_run(
    image: &ManifestOrIndex,
    settings: &CopySettings,
    printer: &Printer,
    context: Context<'_>,
) -> Result<(), Failure> {
    let image = image.borrowed();
    let destination = settings.destination.as_ref();
    for found in destination.dry_run(image, &settings.options, context)? {
        for warning in &found.warnings {
            printer.note(warning);
        }
        printer.data(&found.text)?;
    }
    Ok(())
}

/// Copies, and says what was copied to where.
fn copy(
    image: &ManifestOrIndex,
    settings: &CopySettings,
    printer: &Printer,
    interruption: &Interruption,
) -> Result<(), Failure> {
    let image = image.borrowed();
    let (destination, options) = (settings.destination.as_ref(), &settings.options);
    let name = destination.copy_name(image.name())?;
    let reporter = Reporter::for_copy([image], printer);
    let copied = destination.copy(image, &name, options, interruption.context(&reporter));
    reporter.end();
    let copied = copied.map_err(|error| match destination.is_stdout() {
        true => Failure::of_stdout(error),
        false => Failure::Failed(error),
    })?;
    for warning in &copied.warnings {
        printer.note(warning);
    }
    reporter.summarize();
    let digest = copied.digest;
    if let Some(file) = &settings.digest_file {
        std::fs::write(file, digest.to_string()).map_err(Error::io("write", file))?;
    }
    let places = destination.places(&name, options);
    for other in places.iter().skip(1) {
        printer.note(&format!("also {other}@{digest}"));
    }
    let line = places.first().map(|place| format!("{place}@{digest}\n"));
    let line = line.unwrap_or_default();
    if destination.is_stdout() {
        printer.note(&line);
    } else if !printer.is_quiet() {
        printer.data(&line)?;
    }
    Ok(())
}

/// Finds out before the copy that its digest cannot be written.
fn check_digest_file(settings: &CopySettings) -> Result<()> {
    let directory = settings.digest_file.as_deref().and_then(Path::parent);
    match directory.filter(|directory| !directory.as_os_str().is_empty()) {
        Some(directory) if !directory.is_dir() => Err(Error::Name {
            what: "digest file's directory",
            value: directory.display().to_string(),
            message: "there is no such directory".to_owned(),
            hint: format!("make it first: mkdir -p {}", directory.display()),
        }),
        _ => Ok(()),
    }
}
