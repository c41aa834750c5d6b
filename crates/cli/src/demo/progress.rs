//! Live progress of the demo: one cell a frame on a terminal, a line a frame elsewhere.

use crate::out::{Look, Tone, text, time};
use crate::run::Context;
use std::collections::BTreeSet;
use std::time::Duration;
use tessera_api::types::ItemRow;

/// Most cells; more frames share one.
const CELLS_MAX: usize = 48;

/// What was shown of the frames.
pub(super) struct Progress<'a> {
    context: &'a Context,
    told: BTreeSet<u32>,
}

impl<'a> Progress<'a> {
    pub(super) fn new(context: &'a Context) -> Self {
        Self {
            context,
            told: BTreeSet::new(),
        }
    }

    pub(super) fn update(&mut self, rows: &[ItemRow], elapsed: Duration) {
        if self.context.json {
            return;
        }
        let look = &self.context.errors;
        if look.is_terminal() {
            self.context
                .say(&format!("\r{}\x1b[K", line(look, rows, elapsed)));
            return;
        }
        for row in rows.iter().filter(|row| is_over(row)) {
            if self.told.insert(row.index) {
                let took = row.elapsed_ms.map(time::length).unwrap_or_default();
                self.context
                    .say(&format!("frame {} {} {took}\n", row.name, row.status));
            }
        }
    }

    pub(super) fn finish(&self) {
        if !self.context.json && self.context.errors.is_terminal() {
            self.context.say("\r\x1b[K");
        }
    }
}

fn is_over(row: &ItemRow) -> bool {
    matches!(row.status.as_str(), "complete" | "failed" | "killed")
}

/// Prints the frames as cells, what runs, and the time.
pub(super) fn line(look: &Look, rows: &[ItemRow], elapsed: Duration) -> String {
    let share = rows.len().div_ceil(CELLS_MAX).max(1);
    let cells = painted(look, rows.chunks(share).map(cell));
    let done = rows.iter().filter(|row| is_over(row)).count();
    let running: Vec<&str> = rows
        .iter()
        .filter(|row| row.status == "running")
        .map(|row| row.name.as_str())
        .collect();
    let ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
    let mut tail = format!(" {done}/{}  {}", rows.len(), time::length(ms));
    if !running.is_empty() {
        tail += &format!("  rendering {}", running.join(" "));
    }
    let used = rows.len().div_ceil(share);
    format!(
        "{cells}{}",
        text::fit(&text::safe(&tail), look.columns().saturating_sub(used + 1))
    )
}

/// Answers the cell of frames that share one: as the least finished of them is.
fn cell(rows: &[ItemRow]) -> (Tone, char) {
    let has = |word: &str| rows.iter().any(|row| row.status == word);
    if has("failed") || has("killed") {
        (Tone::Bad, '▓')
    } else if has("running") || has("suspended") {
        (Tone::Active, '▒')
    } else if rows.iter().all(is_over) {
        (Tone::Good, '█')
    } else {
        (Tone::Dim, '░')
    }
}

/// Draws cells, those of one tone at a time.
fn painted(look: &Look, cells: impl Iterator<Item = (Tone, char)>) -> String {
    let (mut out, mut alike, mut tone) = (String::new(), String::new(), Tone::Plain);
    for (next, cell) in cells {
        if next != tone {
            out += &look.paint(tone, &alike);
            alike.clear();
            tone = next;
        }
        alike.push(cell);
    }
    out + &look.paint(tone, &alike)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_frame_has_a_cell() {
        let row = |index: u32, status: &str| ItemRow {
            index,
            name: (index + 1).to_string(),
            status: status.into(),
            ..ItemRow::default()
        };
        let rows = [
            row(0, "complete"),
            row(1, "failed"),
            row(2, "running"),
            row(3, "pending"),
        ];
        let look = Look {
            width: Some(80),
            colour: false,
            now_ms: 0,
            zone: jiff::tz::TimeZone::UTC,
        };
        assert_eq!(
            line(&look, &rows, Duration::from_millis(1_500)),
            "█▓▒░ 2/4  1.50s  rendering 3"
        );
        let many: Vec<ItemRow> = (0..1_000).map(|index| row(index, "pending")).collect();
        assert!(text::width(&line(&look, &many, Duration::ZERO)) < 80);
    }
}
