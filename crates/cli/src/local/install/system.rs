//! What an installation asks of the system, behind a trait: every order of steps, every failure and every way back is
//! tested with a system that is made up.

use crate::error::CliError;
use std::path::Path;

/// What a command answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    /// Whether its status was 0.
    pub(super) is_good: bool,
    /// What it printed, without blanks around.
    pub(super) said: String,
}

/// The system. Errors are sentences for people.
pub(super) trait System {
    /// Tells the person a step.
    fn say(&mut self, line: &str);
    /// Says whether systemd runs this host.
    #[cfg(target_os = "linux")]
    fn has_systemd(&mut self) -> bool;
    /// Says why nothing starts a worker by itself on this host, if that is so.
    fn no_manager(&mut self) -> Option<CliError> {
        None
    }
    /// Says whether a service manager of the caller's own runs.
    #[cfg(target_os = "linux")]
    fn has_user_manager(&mut self) -> bool;
    /// Runs a command that changes nothing.
    fn ask(&mut self, words: &[&str]) -> Result<Answer, String>;
    /// Runs a command that changes something; another status than 0 is an error with what the command said.
    fn run(&mut self, words: &[&str]) -> Result<(), String>;
    /// Reads a file; `None` if there is none.
    fn read(&mut self, path: &Path) -> Result<Option<String>, String>;
    /// Writes a file at once, and makes the folders above it.
    fn write(&mut self, path: &Path, text: &str, mode: u32) -> Result<(), String>;
    /// Removes a file; that there is none is fine.
    fn remove(&mut self, path: &Path) -> Result<(), String>;
    /// Says whether there is something with that path.
    fn exists(&mut self, path: &Path) -> bool;
    /// Says whether there is such an account.
    fn has_account(&mut self, name: &str) -> bool;
    /// Says why others than root could have changed a program, or can't run it.
    fn program_problem(&mut self, path: &Path) -> Option<String>;
    /// Answers the process that holds the lock on a file.
    fn lock_holder(&mut self, path: &Path) -> Option<i32>;
    /// Counts the launches of a farm's folder that run, or whose end the supervisor has not acknowledged.
    fn launches(&mut self, state: &Path) -> Result<usize, String>;
    /// Ends what runs of a farm's folder, and returns at once.
    #[cfg(target_os = "linux")]
    fn end_launches(&mut self, state: &Path) -> Result<(), String>;
    /// Locks this host at the farm, so that no new work comes; `is_desktop` says which worker is meant.
    fn lock_host(&mut self, is_desktop: bool) -> Result<(), String>;
    /// Unlocks what was locked here; what was locked before stays so.
    fn unlock_host(&mut self) -> Result<(), String>;
    /// Waits a second.
    fn pause(&mut self);
}
