//! What instances take of hosts, and items that run out of memory.

use super::*;
use tessera_model::reservation::MEMORY;
use tessera_model::{More, Reservation, Taken};

/// A host with so many slots and MiB of memory.
fn host_with(w: &mut World, number: u8, slots: u32, memory: u64) {
    w.connect_with(number, slots, Identity::User, &[(MEMORY, memory)]);
    w.say(number, FromWorker::Inventory(Vec::new()));
}

fn reserving(frames: u32, slots: u32, memory: u64) -> JobSpec {
    let amounts = [(MEMORY.to_owned(), memory)];
    JobSpec {
        cpus: frames,
        reservation: Reservation {
            slots,
            more: More::Nothing,
            amounts: amounts
                .into_iter()
                .filter(|(_, amount)| *amount > 0)
                .collect(),
            global: Default::default(),
        },
        ..spec(frames)
    }
}

fn used(w: &World, number: u8) -> (u32, u64) {
    let host = w.engine.host(host(number)).expect("there");
    (host.used(), host.used_of(MEMORY))
}

fn out_of_memory(limit_mib: u64) -> End {
    End::OutOfMemory {
        peak: limit_mib << 20,
        limit: limit_mib << 20,
    }
}

fn words(w: &World, job: JobId) -> Vec<String> {
    let reasons = w.engine.why(job).expect("there");
    reasons
        .into_iter()
        .map(|reason| format!("{}: {}", reason.kind.word(), reason.text))
        .collect()
}

#[test]
fn a_host_is_given_what_it_has_and_no_more() {
    let mut w = World::new();
    host_with(&mut w, 1, 8, 64);
    let job = w.submit(reserving(4, 2, 24));
    let (first, second) = (w.order(), w.order());
    assert!(w.said.is_empty(), "{:?}", w.said);
    assert_eq!(used(&w, 1), (4, 48));
    let why = words(&w, job);
    let text = "reserved: 16 MiB of 64 MiB of host.memory free on rnd1; 24 MiB asked; held by job 1 of mia (48 MiB)";
    assert!(why.contains(&text.to_owned()), "{why:?}");
    // Slots without memory are for those who need none.
    w.submit(reserving(1, 1, 0));
    w.order();
    assert_eq!(used(&w, 1), (5, 48));
    // Ended is not gone: what it had is free only then.
    w.act(Action::Kill, Target::Instance(job, first.1.instance))
        .expect("allowed");
    w.end(first, End::Asked);
    w.said.clear();
    assert_eq!(used(&w, 1), (5, 48));
    w.gone(1, first.1);
    let third = w.order();
    assert_eq!((third.1.job, used(&w, 1)), (job, (5, 48)));
    w.gone(1, first.1);
    assert_eq!(used(&w, 1), (5, 48), "given back twice");
    for order in [second, third] {
        w.end(order, End::Exit(0));
    }
}

#[test]
fn all_of_it_is_given_back() {
    let mut w = World::new();
    host_with(&mut w, 1, 4, 64);
    w.submit(reserving(3, 1, 16));
    let orders = [w.order(), w.order(), w.order()];
    for order in orders {
        w.end(order, End::Exit(0));
        w.gone(1, order.1);
    }
    assert_eq!(used(&w, 1), (0, 0));
}

#[test]
fn the_slots_that_a_job_reserves_count_for_it() {
    let mut w = World::new();
    w.connect(1, 4);
    w.submit(reserving(3, 3, 0));
    w.order();
    assert!(w.said.is_empty(), "one slot is no place for three");
    assert_eq!(used(&w, 1).0, 3);
    w.connect(2, 3);
    assert_eq!(w.order().0, 2);
}

#[test]
fn at_least_so_many_slots_takes_all_that_are_free() {
    let mut w = World::new();
    w.connect(1, 8);
    w.submit(spec(1));
    w.order();
    let mut greedy = reserving(2, 2, 0);
    greedy.reservation.more = More::Free;
    w.submit(greedy.clone());
    let order = w.order();
    let launch = w.engine.launch(order.1).expect("there");
    assert_eq!((launch.taken.slots, used(&w, 1).0), (7, 8));
    assert!(w.said.is_empty());
    w.connect(2, 1);
    assert!(w.said.is_empty(), "one slot is less than two");
    w.connect(3, 2);
    assert_eq!(w.order().0, 3);
}

