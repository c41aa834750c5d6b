//! What an instance runs: the part of a job that is the same for all its items, in canonical bytes.

use sha2::{Digest as _, Sha256};
use thiserror::Error;

use crate::codec::{DecodeError, Reader, Writer};
use crate::frames::{Chunk, FrameRun};
use crate::names::LaunchKey;
use crate::paths::PathMap;
use crate::ticket::Digest;
use crate::tokens::{ItemTokens, substitute};

/// The most bytes of an encoded template.
pub const TEMPLATE_BYTES_MAX: usize = 1 << 20;
/// The most arguments of a command.
pub const ARGS_MAX: usize = 16_384;
/// The most environment variables of a job.
pub const ENV_MAX: usize = 4_096;
/// The most runs of frames in an agenda.
pub const RUNS_MAX: usize = 32_768;
/// The most resource limits.
pub const LIMITS_MAX: usize = 16;
/// The most bytes of one argument or variable.
const TEXT_MAX: usize = 128 * 1024 - 1;
/// The most bytes of a variable's name.
const NAME_MAX: usize = 256;
/// The most bytes of a path.
const PATH_MAX: usize = 4_095;
/// The greatest padding.
const PADDING_MAX: u8 = 20;
/// The most bytes of an item's command; more than any system executes.
const COMMAND_BYTES_MAX: usize = 8 << 20;
/// What a template without flags is written as, so that older launchers read it.
const VERSION: u8 = 1;
/// What one with flags is written as: they stand at its end.
const VERSION_FLAGS: u8 = 2;
const FLAG_CONVERT_PATH: u8 = 1;
const DOMAIN: &[u8] = b"tessera template v1\0";

/// Why a template can't run.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TemplateError {
    /// The command is empty.
    #[error("the command is empty")]
    NoCommand,
    /// The program's name is empty.
    #[error("the program's name is empty")]
    NoProgram,
    /// A variable's name is not made of letters, digits and `_`.
    #[error("`{name}` can't be the name of an environment variable")]
    VariableName {
        /// The name.
        name: String,
    },
    /// The frames are empty, don't move, or leave the 64-bit numbers; or the split is 0 or has more items than frames.
    #[error("the agenda's frames are not valid")]
    Agenda,
    /// A text holds a NUL byte.
    #[error("`{field}` holds a NUL byte")]
    Nul {
        /// The field.
        field: &'static str,
    },
    /// A bound was passed.
    #[error("`{field}` is over its bound of {max}")]
    TooMuch {
        /// The field.
        field: &'static str,
        /// The bound.
        max: usize,
    },
}

/// Why an item has no command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum CommandError {
    /// The agenda has no such item.
    #[error("there is no such item")]
    NoItem,
    /// The frames or the paths put in make it longer than any system executes.
    #[error("the command is longer than {COMMAND_BYTES_MAX} bytes")]
    TooLong,
}

/// A limited resource, as the system's `setrlimit` knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Resource {
    /// Size of a core file, bytes.
    Core = 1,
    /// Open files.
    OpenFiles = 2,
    /// Address space, bytes.
    AddressSpace = 3,
    /// CPU time, seconds.
    Cpu = 4,
    /// Size of a written file, bytes.
    FileSize = 5,
    /// Processes of the user.
    Processes = 6,
    /// Stack, bytes.
    Stack = 7,
    /// Locked memory, bytes.
    LockedMemory = 8,
    /// Data segment, bytes.
    Data = 9,
}

impl Resource {
    fn from_u8(number: u8) -> Option<Self> {
        Some(match number {
            1 => Self::Core,
            2 => Self::OpenFiles,
            3 => Self::AddressSpace,
            4 => Self::Cpu,
            5 => Self::FileSize,
            6 => Self::Processes,
            7 => Self::Stack,
            8 => Self::LockedMemory,
            9 => Self::Data,
            _ => return None,
        })
    }
}

/// A soft and a hard limit; `u64::MAX` is no limit. The launcher only ever lowers the hard limits it has itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// What is limited.
    pub resource: Resource,
    /// The soft limit.
    pub soft: u64,
    /// The hard limit.
    pub hard: u64,
}

