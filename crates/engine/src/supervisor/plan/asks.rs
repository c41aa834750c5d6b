//! What a job asks of a host in an expression, with what it reads of the job put in: jobs that ask the same and say the same of
//! themselves are of one class.
//!
//! What stays while a worker is connected is part of what makes hosts alike (`Traits::said`): of it only what somebody reads, so that
//! hosts which differ in something else stay alike. The rest (what is used there, what is on duty, the host's own name) is asked host by
//! host ([`super::Judge`]).

use super::super::host::Traits;
use super::super::{Host, Job};
use super::Demands;
use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;
use tessera_model::requirements::{
    Ever, Fact, Facts, HostOperand, JobField, Number, Operand, Part, Requirement, Why,
};
use tessera_model::reservation::PROCESSORS;
use tessera_model::resource::SCOPED;
use tessera_model::{HostFacts, HostState, JobId, JobSpec, UserName};

/// A value that somebody said, kept.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Said {
    /// A number.
    Number(Number),
    /// A text.
    Text(String),
    /// A list.
    List(Vec<String>),
}

impl Said {
    pub(super) fn fact(&self) -> Fact<'_> {
        match self {
            Self::Number(number) => Fact::Number(*number),
            Self::Text(text) => Fact::from(text.as_str()),
            Self::List(entries) => Fact::list(entries.iter().map(String::as_str)),
        }
    }

    fn into_fact(self) -> Fact<'static> {
        match self {
            Self::Number(number) => Fact::Number(number),
            Self::Text(text) => Fact::Text(Cow::Owned(text)),
            Self::List(entries) => Fact::list(entries),
        }
    }
}

impl From<u64> for Said {
    fn from(number: u64) -> Self {
        Self::Number(number.into())
    }
}

/// What the jobs of a class ask.
#[derive(Debug, Clone)]
pub struct Asks {
    /// As it is printed, which says all of it.
    text: String,
    requirement: Arc<Requirement>,
    /// What it reads of the job.
    job: BTreeMap<JobField, Said>,
}

impl PartialEq for Asks {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Asks {}

impl PartialOrd for Asks {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Asks {
    fn cmp(&self, other: &Self) -> Ordering {
        (&self.text, &self.job).cmp(&(&other.text, &other.job))
    }
}

impl Asks {
    /// Answers what a job asks, if it asks something.
    #[must_use]
    pub fn of(spec: &JobSpec, id: JobId, owner: &UserName) -> Option<Self> {
        let requirement = spec.requirements.as_ref()?;
        let fields = requirement.operands().iter().filter_map(|it| match it {
            Operand::Job(field) => Some(field),
            Operand::Host(_) => None,
        });
        let said = |field: &JobField| Some((field.clone(), said_by_job(field, spec, id, owner)?));
        Some(Self {
            text: requirement.to_string(),
            job: fields.filter_map(said).collect(),
            requirement: Arc::clone(requirement),
        })
    }

    /// Answers what it reads of hosts that stays and that many have in common; nothing when it reads something else, too.
    pub(super) fn lasting(&self) -> Option<Vec<&Operand>> {
        let mut lasting = Vec::new();
        for operand in self.requirement.operands() {
            match operand {
                Operand::Job(_) => {}
                Operand::Host(_) if operand.depends().host_now || is_own(operand) => return None,
                Operand::Host(_) => lasting.push(operand),
            }
        }
        Some(lasting)
    }

    /// Says whether hosts of that kind meet it; all that it reads of hosts must be among what they said.
    pub(super) fn met_by(&self, traits: &Traits) -> bool {
        self.requirement.holds(&Kind { asks: self, traits })
    }

    /// Says whether a host may ever meet it while it has free what is demanded besides, whatever becomes of what moves there.
    #[must_use]
    pub fn suits(&self, host: &HostFacts, demands: &Demands) -> bool {
        let asks = self;
        self.requirement.may_hold(&Standing {
            asks,
            host,
            demands,
        })
    }

    /// Says whether a host meets it now.
    #[must_use]
    pub fn met_now(&self, host: &Host, jobs: &BTreeMap<JobId, Job>) -> bool {
        let (asks, demands) = (self, None);
        self.requirement.holds(&Now {
            asks,
            host,
            jobs,
            demands,
        })
    }

