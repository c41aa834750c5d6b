//! Why one host is given nothing of a job: the first reason that keeps it off, and what would change it.

use super::limits::why_full_of;
use super::{HostReason, Kind};
use crate::supervisor::plan::Demands;
use crate::supervisor::plan::asks::reserved;
use crate::supervisor::{Engine, Host, Job};
use std::collections::{BTreeMap, BTreeSet};
use tessera_model::gpu::GPUS;
use tessera_model::host::Takes;
use tessera_model::reservation::{MEMORY, PROCESSORS};
use tessera_model::{HostState, Identity, JobId, JobSpec, More};

/// What is said of a host that nothing keeps from taking a job.
pub(super) const IN_ITS_TURN: &str = "would take it in its turn";

/// Answers the first reason that keeps a job off a host: what stays before what moves, so that nobody waits for what would not help.
pub(super) fn why_host(job: &Job, host: &Host, demands: &Demands, engine: &Engine) -> HostReason {
    let unmet = why_requirements(job, host, demands, &engine.jobs);
    let (stays, moves) = match unmet {
        Some((reason, true)) => (Some(reason), None),
        Some((reason, false)) => (None, Some(reason)),
        None => (None, None),
    };
    why_named(job, host)
        .or_else(|| why_groups(job, host))
        .or_else(|| why_clusters(job, host))
        .or(stays)
        .or_else(|| why_too_small(job, host, demands))
        .or_else(|| why_desktop(job, host))
        .or_else(|| why_unavailable(host))
        .or_else(|| why_refused(job, host))
        .or_else(|| why_kept_off(job, host, engine))
        .or_else(|| why_full_of(job, host))
        .or_else(|| why_busy(job, host, demands))
        .or_else(|| why_gpu_slots(job, host, demands))
        .or_else(|| why_full(host))
        .or_else(|| why_short(job, host, demands))
        .or(moves)
        .unwrap_or((Kind::BehindJobs, IN_ITS_TURN.into(), None))
}

/// Answers what the job's lists of hosts say.
fn why_named(job: &Job, host: &Host) -> Option<HostReason> {
    let (id, spec, name) = (job.id, &job.spec, &host.facts.name);
    if !spec.hosts.is_empty() && !spec.hosts.contains(name) {
        let text = "not among the job's hosts".to_owned();
        let omits = match spec.omithosts.contains(name) {
            true => format!(" --omithosts {}", without(&spec.omithosts, name)),
            false => String::new(),
        };
        let hint = format!(
            "tessera modify {id} --hosts {}{omits}",
            more(&spec.hosts, name)
        );
        return Some((Kind::NotAmongHosts, text, Some(hint)));
    }
    spec.omithosts.contains(name).then(|| {
        let text = "omitted by the job (omithosts)".to_owned();
        let hint = format!(
            "tessera modify {id} --omithosts {}",
            without(&spec.omithosts, name)
        );
        (Kind::Omitted, text, Some(hint))
    })
}

/// Answers what a host has less of than the job asks for, in all.
fn why_too_small(job: &Job, host: &Host, demands: &Demands) -> Option<HostReason> {
    let total = |host: &Host, resource: &str| host.total_of_any(resource);
    let short = lacks(host, demands, total)?;
    let name = &host.facts.name;
    let (resource, has, asked) = (&short.resource, short.amount(), short.asked());
    let text = format!("{resource} of {name} is {has} in all; {asked} asked");
    // What ran out of memory with less does not get by with less.
    let less = reserve_less(job, host, total, job.spec.reservation.more);
    let less = less.filter(|_| !demands.is_grown);
    let hint = less.map_or_else(
        || "a larger host would take it".to_owned(),
        |less| format!("{less} is what {name} has; or a larger host"),
    );
    Some((Kind::TooSmall, text, Some(hint)))
}

/// Answers what a host has less of than the job asks for, of what is free.
fn why_short(job: &Job, host: &Host, demands: &Demands) -> Option<HostReason> {
    let free = |host: &Host, resource: &str| host.free_of_any(resource);
    let short = lacks(host, demands, free)?;
    let name = &host.facts.name;
    let total = quantity(&short.resource, host.total_of_any(&short.resource));
    let (resource, has, asked) = (&short.resource, short.amount(), short.asked());
    let text = format!("{has} of {total} of {resource} free on {name}; {asked} asked");
    let has_some = |(resource, _): (&String, &u64)| free(host, resource) > 0;
    let is_some = !demands.is_grown && demands.amounts.iter().all(has_some);
    let for_it = |host: &Host, resource: &str| host.free_for(demands, resource);
    let less = reserve_less(job, host, for_it, job.spec.reservation.more).filter(|_| is_some);
    let less = less.map_or_else(String::new, |less| format!("; {less} fits there now"));
    let hint = format!("it starts when enough is given back there{less}");
    Some((Kind::Reserved, text, Some(hint)))
}

