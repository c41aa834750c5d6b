//! Locks of hosts and of slots, calendars, and maintenance of the farm.

use super::*;
use crate::supervisor::why::Kind;
use tessera_model::{LockCalendar, SlotSet};

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;

impl World {
    #[track_caller]
    fn lock_wish(&mut self, number: u8, wish: LockWish) {
        let input = Input::LockWish {
            by: person("root"),
            host: host(number),
            wish: Box::new(wish),
        };
        assert_eq!(self.step(input), Some(Ok(Answer::Done)));
    }

    fn lock_slots(&mut self, number: u8, slots: &str) {
        let slots = slots.parse().expect("slots");
        let order = LockOrder {
            slots,
            ..LockOrder::default()
        };
        self.lock_wish(number, LockWish::Lock(order));
    }

    fn unlock(&mut self, number: u8, slots: &str) {
        self.lock_wish(number, LockWish::Unlock(slots.parse().expect("slots")));
    }

    fn mode(&mut self, who: &str, mode: Mode, note: Option<&str>) -> Result<Answer, Denied> {
        let note = note.map(str::to_owned);
        let by = person(who);
        self.step(Input::Mode { by, mode, note })
            .expect("an answer")
    }

    /// Connects a host with a calendar and a clock so many minutes east of UTC.
    fn connect_by(&mut self, number: u8, slots: u32, calendar: &str, offset: &str) {
        self.sessions += 1;
        let properties = [
            ("host.lock_schedule", calendar),
            ("host.utc_offset", offset),
        ];
        let facts = HostFacts {
            name: format!("rnd{number}"),
            slots,
            properties: properties
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into(),
            ..HostFacts::default()
        };
        self.step(Input::Connected {
            host: host(number),
            session: self.sessions,
            facts: Box::new(facts),
        });
        self.say(number, FromWorker::Inventory(Vec::new()));
    }

    fn why_idle(&self, number: u8) -> String {
        let why = self.engine.why_host_idle(host(number));
        why.map(|(_, text)| text).unwrap_or_default()
    }

    /// Takes all that was said to workers: what was started, and what was told to end.
    fn heard_of(&mut self) -> (Vec<(u8, LaunchKey, Run)>, Vec<LaunchKey>) {
        let (mut orders, mut closes) = (Vec::new(), Vec::new());
        for (host, message) in std::mem::take(&mut self.said) {
            match message {
                ToWorker::Start { key, run, .. } | ToWorker::Run { key, run } => {
                    orders.push((host.0[0], key, run));
                }
                ToWorker::Close { key, .. } => closes.push(key),
                other => panic!("{other:?}"),
            }
        }
        (orders, closes)
    }
}

fn wide(frames: u32, cpus: u32) -> JobSpec {
    let mut spec = spec(frames);
    spec.cpus = cpus;
    spec
}

#[test]
fn locked_slots_are_given_nothing_and_the_others_go_on() {
    let mut w = World::new();
    w.connect(1, 4);
    w.lock_slots(1, "2-3");
    // Said twice it is the same.
    w.lock_slots(1, "3");
    let job = w.submit(wide(8, 4));
    let (orders, _) = w.heard_of();
    assert_eq!(orders.len(), 2);
    let why = w.why_idle(1);
    assert_eq!(
        why,
        "all 2 open slots are in use: job 1 of mia (2); slots 2-3 are locked by root"
    );
    let told = w.engine.why(job).expect("there");
    assert!(
        told.iter()
            .any(|it| it.kind == Kind::Full && it.text == why),
        "{told:?}"
    );
    w.unlock(1, "2");
    assert_eq!(w.heard_of().0.len(), 1);
    w.unlock(1, "all");
    assert_eq!(w.heard_of().0.len(), 1);
    assert!(w.engine.host(host(1)).expect("there").lock.is_none());
}

