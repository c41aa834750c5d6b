//! What the engine decides, one situation at a time. What holds over all situations is the simulator's to find.

mod asking;
mod clusters;
mod credentials;
mod deps;
mod desks;
mod failing;
mod gang;
mod globals;
mod gpu_slots;
mod gpus;
mod groups;
mod limits;
mod locks;
mod losses;
mod once;
mod orders;
mod pace;
mod people;
mod per_host;
mod pgrp;
mod planning;
mod preempt;
mod reasons;
mod reserve;
mod settings;
mod share;
mod shared;
mod weights;
mod whole;
mod wide;
mod workers;
mod wrangle;

use super::*;
use std::time::Duration;
use tessera_model::msg::{
    AttemptEnd, FromWorker, GoneCause, LaunchInventory, Report, Run, ToWorker,
};
use tessera_model::state::End;
use tessera_model::{
    Action, Agenda, Attempt, FrameRun, HostFacts, HostId, Identity, InstanceNo, ItemIndex,
    ItemStatus, JobId, JobKind, JobSpec, Order, Principal, Proof, Refusal, Split, Timestamp,
    UserName, WorkStatus,
};

/// An engine with a clock, whose consistency is checked after every step.
struct World {
    engine: Engine,
    ms: u64,
    /// What was said to workers and not looked at.
    said: Vec<(HostId, ToWorker)>,
    /// All that was told.
    told: Vec<Event>,
    seq: u64,
    sessions: u64,
    /// Whether what must hold is asked after every step; who does not asks when it likes.
    checks: bool,
}

pub(super) fn name(text: &str) -> UserName {
    text.parse().expect("a good name")
}

pub(super) fn person(who: &str) -> Principal {
    Principal {
        name: name(who),
        proof: Proof::Peer { uid: 1000 },
        is_admin: who == "root",
    }
}

pub(super) fn spec(frames: u32) -> JobSpec {
    let run = FrameRun {
        start: 1,
        step: 1,
        count: frames,
    };
    let agenda = Agenda::new(vec![run], Split::Chunk(1), Order::Ascend, 0).expect("a good agenda");
    JobSpec {
        name: "test".into(),
        kind: JobKind::CmdRange(agenda),
        command: vec!["true".into()],
        env: Default::default(),
        cwd: None,
        umask: 0o22,
        flags: Default::default(),
        priority: 9999,
        cpus: 1,
        max_cpus: None,
        reservation: Default::default(),
        hosts: Default::default(),
        omithosts: Default::default(),
        cluster: Default::default(),
        restrictions: None,
        requirements: None,
        host_order: None,
        groups: Default::default(),
        omitgroups: Default::default(),
        retrywork: 0,
        retrywork_delay: Duration::ZERO,
        retrysubjob: 0,
        retry_oom: 3,
        limits: Default::default(),
        timelimit: None,
        agendatimelimit: None,
        silence_limit: None,
        grace: Duration::from_secs(30),
        output_limit: 1 << 20,
        progress: None,
        after: None,
        label: None,
        pgrp: None,
        mail: None,
        webhooks: Default::default(),
        max_failures: 0,
        notes: String::new(),
    }
}

pub(super) fn host(number: u8) -> HostId {
    HostId([number; 16])
}

pub(super) fn ended(end: End) -> AttemptEnd {
    AttemptEnd {
        end,
        started: Timestamp(0),
        elapsed: Duration::from_secs(1),
        cpu: Duration::ZERO,
        peak_memory: 0,
        printed: [0; 2],
        kept: [0; 2],
        leftovers: 0,
    }
}

impl World {
    fn new() -> Self {
        Self {
            engine: Engine::new(Config::default()),
            ms: 0,
            said: Vec::new(),
            told: Vec::new(),
            seq: 0,
            sessions: 0,
            checks: true,
        }
    }

    fn step(&mut self, input: Input) -> Option<Result<Answer, Denied>> {
        let now = Now {
            wall: Timestamp(i64::try_from(self.ms).unwrap()),
            elapsed: Duration::from_millis(self.ms),
        };
        let out = self.engine.handle(now, input);
        let told = out.changes.into_iter().filter_map(|change| match change {
            Change::Event(event) => Some(*event),
            _ => None,
        });
        self.told.extend(told);
        for effect in out.effects {
            match effect {
                Effect::Send {
                    message: ToWorker::Ack(_),
                    ..
                } => {}
                Effect::Send { host, message, .. } => self.said.push((host, message)),
                Effect::Start { host, order, .. } => {
                    let message = ToWorker::Start {
                        key: order.key,
                        ticket: order.account.into_bytes(),
                        signature: Vec::new(),
                        template: Vec::new(),
                        limits: order.limits,
                        run: order.run,
                    };
                    self.said.push((host, message));
                }
                Effect::Disconnect { .. } | Effect::JobEnded { .. } | Effect::RemoveLogs(_) => {}
            }
        }
        if self.checks {
            assert_eq!(self.engine.faults(), Vec::<String>::new());
        }
        out.answer
    }

