//! Slots that a host keeps for GPUs which nobody has.

use super::*;
use crate::supervisor::why::Kind;
use tessera_model::gpu::{GPU_DEVICES, GPU_SLOTS, GPUS};
use tessera_model::reservation::MEMORY;
use tessera_model::{JobFlag, More, Reservation};

fn keeping(number: u8, (slots, gpus, each): (u32, u64, u32)) -> HostFacts {
    HostFacts {
        name: format!("rnd{number}"),
        slots,
        identity: Identity::User,
        resources: [(GPUS.to_owned(), gpus), (MEMORY.to_owned(), 64)].into(),
        properties: [(GPU_SLOTS.to_owned(), each.to_string())].into(),
        ..HostFacts::default()
    }
}

impl World {
    /// A host says that it has so many slots and GPUs, and keeps so many slots for each of these; and which launches are there.
    pub(super) fn keeping(&mut self, number: u8, sizes: (u32, u64, u32), there: &[LaunchKey]) {
        self.says(number, keeping(number, sizes), there);
    }

    /// A host says anew what it is, and which launches are there.
    pub(super) fn says(&mut self, number: u8, facts: HostFacts, there: &[LaunchKey]) {
        self.sessions += 1;
        self.step(Input::Connected {
            host: host(number),
            session: self.sessions,
            facts: Box::new(facts),
        });
        let found = there.iter().map(|key| tessera_model::msg::LaunchInventory {
            key: *key,
            current: self.engine.launch(*key).and_then(|it| it.current),
            ahead: Vec::new(),
            is_closing: false,
            is_suspended: false,
        });
        let found = found.collect();
        self.say(number, FromWorker::Inventory(found));
    }

    /// Takes all that was said; answers what started.
    fn all_started(&mut self) -> Vec<(u8, LaunchKey, Run)> {
        let said = std::mem::take(&mut self.said).into_iter();
        let starts = said.filter_map(|(host, what)| match what {
            ToWorker::Start { key, run, .. } => Some((host.0[0], key, run)),
            _ => None,
        });
        starts.collect()
    }

    fn slots_of(&self, order: (u8, LaunchKey, Run)) -> u32 {
        self.engine.launch(order.1).expect("there").taken.slots
    }

    /// Lets the frame of a launch end; answers whether it was told to leave.
    fn leaves_after(&mut self, order: (u8, LaunchKey, Run)) -> bool {
        self.end(order, End::Exit(0));
        let said = std::mem::take(&mut self.said);
        let close =
            |what: &ToWorker| matches!(what, ToWorker::Close { key, .. } if *key == order.1);
        said.iter().any(|(_, what)| close(what))
    }
}

/// So many instances of so many slots and GPUs, with more frames than they take at once.
fn wanting(cpus: u32, slots: u32, gpus: u64) -> JobSpec {
    let amounts = (gpus > 0).then(|| (GPUS.to_owned(), gpus));
    JobSpec {
        cpus,
        reservation: Reservation {
            slots,
            amounts: amounts.into_iter().collect(),
            ..Reservation::default()
        },
        ..spec(cpus * 4)
    }
}

fn with_more(more: More, spec: JobSpec) -> JobSpec {
    let mut spec = spec;
    spec.reservation.more = more;
    spec
}

#[test]
fn jobs_without_gpus_get_none_of_what_is_kept_until_gpus_are_in_use() {
    let mut w = World::new();
    w.keeping(1, (8, 2, 2), &[]);
    w.submit(wanting(9, 1, 0));
    assert_eq!(w.all_started().len(), 4, "four of eight are kept");
    // Each GPU that is taken gives its slots to all; one of them is the job's own.
    w.submit(wanting(1, 1, 1));
    let starts = w.all_started();
    assert_eq!(starts.len(), 2);
    let with_gpu = starts[0];
    w.submit(wanting(1, 2, 1));
    assert_eq!(w.all_started().len(), 1, "a GPU and both of its slots");
    w.act(
        Action::Kill,
        Target::Instance(with_gpu.1.job, with_gpu.1.instance),
    )
    .expect("allowed");
    w.end(with_gpu, End::Asked);
    w.said.clear();
    w.gone(1, with_gpu.1);
    assert!(w.said.is_empty(), "the GPU is free: {:?}", w.said);
    // So the two are there for the next one with a GPU, at once, but one of them: somebody without has it since before.
    w.submit(wanting(1, 1, 1));
    assert_eq!(w.all_started().len(), 1);
}

