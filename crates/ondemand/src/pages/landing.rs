//! The page that people find first: a search that gives the command to pull.

use std::fmt::Write as _;

use super::html::{escaped, page};
use strata_http::percent_encode;

/// The most names that are listed.
const MOST_NAMES: usize = 60;

/// What was searched for.
pub(crate) struct Found {
    /// The words that were typed.
    pub(crate) words: Vec<String>,
    /// The name of the image that this is, if it can be one.
    pub(crate) image: Option<String>,
    /// Packages whose names have the last word in them.
    pub(crate) packages: Vec<String>,
    /// Why there are none, if that is not for want of such packages.
    pub(crate) failure: Option<String>,
}

/// The page. `host` is what the client calls this server; `images` are those that have names of their own.
pub(crate) fn landing(host: &str, images: &[String], found: Option<&Found>) -> String {
    let query = found.map_or_else(String::new, |found| found.words.join(" "));
    let mut content = format!(
        "<p>The name of an image lists what is in it: <code>{host}/shell/git/htop</code> has a shell, git and \
         htop. It is built when it is pulled for the first time.</p>\n\
         <form action=\"/\"><input name=\"q\" value=\"{}\" placeholder=\"git htop\" aria-label=\"Packages\" \
         autofocus></form>\n",
        escaped(&query),
        host = escaped(host),
    );
    if let Some(found) = found {
        results(&mut content, host, found);
    }
    if !images.is_empty() {
        content.push_str("<h2>Images with names of their own</h2>\n<ul>\n");
        for image in images {
            let name = escaped(&format!("{host}/{image}"));
            let _ = writeln!(content, "<li><code>docker pull {name}</code></li>");
        }
        content.push_str("</ul>\n");
    }
    page("Images by name", &content)
}

fn results(content: &mut String, host: &str, found: &Found) {
    if let Some(image) = &found.image {
        let name = escaped(&format!("{host}/{image}"));
        let _ = writeln!(content, "<pre>docker run --rm -it {name}</pre>");
    }
    if let Some(failure) = &found.failure {
        let _ = writeln!(content, "<p class=\"bad\">{}</p>", escaped(failure));
    } else if found.packages.is_empty() {
        content.push_str("<p>No package at the top of the package set is called like this.</p>\n");
    } else {
        content.push_str("<ul class=\"names\">\n");
        let before = found
            .words
            .split_last()
            .map_or(&[][..], |(_, before)| before);
        for name in found.packages.iter().take(MOST_NAMES) {
            let words = before.iter().chain([name]).map(|word| percent_encode(word));
            let query = words.collect::<Vec<_>>().join("+");
            let (query, name) = (escaped(&query), escaped(name));
            let _ = writeln!(content, "<li><a href=\"/?q={query}\">{name}</a></li>");
        }
        content.push_str("</ul>\n");
        if found.packages.len() > MOST_NAMES {
            let more = found.packages.len() - MOST_NAMES;
            let _ = writeln!(content, "<p class=\"muted\">and {more} more</p>");
        }
    }
}
