//! Who makes room for whom, when and for how long, and what it costs when nobody does.

mod bounds;

use super::*;
use tessera_model::reservation::MEMORY;
use tessera_model::{JobFlag, Reservation};

fn world(preempt_policy: PreemptPolicy) -> World {
    world_of(preempt_policy, Algorithm::default())
}

fn world_of(preempt_policy: PreemptPolicy, queue_algorithm: Algorithm) -> World {
    let config = Config {
        preempt_policy,
        queue_algorithm,
        ..Config::default()
    };
    let mut w = World::new();
    w.engine = Engine::new(config);
    w
}

fn with(priority: u32, frames: u32, cpus: u32) -> JobSpec {
    JobSpec {
        priority,
        cpus,
        ..spec(frames)
    }
}

fn slots(slots: u32, spec: JobSpec) -> JobSpec {
    JobSpec {
        reservation: Reservation {
            slots,
            ..Reservation::default()
        },
        ..spec
    }
}

fn flagged(flag: JobFlag, spec: JobSpec) -> JobSpec {
    JobSpec {
        flags: [flag].into(),
        ..spec
    }
}

/// Takes all that was said, and answers the launches that were told to end.
fn closed(w: &mut World) -> Vec<LaunchKey> {
    let said = std::mem::take(&mut w.said).into_iter();
    let key = said.filter_map(|(_, what)| match what {
        ToWorker::Close { key, .. } => Some(key),
        _ => None,
    });
    key.collect()
}

fn phase(w: &World, key: LaunchKey) -> Option<Phase> {
    w.engine.launch(key).map(|launch| launch.phase)
}

const LEAVING: Option<Phase> = Some(Phase::Finishing(WorkStatus::Pending));

fn reason(w: &World, job: JobId, kind: why::Kind) -> Option<why::Reason> {
    let reasons = w.engine.why(job).expect("there").into_iter();
    reasons.into_iter().find(|it| it.kind == kind)
}

#[test]
pub(super) fn a_passive_policy_lets_the_lower_go_at_the_end_of_its_frame() {
    let mut w = world(PreemptPolicy::Passive);
    w.connect(1, 1);
    let low = w.submit(with(9, 5, 1));
    let first = w.order();
    let high = w.submit(with(1, 1, 1));
    assert!(w.said.is_empty(), "its frame goes on: {:?}", w.said);
    assert_eq!(phase(&w, first.1), LEAVING);
    let why = reason(&w, high, why::Kind::Preempting).expect("it is told");
    assert_eq!(
        why.text,
        format!("room is made for it on rnd1: instance {low}.0 leaves at the end of its frame")
    );
    w.end(first, End::Exit(0));
    assert_eq!(w.item(low, 0), ItemStatus::Complete);
    assert_eq!(closed(&mut w), [first.1]);
    w.gone(1, first.1);
    let urgent = w.order();
    assert_eq!(urgent.1.job, high);
    w.end(urgent, End::Exit(0));
    w.said.clear();
    w.gone(1, urgent.1);
    let again = w.order();
    assert_eq!(
        (again.1.job, again.2.item),
        (low, ItemIndex(1)),
        "it goes on"
    );
}

#[test]
fn an_aggressive_policy_ends_the_lower_and_no_retry_is_used() {
    let mut w = world(PreemptPolicy::Aggressive);
    w.connect(1, 1);
    let low = w.submit(with(9, 1, 1));
    let first = w.order();
    let high = w.submit(with(1, 1, 1));
    assert_eq!(closed(&mut w), [first.1]);
    assert_eq!(w.item(low, 0), ItemStatus::Pending, "at once");
    let why = reason(&w, high, why::Kind::Preempting).expect("it is told");
    let text = "room is made for it on rnd1: it starts when what was there is gone";
    assert_eq!(why.text, text);
    w.end(first, End::Asked);
    assert!(w.said.is_empty(), "something of it is left: {:?}", w.said);
    w.gone(1, first.1);
    let urgent = w.order();
    assert_eq!(urgent.1.job, high);
    assert!(w.said.is_empty(), "{:?}", w.said);
    w.end(urgent, End::Exit(0));
    w.said.clear();
    w.gone(1, urgent.1);
    let again = w.order();
    assert_eq!((again.1.job, again.2.attempt), (low, Attempt(2)));
    let core = w.engine.job(low).expect("there").items().get(ItemIndex(0));
    assert_eq!(core.retries_used, 0);
    w.end(again, End::Exit(0));
    assert_eq!(w.status(low), WorkStatus::Complete);
}