#[test]
fn only_gpus_that_are_there_and_can_be_given_keep_slots() {
    let mut w = World::new();
    w.keeping(1, (4, 0, 2), &[]);
    w.keeping(2, (4, 2, 0), &[]);
    w.submit(wanting(9, 1, 0));
    assert_eq!(w.all_started().len(), 8);
    // More than a host has are all that it has.
    let mut w = World::new();
    w.keeping(1, (4, 2, 4096), &[]);
    w.submit(wanting(2, 1, 0));
    assert!(w.all_started().is_empty());
    w.submit(wanting(2, 2, 1));
    assert_eq!(w.all_started().len(), 2);
}

#[test]
fn nothing_is_kept_for_gpus_that_nobody_can_be_given() {
    let mut w = World::new();
    let listing = |devices: &str| {
        let mut facts = keeping(1, (4, 2, 1));
        let list = (GPU_DEVICES.to_owned(), devices.to_owned());
        facts.properties.extend([list]);
        facts
    };
    w.says(1, listing("nvidia/A,nvidia/B"), &[]);
    w.submit(wanting(1, 1, 1));
    let first = w.order();
    assert_eq!(w.engine.host(host(1)).expect("there").gpu_slots(), 1);
    // Nobody knows which of them the first has: no GPU is given away before that is gone.
    w.says(1, listing("amd/C,nvidia/A"), &[first.1]);
    w.submit(wanting(4, 1, 0));
    assert_eq!(w.all_started().len(), 3);
}

#[test]
fn what_is_taken_beside_the_least_is_never_what_is_kept_for_others() {
    let mut w = World::new();
    let taken = |w: &mut World, more: More, spec: JobSpec| {
        let job = w.submit(with_more(more, spec));
        let starts = w.all_started();
        assert_eq!(starts.len(), 1, "{more:?}");
        let slots = w.slots_of(starts[0]);
        w.act(Action::Kill, Target::Job(job)).expect("allowed");
        w.end(starts[0], End::Asked);
        w.gone(1, starts[0].1);
        w.said.clear();
        slots
    };
    w.keeping(1, (8, 2, 2), &[]);
    let (cpu, gpu) = (wanting(1, 1, 0), wanting(1, 1, 1));
    assert_eq!(taken(&mut w, More::Free, cpu.clone()), 4);
    assert_eq!(taken(&mut w, More::UpTo(3), cpu.clone()), 3);
    assert_eq!(taken(&mut w, More::UpTo(6), cpu.clone()), 4);
    // Its own GPU is idle no more; the other one is.
    assert_eq!(taken(&mut w, More::Free, gpu.clone()), 6);
    assert_eq!(taken(&mut w, More::Free, wanting(1, 1, 2)), 8);
    // What it needs it gets, also of what is kept for the other.
    assert_eq!(taken(&mut w, More::Nothing, wanting(1, 8, 1)), 8);
    // Who has the host to itself has its GPUs, too.
    assert_eq!(taken(&mut w, More::WholeHost, cpu), 8);
}

#[test]
fn a_setting_that_keeps_more_ends_nothing_and_fills_nothing_again() {
    let mut w = World::new();
    w.keeping(1, (4, 1, 0), &[]);
    let job = w.submit(wanting(4, 1, 0));
    let starts = w.all_started();
    assert_eq!(starts.len(), 4);
    let keys: Vec<LaunchKey> = starts.iter().map(|it| it.1).collect();
    w.keeping(1, (4, 1, 2), &keys);
    assert!(w.said.is_empty(), "all go on: {:?}", w.said);
    assert!(w.leaves_after(starts[0]));
    w.gone(1, keys[0]);
    assert!(w.leaves_after(starts[1]));
    w.gone(1, keys[1]);
    assert!(w.said.is_empty(), "nothing starts there: {:?}", w.said);
    assert!(!w.leaves_after(starts[2]), "the rest has its place");
    // What has a GPU gets what is there.
    w.submit(wanting(1, 2, 1));
    let with_gpu = w.all_started();
    assert_eq!(with_gpu.len(), 1);
    // Less is kept: it goes on.
    w.keeping(1, (4, 1, 0), &[keys[2], keys[3], with_gpu[0].1]);
    assert!(w.all_started().is_empty(), "all are in use");
    w.end(with_gpu[0], End::Exit(1));
    w.act(Action::Kill, Target::Job(with_gpu[0].1.job))
        .expect("allowed");
    w.said.clear();
    w.gone(1, with_gpu[0].1);
    let again: Vec<JobId> = w.all_started().iter().map(|it| it.1.job).collect();
    assert_eq!(again, [job, job]);
}

