//! Frames, their attempts and a job's history.

use crate::out::table::{Cell, Column, Table};
use crate::out::{Look, Tone, text, time};
use tessera_api::types::{AttemptRow, EndView, Event, ItemRow};

/// Prints a list of items.
#[must_use]
pub fn items(look: &Look, rows: &[ItemRow], is_more: bool) -> String {
    if rows.is_empty() {
        return "no frames\n".to_owned();
    }
    let mut table = Table::new(&[
        Column::right("#"),
        Column::left("FRAME"),
        Column::left("STATE"),
        Column::right("TRY"),
        Column::flexible("HOST"),
        Column::flexible("AS"),
        Column::right("TIME"),
        Column::right("MEMORY"),
        Column::flexible("END"),
    ]);
    for row in rows {
        table.row([
            Cell::toned(Tone::Dim, (u64::from(row.index) + 1).to_string()),
            Cell::from(&row.name),
            Cell::state(&row.status),
            Cell::from(if row.attempt > 0 {
                row.attempt.to_string()
            } else {
                String::new()
            }),
            Cell::from(row.host.as_deref().unwrap_or("")),
            Cell::from(row.account.as_deref().unwrap_or("")),
            Cell::from(row.elapsed_ms.map(time::length).unwrap_or_default()),
            Cell::from(row.peak_memory.map(time::size).unwrap_or_default()),
            remark(look, row),
        ]);
    }
    let mut out = table.print(look);
    if is_more && look.is_terminal() {
        out += &look.paint(Tone::Dim, "there are more: --limit N or --all\n");
    }
    out
}

/// Says what there is to say about an item beyond its state.
fn remark(look: &Look, row: &ItemRow) -> Cell {
    if let Some(until) = row.waits_until_ms {
        return Cell::toned(Tone::Dim, format!("again {}", time::until(look, until)));
    }
    if row.status == "running" || row.status == "suspended" {
        return Cell::toned(
            Tone::Active,
            row.progress.map(|p| format!("{p} %")).unwrap_or_default(),
        );
    }
    match &row.end {
        Some(end) if end.outcome == "done" && row.status == "complete" => Cell::default(),
        Some(end) => Cell::toned(tone_of(end), &end.text),
        None => Cell::default(),
    }
}

fn tone_of(end: &EndView) -> Tone {
    match end.outcome.as_str() {
        "done" => Tone::Good,
        "failed" => Tone::Bad,
        _ => Tone::Warn,
    }
}

/// Prints the attempts of an item.
#[must_use]
pub fn attempts(look: &Look, rows: &[AttemptRow]) -> String {
    if rows.is_empty() {
        return "it has not run yet\n".to_owned();
    }
    let mut table = Table::new(&[
        Column::right("TRY"),
        Column::flexible("HOST"),
        Column::flexible("AS"),
        Column::left("STARTED"),
        Column::right("TIME"),
        Column::right("CPU"),
        Column::right("MEMORY"),
        Column::right("PRINTED"),
        Column::flexible("END"),
    ]);
    for row in rows {
        let printed = row.printed_out.saturating_add(row.printed_err);
        table.row([
            Cell::from(row.attempt.to_string()),
            Cell::from(&row.host),
            Cell::from(&row.account),
            Cell::from(
                row.started_ms
                    .map(|at| time::clock(look, at))
                    .unwrap_or_default(),
            ),
            Cell::from(row.elapsed_ms.map(time::length).unwrap_or_default()),
            Cell::from(row.cpu_ms.map(time::length).unwrap_or_default()),
            Cell::from(row.peak_memory.map(time::size).unwrap_or_default()),
            Cell::from(time::size(printed)),
            ending(row),
        ]);
    }
    table.print(look)
}

/// Answers how many bytes of what an attempt printed are not kept, if any: over its limit, or its host's disk was full. What
/// marks the place is kept in their stead and not counted here.
#[must_use]
pub fn not_kept(row: &AttemptRow) -> Option<u64> {
    row.end.as_ref()?;
    let out = row.printed_out.saturating_sub(row.kept_out);
    let bytes = out.saturating_add(row.printed_err.saturating_sub(row.kept_err));
    (bytes > 0).then_some(bytes)
}

fn ending(row: &AttemptRow) -> Cell {
    let Some(end) = &row.end else {
        return Cell::toned(Tone::Active, "running");
    };
    let mut text = end.text.clone();
    if row.leftovers > 0 {
        let noun = if row.leftovers == 1 {
            "process"
        } else {
            "processes"
        };
        text += &format!(", {} {noun} left", row.leftovers);
    }
    if let Some(bytes) = not_kept(row) {
        text += &format!(", {} not kept", time::size(bytes));
    }
    if !row.counted {
        text += " (did not count)";
    }
    Cell::toned(tone_of(end), text)
}

/// Prints what happened, one event a line.
#[must_use]
pub fn history(look: &Look, job: u64, events: &[Event]) -> String {
    if events.is_empty() {
        return "nothing is recorded\n".to_owned();
    }
    let mut out = String::new();
    for event in events {
        let at = time::clock(look, event.at_ms);
        let what = place(job, event);
        let said = text::safe(&event.text);
        let said = if said.is_empty() {
            text::safe(&event.kind).replace('.', " ").into()
        } else {
            said
        };
        let tail = tail(event, &said);
        let used = text::width(&at) + 2 + text::width(&what) + 2;
        let room = look.columns().saturating_sub(used);
        let shown = look.line(&format!("{said}{tail}"), room);
        let tone = event
            .status
            .as_deref()
            .map(Tone::of_state)
            .unwrap_or_default();
        out += &format!(
            "{}  {}  {}\n",
            look.paint(Tone::Dim, &at),
            what,
            look.paint(tone, &shown)
        );
    }
    out
}

/// Names host and actor, as far as the text does not.
fn tail(event: &Event, said: &str) -> String {
    let mut tail = String::new();
    let named = |name: &str| {
        said.split(|c: char| !c.is_alphanumeric() && !"-._".contains(c))
            .any(|word| word == name)
    };
    if let Some(host) = event.host.as_deref().filter(|host| !named(host)) {
        tail += &format!(" on {}", text::safe(host));
    }
    if let Some(actor) = &event.actor {
        tail += &format!(" by {}", text::safe(actor));
    }
    tail
}

/// Names what an event is about: `12`, `12.0`, `12#7 try 2`.
fn place(job: u64, event: &Event) -> String {
    let job = event.job.unwrap_or(job);
    let place = match (event.item, event.instance) {
        (Some(item), _) => format!("{job}#{}", u64::from(item) + 1),
        (None, Some(instance)) => format!("{job}.{instance}"),
        (None, None) => job.to_string(),
    };
    let attempt = event
        .attempt
        .map(|n| format!(" try {n}"))
        .unwrap_or_default();
    format!("{:14}", format!("{place}{attempt}"))
}
