//! What a job is, as it was submitted and as it may be modified.

use crate::after::{After, Label};
use crate::agenda::Agenda;
use crate::ids::JobId;
use crate::mail::{JobMail, JobWebhooks};
use crate::name::UserName;
use crate::rate::StartRate;
use crate::reservation::Reservation;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tessera_requirements::{ClusterChoice, HostOrder, Requirement, Restriction};

/// What the instances of a job do (Qube!'s *job type*).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobKind {
    /// Each instance runs the command once.
    CmdLine,
    /// The command runs once per item of the agenda.
    CmdRange(Agenda),
}

impl JobKind {
    /// Answers the word for it.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::CmdLine => "cmdline",
            Self::CmdRange(_) => "cmdrange",
        }
    }
}

/// What a job asks for beyond its numbers; Qube!'s words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum JobFlag {
    /// Each host converts the paths in the command by its own table.
    ConvertPath,
    /// The farm takes its hosts from it for no other job.
    Uninterruptible,
    /// It comes before all that are not, at once, and nothing takes its hosts from it; administrators only.
    Elite,
    /// Each host that may run it and is there when it is submitted runs it once.
    HostList,
    /// Its instances start all at once or not at all.
    Grid,
}

impl JobFlag {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::ConvertPath,
        Self::Uninterruptible,
        Self::Elite,
        Self::HostList,
        Self::Grid,
    ];

    /// Answers the word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::ConvertPath => "convert_path",
            Self::Uninterruptible => "uninterruptible",
            Self::Elite => "elite",
            Self::HostList => "host_list",
            Self::Grid => "grid",
        }
    }

    /// Answers the flag that a word stands for.
    #[must_use]
    pub fn of_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.word() == word)
    }
}

/// How much of a job may run at once, beyond what the farm allows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct JobLimits {
    /// Instances of all jobs of its process group together.
    pub pgrp: Option<u32>,
    /// Instances of its own on one host.
    pub per_host: Option<u32>,
    /// How quickly its instances may start.
    pub start_rate: Option<StartRate>,
}

/// As many instances as the farm allows.
pub const CPUS_ALL: u32 = u32::MAX;

/// A job's description, validated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobSpec {
    /// For people.
    pub name: String,
    /// What its instances do.
    pub kind: JobKind,
    /// The argument vector; `QB_FRAME_*` tokens are replaced for each item.
    pub command: Vec<String>,
    /// Environment variables added to those that the host makes.
    pub env: BTreeMap<String, String>,
    /// Working directory; the account's home when none is given.
    pub cwd: Option<String>,
    /// File mode mask of what the job makes.
    pub umask: u32,
    /// 1 (served first) to 9999.
    pub priority: u32,
    /// Number of instances (Qube!'s `cpus`).
    pub cpus: u32,
    /// How many it may have where nobody else wants the room; [`CPUS_ALL`]: as many as the farm allows; nothing: as the farm says. The
    /// engine puts the number there when it is submitted.
    pub max_cpus: Option<u32>,
    /// What each instance takes of its host.
    pub reservation: Reservation,
    /// Only these hosts; empty: any.
    pub hosts: BTreeSet<String>,
    /// Never these hosts.
    pub omithosts: BTreeSet<String>,
    /// The clusters that it is in.
    pub cluster: ClusterChoice,
    /// Only hosts in one of these clusters.
    pub restrictions: Option<Restriction>,
    /// What it asks of a host beyond that.
    pub requirements: Option<Arc<Requirement>>,
    /// Which of the hosts that it may use is picked first.
    pub host_order: Option<Arc<HostOrder>>,
    /// Only hosts that are in one of these groups; empty: any.
    pub groups: BTreeSet<String>,
    /// Never hosts that are in one of these groups.
    pub omitgroups: BTreeSet<String>,
    /// Retries of an item after a failed attempt.
    pub retrywork: u32,
    /// Pause before each of them.
    pub retrywork_delay: Duration,
    /// Retries of an instance that failed.
    pub retrysubjob: u32,
    /// Tries of an item, with more memory each, after attempts that ran out of what was reserved.
    pub retry_oom: u32,
    /// How much of it may run at once.
    pub limits: JobLimits,
    /// Longest run of an instance's launch.
    pub timelimit: Option<Duration>,
    /// Longest run of an item.
    pub agendatimelimit: Option<Duration>,
    /// Longest time without output of a running item.
    pub silence_limit: Option<Duration>,
    /// Time between the polite signal and the kill.
    pub grace: Duration,
    /// Bytes that an attempt may print per stream; more is cut with a mark.
    pub output_limit: u64,
    /// Pattern whose first group, a number from 0 to 100, is the progress of an item.
    pub progress: Option<String>,
    /// What it waits for.
    pub after: Option<After>,
    /// Its name within its process group.
    pub label: Option<Label>,
    /// The job that leads its process group; itself when none is named.
    pub pgrp: Option<JobId>,
    /// The mail that it asks for.
    pub mail: Option<JobMail>,
    /// The webhooks that it asks for.
    pub webhooks: JobWebhooks,
    /// How many of its items may fail before nothing more of it is begun; 0: as many as there are.
    pub max_failures: u32,
    /// Free text.
    pub notes: String,
    /// What it asks for beyond that.
    pub flags: BTreeSet<JobFlag>,
}