#[test]
fn no_more_memory_is_asked_for_than_a_host_has_beside_what_it_can_keep() {
    let mut w = World::new();
    // Rnd2 has more memory, and of its slots one that is never kept.
    let small = HostFacts {
        resources: [(MEMORY.to_owned(), 40)].into(),
        ..keeping(1, (2, 0, 0))
    };
    w.says(1, small, &[]);
    w.keeping(2, (3, 2, 1), &[]);
    let mut ask = wanting(1, 2, 0);
    ask.reservation.amounts.insert(MEMORY.to_owned(), 30);
    let job = w.submit(ask);
    for (limit, status) in [(30, ItemStatus::Pending), (40, ItemStatus::Failed)] {
        let order = w.order();
        assert_eq!((order.0, order.2.item), (1, ItemIndex(0)));
        let end = End::OutOfMemory {
            peak: limit << 20,
            limit: limit << 20,
        };
        w.end(order, end);
        assert_eq!(w.item(job, 0), status, "with {limit} MiB");
        // The others have what the job reserves.
        while w.item(job, 0) == ItemStatus::Pending {
            match w.heard() {
                (_, ToWorker::Run { key, run }) => w.end((1, key, run), End::Exit(0)),
                (_, ToWorker::Close { key, .. }) => w.gone(1, key),
                (_, said) => panic!("{said:?}"),
            }
        }
    }
}

#[test]
fn a_restart_forgets_nothing_of_it() {
    let mut w = World::new();
    w.keeping(1, (4, 2, 1), &[]);
    w.submit(wanting(1, 1, 1));
    let first = w.order();
    let now = Now {
        wall: Timestamp(0),
        elapsed: Duration::ZERO,
    };
    w.engine = Engine::restore(Config::default(), now, w.engine.image()).expect("whole");
    w.ms = 0;
    w.keeping(1, (4, 2, 1), &[first.1]);
    w.submit(wanting(4, 1, 0));
    assert_eq!(
        w.all_started().len(),
        2,
        "one of four is kept, and one in use"
    );
}

#[test]
fn what_is_secondary_gets_none_of_them_without_a_gpu_either() {
    let mut w = World::new();
    w.engine = Engine::new(Config {
        smart_share: SmartShare::ASKED,
        ..Config::default()
    });
    w.keeping(1, (8, 2, 2), &[]);
    let growing = |spec: JobSpec| JobSpec {
        max_cpus: Some(8),
        ..spec
    };
    w.submit(growing(wanting(1, 1, 0)));
    assert_eq!(w.all_started().len(), 4);
    w.submit(growing(wanting(1, 2, 1)));
    assert_eq!(w.all_started().len(), 2, "as many as there are GPUs");
}

fn preempting() -> World {
    let mut w = World::new();
    w.engine = Engine::new(Config {
        preempt_policy: PreemptPolicy::Aggressive,
        ..Config::default()
    });
    w
}

/// Takes all that was said; answers who was told to end.
fn closed(w: &mut World) -> Vec<JobId> {
    let said = std::mem::take(&mut w.said).into_iter();
    let closed = said.filter_map(|(_, what)| match what {
        ToWorker::Close { key, .. } => Some(key.job),
        _ => None,
    });
    closed.collect()
}

fn of_priority(priority: u32, spec: JobSpec) -> JobSpec {
    JobSpec { priority, ..spec }
}

#[test]
fn nobody_leaves_for_what_would_be_kept_from_it() {
    let mut w = preempting();
    w.keeping(1, (8, 2, 2), &[]);
    let low = w.submit(of_priority(900, wanting(9, 1, 0)));
    let lows = w.all_started();
    assert_eq!(lows.len(), 4);
    // Five without a GPU there can't be, whoever leaves.
    let large = w.submit(of_priority(1, wanting(1, 5, 0)));
    assert_eq!(closed(&mut w), []);
    w.act(Action::Kill, Target::Job(large)).expect("allowed");
    // With one nobody need leave.
    w.submit(of_priority(1, wanting(1, 2, 1)));
    let with_gpu = w.all_started();
    assert_eq!(with_gpu.len(), 1);
    // One without has those leave whom it needs, and has what they had.
    let high = w.submit(of_priority(2, wanting(1, 2, 0)));
    assert_eq!(closed(&mut w), [low, low]);
    let gone = lows.iter().filter(|it| {
        let launch = w.engine.launch(it.1);
        launch.is_some_and(|it| it.phase == Phase::Closing)
    });
    let gone: Vec<LaunchKey> = gone.map(|it| it.1).collect();
    for key in gone {
        assert!(w.said.is_empty(), "{:?}", w.said);
        w.gone(1, key);
    }
    assert_eq!(w.order().1.job, high);
}

