//! `strata why IMAGE WHAT`.

use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};

use super::image_args::ImageArgs;
use super::page::Page;
use super::{described, html};
use crate::cli::failure::Failure;
use crate::cli::interruption::Interruption;
use crate::cli::output::write_text;
use crate::cli::printer::Printer;
use crate::cli::progress::Unseen;
use strata_contents::{Amount, Chains, Contents, Mention, Sizes};
use strata_error::{Error, Result, visible_line};
use strata_oci::Platform;
use strata_progress::Context;
use strata_source::{self as source, Depth, Mentioning, SourceImage, mentioned_by, mentioning};

/// So many ways are listed with --all, and in JSON.
const MOST_CHAINS: usize = 1000;
/// So many places of a file are shown.
const MOST_MENTIONS: usize = 3;
/// So many files of a package are shown.
const MOST_FILES: usize = 5;

/// Tell why something is in an image: the ways that lead to it from what the arguments name
#[derive(Args)]
#[command(after_help = format!("{HELP}\n\n{}", source::FORMS))]
pub(crate) struct WhyArgs {
    /// The image, in any of the forms below
    image: String,

    /// A store path, a file in one, or the name of a package, with or without its version
    what: String,

    /// All ways, and not only the shortest
    #[arg(long)]
    all: bool,

    /// Also which files mention the next package on the way, and where
    #[arg(long)]
    precise: bool,

    /// The image for this platform, of an index; without it the one for this machine
    #[arg(long, value_name = "OS/ARCH[/VARIANT]")]
    platform: Option<Platform>,

    #[command(flatten)]
    reach: ImageArgs,

    /// Answer in JSON; docs/cli.md describes it
    #[arg(long)]
    json: bool,

    /// Write one page of HTML to this file, which needs nothing else, with the graph of these ways
    #[arg(long, value_name = "FILE", conflicts_with = "json")]
    html: Option<PathBuf>,
}

const HELP: &str = "\
Example: strata why result openssl --precise
A file: strata why result /nix/store/HASH-app/bin/app
says also what the file mentions. `strata explain --why` tells why a store path is in its layer.";

/// Runs the command.
pub(crate) fn run(
    arguments: WhyArgs,
    printer: &Printer,
    interruption: &Interruption,
) -> Result<(), Failure> {
    let WhyArgs {
        image: text,
        what,
        all,
        precise,
        platform,
        reach,
        json,
        html,
    } = arguments;
    let options = reach.options()?;
    let unseen = Unseen(printer);
    let context = interruption.context(&unseen);
    let images = source::open(&text, &options, context)?;
    let image = source::choose(&text, images, platform.as_ref())?;
    let contents = image.contents(Depth::Packages, context)?;
    let found = contents.find(&what);
    if found.is_empty() {
        return Err(not_there(&what, &text).into());
    }
    if let Some(file) = html {
        let view = html::View {
            image: &image,
            contents: &contents,
            what: &|number| contents.what(number),
            target: found.first().copied(),
            difference: None,
        };
        return Ok(write_text(&file, &html::page(&view), context)?);
    }
    let question = Question {
        image: &image,
        contents: &contents,
        sizes: Sizes::new(&contents),
        context,
    };
    // A path below a store path.
    let file = found
        .first()
        .map(|package| contents.package(*package).path.len())
        .filter(|length| what.starts_with('/') && what.trim_end_matches('/').len() > *length)
        .map(|_| what.trim_end_matches('/'));
    if json {
        let answers = found
            .iter()
            .map(|package| question.describe(*package, file, precise));
        let answers: Vec<Value> = answers.collect::<Result<_>>()?;
        let value = json!({ "image": described::facts(&image), "answers": answers });
        return printer.data(&format!("{value:#}\n"));
    }
    let mut page = Page::default();
    for (number, package) in found.iter().enumerate() {
        if number > 0 {
            page.line("");
        }
        question.tell(&mut page, *package, all, precise)?;
    }
    if let (Some(file), Some(package)) = (file, found.first()) {
        question.tell_file(&mut page, file, *package)?;
    }
    printer.data(&page.into_text())
}

fn not_there(what: &str, image: &str) -> Error {
    Error::Document {
        document: image.to_owned(),
        message: format!("no store path of its layers is {what:?} or has that in its name"),
        hint: "give a store path of the image or a part of a package's name; `strata inspect --all` lists them"
            .to_owned(),
    }
}

struct Question<'a> {
    image: &'a SourceImage,
    contents: &'a Contents,
    sizes: Sizes,
    context: Context<'a>,
}