/// How frames become items.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Split {
    /// So many frames an item, at least 1; the last item may have fewer.
    Chunk(u32),
    /// So many items, at least 1; the first ones have a frame more when it does not divide.
    Partitions(u32),
}

/// The frames of a `cmdrange` job and how they are dealt out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agenda {
    /// The frames in the order of the agenda.
    pub runs: Vec<FrameRun>,
    /// How they become items.
    pub split: Split,
    /// Zeros to pad frame numbers to, 0 to 20 digits.
    pub padding: u8,
}

impl Agenda {
    fn frames(&self) -> u64 {
        self.runs.iter().map(|run| u64::from(run.count)).sum()
    }

    /// Returns the number of items.
    pub fn items(&self) -> u64 {
        match self.split {
            Split::Chunk(n) => self.frames().div_ceil(u64::from(n.max(1))),
            Split::Partitions(n) => u64::from(n),
        }
    }

    /// Returns the first position and the number of the frames of an item; the number is 0 beyond the last.
    fn places(&self, item: u32) -> (u64, u32) {
        let (frames, item) = (self.frames(), u64::from(item));
        let (from, len) = match self.split {
            Split::Chunk(n) => (item * u64::from(n), u64::from(n)),
            Split::Partitions(n) => {
                let n = u64::from(n.max(1));
                let (size, larger) = (frames / n, frames % n);
                let len = if item < n {
                    size + u64::from(item < larger)
                } else {
                    0
                };
                (item * size + item.min(larger), len)
            }
        };
        let len = len.min(frames.saturating_sub(from));
        (from, u32::try_from(len).unwrap_or(u32::MAX))
    }
}

/// What an instance runs. Encoding is canonical: equal templates have equal bytes and digests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    /// The command as an argument vector, with tokens.
    pub argv: Vec<String>,
    /// The job's own variables, in order.
    pub env: Vec<(String, String)>,
    /// The working directory, absolute where it runs; empty for the account's home. Whoever enters it refuses what isn't, for
    /// only the host knows its kind of paths.
    pub cwd: String,
    /// The file mode mask, 0 to 0o777.
    pub umask: u16,
    /// Limits on resources.
    pub limits: Vec<Limit>,
    /// Slots that an instance holds (`QB_JOBSLOTS`).
    pub slots: u32,
    /// The frames of a `cmdrange` job; `None` for `cmdline`, whose item is the instance's number.
    pub agenda: Option<Agenda>,
    /// Whether paths in the arguments, and the working directory, are converted by the host's table.
    pub convert_path: bool,
}

impl Template {
    /// Checks every rule and bound.
    ///
    /// # Errors
    /// The first thing that stands against running it.
    pub fn check(&self) -> Result<(), TemplateError> {
        bound("argv", self.argv.len(), ARGS_MAX)?;
        bound("env", self.env.len(), ENV_MAX)?;
        bound("limits", self.limits.len(), LIMITS_MAX)?;
        bound("cwd", self.cwd.len(), PATH_MAX)?;
        bound("umask", usize::from(self.umask), 0o777)?;
        let program = self.argv.first().ok_or(TemplateError::NoCommand)?;
        if program.is_empty() {
            return Err(TemplateError::NoProgram);
        }
        for argument in &self.argv {
            text("argv", argument)?;
        }
        for (name, value) in &self.env {
            variable_name(name)?;
            text("env", value)?;
        }
        text("cwd", &self.cwd)?;
        self.agenda.as_ref().map_or(Ok(()), check_agenda)?;
        bound("template", self.encode().len(), TEMPLATE_BYTES_MAX)
    }

