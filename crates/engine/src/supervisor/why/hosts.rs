//! Why no host takes a job that has something to place: hosts with the same reason are told together.

use super::host::{lacks, why_host};
use super::{Kind, Reason};
use crate::supervisor::plan::Demands;
use crate::supervisor::{Engine, Host, Job};
use tessera_model::reservation::PROCESSORS;

/// Hosts named in a reason, at most.
const HOSTS_MAX: usize = 8;
/// Texts of one kind that are told apart; hosts with others are counted with the last.
const APART_MAX: usize = 4;

/// Hosts with the same reason.
struct Together<'a> {
    kind: Kind,
    text: String,
    hint: Option<String>,
    hosts: Vec<&'a Host>,
    is_mixed: bool,
}

impl Kind {
    /// Says whether hosts with it are told apart by their texts: those say what is wrong there and name no host.
    fn is_apart(self) -> bool {
        matches!(
            self,
            Self::OmittedGroup
                | Self::HostPanic
                | Self::HostLocked
                | Self::OtherDesktop
                | Self::AccountRefused
                | Self::CredentialCheck
        )
    }
}

impl Engine {
    /// There is something to place: say why no host takes it.
    pub(super) fn why_hosts(&self, job: &Job, class: usize, reasons: &mut Vec<Reason>) {
        let demands = self.planner.demands(class);
        let waits = self.why_globals(job, demands, reasons);
        self.why_emptied(job, class, reasons);
        let mut all = self.together(job, class, demands);
        if all.is_empty() {
            let text = "the farm has no host yet".to_owned();
            let hint = Some("tessera join-string, then tessera join on the host".to_owned());
            reasons.push(Reason::plain(Kind::NoHosts, 0, text, hint));
            return;
        }
        // Those hosts would take it if that were free.
        all.retain(|it| !waits || it.kind != Kind::BehindJobs);
        let mut full = all.iter();
        let full = full.find(|it| matches!(it.kind, Kind::Full | Kind::NotIdle));
        let full = full.and_then(|it| it.hosts.first());
        let behind = full.and_then(|host| self.why_behind(job, class, host));
        let is_first = behind.is_none();
        reasons.extend(self.why_preempts(job, class));
        reasons.extend(behind);
        reasons.extend(
            all.into_iter()
                .map(|it| self.told(job, demands, is_first, it)),
        );
    }

    /// Puts hosts with the same reason together.
    fn together<'a>(&'a self, job: &Job, class: usize, demands: &Demands) -> Vec<Together<'a>> {
        let mut all: Vec<Together<'a>> = Vec::new();
        for host in self.nearest_first(demands) {
            let (kind, text, hint) = self
                .why_password(job, host)
                .unwrap_or_else(|| why_host(job, host, demands, self));
            let reserved = (kind == Kind::BehindJobs)
                .then(|| self.why_reserved(job, class, host))
                .flatten();
            let (kind, text, hint) = reserved.unwrap_or((kind, text, hint));
            let of_kind = || all.iter().filter(|it| it.kind == kind).count();
            let is_apart = kind.is_apart() && of_kind() < APART_MAX;
            let mut known = all.iter_mut().rev();
            let same =
                |it: &&mut Together<'_>| it.kind == kind && (!kind.is_apart() || it.text == text);
            let place = match known.find(same) {
                Some(known) => Some(known),
                None if is_apart => None,
                None => all.iter_mut().rev().find(|it| it.kind == kind),
            };
            match place {
                Some(known) => {
                    known.is_mixed |= kind.is_apart() && known.text != text;
                    known.hosts.push(host);
                }
                None => all.push(Together {
                    kind,
                    text,
                    hint,
                    hosts: vec![host],
                    is_mixed: false,
                }),
            }
        }
        all.sort_by_key(|it| it.kind);
        all
    }

    /// Says for all hosts with a reason together what holds of them together.
    fn told(&self, job: &Job, demands: &Demands, is_first: bool, it: Together<'_>) -> Reason {
        let Together {
            kind,
            text,
            hint,
            hosts,
            is_mixed,
        } = it;
        let (mut text, hint) = match kind {
            Kind::Full => self.full(job, is_first, &hosts),
            Kind::Reserved => (self.short(demands, &hosts, text), hint),
            Kind::NotIdle => (self.busy(&hosts, text), hint),
            _ => (text, hint),
        };
        if is_mixed {
            text.push_str("; of some of these hosts another reason of this kind");
        }
        let count = u32::try_from(hosts.len()).unwrap_or(u32::MAX);
        let named = hosts.iter().take(HOSTS_MAX);
        Reason {
            kind,
            count,
            hosts: named.map(|host| host.facts.name.clone()).collect(),
            text,
            hint,
        }
    }

    /// Tells who has the slots of full hosts, and who would give some of them to this job.
    fn full(&self, job: &Job, is_first: bool, hosts: &[&Host]) -> (String, Option<String>) {
        let hint = "it starts when a slot is given back".to_owned();
        let preempt = is_first.then(|| self.to_preempt(job, hosts)).flatten();
        let hint = match preempt {
            None => hint,
            Some(other) => format!(
                "{hint}; tessera preempt {other} has job {other} do so after its current frames"
            ),
        };
        (self.slots_in_use(hosts), Some(hint))
    }

    /// Tells how many slots full hosts have, and who has them.
    pub(super) fn slots_in_use(&self, hosts: &[&Host]) -> String {
        let slots: u64 = hosts.iter().map(|host| u64::from(host.open_slots())).sum();
        let of = match hosts.len() {
            0 | 1 => String::new(),
            n => format!(" of these {n} hosts"),
        };
        let by = self.held_by(hosts, PROCESSORS);
        let by = by.map_or_else(String::new, |by| format!(": {by}"));
        let mut locked = hosts.iter().filter_map(|host| host.why_locked());
        match locked.next() {
            None => format!("all {slots} slots{of} are in use{by}"),
            Some(locked) => format!("all {slots} open slots{of} are in use{by}; {locked}"),
        }
    }

    /// Tells what is on hosts of which one is wanted idle; `text` is what is told of one.
    fn busy(&self, hosts: &[&Host], text: String) -> String {
        let text = match hosts.len() {
            0 | 1 => text,
            n => format!("none of these {n} hosts is idle"),
        };
        match self.held_by(hosts, PROCESSORS) {
            Some(by) => format!("{text}: {by}"),
            None => format!("{text}: room there is kept for whom it was made"),
        }
    }

    /// Adds to what is said of the first of some hosts who has what lacks there.
    fn short(&self, demands: &Demands, hosts: &[&Host], text: String) -> String {
        let first = hosts.first().copied();
        let by = first.and_then(|host| {
            let short = lacks(host, demands, |host, resource| host.free_of_any(resource))?;
            self.held_by(&[host], &short.resource)
        });
        match by {
            None => text,
            Some(by) => format!("{text}; held by {by}"),
        }
    }
}
