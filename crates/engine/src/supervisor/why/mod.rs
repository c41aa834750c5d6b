//! Why work waits: for a job the first reason of each kind with the hosts it is about, and what would change it.

mod ahead;
mod grows;
mod holders;
mod host;
mod hosts;
mod instances;
mod item;
mod limits;

use super::credential::Gate;
use super::items::Size;
use super::modes::Mode;
use super::plan::Demands;
use super::{Engine, Host, Job};
use host::{lacks, why_closed, why_only_gpus, why_unavailable};
use tessera_model::reservation::MEMORY;
use tessera_model::{HostId, ItemStatus, JobId, JobSpec, UserName, WorkStatus};

use host::IN_ITS_TURN;

pub use host::quantity;

/// What kind of reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the words say it")]
pub enum Kind {
    Ended,
    InstanceFailed,
    Running,
    Secondary,
    Unreachable,
    Blocked,
    Suspended,
    WaitsInVain,
    WaitsForJobs,
    RetryDelay,
    OutOfMemory,
    Pause,
    AllItemsTaken,
    Stopped,
    UserLimit,
    GroupLimit,
    HostLimit,
    StartRate,
    Ending,
    NoHosts,
    NotAmongHosts,
    Omitted,
    NotInGroups,
    OmittedGroup,
    NotInCluster,
    Requirements,
    HostRestricted,
    HostDown,
    HostPanic,
    HostLocked,
    HostAway,
    OtherDesktop,
    AccountRefused,
    CredentialCheck,
    Migrated,
    RanThere,
    Wrangled,
    Full,
    NotIdle,
    Reserved,
    GpuSlots,
    TooSmall,
    BehindJobs,
    Share,
    Preempting,
    CouldPreempt,
    ResourceUnknown,
    ResourceTooSmall,
    ResourceInUse,
    Grid,
    Emptied,
    ReservedForJob,
}

impl Kind {
    /// All of them. Each has a scene in the tests: that the answer is right, and that following it lets the job run.
    pub const ALL: [Self; 52] = [
        Self::Ended,
        Self::InstanceFailed,
        Self::Running,
        Self::Secondary,
        Self::Unreachable,
        Self::Blocked,
        Self::Suspended,
        Self::WaitsInVain,
        Self::WaitsForJobs,
        Self::RetryDelay,
        Self::OutOfMemory,
        Self::Pause,
        Self::AllItemsTaken,
        Self::Stopped,
        Self::UserLimit,
        Self::GroupLimit,
        Self::HostLimit,
        Self::StartRate,
        Self::Ending,
        Self::NoHosts,
        Self::NotAmongHosts,
        Self::Omitted,
        Self::NotInGroups,
        Self::OmittedGroup,
        Self::NotInCluster,
        Self::Requirements,
        Self::HostRestricted,
        Self::HostDown,
        Self::HostPanic,
        Self::HostLocked,
        Self::HostAway,
        Self::OtherDesktop,
        Self::AccountRefused,
        Self::CredentialCheck,
        Self::Migrated,
        Self::RanThere,
        Self::Wrangled,
        Self::Full,
        Self::NotIdle,
        Self::Reserved,
        Self::GpuSlots,
        Self::TooSmall,
        Self::BehindJobs,
        Self::Share,
        Self::Preempting,
        Self::CouldPreempt,
        Self::ResourceUnknown,
        Self::ResourceTooSmall,
        Self::ResourceInUse,
        Self::Grid,
        Self::Emptied,
        Self::ReservedForJob,
    ];

