//! Why one host is given nothing of a job: the first reason that keeps it off, and what would change it.

use super::limits::why_full_of;
use super::{HostReason, Kind};
use crate::supervisor::plan::Demands;
use crate::supervisor::{Host, Job};
use std::collections::{BTreeMap, BTreeSet};
use tessera_model::host::Takes;
use tessera_model::reservation::{MEMORY, PROCESSORS};
use tessera_model::{HostState, Identity, JobId, JobSpec};

/// Answers the first reason that keeps a job off a host.
pub(super) fn why_host(
    job: &Job,
    host: &Host,
    demands: &Demands,
    jobs: &BTreeMap<JobId, Job>,
) -> HostReason {
    let name = &host.facts.name;
    if !job.spec.hosts.is_empty() && !job.spec.hosts.contains(name) {
        let hint = Some(format!("tessera modify {} --hosts …", job.id));
        return (
            Kind::NotAmongHosts,
            "not among the job's hosts".into(),
            hint,
        );
    }
    if job.spec.omithosts.contains(name) {
        return (
            Kind::Omitted,
            "omitted by the job (omithosts)".into(),
            Some(format!("tessera modify {} --omithosts …", job.id)),
        );
    }
    if let Some(reason) = why_groups(job, host).or_else(|| why_clusters(job, host)) {
        return reason;
    }
    let unmet = why_requirements(job, host, demands, jobs);
    if let Some((reason, true)) = unmet {
        return reason;
    }
    if let Some(short) = lacks(host, demands, |host, resource| host.total_of_any(resource)) {
        let (resource, has, asked) = (&short.resource, short.amount(), short.asked());
        let text = format!("{resource} of {name} is {has} in all; {asked} asked");
        let hint = format!(
            "tessera modify {} --reservations …, or a larger host",
            job.id
        );
        return (Kind::TooSmall, text, Some(hint));
    }
    if let Some(closed) = why_closed(host) {
        return closed;
    }
    if let Some(short) = lacks(host, demands, |host, resource| host.free_of_any(resource)) {
        let total = quantity(&short.resource, host.total_of_any(&short.resource));
        let (resource, has, asked) = (&short.resource, short.amount(), short.asked());
        let text = format!("{has} of {total} of {resource} free on {name}; {asked} asked");
        let hint = "it starts when enough is given back there".to_owned();
        return (Kind::Reserved, text, Some(hint));
    }
    if let Some((reason, _)) = unmet {
        return reason;
    }
    if let Some(reason) = why_full_of(job, host) {
        return reason;
    }
    if let Identity::Desktop(person) = &host.facts.identity
        && !host.facts.admits(job.owner.as_str())
    {
        let text = format!(
            "a desktop of {person}, who allows {} there",
            host.facts.allows
        );
        let hint = format!(
            "{person} can let {} in: tessera desktop allow {}",
            job.owner, job.owner
        );
        return (Kind::OtherDesktop, text, Some(hint));
    }
    let account = host.facts.identity.account_for(job.owner.as_str());
    if let Some((_, refusal)) = host.refusals().find(|(refused, _)| *refused == account) {
        return (
            Kind::AccountRefused,
            refusal.text.clone(),
            Some("it is tried again by itself".into()),
        );
    }
    if host.has_stray_of(job.id) {
        return (
            Kind::Ending,
            "an older run of this job is still being ended there".into(),
            None,
        );
    }
    if job.bars.iter().any(|(bar, _)| *bar == host.id) {
        return (
            Kind::Migrated,
            "the job was migrated away from it".into(),
            Some("it may go back there when supervisor_migrate_timeout (20 min) is over".into()),
        );
    }
    (Kind::BehindJobs, "would take it in its turn".into(), None)
}

/// Answers what a job asks in an expression that a host does not meet, and whether that stays so there.
fn why_requirements(
    job: &Job,
    host: &Host,
    demands: &Demands,
    jobs: &BTreeMap<JobId, Job>,
) -> Option<(HostReason, bool)> {
    let (why, stays, left) = demands.asks.as_ref()?.why(host, demands, jobs)?;
    let left = left.map_or_else(String::new, |left| left.to_string());
    let (id, name) = (job.id, &host.facts.name);
    let hint = format!("tessera modify {id} --requirements '{}'", quoted(&left));
    let hint = if stays {
        hint
    } else {
        format!("it starts when that changes there; or {hint}")
    };
    let text = format!("on {name} {why}");
    Some(((Kind::Requirements, text, Some(hint)), stays))
}

/// Prints a text so that a shell reads it between single quotes.
fn quoted(text: &str) -> String {
    text.replace('\'', r"'\''")
}

/// Answers what of a job's groups keeps it off a host.
fn why_groups(job: &Job, host: &Host) -> Option<HostReason> {
    let (spec, groups) = (&job.spec, &host.traits.groups);
    let (id, name) = (job.id, &host.facts.name);
    if !spec.groups.is_empty() && spec.groups.is_disjoint(groups) {
        let is_in = if groups.is_empty() {
            "in no group".to_owned()
        } else {
            format!("in {}", listed(groups))
        };
        let text = format!("{name} is {is_in}; {} asked", listed(&spec.groups));
        // One that the job omits would not help alone.
        let of_use = groups.difference(&spec.omitgroups).next();
        let hint = of_use.or_else(|| groups.first()).map_or_else(
            || format!("tessera modify {id} --groups \"\" lets it run on any, or worker_groups of a host"),
            |group| format!("tessera modify {id} --groups {}{}", more(&spec.groups, group), omits_less(spec, groups)),
        );
        return Some((Kind::NotInGroups, text, Some(hint)));
    }
    let omitted = spec.omitgroups.intersection(groups).next()?;
    let text = format!("in group {omitted}, which the job omits (omitgroups)");
    let hint = format!("tessera modify {id}{}", omits_less(spec, groups));
    Some((Kind::OmittedGroup, text, Some(hint)))
}

