//! What worker and launcher of Windows say to each other over a named pipe: one question, one answer, in turn.
//!
//! A connection is of one instance at most: it begins with [`Ask::Start`], and when it closes all that the instance runs
//! is ended. Each message stands behind its length ([`head`], four bytes, little-endian).

use crate::codec::{DecodeError, Reader, Writer};
use crate::launcher::{Capabilities, NICE_MAX, TEXT_MAX, cut};
use crate::names::LaunchKey;
use crate::step::Step;
use crate::template::TEMPLATE_BYTES_MAX;
use crate::ticket::TICKET_BYTES_MAX;

/// The most bytes of a message.
pub const MESSAGE_MAX: usize = TICKET_BYTES_MAX + TEMPLATE_BYTES_MAX + 1_024;
/// The bytes of a length.
pub const HEAD: usize = 4;
/// Both programs are installed together; one of another release is refused, and says so.
const VERSION: u8 = 2;

/// What the worker asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ask {
    /// Say what this host can do.
    Capabilities,
    /// Log the account of a ticket on; this connection is the instance's from then on.
    Start {
        /// The encoded ticket.
        ticket: Vec<u8>,
        /// Its signature.
        signature: [u8; 64],
        /// The encoded template.
        template: Vec<u8>,
        /// 0 to [`NICE_MAX`]; more is less.
        nice: u8,
        /// The worker's handle of a token of the account, when it has logged it on with a registered password; else 0. The launcher
        /// judges it as any other.
        token: u64,
    },
    /// Run an item of the instance.
    Run {
        /// The item.
        item: u32,
        /// The attempt.
        attempt: u32,
    },
    /// Ask all processes of an attempt to end by themselves (macOS; on Windows there is no way to).
    End {
        /// The item.
        item: u32,
        /// The attempt.
        attempt: u32,
    },
    /// End all processes of an attempt now.
    Kill {
        /// The item.
        item: u32,
        /// The attempt.
        attempt: u32,
    },
    /// Stop them where they are, or let them go on.
    Suspend {
        /// The item.
        item: u32,
        /// The attempt.
        attempt: u32,
        /// Whether they are to stand still.
        is: bool,
    },
    /// Say how an attempt is.
    Look {
        /// The item.
        item: u32,
        /// The attempt.
        attempt: u32,
    },
    /// An attempt is over for the worker; what is left of it is ended.
    Forget {
        /// The item.
        item: u32,
        /// The attempt.
        attempt: u32,
    },
    /// Answer when nothing of this launch is alive, ending what is left first; it never starts again.
    Gone {
        /// The launch.
        key: LaunchKey,
    },
}

/// What the launcher answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// What this host can do.
    Capabilities(Capabilities),
    /// The account is logged on.
    Started {
        /// The account, as the system writes it.
        account: String,
    },
    /// Nothing was started, or nothing can be vouched for.
    Refused {
        /// A stable code, see [`crate::Refusal::code`].
        code: String,
        /// One sentence.
        text: String,
        /// What to do about it.
        hint: String,
    },
    /// An item runs. The handles are the worker's own, in its table: it has to close them.
    Running {
        /// The main process' number.
        pid: u32,
        /// When it was born, 100 ns since 1601.
        born: u64,
        /// To wait for the main process and to have its exit code.
        process: u64,
        /// To read what it prints.
        out: u64,
        /// To read what it complains.
        err: u64,
    },
    /// An item did not start.
    NotStarted {
        /// Where it failed.
        step: Step,
        /// The system's number for the reason.
        errno: i32,
    },
    /// How an attempt is.
    State {
        /// Processes that are alive.
        alive: u32,
        /// Microseconds in programs.
        user_us: u64,
        /// Microseconds in the system.
        system_us: u64,
        /// The most that all its processes had committed together, bytes.
        memory_max: u64,
        /// Whether one of them was refused memory by the limit of the instance.
        is_out_of_memory: bool,
    },
    /// It is done.
    Done,
}

/// Answers what stands before a message, if it may be so long.
pub fn head(message: &[u8]) -> Option<[u8; HEAD]> {
    let len = u32::try_from(message.len()).ok()?;
    (message.len() <= MESSAGE_MAX).then_some(len.to_le_bytes())
}

/// Reads what stands before a message: its length, if it may be so long.
pub fn length(head: [u8; HEAD]) -> Option<usize> {
    let len = u32::from_le_bytes(head) as usize;
    (len <= MESSAGE_MAX).then_some(len)
}

