//! People: they submit, repeat what was not answered, and act on what is there; when it gets calm they let everything go.

use crate::gang;
use crate::limits;
use crate::preempt;
use crate::rng::Rng;
use crate::share;
use crate::shared;
use crate::waits;
use crate::weights;
use crate::world::{Plan, Request};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tessera_engine::supervisor::{
    Engine, Host, Input, Job, JobPatch, LockOrder, LockWish, PreemptPolicy, Submission, Target,
};
use tessera_model::after::Term;
use tessera_model::gpu::GPUS;
use tessera_model::reservation::MEMORY;
use tessera_model::state::WorkStatus;
use tessera_model::{
    Action, Agenda, ClusterChoice, FrameRun, HostId, InstanceNo, ItemIndex, ItemStatus, JobKind,
    JobSpec, More, Order, Principal, Proof, Reservation, Restriction, SlotSet, Split, UserName,
};
use tessera_model::{HostOrder, Requirement};

/// Notes of a job on which somebody may use *complete*.
pub const COMPLETED_BY_HAND: &str = "complete";

/// All clients of the farm.
#[derive(Debug, Default)]
pub struct Client {
    left: u32,
    /// Whether jobs wait for each other.
    waits: bool,
    /// Whether they want of the farm's own resources.
    shares: bool,
    /// Whether they are limited.
    limits: bool,
    /// Whether some of them may have secondary instances.
    grow: bool,
    /// Whether some of them say what preemption may do.
    flags: bool,
    /// Whether the instances of some start all at once.
    gangs: bool,
    /// Whether most of them are in clusters that share the farm.
    weights: bool,
    serial: u64,
    /// Submissions without an answer: ticket → what was sent.
    open: BTreeMap<u64, Submission>,
    /// Submissions to send again.
    again: Vec<Submission>,
}

impl Client {
    /// Makes clients that will submit what is planned.
    #[must_use]
    pub fn new(plan: &Plan) -> Self {
        Self {
            left: plan.jobs,
            waits: plan.waits,
            shares: plan.shares,
            limits: plan.limits,
            grow: plan.grow,
            flags: plan.preempt != PreemptPolicy::Disabled,
            gangs: plan.grid,
            weights: plan.weights,
            ..Self::default()
        }
    }

    /// Says whether everything was submitted and acknowledged.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.left == 0 && self.open.is_empty() && self.again.is_empty()
    }

    /// Says what is left, for a failure.
    #[must_use]
    pub fn state(&self) -> String {
        format!(
            "{} to submit, {} open, {} to repeat",
            self.left,
            self.open.len(),
            self.again.len()
        )
    }

    /// Answers the idempotency key of an open submission.
    #[must_use]
    pub fn key_of(&self, ticket: u64) -> Option<String> {
        self.open
            .get(&ticket)
            .and_then(|submission| submission.key.clone())
    }

    /// The answer came.
    pub fn answered(&mut self, ticket: u64) {
        self.open.remove(&ticket);
    }

    /// The answer was given and did not arrive.
    pub fn lost(&mut self, ticket: u64) {
        self.again.extend(self.open.remove(&ticket));
    }

    /// The supervisor said that it could not.
    pub fn refused(&mut self, ticket: u64) {
        self.lost(ticket);
    }

    /// The supervisor is gone: every open request is repeated.
    pub fn lose_answers(&mut self) {
        self.again
            .extend(std::mem::take(&mut self.open).into_values());
    }

    /// Answers what they ask for now.
    pub(crate) fn act(
        &mut self,
        rng: &mut Rng,
        engine: Option<&Engine>,
        calm: bool,
    ) -> Vec<Request> {
        let Some(engine) = engine else {
            return Vec::new();
        };
        let mut requests = Vec::new();
        if let Some(again) = self.again.pop() {
            requests.push(self.submit(again));
        } else if self.left > 0 {
            self.left -= 1;
            let mut submission = submission(rng, self.left);
            if self.waits {
                waits::make_wait(rng, engine, &mut submission.spec);
            }
            if self.shares {
                shared::make_want(rng, &mut submission.spec);
            }
            if self.limits {
                limits::make_limited(rng, engine, &mut submission.spec);
            }
            if self.flags {
                preempt::make_flags(rng, &mut submission);
            }
            if self.gangs {
                gang::make_gang(rng, &mut submission.spec);
            }
            if self.grow {
                share::make_growing(rng, &mut submission.spec);
            }
            if self.weights {
                weights::make_weighted(rng, &mut submission.spec);
            }
            requests.push(self.submit(submission));
        }
        if calm {
            requests.extend(let_go(engine, self.left == 0));
            if self.shares {
                requests.extend(shared::let_go(engine));
            }
        } else if self.shares && rng.chance(15) {
            requests.push(shared::say(rng));
        } else if self.limits && rng.chance(8) {
            requests.extend(limits::change(rng, engine));
        } else if self.grow && rng.chance(8) {
            requests.extend(share::change(rng, engine));
        } else if self.waits && rng.chance(5) {
            requests.extend(wait_anew(rng, engine));
        } else if rng.chance(60) {
            requests.extend(meddle(rng, engine));
        }
        requests
    }

    fn submit(&mut self, submission: Submission) -> Request {
        self.serial += 1;
        self.open.insert(self.serial, submission.clone());
        Request {
            input: Input::Submit(Box::new(submission)),
            ticket: Some(self.serial),
        }
    }
}

