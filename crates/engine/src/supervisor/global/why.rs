//! Why a job waits for one of the farm's own resources, and who has it.

use super::super::plan::Demands;
use super::super::why::{Kind, Reason};
use super::super::{Engine, Job};
use std::cmp::Reverse;
use std::collections::BTreeMap;
use tessera_model::{GlobalName, HostId, JobId, JobSpec};

/// Jobs that are named as having a resource, at most.
const HOLDERS_MAX: usize = 3;

/// How much each job has of a resource: amount and instances; most first.
pub type Holders = Vec<(JobId, u64, u32)>;

impl Engine {
    /// Answers which jobs have a resource.
    #[must_use]
    pub fn global_holders(&self, name: &GlobalName) -> Holders {
        let mut by_job: BTreeMap<JobId, Vec<(HostId, u64)>> = BTreeMap::new();
        for (host, key, amount) in self.globals.holders(name) {
            by_job.entry(key.job).or_default().push((host, amount));
        }
        let counted = by_job.into_iter().map(|(job, has)| {
            let instances = u32::try_from(has.len()).unwrap_or(u32::MAX);
            (job, super::sum_of(name, has.into_iter()), instances)
        });
        let mut all: Holders = counted.collect();
        all.sort_by_key(|(job, amount, _)| (Reverse(*amount), *job));
        all
    }

    /// Answers which of what a job reserves the farm does not have, with what was perhaps meant; nothing when it has all.
    #[must_use]
    pub fn unknown_globals(&self, spec: &JobSpec) -> Vec<(GlobalName, Option<GlobalName>)> {
        let wanted = spec.reservation.global.keys();
        let unknown = wanted.filter(|name| self.globals.total(name).is_none());
        unknown
            .map(|name| (name.clone(), self.meant_by(name)))
            .collect()
    }

    /// Answers the first of what a job reserves of which there is less than one instance wants, with how many there are.
    #[must_use]
    pub fn scarce_global(&self, spec: &JobSpec) -> Option<(GlobalName, u64, u64)> {
        let mut wanted = spec.reservation.global.iter();
        wanted.find_map(|(name, asked)| {
            let total = self.globals.total(name)?;
            (total < *asked).then(|| (name.clone(), total, *asked))
        })
    }

    /// Answers the resource of the farm whose name is nearest to one that it does not have: the same but for case, kind, or a letter.
    fn meant_by(&self, name: &GlobalName) -> Option<GlobalName> {
        let known = self.globals.names();
        let known = known
            .into_iter()
            .filter(|it| self.globals.total(it).is_some());
        let near = known.map(|it| (distance(it.as_str(), name.as_str()), it));
        near.filter(|(far, _)| *far <= NEAR)
            .min()
            .map(|(_, it)| it.clone())
    }

    /// Says why a class waits for the farm's own resources; whether it does.
    pub(in super::super) fn why_globals(
        &self,
        job: &Job,
        demands: &Demands,
        reasons: &mut Vec<Reason>,
    ) -> bool {
        let before = reasons.len();
        for (name, asked) in &demands.global {
            reasons.extend(self.why_global(job, name, *asked));
        }
        reasons.len() > before
    }

    fn why_global(&self, job: &Job, name: &GlobalName, asked: u64) -> Option<Reason> {
        let id = job.id;
        let Some(total) = self.globals.total(name) else {
            let meant = self.meant_by(name);
            let text = meant.as_ref().map_or_else(
                || format!("the farm has no {name}"),
                |meant| format!("the farm has no {name}; was {meant} meant?"),
            );
            let hint = match meant {
                Some(meant) => format!(
                    "tessera modify {id} --reservations {}",
                    renamed(job, name, &meant)
                ),
                None => format!(
                    "an administrator can say how many there are: tessera resource set {name} --total N"
                ),
            };
            return Some(Reason::plain(Kind::ResourceUnknown, 1, text, Some(hint)));
        };
        if total < asked {
            let text = format!("{name} is {total} in all; {asked} asked");
            let hint = format!(
                "tessera modify {id} --reservations … with {total} at most, or tessera resource set {name} --total {asked}"
            );
            return Some(Reason::plain(Kind::ResourceTooSmall, 1, text, Some(hint)));
        }
        let free = self.globals.free(name);
        if free >= asked {
            return None;
        }
        let holders = self.global_holders(name);
        let count = u32::try_from(holders.len()).unwrap_or(u32::MAX);
        let text = self.in_use(name, (total, free, asked), &holders);
        let hint = if name.is_per_host() {
            "it starts when one is given back, or where there is room on a host that has one"
        } else {
            "it starts when enough is given back"
        };
        let hint = hint.to_owned();
        Some(Reason::plain(Kind::ResourceInUse, count, text, Some(hint)))
    }

    /// Tells who has a resource: `license.nuke 10/10 held by job 12 (8), job 15 (2)`.
    fn in_use(
        &self,
        name: &GlobalName,
        (total, free, asked): (u64, u64, u64),
        holders: &Holders,
    ) -> String {
        let mut text = format!("{name} {}/{total}", total.saturating_sub(free));
        if asked > 1 {
            text.push_str(&format!(", {asked} asked,"));
        }
        let named = holders.iter().take(HOLDERS_MAX);
        let mut users: Vec<String> = named
            .map(|(job, amount, _)| format!("job {job} ({amount})"))
            .collect();
        let more = holders.len().saturating_sub(HOLDERS_MAX);
        if more > 0 {
            users.push(format!("{more} more jobs"));
        }
        let others = self.globals.others(name);
        if others > 0 {
            users.push(format!("others outside the farm ({others})"));
        }
        if users.is_empty() {
            text.push_str(" are the farm's");
        } else {
            text.push_str(&format!(" held by {}", users.join(", ")));
        }
        text
    }
}

/// How far from each other names may be for one to be meant by the other.
const NEAR: usize = 2;

/// Counts the letters that must be changed, added or taken away to make one text of the other; case is no difference.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<u8> = b.bytes().map(|it| it.to_ascii_lowercase()).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, left) in a.bytes().enumerate() {
        let left = left.to_ascii_lowercase();
        let mut corner = row[0];
        row[0] = i + 1;
        for (j, right) in b.iter().enumerate() {
            let changed = corner + usize::from(left != *right);
            corner = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(corner + 1);
        }
    }
    row[b.len()]
}

/// Prints what a job reserves beside its slots, with one name in place of another.
fn renamed(job: &Job, from: &GlobalName, to: &GlobalName) -> String {
    super::super::plan::asks::reserved(&job.spec).replace(&format!("{from}="), &format!("{to}="))
}

#[cfg(test)]
mod tests {
    use super::distance;

    #[test]
    fn names_are_near_by_letters() {
        assert_eq!(distance("license.nuke", "license.Nuke"), 0);
        assert_eq!(distance("license.nuke", "license.nuk"), 1);
        assert_eq!(distance("license.nuke", "license.nukee"), 1);
        assert_eq!(distance("license.nuke", "license.nuek"), 2);
        assert!(distance("license.nuke", "global.nuke") > 2);
        assert_eq!(distance("", "abc"), 3);
    }
}
