//! What a scenario is made of: hosts, jobs and when they come, how long frames take, what goes wrong.

use crate::options::Options;
use crate::replay::{KeptFarm, KeptJob};
use crate::{Scenario, chance};
use std::sync::Arc;
use tessera_api::types::{Quantity, SubmitRequest};

/// MiB of memory for each slot of a host, where hosts are alike.
const MEMORY_A_SLOT: u64 = 8 * 1024;
/// When hosts come; the queue is full by then.
pub(crate) const HOSTS_AT_MS: u64 = 60_000;
/// Ends of frames after which a farm in steady state has shown enough.
const ENDS_ENOUGH: u64 = 200_000;
/// Fewest instances of a job, and most.
const CPUS_MIN: u64 = 16;
const CPUS_MAX: u64 = tessera_model::limits::INSTANCES_MAX as u64;
/// Users of a farm with many.
const USERS: u64 = 100;
/// Where trouble begins, after the hosts are there, and how long it lasts.
const TROUBLE_AT_MS: u64 = HOSTS_AT_MS + 120_000;
const STORM_MS: u64 = 60_000;
/// Longer than the farm waits for a lost host (five minutes).
const LOST_MS: u64 = 400_000;
/// How long a supervisor that was killed is away.
pub(crate) const RESTART_MS: u64 = 2_000;
/// The licence that jobs need, and how many slots there are for each.
pub(crate) const LICENCE: &str = "license.nuke";
const SLOTS_A_LICENCE: u64 = 8;
/// Retries of each frame.
const RETRIES: u32 = 3;
/// What jobs reserve of memory, in GiB.
const MEMORY_SIZES: [u64; 8] = [1, 2, 4, 6, 8, 12, 24, 48];
/// What hosts have of it, in GiB.
const HOST_MEMORY_SIZES: [u64; 4] = [32, 64, 128, 256];

/// A job that will be submitted.
#[derive(Debug, Clone)]
pub(crate) struct JobPlan {
    pub(crate) at_ms: u64,
    /// Whose, by number.
    pub(crate) user: u64,
    /// Of what kind, by number.
    pub(crate) class: usize,
    pub(crate) frames: u32,
    pub(crate) cpus: u64,
    pub(crate) slots: u32,
    /// MiB; 0: nothing reserved.
    pub(crate) memory: u64,
    /// Whether each instance takes a licence.
    pub(crate) is_licensed: bool,
    /// Least and most milliseconds of a frame.
    pub(crate) takes_ms: (u64, u64),
    /// What a real farm kept of it: that says all, then.
    pub(crate) kept: Option<Arc<KeptJob>>,
}

impl JobPlan {
    /// Answers what its user sends.
    pub(crate) fn request(&self, number: usize) -> SubmitRequest {
        let mut reserved = format!("host.processors={}", self.slots);
        if self.memory > 0 {
            reserved += &format!(",host.memory={}", self.memory);
        }
        if self.is_licensed {
            reserved += &format!(",{LICENCE}=1");
        }
        let is_one_slot = self.slots == 1 && self.memory == 0 && !self.is_licensed;
        let command = [
            "render",
            "-f",
            "QB_FRAME_NUMBER",
            "/shows/abc/shot_010/comp.nk",
        ];
        SubmitRequest {
            command: command.map(str::to_owned).into(),
            name: Some(format!("shot_{number:06}_comp")),
            range: Some(format!("1-{}", self.frames)),
            cpus: i64::try_from(self.cpus).ok(),
            priority: Some(5_000),
            reservations: (!is_one_slot).then_some(reserved),
            env: Some([("SHOW".to_owned(), "abc".to_owned())].into()),
            cwd: Some("/shows/abc".to_owned()),
            retrywork: Some(RETRIES.into()),
            retryworkdelay: Some(Quantity("2s".to_owned())),
            ..SubmitRequest::default()
        }
    }

