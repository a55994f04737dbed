//! The ways to a package.

use serde_json::{Value, json};

use super::described;
use super::page::Page;
use strata_contents::{Amount, Chains, Contents, Mention, Sizes};
use strata_error::{Result, visible_line};
use strata_progress::Context;
use strata_source::{Mentioning, SourceImage, mentioned_by, mentioning};

/// So many ways are listed, also if all are asked for.
const MOST_CHAINS: usize = 1000;
/// So many places of a file are shown.
const MOST_MENTIONS: usize = 3;
/// So many files of a package are shown.
const MOST_FILES: usize = 5;

/// What is asked.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// The packages, by their numbers.
    pub packages: &'a [u32],
    /// The file in the first of them that is asked for.
    pub file: Option<&'a str>,
    /// Whether all ways are shown, and not only the shortest.
    pub all: bool,
    /// Whether it is shown which files mention the next package.
    pub precise: bool,
}

/// The ways as JSON.
pub fn json(
    image: &SourceImage,
    contents: &Contents,
    wanted: &Wanted<'_>,
    context: Context<'_>,
) -> Result<Value> {
    let question = Question::new(image, contents, context);
    let answers = wanted.packages.iter();
    let answers = answers.map(|package| question.describe(*package, wanted.file, wanted.precise));
    let answers: Vec<Value> = answers.collect::<Result<_>>()?;
    Ok(json!({ "image": described::facts(image), "answers": answers }))
}

/// The ways for people to read.
pub fn text(
    image: &SourceImage,
    contents: &Contents,
    wanted: &Wanted<'_>,
    context: Context<'_>,
) -> Result<String> {
    let question = Question::new(image, contents, context);
    let mut page = Page::default();
    for (number, package) in wanted.packages.iter().enumerate() {
        if number > 0 {
            page.line("");
        }
        question.tell(&mut page, *package, wanted.all, wanted.precise)?;
    }
    if let (Some(file), Some(package)) = (wanted.file, wanted.packages.first()) {
        question.tell_file(&mut page, file, *package)?;
    }
    Ok(page.into_text())
}

struct Question<'a> {
    image: &'a SourceImage,
    contents: &'a Contents,
    sizes: Sizes,
    context: Context<'a>,
}

impl<'a> Question<'a> {
    fn new(image: &'a SourceImage, contents: &'a Contents, context: Context<'a>) -> Self {
        Self {
            image,
            contents,
            sizes: Sizes::new(contents),
            context,
        }
    }

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
