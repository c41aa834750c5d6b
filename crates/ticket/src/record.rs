//! Records in the spool: how an attempt ended, and in which order its output arrived.

use crate::codec::{DecodeError, Reader, Writer};
use crate::step::Step;

/// The bytes of an encoded [`ExitRecord`].
pub const EXIT_RECORD_LEN: usize = 128;
/// The bytes of an encoded [`IndexRecord`].
pub const INDEX_RECORD_LEN: usize = 16;
/// The most index records of one attempt; what arrives later has its order not recorded.
pub const INDEX_RECORDS_MAX: u32 = 65_536;
const MAGIC: [u8; 4] = *b"TSX1";

/// Why an item was told to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum EndCause {
    /// Nobody asked: it ended by itself.
    Itself = 0,
    /// A person or the farm killed it.
    Kill = 1,
    /// Its time limit passed.
    TimeLimit = 2,
    /// It printed nothing for too long.
    SilenceLimit = 3,
    /// It goes back to the queue (interrupt, preempt, migrate).
    Requeue = 4,
    /// A newer attempt exists elsewhere.
    Stale = 5,
    /// The instance was closed.
    Close = 6,
    /// Any other reason of the worker's.
    Other = 7,
}

impl EndCause {
    /// Returns the cause of a number; `None` when there is none.
    pub fn from_u8(number: u8) -> Option<Self> {
        Some(match number {
            0 => Self::Itself,
            1 => Self::Kill,
            2 => Self::TimeLimit,
            3 => Self::SilenceLimit,
            4 => Self::Requeue,
            5 => Self::Stale,
            6 => Self::Close,
            7 => Self::Other,
            _ => return None,
        })
    }
}

/// How the main process of an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndKind {
    /// It exited with a code.
    Exited {
        /// The exit code: 0 to 255 on Unix, any 32 bits on Windows.
        code: i32,
    },
    /// A signal ended it.
    Signalled {
        /// The signal's number.
        signal: u8,
    },
    /// Its program never began.
    NotStarted {
        /// The step that failed.
        step: Step,
        /// The system's error number, 0 when there is none.
        errno: i32,
    },
}

/// How an attempt ended and what it left; kept in the spool as `<item>.<attempt>.exit`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExitRecord {
    /// The item.
    pub item: u32,
    /// The attempt.
    pub attempt: u32,
    /// How the main process ended, from the kernel.
    pub kind: EndKind,
    /// Who asked for the end.
    pub cause: EndCause,
    /// Processes that were still there when the main process had ended, and were killed.
    pub leftovers: u32,
    /// Start, milliseconds since 1970.
    pub started_ms: u64,
    /// End, milliseconds since 1970.
    pub ended_ms: u64,
    /// Elapsed time by the monotonic clock, milliseconds.
    pub elapsed_ms: u64,
    /// CPU time in user mode, microseconds: of everything that the attempt started, where control groups count it; else of
    /// the main process and the children it waited for.
    pub user_us: u64,
    /// CPU time in the kernel, microseconds; of the same processes.
    pub system_us: u64,
    /// Greatest resident memory, bytes.
    pub memory_max: u64,
    /// Bytes kept of stdout and stderr, marks included: the lengths of the files.
    pub kept: [u64; 2],
    /// Bytes that the attempt wrote to stdout and stderr.
    pub produced: [u64; 2],
    /// The output limit was passed.
    pub cut_by_limit: bool,
    /// Output was lost because the spool could not be written.
    pub cut_by_disk: bool,
    /// The kernel ended a process of it for want of memory: the most that its instance might have, bytes; 0 when its host as
    /// a whole had none left. Programs before this was there read the end as what the main process made of it.
    pub out_of_memory: Option<u64>,
}

impl ExitRecord {
    /// Writes the fixed layout with its checksum.
    pub fn encode(&self) -> [u8; EXIT_RECORD_LEN] {
        let mut out = Writer::new();
        out.raw(&MAGIC);
        out.u32(self.item);
        out.u32(self.attempt);
        let (kind, value, step) = match self.kind {
            EndKind::Exited { code } => (1, code, 0),
            EndKind::Signalled { signal } => (2, i32::from(signal), 0),
            EndKind::NotStarted { step, errno } => (3, errno, step as u8),
        };
        out.u8(kind);
        out.u8(step);
        out.u8(self.cause as u8);
        let is_oom = self.out_of_memory.is_some();
        out.u8(u8::from(self.cut_by_limit)
            | u8::from(self.cut_by_disk) << 1
            | u8::from(is_oom) << 2);
        out.i32(value);
        out.u32(self.leftovers);
        for value in [self.started_ms, self.ended_ms, self.elapsed_ms] {
            out.u64(value);
        }
        for value in [self.user_us, self.system_us, self.memory_max] {
            out.u64(value);
        }
        for value in [
            self.kept[0],
            self.kept[1],
            self.produced[0],
            self.produced[1],
        ] {
            out.u64(value);
        }
        out.u64(self.out_of_memory.unwrap_or(0));
        let mut bytes = [0; EXIT_RECORD_LEN];
        let body = out.finish();
        bytes[..body.len()].copy_from_slice(&body);
        let sum = checksum(&bytes[..EXIT_RECORD_LEN - 8]);
        bytes[EXIT_RECORD_LEN - 8..].copy_from_slice(&sum.to_le_bytes());
        bytes
    }

