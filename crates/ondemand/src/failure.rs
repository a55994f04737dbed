//! Why there is no image, in the words of registries.

use http::StatusCode;

use strata_error::{Error, visible};
use strata_serve::Denied;

/// The most bytes of a program's log that a client is shown.
const LONGEST_EXCERPT: usize = 2000;

/// Why there is no image. Several clients may be told.
#[derive(Clone, Debug)]
pub(crate) enum Failure {
    /// The package set does not have these names.
    Missing(Vec<String>),
    /// Nix refused the packages, and this is what it said.
    Evaluation(String),
    /// A build failed, and this is the end of its log.
    Build(String),
    /// It took longer than it may.
    TimedOut {
        /// What did.
        what: &'static str,
        /// The seconds that it had.
        seconds: u64,
    },
    /// Too many wait already.
    Busy,
    /// The server ends.
    Stopping,
    /// Something else is wrong here.
    Other(String),
}

impl Failure {
    /// Whether the same request may fail otherwise at once, so that there is no use in remembering it.
    pub(crate) fn is_passing(&self) -> bool {
        matches!(self, Self::Busy | Self::Stopping)
    }

    /// What it is called in counts.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Missing(_) => "missing",
            Self::Evaluation(_) => "evaluation",
            Self::Build(_) => "build",
            Self::TimedOut { .. } => "timeout",
            Self::Busy => "busy",
            Self::Stopping => "stopping",
            Self::Other(_) => "other",
        }
    }

    /// What people read.
    pub(crate) fn message(&self) -> String {
        match self {
            Self::Missing(names) => format!("there is no package {}", names.join(", ")),
            Self::Evaluation(log) => format!("the packages do not evaluate: {}", reason(log)),
            Self::Build(log) => format!("the build failed: {}", end(log)),
            Self::TimedOut { what, seconds } => format!("{what} took longer than {seconds} s"),
            Self::Busy => "too many images are being built; try again later".to_owned(),
            Self::Stopping => "the server ends; try again later".to_owned(),
            Self::Other(message) => message.clone(),
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::Interrupted => Self::Stopping,
            error => {
                let report = error.report();
                Self::Other(report.trim_start_matches("error: ").to_owned())
            }
        }
    }
}

impl From<Failure> for Denied {
    fn from(failure: Failure) -> Self {
        let (status, code) = match failure {
            Failure::Missing(_) => (StatusCode::NOT_FOUND, "MANIFEST_UNKNOWN"),
            Failure::Busy => (StatusCode::TOO_MANY_REQUESTS, "TOOMANYREQUESTS"),
            Failure::Stopping => (StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE"),
            Failure::TimedOut { .. } => (StatusCode::GATEWAY_TIMEOUT, "UNKNOWN"),
            Failure::Evaluation(_) | Failure::Build(_) | Failure::Other(_) => {
                (StatusCode::INTERNAL_SERVER_ERROR, "UNKNOWN")
            }
        };
        let mut denied = Self::new(status, code, failure.message());
        if failure.is_passing() {
            denied.header = Some(("Retry-After", "10".to_owned()));
        }
        denied
    }
}

/// The part of a log that says why: from the first error on, or else its end.
fn reason(log: &str) -> String {
    let mut errors = log.match_indices("error:");
    let first = errors.find(|(at, _)| *at == 0 || log[..*at].ends_with('\n'));
    let Some((at, _)) = first else {
        return end(log);
    };
    let text = log.get(at..).unwrap_or_default();
    let mut length = text.len().min(LONGEST_EXCERPT);
    while !text.is_char_boundary(length) {
        length -= 1;
    }
    shown(&text[..length])
}

/// The end of a log.
fn end(log: &str) -> String {
    let log = log.trim_end();
    let mut start = log.len().saturating_sub(LONGEST_EXCERPT);
    while !log.is_char_boundary(start) {
        start += 1;
    }
    shown(&log[start..])
}

fn shown(text: &str) -> String {
    match text.trim() {
        "" => {
            "Nix ended without a word; it may have needed more memory than it may take".to_owned()
        }
        text => visible(text).into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_is_where_the_error_is() {
        assert_eq!(reason("warning: x\nerror: y\n  z\n"), "error: y\n  z");
        assert_eq!(reason("no error: at all"), "no error: at all");
        assert_eq!(reason("\u{1b}[31merror"), "\\u001b[31merror");
        let long = "ä".repeat(LONGEST_EXCERPT);
        assert!(reason(&long).len() <= LONGEST_EXCERPT);
        assert!(reason(&format!("error: {long}")).len() <= LONGEST_EXCERPT);
        assert!(reason(" \n").contains("memory"));
    }

    #[test]
    fn clients_are_told_in_codes_and_words() {
        let told = Denied::from(Failure::Missing(vec!["a".to_owned(), "b".to_owned()]));
        assert_eq!((told.status.as_u16(), told.code), (404, "MANIFEST_UNKNOWN"));
        assert_eq!(told.message, "there is no package a, b");
        let told = Denied::from(Failure::Busy);
        assert_eq!((told.status.as_u16(), told.code), (429, "TOOMANYREQUESTS"));
        assert_eq!(told.header.unwrap().0, "Retry-After");
    }
}
