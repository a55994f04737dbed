//! The only place that prints. Data goes to standard output, everything else to standard error. Texts have names and
//! messages of others in them, so that what would steer a terminal is shown instead; only colours are our own.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Stderr, Stdout, Write};
use std::os::fd::AsFd;

use super::failure::Failure;
use strata_copy::PipeWriter;
use strata_error::{Error, visible, visible_line};
use strata_progress::{Context, Detail};

/// Bytes that are collected before they are written to a pipe.
const BUFFER: usize = 256 * 1024;

/// Speaks to the user.
pub(super) struct Printer {
    output: Stdout,
    errors: Stderr,
    quiet: bool,
    /// The most detailed of what is told, if anything.
    detail: Option<Detail>,
}

impl Printer {
    /// A printer that tells as much as was asked for.
    pub(super) fn new(detail: Option<Detail>) -> Self {
        Self {
            output: io::stdout(),
            errors: io::stderr(),
            quiet: false,
            detail,
        }
    }

    /// The same, which says nothing but errors, data and the details that were asked for, if `quiet`.
    pub(super) fn silenced(&self, quiet: bool) -> Self {
        Self {
            quiet: quiet || self.quiet,
            ..Self::new(self.detail)
        }
    }

    /// Whether nothing but errors is to be said.
    pub(super) fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// Writes what the user asked for to standard output.
    pub(super) fn data(&self, text: &str) -> Result<(), Failure> {
        let mut output = self.output.lock();
        output
            .write_all(visible(text).as_bytes())
            .and_then(|()| output.flush())
            .map_err(output_error)
    }

    /// Says something by the way, also a warning.
    pub(super) fn note(&self, text: &str) {
        if !self.quiet {
            self.error(text);
        }
    }

    /// Says what who asked for such details wants to know.
    pub(super) fn explain(&self, detail: Detail, text: &str) {
        if self.detail.is_some_and(|wanted| detail <= wanted) {
            self.error(&visible_line(text));
        }
    }

    /// Says what went wrong. There is nobody to tell when that fails too.
    pub(super) fn error(&self, text: &str) {
        let end = if text.ends_with('\n') { "" } else { "\n" };
        let text = visible(text);
        let text = if self.has_colors() {
            Cow::Owned(colored(&text))
        } else {
            text
        };
        let _ = self
            .errors
            .lock()
            .write_all(format!("{text}{end}").as_bytes());
    }

    /// Standard output, for an archive. While nobody reads it, `context` is asked whether to go on.
    pub(super) fn stdout(context: Context<'_>) -> Box<dyn Write + '_> {
        // The standard library's own keeps lines back, so that it would write more than a pipe has room for.
        match io::stdout().as_fd().try_clone_to_owned() {
            Ok(output) => {
                let output = PipeWriter::new(File::from(output), context);
                Box::new(BufWriter::with_capacity(BUFFER, output))
            }
            Err(_) => Box::new(io::stdout().lock()),
        }
    }

    /// Whether standard output is a terminal.
    pub(super) fn output_is_terminal(&self) -> bool {
        self.output.is_terminal()
    }

    /// Whether standard error shows colours: <https://no-color.org>, and a terminal that is none says so.
    fn has_colors(&self) -> bool {
        let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let is_dumb = std::env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb");
        self.errors.is_terminal() && !is_dumb && !is_set("NO_COLOR")
    }

    /// Whether standard error is a terminal, where bars can be drawn. Nix gives builders one too, and
    /// keeps what they write there as a log; it also gives them this home.
    pub(super) fn can_draw(&self) -> bool {
        let is_builder = std::env::var_os("HOME").is_some_and(|home| home == "/homeless-shelter");
        !self.quiet && !is_builder && self.errors.is_terminal()
    }
}

/// The words at the beginnings of lines that are to be seen first, and their colours (ECMA-48, SGR).
const COLORS: [(&str, &str); 3] = [("error:", "1;31"), ("warning:", "1;33"), ("hint:", "36")];

/// A text for a terminal with colours.
fn colored(text: &str) -> String {
    let line = |line: &str| {
        let word = COLORS.iter().find(|(word, _)| line.starts_with(word));
        match word {
            Some((word, color)) => {
                line.replacen(word, &format!("\u{1b}[{color}m{word}\u{1b}[0m"), 1)
            }
            None => line.to_owned(),
        }
    };
    text.split('\n').map(line).collect::<Vec<_>>().join("\n")
}

fn output_error(error: io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::BrokenPipe => Failure::OutputClosed,
        _ => Failure::Failed(Error::stream("standard output")(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_at_the_beginnings_of_lines_have_colors() {
        let text = colored("error: an error: x\nhint: y\nplain\n");
        let expected =
            "\u{1b}[1;31merror:\u{1b}[0m an error: x\n\u{1b}[36mhint:\u{1b}[0m y\nplain\n";
        assert_eq!(text, expected);
    }
}