#[test]
fn nobody_leaves_where_it_is_disabled_for_an_equal_or_by_age() {
    for (policy, algorithm, priority) in [
        (PreemptPolicy::Disabled, Algorithm::Cluster, 1),
        (PreemptPolicy::Aggressive, Algorithm::Cluster, 9),
        (PreemptPolicy::Aggressive, Algorithm::Queue, 1),
        (PreemptPolicy::Aggressive, Algorithm::Priority, 9),
    ] {
        let mut w = world_of(policy, algorithm);
        w.connect(1, 1);
        w.submit(with(9, 5, 1));
        let first = w.order();
        let waits = w.submit(with(priority, 1, 1));
        w.act_as("root", Action::Top, Target::Job(waits))
            .expect("allowed");
        w.wait(300);
        assert_eq!(closed(&mut w), [], "{policy:?} {algorithm:?}");
        assert_eq!(phase(&w, first.1), Some(Phase::Open));
    }
    // One that stands lower is not enough room, and its neighbour is an equal.
    let mut w = world(PreemptPolicy::Aggressive);
    w.connect(1, 2);
    w.submit(with(9, 5, 1));
    w.submit(with(5, 5, 1));
    w.said.clear();
    w.submit(slots(2, with(5, 1, 1)));
    w.wait(300);
    assert_eq!(closed(&mut w), []);
}

#[test]
pub(super) fn where_it_is_disabled_why_says_whom_a_person_could_preempt() {
    let mut w = world(PreemptPolicy::Disabled);
    w.connect(1, 1);
    let low = w.submit(with(9, 5, 1));
    let first = w.order();
    let high = w.submit(with(1, 1, 1));
    let why = reason(&w, high, why::Kind::CouldPreempt).expect("it is told");
    assert_eq!(
        (why.text.as_str(), why.hosts.as_slice()),
        (
            "job 1 comes after it and has what it waits for on rnd1",
            &["rnd1".to_owned()][..]
        )
    );
    let hint = why.hint.expect("there is a way");
    assert!(
        hint.starts_with(&format!("tessera preempt {low}.0 ")),
        "{hint}"
    );
    // Following it makes the job run.
    w.act(Action::Preempt, Target::Instance(low, InstanceNo(0)))
        .expect("allowed");
    w.end(first, End::Exit(0));
    w.said.clear();
    w.gone(1, first.1);
    assert_eq!(w.order().1.job, high);
    assert_eq!(reason(&w, low, why::Kind::CouldPreempt), None);
}

#[test]
fn flags_keep_a_job_and_let_an_elite_one_in_at_once() {
    let mut w = world(PreemptPolicy::Passive);
    w.connect(1, 1);
    let kept = w.submit(flagged(JobFlag::Uninterruptible, with(9, 5, 1)));
    let first = w.order();
    let high = w.submit(with(1, 1, 1));
    assert_eq!(phase(&w, first.1), Some(Phase::Open));
    let denied = w.try_submit("mia", flagged(JobFlag::Elite, spec(1)), None);
    assert!(
        matches!(denied, Err(Denied::Forbidden { .. })),
        "{denied:?}"
    );
    w.try_submit("root", flagged(JobFlag::Elite, spec(1)), None)
        .expect("an administrator may");
    assert_eq!(closed(&mut w), [], "nothing takes it from that one");
    w.act(Action::Preempt, Target::Instance(kept, InstanceNo(0)))
        .expect("its owner may all the same");
    w.end(first, End::Exit(0));
    w.said.clear();
    w.gone(1, first.1);
    let elite = w.order();
    assert_ne!(elite.1.job, high, "it comes before priority 1");
    w.connect(2, 1);
    assert_eq!(w.order().1.job, high);
    // Under a passive policy, too, it does not wait for the end of a frame.
    w.try_submit("root", flagged(JobFlag::Elite, with(9999, 1, 1)), None)
        .expect("taken");
    let told = closed(&mut w);
    assert_eq!(told.iter().map(|key| key.job).collect::<Vec<_>>(), [high]);
    let by_elite = w.engine.launches().filter(|it| it.key.job == elite.1.job);
    assert!(
        by_elite.map(|it| it.phase).eq([Phase::Open]),
        "not another elite one"
    );
}

