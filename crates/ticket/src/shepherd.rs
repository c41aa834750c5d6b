//! Frames between the worker and a shepherd, and between the shepherd and its starter: one sequenced packet each.

use crate::codec::{DecodeError, Reader, Writer};
use crate::record::{EXIT_RECORD_LEN, EndCause, ExitRecord};
use crate::step::Step;

/// The most bytes of one frame.
pub const FRAME_MAX: usize = 32 * 1_024;
/// Descriptors beside [`Command::Run`], in this order: stdout, stderr, index, exit record.
pub const RUN_FDS: usize = 4;
/// The most items that one instance may run at once.
pub const ITEMS_MAX: usize = 64;
/// The most ended items that a state lists; older ones are in the spool.
pub const ENDED_MAX: usize = 1_024;
const VERSION: u8 = 1;

/// What the worker tells a shepherd.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// Run an item; its four files come beside.
    Run {
        /// The item.
        item: u32,
        /// The attempt.
        attempt: u32,
        /// Bytes of output kept of each stream.
        output_limit: u64,
        /// How long processes may outlive the main process of the item, milliseconds; 0 for not at all.
        leftover_grace_ms: u32,
        /// Whether the exit record is made durable before it is told (a host that loses power then still knows it).
        durable: bool,
        /// Whether it waits: everything is done but the last step, and its program begins when nothing is left of the items
        /// before it.
        next: bool,
    },
    /// End an item: TERM, the grace time, then everything of it is killed.
    End {
        /// The item.
        item: u32,
        /// The attempt.
        attempt: u32,
        /// The grace time, milliseconds.
        grace_ms: u32,
        /// Why; comes back in the exit record.
        cause: EndCause,
    },
    /// Stop all processes of all items where they are.
    Suspend,
    /// Let them go on.
    Resume,
    /// Kill what is left and go away.
    Close,
    /// Say what there is.
    State,
}

/// What is known of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ItemState {
    /// The item.
    pub item: u32,
    /// The attempt.
    pub attempt: u32,
    /// The main process, 0 while it is not started yet or after its end.
    pub pid: u32,
    /// Whether it has ended; the exit record is in the spool.
    pub ended: bool,
}

/// What a shepherd tells the worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The item's program runs.
    ItemStarted {
        /// The item.
        item: u32,
        /// The attempt.
        attempt: u32,
        /// Its main process.
        pid: u32,
    },
    /// The item's program did not begin; nothing of it is alive.
    ItemNotStarted {
        /// The item.
        item: u32,
        /// The attempt.
        attempt: u32,
        /// The step that failed.
        step: Step,
        /// The system's error number, 0 when there is none.
        errno: i32,
    },
    /// The item has ended and nothing of it is alive; the record is in the spool already.
    ItemEnded(ExitRecord),
    /// The starter is gone: what runs goes on, but no further item can start.
    StarterLost,
    /// Everything is stopped.
    Suspended,
    /// Everything goes on.
    Resumed,
    /// What there is.
    State {
        /// Whether the instance is suspended.
        suspended: bool,
        /// Whether the starter is lost.
        starter_lost: bool,
        /// The items, running ones first, then the latest that ended.
        items: Vec<ItemState>,
    },
    /// The shepherd goes away; nothing of the instance is alive.
    Closing,
}

