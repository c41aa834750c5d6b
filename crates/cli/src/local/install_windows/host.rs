//! What an installation on Windows asks of the system, behind a trait: every failure and every way back is tested with a
//! system that is made up.

use std::path::{Path, PathBuf};

/// How a service stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Running,
    Stopped,
    Between,
}

/// A service to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Service {
    pub(super) name: &'static str,
    pub(super) title: &'static str,
    pub(super) description: &'static str,
    /// The program in quotes, whatever its path, and its arguments.
    pub(super) command: String,
    /// `None` for LocalSystem.
    pub(super) account: Option<&'static str>,
    pub(super) privileges: &'static [&'static str],
    /// The service that is started before it.
    pub(super) needs: Option<&'static str>,
}

/// The system. Errors are sentences for people.
pub(super) trait Host {
    /// Tells the person a step.
    fn say(&mut self, line: &str);
    fn is_administrator(&mut self) -> bool;
    /// Answers this program and the launcher beside it.
    fn programs(&mut self) -> Result<(PathBuf, PathBuf), String>;
    /// Says why others than administrators could change a program there.
    fn program_problem(&mut self, path: &Path) -> Option<String>;
    fn exists(&mut self, path: &Path) -> bool;
    /// Counts what is in a directory; none if it is not there.
    fn count(&mut self, path: &Path) -> Result<usize, String>;
    /// Answers how a service stands; `None` if there is none.
    fn service(&mut self, name: &str) -> Result<Option<State>, String>;
    /// Makes a service; answers what of it this system does not have.
    fn install(&mut self, service: &Service) -> Result<Vec<String>, String>;
    fn start(&mut self, name: &str) -> Result<(), String>;
    /// Tells a service to stop, and does not wait.
    fn stop(&mut self, name: &str) -> Result<(), String>;
    fn delete(&mut self, name: &str) -> Result<(), String>;
    /// Gives the state's folders their access lists, now that the worker's account is known.
    fn protect(&mut self, state: &Path) -> Result<(), String>;
    /// Answers what starts at this person's log-on.
    fn autostart(&mut self) -> Result<Option<String>, String>;
    fn set_autostart(&mut self, command: Option<&str>) -> Result<(), String>;
    /// Waits a second.
    fn pause(&mut self);
}
