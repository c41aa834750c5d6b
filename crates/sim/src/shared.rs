//! The farm's own resources: who wants and sets them at random, and the judge of them. The judge counts what was given to launches, and
//! knows nothing of how the engine counts.

use crate::client::principal;
use crate::host::Host;
use crate::rng::Rng;
use crate::tally::Tally;
use crate::world::Request;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tessera_engine::supervisor::{
    Change, Effect, Engine, GlobalWish, Input, Job, Output, Outside, kind,
};
use tessera_model::{GlobalName, HostId, JobSpec};

/// What the configuration gives the farm.
pub const LICENCES: u64 = 3;
/// How many there are of the other one, when nobody meddles.
const RIGS: u64 = 4;
/// Most that a job wants of one of them.
const WANTED_MAX: u64 = 2;

/// The resource that the configuration names.
#[must_use]
pub fn licence() -> GlobalName {
    "license.nuke"
        .parse()
        .unwrap_or_else(|_| unreachable!("a good name"))
}

/// The one that people set while the farm runs.
fn rig() -> GlobalName {
    "global.rig"
        .parse()
        .unwrap_or_else(|_| unreachable!("a good name"))
}

/// What the supervisor's configuration says.
#[must_use]
pub fn configured() -> BTreeMap<GlobalName, u64> {
    [(licence(), LICENCES)].into()
}

/// Makes a new job want some of them.
pub(crate) fn make_want(rng: &mut Rng, spec: &mut JobSpec) {
    for name in [licence(), rig()] {
        if rng.chance(40) {
            let amount = rng.between(1, WANTED_MAX);
            spec.reservation.global.insert(name, amount);
        }
    }
}

/// Says something of one of them, or forgets it.
pub(crate) fn say(rng: &mut Rng) -> Request {
    let name = if rng.chance(50) { licence() } else { rig() };
    let some = |rng: &mut Rng, percent| rng.chance(percent).then(|| rng.between(0, RIGS));
    let used = some(rng, 60);
    let wish = if rng.chance(15) {
        GlobalWish::Remove
    } else {
        GlobalWish::Set {
            total: some(rng, 50),
            used: used.map(|used| {
                if rng.chance(50) {
                    Outside::InAll(used)
                } else {
                    Outside::Others(used)
                }
            }),
            ttl: used.map(|_| Duration::from_secs(rng.between(1, 300))),
        }
    };
    request(name, wish)
}

fn request(name: GlobalName, wish: GlobalWish) -> Request {
    let by = principal(true);
    Request {
        input: Input::Global { by, name, wish },
        ticket: None,
    }
}

/// Makes as many of them as every job needs; what others use passes by itself.
pub(crate) fn let_go(engine: &Engine) -> Vec<Request> {
    let globals = engine.globals();
    let is_short = |name: &GlobalName| globals.total(name).unwrap_or(0) < WANTED_MAX;
    let short = [licence(), rig()].into_iter().filter(|name| is_short(name));
    let all = short.map(|name| {
        let total = Some(RIGS);
        let (used, ttl) = (None, None);
        request(name, GlobalWish::Set { total, used, ttl })
    });
    all.collect()
}

/// Watches what is given.
#[derive(Debug, Default)]
pub struct Judge {
    /// What launches had of the licence after the last input.
    held: u64,
}

impl Judge {
    /// The supervisor has handled an input.
    ///
    /// # Errors
    /// When an instance starts with more than there is.
    pub fn handled(
        &mut self,
        tally: &mut Tally,
        engine: &Engine,
        output: &Output,
    ) -> Result<(), String> {
        let mut given: BTreeMap<&GlobalName, u64> = BTreeMap::new();
        for launch in engine.launches() {
            for (name, amount) in &launch.taken.global {
                *given.entry(name).or_insert(0) += amount;
            }
        }
        let started = output.effects.iter().filter_map(|effect| match effect {
            Effect::Start { order, .. } => Some(order.taken.global.keys()),
            _ => None,
        });
        let started: BTreeSet<&GlobalName> = started.flatten().collect();
        let own = [licence(), rig()];
        let given_now = given.iter().filter(|(name, _)| started.contains(*name));
        for (name, sum) in given_now.filter(|(name, _)| own.contains(name)) {
            within(engine, name, *sum)?;
        }
        let held = given.get(&licence()).copied().unwrap_or(0);
        self.notice(tally, engine, output, held);
        self.held = held;
        Ok(())
    }

    fn notice(&self, tally: &mut Tally, engine: &Engine, output: &Output, held: u64) {
        for change in &output.changes {
            match change {
                Change::Event(event) if event.kind == kind::RESOURCE_EXPIRED => {
                    tally.add("seen: what others use counts no more");
                }
                Change::Event(event) if event.kind == kind::HOST_DOWN && held < self.held => {
                    tally.add("seen: a lost host had a licence");
                }
                _ => {}
            }
        }
        let globals = engine.globals();
        let others = globals.others(&licence());
        if globals
            .total(&licence())
            .is_some_and(|total| held + others > total)
        {
            tally.add("seen: more taken of a licence than there is");
        }
        let waits = |job: &Job| {
            let wanted = job.spec.reservation.global.get(&licence());
            wanted.is_some() && job.next_instance().is_some()
        };
        if globals.free(&licence()) == 0 && engine.jobs().any(waits) {
            tally.add("seen: a job waits for a licence");
        }
    }
}

/// Says whether so much of it may be given.
fn within(engine: &Engine, name: &GlobalName, sum: u64) -> Result<(), String> {
    let globals = engine.globals();
    let others = globals.others(name);
    let said = globals.record(name).and_then(|record| record.total);
    let allotted = configured().get(name).copied();
    let there = said.or(allotted).unwrap_or(0);
    if sum + others > there || allotted.is_some_and(|allotted| sum > allotted) {
        return Err(format!(
            "an instance starts and {sum} of {name} are given, {others} used by others, of {there} ({allotted:?} for the farm)"
        ));
    }
    Ok(())
}

/// Instances are there on hosts that were never given up.
///
/// # Errors
/// When they have more licences than the farm has.
pub fn licensed(hosts: &[Host], lost: &BTreeSet<HostId>) -> Result<(), String> {
    let known = hosts.iter().filter(|host| !lost.contains(&host.id));
    let shepherds = known.flat_map(|host| host.shepherds.values());
    let held: u64 = shepherds.map(|shepherd| shepherd.promise.licences).sum();
    if held > LICENCES {
        return Err(format!(
            "instances have {held} licences, the farm has {LICENCES}"
        ));
    }
    Ok(())
}

/// Everything has ended.
///
/// # Errors
/// When something is still held.
pub fn all_given_back(engine: &Engine) -> Result<(), String> {
    let globals = engine.globals();
    let held = globals
        .names()
        .into_iter()
        .find(|name| globals.held(name) > 0);
    held.map_or(Ok(()), |name| {
        Err(format!(
            "{} of {name} are held and nothing runs",
            globals.held(name)
        ))
    })
}