#[test]
fn what_no_host_reports_waits_and_why_says_so() {
    let mut w = World::new();
    w.connect(1, 4);
    let mut asks = spec(1);
    asks.reservation.amounts.insert("host.gpus".into(), 1);
    let job = w.submit(asks.clone());
    assert!(w.said.is_empty());
    let why = words(&w, job);
    assert_eq!(why, ["too_small: host.gpus of rnd1 is 0 in all; 1 asked"]);
    let large = w.engine.too_large(&asks, &name("mia")).expect("too large");
    assert_eq!(
        large,
        "1 asked, and the largest host has host.gpus: 0 (rnd1)"
    );
    w.connect_with(2, 1, Identity::User, &[("host.gpus", 2)]);
    w.say(2, FromWorker::Inventory(Vec::new()));
    assert_eq!(w.order().0, 2);
    assert_eq!(w.engine.too_large(&asks, &name("mia")), None);
    assert_eq!(
        w.engine
            .too_large(&reserving(1, 5, 0), &name("mia"))
            .as_deref(),
        Some("5 asked, and the largest host has host.processors: 4 (rnd1)")
    );
}

#[test]
fn what_a_lost_host_still_has_keeps_its_memory() {
    let mut w = World::new();
    host_with(&mut w, 1, 4, 64);
    w.submit(reserving(1, 1, 48));
    let first = w.order();
    w.disconnect(1);
    w.wait(301);
    w.connect_with(1, 4, Identity::User, &[(MEMORY, 64)]);
    let has = LaunchInventory {
        key: first.1,
        current: Some(first.2),
        ahead: Vec::new(),
        is_closing: false,
        is_suspended: false,
    };
    w.say(1, FromWorker::Inventory(vec![has.clone()]));
    assert_eq!(used(&w, 1), (1, 48));
    // And once more, without a word of what became of it.
    w.disconnect(1);
    w.connect_with(1, 4, Identity::User, &[(MEMORY, 64)]);
    w.say(1, FromWorker::Inventory(vec![has]));
    assert_eq!(used(&w, 1), (1, 48));
    w.gone(1, first.1);
    w.said
        .retain(|(_, what)| matches!(what, ToWorker::Start { .. }));
    assert_eq!(w.order().2.attempt, Attempt(2));
    assert_eq!(used(&w, 1), (1, 48));
}

#[test]
fn an_item_that_ran_out_of_memory_is_tried_with_half_as_much_again() {
    let mut w = World::new();
    host_with(&mut w, 1, 8, 100);
    let job = w.submit(JobSpec {
        cpus: 1,
        retrywork: 1,
        ..reserving(3, 1, 40)
    });
    let first = w.order();
    w.end(first, out_of_memory(40));
    // The instance goes on with what fits it; the item waits for another with more memory.
    let second = w.order();
    assert_eq!((second.1, second.2.item), (first.1, ItemIndex(1)));
    assert_eq!(w.item(job, 0), ItemStatus::Pending);
    w.end(second, End::Exit(0));
    let third = w.order();
    w.end(third, End::Exit(0));
    let closed = w.heard().1;
    assert!(matches!(closed, ToWorker::Close { .. }), "{closed:?}");
    w.gone(1, first.1);
    let again = w.order();
    assert_eq!((again.2.item, again.2.attempt), (ItemIndex(0), Attempt(2)));
    assert_eq!(used(&w, 1).1, 60);
    let core = w.engine.job(job).expect("there").items().get(ItemIndex(0));
    assert_eq!(
        (core.ooms, core.retries_used),
        (1, 0),
        "no retry of the user's"
    );
    // 90 MiB next, then all that the largest host has, then nothing more helps.
    for (asked, more) in [(60, 90), (90, 100)] {
        let order = (
            1,
            w.engine.launches().next().expect("one").key,
            Run {
                item: ItemIndex(0),
                attempt: w
                    .engine
                    .job(job)
                    .expect("there")
                    .items()
                    .get(ItemIndex(0))
                    .attempt,
            },
        );
        w.end(order, out_of_memory(asked));
        w.said.clear();
        w.gone(1, order.1);
        assert_eq!(used(&w, 1).1, more);
    }
    let last = w.order();
    w.end(last, out_of_memory(100));
    assert_eq!(w.item(job, 0), ItemStatus::Failed, "no host has more");
    assert_eq!(w.status(job), WorkStatus::Failed);
    // Whoever tries it again begins with what the job reserves.
    w.said.clear();
    w.act(Action::Retry, Target::Job(job)).expect("allowed");
    w.gone(1, last.1);
    assert_eq!(used(&w, 1).1, 40);
}