/// Answers that what a job without GPUs lacks of a host's slots is kept for GPUs that nobody has, now or as long as it is so.
fn why_gpu_slots(job: &Job, host: &Host, demands: &Demands) -> Option<HostReason> {
    let (kept, asked) = (host.gpu_slots(), u64::from(demands.slots));
    let free = host.free_of_any(PROCESSORS);
    let spare = host.free_for(demands, PROCESSORS);
    let slots = host.open_slots();
    // Where only what others have lacks, that is said.
    let is_kept = free >= asked || u64::from(slots.saturating_sub(kept)) < asked;
    if !demands.is_without_gpus() || kept == 0 || spare >= asked || !is_kept {
        return None;
    }
    let (name, idle) = (&host.facts.name, gpus(host.idle_gpus()));
    let text = format!(
        "{kept} of {slots} slots of {name} are kept for {idle} that nobody has, and {spare} others are free; {asked} asked"
    );
    let mut spec = JobSpec::clone(&job.spec);
    spec.reservation.amounts.insert(GPUS.to_owned(), 1);
    let id = job.id;
    let list = reserved(&spec);
    let for_it = |host: &Host, resource: &str| host.free_for(demands, resource);
    let less = reserve_less(job, host, for_it, job.spec.reservation.more);
    let less = less.filter(|_| !demands.is_grown);
    let less = less.map_or_else(String::new, |less| format!("; {less} fits there now"));
    let hint = format!(
        "a job that uses a GPU gets them: tessera modify {id} --reservations {list}{less}; or less worker_gpu_slots there"
    );
    Some((Kind::GpuSlots, text, Some(hint)))
}

fn gpus(number: u64) -> String {
    match number {
        1 => "1 GPU".to_owned(),
        more => format!("{more} GPUs"),
    }
}

/// Answers that all free slots of a host are kept for GPUs.
pub(super) fn why_only_gpus(host: &Host) -> Option<(Kind, String)> {
    let (kept, free) = (host.gpu_slots(), host.free());
    let (slots, idle) = (host.open_slots(), gpus(host.idle_gpus()));
    (kept > 0 && free <= kept).then(|| {
        let text = format!(
            "{kept} of {slots} slots are kept for {idle} that nobody has (worker_gpu_slots): only jobs with GPUs get one of the {free} that are free"
        );
        (Kind::GpuSlots, text)
    })
}

/// Answers that something is on a host which a job wants for itself, and what of it would start there now.
fn why_busy(job: &Job, host: &Host, demands: &Demands) -> Option<HostReason> {
    if !demands.wants_whole || host.is_idle() {
        return None;
    }
    let name = &host.facts.name;
    let free = |host: &Host, resource: &str| host.free_of_any(resource);
    let mut amounts = demands.amounts.iter();
    let has_rest = amounts.all(|(resource, asked)| free(host, resource) >= *asked);
    // Without the host to itself it has no slot that is kept for GPUs.
    let is_without_gpus = !demands.amounts.contains_key(GPUS);
    let kept = u64::from(host.gpu_slots()) * u64::from(is_without_gpus);
    let spare = |host: &Host, resource: &str| match resource {
        PROCESSORS => free(host, resource).saturating_sub(kept),
        _ => free(host, resource),
    };
    let beside = reserve_less(job, host, spare, More::Free).filter(|_| has_rest);
    let beside = beside.map_or_else(String::new, |command| {
        format!("; {command} starts it beside what is on {name}")
    });
    let hint = format!("it starts when nothing else is on one{beside}");
    Some((Kind::NotIdle, format!("{name} is not idle"), Some(hint)))
}

/// Answers the command by which a job reserves no more than a host has, if it has something of the slots.
fn reserve_less(
    job: &Job,
    host: &Host,
    has: impl Fn(&Host, &str) -> u64,
    more: More,
) -> Option<String> {
    let mut spec = JobSpec::clone(&job.spec);
    let reservation = &mut spec.reservation;
    reservation.more = more;
    let slots = u32::try_from(has(host, PROCESSORS)).unwrap_or(u32::MAX);
    reservation.slots = reservation.slots.min(slots);
    for (resource, amount) in &mut reservation.amounts {
        *amount = has(host, resource).min(*amount);
    }
    reservation.amounts.retain(|_, amount| *amount > 0);
    let list = reserved(&spec);
    (slots > 0).then(|| format!("tessera modify {} --reservations {list}", job.id))
}

