//! What items print, on its way from the spool to the supervisor.
//!
//! One task on a thread of its own owns every file of the spool that has output: it looks how they grow, sends what is
//! new by offset, a bounded piece of each in turn, and removes what the supervisor confirms to have. A frame that prints
//! without end delays nobody: nothing waits for this task but who wants room in its queue.

mod attempt;
mod progress;
mod spares;
mod store;
mod tail;
mod told;

pub(crate) use spares::Spares;
pub(crate) use told::Told;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tessera_engine::worker::Input;
use tessera_model::msg::{LaunchKey, Run};
use tessera_wire::convert::{LogAck, LogChunk};
use tokio::runtime::Handle;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};

use crate::daemon::Event;
use store::{Store, TailId};

/// How often running attempts are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// How often it is looked for what was never confirmed.
const CONFIRM_EVERY: Duration = Duration::from_secs(1);
/// What is not confirmed after so long is sent again: the supervisor had no room, or lost it.
const CONFIRM_WITHIN: Duration = Duration::from_secs(10);
/// Turns of commands that may wait.
const COMMANDS_MAX: usize = 1024;

/// What the task is told.
#[derive(Debug)]
pub(crate) enum Command {
    /// An attempt is about to print.
    Watch {
        key: LaunchKey,
        run: Run,
        dir: Arc<PathBuf>,
        /// Pattern of progress.
        pattern: Option<String>,
        /// Whether [`Input::Printed`] is wanted.
        tells_printing: bool,
    },
    /// Nothing writes the attempt's files any more.
    Ended { key: LaunchKey, run: Run },
    /// Nothing of the launch is alive.
    Gone(LaunchKey),
    /// The report of the attempt's end is acknowledged: its record may go.
    ForgetItem {
        key: LaunchKey,
        run: Run,
        dir: Arc<PathBuf>,
    },
    /// The end of the launch is acknowledged: its directory may go once it holds nothing to deliver.
    ForgetLaunch { key: LaunchKey, dir: Arc<PathBuf> },
    /// There is somebody to send to.
    Connected {
        chunks: mpsc::Sender<LogChunk>,
        acks: mpsc::Receiver<LogAck>,
        /// Dropped when the stream has ended.
        lost: oneshot::Sender<()>,
    },
    /// There is nobody any more.
    Disconnected,
}

/// The way to the task. When the last is dropped, the task ends.
#[derive(Debug, Clone)]
pub(crate) struct Output {
    commands: mpsc::Sender<Vec<Command>>,
    used: Arc<AtomicU64>,
    spares: Spares,
}

impl Output {
    /// Starts the task; what it finds out goes to `events`.
    pub(crate) fn start(events: mpsc::Sender<Event>) -> (Self, JoinHandle<()>) {
        let (commands, inbox) = mpsc::channel(COMMANDS_MAX);
        let used = Arc::new(AtomicU64::new(0));
        let spares = Spares::default();
        let task = Task {
            commands: inbox,
            events,
            store: Store::new(spares.clone()),
            used: Arc::clone(&used),
            chunks: None,
            acks: None,
            lost: None,
            confirm_at: Instant::now(),
        };
        let handle = Handle::current();
        let join = tokio::task::spawn_blocking(move || handle.block_on(task.run()));
        (
            Self {
                commands,
                used,
                spares,
            },
            join,
        )
    }

    /// Tells the task one thing.
    pub(crate) async fn tell(&self, command: Command) {
        self.tell_all(vec![command]).await;
    }

    /// Tells the task; waits only while its queue is full, and it never waits for others.
    pub(crate) async fn tell_all(&self, commands: Vec<Command>) {
        if self.commands.send(commands).await.is_err() {
            tracing::error!("the task that delivers output has ended");
        }
    }

    /// Answers the files that can be had again.
    pub(crate) fn spares(&self) -> Spares {
        self.spares.clone()
    }

    /// Answers the bytes of output in the spool.
    pub(crate) fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }
}

