//! Jobs that take a range of slots (`N-M`), and jobs that have a host to themselves (`N*`, `all`).

use super::*;
use crate::supervisor::why::Kind;
use tessera_model::reservation::MEMORY;
use tessera_model::{More, Reservation};

/// A job of so many frames and as many instances.
fn taking(frames: u32, slots: u32, more: More) -> JobSpec {
    JobSpec {
        cpus: frames,
        reservation: Reservation {
            slots,
            more,
            ..Reservation::default()
        },
        ..spec(frames)
    }
}

fn whole(slots: u32) -> JobSpec {
    taking(1, slots, More::WholeHost)
}

fn of_priority(priority: u32, spec: JobSpec) -> JobSpec {
    JobSpec { priority, ..spec }
}

fn farm(preempt_policy: PreemptPolicy, hosts: &[(u8, u32)]) -> World {
    let mut w = World::new();
    w.engine = Engine::new(Config {
        preempt_policy,
        ..Config::default()
    });
    hosts
        .iter()
        .for_each(|(number, slots)| w.connect(*number, *slots));
    w
}

impl World {
    fn taken(&self, key: LaunchKey) -> u32 {
        self.engine.launch(key).expect("there").taken.slots
    }

    fn lock_some(&mut self, number: u8, slots: &str, is_locked: bool) {
        let slots = slots.parse().expect("slots");
        let order = LockOrder {
            slots,
            ..LockOrder::default()
        };
        let wish = match is_locked {
            true => LockWish::Lock(order),
            false => LockWish::Unlock(order.slots),
        };
        let (by, host) = (person("root"), host(number));
        let wish = Box::new(wish);
        let answer = self.step(Input::LockWish { by, host, wish });
        assert_eq!(answer, Some(Ok(Answer::Done)));
    }

    /// Takes all that was said, and answers who was told to end.
    fn told_to_end(&mut self) -> Vec<LaunchKey> {
        let said = std::mem::take(&mut self.said).into_iter();
        let mut ends: Vec<LaunchKey> = said
            .filter_map(|(_, what)| match what {
                ToWorker::Close { key, .. } => Some(key),
                _ => None,
            })
            .collect();
        ends.sort_unstable();
        ends
    }
}

#[test]
fn a_range_takes_what_is_free_and_no_more_than_it_says() {
    let mut w = farm(PreemptPolicy::Disabled, &[(1, 8)]);
    w.submit(taking(4, 2, More::UpTo(3)));
    let orders = [w.order(), w.order(), w.order()];
    assert_eq!(orders.map(|it| w.taken(it.1)), [3, 3, 2]);
    assert!(w.said.is_empty(), "nothing is free: {:?}", w.said);
    w.connect(2, 1);
    assert!(w.said.is_empty(), "one slot is less than two");
    w.connect(3, 4);
    let last = w.order();
    assert_eq!((last.0, w.taken(last.1)), (3, 3));
    assert_eq!(w.engine.host(host(3)).expect("there").free(), 1);
}

#[test]
fn a_whole_host_is_an_idle_one_and_all_of_it() {
    let mut w = farm(PreemptPolicy::Disabled, &[(1, 4)]);
    let small = w.submit(taking(1, 1, More::Nothing));
    let first = w.order();
    let job = w.submit(whole(2));
    assert!(w.said.is_empty(), "{small} is there: {:?}", w.said);
    // One that is smaller than it asks for is none for it.
    w.connect(2, 1);
    assert!(w.said.is_empty());
    w.end(first, End::Exit(0));
    w.said.clear();
    assert_eq!(w.engine.launches().count(), 1, "ended is not gone");
    w.gone(1, first.1);
    let alone = w.order();
    assert_eq!((alone.0, alone.1.job, w.taken(alone.1)), (1, job, 4));
    w.connect(3, 1);
    w.submit(taking(3, 1, More::Nothing));
    let hosts = [w.order().0, w.order().0];
    assert_eq!(hosts, [2, 3], "nothing is placed beside it");
    assert!(w.said.is_empty());
    w.end(alone, End::Exit(0));
    w.said.clear();
    w.gone(1, alone.1);
    assert_eq!(w.order().0, 1);
}

#[test]
fn locked_slots_are_not_there_and_go_to_nobody_while_one_is_alone() {
    let mut w = farm(PreemptPolicy::Disabled, &[(1, 4)]);
    w.lock_some(1, "3-4", true);
    w.submit(whole(3));
    assert!(w.said.is_empty(), "three of four are not open");
    let job = w.submit(taking(2, 1, More::WholeHost));
    let alone = w.order();
    assert_eq!((alone.1.job, w.taken(alone.1)), (job, 2));
    w.lock_some(1, "3-4", false);
    let small = w.submit(taking(1, 1, More::Nothing));
    assert!(w.said.is_empty(), "it has the host to itself");
    let known = w.engine.host(host(1)).expect("there");
    assert_eq!((known.used(), known.free()), (4, 0));
    let why = w.reason_of(small, Kind::Full);
    assert_eq!(why, "all 4 slots are in use: job 2 of mia (4)");
    // A start from the store forgets it as little.
    let now = Now {
        wall: Timestamp(i64::try_from(w.ms).expect("small")),
        elapsed: Duration::from_millis(w.ms),
    };
    let image = w.engine.image();
    w.engine = Engine::restore(Config::default(), now, image).expect("whole");
    assert_eq!(w.engine.host(host(1)).expect("there").used(), 4);
    w.connect(1, 4);
    assert_eq!(w.engine.faults(), Vec::<String>::new());
}

