//! What people said while the farm ran, from the journal: what can be said again is, the rest is counted.

use super::hosts::Seen;
use super::{KeptJob, LeftOut, REPLAY_WORDS_MAX, ReplayError, Span, What, Word};
use std::collections::{BTreeMap, BTreeSet};
use tessera_engine::supervisor::kind;
use tessera_model::{Action, HostId, JobId, Lock, SlotSet, Timestamp, UserName};
use tessera_store::sqlite::Look;
use tessera_store::{HistoryRow, JournalRow, READ_LIMIT_MAX};

/// Lines of the journal that a replay needs.
const KINDS: [&str; 12] = [
    kind::JOB_ACTION,
    kind::JOB_MODIFIED,
    kind::JOB_REMOVED,
    kind::HOST_UP,
    kind::HOST_AWAY,
    kind::HOST_DOWN,
    kind::HOST_PANIC,
    kind::HOST_LOCKED,
    kind::HOST_UNLOCKED,
    kind::HOST_REMOVED,
    kind::FARM_MODE,
    kind::RESOURCE_SET,
];

/// Reads the lines that a replay needs, in their order.
pub(super) fn lines(look: &Look) -> Result<Vec<HistoryRow>, ReplayError> {
    let mut all: Vec<HistoryRow> = Vec::new();
    loop {
        let after = all.last().map_or(0, |line| line.seq);
        let page = look.journal(&KINDS, after, READ_LIMIT_MAX)?;
        if page.is_empty() {
            return Ok(all);
        }
        all.extend(page);
        if all.len() > REPLAY_WORDS_MAX {
            return Err(ReplayError::TooMuch {
                what: "lines of the journal about hosts and people",
                count: all.len() as u64,
                most: REPLAY_WORDS_MAX as u64,
            });
        }
    }
}

/// What of a line is about a whole job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum OfJob {
    Whole(Action),
    Part,
}

/// Reads the sentence of an action: `kill job 12: 5 items, 1 instances`, `moved to the top of priority 50`.
fn action_of(text: &str, job: u64) -> Option<OfJob> {
    let (action, what) = match text.strip_prefix("moved to the ") {
        Some(rest) => (rest.split(' ').next()?, OfJob::Whole as fn(Action) -> OfJob),
        None => {
            let (word, rest) = text.split_once(' ')?;
            let of: fn(Action) -> OfJob = match rest.strip_prefix(&format!("job {job}:")) {
                Some(_) => OfJob::Whole,
                None => |_| OfJob::Part,
            };
            (word, of)
        }
    };
    let known = Action::ALL.into_iter().find(|it| it.word() == action)?;
    Some(what(known))
}

/// Says whether the made-up processes can do it: they are never suspended.
fn can_be_played(action: Action) -> bool {
    !matches!(
        action,
        Action::Suspend | Action::Resume | Action::Remove | Action::Modify
    )
}

/// Answers the jobs that began blocked: somebody let them go who had not been stopped, or they are blocked and nobody stopped them.
pub(super) fn begun_blocked(
    lines: &[HistoryRow],
    blocked_now: &BTreeSet<JobId>,
) -> BTreeSet<JobId> {
    let mut first: BTreeMap<JobId, Action> = BTreeMap::new();
    for HistoryRow { row, .. } in lines {
        let (Some(job), kind::JOB_ACTION) = (row.job, row.kind.as_str()) else {
            continue;
        };
        if let Some(OfJob::Whole(action @ (Action::Block | Action::Unblock | Action::Requeue))) =
            action_of(&row.text, job)
        {
            first.entry(JobId(job)).or_insert(action);
        }
    }
    let let_go = first.iter().filter(|(_, it)| **it == Action::Unblock);
    let mut begun: BTreeSet<JobId> = let_go.map(|(job, _)| *job).collect();
    begun.extend(blocked_now.iter().filter(|job| !first.contains_key(job)));
    begun
}

/// What a line says of the lock of a host.
#[derive(Debug, PartialEq, Eq)]
enum OfLock {
    /// All of it, by somebody.
    Locked,
    Unlocked,
    /// It follows by itself from what is replayed.
    Follows,
    Other,
}

