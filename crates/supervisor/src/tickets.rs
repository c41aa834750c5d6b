//! Tickets: the supervisor's signed word that one instance may be started on one host.

use std::collections::BTreeMap;
use std::sync::Arc;
use tessera_engine::supervisor::StartOrder;
use tessera_model::msg::ToWorker;
use tessera_model::{HostId, JobFlag, JobId, JobKind, JobSpec, Split, Timestamp};
use tessera_ticket::{
    Agenda, CPU_WEIGHT_MAX, Digest, FrameRun, ItemRange, KernelLimits, LaunchKey, Mode, SigningKey,
    Split as TicketSplit, TICKET_LIFETIME_MAX_MS, Template, TemplateError, Ticket,
};
use tessera_wire::pki::{DispatchKey, FarmId};

/// Templates that are kept ready.
const TEMPLATES_MAX: usize = 1_024;
/// Processes and threads that an instance may have for each of its slots: far more than any renderer needs, far less than
/// what hurts a host.
const PIDS_A_SLOT: u32 = 4_096;
/// The kernel's weight of a slot; 100 is what a group has that nobody set.
const CPU_WEIGHT_A_SLOT: u32 = 100;
/// How long before now a ticket begins, in milliseconds, for hosts whose clock is late; it counts against its lifetime.
const BACKDATE_MS: i64 = 30_000;

/// Signs tickets.
pub(crate) struct Tickets {
    farm: FarmId,
    key: SigningKey,
    templates: BTreeMap<JobId, Ready>,
}

/// The template of a job as it is described now.
struct Ready {
    spec: Arc<JobSpec>,
    /// What `QB_JOBSLOTS` says.
    slots: u32,
    bytes: Vec<u8>,
    digest: Digest,
}

/// Why a ticket can't be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TicketProblem {
    /// The description makes no template that a host would take.
    #[error("the job can't be put in a ticket: {0}")]
    Template(#[from] TemplateError),
    /// No randomness.
    #[error("the system gives no random bytes: {0}")]
    Random(getrandom::Error),
}

impl Tickets {
    /// Takes the key.
    pub(crate) fn new(farm: FarmId, key: &DispatchKey) -> Self {
        Self {
            farm,
            key: key.signing_key().clone(),
            templates: BTreeMap::new(),
        }
    }

    /// Makes the message that starts an instance.
    ///
    /// # Errors
    /// When the job's description is none that a host would take.
    pub(crate) fn start(
        &mut self,
        host: HostId,
        order: &StartOrder,
        now: Timestamp,
    ) -> Result<ToWorker, TicketProblem> {
        let ready = self.template(order)?;
        let (bytes, digest) = (ready.bytes.clone(), ready.digest);
        let mut nonce = [0; 16];
        getrandom::fill(&mut nonce).map_err(TicketProblem::Random)?;
        let from = u64::try_from(now.0 - BACKDATE_MS).unwrap_or(0);
        let ticket = Ticket {
            farm: self.farm.0,
            host: host.0,
            key: LaunchKey {
                job: order.key.job.0,
                instance: order.key.instance.0,
                launch: order.key.launch.0,
            },
            principal: order.owner.to_string(),
            proven: order.proof.chars().take(64).collect(),
            mode: mode(order.mode),
            account: order.account.clone(),
            items: allowed(order),
            template: digest,
            not_before_ms: from,
            expires_ms: from + TICKET_LIFETIME_MAX_MS,
            nonce,
            limits: limits(&order.kernel),
        }
        .encode();
        Ok(ToWorker::Start {
            key: order.key,
            signature: Ticket::sign(&ticket, &self.key).to_vec(),
            ticket,
            template: bytes,
            limits: order.limits.clone(),
            run: order.run,
        })
    }

    fn template(&mut self, order: &StartOrder) -> Result<&Ready, TicketProblem> {
        let id = order.key.job;
        let is_current = self.templates.get(&id).is_some_and(|ready| {
            Arc::ptr_eq(&ready.spec, &order.spec) && ready.slots == order.taken.slots
        });
        if !is_current {
            if self.templates.len() >= TEMPLATES_MAX {
                self.templates.pop_first();
            }
            let mut template = template_of(&order.spec);
            template.slots = order.taken.slots;
            template.check()?;
            let bytes = template.encode();
            let digest = Template::digest_of(&bytes);
            self.templates.insert(
                id,
                Ready {
                    spec: Arc::clone(&order.spec),
                    slots: order.taken.slots,
                    bytes,
                    digest,
                },
            );
        }
        // It was put there just now, if it was not before.
        self.templates
            .get(&id)
            .ok_or(TicketProblem::Template(TemplateError::NoCommand))
    }
}

/// Answers what a ticket says of the kernel's limits: processes and weight go with the slots.
fn limits(kernel: &tessera_model::KernelLimits) -> KernelLimits {
    let weight = |slots: u32| {
        let weight = slots.saturating_mul(CPU_WEIGHT_A_SLOT);
        u16::try_from(weight).map_or(CPU_WEIGHT_MAX, |weight| weight.min(CPU_WEIGHT_MAX))
    };
    KernelLimits {
        memory: kernel.memory.unwrap_or(0),
        pids: kernel
            .processes
            .map_or(0, |slots| slots.saturating_mul(PIDS_A_SLOT)),
        cpu_weight: kernel.weight.map_or(0, weight),
    }
}

fn mode(word: &str) -> Mode {
    match word {
        "proxy" => Mode::Proxy,
        "desktop" => Mode::Desktop,
        _ => Mode::User,
    }
}

/// An instance of a `cmdline` job has its own item; one of a `cmdrange` job may be given any.
fn allowed(order: &StartOrder) -> Vec<ItemRange> {
    let own = order.key.instance.0;
    match &order.spec.kind {
        JobKind::CmdLine => vec![ItemRange {
            first: own,
            last: own,
        }],
        JobKind::CmdRange(agenda) => vec![ItemRange {
            first: 0,
            last: agenda.items().saturating_sub(1),
        }],
    }
}

/// Answers what a job runs, as hosts are told.
pub(crate) fn template_of(spec: &JobSpec) -> Template {
    Template {
        argv: spec.command.clone(),
        env: spec
            .env
            .iter()
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect(),
        cwd: spec.cwd.clone().unwrap_or_default(),
        umask: u16::try_from(spec.umask & 0o777).unwrap_or(0o022),
        limits: Vec::new(),
        slots: 1,
        agenda: match &spec.kind {
            JobKind::CmdLine => None,
            JobKind::CmdRange(agenda) => Some(Agenda {
                runs: agenda
                    .runs()
                    .iter()
                    .map(|run| FrameRun {
                        start: run.start,
                        step: run.step,
                        count: run.count,
                    })
                    .collect(),
                split: match agenda.split() {
                    Split::Chunk(n) => TicketSplit::Chunk(n),
                    Split::Partitions(n) => TicketSplit::Partitions(n),
                },
                padding: agenda.padding(),
            }),
        },
        convert_path: spec.flags.contains(&JobFlag::ConvertPath),
    }
}