pub(crate) fn principal(is_admin: bool) -> Principal {
    let name: UserName = "mia"
        .parse()
        .unwrap_or_else(|_| unreachable!("a good name"));
    Principal {
        name,
        proof: Proof::Peer { uid: 1000 },
        is_admin,
    }
}

pub(crate) fn submission(rng: &mut Rng, number: u32) -> Submission {
    let seconds = |rng: &mut Rng, percent, low, high| {
        rng.chance(percent)
            .then(|| Duration::from_secs(rng.between(low, high)))
    };
    let items = u32::try_from(rng.between(1, 25)).unwrap_or(1);
    let order = *rng
        .pick(&[Order::Ascend, Order::Reverse, Order::Binary])
        .unwrap_or(&Order::Ascend);
    let split = if rng.chance(30) {
        Split::Chunk(2)
    } else {
        Split::Chunk(1)
    };
    let run = FrameRun {
        start: 1,
        step: 1,
        count: items,
    };
    let kind = match Agenda::new(vec![run], split, order, 0) {
        Ok(agenda) if rng.chance(80) => JobKind::CmdRange(agenda),
        _ => JobKind::CmdLine,
    };
    let pick = |rng: &mut Rng| {
        if rng.chance(10) {
            ["rnd001".to_owned()].into()
        } else {
            BTreeSet::new()
        }
    };
    let omithosts = if rng.chance(10) {
        ["rnd002".to_owned()].into()
    } else {
        BTreeSet::new()
    };
    let spec = JobSpec {
        name: format!("job{number}"),
        kind,
        command: vec!["true".into()],
        env: BTreeMap::new(),
        cwd: None,
        umask: 0o22,
        flags: Default::default(),
        priority: u32::try_from(rng.between(1, 4)).unwrap_or(1),
        cpus: u32::try_from(rng.between(1, 6)).unwrap_or(1),
        max_cpus: None,
        reservation: reservation(rng),
        hosts: pick(rng),
        omithosts,
        cluster: cluster(rng),
        restrictions: restrictions(rng),
        requirements: requirements(rng),
        host_order: host_order(rng),
        groups: group(rng, 10, "fast"),
        omitgroups: group(rng, 10, "slow"),
        retrywork: u32::try_from(rng.below(3)).unwrap_or(0),
        retrywork_delay: Duration::from_secs(if rng.chance(50) {
            0
        } else {
            rng.between(1, 30)
        }),
        retrysubjob: u32::try_from(rng.below(3)).unwrap_or(0),
        retry_oom: u32::try_from(rng.below(4)).unwrap_or(0),
        limits: Default::default(),
        timelimit: seconds(rng, 10, 5, 300),
        agendatimelimit: seconds(rng, 30, 3, 120),
        silence_limit: seconds(rng, 10, 3, 120),
        grace: Duration::from_secs(rng.between(0, 30)),
        output_limit: 1 << 20,
        progress: None,
        after: None,
        label: None,
        pgrp: None,
        mail: None,
        webhooks: Default::default(),
        // No throw of the dice: seeds mean what they meant.
        max_failures: if number % 4 == 3 { 1 + number % 3 } else { 0 },
        notes: if rng.chance(30) {
            COMPLETED_BY_HAND.into()
        } else {
            String::new()
        },
    };
    Submission {
        by: principal(false),
        spec,
        owner: None,
        key: Some(format!("key{number}")),
        is_blocked: rng.chance(10),
    }
}

fn cluster(rng: &mut Rng) -> ClusterChoice {
    let all = ["/", "/", "/a", "/a/b", "/a+", "/c,/a/b/x"];
    rng.pick(&all)
        .and_then(|it| it.parse().ok())
        .unwrap_or_default()
}