#[test]
fn an_elite_job_comes_before_all_others_on_every_host() {
    for algorithm in Algorithm::ALL {
        let mut w = world_of(PreemptPolicy::Disabled, algorithm);
        w.submit(with(1, 1, 1));
        let far = JobSpec {
            cluster: "/elsewhere".parse().expect("a cluster"),
            ..with(9999, 1, 1)
        };
        w.try_submit("root", flagged(JobFlag::Elite, far), None)
            .expect("taken");
        w.connect(1, 1);
        assert_eq!(w.order().1.job, JobId(2), "{algorithm:?}");
    }
}

#[test]
fn as_few_leave_as_are_needed_the_lowest_and_cheapest_first() {
    let mut w = world(PreemptPolicy::Aggressive);
    w.connect(1, 4);
    let low = w.submit(with(9, 4, 2));
    let (older, newer) = (w.order(), {
        let newer = w.order();
        w.wait(10);
        newer
    });
    let middle = w.submit(with(5, 4, 2));
    let (_, _) = (w.order(), w.order());
    // The first of the low ones is at another frame since a moment.
    w.end(older, End::Exit(0));
    let next = w.order();
    assert_eq!(next.1, older.1);
    w.submit(with(1, 1, 1));
    assert_eq!(closed(&mut w), [older.1], "what began last loses least");
    assert_eq!(phase(&w, newer.1), Some(Phase::Open));
    // The room of who is leaving is spoken for; of two slots one more is needed, and none of the middle's.
    w.submit(with(2, 1, 1));
    assert_eq!(closed(&mut w), [newer.1]);
    let running = |w: &World, job: JobId| {
        let launches = w.engine.launches_of(job);
        launches.filter(|it| it.phase == Phase::Open).count()
    };
    assert_eq!((running(&w, low), running(&w, middle)), (0, 2));
    w.submit(slots(2, with(3, 1, 1)));
    assert_eq!(closed(&mut w).len(), 2, "two slots");
    assert_eq!(running(&w, middle), 0);
    w.submit(with(4, 1, 1));
    assert_eq!(closed(&mut w), [], "there is nobody lower left");
}

#[test]
fn one_large_leaves_rather_than_two_small() {
    let mut w = world(PreemptPolicy::Aggressive);
    w.connect_with(1, 4, Identity::User, &[(MEMORY, 64)]);
    w.say(1, FromWorker::Inventory(Vec::new()));
    w.submit(with(9, 4, 2));
    let _ = (w.order(), w.order());
    let mut large = slots(2, with(5, 1, 1));
    large.reservation.amounts.insert(MEMORY.to_owned(), 40);
    w.submit(large);
    let large = w.order();
    w.submit(slots(2, with(2, 1, 1)));
    assert_eq!(closed(&mut w), [large.1]);
}

#[test]
fn amounts_are_made_room_for_as_slots_are() {
    let mut w = world(PreemptPolicy::Aggressive);
    w.connect_with(1, 8, Identity::User, &[(MEMORY, 64)]);
    w.say(1, FromWorker::Inventory(Vec::new()));
    let asking = |priority: u32, memory: u64| {
        let mut spec = with(priority, 1, 1);
        spec.reservation.amounts.insert(MEMORY.to_owned(), memory);
        spec
    };
    w.submit(with(9, 1, 1));
    w.submit(asking(8, 16));
    w.submit(asking(7, 40));
    let (plain, small, large) = (w.order(), w.order(), w.order());
    w.submit(asking(1, 24));
    assert_eq!(closed(&mut w), [small.1], "8 of 64 are free, it has 16");
    assert_eq!(phase(&w, plain.1), Some(Phase::Open), "memory, not slots");
    w.submit(asking(2, 65));
    assert_eq!(closed(&mut w), [], "no host has that");
    w.submit(asking(3, 40));
    assert_eq!(closed(&mut w), [large.1]);
}

