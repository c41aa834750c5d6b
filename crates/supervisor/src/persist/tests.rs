//! Any history of a farm, written turn by turn, is what the store gives back.

use super::load::picture;
use super::*;
use proptest::prelude::*;
use std::sync::Arc;
use std::time::Duration;
use tessera_engine::Now;
use tessera_engine::supervisor::{
    Config, Image, Input, LockOrder, LockWish, Mode, Submission, Target,
};
use tessera_model::after::{After, Part, Term, Tree, When, Whom};
use tessera_model::msg::{AttemptEnd, FromWorker, GoneCause, Report, ToWorker};
use tessera_model::state::{End, Limit};
use tessera_model::{
    Action, Agenda, Consent, FrameRun, HostFacts, Identity, ItemIndex, JobKind, JobSpec, More,
    Order, Presence, Principal, Proof, Refusal, Reservation, Running, SlotSet, Split, Timestamp,
    WhileActive,
};
use tessera_store::memory::MemoryStore;
use tessera_store::{Batch, Epoch, Store};

/// A farm with its store, both fed the same.
struct World {
    engine: Engine,
    ledger: Ledger,
    store: MemoryStore,
    epoch: Epoch,
    now: Now,
    session: u64,
    seq: u64,
    /// Launches that hosts were told to start.
    orders: Vec<(HostId, u64, tessera_engine::supervisor::StartOrder)>,
    changed: Changed,
}

/// A step of a history; numbers are taken modulo what there is.
#[derive(Debug, Clone)]
enum Step {
    Submit {
        frames: u32,
        cpus: u32,
        retries: u32,
        is_blocked: bool,
        waitfor: Option<u64>,
    },
    Connect {
        host: u8,
        slots: u32,
        is_proxy: bool,
    },
    Disconnect {
        host: u8,
    },
    Start {
        order: usize,
        refuse: bool,
    },
    End {
        order: usize,
        how: u8,
    },
    Gone {
        order: usize,
    },
    Act {
        job: u64,
        action: usize,
        item: u32,
        what: u8,
    },
    Wait {
        seconds: u64,
    },
    Commit,
    Lock {
        host: u8,
        is_locked: bool,
    },
    LockWhileActive {
        host: u8,
        minutes: u64,
    },
}

fn lock_wish(number: u8, is_locked: bool) -> LockWish {
    let slots = || "1-2,4".parse().expect("slots");
    match (is_locked, number) {
        (true, 0) => LockWish::Calendar("mon 9-18 slots 1; daily 12-13".parse().ok()),
        (true, 1) => LockWish::Lock(LockOrder {
            slots: slots(),
            until: Some(Timestamp(i64::MAX)),
            note: "a note".into(),
            purges: true,
            drains: false,
        }),
        (true, _) => LockWish::Lock(LockOrder {
            drains: true,
            ..LockOrder::default()
        }),
        (false, 1) => LockWish::Unlock(slots()),
        (false, _) => LockWish::Unlock(SlotSet::all()),
    }
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (1..40_u32, 1..4_u32, 0..3_u32, any::<bool>(), proptest::option::of(1..5_u64)).prop_map(
            |(frames, cpus, retries, is_blocked, waitfor)| Step::Submit { frames, cpus, retries, is_blocked, waitfor }
        ),
        3 => (0..3_u8, 0..4_u32, any::<bool>()).prop_map(|(host, slots, is_proxy)| Step::Connect { host, slots, is_proxy }),
        1 => (0..3_u8).prop_map(|host| Step::Disconnect { host }),
        4 => (any::<usize>(), prop::bool::weighted(0.2)).prop_map(|(order, refuse)| Step::Start { order, refuse }),
        8 => (any::<usize>(), any::<u8>()).prop_map(|(order, how)| Step::End { order, how }),
        2 => any::<usize>().prop_map(|order| Step::Gone { order }),
        4 => (1..6_u64, any::<usize>(), any::<u32>(), 0..3_u8)
            .prop_map(|(job, action, item, what)| Step::Act { job, action, item, what }),
        2 => (0..400_u64).prop_map(|seconds| Step::Wait { seconds }),
        3 => Just(Step::Commit),
        1 => (0..3_u8, any::<bool>()).prop_map(|(host, is_locked)| Step::Lock { host, is_locked }),
        1 => (0..3_u8, 1..9_u64).prop_map(|(host, minutes)| Step::LockWhileActive { host, minutes }),
    ]
}

fn rule(minutes: u64) -> WhileActive {
    WhileActive {
        idle_after: Duration::from_secs(minutes * 60),
        running: Running::ALL[usize::try_from(minutes % 3).expect("small")],
    }
}

