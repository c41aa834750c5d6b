//! GPUs: which of a host's an instance has.

use super::*;
use tessera_model::gpu::{GPU_DEVICES, GPUS};
use tessera_model::{Gpus, HostState, Reservation, Taken};

fn wanting(frames: u32, gpus: u64) -> JobSpec {
    JobSpec {
        cpus: frames,
        reservation: Reservation {
            amounts: [(GPUS.to_owned(), gpus)].into(),
            ..Reservation::default()
        },
        ..spec(frames)
    }
}

/// A host with so many GPUs.
fn host_with(w: &mut World, number: u8, gpus: u64) {
    w.connect_with(number, 16, Identity::User, &[(GPUS, gpus)]);
    w.say(number, FromWorker::Inventory(Vec::new()));
}

fn taken(w: &World, key: LaunchKey) -> Vec<u8> {
    let launch = w.engine.launch(key).expect("there");
    launch.taken.gpus.iter().copied().collect()
}

#[test]
fn each_instance_has_gpus_to_itself_until_nothing_of_it_is_left() {
    let mut w = World::new();
    host_with(&mut w, 1, 4);
    let job = w.submit(wanting(4, 2));
    let (first, second) = (w.order(), w.order());
    assert!(w.said.is_empty(), "{:?}", w.said);
    assert_eq!(taken(&w, first.1), [0, 1]);
    assert_eq!(taken(&w, second.1), [2, 3]);
    // Who asks for none has none.
    w.submit(spec(1));
    let plain = w.order();
    assert_eq!(taken(&w, plain.1), []);
    // Ended is not gone: a program of it may hold its device still.
    w.act(Action::Kill, Target::Instance(job, first.1.instance))
        .expect("allowed");
    w.end(first, End::Asked);
    w.said.clear();
    assert_eq!(taken(&w, second.1), [2, 3]);
    w.gone(1, first.1);
    let third = w.order();
    assert_eq!((third.1.job, taken(&w, third.1)), (job, vec![0, 1]));
}

#[test]
fn a_restart_forgets_no_device() {
    let mut w = World::new();
    host_with(&mut w, 1, 2);
    w.submit(wanting(1, 1));
    let first = w.order();
    let now = Now {
        wall: Timestamp(0),
        elapsed: Duration::ZERO,
    };
    w.engine = Engine::restore(Config::default(), now, w.engine.image()).expect("whole");
    w.ms = 0;
    assert_eq!(taken(&w, first.1), [0]);
    w.connect_with(1, 16, Identity::User, &[(GPUS, 2)]);
    let found = tessera_model::msg::LaunchInventory {
        key: first.1,
        current: Some(first.2),
        ahead: Vec::new(),
        is_closing: false,
        is_suspended: false,
    };
    w.say(1, FromWorker::Inventory(vec![found]));
    w.submit(wanting(1, 1));
    let second = w.order();
    assert_eq!(taken(&w, second.1), [1]);
}

/// A host says what it has, whatever it said before, and that these launches are there.
fn lists(w: &mut World, devices: &str, there: &[LaunchKey]) {
    let number = Gpus::read(devices).expect("good").all().len();
    let facts = HostFacts {
        name: "rnd1".into(),
        slots: 16,
        identity: Identity::User,
        resources: [(GPUS.to_owned(), number as u64)].into(),
        properties: [(GPU_DEVICES.to_owned(), devices.to_owned())].into(),
        ..HostFacts::default()
    };
    w.says(1, facts, there);
}

#[test]
fn no_gpu_is_given_while_numbers_of_an_older_list_are_in_use() {
    let mut w = World::new();
    lists(&mut w, "nvidia/A,nvidia/B", &[]);
    w.submit(wanting(1, 1));
    let first = w.order();
    assert_eq!(taken(&w, first.1), [0]);
    // Memory that is known now, and one more at the end, move none.
    lists(&mut w, "nvidia/A:8,nvidia/B:8,nvidia/B:8", &[first.1]);
    w.submit(wanting(1, 1));
    let second = w.order();
    assert_eq!(taken(&w, second.1), [1]);
    // One more at the front: number 2 may be what the second has.
    lists(
        &mut w,
        "amd/C,nvidia/A:8,nvidia/B:8,nvidia/B:8",
        &[first.1, second.1],
    );
    w.submit(wanting(1, 1));
    assert!(w.said.is_empty(), "{:?}", w.said);
    w.submit(spec(1));
    let plain = w.order();
    assert_eq!(taken(&w, plain.1), [], "who asks for none isn't kept off");
    w.end(second, End::Exit(0));
    w.said.clear();
    w.gone(1, second.1);
    assert!(w.said.is_empty(), "the first is there: {:?}", w.said);
    // A restart of the supervisor forgets that as little as the same list again.
    let now = Now {
        wall: Timestamp(0),
        elapsed: Duration::ZERO,
    };
    w.engine = Engine::restore(Config::default(), now, w.engine.image()).expect("whole");
    w.ms = 0;
    lists(
        &mut w,
        "amd/C,nvidia/A:8,nvidia/B:8,nvidia/B:8",
        &[first.1, plain.1],
    );
    assert!(w.said.is_empty(), "{:?}", w.said);
    w.end(first, End::Exit(0));
    w.said.clear();
    w.gone(1, first.1);
    let third = w.order();
    assert_eq!(taken(&w, third.1), [0]);
}

#[test]
fn what_a_host_lists_says_which_variables_keep_programs_to_them() {
    let facts = |devices: &str| HostFacts {
        resources: [(GPUS.to_owned(), 2)].into(),
        properties: [(GPU_DEVICES.to_owned(), devices.to_owned())].into(),
        ..HostFacts::default()
    };
    let of = |devices: &str, gpus: &[u8]| {
        let seen = Timestamp(0);
        let host = Host::new(host(1), facts(devices), HostState::Up, seen);
        let taken = Taken {
            gpus: gpus.iter().copied().collect(),
            ..Taken::default()
        };
        host.variables_for(&taken)
    };
    let listed = Gpus::read("amd/B:8,nvidia/A:8").expect("good");
    let both = [0, 1].into();
    assert_eq!(of(&listed.to_string(), &[0, 1]), listed.variables(&both));
    assert_eq!(of(&listed.to_string(), &[]), []);
    // A list that can't be read is none: then they count as a host's that only says how many it has.
    let none = Gpus::default().variables(&both);
    assert_eq!(of("???", &[0, 1]), none);
}
