//! Clusters that share the farm by weight: jobs in them at random, and the judge of it. The judge counts what runs and reads the clusters of jobs
//! as they are written; of how the engine keeps its shares it knows nothing.

use crate::host::Host;
use crate::rng::Rng;
use crate::share::{self, is_of_its_own, is_plain, placed};
use crate::tally::Tally;
use std::collections::{BTreeMap, BTreeSet};
use tessera_engine::supervisor::why::Kind;
use tessera_engine::supervisor::{Change, ClusterWeights, Engine, Event, Job, Output, kind};
use tessera_model::gpu::GPUS;
use tessera_model::{ClusterPath, HostId, JobFlag, JobId, JobKind, JobSpec};

/// Who has how much; the last one is all other jobs.
const WEIGHTS: [(&str, u32); 4] = [("/s/one", 3), ("/s", 1), ("/t", 2), ("/", 1)];
/// Clusters of jobs: as far from any host as each other.
const CLUSTERS: [&str; 5] = ["/s/one", "/s/one/x", "/s/two", "/t", "/u"];

/// Where a wide job waits, and what it waits behind.
pub(crate) const FLOODED: &str = CLUSTERS[3];
pub(crate) const FLOODING: &str = CLUSTERS[0];

/// Answers what the supervisor's configuration says.
pub(crate) fn configured(is_tried: bool) -> ClusterWeights {
    let named = WEIGHTS.iter().filter(|_| is_tried);
    let named = named.filter_map(|(path, weight)| Some((path.parse().ok()?, *weight)));
    ClusterWeights::new(named.collect())
}

/// Puts a job into one of those clusters; most of them want many slots.
pub(crate) fn make_weighted(rng: &mut Rng, spec: &mut JobSpec) {
    if rng.chance(20) {
        return;
    }
    let cluster = rng.pick(&CLUSTERS).and_then(|it| it.parse().ok());
    spec.cluster = cluster.unwrap_or_default();
    if rng.chance(70) && !spec.is_gang() {
        share::ask_for_any_host(spec);
        // Some end by themselves, and what others have they have for long.
        spec.kind = match rng.chance(60) {
            true => JobKind::CmdLine,
            false => JobKind::CmdRange(share::long(rng)),
        };
        spec.cpus = u32::try_from(rng.between(3, 10)).unwrap_or(3);
        spec.max_cpus = None;
    }
}

