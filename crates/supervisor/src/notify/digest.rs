//! Gathers what happened, so that one cause is told once in an interval however often it occurs. Pure: facts and the
//! time go in, summaries come out.
//!
//! A cause is a kind and whose jobs it is about. The first fact of a cause that was silent is told after `gather`, so
//! that what happens at once is told at once; what follows is gathered until `interval` after that.

use super::cause::{Fact, Kind};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Causes that are told apart at a time; what else happens is told by kind only.
pub(crate) const CAUSES_MAX: usize = 100;
/// The same of a channel that writes to owners: what is told by kind only there is told to nobody.
pub(crate) const OWNERS_CAUSES_MAX: usize = 4_000;
/// Addresses of one user's choice that are told at a time; what else happens goes to themselves.
pub(crate) const CHOSEN_ADDRESSES_MAX: usize = 5;
/// Jobs and hosts that a summary names; the rest is counted.
pub(crate) const SUBJECTS_MAX: usize = 10;

/// What one summary is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Cause {
    /// What.
    pub(crate) kind: Kind,
    /// Whose jobs; nobody's for hosts and the farm, and when too many causes are gathered.
    pub(crate) user: Option<String>,
    /// The address that they chose for it, in small letters (else each way to write it were one more); their own when they chose none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) to: Option<String>,
}

/// A job, a host or the farm in a summary, with the first example.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Subject {
    /// Which job.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) job: Option<u64>,
    /// Its name.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) name: String,
    /// The host of the first example.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) host: Option<String>,
    /// The frame of the first example.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) frame: Option<String>,
    /// Why, of the first example.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) text: String,
    /// How often.
    pub(crate) count: u64,
}

/// What is told of a cause.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Summary {
    /// Of what.
    #[serde(flatten)]
    pub(crate) cause: Cause,
    /// How often it happened.
    pub(crate) count: u64,
    /// When first, in milliseconds since 1970.
    pub(crate) first_ms: i64,
    /// When last.
    pub(crate) last_ms: i64,
    /// The first few that it is about.
    pub(crate) about: Vec<Subject>,
    /// How often it happened to others than those.
    pub(crate) others: u64,
}

impl Summary {
    /// Begins one.
    pub(crate) fn new(cause: Cause, at_ms: i64) -> Self {
        Self {
            cause,
            count: 0,
            first_ms: at_ms,
            last_ms: at_ms,
            about: Vec::new(),
            others: 0,
        }
    }

    /// Adds what happened of the same cause since.
    fn add_all(&mut self, newer: Self) {
        self.count = self.count.saturating_add(newer.count);
        self.first_ms = self.first_ms.min(newer.first_ms);
        self.last_ms = self.last_ms.max(newer.last_ms);
        self.others = self.others.saturating_add(newer.others);
        for subject in newer.about {
            let is_same = |it: &&mut Subject| {
                it.job == subject.job && (it.job.is_some() || it.host == subject.host)
            };
            if let Some(known) = self.about.iter_mut().find(is_same) {
                known.count = known.count.saturating_add(subject.count);
            } else if self.about.len() < SUBJECTS_MAX {
                self.about.push(subject);
            } else {
                self.others = self.others.saturating_add(subject.count);
            }
        }
    }

    /// Adds a fact.
    pub(crate) fn add(&mut self, fact: Fact) {
        self.count = self.count.saturating_add(1);
        self.first_ms = self.first_ms.min(fact.at_ms);
        self.last_ms = self.last_ms.max(fact.at_ms);
        let is_known = |subject: &&mut Subject| match fact.job {
            Some(_) => subject.job == fact.job,
            None => subject.host == fact.host,
        };
        if let Some(subject) = self.about.iter_mut().find(is_known) {
            subject.count = subject.count.saturating_add(1);
        } else if self.about.len() < SUBJECTS_MAX {
            self.about.push(Subject {
                job: fact.job,
                name: fact.name,
                host: fact.host,
                frame: fact.frame,
                text: fact.text,
                count: 1,
            });
        } else {
            self.others = self.others.saturating_add(1);
        }
    }
}