/// The first host is in what each of them lets in.
fn restrictions(rng: &mut Rng) -> Option<Restriction> {
    let all = ["/a/b", "/c || /a/*", "/a/+"];
    rng.chance(10)
        .then(|| rng.pick(&all).and_then(|it| it.parse().ok()))
        .flatten()
}

fn host_order(rng: &mut Rng) -> Option<Arc<HostOrder>> {
    let all = ["-host.memory", "+host.processors.used,host.name"];
    let one = rng.chance(10).then(|| rng.pick(&all).copied()).flatten();
    one.and_then(|it| it.parse().ok()).map(Arc::new)
}

/// What no host meets for ever is not among them: some host is fast, some is in a cluster below `/a`, all can be idle.
fn requirements(rng: &mut Rng) -> Option<Arc<Requirement>> {
    let all = [FAST, NOT_SECOND, "host.processors.used == 0", ALONE];
    let one = rng.chance(15).then(|| rng.pick(&all).copied()).flatten();
    one.and_then(|it| Requirement::parse(it).ok()).map(Arc::new)
}

/// A requirement that only hosts of the group `fast` meet.
pub(crate) const FAST: &str = "host.groups has fast";
/// One that the second host does not meet.
pub(crate) const NOT_SECOND: &str = "host.name != rnd002 and host.memory >= 1";
/// One that a host does not meet which has an instance of the job.
pub(crate) const ALONE: &str = "not job.id in host.duty.id";

fn group(rng: &mut Rng, percent: u64, name: &str) -> BTreeSet<String> {
    rng.chance(percent)
        .then(|| name.to_owned())
        .into_iter()
        .collect()
}

/// Most slots that a job reserves.
pub(crate) const SLOTS_MAX: u32 = 2;
/// Most memory that a job reserves, in MiB.
pub(crate) const MEMORY_MAX: u64 = 8;
/// The most GPUs that a job reserves; every host has as many.
pub(crate) const GPUS_MAX: u64 = 2;

/// Half of the jobs reserve nothing, so that either kind meets the other.
fn reservation(rng: &mut Rng) -> Reservation {
    let mut reservation = Reservation::default();
    if rng.chance(20) {
        reservation.slots = SLOTS_MAX;
    }
    if rng.chance(10) {
        let forms = [More::Free, More::UpTo(SLOTS_MAX), More::WholeHost];
        reservation.more = rng.pick(&forms).copied().unwrap_or_default();
    }
    if rng.chance(40) {
        let memory = rng.between(1, MEMORY_MAX);
        reservation.amounts.insert(MEMORY.to_owned(), memory);
    }
    if rng.chance(15) {
        let gpus = rng.between(1, GPUS_MAX);
        reservation.amounts.insert(GPUS.to_owned(), gpus);
    }
    reservation
}

fn act(action: Action, target: Target) -> Request {
    Request {
        input: Input::Act {
            by: principal(true),
            action,
            targets: vec![target],
        },
        ticket: None,
    }
}

/// Does something to something.
fn meddle(rng: &mut Rng, engine: &Engine) -> Option<Request> {
    let jobs: Vec<&Job> = engine.jobs().collect();
    let job = *rng.pick(&jobs)?;
    let hosts: Vec<_> = engine.hosts().map(|host| host.id).collect();
    if rng.chance(8) {
        let host = *rng.pick(&hosts)?;
        let input = if rng.chance(80) {
            lock(rng, host)
        } else {
            Input::RemoveHost {
                by: principal(true),
                host,
                is_forced: rng.chance(50),
            }
        };
        return Some(Request {
            input,
            ticket: None,
        });
    }
    if rng.chance(8) {
        let cpus = (!job.is_cmdline()).then(|| u32::try_from(rng.between(1, 6)).unwrap_or(1));
        let priority = Some(u32::try_from(rng.between(1, 4)).unwrap_or(1));
        let reservation = rng.chance(30).then(|| reservation(rng));
        let requirements = rng.chance(20).then(|| requirements(rng));
        let groups = rng.chance(30).then(|| group(rng, 50, "fast"));
        let omitgroups = rng.chance(30).then(|| group(rng, 50, "slow"));
        let cluster = rng.chance(30).then(|| cluster(rng));
        let restrictions = rng.chance(30).then(|| restrictions(rng));
        let patch = JobPatch {
            cluster,
            restrictions,
            requirements,
            groups,
            omitgroups,
            reservation,
            cpus,
            priority,
            ..JobPatch::default()
        };
        let patch = Box::new(gang::changed(job, patch));
        return Some(Request {
            input: Input::Modify {
                by: principal(true),
                job: job.id,
                patch,
            },
            ticket: None,
        });
    }
    if rng.chance(3) {
        return Some(Request {
            input: Input::Clean { jobs: vec![job.id] },
            ticket: None,
        });
    }
    let usual: Vec<Action> = Action::ALL
        .into_iter()
        .filter(|a| *a != Action::Modify)
        .filter(|a| *a != Action::Complete || job.spec.notes == COMPLETED_BY_HAND)
        .collect();
    let action = *rng.pick(&usual)?;
    let target = match rng.below(3) {
        0 => Target::Job(job.id),
        1 => Target::Instance(
            job.id,
            InstanceNo(u32::try_from(rng.below(job.instances().len() as u64)).ok()?),
        ),
        _ => {
            let items = u64::from(job.items().len());
            let few = (0..rng.between(1, 3)).map(|_| rng.below(items));
            Target::Items(
                job.id,
                few.filter_map(|i| u32::try_from(i).ok())
                    .map(ItemIndex)
                    .collect(),
            )
        }
    };
    Some(act(action, target))
}