fn admin() -> Principal {
    let name = "root".parse().expect("a name");
    Principal {
        name,
        proof: Proof::Peer { uid: 0 },
        is_admin: true,
    }
}

/// Waits for the first whole, for others in other ways.
fn after_of(jobs: &[JobId]) -> Option<After> {
    let labelled = |n: u64| n.is_multiple_of(3);
    let part = |n: u64| {
        if n.is_multiple_of(2) {
            Part::EachFrame
        } else {
            Part::Whole
        }
    };
    let terms = jobs.iter().map(|id| Term {
        whom: if labelled(id.0) {
            Whom::Label("later".parse().expect("a label"))
        } else {
            Whom::Job(*id)
        },
        part: part(id.0),
        when: When::Done,
    });
    (!jobs.is_empty()).then(|| Tree::all(terms.map(Tree::One)))
}

fn spec(frames: u32, cpus: u32, retries: u32, waitfor: &[JobId]) -> JobSpec {
    let run = FrameRun {
        start: 1,
        step: 2,
        count: frames,
    };
    let agenda = Agenda::new(vec![run], Split::Chunk(1), Order::Binary, 4).expect("an agenda");
    JobSpec {
        name: format!("job of {frames}; \"quoted\" ✓"),
        kind: if frames == 1 {
            JobKind::CmdLine
        } else {
            JobKind::CmdRange(agenda)
        },
        command: vec!["true".into(), "QB_FRAME_NUMBER".into()],
        env: [("A".into(), "b\nc".into())].into(),
        cwd: Some("/tmp".into()),
        umask: 0o022,
        flags: Default::default(),
        priority: 9_999 - cpus,
        cpus,
        max_cpus: (retries == 1 && frames > 1).then_some(cpus + 2),
        reservation: Reservation {
            slots: 1,
            more: match (retries, cpus % 2) {
                (1, _) => More::UpTo(2),
                (2, 0) => More::Free,
                (2, _) => More::WholeHost,
                (..) => More::Nothing,
            },
            amounts: [("host.memory".to_owned(), 1), ("host.gpus".to_owned(), 1)]
                .into_iter()
                .take(1 + usize::from(retries == 0))
                .collect(),
            global: (retries == 1)
                .then(|| ("global.rig".parse().expect("a name"), 1))
                .into_iter()
                .collect(),
        },
        hosts: Default::default(),
        omithosts: ["elsewhere".into()].into(),
        cluster: if retries == 2 { "/show,/b+" } else { "/" }
            .parse()
            .expect("clusters"),
        restrictions: (retries == 2).then(|| "/ || /show/+".parse().expect("a restriction")),
        requirements: (retries == 2)
            .then(|| tessera_model::Requirement::parse("host.os = linux").expect("good"))
            .map(Arc::new),
        host_order: (retries == 1).then(|| Arc::new("-host.memory".parse().expect("good"))),
        groups: Default::default(),
        omitgroups: (retries == 1)
            .then(|| "desktops".into())
            .into_iter()
            .collect(),
        retrywork: retries,
        retrywork_delay: Duration::from_secs(u64::from(retries)),
        retrysubjob: 1,
        retry_oom: 3,
        limits: Default::default(),
        timelimit: Some(Duration::from_secs(100)),
        agendatimelimit: None,
        silence_limit: Some(Duration::from_millis(1_500)),
        grace: Duration::from_secs(30),
        output_limit: 1 << 20,
        progress: Some("(\\d+)%".into()),
        after: after_of(waitfor),
        label: (retries == 1).then(|| "render".parse().expect("a label")),
        pgrp: None,
        mail: None,
        webhooks: Default::default(),
        max_failures: retries * 3,
        notes: "a note".into(),
    }
}

impl World {
    fn new() -> Self {
        let mut store = MemoryStore::new();
        let epoch = store.lease("test").expect("a lease");
        let now = Now {
            wall: Timestamp(1_000_000),
            elapsed: Duration::ZERO,
        };
        let engine = Engine::new(Config::default());
        let (ledger, changed) = Default::default();
        Self {
            engine,
            ledger,
            store,
            epoch,
            now,
            session: 0,
            seq: 0,
            orders: Vec::new(),
            changed,
        }
    }

    fn feed(&mut self, input: Input) {
        let out = self.engine.handle(self.now, input);
        self.changed.add(out.changes);
        for effect in out.effects {
            use tessera_engine::supervisor::Effect;
            match effect {
                Effect::Start {
                    host,
                    session,
                    order,
                } => self.orders.push((host, session, *order)),
                Effect::Send {
                    message: ToWorker::Run { key, run },
                    ..
                } => {
                    self.orders
                        .iter_mut()
                        .filter(|(_, _, order)| order.key == key)
                        .for_each(|order| order.2.run = run);
                }
                _ => {}
            }
        }
    }

