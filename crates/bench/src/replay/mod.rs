//! A real farm again: what its store says is planned, run in the same world as the made-up farms, and set beside what was.
//!
//! Owns what is read of a store, what is guessed where it says nothing, and the comparison. Leaves the store's rows to `store` and
//! `supervisor`, time and hosts to [`crate::world`]. **Invariant:** nothing is written to the store that is replayed, and no file is left
//! beside it. **Invariant:** what can't be replayed is counted and said.

mod compare;
mod fates;
mod find;
mod hosts;
mod jobs;
mod options;
mod report;
mod settings;
mod show;
mod words;

pub use options::{
    HostsChange, REPLAY_DAYS_MAX, REPLAY_FRAMES_MAX, REPLAY_HOSTS_MAX, REPLAY_JOBS_MAX,
    REPLAY_WORDS_MAX, ReplayOptions,
};
pub use report::{ClassPair, Moved, Replayed, Side, Waits};

pub(crate) use fates::Fates;
pub(crate) use show::{lines, page};

use crate::plan::{HOSTS_AT_MS, JobPlan, Plan, Until};
use crate::world::World;
use crate::{BenchError, Options, Report, Scenario};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use tessera_model::after::Label;
use tessera_model::{Action, HostFacts, JobId, JobSpec, Lock, LockCalendar, Timestamp, UserName};
use tessera_store::StoreError;
use tessera_store::sqlite::Look;

