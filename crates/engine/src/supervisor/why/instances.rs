//! What the instances of a job do, and what became of those that have ended.

use super::{Kind, Reason};
use crate::supervisor::report::{COMMAND_FAILED, OVER_TIMELIMIT};
use crate::supervisor::{Engine, Host, Instance, Job, Launch, OnHostLost};
use std::collections::{BTreeMap, BTreeSet};
use tessera_model::{HostState, InstanceStatus, ItemStatus, JobId, WorkStatus};

/// Hosts named in a reason, at most.
const HOSTS_MAX: usize = 8;

impl Engine {
    /// Counts the items of a job that were given ahead: those are running in its counts, and do not run yet.
    #[must_use]
    pub fn given_ahead(&self, id: JobId) -> u32 {
        let launches = self.launches_of(id);
        let runs = launches.flat_map(|launch| &launch.ahead);
        let ahead = runs.filter(|run| self.is_current(id, **run)).count();
        u32::try_from(ahead).unwrap_or(u32::MAX)
    }

    /// Says how many items run, and of which nothing is heard.
    pub(super) fn why_running(&self, job: &Job, reasons: &mut Vec<Reason>) {
        reasons.extend(self.why_unreachable(job));
        let ahead = self.given_ahead(job.id);
        let running = job.items.count(ItemStatus::Running).saturating_sub(ahead);
        if running > 0 {
            let next = match ahead {
                0 => String::new(),
                n => format!(", and {n} begin right after them"),
            };
            let text = format!("{running} items are running{next}");
            reasons.push(Reason::plain(Kind::Running, running, text, None));
        }
    }

    /// Answers how many items run, or did, on hosts whose workers are not connected.
    fn why_unreachable(&self, job: &Job) -> Option<Reason> {
        let mut hosts: Vec<&Host> = Vec::new();
        let mut items = 0_u32;
        let away = |launch: &Launch| {
            let host = self.hosts.get(&launch.host)?;
            matches!(host.state, HostState::Away | HostState::Down).then_some(host)
        };
        for launch in self.launches_of(job.id) {
            let (Some(host), Some(run)) = (away(launch), launch.current) else {
                continue;
            };
            if self.is_current(job.id, run) {
                items += 1;
                hosts.push(host);
            }
        }
        let first = hosts.first()?;
        let timeout = self.config.worker_lost_timeout;
        let names: BTreeSet<&str> = hosts.iter().map(|it| it.facts.name.as_str()).collect();
        let count = names.len();
        let where_to = match count {
            1 => format!("{}, whose worker is", first.facts.name),
            n => format!("{n} hosts whose workers are"),
        };
        let then = match (&first.state, self.config.on_host_lost) {
            (HostState::Down, _) => "held until it is back (on_host_lost = hold)".to_owned(),
            (_, OnHostLost::Hold) => "held until it is back, however long that takes".to_owned(),
            (_, OnHostLost::Requeue) => {
                let left = (first.away_since + timeout).saturating_sub(self.now.elapsed);
                format!("put back in {}s unless it comes again", left.as_secs())
            }
        };
        let text = format!(
            "{items} items were begun on {where_to} not connected: what runs there goes on, and is {then}"
        );
        let remove = format!("tessera host remove {}", first.facts.name);
        let hint = format!(
            "start its worker; or, if it is gone for good, {remove} puts its work back at once"
        );
        let named = names.into_iter().take(HOSTS_MAX).map(str::to_owned);
        Some(Reason {
            hosts: named.collect(),
            ..Reason::plain(Kind::Unreachable, items, text, Some(hint))
        })
    }

    /// Answers why a job failed when that is no matter of its frames: what its instances failed of.
    #[must_use]
    pub fn why_failed(&self, job: &Job) -> Option<String> {
        self.why_instances_failed(job).map(|it| it.text)
    }

