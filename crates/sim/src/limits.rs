//! How much of process groups and jobs runs at once, and how quickly instances start: who is limited at random, and the judge of it. The
//! judge counts launches and keeps the times of all starts, and knows nothing of how the engine counts.

use crate::client::principal;
use crate::rng::Rng;
use crate::shared::{self, licence};
use crate::tally::Tally;
use crate::world::Request;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tessera_engine::supervisor::{Effect, Engine, FarmRates, Input, Job, JobPatch, Output};
use tessera_model::{GlobalName, HostId, JobId, JobSpec, More, Reservation, StartRate, Taken};

/// Starts of the whole farm.
const FARM_RATE: &str = "6/5s";
/// Starts of what reserves the licence.
const LICENCE_RATE: &str = "1/2s";
/// Those of a job.
const RATES: [&str; 3] = ["1/5s", "2/3s", "3/20s"];

/// Of which all that runs on a host has one together; so many hosts may.
const SHAKE: (&str, u64) = ("license_host.shake", 2);
/// Of which the farm has so many.
pub const IO: &str = "scoped.io";
const IO_OF_FARM: u64 = 4;
/// And each host so many.
pub const IO_OF_HOST: u64 = 2;

fn rate(text: &str) -> Option<StartRate> {
    text.parse().ok()
}

/// What the supervisor's configuration says.
#[must_use]
pub fn configured() -> FarmRates {
    FarmRates {
        farm: rate(FARM_RATE),
        resources: rate(LICENCE_RATE)
            .map(|rate| (licence(), rate))
            .into_iter()
            .collect(),
    }
}

fn name(text: &str) -> GlobalName {
    text.parse().unwrap_or_else(|_| unreachable!("a good name"))
}

/// What it gives the farm of its own resources.
#[must_use]
pub fn resources() -> BTreeMap<GlobalName, u64> {
    let mut all = shared::configured();
    all.extend([(name(SHAKE.0), SHAKE.1), (name(IO), IO_OF_FARM)]);
    all
}

/// Limits a new job, and joins it to the process group of one that is there.
pub(crate) fn make_limited(rng: &mut Rng, engine: &Engine, spec: &mut JobSpec) {
    let jobs: Vec<&Job> = engine.jobs().collect();
    if rng.chance(50) && spec.pgrp.is_none() {
        spec.pgrp = rng.pick(&jobs).map(|job| job.id);
    }
    let some = |rng: &mut Rng, percent, most| {
        let n = rng.chance(percent).then(|| rng.between(1, most));
        n.and_then(|n| u32::try_from(n).ok())
    };
    spec.limits.pgrp = some(rng, 40, 3);
    spec.limits.per_host = some(rng, 40, 2);
    if rng.chance(30) {
        spec.limits.start_rate = rng.pick(&RATES).and_then(|text| rate(text));
    }
    if rng.chance(40) {
        spec.reservation.global.insert(name(SHAKE.0), 1);
    }
    if rng.chance(20) {
        let amount = rng.between(1, IO_OF_HOST);
        spec.reservation.global.insert(name(IO), amount);
        spec.reservation.amounts.insert(IO.to_owned(), amount);
    }
}

/// Gives a job other limits.
pub(crate) fn change(rng: &mut Rng, engine: &Engine) -> Option<Request> {
    let jobs: Vec<&Job> = engine.jobs().collect();
    let job = rng.pick(&jobs)?.id;
    let some = |rng: &mut Rng, most| {
        let n = rng.chance(60).then(|| rng.between(1, most));
        n.and_then(|n| u32::try_from(n).ok())
    };
    let patch = Box::new(JobPatch {
        pgrp_limit: rng.chance(60).then(|| some(rng, 4)),
        per_host: rng.chance(60).then(|| some(rng, 3)),
        ..JobPatch::default()
    });
    let by = principal(true);
    Some(Request {
        input: Input::Modify { by, job, patch },
        ticket: None,
    })
}

/// Whose starts are counted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Whose {
    Farm,
    Licence,
    Job(JobId),
}

/// Something starts with so many slots of its host.
///
/// # Errors
/// When that is not what its job says.
fn slots(tally: &mut Tally, asked: &Reservation, taken: &Taken) -> Result<(), String> {
    let most = match asked.more {
        More::Nothing => asked.slots,
        More::UpTo(most) => most,
        More::Free | More::WholeHost => u32::MAX,
    };
    let is_between = (asked.slots..=most).contains(&taken.slots);
    if !is_between || taken.is_alone != asked.is_whole_host() {
        let form = asked.slots_form();
        return Err(format!("{taken:?} is taken, and {form} slots are asked"));
    }
    if taken.is_alone {
        tally.add("seen: a job has a host to itself");
    } else if taken.slots > asked.slots && most < u32::MAX {
        tally.add("seen: more slots than the least of a range");
    }
    Ok(())
}

/// Watches what starts.
#[derive(Debug, Default)]
pub struct Judge {
    starts: BTreeMap<Whose, Vec<Duration>>,
    /// Whose starts were counted in this turn: of a turn that is lost nothing started.
    counted: Vec<Whose>,
}

