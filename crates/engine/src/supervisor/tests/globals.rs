//! The farm's own resources: who gets them, who gives them back, who waits and why.

use super::*;
use crate::supervisor::global::{GlobalWish, Outside};
use crate::supervisor::why::Kind;
use tessera_model::{GlobalName, LaunchNo, Reservation};

fn global(text: &str) -> GlobalName {
    text.parse().expect("a good name")
}

/// A job of so many frames, all of which could run at once, that wants so much of each.
fn wanting(frames: u32, wants: &[(&str, u64)]) -> JobSpec {
    let wants = wants.iter();
    JobSpec {
        cpus: frames,
        reservation: Reservation {
            global: wants.map(|(it, amount)| (global(it), *amount)).collect(),
            ..Reservation::default()
        },
        ..spec(frames)
    }
}

fn with_priority(priority: u32, spec: JobSpec) -> JobSpec {
    JobSpec { priority, ..spec }
}

impl World {
    /// A farm whose configuration gives it so much of each.
    fn with(allotted: &[(&str, u64)]) -> Self {
        let allotted = allotted.iter();
        let global_resources = allotted.map(|(it, amount)| (global(it), *amount)).collect();
        let config = Config {
            global_resources,
            ..Config::default()
        };
        Self {
            engine: Engine::new(config),
            ..Self::new()
        }
    }

    fn global(&mut self, who: &str, it: &str, wish: GlobalWish) -> Result<Answer, Denied> {
        let input = Input::Global {
            by: person(who),
            name: global(it),
            wish,
        };
        self.step(input).expect("an answer")
    }

    fn set(&mut self, it: &str, total: Option<u64>, used: Option<Outside>, ttl: Option<u64>) {
        let wish = GlobalWish::Set {
            total,
            used,
            ttl: ttl.map(Duration::from_secs),
        };
        assert_eq!(self.global("root", it, wish), Ok(Answer::Done));
    }

    /// Held and free.
    fn of(&self, it: &str) -> (u64, u64) {
        let globals = self.engine.globals();
        (globals.held(&global(it)), globals.free(&global(it)))
    }

    fn first_why(&self, job: JobId) -> (Kind, String, String) {
        let reasons = self.engine.why(job).expect("there");
        let waits = |kind: Kind| !matches!(kind, Kind::Running | Kind::Ending);
        let first = reasons
            .into_iter()
            .find(|it| waits(it.kind))
            .expect("a reason");
        (first.kind, first.text, first.hint.unwrap_or_default())
    }

    /// Takes all orders to start.
    fn begun(&mut self) -> Vec<(u8, LaunchKey, Run)> {
        let said = std::mem::take(&mut self.said);
        let start = |(host, what): (HostId, ToWorker)| match what {
            ToWorker::Start { key, run, .. } => Some((host.0[0], key, run)),
            _ => None,
        };
        said.into_iter().filter_map(start).collect()
    }
}

#[test]
pub(super) fn no_more_is_given_than_there_is_and_what_comes_back_goes_to_who_waits() {
    let mut w = World::with(&[("license.nuke", 10)]);
    w.connect(1, 16);
    let first = w.submit(wanting(2, &[("license.nuke", 4)]));
    let second = w.submit(wanting(1, &[("license.nuke", 2)]));
    let third = w.submit(wanting(1, &[("license.nuke", 1)]));
    let orders = w.begun();
    assert_eq!(orders.len(), 3);
    assert_eq!(w.of("license.nuke"), (10, 0));
    let (kind, text, hint) = w.first_why(third);
    assert_eq!(kind, Kind::ResourceInUse);
    assert_eq!(
        text,
        format!("license.nuke 10/10 held by job {first} (8), job {second} (2)")
    );
    assert_eq!(hint, "it starts when enough is given back");
    // Work that needs none goes past it.
    w.submit(spec(1));
    assert_eq!(w.begun().len(), 1);
    // Ended is not gone.
    w.end(orders[2], End::Exit(0));
    assert_eq!(w.of("license.nuke"), (10, 0));
    w.gone(1, orders[2].1);
    let order = w.begun()[0];
    assert_eq!((order.1.job, w.of("license.nuke")), (third, (9, 1)));
    w.gone(1, orders[2].1);
    assert_eq!(w.of("license.nuke"), (9, 1), "given back twice");
    for order in [orders[0], orders[1], order] {
        w.end(order, End::Exit(0));
        w.gone(1, order.1);
    }
    assert_eq!(w.of("license.nuke"), (0, 10));
}

