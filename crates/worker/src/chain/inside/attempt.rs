//! One attempt: its files, its threads, and how its end is told.

use std::fs::File;
use std::io::{Read, Write as _};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use tessera_ticket::{EndCause, EndKind, ExitRecord, Step, Stream};
use tokio::sync::mpsc::UnboundedSender;
use tokio::time::Instant;

use super::output::Output;
use super::{Begun, Failed, Tree, Used};
use crate::chain::RunItem;
use crate::os;

/// What is read from a pipe at once.
const CHUNK: usize = 64 * 1024;
/// The first and the longest pause between two looks at whether an attempt is gone.
const PAUSE: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(200));
/// How long output is waited for when nothing of the attempt is alive: only somebody outside of it could still write.
const DRAIN_TIME: Duration = Duration::from_secs(2);

/// How an attempt ends that nobody could wait for.
const NO_THREAD: EndKind = EndKind::NotStarted {
    step: Step::Prepare,
    errno: 0,
};

/// The four files of an attempt, in the order of the spool.
pub(crate) type Files = [File; 4];

/// What threads of an attempt tell its instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum News {
    /// The main process has ended.
    Ended(u64, EndKind),
    /// One of the streams is over.
    Drained(u64),
}

/// Why it is to end, and when it is killed.
#[derive(Debug, Clone, Copy)]
struct Ending {
    cause: EndCause,
    deadline: Instant,
}

/// An attempt that runs.
pub(super) struct Attempt<T> {
    /// Tells the attempts of an instance apart in [`News`].
    pub(super) id: u64,
    pub(super) run: RunItem,
    tree: Arc<T>,
    output: Arc<Mutex<Output>>,
    exit: File,
    started: Instant,
    started_ms: u64,
    ended: Option<(EndKind, Instant)>,
    ending: Option<Ending>,
    /// When what outlived the main process is killed.
    leftover_deadline: Option<Instant>,
    is_killed: bool,
    leftovers: u32,
    open_streams: u8,
    look_at: Option<Instant>,
    pause: Duration,
    gone_at: Option<Instant>,
}

impl<T: Tree> Attempt<T> {
    /// Takes a program that was started.
    pub(super) fn new(
        id: u64,
        run: RunItem,
        files: Files,
        begun: Begun<T>,
        news: &UnboundedSender<News>,
    ) -> Self {
        let [out, err, index, exit] = files;
        let output = Arc::new(Mutex::new(Output::new(out, err, index, run.output_limit)));
        let tree = Arc::new(begun.tree);
        for (stream, pipe) in [(Stream::Out, begun.out), (Stream::Err, begun.err)] {
            let (output, told) = (Arc::clone(&output), news.clone());
            // Nobody listens when the worker ends.
            let is_begun = begin_thread(move || {
                copy(pipe, stream, &output);
                let _ = told.send(News::Drained(id));
            });
            if !is_begun {
                let _ = news.send(News::Drained(id));
            }
        }
        let (waiting, told) = (Arc::clone(&tree), news.clone());
        let is_begun = begin_thread(move || {
            let _ = told.send(News::Ended(id, waiting.wait()));
        });
        if !is_begun {
            tree.kill();
            let _ = news.send(News::Ended(id, NO_THREAD));
        }
        Self {
            id,
            run,
            tree,
            output,
            exit,
            started: Instant::now(),
            started_ms: os::wall_ms(),
            ended: None,
            ending: None,
            leftover_deadline: None,
            is_killed: false,
            leftovers: 0,
            open_streams: 2,
            look_at: None,
            pause: PAUSE.0,
            gone_at: None,
        }
    }

    pub(super) fn is(&self, item: u32, attempt: u32) -> bool {
        (self.run.item, self.run.attempt) == (item, attempt)
    }

    pub(super) fn main(&self) -> (u32, u64) {
        self.tree.main()
    }

    pub(super) fn set_suspended(&self, is: bool) {
        self.tree.set_suspended(is);
    }

    /// Asks it to end and sees to it that it does. The first who asks says why; a shorter grace counts. Who can't be asked
    /// gets none.
    pub(super) fn end(&mut self, cause: EndCause, mut grace: Duration) {
        let deadline = Instant::now() + grace;
        match &mut self.ending {
            Some(ending) => ending.deadline = ending.deadline.min(deadline),
            None if self.ended.is_some() => {
                self.leftover_deadline = Some(deadline);
                return;
            }
            None => {
                self.ending = Some(Ending { cause, deadline });
                if !grace.is_zero() && !self.tree.ask_to_end() {
                    grace = Duration::ZERO;
                }
            }
        }
        if grace.is_zero() {
            self.kill();
        }
    }

    fn kill(&mut self) {
        self.is_killed = true;
        self.tree.kill();
    }

    pub(super) fn hear(&mut self, news: News) {
        match news {
            News::Ended(_, kind) => self.main_ended(kind),
            News::Drained(_) => self.open_streams = self.open_streams.saturating_sub(1),
        }
    }