/// How long is waited, and for how many causes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pace {
    /// From the first fact of a silent cause to its summary.
    pub(crate) gather: Duration,
    /// From one summary of a cause to the next, at least.
    pub(crate) interval: Duration,
    /// Causes that are told apart at a time.
    pub(crate) causes_max: usize,
}

/// A cause that was told or will be.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Slot {
    /// Not told again before.
    quiet_until: Duration,
    pending: Option<(Duration, Summary)>,
}

/// What is gathered. Times are elapsed ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Digest {
    pace: Pace,
    slots: BTreeMap<Cause, Slot>,
}

/// A cause as it is kept over a restart: times are what was left of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Kept {
    cause: Cause,
    quiet_ms: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    due_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    summary: Option<Summary>,
}

impl Digest {
    /// Gathers at this pace.
    pub(crate) fn new(pace: Pace) -> Self {
        Self {
            pace,
            slots: BTreeMap::new(),
        }
    }

    /// Takes up what was kept. What waited longer than the pace allows now waits no longer than that.
    pub(crate) fn restore(pace: Pace, kept: Vec<Kept>, now: Duration) -> Self {
        let after = |ms: u64, most: Duration| now + Duration::from_millis(ms).min(most);
        let mut digest = Self::new(pace);
        for it in kept
            .into_iter()
            .take(pace.causes_max + Kind::CHOICES.len() + 2)
        {
            let due = after(it.due_ms.unwrap_or(0), pace.interval.max(pace.gather));
            let slot = Slot {
                quiet_until: after(it.quiet_ms, pace.interval),
                pending: it.summary.map(|summary| (due, summary)),
            };
            digest.slots.insert(it.cause, slot);
        }
        digest
    }

    /// Gathers at another pace from now on; what waits longer than it allows waits no longer than that.
    pub(crate) fn change_pace(&mut self, pace: Pace, now: Duration) {
        *self = Self::restore(pace, self.kept(now), now);
    }

    /// Answers what to keep.
    pub(crate) fn kept(&self, now: Duration) -> Vec<Kept> {
        let left =
            |at: Duration| u64::try_from(at.saturating_sub(now).as_millis()).unwrap_or(u64::MAX);
        let kept = |(cause, slot): (&Cause, &Slot)| Kept {
            cause: cause.clone(),
            quiet_ms: left(slot.quiet_until),
            due_ms: slot.pending.as_ref().map(|(due, _)| left(*due)),
            summary: slot.pending.as_ref().map(|(_, summary)| summary.clone()),
        };
        self.slots.iter().map(kept).collect()
    }

    /// Takes a fact.
    pub(crate) fn take(&mut self, fact: Fact, now: Duration) {
        let cause = self.place(Cause {
            kind: fact.kind,
            user: fact.user.clone().filter(|_| fact.kind.is_of_a_job()),
            to: fact.to.as_ref().map(|it| it.to_ascii_lowercase()),
        });
        let pace = self.pace;
        let slot = self.slot(&cause);
        let due = (now + pace.gather).max(slot.quiet_until);
        let (_, summary) = slot
            .pending
            .get_or_insert_with(|| (due, Summary::new(cause, fact.at_ms)));
        summary.add(fact);
    }

    /// Takes back a summary that was not told: it is told an interval from now, with what follows of its cause.
    pub(crate) fn take_back(&mut self, mut summary: Summary, now: Duration) {
        summary.cause = self.place(summary.cause);
        let due = now + self.pace.interval;
        let slot = self.slot(&summary.cause);
        if let Some((_, newer)) = slot.pending.take() {
            summary.add_all(newer);
        }
        slot.pending = Some((due, summary));
    }

    /// Answers the cause that it is gathered under, when too many are told apart already.
    fn place(&self, mut cause: Cause) -> Cause {
        if let Some(to) = cause
            .to
            .as_ref()
            .filter(|_| !self.slots.contains_key(&cause))
        {
            let theirs = self.slots.keys().filter(|it| it.user == cause.user);
            let chosen: BTreeSet<&String> = theirs.filter_map(|it| it.to.as_ref()).collect();
            if chosen.len() >= CHOSEN_ADDRESSES_MAX && !chosen.contains(to) {
                cause.to = None;
            }
        }
        if self.slots.len() >= self.pace.causes_max && !self.slots.contains_key(&cause) {
            (cause.user, cause.to) = (None, None);
        }
        cause
    }