struct Task {
    commands: mpsc::Receiver<Vec<Command>>,
    events: mpsc::Sender<Event>,
    store: Store,
    used: Arc<AtomicU64>,
    chunks: Option<mpsc::Sender<LogChunk>>,
    acks: Option<mpsc::Receiver<LogAck>>,
    /// Dropped when the two end, so that others are opened.
    lost: Option<oneshot::Sender<()>>,
    confirm_at: Instant,
}

impl Task {
    async fn run(mut self) {
        let mut look = interval(LOOK_EVERY);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let wants_to_send = self.store.has_work();
            let is_idle = self.store.is_idle();
            tokio::select! {
                commands = self.commands.recv() => match commands {
                    Some(commands) => commands.into_iter().for_each(|it| self.obey(it)),
                    None => return,
                },
                ack = next_ack(&mut self.acks) => match ack {
                    Some(ack) => self.store.acknowledge(&ack),
                    None => self.unlink(),
                },
                is_there = room(self.chunks.as_ref()), if wants_to_send => {
                    if is_there {
                        self.send();
                    } else {
                        self.unlink();
                    }
                }
                _ = look.tick(), if !is_idle => self.look(),
            }
            self.used.store(self.store.bytes(), Ordering::Relaxed);
        }
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Watch {
                key,
                run,
                dir,
                pattern,
                tells_printing,
            } => {
                self.store
                    .watch(key, run, dir, pattern.as_deref(), tells_printing);
            }
            Command::Ended { key, run } => self.store.ended(TailId::of(key, run)),
            Command::Gone(key) => self.store.gone(key),
            Command::ForgetItem { key, run, dir } => self.store.forget_item(key, run, &dir),
            Command::ForgetLaunch { key, dir } => self.store.forget_launch(key, dir),
            Command::Connected { chunks, acks, lost } => {
                self.chunks = Some(chunks);
                self.acks = Some(acks);
                self.lost = Some(lost);
                self.store.rewind_all();
            }
            Command::Disconnected => self.unlink(),
        }
    }

    fn unlink(&mut self) {
        self.chunks = None;
        self.acks = None;
        self.lost = None;
    }

    /// Sends the next piece; there is room for it, and nobody else sends.
    fn send(&mut self) {
        let Some(chunks) = &self.chunks else { return };
        let Some(chunk) = self.store.next_chunk() else {
            return;
        };
        if chunks.try_send(chunk).is_err() {
            self.unlink();
        }
    }

    /// Looks at what runs. What it tells may be lost when the daemon has no time: it is told again when there is more.
    fn look(&mut self) {
        let events = &self.events;
        self.store.look(|key, run, news| {
            let printed = news.printed.then_some(Input::Printed { key, run });
            let progress = news
                .percent
                .map(|percent| Input::Progress { key, run, percent });
            for input in printed.into_iter().chain(progress) {
                match events.try_send(Event::Input(input)) {
                    Ok(()) | Err(TrySendError::Full(_) | TrySendError::Closed(_)) => {}
                }
            }
        });
        self.send_again();
    }

    /// Sends again what was never confirmed.
    fn send_again(&mut self) {
        let now = Instant::now();
        if self.chunks.is_some() && now >= self.confirm_at {
            self.confirm_at = now + CONFIRM_EVERY;
            self.store.retry_stalled();
            if let Some(before) = now.checked_sub(CONFIRM_WITHIN) {
                self.store.rewind_silent(before);
            }
        }
    }
}

async fn next_ack(acks: &mut Option<mpsc::Receiver<LogAck>>) -> Option<LogAck> {
    match acks {
        Some(acks) => acks.recv().await,
        None => std::future::pending().await,
    }
}

/// Waits for room for a chunk; false when nobody reads any more.
async fn room(chunks: Option<&mpsc::Sender<LogChunk>>) -> bool {
    match chunks {
        Some(chunks) => chunks.reserve().await.is_ok(),
        None => std::future::pending().await,
    }
}