    fn said(&mut self, host: HostId, report: Report) {
        self.seq += 1;
        let session = self.session;
        let what = Box::new(FromWorker::Report {
            seq: self.seq,
            report,
        });
        for session in 1..=session {
            self.feed(Input::Said {
                host,
                session,
                what: what.clone(),
            });
        }
    }

    fn step(&mut self, step: &Step) {
        let host = |n: u8| HostId([n; 16]);
        match *step {
            Step::Submit {
                frames,
                cpus,
                retries,
                is_blocked,
                waitfor,
            } => {
                let waitfor = waitfor
                    .map(JobId)
                    .filter(|id| self.engine.job(*id).is_some());
                let spec = spec(frames, cpus, retries, waitfor.as_slice());
                let key = (frames % 3 == 0).then(|| format!("key {frames}"));
                let submission = Submission {
                    by: admin(),
                    spec,
                    owner: None,
                    key,
                    is_blocked,
                };
                self.feed(Input::Submit(Box::new(submission)));
            }
            Step::Connect {
                host: n,
                slots,
                is_proxy,
            } => {
                self.session += 1;
                let identity = if is_proxy {
                    Identity::Proxy("tessera-job".into())
                } else {
                    Identity::User
                };
                let resources = [("host.gpus".into(), 2), ("host.memory".into(), 5)].into();
                let facts = HostFacts {
                    name: format!("host{n}"),
                    slots,
                    identity,
                    resources,
                    allows: Consent::of((0..slots).map(|it| format!("u{it}"))),
                    presence: (slots > 2).then(|| Presence {
                        rule: rule(1),
                        is_closed: is_proxy,
                        who: "anna".into(),
                        unknown: is_proxy.then(|| "no loginctl".into()),
                    }),
                    ..HostFacts::default()
                };
                let session = self.session;
                self.feed(Input::Connected {
                    host: host(n),
                    session,
                    facts: Box::new(facts),
                });
                let what = Box::new(FromWorker::Inventory(Vec::new()));
                self.feed(Input::Said {
                    host: host(n),
                    session,
                    what,
                });
            }
            Step::Disconnect { host: n } => self.feed(Input::Disconnected {
                host: host(n),
                session: self.session,
            }),
            Step::Start { order, refuse } => {
                let Some((host, _, order)) = self.order(order) else {
                    return;
                };
                let refusal = Refusal {
                    code: "no_such_account".into(),
                    text: "no account".into(),
                };
                let report = if refuse {
                    Report::Refused {
                        key: order.key,
                        refusal,
                    }
                } else {
                    let (account, containment) = ("root".into(), "session".into());
                    Report::Started {
                        key: order.key,
                        account,
                        uid: 0,
                        containment,
                    }
                };
                self.said(host, report);
            }
            Step::End { order, how } => {
                let Some((host, _, order)) = self.order(order) else {
                    return;
                };
                let end = match how % 7 {
                    0 => End::Exit(3),
                    1 => End::Signal(9),
                    2 => End::Limit(Limit::Silence),
                    3 => End::NotStarted("no such file".into()),
                    4 => End::OutOfMemory {
                        peak: 4_096,
                        limit: 1 << 20,
                    },
                    _ => End::Exit(0),
                };
                let end = AttemptEnd {
                    end,
                    started: self.now.wall,
                    elapsed: Duration::from_millis(20),
                    cpu: Duration::from_millis(10),
                    peak_memory: 4_096,
                    printed: [5, 6],
                    kept: [5, 6],
                    leftovers: 0,
                };
                // Mostly the current item of the launch ends, at times one that it was given ahead.
                let launch = self.engine.launch(order.key);
                let [current, ahead] =
                    launch.map_or([None; 2], |it| [it.current, it.ahead.back().copied()]);
                let run = ahead.filter(|_| how > 200).or(current).unwrap_or(order.run);
                self.said(
                    host,
                    Report::ItemEnded {
                        key: order.key,
                        run,
                        end,
                    },
                );
            }
            Step::Gone { order } => {
                let Some((host, _, order)) = self.order(order) else {
                    return;
                };
                self.said(
                    host,
                    Report::Gone {
                        key: order.key,
                        cause: GoneCause::Closed,
                    },
                );
            }
            Step::Act {
                job,
                action,
                item,
                what,
            } => {
                let action = Action::ALL[action % Action::ALL.len()];
                let target = match what {
                    0 => Target::Job(JobId(job)),
                    1 => Target::Instance(JobId(job), InstanceNo(item % 3)),
                    _ => Target::Items(JobId(job), vec![ItemIndex(item % 8), ItemIndex(item % 5)]),
                };
                if action != Action::Modify {
                    self.feed(Input::Act {
                        by: admin(),
                        action,
                        targets: vec![target],
                    });
                }
            }
            Step::Wait { seconds } => {
                self.now.elapsed += Duration::from_secs(seconds);
                self.now.wall = self
                    .now
                    .wall
                    .plus_ms(i64::try_from(seconds * 1_000).expect("short"));
                self.feed(Input::Tick);
            }
            Step::Commit => self.commit(),
            Step::Lock { host: n, is_locked } => {
                let note = (is_locked && n == 2).then(|| "at noon".into());
                let (by, mode) = (admin(), Mode::StopActivity);
                self.feed(Input::Mode { by, mode, note });
                let (by, host, wish) = (admin(), host(n), Box::new(lock_wish(n, is_locked)));
                self.feed(Input::LockWish { by, host, wish });
            }
            Step::LockWhileActive { host: n, minutes } => self.feed(Input::LockWhileActive {
                by: admin(),
                host: host(n),
                rule: rule(minutes),
            }),
        }
    }

