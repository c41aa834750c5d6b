//! Tables that fit the terminal: the flexible columns give way, the others stay whole.

use super::text::{fit, safe, width};
use super::{Look, Tone};

/// Columns between two columns.
const GAP: usize = 2;
/// Narrowest that a flexible column becomes.
const FLEXIBLE_MIN: usize = 8;

/// A column's heading and manners.
#[derive(Debug, Clone, Copy)]
pub struct Column {
    title: &'static str,
    is_right: bool,
    is_flexible: bool,
}

impl Column {
    /// Makes a column whose text starts at its left edge.
    #[must_use]
    pub const fn left(title: &'static str) -> Self {
        Self {
            title,
            is_right: false,
            is_flexible: false,
        }
    }

    /// Makes a column whose text ends at its right edge: numbers.
    #[must_use]
    pub const fn right(title: &'static str) -> Self {
        Self {
            title,
            is_right: true,
            is_flexible: false,
        }
    }

    /// Makes a left column that is cut when the terminal is narrow.
    #[must_use]
    pub const fn flexible(title: &'static str) -> Self {
        Self {
            title,
            is_right: false,
            is_flexible: true,
        }
    }
}

/// A cell.
#[derive(Debug, Clone, Default)]
pub struct Cell {
    text: String,
    tone: Tone,
}

impl Cell {
    /// Makes a cell with a tone.
    #[must_use]
    pub fn toned(tone: Tone, text: impl AsRef<str>) -> Self {
        Self {
            text: safe(text.as_ref()).into_owned(),
            tone,
        }
    }

    /// Makes a cell for a state, in its tone.
    #[must_use]
    pub fn state(word: &str) -> Self {
        Self::toned(Tone::of_state(word), word)
    }
}

impl<T: AsRef<str>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::toned(Tone::Plain, text)
    }
}

/// A table.
#[derive(Debug)]
pub struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<Cell>>,
}

impl Table {
    /// Makes a table without rows.
    #[must_use]
    pub fn new(columns: &[Column]) -> Self {
        Self {
            columns: columns.to_vec(),
            rows: Vec::new(),
        }
    }

    /// Adds a row.
    pub fn row(&mut self, cells: impl IntoIterator<Item = Cell>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// Prints it; nothing when it has no rows.
    #[must_use]
    pub fn print(&self, look: &Look) -> String {
        if self.rows.is_empty() {
            return String::new();
        }
        let widths = self.widths(look);
        let titles = self
            .columns
            .iter()
            .map(|column| Cell::toned(Tone::Bold, column.title));
        let titles: Vec<Cell> = titles.collect();
        let mut out = self.print_row(look, &widths, &titles);
        for row in &self.rows {
            out += &self.print_row(look, &widths, row);
        }
        out
    }

    fn widths(&self, look: &Look) -> Vec<usize> {
        let mut widths: Vec<usize> = self
            .columns
            .iter()
            .map(|column| width(column.title))
            .collect();
        for row in &self.rows {
            for (widest, cell) in widths.iter_mut().zip(row) {
                *widest = (*widest).max(width(&cell.text));
            }
        }
        let Some(columns) = look.width else {
            return widths;
        };
        let used: usize = widths.iter().sum::<usize>() + GAP * widths.len().saturating_sub(1);
        let mut excess = used.saturating_sub(columns);
        while excess > 0 {
            let flexible = self
                .columns
                .iter()
                .zip(&mut widths)
                .filter(|(column, _)| column.is_flexible);
            let Some((_, widest)) = flexible.max_by_key(|(_, width)| **width) else {
                break;
            };
            if *widest <= FLEXIBLE_MIN {
                break;
            }
            *widest -= 1;
            excess -= 1;
        }
        widths
    }

    fn print_row(&self, look: &Look, widths: &[usize], cells: &[Cell]) -> String {
        let mut line = String::new();
        let parts = self.columns.iter().zip(widths).zip(cells);
        for (place, ((column, width_here), cell)) in parts.enumerate() {
            if place > 0 {
                line += &" ".repeat(GAP);
            }
            let text = if look.is_terminal() {
                fit(&cell.text, *width_here)
            } else {
                cell.text.clone()
            };
            let padding = " ".repeat(width_here.saturating_sub(width(&text)));
            let painted = look.paint(cell.tone, &text);
            line += &if column.is_right {
                padding + &painted
            } else {
                painted + &padding
            };
        }
        line.truncate(line.trim_end().len());
        line.push('\n');
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(width: Option<usize>) -> Look {
        Look {
            width,
            colour: false,
            now_ms: 0,
            zone: jiff::tz::TimeZone::UTC,
        }
    }

    fn table() -> Table {
        let mut table = Table::new(&[
            Column::right("ID"),
            Column::flexible("NAME"),
            Column::left("STATE"),
        ]);
        table.row([
            Cell::from("7"),
            "a name that is rather long".into(),
            Cell::state("running"),
        ]);
        table.row([
            Cell::from("12345"),
            "漢字\x1b[2J".into(),
            Cell::state("failed"),
        ]);
        table
    }

    #[test]
    fn tables_fit_the_terminal() {
        insta::assert_snapshot!(table().print(&look(Some(40))), @r"
           ID  NAME                      STATE
            7  a name that is rather l…  running
        12345  漢字\x1b[2J               failed
        ");
        for line in table().print(&look(Some(40))).lines() {
            assert!(width(line) <= 40, "{line}");
        }
    }

    #[test]
    fn tables_are_whole_elsewhere() {
        insta::assert_snapshot!(table().print(&look(None)), @r"
           ID  NAME                        STATE
            7  a name that is rather long  running
        12345  漢字\x1b[2J                 failed
        ");
    }

    #[test]
    fn colours_change_no_width() {
        let plain = table().print(&look(Some(60)));
        let coloured = table().print(&Look {
            colour: true,
            ..look(Some(60))
        });
        assert!(coloured.contains("\x1b[31mfailed\x1b[0m"));
        let stripped = coloured
            .split('\x1b')
            .map(|part| part.split_once('m').map_or(part, |(_, rest)| rest));
        let uncoloured: String = stripped.collect();
        let trimmed: Vec<&str> = uncoloured.lines().map(str::trim_end).collect();
        assert_eq!(trimmed, plain.lines().collect::<Vec<_>>());
    }
}
