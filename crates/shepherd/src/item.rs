//! One attempt: its files, its pipes, and what is known of its process.

use std::os::fd::{AsRawFd as _, OwnedFd};
use std::time::{Duration, Instant};

use tessera_ticket::{Amounts, Arrivals, EndCause, EndKind, ExitRecord, Kept, Stream};

use crate::contain::Member;
use tessera_sys::cgroup::Used;
use tessera_sys::process::Ended;
use tessera_sys::{Errno, Failed, Sys, file, wall_ms};

/// What is read from a pipe at once.
pub(crate) const CHUNK: usize = 64 * 1024;
/// What is still taken from a pipe when everything of the attempt is gone: the most that a pipe can hold by default
/// limits. Only somebody outside the attempt could write more, and they are not waited for.
const DRAIN_MAX: usize = 1 << 20;
/// The first and the longest pause between two looks at whether an attempt is gone.
const PAUSE: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(200));

/// Where an attempt stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Begun {
    /// The starter has the order.
    Ordered,
    /// The child is there and contained.
    Contained,
    /// The program runs.
    Running,
    /// It does not, and why.
    Failed(Failed),
}

/// Whether the program may begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hold {
    /// As soon as all else is done.
    Free,
    /// When the items before it are over.
    Waits,
    /// Never.
    GivenUp,
}

/// An end that was asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ending {
    pub(crate) cause: EndCause,
    /// When to kill.
    pub(crate) deadline: Instant,
}

/// An attempt that is not over.
#[derive(Debug)]
pub(crate) struct Item {
    pub(crate) who: Member,
    pub(crate) begun: Begun,
    pub(crate) hold: Hold,
    /// The writing ends of its pipes, while the starter has no order for it.
    pub(crate) ends: Option<[OwnedFd; 2]>,
    pub(crate) ended: Option<Ended>,
    /// What its group counted: also what nobody waited for.
    pub(crate) used: Used,
    /// When the kernel said that the main process had ended.
    pub(crate) ended_at: Option<Instant>,
    pub(crate) ending: Option<Ending>,
    pub(crate) leftover_grace: Duration,
    pub(crate) leftovers: u32,
    /// When to look again whether it is gone, and how long to pause then.
    pub(crate) look_again: Option<Instant>,
    pause: Duration,
    pub(crate) streams: [StreamFile; 2],
    index: OwnedFd,
    arrivals: Arrivals,
    exit: OwnedFd,
    durable: bool,
    started: Instant,
    started_ms: u64,
    limit: u64,
}

/// One stream: the pipe's reading end and the file.
#[derive(Debug)]
pub(crate) struct StreamFile {
    pub(crate) pipe: Option<OwnedFd>,
    file: OwnedFd,
    kept: Kept,
}

/// The four files that come with an order, in this order.
pub(crate) struct Files {
    pub(crate) out: OwnedFd,
    pub(crate) err: OwnedFd,
    pub(crate) index: OwnedFd,
    pub(crate) exit: OwnedFd,
}

/// What the worker asked for with an attempt.
pub(crate) struct Wish {
    pub(crate) item: u32,
    pub(crate) attempt: u32,
    pub(crate) limit: u64,
    pub(crate) leftover_grace: Duration,
    pub(crate) durable: bool,
    /// Do all but begin, until the items before it are over.
    pub(crate) next: bool,
}

impl Item {
    /// Takes the files and makes the pipes.
    pub(crate) fn new(wish: &Wish, files: Files) -> Sys<Self> {
        let (out, out_end) = file::pipe()?;
        let (err, err_end) = file::pipe()?;
        Ok(Self {
            who: Member {
                item: wish.item,
                attempt: wish.attempt,
                pid: 0,
            },
            begun: Begun::Ordered,
            hold: if wish.next { Hold::Waits } else { Hold::Free },
            ends: Some([out_end, err_end]),
            ended: None,
            used: Used::default(),
            ended_at: None,
            ending: None,
            leftover_grace: wish.leftover_grace,
            leftovers: 0,
            look_again: None,
            pause: PAUSE.0,
            streams: [
                StreamFile::new(out, files.out),
                StreamFile::new(err, files.err),
            ],
            index: files.index,
            arrivals: Arrivals::default(),
            exit: files.exit,
            durable: wish.durable,
            started: Instant::now(),
            started_ms: wall_ms(),
            limit: wish.limit,
        })
    }

    /// Lets it begin; its time counts from now.
    pub(crate) fn release(&mut self) {
        self.hold = Hold::Free;
        self.started = Instant::now();
        self.started_ms = wall_ms();
    }