fn lock_of(row: &JournalRow, name: &str) -> OfLock {
    let Some(rest) = row.text.strip_prefix(name) else {
        return OfLock::Other;
    };
    if rest.starts_with(": by its calendar ") || rest == " is unlocked by its calendar" {
        return OfLock::Follows;
    }
    if row.kind == kind::HOST_UNLOCKED {
        return match rest {
            " is unlocked" | " is unlocked: the time of its lock is over" => OfLock::Unlocked,
            _ => OfLock::Other,
        };
    }
    let whole = rest.strip_prefix(" is locked").unwrap_or(" each week");
    let is_other = whole.starts_with(" each week") || whole.starts_with(" while somebody");
    match is_other {
        true => OfLock::Other,
        false => OfLock::Locked,
    }
}

/// Answers what is said again, in its order.
pub(super) fn words(
    hosts: &[Seen],
    lines: &[HistoryRow],
    span: Span,
    jobs: &[KeptJob],
    left_out: &mut LeftOut,
) -> Vec<Word> {
    let played: BTreeSet<JobId> = jobs.iter().map(|job| job.id).collect();
    let places: BTreeMap<HostId, u32> = (0..).zip(hosts).map(|(n, it)| (it.id, n)).collect();
    let mut words = before(hosts, lines, span);
    for HistoryRow { row, .. } in lines {
        if !span.has(row.at_ms) {
            continue;
        }
        let about = row.job.map(JobId);
        let is_played = about.is_some_and(|job| played.contains(&job));
        let word = |what: What| Word {
            at_ms: span.at(row.at_ms),
            by: speaker(row),
            what,
        };
        match (row.kind.as_str(), about) {
            (kind::JOB_ACTION, Some(job)) if is_played && row.actor.is_some() => {
                match action_of(&row.text, job.0) {
                    Some(OfJob::Whole(action)) if can_be_played(action) => {
                        words.push(word(What::Act(action, job)));
                    }
                    Some(OfJob::Part) => {
                        left_out.add("things done to single frames or instances", 1);
                    }
                    Some(OfJob::Whole(_)) => left_out.add("jobs suspended or resumed", 1),
                    None => left_out.add("things done to jobs that this program does not know", 1),
                }
            }
            (kind::JOB_MODIFIED, _) if is_played => left_out.add(
                "changes of jobs (they are as they were described in the end, from the beginning)",
                1,
            ),
            (kind::FARM_MODE, _) => left_out.add("modes of maintenance set or unset", 1),
            (kind::RESOURCE_SET, _) => left_out.add(
                "changes of the farm's own resources (they are as they were in the end)",
                1,
            ),
            (kind::HOST_REMOVED, _) => left_out.add("hosts that were removed", 1),
            (kind::HOST_LOCKED | kind::HOST_UNLOCKED, _) => {
                let place = row.host.and_then(|host| places.get(&HostId(host)));
                let host = place.and_then(|place| Some((*place, hosts.get(*place as usize)?)));
                let Some((place, host)) = host else {
                    continue;
                };
                // The lock that is there in the end is known with its slots and its time.
                let kept = host.lock.as_ref();
                let kept = kept.filter(|it| it.at.0 == row.at_ms && row.kind == kind::HOST_LOCKED);
                if let Some(lock) = kept {
                    words.push(word(What::Lock(place, lock.clone())));
                    continue;
                }
                match lock_of(row, host.name()) {
                    OfLock::Locked => words.push(word(What::Lock(place, whole_lock()))),
                    OfLock::Unlocked => {
                        words.push(word(What::Unlock(place)));
                        // To unlock all takes the calendar away; it was there in the end.
                        let calendar = host.calendar.clone();
                        words.extend(calendar.map(|it| word(What::Calendar(place, it))));
                    }
                    OfLock::Follows => {}
                    OfLock::Other => left_out.add(
                        "locks of some slots, weekly locks or locks while somebody is active, set or taken back",
                        1,
                    ),
                }
            }
            _ => {}
        }
    }
    words
}