    /// Writes the canonical bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::new();
        let flags = u8::from(self.convert_path) * FLAG_CONVERT_PATH;
        out.u8(if flags == 0 { VERSION } else { VERSION_FLAGS });
        out.count(self.argv.len());
        for argument in &self.argv {
            out.text(argument);
        }
        out.count(self.env.len());
        for (name, value) in &self.env {
            out.text(name);
            out.text(value);
        }
        out.text(&self.cwd);
        out.u16(self.umask);
        out.count(self.limits.len());
        for limit in &self.limits {
            out.u8(limit.resource as u8);
            out.u64(limit.soft);
            out.u64(limit.hard);
        }
        out.u32(self.slots);
        match &self.agenda {
            None => out.u8(0),
            Some(agenda) => write_agenda(&mut out, agenda),
        }
        if flags != 0 {
            out.u8(flags);
        }
        out.finish()
    }

    /// Reads a template from bytes of anybody and checks it.
    ///
    /// # Errors
    /// `DecodeError` when the bytes are no template, or one that [`Template::check`] refuses.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        if bytes.len() > TEMPLATE_BYTES_MAX {
            return Err(DecodeError::TooLong {
                field: "template",
                max: TEMPLATE_BYTES_MAX,
            });
        }
        let mut input = Reader::new(bytes);
        let version = input.u8("version")?;
        if !matches!(version, VERSION | VERSION_FLAGS) {
            return Err(DecodeError::Version { found: version });
        }
        let mut argv = Vec::new();
        for _ in 0..input.count("argv", ARGS_MAX)? {
            argv.push(input.text("argv", TEXT_MAX)?);
        }
        let mut env = Vec::new();
        for _ in 0..input.count("env", ENV_MAX)? {
            env.push((input.text("env", NAME_MAX)?, input.text("env", TEXT_MAX)?));
        }
        let cwd = input.text("cwd", PATH_MAX)?;
        let umask = input.u16("umask")?;
        let limits = read_limits(&mut input)?;
        let slots = input.u32("slots")?;
        let agenda = if input.flag("agenda")? {
            Some(read_agenda(&mut input)?)
        } else {
            None
        };
        // One that is written so has a flag: equal templates have equal bytes.
        if version == VERSION_FLAGS && input.u8("flags")? != FLAG_CONVERT_PATH {
            return Err(DecodeError::Invalid { field: "flags" });
        }
        input.end()?;
        let template = Self {
            argv,
            env,
            cwd,
            umask,
            limits,
            slots,
            agenda,
            convert_path: version == VERSION_FLAGS,
        };
        template
            .check()
            .map_err(|_| DecodeError::Invalid { field: "template" })?;
        Ok(template)
    }

    /// Returns the digest of the canonical bytes, which the ticket carries.
    pub fn digest(&self) -> Digest {
        Self::digest_of(&self.encode())
    }

    /// Returns the digest of encoded bytes.
    pub fn digest_of(bytes: &[u8]) -> Digest {
        let mut hash = Sha256::new();
        hash.update(DOMAIN);
        hash.update(bytes);
        Digest(hash.finalize().into())
    }

    /// Returns the number of items of a `cmdrange` template; `None` for `cmdline`.
    pub fn items(&self) -> Option<u64> {
        self.agenda.as_ref().map(Agenda::items)
    }

    /// Returns the tokens of an item; `None` for `cmdline` and beyond the last item.
    pub fn item(&self, index: u32) -> Option<ItemTokens> {
        let agenda = self.agenda.as_ref()?;
        let (skip, len) = agenda.places(index);
        let chunk = Chunk::take(&agenda.runs, skip, len)?;
        Some(ItemTokens::of(&chunk, agenda.padding))
    }

    /// Returns the arguments of an item: its frames are put in, then the host's paths.
    ///
    /// # Errors
    /// When a `cmdrange` template has no such item, or the command gets too long.
    pub fn argv_of(&self, index: u32, paths: &PathMap) -> Result<Vec<String>, CommandError> {
        let tokens = match self.agenda {
            None => None,
            Some(_) => Some(self.item(index).ok_or(CommandError::NoItem)?),
        };
        let mut room = COMMAND_BYTES_MAX;
        let mut argv = Vec::with_capacity(self.argv.len());
        for argument in &self.argv {
            let put = tokens.as_ref().map(|it| substitute(argument, it));
            let argument = put.as_deref().unwrap_or(argument);
            let argument = paths.convert_argument(argument, self.convert_path);
            room = room
                .checked_sub(argument.len())
                .ok_or(CommandError::TooLong)?;
            argv.push(argument);
        }
        Ok(argv)
    }

    /// Returns the working directory as the host calls it; empty for the account's home.
    pub fn cwd_here(&self, paths: &PathMap) -> String {
        if self.convert_path {
            paths.convert_path(&self.cwd)
        } else {
            self.cwd.clone()
        }
    }

    /// Returns the variables that the farm sets for an item (they win over the job's own of the same name).
    pub fn farm_env(&self, key: LaunchKey, index: u32, attempt: u32) -> Vec<(String, String)> {
        let mut env: Vec<(String, String)> = [
            ("QBJOBID", key.job.to_string()),
            ("QBSUBID", key.instance.to_string()),
            ("QB_JOBSLOTS", self.slots.to_string()),
            ("TESSERA_JOB", key.job.to_string()),
            ("TESSERA_INSTANCE", format!("{}.{}", key.job, key.instance)),
            ("TESSERA_LAUNCH", key.to_string()),
            ("TESSERA_ITEM", index.to_string()),
            ("TESSERA_ATTEMPT", attempt.to_string()),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
        if let (Some(agenda), Some(tokens)) = (&self.agenda, self.item(index)) {
            env.extend(
                tokens
                    .pairs()
                    .map(|(name, value)| (name.to_owned(), value.to_owned())),
            );
            env.push(("QB_FRAME_PADDING".to_owned(), agenda.padding.to_string()));
        }
        env
    }
}

