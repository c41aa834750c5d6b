//! Frames between the worker and the launcher: one sequenced packet each, with descriptors beside some.

use crate::codec::{DecodeError, Reader, Writer};
use crate::names::LaunchKey;
use crate::ticket::TICKET_BYTES_MAX;

/// The most bytes of one frame.
pub const FRAME_MAX: usize = TICKET_BYTES_MAX + 1_024;
/// Descriptors beside [`Request::Start`]: the template (a memory file) and the listening control socket; in desktop mode
/// a third, the lock file of the launch, and a fourth where the worker has a table of paths (in service mode that is the
/// launcher's).
pub const START_FDS: usize = 2;
/// The most bytes of a text in a reply.
pub(crate) const TEXT_MAX: usize = 2_048;
/// The greatest niceness.
pub const NICE_MAX: u8 = 19;
const VERSION: u8 = 2;

/// What the worker asks. `id` comes back in the reply, so several requests may be under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// Start an instance.
    Start {
        /// Comes back in the reply.
        id: u32,
        /// The encoded ticket.
        ticket: Vec<u8>,
        /// Its signature.
        signature: [u8; 64],
        /// How long a shepherd without work waits for a worker before it closes itself, seconds.
        orphan_seconds: u32,
        /// Added to the niceness of what runs, 0 to [`NICE_MAX`]; more is less priority.
        nice: u8,
    },
    /// Answer when nothing of this launch is alive, killing what is left first.
    Gone {
        /// Comes back in the reply.
        id: u32,
        /// The launch.
        key: LaunchKey,
    },
    /// Say what this host can do.
    Capabilities {
        /// Comes back in the reply.
        id: u32,
    },
}

/// What this host's launcher can do.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Capabilities {
    /// `cgroup` or `session`.
    pub containment: String,
    /// Execution modes that the policy allows: `proxy`, `user`, `desktop`.
    pub modes: Vec<String>,
    /// The proxy account's name; empty when there is none.
    pub proxy_account: String,
    /// The proxy account's uid, when it can be used.
    pub proxy_uid: Option<u32>,
    /// Why the proxy account can't be used; empty when it can.
    pub proxy_problem: String,
    /// The least uid of a user.
    pub uid_min: u32,
    /// Whether jobs give up new privileges.
    pub no_new_privs: bool,
    /// The release of the launcher.
    pub version: String,
    /// What the kernel keeps instances to here: `memory`, `pids`, `cpu`; empty where nothing, and from older launchers.
    pub limits: Vec<String>,
    /// How accounts are logged on where that is a question (Windows), for each mode: `user=password,s4u`, the first for which there
    /// is something; empty elsewhere.
    pub logons: Vec<String>,
}

/// What the launcher answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// The instance's starter is the user and waits for items.
    Started {
        /// The request's number.
        id: u32,
        /// The shepherd's process id.
        shepherd: u32,
        /// The account.
        account: String,
        /// Its uid.
        uid: u32,
        /// Its gid.
        gid: u32,
        /// `cgroup` or `session`.
        containment: String,
    },
    /// Nothing was started.
    Refused {
        /// The request's number.
        id: u32,
        /// A stable code, see [`crate::Refusal::code`].
        code: String,
        /// One sentence.
        text: String,
        /// What to do about it.
        hint: String,
    },
    /// Nothing of the launch is alive.
    Gone {
        /// The request's number.
        id: u32,
    },
    /// What this host can do.
    Capabilities {
        /// The request's number.
        id: u32,
        /// The answer.
        what: Capabilities,
    },
}

impl Request {
    /// Writes the frame.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::new();
        out.u8(VERSION);
        match self {
            Self::Start {
                id,
                ticket,
                signature,
                orphan_seconds,
                nice,
            } => {
                out.u8(1);
                out.u32(*id);
                out.var(ticket);
                out.raw(signature);
                out.u32(*orphan_seconds);
                out.u8(*nice);
            }
            Self::Gone { id, key } => {
                out.u8(2);
                out.u32(*id);
                key.write(&mut out);
            }
            Self::Capabilities { id } => {
                out.u8(3);
                out.u32(*id);
            }
        }
        out.finish()
    }

    /// Reads a frame.
    ///
    /// # Errors
    /// Bytes that are no request.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut input = Reader::new(bytes);
        input.version(VERSION)?;
        let kind = input.u8("kind")?;
        let id = input.u32("id")?;
        let request = match kind {
            1 => Self::Start {
                id,
                ticket: input.var("ticket", TICKET_BYTES_MAX)?.to_vec(),
                signature: input.array("signature")?,
                orphan_seconds: input.u32("orphan_seconds")?,
                nice: match input.u8("nice")? {
                    nice if nice <= NICE_MAX => nice,
                    _ => return Err(DecodeError::Invalid { field: "nice" }),
                },
            },
            2 => Self::Gone {
                id,
                key: LaunchKey::read(&mut input)?,
            },
            3 => Self::Capabilities { id },
            _ => return Err(DecodeError::Invalid { field: "kind" }),
        };
        input.end()?;
        Ok(request)
    }
}

