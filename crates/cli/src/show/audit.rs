//! Who did what to the farm.

use crate::out::table::{Cell, Column, Table};
use crate::out::{Look, Tone, time};
use tessera_api::types::Event;

/// Prints what people did, a line each.
#[must_use]
pub fn audit(look: &Look, events: &[Event]) -> String {
    if events.is_empty() {
        return "nothing of that is recorded\n".to_owned();
    }
    let mut table = Table::new(&[
        Column::left("WHEN"),
        Column::flexible("WHO"),
        Column::left("WHAT"),
        Column::flexible("OF"),
        Column::flexible("IN WORDS"),
    ]);
    for event in events {
        let tone = match event.kind.as_str() {
            "login.refused" => Tone::Bad,
            _ => Tone::Plain,
        };
        let of = event.job.map(|job| job.to_string());
        let of = of.or_else(|| event.host.clone());
        table.row([
            Cell::toned(Tone::Dim, time::day_and_time(look, event.at_ms)),
            Cell::from(event.actor.clone().unwrap_or_default()),
            Cell::toned(tone, &event.kind),
            Cell::from(of.unwrap_or_default()),
            Cell::from(&event.text),
        ]);
    }
    table.print(look)
}
