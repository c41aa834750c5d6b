//! Steps that are said, done, and taken back if a later one fails.

use super::system::System;
use crate::error::CliError;
use std::path::{Path, PathBuf};

/// How to take a step back.
#[derive(Debug)]
enum Back {
    /// The file had this text, or was not there.
    File(PathBuf, Option<String>, u32),
    /// A command undoes it.
    Run(Vec<String>),
}

/// Steps under way.
pub(super) struct Work<'a> {
    pub(super) system: &'a mut dyn System,
    /// Nothing is done, only said.
    pub(super) is_dry: bool,
    back: Vec<Back>,
}

impl<'a> Work<'a> {
    pub(super) fn new(system: &'a mut dyn System, is_dry: bool) -> Self {
        Self {
            system,
            is_dry,
            back: Vec::new(),
        }
    }

    /// Says what is done, or would be.
    pub(super) fn say(&mut self, line: &str) {
        let line = if self.is_dry {
            format!("would: {line}")
        } else {
            line.to_owned()
        };
        self.system.say(&line);
    }

    /// Writes a file, unless it is so already.
    pub(super) fn write(&mut self, path: &Path, text: &str, mode: u32) -> Result<(), CliError> {
        let old = self.system.read(path).map_err(CliError::failed)?;
        if old.as_deref() == Some(text) {
            return Ok(());
        }
        self.say(&format!("write {}", path.display()));
        if self.is_dry {
            return Ok(());
        }
        self.back.push(Back::File(path.to_owned(), old, mode));
        self.system
            .write(path, text, mode)
            .map_err(CliError::failed)
    }

    /// Removes a file, if it is there.
    pub(super) fn remove(&mut self, path: &Path) -> Result<(), CliError> {
        let Some(old) = self.system.read(path).map_err(CliError::failed)? else {
            return Ok(());
        };
        self.say(&format!("remove {}", path.display()));
        if self.is_dry {
            return Ok(());
        }
        self.back
            .push(Back::File(path.to_owned(), Some(old), 0o644));
        self.system.remove(path).map_err(CliError::failed)
    }

    /// Runs a command; `back` undoes what it does.
    pub(super) fn run(&mut self, words: &[&str], back: Option<&[&str]>) -> Result<(), CliError> {
        self.say(&words.join(" "));
        if self.is_dry {
            return Ok(());
        }
        if let Some(back) = back {
            // Also if it fails: half of it may be done.
            self.back.push(Back::Run(
                back.iter().map(|word| (*word).to_owned()).collect(),
            ));
        }
        self.system.run(words).map_err(CliError::failed)
    }

    /// Runs a command only when everything after this is taken back: last, when the rest is as it was.
    #[cfg(target_os = "linux")]
    pub(super) fn at_the_end_of_undo(&mut self, words: &[&str]) {
        if !self.is_dry {
            let words = words.iter().map(|word| (*word).to_owned()).collect();
            self.back.push(Back::Run(words));
        }
    }

    /// Takes every step back, the last one first, and goes on where that fails; answers what could not be taken back.
    pub(super) fn take_back(&mut self) -> Vec<String> {
        let mut problems = Vec::new();
        while let Some(step) = self.back.pop() {
            let (said, done) = match step {
                Back::Run(words) => {
                    let words: Vec<&str> = words.iter().map(String::as_str).collect();
                    (words.join(" "), self.system.run(&words))
                }
                Back::File(path, Some(text), mode) => {
                    let said = format!("write the old {}", path.display());
                    (said, self.system.write(&path, &text, mode))
                }
                Back::File(path, None, _) => {
                    let said = format!("remove {}", path.display());
                    (said, self.system.remove(&path))
                }
            };
            self.system.say(&format!("undo: {said}"));
            if let Err(error) = done {
                problems.push(format!("could not be undone: {error}"));
            }
        }
        problems
    }

    /// Carries steps out; if one fails, all are taken back, and the error says so.
    pub(super) fn whole(
        &mut self,
        steps: impl FnOnce(&mut Self) -> Result<(), CliError>,
    ) -> Result<(), CliError> {
        let Err(mut error) = steps(self) else {
            return Ok(());
        };
        let has_steps = !self.back.is_empty();
        let problems = self.take_back();
        if problems.is_empty() && has_steps {
            error
                .details
                .push("everything is as it was before".to_owned());
        }
        error.details.extend(problems);
        Err(error)
    }
}
