//! What an expression can read: `host.*` and `job.*`.

use crate::limits::OPERAND_BYTES_MAX;
use crate::near::nearest;
use crate::number::Dimension;
use std::fmt;

/// Properties and resources that every host may have; others are what `worker_properties` and `worker_resources` make.
pub(crate) const KNOWN: &[&str] = &[
    "architecture",
    "cluster",
    "cpus",
    "description",
    "flags",
    "gpu_devices",
    "gpu_memory",
    "gpu_model",
    "gpus",
    "groups",
    "jobtypes",
    "kernel_version",
    "memory",
    "name",
    "os",
    "processor_make",
    "processor_model",
    "processor_speed",
    "processors",
    "proxy_mode",
    "restrictions",
    "state",
    "swap",
    "tessera_version",
    "worker_mode",
];
/// Those of them that are lists: a host that says nothing has an empty one.
const LISTS: &[&str] = &["flags", "groups", "jobtypes"];
/// Those of them that are numbers.
const AMOUNTS: &[&str] = &[
    "cpus",
    "gpu_memory",
    "gpus",
    "memory",
    "processor_speed",
    "processors",
    "swap",
];
/// Flags of a worker.
const HOST_FLAGS: &[&str] = &[
    "auto_mount",
    "auto_remove",
    "dedicated",
    "dynamic",
    "load_profile",
    "remove_logs",
];
/// Flags of a job.
const JOB_FLAGS: &[&str] = &[
    "auto_mount",
    "auto_wrangling",
    "convert_path",
    "disable_auto_complete",
    "disable_cpu_limit",
    "disable_windows_job_object",
    "elite",
    "expand",
    "export_environment",
    "grid",
    "host_list",
    "mail",
    "migrate_on_frame_retry",
    "no_defaults",
    "p_agenda",
    "uninterruptible",
];

/// Which of a resource's amounts is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// What there is.
    Total,
    /// What instances have of it.
    Used,
    /// What is left.
    Avail,
}

impl Part {
    const ALL: [Self; 3] = [Self::Total, Self::Used, Self::Avail];

    /// Answers the word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Total => "total",
            Self::Used => "used",
            Self::Avail => "avail",
        }
    }
}

/// Something of a host.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum HostOperand {
    /// `host.NAME`: a property, or what there is of a resource.
    Named(String),
    /// `host.NAME.total`, `.used` or `.avail`: an amount of a resource.
    Amount(String, Part),
    /// `host.flag.NAME`.
    Flag(String),
    /// `host.duty.FIELD`: that of each job that has an instance there now, a list.
    Duty(JobField),
}

/// A field of a job.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum JobField {
    /// `name`.
    Name,
    /// `id`.
    Id,
    /// `pid`, the parent.
    Pid,
    /// `pgrp`, the process group.
    Pgrp,
    /// `priority`.
    Priority,
    /// `label`.
    Label,
    /// `user`.
    User,
    /// `status`.
    Status,
    /// `type`, or `prototype`: the job type.
    Type,
    /// `cluster`.
    Cluster,
    /// `restrictions`.
    Restrictions,
    /// `kind`.
    Kind,
    /// `reservations`.
    Reservations,
    /// `requirements`.
    Requirements,
    /// `flags`, a list.
    Flags,
    /// `flag.NAME`.
    Flag(String),
}

impl JobField {
    const PLAIN: [(&str, Self); 16] = [
        ("name", Self::Name),
        ("id", Self::Id),
        ("pid", Self::Pid),
        ("pgrp", Self::Pgrp),
        ("priority", Self::Priority),
        ("label", Self::Label),
        ("user", Self::User),
        ("status", Self::Status),
        ("type", Self::Type),
        ("prototype", Self::Type),
        ("cluster", Self::Cluster),
        ("restrictions", Self::Restrictions),
        ("kind", Self::Kind),
        ("reservations", Self::Reservations),
        ("requirements", Self::Requirements),
        ("flags", Self::Flags),
    ];

    fn read(prefix: &str, word: &str) -> Result<Self, OperandError> {
        if let Some(flag) = word.strip_prefix("flag.") {
            return flag_of(JOB_FLAGS, &format!("{prefix}flag."), flag).map(Self::Flag);
        }
        let found = Self::PLAIN.iter().find(|(known, _)| *known == word);
        found
            .map(|(_, field)| field.clone())
            .ok_or_else(|| OperandError::NoField {
                prefix: prefix.to_owned(),
                word: word.to_owned(),
                nearest: nearest(word, Self::PLAIN.iter().map(|(known, _)| *known)),
            })
    }
}

impl fmt::Display for JobField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Self::Flag(name) = self {
            return write!(f, "flag.{name}");
        }
        let word = Self::PLAIN.iter().find(|(_, field)| field == self);
        f.write_str(word.map_or("", |(word, _)| word))
    }
}

