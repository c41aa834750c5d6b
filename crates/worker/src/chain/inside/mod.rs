//! A shepherd inside the worker, for systems that end all that a worker started when the worker ends (job objects of
//! Windows): nothing needs to outlive it there, and nothing can.
//!
//! What the system does is behind [`System`] and [`Tree`], so that everything that is decided here is tested on any of
//! them. Each attempt has three threads: one for each stream, one that waits for its main process.

mod attempt;
#[cfg_attr(
    target_os = "linux",
    expect(unreachable_pub, reason = "exported on Windows and macOS")
)]
pub(crate) mod chain;
#[cfg(all(test, unix))]
mod chain_tests;
pub(crate) mod here;
mod instance;
#[cfg_attr(
    target_os = "linux",
    expect(unreachable_pub, reason = "exported on Windows and macOS")
)]
pub(crate) mod living;
mod output;
mod remote;
#[cfg(all(test, unix))]
mod tests;

use std::io::Read;

use tessera_ticket::{EndKind, Step};

pub(crate) use instance::{Handle, Instance, Order};

/// A step that failed, with the system's number for the reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Failed {
    pub(crate) step: Step,
    pub(crate) errno: i32,
}

impl Failed {
    /// Makes one of a step and an error of the system's.
    #[cfg(any(windows, target_os = "macos"))]
    pub(crate) fn at(step: Step, error: &std::io::Error) -> Self {
        let errno = error.raw_os_error().unwrap_or(0);
        Self { step, errno }
    }
}

/// What to start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Program {
    /// The item and the attempt that it is of.
    pub(crate) run: (u32, u32),
    /// The program and its arguments; there is at least the program.
    pub(crate) argv: Vec<String>,
    /// All variables that it sees.
    pub(crate) env: Vec<(String, String)>,
    /// The working directory.
    pub(crate) cwd: String,
    /// 0 to 19; more is less.
    pub(crate) nice: u8,
}

/// A program that was started.
pub(crate) struct Begun<T> {
    pub(crate) tree: T,
    pub(crate) out: Box<dyn Read + Send>,
    pub(crate) err: Box<dyn Read + Send>,
}

/// What an attempt has used so far, of all its processes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Used {
    pub(crate) user_us: u64,
    pub(crate) system_us: u64,
    /// Greatest memory, bytes: of all of them together where the system counts it so, else of a process.
    pub(crate) memory_max: u64,
}

/// The operating system.
pub(crate) trait System: Clone + Send + Sync + 'static {
    type Tree: Tree;

    /// Starts a program, all of whose children stay with it. May block for a moment.
    fn start(&self, program: &Program) -> Result<Begun<Self::Tree>, Failed>;

    /// Says whether whoever holds the processes is gone, and they with it: then their ends are nobody's fault, and are not told.
    fn is_lost(&self) -> bool {
        false
    }
}

/// All processes of an attempt. Dropping it ends them.
pub(crate) trait Tree: Send + Sync + 'static {
    /// Answers the main process' number and when it was born, in the system's own measure.
    fn main(&self) -> (u32, u64);
    /// Blocks until the main process has ended.
    fn wait(&self) -> EndKind;
    /// Asks it to end by itself; says whether it could be asked.
    fn ask_to_end(&self) -> bool;
    /// Ends all of them now.
    fn kill(&self);
    /// Answers how many are alive.
    fn alive(&self) -> u32;
    /// Stops all of them where they are, or lets them go on.
    fn set_suspended(&self, is: bool);
    fn used(&self) -> Used;
    /// Answers the limit of memory, bytes, if one of them was refused memory for it.
    fn refused_memory(&self) -> Option<u64> {
        None
    }
}
