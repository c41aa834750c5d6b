//! Output for people: what the terminal can do, and text, tables and times that fit it.
//!
//! Everything here is pure: what is shown depends on the data, the [`Look`] and nothing else.

pub mod diff;
pub mod table;
pub mod text;
pub mod time;

use crate::args::Colour;
use std::io::IsTerminal as _;

/// Columns of a terminal that does not say how many it has.
const WIDTH_DEFAULT: usize = 80;
/// Fewest columns that a table is fitted to.
const WIDTH_MIN: usize = 40;

/// How output looks.
#[derive(Debug, Clone)]
pub struct Look {
    /// Columns of the terminal; none when it is no terminal: nothing is cut then.
    pub width: Option<usize>,
    /// Whether to colour.
    pub colour: bool,
    /// The time, in milliseconds since 1970.
    pub now_ms: i64,
    /// The zone in which times are shown.
    pub zone: jiff::tz::TimeZone,
}

/// A meaning that has a colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Tone {
    /// No colour.
    #[default]
    Plain,
    /// Less important.
    Dim,
    /// Headings.
    Bold,
    /// Well.
    Good,
    /// Not well.
    Bad,
    /// Needs a look.
    Warn,
    /// Going on.
    Active,
}

impl Tone {
    /// Answers the tone of a state of a job, item, instance or host.
    #[must_use]
    pub fn of_state(word: &str) -> Self {
        match word {
            "complete" | "up" => Self::Good,
            "failed" | "failing" | "stranded" | "badlogin" | "down" | "panic" => Self::Bad,
            "killed" | "suspended" | "retrying" | "away" | "locked" => Self::Warn,
            "running" => Self::Active,
            "blocked" | "waiting" => Self::Dim,
            _ => Self::Plain,
        }
    }

    fn code(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Dim => "2",
            Self::Bold => "1",
            Self::Good => "32",
            Self::Bad => "31",
            Self::Warn => "33",
            Self::Active => "36",
        }
    }
}

impl Look {
    /// Answers how output to this process's stdout looks.
    #[must_use]
    pub fn of_stdout(colour: Colour) -> Self {
        let is_terminal = std::io::stdout().is_terminal();
        Self {
            width: is_terminal.then(terminal_width),
            colour: coloured(colour, is_terminal),
            now_ms: now_ms(),
            zone: jiff::tz::TimeZone::system(),
        }
    }

    /// Answers how output to this process's stderr looks.
    #[must_use]
    pub fn of_stderr(colour: Colour) -> Self {
        let is_terminal = std::io::stderr().is_terminal();
        Self {
            width: is_terminal.then(terminal_width),
            colour: coloured(colour, is_terminal),
            now_ms: now_ms(),
            zone: jiff::tz::TimeZone::system(),
        }
    }

    /// Says whether it is for a terminal.
    #[must_use]
    pub fn is_terminal(&self) -> bool {
        self.width.is_some()
    }

    /// Answers the columns to fit long text to: those of the terminal, or of a usual one.
    #[must_use]
    pub fn columns(&self) -> usize {
        self.width.unwrap_or(WIDTH_DEFAULT)
    }

    /// Colours a text.
    #[must_use]
    pub fn paint(&self, tone: Tone, text: &str) -> String {
        if self.colour && tone != Tone::Plain && !text.is_empty() {
            format!("\x1b[{}m{text}\x1b[0m", tone.code())
        } else {
            text.to_owned()
        }
    }

    /// Makes foreign text fit for a line: harmless, and cut to `columns` on a terminal.
    #[must_use]
    pub fn line(&self, text: &str, columns: usize) -> String {
        let safe = text::safe(text);
        match self.width {
            Some(_) => text::fit(&safe, columns),
            None => safe.into_owned(),
        }
    }
}

/// Answers the time, in milliseconds since 1970.
#[must_use]
pub fn now_ms() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

fn coloured(colour: Colour, is_terminal: bool) -> bool {
    match colour {
        Colour::Always => true,
        Colour::Never => false,
        Colour::Auto => {
            let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
            let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
            is_terminal && !refused && !dumb
        }
    }
}

fn terminal_width() -> usize {
    let said = std::env::var("COLUMNS")
        .ok()
        .and_then(|columns| columns.parse().ok());
    let asked = || terminal_size::terminal_size().map(|(width, _)| usize::from(width.0));
    said.or_else(asked).unwrap_or(WIDTH_DEFAULT).max(WIDTH_MIN)
}