impl Reply {
    /// Returns the number of the request that this answers.
    pub fn id(&self) -> u32 {
        match self {
            Self::Started { id, .. }
            | Self::Refused { id, .. }
            | Self::Gone { id }
            | Self::Capabilities { id, .. } => *id,
        }
    }

    /// Writes the frame.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::new();
        out.u8(VERSION);
        match self {
            Self::Started {
                id,
                shepherd,
                account,
                uid,
                gid,
                containment,
            } => {
                out.u8(1);
                out.u32(*id);
                out.u32(*shepherd);
                out.text(account);
                out.u32(*uid);
                out.u32(*gid);
                out.text(containment);
            }
            Self::Refused {
                id,
                code,
                text,
                hint,
            } => {
                out.u8(2);
                out.u32(*id);
                for part in [code, text, hint] {
                    out.text(cut(part));
                }
            }
            Self::Gone { id } => {
                out.u8(3);
                out.u32(*id);
            }
            Self::Capabilities { id, what } => {
                out.u8(4);
                out.u32(*id);
                what.write(&mut out);
            }
        }
        out.finish()
    }

    /// Reads a frame.
    ///
    /// # Errors
    /// Bytes that are no reply.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut input = Reader::new(bytes);
        input.version(VERSION)?;
        let kind = input.u8("kind")?;
        let id = input.u32("id")?;
        let reply = match kind {
            1 => Self::Started {
                id,
                shepherd: input.u32("shepherd")?,
                account: input.text("account", TEXT_MAX)?,
                uid: input.u32("uid")?,
                gid: input.u32("gid")?,
                containment: input.text("containment", TEXT_MAX)?,
            },
            2 => Self::Refused {
                id,
                code: input.text("code", TEXT_MAX)?,
                text: input.text("text", TEXT_MAX)?,
                hint: input.text("hint", TEXT_MAX)?,
            },
            3 => Self::Gone { id },
            4 => Self::Capabilities {
                id,
                what: Capabilities::read(&mut input)?,
            },
            _ => return Err(DecodeError::Invalid { field: "kind" }),
        };
        input.end()?;
        Ok(reply)
    }
}

impl Capabilities {
    pub(crate) fn write(&self, out: &mut Writer) {
        out.text(&self.containment);
        out.count(self.modes.len());
        for mode in &self.modes {
            out.text(mode);
        }
        out.text(&self.proxy_account);
        out.u8(u8::from(self.proxy_uid.is_some()));
        out.u32(self.proxy_uid.unwrap_or(0));
        out.text(cut(&self.proxy_problem));
        out.u32(self.uid_min);
        out.u8(u8::from(self.no_new_privs));
        out.text(&self.version);
        // Left out where there is nothing to say, so that an older worker reads it.
        let has_logons = !self.logons.is_empty();
        let lists = [
            (&self.limits, has_logons || !self.limits.is_empty()),
            (&self.logons, has_logons),
        ];
        for (list, _) in lists.into_iter().filter(|(_, is_said)| *is_said) {
            out.count(list.len());
            for text in list {
                out.text(cut(text));
            }
        }
    }

    pub(crate) fn read(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let containment = input.text("containment", TEXT_MAX)?;
        let mut modes = Vec::new();
        for _ in 0..input.count("modes", 8)? {
            modes.push(input.text("modes", TEXT_MAX)?);
        }
        let proxy_account = input.text("proxy_account", TEXT_MAX)?;
        let has_uid = input.flag("proxy_uid")?;
        let uid = input.u32("proxy_uid")?;
        let mut all = Self {
            containment,
            modes,
            proxy_account,
            proxy_uid: has_uid.then_some(uid),
            proxy_problem: input.text("proxy_problem", TEXT_MAX)?,
            uid_min: input.u32("uid_min")?,
            no_new_privs: input.flag("no_new_privs")?,
            version: input.text("version", TEXT_MAX)?,
            limits: Vec::new(),
            logons: Vec::new(),
        };
        for (field, list) in [("limits", &mut all.limits), ("logons", &mut all.logons)] {
            if !input.is_at_end() {
                for _ in 0..input.count(field, 8)? {
                    list.push(input.text(field, TEXT_MAX)?);
                }
            }
        }
        Ok(all)
    }
}

/// Cuts a text to the bound, at a character.
pub(crate) fn cut(text: &str) -> &str {
    let mut end = text.len().min(TEXT_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}
