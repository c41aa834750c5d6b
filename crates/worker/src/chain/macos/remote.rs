//! Programs that the launcher of a service starts as an account, and what it says of them.

use std::fs::File;
use std::io::{self, Read as _};
use std::sync::{Arc, Mutex, PoisonError};

use tessera_ticket::pipe::{Answer, Ask};
use tessera_ticket::{EndKind, Step};

use super::failed;
use super::link::Link;
use crate::chain::inside::{Begun, Failed, Program, System, Tree, Used};

/// The bytes in which the launcher says how a process ended.
const ENDED_LEN: usize = 5;

/// The launcher, on the connection of one instance.
#[derive(Debug, Clone)]
pub(super) struct Remote(Arc<Link>);

/// An attempt that the launcher holds.
#[derive(Debug)]
pub(super) struct RemoteTree {
    link: Arc<Link>,
    item: u32,
    attempt: u32,
    main: (u32, u64),
    /// Where the launcher says how the main process ended.
    end: Mutex<Option<File>>,
}

impl Remote {
    pub(super) fn new(link: Link) -> Self {
        Self(Arc::new(link))
    }
}

impl System for Remote {
    type Tree = RemoteTree;

    /// Names the item: what it is the launcher has from what was signed.
    fn start(&self, program: &Program) -> Result<Begun<RemoteTree>, Failed> {
        let (item, attempt) = program.run;
        let lost = |error: &io::Error| failed(Step::StarterLost, error);
        let asked = self.0.ask_for(&Ask::Run { item, attempt });
        let (main, fds) = match asked.map_err(|error| lost(&error))? {
            (Answer::Running { pid, born, .. }, fds) => ((pid, born), fds),
            (Answer::NotStarted { step, errno }, _) => return Err(Failed { step, errno }),
            (other, _) => {
                tracing::error!(?other, "the launcher gave an answer that makes no sense");
                return Err(lost(&io::ErrorKind::InvalidData.into()));
            }
        };
        let Ok([end, out, err]) = <[_; 3]>::try_from(fds) else {
            tracing::error!("the launcher did not hand over what it should");
            return Err(lost(&io::ErrorKind::InvalidData.into()));
        };
        Ok(Begun {
            tree: RemoteTree {
                link: Arc::clone(&self.0),
                item,
                attempt,
                main,
                end: Mutex::new(Some(File::from(end))),
            },
            out: Box::new(File::from(out)),
            err: Box::new(File::from(err)),
        })
    }

    /// Without the launcher nobody holds what runs; the next one ends it, and what ends so did not end by itself.
    fn is_lost(&self) -> bool {
        let look = Ask::Look {
            item: 0,
            attempt: 0,
        };
        self.0.ask(&look).is_err()
    }
}

impl RemoteTree {
    fn look(&self) -> io::Result<(u32, Used)> {
        let (item, attempt) = (self.item, self.attempt);
        match self.link.ask(&Ask::Look { item, attempt })? {
            Answer::State {
                alive,
                user_us,
                system_us,
                memory_max,
                ..
            } => Ok((
                alive,
                Used {
                    user_us,
                    system_us,
                    memory_max,
                },
            )),
            _ => Err(io::ErrorKind::InvalidData.into()),
        }
    }

    fn tell(&self, ask: &Ask, what: &'static str) -> bool {
        match self.link.ask(ask) {
            Ok(Answer::Done) => true,
            Ok(other) => {
                tracing::warn!(?other, what, "the launcher could not do it");
                false
            }
            Err(error) => {
                tracing::warn!(%error, what, "the launcher does not answer");
                false
            }
        }
    }
}

impl Tree for RemoteTree {
    fn main(&self) -> (u32, u64) {
        self.main
    }

    fn wait(&self) -> EndKind {
        let end = self
            .end
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let mut bytes = [0; ENDED_LEN];
        let said = end.map_or(Err(io::ErrorKind::NotConnected.into()), |mut end| {
            end.read_exact(&mut bytes)
        });
        let [kind, number @ ..] = bytes;
        let number = i32::from_le_bytes(number);
        match (said, kind) {
            (Ok(()), b'e') => EndKind::Exited { code: number },
            (Ok(()), b's') => EndKind::Signalled {
                signal: u8::try_from(number).unwrap_or(u8::MAX),
            },
            (said, _) => {
                tracing::error!(
                    ?said,
                    "the launcher does not say how a process ended, so it is ended"
                );
                self.kill();
                EndKind::Exited { code: 1 }
            }
        }
    }

    fn ask_to_end(&self) -> bool {
        let (item, attempt) = (self.item, self.attempt);
        self.tell(&Ask::End { item, attempt }, "ask processes to end")
    }

    fn kill(&self) {
        let (item, attempt) = (self.item, self.attempt);
        self.tell(&Ask::Kill { item, attempt }, "end processes");
    }

    fn alive(&self) -> u32 {
        // Nothing can be said of them without the launcher, which is known from `is_lost`.
        self.look().map_or(0, |(alive, _)| alive)
    }

    fn set_suspended(&self, is: bool) {
        let (item, attempt) = (self.item, self.attempt);
        let ask = Ask::Suspend { item, attempt, is };
        self.tell(&ask, "stop processes or let them go on");
    }

    fn used(&self) -> Used {
        self.look()
            .map_or_else(|_| Used::default(), |(_, used)| used)
    }
}

impl Drop for RemoteTree {
    fn drop(&mut self) {
        let (item, attempt) = (self.item, self.attempt);
        // Who does not answer has nothing to forget.
        let _ = self.link.ask(&Ask::Forget { item, attempt });
    }
}