    fn order(&self, n: usize) -> Option<(HostId, u64, tessera_engine::supervisor::StartOrder)> {
        (!self.orders.is_empty()).then(|| self.orders[n % self.orders.len()].clone())
    }

    fn commit(&mut self) {
        let changed = std::mem::take(&mut self.changed);
        let writes = self.ledger.writes(&self.engine, &changed);
        let batch = Batch {
            epoch: self.epoch,
            at_ms: self.now.wall.0,
            writes,
        };
        self.store.commit(&batch).expect("a batch that makes sense");
    }

    /// What the engine has, without what is not written for its own sake.
    fn expected(&self) -> Image {
        comparable(self.engine.image())
    }

    fn stored(&mut self) -> Image {
        comparable(
            picture(self.store.load().expect("loads"))
                .expect("makes sense")
                .image,
        )
    }
}

/// When a host was heard last, and how often an instance was lost in a row, are written with the next thing that matters.
fn comparable(mut image: Image) -> Image {
    image
        .hosts
        .iter_mut()
        .for_each(|host| host.seen = Timestamp(0));
    for job in &mut image.jobs {
        job.instances
            .iter_mut()
            .for_each(|instance| instance.losses = 0);
    }
    image
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_turn_by_turn_is_what_the_engine_has(steps in proptest::collection::vec(any_step(), 1..80)) {
        let mut world = World::new();
        for step in steps {
            world.step(&step);
        }
        world.commit();
        prop_assert_eq!(world.stored(), world.expected());
    }

    #[test]
    fn an_engine_restored_from_the_store_goes_on_writing(
        before in proptest::collection::vec(any_step(), 1..40),
        after in proptest::collection::vec(any_step(), 1..40),
    ) {
        let mut world = World::new();
        before.into_iter().for_each(|step| world.step(&step));
        world.commit();
        let found = picture(world.store.load().expect("loads")).expect("makes sense");
        world.ledger = Ledger::of(&found);
        world.engine = Engine::restore(Config::default(), world.now, found.image).expect("fits together");
        after.into_iter().for_each(|step| world.step(&step));
        world.commit();
        prop_assert_eq!(world.stored(), world.expected());
    }
}

/// Frames of one long job, so that its cells are folded several times over.
#[test]
fn folding_loses_no_cell_and_keeps_the_tail_short() {
    let mut world = World::new();
    world.step(&Step::Connect {
        host: 1,
        slots: 1,
        is_proxy: false,
    });
    let submission = Submission {
        by: admin(),
        spec: spec(9_000, 1, 0, &[]),
        owner: None,
        key: None,
        is_blocked: false,
    };
    world.feed(Input::Submit(Box::new(submission)));
    world.commit();
    let mut most = 0;
    for _ in 0..9_000 {
        world.step(&Step::End { order: 0, how: 5 });
        world.commit();
        most = most.max(world.ledger.unfolded_cells);
    }
    assert!(
        world
            .engine
            .job(JobId(1))
            .is_some_and(|job| job.ended.is_some()),
        "all frames ended"
    );
    assert!(most <= 4 * u64::from(SEGMENT_ITEMS), "{most} cells waited");
    assert_eq!(world.ledger.unfolded_cells, 0, "an ended job is folded");
    assert_eq!(world.stored(), world.expected());
}

