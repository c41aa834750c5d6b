//! Random farms, and a judge of them that knows nothing of how the engine estimates: frames take just as long as their jobs say, so a host
//! that is reserved until a known time has to have room by then, whatever was let in meanwhile; and what waits starts.

use super::*;
use tessera_model::reservation::MEMORY;

/// A small generator of numbers; the same seed, the same farm.
struct Chance(u64);

impl Chance {
    fn below(&mut self, most: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % most
    }

    fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high - low + 1)
    }
}

/// What was seen over all seeds: each must have happened.
#[derive(Debug, Default)]
struct Seen {
    kept_until_known: u32,
    kept_until_guessed: u32,
    let_in: u32,
}

struct Judge {
    farm: Farm,
    chance: Chance,
    wide: Vec<JobId>,
    /// Hosts that were reserved, with for whom and until when (seconds; nothing when guessed).
    kept: BTreeMap<u8, (JobId, Option<u64>)>,
    looked: usize,
}

/// How much later than said a host may have room: an end is heard of, its instance is told to end, and is gone.
const LATE_SECONDS: u64 = 5;

impl Judge {
    fn new(seed: u64) -> Self {
        let mut chance = Chance(seed);
        let mut farm = Farm::new(WideJobs::default());
        for number in 1..=u8::try_from(chance.between(1, 4)).expect("few") {
            let slots = u32::try_from(chance.between(3, 8)).expect("few");
            let memory = 4 * u64::from(slots);
            farm.w
                .connect_with(number, slots, Identity::User, &[(MEMORY, memory)]);
            farm.w.say(number, FromWorker::Inventory(Vec::new()));
        }
        Self {
            farm,
            chance,
            wide: Vec::new(),
            kept: BTreeMap::new(),
            looked: 0,
        }
    }

    /// Submits a job that is not wide; half of them say how long their frames take, the others show it.
    fn small(&mut self) {
        let chance = &mut self.chance;
        let takes = chance.between(3, 60);
        let frames = u32::try_from(chance.between(1, 30)).expect("few");
        let mut small = JobSpec {
            cpus: u32::try_from(chance.between(1, 4)).expect("few"),
            grace: Duration::ZERO,
            ..spec(frames)
        };
        if chance.below(4) == 0 {
            small.reservation.slots = 2;
        }
        if chance.below(3) == 0 {
            let memory = chance.between(1, 6);
            small.reservation.amounts.insert(MEMORY.to_owned(), memory);
        }
        if chance.below(2) == 0 {
            small.agendatimelimit = Some(Duration::from_secs(takes));
        }
        let job = JobId(self.farm.w.engine.next_job());
        self.farm.takes.insert(job, takes);
        assert_eq!(self.farm.submit(small), job);
    }

    /// Submits one that needs most of a host.
    fn wide(&mut self) {
        let hosts = self.farm.w.engine.hosts().map(|host| host.facts.slots);
        let most = hosts.max().expect("some");
        let mut wide = JobSpec {
            // Before all others, so that nothing may take its host from it.
            priority: u32::try_from(self.wide.len() + 1).expect("few"),
            agendatimelimit: Some(Duration::from_secs(30)),
            grace: Duration::ZERO,
            // Of a kind of its own.
            omithosts: ["elsewhere".to_owned()].into(),
            ..spec(1)
        };
        if self.chance.below(3) == 0 {
            let memory = self
                .chance
                .between(3 * u64::from(most), 4 * u64::from(most));
            wide.reservation.amounts.insert(MEMORY.to_owned(), memory);
        } else {
            let slots = self
                .chance
                .between(u64::from(most).div_ceil(2).max(2), u64::from(most));
            wide.reservation.slots = u32::try_from(slots).expect("few");
        }
        let job = JobId(self.farm.w.engine.next_job());
        self.farm.takes.insert(job, 30);
        self.wide.push(job);
        assert_eq!(self.farm.submit(wide), job);
    }

    /// Keeps more waiting than the farm has slots.
    fn second(&mut self, seen: &mut Seen) {
        let jobs = self.farm.w.engine.jobs();
        let ready: u64 = jobs.map(|job| job.items().ready()).sum();
        if ready < 200 {
            self.small();
        }
        self.farm.second();
        let started = self.farm.starts.iter().skip(self.looked);
        for (_, job, host) in started {
            let whom = self.kept.get(host).map(|(whom, _)| *whom);
            let is_other = whom.is_some_and(|whom| whom != *job && self.wide.contains(&whom));
            seen.let_in += u32::from(is_other);
        }
        self.looked = self.farm.starts.len();
        self.look(seen);
    }

    fn look(&mut self, seen: &mut Seen) {
        let now = self.farm.now();
        let engine = &self.farm.w.engine;
        let mut kept = BTreeMap::new();
        for host in engine.hosts() {
            let Some(emptied) = engine.emptied_for(host.id) else {
                continue;
            };
            let number = host.id.0[0];
            let until = emptied
                .is_known
                .then_some(emptied.until.0.unsigned_abs() / 1000);
            // What is for one of those that nothing stands before.
            let is_first = self.wide.contains(&emptied.job);
            if is_first && !self.kept.contains_key(&number) {
                match until {
                    Some(_) => seen.kept_until_known += 1,
                    None => seen.kept_until_guessed += 1,
                }
            }
            if let Some(until) = until.filter(|_| is_first) {
                assert!(
                    now <= until + LATE_SECONDS,
                    "{} was reserved for job {} until {until}, and has no room at {now}: {:?}",
                    host.facts.name,
                    emptied.job,
                    host.launches()
                );
            }
            kept.insert(number, (emptied.job, until));
        }
        self.kept = kept;
    }
}

#[test]
fn hosts_have_room_when_they_were_said_to_and_every_wide_job_starts() {
    let mut seen = Seen::default();
    for seed in 1..=40 {
        let mut judge = Judge::new(seed);
        (0..20).for_each(|_| judge.small());
        (0..60).for_each(|_| judge.second(&mut seen));
        for _ in 0..3 {
            judge.wide();
            let job = *judge.wide.last().expect("one");
            let from = judge.farm.now();
            while !judge.farm.started.contains_key(&job) {
                judge.second(&mut seen);
                let waited = judge.farm.now() - from;
                let bound = DECIDED_SECONDS + 60 + LATE_SECONDS;
                assert!(waited <= bound, "seed {seed}: job {job} waits {waited} s");
            }
        }
    }
    let Seen {
        kept_until_known,
        kept_until_guessed,
        let_in,
    } = seen;
    assert!(
        kept_until_known > 0 && kept_until_guessed > 0 && let_in > 0,
        "{kept_until_known} known, {kept_until_guessed} guessed, {let_in} let in"
    );
}