    fn slot(&mut self, cause: &Cause) -> &mut Slot {
        self.slots.entry(cause.clone()).or_insert(Slot {
            quiet_until: Duration::ZERO,
            pending: None,
        })
    }

    /// Takes out at most `most` summaries that are due; forgets causes that were silent for an interval.
    pub(crate) fn due(&mut self, now: Duration, most: usize) -> Vec<Summary> {
        let is_due = |slot: &&mut Slot| slot.pending.as_ref().is_some_and(|(due, _)| *due <= now);
        let mut slots: Vec<&mut Slot> = self.slots.values_mut().filter(is_due).collect();
        // What waits for longest first: no kind is put off by others that come again and again.
        slots.sort_by_key(|slot| slot.pending.as_ref().map(|(due, _)| *due));
        let mut told = Vec::new();
        for slot in slots.into_iter().take(most) {
            if let Some((_, summary)) = slot.pending.take() {
                slot.quiet_until = now + self.pace.interval;
                told.push(summary);
            }
        }
        self.slots
            .retain(|_, slot| slot.pending.is_some() || slot.quiet_until > now);
        told
    }

    /// Answers when the next summary is due.
    pub(crate) fn next_due(&self) -> Option<Duration> {
        let pending = self.slots.values().filter_map(|slot| slot.pending.as_ref());
        pending.map(|(due, _)| *due).min()
    }