/// Answers that a host is a person's who lets nobody of the owner's name in.
fn why_desktop(job: &Job, host: &Host) -> Option<HostReason> {
    let owner = &job.owner;
    let Identity::Desktop(person) = &host.facts.identity else {
        return None;
    };
    if host.facts.admits(owner.as_str()) {
        return None;
    }
    let text = format!(
        "a desktop of {person}, who allows {} there",
        host.facts.allows
    );
    let hint = format!("{person} can let {owner} in: tessera desktop allow {owner}");
    Some((Kind::OtherDesktop, text, Some(hint)))
}

/// Answers why a host would not become the owner's account.
fn why_refused(job: &Job, host: &Host) -> Option<HostReason> {
    let account = host.facts.identity.account_for(job.owner.as_str());
    let refused = host.refused.get(account).filter(|it| !it.is_probing)?;
    let hint = "it is tried again by itself".to_owned();
    Some((
        Kind::AccountRefused,
        refused.refusal.text.clone(),
        Some(hint),
    ))
}

/// Answers what happened to the job on a host that keeps it off for a while.
fn why_kept_off(job: &Job, host: &Host, engine: &Engine) -> Option<HostReason> {
    if host.has_stray_of(job.id) {
        let text = "an older run of this job is still being ended there".to_owned();
        return Some((Kind::Ending, text, None));
    }
    if let Some(own) = job
        .visited
        .get(&host.id)
        .filter(|_| job.has_done_with(host.id))
    {
        let id = job.id;
        let text =
            format!("instance {id}.{own} is its run there, and each host has one (host_list)");
        let hint =
            format!("unlock, start or add other hosts, or do without: tessera kill {id}.{own}");
        return Some((Kind::RanThere, text, Some(hint)));
    }
    if let Some(wrangled) = engine.why_wrangled(job, host) {
        return Some(wrangled);
    }
    let until = job.bars.iter().filter(|(bar, _)| *bar == host.id);
    let until = until.map(|(_, until)| *until).max()?;
    let minutes = until
        .saturating_sub(engine.now.elapsed)
        .as_secs()
        .div_ceil(60);
    let text = "the job was migrated away from it".to_owned();
    let hint = format!("it may go back there in {minutes} min (supervisor_migrate_timeout)");
    Some((Kind::Migrated, text, Some(hint)))
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

fn more(names: &BTreeSet<String>, name: &str) -> String {
    format!("{},{name}", listed(names))
}

/// Prints names but one as a shell reads them; no name is an empty text.
fn without(names: &BTreeSet<String>, name: &str) -> String {
    let left: BTreeSet<String> = names.iter().filter(|it| *it != name).cloned().collect();
    match left.is_empty() {
        true => "\"\"".to_owned(),
        false => listed(&left),
    }
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

/// Answers what gives a locked host work again.
fn hint_of_lock(host: &Host) -> Option<String> {
    let name = &host.facts.name;
    Some(match (&host.lock, host.own_calendar()) {
        (Some(_), _) => format!("tessera unlock {name}"),
        (None, Some(_)) => {
            "worker_lock_schedule says when (workers.toml, or worker.toml there)".into()
        }
        (None, None) => format!("tessera unlock {name} takes its calendar back"),
    })
}

/// Says what to do about a host that is not there.
fn come_or_go(host: &Host) -> Option<String> {
    let name = &host.facts.name;
    Some(format!(
        "start its worker; if it is gone for good: tessera host remove {name}"
    ))
}

/// Answers why a host can be given nothing at all.
pub(super) fn why_unavailable(host: &Host) -> Option<HostReason> {
    let reason = match &host.state {
        HostState::Down => (
            Kind::HostDown,
            "down: its worker has not been heard of".into(),
            come_or_go(host),
        ),
        HostState::Panic(why) => (
            Kind::HostPanic,
            format!("can't do its job: {why}"),
            Some("tessera doctor on that host".into()),
        ),
        HostState::Away => (
            Kind::HostAway,
            "its worker is not connected".into(),
            come_or_go(host),
        ),
        HostState::Up if host.is_locked() => (
            Kind::HostLocked,
            host.why_locked().unwrap_or_default(),
            hint_of_lock(host),
        ),
        HostState::Up if host.why_kept().is_some() => {
            (Kind::HostLocked, host.why_kept().unwrap_or_default(), None)
        }
        HostState::Up if !host.is_synced => (Kind::HostAway, "it has just connected".into(), None),
        HostState::Up => return None,
    };
    Some(reason)
}

/// Answers that all slots of a host are in use.
fn why_full(host: &Host) -> Option<HostReason> {
    let slots = host.open_slots();
    let text = || format!("all {slots} slots are in use");
    (host.used() >= slots).then(|| (Kind::Full, text(), None))
}

/// Answers why a host is given nothing now.
pub(super) fn why_closed(host: &Host) -> Option<HostReason> {
    why_unavailable(host).or_else(|| why_full(host))
}
