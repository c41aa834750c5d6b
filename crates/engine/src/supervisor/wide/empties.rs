//! When a host will be empty enough for a class, if nothing that stands behind it starts there any more; and what may start there all
//! the same.

use super::took::expected;
use crate::Now;
use crate::supervisor::dispatch::place_as_primary;
use crate::supervisor::host::Traits;
use crate::supervisor::items::Size;
use crate::supervisor::plan::{AFTER_ALL, Demands, Keeping, OUTSIDE, Stand, Until};
use crate::supervisor::share::{Stake, second_place};
use crate::supervisor::{Algorithm, ClusterWeights, Host, Job, Launch, Phase};
use std::collections::BTreeMap;
use std::time::Duration;
use tessera_model::msg::LaunchKey;
use tessera_model::reservation::PROCESSORS;
use tessera_model::{InstanceNo, JobFlag, JobId, Taken, WorkStatus};

/// How long what was told to end is expected to take for it.
const ENDING: Duration = Duration::from_secs(30);
/// An item of which nobody knows how long it takes is guessed to take as long again as it has run, and at least so long.
const GUESS_LEAST: Duration = Duration::from_secs(5 * 60);

/// What runs, looked at for when it is over.
pub(in super::super) struct Empties<'a> {
    pub(in super::super) jobs: &'a BTreeMap<JobId, Job>,
    pub(in super::super) launches: &'a BTreeMap<LaunchKey, Launch>,
    pub(in super::super) algorithm: Algorithm,
    pub(in super::super) weights: &'a ClusterWeights,
    pub(in super::super) now: Now,
}

/// What is asked of a host.
struct Needs<'a> {
    /// Resource by resource; slots under no name.
    all: Vec<(Option<&'a str>, u64)>,
    /// Whether slots that are kept for GPUs are not for it: no matter who has GPUs now, it counts on none of them.
    is_beside_gpus: bool,
}

impl<'a> Needs<'a> {
    /// Answers what so many of a class demand, or that and all slots of the host.
    fn of(demands: &'a Demands, host: &Host, (is_whole, times): (bool, u32)) -> Self {
        let amounts = demands.amounts.iter();
        let all = |amount: u64| amount.saturating_mul(times.into());
        let amounts = amounts.map(|(name, amount)| (Some(name.as_str()), all(*amount)));
        let slots = if is_whole || demands.wants_whole {
            u64::from(host.open_slots())
        } else {
            all(demands.slots.into())
        };
        let slots = (None, slots);
        Self {
            all: [slots].into_iter().chain(amounts).collect(),
            is_beside_gpus: !is_whole && demands.is_without_gpus(),
        }
    }

    fn total(&self, host: &Host, name: Option<&str>) -> u64 {
        match name {
            Some(name) => host.total_of(name),
            None if self.is_beside_gpus => host.slots_beside_gpus().into(),
            None => host.open_slots().into(),
        }
    }

    fn taken(&self, host: &Host, taken: &Taken, name: Option<&str>) -> u64 {
        match name {
            None if self.is_beside_gpus => host.part_beside_gpus(taken),
            name => host.part_of(taken, name.unwrap_or(PROCESSORS)),
        }
    }

    /// Says whether a host has room for it beside those.
    fn fit(&self, host: &Host, beside: &[&Taken]) -> bool {
        self.all.iter().all(|(name, asked)| {
            let taken = beside.iter().map(|taken| self.taken(host, taken, *name));
            let taken = taken.fold(*asked, u64::saturating_add);
            taken <= self.total(host, *name)
        })
    }
}

