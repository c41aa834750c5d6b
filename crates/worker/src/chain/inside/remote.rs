//! Programs that the launcher of a service starts as an account, and what it says of them.

use std::io;
use std::sync::Arc;

use tessera_ticket::pipe::{Answer, Ask};
use tessera_ticket::{EndKind, Step};

use super::here::{End as _, Link, Taken};
use super::{Begun, Failed, Program, System, Tree, Used};

/// The launcher, on the connection of one instance.
pub(crate) struct Remote<L> {
    link: Arc<L>,
    /// What the instance may have, bytes; 0 for no limit.
    memory: u64,
}

/// An attempt that the launcher holds.
pub(crate) struct RemoteTree<L: Link> {
    link: Arc<L>,
    memory: u64,
    item: u32,
    attempt: u32,
    main: (u32, u64),
    end: L::End,
}

impl<L> Remote<L> {
    pub(crate) fn new(link: L, memory: u64) -> Self {
        let link = Arc::new(link);
        Self { link, memory }
    }
}

impl<L> Clone for Remote<L> {
    fn clone(&self) -> Self {
        Self {
            link: Arc::clone(&self.link),
            memory: self.memory,
        }
    }
}

impl<L: Link> System for Remote<L> {
    type Tree = RemoteTree<L>;

    /// Names the item: what it is the launcher has from what was signed.
    fn start(&self, program: &Program) -> Result<Begun<RemoteTree<L>>, Failed> {
        let (item, attempt) = program.run;
        let lost = |error: io::Error| Failed {
            step: Step::StarterLost,
            errno: error.raw_os_error().unwrap_or(0),
        };
        let asked = self.link.ask_for(&Ask::Run { item, attempt });
        let (main, given, with) = match asked.map_err(lost)? {
            (
                Answer::Running {
                    pid,
                    born,
                    process,
                    out,
                    err,
                },
                with,
            ) => ((pid, born), [process, out, err], with),
            (Answer::NotStarted { step, errno }, _) => return Err(Failed { step, errno }),
            (other, _) => {
                tracing::error!(?other, "the launcher gave an answer that makes no sense");
                return Err(lost(io::ErrorKind::InvalidData.into()));
            }
        };
        let Taken { end, out, err } = L::take(given, with).map_err(|error| {
            tracing::error!(%error, "the launcher did not hand over what it should");
            lost(error)
        })?;
        Ok(Begun {
            tree: RemoteTree {
                link: Arc::clone(&self.link),
                memory: self.memory,
                item,
                attempt,
                main,
                end,
            },
            out: Box::new(out),
            err: Box::new(err),
        })
    }

    /// Without the launcher nobody holds what runs: it ends with the launcher or by the next one, and what ends so did not end by itself.
    fn is_lost(&self) -> bool {
        let look = Ask::Look {
            item: 0,
            attempt: 0,
        };
        self.link.ask(&look).is_err()
    }
}

impl<L: Link> RemoteTree<L> {
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

    fn tell(&self, ask: &Ask, what: &'static str) -> bool {
        match self.link.ask(ask) {
            Ok(Answer::Done) => return true,
            Ok(other) => tracing::warn!(?other, what, "the launcher could not do it"),
            Err(error) => tracing::warn!(%error, what, "the launcher does not answer"),
        }
        false
    }
}

impl<L: Link> Tree for RemoteTree<L> {
    fn main(&self) -> (u32, u64) {
        self.main
    }

    fn wait(&self) -> EndKind {
        self.end.wait().unwrap_or_else(|error| {
            tracing::error!(%error, "nobody says how a process ended, so it is ended");
            self.kill();
            EndKind::Exited { code: 1 }
        })
    }

    fn ask_to_end(&self) -> bool {
        let (item, attempt) = (self.item, self.attempt);
        let ask = Ask::End { item, attempt };
        L::End::CAN_BE_ASKED && self.tell(&ask, "ask processes to end")
    }

    fn kill(&self) {
        let (item, attempt) = (self.item, self.attempt);
        self.tell(&Ask::Kill { item, attempt }, "end processes");
    }

    fn alive(&self) -> u32 {
        // Nothing can be said of them without the launcher, which is known from `is_lost`.
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

impl<L: Link> Drop for RemoteTree<L> {
    fn drop(&mut self) {
        let (item, attempt) = (self.item, self.attempt);
        // Who does not answer has nothing to forget.
        let _ = self.link.ask(&Ask::Forget { item, attempt });
    }
}
