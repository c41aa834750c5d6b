//! A real farm on the stage: its jobs as they were described, its hosts as they came and went, what people said.
//!
//! The connection of a host that went away ends when it did in the real farm, so nobody listens for silence here and no host has to
//! say that it is there: nights without work cost nothing.

use super::stage::{Event, Stage};
use super::{Asked, COUNT_EVERY_MS, STALL_MS, VIRTUAL_MAX_MS, World};
use crate::BenchError;
use crate::plan::HOSTS_AT_MS;
use crate::replay::{KeptFarm, KeptJob, What};
use std::collections::BTreeMap;
use tessera_engine::supervisor::{
    Answer, Denied, Input, Job, LockOrder, LockWish, Submission, Target,
};
use tessera_model::after::{Term, Tree, Whom};
use tessera_model::{
    After, ItemStatus, JobId, JobWebhooks, Lock, Principal, Proof, SlotSet, UserName,
};

/// The uid of whoever speaks: here it stands in tickets that nobody reads.
const SOMEBODY: u32 = 1_000;

/// What came of playing a real farm.
#[derive(Debug, Default)]
pub(super) struct Played {
    /// The jobs by the numbers that they had.
    ids: BTreeMap<JobId, JobId>,
    /// The first job of each process group, by the number that its leader had.
    groups: BTreeMap<JobId, JobId>,
    /// Words for which there was nothing to do, or whose job was not there yet.
    pub(super) void_words: u64,
    /// Things to wait for that are not in this run, and count as done.
    pub(super) met_waits: u64,
    /// Frames that people gave up.
    pub(super) given_up: u64,
    /// Slot time until a frame ended last.
    pub(super) slot_ms: [u64; 3],
}

/// Puts what happens to hosts and what people say in its place.
pub(super) fn stage_farm(stage: &mut Stage, farm: &KeptFarm) {
    for (index, host) in (0..).zip(&farm.hosts) {
        for (at_ms, is_up) in &host.moves {
            let event = match is_up {
                true => Event::Back(index),
                false => Event::Away(index),
            };
            stage.at(*at_ms, event);
        }
    }
    for (number, word) in farm.words.iter().enumerate() {
        stage.at(word.at_ms, Event::Word(number));
    }
}

impl Played {
    /// Answers what the submitter of a job sent, with the numbers that jobs have here.
    pub(super) fn submission(&mut self, job: &KeptJob, id: JobId) -> Submission {
        let mut spec = (*job.spec).clone();
        spec.after = spec.after.take().and_then(|after| self.after(job, &after));
        let leader = spec.pgrp.unwrap_or(job.id);
        let first = *self.groups.entry(leader).or_insert(id);
        spec.pgrp = (first != id).then_some(first);
        self.ids.insert(job.id, id);
        // Nobody is told of what is only played.
        spec.mail = None;
        spec.webhooks = JobWebhooks::default();
        Submission {
            by: somebody(&job.submitter),
            spec,
            owner: Some(job.owner.clone()),
            key: None,
            is_blocked: job.is_blocked,
        }
    }

    /// Puts the numbers of here into what a job waits for; what is not here has happened.
    fn after(&mut self, job: &KeptJob, after: &After) -> Option<After> {
        match after {
            Tree::One(term) => {
                let known = match &term.whom {
                    Whom::Job(id) => Some(*id),
                    Whom::Label(label) => job.labels.get(label).copied(),
                };
                // A label that no job ever had goes on waiting for one.
                let Some(known) = known else {
                    return Some(after.clone());
                };
                let Some(here) = self.ids.get(&known) else {
                    self.met_waits += 1;
                    return None;
                };
                let whom = Whom::Job(*here);
                let term = Term {
                    whom,
                    ..term.clone()
                };
                Some(Tree::One(term))
            }
            Tree::All(parts) => {
                let parts: Vec<After> = parts.iter().filter_map(|it| self.after(job, it)).collect();
                joined(parts, Tree::All)
            }
            Tree::Any(parts) => {
                let parts: Option<Vec<After>> =
                    parts.iter().map(|it| self.after(job, it)).collect();
                joined(parts?, Tree::Any)
            }
        }
    }
}

/// Joins what is left: one alone stands for itself.
fn joined(mut parts: Vec<After>, join: fn(Vec<After>) -> After) -> Option<After> {
    match parts.len() {
        0 | 1 => parts.pop(),
        _ => Some(join(parts)),
    }
}

/// Speaks for somebody; that they might was found out on the real farm.
fn somebody(name: &UserName) -> Principal {
    Principal {
        name: name.clone(),
        proof: Proof::Peer { uid: SOMEBODY },
        is_admin: true,
    }
}

fn lock_order(lock: &Lock) -> LockOrder {
    LockOrder {
        slots: lock.slots.clone(),
        until: lock.until,
        note: lock.note.clone(),
        ..LockOrder::default()
    }
}