    /// Answers the stable word of it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Ended => "ended",
            Self::InstanceFailed => "instance_failed",
            Self::Running => "running",
            Self::Secondary => "secondary",
            Self::Unreachable => "unreachable",
            Self::Blocked => "blocked",
            Self::Suspended => "suspended",
            Self::WaitsInVain => "waits_in_vain",
            Self::WaitsForJobs => "waits_for_jobs",
            Self::RetryDelay => "retry_delay",
            Self::OutOfMemory => "out_of_memory",
            Self::Pause => "pause",
            Self::AllItemsTaken => "all_items_taken",
            Self::Stopped => "stop_activity",
            Self::UserLimit => "user_limit",
            Self::GroupLimit => "pgrp_limit",
            Self::HostLimit => "per_host",
            Self::StartRate => "start_rate",
            Self::Ending => "ending",
            Self::NoHosts => "no_hosts",
            Self::NotAmongHosts => "not_among_hosts",
            Self::Omitted => "omitted",
            Self::NotInGroups => "not_in_groups",
            Self::OmittedGroup => "omitted_group",
            Self::NotInCluster => "not_in_cluster",
            Self::Requirements => "requirements",
            Self::HostRestricted => "host_restricted",
            Self::HostDown => "host_down",
            Self::HostPanic => "host_panic",
            Self::HostLocked => "host_locked",
            Self::HostAway => "host_away",
            Self::OtherDesktop => "other_desktop",
            Self::AccountRefused => "account_refused",
            Self::CredentialCheck => "credential_check",
            Self::Migrated => "migrated",
            Self::RanThere => "ran_there",
            Self::Wrangled => "wrangled",
            Self::Full => "full",
            Self::NotIdle => "not_idle",
            Self::Reserved => "reserved",
            Self::GpuSlots => "gpu_slots",
            Self::TooSmall => "too_small",
            Self::BehindJobs => "behind_jobs",
            Self::Share => "share",
            Self::Preempting => "preempting",
            Self::CouldPreempt => "could_preempt",
            Self::ResourceUnknown => "resource_unknown",
            Self::ResourceTooSmall => "resource_too_small",
            Self::ResourceInUse => "resource_in_use",
            Self::Grid => "grid",
            Self::Emptied => "emptied",
            Self::ReservedForJob => "reserved_for_job",
        }
    }
}

/// One reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// What kind.
    pub kind: Kind,
    /// How many hosts, items or jobs it is about.
    pub count: u32,
    /// Names of hosts that it is about, the first few.
    pub hosts: Vec<String>,
    /// A sentence.
    pub text: String,
    /// What would change it, if something of the reader's would.
    pub hint: Option<String>,
}

impl Reason {
    pub(super) fn plain(kind: Kind, count: u32, text: String, hint: Option<String>) -> Self {
        Self {
            kind,
            count,
            hosts: Vec::new(),
            text,
            hint,
        }
    }
}

impl Engine {
    /// Answers why nothing more of a job runs now; the first reason is the one that matters most.
    #[must_use]
    pub fn why(&self, id: JobId) -> Option<Vec<Reason>> {
        let job = self.jobs.get(&id)?;
        let mut reasons = Vec::new();
        if job.status.is_ended() {
            let hint = (job.status != WorkStatus::Complete).then(|| format!("tessera retry {id}"));
            reasons.extend(self.why_instances_failed(job));
            reasons.push(Reason::plain(
                Kind::Ended,
                1,
                format!("the job is over: {}", job.status),
                hint,
            ));
            return Some(reasons);
        }
        reasons.extend(self.why_job_at_fault(job));
        self.why_items(job, &mut reasons);
        reasons.extend(self.why_grows(job));
        reasons.extend(self.why_instances_failed(job));
        if job.next_instance().is_some() && self.may_have_next(job) {
            let stopped = self.why_stopped();
            let held = match stopped {
                Some(stopped) => vec![stopped],
                None => self.why_limits(job),
            };
            let is_held = !held.is_empty();
            reasons.extend(held);
            let gang = self.why_gang(job).filter(|_| !is_held);
            let is_gang = gang.is_some();
            reasons.extend(gang);
            for size in Size::ALL {
                let waits = job.next_instance_of(size).is_some();
                if let Some(class) = job.class_of(size).filter(|_| waits) {
                    self.why_hosts(job, class, &mut reasons);
                }
            }
            // No host takes it in its turn as long as that is so.
            let is_turn = |kind| matches!(kind, Kind::BehindJobs | Kind::Share);
            reasons.retain(|it| !is_held || !is_turn(it.kind));
            reasons.retain(|it| !is_gang || it.text != IN_ITS_TURN);
        } else {
            self.why_instances(job, &mut reasons);
        }
        Some(reasons)
    }