/// What an expression reads.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operand {
    /// Of the host that is looked at.
    Host(HostOperand),
    /// Of the job that wants to run.
    Job(JobField),
}

/// Why a word is no operand.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OperandError {
    /// A job has no such field.
    #[error("there is no {prefix}{word}{}", did_you_mean(prefix, *nearest))]
    NoField {
        /// `job.` or `host.duty.`
        prefix: String,
        /// What follows it.
        word: String,
        /// What may be meant.
        nearest: Option<&'static str>,
    },
    /// There is no such flag.
    #[error("there is no flag {prefix}{word}{}", did_you_mean(prefix, *nearest))]
    NoFlag {
        /// `job.flag.`, `host.flag.` or `host.duty.flag.`
        prefix: String,
        /// What follows it.
        word: String,
        /// What may be meant.
        nearest: Option<&'static str>,
    },
    /// It isn't of the form `host.NAME`.
    #[error(
        "the name of an operand is made of letters, digits, _ and single dots, such as host.memory.avail"
    )]
    Form,
    /// It is too long.
    #[error("the name of an operand is at most {OPERAND_BYTES_MAX} bytes long")]
    TooLong,
}

fn did_you_mean(prefix: &str, nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |it| format!("; did you mean {prefix}{it}?"))
}

fn flag_of(known: &[&'static str], prefix: &str, word: &str) -> Result<String, OperandError> {
    if known.contains(&word) {
        return Ok(word.to_owned());
    }
    Err(OperandError::NoFlag {
        prefix: prefix.to_owned(),
        word: word.to_owned(),
        nearest: nearest(word, known.iter().copied()),
    })
}

impl Operand {
    /// Says whether a word can only be meant as an operand.
    pub(crate) fn is_meant(word: &str) -> bool {
        word.starts_with("host.") || word.starts_with("job.")
    }

    /// Reads one.
    ///
    /// # Errors
    /// When it is none, or reads something of a job that jobs don't have.
    pub fn parse(word: &str) -> Result<Self, OperandError> {
        if word.len() > OPERAND_BYTES_MAX {
            return Err(OperandError::TooLong);
        }
        let is_name =
            |it: &str| !it.is_empty() && it.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        match word.split_once('.') {
            Some(("host", rest)) if rest.split('.').all(is_name) => {
                HostOperand::read(rest).map(Self::Host)
            }
            Some(("job", rest)) if rest.split('.').all(is_name) => {
                JobField::read("job.", rest).map(Self::Job)
            }
            _ => Err(OperandError::Form),
        }
    }

    /// Says whether it is a list: where it is missing, that is an empty one.
    #[must_use]
    pub fn is_list(&self) -> bool {
        match self {
            Self::Host(HostOperand::Named(name)) => LISTS.contains(&name.as_str()),
            Self::Host(HostOperand::Duty(_)) | Self::Job(JobField::Flags) => true,
            Self::Host(HostOperand::Amount(..) | HostOperand::Flag(_)) | Self::Job(_) => false,
        }
    }

    /// Answers what its number counts, where that is known.
    pub(crate) fn dimension(&self) -> Option<Dimension> {
        let Self::Host(HostOperand::Named(name) | HostOperand::Amount(name, _)) = self else {
            return None;
        };
        match name.as_str() {
            "gpu_memory" | "memory" | "swap" => Some(Dimension::Memory),
            "processor_speed" => Some(Dimension::Speed),
            _ => None,
        }
    }

    /// Says whether it is a number on every host that has it.
    pub(crate) fn is_amount(&self) -> bool {
        match self {
            Self::Host(HostOperand::Amount(..)) => true,
            Self::Host(HostOperand::Named(name)) => AMOUNTS.contains(&name.as_str()),
            Self::Host(HostOperand::Flag(_) | HostOperand::Duty(_)) | Self::Job(_) => false,
        }
    }

    /// Answers what other systems call a word of this operand: `winnt` is `windows`.
    pub(crate) fn our_word<'a>(&self, word: &'a str) -> &'a str {
        let Self::Host(HostOperand::Named(name)) = self else {
            return word;
        };
        match (name.as_str(), word) {
            ("os", "winnt") => "windows",
            ("os", "osx") => "macos",
            ("state", "active") => "up",
            _ => word,
        }
    }

    /// Answers what it depends on.
    #[must_use]
    pub fn depends(&self) -> Depends {
        let changes = match self {
            Self::Job(_) => {
                return Depends {
                    job: true,
                    ..Depends::default()
                };
            }
            Self::Host(HostOperand::Amount(_, part)) => *part != Part::Total,
            Self::Host(HostOperand::Duty(_)) => true,
            Self::Host(HostOperand::Named(name)) => name == "state",
            Self::Host(HostOperand::Flag(_)) => false,
        };
        Depends {
            job: false,
            host: !changes,
            host_now: changes,
        }
    }

    /// Answers the property or resource that it names, if that isn't one that every farm has.
    pub(crate) fn of_this_farm(&self) -> Option<&str> {
        match self {
            Self::Host(HostOperand::Named(name) | HostOperand::Amount(name, _)) => {
                let is_known = KNOWN.contains(&name.as_str()) || name.starts_with("identity.");
                (!is_known).then_some(name)
            }
            Self::Host(HostOperand::Flag(_) | HostOperand::Duty(_)) | Self::Job(_) => None,
        }
    }
}

