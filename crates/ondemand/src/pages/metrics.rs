//! Counts for Prometheus, in its text format (version 0.0.4).

use std::fmt::Write as _;

use crate::journal::Counts;

/// What is measured when somebody asks.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Gauges {
    /// Images that are evaluated and built.
    pub(crate) running: usize,
    /// Those that wait for it.
    pub(crate) waiting: usize,
    /// Bytes of compressed layers that are kept.
    pub(crate) blob_bytes: u64,
}

/// The text.
pub(crate) fn metrics(counts: &Counts, gauges: &Gauges) -> String {
    let mut text = String::new();
    let mut series = |name: &str, kind: &str, help: &str, values: &[(String, String)]| {
        let _ = writeln!(
            text,
            "# HELP strata_registry_{name} {help}\n# TYPE strata_registry_{name} {kind}"
        );
        for (labels, value) in values {
            let _ = writeln!(text, "strata_registry_{name}{labels} {value}");
        }
    };
    let one = |value: String| [(String::new(), value)];

    let requests = counts.requests.iter().map(|((about, status), count)| {
        (
            format!("{{about=\"{about}\",status=\"{status}\"}}"),
            count.to_string(),
        )
    });
    let requests: Vec<_> = requests.collect();
    series(
        "requests_total",
        "counter",
        "Requests that were answered.",
        &requests,
    );
    let bytes = one(counts.bytes.to_string());
    series(
        "sent_bytes_total",
        "counter",
        "Bytes of bodies that were sent.",
        &bytes,
    );
    let broken = one(counts.broken.to_string());
    series(
        "broken_responses_total",
        "counter",
        "Responses that broke off.",
        &broken,
    );
    let builds = counts.builds.iter();
    let builds =
        builds.map(|(outcome, count)| (format!("{{outcome=\"{outcome}\"}}"), count.to_string()));
    let builds: Vec<_> = builds.collect();
    series(
        "builds_total",
        "counter",
        "Images that were evaluated and built.",
        &builds,
    );
    let seconds = one(counts.build_time.as_secs_f64().to_string());
    series(
        "build_seconds_total",
        "counter",
        "How long that took.",
        &seconds,
    );
    let remembered = one(counts.remembered.to_string());
    series(
        "remembered_total",
        "counter",
        "Images that did not have to be built.",
        &remembered,
    );
    let queue = [
        ("{state=\"running\"}".to_owned(), gauges.running.to_string()),
        ("{state=\"waiting\"}".to_owned(), gauges.waiting.to_string()),
    ];
    series(
        "queue",
        "gauge",
        "Images that are being built, and that wait for it.",
        &queue,
    );
    let kept = one(gauges.blob_bytes.to_string());
    series(
        "blob_bytes",
        "gauge",
        "Bytes of compressed layers that are kept.",
        &kept,
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_is_a_comment_or_a_value() {
        let mut counts = Counts::default();
        counts.requests.insert(("blob", 200), 7);
        let text = metrics(&counts, &Gauges::default());
        assert!(text.contains("strata_registry_requests_total{about=\"blob\",status=\"200\"} 7\n"));
        for line in text.lines() {
            let is_value = line
                .rsplit_once(' ')
                .is_some_and(|(_, value)| value.parse::<f64>().is_ok());
            assert!(line.starts_with("# ") || is_value, "{line}");
        }
    }
}