    fn why_items(&self, job: &Job, reasons: &mut Vec<Reason>) {
        let id = job.id;
        self.why_waits(job, reasons);
        let n = job.items.count(ItemStatus::Blocked);
        if n > 0 {
            let text = format!("{n} of {} items are blocked", job.items.len());
            reasons.push(Reason::plain(
                Kind::Blocked,
                n,
                text,
                Some(format!("tessera unblock {id}")),
            ));
        }
        let waiting = job.items.count(ItemStatus::Waiting);
        let losing = self.why_losing(job, reasons);
        if let Some(waiting) = waiting.checked_sub(losing).filter(|n| *n > 0) {
            let delay = job.spec.retrywork_delay.as_secs();
            let text = format!(
                "{waiting} items failed and wait {delay}s before their next try (retryworkdelay)"
            );
            reasons.push(Reason::plain(Kind::RetryDelay, waiting, text, None));
        }
        if let Some(grown) = job.grown {
            let n = job.items.grown();
            let asks = grown.memory.map_or_else(
                || "are tried as before: the job reserves no host.memory".to_owned(),
                |memory| format!("ask for {} now", quantity(MEMORY, memory)),
            );
            let text = format!("{n} items ran out of memory and {asks}");
            let hint = "tessera modify ID --reservations host.memory=… gives all of them more";
            let hint = Some(hint.replace("ID", &id.to_string()));
            reasons.push(Reason::plain(Kind::OutOfMemory, n, text, hint));
        }
        self.why_running(job, reasons);
        let suspended = job.items.count(ItemStatus::Suspended);
        if suspended > 0 {
            let hint = Some(format!("tessera resume {id}"));
            let text = format!("{suspended} items are suspended");
            reasons.push(Reason::plain(Kind::Suspended, suspended, text, hint));
        }
        let held = job
            .items
            .indices()
            .filter(|i| job.items.is_held(*i))
            .filter(|i| job.items.get(*i).status == ItemStatus::Pending)
            .count();
        if held > 0 {
            let text = format!(
                "{held} items start again when their ended processes are gone from their hosts"
            );
            reasons.push(Reason::plain(
                Kind::Ending,
                u32::try_from(held).unwrap_or(u32::MAX),
                text,
                None,
            ));
        }
    }

    /// Tells of items that pause because their shepherd was lost; answers how many.
    fn why_losing(&self, job: &Job, reasons: &mut Vec<Reason>) -> u32 {
        let losing = job.losing_items();
        let n = u32::try_from(losing.len()).unwrap_or(u32::MAX);
        if let Some(first) = losing.first() {
            let name = job.spec.item_name(*first);
            let text = format!(
                "{n} items lost their shepherd while they ran, {name} for one; each pauses longer each time, and fails in the end"
            );
            let hint = "does its command end its own parent (kill $PPID)?".to_owned();
            reasons.push(Reason::plain(Kind::Pause, n, text, Some(hint)));
        }
        n
    }

    /// Answers that the farm starts nothing at all.
    fn why_stopped(&self) -> Option<Reason> {
        let record = self.modes.get(&Mode::StopActivity)?;
        let hint = format!("tessera farm unset {}", Mode::StopActivity.word());
        let text = record.reason(Mode::StopActivity);
        Some(Reason::plain(Kind::Stopped, 1, text, Some(hint)))
    }

    /// Answers the hosts, those first that have the most free of what is asked for and lacking: the first of each kind of
    /// reason is named in it.
    fn nearest_first(&self, demands: &Demands) -> Vec<&Host> {
        let mut hosts: Vec<&Host> = self.hosts.values().collect();
        let lacking = |host: &&Host| {
            let short = lacks(host, demands, |host, resource| {
                host.free_for(demands, resource)
            });
            short.map_or(0, |short| short.asked - short.has)
        };
        hosts.sort_by_cached_key(lacking);
        hosts
    }

