//! Which host is emptied for whom, in words.

use super::super::plan::Emptied;
use super::super::why::{Kind, Reason, quantity};
use super::super::{Engine, Host, Job};
use std::time::Duration;
use tessera_model::reservation::PROCESSORS;
use tessera_model::{HostId, JobId, Timestamp};

const MINUTE_MS: i64 = 60_000;
const HOUR_MINUTES: i64 = 60;
const DAY_MINUTES: i64 = 24 * HOUR_MINUTES;

/// For whom a host is being emptied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EmptiedFor {
    /// The first job that waits for it.
    pub job: JobId,
    /// When it is expected to be empty enough.
    pub until: Timestamp,
    /// Whether that is known of all that must end before, or guessed.
    pub is_known: bool,
}

impl EmptiedFor {
    /// Prints when that will be: `until about 14:20 UTC`.
    fn when(&self, now: Timestamp) -> String {
        let minutes = self.until.0.div_euclid(MINUTE_MS).rem_euclid(DAY_MINUTES);
        let (hour, minute) = (minutes / HOUR_MINUTES, minutes % HOUR_MINUTES);
        let ahead = self.until.0.saturating_sub(now.0);
        let day = match ahead / (DAY_MINUTES * MINUTE_MS) {
            0 => String::new(),
            1 => ", in a day".to_owned(),
            days => format!(", in {days} days"),
        };
        let at = format!("{hour:02}:{minute:02} UTC{day}");
        match (ahead <= 0, self.is_known) {
            (true, _) => format!("as soon as what runs there is over (expected at {at})"),
            (false, true) => format!("until about {at}"),
            (false, false) => format!("until about {at} (a guess)"),
        }
    }
}

impl Engine {
    /// Answers for whom a host is being emptied.
    #[must_use]
    pub fn emptied_for(&self, host: HostId) -> Option<EmptiedFor> {
        let emptied = self.planner.kept_on(host)?;
        let first = self.planner.first_of(emptied.class, 1).next();
        let ms = |time: Duration| i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
        let (at, now) = (emptied.until.at, self.now);
        let ahead = ms(at).saturating_sub(ms(now.elapsed));
        Some(EmptiedFor {
            job: first.unwrap_or(emptied.job),
            until: now.wall.plus_ms(ahead),
            is_known: emptied.until.is_known,
        })
    }

    /// Tells of what a class asks for how much is free on a host: `3 of 8 slots free`.
    fn room_for(&self, class: usize, host: &Host) -> String {
        let demands = self.planner.demands(class);
        let slots = (PROCESSORS, u64::from(demands.slots));
        let amounts = demands.amounts.iter();
        let amounts = amounts.map(|(name, amount)| (name.as_str(), *amount));
        let mut all = std::iter::once(slots).chain(amounts);
        let short = all.find(|(name, asked)| host.free_of_any(name) < *asked);
        let (name, _) = short.unwrap_or(slots);
        let (free, total) = (host.free_of_any(name), host.total_of_any(name));
        match name {
            PROCESSORS => format!("{free} of {total} slots free"),
            _ => {
                let (free, total) = (quantity(name, free), quantity(name, total));
                format!("{free} of {total} of {name} free")
            }
        }
    }

    /// Tells for its history that a host is being emptied.
    pub(super) fn emptied_text(&self, id: HostId, emptied: Emptied) -> Option<String> {
        let (host, kept) = (self.hosts.get(&id)?, self.emptied_for(id)?);
        let (name, job) = (&host.facts.name, kept.job);
        let (room, when) = (self.room_for(emptied.class, host), kept.when(self.now.wall));
        Some(format!("{name} is reserved for job {job} {when}: {room}"))
    }

    /// Answers which hosts are being emptied for a class of a job.
    pub(in super::super) fn why_emptied(&self, job: &Job, class: usize, reasons: &mut Vec<Reason>) {
        let kept = self.planner.kept().filter(|(_, it)| it.class == class);
        for (id, emptied) in kept {
            let (Some(host), Some(kept)) = (self.hosts.get(&id), self.emptied_for(id)) else {
                continue;
            };
            let name = host.facts.name.clone();
            let (room, when) = (self.room_for(emptied.class, host), kept.when(self.now.wall));
            let whom = if kept.job == job.id {
                "it".to_owned()
            } else {
                format!("job {}, which is before it", kept.job)
            };
            reasons.push(Reason {
                kind: Kind::Emptied,
                count: 1,
                hosts: vec![name.clone()],
                text: format!("{name} is being emptied for {whom}: {room}, {when}"),
                hint: None,
            });
        }
    }

    /// Answers that a host which would take a job in its turn is emptied for another one first.
    pub(in super::super) fn why_reserved(
        &self,
        job: &Job,
        class: usize,
        host: &Host,
    ) -> Option<(Kind, String, Option<String>)> {
        let keeping = self.planner.keeping(host.id, &host.traits)?;
        let stand = self.empties().stand(job, &host.traits);
        if keeping.lets_in(class, stand) {
            return None;
        }
        let kept = self.emptied_for(host.id)?;
        let (name, when) = (&host.facts.name, kept.when(self.now.wall));
        let text = format!("{name} is reserved for job {} {when}", kept.job);
        let hint = match super::took::expected(job) {
            None => {
                let id = job.id;
                format!(
                    "what is over by then may start there: tessera modify {id} --agendatimelimit … says how long its items take at most"
                )
            }
            Some(_) => "it starts there when that job has what it needs, or elsewhere".to_owned(),
        };
        Some((Kind::ReservedForJob, text, Some(hint)))
    }

    /// Answers that a host takes only what stands before a wide job or is over in time.
    pub(in super::super) fn why_host_reserved(&self, id: HostId) -> Option<(Kind, String)> {
        let emptied = self.planner.kept_on(id)?;
        let text = self.emptied_text(id, emptied)?;
        Some((Kind::ReservedForJob, text))
    }
}