impl Ask {
    /// Writes the message.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::new();
        out.u8(VERSION);
        match self {
            Self::Capabilities => out.u8(1),
            Self::Start {
                ticket,
                signature,
                template,
                nice,
                token,
            } => {
                out.u8(2);
                out.var(ticket);
                out.raw(signature);
                out.var(template);
                out.u8(*nice);
                out.u64(*token);
            }
            Self::Run { item, attempt } => of_attempt(&mut out, 3, *item, *attempt),
            Self::Kill { item, attempt } => of_attempt(&mut out, 4, *item, *attempt),
            Self::Suspend { item, attempt, is } => {
                of_attempt(&mut out, 5, *item, *attempt);
                out.u8(u8::from(*is));
            }
            Self::Look { item, attempt } => of_attempt(&mut out, 6, *item, *attempt),
            Self::Forget { item, attempt } => of_attempt(&mut out, 7, *item, *attempt),
            Self::Gone { key } => {
                out.u8(8);
                key.write(&mut out);
            }
            Self::End { item, attempt } => of_attempt(&mut out, 9, *item, *attempt),
        }
        out.finish()
    }

    /// Reads a message.
    ///
    /// # Errors
    /// Bytes that are no question.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut input = Reader::new(bytes);
        input.version(VERSION)?;
        let kind = input.u8("kind")?;
        let ask = match kind {
            1 => Self::Capabilities,
            2 => Self::Start {
                ticket: input.var("ticket", TICKET_BYTES_MAX)?.to_vec(),
                signature: input.array("signature")?,
                template: input.var("template", TEMPLATE_BYTES_MAX)?.to_vec(),
                nice: match input.u8("nice")? {
                    nice if nice <= NICE_MAX => nice,
                    _ => return Err(DecodeError::Invalid { field: "nice" }),
                },
                token: input.u64("token")?,
            },
            3..=7 | 9 => {
                let (item, attempt) = (input.u32("item")?, input.u32("attempt")?);
                match kind {
                    3 => Self::Run { item, attempt },
                    4 => Self::Kill { item, attempt },
                    5 => Self::Suspend {
                        item,
                        attempt,
                        is: input.flag("is")?,
                    },
                    6 => Self::Look { item, attempt },
                    9 => Self::End { item, attempt },
                    _ => Self::Forget { item, attempt },
                }
            }
            8 => Self::Gone {
                key: LaunchKey::read(&mut input)?,
            },
            _ => return Err(DecodeError::Invalid { field: "kind" }),
        };
        input.end()?;
        Ok(ask)
    }
}

fn of_attempt(out: &mut Writer, kind: u8, item: u32, attempt: u32) {
    out.u8(kind);
    out.u32(item);
    out.u32(attempt);
}

