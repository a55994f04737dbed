//! What was measured, as a picture of the book: two bar charts, for light and dark pages.

use std::fmt::Write;

use anyhow::{Context, Result};

use crate::table::Row;

/// How many layers the rows have that are shown.
const LAYERS: usize = 60;

// In pixels.
const WIDTH: f64 = 760.0;
const LABELS: f64 = 120.0;
const CHART: f64 = 250.0;
const TOP: f64 = 88.0;
const ROW: f64 = 34.0;
const BAR: f64 = 20.0;

const STYLE: &str = r#"  <style>
    .panel { fill: #ffffff; stroke: #d0d7de; }
    .other { fill: #afb8c1; }
    .own { fill: #2f8f4e; }
    .line { stroke: #8c959f; }
    text { fill: #1f2328; font: 14px "Segoe UI", "DejaVu Sans", Arial, sans-serif; }
    .name { font-weight: 600; }
    .quiet { fill: #57606a; font-size: 12px; }
    @media (prefers-color-scheme: dark) {
      .panel { fill: #161b22; stroke: #30363d; }
      .other { fill: #6e7681; }
      .own { fill: #4fbf74; }
      .line { stroke: #7d8590; }
      text { fill: #f0f6fc; }
      .quiet { fill: #9198a1; }
    }
  </style>
"#;

/// The strategies, each planning for itself and without a memory, by what they send too much.
pub(crate) fn svg(rows: &[Row]) -> Result<String> {
    let is_shown = |row: &&Row| row.layers == LAYERS && !row.name.contains(',');
    let shown: Vec<&Row> = rows.iter().filter(is_shown).collect();
    let mut bars = Vec::new();
    for row in shown {
        let alike = row.alike().context("all kinds were measured")?;
        let lived = row.lived().context("all kinds were measured")?;
        bars.push((row.name, [lived, alike]));
    }
    let most = bars
        .iter()
        .flat_map(|(_, percents)| percents)
        .copied()
        .fold(1.0, f64::max);
    let height = TOP + ROW * bars.len() as f64 + 16.0;
    let mut svg = String::new();
    writeln!(
        svg,
        r#"<?xml version="1.0" encoding="UTF-8"?>
<!-- Written by make bench-layering. -->
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" role="img" aria-labelledby="title description">
  <title id="title">What updates send too much</title>"#
    )?;
    let told: Vec<String> = bars
        .iter()
        .map(|(name, [lived, alike])| format!("{name} {lived:.1} and {alike:.1} percent"))
        .collect();
    writeln!(
        svg,
        r#"  <desc id="description">With {LAYERS} layers, as lived and with all kinds of updates alike: {}.</desc>"#,
        told.join(", ")
    )?;
    svg.push_str(STYLE);
    writeln!(
        svg,
        r#"  <rect class="panel" x="0.5" y="0.5" width="{}" height="{}" rx="8"/>
  <text class="name" x="20" y="30">unchanged bytes that an update sends again, in percent of the image, with {LAYERS} layers</text>"#,
        WIDTH - 1.0,
        height - 1.0
    )?;
    for (place, title) in ["updates as they happen", "all kinds of updates alike"]
        .iter()
        .enumerate()
    {
        let left = left(place);
        writeln!(
            svg,
            r#"  <text class="quiet" x="{left}" y="66">{title}</text>"#
        )?;
        let bottom = TOP + ROW * bars.len() as f64 - ROW + BAR + 4.0;
        writeln!(
            svg,
            r#"  <path class="line" d="M{left} {} V{bottom}"/>"#,
            TOP - 4.0
        )?;
    }
    for (number, (name, percents)) in bars.iter().enumerate() {
        let y = TOP + ROW * number as f64;
        let class = if number == 0 { "own" } else { "other" };
        let base = y + BAR - 5.0;
        writeln!(svg, r#"  <text x="20" y="{base}">{name}</text>"#)?;
        for (place, percent) in percents.iter().enumerate() {
            let x = left(place);
            let width = (percent / most * (CHART - 50.0)).max(1.0);
            writeln!(
                svg,
                r#"  <rect class="{class}" x="{x}" y="{y}" width="{width:.1}" height="{BAR}"/>
  <text class="quiet" x="{:.1}" y="{base}">{percent:.1}</text>"#,
                x + width + 6.0
            )?;
        }
    }
    svg.push_str("</svg>\n");
    Ok(svg)
}

/// Where the bars of a chart begin.
fn left(place: usize) -> f64 {
    LABELS + 20.0 + place as f64 * (CHART + 60.0)
}