    /// Answers the smallest part that a host does not meet now, whether it never will while it has free what is demanded besides, and
    /// the expression without all that it does not meet (nothing of it may be left).
    pub(in super::super) fn why(
        &self,
        host: &Host,
        demands: &Demands,
        jobs: &BTreeMap<JobId, Job>,
    ) -> Option<(Why, bool, Option<Requirement>)> {
        let facts = Now {
            asks: self,
            host,
            jobs,
            demands: Some(demands),
        };
        let why = self.requirement.explain(&facts)?;
        let stays = !self.suits(&host.facts, demands);
        Some((why, stays, self.requirement.what_holds(&facts)))
    }
}

/// Says whether something is every host's own, so that hosts which say it are never alike.
pub(super) fn is_own(operand: &Operand) -> bool {
    let Operand::Host(HostOperand::Named(name)) = operand else {
        return false;
    };
    matches!(name.as_str(), "name" | "description")
}

/// A host of a kind.
struct Kind<'a> {
    asks: &'a Asks,
    traits: &'a Traits,
}

impl Facts for Kind<'_> {
    fn value(&self, operand: &Operand) -> Option<Fact<'_>> {
        match operand {
            Operand::Job(field) => self.asks.job.get(field).map(Said::fact),
            Operand::Host(_) => self.traits.said.get(operand).map(Said::fact),
        }
    }
}

/// A host as its worker describes it.
struct Standing<'a> {
    asks: &'a Asks,
    host: &'a HostFacts,
    demands: &'a Demands,
}

impl Facts for Standing<'_> {
    fn value(&self, operand: &Operand) -> Option<Fact<'_>> {
        match operand {
            Operand::Job(field) => self.asks.job.get(field).map(Said::fact),
            Operand::Host(of_host) => said_by_host(of_host, self.host).map(Said::into_fact),
        }
    }

    fn ever(&self, operand: &Operand) -> Ever {
        said_ever(operand, self.host, self.demands)
    }
}

/// A host as it is now.
struct Now<'a> {
    asks: &'a Asks,
    host: &'a Host,
    jobs: &'a BTreeMap<JobId, Job>,
    /// Where what may come is looked at, too: what must be free there besides.
    demands: Option<&'a Demands>,
}

impl Facts for Now<'_> {
    fn value(&self, operand: &Operand) -> Option<Fact<'_>> {
        match operand {
            Operand::Job(field) => self.asks.job.get(field).map(Said::fact),
            Operand::Host(of_host) => said_now(of_host, self.host, self.jobs),
        }
    }

    fn ever(&self, operand: &Operand) -> Ever {
        match (operand, self.demands) {
            (_, None) => Ever::Stays,
            (Operand::Host(HostOperand::Named(name)), _) if name == "state" => Ever::Moves,
            (_, Some(demands)) => said_ever(operand, &self.host.facts, demands),
        }
    }
}

/// Answers within which bounds a host stays with what moves there while it has free what is demanded.
fn said_ever(operand: &Operand, host: &HostFacts, demands: &Demands) -> Ever {
    let (name, part) = match operand {
        Operand::Host(HostOperand::Amount(name, part @ (Part::Used | Part::Avail))) => (name, part),
        Operand::Host(HostOperand::Duty(_)) => return Ever::Moves,
        Operand::Host(HostOperand::Amount(_, Part::Total))
        | Operand::Host(HostOperand::Named(_) | HostOperand::Flag(_))
        | Operand::Job(_) => return Ever::Stays,
    };
    let resource = format!("host.{name}");
    let (total, demanded) = if resource == PROCESSORS {
        (u64::from(host.slots), u64::from(demands.slots))
    } else {
        let Some(total) = host.resources.get(&resource) else {
            // It has none of it, and that stays so.
            return Ever::Stays;
        };
        let demanded = demands.amounts.get(&resource).copied();
        (*total, demanded.unwrap_or(0))
    };
    // One that is too small for it is told so by others.
    let demanded = demanded.min(total);
    if *part == Part::Used && resource == PROCESSORS && demands.wants_whole {
        // Nothing else is there when it starts.
        return Ever::Between(0.into(), 0.into());
    }
    if *part == Part::Avail {
        Ever::Between(demanded.into(), total.into())
    } else {
        Ever::Between(0.into(), (total - demanded).into())
    }
}

/// Answers what a host says of itself now.
pub(super) fn said_now<'a>(
    operand: &HostOperand,
    host: &Host,
    jobs: &BTreeMap<JobId, Job>,
) -> Option<Fact<'a>> {
    match operand {
        HostOperand::Amount(name, part) => amount_now(name, *part, host).map(Fact::from),
        HostOperand::Named(name) if name == "state" => {
            let word = host.state.word().to_owned();
            Some(Fact::Text(word.into()))
        }
        HostOperand::Duty(field) => {
            let on_duty = host.on_duty().filter_map(|job| jobs.get(&job));
            let said = on_duty.filter_map(|job| said_by_job(field, &job.spec, job.id, &job.owner));
            Some(Fact::list(said.flat_map(in_words)))
        }
        HostOperand::Named(_) | HostOperand::Flag(_) => {
            said_by_host(operand, &host.facts).map(Said::into_fact)
        }
    }
}