fn bound(field: &'static str, value: usize, max: usize) -> Result<(), TemplateError> {
    if value > max {
        Err(TemplateError::TooMuch { field, max })
    } else {
        Ok(())
    }
}

fn text(field: &'static str, value: &str) -> Result<(), TemplateError> {
    if value.contains('\0') {
        return Err(TemplateError::Nul { field });
    }
    bound(field, value.len(), TEXT_MAX)
}

fn variable_name(name: &str) -> Result<(), TemplateError> {
    let mut chars = name.bytes();
    let starts = chars
        .next()
        .is_some_and(|c| c.is_ascii_alphabetic() || c == b'_');
    if starts && chars.all(|c| c.is_ascii_alphanumeric() || c == b'_') && name.len() <= NAME_MAX {
        Ok(())
    } else {
        Err(TemplateError::VariableName {
            name: name.to_owned(),
        })
    }
}

fn check_agenda(agenda: &Agenda) -> Result<(), TemplateError> {
    bound("runs", agenda.runs.len(), RUNS_MAX)?;
    bound(
        "padding",
        usize::from(agenda.padding),
        usize::from(PADDING_MAX),
    )?;
    let valid = !agenda.runs.is_empty()
        && !matches!(agenda.split, Split::Chunk(0) | Split::Partitions(0))
        && agenda.runs.iter().all(FrameRun::is_valid)
        && agenda.frames() <= u64::from(u32::MAX)
        && agenda.items() <= agenda.frames();
    if valid {
        Ok(())
    } else {
        Err(TemplateError::Agenda)
    }
}

fn write_agenda(out: &mut Writer, agenda: &Agenda) {
    out.u8(1);
    let (kind, n) = match agenda.split {
        Split::Chunk(n) => (1, n),
        Split::Partitions(n) => (2, n),
    };
    out.u8(kind);
    out.u32(n);
    out.u8(agenda.padding);
    out.count(agenda.runs.len());
    for run in &agenda.runs {
        out.i64(run.start);
        out.i64(run.step);
        out.u32(run.count);
    }
}

fn read_agenda(input: &mut Reader<'_>) -> Result<Agenda, DecodeError> {
    let split = match (input.u8("split")?, input.u32("split")?) {
        (1, n) => Split::Chunk(n),
        (2, n) => Split::Partitions(n),
        _ => return Err(DecodeError::Invalid { field: "split" }),
    };
    let padding = input.u8("padding")?;
    let mut runs = Vec::new();
    for _ in 0..input.count("runs", RUNS_MAX)? {
        let (start, step) = (input.i64("runs")?, input.i64("runs")?);
        runs.push(FrameRun {
            start,
            step,
            count: input.u32("runs")?,
        });
    }
    Ok(Agenda {
        runs,
        split,
        padding,
    })
}

fn read_limits(input: &mut Reader<'_>) -> Result<Vec<Limit>, DecodeError> {
    let mut limits = Vec::new();
    for _ in 0..input.count("limits", LIMITS_MAX)? {
        let resource = Resource::from_u8(input.u8("limits")?)
            .ok_or(DecodeError::Invalid { field: "limits" })?;
        limits.push(Limit {
            resource,
            soft: input.u64("limits")?,
            hard: input.u64("limits")?,
        });
    }
    Ok(limits)
}