#[test]
fn the_room_is_kept_for_whom_it_was_made() {
    let mut w = world(PreemptPolicy::Aggressive);
    w.connect(1, 2);
    let low = w.submit(with(9, 8, 2));
    let (one, two) = (w.order(), w.order());
    let wide = w.submit(slots(2, with(5, 1, 1)));
    let told = closed(&mut w);
    assert_eq!(told, [one.1, two.1]);
    w.gone(1, one.1);
    assert!(
        w.said.is_empty(),
        "one slot is free and nobody's: {:?}",
        w.said
    );
    let other = w.submit(with(6, 1, 1));
    assert!(w.said.is_empty(), "{:?}", w.said);
    let host_1 = w.engine.host(host(1)).expect("there");
    assert_eq!((host_1.used(), host_1.free()), (1, 0));
    w.gone(1, two.1);
    let start = w.order();
    assert_eq!(start.1.job, wide);
    assert!(w.said.is_empty());
    w.end(start, End::Exit(0));
    w.said.clear();
    w.gone(1, start.1);
    assert_eq!([w.order().1.job, w.order().1.job], [other, low]);
}

#[test]
fn who_comes_before_takes_room_that_is_being_made() {
    let mut w = world(PreemptPolicy::Passive);
    w.connect(1, 1);
    w.submit(with(9, 8, 1));
    let first = w.order();
    let high = w.submit(with(5, 1, 1));
    let higher = w.submit(with(1, 1, 1));
    assert!(reason(&w, higher, why::Kind::Preempting).is_some());
    assert_eq!(reason(&w, high, why::Kind::Preempting), None);
    assert_eq!(phase(&w, first.1), LEAVING);
    w.end(first, End::Exit(0));
    w.said.clear();
    w.gone(1, first.1);
    assert_eq!(w.order().1.job, higher);
}

#[test]
fn who_was_to_leave_stays_when_there_is_room_elsewhere() {
    let mut w = world(PreemptPolicy::Passive);
    w.connect(1, 1);
    let low = w.submit(with(9, 8, 1));
    let first = w.order();
    let high = w.submit(with(5, 1, 1));
    assert_eq!(phase(&w, first.1), LEAVING);
    w.connect(2, 1);
    let start = w.order();
    assert_eq!((start.0, start.1.job), (2, high));
    assert_eq!(phase(&w, first.1), Some(Phase::Open), "it needs not leave");
    w.end(first, End::Exit(0));
    let next = w.order();
    assert_eq!((next.1, next.2.item), (first.1, ItemIndex(1)));
    // The same when it is killed before.
    let other = w.submit(with(5, 1, 1));
    assert_eq!(phase(&w, first.1), LEAVING);
    w.act(Action::Kill, Target::Job(other)).expect("allowed");
    assert_eq!(phase(&w, first.1), Some(Phase::Open));
    // But not when a person has said so meanwhile.
    let other = w.submit(with(5, 1, 1));
    w.act(Action::Preempt, Target::Instance(low, InstanceNo(0)))
        .expect("allowed");
    w.act(Action::Kill, Target::Job(other)).expect("allowed");
    assert_eq!(phase(&w, first.1), LEAVING);
}

fn leaving(w: &World, job: JobId) -> usize {
    let launches = w.engine.launches_of(job);
    launches.filter(|it| Some(it.phase) == LEAVING).count()
}

#[test]
fn room_for_who_is_gone_is_given_up_while_nothing_may_start() {
    let mut w = world(PreemptPolicy::Passive);
    w.connect(1, 1);
    let low = w.submit(with(9, 8, 1));
    let high = w.submit(with(5, 1, 1));
    assert_eq!((leaving(&w, low), w.engine.claims()), (1, 1));
    w.step(Input::Mode {
        by: person("root"),
        mode: Mode::StopActivity,
        note: Some(String::new()),
    });
    w.act(Action::Kill, Target::Job(high)).expect("allowed");
    assert_eq!((leaving(&w, low), w.engine.claims()), (0, 0));
}