    /// Reads a record; a half-written one is an error, never a guess.
    ///
    /// # Errors
    /// Bytes of another length, layout or checksum.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let (body, sum) =
            bytes
                .split_at_checked(EXIT_RECORD_LEN - 8)
                .ok_or(DecodeError::Truncated {
                    field: "exit record",
                })?;
        let mut tail = Reader::new(sum);
        let stored = tail.u64("checksum")?;
        tail.end()?;
        let mut input = Reader::new(body);
        if input.array::<4>("magic")? != MAGIC || stored != checksum(body) {
            return Err(DecodeError::Invalid {
                field: "exit record",
            });
        }
        let (item, attempt) = (input.u32("item")?, input.u32("attempt")?);
        let (kind, step) = (input.u8("kind")?, input.u8("step")?);
        let cause =
            EndCause::from_u8(input.u8("cause")?).ok_or(DecodeError::Invalid { field: "cause" })?;
        let flags = input.u8("flags")?;
        let kind = read_kind(kind, step, input.i32("value")?)?;
        let leftovers = input.u32("leftovers")?;
        let mut next = || input.u64("figures");
        let record = Self {
            item,
            attempt,
            kind,
            cause,
            leftovers,
            started_ms: next()?,
            ended_ms: next()?,
            elapsed_ms: next()?,
            user_us: next()?,
            system_us: next()?,
            memory_max: next()?,
            kept: [next()?, next()?],
            produced: [next()?, next()?],
            cut_by_limit: flags & 1 != 0,
            cut_by_disk: flags & 2 != 0,
            out_of_memory: Some(next()?).filter(|_| flags & 4 != 0),
        };
        Ok(record)
    }
}

fn read_kind(kind: u8, step: u8, value: i32) -> Result<EndKind, DecodeError> {
    let field = "kind";
    let byte = || u8::try_from(value).map_err(|_| DecodeError::Invalid { field });
    match kind {
        1 => Ok(EndKind::Exited { code: value }),
        2 => Ok(EndKind::Signalled { signal: byte()? }),
        3 => Ok(EndKind::NotStarted {
            step: Step::from_u8(step).ok_or(DecodeError::Invalid { field })?,
            errno: value,
        }),
        _ => Err(DecodeError::Invalid { field }),
    }
}

/// A 64-bit FNV-1a sum: finds torn writes, not forgeries (the file is the worker's own).
fn checksum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |sum: u64, &byte| {
        (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// A stream of output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Stream {
    /// Standard output.
    Out = 1,
    /// Standard error.
    Err = 2,
}

/// One stretch of output as it arrived: so many bytes of one stream, at this time; kept in `<item>.<attempt>.idx`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IndexRecord {
    /// The stream.
    pub stream: Stream,
    /// Bytes in this stretch.
    pub len: u32,
    /// When its last part arrived, milliseconds since the attempt began.
    pub at_ms: u64,
}

impl IndexRecord {
    /// Writes the fixed layout.
    pub fn encode(&self) -> [u8; INDEX_RECORD_LEN] {
        let mut bytes = [0; INDEX_RECORD_LEN];
        bytes[0] = self.stream as u8;
        bytes[4..8].copy_from_slice(&self.len.to_le_bytes());
        bytes[8..].copy_from_slice(&self.at_ms.to_le_bytes());
        bytes
    }

    /// Reads one record.
    ///
    /// # Errors
    /// Bytes of another length or stream.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut input = Reader::new(bytes);
        let stream = match input.array::<4>("stream")? {
            [1, 0, 0, 0] => Stream::Out,
            [2, 0, 0, 0] => Stream::Err,
            _ => return Err(DecodeError::Invalid { field: "stream" }),
        };
        let record = Self {
            stream,
            len: input.u32("len")?,
            at_ms: input.u64("at")?,
        };
        input.end()?;
        Ok(record)
    }
}