/// Answers the place of a job's share among the weights.
fn share_of(spec: &JobSpec) -> usize {
    let text = spec.cluster.to_string();
    let first = text.split([',', '+']).next().unwrap_or_default();
    let is_in = |(path, _): &&(&str, u32)| {
        let rest = first.strip_prefix(*path);
        *path == "/" || rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let found = WEIGHTS.iter().find(is_in);
    let place = found.and_then(|it| WEIGHTS.iter().position(|other| other.0 == it.0));
    place.unwrap_or(WEIGHTS.len() - 1)
}

/// Says whether so many slots are less for the one's weight than so many are for the other's.
fn is_less(one: (usize, u64), other: (usize, u64)) -> bool {
    let weight = |share: usize| u64::from(WEIGHTS[share].1);
    one.1 * weight(other.0) < other.1 * weight(one.0)
}

/// Watches what starts.
#[derive(Debug, Default)]
pub(crate) struct Judge {
    /// Those for which others had to leave: they have what was theirs.
    helped: BTreeSet<JobId>,
    /// Hosts that were being emptied for somebody.
    emptied: BTreeSet<HostId>,
}

impl Judge {
    /// The supervisor has handled an input.
    ///
    /// # Errors
    /// When a slot was given to a share while one that has less for its weight waited for it.
    pub(crate) fn handled(
        &mut self,
        tally: &mut Tally,
        hosts: &[Host],
        (engine, output): (&Engine, &Output),
    ) -> Result<(), String> {
        let mut used = [0_u64; WEIGHTS.len()];
        for launch in engine.launches() {
            if let Some(job) = engine.job(launch.key.job) {
                used[share_of(&job.spec)] += u64::from(launch.taken.slots);
            }
        }
        counted(engine, &used)?;
        let events = output.changes.iter().filter_map(|change| match change {
            Change::Event(event) => Some(event.as_ref()),
            _ => None,
        });
        let events: Vec<&Event> = events.collect();
        let helped = events.iter().filter(|it| it.kind == kind::JOB_PREEMPTS);
        // Room that was made for one of a share is given up for another one of it: that one has it.
        let instead = |it: &Event| {
            let (_, told) = it.text.split_once(": job ")?;
            let (id, _) = told.split_once(" comes before it")?;
            id.parse().ok().map(JobId)
        };
        self.helped
            .extend(helped.clone().filter_map(|it| instead(it)));
        self.helped.extend(helped.filter_map(|it| it.job));
        let was_emptied = self.emptied.clone();
        let emptied = engine.hosts().map(|host| host.id);
        let emptied = emptied.filter(|host| engine.emptied_for(*host).is_some());
        self.emptied = emptied.collect();
        for event in &events {
            left_for_less(tally, event)?;
        }
        // Who was made to leave waits since: not before.
        if events.iter().any(|it| it.kind == kind::INSTANCE_PREEMPTED) {
            return Ok(());
        }
        let mut last: BTreeMap<usize, (&Job, HostId, u64)> = BTreeMap::new();
        for event in events
            .iter()
            .filter(|it| it.kind == kind::INSTANCE_ASSIGNED)
        {
            let who = event.job.and_then(|id| engine.job(id)).zip(event.host);
            let Some((job, host)) = who else { continue };
            let mut launches = engine.launches();
            let launch =
                launches.find(|it| it.key.job == job.id && Some(it.key.instance) == event.instance);
            let slots = launch.map_or(0, |it| u64::from(it.taken.slots));
            last.insert(share_of(&job.spec), (job, host, slots));
        }
        for (share, (job, host, slots)) in last {
            let is_free = is_judged(job) && !self.helped.contains(&job.id);
            let was_open = !self.emptied.contains(&host) && !was_emptied.contains(&host);
            let host = hosts.iter().find(|it| it.id == host);
            if let Some(host) = host.filter(|_| is_free && was_open) {
                let had = used[share].saturating_sub(slots);
                in_its_turn(tally, engine, host, (job, had), &used)?;
            }
        }
        Ok(())
    }
}

/// Who leaves for a share says what both have: that one has no more for its weight even then.
fn left_for_less(tally: &mut Tally, event: &Event) -> Result<(), String> {
    let told = event.text.split_once(": cluster ");
    let Some((_, told)) = told.filter(|_| event.kind == kind::INSTANCE_PREEMPTED) else {
        return Ok(());
    };
    let is_digit = |c: char| !c.is_ascii_digit();
    let numbers = told.split(is_digit).filter_map(|it| it.parse().ok());
    let numbers: Vec<u64> = numbers.collect();
    let [has, weight, others, other] = numbers[..] else {
        return Err(format!("what is told of shares is unclear: {told}"));
    };
    // One slot at least moves.
    if (has.saturating_sub(1)) * other < (others + 1) * weight {
        return Err(format!(
            "somebody leaves for who would leave for him: {told}"
        ));
    }
    tally.add("seen: somebody leaves for a share that has less");
    Ok(())
}

/// The engine counts what is there.
fn counted(engine: &Engine, used: &[u64]) -> Result<(), String> {
    for (path, weight, counted) in engine.shares() {
        let path = path.to_string();
        let place = WEIGHTS.iter().position(|it| *it == (path.as_str(), weight));
        let has = place.and_then(|place| used.get(place)).copied();
        if has != Some(counted) {
            return Err(format!("{path} has {has:?} slots, {counted} are counted"));
        }
    }
    Ok(())
}

/// Says whether a job is one that has its turn by its share.
fn is_judged(job: &Job) -> bool {
    let is_second = job.secondaries() > 0;
    !job.spec.is_gang() && !is_second && !job.spec.flags.contains(&JobFlag::Elite)
}

/// A job has got a slot of a host, and its share had so many before: none that is as near waited whose share had less for its weight.
fn in_its_turn(
    tally: &mut Tally,
    engine: &Engine,
    host: &Host,
    (job, had): (&Job, u64),
    used: &[u64],
) -> Result<(), String> {
    let cluster: ClusterPath = host.cluster().parse().unwrap_or_default();
    let own = share_of(&job.spec);
    // What is kept for GPUs is for who has some.
    if host.gpu_slots > 0 && job.spec.reservation.amounts.contains_key(GPUS) {
        return Ok(());
    }
    for other in engine
        .jobs()
        .filter(|it| is_judged(it) && is_plain(&it.spec))
    {
        let share = share_of(&other.spec);
        let wanted = other.spec.cpus.min(other.spec.items()) as usize;
        let waits = placed(other) < wanted && other.next_instance().is_some();
        let is_as_near = cluster.depth() == 0
            || other.spec.cluster.distance(&cluster) == job.spec.cluster.distance(&cluster);
        if share == own || !waits || !is_as_near {
            continue;
        }
        let reasons = engine.why(other.id).unwrap_or_default();
        // What other hosts keep out is no matter here: this one lets in all clusters, and neither job keeps to some.
        let is_elsewhere = |kind| matches!(kind, Kind::HostRestricted | Kind::NotInCluster);
        let mut own_reasons = reasons.iter().filter(|it| is_of_its_own(it.kind));
        if own_reasons.any(|it| !is_elsewhere(it.kind)) || !host.restrictions().is_empty() {
            continue;
        }
        if is_less((share, used[share]), (own, had)) {
            return Err(format!(
                "job {} of {} gets a slot of {}, which has {had}, and job {} of {} waits, which has {}: {reasons:?}",
                job.id, WEIGHTS[own].0, host.name, other.id, WEIGHTS[share].0, used[share]
            ));
        }
        tally.add("seen: a share waits for its turn");
        if other.spec.priority < job.spec.priority {
            tally.add("seen: a share comes before a better priority");
        }
    }
    Ok(())
}