    /// Answers what a job demands of a host that is to be submitted next.
    #[must_use]
    pub fn demands_of(&self, spec: &JobSpec, owner: &UserName) -> Demands {
        Demands::of(spec, JobId(self.next_job), owner)
    }

    /// Counts the hosts that are there and that a job may use, for one that each of them is to run once.
    #[must_use]
    pub fn hosts_for(&self, spec: &JobSpec, owner: &UserName) -> usize {
        let demands = self.demands_of(spec, owner);
        let is_one = |host: &&Host| {
            host.is_connected() && host.suits(&demands) && host.facts.admits(owner.as_str())
        };
        self.hosts.values().filter(is_one).count()
    }

    /// Answers, for a job whose requirements no host of the farm meets as long as it stays what it is, why one of the others that it
    /// may use does not; nothing when a host does, or there is none to tell.
    #[must_use]
    pub fn unmet(&self, spec: &JobSpec, owner: &UserName) -> Option<String> {
        let mut demands = self.demands_of(spec, owner);
        let asks = demands.asks.take()?;
        let mut first = None;
        for host in self.hosts.values().filter(|host| host.suits(&demands)) {
            if asks.suits(&host.facts, &demands) {
                return None;
            }
            let why = asks.why(host, &demands, &self.jobs);
            first = first.or(why.map(|(why, ..)| format!("on {} {why}", host.facts.name)));
        }
        first
    }

    /// Answers, for a job that no host of the farm can serve as the hosts are, what it asks for and the most that one has for it while
    /// nobody uses GPUs; nothing when a host would do, or there is none to tell.
    #[must_use]
    pub fn too_large(&self, spec: &JobSpec, owner: &UserName) -> Option<String> {
        let demands = self.demands_of(spec, owner);
        let admitted = self.hosts.values();
        let admitted: Vec<&Host> = admitted.filter(|host| host.suits(&demands)).collect();
        let short_of = |host: &&Host| {
            let short = lacks(host, &demands, |host, resource| {
                host.total_for(&demands, resource)
            });
            let kept = short
                .as_ref()
                .map_or(0, |short| host.total_of_any(&short.resource) - short.has);
            let name = match kept {
                0 => host.facts.name.clone(),
                kept => format!("{}, beside {kept} for its GPUs", host.facts.name),
            };
            short.map(|short| (short.asked - short.has, name, short))
        };
        let shorts: Option<Vec<_>> = admitted.iter().map(short_of).collect();
        let nearest = shorts?.into_iter().min_by_key(|(lacking, ..)| *lacking);
        nearest.map(|(_, name, short)| {
            let (has, asked) = (short.has(), short.asked());
            format!("{asked} asked, and the largest host has {has} ({name})")
        })
    }

    /// Answers what of a registered password keeps a job off a host that would take it otherwise.
    fn why_password(&self, job: &Job, host: &Host) -> Option<HostReason> {
        if !self.may_use(job, host) || why_unavailable(host).is_some() {
            return None;
        }
        match self.credentials.gate(host, &job.owner, self.now) {
            Gate::Open => None,
            Gate::Wait(id) => {
                let text = format!("the registered password for {id} is being checked first");
                Some((Kind::CredentialCheck, text, None))
            }
            Gate::Shut(refusal) => Some((Kind::AccountRefused, refusal.text, None)),
        }
    }

    /// Answers why a host is given nothing now, `None` when it would take work.
    #[must_use]
    pub fn why_host_idle(&self, id: HostId) -> Option<(Kind, String)> {
        let host = self.hosts.get(&id)?;
        let stopped = || Some((Kind::Stopped, self.why_stopped()?.text));
        let Some((kind, text, _)) = why_closed(host) else {
            let reserved = stopped().or_else(|| self.why_host_reserved(id));
            return reserved.or_else(|| why_only_gpus(host));
        };
        let text = match kind {
            Kind::Full => self.slots_in_use(&[host]),
            _ => text,
        };
        Some((kind, text))
    }
}

type HostReason = (Kind, String, Option<String>);