    /// Writes the exit record of an attempt that is not even tried.
    pub(crate) fn refuse(wish: &Wish, files: Files, failed: Failed) {
        if let Ok(item) = Self::new(wish, files) {
            let Failed { step, errno } = failed;
            item.finish(EndKind::NotStarted { step, errno }, &mut [0; 1]);
        }
    }

    /// Says whether this is that attempt.
    pub(crate) fn is(&self, item: u32, attempt: u32) -> bool {
        (self.who.item, self.who.attempt) == (item, attempt)
    }

    /// Copies what a pipe has, at most one chunk; the end of a pipe closes it. Returns the bytes taken.
    pub(crate) fn copy(&mut self, stream: usize, buffer: &mut [u8]) -> usize {
        let Some(it) = self.streams.get_mut(stream) else {
            return 0;
        };
        let Some(pipe) = &it.pipe else { return 0 };
        match file::read(pipe, buffer) {
            Ok(0) => it.pipe = None,
            Ok(len) => {
                let file = &it.file;
                let write = |bytes: &[u8]| append(file, bytes);
                let grown = it.kept.take(&buffer[..len], self.limit, write);
                self.note_arrival(stream, grown);
                return len;
            }
            Err(Errno(libc::EAGAIN)) => {}
            Err(_) => it.pipe = None,
        }
        0
    }

    fn note_arrival(&mut self, stream: usize, grown: u64) {
        let stream = if stream == 0 {
            Stream::Out
        } else {
            Stream::Err
        };
        let at_ms = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let index = &self.index;
        let write = |record: &[u8]| file::write_all(index.as_raw_fd(), record).is_ok();
        self.arrivals.add(stream, grown, at_ms, write);
    }

    /// Sets the next look, later each time.
    pub(crate) fn look_later(&mut self, now: Instant) {
        self.look_again = Some(now + self.pause);
        self.pause = (self.pause * 2).min(PAUSE.1);
    }

    /// Takes what is left in the pipes, writes the exit record and returns it. Nothing of the attempt is alive.
    pub(crate) fn finish(mut self, kind: EndKind, buffer: &mut [u8]) -> ExitRecord {
        for stream in 0..self.streams.len() {
            let mut taken = 0;
            while taken < DRAIN_MAX {
                match self.copy(stream, buffer) {
                    0 => break,
                    len => taken += len,
                }
            }
        }
        let index = &self.index;
        self.arrivals
            .flush(|record| file::write_all(index.as_raw_fd(), record).is_ok());
        let record = self.record(kind);
        // The worker hears of the end in any case; a record that could not be written is its loss alone.
        if file::write_all(self.exit.as_raw_fd(), &record.encode()).is_ok() && self.durable {
            let _ = file::sync(&self.exit);
        }
        record
    }

    fn record(&self, kind: EndKind) -> ExitRecord {
        let end = self.ended_at.unwrap_or_else(Instant::now);
        let elapsed = end.saturating_duration_since(self.started);
        let elapsed_ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
        let [out, err] = &self.streams;
        let amounts = Amounts::of(&out.kept, &err.kept);
        ExitRecord {
            item: self.who.item,
            attempt: self.who.attempt,
            kind,
            cause: self.ending.map_or(EndCause::Itself, |it| it.cause),
            leftovers: self.leftovers,
            started_ms: self.started_ms,
            ended_ms: self.started_ms.saturating_add(elapsed_ms),
            elapsed_ms,
            // The group knows nothing of the moment before the main process entered it, nor anything where there is none.
            user_us: self
                .ended
                .map_or(0, |it| it.user_us)
                .max(self.used.cpu.user_us),
            system_us: self
                .ended
                .map_or(0, |it| it.system_us)
                .max(self.used.cpu.system_us),
            // What a group counts is of all its processes together.
            memory_max: {
                let largest = self.ended.map_or(0, |it| it.memory_max);
                self.used.memory.peak.unwrap_or(0).max(largest)
            },
            kept: amounts.kept,
            produced: amounts.produced,
            cut_by_limit: amounts.cut_by_limit,
            cut_by_disk: amounts.cut_by_disk,
            out_of_memory: self.used.memory.out_of,
        }
    }
}

impl StreamFile {
    fn new(pipe: OwnedFd, file: OwnedFd) -> Self {
        Self {
            pipe: Some(pipe),
            file,
            kept: Kept::default(),
        }
    }
}

/// Appends some of the bytes and says how many; 0 when none can be.
fn append(to: &OwnedFd, bytes: &[u8]) -> usize {
    loop {
        match file::write(to, bytes) {
            Err(Errno(libc::EINTR)) => {}
            other => return other.unwrap_or(0),
        }
    }
}