#[test]
fn what_is_freed_goes_to_the_best_that_can_use_it() {
    let mut w = World::with(&[("global.x", 2)]);
    w.connect(1, 8);
    w.connect(2, 8);
    let holds = w.submit(wanting(1, &[("global.x", 2)]));
    let held = w.begun()[0];
    let plain = w.submit(with_priority(50, wanting(1, &[("global.x", 1)])));
    let nowhere = JobSpec {
        hosts: ["rnd9".to_owned()].into(),
        ..with_priority(1, wanting(1, &[("global.x", 1)]))
    };
    let nowhere = w.submit(nowhere);
    let wide = w.submit(with_priority(20, wanting(1, &[("global.x", 2)])));
    assert!(w.begun().is_empty(), "{holds} has all");
    w.end(held, End::Exit(0));
    w.gone(held.0, held.1);
    let order = w.begun();
    assert_eq!(order.iter().map(|it| it.1.job).collect::<Vec<_>>(), [wide]);
    assert_eq!(w.first_why(plain).0, Kind::ResourceInUse);
    w.end(order[0], End::Exit(0));
    w.gone(order[0].0, order[0].1);
    assert_eq!(w.begun()[0].1.job, plain);
    assert_eq!(w.first_why(nowhere).0, Kind::NotAmongHosts);
}

#[test]
fn whatever_ends_an_instance_gives_back_what_it_had() {
    let mut w = World::with(&[("license.nuke", 3)]);
    w.connect(1, 4);
    w.connect(2, 4);
    let jobs = [(); 3].map(|()| w.submit(wanting(1, &[("license.nuke", 1)])));
    let orders = w.begun();
    assert_eq!(w.of("license.nuke"), (3, 0));
    // Failed.
    w.end(orders[0], End::Exit(1));
    w.gone(orders[0].0, orders[0].1);
    assert_eq!(w.of("license.nuke"), (2, 1));
    // Killed, and its shepherd is lost.
    w.act(Action::Kill, Target::Job(jobs[1])).expect("allowed");
    assert_eq!(w.of("license.nuke"), (2, 1), "killed is not gone");
    let cause = GoneCause::ShepherdLost;
    w.report(
        orders[1].0,
        Report::Gone {
            key: orders[1].1,
            cause,
        },
    );
    assert_eq!(w.of("license.nuke"), (1, 2));
    // Refused.
    w.submit(wanting(1, &[("license.nuke", 2)]));
    let refused = w.begun()[0];
    assert_eq!(w.of("license.nuke"), (3, 0));
    let refusal = Refusal {
        code: "no_such_user".into(),
        text: "no such account".into(),
    };
    w.report(
        refused.0,
        Report::Refused {
            key: refused.1,
            refusal,
        },
    );
    // The other host takes it.
    assert_eq!(w.of("license.nuke"), (3, 0));
    assert_eq!(w.begun()[0].1.launch, LaunchNo(2));
    // The hosts are removed.
    for number in [1, 2] {
        w.step(Input::RemoveHost {
            by: person("root"),
            host: host(number),
            is_forced: true,
        });
    }
    assert_eq!(w.of("license.nuke"), (0, 3));
}

#[test]
fn a_lost_host_has_nothing_and_what_comes_back_with_it_counts_until_it_is_gone() {
    let mut w = World::with(&[("license.nuke", 2)]);
    w.connect(1, 4);
    w.submit(wanting(1, &[("license.nuke", 2)]));
    let first = w.begun()[0];
    w.disconnect(1);
    w.wait_in_silence(100);
    assert_eq!(
        w.of("license.nuke"),
        (2, 0),
        "it may be there again any time"
    );
    w.wait(301);
    assert_eq!(w.of("license.nuke"), (0, 2));
    w.connect(2, 4);
    let second = w.begun()[0];
    assert_eq!((second.0, w.of("license.nuke")), (2, (2, 0)));
    // The first host is back, and the old run lives there: more is taken than there is, and nobody gets more.
    let other = w.submit(wanting(1, &[("license.nuke", 1)]));
    w.connect_as(1, 4, Identity::User);
    let has = LaunchInventory {
        key: first.1,
        current: Some(first.2),
        ahead: Vec::new(),
        is_closing: false,
        is_suspended: false,
    };
    w.say(1, FromWorker::Inventory(vec![has]));
    assert_eq!(w.of("license.nuke"), (4, 0));
    w.end(second, End::Exit(0));
    w.gone(2, second.1);
    assert_eq!(w.of("license.nuke"), (2, 0));
    assert!(w.begun().is_empty(), "what was given up still has them");
    w.gone(1, first.1);
    assert_eq!(w.begun()[0].1.job, other);
    assert_eq!(w.of("license.nuke"), (1, 1));
}