#[test]
fn who_asks_for_less_than_was_claimed_has_fewer_leave() {
    let mut w = world(PreemptPolicy::Passive);
    w.connect(1, 2);
    let low = w.submit(with(9, 8, 2));
    let high = w.submit(slots(2, with(5, 1, 1)));
    assert_eq!(leaving(&w, low), 2);
    let patch = Box::new(JobPatch {
        reservation: Some(Reservation::default()),
        ..JobPatch::default()
    });
    let (by, job) = (person("mia"), high);
    let done = w.step(Input::Modify { by, job, patch });
    assert_eq!(done, Some(Ok(Answer::Done)));
    assert_eq!((leaving(&w, low), w.engine.claims()), (1, 1));
}

#[test]
fn what_goes_on_after_all_may_be_asked_to_leave_again() {
    let mut w = world(PreemptPolicy::Passive);
    w.connect(1, 1);
    w.connect(2, 1);
    let low = w.submit(JobSpec {
        max_failures: 1,
        ..with(9, 8, 2)
    });
    let (one, other) = (w.order(), w.order());
    let lock = |w: &mut World, number: u8, is_locked: bool| {
        let (by, host) = (person("root"), host(number));
        w.step(Input::Lock {
            by,
            host,
            is_locked,
        });
    };
    lock(&mut w, other.0, true);
    w.end(other, End::Exit(1));
    w.gone(other.0, other.1);
    assert_ne!(phase(&w, one.1), Some(Phase::Open), "its job stops");
    // Its host is looked at meanwhile.
    lock(&mut w, one.0, true);
    lock(&mut w, one.0, false);
    w.act(Action::Retry, Target::Job(low)).expect("allowed");
    assert_eq!(phase(&w, one.1), Some(Phase::Open), "it goes on");
    w.submit(with(1, 1, 1));
    assert_eq!(phase(&w, one.1), LEAVING);
}

#[test]
fn what_is_migrated_leaves_whatever_becomes_of_the_claim() {
    let mut w = world(PreemptPolicy::Passive);
    w.connect(1, 1);
    let low = w.submit(with(9, 8, 1));
    let high = w.submit(with(5, 1, 1));
    let all = Target::Items(low, vec![ItemIndex(0)]);
    w.act(Action::Migrate, all).expect("allowed");
    assert_eq!(leaving(&w, low), 1);
    w.act(Action::Kill, Target::Job(high)).expect("allowed");
    assert_eq!(leaving(&w, low), 1, "it was sent away");
}

#[test]
fn of_locked_slots_nobody_is_given_one_back() {
    let mut w = world(PreemptPolicy::Passive);
    w.connect(1, 2);
    let low = w.submit(with(9, 8, 2));
    let high = w.submit(with(5, 1, 1));
    let order = LockOrder {
        slots: "2".parse().expect("slots"),
        ..LockOrder::default()
    };
    w.step(Input::LockWish {
        by: person("root"),
        host: host(1),
        wish: Box::new(LockWish::Lock(order)),
    });
    assert_eq!(
        leaving(&w, low),
        2,
        "one slot is left, and that is for another"
    );
    w.act(Action::Kill, Target::Job(high)).expect("allowed");
    assert_eq!(leaving(&w, low), 1);
}

#[test]
fn whose_frame_ends_first_leaves_first() {
    let mut w = world(PreemptPolicy::Passive);
    w.connect(1, 1);
    w.connect(2, 1);
    w.submit(with(9, 8, 2));
    let (one, two) = (w.order(), w.order());
    w.wait(1);
    w.end(two, End::Exit(0));
    let second = w.order();
    let high = w.submit(with(1, 1, 1));
    assert_eq!(phase(&w, one.1), LEAVING, "it began first");
    assert_eq!(phase(&w, two.1), Some(Phase::Open));
    w.end(second, End::Exit(0));
    assert_eq!(closed(&mut w), [two.1], "it is done first");
    assert_eq!(phase(&w, one.1), Some(Phase::Open));
    w.gone(two.0, two.1);
    let start = w.order();
    assert_eq!((start.0, start.1.job), (two.0, high));
    assert_eq!(w.engine.claims(), 0);
}