impl Empties<'_> {
    /// Answers where a job stands on hosts of that kind with its next instance.
    pub(in super::super) fn stand(&self, job: &Job, host: &Traits) -> Stand {
        match job.stake {
            Stake::Primary => self.stand_as_primary(job, host),
            Stake::Secondary(level) => stand_as_secondary(job, level),
        }
    }

    /// Answers where an instance of a job that runs stands on hosts of that kind.
    pub(in super::super) fn stand_of(&self, job: &Job, no: InstanceNo, host: &Traits) -> Stand {
        match job.level_of(no) {
            None => self.stand_as_primary(job, host),
            Some(level) => stand_as_secondary(job, level),
        }
    }

    fn stand_as_primary(&self, job: &Job, host: &Traits) -> Stand {
        let distance = match self.algorithm {
            Algorithm::Queue | Algorithm::Priority => 0,
            Algorithm::Cluster if job.spec.flags.contains(&JobFlag::Elite) => 0,
            Algorithm::Cluster => self.weights.distance(&job.spec.cluster, &host.cluster),
        };
        Stand {
            distance,
            share: self.weights.standing_in(&job.spec),
            place: place_as_primary(self.algorithm, job),
        }
    }

    /// Answers when nothing of a launch is left there, if what stands behind that class takes no other item; nothing when it goes on.
    fn ends(&self, launch: &Launch, host: &Host, class: usize, stand: Stand) -> Option<Until> {
        let elapsed = self.now.elapsed;
        let soon = Until {
            at: elapsed + ENDING,
            is_known: true,
        };
        let Some(job) = self.jobs.get(&launch.key.job) else {
            return Some(soon);
        };
        let instance = job.instance(launch.key.instance);
        if instance.is_some_and(|it| it.status.kind() == WorkStatus::Suspended) {
            return None;
        }
        let is_of = |size| job.class_of(size) == Some(class);
        let stays = Size::ALL.into_iter().any(is_of)
            || self
                .stand_of(job, launch.key.instance, &host.traits)
                .comes_before(&stand);
        match launch.phase {
            Phase::Closing => return Some(soon),
            Phase::Open if stays && !job.is_cmdline() && job.items.ready() > 0 => return None,
            Phase::Open | Phase::Finishing(_) => {}
        }
        let ran = Duration::from_millis(self.now.wall.since_ms(launch.current_since));
        let left = expected(job).and_then(|all| all.checked_sub(ran));
        Some(Until {
            at: elapsed + left.unwrap_or_else(|| ran.max(GUESS_LEAST)),
            is_known: left.is_some(),
        })
    }

    /// Answers when a host has room for what so many of a class demand, with how many must end before that; nothing when what goes on there
    /// leaves none.
    pub(super) fn until(
        &self,
        host: &Host,
        (class, demands, stand): (usize, &Demands, Stand),
        room: (bool, u32),
    ) -> Option<(Until, usize)> {
        let needs = Needs::of(demands, host, room);
        let (mut beside, mut ending): (Vec<&Taken>, Vec<(Until, &Taken)>) = Default::default();
        for (key, taken) in &host.launches {
            let launch = self.launches.get(key);
            match launch.and_then(|launch| self.ends(launch, host, class, stand)) {
                Some(until) => ending.push((until, taken.as_ref())),
                None => beside.push(taken.as_ref()),
            }
        }
        let at = self.now.elapsed + ENDING;
        let soon = Until {
            at,
            is_known: false,
        };
        ending.extend(host.strays.values().map(|taken| (soon, taken.as_ref())));
        if !needs.fit(host, &beside) {
            return None;
        }
        // The last to end stay longest, as long as there is room beside them.
        ending.sort_by_key(|(until, _)| until.at);
        while let Some((_, taken)) = ending.last() {
            beside.push(taken);
            if !needs.fit(host, &beside) {
                break;
            }
            ending.pop();
        }
        let last = ending.last().map_or(self.now.elapsed, |(it, _)| it.at);
        let until = Until {
            at: last,
            is_known: ending.iter().all(|(it, _)| it.is_known),
        };
        Some((until, ending.len()))
    }

    /// Says whether an item of a job that begins now on a host which is being emptied is over in time, or leaves room enough however
    /// long it takes. `own` is the launch that would take it, if it is there already.
    pub(in super::super) fn is_over_in_time(
        &self,
        job: &Job,
        takes: &Taken,
        host: &Host,
        keeping: &Keeping<'_>,
        own: Option<LaunchKey>,
    ) -> bool {
        let until = keeping.emptied.until;
        let ends = expected(job).map(|all| self.now.elapsed + all);
        if until.is_known && ends.is_some_and(|ends| ends <= until.at) {
            return true;
        }
        let stays = |key: &LaunchKey| {
            let launch = self.launches.get(key);
            let class = keeping.emptied.class;
            let ends = launch.and_then(|it| self.ends(it, host, class, keeping.stand));
            ends.is_none_or(|ends| ends.at > until.at)
        };
        let others = host.launches.iter().filter(|(key, _)| own != Some(**key));
        let staying = others.filter(|(key, _)| stays(key));
        let mut beside: Vec<&Taken> = staying.map(|(_, taken)| taken.as_ref()).collect();
        beside.push(takes);
        beside.extend(host.strays.values().map(AsRef::as_ref));
        let room = (keeping.emptied.is_whole, keeping.emptied.times);
        Needs::of(keeping.demands, host, room).fit(host, &beside)
    }
}

fn stand_as_secondary(job: &Job, level: u32) -> Stand {
    Stand {
        distance: AFTER_ALL,
        share: OUTSIDE,
        place: second_place(job, level),
    }
}