impl Command {
    /// Writes the frame.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::new();
        out.u8(VERSION);
        match *self {
            Self::Run {
                item,
                attempt,
                output_limit,
                leftover_grace_ms,
                durable,
                next,
            } => {
                out.u8(1);
                out.u32(item);
                out.u32(attempt);
                out.u64(output_limit);
                out.u32(leftover_grace_ms);
                out.u8(u8::from(durable));
                out.u8(u8::from(next));
            }
            Self::End {
                item,
                attempt,
                grace_ms,
                cause,
            } => {
                out.u8(2);
                out.u32(item);
                out.u32(attempt);
                out.u32(grace_ms);
                out.u8(cause as u8);
            }
            Self::Suspend => out.u8(3),
            Self::Resume => out.u8(4),
            Self::Close => out.u8(5),
            Self::State => out.u8(6),
        }
        out.finish()
    }

    /// Reads a frame.
    ///
    /// # Errors
    /// Bytes that are no command.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut input = Reader::new(bytes);
        input.version(VERSION)?;
        let command = match input.u8("kind")? {
            1 => Self::Run {
                item: input.u32("item")?,
                attempt: input.u32("attempt")?,
                output_limit: input.u64("output_limit")?,
                leftover_grace_ms: input.u32("leftover_grace")?,
                durable: input.flag("durable")?,
                next: input.flag("next")?,
            },
            2 => Self::End {
                item: input.u32("item")?,
                attempt: input.u32("attempt")?,
                grace_ms: input.u32("grace")?,
                cause: EndCause::from_u8(input.u8("cause")?)
                    .ok_or(DecodeError::Invalid { field: "cause" })?,
            },
            3 => Self::Suspend,
            4 => Self::Resume,
            5 => Self::Close,
            6 => Self::State,
            _ => return Err(DecodeError::Invalid { field: "kind" }),
        };
        input.end()?;
        Ok(command)
    }
}

impl Event {
    /// Writes the frame.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::new();
        out.u8(VERSION);
        match self {
            Self::ItemStarted { item, attempt, pid } => {
                out.u8(1);
                out.u32(*item);
                out.u32(*attempt);
                out.u32(*pid);
            }
            Self::ItemNotStarted {
                item,
                attempt,
                step,
                errno,
            } => {
                out.u8(2);
                out.u32(*item);
                out.u32(*attempt);
                out.u8(*step as u8);
                out.i32(*errno);
            }
            Self::ItemEnded(record) => {
                out.u8(3);
                out.raw(&record.encode());
            }
            Self::StarterLost => out.u8(4),
            Self::Suspended => out.u8(5),
            Self::Resumed => out.u8(6),
            Self::State {
                suspended,
                starter_lost,
                items,
            } => {
                out.u8(7);
                out.u8(u8::from(*suspended));
                out.u8(u8::from(*starter_lost));
                out.count(items.len());
                for it in items {
                    out.u32(it.item);
                    out.u32(it.attempt);
                    out.u32(it.pid);
                    out.u8(u8::from(it.ended));
                }
            }
            Self::Closing => out.u8(8),
        }
        out.finish()
    }

    /// Reads a frame.
    ///
    /// # Errors
    /// Bytes that are no event.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut input = Reader::new(bytes);
        input.version(VERSION)?;
        let event = match input.u8("kind")? {
            1 => Self::ItemStarted {
                item: input.u32("item")?,
                attempt: input.u32("attempt")?,
                pid: input.u32("pid")?,
            },
            2 => Self::ItemNotStarted {
                item: input.u32("item")?,
                attempt: input.u32("attempt")?,
                step: read_step(&mut input)?,
                errno: input.i32("errno")?,
            },
            3 => Self::ItemEnded(ExitRecord::decode(input.raw("record", EXIT_RECORD_LEN)?)?),
            4 => Self::StarterLost,
            5 => Self::Suspended,
            6 => Self::Resumed,
            7 => read_state(&mut input)?,
            8 => Self::Closing,
            _ => return Err(DecodeError::Invalid { field: "kind" }),
        };
        input.end()?;
        Ok(event)
    }
}

fn read_step(input: &mut Reader<'_>) -> Result<Step, DecodeError> {
    Step::from_u8(input.u8("step")?).ok_or(DecodeError::Invalid { field: "step" })
}