/// Answers the locks that were there before the span, and the calendars, of which only those of the end are known.
fn before(hosts: &[Seen], lines: &[HistoryRow], span: Span) -> Vec<Word> {
    let mut words = Vec::new();
    for (place, host) in (0..).zip(hosts) {
        let word = |what: What| Word {
            at_ms: span.at(span.from_ms),
            by: None,
            what,
        };
        let calendar = host.calendar.clone();
        words.extend(calendar.map(|it| word(What::Calendar(place, it))));
        let told = lines.iter().map(|line| &line.row).filter(|row| {
            let is_of_it = row.host == Some(host.id.0) && row.at_ms < span.from_ms;
            is_of_it && matches!(row.kind.as_str(), kind::HOST_LOCKED | kind::HOST_UNLOCKED)
        });
        let told = told.map(|row| lock_of(row, host.name()));
        let mut last = told.filter(|it| matches!(it, OfLock::Locked | OfLock::Unlocked));
        let kept = host.lock.as_ref().filter(|it| it.at.0 < span.from_ms);
        match (last.next_back(), kept) {
            // The lock of the end has its slots and its time; it is older than the span.
            (_, Some(kept)) => words.push(word(What::Lock(place, kept.clone()))),
            (Some(OfLock::Locked), None) => words.push(word(What::Lock(place, whole_lock()))),
            _ => {}
        }
    }
    words
}

fn whole_lock() -> Lock {
    Lock {
        slots: SlotSet::all(),
        by: None,
        at: Timestamp(0),
        until: None,
        note: String::new(),
        drains: false,
    }
}

/// Answers who said it; of what nobody said it is the farm.
fn speaker(row: &JournalRow) -> Option<UserName> {
    row.actor.as_ref().and_then(|name| name.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_of_actions_are_read() {
        let whole = |action| Some(OfJob::Whole(action));
        let kill = action_of("kill job 12: 5 items, 1 instances", 12);
        assert_eq!(kill, whole(Action::Kill));
        let top = action_of("moved to the top of priority 50", 12);
        assert_eq!(top, whole(Action::Top));
        let bottom = action_of("moved to the bottom of the queue", 12);
        assert_eq!(bottom, whole(Action::Bottom));
        for part in [
            "kill item 12#3: 1 items, 0 instances",
            "retry 4 items of job 12: 4 items, 0 instances",
            "interrupt instance 12.0: 0 items, 1 instances",
        ] {
            assert_eq!(action_of(part, 12), Some(OfJob::Part), "{part}");
        }
        assert_eq!(action_of("stopped after 5 failures", 12), None);
    }

    fn row(kind: &str, text: &str) -> JournalRow {
        JournalRow {
            kind: kind.into(),
            text: text.into(),
            ..JournalRow::default()
        }
    }

    #[test]
    fn sentences_of_locks_are_read() {
        let locked = |text: &str| lock_of(&row(kind::HOST_LOCKED, text), "rnd1");
        let unlocked = |text: &str| lock_of(&row(kind::HOST_UNLOCKED, text), "rnd1");
        assert_eq!(locked("rnd1 is locked by anna: new disks"), OfLock::Locked);
        assert_eq!(locked("rnd1 is locked"), OfLock::Locked);
        for other in [
            "rnd1 is slots 1-3 are locked by anna",
            "rnd1 is locked each week: mo-fr 9:00-18:00",
            "rnd1 is locked while somebody is active there, until idle for 5 s",
            "somebody is locked by anna",
        ] {
            assert_eq!(locked(other), OfLock::Other, "{other}");
        }
        let week = locked("rnd1: by its calendar slots 1-4 are locked");
        assert_eq!(week, OfLock::Follows);
        assert_eq!(unlocked("rnd1 is unlocked"), OfLock::Unlocked);
        let over = unlocked("rnd1 is unlocked: the time of its lock is over");
        assert_eq!(over, OfLock::Unlocked);
        let part = unlocked("rnd1: slots 1-2 are unlocked");
        assert_eq!(part, OfLock::Other);
        assert_eq!(
            unlocked("rnd1 is unlocked by its calendar"),
            OfLock::Follows
        );
    }

    #[test]
    fn who_was_let_go_and_never_stopped_began_blocked() {
        let line = |job, text: &str| HistoryRow {
            seq: 1,
            row: JournalRow {
                job: Some(job),
                ..row(kind::JOB_ACTION, text)
            },
        };
        let lines = [
            line(1, "unblock job 1: 5 items, 1 instances"),
            line(2, "block job 2: 5 items, 1 instances"),
            line(2, "unblock job 2: 5 items, 1 instances"),
            line(3, "block job 3: 5 items, 1 instances"),
        ];
        let now = BTreeSet::from([JobId(3), JobId(4)]);
        let begun = begun_blocked(&lines, &now);
        assert_eq!(begun, BTreeSet::from([JobId(1), JobId(4)]));
    }
}