/// Has a host say that it has one launch.
fn lives(w: &mut World, number: u8, order: (u8, LaunchKey, Run)) {
    let has = LaunchInventory {
        key: order.1,
        current: Some(order.2),
        ahead: Vec::new(),
        is_closing: false,
        is_suspended: false,
    };
    w.say(number, FromWorker::Inventory(vec![has]));
}

#[test]
fn what_a_host_was_told_to_end_has_nothing_when_that_host_is_lost_for_good() {
    let mut w = World::with(&[("license.nuke", 1)]);
    w.connect(1, 4);
    w.submit(wanting(1, &[("license.nuke", 1)]));
    let first = w.begun()[0];
    w.disconnect(1);
    w.wait_in_silence(301);
    w.connect_as(1, 4, Identity::User);
    lives(&mut w, 1, first);
    assert_eq!(w.of("license.nuke"), (1, 0));
    // It is told to end it, and goes before it has.
    w.disconnect(1);
    w.wait_in_silence(301);
    assert_eq!(w.of("license.nuke"), (0, 1));
}

#[test]
fn no_host_gives_back_what_another_has() {
    let mut w = World::with(&[("license.nuke", 1)]);
    w.connect(1, 4);
    w.submit(wanting(1, &[("license.nuke", 1)]));
    let order = w.begun()[0];
    let waits = w.submit(wanting(1, &[("license.nuke", 1)]));
    // Another says that it has the same launch, and that it is gone.
    w.connect(2, 4);
    lives(&mut w, 2, order);
    w.gone(2, order.1);
    assert_eq!(w.of("license.nuke"), (1, 0));
    assert!(w.begun().is_empty(), "given twice");
    w.end(order, End::Exit(0));
    w.gone(1, order.1);
    assert_eq!(w.begun()[0].1.job, waits);
}

#[test]
fn a_poller_that_says_it_again_and_again_leaves_one_thing_to_look_at() {
    let mut w = World::with(&[("license.nuke", 9)]);
    w.set("license.nuke", None, Some(Outside::Others(1)), Some(86_400));
    let timers = w.engine.timers.len();
    for others in 2..9 {
        w.wait(10);
        w.set(
            "license.nuke",
            None,
            Some(Outside::Others(others)),
            Some(86_400),
        );
    }
    assert_eq!(w.engine.timers.len(), timers);
}

#[test]
fn a_restart_forgets_neither_who_has_them_nor_what_was_said() {
    let mut w = World::with(&[("license.nuke", 9)]);
    w.set("license.nuke", Some(4), Some(Outside::Others(1)), Some(600));
    w.connect(1, 8);
    w.submit(wanting(4, &[("license.nuke", 1)]));
    assert_eq!(w.begun().len(), 3);
    let (image, config) = (w.engine.image(), w.engine.config.clone());
    let now = Now {
        // Another clock of elapsed time, as after a restart.
        elapsed: Duration::from_secs(5),
        wall: Timestamp(i64::try_from(w.ms).unwrap()),
    };
    w.engine = Engine::restore(config, now, image.clone()).expect("a good image");
    w.ms = 5_000;
    assert_eq!(w.engine.faults(), Vec::<String>::new());
    assert_eq!(w.of("license.nuke"), (3, 0));
    assert_eq!(w.engine.image().globals, image.globals);
    // What was said counts no longer than it did before.
    w.wait_in_silence(599);
    assert_eq!(w.engine.globals().others(&global("license.nuke")), 1);
    w.wait_in_silence(1);
    assert_eq!(w.engine.globals().others(&global("license.nuke")), 0);
}

#[test]
fn when_there_became_less_as_many_leave_after_their_frame_as_must() {
    let mut w = World::with(&[]);
    w.set("global.x", Some(3), None, None);
    w.connect(1, 4);
    let spec = JobSpec {
        cpus: 3,
        ..wanting(12, &[("global.x", 1)])
    };
    let job = w.submit(spec);
    let orders = w.begun();
    w.set("global.x", Some(2), None, None);
    assert_eq!(w.of("global.x"), (3, 0));
    assert!(w.said.is_empty(), "nothing that runs is ended for it");
    w.end(orders[0], End::Exit(0));
    let close = w.heard().1;
    assert!(matches!(close, ToWorker::Close { .. }), "{close:?}");
    // It is still leaving: the others need not.
    w.end(orders[1], End::Exit(0));
    assert_eq!(w.order().1, orders[1].1);
    w.gone(1, orders[0].1);
    assert_eq!(w.of("global.x"), (2, 0));
    assert!(w.begun().is_empty());
    assert_eq!(
        w.first_why(job).1,
        format!("global.x 2/2 held by job {job} (2)")
    );
    // And more: it goes on at once.
    w.set("global.x", Some(3), None, None);
    assert_eq!(w.begun().len(), 1);
}