impl JobSpec {
    /// Says whether each host is to run it once (flag `host_list`).
    #[must_use]
    pub fn is_once_a_host(&self) -> bool {
        self.flags.contains(&JobFlag::HostList)
    }

    /// Says whether its instances start all at once or not at all (flag `grid`).
    #[must_use]
    pub fn is_gang(&self) -> bool {
        self.flags.contains(&JobFlag::Grid)
    }

    /// Answers how many items the job has: those of its agenda, or one per instance.
    #[must_use]
    pub fn items(&self) -> u32 {
        match &self.kind {
            JobKind::CmdLine => self.cpus,
            JobKind::CmdRange(agenda) => agenda.items(),
        }
    }

    /// Answers how many instances it has, secondary ones among them: no more than items.
    #[must_use]
    pub fn instances(&self) -> u32 {
        let most = self.max_cpus.filter(|_| self.why_not_grow().is_none());
        self.cpus.max(most.unwrap_or(0)).min(self.items())
    }

    /// Answers how many of its instances it has whatever others want: its primary ones.
    #[must_use]
    pub fn primaries(&self) -> u32 {
        self.cpus.min(self.items())
    }

    /// Says whether it has secondary instances, which run where no primary one of anybody wants the room.
    #[must_use]
    pub fn grows(&self) -> bool {
        let asks = self.max_cpus.is_some_and(|most| most > self.cpus);
        asks && self.instances() > self.primaries()
    }

    /// Answers what of it keeps it from having secondary instances, whatever it asks for.
    #[must_use]
    pub fn why_not_grow(&self) -> Option<&'static str> {
        let has = |flag| self.flags.contains(&flag);
        if matches!(self.kind, JobKind::CmdLine) {
            Some("each instance of a job without frames is one run of its command")
        } else if self.is_once_a_host() {
            Some("each host runs a job with the flag host_list once")
        } else if self.is_gang() {
            Some("all instances of a job with the flag grid start at once, none of them later")
        } else if has(JobFlag::Uninterruptible) || has(JobFlag::Elite) {
            Some(
                "what a job with the flag uninterruptible or elite has is given to nobody else, and secondary instances are",
            )
        } else {
            None
        }
    }

    /// Answers how people name an item: `7` or `1-5` of an agenda, the instance's number of a `cmdline` job.
    #[must_use]
    pub fn item_name(&self, item: crate::ids::ItemIndex) -> String {
        match &self.kind {
            JobKind::CmdLine => item.to_string(),
            JobKind::CmdRange(agenda) => agenda.item_name(item),
        }
    }
}

/// Somebody whose name was proven.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// Their account.
    pub name: UserName,
    /// How it was proven.
    pub proof: Proof,
    /// Whether they may act on everything.
    pub is_admin: bool,
}

/// How a name was proven.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proof {
    /// The kernel named the peer of a local socket.
    Peer {
        /// Its uid.
        uid: u32,
    },
    /// A token, by its id.
    Token(String),
}

impl Proof {
    /// Prints the proof for audit: `peer uid 1000`, `token 3f2a`.
    #[must_use]
    pub fn in_words(&self) -> String {
        match self {
            Self::Peer { uid } => format!("peer uid {uid}"),
            Self::Token(id) => format!("token {id}"),
        }
    }
}