    /// Answers how often a frame of it is tried again after failing.
    pub(crate) fn retries(&self) -> u32 {
        let kept = self.kept.as_ref();
        kept.map_or(RETRIES, |job| job.spec.retrywork)
    }
}

/// Something that goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Trouble {
    /// The supervisor is killed, and is back after [`RESTART_MS`].
    Kill,
    /// Every second host vanishes without a word.
    Lose,
    /// They come back, with what runs on them.
    Find,
}

/// When a run has shown enough.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Until {
    /// Frames that ended.
    pub(crate) ends: u64,
    /// Every slot is taken, or nothing waits.
    pub(crate) is_full: bool,
}

/// What will happen.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    /// Names of the kinds of jobs.
    pub(crate) classes: Vec<String>,
    pub(crate) jobs: Vec<JobPlan>,
    /// MiB of each host.
    pub(crate) memory: Vec<u64>,
    /// Licences of the farm.
    pub(crate) licences: Option<u64>,
    pub(crate) troubles: Vec<(u64, Trouble)>,
    /// When frames fail, and how many of a hundred.
    pub(crate) storm: Option<(u64, u64, u64)>,
    pub(crate) until: Until,
    /// The real farm that is played again.
    pub(crate) kept: Option<Arc<KeptFarm>>,
}

impl Plan {
    /// Answers the name of a user.
    pub(crate) fn user_name(&self, user: u64) -> String {
        let kept = self.kept.as_ref().zip(usize::try_from(user).ok());
        let kept = kept.and_then(|(farm, user)| farm.users.get(user));
        kept.map_or_else(|| format!("user{user:03}"), ToString::to_string)
    }

    /// Makes the plan of a scenario.
    pub(crate) fn of(options: &Options) -> Self {
        let mut plan = Self::full_queue(options, (20_000, 60_000));
        let all = u64::from(options.frames);
        match options.scenario {
            Scenario::ColdStart => {
                plan = Self::full_queue(options, (60_000, 300_000));
                plan.until.is_full = true;
            }
            Scenario::SteadyState => plan.until.ends = ENDS_ENOUGH.min(all.div_ceil(2)),
            Scenario::SmallJobs => plan = Self::small_jobs(options),
            Scenario::WideJobs => plan.make_wide(options),
            Scenario::MemoryMix => plan.reserve_memory(options),
            Scenario::Licences => plan.need_licences(options),
            Scenario::FailureStorm => {
                plan.storm = Some((TROUBLE_AT_MS, TROUBLE_AT_MS + STORM_MS, 80));
                plan.until.ends = all.min(2 * ENDS_ENOUGH);
            }
            Scenario::Restart => {
                plan.troubles = vec![(TROUBLE_AT_MS, Trouble::Kill)];
                plan.until.ends = ENDS_ENOUGH.max(8 * options.farm_slots()).min(all);
            }
            Scenario::HalfLost => {
                let back = TROUBLE_AT_MS + LOST_MS;
                plan.troubles = vec![(TROUBLE_AT_MS, Trouble::Lose), (back, Trouble::Find)];
            }
            Scenario::Users => plan.share_out(options),
        }
        plan.until.ends = options.ends.map_or(plan.until.ends, u64::from);
        plan
    }

    /// All jobs wait when the hosts come.
    fn full_queue(options: &Options, takes_ms: (u64, u64)) -> Self {
        let jobs = options.frames.div_ceil(options.job_frames);
        let cpus = (2 * options.farm_slots()).div_ceil(u64::from(jobs));
        let job = |number: u32| JobPlan {
            at_ms: 0,
            user: u64::from(number) % 10,
            class: 0,
            frames: options
                .job_frames
                .min(options.frames - number * options.job_frames),
            cpus: cpus.clamp(CPUS_MIN, CPUS_MAX),
            slots: 1,
            memory: 0,
            is_licensed: false,
            takes_ms,
            kept: None,
        };
        let memory = u64::from(options.slots) * MEMORY_A_SLOT;
        Self {
            classes: vec!["frames of one slot".to_owned()],
            jobs: (0..jobs).map(job).collect(),
            memory: vec![memory; options.hosts as usize],
            licences: None,
            troubles: Vec::new(),
            storm: None,
            until: Until {
                ends: u64::from(options.frames),
                is_full: false,
            },
            kept: None,
        }
    }

