//! A replay for people: as text, and as the first part of the page.

use super::report::{Moved, Replayed, Waits};
use super::when;
use crate::Report;
use crate::html::{table, text};
use std::fmt::Write as _;

/// What the columns are called.
const WAS: &str = "as it was";
const WOULD: &str = "replayed";

/// Prints a replay.
pub(crate) fn lines(report: &Report, replayed: &Replayed) -> String {
    let mut out = String::new();
    let mut line = |name: &str, text: &str| {
        let _never_fails = writeln!(out, "{name:<14} {text}");
    };
    line("replay", &about(report, replayed));
    for (name, each) in notes(report, replayed) {
        for (number, text) in each.iter().enumerate() {
            line(if number == 0 { name } else { "" }, text);
        }
    }
    line(
        "time",
        &format!(
            "{:.0} s of the farm in {:.1} s{}",
            report.virtual_seconds,
            report.real_seconds,
            if report.is_cut {
                "; cut short by --minutes: what follows is of a part of it"
            } else {
                ""
            }
        ),
    );
    line(
        "placements",
        &format!("{} (hash {})", report.placements, report.placements_hash),
    );
    for fault in &report.faults {
        line("WRONG", fault);
    }
    out.push('\n');
    let mut row = |cells: [String; 4]| {
        let [name, was, would, change] = cells;
        let line = format!("{name:<34} {was:>12} {would:>12} {change:>9}");
        let _never_fails = writeln!(out, "{}", line.trim_end());
    };
    let head = ["", WAS, WOULD, "change"];
    row(head.map(str::to_owned));
    for cells in rows(replayed) {
        row(cells);
    }
    for (name, jobs) in [("sooner", &replayed.sooner), ("later", &replayed.later)] {
        for (number, job) in jobs.iter().enumerate() {
            if number == 0 {
                out.push('\n');
            }
            let name = if number == 0 { name } else { "" };
            let _never_fails = writeln!(out, "{name:<14} {}", moved(job));
        }
    }
    out
}

/// Prints what the page says of a replay, before the figures of the run.
pub(crate) fn page(out: &mut String, report: &Report, replayed: &Replayed) {
    *out += &format!("<p>{}.</p>\n", text(&about(report, replayed)));
    for (name, each) in notes(report, replayed) {
        let each: Vec<String> = each.iter().map(|it| text(it)).collect();
        *out += &format!("<p>{}: {}.</p>\n", text(name), each.join("; "));
    }
    let head = ["", WAS, WOULD, "change"];
    let all: Vec<Vec<String>> = rows(replayed).into_iter().map(Vec::from).collect();
    table(out, "As it was, and replayed", &head, &all);
    let head = [
        "job",
        "first frame was, s",
        "replayed, s",
        "done was, s",
        "replayed, s",
    ];
    for (title, jobs) in [
        ("Jobs that would be done sooner", &replayed.sooner),
        ("Jobs that would be done later", &replayed.later),
    ] {
        let row = |it: &Moved| {
            let mut row = vec![format!("{} {} of {}", it.job, it.name, it.owner)];
            let seconds = it.wait_seconds.iter().chain(&it.done_seconds);
            row.extend(seconds.map(|it| format!("{it:.1}")));
            row
        };
        let all: Vec<Vec<String>> = jobs.iter().map(row).collect();
        if !all.is_empty() {
            table(out, title, &head, &all);
        }
    }
}

fn about(report: &Report, it: &Replayed) -> String {
    format!(
        "{}, {} to {}: {} jobs, {} frames, {} hosts, seed {}",
        it.source,
        when(it.from_ms),
        when(it.to_ms),
        it.jobs,
        it.frames,
        it.hosts,
        report.seed
    )
}

/// Answers what is to be known before the figures are believed.
fn notes(report: &Report, it: &Replayed) -> Vec<(&'static str, Vec<String>)> {
    let mut guessed = Vec::new();
    let mut guess = |count: u64, of: &str| {
        guessed.extend((count > 0).then(|| {
            format!("{count} frames never ended by themselves; they take the middle of {of}")
        }));
    };
    guess(it.guessed.of_job, "those of their job");
    guess(it.guessed.of_farm, "all frames: none of their job ended");
    let said = (it.words > 0).then(|| format!("{} words of people are said again", it.words));
    let debug = "a debug build: what the run cost says little".to_owned();
    vec![
        ("settings", it.settings.clone()),
        ("assumed", it.assumed.clone()),
        ("guessed", guessed),
        ("people", said.into_iter().collect()),
        ("not replayed", it.not_replayed.clone()),
        (
            "note",
            report.is_debug_build.then_some(debug).into_iter().collect(),
        ),
    ]
}

