//! Hosts that are emptied for wide jobs: those that need more of a host than what is given back there at once, and would wait for ever while
//! smaller ones take each slot that comes free.
//!
//! Owns when a job has waited for long enough, which hosts are emptied for it, and when one is let go; what a host that is being emptied
//! still takes, the planner asks ([`empties`]). Nothing of it is stored: it follows from what waits and what runs, and is decided anew after a
//! restart. **Invariant:** a host is emptied only for a class with a ready job that waits for nothing but a host. **Invariant:** what one
//! event costs for it has a bound.

mod check;
pub(super) mod empties;
pub(super) mod gangs;
pub(super) mod took;
mod wants;
mod why;

use super::io::kind;
use super::items::Size;
use super::plan::{Demands, Emptied, OUTSIDE, Until};
use super::time::Timer;
use super::{About, Credentials, Engine, Host, Job, Turn};
use crate::Now;
use empties::Empties;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::time::Duration;
use tessera_model::msg::LaunchKey;
use tessera_model::{HostId, JobId};

pub use why::EmptiedFor;

/// Hosts that are emptied for one class at once, at most.
pub const JOB_HOSTS_MAX: usize = 4;
/// Hosts that are emptied on a farm at once, at most, whatever its share of them.
pub const FARM_HOSTS_MAX: usize = 32;
/// Most of a hundred hosts that may be emptied at once; never all of them.
pub const HOSTS_PERCENT_MAX: u32 = 50;
/// Classes that are looked at each time, the first ones.
pub const CLASSES_MAX: usize = 256;
/// Hosts that are looked at each time, for all classes together; the next time goes on from there.
pub const HOSTS_LOOKED_MAX: usize = 4_096;
/// As many looks as one at a host costs that is imagined empty.
const WHOLE_LOOKS: usize = 8;
/// Classes that stand before one and are looked at to see whether it is the first on a host, at most.
const BEFORE_MAX: usize = 256;
/// Hosts of which that is asked for one class each time, at most.
const FIRST_MAX: usize = 8;
/// How often is looked: so many times within the time that a job waits first.
const LOOKS: u32 = 8;
/// The least and longest time between two looks.
const LOOK_EVERY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(15));
/// A host that is not empty enough so long after it was expected is let go, and another one tried.
pub const OVERDUE: Duration = Duration::from_secs(30 * 60);
/// Another host must be empty enough by so much earlier to be emptied instead.
const MOVE_LEAST: Duration = Duration::from_secs(60);

/// For which jobs hosts are emptied, and how many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WideJobs {
    /// How long such a job waits before a host is emptied for it (`supervisor_wide_after`).
    pub after: Duration,
    /// Of a hundred hosts of the farm so many may be emptied at once, one at least; 0: none (`supervisor_wide_hosts`).
    pub hosts_percent: u32,
    /// A job is wide on a host of whose slots, or of another amount of which, it needs so many of a hundred (`supervisor_wide_from`).
    pub from_percent: u32,
}

impl Default for WideJobs {
    fn default() -> Self {
        Self {
            after: Duration::from_secs(120),
            hosts_percent: 10,
            from_percent: 25,
        }
    }
}

impl WideJobs {
    /// Says whether such demands need more of a host than one slot's share, and enough of it to be waited for.
    fn is_wide(&self, demands: &Demands, host: &Host) -> bool {
        let slots = u64::from(host.open_slots());
        let is_part = |asked: u64, total: u64| {
            asked.saturating_mul(100) >= u64::from(self.from_percent).saturating_mul(total)
        };
        let is_wide_in = |(name, asked): (&String, &u64)| {
            let total = host.total_of(name);
            asked.saturating_mul(slots) > total && is_part(*asked, total)
        };
        let is_wide = demands.slots > 1 && is_part(u64::from(demands.slots), slots);
        let is_large = || demands.wants_whole || demands.amounts.iter().any(is_wide_in);
        is_wide || (slots > 1 && is_large())
    }

    /// Answers how long it is to the next look.
    fn every(&self) -> Duration {
        let (least, longest) = LOOK_EVERY;
        (self.after / LOOKS).clamp(least, longest)
    }
}

