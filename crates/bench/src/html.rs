//! The report as one HTML file: tables, and plots as SVG within it. It asks for nothing from elsewhere.

use crate::measure::{figure, ratio, ratio_f};
use crate::report::{Report, Sample};
use std::fmt::Write as _;

/// Size of a plot.
const WIDE: f64 = 720.0;
const HIGH: f64 = 180.0;
/// Room for figures at its left and below.
const LEFT: f64 = 64.0;
const BELOW: f64 = 22.0;

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1c2430;\
background:#fff}h1{font-size:1.5rem}h2{font-size:1.1rem;margin:2rem 0 .5rem}table{border-collapse:collapse;margin:.5rem 0}\
td,th{padding:.2rem .8rem .2rem 0;text-align:left;vertical-align:top}td.n,th.n{text-align:right;font-variant-numeric:\
tabular-nums}th{font-weight:600;border-bottom:1px solid #c8d0da}svg{display:block;max-width:100%}svg text{font:11px \
system-ui,sans-serif;fill:#5b6675}.wrong{color:#a11;font-weight:600}.line0{stroke:#2563a8}.line1{stroke:#d97706}\
.line2{stroke:#3f8f4f}.key0{color:#2563a8}.key1{color:#d97706}.key2{color:#3f8f4f}pre{white-space:pre-wrap}\
@media(prefers-color-scheme:dark){body{background:#14181e;color:#dde3ea}th{border-color:#3a4450}svg text{fill:#9aa6b4}}";

/// A line of a plot: what it is, and its points over the seconds.
struct Line {
    name: &'static str,
    points: Vec<(f64, f64)>,
}

/// Prints a report.
pub(crate) fn print(report: &Report) -> String {
    let mut out = String::from("<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">");
    let title = match &report.replayed {
        Some(_) => "tessera bench replay".to_owned(),
        None => format!("tessera bench farm: {}", report.scenario),
    };
    out += &format!(
        "<title>{}</title><meta name=\"viewport\" content=\"width=device-width\"><style>{STYLE}</style></head><body>\n",
        text(&title)
    );
    out += &format!("<h1>{}</h1>\n", text(&title));
    match &report.replayed {
        Some(replayed) => crate::replay::page(&mut out, report, replayed),
        None => out += &made_up(report),
    }
    for fault in &report.faults {
        out += &format!("<p class=\"wrong\">Wrong: {}</p>\n", text(fault));
    }
    if report.is_debug_build {
        out += "<p>Made by a debug build: its times say little.</p>\n";
    }
    plots(&mut out, &report.samples);
    waits(&mut out, report);
    users(&mut out, report);
    rows(&mut out, report);
    out += &format!(
        "<h2>In words</h2>\n<pre>{}</pre>\n</body></html>\n",
        text(&crate::text::print(report))
    );
    out
}

/// Says which farm was made up.
fn made_up(report: &Report) -> String {
    format!(
        "<p>{}. {} hosts of {} slots, {} frames in jobs of {}, store {}, seed {}.</p>\n",
        text(report.about),
        report.hosts,
        report.slots,
        report.frames,
        report.job_frames,
        report.store,
        report.seed
    )
}

/// What lies between two samples, as a point in the middle of them.
fn between(samples: &[Sample], value: impl Fn(&Sample, &Sample) -> f64) -> Vec<(f64, f64)> {
    let pairs = samples.windows(2);
    let point = |pair: &[Sample]| match pair {
        [a, b] if b.at_ms > a.at_ms => Some((figure(a.at_ms + b.at_ms) / 2e3, value(a, b))),
        _ => None,
    };
    pairs.filter_map(point).collect()
}

fn at(samples: &[Sample], value: impl Fn(&Sample) -> f64) -> Vec<(f64, f64)> {
    let point = |sample: &Sample| (figure(sample.at_ms) / 1e3, value(sample));
    samples.iter().map(point).collect()
}

fn plots(out: &mut String, samples: &[Sample]) {
    let mut plot = |title: &str, lines: Vec<(&'static str, Vec<(f64, f64)>)>| {
        let lines = lines.into_iter();
        let lines: Vec<Line> = lines.map(|(name, points)| Line { name, points }).collect();
        *out += &format!("<h2>{}</h2>\n", text(title));
        draw(out, &lines);
    };
    plot(
        "Slots, of a hundred that are there",
        vec![
            (
                "taken",
                at(samples, |it| 100.0 * ratio(it.taken, it.offered)),
            ),
            (
                "working",
                at(samples, |it| 100.0 * ratio(it.working, it.offered)),
            ),
        ],
    );
    plot(
        "Frames that have not ended",
        vec![("frames", at(samples, |it| figure(it.open_frames)))],
    );
    plot(
        "Placements a second of the farm",
        vec![(
            "placements",
            between(samples, |a, b| {
                1e3 * ratio(b.placements - a.placements, b.at_ms - a.at_ms)
            }),
        )],
    );
    plot(
        "What an event costs, microseconds of work",
        vec![
            (
                "everything",
                between(samples, |a, b| each_us(b.busy_ms - a.busy_ms, a, b)),
            ),
            (
                "commits",
                between(samples, |a, b| each_us(b.commit_ms - a.commit_ms, a, b)),
            ),
        ],
    );
    plot(
        "Looked at by the planner for an event",
        vec![(
            "looked at",
            between(samples, |a, b| {
                ratio(b.looked_at.saturating_sub(a.looked_at), b.events - a.events)
            }),
        )],
    );
    plot(
        "A commit, milliseconds",
        vec![(
            "mean",
            between(samples, |a, b| {
                ratio_f(b.commit_ms - a.commit_ms, figure(b.commits - a.commits))
            }),
        )],
    );
    plot(
        "Memory, megabytes, made-up hosts included",
        vec![("resident", at(samples, |it| figure(it.memory) / 1e6))],
    );
}

fn each_us(ms: f64, a: &Sample, b: &Sample) -> f64 {
    ratio_f(1e3 * ms, figure(b.events - a.events))
}

/// Draws lines over the same time.
fn draw(out: &mut String, lines: &[Line]) {
    let points = || lines.iter().flat_map(|line| line.points.iter());
    let Some(first) = points().map(|it| it.0).reduce(f64::min) else {
        *out += "<p>Nothing was sampled.</p>\n";
        return;
    };
    let last = points().map(|it| it.0).fold(first, f64::max);
    let most = nice(points().map(|it| it.1).fold(0.0, f64::max));
    let x = |seconds: f64| LEFT + (WIDE - LEFT) * ratio_f(seconds - first, last - first);
    let y = |value: f64| HIGH - (HIGH - 8.0) * ratio_f(value, most);
    *out += &format!("<svg viewBox=\"0 0 {WIDE} {}\" role=\"img\">", HIGH + BELOW);
    for share in [0.0, 0.5, 1.0] {
        let (at, value) = (y(share * most), share * most);
        let _never_fails = write!(
            out,
            "<line x1=\"{LEFT}\" x2=\"{WIDE}\" y1=\"{at:.1}\" y2=\"{at:.1}\" stroke=\"#8884\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            LEFT - 6.0,
            at + 4.0,
            short(value)
        );
    }
    for (seconds, anchor) in [(first, "start"), (last, "end")] {
        let _never_fails = write!(
            out,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"{anchor}\">{} s</text>",
            x(seconds),
            HIGH + 16.0,
            short(seconds)
        );
    }
    for (number, line) in lines.iter().enumerate() {
        let points = line.points.iter();
        let points: Vec<String> = points
            .map(|(seconds, value)| format!("{:.1},{:.1}", x(*seconds), y(*value)))
            .collect();
        let _never_fails = write!(
            out,
            "<polyline class=\"line{number}\" fill=\"none\" stroke-width=\"1.5\" points=\"{}\"/>",
            points.join(" ")
        );
    }
    *out += "</svg>\n";
    if lines.len() > 1 {
        let names = lines.iter().enumerate();
        let names = names.map(|(number, line)| {
            format!("<span class=\"key{number}\">■</span> {}", text(line.name))
        });
        *out += &format!("<p>{}</p>\n", names.collect::<Vec<_>>().join(" "));
    }
}

/// Answers the next round figure: 1, 2 or 5 and zeros.
fn nice(value: f64) -> f64 {
    if value <= 0.0 {
        return 1.0;
    }
    let power = 10_f64.powf(value.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .find(|it| it * power >= value);
    step.unwrap_or(10.0) * power
}

fn short(value: f64) -> String {
    match value {
        it if it >= 1e6 => format!("{:.1} M", it / 1e6),
        it if it >= 1e4 => format!("{:.0} k", it / 1e3),
        it if it >= 10.0 || it == 0.0 => format!("{it:.0}"),
        it => format!("{it:.2}"),
    }
}

/// Prints a table; figures stand at the right.
pub(crate) fn table(out: &mut String, title: &str, head: &[&str], rows: &[Vec<String>]) {
    *out += &format!("<h2>{}</h2>\n<table><tr>", text(title));
    let class = |column: usize| if column == 0 { "" } else { " class=\"n\"" };
    for (column, name) in head.iter().enumerate() {
        *out += &format!("<th{}>{}</th>", class(column), text(name));
    }
    *out += "</tr>\n";
    for row in rows {
        *out += "<tr>";
        for (column, cell) in row.iter().enumerate() {
            *out += &format!("<td{}>{}</td>", class(column), text(cell));
        }
        *out += "</tr>\n";
    }
    *out += "</table>\n";
}

fn waits(out: &mut String, report: &Report) {
    let head = [
        "kind of job",
        "jobs",
        "not begun",
        "ended",
        "p50",
        "p90",
        "p99",
        "most",
        "done p50",
    ];
    let row = |it: &crate::report::ClassWaits| {
        let first = &it.first_frame_seconds;
        let mut row = vec![it.class.clone()];
        row.extend([it.jobs, it.waiting, it.ended].map(|n| n.to_string()));
        let seconds = [
            first.p50,
            first.p90,
            first.p99,
            first.most,
            it.done_seconds.p50,
        ];
        row.extend(seconds.map(|s| format!("{s:.1}")));
        row
    };
    let rows: Vec<_> = report.waits.iter().map(row).collect();
    table(
        out,
        "From submission to the first frame, seconds",
        &head,
        &rows,
    );
}

fn users(out: &mut String, report: &Report) {
    let head = ["user", "wanted frames", "slot hours"];
    let row = |it: &crate::report::Share| {
        let hours = format!("{:.2}", it.slot_hours);
        vec![it.user.clone(), it.wanted_frames.to_string(), hours]
    };
    let rows: Vec<_> = report.fairness.users.iter().map(row).collect();
    table(out, "Users", &head, &rows);
}

fn rows(out: &mut String, report: &Report) {
    let it = &report.counted.rows;
    let rows = [
        ("jobs", it.jobs),
        ("states of jobs", it.job_states),
        ("segments of items", it.segments),
        ("instances", it.instances),
        ("launches", it.launches),
        ("hosts", it.hosts),
        ("attempts", it.attempts),
        ("journal", it.journal),
        ("others", it.others),
    ];
    let rows = rows.map(|(name, n)| {
        let each = ratio(n, report.counted.events);
        vec![name.to_owned(), n.to_string(), format!("{each:.4}")]
    });
    table(
        out,
        "Rows written",
        &["rows", "number", "for an event"],
        &rows,
    );
}

/// Makes text safe to stand in HTML.
pub(crate) fn text(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    text.replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_figures_are_not_less() {
        for (value, round) in [
            (0.0, 1.0),
            (0.3, 0.5),
            (1.0, 1.0),
            (7.0, 10.0),
            (120.0, 200.0),
        ] {
            assert!((nice(value) - round).abs() < 1e-9, "{value}");
        }
    }

    #[test]
    fn what_was_named_is_text() {
        assert_eq!(text("<a href=\"&\">"), "&lt;a href=&quot;&amp;&quot;&gt;");
    }
}