impl Judge {
    /// What the supervisor decided in this turn is kept: that starts.
    pub fn committed(&mut self) {
        self.counted.clear();
    }

    /// What it decided in this turn is lost, with the turn.
    pub fn lost(&mut self) {
        for whose in self.counted.drain(..) {
            if let Some(starts) = self.starts.get_mut(&whose) {
                starts.pop();
            }
        }
    }

    /// The supervisor has handled an input.
    ///
    /// # Errors
    /// When an instance starts that is one too many, or too soon.
    pub fn handled(
        &mut self,
        tally: &mut Tally,
        engine: &Engine,
        output: &Output,
        now: Duration,
    ) -> Result<(), String> {
        for effect in &output.effects {
            let Effect::Start { host, order, .. } = effect else {
                continue;
            };
            let (id, spec) = (order.key.job, &order.spec);
            self.group(tally, engine, spec.pgrp.unwrap_or(id))?;
            slots(tally, &spec.reservation, &order.taken)?;
            let on_host = engine.launches_of(id).filter(|it| it.host == *host).count();
            if let Some(most) = spec
                .limits
                .per_host
                .filter(|most| on_host >= *most as usize)
            {
                tally.add("seen: a host with all that it may have of a job");
                if on_host > most as usize {
                    return Err(format!(
                        "{on_host} instances of {id} are on {host}, {most} may be"
                    ));
                }
            }
            let of_farm = &order.taken.global;
            if of_farm.contains_key(&name(SHAKE.0)) {
                Self::shake(tally, engine, *host)?;
            }
            if of_farm.contains_key(&name(IO)) {
                Self::io(tally, engine, *host)?;
            }
            let rates = configured();
            self.start(tally, &Whose::Farm, rates.farm, now)?;
            self.start(tally, &Whose::Job(id), spec.limits.start_rate, now)?;
            if order.taken.global.contains_key(&licence()) {
                let rate = rates.resources.get(&licence()).copied();
                self.start(tally, &Whose::Licence, rate, now)?;
            }
        }
        Ok(())
    }

    /// Something starts on a host that has one of it then.
    fn shake(tally: &mut Tally, engine: &Engine, host: HostId) -> Result<(), String> {
        let name = name(SHAKE.0);
        let has = engine.launches();
        let has = has.filter(|it| it.taken.global.contains_key(&name));
        let on: Vec<HostId> = has.map(|it| it.host).collect();
        if on.iter().filter(|it| **it == host).count() > 1 {
            tally.add("seen: a licence shared on a host");
        }
        let hosts = on.iter().collect::<BTreeSet<_>>().len();
        if hosts as u64 > SHAKE.1 {
            return Err(format!("{hosts} hosts have {name}, {} may", SHAKE.1));
        }
        Ok(())
    }

    /// Something starts that has some of it, of the farm and of the host.
    fn io(tally: &mut Tally, engine: &Engine, host: HostId) -> Result<(), String> {
        let name = name(IO);
        let amount = |of: Option<HostId>| {
            let launches = engine.launches();
            let launches = launches.filter(|it| of.is_none_or(|host| it.host == host));
            let amounts = launches.filter_map(|it| it.taken.global.get(&name));
            amounts.sum::<u64>()
        };
        let (farm, there) = (amount(None), amount(Some(host)));
        if farm > IO_OF_FARM || there > IO_OF_HOST {
            return Err(format!(
                "{farm} of {name} are given, {there} of them on {host}"
            ));
        }
        if farm == IO_OF_FARM || there == IO_OF_HOST {
            tally.add("seen: all of what is scoped is given");
        }
        Ok(())
    }

    fn group(&self, tally: &mut Tally, engine: &Engine, group: JobId) -> Result<(), String> {
        let members = engine.jobs();
        let members = members.filter(|job| job.spec.pgrp.unwrap_or(job.id) == group);
        let (mut has, mut least) = (0, None::<u32>);
        for job in members {
            has += engine.launches_of(job.id).count();
            least = least.into_iter().chain(job.spec.limits.pgrp).min();
        }
        match least {
            Some(limit) if has > limit as usize => Err(format!(
                "process group {group} has {has} instances, {limit} may be"
            )),
            Some(limit) if has == limit as usize => {
                tally.add("seen: a process group at its limit");
                Ok(())
            }
            Some(_) | None => Ok(()),
        }
    }

    fn start(
        &mut self,
        tally: &mut Tally,
        whose: &Whose,
        rate: Option<StartRate>,
        now: Duration,
    ) -> Result<(), String> {
        let Some(rate) = rate else {
            return Ok(());
        };
        let starts = self.starts.entry(whose.clone()).or_default();
        starts.push(now);
        self.counted.push(whose.clone());
        let recent = starts.iter().filter(|at| **at + rate.period() > now);
        let recent = recent.count();
        if recent > rate.starts() {
            return Err(format!(
                "{whose:?} started {recent} instances, {rate} may be"
            ));
        }
        if recent == rate.starts() {
            tally.add("seen: as many starts as may be");
        }
        Ok(())
    }
}