/// When is looked whether a host should be emptied.
#[derive(Debug, Clone, Default)]
pub(super) struct Looks {
    is_timed: bool,
    is_due: bool,
    /// When that was last done (monotonic time).
    last: Option<Duration>,
    /// The host that was looked at last, when there were more.
    cursor: Option<HostId>,
}

/// A host that could be emptied for a class.
#[derive(Debug, Clone, Copy)]
struct Candidate {
    host: HostId,
    until: Until,
    /// How many must end there.
    ending: usize,
    /// For how many instances there is room then.
    times: u32,
    /// Whether that is all that runs there.
    is_whole: bool,
}

/// What was found among the hosts for a class.
#[derive(Debug, Default)]
struct Found {
    candidates: Vec<Candidate>,
    /// Hosts that would do, those that are being emptied among them.
    fitting: usize,
    /// Those of them that are being emptied for somebody.
    kept: usize,
}

impl Engine {
    pub(super) fn empties(&self) -> Empties<'_> {
        Empties {
            jobs: &self.jobs,
            launches: &self.launches,
            algorithm: self.config.queue_algorithm,
            weights: &self.config.cluster_weights,
            now: self.now,
        }
    }

    /// Sees to it that somebody looks while a wide job waits.
    pub(super) fn watch_wide(&mut self, now: Now) {
        let is_on = self.config.wide_jobs.hosts_percent > 0;
        if is_on && !self.looks.is_timed && self.planner.has_wide() {
            self.looks.is_timed = true;
            let due = now.elapsed + self.config.wide_jobs.every();
            self.timers.set(due, Timer::Wide);
        }
    }

    pub(super) fn wide_due(&mut self) {
        self.looks.is_timed = false;
        self.looks.is_due = true;
    }

    /// An instance of a class was placed on a host: that is what it was emptied for, and what its class has waited is paid back.
    pub(super) fn wide_placed(&mut self, class: usize, host: HostId) {
        if self
            .planner
            .kept_on(host)
            .is_some_and(|it| it.class == class)
        {
            self.planner.let_go(host);
        }
        let mut waited = self.planner.waited(class);
        waited.net = waited.net.saturating_sub(self.config.wide_jobs.after);
        self.planner.set_waited(class, waited);
    }

    /// Says whether a launch may take another item on its host in spite of those that the host is emptied for.
    pub(super) fn may_go_on(&self, key: LaunchKey, job: &Job, host: &Host) -> bool {
        let Some(keeping) = self.planner.keeping(host.id, &host.traits) else {
            return true;
        };
        let empties = self.empties();
        let stand = empties.stand_of(job, key.instance, &host.traits);
        let mut classes = Size::ALL.into_iter().filter_map(|size| job.class_of(size));
        let taken = self.launches.get(&key).map(|launch| &launch.taken);
        classes.any(|class| keeping.lets_in(class, stand))
            || taken
                .is_some_and(|taken| empties.is_over_in_time(job, taken, host, &keeping, Some(key)))
    }

    /// Lets go of the hosts that are emptied for nobody any more, or can't be. Says whether there was one.
    pub(super) fn let_wide_go(&mut self, t: &mut Turn<'_>) -> bool {
        let mut kept: Vec<(HostId, Emptied)> = self.planner.kept().collect();
        kept.sort_by_key(|(_, emptied)| emptied.until.at);
        if kept.is_empty() {
            return false;
        }
        let mut counts: BTreeMap<usize, usize> = BTreeMap::new();
        let mut gone = Vec::new();
        let most = self.share_of(self.hosts.len());
        for (host, emptied) in kept {
            let is_gang = self.gathering(emptied.class).is_some();
            let share = counts
                .iter()
                .filter(|(class, _)| self.gathering(**class).is_none());
            let all: usize = share.map(|(_, count)| count).sum();
            let count = counts.entry(emptied.class).or_default();
            let why = self.why_let_go(host, emptied, *count);
            match why.or((all >= most && !is_gang).then_some("the farm has fewer hosts")) {
                Some(why) => gone.push((host, emptied, why)),
                None => *count += 1,
            }
        }
        let has_gone = !gone.is_empty();
        for (host, emptied, why) in gone {
            self.end_emptying(t, host, emptied, why);
        }
        has_gone
    }

    /// Answers why a host is not to be emptied any more for a class that has so many others, if it is not.
    fn why_let_go(&self, host: HostId, emptied: Emptied, others: usize) -> Option<&'static str> {
        let class = emptied.class;
        if !self.planner.waits_for_host(class) {
            return Some("it does not wait for a host now");
        }
        let (job, wanted) = self.wanted_by(class)?;
        if others >= wanted {
            return Some("it needs no more hosts");
        }
        let host = self.hosts.get(&host);
        let would = host.and_then(|host| self.would_do(class, job, host));
        would
            .is_none()
            .then_some("the host can't serve it any more")
    }

    fn end_emptying(&mut self, t: &mut Turn<'_>, host: HostId, emptied: Emptied, why: &str) {
        self.planner.let_go(host);
        let name = self.hosts.get(&host).map(|host| host.facts.name.as_str());
        let text = format!(
            "{} is emptied for job {} no more: {why}",
            name.unwrap_or("a host that is gone"),
            emptied.job
        );
        let about = About {
            job: Some(emptied.job),
            ..About::host(host)
        };
        t.event(kind::HOST_RELEASED, about, text);
    }

    /// Answers whether a host could serve a class if it were empty, and nothing but what runs there keeps it from it: then whether all of it
    /// has to be empty.
    fn would_do(&self, class: usize, job: JobId, host: &Host) -> Option<bool> {
        let demands = self.planner.demands(class);
        let mut amounts = demands.amounts.iter();
        let has_all = host.slots_for(demands) >= demands.slots
            && amounts.all(|(name, amount)| host.total_of(name) >= *amount);
        let now = self.now.elapsed;
        let is_barred = || {
            let mut bars = self.jobs.get(&job).into_iter().flat_map(|job| &job.bars);
            bars.any(|(bar, until)| *bar == host.id && *until > now)
        };
        let may = host.is_open()
            && has_all
            && host.suits(demands)
            && host.has_place_for(demands)
            && is_admitted(&self.credentials, self.now, &demands.owner, host)
            && !host.has_stray_of(job)
            && !is_barred();
        let is_busy = demands.wants_whole && !host.is_idle() && host.open_slots() > 1;
        let is_whole = may && (is_busy || !self.is_asked_for(demands, host));
        let serves = if is_whole {
            demands.asks.is_none() || self.is_asked_for(demands, &host.emptied())
        } else {
            let is_gang = self.gathering(class).is_some();
            may && (is_gang || self.config.wide_jobs.is_wide(demands, host))
        };
        serves.then_some(is_whole)
    }

    /// Says whether a host is now as a class asks.
    fn is_asked_for(&self, demands: &Demands, host: &Host) -> bool {
        let asks = demands.asks.as_ref();
        asks.is_none_or(|asks| asks.met_now(host, &self.jobs))
    }

    /// Answers how many hosts may be emptied at once.
    fn emptied_max(&self) -> usize {
        let percent = self.config.wide_jobs.hosts_percent.min(HOSTS_PERCENT_MAX) as usize;
        if percent == 0 {
            return 0;
        }
        // More of them would not raise it.
        let enough = (FARM_HOSTS_MAX * 100).div_ceil(percent);
        let open = self.hosts.values().filter(|host| host.is_open());
        self.share_of(open.take(enough).count())
    }

    /// Answers how many of so many hosts may be emptied: one at least.
    fn share_of(&self, hosts: usize) -> usize {
        let percent = self.config.wide_jobs.hosts_percent.min(HOSTS_PERCENT_MAX) as usize;
        (hosts.saturating_mul(percent) / 100).clamp(1, FARM_HOSTS_MAX)
    }

    /// Decides which hosts are emptied, if that is due. Says whether one was let go.
    pub(super) fn look_for_wide(&mut self, t: &mut Turn<'_>) -> bool {
        if !std::mem::take(&mut self.looks.is_due) {
            return false;
        }
        let (now, after) = (t.now.elapsed, self.config.wide_jobs.after);
        let before = self.looks.last.replace(now);
        let classes = self.planner.wide(CLASSES_MAX);
        self.planner.count(classes.len() as u64);
        let most = after * u32::try_from(JOB_HOSTS_MAX + 1).unwrap_or(1);
        for class in &classes {
            let mut waited = self.planner.waited(*class);
            waited.pass(before, now, most);
            self.planner.set_waited(*class, waited);
        }
        let mut has_gone = self.give_up_overdue(t);
        has_gone |= self.give_way(t);
        let mut looks = HOSTS_LOOKED_MAX;
        has_gone |= self.look_for_gangs(t, &classes, &mut looks);
        let mut room = self.emptied_max();
        room = room.saturating_sub(self.planner.kept().count());
        // In their order, but those first for which no look was left the last time: what no host serves keeps nobody out.
        let mut classes = classes;
        classes.retain(|class| self.gathering(*class).is_none());
        classes.sort_by_key(|class| self.planner.waited(*class).looked);
        for class in classes {
            let has_any = self.planner.kept().any(|(_, it)| it.class == class);
            let has_waited = self.planner.waited(class).net >= after;
            let is_due = has_waited && (room > 0 || self.last_behind(class).is_some());
            if looks > 0 && (has_any || is_due) {
                let found = self.find_hosts(class, &mut looks);
                has_gone |= self.move_to_earlier(t, class, &found);
                has_gone |= is_due && self.empty_some(t, class, &found, &mut room);
            }
        }
        has_gone
    }

    /// Lets go of the hosts that something takes which stands before those that they are emptied for.
    fn give_way(&mut self, t: &mut Turn<'_>) -> bool {
        let kept = self.planner.kept();
        let is_taken = |(id, it): &(HostId, Emptied)| {
            let host = self.hosts.get(id);
            host.is_some_and(|host| !self.is_first_on(it.class, host))
        };
        let taken: Vec<(HostId, Emptied)> = kept.filter(is_taken).collect();
        for (host, emptied) in &taken {
            self.end_emptying(
                t,
                *host,
                *emptied,
                "something before it waits for that host",
            );
        }
        !taken.is_empty()
    }

    /// Answers the host that is emptied for the last of those that stand behind a class.
    fn last_behind(&self, class: usize) -> Option<(HostId, Emptied)> {
        let own = self.planner.first_place(class)?;
        let kept = self.planner.kept().filter_map(|(id, it)| {
            let place = self.planner.first_place(it.class)?;
            Some((place, id, it))
        });
        // Between shares that are as near no place says who is first.
        let share = self.planner.share_of(class);
        let is_alike = |other: usize| {
            let other = self.planner.share_of(other);
            other == share || [other, share].contains(&OUTSIDE)
        };
        let behind = kept.filter(|(place, _, it)| *place > own && is_alike(it.class));
        let last = behind.max_by_key(|(place, id, _)| (*place, *id));
        last.map(|(_, id, it)| (id, it))
    }

    fn give_up_overdue(&mut self, t: &mut Turn<'_>) -> bool {
        let now = t.now.elapsed;
        let kept = self.planner.kept();
        let is_overdue = |(_, it): &(HostId, Emptied)| it.until.at + OVERDUE < now;
        let overdue: Vec<(HostId, Emptied)> = kept.filter(is_overdue).collect();
        for (host, emptied) in &overdue {
            self.end_emptying(t, *host, *emptied, "what runs there takes too long");
            let waited = super::plan::Waited {
                seen: Some(now),
                in_vain: Some(*host),
                ..Default::default()
            };
            self.planner.set_waited(emptied.class, waited);
        }
        !overdue.is_empty()
    }

    /// Answers the hosts that could be emptied for a class, the best first.
    fn find_hosts(&mut self, class: usize, looks: &mut usize) -> Found {
        let mut found = Found::default();
        let Some((job, _)) = self.wanted_by(class) else {
            return found;
        };
        let looks_before = *looks;
        let from = self.looks.cursor.map_or(Bound::Unbounded, Bound::Excluded);
        let rest = self.hosts.range((from, Bound::Unbounded));
        let all = rest.chain(self.hosts.iter());
        let mut last = None;
        for (id, host) in all.take(self.hosts.len().min(*looks)) {
            last = Some(*id);
            *looks = looks.saturating_sub(1);
            let Some(is_whole) = self.would_do(class, job, host) else {
                continue;
            };
            if is_whole {
                // It was looked at as it would be without what runs there.
                *looks = looks.saturating_sub(WHOLE_LOOKS);
            }
            found.fitting += 1;
            if self.planner.kept_on(*id).is_some() {
                found.kept += 1;
                continue;
            }
            found
                .candidates
                .extend(self.candidate(class, host, is_whole));
        }
        let mut waited = self.planner.waited(class);
        waited.looked = Some(self.now.elapsed);
        self.planner.set_waited(class, waited);
        let in_vain = waited.in_vain;
        let order = |it: &Candidate| (in_vain == Some(it.host), it.until.at, it.ending, it.host);
        found.candidates.sort_by_key(order);
        self.planner.count((looks_before - *looks) as u64);
        self.looks.cursor = last.filter(|_| *looks == 0);
        found
    }

    fn candidate(&self, class: usize, host: &Host, is_whole: bool) -> Option<Candidate> {
        let keeping = self.stand_of(class, host)?;
        let demands = self.planner.demands(class);
        let empties = self.empties();
        let is_gang = self.gathering(class).is_some();
        let mut times = self.times_on(class, host);
        while times > 0 {
            let found = empties.until(host, (class, demands, keeping), (is_whole, times));
            // What has room for it now has another reason not to take it, unless it is one of several that a gang needs.
            if let Some((until, ending)) = found.filter(|(_, ending)| *ending > 0 || is_gang) {
                return Some(Candidate {
                    host: host.id,
                    until,
                    ending,
                    times,
                    is_whole,
                });
            }
            times /= 2;
        }
        None
    }

    /// Answers where the first job of a class stands on a host.
    fn stand_of(&self, class: usize, host: &Host) -> Option<super::plan::Stand> {
        let first = self.planner.first_of(class, 1).next();
        let first = first.and_then(|id| self.jobs.get(&id));
        first.map(|job| self.empties().stand(job, &host.traits))
    }

    /// Says whether nothing that a host could serve stands before a class there, what has hosts emptied for it left out.
    fn is_first_on(&self, class: usize, host: &Host) -> bool {
        let before = self
            .planner
            .standing_before(class, &host.traits, BEFORE_MAX);
        let waits_elsewhere = |other: usize| {
            let has = self.planner.kept().filter(|(_, it)| it.class == other);
            let has = has.count();
            has > 0
                && self
                    .wanted_by(other)
                    .is_some_and(|(_, wanted)| has >= wanted)
        };
        before.len() < BEFORE_MAX
            && !before
                .into_iter()
                .any(|it| self.could_serve(it, host) && !waits_elsewhere(it))
    }

    /// Says whether a host could serve a class, whatever it has given away.
    fn could_serve(&self, class: usize, host: &Host) -> bool {
        let demands = self.planner.demands(class);
        let asks = demands.asks.as_ref();
        let mut amounts = demands.amounts.iter();
        // One that gathers takes no host for itself alone.
        self.gathering(class).is_none()
            && host.slots_for(demands) >= demands.slots
            && amounts.all(|(name, amount)| host.total_of(name) >= *amount)
            && host.suits(demands)
            && host.has_place_for(demands)
            && is_admitted(&self.credentials, self.now, &demands.owner, host)
            && asks.is_none_or(|asks| asks.met_now(host, &self.jobs))
    }

    /// Says whether the share of a class has no more for its weight than another one that waits for the host: else it has had its turn, and
    /// no host is begun to be emptied for it. One that is goes on: what shares have moves with each start.
    fn has_its_turn(&self, class: usize, host: &Host) -> bool {
        let own = self.stand_of(class, host);
        let Some(own) = own.filter(|own| own.share != OUTSIDE) else {
            return true;
        };
        let mut looked_at = 0;
        let others = self
            .planner
            .of_other_shares(own, &host.traits, BEFORE_MAX, &mut looked_at);
        !others.iter().any(|(_, it)| self.could_serve(*it, host))
    }

    /// Empties another host instead of one that takes longer than that is known to take.
    fn move_to_earlier(&mut self, t: &mut Turn<'_>, class: usize, found: &Found) -> bool {
        let known = found.candidates.iter().find(|it| it.until.is_known);
        let Some(best) = known.copied() else {
            return false;
        };
        let own = self.planner.kept().filter(|(_, it)| it.class == class);
        let now = t.now.elapsed;
        let ends = |(id, emptied): (HostId, Emptied)| {
            let found = self.candidate(class, self.hosts.get(&id)?, emptied.is_whole);
            let at = match found.map(|it| it.until) {
                Some(until) if until.is_known || emptied.until.at < now => until.at,
                // A guess is no reason to give up what has become empty meanwhile.
                Some(_) => return None,
                None => emptied.until.at,
            };
            Some((at, id, emptied))
        };
        let latest = own.filter_map(ends).max_by_key(|(at, id, _)| (*at, *id));
        let Some((at, host, emptied)) = latest else {
            return false;
        };
        let left = |at: Duration| at.saturating_sub(now);
        let is_earlier = best.until.at + MOVE_LEAST < at && left(best.until.at) * 2 < left(at);
        let other = self.hosts.get(&best.host);
        if !is_earlier || !other.is_some_and(|other| self.is_first_on(class, other)) {
            return false;
        }
        self.end_emptying(t, host, emptied, "another one is empty earlier");
        self.empty(t, class, best);
        true
    }

    /// Empties as many of the hosts found as the class can use and the farm may spare, or has for those who stand behind. Says whether
    /// one was let go.
    fn empty_some(
        &mut self,
        t: &mut Turn<'_>,
        class: usize,
        found: &Found,
        room: &mut usize,
    ) -> bool {
        let Some((_, wanted)) = self.wanted_by(class) else {
            return false;
        };
        let has = self.planner.kept().filter(|(_, it)| it.class == class);
        // Half of those that would do are left to others.
        let spare = (found.fitting / 2).max(1).saturating_sub(found.kept);
        let more = wanted.saturating_sub(has.count()).min(spare);
        let candidates = found.candidates.iter();
        let free = candidates.filter(|it| self.planner.kept_on(it.host).is_none());
        let first = free.take(FIRST_MAX).filter(|it| {
            let host = self.hosts.get(&it.host);
            host.is_some_and(|host| self.is_first_on(class, host) && self.has_its_turn(class, host))
        });
        let chosen: Vec<Candidate> = first.take(more).copied().collect();
        let mut has_gone = false;
        for candidate in chosen {
            if *room > 0 {
                *room -= 1;
            } else if let Some((host, emptied)) = self.last_behind(class) {
                self.end_emptying(t, host, emptied, "one that stands before it needs a host");
                has_gone = true;
            } else {
                break;
            }
            self.empty(t, class, candidate);
        }
        has_gone
    }

    fn empty(&mut self, t: &mut Turn<'_>, class: usize, candidate: Candidate) {
        let Candidate {
            host: id,
            until,
            times,
            is_whole,
            ..
        } = candidate;
        let Some((job, _)) = self.wanted_by(class) else {
            return;
        };
        let emptied = Emptied {
            class,
            job,
            since: t.now.elapsed,
            until,
            times,
            is_whole,
        };
        self.planner.keep(id, emptied);
        let about = About {
            job: Some(job),
            ..About::host(id)
        };
        let text = self.emptied_text(id, emptied).unwrap_or_default();
        t.event(kind::HOST_RESERVED, about, text);
        let launches = self
            .hosts
            .get(&id)
            .map(|host| host.launches.keys().copied());
        let launches: Vec<LaunchKey> = launches.into_iter().flatten().collect();
        for key in launches {
            if !self.may_stay(key) {
                self.recall(t, key);
                self.settle(t, key.job);
            }
        }
    }
}

/// Says whether a host takes jobs of somebody, and their password is no obstacle.
fn is_admitted(
    credentials: &Credentials,
    now: Now,
    owner: &tessera_model::UserName,
    host: &Host,
) -> bool {
    let account = host.facts.identity.account_for(owner.as_str());
    let gate = credentials.gate(host, owner, now);
    host.facts.admits(owner.as_str())
        && !host.refuses(account)
        && !matches!(gate, super::Gate::Shut(_))
}