#[test]
fn who_was_preempted_is_left_alone_for_a_while() {
    let mut w = world(PreemptPolicy::Aggressive);
    w.connect(1, 1);
    let low = w.submit(with(9, 8, 1));
    let first = w.order();
    w.submit(with(5, 1, 1));
    closed(&mut w);
    w.gone(1, first.1);
    let high = w.order();
    w.end(high, End::Exit(0));
    w.said.clear();
    w.gone(1, high.1);
    let again = w.order();
    assert_eq!(again.1.job, low);
    let other = w.submit(with(5, 1, 1));
    assert_eq!(closed(&mut w), [], "not again at once");
    w.wait(REST.as_secs() - 1);
    assert_eq!(closed(&mut w), []);
    w.wait(1);
    assert_eq!(closed(&mut w), [again.1], "but not for ever");
    w.gone(1, again.1);
    assert_eq!(w.order().1.job, other);
}

#[test]
fn a_turn_makes_room_for_so_many_and_the_next_goes_on() {
    let mut w = world(PreemptPolicy::Aggressive);
    let all = MADE_PER_TURN_MAX + 10;
    let cpus = u32::try_from(all).expect("small");
    w.connect(1, cpus);
    w.submit(with(9, cpus, cpus));
    w.said.clear();
    w.submit(with(1, cpus, cpus));
    assert_eq!(closed(&mut w).len(), MADE_PER_TURN_MAX);
    assert_eq!(
        w.engine.next_deadline(),
        Some(Duration::from_millis(w.ms)),
        "it is to go on at once"
    );
    w.step(Input::Tick);
    assert_eq!(closed(&mut w).len(), 10);
    w.step(Input::Tick);
    assert_eq!(closed(&mut w), []);
}

#[test]
fn clusters_come_before_priority_as_where_hosts_choose() {
    let mut w = world(PreemptPolicy::Aggressive);
    w.connect_as(1, 1, Identity::User);
    let mut facts = w.engine.host(host(1)).expect("there").facts.clone();
    let cluster = ("host.cluster".to_owned(), "/a".to_owned());
    facts.properties.extend([cluster]);
    w.say(1, FromWorker::Hello(facts));
    w.say(1, FromWorker::Inventory(Vec::new()));
    let of = |cluster: &str, priority: u32| JobSpec {
        cluster: cluster.parse().expect("a cluster"),
        ..with(priority, 4, 1)
    };
    w.submit(of("/b", 1));
    let first = w.order();
    w.submit(of("/c", 1));
    assert_eq!(closed(&mut w), [], "as far away");
    let near = w.submit(of("/a", 9999));
    assert_eq!(closed(&mut w), [first.1], "the worst of its own first");
    w.gone(1, first.1);
    let own = w.order();
    assert_eq!(own.1.job, near);
    w.submit(of("/b", 1));
    assert_eq!(closed(&mut w), []);
}

#[test]
fn a_host_that_goes_away_makes_room_for_nobody() {
    let mut w = world(PreemptPolicy::Passive);
    w.connect(1, 1);
    w.submit(with(9, 8, 1));
    let first = w.order();
    let high = w.submit(with(5, 1, 1));
    assert_eq!(phase(&w, first.1), LEAVING);
    w.step(Input::Lock {
        by: person("root"),
        host: host(1),
        is_locked: true,
    });
    assert_eq!(phase(&w, first.1), Some(Phase::Open), "nobody comes there");
    assert_eq!(reason(&w, high, why::Kind::Preempting), None);
    w.step(Input::Lock {
        by: person("root"),
        host: host(1),
        is_locked: false,
    });
    assert_eq!(phase(&w, first.1), LEAVING);
    w.disconnect(1);
    w.wait_in_silence(400);
    w.connect(1, 1);
    assert_eq!(w.order().1.job, high, "it was lost with its work");
}

