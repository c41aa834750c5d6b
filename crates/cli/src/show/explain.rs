//! Values of a configuration, each with where it is from.

use crate::out::table::{Cell, Column, Table};
use crate::out::{Look, Tone};

/// Prints keys with their values and sources.
#[must_use]
pub fn explained<'a>(
    look: &Look,
    rows: impl IntoIterator<Item = (&'a str, &'a str, &'a str)>,
) -> String {
    let mut table = Table::new(&[
        Column::left("KEY"),
        // Both are what people come for: a long one goes on in the next line rather than lose its end.
        Column::left("VALUE"),
        Column::left("FROM"),
    ]);
    for (key, value, source) in rows {
        table.row([
            Cell::from(key),
            Cell::from(value),
            Cell::toned(Tone::Dim, source),
        ]);
    }
    table.print(look)
}