impl World {
    /// Answers the jobs that were played, with their kinds, and what became of them.
    pub(crate) fn kept_jobs(&self) -> impl Iterator<Item = (&KeptJob, usize, Option<&Job>)> {
        let engine = self.driven.as_ref().map(|driven| driven.engine());
        self.stage.plan.jobs.iter().filter_map(move |plan| {
            let kept = plan.kept.as_deref()?;
            let id = self.played.ids.get(&kept.id);
            let now = engine.zip(id).and_then(|(engine, id)| engine.job(*id));
            Some((kept, plan.class, now))
        })
    }

    /// Counts what people said, that of it for which there was nothing to do, and what counted as done because it is not here.
    pub(crate) fn words_said(&self) -> (u64, u64, u64) {
        let farm = self.stage.plan.kept.as_ref();
        let words = farm.map_or(0, |farm| farm.words.len() as u64);
        (words, self.played.void_words, self.played.met_waits)
    }

    /// Counts the hosts.
    pub(crate) fn hosts(&self) -> usize {
        self.hosts.len()
    }

    /// Answers the slot time that was offered and worked until the last frame ended, and how long that took, in milliseconds.
    pub(crate) fn played_ms(&self) -> (u64, u64, u64) {
        let [offered, _, working] = self.played.slot_ms;
        let played = self.stage.last_end_ms.saturating_sub(HOSTS_AT_MS);
        (offered, working, played)
    }

    /// Says whether nothing more comes of it: all has been said, and every job is over or nothing has run for long.
    pub(super) fn is_played_out(&mut self, at_ms: u64) -> bool {
        let quiet_from = self.stage.last_end_ms.max(self.last_coming_ms);
        if at_ms > self.last_coming_ms.max(HOSTS_AT_MS) + VIRTUAL_MAX_MS {
            return true;
        }
        if self.coming > 0 || !self.asked.is_empty() {
            return false;
        }
        let is_idle = self.stage.begun == self.ended();
        if is_idle && at_ms > quiet_from.max(HOSTS_AT_MS) + STALL_MS {
            return true;
        }
        if self.stage.now_ms < self.count_at_ms {
            return false;
        }
        self.count_at_ms = self.stage.now_ms + COUNT_EVERY_MS;
        let mut jobs = self.driven.iter().flat_map(|driven| driven.engine().jobs());
        jobs.all(|job| job.ended.is_some())
    }

    /// The connection of a host ends, as it did; what runs there goes on.
    pub(super) fn away(&mut self, index: u32) {
        let Some(host) = self.hosts.get(index as usize) else {
            return;
        };
        if let (Some(session), Some(driven)) = (host.session, &mut self.driven) {
            driven.hang_up(host.id(), session);
            self.with(index, |host, stage| host.set_lost(stage, true));
        }
    }

    /// A host comes, or comes again.
    pub(super) fn back(&mut self, index: u32) -> Result<(), BenchError> {
        self.with(index, |host, stage| host.set_lost(stage, false));
        self.connect(index)
    }

    /// Says what somebody said on the real farm.
    pub(super) fn word(&mut self, number: usize) {
        self.coming = self.coming.saturating_sub(1);
        let farm = self.stage.plan.kept.clone();
        let farm = farm.as_ref();
        let word = farm.and_then(|farm| farm.words.get(number));
        let (Some(word), Some(anybody)) = (word, farm.and_then(|farm| farm.users.first())) else {
            return;
        };
        let host = |index: &u32| self.hosts.get(*index as usize).map(super::Host::id);
        let by = somebody(word.by.as_ref().unwrap_or(anybody));
        let wish = |index: &u32, wish: LockWish| {
            let wish = Box::new(wish);
            let host = host(index)?;
            let by = by.clone();
            Some(Input::LockWish { by, host, wish })
        };
        let input = match &word.what {
            What::Act(action, job) => self.played.ids.get(job).map(|job| Input::Act {
                by: by.clone(),
                action: *action,
                targets: vec![Target::Job(*job)],
            }),
            What::Lock(index, lock) => wish(index, LockWish::Lock(lock_order(lock))),
            What::Unlock(index) => wish(index, LockWish::Unlock(SlotSet::all())),
            What::Calendar(index, calendar) => {
                wish(index, LockWish::Calendar(Some(calendar.clone())))
            }
        };
        match (input, &mut self.driven) {
            (Some(input), Some(driven)) => {
                driven.ask(input);
                self.asked.push_back(Asked::Word);
            }
            _ => self.played.void_words += 1,
        }
    }

    /// Notes what came of what somebody said.
    pub(super) fn said(&mut self, answer: &Result<Answer, Denied>) {
        let is_void = match answer {
            Ok(Answer::Acted(each)) => each.iter().all(|(_, acted)| acted.is_err()),
            Ok(Answer::Done | Answer::Submitted { .. }) => false,
            Err(_) => true,
        };
        self.played.void_words += u64::from(is_void);
        let jobs = self.driven.iter().flat_map(|driven| driven.engine().jobs());
        let killed = jobs.map(|job| u64::from(job.items().count(ItemStatus::Killed)));
        self.played.given_up = killed.sum();
    }
}