#[test]
fn tries_with_more_memory_have_a_budget_of_their_own() {
    let mut w = World::new();
    host_with(&mut w, 1, 1, 1_000);
    let job = w.submit(JobSpec {
        retry_oom: 1,
        retrywork: 5,
        ..reserving(1, 1, 10)
    });
    let first = w.order();
    w.end(first, out_of_memory(10));
    w.said.clear();
    w.gone(1, first.1);
    let second = w.order();
    w.end(second, out_of_memory(15));
    assert_eq!(w.status(job), WorkStatus::Failed);
}

#[test]
pub(super) fn a_grown_item_waits_for_a_host_that_is_large_enough_and_says_so() {
    let mut w = World::new();
    host_with(&mut w, 1, 2, 64);
    host_with(&mut w, 2, 2, 16);
    let mut job_spec = reserving(1, 1, 16);
    job_spec.kind = JobKind::CmdLine;
    w.submit(reserving(2, 1, 32));
    let busy = [w.order(), w.order()];
    assert_eq!(busy.map(|order| order.0), [1, 1]);
    let job = w.submit(job_spec);
    let first = w.order();
    assert_eq!(first.0, 2);
    w.end(first, out_of_memory(16));
    w.said.clear();
    w.gone(2, first.1);
    assert!(w.said.is_empty(), "{:?}", w.said);
    let why = words(&w, job);
    assert_eq!(
        why,
        [
            "out_of_memory: 1 items ran out of memory and ask for 24 MiB now",
            "full: all 2 slots are in use: job 1 of mia (2)",
            "too_small: host.memory of rnd2 is 16 MiB in all; 24 MiB asked",
        ]
    );
    w.end(busy[0], End::Exit(0));
    w.gone(1, busy[0].1);
    w.said
        .retain(|(_, what)| matches!(what, ToWorker::Start { .. }));
    let second = w.order();
    assert_eq!(
        (second.0, second.1.job, second.2.attempt),
        (1, job, Attempt(2))
    );
    assert_eq!(
        w.engine.launch(second.1).expect("there").taken.memory(),
        Some(24)
    );
}

#[test]
fn a_restart_forgets_nothing_of_what_is_taken_and_asked() {
    let mut w = World::new();
    host_with(&mut w, 1, 4, 99);
    let job = w.submit(JobSpec {
        cpus: 1,
        ..reserving(1, 2, 40)
    });
    let first = w.order();
    w.end(first, out_of_memory(40));
    w.said.clear();
    w.gone(1, first.1);
    let second = w.order();
    let now = Now {
        wall: Timestamp(0),
        elapsed: Duration::ZERO,
    };
    let image = w.engine.image();
    w.engine = Engine::restore(Config::default(), now, image).expect("an image");
    assert_eq!(w.engine.faults(), Vec::<String>::new());
    assert_eq!(used(&w, 1), (2, 60));
    assert_eq!(
        w.engine
            .job(job)
            .and_then(|job| job.grown)
            .map(|grown| grown.memory),
        Some(Some(60))
    );
    w.connect_with(1, 4, Identity::User, &[(MEMORY, 99)]);
    w.say(1, FromWorker::Inventory(Vec::new()));
    let again = w.order();
    assert_eq!(
        again.2.attempt,
        Attempt(second.2.attempt.0 + 1),
        "its worker does not have it"
    );
    assert_eq!(used(&w, 1), (2, 60));
}

#[test]
fn a_job_that_reserves_no_memory_is_tried_as_it_was() {
    let mut w = World::new();
    w.connect(1, 1);
    let job = w.submit(spec(1));
    let first = w.order();
    let end = End::OutOfMemory { peak: 5, limit: 0 };
    w.end(first, end);
    let second = w.order();
    assert_eq!((second.1, second.2.attempt), (first.1, Attempt(2)));
    assert_eq!(
        *w.engine.launch(second.1).expect("there").taken,
        Taken::default()
    );
    w.end(second, End::Exit(0));
    assert_eq!(w.status(job), WorkStatus::Complete);
}

#[test]
fn what_falls_to_its_hosts_want_of_memory_asks_for_no_more() {
    let mut w = World::new();
    host_with(&mut w, 1, 1, 8_192);
    let job = w.submit(reserving(1, 1, 8_192));
    let first = w.order();
    // As much as the largest host has, and no limit of its own: it is tried again all the same, as large as before.
    w.end(first, End::OutOfMemory { peak: 5, limit: 0 });
    let second = w.order();
    assert_eq!(second.2.attempt, Attempt(2));
    assert_eq!(used(&w, 1), (1, 8_192));
    w.end(second, End::Exit(0));
    assert_eq!(w.status(job), WorkStatus::Complete);
}