    /// So many come that four fifths of the slots are busy.
    fn small_jobs(options: &Options) -> Self {
        let takes_ms = (1_000, 9_000);
        let span_ms = u64::from(options.frames) * 5_000 * 5 / (4 * options.farm_slots());
        let mut plan = Self::full_queue(options, takes_ms);
        let job = |number: u32| JobPlan {
            at_ms: HOSTS_AT_MS + chance::between((0, span_ms), options.seed, &[1, number.into()]),
            user: u64::from(number) % USERS,
            class: 0,
            frames: 1,
            cpus: 1,
            slots: 1,
            memory: 0,
            is_licensed: false,
            takes_ms,
            kept: None,
        };
        plan.classes = vec!["jobs of one frame".to_owned()];
        plan.jobs = (0..options.frames).map(job).collect();
        plan.jobs.sort_by_key(|job| job.at_ms);
        plan
    }

    /// Every tenth job wants a whole host for each frame; it is a tenth as long. They are submitted between the others.
    fn make_wide(&mut self, options: &Options) {
        self.classes = vec!["one slot".to_owned(), "whole hosts".to_owned()];
        for (number, job) in self.jobs.iter_mut().enumerate() {
            if number % 10 == 5 {
                job.class = 1;
                job.slots = options.slots;
                job.frames = (job.frames / 10).max(1);
                job.cpus = (job.cpus / 10).max(1);
            }
        }
        self.until.ends = self.jobs.iter().map(|job| u64::from(job.frames)).sum();
    }

    /// Every other job needs a licence; they are submitted between the others.
    fn need_licences(&mut self, options: &Options) {
        self.classes = vec!["without a licence".to_owned(), "of a licence".to_owned()];
        for job in self.jobs.iter_mut().skip(1).step_by(2) {
            job.class = 1;
            job.is_licensed = true;
        }
        self.licences = Some((options.farm_slots() / SLOTS_A_LICENCE).max(1));
    }

    fn reserve_memory(&mut self, options: &Options) {
        let name = |size: &u64| format!("{size} GiB");
        self.classes = MEMORY_SIZES.iter().map(name).collect();
        let pick = |sizes: &[u64], of: &[u64]| {
            let drawn = chance::draw(options.seed, of) % sizes.len() as u64;
            usize::try_from(drawn).unwrap_or(0)
        };
        for (number, job) in self.jobs.iter_mut().enumerate() {
            job.class = pick(&MEMORY_SIZES, &[2, number as u64]);
            job.memory = MEMORY_SIZES[job.class] * 1024;
        }
        for (number, memory) in self.memory.iter_mut().enumerate() {
            let size = pick(&HOST_MEMORY_SIZES, &[3, number as u64]);
            *memory = HOST_MEMORY_SIZES[size] * 1024;
        }
    }

    /// The first users have ten times as many jobs as the last, and were there first.
    fn share_out(&mut self, options: &Options) {
        self.classes = vec![
            "of the ten busiest users".to_owned(),
            "of the others".to_owned(),
        ];
        let jobs = self.jobs.len() as u64;
        for (number, job) in self.jobs.iter_mut().enumerate() {
            let drawn = chance::draw(options.seed, &[4, number as u64]);
            let is_busy = drawn.is_multiple_of(2);
            job.user = if is_busy {
                drawn / 2 % 10
            } else {
                10 + drawn / 2 % (USERS - 10)
            };
            job.class = usize::from(!is_busy);
            // The busy come first within the first half minute.
            let share = number as u64 * 30_000 / jobs.max(1);
            job.at_ms = if is_busy { share / 2 } else { share };
        }
        self.jobs.sort_by_key(|job| job.at_ms);
        self.until.ends = self.until.ends.div_ceil(2);
    }
}