fn read_state(input: &mut Reader<'_>) -> Result<Event, DecodeError> {
    let suspended = input.flag("suspended")?;
    let starter_lost = input.flag("starter_lost")?;
    let mut items = Vec::new();
    for _ in 0..input.count("items", ITEMS_MAX + ENDED_MAX)? {
        items.push(ItemState {
            item: input.u32("item")?,
            attempt: input.u32("attempt")?,
            pid: input.u32("pid")?,
            ended: input.flag("ended")?,
        });
    }
    Ok(Event::State {
        suspended,
        starter_lost,
        items,
    })
}

/// What passes between the shepherd and the starter, and between the shepherd and the child of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chain {
    /// Shepherd to starter: start an item; stdout and stderr come beside.
    Start {
        /// The item.
        item: u32,
        /// The attempt.
        attempt: u32,
    },
    /// Child to shepherd: I am there (the kernel says which process speaks).
    Here {
        /// The item.
        item: u32,
        /// The attempt.
        attempt: u32,
    },
    /// Shepherd to child: you are contained, go.
    Go {
        /// The item.
        item: u32,
        /// The attempt.
        attempt: u32,
    },
    /// Shepherd to child: don't.
    Stop {
        /// The item.
        item: u32,
        /// The attempt.
        attempt: u32,
    },
    /// Starter to shepherd: the program runs.
    Running {
        /// The item.
        item: u32,
        /// The attempt.
        attempt: u32,
    },
    /// Starter to shepherd: it does not.
    Failed {
        /// The item.
        item: u32,
        /// The attempt.
        attempt: u32,
        /// The step that failed.
        step: Step,
        /// The system's error number.
        errno: i32,
    },
    /// Starter to shepherd: the login shell's environment is there.
    Ready,
}

/// The bytes of an encoded [`Chain`] message.
pub const CHAIN_LEN: usize = 16;

impl Chain {
    /// Writes the frame; does not allocate, so the child of a fork may use it.
    pub fn encode(&self) -> [u8; CHAIN_LEN] {
        let (kind, item, attempt, step, errno) = match *self {
            Self::Start { item, attempt } => (1, item, attempt, 0, 0),
            Self::Here { item, attempt } => (2, item, attempt, 0, 0),
            Self::Go { item, attempt } => (3, item, attempt, 0, 0),
            Self::Stop { item, attempt } => (4, item, attempt, 0, 0),
            Self::Running { item, attempt } => (5, item, attempt, 0, 0),
            Self::Failed {
                item,
                attempt,
                step,
                errno,
            } => (6, item, attempt, step as u8, errno),
            Self::Ready => (7, 0, 0, 0, 0),
        };
        let mut bytes = [0; CHAIN_LEN];
        bytes[0] = kind;
        bytes[1] = step;
        bytes[4..8].copy_from_slice(&item.to_le_bytes());
        bytes[8..12].copy_from_slice(&attempt.to_le_bytes());
        bytes[12..].copy_from_slice(&errno.to_le_bytes());
        bytes
    }

    /// Reads a frame; does not allocate.
    ///
    /// # Errors
    /// Bytes that are no such message.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut input = Reader::new(bytes);
        let kind = input.u8("kind")?;
        let step = input.u8("step")?;
        input.raw("padding", 2)?;
        let (item, attempt) = (input.u32("item")?, input.u32("attempt")?);
        let errno = input.i32("errno")?;
        input.end()?;
        match kind {
            1 => Ok(Self::Start { item, attempt }),
            2 => Ok(Self::Here { item, attempt }),
            3 => Ok(Self::Go { item, attempt }),
            4 => Ok(Self::Stop { item, attempt }),
            5 => Ok(Self::Running { item, attempt }),
            6 => {
                let step = Step::from_u8(step).ok_or(DecodeError::Invalid { field: "step" })?;
                Ok(Self::Failed {
                    item,
                    attempt,
                    step,
                    errno,
                })
            }
            7 => Ok(Self::Ready),
            _ => Err(DecodeError::Invalid { field: "kind" }),
        }
    }
}