    /// Lets time pass; connected workers are heard of each second.
    fn wait(&mut self, seconds: u64) {
        for _ in 0..seconds {
            self.wait_in_silence(1);
            let connected: Vec<u8> = self
                .engine
                .hosts()
                .filter(|h| h.is_connected())
                .map(|h| h.id.0[0])
                .collect();
            connected
                .into_iter()
                .for_each(|number| self.say(number, FromWorker::Heartbeat));
        }
    }

    fn wait_in_silence(&mut self, seconds: u64) {
        self.ms += seconds * 1000;
        self.step(Input::Tick);
    }

    fn connect(&mut self, number: u8, slots: u32) {
        self.connect_as(number, slots, Identity::User);
        self.say(number, FromWorker::Inventory(Vec::new()));
    }

    fn connect_as(&mut self, number: u8, slots: u32, identity: Identity) {
        self.connect_with(number, slots, identity, &[]);
    }

    fn connect_with(
        &mut self,
        number: u8,
        slots: u32,
        identity: Identity,
        resources: &[(&str, u64)],
    ) {
        self.sessions += 1;
        let resources = resources.iter();
        let facts = HostFacts {
            name: format!("rnd{number}"),
            slots,
            identity,
            resources: resources
                .map(|(name, amount)| ((*name).to_owned(), *amount))
                .collect(),
            ..HostFacts::default()
        };
        self.step(Input::Connected {
            host: host(number),
            session: self.sessions,
            facts: Box::new(facts),
        });
    }

    fn say(&mut self, number: u8, what: FromWorker) {
        let session = self.engine.session_of(host(number)).expect("connected");
        self.step(Input::Said {
            host: host(number),
            session,
            what: Box::new(what),
        });
    }

    fn report(&mut self, number: u8, report: Report) {
        self.seq += 1;
        self.say(
            number,
            FromWorker::Report {
                seq: self.seq,
                report,
            },
        );
    }

    fn disconnect(&mut self, number: u8) {
        let session = self.engine.session_of(host(number)).expect("connected");
        self.step(Input::Disconnected {
            host: host(number),
            session,
        });
    }

    fn try_submit(
        &mut self,
        who: &str,
        spec: JobSpec,
        key: Option<&str>,
    ) -> Result<Answer, Denied> {
        let key = key.map(str::to_owned);
        let submission = Submission {
            by: person(who),
            spec,
            owner: None,
            key,
            is_blocked: false,
        };
        self.step(Input::Submit(Box::new(submission)))
            .expect("an answer")
    }

    fn submit(&mut self, spec: JobSpec) -> JobId {
        match self.try_submit("mia", spec, None) {
            Ok(Answer::Submitted {
                job,
                existed: false,
            }) => job,
            other => panic!("{other:?}"),
        }
    }

    fn act_as(&mut self, who: &str, action: Action, target: Target) -> Result<Acted, Denied> {
        match self.step(Input::Act {
            by: person(who),
            action,
            targets: vec![target],
        }) {
            Some(Ok(Answer::Acted(mut results))) => results.remove(0).1,
            other => panic!("{other:?}"),
        }
    }

    fn act(&mut self, action: Action, target: Target) -> Result<Acted, Denied> {
        self.act_as("mia", action, target)
    }

    /// Takes the oldest thing said to a worker.
    #[track_caller]
    fn heard(&mut self) -> (HostId, ToWorker) {
        assert!(!self.said.is_empty(), "nothing was said");
        self.said.remove(0)
    }

    /// Takes an order to start or run an item.
    #[track_caller]
    fn order(&mut self) -> (u8, LaunchKey, Run) {
        match self.heard() {
            (host, ToWorker::Start { key, run, .. } | ToWorker::Run { key, run }) => {
                (host.0[0], key, run)
            }
            other => panic!("{other:?}"),
        }
    }

    fn end(&mut self, order: (u8, LaunchKey, Run), end: End) {
        self.report(
            order.0,
            Report::ItemEnded {
                key: order.1,
                run: order.2,
                end: ended(end),
            },
        );
    }

    fn gone(&mut self, number: u8, key: LaunchKey) {
        self.report(
            number,
            Report::Gone {
                key,
                cause: GoneCause::Closed,
            },
        );
    }

    fn item(&self, job: JobId, item: u32) -> ItemStatus {
        self.engine
            .job(job)
            .expect("there")
            .items()
            .get(ItemIndex(item))
            .status
    }

    fn status(&self, job: JobId) -> WorkStatus {
        self.engine.job(job).expect("there").status()
    }
}