/// Answers the rows of the comparison.
fn rows(it: &Replayed) -> Vec<[String; 4]> {
    let (was, would) = (&it.was, &it.would);
    let row = |name: &str, [was, would]: [String; 2], change: String| {
        [name.to_owned(), was, would, change]
    };
    let count = |name: &str, a: u64, b: u64| {
        let change = if a == b { String::new() } else { more(a, b) };
        row(name, [a, b].map(|n| n.to_string()), change)
    };
    let percent = |share: f64| format!("{:.1} %", 100.0 * share);
    let mut rows = vec![
        time("until the last frame ended", was.seconds, would.seconds),
        row(
            "slots that worked",
            [was.working, would.working].map(percent),
            format!("{:+.1} %", 100.0 * (would.working - was.working)),
        ),
        row(
            "slot hours",
            [was.slot_hours, would.slot_hours].map(|hours| format!("{hours:.2}")),
            String::new(),
        ),
        count("jobs that ended", was.jobs_ended, would.jobs_ended),
        count("jobs never begun", was.jobs_waiting, would.jobs_waiting),
        count("frames complete", was.complete, would.complete),
        count("frames failed", was.failed, would.failed),
    ];
    waits(&mut rows, "all jobs", &was.waits, &would.waits);
    if it.classes.len() > 1 {
        for class in &it.classes {
            let name = format!("{} ({} jobs)", class.class, class.jobs);
            waits(&mut rows, &name, &class.was, &class.would);
        }
    }
    rows
}

/// Adds the rows of the waits of some jobs.
fn waits(rows: &mut Vec<[String; 4]>, of: &str, was: &Waits, would: &Waits) {
    let (first, then) = (&was.first_frame_seconds, &would.first_frame_seconds);
    let (done, later) = (&was.done_seconds, &would.done_seconds);
    rows.push([safe(of), String::new(), String::new(), String::new()]);
    for (name, a, b) in [
        ("  first frame p50", first.p50, then.p50),
        ("  first frame p90", first.p90, then.p90),
        ("  first frame most", first.most, then.most),
        ("  done p50", done.p50, later.p50),
        ("  done p90", done.p90, later.p90),
    ] {
        rows.push(time(name, a, b));
    }
}

/// Answers the row of two times.
fn time(name: &str, was: f64, would: f64) -> [String; 4] {
    let change = match was > 0.0 {
        true => format!("{:+.0} %", 100.0 * (would - was) / was),
        false => String::new(),
    };
    let [was, would] = [was, would].map(|it| format!("{it:.1} s"));
    [name.to_owned(), was, would, change]
}

fn more(was: u64, would: u64) -> String {
    match would >= was {
        true => format!("+{}", would - was),
        false => format!("-{}", was - would),
    }
}

fn moved(job: &Moved) -> String {
    let [was, would] = job.done_seconds;
    let [wait_was, wait_would] = job.wait_seconds;
    format!(
        "job {} \"{}\" of {}: done after {would:.0} s instead of {was:.0} s (first frame after {wait_would:.0} s instead of {wait_was:.0} s)",
        job.job,
        safe(&job.name),
        job.owner
    )
}

/// Makes what somebody named harmless on a terminal.
fn safe(text: &str) -> String {
    let plain = text.chars().map(|c| match c.is_control() {
        true => char::REPLACEMENT_CHARACTER,
        false => c,
    });
    plain.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_on_their_line() {
        assert_eq!(safe("a\x1b[2Jb\n"), "a\u{fffd}[2Jb\u{fffd}");
    }

    #[test]
    fn changes_are_of_what_was() {
        let row = time("x", 200.0, 150.0);
        assert_eq!(row, ["x", "200.0 s", "150.0 s", "-25 %"].map(str::to_owned));
        assert_eq!(time("x", 0.0, 1.0)[3], "");
        assert_eq!((more(3, 5), more(5, 3)), ("+2".to_owned(), "-2".to_owned()));
    }
}