#[test]
fn what_runs_in_slots_that_are_locked_finishes_its_frame_and_takes_no_other() {
    let mut w = World::new();
    w.connect(1, 3);
    let job = w.submit(wide(9, 3));
    let (orders, _) = w.heard_of();
    assert_eq!(orders.len(), 3);
    w.lock_slots(1, "2-9");
    assert_eq!(w.heard_of(), (Vec::new(), Vec::new()), "what runs goes on");
    w.end(orders[0], End::Exit(0));
    w.end(orders[1], End::Exit(0));
    let (next, closes) = w.heard_of();
    assert!(next.is_empty());
    assert_eq!(closes, [orders[0].1, orders[1].1]);
    w.gone(1, orders[0].1);
    w.gone(1, orders[1].1);
    w.end(orders[2], End::Exit(0));
    // In the slot that is open it goes on.
    let (next, closes) = w.heard_of();
    assert_eq!((next.len(), closes.len()), (1, 0));
    assert_eq!(w.status(job), WorkStatus::Running);
}

#[test]
fn a_purge_puts_back_what_began_last_until_the_rest_fits() {
    let mut w = World::new();
    w.connect(1, 3);
    let first = w.submit(wide(9, 2));
    let (early, _) = w.heard_of();
    w.wait(5);
    let late = w.submit(spec(1));
    let (order, _) = w.heard_of();
    let slots: SlotSet = "1-2".parse().expect("slots");
    let order_to = |slots| {
        LockWish::Lock(LockOrder {
            slots,
            purges: true,
            ..LockOrder::default()
        })
    };
    w.lock_wish(1, order_to("1".parse().expect("slots")));
    assert_eq!(w.heard_of().1, [order[0].1], "the last one");
    assert_eq!(w.item(late, 0), ItemStatus::Pending);
    assert_eq!(w.item(first, 0), ItemStatus::Running);
    w.lock_wish(1, order_to(slots));
    assert_eq!(w.heard_of().1, [early[1].1]);
    w.lock_wish(1, order_to(SlotSet::all()));
    assert_eq!(w.heard_of().1, [early[0].1]);
    // None of it used a retry, and nothing starts here.
    let used = |job: JobId| {
        let job = w.engine.job(job).expect("there");
        job.items()
            .indices()
            .any(|it| job.items().get(it).retries_used > 0)
    };
    assert!(!used(first) && !used(late));
    for key in [order[0].1, early[0].1, early[1].1] {
        w.gone(1, key);
    }
    assert!(w.said.is_empty());
    w.connect(2, 1);
    assert_eq!(w.heard_of().0.len(), 1, "elsewhere it runs");
}

#[test]
fn a_lock_ends_by_itself_and_says_until_when() {
    let mut w = World::new();
    w.connect_by(1, 1, "", "60");
    w.wait(10);
    let until = Timestamp(i64::try_from(2 * HOUR * 1000).expect("few"));
    let order = LockOrder {
        until: Some(until),
        note: "new disks\n".into(),
        ..LockOrder::default()
    };
    w.lock_wish(1, LockWish::Lock(order.clone()));
    let said = "locked by root until 1970-01-01 03:00 (UTC+01:00): new disks";
    assert_eq!(w.why_idle(1), said);
    let job = w.submit(spec(1));
    let told = w.engine.why(job).expect("there");
    assert!(
        told.iter()
            .any(|it| it.kind == Kind::HostLocked && it.text == said),
        "{told:?}"
    );
    // Over a restart of the supervisor, too.
    let now = w.engine.now;
    let image = w.engine.image();
    w.engine = Engine::restore(Config::default(), now, image).expect("fits");
    w.connect_by(1, 1, "", "60");
    assert_eq!(w.why_idle(1), said);
    w.wait(2 * HOUR - 11);
    assert!(w.said.is_empty());
    w.wait(1);
    assert_eq!(w.heard_of().0.len(), 1);
    // A time that is over is none.
    let wish = Box::new(LockWish::Lock(order));
    let input = Input::LockWish {
        by: person("root"),
        host: host(1),
        wish,
    };
    assert!(matches!(
        w.step(input),
        Some(Err(Denied::Invalid { field: "until", .. }))
    ));
}