/// Locks a host, or some slots of it, for a while or until somebody unlocks it, or unlocks it.
fn lock(rng: &mut Rng, host: HostId) -> Input {
    let by = principal(true);
    let some = |rng: &mut Rng| {
        let slots = format!("{}-{}", rng.between(1, 2), rng.between(2, 4));
        slots.parse().unwrap_or_default()
    };
    let wish = match rng.below(6) {
        0 | 1 => {
            let is_locked = rng.chance(50);
            return Input::Lock {
                by,
                host,
                is_locked,
            };
        }
        2 => LockWish::Unlock(some(rng)),
        3 => LockWish::Calendar("daily 00:00-12:00 slots 1 purge".parse().ok()),
        _ => LockWish::Lock(LockOrder {
            slots: if rng.chance(50) {
                some(rng)
            } else {
                SlotSet::all()
            },
            until: None,
            note: String::new(),
            purges: rng.chance(50),
            drains: rng.chance(50),
        }),
    };
    let wish = Box::new(wish);
    Input::LockWish { by, host, wish }
}

/// Makes a job wait for something else.
fn wait_anew(rng: &mut Rng, engine: &Engine) -> Option<Request> {
    let jobs: Vec<&Job> = engine.jobs().collect();
    let job = *rng.pick(&jobs)?;
    let after = match rng.chance(20) {
        true => None,
        false => waits::some_after(rng, &jobs, &job.spec),
    };
    let patch = Box::new(JobPatch {
        after: Some(after),
        ..JobPatch::default()
    });
    let (by, job) = (principal(true), job.id);
    Some(Request {
        input: Input::Modify { by, job, patch },
        ticket: None,
    })
}

/// Unblocks, resumes and unlocks all that would wait for a person, with what waits in vain or for a job that nobody submits
/// any more.
fn let_go(engine: &Engine, are_all_submitted: bool) -> Vec<Request> {
    let mut requests = Vec::new();
    let is_locked = |host: &&Host| host.lock.is_some() || host.calendar.is_some();
    for host in engine.hosts().filter(is_locked) {
        let input = Input::Lock {
            by: principal(true),
            host: host.id,
            is_locked: false,
        };
        requests.push(Request {
            input,
            ticket: None,
        });
    }
    for job in engine.jobs().filter(|job| !job.status().is_ended()) {
        let items = job.items();
        let terms = job.spec.after.as_ref().map(|after| after.leaves());
        let is_unknown = |term: &&Term| job.waits.job(&term.whom).is_none();
        let waits_for_nobody = terms.into_iter().flatten().any(|term| is_unknown(&term));
        let is_stuck = engine.waits_in_vain(job.id)
            || (are_all_submitted && waits_for_nobody && engine.waiting_items(job.id) > 0);
        if items.count(ItemStatus::Blocked) > 0
            || job.instances_in(WorkStatus::Blocked) > 0
            || is_stuck
        {
            requests.push(act(Action::Unblock, Target::Job(job.id)));
        }
        if items.count(ItemStatus::Suspended) > 0 || job.instances_in(WorkStatus::Suspended) > 0 {
            requests.push(act(Action::Resume, Target::Job(job.id)));
        }
    }
    requests
}