#[test]
fn what_others_use_is_taken_from_what_is_not_the_farms_first() {
    let mut w = World::with(&[("license.maya", 100)]);
    let free = |w: &World| w.of("license.maya").1;
    w.set("license.maya", Some(120), Some(Outside::Others(20)), None);
    assert_eq!(free(&w), 100);
    w.set("license.maya", None, Some(Outside::Others(30)), None);
    assert_eq!(free(&w), 90);
    w.connect(1, 64);
    w.submit(wanting(50, &[("license.maya", 1)]));
    assert_eq!(w.of("license.maya"), (50, 40));
    // As a licence server counts: those of the farm among them.
    w.set("license.maya", Some(120), Some(Outside::InAll(80)), None);
    assert_eq!(free(&w), 40);
    w.set("license.maya", Some(120), Some(Outside::InAll(50)), None);
    assert_eq!(free(&w), 50);
    w.set("license.maya", Some(60), None, None);
    assert_eq!(
        (free(&w), w.engine.globals().total(&global("license.maya"))),
        (10, Some(60))
    );
    assert_eq!(
        w.global("root", "license.maya", GlobalWish::Remove),
        Ok(Answer::Done)
    );
    assert_eq!(free(&w), 50, "the configuration's count again");
}

#[test]
fn what_was_said_of_others_counts_for_as_long_as_was_said() {
    let mut w = World::with(&[("license.nuke", 2)]);
    w.connect(1, 4);
    let used = Some(Outside::Others(2));
    w.set("license.nuke", None, used, Some(60));
    let job = w.submit(wanting(1, &[("license.nuke", 1)]));
    assert!(w.begun().is_empty());
    assert_eq!(
        w.first_why(job).1,
        "license.nuke 2/2 held by others outside the farm (2)"
    );
    w.wait(50);
    w.set("license.nuke", None, used, Some(60));
    w.wait(59);
    assert!(w.begun().is_empty(), "it was said anew");
    w.ms += 1_000;
    let now = Now {
        // The wall clock was set back an hour.
        wall: Timestamp(0),
        elapsed: Duration::from_millis(w.ms),
    };
    let out = w.engine.handle(now, Input::Tick);
    let told = out.changes.iter().find_map(|change| match change {
        Change::Event(event) if event.kind == kind::RESOURCE_EXPIRED => Some(event.text.clone()),
        _ => None,
    });
    assert!(told.is_some_and(|text| text.contains("how many of license.nuke others use: the 2")));
    assert!(out.changes.contains(&Change::Globals));
    assert_eq!(w.of("license.nuke"), (1, 1), "and who waited has one");
    let record = w.engine.globals().record(&global("license.nuke"));
    assert!(
        record
            .and_then(|it| it.others)
            .is_some_and(|it| it.is_over && it.used == 2)
    );
}

#[test]
fn the_same_said_again_is_no_news() {
    let mut w = World::with(&[]);
    w.set("global.x", Some(3), Some(Outside::Others(1)), Some(60));
    let say = |w: &mut World, others| {
        let now = Now {
            wall: Timestamp(1_000),
            elapsed: Duration::from_secs(1),
        };
        let wish = GlobalWish::Set {
            total: None,
            used: Some(Outside::Others(others)),
            ttl: Some(Duration::from_secs(60)),
        };
        let by = person("root");
        let name = global("global.x");
        let out = w.engine.handle(now, Input::Global { by, name, wish });
        assert!(
            out.changes.contains(&Change::Globals),
            "how long it counts is kept"
        );
        out.changes
            .iter()
            .filter(|it| matches!(it, Change::Event(_)))
            .count()
    };
    assert_eq!(say(&mut w, 1), 0);
    assert_eq!(say(&mut w, 2), 1);
}