    /// Answers how many summaries are being gathered.
    pub(crate) fn gathering(&self) -> usize {
        let slots = self.slots.values();
        slots.filter(|slot| slot.pending.is_some()).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACE: Pace = Pace {
        gather: Duration::from_secs(5),
        interval: Duration::from_secs(600),
        causes_max: CAUSES_MAX,
    };

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn fact(kind: Kind, user: &str, job: u64) -> Fact {
        Fact {
            user: Some(user.into()),
            job: Some(job),
            name: format!("job {job}"),
            text: "exit 3".into(),
            ..Fact::of_farm(kind, 1_000 + i64::try_from(job).unwrap_or(0), String::new())
        }
    }

    fn lost(host: &str) -> Fact {
        Fact {
            host: Some(host.into()),
            ..Fact::of_farm(Kind::HostLost, 1, "was away".into())
        }
    }

    #[test]
    fn what_waits_for_longest_is_told_first() {
        let mut digest = Digest::new(PACE);
        digest.take(lost("render1"), at(1));
        for user in ["mia", "bob"] {
            digest.take(fact(Kind::Done, user, 1), at(2));
        }
        let first = digest.due(at(60), 1);
        assert_eq!(first[0].cause.kind, Kind::HostLost);
    }

    #[test]
    fn ten_thousand_failed_frames_are_one_summary() {
        let mut digest = Digest::new(PACE);
        for n in 0..10_000 {
            let frame = Some(n.to_string());
            let fact = Fact {
                frame,
                ..fact(Kind::FrameFailed, "mia", 7)
            };
            digest.take(fact, at(1));
        }
        assert_eq!(digest.due(at(5), 99), []);
        let told = digest.due(at(6), 99);
        assert_eq!((told.len(), told[0].count, told[0].others), (1, 10_000, 0));
        assert_eq!(told[0].about[0].count, 10_000);
        assert_eq!(told[0].about[0].frame.as_deref(), Some("0"));
        assert_eq!(digest.next_due(), None);
    }

    #[test]
    fn five_hundred_lost_hosts_are_one_summary_that_names_a_few() {
        let mut digest = Digest::new(PACE);
        (0..500).for_each(|n| digest.take(lost(&format!("rnd{n:03}")), at(0)));
        let told = digest.due(at(5), 99);
        assert_eq!((told.len(), told[0].count, told[0].others), (1, 500, 490));
        assert_eq!(told[0].about.len(), SUBJECTS_MAX);
        assert_eq!(told[0].about[9].host.as_deref(), Some("rnd009"));
    }

    #[test]
    fn a_cause_is_told_once_in_an_interval() {
        let mut digest = Digest::new(PACE);
        let mut told = Vec::new();
        // One failure each second for an hour.
        for second in 0..3_600 {
            digest.take(fact(Kind::Failed, "mia", second), at(second));
            told.extend(
                digest
                    .due(at(second), 99)
                    .into_iter()
                    .map(|it| (second, it.count)),
            );
        }
        assert_eq!(
            told,
            [
                (5, 6),
                (605, 600),
                (1205, 600),
                (1805, 600),
                (2405, 600),
                (3005, 600)
            ]
        );
    }

    #[test]
    fn causes_do_not_wait_for_each_other() {
        let mut digest = Digest::new(PACE);
        digest.take(fact(Kind::Failed, "mia", 1), at(0));
        assert_eq!(digest.due(at(5), 99).len(), 1);
        digest.take(fact(Kind::Failed, "mia", 2), at(6));
        digest.take(fact(Kind::Failed, "tom", 3), at(6));
        digest.take(fact(Kind::Done, "mia", 4), at(6));
        let told: Vec<_> = digest
            .due(at(11), 99)
            .into_iter()
            .map(|it| it.cause)
            .collect();
        let cause = |kind, user: &str| Cause {
            kind,
            user: Some(user.into()),
            to: None,
        };
        assert_eq!(told, [cause(Kind::Done, "mia"), cause(Kind::Failed, "tom")]);
        assert_eq!(digest.next_due(), Some(at(605)));
    }

    #[test]
    fn a_silent_cause_is_told_soon_again() {
        let mut digest = Digest::new(PACE);
        digest.take(fact(Kind::Failed, "mia", 1), at(0));
        assert_eq!(digest.due(at(5), 99).len(), 1);
        digest.due(at(605), 99);
        assert_eq!(digest, Digest::new(PACE), "forgotten");
        digest.take(fact(Kind::Failed, "mia", 2), at(700));
        assert_eq!(digest.next_due(), Some(at(705)));
    }

    #[test]
    fn what_is_taken_back_is_told_with_what_follows() {
        let mut digest = Digest::new(PACE);
        (0..8).for_each(|job| digest.take(fact(Kind::Failed, "mia", job), at(0)));
        let told = digest.due(at(5), 99).remove(0);
        (5..15).for_each(|job| digest.take(fact(Kind::Failed, "mia", job), at(6)));
        digest.take_back(told, at(7));
        assert_eq!((digest.gathering(), digest.due(at(606), 99).len()), (1, 0));
        let told = digest.due(at(607), 99).remove(0);
        let jobs: Vec<_> = told.about.iter().map(|it| (it.job, it.count)).collect();
        assert_eq!(jobs[4..7], [(Some(4), 1), (Some(5), 2), (Some(6), 2)]);
        assert_eq!((told.count, told.others, jobs.len()), (18, 5, SUBJECTS_MAX));
        assert_eq!((told.first_ms, told.last_ms), (1_000, 1_014));
        assert_eq!(digest.gathering(), 0);
    }

    #[test]
    fn nobody_chooses_ever_more_addresses() {
        let pace = Pace {
            causes_max: OWNERS_CAUSES_MAX,
            ..PACE
        };
        let mut digest = Digest::new(pace);
        for n in 0..1_000 {
            let to = Some(format!("u{n}@studio.example"));
            digest.take(
                Fact {
                    to,
                    ..fact(Kind::Failed, "mia", n)
                },
                at(0),
            );
        }
        digest.take(fact(Kind::Failed, "tom", 1), at(0));
        let told = digest.due(at(5), usize::MAX);
        assert_eq!(told.len(), CHOSEN_ADDRESSES_MAX + 2);
        let own: Vec<_> = told.iter().filter(|it| it.cause.to.is_none()).collect();
        let of = |user: &str| own.iter().find(|it| it.cause.user.as_deref() == Some(user));
        assert_eq!(
            of("mia").map(|it| it.count),
            Some(1_000 - CHOSEN_ADDRESSES_MAX as u64)
        );
        assert_eq!(of("tom").map(|it| it.count), Some(1));
    }

    #[test]
    fn an_address_is_one_however_it_is_written() {
        let mut digest = Digest::new(PACE);
        for to in ["boss@x.org", "Boss@x.org", "bOSS@X.org"] {
            for kind in [Kind::Done, Kind::Failed] {
                let to = Some(to.to_owned());
                digest.take(
                    Fact {
                        to,
                        ..fact(kind, "mia", 1)
                    },
                    at(0),
                );
            }
        }
        let told = digest.due(at(5), 99);
        let told: Vec<_> = told
            .iter()
            .map(|it| (it.cause.to.as_deref(), it.count))
            .collect();
        assert_eq!(told, [(Some("boss@x.org"), 3); 2]);
    }

    #[test]
    fn each_of_many_owners_is_told() {
        let pace = Pace {
            causes_max: OWNERS_CAUSES_MAX,
            ..PACE
        };
        let mut digest = Digest::new(pace);
        for n in 0..2_000 {
            digest.take(fact(Kind::Failed, &format!("u{n:04}"), n), at(0));
        }
        let mut digest = Digest::restore(pace, digest.kept(at(1)), at(1));
        let told = digest.due(at(9), usize::MAX);
        assert_eq!(told.len(), 2_000);
        assert!(told.iter().all(|it| it.cause.user.is_some()));
    }

    #[test]
    fn beyond_the_bound_causes_are_told_together() {
        let mut digest = Digest::new(PACE);
        for n in 0..5_000 {
            digest.take(fact(Kind::Failed, &format!("u{n:04}"), n), at(0));
            digest.take(fact(Kind::Done, &format!("u{n:04}"), n), at(0));
        }
        let told = digest.due(at(5), usize::MAX);
        assert_eq!(told.len(), CAUSES_MAX + 2);
        assert_eq!(told.iter().map(|it| it.count).sum::<u64>(), 10_000);
        let nobodys: Vec<_> = told.iter().filter(|it| it.cause.user.is_none()).collect();
        assert_eq!(nobodys.len(), 2);
        assert!(nobodys.iter().all(|it| it.others > 4_000));
    }

    #[test]
    fn no_more_is_taken_out_than_asked_for_and_nothing_lost() {
        let mut digest = Digest::new(PACE);
        (0..7).for_each(|n| digest.take(fact(Kind::Failed, &format!("u{n}"), n), at(0)));
        let mut counts = Vec::new();
        while digest.gathering() > 0 {
            counts.push(digest.due(at(5), 3).len());
        }
        assert_eq!(counts, [3, 3, 1]);
    }

    #[test]
    fn a_restart_neither_forgets_nor_repeats() {
        let mut digest = Digest::new(PACE);
        digest.take(fact(Kind::Failed, "mia", 1), at(0));
        assert_eq!(digest.due(at(5), 99).len(), 1);
        digest.take(fact(Kind::Failed, "mia", 2), at(6));
        digest.take(lost("rnd001"), at(7));
        let kept = serde_json::to_string(&digest.kept(at(10))).expect("JSON");
        let kept = serde_json::from_str(&kept).expect("as it was written");
        // The elapsed time begins anew.
        let mut digest = Digest::restore(PACE, kept, at(0));
        assert_eq!(digest.next_due(), Some(at(2)));
        let hosts = digest.due(at(2), 99);
        assert_eq!((hosts.len(), hosts[0].cause.kind), (1, Kind::HostLost));
        assert_eq!(digest.next_due(), Some(at(595)));
        let jobs = digest.due(at(595), 99);
        assert_eq!((jobs.len(), jobs[0].about[0].job), (1, Some(2)));
    }

    #[test]
    fn a_shorter_interval_holds_at_once() {
        let mut digest = Digest::new(PACE);
        digest.take(fact(Kind::Failed, "mia", 1), at(0));
        digest.due(at(5), 99);
        digest.take(fact(Kind::Failed, "mia", 2), at(6));
        let pace = Pace {
            interval: at(10),
            ..PACE
        };
        let digest = Digest::restore(pace, digest.kept(at(6)), at(0));
        assert_eq!(digest.next_due(), Some(at(10)));
    }
}