#[test]
fn who_has_a_gpu_leaves_for_nobody_without_when_its_slots_are_kept_then() {
    let mut w = preempting();
    w.keeping(1, (4, 1, 2), &[]);
    w.submit(of_priority(900, wanting(1, 2, 1)));
    let others = JobSpec {
        flags: [JobFlag::Uninterruptible].into(),
        ..of_priority(800, wanting(2, 1, 0))
    };
    w.submit(others);
    assert_eq!(w.all_started().len(), 3);
    let high = w.submit(of_priority(1, wanting(1, 1, 0)));
    assert_eq!(closed(&mut w), []);
    w.act(Action::Kill, Target::Job(high)).expect("allowed");
    let with_gpu = w.submit(of_priority(1, wanting(1, 2, 1)));
    assert_eq!(closed(&mut w).len(), 1, "{with_gpu} has its GPU");
}

#[test]
fn a_gang_counts_on_no_slot_that_is_kept() {
    let mut w = World::new();
    w.keeping(1, (4, 1, 2), &[]);
    w.keeping(2, (4, 1, 2), &[]);
    let of = |cpus| JobSpec {
        flags: [JobFlag::Grid].into(),
        ..wanting(cpus, 1, 0)
    };
    let job = w.submit(of(5));
    assert!(w.all_started().is_empty());
    let why = w.reason(job, Kind::Grid).text;
    assert!(
        why.ends_with("have room for 4 if nothing else runs there"),
        "{why}"
    );
    w.submit(of(4));
    assert_eq!(w.all_started().len(), 4);
}

#[test]
pub(super) fn why_says_what_is_kept_and_what_it_says_lets_the_job_run() {
    let mut w = World::new();
    w.keeping(1, (8, 2, 2), &[]);
    assert_eq!(w.engine.why_host_idle(host(1)), None);
    w.submit(wanting(4, 1, 0));
    assert_eq!(w.all_started().len(), 4);
    let job = w.submit(wanting(1, 2, 0));
    let told = w.reason(job, Kind::GpuSlots);
    let text =
        "4 of 8 slots of rnd1 are kept for 2 GPUs that nobody has, and 0 others are free; 2 asked";
    assert_eq!(told.text, text);
    assert_eq!(told.hosts, ["rnd1"]);
    let (kind, text) = w.engine.why_host_idle(host(1)).expect("said");
    let said = "4 of 8 slots are kept for 2 GPUs that nobody has (worker_gpu_slots): only jobs with GPUs get one of the 4 that are free";
    assert_eq!((kind, text.as_str()), (Kind::GpuSlots, said));
    let hint = told.hint.expect("a way out");
    let way = "a job that uses a GPU gets them: tessera modify 2 --reservations host.processors=2,host.gpus=1; or less worker_gpu_slots there";
    assert_eq!(hint, way);
    w.follow(&hint, "modify");
    assert!(w.begins(job));
}

#[test]
fn who_submits_what_only_slots_kept_for_gpus_would_do_for_is_told() {
    let mut w = World::new();
    w.keeping(1, (8, 2, 2), &[]);
    let told = |spec: &JobSpec| w.engine.too_large(spec, &name("mia"));
    let text = "5 asked, and the largest host has host.processors: 4 (rnd1, beside 4 for its GPUs)";
    assert_eq!(told(&wanting(1, 5, 0)).as_deref(), Some(text));
    assert_eq!(told(&wanting(1, 5, 1)), None);
    assert_eq!(told(&with_more(More::WholeHost, wanting(1, 5, 0))), None);
}

#[test]
fn why_tells_of_what_is_kept_only_where_that_is_what_lacks() {
    let mut w = World::new();
    w.keeping(1, (8, 2, 2), &[]);
    w.submit(wanting(3, 1, 0));
    w.submit(wanting(1, 2, 1));
    assert_eq!(w.all_started().len(), 4);
    // Of eight two are kept and five in use: one is free for it, three would be free for others.
    let job = w.submit(wanting(1, 2, 0));
    let told = w.reason(job, Kind::GpuSlots);
    let fits = "host.processors=1 fits there now; or less worker_gpu_slots there";
    assert!(told.hint.expect("a way out").ends_with(fits));
    // Of four too few are free whatever is kept, and when the rest is given back there are enough beside that.
    let job = w.submit(wanting(1, 4, 0));
    let told = w.reason(job, Kind::Reserved);
    assert!(told.text.starts_with("3 of 8 of host.processors free"));
    let hint = told.hint.expect("a way out");
    assert!(hint.ends_with("host.processors=1 fits there now"), "{hint}");
    // Seven are never free beside what is kept.
    let job = w.submit(wanting(1, 7, 0));
    w.reason(job, Kind::GpuSlots);
}
