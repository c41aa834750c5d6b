//! Programs in job objects.

use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use tessera_ticket::{EndKind, Step};
use tessera_windows::{Priority, Start, Tree as JobTree, command_line, environment, search, start};

use super::failed;
use crate::chain::inside::{Begun, Failed, Program, System, Tree, Used};
use crate::os;

/// What the system says of a directory that is none (`ERROR_DIRECTORY`).
const NO_DIRECTORY: i32 = 267;
/// What it says of a program that is not there (`ERROR_FILE_NOT_FOUND`).
const NO_FILE: i32 = 2;
/// What it says of something that can't be run so (`ERROR_NOT_SUPPORTED`).
const NOT_SUPPORTED: i32 = 50;
/// What it says of something that is too long (`ERROR_FILENAME_EXCED_RANGE`).
const TOO_LONG: i32 = 206;

/// The system.
#[derive(Debug, Clone, Copy)]
pub(super) struct Jobs;

impl System for Jobs {
    type Tree = JobTree;

    fn start(&self, program: &Program) -> Result<Begun<JobTree>, Failed> {
        let started = start(&request(program)?).map_err(|error| failed(Step::Exec, &error))?;
        Ok(Begun {
            tree: started.tree,
            out: Box::new(started.out),
            err: Box::new(started.err),
        })
    }
}

/// Answers what to start.
fn request(program: &Program) -> Result<Start, Failed> {
    let step = |step, errno| Failed { step, errno };
    let directory = PathBuf::from(&program.cwd);
    if !directory.is_absolute() || !directory.is_dir() {
        return Err(step(Step::Directory, NO_DIRECTORY));
    }
    let name = program.argv.first().map_or("", String::as_str);
    let path = program
        .env
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case("PATH"))
        .map_or("", |(_, value)| value.as_str());
    let file = search::find(name, &directory, path, Path::is_file).map_err(|error| {
        tracing::warn!(%error, "a program can't be run");
        match error {
            search::SearchError::NotFound { .. } => step(Step::Exec, NO_FILE),
            search::SearchError::Batch { .. } => step(Step::Exec, NOT_SUPPORTED),
        }
    })?;
    let command_line = command_line::of(&program.argv).map_err(|error| {
        tracing::warn!(%error, "a command can't be run");
        step(Step::Command, TOO_LONG)
    })?;
    let environment = environment::block(&program.env).map_err(|error| {
        tracing::warn!(%error, "variables can't be handed on");
        step(Step::Command, TOO_LONG)
    })?;
    Ok(Start {
        program: file,
        command_line,
        environment,
        directory,
        priority: Priority::of_nice(program.nice),
    })
}

impl Tree for JobTree {
    fn main(&self) -> (u32, u64) {
        JobTree::main(self)
    }

    fn wait(&self) -> EndKind {
        match JobTree::wait(self) {
            Ok(code) => EndKind::Exited {
                code: code.cast_signed(),
            },
            Err(error) => {
                tracing::error!(%error, "a process can't be waited for, so it is ended");
                Tree::kill(self);
                EndKind::Exited { code: 1 }
            }
        }
    }

    /// Programs have no common way to be asked.
    fn ask_to_end(&self) -> bool {
        false
    }

    fn kill(&self) {
        if let Err(error) = JobTree::kill(self) {
            tracing::error!(%error, "processes can't be ended");
        }
    }

    fn alive(&self) -> u32 {
        // Who can't be counted is looked for again.
        JobTree::alive(self).unwrap_or(1)
    }

    fn set_suspended(&self, is: bool) {
        if let Err(error) = JobTree::set_suspended(self, is) {
            tracing::warn!(%error, is, "not all processes stand still or go on");
        }
    }

    fn used(&self) -> Used {
        let used = JobTree::used(self).unwrap_or_default();
        Used {
            user_us: used.user_us,
            system_us: used.system_us,
            memory_max: used.memory_max,
        }
    }
}

/// Ends the processes that a file names and says whether none is left; one per line, `number born`.
pub(super) fn end_all(path: &Path, bytes_max: u64) -> bool {
    let read = || -> io::Result<String> {
        let mut text = String::new();
        let file = os::to_read().open(path)?;
        file.take(bytes_max).read_to_string(&mut text)?;
        Ok(text)
    };
    let text = match read() {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return true,
        Err(error) => {
            tracing::warn!(path = %path.display(), %error, "which processes there were can't be read");
            return false;
        }
    };
    let mut all = text.lines().filter_map(|line| {
        let (id, born) = line.split_once(' ')?;
        Some((id.parse().ok()?, born.parse().ok()?))
    });
    all.all(|(id, born)| tessera_windows::end_process(id, born))
}
