//! Programs in job objects.

use tessera_ticket::{EndKind, Step};
use tessera_windows::program::{Command, ProgramError};
use tessera_windows::{Start, Tree as JobTree, start};

use crate::chain::inside::{Begun, Failed, Program, System, Tree, Used};

/// The system.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Jobs;

impl System for Jobs {
    type Tree = JobTree;

    fn start(&self, program: &Program) -> Result<Begun<JobTree>, Failed> {
        let started = start(&request(program)?).map_err(|error| Failed::at(Step::Exec, &error))?;
        Ok(Begun {
            tree: started.tree,
            out: Box::new(started.out),
            err: Box::new(started.err),
        })
    }
}

/// Answers what to start.
fn request(program: &Program) -> Result<Start, Failed> {
    let command = Command {
        argv: program.argv.clone(),
        env: program.env.clone(),
        directory: program.cwd.clone(),
        nice: program.nice,
    };
    command.resolve().map_err(|error| {
        tracing::warn!(%error, "a command can't be run");
        let step = match &error {
            ProgramError::Directory { .. } => Step::Directory,
            ProgramError::Search(_) => Step::Exec,
            ProgramError::Arguments(_) | ProgramError::Variables(_) => Step::Command,
        };
        let errno = error.code();
        Failed { step, errno }
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