#[test]
fn a_calendar_goes_by_the_hosts_own_clock() {
    let mut w = World::new();
    // The world begins on a Thursday at 00:00 UTC; in this host's zone it is 22:00 on Wednesday.
    w.connect_by(1, 2, "wed 23:00-23:30; thu 01:00-02:00 slots 1", "-120");
    let job = w.submit(wide(99, 2));
    let (orders, _) = w.heard_of();
    assert_eq!(orders.len(), 2);
    w.wait(HOUR - 1);
    assert_eq!(w.why_idle(1), "all 2 slots are in use: job 1 of mia (2)");
    w.wait(1);
    assert_eq!(
        w.why_idle(1),
        "locked by its calendar until Wed 23:30 by its own clock"
    );
    w.end(orders[0], End::Exit(0));
    assert_eq!(w.heard_of().1, [orders[0].1], "it finishes what it has");
    w.gone(1, orders[0].1);
    w.wait(30 * MINUTE - 1);
    assert!(w.said.is_empty());
    w.wait(1);
    assert_eq!(w.heard_of().0.len(), 1, "open again at once");
    w.wait(90 * MINUTE);
    assert_eq!(
        w.why_idle(1),
        "all 1 open slots are in use: job 1 of mia (2); slots 1 are locked by its calendar until Thu 02:00 by its own clock"
    );
    // Its clock goes by another time now: there it is 02:00 already.
    w.connect_by(1, 2, "thu 01:00-02:00 slots 1", "-60");
    assert_eq!(w.engine.host(host(1)).expect("there").open_slots(), 2);
    assert_eq!(w.status(job), WorkStatus::Running);
}

#[test]
fn a_calendar_purges_when_its_time_comes_also_when_that_was_during_a_restart() {
    let calendar = "thu 01:00-02:00 purge";
    for restarts in [false, true] {
        let mut w = World::new();
        w.connect_by(1, 1, calendar, "0");
        let job = w.submit(spec(9));
        let (orders, _) = w.heard_of();
        if restarts {
            let image = w.engine.image();
            w.ms += HOUR * 1000;
            let now = Now {
                wall: Timestamp(i64::try_from(w.ms).expect("few")),
                elapsed: Duration::from_millis(w.ms),
            };
            w.engine = Engine::restore(Config::default(), now, image).expect("fits");
            w.step(Input::Tick);
        } else {
            w.wait(HOUR);
            assert_eq!(w.heard_of().1, [orders[0].1]);
        }
        assert_eq!(w.item(job, 0), ItemStatus::Pending, "restarts: {restarts}");
        assert!(w.engine.host(host(1)).expect("there").is_locked());
    }
}

#[test]
fn a_purge_ends_no_more_than_what_purges_names() {
    // Each calendar with what is locked by somebody before, and how many of four frames are ended at which hours.
    for (calendar, locked, ended) in [
        // What begins later locks the rest, and purges nothing.
        ("thu 1-6 slots 1-2 purge; thu 2-6", "", [2, 0, 0]),
        // What runs in slots that somebody locked goes on to its end.
        ("thu 1-2 slots 1-2 purge", "3-4", [2, 0, 0]),
        ("thu 1-2 slots 1-2 purge", "all", [2, 0, 0]),
        // What is locked already is purged when that is said.
        ("thu 1-6; thu 2-3 purge", "", [0, 4, 0]),
        (
            "thu 1-6; thu 2-3 slots 4 purge; thu 3-4 slots 1-3 purge",
            "",
            [0, 1, 2],
        ),
        // Said twice, or no longer, it is nothing new.
        (
            "thu 1-6 slots 1 purge; thu 2-3 slots 1-2 purge; thu 4-5 slots 2",
            "",
            [1, 1, 0],
        ),
    ] {
        let mut w = World::new();
        w.connect_by(1, 4, calendar, "0");
        w.submit(wide(99, 4));
        assert_eq!(w.heard_of().0.len(), 4);
        if !locked.is_empty() {
            w.lock_slots(1, locked);
        }
        for (hour, ended) in ended.into_iter().enumerate() {
            w.checks = false;
            w.wait(HOUR - 1);
            w.checks = true;
            w.wait(1);
            let (_, closes) = w.heard_of();
            assert_eq!(closes.len(), ended, "{calendar}, hour {}", hour + 1);
        }
    }
}