#[test]
fn what_is_told_names_both() {
    let mut w = world(PreemptPolicy::Passive);
    w.connect(1, 1);
    w.submit(with(9, 8, 1));
    w.order();
    let submission = Submission {
        by: person("tom"),
        spec: with(1, 1, 1),
        owner: None,
        key: None,
        is_blocked: false,
    };
    let now = Now {
        wall: Timestamp(0),
        elapsed: Duration::ZERO,
    };
    let out = w.engine.handle(now, Input::Submit(Box::new(submission)));
    let told = out.changes.into_iter().filter_map(|change| match change {
        Change::Event(event) => Some((event.kind, event.job, event.text)),
        _ => None,
    });
    let told: Vec<_> = told.filter(|(kind, ..)| kind.contains("preempt")).collect();
    assert_eq!(
        told,
        [
            (
                kind::INSTANCE_PREEMPTED,
                Some(JobId(1)),
                "instance 1.0 leaves at the end of its frame on rnd1: preempted by job 2 (priority 1 before 9)".to_owned()
            ),
            (
                kind::JOB_PREEMPTS,
                Some(JobId(2)),
                "preempts instance 1.0, which leaves at the end of its frame on rnd1 (priority 1 before 9)".to_owned()
            ),
        ]
    );
}

/// Fills hosts with work of one priority, and answers what one more job costs that waits, and what the end of an instance does.
fn costs(hosts: u8, priority: u32, flags: &[JobFlag]) -> (u64, u64) {
    let mut w = world(PreemptPolicy::Aggressive);
    for number in 1..=hosts {
        w.connect(number, 2);
    }
    let fill = JobSpec {
        flags: flags.iter().copied().collect(),
        ..with(5, 1_000, 2 * u32::from(hosts))
    };
    w.submit(fill);
    let first = w.order();
    w.submit(with(priority, 1, 1));
    w.said.clear();
    let before = w.engine.asked();
    w.submit(with(priority, 1, 1));
    let submitted = w.engine.asked() - before;
    assert_eq!(closed(&mut w), []);
    let before = w.engine.asked();
    w.gone(first.0, first.1);
    (submitted, w.engine.asked() - before)
}

#[test]
fn where_nobody_makes_room_an_event_costs_the_same_on_any_farm() {
    assert_eq!(costs(1, 5, &[]), costs(100, 5, &[]), "equals");
    assert_eq!(costs(1, 9, &[]), costs(100, 9, &[]), "lower ones wait");
    let kept = [JobFlag::Uninterruptible];
    assert_eq!(costs(1, 1, &kept), costs(100, 1, &kept), "nobody may leave");
}

#[test]
fn jobs_that_a_limit_keeps_from_more_room_cost_nothing() {
    let cost = |jobs: u32| {
        let mut w = World::new();
        w.engine = Engine::new(Config {
            preempt_policy: PreemptPolicy::Passive,
            user_limits: UserLimits {
                default: None,
                named: [(name("tom"), Some(1))].into(),
            },
            ..Config::default()
        });
        w.connect(1, 4);
        let low = w.submit(with(90, 8, 4));
        for _ in 0..jobs {
            w.try_submit("tom", with(1, 1, 1), None).expect("taken");
        }
        assert_eq!((leaving(&w, low), w.engine.claims()), (1, 1));
        let before = w.engine.asked();
        let patch = Box::new(JobPatch {
            priority: Some(80),
            ..JobPatch::default()
        });
        let (by, job) = (person("mia"), low);
        w.step(Input::Modify { by, job, patch });
        w.engine.asked() - before
    };
    assert_eq!(cost(10), cost(200));
}

#[test]
fn what_suits_no_host_looks_at_a_bounded_number_of_them() {
    let cost = |hosts: u8| {
        let mut w = world(PreemptPolicy::Aggressive);
        for number in 1..=hosts {
            w.connect(number, 2);
        }
        w.submit(with(9, 1_000, 2 * u32::from(hosts)));
        w.said.clear();
        let before = w.engine.asked();
        // Each host could give away what it asks for; none may have it.
        let omithosts = (1..=hosts).map(|number| format!("rnd{number}"));
        w.submit(JobSpec {
            omithosts: omithosts.collect(),
            ..with(1, 1, 1)
        });
        assert_eq!(closed(&mut w), []);
        w.engine.asked() - before
    };
    assert_eq!(cost(100), cost(200));
}
