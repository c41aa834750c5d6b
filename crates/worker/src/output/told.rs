//! Gathers what the loop tells the task of output.

use std::time::Duration;

use tokio::time::Instant;

use super::Command;

/// What is told about output waits so long for company: every word wakes a thread.
const TELL_WITHIN: Duration = Duration::from_millis(20);
/// With so many words it does not wait.
const TELL_MAX: usize = 256;

/// Words about output that wait for company.
#[derive(Default)]
pub(crate) struct Told {
    commands: Vec<Command>,
    due: Option<Instant>,
}

impl Told {
    pub(crate) fn push(&mut self, command: Command, is_urgent: bool) {
        self.commands.push(command);
        let within = if is_urgent || self.commands.len() >= TELL_MAX {
            Duration::ZERO
        } else {
            TELL_WITHIN
        };
        let due = Instant::now() + within;
        self.due = Some(self.due.map_or(due, |it| it.min(due)));
    }

    /// Answers when the words have waited long enough.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Takes the words, whether they have waited or not.
    pub(crate) fn take(&mut self) -> Vec<Command> {
        self.due = None;
        std::mem::take(&mut self.commands)
    }

    /// Answers the words if they have waited long enough.
    pub(crate) fn take_due(&mut self) -> Option<Vec<Command>> {
        self.due.take_if(|due| *due <= Instant::now())?;
        Some(std::mem::take(&mut self.commands))
    }
}
