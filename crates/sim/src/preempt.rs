//! Who leaves for whom: flags at random, and the judge of it. The judge reads what is told and what jobs say of themselves; of how the
//! engine chooses it knows nothing.

use crate::client::principal;
use crate::host::Host;
use crate::rng::Rng;
use crate::share;
use crate::tally::Tally;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tessera_engine::supervisor::{
    Change, Engine, Event, Launch, MADE_PER_TURN_MAX, Output, Phase, PreemptPolicy, REST,
    Submission, kind,
};
use tessera_model::{ClusterPath, HostId, InstanceNo, JobFlag, JobId, JobSpec};

type Instance = (JobId, InstanceNo);

/// Makes some jobs such that nobody may preempt, and few such that come before all.
pub(crate) fn make_flags(rng: &mut Rng, submission: &mut Submission) {
    if rng.chance(15) {
        submission.spec.flags.insert(JobFlag::Uninterruptible);
    }
    if rng.chance(10) {
        submission.spec.flags.insert(JobFlag::Elite);
        submission.by = principal(true);
    }
}

/// Watches who leaves.
#[derive(Debug, Default)]
pub struct Judge {
    /// Who has left and not started again since.
    left: BTreeSet<Instance>,
    /// When who had left started again.
    again: BTreeMap<Instance, Duration>,
    /// Whose room is being made on a host, and who left for it.
    rooms: BTreeMap<(HostId, JobId), BTreeSet<Instance>>,
}

impl Judge {
    /// The supervisor's process begins: it remembers nothing of what it was about.
    pub fn restarted(&mut self) {
        *self = Self::default();
    }

    /// The supervisor has handled an input.
    ///
    /// # Errors
    /// When somebody left who need not, or has again what was taken from it.
    pub fn handled(
        &mut self,
        tally: &mut Tally,
        hosts: &[Host],
        policy: PreemptPolicy,
        now: Duration,
        (engine, output): (&Engine, &Output),
    ) -> Result<(), String> {
        let mut victim: Option<(Instance, bool)> = None;
        let (mut count, mut back) = (0, Vec::new());
        // What is secondary is judged elsewhere.
        let mut is_secondary = false;
        for change in &output.changes {
            let event = match change {
                Change::Instance(job, no) => {
                    self.forget_ended(engine, (*job, *no));
                    continue;
                }
                Change::Event(event) => event,
                _ => continue,
            };
            match event.kind {
                kind::INSTANCE_PREEMPTED => {
                    count += 1;
                    is_secondary = share::is_of_secondary(event);
                    victim = instance_of(event).map(|it| (it, event.text.contains("is ended")));
                }
                kind::JOB_PREEMPTS if event.text.starts_with("gives up") => {
                    if let (Some(host), Some(job)) = (event.host, event.job) {
                        self.rooms.remove(&(host, job));
                    }
                }
                kind::JOB_PREEMPTS if is_secondary => is_secondary = false,
                kind::JOB_PREEMPTS => {
                    let (Some((who, at_once)), Some(host), Some(job)) =
                        (victim.take(), event.host, event.job)
                    else {
                        return Err(format!("nobody leaves, and it is told: {}", event.text));
                    };
                    self.preempted(engine, hosts, (policy, at_once), now, (who, host, job))?;
                    let elite = engine.job(job).is_some_and(|job| is_elite(&job.spec));
                    tally.add(match (elite, at_once) {
                        (true, _) => "seen: preempted by an elite job",
                        (false, true) => "seen: preempted at once",
                        (false, false) => "seen: preempted at the end of an item",
                    });
                }
                kind::INSTANCE_SPARED => {
                    tally.add("seen: somebody need not leave after all");
                    if let Some(who) = instance_of(event) {
                        self.left.remove(&who);
                    }
                }
                kind::INSTANCE_ASSIGNED => back.extend(self.assigned(tally, now, event)),
                _ => {}
            }
        }
        for (who, host, job) in back {
            self.beside(engine, hosts, (who, host, job))?;
        }
        // The last one may need several at once.
        let most = MADE_PER_TURN_MAX + hosts.iter().map(|it| it.slots as usize).sum::<usize>();
        if count > most {
            return Err(format!("{count} were preempted in one turn"));
        }
        Ok(())
    }

    /// What has ended and is retried begins anew: it may be preempted like anything else.
    fn forget_ended(&mut self, engine: &Engine, who: Instance) {
        let instance = engine.job(who.0).and_then(|job| job.instance(who.1));
        if instance.is_some_and(|it| it.status.kind().is_ended()) {
            self.left.remove(&who);
            self.again.remove(&who);
        }
    }

