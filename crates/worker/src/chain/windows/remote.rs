//! Programs that the launcher of a service starts as an account, and what it says of them.

use std::fs::File;
use std::io;
use std::os::windows::io::{AsHandle as _, OwnedHandle};
use std::sync::Arc;

use tessera_ticket::pipe::{Answer, Ask};
use tessera_ticket::{EndKind, Step};
use tessera_windows::{take_handle, wait_for};

use super::link::Link;
use crate::chain::inside::{Begun, Failed, Program, System, Tree, Used};

/// The launcher, on the connection of one instance.
#[derive(Debug, Clone)]
pub(super) struct Remote {
    link: Arc<Link>,
    /// What the instance may have, bytes; 0 for no limit.
    memory: u64,
}

/// An attempt that the launcher holds.
#[derive(Debug)]
pub(super) struct RemoteTree {
    link: Arc<Link>,
    memory: u64,
    item: u32,
    attempt: u32,
    pid: u32,
    born: u64,
    process: OwnedHandle,
}

impl Remote {
    pub(super) fn new(link: Link, memory: u64) -> Self {
        let link = Arc::new(link);
        Self { link, memory }
    }
}

impl System for Remote {
    type Tree = RemoteTree;

    /// Names the item: what it is the launcher has from what was signed.
    fn start(&self, program: &Program) -> Result<Begun<RemoteTree>, Failed> {
        let (item, attempt) = program.run;
        let failed = |error: &io::Error| super::failed(Step::StarterLost, error);
        let answer = self.link.ask(&Ask::Run { item, attempt });
        let (pid, born, process, out, err) = match answer.map_err(|error| failed(&error))? {
            Answer::Running {
                pid,
                born,
                process,
                out,
                err,
            } => (pid, born, process, out, err),
            Answer::NotStarted { step, errno } => return Err(Failed { step, errno }),
            other => {
                tracing::error!(?other, "the launcher gave an answer that makes no sense");
                return Err(failed(&io::ErrorKind::InvalidData.into()));
            }
        };
        let take = |number| take_handle(number).map_err(|error| failed(&error));
        let (process, out, err) = (take(process)?, take(out)?, take(err)?);
        Ok(Begun {
            tree: RemoteTree {
                link: Arc::clone(&self.link),
                memory: self.memory,
                item,
                attempt,
                pid,
                born,
                process,
            },
            out: Box::new(File::from(out)),
            err: Box::new(File::from(err)),
        })
    }

    /// Without the launcher nothing of the instance lives, and what ended with it did not end by itself.
    fn is_lost(&self) -> bool {
        let look = Ask::Look {
            item: 0,
            attempt: 0,
        };
        self.link.ask(&look).is_err()
    }
}

impl RemoteTree {
    /// Answers how many are alive, what they used, and whether they were refused memory.
    fn look(&self) -> io::Result<(u32, Used, bool)> {
        let (item, attempt) = (self.item, self.attempt);
        match self.link.ask(&Ask::Look { item, attempt })? {
            Answer::State {
                alive,
                user_us,
                system_us,
                memory_max,
                is_out_of_memory,
            } => {
                let used = Used {
                    user_us,
                    system_us,
                    memory_max,
                };
                Ok((alive, used, is_out_of_memory))
            }
            _ => Err(io::ErrorKind::InvalidData.into()),
        }
    }

    fn tell(&self, ask: &Ask, what: &'static str) {
        match self.link.ask(ask) {
            Ok(Answer::Done) => {}
            Ok(other) => tracing::warn!(?other, what, "the launcher could not do it"),
            Err(error) => tracing::warn!(%error, what, "the launcher does not answer"),
        }
    }
}

impl Tree for RemoteTree {
    fn main(&self) -> (u32, u64) {
        (self.pid, self.born)
    }

    fn wait(&self) -> EndKind {
        match wait_for(self.process.as_handle()) {
            Ok(code) => EndKind::Exited {
                code: code.cast_signed(),
            },
            Err(error) => {
                tracing::error!(%error, "a process can't be waited for, so it is ended");
                self.kill();
                EndKind::Exited { code: 1 }
            }
        }
    }

    /// Programs have no common way to be asked.
    fn ask_to_end(&self) -> bool {
        false
    }

    fn kill(&self) {
        let (item, attempt) = (self.item, self.attempt);
        self.tell(&Ask::Kill { item, attempt }, "end processes");
    }

    fn alive(&self) -> u32 {
        // Job objects end with the launcher that holds them.
        self.look().map_or(0, |(alive, _, _)| alive)
    }

    fn set_suspended(&self, is: bool) {
        let (item, attempt) = (self.item, self.attempt);
        let ask = Ask::Suspend { item, attempt, is };
        self.tell(&ask, "stop processes or let them go on");
    }

    fn used(&self) -> Used {
        self.look()
            .map_or_else(|_| Used::default(), |(_, used, _)| used)
    }

    fn refused_memory(&self) -> Option<u64> {
        let is_refused = self.look().is_ok_and(|(_, _, is)| is);
        is_refused.then_some(self.memory)
    }
}

impl Drop for RemoteTree {
    fn drop(&mut self) {
        let (item, attempt) = (self.item, self.attempt);
        // Who does not answer has nothing to forget.
        let _ = self.link.ask(&Ask::Forget { item, attempt });
    }
}