#[test]
fn an_order_to_purge_ends_no_more_than_its_slots() {
    let order = |slots: &str| {
        let slots = slots.parse().expect("slots");
        LockWish::Lock(LockOrder {
            slots,
            purges: true,
            ..LockOrder::default()
        })
    };
    let mut w = World::new();
    w.connect_by(1, 8, "thu 1-2 slots 1 purge", "0");
    w.submit(wide(99, 8));
    assert_eq!(w.heard_of().0.len(), 8);
    w.lock_slots(1, "all");
    let ended = |w: &mut World, wish: LockWish| {
        w.lock_wish(1, wish);
        w.heard_of().1.len()
    };
    assert_eq!(ended(&mut w, order("1-2")), 2);
    assert_eq!(ended(&mut w, order("1-2")), 0, "said twice");
    assert_eq!(ended(&mut w, order("3")), 1, "beside what was ended before");
    w.wait(HOUR);
    assert_eq!(w.heard_of().1.len(), 0, "its slot is empty already");
    // What was unlocked meanwhile may have been given work again.
    assert_eq!(
        ended(&mut w, LockWish::Unlock("1-3".parse().expect("slots"))),
        0
    );
    assert_eq!(
        ended(&mut w, order("2")),
        0,
        "five frames, and six slots may have some"
    );
    assert_eq!(ended(&mut w, order("all")), 5);
}

#[test]
fn an_administrators_calendar_holds_beside_the_hosts_own_until_it_is_unlocked() {
    let mut w = World::new();
    w.connect_by(1, 2, "daily slots 1", "0");
    let calendar: LockCalendar = "daily slots 2".parse().expect("a calendar");
    w.lock_wish(1, LockWish::Calendar(Some(calendar.clone())));
    w.submit(wide(9, 2));
    assert!(w.said.is_empty(), "both slots are locked");
    assert!(w.engine.host(host(1)).expect("there").is_locked());
    let image = w.engine.host_image(host(1)).expect("there");
    assert_eq!(image.calendar, Some(calendar));
    w.unlock(1, "all");
    assert_eq!(w.heard_of().0.len(), 1, "the host's own calendar holds");
}

#[test]
fn that_a_drained_host_is_empty_is_told_once() {
    let mut w = World::new();
    w.connect(1, 1);
    w.submit(spec(2));
    let (orders, _) = w.heard_of();
    let now = w.engine.now;
    let drain = LockWish::Lock(LockOrder {
        drains: true,
        ..LockOrder::default()
    });
    w.lock_wish(1, drain.clone());
    w.end(orders[0], End::Exit(0));
    let session = w.engine.session_of(host(1)).expect("connected");
    let mut told = |input: Input| {
        let out = w.engine.handle(now, input);
        let is_it = |change: &&Change| matches!(change, Change::Event(event) if event.kind == kind::HOST_DRAINED);
        out.changes.iter().filter(is_it).count()
    };
    let gone = |seq| Input::Said {
        host: host(1),
        session,
        what: Box::new(FromWorker::Report {
            seq,
            report: Report::Gone {
                key: orders[0].1,
                cause: GoneCause::Closed,
            },
        }),
    };
    assert_eq!(told(gone(90)), 1);
    assert_eq!(told(gone(90)), 0);
    let wish = |wish: LockWish| Input::LockWish {
        by: person("root"),
        host: host(1),
        wish: Box::new(wish),
    };
    assert_eq!(told(wish(LockWish::Unlock("2".parse().expect("slots")))), 0);
    assert_eq!(told(wish(LockWish::Unlock(SlotSet::all()))), 0);
}

