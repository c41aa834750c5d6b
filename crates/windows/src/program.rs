//! From a command to what the system starts: directory, file, command line, variables.

use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::command_line::{self, CommandLineError};
use crate::environment::{self, EnvironmentError};
use crate::search::{self, SearchError};
use crate::{Priority, Start};

/// A command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// The program and its arguments.
    pub argv: Vec<String>,
    /// All variables that it sees.
    pub env: Vec<(String, String)>,
    /// Its working directory.
    pub directory: String,
    /// 0 to 19; more is less.
    pub nice: u8,
}

/// Why a command can't be started.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ProgramError {
    /// The directory is none, or not a whole one.
    #[error("{path} is no directory, or none that is named with its drive or its server")]
    Directory {
        /// What was given.
        path: String,
    },
    /// The program can't be run by its name.
    #[error(transparent)]
    Search(#[from] SearchError),
    /// The arguments can't be handed on.
    #[error(transparent)]
    Arguments(#[from] CommandLineError),
    /// The variables can't be handed on.
    #[error(transparent)]
    Variables(#[from] EnvironmentError),
}

impl ProgramError {
    /// Answers the system's number for it.
    pub fn code(&self) -> i32 {
        match self {
            // ERROR_DIRECTORY, ERROR_FILE_NOT_FOUND, ERROR_NOT_SUPPORTED, ERROR_FILENAME_EXCED_RANGE.
            Self::Directory { .. } => 267,
            Self::Search(SearchError::NotFound { .. }) => 2,
            Self::Search(SearchError::Batch { .. }) => 50,
            Self::Arguments(_) | Self::Variables(_) => 206,
        }
    }
}

impl Command {
    /// Answers what to start. Files and directories are looked at as whoever this thread is.
    ///
    /// # Errors
    /// Why it can't be started.
    pub fn resolve(&self) -> Result<Start, ProgramError> {
        let directory = PathBuf::from(&self.directory);
        if !directory.is_absolute() || !directory.is_dir() {
            let path = self.directory.clone();
            return Err(ProgramError::Directory { path });
        }
        let name = self.argv.first().map_or("", String::as_str);
        let path = self
            .env
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case("PATH"))
            .map_or("", |(_, value)| value.as_str());
        Ok(Start {
            program: search::find(name, &directory, path, Path::is_file)?,
            command_line: command_line::of(&self.argv)?,
            environment: environment::block(&self.env)?,
            directory,
            priority: Priority::of_nice(self.nice),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(program: &str, directory: &str) -> Command {
        Command {
            argv: vec![program.to_owned(), "a b".to_owned()],
            env: vec![("A".to_owned(), "1".to_owned())],
            directory: directory.to_owned(),
            nice: 5,
        }
    }

    #[test]
    fn each_reason_has_the_systems_number() {
        let dir = tempfile::tempdir().expect("a folder");
        let here = dir.path().to_str().expect("text");
        let file = |name: &str| {
            let path = dir.path().join(name);
            std::fs::write(&path, "").expect("written");
            path.to_str().expect("text").to_owned()
        };
        let (program, batch) = (file("a.exe"), file("b.bat"));
        let code = |it: &Command| it.resolve().map_err(|error| error.code());
        let started = command(&program, here).resolve().expect("is there");
        assert_eq!(started.program, PathBuf::from(&program));
        assert_eq!(started.priority, Priority::BelowNormal);
        assert_eq!(code(&command(&program, "nowhere")), Err(267));
        assert_eq!(code(&command(&program, ".")), Err(267));
        assert_eq!(code(&command("gone.exe", here)), Err(2));
        assert_eq!(code(&command(&batch, here)), Err(50));
        let mut long = command(&program, here);
        long.argv.push("x".repeat(40_000));
        assert_eq!(code(&long), Err(206));
    }
}
