//! The report for people, as text.

use crate::measure::figure;
use crate::report::{ClassWaits, Quantiles, Report};
use std::fmt::Write as _;

/// Users that are listed.
const USERS_SHOWN: usize = 5;

/// Prints a report.
pub(crate) fn print(report: &Report) -> String {
    if let Some(replayed) = &report.replayed {
        return crate::replay::lines(report, replayed);
    }
    let mut out = String::new();
    let mut line = |name: &str, text: String| {
        let _never_fails = writeln!(out, "{name:<14} {text}");
    };
    line("scenario", format!("{}: {}", report.scenario, report.about));
    line(
        "farm",
        format!(
            "{} hosts of {} slots, {} frames in jobs of {}, store {}, seed {}",
            report.hosts, report.slots, report.frames, report.job_frames, report.store, report.seed
        ),
    );
    line(
        "time",
        format!(
            "{:.0} s of the farm in {:.1} s, of which the supervisor was busy for {:.2} s{}",
            report.virtual_seconds,
            report.real_seconds,
            report.busy_seconds,
            if report.is_cut { "; cut short" } else { "" }
        ),
    );
    line(
        "placements",
        format!(
            "{} (hash {}), {:.0} a second of work; {:.0} events a second",
            report.placements,
            report.placements_hash,
            report.placements_per_second,
            report.events_per_second
        ),
    );
    let cost = &report.cost;
    line(
        "an event",
        format!(
            "{:.1} us: engine {:.1}, commit {:.1}, rows and tickets {:.1}, wire {:.1}",
            cost.all_us, cost.engine_us, cost.commit_us, cost.rows_and_tickets_us, cost.wire_us
        ),
    );
    let counted = &report.counted;
    line(
        "counted",
        format!(
            "{} events in {} turns; for one {:.3} looked at, {:.3} rows, {:.0} bytes on the wire",
            counted.events,
            counted.turns,
            counted.looked_at_per_event,
            counted.rows_per_event,
            counted.wire_bytes_per_event
        ),
    );
    line("commits", milliseconds(&report.commit_ms));
    line("turns", milliseconds(&report.turn_ms));
    line("a submission", format!("{:.0} us", report.submit_us));
    if let Some(fill) = &report.fill {
        line(
            "filled",
            format!(
                "{} slots after {:.2} s of the farm, {:.2} s of work",
                fill.slots, fill.virtual_seconds, fill.busy_seconds
            ),
        );
    }
    let used = &report.utilisation;
    line(
        "utilisation",
        format!(
            "{:.1} % taken, {:.1} % working, {:.1} % working while something waited",
            100.0 * used.taken,
            100.0 * used.working,
            100.0 * used.working_while_waiting
        ),
    );
    for class in &report.waits {
        line("waits", waits(class));
    }
    let fair = &report.fairness;
    line(
        "fairness",
        format!(
            "Jain {:.3} among {} users ({:.3} in the first half)",
            fair.jain,
            fair.users.len(),
            fair.jain_first_half
        ),
    );
    for share in fair.users.iter().take(USERS_SHOWN) {
        let (user, frames, hours) = (&share.user, share.wanted_frames, share.slot_hours);
        line(
            "",
            format!("{user} {hours:.1} slot hours, wanted {frames} frames"),
        );
    }
    line("memory", memory(report));
    let ends = &report.ends;
    line(
        "frames",
        format!(
            "{} submitted: {} complete, {} failed, {} running, {} waiting",
            ends.submitted, ends.complete, ends.failed, ends.running, ends.waiting
        ),
    );
    line(
        "processes",
        format!(
            "{} begun: {} ended well, {} badly, {} by the farm; {} beside another of the same frame",
            ends.begun, ends.ended_well, ends.ended_badly, ends.ended_by_farm, ends.overlaps
        ),
    );
    if let Some(restart) = &report.restart {
        line(
            "restart",
            format!(
                "serving after {:.2} s, dispatching after {:.2} s more of work; store {:.1} MB; lost {}, started twice {}",
                restart.serving_seconds,
                restart.dispatching_seconds,
                figure(restart.store_bytes) / 1e6,
                restart.lost,
                restart.started_twice
            ),
        );
    }
    for fault in &report.faults {
        line("WRONG", fault.clone());
    }
    if report.is_debug_build {
        line("note", "a debug build: its times say little".to_owned());
    }
    out
}

fn milliseconds(it: &Quantiles) -> String {
    format!(
        "{}: p50 {:.2} ms, p99 {:.2} ms, most {:.2} ms",
        it.samples, it.p50, it.p99, it.most
    )
}

fn waits(class: &ClassWaits) -> String {
    let (first, done) = (&class.first_frame_seconds, &class.done_seconds);
    format!(
        "{}: {} jobs, {} not begun, {} ended; first frame p50 {:.1} s, p99 {:.1} s, most {:.1} s; done p50 {:.0} s",
        class.class,
        class.jobs,
        class.waiting,
        class.ended,
        first.p50,
        first.p99,
        first.most,
        done.p50
    )
}

fn memory(report: &Report) -> String {
    let megabytes = |bytes: u64| figure(bytes) / 1e6;
    let memory = &report.memory;
    format!(
        "{:.0} MB more with the queue ({:.1} MB a million frames), {:.0} MB at the end, all hosts included",
        megabytes(memory.queued),
        memory.queued_per_million / 1e6,
        megabytes(memory.end)
    )
}