    fn main_ended(&mut self, kind: EndKind) {
        let now = Instant::now();
        self.ended = Some((kind, now));
        self.look_at = Some(now);
        let left = self.tree.alive();
        if left > 0 && !self.is_killed {
            self.leftovers = left;
            self.leftover_deadline = Some(now + self.run.leftover_grace);
        }
    }

    /// Answers when something is due.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let ending = self.ending.filter(|_| !self.is_killed);
        [
            ending.map(|it| it.deadline),
            self.leftover_deadline.filter(|_| !self.is_killed),
            self.look_at,
            self.gone_at.map(|at| at + DRAIN_TIME),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Does what is due; says whether the attempt is over.
    pub(super) fn look(&mut self, now: Instant) -> bool {
        let is_due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        let ending = self.ending.map(|it| it.deadline);
        if !self.is_killed && (is_due(ending) || is_due(self.leftover_deadline)) {
            self.kill();
        }
        if is_due(self.look_at) {
            if self.tree.alive() == 0 {
                (self.look_at, self.gone_at) = (None, Some(now));
            } else {
                self.look_at = Some(now + self.pause);
                self.pause = (self.pause * 2).min(PAUSE.1);
            }
        }
        self.gone_at
            .is_some_and(|at| self.open_streams == 0 || at + DRAIN_TIME <= now)
    }

    /// Writes the record of an attempt that is over, and answers it.
    pub(super) fn finish(self) -> ExitRecord {
        let (kind, ended) = self.ended.unwrap_or((NO_THREAD, Instant::now()));
        let cause = self.ending.map_or(EndCause::Itself, |it| it.cause);
        let elapsed = ended.saturating_duration_since(self.started);
        let figures = Figures {
            leftovers: self.leftovers,
            started_ms: self.started_ms,
            elapsed_ms: u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX),
            used: self.tree.used(),
            // A program that was refused memory and came to a good end all the same has not failed for it.
            out_of_memory: match (kind, cause) {
                (EndKind::Exited { code: 0 } | EndKind::NotStarted { .. }, _) => None,
                (_, EndCause::Itself) => self.tree.refused_memory(),
                (_, _) => None,
            },
        };
        let mut output = self.output.lock().unwrap_or_else(PoisonError::into_inner);
        write_record(&self.run, &self.exit, &mut output, kind, cause, figures)
    }
}

/// Writes the record of an attempt whose program did not begin.
pub(super) fn refuse(run: &RunItem, files: Files, failed: Failed) -> ExitRecord {
    let [out, err, index, exit] = files;
    let mut output = Output::new(out, err, index, run.output_limit);
    let figures = Figures {
        started_ms: os::wall_ms(),
        ..Figures::default()
    };
    let Failed { step, errno } = failed;
    let kind = EndKind::NotStarted { step, errno };
    write_record(run, &exit, &mut output, kind, EndCause::Itself, figures)
}

#[derive(Debug, Clone, Copy, Default)]
struct Figures {
    leftovers: u32,
    started_ms: u64,
    elapsed_ms: u64,
    used: Used,
    out_of_memory: Option<u64>,
}

fn write_record(
    run: &RunItem,
    mut exit: &File,
    output: &mut Output,
    kind: EndKind,
    cause: EndCause,
    figures: Figures,
) -> ExitRecord {
    let amounts = output.finish();
    let Figures {
        leftovers,
        started_ms,
        elapsed_ms,
        used,
        out_of_memory,
    } = figures;
    let record = ExitRecord {
        item: run.item,
        attempt: run.attempt,
        kind,
        cause,
        leftovers,
        started_ms,
        ended_ms: started_ms.saturating_add(elapsed_ms),
        elapsed_ms,
        user_us: used.user_us,
        system_us: used.system_us,
        memory_max: used.memory_max,
        kept: amounts.kept,
        produced: amounts.produced,
        cut_by_limit: amounts.cut_by_limit,
        cut_by_disk: amounts.cut_by_disk,
        out_of_memory,
    };
    // The worker hears of the end in any case; a record that could not be written is its loss alone.
    if exit.write_all(&record.encode()).is_ok() && run.durable {
        let _ = exit.sync_data();
    }
    record
}

fn copy(mut pipe: Box<dyn Read + Send>, stream: Stream, output: &Mutex<Output>) {
    let mut buffer = vec![0; CHUNK];
    loop {
        match pipe.read(&mut buffer) {
            Ok(0) => return,
            Ok(len) => {
                let mut output = output.lock().unwrap_or_else(PoisonError::into_inner);
                output.take(stream, buffer.get(..len).unwrap_or_default());
            }
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
}

/// Says whether there is such a thread.
fn begin_thread(body: impl FnOnce() + Send + 'static) -> bool {
    let made = thread::Builder::new().name("attempt".into()).spawn(body);
    made.inspect_err(|error| tracing::error!(%error, "no thread for an attempt"))
        .is_ok()
}