/// Answers what of clusters and restrictions keeps a job off a host.
fn why_clusters(job: &Job, host: &Host) -> Option<HostReason> {
    let (spec, traits) = (&job.spec, host.traits());
    let (id, name, cluster) = (job.id, &host.facts.name, &traits.cluster);
    if let Some(restrictions) = spec.restrictions.as_ref().filter(|it| !it.admits(cluster)) {
        let text =
            format!("{name} is in cluster {cluster}; the job is restricted to {restrictions}");
        let hint = format!("tessera modify {id} --restrictions \"{restrictions} || {cluster}\"");
        return Some((Kind::NotInCluster, text, Some(hint)));
    }
    if traits.takes.admits(&spec.cluster) {
        return None;
    }
    let own = &spec.cluster;
    let (takes, hint) = match &traits.takes {
        Takes::Those(takes) if takes.admits(cluster) => (
            takes.to_string(),
            format!("tessera modify {id} --cluster {own},{cluster}"),
        ),
        Takes::Those(takes) => (
            takes.to_string(),
            format!("tessera modify {id} --cluster {own},… with one of those"),
        ),
        Takes::All | Takes::Nothing => (
            "none, since its restrictions can't be read".to_owned(),
            "mend worker_restrictions of that host".to_owned(),
        ),
    };
    let text = format!("{name} takes jobs of {takes} only; the job is in {own}");
    Some((Kind::HostRestricted, text, Some(hint)))
}

/// Answers the option that lets go of the groups which a host is in, if the job omits some of them.
fn omits_less(spec: &JobSpec, groups: &BTreeSet<String>) -> String {
    if spec.omitgroups.is_disjoint(groups) {
        return String::new();
    }
    let left = spec.omitgroups.difference(groups).cloned().collect();
    format!(" --omitgroups \"{}\"", listed(&left))
}

fn more(groups: &BTreeSet<String>, group: &str) -> String {
    format!("{},{group}", listed(groups))
}

fn listed(names: &BTreeSet<String>) -> String {
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    names.join(",")
}

/// A resource of which a host has less than is asked for.
pub(super) struct Short {
    pub(super) resource: String,
    pub(super) has: u64,
    pub(super) asked: u64,
}

impl Short {
    pub(super) fn has(&self) -> String {
        format!("{}: {}", self.resource, quantity(&self.resource, self.has))
    }

    fn amount(&self) -> String {
        quantity(&self.resource, self.has)
    }

    pub(super) fn asked(&self) -> String {
        quantity(&self.resource, self.asked)
    }
}

/// Answers the first resource of which a host has less than is asked for.
pub(super) fn lacks(
    host: &Host,
    demands: &Demands,
    has: impl Fn(&Host, &str) -> u64,
) -> Option<Short> {
    let slots = (PROCESSORS, u64::from(demands.slots));
    let amounts = demands.amounts.iter();
    let amounts = amounts.map(|(name, amount)| (name.as_str(), *amount));
    let mut all = std::iter::once(slots).chain(amounts);
    all.find_map(|(resource, asked)| {
        let has = has(host, resource);
        (has < asked).then(|| Short {
            resource: resource.to_owned(),
            has,
            asked,
        })
    })
}

/// Prints an amount of a resource: `64 GiB`, `1500 MiB`, `12`.
#[must_use]
pub fn quantity(resource: &str, amount: u64) -> String {
    let is_memory = matches!(resource, MEMORY | "host.swap");
    match amount {
        n if !is_memory => n.to_string(),
        n if n >= 1024 && n.is_multiple_of(1024) => format!("{} GiB", n / 1024),
        n => format!("{n} MiB"),
    }
}

pub(super) fn why_closed(host: &Host) -> Option<HostReason> {
    let reason = match &host.state {
        HostState::Down => (
            Kind::HostDown,
            "down: its worker has not been heard of".into(),
            Some("start its worker".into()),
        ),
        HostState::Panic(why) => (
            Kind::HostPanic,
            format!("can't do its job: {why}"),
            Some("tessera doctor on that host".into()),
        ),
        HostState::Away => (
            Kind::HostAway,
            "its worker is not connected".into(),
            Some("start its worker".into()),
        ),
        HostState::Up if host.is_locked => (
            Kind::HostLocked,
            "locked".into(),
            Some(format!("tessera unlock {}", host.facts.name)),
        ),
        HostState::Up if host.why_kept().is_some() => {
            (Kind::HostLocked, host.why_kept().unwrap_or_default(), None)
        }
        HostState::Up if !host.is_synced => (Kind::HostAway, "it has just connected".into(), None),
        HostState::Up if host.used() >= host.facts.slots => (
            Kind::Full,
            format!("all {} slots are in use", host.facts.slots),
            None,
        ),
        HostState::Up => return None,
    };
    Some(reason)
}