#[test]
fn that_it_is_empty_is_told_of_each_lock_that_ends_by_itself() {
    let mut w = World::new();
    w.connect(1, 1);
    for number in 1..=2 {
        let now = w.engine.now;
        let until = Timestamp(now.wall.0 + 60_000);
        let drain = LockWish::Lock(LockOrder {
            until: Some(until),
            drains: true,
            ..LockOrder::default()
        });
        let input = Input::LockWish {
            by: person("root"),
            host: host(1),
            wish: Box::new(drain),
        };
        let out = w.engine.handle(now, input);
        let is_it = |change: &&Change| matches!(change, Change::Event(event) if event.kind == kind::HOST_DRAINED);
        assert_eq!(out.changes.iter().filter(is_it).count(), 1, "lock {number}");
        w.wait(MINUTE);
        assert!(!w.engine.host(host(1)).expect("there").is_locked());
    }
}

#[test]
fn slots_that_a_calendar_alone_locks_are_not_said_to_be_unlocked() {
    let mut w = World::new();
    w.connect_by(1, 8, "daily slots 1-2", "0");
    let calendar = "daily slots 3".parse().expect("a calendar");
    w.lock_wish(1, LockWish::Calendar(Some(calendar)));
    w.lock_slots(1, "4");
    let unlock = |w: &mut World, slots: &str| {
        let slots = slots.parse().expect("slots");
        let input = Input::LockWish {
            by: person("root"),
            host: host(1),
            wish: Box::new(LockWish::Unlock(slots)),
        };
        w.step(input).expect("an answer")
    };
    for slots in ["1", "1-3", "2,7"] {
        let Err(denied) = unlock(&mut w, slots) else {
            panic!("slots {slots} are said to be unlocked");
        };
        assert_eq!(
            denied.to_string(),
            format!(
                "slots: no lock of anybody's has slots {slots} of rnd1 (slots 1-3 are locked by its calendar until Fri 00:00 by its \
                 own clock); tessera unlock rnd1 takes the calendar that it was given back, tessera lock rnd1 --weekly gives it \
                 another; what its configuration says is changed there (worker_lock_schedule in workers.toml, or in its worker.toml)"
            )
        );
    }
    // Nothing locks it, or somebody's lock is among them.
    for slots in ["7", "3-4", "all"] {
        assert_eq!(unlock(&mut w, slots), Ok(Answer::Done), "{slots}");
    }
    let locked = w.engine.host(host(1)).expect("there").locked_slots();
    assert_eq!(locked.to_string(), "1-2", "the configuration's");
}

#[test]
fn only_administrators_lock_and_change_modes() {
    let mut w = World::new();
    w.connect(1, 1);
    let input = Input::LockWish {
        by: person("mia"),
        host: host(1),
        wish: Box::new(LockWish::Lock(LockOrder::default())),
    };
    assert!(matches!(w.step(input), Some(Err(Denied::Forbidden { .. }))));
    let denied = w.mode("mia", Mode::StopActivity, Some(""));
    assert!(
        matches!(denied, Err(Denied::Forbidden { .. })),
        "{denied:?}"
    );
    assert!(w.engine.modes().is_empty());
}

