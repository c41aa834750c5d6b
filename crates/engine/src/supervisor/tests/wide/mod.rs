//! Hosts that are emptied for wide jobs, on farms where what was ordered is carried out second by second.

mod bounds;
mod gangs;
mod guards;
mod judge;
mod whole;
pub(super) mod words;

use super::*;
use crate::supervisor::wide::WideJobs;
use std::collections::BTreeMap;

/// How long frames take, unless a test says otherwise.
const FRAME_SECONDS: u64 = 20;
/// The longest time from the start of a wait to the decision: what a job waits, two looks, and a second of the clock.
const DECIDED_SECONDS: u64 = 120 + 2 * 15 + 1;

/// A farm whose hosts do what they are told.
struct Farm {
    w: World,
    /// What runs, with when it is over (milliseconds).
    running: BTreeMap<(u8, LaunchKey), (Run, u64)>,
    /// Launches that were told to end.
    closing: Vec<(u8, LaunchKey)>,
    /// Seconds of a frame, by job.
    takes: BTreeMap<JobId, u64>,
    /// When the first instance of each job started (seconds), and on which host.
    started: BTreeMap<JobId, (u64, u8)>,
    /// All starts: when, of which job, where.
    starts: Vec<(u64, JobId, u8)>,
}

impl Farm {
    fn new(wide_jobs: WideJobs) -> Self {
        Self::with(Config {
            wide_jobs,
            ..Config::default()
        })
    }

    fn with(config: Config) -> Self {
        let mut w = World::new();
        // Nobody leaves for anybody, so that what is seen is the emptying alone.
        w.engine = Engine::new(Config {
            preempt_policy: PreemptPolicy::Disabled,
            ..config
        });
        // Once a second is enough for farms of many jobs.
        w.checks = false;
        Self {
            w,
            running: BTreeMap::new(),
            closing: Vec::new(),
            takes: BTreeMap::new(),
            started: BTreeMap::new(),
            starts: Vec::new(),
        }
    }

    fn now(&self) -> u64 {
        self.w.ms / 1000
    }

    /// Takes note of what workers were told.
    fn listen(&mut self) {
        for (host, message) in std::mem::take(&mut self.w.said) {
            let number = host.0[0];
            match message {
                ToWorker::Start { key, run, .. } => {
                    let now = self.now();
                    self.started.entry(key.job).or_insert((now, number));
                    self.starts.push((now, key.job, number));
                    self.begin(number, key, run);
                }
                ToWorker::Run { key, run } => self.begin(number, key, run),
                ToWorker::Close { key, .. } => self.closing.push((number, key)),
                _ => {}
            }
        }
    }

    fn begin(&mut self, host: u8, key: LaunchKey, run: Run) {
        let takes = self.takes.get(&key.job).copied();
        let ends = self.w.ms + 1000 * takes.unwrap_or(FRAME_SECONDS);
        assert!(
            self.running.insert((host, key), (run, ends)).is_none(),
            "{key} runs something else"
        );
    }

    /// Lets a second pass: what is over ends, what was told to end is gone.
    fn second(&mut self) {
        self.listen();
        self.w.wait(1);
        self.listen();
        for (host, key) in std::mem::take(&mut self.closing) {
            self.running.remove(&(host, key));
            self.w.gone(host, key);
            self.listen();
        }
        let now = self.w.ms;
        let over = self.running.iter().filter(|(_, (_, ends))| *ends <= now);
        let over: Vec<_> = over.map(|(whose, (run, _))| (*whose, *run)).collect();
        for ((host, key), run) in over {
            self.running.remove(&(host, key));
            let takes = self.takes.get(&key.job).copied().unwrap_or(FRAME_SECONDS);
            let mut end = ended(End::Exit(0));
            end.elapsed = Duration::from_secs(takes);
            self.w.report(host, Report::ItemEnded { key, run, end });
            self.listen();
        }
        assert_eq!(self.w.engine.faults(), Vec::<String>::new());
    }

    fn seconds(&mut self, seconds: u64) {
        (0..seconds).for_each(|_| self.second());
    }

    /// Lets time pass until a job has started; answers how long that took.
    fn until_started(&mut self, job: JobId, most: u64) -> Option<u64> {
        let from = self.now();
        for _ in 0..most {
            if let Some((at, _)) = self.started.get(&job) {
                return Some(at - from);
            }
            self.second();
        }
        None
    }

    /// Submits so many jobs of a slot, with so many instances and frames each.
    fn flood(&mut self, jobs: u32, cpus: u32, frames: u32) -> Vec<JobId> {
        let small = || JobSpec {
            cpus,
            ..spec(frames)
        };
        let ids = (0..jobs).map(|_| self.w.submit(small())).collect();
        self.listen();
        ids
    }

    fn submit(&mut self, spec: JobSpec) -> JobId {
        let job = self.w.submit(spec);
        self.listen();
        job
    }

    /// Submits a job that needs so many slots of a host.
    fn wide(&mut self, slots: u32) -> JobId {
        self.submit(wide(slots))
    }

    /// Answers the hosts that are being emptied.
    fn emptied(&self) -> Vec<u8> {
        let hosts = self.w.engine.hosts();
        let kept = hosts.filter(|host| self.w.engine.emptied_for(host.id).is_some());
        kept.map(|host| host.id.0[0]).collect()
    }

    /// Lets time pass until a host is being emptied, and answers which.
    #[track_caller]
    fn until_emptied(&mut self) -> u8 {
        for _ in 0..DECIDED_SECONDS {
            if let Some(host) = self.emptied().first() {
                return *host;
            }
            self.second();
        }
        panic!("no host is emptied");
    }
}

fn wide(slots: u32) -> JobSpec {
    let mut wide = spec(1);
    wide.reservation.slots = slots;
    wide
}

fn off() -> WideJobs {
    WideJobs {
        hosts_percent: 0,
        ..WideJobs::default()
    }
}

/// A farm of so many hosts of four slots, full of jobs of one frame that stand behind a wide one.
fn flooded(hosts: u8, wide_jobs: WideJobs) -> (Farm, JobId) {
    flooded_behind(hosts, wide_jobs, |farm| farm.wide(4))
}

/// The same behind any job.
fn flooded_behind(
    hosts: u8,
    wide_jobs: WideJobs,
    submit: impl FnOnce(&mut Farm) -> JobId,
) -> (Farm, JobId) {
    let mut farm = Farm::new(wide_jobs);
    for number in 1..=hosts {
        farm.w.connect(number, 4);
    }
    // Their ends come one by one.
    for n in 0..u64::from(hosts) * 4 {
        let job = JobId(farm.w.engine.next_job());
        farm.takes.insert(job, 5 + n * 7 % FRAME_SECONDS);
        farm.flood(1, 1, 1);
    }
    let job = submit(&mut farm);
    farm.flood(u32::from(hosts) * 120, 1, 1);
    (farm, job)
}