#[test]
fn what_is_alone_leaves_after_its_frame_when_its_host_offers_less() {
    let mut w = farm(PreemptPolicy::Disabled, &[(1, 4)]);
    let mut asks = taking(3, 1, More::WholeHost);
    asks.cpus = 1;
    let job = w.submit(asks);
    let first = w.order();
    w.lock_some(1, "4", true);
    w.end(first, End::Exit(0));
    assert_eq!(w.told_to_end(), [first.1]);
    w.gone(1, first.1);
    let again = w.order();
    assert_eq!((again.1.job, w.taken(again.1)), (job, 3));
}

#[test]
fn all_that_stand_lower_leave_or_nobody_does() {
    let mut w = farm(PreemptPolicy::Aggressive, &[(1, 4)]);
    for priority in [9, 9, 1] {
        w.submit(of_priority(priority, spec(5)));
    }
    let orders = [w.order(), w.order(), w.order()];
    let job = w.submit(of_priority(5, whole(1)));
    w.wait(300);
    assert_eq!(w.told_to_end(), [], "one of them stands higher");
    let [first, second, third] = orders;
    w.act(Action::Kill, Target::Job(third.1.job))
        .expect("allowed");
    w.end(third, End::Asked);
    w.said.clear();
    w.gone(1, third.1);
    assert_eq!(w.told_to_end(), [first.1, second.1]);
    // Meanwhile nothing of the host is for others, that is in use or not.
    w.submit(of_priority(9, spec(1)));
    for order in [first, second] {
        assert!(w.said.is_empty(), "{:?}", w.said);
        w.end(order, End::Asked);
        w.said.clear();
        w.gone(1, order.1);
    }
    let alone = w.order();
    assert_eq!((alone.1.job, w.taken(alone.1)), (job, 4));
    assert!(w.said.is_empty(), "{:?}", w.said);
}

#[test]
fn at_the_end_of_their_frames_they_leave_one_by_one_and_nothing_comes_instead() {
    let mut w = farm(PreemptPolicy::Passive, &[(1, 3)]);
    w.submit(of_priority(9, taking(9, 1, More::Nothing)));
    let orders = [w.order(), w.order(), w.order()];
    let job = w.submit(of_priority(1, whole(3)));
    assert!(w.said.is_empty());
    let kind = Kind::Preempting;
    assert!(
        w.reason_of(job, kind)
            .starts_with("room is made for it on rnd1")
    );
    for order in orders {
        assert!(w.said.is_empty(), "{:?}", w.said);
        w.end(order, End::Exit(0));
        assert_eq!(w.told_to_end(), [order.1]);
        w.gone(1, order.1);
    }
    let alone = w.order();
    assert_eq!((alone.1.job, w.taken(alone.1)), (job, 3));
}

#[test]
fn what_is_alone_makes_room_for_what_stands_before_it() {
    let mut w = farm(PreemptPolicy::Aggressive, &[(1, 4)]);
    w.lock_some(1, "4", true);
    w.submit(of_priority(9, whole(1)));
    let alone = w.order();
    w.lock_some(1, "4", false);
    let better = w.submit(of_priority(1, spec(1)));
    assert_eq!(
        w.told_to_end(),
        [alone.1],
        "one slot of it is free for nobody"
    );
    w.end(alone, End::Asked);
    w.said.clear();
    w.gone(1, alone.1);
    assert_eq!(w.order().1.job, better);
}

#[test]
fn room_for_a_whole_host_stays_when_slots_are_unlocked() {
    let mut w = farm(PreemptPolicy::Aggressive, &[(1, 4)]);
    w.lock_some(1, "3-4", true);
    w.submit(of_priority(9, taking(2, 1, More::Nothing)));
    let orders = [w.order(), w.order()];
    let job = w.submit(of_priority(1, whole(1)));
    assert_eq!(w.told_to_end(), orders.map(|it| it.1));
    w.lock_some(1, "3-4", false);
    w.submit(of_priority(9, spec(1)));
    assert!(w.said.is_empty(), "{:?}", w.said);
    for order in orders {
        w.end(order, End::Asked);
        w.said.clear();
        w.gone(1, order.1);
    }
    let alone = w.order();
    assert_eq!((alone.1.job, w.taken(alone.1)), (job, 4));
}

impl World {
    #[track_caller]
    fn reason_of(&self, job: JobId, kind: Kind) -> String {
        let all = self.engine.why(job).expect("there");
        let found = all.iter().find(|it| it.kind == kind);
        found.unwrap_or_else(|| panic!("{all:?}")).text.clone()
    }
}

#[test]
fn other_amounts_are_asked_for_beside_an_idle_host() {
    let mut w = farm(PreemptPolicy::Disabled, &[]);
    for (number, memory) in [(1, 16), (2, 64)] {
        w.connect_with(number, 4, Identity::User, &[(MEMORY, memory)]);
        w.say(number, FromWorker::Inventory(Vec::new()));
    }
    let mut asks = whole(1);
    asks.reservation.amounts.insert(MEMORY.to_owned(), 32);
    w.submit(asks);
    assert_eq!(w.order().0, 2);
    // What has no memory of it is beside nobody all the same.
    w.submit(taking(2, 4, More::Nothing));
    assert_eq!(w.order().0, 1);
    assert!(w.said.is_empty());
}

#[test]
fn a_requirement_that_something_runs_there_is_never_met_by_an_idle_host() {
    let w = farm(PreemptPolicy::Disabled, &[(1, 4)]);
    let mut asks = whole(1);
    let busy = tessera_model::Requirement::parse("host.processors.used >= 1");
    asks.requirements = busy.ok().map(std::sync::Arc::new);
    let told = w.engine.unmet(&asks, &name("mia"));
    assert!(told.is_some_and(|it| it.starts_with("on rnd1 ")));
}