#[test]
fn the_number_of_a_removed_job_is_not_given_again() {
    let mut world = World::new();
    world.step(&Step::Submit {
        frames: 2,
        cpus: 1,
        retries: 0,
        is_blocked: false,
        waitfor: None,
    });
    world.commit();
    for action in [Action::Kill, Action::Remove] {
        world.feed(Input::Act {
            by: admin(),
            action,
            targets: vec![Target::Job(JobId(1))],
        });
    }
    world.commit();
    assert_eq!((world.stored().next_job, world.stored().jobs.len()), (2, 0));
}

/// Registered, checked, sealed for a new key, revoked: after each the store has what the engine has.
#[test]
fn registered_passwords_come_back() {
    use tessera_engine::supervisor::{CredentialWish, Registration};
    use tessera_model::credential::{
        AccountKind, CredentialChecked, CredentialId, KeyId, NEEDS_CREDENTIAL, PoolKey, PoolKeys,
        Verdict,
    };
    let mut world = World::new();
    let facts = HostFacts {
        name: "win1".into(),
        slots: 1,
        properties: [(NEEDS_CREDENTIAL.to_owned(), "1".to_owned())].into(),
        ..HostFacts::default()
    };
    world.feed(Input::Connected {
        host: HostId([1; 16]),
        session: 1,
        facts: Box::new(facts),
    });
    let key = |number: u8| PoolKey {
        id: KeyId([number; 16]),
        public: [number; 32],
        created: Timestamp(4),
    };
    let id = CredentialId {
        kind: AccountKind::User,
        account: "mia".parse().expect("a name"),
        pool: "night".parse().expect("a pool"),
    };
    let keys = |numbers: &[u8]| {
        FromWorker::PoolKeys(PoolKeys {
            pool: "night".parse().expect("a pool"),
            keys: numbers.iter().map(|number| key(*number)).collect(),
        })
    };
    let said = |what| Input::Said {
        host: HostId([1; 16]),
        session: 1,
        what: Box::new(what),
    };
    let created = world.now.wall;
    let registration = Registration {
        id: id.clone(),
        domain: "STUDIO".into(),
        sid: "S-1-1".into(),
        sequence: 1,
        created,
        expires: created.plus_ms(86_400_000),
        sealed: [(KeyId([1; 16]), vec![7; 99])].into(),
    };
    let wish = |wish| Input::Credential { by: admin(), wish };
    let inputs = [
        said(keys(&[1])),
        said(FromWorker::Inventory(Vec::new())),
        wish(CredentialWish::Register(Box::new(registration))),
        said(FromWorker::CredentialChecked(CredentialChecked {
            id: id.clone(),
            sequence: 1,
            verdict: Verdict::Valid,
            sid: "S-1-1".into(),
            detail: "fine".into(),
        })),
        said(keys(&[2, 1])),
        said(FromWorker::Resealed {
            id: id.clone(),
            sequence: 1,
            to: KeyId([2; 16]),
            sealed: Ok(vec![8; 99]),
        }),
        said(keys(&[2])),
        wish(CredentialWish::Revoke(id)),
    ];
    for (number, input) in inputs.into_iter().enumerate() {
        world.feed(input);
        world.commit();
        assert_eq!(world.stored(), world.expected(), "after {number}");
    }
    let kept = &world.stored().credentials[0];
    assert_eq!(
        (
            kept.record.sequence,
            kept.record.is_revoked,
            kept.sealed.len()
        ),
        (2, true, 0)
    );
}

#[test]
fn what_was_said_of_resources_is_kept() {
    use tessera_engine::supervisor::{GlobalWish, Outside};
    let mut world = World::new();
    let set = |total, used, ttl| GlobalWish::Set {
        total,
        used,
        ttl: Duration::from_secs(ttl).into(),
    };
    let wishes = [
        ("global.rig", set(Some(3), None, 1)),
        ("license.nuke", set(Some(10), Some(Outside::Others(4)), 60)),
        ("license.nuke", set(None, Some(Outside::InAll(2)), 60)),
        ("global.rig", GlobalWish::Remove),
    ];
    for (name, wish) in wishes {
        let name = name.parse().expect("a name");
        world.feed(Input::Global {
            by: admin(),
            name,
            wish,
        });
        world.commit();
        assert_eq!(world.stored(), world.expected());
    }
    world.now.elapsed += Duration::from_secs(61);
    world.now.wall = world.now.wall.plus_ms(61_000);
    world.feed(Input::Tick);
    world.commit();
    let kept = world.stored().globals;
    assert_eq!(kept, world.expected().globals);
    assert_eq!((kept.len(), kept[0].total), (1, Some(10)));
    assert!(kept[0].others.is_some_and(|it| it.used == 2 && it.is_over));
}