/// Why a farm is not replayed.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// What was asked for can't be.
    #[error("{0}")]
    Asked(String),
    /// There is nothing of that name.
    #[error("there is no {}", path.display())]
    Missing {
        /// What was named.
        path: PathBuf,
    },
    /// There is no store in a folder.
    #[error("{} is no folder of a farm: there is no {}", folder.display(), looked_for.display())]
    NoStoreIn {
        /// The folder.
        folder: PathBuf,
        /// Where its store would be.
        looked_for: PathBuf,
    },
    /// It can't be read.
    #[error("can't read {}", path.display())]
    Unreadable {
        /// What.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// It is something else.
    #[error("{} is not a Tessera store", file.display())]
    NotAStore {
        /// The file.
        file: PathBuf,
    },
    /// A database server.
    #[error("stores in PostgreSQL are not replayed")]
    Postgres,
    /// The store can't be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Somebody began to write to it.
    #[error("a supervisor started on {} while it was read", file.display())]
    Moved {
        /// The file.
        file: PathBuf,
    },
    /// Something in it can't be understood.
    #[error("{} can't be understood: {why}", file.display())]
    Strange {
        /// The file.
        file: PathBuf,
        /// What.
        why: String,
    },
    /// Nothing in it could be replayed.
    #[error("there is nothing to replay in {}: {why}", file.display())]
    Nothing {
        /// The file.
        file: PathBuf,
        /// Why not.
        why: String,
    },
    /// More than a replay takes.
    #[error("{count} {what} are more than a replay takes ({most})")]
    TooMuch {
        /// Of what.
        what: &'static str,
        /// How many there are.
        count: u64,
        /// How many there may be.
        most: u64,
    },
    /// The configuration is wrong.
    #[error(transparent)]
    Config(#[from] tessera_supervisor::ConfigError),
    /// The farm could not be run.
    #[error(transparent)]
    Bench(#[from] BenchError),
}

/// A farm as its store tells of it.
#[derive(Debug)]
pub(crate) struct KeptFarm {
    /// When the time of the replay begins, in milliseconds since 1970.
    pub(crate) zero_ms: i64,
    pub(crate) config: tessera_engine::supervisor::Config,
    pub(crate) hosts: Vec<KeptHost>,
    pub(crate) words: Vec<Word>,
    /// Owners of jobs, by number.
    pub(crate) users: Vec<UserName>,
}

/// A host.
#[derive(Debug, Clone)]
pub(crate) struct KeptHost {
    pub(crate) facts: Arc<HostFacts>,
    /// When it came (yes) and went away (no), in milliseconds of the replay.
    pub(crate) moves: Vec<(u64, bool)>,
}

/// A job.
#[derive(Debug)]
pub(crate) struct KeptJob {
    /// The number that it had.
    pub(crate) id: JobId,
    pub(crate) owner: UserName,
    pub(crate) submitter: UserName,
    pub(crate) spec: Arc<JobSpec>,
    pub(crate) is_blocked: bool,
    /// The jobs that had the labels which it names.
    pub(crate) labels: BTreeMap<Label, JobId>,
    pub(crate) fates: Fates,
    pub(crate) was: Was,
}

/// How a job fared in the real farm; times in milliseconds since 1970.
#[derive(Debug, Clone, Default)]
pub(crate) struct Was {
    pub(crate) submitted_ms: i64,
    pub(crate) started_ms: Option<i64>,
    pub(crate) ended_ms: Option<i64>,
    /// Slot time of its runs.
    pub(crate) slot_ms: u64,
    pub(crate) complete: u64,
    pub(crate) failed: u64,
    /// When the last of its runs ended.
    pub(crate) last_end_ms: i64,
}

/// Something that somebody said.
#[derive(Debug, Clone)]
pub(crate) struct Word {
    pub(crate) at_ms: u64,
    /// Nothing when the farm did it by itself.
    pub(crate) by: Option<UserName>,
    pub(crate) what: What,
}

/// What they said.
#[derive(Debug, Clone)]
pub(crate) enum What {
    /// Of a whole job, by the number that it had.
    Act(Action, JobId),
    /// A host is locked.
    Lock(u32, Lock),
    /// It is not any more.
    Unlock(u32),
    /// It is locked weekly.
    Calendar(u32, LockCalendar),
}

/// What can't be replayed, and how much of it there is.
#[derive(Debug, Default)]
pub(crate) struct LeftOut(BTreeMap<&'static str, u64>);

impl LeftOut {
    /// Counts something; `what` is said before its number.
    fn add(&mut self, what: &'static str, count: u64) {
        if count > 0 {
            *self.0.entry(what).or_default() += count;
        }
    }

    /// Says all of it.
    fn sentences(&self) -> Vec<String> {
        let each = self.0.iter();
        each.map(|(what, count)| format!("{count} {what}"))
            .collect()
    }
}

/// Times of the replay from times of the farm.
#[derive(Debug, Clone, Copy)]
struct Span {
    /// When the jobs begin to come.
    from_ms: i64,
    /// When no more come.
    to_ms: i64,
}

impl Span {
    /// Answers a moment in the time of the replay; what came before its beginning is there when the hosts come.
    fn at(self, ms: i64) -> u64 {
        let since = u64::try_from(ms.saturating_sub(self.from_ms)).unwrap_or(0);
        HOSTS_AT_MS + since
    }

    fn zero_ms(self) -> i64 {
        self.from_ms
            .saturating_sub(i64::try_from(HOSTS_AT_MS).unwrap_or(0))
    }

    fn has(self, ms: i64) -> bool {
        (self.from_ms..self.to_ms).contains(&ms)
    }
}

/// Prints a moment for people.
fn when(ms: i64) -> String {
    Timestamp(ms).in_words(0)
}

/// Replays a farm and sets what would have been beside what was.
///
/// # Errors
/// When there is no store, it says nothing that can be replayed, or the farm can't be run.
pub fn replay(options: &ReplayOptions) -> Result<Report, ReplayError> {
    options.check()?;
    let found = find::find(&options.source)?;
    let mut look = Look::open(&found.file)?;
    let strange = |why: String| ReplayError::Strange {
        file: found.file.clone(),
        why,
    };
    let kept = tessera_supervisor::kept::read(look.load()?).map_err(strange)?;
    let lines = words::lines(&look)?;
    let forgotten_before = look.forgotten_before()?;
    let mut left_out = LeftOut::default();
    let read = jobs::read(&mut look, &found, options, kept.image.jobs, &lines)?;
    if !look.is_of_one_moment()? {
        return Err(ReplayError::Moved { file: found.file });
    }
    drop(look);
    let span = read.span;
    left_out.add(
        "jobs that have been removed, with all that they ran",
        read.removed,
    );
    let mut hosts = hosts::read(kept.image.hosts, &kept.joined, &lines, span);
    if hosts.is_empty() {
        let why = "no host of it was ever there".to_owned();
        return Err(ReplayError::Nothing {
            file: found.file,
            why,
        });
    }
    let words = words::words(&hosts, &lines, span, &read.jobs, &mut left_out);
    let (config, mut settings) = settings::read(options, &found, &read.jobs, &kept.image.globals)?;
    if let Some(at_ms) = forgotten_before.filter(|at_ms| *at_ms > span.from_ms) {
        settings.assumed.push(format!(
            "nobody said anything and no host came or went before {}: the journal of then is forgotten",
            when(at_ms.min(span.to_ms))
        ));
    }
    let was_slot_ms = hosts::offered_ms(&hosts, span, read.last_end_ms);
    settings
        .said
        .push(hosts::change(&mut hosts, options.hosts)?);
    let mut users: Vec<UserName> = read.jobs.iter().map(|job| job.owner.clone()).collect();
    users.sort();
    users.dedup();
    let farm = KeptFarm {
        zero_ms: span.zero_ms(),
        config,
        hosts: hosts.into_iter().map(hosts::Seen::kept).collect(),
        words,
        users,
    };
    let (plan, classes) = plan_of(farm, read.jobs, span);
    let mut world = World::of(&options_of(options, &plan), plan)?;
    world.run()?;
    let told = compare::Told {
        source: found.file.display().to_string(),
        span,
        classes,
        settings,
        left_out,
        guessed: read.guessed,
        begun_before: read.begun_before,
        was_slot_ms,
        was_end_ms: read.last_end_ms,
    };
    let replayed = compare::set_beside(&world, told);
    let mut report = world.report();
    report.scenario = "replay";
    report.about = "what the store of a farm tells of, once more";
    report.utilisation.working = replayed.would.working;
    report.replayed = Some(Box::new(replayed));
    Ok(report)
}

/// Plans the jobs; answers the kinds of them, too.
fn plan_of(farm: KeptFarm, jobs: Vec<KeptJob>, span: Span) -> (Plan, Vec<String>) {
    let (classes, class_of) = jobs::classes(&jobs);
    let user_of = |owner: &UserName| farm.users.binary_search(owner).unwrap_or(0) as u64;
    let job = |(job, class): (KeptJob, usize)| JobPlan {
        at_ms: span.at(job.was.submitted_ms),
        user: user_of(&job.owner),
        class,
        frames: job.spec.items(),
        cpus: job.spec.cpus.into(),
        slots: job.spec.reservation.slots,
        memory: job.spec.reservation.memory().unwrap_or(0),
        is_licensed: false,
        takes_ms: (0, 0),
        kept: Some(Arc::new(job)),
    };
    let planned: Vec<JobPlan> = jobs.into_iter().zip(class_of).map(job).collect();
    let plan = Plan {
        classes: classes.clone(),
        until: Until {
            ends: planned.iter().map(|job| u64::from(job.frames)).sum(),
            is_full: false,
        },
        jobs: planned,
        memory: Vec::new(),
        licences: None,
        troubles: Vec::new(),
        storm: None,
        kept: Some(Arc::new(farm)),
    };
    (plan, classes)
}

/// Says in the words of the made-up farms what is run.
fn options_of(options: &ReplayOptions, plan: &Plan) -> Options {
    let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let slots = plan.kept.iter().flat_map(|farm| &farm.hosts);
    Options {
        // It is never looked at: the plan is there already.
        scenario: Scenario::SteadyState,
        hosts: count(plan.kept.as_ref().map_or(0, |farm| farm.hosts.len())),
        slots: slots.map(|host| host.facts.slots).max().unwrap_or(0),
        frames: u32::try_from(plan.until.ends).unwrap_or(u32::MAX),
        job_frames: plan.jobs.iter().map(|job| job.frames).max().unwrap_or(0),
        ends: None,
        seed: options.seed,
        store: options.store,
        folder: options.folder.clone(),
        minutes: options.minutes,
        keep: None,
        wide_hosts: 0,
    }
}