#[test]
fn a_host_that_the_job_may_not_use_or_that_is_lost_is_no_measure() {
    let mut w = World::new();
    host_with(&mut w, 1, 1, 64);
    w.connect_with(2, 1, Identity::Desktop("tom".into()), &[(MEMORY, 256)]);
    w.say(2, FromWorker::Inventory(Vec::new()));
    let job = w.submit(reserving(1, 1, 48));
    let first = w.order();
    w.end(first, out_of_memory(48));
    // 72 would be next, and only another's desktop has so much.
    assert!(matches!(w.heard().1, ToWorker::Close { .. }));
    w.gone(first.0, first.1);
    let second = w.order();
    assert_eq!(used(&w, 1), (1, 64));
    w.end(second, out_of_memory(64));
    assert_eq!(w.status(job), WorkStatus::Failed);
    // A larger one that is lost is forgotten as soon as it counts as lost.
    let mut w = World::new();
    host_with(&mut w, 1, 1, 64);
    host_with(&mut w, 2, 1, 256);
    w.step(Input::Lock {
        by: person("root"),
        host: host(2),
        is_locked: true,
    });
    w.submit(reserving(1, 1, 48));
    let first = w.order();
    w.end(first, out_of_memory(48));
    assert!(matches!(w.heard().1, ToWorker::Close { .. }));
    w.gone(first.0, first.1);
    assert!(w.said.is_empty(), "72 are asked for: {:?}", w.said);
    w.disconnect(2);
    w.wait(301);
    w.order();
    assert_eq!(used(&w, 1), (1, 64));
}

#[test]
fn a_larger_host_raises_what_is_asked_for() {
    let mut w = World::new();
    host_with(&mut w, 1, 1, 50);
    let job = w.submit(reserving(1, 1, 40));
    let first = w.order();
    w.end(first, out_of_memory(40));
    let asked = |w: &World| w.engine.job(job).and_then(|job| job.grown?.memory);
    assert_eq!(asked(&w), Some(50));
    host_with(&mut w, 2, 1, 100);
    assert_eq!(asked(&w), Some(60));
}

#[test]
fn what_a_larger_instance_had_is_not_asked_for_again_and_uses_up_one_try() {
    let mut w = World::new();
    host_with(&mut w, 1, 1, 1_000);
    let job = w.submit(JobSpec {
        cpus: 1,
        retry_oom: 2,
        ..reserving(2, 1, 100)
    });
    let next = |w: &mut World, order: (u8, LaunchKey, Run), had: u64| {
        w.end(order, out_of_memory(had));
        w.said.clear();
        w.gone(1, order.1);
    };
    let core = |w: &World, item| {
        w.engine
            .job(job)
            .expect("there")
            .items()
            .get(ItemIndex(item))
    };
    let first = w.order();
    let second = || Target::Items(job, vec![ItemIndex(1)]);
    w.act(Action::Block, second()).expect("allowed");
    next(&mut w, first, 100);
    assert_eq!(used(&w, 1).1, 150);
    let grown = w.engine.launches().next().expect("one").key;
    w.act(Action::Unblock, second()).expect("allowed");
    // The instance that the first item grew takes the other, too.
    let attempt = core(&w, 0).attempt;
    let item = ItemIndex(0);
    w.said.clear();
    w.end((1, grown, Run { item, attempt }), End::Exit(0));
    let other = w.order();
    assert_eq!((other.1, other.2.item), (grown, ItemIndex(1)));
    next(&mut w, other, 150);
    let after = core(&w, 1);
    assert_eq!((after.ooms, after.growth), (1, 2));
    assert_eq!(used(&w, 1).1, 225);
}

#[test]
fn no_more_is_asked_for_than_a_host_has_that_has_all_else() {
    let mut w = World::new();
    host_with(&mut w, 1, 1, 1_000);
    host_with(&mut w, 2, 4, 50);
    let job = w.submit(reserving(1, 2, 40));
    let first = w.order();
    w.end(first, out_of_memory(40));
    let asked = w.engine.job(job).and_then(|job| job.grown?.memory);
    assert_eq!(asked, Some(50), "the larger host has one slot only");
}
