//! The page of what is going on.

use std::fmt::Write as _;
use std::time::SystemTime;

use super::html::{bytes, escaped, page};
use super::layers::{ImageLayers, picture};
use super::metrics::Gauges;
use crate::journal::{Build, Counts};

/// The page.
pub(crate) fn status(
    counts: &Counts,
    gauges: &Gauges,
    builds: &[Build],
    images: &[ImageLayers],
) -> String {
    let mut content = String::new();
    let answered: u64 = counts.requests.values().sum();
    let _ = writeln!(
        content,
        "<p>{} running, {} waiting; {} requests answered, {} sent; {} of compressed layers kept.</p>",
        gauges.running,
        gauges.waiting,
        answered,
        bytes(counts.bytes),
        bytes(gauges.blob_bytes),
    );
    if !images.is_empty() {
        content.push_str(
            "<h2>Layers of the last images</h2>\n<p><span class=\"key\" style=\"background:var(--shared)\"></span>\
             in several images<span class=\"key\" style=\"background:var(--own)\"></span>in one</p>\n",
        );
        let _ = writeln!(content, "<div class=\"scroll\">{}</div>", picture(images));
    }
    content.push_str("<h2>Builds</h2>\n");
    if builds.is_empty() {
        content.push_str("<p>Nothing was built since the start.</p>\n");
    } else {
        content.push_str("<div class=\"scroll\"><table>\n<tr><th>Image</th><th>Result</th><th>Seconds</th><th>Ago</th></tr>\n");
        for build in builds {
            row(&mut content, build);
        }
        content.push_str("</table></div>\n");
    }
    page("Status", &content)
}

fn row(content: &mut String, build: &Build) {
    let result = match &build.result {
        Ok(digest) => {
            let short: String = digest.hex().chars().take(12).collect();
            format!("<code title=\"{digest}\">sha256:{short}…</code>")
        }
        Err(failure) => format!("<span class=\"bad\">{}</span>", escaped(&failure.message())),
    };
    let log = match build.log.trim() {
        "" => String::new(),
        log => format!(
            "<details><summary>log</summary><pre>{}</pre></details>",
            escaped(log)
        ),
    };
    let ago = SystemTime::now().duration_since(build.at);
    let ago = ago.map_or(0, |ago| ago.as_secs());
    let _ = writeln!(
        content,
        "<tr><td><code>{}</code></td><td>{result}{log}</td><td class=\"number\">{}.{}</td>\
         <td class=\"number\">{ago} s</td></tr>",
        escaped(&build.label),
        build.time.as_secs(),
        build.time.subsec_millis() / 100,
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Failure;
    use std::time::Duration;
    use strata_oci::Digest;

    #[test]
    fn logs_and_messages_are_shown_as_text() {
        let build = |result| Build {
            label: "a<i>:latest".to_owned(),
            result,
            at: SystemTime::now(),
            time: Duration::from_millis(1234),
            log: "<script>".to_owned(),
        };
        let builds = [
            build(Ok(Digest::of(b""))),
            build(Err(Failure::Build("<b>".to_owned()))),
        ];
        let page = status(&Counts::default(), &Gauges::default(), &builds, &[]);
        assert!(page.contains("a&lt;i&gt;:latest") && page.contains("1.2"));
        for html in ["<script>", "<b>", "<i>"] {
            assert!(!page.contains(html), "{html}");
        }
    }
}
