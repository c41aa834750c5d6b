//! The connection to one shepherd.

use std::io;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tessera_ticket::shepherd::{Command, Event, FRAME_MAX};
use tokio::time::timeout;

use super::link::Link;
use super::{ANSWER_TIMEOUT, sockets};
use crate::chain::{ChainError, EndCause, LaunchKey, RunItem, ShepherdState, spool};

const SHEPHERD: &str = "the shepherd";

/// One shepherd: a control half and the events. [`Shepherd::split`] gives them apart.
#[derive(Debug)]
pub struct Shepherd {
    control: ShepherdControl,
    events: ShepherdEvents,
}

/// Tells a shepherd what to do; cheap to clone.
#[derive(Debug, Clone)]
pub struct ShepherdControl {
    link: Arc<Link>,
    dir: Arc<PathBuf>,
    key: LaunchKey,
}

/// Hears what a shepherd says.
#[derive(Debug)]
pub struct ShepherdEvents {
    link: Arc<Link>,
}

impl Shepherd {
    /// Connects to a launch's control socket. The newest connection wins: an older one is closed by the shepherd.
    pub(super) fn connect(key: LaunchKey, dir: &Path) -> Result<Self, ChainError> {
        let link = match sockets::with_socket_path(dir, key, Link::connect) {
            Ok(link) => Arc::new(link),
            Err(e) if is_absent(&e) => {
                return Err(ChainError::NotThere {
                    launch: key.to_string(),
                });
            }
            Err(e) => return Err(ChainError::io("connecting to the shepherd")(e)),
        };
        let control = ShepherdControl {
            link: Arc::clone(&link),
            dir: Arc::new(dir.to_owned()),
            key,
        };
        Ok(Self {
            control,
            events: ShepherdEvents { link },
        })
    }

    /// Asks what there is. Other events that arrive before the answer are dropped: the state is newer than they are.
    pub(super) async fn state(&mut self) -> Result<ShepherdState, ChainError> {
        self.control.tell(Command::State).await?;
        let answer = async {
            loop {
                match self.events.next_event().await {
                    Some(Event::State {
                        suspended,
                        starter_lost,
                        items,
                    }) => {
                        return Ok(ShepherdState {
                            suspended,
                            starter_lost,
                            items,
                        });
                    }
                    Some(_) => {}
                    None => {
                        let launch = self.control.key.to_string();
                        return Err(ChainError::NotThere { launch });
                    }
                }
            }
        };
        timeout(ANSWER_TIMEOUT, answer)
            .await
            .map_err(|_| ChainError::TimedOut {
                what: SHEPHERD,
                seconds: ANSWER_TIMEOUT.as_secs(),
            })?
    }

    /// Gives the two halves apart, for a task that listens while others tell.
    pub fn split(self) -> (ShepherdControl, ShepherdEvents) {
        (self.control, self.events)
    }

    /// Returns a control half.
    pub fn control(&self) -> ShepherdControl {
        self.control.clone()
    }

    /// See [`ShepherdControl::run_item`].
    ///
    /// # Errors
    /// As there.
    pub async fn run_item(&self, run: RunItem) -> Result<(), ChainError> {
        self.control.run_item(run).await
    }

    /// Waits for the next event; `None` when the connection is lost. Safe to cancel.
    pub async fn next_event(&mut self) -> Option<Event> {
        self.events.next_event().await
    }
}

impl ShepherdControl {
    /// Makes the attempt's files (0600, never an existing one) and tells the shepherd to run the item.
    ///
    /// What becomes of it arrives as an event: `ItemStarted` or `ItemNotStarted`, then `ItemEnded`.
    ///
    /// # Errors
    /// `AlreadyRan` when the attempt's files exist; `Io` when they can't be made or the connection is lost.
    pub async fn run_item(&self, run: RunItem) -> Result<(), ChainError> {
        let files = spool::make_files(&self.dir, run.item, run.attempt)?;
        self.run_with(run, &files).await
    }

    /// As [`Self::run_item`], with the files of an attempt that is forgotten and whose output was empty: on ext4 making and
    /// removing four files costs more than starting a process.
    ///
    /// # Errors
    /// As there.
    pub async fn run_item_reusing(
        &self,
        run: RunItem,
        spare: (u32, u32),
    ) -> Result<(), ChainError> {
        let files = spool::reuse_files(&self.dir, run.item, run.attempt, spare)?;
        self.run_with(run, &files).await
    }

    async fn run_with(&self, run: RunItem, files: &[std::fs::File; 4]) -> Result<(), ChainError> {
        let fds = files.each_ref().map(|file| file.as_fd());
        let command = Command::Run {
            item: run.item,
            attempt: run.attempt,
            output_limit: run.output_limit,
            leftover_grace_ms: millis(run.leftover_grace),
            durable: run.durable,
            next: run.next,
        };
        self.link
            .send(&command.encode(), &fds)
            .await
            .map_err(ChainError::io("telling the shepherd to run an item"))
    }

    /// Ends an item: TERM to its process group, after `grace` everything of it is killed.
    ///
    /// An item that is not there, or of another attempt, is left alone.
    ///
    /// # Errors
    /// When the connection is lost.
    pub async fn end_item(
        &self,
        item: u32,
        attempt: u32,
        grace: Duration,
        cause: EndCause,
    ) -> Result<(), ChainError> {
        self.tell(Command::End {
            item,
            attempt,
            grace_ms: millis(grace),
            cause,
        })
        .await
    }

    /// Stops all processes of the instance where they are; `Suspended` follows.
    ///
    /// # Errors
    /// When the connection is lost.
    pub async fn suspend(&self) -> Result<(), ChainError> {
        self.tell(Command::Suspend).await
    }

    /// Lets them go on; `Resumed` follows.
    ///
    /// # Errors
    /// When the connection is lost.
    pub async fn resume(&self) -> Result<(), ChainError> {
        self.tell(Command::Resume).await
    }

    /// Kills what is left and ends the instance; `Closing` follows, then the end of the connection.
    ///
    /// # Errors
    /// When the connection is lost.
    pub async fn close(&self) -> Result<(), ChainError> {
        self.tell(Command::Close).await
    }

    /// Asks what there is; the answer arrives as an event.
    ///
    /// # Errors
    /// When the connection is lost.
    pub async fn ask_state(&self) -> Result<(), ChainError> {
        self.tell(Command::State).await
    }

    async fn tell(&self, command: Command) -> Result<(), ChainError> {
        self.link
            .send(&command.encode(), &[])
            .await
            .map_err(ChainError::io("telling the shepherd"))
    }
}

impl ShepherdEvents {
    /// Waits for the next event; `None` when the connection is lost. Safe to cancel.
    pub async fn next_event(&mut self) -> Option<Event> {
        let bytes = self.link.receive(FRAME_MAX).await.ok()?;
        Event::decode(&bytes).ok()
    }
}

fn is_absent(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused
    )
}

fn millis(time: Duration) -> u32 {
    u32::try_from(time.as_millis()).unwrap_or(u32::MAX)
}