    /// Answers why instances failed, for the reason that most of them have. Of those whose command failed the frames tell more.
    pub(super) fn why_instances_failed(&self, job: &Job) -> Option<Reason> {
        let id = job.id;
        let all = job.instances().iter().take(job.spec.instances() as usize);
        let failed = all.filter(|it| it.status == InstanceStatus::Failed);
        let mut by_reason: BTreeMap<&str, Vec<&Instance>> = BTreeMap::new();
        for instance in failed {
            if let Some(why) = instance
                .failure
                .as_deref()
                .filter(|it| *it != COMMAND_FAILED)
            {
                by_reason.entry(why).or_default().push(instance);
            }
        }
        let (why, of) = by_reason.into_iter().max_by_key(|(_, of)| of.len())?;
        let first = of.first()?;
        let named = of.iter().filter_map(|it| self.hosts.get(&it.last_host?));
        let named: BTreeSet<&str> = named.map(|host| host.facts.name.as_str()).collect();
        let all = job.spec.instances();
        let text = match all {
            1 => format!("its instance failed: {why}"),
            _ => format!(
                "{} of {all} instances failed: {why}; for instance {id}.{}",
                of.len(),
                first.no
            ),
        };
        let more = match why {
            OVER_TIMELIMIT => {
                format!("tessera modify {id} --timelimit … gives them more time, then ")
            }
            _ => String::new(),
        };
        let count = u32::try_from(of.len()).unwrap_or(u32::MAX);
        Some(Reason {
            hosts: named
                .into_iter()
                .take(HOSTS_MAX)
                .map(str::to_owned)
                .collect(),
            ..Reason::plain(
                Kind::InstanceFailed,
                count,
                text,
                Some(format!("{more}tessera retry {id}")),
            )
        })
    }

    /// There is nothing to place: say what the instances do instead.
    pub(super) fn why_instances(&self, job: &Job, reasons: &mut Vec<Reason>) {
        let id = job.id;
        for instance in job.instances() {
            match &instance.status {
                InstanceStatus::Badlogin(refusal) => {
                    let n = job.instances_in(WorkStatus::Badlogin);
                    let text = format!("no host would run it as {}: {}", job.owner, refusal.text);
                    let hint = if refusal.code.starts_with("credential_") {
                        "a good registered password lets it go by itself"
                    } else if job.owner.as_str() == "root" {
                        "no host runs jobs as root: submit it as another user"
                    } else {
                        "fix the account or the host's policy; it is tried again by itself"
                    };
                    let hint = hint.to_owned();
                    let count = u32::try_from(n).unwrap_or(u32::MAX);
                    reasons.push(Reason::plain(Kind::AccountRefused, count, text, Some(hint)));
                    break;
                }
                InstanceStatus::Waiting { reason, .. } => {
                    let text = format!(
                        "instance {id}.{} is started again shortly: {reason}",
                        instance.no
                    );
                    reasons.push(Reason::plain(Kind::Pause, 1, text, None));
                    break;
                }
                InstanceStatus::Pending
                | InstanceStatus::Blocked
                | InstanceStatus::Running { .. }
                | InstanceStatus::Suspended { .. }
                | InstanceStatus::Complete
                | InstanceStatus::Failed
                | InstanceStatus::Killed => {}
            }
        }
        let left = job.items.ready();
        let is_explained = self.why_blamed(job).is_some()
            || reasons
                .iter()
                .any(|r| matches!(r.kind, Kind::AccountRefused | Kind::Pause | Kind::Suspended));
        if left > 0 && !is_explained && job.instances_in(WorkStatus::Pending) == 0 {
            let n = job.spec.cpus.max(job.spec.instances());
            let blocked = job.instances_in(WorkStatus::Blocked);
            if blocked > 0 && job.instances_in(WorkStatus::Running) == 0 {
                let count = u32::try_from(blocked).unwrap_or(u32::MAX);
                let text = format!("{blocked} of its {n} instances are blocked");
                let hint = Some(format!("tessera unblock {id}"));
                reasons.push(Reason::plain(Kind::Blocked, count, text, hint));
                return;
            }
            let text = format!(
                "{left} items wait for its {n} instances, which are all busy, blocked or ended"
            );
            let hint = format!(
                "tessera modify {id} --cpus {} gives it one more",
                n.saturating_add(1)
            );
            reasons.push(Reason::plain(Kind::AllItemsTaken, n, text, Some(hint)));
        }
    }
}