fn in_words(said: Said) -> Vec<String> {
    match said {
        Said::Number(number) => vec![number.to_string()],
        Said::Text(text) => vec![text],
        Said::List(entries) => entries,
    }
}

fn amount_now(name: &str, part: Part, host: &Host) -> Option<u64> {
    let resource = format!("host.{name}");
    let is_there = resource == PROCESSORS || host.facts.resources.contains_key(&resource);
    is_there.then(|| match part {
        Part::Total => host.total_of_any(&resource),
        Part::Used if resource == PROCESSORS => u64::from(host.used()),
        Part::Used => host.used_of(&resource),
        Part::Avail => host.free_of_any(&resource),
    })
}

/// Answers what a host says of itself that stays while its worker is connected.
pub(in super::super) fn said_by_host(operand: &HostOperand, host: &HostFacts) -> Option<Said> {
    let list = |all: &str| Said::List(all.split(',').map(|it| it.trim().to_owned()).collect());
    match operand {
        HostOperand::Named(name) => {
            let whole = format!("host.{name}");
            match name.as_str() {
                "name" => Some(Said::Text(host.name.clone())),
                "processors" => Some(u64::from(host.slots).into()),
                "groups" => Some(Said::List(host.groups().into_iter().collect())),
                "cluster" => Some(Said::Text(host.cluster().to_string())),
                "flags" | "jobtypes" => host.properties.get(&whole).map(|all| list(all)),
                // Only one that is up is asked for work.
                "state" => Some(Said::Text(HostState::Up.word().to_owned())),
                _ => {
                    let property = host.properties.get(&whole).cloned().map(Said::Text);
                    property.or_else(|| host.resources.get(&whole).copied().map(Said::from))
                }
            }
        }
        HostOperand::Amount(name, Part::Total) => match format!("host.{name}").as_str() {
            PROCESSORS => Some(u64::from(host.slots).into()),
            other => host.resources.get(other).copied().map(Said::from),
        },
        HostOperand::Flag(name) => {
            let all = host.properties.get("host.flags");
            let is_on = all.is_some_and(|all| all.split(',').any(|it| it.trim() == name));
            Some(u64::from(is_on).into())
        }
        HostOperand::Amount(_, Part::Used | Part::Avail) | HostOperand::Duty(_) => None,
    }
}

/// Answers what a job says of itself; nothing where jobs have no such field.
fn said_by_job(field: &JobField, spec: &JobSpec, id: JobId, owner: &UserName) -> Option<Said> {
    let flags = || spec.flags.iter().map(|flag| flag.word());
    Some(match field {
        JobField::Name => Said::Text(spec.name.clone()),
        JobField::Id => id.0.into(),
        JobField::Priority => u64::from(spec.priority).into(),
        JobField::User => Said::Text(owner.to_string()),
        JobField::Type => Said::Text(spec.kind.word().to_owned()),
        JobField::Cluster => Said::Text(spec.cluster.to_string()),
        JobField::Restrictions => Said::Text(spec.restrictions.as_ref()?.to_string()),
        JobField::Requirements => Said::Text(spec.requirements.as_ref()?.to_string()),
        JobField::Reservations => Said::Text(reserved(spec)),
        JobField::Flags => Said::List(flags().map(str::to_owned).collect()),
        JobField::Flag(name) => u64::from(flags().any(|flag| flag == name)).into(),
        JobField::Pgrp => spec.pgrp.unwrap_or(id).0.into(),
        JobField::Label => Said::Text(spec.label.as_ref()?.to_string()),
        JobField::Pid | JobField::Status | JobField::Kind => return None,
    })
}

/// Prints what a job reserves: `host.processors=2,host.memory=8192`.
pub(in super::super) fn reserved(spec: &JobSpec) -> String {
    let reservation = &spec.reservation;
    let mut all = format!("{PROCESSORS}={}", reservation.slots_form());
    // What is scoped stands among those of the farm, too.
    let amounts = reservation.amounts.iter();
    for (name, amount) in amounts.filter(|(name, _)| !name.starts_with(SCOPED)) {
        all.push_str(&format!(",{name}={amount}"));
    }
    for (name, amount) in &reservation.global {
        all.push_str(&format!(",{name}={amount}"));
    }
    all
}