impl Question<'_> {
    fn describe(&self, package: u32, file: Option<&str>, precise: bool) -> Result<Value> {
        let mut value = described::why(self.contents, &self.sizes, package, MOST_CHAINS);
        let mut more = Vec::new();
        if precise && let Some(chain) = Chains::new(self.contents, package).shortest() {
            let links = chain.windows(2).map(|link| {
                let files = self.link(link[0], link[1])?;
                Ok(json!({
                    "from": self.contents.graph.path(link[0]),
                    "to": self.contents.graph.path(link[1]),
                    "files": files.iter().map(describe_file).collect::<Vec<_>>(),
                }))
            });
            more.push(("links", links.collect::<Result<Vec<Value>>>()?.into()));
        }
        if let Some(file) = file {
            let mentioned = self.mentioned(file, package)?;
            let mentioned = mentioned.iter().map(|(path, mentions)| {
                let mentions = mentions.iter().map(describe_mention);
                json!({ "path": path, "mentions": mentions.collect::<Vec<_>>() })
            });
            let mentioned: Vec<Value> = mentioned.collect();
            more.push(("file", json!({ "path": file, "mentions": mentioned })));
        }
        if let Some(fields) = value.as_object_mut() {
            fields.extend(
                more.into_iter()
                    .map(|(name, value)| (name.to_owned(), value)),
            );
        }
        Ok(value)
    }

    fn tell(&self, page: &mut Page, number: u32, all: bool, precise: bool) -> Result<()> {
        let contents = self.contents;
        let package = contents.package(number);
        page.line(&package.path);
        let closure = contents.graph.closure_size(&[number], &mut Vec::new());
        page.line(&format!(
            "{}, with all that it needs {}; {} would go with it",
            Amount(package.size),
            Amount(closure),
            Amount(self.sizes.exclusive(number)),
        ));
        for layer in &package.layers {
            let reason = contents.layers[*layer].reason.as_deref();
            let reason = reason.map_or_else(String::new, |reason| format!(": {reason}"));
            page.line(&visible_line(&format!("in layer {}{reason}", layer + 1)));
        }
        let chains = Chains::new(contents, number);
        let count = chains.count();
        let shown = if all {
            chains.all(MOST_CHAINS)
        } else {
            chains.shortest().into_iter().collect()
        };
        page.line(&match (count, shown.len() as u64) {
            (0 | 1, _) => "one way leads to it:".to_owned(),
            (_, 1) => format!(
                "{} lead to it, --all lists them; the shortest:",
                ways(count)
            ),
            (count, shown) if shown >= count => format!("{} lead to it:", ways(count)),
            (count, shown) => format!("{} lead to it, of which these are {shown}:", ways(count)),
        });
        for chain in &shown {
            page.line("");
            self.tell_chain(page, chain, precise)?;
        }
        Ok(())
    }

    /// A way, each package below the one that mentions it.
    fn tell_chain(&self, page: &mut Page, chain: &[u32], precise: bool) -> Result<()> {
        let Some(root) = chain.first() else {
            return Ok(());
        };
        let arguments: Vec<&str> = self.contents.arguments(*root).collect();
        page.line(&match arguments.as_slice() {
            [] => "the arguments, it does not say which".to_owned(),
            arguments => visible_line(&arguments.join(", ")).into_owned(),
        });
        for (depth, number) in chain.iter().enumerate() {
            let package = self.contents.package(*number);
            let indent = "  ".repeat(depth + 1);
            page.line(&format!(
                "{indent}{}  {}",
                package.full_name(),
                Amount(package.size)
            ));
            if let Some(next) = chain.get(depth + 1).filter(|_| precise) {
                let files = self.link(*number, *next)?;
                for file in files.iter().take(MOST_FILES) {
                    let name = file.file.strip_prefix(&package.path).unwrap_or_default();
                    let name = name.trim_start_matches('/');
                    tell_mentions(page, &indent, name, &file.mentions);
                }
                let more = files.len().saturating_sub(MOST_FILES);
                if more > 0 {
                    page.line(&format!("{indent}  and {more} more files"));
                }
            }
        }
        Ok(())
    }

    /// What a file mentions.
    fn tell_file(&self, page: &mut Page, file: &str, package: u32) -> Result<()> {
        page.line("");
        let mentioned = self.mentioned(file, package)?;
        if mentioned.is_empty() {
            page.line(&visible_line(&format!(
                "{file} mentions no store path of the image"
            )));
        }
        for (path, mentions) in mentioned {
            tell_mentions(page, "", &format!("mentions {path}"), &mentions);
        }
        Ok(())
    }

    /// The files of a package that mention another.
    fn link(&self, from: u32, to: u32) -> Result<Vec<Mentioning>> {
        let [from, to] = [from, to].map(|number| self.contents.graph.path(number));
        mentioning(&self.image.store()?, from, to, MOST_MENTIONS, self.context)
    }

    /// The packages that a file of one mentions.
    fn mentioned(&self, file: &str, package: u32) -> Result<Vec<(&str, Vec<Mention>)>> {
        let references = self.contents.graph.references(package).iter();
        let references = references.map(|number| self.contents.graph.path(*number));
        mentioned_by(&self.image.store()?, file, references, MOST_MENTIONS)
    }
}

fn ways(count: u64) -> String {
    if count == u64::MAX {
        return "more ways than can be counted".to_owned();
    }
    format!("{count} ways")
}

/// Where a file has a hash.
fn tell_mentions(page: &mut Page, indent: &str, what: &str, mentions: &[Mention]) {
    for mention in mentions {
        let name = if what.is_empty() {
            String::new()
        } else {
            format!("{what} ")
        };
        page.line(&visible_line(&format!(
            "{indent}  {name}at byte {}: {}",
            mention.offset, mention.text
        )));
    }
}

fn describe_file(file: &Mentioning) -> Value {
    let mentions = file.mentions.iter().map(describe_mention);
    json!({ "path": file.file, "mentions": mentions.collect::<Vec<_>>() })
}

fn describe_mention(mention: &Mention) -> Value {
    json!({ "offset": mention.offset, "text": mention.text })
}