impl Answer {
    /// Writes the message.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::new();
        out.u8(VERSION);
        match self {
            Self::Capabilities(what) => {
                out.u8(1);
                what.write(&mut out);
            }
            Self::Started { account } => {
                out.u8(2);
                out.text(cut(account));
            }
            Self::Refused { code, text, hint } => {
                out.u8(3);
                for part in [code, text, hint] {
                    out.text(cut(part));
                }
            }
            Self::Running {
                pid,
                born,
                process,
                out: stream,
                err,
            } => {
                out.u8(4);
                out.u32(*pid);
                for number in [born, process, stream, err] {
                    out.u64(*number);
                }
            }
            Self::NotStarted { step, errno } => {
                out.u8(5);
                out.u8(*step as u8);
                out.i32(*errno);
            }
            Self::State {
                alive,
                user_us,
                system_us,
                memory_max,
                is_out_of_memory,
            } => {
                out.u8(6);
                out.u32(*alive);
                for number in [user_us, system_us, memory_max] {
                    out.u64(*number);
                }
                out.u8(u8::from(*is_out_of_memory));
            }
            Self::Done => out.u8(7),
        }
        out.finish()
    }

    /// Reads a message.
    ///
    /// # Errors
    /// Bytes that are no answer.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut input = Reader::new(bytes);
        input.version(VERSION)?;
        let answer = match input.u8("kind")? {
            1 => Self::Capabilities(Capabilities::read(&mut input)?),
            2 => Self::Started {
                account: input.text("account", TEXT_MAX)?,
            },
            3 => Self::Refused {
                code: input.text("code", TEXT_MAX)?,
                text: input.text("text", TEXT_MAX)?,
                hint: input.text("hint", TEXT_MAX)?,
            },
            4 => Self::Running {
                pid: input.u32("pid")?,
                born: input.u64("born")?,
                process: input.u64("process")?,
                out: input.u64("out")?,
                err: input.u64("err")?,
            },
            5 => {
                let step = Step::from_u8(input.u8("step")?);
                Self::NotStarted {
                    step: step.ok_or(DecodeError::Invalid { field: "step" })?,
                    errno: input.i32("errno")?,
                }
            }
            6 => Self::State {
                alive: input.u32("alive")?,
                user_us: input.u64("user_us")?,
                system_us: input.u64("system_us")?,
                memory_max: input.u64("memory_max")?,
                is_out_of_memory: input.flag("is_out_of_memory")?,
            },
            7 => Self::Done,
            _ => return Err(DecodeError::Invalid { field: "kind" }),
        };
        input.end()?;
        Ok(answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asks() -> Vec<Ask> {
        let (item, attempt) = (7, 2);
        vec![
            Ask::Capabilities,
            Ask::Start {
                ticket: vec![1, 2],
                signature: [3; 64],
                template: vec![4; 5],
                nice: 19,
                token: 6,
            },
            Ask::Run { item, attempt },
            Ask::Kill { item, attempt },
            Ask::End { item, attempt },
            Ask::Suspend {
                item,
                attempt,
                is: true,
            },
            Ask::Look { item, attempt },
            Ask::Forget { item, attempt },
            Ask::Gone {
                key: LaunchKey {
                    job: 1,
                    instance: 2,
                    launch: 3,
                },
            },
        ]
    }

    fn answers() -> Vec<Answer> {
        let text = |it: &str| it.to_owned();
        vec![
            Answer::Capabilities(Capabilities::default()),
            Answer::Started {
                account: text(r"STUDIO\mia"),
            },
            Answer::Refused {
                code: text("busy"),
                text: text("b"),
                hint: text("c"),
            },
            Answer::Running {
                pid: 1,
                born: 2,
                process: 3,
                out: 4,
                err: 5,
            },
            Answer::NotStarted {
                step: Step::Logon,
                errno: -1,
            },
            Answer::State {
                alive: 1,
                user_us: 2,
                system_us: 3,
                memory_max: 4,
                is_out_of_memory: true,
            },
            Answer::Done,
        ]
    }

    #[test]
    fn what_is_written_reads_the_same_and_nothing_shorter_or_longer_does() {
        for ask in asks() {
            let bytes = ask.encode();
            assert_eq!(Ask::decode(&bytes), Ok(ask));
            for len in 0..bytes.len() {
                assert!(Ask::decode(&bytes[..len]).is_err());
            }
            assert!(Ask::decode(&[&bytes[..], &[0]].concat()).is_err());
        }
        for answer in answers() {
            let bytes = answer.encode();
            assert_eq!(Answer::decode(&bytes), Ok(answer));
            for len in 0..bytes.len() {
                assert!(Answer::decode(&bytes[..len]).is_err());
            }
            assert!(Answer::decode(&[&bytes[..], &[0]].concat()).is_err());
        }
    }

    #[test]
    fn the_layout_is_a_promise() {
        let kill = Ask::Kill {
            item: 7,
            attempt: 2,
        };
        assert_eq!(kill.encode(), [2, 4, 7, 0, 0, 0, 2, 0, 0, 0]);
        // Of the release before; its launcher counted no memory that was refused.
        assert!(Ask::decode(&[1, 4, 7, 0, 0, 0, 2, 0, 0, 0]).is_err());
        let step = Answer::NotStarted {
            step: Step::Logon,
            errno: 5,
        };
        assert_eq!(step.encode(), [2, 5, 40, 5, 0, 0, 0]);
    }

    #[test]
    fn a_length_has_a_bound() {
        assert_eq!(head(&[0; 3]), Some([3, 0, 0, 0]));
        assert_eq!(length([3, 0, 0, 0]), Some(3));
        assert_eq!(length([0xff; 4]), None);
        let most = u32::try_from(MESSAGE_MAX).expect("fits");
        assert_eq!(length(most.to_le_bytes()), Some(MESSAGE_MAX));
        assert_eq!(length((most + 1).to_le_bytes()), None);
        // The greatest question fits.
        let start = Ask::Start {
            ticket: vec![0; TICKET_BYTES_MAX],
            signature: [0; 64],
            template: vec![0; TEMPLATE_BYTES_MAX],
            nice: 0,
            token: 0,
        };
        assert!(head(&start.encode()).is_some());
    }
}
