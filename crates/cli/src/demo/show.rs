//! The demo's end: a table of the frames and where the images are.

use super::Report;
use crate::out::table::{Cell, Column, Table};
use crate::out::{Look, Tone, text, time};

/// Frames that the table shows; of more only the first.
const ROWS_MAX: usize = 48;

/// Prints what the demo did.
pub(super) fn report(look: &Look, report: &Report) -> String {
    let mut table = Table::new(&[
        Column::right("FRAME"),
        Column::flexible("HOST"),
        Column::flexible("USER"),
        Column::right("SECONDS"),
    ]);
    for row in report.frames.iter().take(ROWS_MAX) {
        let seconds = row
            .elapsed_ms
            .map(|ms| format!("{}.{:02}", ms / 1_000, ms % 1_000 / 10));
        table.row([
            Cell::from(&row.name),
            Cell::from(row.host.as_deref().unwrap_or("")),
            Cell::from(row.account.as_deref().unwrap_or("")),
            Cell::from(seconds.unwrap_or_default()),
        ]);
    }
    let mut out = table.print(look);
    let more = report.frames.len().saturating_sub(ROWS_MAX);
    if more > 0 {
        out += &format!("… and {}\n", time::count(more as u64, "more frame"));
    }
    let first = report
        .first_frame_ms
        .map(|ms| format!(", the first after {}", time::length(ms)));
    out += &format!(
        "{} {} in {}{}\n",
        look.paint(Tone::Good, "done:"),
        time::count(report.frames.len() as u64, "frame"),
        time::length(report.total_ms),
        first.unwrap_or_default(),
    );
    out += &format!("images         {}\n", report.images.display());
    out += &format!("contact sheet  {}\n", report.contact_sheet.display());
    let images = report.images.display().to_string();
    let remove = text::command(&["rm".to_owned(), "-r".to_owned(), images]);
    out + &format!("the farm is gone; the images stay until you remove them: {remove}\n")
}