impl HostOperand {
    fn read(word: &str) -> Result<Self, OperandError> {
        if let Some(field) = word.strip_prefix("duty.") {
            return JobField::read("host.duty.", field).map(Self::Duty);
        }
        if let Some(flag) = word.strip_prefix("flag.") {
            return flag_of(HOST_FLAGS, "host.flag.", flag).map(Self::Flag);
        }
        let part = |(name, last): (&str, &str)| {
            let part = Part::ALL.into_iter().find(|part| part.word() == last)?;
            Some(Self::Amount(name.to_owned(), part))
        };
        let amount = word.rsplit_once('.').and_then(part);
        Ok(amount.unwrap_or_else(|| Self::Named(word.to_owned())))
    }
}

impl fmt::Display for HostOperand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Named(name) => write!(f, "host.{name}"),
            Self::Amount(name, part) => write!(f, "host.{name}.{}", part.word()),
            Self::Flag(name) => write!(f, "host.flag.{name}"),
            Self::Duty(field) => write!(f, "host.duty.{field}"),
        }
    }
}

impl fmt::Display for Operand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(operand) => operand.fmt(f),
            Self::Job(field) => write!(f, "job.{field}"),
        }
    }
}

/// What an answer depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Depends {
    /// On the job: two jobs may be answered differently.
    pub job: bool,
    /// On what of a host stays while its worker is connected.
    pub host: bool,
    /// On what of a host changes with what runs there: `.used`, `.avail`, `host.duty.*`, `host.state`.
    pub host_now: bool,
}

impl Depends {
    pub(crate) fn or(self, other: Self) -> Self {
        Self {
            job: self.job || other.job,
            host: self.host || other.host,
            host_now: self.host_now || other.host_now,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operands_print_as_they_are_read() {
        for word in [
            "host.os",
            "host.memory",
            "host.memory.avail",
            "host.identity.limits",
            "host.rack.row.total",
            "host.duty.kind",
            "host.duty.flag.elite",
            "host.flag.dynamic",
            "job.id",
            "job.flag.grid",
        ] {
            assert_eq!(Operand::parse(word).expect(word).to_string(), word);
        }
        let old = Operand::parse("job.prototype").expect("reads");
        assert_eq!(old.to_string(), "job.type");
        assert_eq!(Operand::parse("host.used"), Operand::parse("host.used"));
    }

    #[test]
    fn what_is_no_operand_says_what_may_be_meant() {
        let error = |word: &str| Operand::parse(word).expect_err(word).to_string();
        assert_eq!(
            error("job.kinds"),
            "there is no job.kinds; did you mean job.kind?"
        );
        assert_eq!(
            error("host.duty.usr"),
            "there is no host.duty.usr; did you mean host.duty.user?"
        );
        assert_eq!(
            error("job.flag.elit"),
            "there is no flag job.flag.elit; did you mean job.flag.elite?"
        );
        assert_eq!(
            error("host.flag.zzzzzz"),
            "there is no flag host.flag.zzzzzz"
        );
        for bad in [
            "host.", "host..os", "host.os.", "host.a-b", "hosts.os", "os", "host.é",
        ] {
            assert_eq!(Operand::parse(bad), Err(OperandError::Form), "{bad}");
        }
        let long = format!("host.{}", "a".repeat(OPERAND_BYTES_MAX));
        assert_eq!(Operand::parse(&long), Err(OperandError::TooLong));
    }

    #[test]
    fn what_moves_is_told_from_what_stays() {
        let of = |word: &str| Operand::parse(word).expect(word).depends();
        for word in [
            "host.memory",
            "host.memory.total",
            "host.os",
            "host.flag.dynamic",
        ] {
            let depends = of(word);
            assert!(depends.host && !depends.host_now && !depends.job, "{word}");
        }
        for word in [
            "host.memory.avail",
            "host.processors.used",
            "host.duty.id",
            "host.state",
        ] {
            let depends = of(word);
            assert!(!depends.host && depends.host_now && !depends.job, "{word}");
        }
        assert!(of("job.kind").job && !of("job.kind").host);
    }
}
