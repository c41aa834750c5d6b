//! Why one item does not run.

use super::{Kind, Reason};
use crate::supervisor::{Engine, Job, Launch};
use tessera_model::msg::Run;
use tessera_model::{HostState, ItemIndex, ItemStatus, JobId, JobKind};

impl Kind {
    /// Says whether it is about a job's other items, which is no answer for one of them that may start.
    fn is_of_others(self) -> bool {
        matches!(
            self,
            Self::Running
                | Self::Unreachable
                | Self::Blocked
                | Self::Suspended
                | Self::WaitsInVain
                | Self::WaitsForJobs
                | Self::RetryDelay
                | Self::Ending
        )
    }
}

impl Engine {
    /// Answers why an item does not run, or how it stands with it; the first reason is the one that matters most. Nothing when the job
    /// or the item is not there.
    #[must_use]
    pub fn why_item(&self, id: JobId, item: ItemIndex) -> Option<Vec<Reason>> {
        let job = self.jobs.get(&id).filter(|job| item.0 < job.items.len())?;
        let core = job.items.get(item);
        let name = named(job, item);
        let one =
            |kind, text: String, hint: Option<String>| vec![Reason::plain(kind, 1, text, hint)];
        Some(match core.status {
            status @ (ItemStatus::Complete | ItemStatus::Failed | ItemStatus::Killed) => {
                let is_bad = status != ItemStatus::Complete;
                let hint = is_bad.then(|| format!("tessera retry {name}"));
                one(Kind::Ended, format!("it is over: {status}"), hint)
            }
            ItemStatus::Running | ItemStatus::Suspended => {
                let attempt = core.attempt;
                vec![self.why_active(job, Run { item, attempt }, core.status)]
            }
            ItemStatus::Blocked => {
                let hint = format!("tessera unblock {name}");
                one(Kind::Blocked, "it is blocked".to_owned(), Some(hint))
            }
            ItemStatus::Waiting => {
                let delay = job.spec.retrywork_delay.as_secs();
                let text =
                    format!("it failed and waits {delay}s before its next try (retryworkdelay)");
                one(Kind::RetryDelay, text, None)
            }
            ItemStatus::Pending if job.items.is_held(item) => {
                let text = "it starts again when its ended processes are gone from their host";
                one(Kind::Ending, text.to_owned(), None)
            }
            ItemStatus::Pending if job.items.is_shut(item) => {
                let mut reasons = Vec::new();
                self.why_waits(job, &mut reasons);
                reasons
            }
            ItemStatus::Pending => self.why_ready(job, core.growth > 0),
        })
    }

    /// Nothing of the item's own keeps it: answers why no more of its job is begun.
    fn why_ready(&self, job: &Job, is_grown: bool) -> Vec<Reason> {
        let mut reasons = self.why(job.id).unwrap_or_default();
        reasons.retain(|it| !it.kind.is_of_others());
        reasons.retain(|it| is_grown || it.kind != Kind::OutOfMemory);
        reasons
    }

    /// Answers where an item is that runs or is stopped.
    fn why_active(&self, job: &Job, run: Run, status: ItemStatus) -> Reason {
        let mut launches = self.launches_of(job.id);
        let has = |launch: &Launch| launch.runs().any(|it| it == run);
        let launch = launches.find(|launch| has(launch));
        let host = launch.and_then(|launch| self.hosts.get(&launch.host));
        let name = host.map_or("a host that is gone", |host| &*host.facts.name);
        let is_away =
            host.is_none_or(|host| matches!(host.state, HostState::Away | HostState::Down));
        let is_ahead = launch.is_some_and(|launch| launch.current != Some(run));
        let (kind, text, hint) = if is_ahead {
            let text = format!("it begins right after the frame that runs on {name}");
            (Kind::AllItemsTaken, text, None)
        } else if status == ItemStatus::Suspended {
            let hint = format!("tessera resume {}", job.id);
            (
                Kind::Suspended,
                format!("it is suspended on {name}"),
                Some(hint),
            )
        } else if is_away {
            let text = format!("it was begun on {name}, whose worker is not connected");
            let hint = format!(
                "start its worker; tessera why {} says what becomes of it",
                job.id
            );
            (Kind::Unreachable, text, Some(hint))
        } else {
            (Kind::Running, format!("it is running on {name}"), None)
        };
        Reason {
            hosts: host
                .map(|host| host.facts.name.clone())
                .into_iter()
                .collect(),
            ..Reason::plain(kind, 1, text, hint)
        }
    }
}

/// Prints an item as a target of a command.
fn named(job: &Job, item: ItemIndex) -> String {
    match &job.spec.kind {
        JobKind::CmdRange(_) => format!("{}:{}", job.id, job.spec.item_name(item)),
        JobKind::CmdLine => format!("{}#{}", job.id, u64::from(item.0) + 1),
    }
}