    fn preempted(
        &mut self,
        engine: &Engine,
        hosts: &[Host],
        (policy, at_once): (PreemptPolicy, bool),
        now: Duration,
        (who, host, job): (Instance, HostId, JobId),
    ) -> Result<(), String> {
        let pair = engine.job(who.0).zip(engine.job(job));
        let (Some((victim, other)), Some(at)) = (pair, hosts.iter().find(|it| it.id == host))
        else {
            return Err(format!(
                "{who:?} leaves {host} for {job}, and one is not there"
            ));
        };
        let has_shares = !engine.shares().is_empty();
        let standing = |spec: &JobSpec| standing(at, spec, has_shares);
        let (of_victim, of_other) = (standing(&victim.spec), standing(&other.spec));
        if of_victim <= of_other {
            return Err(format!(
                "{who:?} ({of_victim:?}) leaves {} for job {job} ({of_other:?})",
                at.name
            ));
        }
        let flags = &victim.spec.flags;
        if flags.contains(&JobFlag::Uninterruptible) || flags.contains(&JobFlag::Elite) {
            return Err(format!("{who:?} leaves, and its job is {flags:?}"));
        }
        let may = match policy {
            PreemptPolicy::Disabled => false,
            PreemptPolicy::Passive => at_once == is_elite(&other.spec),
            PreemptPolicy::Aggressive => at_once,
        };
        if !may {
            return Err(format!(
                "{who:?} leaves at once ({at_once}), the policy is {policy:?}"
            ));
        }
        let since = self.again.get(&who).map(|since| now.saturating_sub(*since));
        if self.left.contains(&who) || since.is_some_and(|since| since < REST) {
            return Err(format!("{who:?} is preempted again after {since:?}"));
        }
        self.left.insert(who);
        self.again.remove(&who);
        let room = self.rooms.entry((host, job)).or_default();
        room.insert(who);
        Ok(())
    }

    /// An instance was given a host. Answers for whom it had left that host, if that one has not started there.
    fn assigned(
        &mut self,
        tally: &mut Tally,
        now: Duration,
        event: &Event,
    ) -> Option<(Instance, HostId, JobId)> {
        let (who, host) = instance_of(event).zip(event.host)?;
        if self.rooms.remove(&(host, who.0)).is_some() {
            tally.add("seen: room went to whom it was made for");
        }
        if self.left.remove(&who) {
            tally.add("seen: preempted work goes on");
            self.again.insert(who, now);
        }
        let mut rooms = self.rooms.iter();
        let room = rooms.find(|((at, _), gone)| *at == host && gone.contains(&who));
        room.map(|((_, job), _)| (who, host, *job))
    }

    /// Who had left is back: there must be room beside it for whom it had left.
    fn beside(
        &self,
        engine: &Engine,
        hosts: &[Host],
        (who, host, job): (Instance, HostId, JobId),
    ) -> Result<(), String> {
        let at = hosts.iter().find(|it| it.id == host);
        let is_open = self.rooms.contains_key(&(host, job));
        let (Some(at), Some(job)) = (at, engine.job(job).filter(|_| is_open)) else {
            return Ok(());
        };
        let stays = |launch: &&Launch| launch.host == host && launch.phase == Phase::Open;
        let (mut slots, mut memory) = (0, 0);
        for launch in engine.launches().filter(stays) {
            slots += launch.taken.slots;
            memory += launch.taken.memory().unwrap_or(0);
        }
        let wants = &job.spec.reservation;
        slots += match wants.is_whole_host() {
            true => at.slots,
            false => wants.slots,
        };
        memory += wants.memory().unwrap_or(0);
        if slots > at.slots || memory > at.memory {
            return Err(format!(
                "{who:?} is back on {} where it left for job {}, which has no room there",
                at.name, job.id
            ));
        }
        Ok(())
    }
}

fn instance_of(event: &Event) -> Option<Instance> {
    event.job.zip(event.instance)
}

fn is_elite(spec: &JobSpec) -> bool {
    spec.flags.contains(&JobFlag::Elite)
}

/// Answers where a job stands on a host: the less, the sooner it is served.
fn standing(host: &Host, spec: &JobSpec, has_shares: bool) -> (usize, u32) {
    if is_elite(spec) {
        return (0, 0);
    }
    let cluster: ClusterPath = host.cluster().parse().unwrap_or_default();
    if has_shares && cluster.depth() == 0 {
        return (1, spec.priority);
    }
    (spec.cluster.distance(&cluster), spec.priority)
}