#[test]
fn a_farm_that_rejects_submissions_says_who_and_why() {
    let mut w = World::new();
    w.connect(1, 1);
    let known = w.try_submit("mia", spec(1), Some("k"));
    w.said.clear();
    assert_eq!(
        w.mode("root", Mode::RejectSubmit, Some("at noon")),
        Ok(Answer::Done)
    );
    for who in ["mia", "root"] {
        let denied = w.try_submit(who, spec(1), None).expect_err("is refused");
        assert_eq!(
            denied.to_string(),
            "the farm takes no submissions (reject_submit, set by root at 1970-01-01 00:00 UTC): at noon"
        );
    }
    // What exists is answered as ever, and runs.
    let again = w.try_submit("mia", spec(1), Some("k"));
    assert_eq!(
        (known, again),
        (
            Ok(Answer::Submitted {
                job: JobId(1),
                existed: false
            }),
            Ok(Answer::Submitted {
                job: JobId(1),
                existed: true
            })
        )
    );
    // It holds over a restart.
    let image = w.engine.image();
    w.engine = Engine::restore(Config::default(), w.engine.now, image).expect("fits");
    assert!(w.try_submit("mia", spec(1), None).is_err());
    assert_eq!(w.mode("root", Mode::RejectSubmit, None), Ok(Answer::Done));
    assert!(w.try_submit("mia", spec(1), None).is_ok());
}

#[test]
pub(super) fn a_farm_that_is_stopped_starts_nothing_and_goes_on_at_once() {
    let mut w = World::new();
    w.connect(1, 2);
    let running = w.submit(spec(3));
    let (orders, _) = w.heard_of();
    assert_eq!(
        w.mode("root", Mode::StopActivity, Some("")),
        Ok(Answer::Done)
    );
    let waits = w.submit(spec(1));
    w.connect(2, 4);
    assert_eq!(
        w.heard_of(),
        (Vec::new(), Vec::new()),
        "what runs goes on, nothing starts"
    );
    let told = w.engine.why(waits).expect("there");
    assert_eq!(told[0].kind, Kind::Stopped);
    assert_eq!(
        told[0].hint.as_deref(),
        Some("tessera farm unset stop_activity")
    );
    assert!(
        w.why_idle(2)
            .starts_with("the farm starts nothing (stop_activity, set by root")
    );
    w.end(orders[0], End::Exit(0));
    assert_eq!(
        w.heard_of(),
        (Vec::new(), vec![orders[0].1]),
        "no frame follows"
    );
    w.gone(1, orders[0].1);
    w.wait(60);
    assert!(w.said.is_empty());
    assert_eq!(w.mode("root", Mode::StopActivity, None), Ok(Answer::Done));
    assert_eq!(w.heard_of().0.len(), 2);
    assert_eq!(
        (w.status(running), w.status(waits)),
        (WorkStatus::Running, WorkStatus::Running)
    );
}

#[test]
fn no_lock_is_kept_that_could_not_be_read_again() {
    let mut w = World::new();
    w.connect(1, 200);
    w.lock_wish(1, LockWish::Lock(LockOrder::default()));
    let every_second: Vec<String> = (1..=64).map(|n| (2 * n).to_string()).collect();
    let slots: SlotSet = every_second.join(",").parse().expect("slots");
    let by = person("root");
    let wish = Box::new(LockWish::Unlock(slots));
    let (host, before) = (host(1), w.engine.image());
    let answer = w.step(Input::LockWish { by, host, wish });
    let Some(Err(Denied::Invalid {
        field: "slots",
        why,
    })) = answer
    else {
        panic!("{answer:?}");
    };
    assert!(why.contains("more than 64 ranges"), "{why}");
    assert_eq!(w.engine.image().hosts, before.hosts, "nothing has changed");
    // One less is kept, and what is kept is read.
    let slots = every_second[1..].join(",").parse().expect("slots");
    w.lock_wish(1, LockWish::Unlock(slots));
    let lock = w.engine.host(host).and_then(|host| host.lock.clone());
    let slots = lock.expect("locked").slots;
    assert_eq!(slots.to_string().parse(), Ok(slots));
}
