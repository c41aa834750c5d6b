//! Tickets: the supervisor's signed word that one instance may be started on one host.

use std::collections::BTreeMap;
use std::sync::Arc;
use tessera_engine::supervisor::StartOrder;
use tessera_model::gpu::{self, GPUS};
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
    /// What keeps its programs to the GPUs of one instance.
    variables: Vec<(&'static str, String)>,
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
            Arc::ptr_eq(&ready.spec, &order.spec)
                && ready.slots == order.taken.slots
                && ready.variables == order.variables
        });
        if !is_current {
            if self.templates.len() >= TEMPLATES_MAX {
                self.templates.pop_first();
            }
            let mut template = template_of(&order.spec);
            template.slots = order.taken.slots;
            set_all(&mut template.env, &order.variables);
            template.check()?;
            let bytes = template.encode();
            let digest = Template::digest_of(&bytes);
            self.templates.insert(
                id,
                Ready {
                    spec: Arc::clone(&order.spec),
                    slots: order.taken.slots,
                    variables: order.variables.clone(),
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

/// Sets variables of the farm's: a job's own of the same name give way.
fn set_all(env: &mut Vec<(String, String)>, variables: &[(&'static str, String)]) {
    env.retain(|(name, _)| variables.iter().all(|(farms, _)| name != farms));
    let all = variables.iter();
    env.extend(all.map(|(name, value)| ((*name).to_owned(), value.clone())));
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

/// Says whether hosts would take what a job runs, whichever GPUs it is given.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn check(spec: &JobSpec) -> Result<(), TemplateError> {
    let mut template = template_of(spec);
    if spec.reservation.amounts.contains_key(GPUS) {
        set_all(&mut template.env, &gpu::widest_variables());
    }
    template.check()
}

/// Answers what a job runs, as hosts are told.
fn template_of(spec: &JobSpec) -> Template {
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use tessera_model::msg::{LaunchKey as Key, Run, RunLimits};
    use tessera_model::{Attempt, Gpus, InstanceNo, ItemIndex, LaunchNo, Taken};
    use tessera_wire::pki::FarmCa;

    fn spec(env: &[(&str, &str)]) -> JobSpec {
        let env = env.iter();
        let request = tessera_api::types::SubmitRequest {
            command: vec!["render".into()],
            reservations: Some("host.gpus=1".into()),
            env: Some(
                env.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                    .collect(),
            ),
            ..Default::default()
        };
        let draft = tessera_spec::SubmissionDraft::from(request);
        draft.validate().expect("a job").spec
    }

    fn order(spec: &Arc<JobSpec>, instance: u32, gpu: u8) -> StartOrder {
        let taken = Taken {
            gpus: BTreeSet::from([gpu]),
            ..Taken::default()
        };
        StartOrder {
            key: Key {
                job: JobId(1),
                instance: InstanceNo(instance),
                launch: LaunchNo(1),
            },
            owner: "mia".parse().expect("a name"),
            proof: "uid 1".into(),
            account: "mia".into(),
            mode: "user",
            spec: Arc::clone(spec),
            variables: Gpus::default().variables(&taken.gpus),
            taken: Arc::new(taken),
            kernel: tessera_model::KernelLimits::default(),
            limits: RunLimits::default(),
            run: Run {
                item: ItemIndex(0),
                attempt: Attempt(1),
            },
        }
    }

    #[test]
    fn each_instance_is_told_its_own_gpus_whatever_the_job_says() {
        let dir = tempfile::tempdir().expect("a folder");
        let ca = FarmCa::open_or_create(dir.path()).expect("a farm");
        let key = DispatchKey::open_or_create(dir.path()).expect("a key");
        let mut tickets = Tickets::new(ca.farm_id(), &key);
        let spec = Arc::new(spec(&[("CUDA_VISIBLE_DEVICES", "7"), ("SHOW", "x")]));
        for (instance, gpu) in [(0, 0), (1, 3), (2, 0)] {
            let order = order(&spec, instance, gpu);
            let message = tickets.start(HostId([7; 16]), &order, Timestamp(0));
            let ToWorker::Start {
                template, ticket, ..
            } = message.expect("made")
            else {
                panic!("a start");
            };
            let ticket = Ticket::decode(&ticket).expect("a ticket");
            assert_eq!(ticket.template, Template::digest_of(&template));
            let env = Template::decode(&template).expect("a template").env;
            let of = |name: &str| -> Vec<&str> {
                let all = env.iter().filter(|(own, _)| own == name);
                all.map(|(_, value)| value.as_str()).collect()
            };
            let gpu = gpu.to_string();
            assert_eq!(of("CUDA_VISIBLE_DEVICES"), [gpu.as_str()]);
            assert_eq!(of("TESSERA_GPUS"), [gpu.as_str()]);
            assert_eq!(of("SHOW"), ["x"]);
        }
    }

    #[test]
    fn a_job_that_leaves_no_room_for_the_variables_of_its_gpus_is_refused_at_once() {
        let mut full = spec(&[]);
        let most = tessera_ticket::ENV_MAX;
        full.env = (0..most)
            .map(|n| (format!("V{n}"), String::new()))
            .collect();
        assert!(check(&full).is_err());
        full.reservation.amounts.clear();
        assert_eq!(
            check(&full),
            Ok(()),
            "who wants none needs no room for them"
        );
    }
}
