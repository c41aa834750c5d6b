//! Programs as leaders of sessions.

use std::path::PathBuf;

use tessera_macos::{End, Limit, Resource, Start, Tree as Session, start};
use tessera_ticket::{EndKind, Resource as Limited, Step, Template};

use crate::chain::inside::{Begun, Failed, Program, System, Tree, Used};

/// What the system says of a directory that is none (`ENOTDIR`).
const NO_DIRECTORY: i32 = 20;

/// The system, with what the items of an instance have in common.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sessions {
    umask: u16,
    limits: Vec<Limit>,
}

impl Sessions {
    /// Takes what a job wants of each of its processes.
    pub(super) fn of(template: &Template) -> Self {
        let limits = template.limits.iter().map(|it| Limit {
            resource: resource(it.resource),
            soft: it.soft,
            hard: it.hard,
        });
        Self {
            umask: template.umask,
            limits: limits.collect(),
        }
    }
}

fn resource(it: Limited) -> Resource {
    match it {
        Limited::Core => Resource::Core,
        Limited::OpenFiles => Resource::OpenFiles,
        Limited::AddressSpace => Resource::AddressSpace,
        Limited::Cpu => Resource::Cpu,
        Limited::FileSize => Resource::FileSize,
        Limited::Processes => Resource::Processes,
        Limited::Stack => Resource::Stack,
        Limited::LockedMemory => Resource::LockedMemory,
        Limited::Data => Resource::Data,
    }
}

impl System for Sessions {
    type Tree = Session;

    fn start(&self, program: &Program) -> Result<Begun<Session>, Failed> {
        let directory = PathBuf::from(&program.cwd);
        if !directory.is_absolute() || !directory.is_dir() {
            return Err(Failed {
                step: Step::Directory,
                errno: NO_DIRECTORY,
            });
        }
        let started = start(&Start {
            argv: program.argv.clone(),
            env: program.env.clone(),
            directory,
            nice: program.nice,
            umask: self.umask,
            limits: self.limits.clone(),
        });
        let started = started.map_err(|error| Failed::at(Step::Exec, &error))?;
        Ok(Begun {
            tree: started.tree,
            out: Box::new(started.out),
            err: Box::new(started.err),
        })
    }
}

impl Tree for Session {
    fn main(&self) -> (u32, u64) {
        Session::main(self)
    }

    fn wait(&self) -> EndKind {
        match Session::wait(self) {
            Ok(End::Exited(code)) => EndKind::Exited { code },
            Ok(End::Signalled(signal)) => EndKind::Signalled {
                signal: u8::try_from(signal).unwrap_or(u8::MAX),
            },
            Err(error) => {
                tracing::error!(%error, "a process can't be waited for, so it is ended");
                Tree::kill(self);
                EndKind::Exited { code: 1 }
            }
        }
    }

    fn ask_to_end(&self) -> bool {
        Session::ask_to_end(self).unwrap_or(false)
    }

    fn kill(&self) {
        if let Err(error) = Session::kill(self) {
            tracing::error!(%error, "processes can't be ended");
        }
    }

    fn alive(&self) -> u32 {
        // Who can't be counted is looked for again.
        Session::alive(self).unwrap_or(1)
    }

    fn set_suspended(&self, is: bool) {
        if let Err(error) = Session::set_suspended(self, is) {
            tracing::warn!(%error, is, "not all processes stand still or go on");
        }
    }

    fn used(&self) -> Used {
        let used = Session::used(self);
        Used {
            user_us: used.user_us,
            system_us: used.system_us,
            memory_max: used.memory_max,
        }
    }
}