#[test]
pub(super) fn what_the_farm_does_not_have_waits_and_why_says_what_was_meant() {
    let mut w = World::with(&[("license.nuke", 1)]);
    w.connect(1, 4);
    let asks = wanting(1, &[("license.Nukee", 1)]);
    let unknown = w.engine.unknown_globals(&asks);
    assert_eq!(
        unknown,
        [(global("license.Nukee"), Some(global("license.nuke")))]
    );
    let job = w.submit(asks);
    let (kind, text, hint) = w.first_why(job);
    assert_eq!(kind, Kind::ResourceUnknown);
    assert_eq!(
        text,
        "the farm has no license.Nukee; was license.nuke meant?"
    );
    assert_eq!(
        hint,
        format!("tessera modify {job} --reservations host.processors=1,license.nuke=1")
    );
    let patch = JobPatch {
        reservation: Some(wanting(1, &[("license.nuke", 1)]).reservation),
        ..JobPatch::default()
    };
    let modify = Input::Modify {
        by: person("mia"),
        job,
        patch: Box::new(patch),
    };
    assert_eq!(w.step(modify), Some(Ok(Answer::Done)));
    assert_eq!(w.begun().len(), 1, "as the hint said");
    let job = w.submit(wanting(1, &[("global.rig", 2)]));
    let (_, text, hint) = w.first_why(job);
    assert_eq!(text, "the farm has no global.rig");
    assert_eq!(
        hint,
        "an administrator can say how many there are: tessera resource set global.rig --total N"
    );
    w.set("global.rig", Some(1), None, None);
    let (kind, text, hint) = w.first_why(job);
    assert_eq!(
        (kind, text.as_str()),
        (Kind::ResourceTooSmall, "global.rig is 1 in all; 2 asked")
    );
    assert!(
        hint.ends_with("tessera resource set global.rig --total 2"),
        "{hint}"
    );
    w.set("global.rig", Some(2), None, None);
    assert_eq!(w.begun().len(), 1, "as the hint said");
}

#[test]
fn only_administrators_say_how_many_there_are() {
    let mut w = World::with(&[("global.a", 1)]);
    let set = |total| GlobalWish::Set {
        total,
        used: None,
        ttl: None,
    };
    let refused = w.global("mia", "global.b", set(Some(1)));
    assert!(
        matches!(refused, Err(Denied::Forbidden { .. })),
        "{refused:?}"
    );
    let refused = w
        .global("root", "global.b", set(None))
        .expect_err("no total");
    assert_eq!(
        refused.to_string(),
        "total: nobody has said how many of global.b there are; say the total, too"
    );
    let refused = w.global("root", "global.b", GlobalWish::Remove);
    assert_eq!(refused, Err(Denied::NoResource(global("global.b"))));
    let refused = w
        .global("root", "global.a", GlobalWish::Remove)
        .expect_err("of the configuration");
    assert!(
        refused.to_string().contains("supervisor_global_resources"),
        "{refused}"
    );
    for n in 1..tessera_model::limits::GLOBALS_MAX {
        w.set(&format!("global.n{n}"), Some(1), None, None);
    }
    let refused = w
        .global("root", "global.b", set(Some(1)))
        .expect_err("too many");
    assert!(
        refused.to_string().contains("256 resources already"),
        "{refused}"
    );
    w.set("global.a", Some(2), None, None);
}

/// Each user's jobs are a class of their own. None of those that wait costs anything while others come and go, and what is
/// given back costs the one that gets it.
#[test]
fn who_waits_for_a_licence_is_not_looked_at_meanwhile() {
    let cost = |waiting: u32| {
        let mut w = World::with(&[("license.nuke", 1)]);
        w.connect(1, 4);
        w.submit(wanting(1, &[("license.nuke", 1)]));
        let mut has = w.begun()[0];
        for n in 0..waiting {
            let who = format!("u{n}");
            w.try_submit(&who, wanting(1, &[("license.nuke", 1)]), None)
                .expect("accepted");
        }
        assert!(w.begun().is_empty());
        let before = w.engine.asked();
        for _ in 0..20 {
            w.submit(spec(1));
            let order = w.begun()[0];
            w.end(order, End::Exit(0));
            w.gone(1, order.1);
        }
        let others = w.engine.asked() - before;
        let before = w.engine.asked();
        for _ in 0..10 {
            w.end(has, End::Exit(0));
            w.said.clear();
            w.gone(1, has.1);
            has = w.begun()[0];
        }
        (others, w.engine.asked() - before)
    };
    let (few, many) = (cost(12), cost(400));
    assert_eq!(few, many, "20 jobs of others, 10 licences given back");
    assert!(many.0 <= 160 && many.1 <= 60, "{many:?} looked at");
}
