//! For whom no host is emptied, and when one is let go.

use super::*;
use tessera_model::GlobalName;

#[test]
fn what_is_over_in_time_fills_the_gap() {
    let mut farm = Farm::new(WideJobs::default());
    farm.w.connect(1, 4);
    // Its frames take as long as always, and those of the other no longer than it says.
    farm.takes.insert(JobId(1), 10);
    farm.takes.insert(JobId(2), 590);
    let measured = farm.flood(1, 3, 500)[0];
    let limited = farm.submit(JobSpec {
        agendatimelimit: Some(Duration::from_secs(600)),
        ..spec(1)
    });
    assert_eq!((measured, limited), (JobId(1), JobId(2)));
    let job = farm.submit(JobSpec {
        priority: 10,
        ..wide(4)
    });
    let unknown = farm.flood(100, 1, 1);
    farm.until_emptied();
    let kept = farm.w.engine.emptied_for(host(1)).expect("emptied");
    assert!(kept.is_known, "all that run there are known: {kept:?}");
    // By the limit of what takes longest, with its grace.
    assert_eq!(kept.until.0 / 1000, 600 + 30);
    let done = farm.w.engine.job(measured).expect("there").items().ended();
    let decided = farm.now();
    farm.until_started(job, 900).expect("it starts");
    let started = farm.now();
    assert!((590..=635).contains(&started), "{started}");
    let gained = farm.w.engine.job(measured).expect("there").items().ended() - done;
    // Each of three instances, one frame after another.
    let most = u32::try_from(3 * (started - decided) / 11).expect("few");
    assert!(gained >= most - 9, "{gained} of {most} frames meanwhile");
    assert!(unknown.iter().all(|job| !farm.started.contains_key(job)));
}

#[test]
fn what_stands_before_it_takes_the_host() {
    let (mut farm, job) = flooded(1, WideJobs::default());
    farm.until_emptied();
    let better = farm.submit(JobSpec {
        priority: 1,
        cpus: 4,
        ..spec(12)
    });
    farm.until_started(better, FRAME_SECONDS)
        .expect("it starts");
    assert!(!farm.started.contains_key(&job));
    farm.until_started(job, 300).expect("in its turn");
}

#[test]
fn a_job_that_something_else_keeps_back_holds_no_host() {
    // Killed.
    let (mut farm, job) = flooded(2, WideJobs::default());
    farm.until_emptied();
    farm.w.act(Action::Kill, Target::Job(job)).expect("allowed");
    assert_eq!(farm.emptied(), Vec::<u8>::new());
    // Blocked.
    let (mut farm, job) = flooded(2, WideJobs::default());
    farm.until_emptied();
    farm.w
        .act(Action::Block, Target::Job(job))
        .expect("allowed");
    assert_eq!(farm.emptied(), Vec::<u8>::new());
    farm.seconds(300);
    assert_eq!(farm.emptied(), Vec::<u8>::new());
    // Changed so that it needs less, and starts.
    let (mut farm, job) = flooded(2, WideJobs::default());
    farm.until_emptied();
    let patch = Box::new(JobPatch {
        reservation: Some(Default::default()),
        ..JobPatch::default()
    });
    let by = person("mia");
    farm.w.step(Input::Modify { by, job, patch });
    assert_eq!(farm.emptied(), Vec::<u8>::new());
    farm.until_started(job, FRAME_SECONDS).expect("it starts");
}

#[test]
fn a_job_that_waits_for_a_licence_holds_no_host() {
    let nuke: GlobalName = "license.nuke".parse().expect("a name");
    let mut farm = Farm::with(Config {
        global_resources: [(nuke.clone(), 1)].into(),
        ..Config::default()
    });
    farm.w.connect(1, 4);
    let mut holder = spec(1);
    holder.reservation.global.insert(nuke.clone(), 1);
    farm.takes.insert(JobId(1), 600);
    farm.submit(holder);
    let mut asks = wide(3);
    asks.reservation.global.insert(nuke, 1);
    let job = farm.submit(asks);
    farm.flood(100, 1, 1);
    farm.seconds(400);
    assert_eq!(farm.emptied(), Vec::<u8>::new());
    let took = farm.until_started(job, 600).expect("it starts");
    assert!(took + 400 >= 600, "{took}");
}

#[test]
fn a_job_whose_owner_has_all_that_they_may_holds_no_host() {
    let mut farm = Farm::with(Config {
        user_limits: UserLimits {
            default: None,
            named: [(name("tom"), Some(1))].into(),
        },
        ..Config::default()
    });
    farm.w.connect(1, 4);
    farm.w.connect(2, 4);
    farm.takes.insert(JobId(1), 600);
    farm.w.try_submit("tom", spec(1), None).expect("taken");
    farm.listen();
    farm.w.try_submit("tom", wide(4), None).expect("taken");
    farm.flood(250, 1, 1);
    farm.seconds(400);
    assert_eq!(farm.emptied(), Vec::<u8>::new());
    assert!(farm.until_started(JobId(2), 600).is_some());
}

#[test]
fn no_host_is_emptied_that_could_not_serve_it() {
    let mut farm = Farm::new(WideJobs::default());
    farm.w.connect(1, 4);
    farm.w.connect(2, 2);
    farm.flood(120, 1, 1);
    farm.submit(JobSpec {
        priority: 1,
        omithosts: ["rnd1".to_owned()].into(),
        ..wide(3)
    });
    farm.seconds(300);
    assert_eq!(
        farm.emptied(),
        Vec::<u8>::new(),
        "one is too small, the other omitted"
    );
}

#[test]
fn a_host_that_closes_is_let_go_and_another_one_emptied() {
    let (mut farm, job) = flooded(3, WideJobs::default());
    let first = farm.until_emptied();
    let by = person("root");
    farm.w.step(Input::Lock {
        by,
        host: host(first),
        is_locked: true,
    });
    assert_eq!(farm.emptied(), Vec::<u8>::new());
    let second = farm.until_emptied();
    assert_ne!(first, second);
    farm.until_started(job, 60).expect("it starts");
}

#[test]
fn a_host_that_takes_too_long_is_let_go_for_another() {
    let mut farm = Farm::new(WideJobs::default());
    farm.w.connect(1, 2);
    farm.w.connect(2, 2);
    // One on each host that never ends, as far as anybody knows.
    let endless = farm.flood(4, 1, 1);
    let on_each: Vec<JobId> = [1, 2]
        .into_iter()
        .filter_map(|n| farm.starts.iter().find(|(_, _, host)| *host == n))
        .map(|(_, job, _)| *job)
        .collect();
    for ((_, key), (_, ends)) in &mut farm.running {
        if on_each.contains(&key.job) {
            *ends = 40_000_000;
        }
    }
    assert_eq!((endless.len(), on_each.len()), (4, 2));
    farm.wide(2);
    farm.flood(4, 2, 500);
    let first = farm.until_emptied();
    let mut held = 0;
    while farm.emptied() == [first] {
        held += 1;
        assert!(held < 4_000, "it is never let go");
        farm.second();
    }
    assert!(held >= 30 * 60, "{held}");
    // It waits anew, while others have what was free.
    farm.seconds(60);
    assert_eq!(farm.emptied(), Vec::<u8>::new());
    let second = farm.until_emptied();
    assert_ne!(first, second);
}

#[test]
fn another_host_that_is_empty_earlier_is_emptied_instead() {
    let limited = |seconds| JobSpec {
        agendatimelimit: Some(Duration::from_secs(seconds)),
        grace: Duration::ZERO,
        ..spec(1)
    };
    let mut farm = Farm::new(WideJobs::default());
    farm.w.connect(1, 2);
    for job in 1..=2 {
        farm.takes.insert(JobId(job), 2_900);
        farm.submit(limited(3_000));
    }
    let job = farm.wide(2);
    farm.flood(20, 1, 1);
    assert_eq!(farm.until_emptied(), 1);
    farm.w.connect(2, 1);
    farm.w.connect(3, 2);
    farm.listen();
    // The new one is taken by it at once.
    assert_eq!(farm.started[&job].1, 3);
    assert_eq!(farm.emptied(), Vec::<u8>::new());
}

#[test]
fn a_host_on_which_something_was_known_to_take_long_is_left_for_one_that_is_empty_earlier() {
    let mut farm = Farm::new(WideJobs::default());
    farm.w.connect(1, 2);
    let limited = |seconds, priority| JobSpec {
        agendatimelimit: Some(Duration::from_secs(seconds)),
        grace: Duration::ZERO,
        priority,
        ..spec(1)
    };
    for job in 1..=2 {
        farm.takes.insert(JobId(job), 2_900);
        farm.submit(limited(3_000, 9999));
    }
    let job = farm.wide(2);
    assert_eq!(farm.until_emptied(), 1);
    // Comes with work that stands before it, and is over soon.
    for _ in 0..2 {
        let next = JobId(farm.w.engine.next_job());
        farm.takes.insert(next, 190);
        farm.submit(JobSpec {
            hosts: ["rnd2".to_owned()].into(),
            ..limited(200, 1)
        });
    }
    farm.w.connect(2, 2);
    farm.listen();
    farm.seconds(30);
    assert_eq!(farm.emptied(), [2]);
    let took = farm.until_started(job, 400).expect("it starts");
    assert_eq!(farm.started[&job].1, 2, "after {took} s");
}

#[test]
fn a_restart_decides_anew() {
    let (mut farm, job) = flooded(2, WideJobs::default());
    farm.until_emptied();
    farm.listen();
    let now = Now {
        wall: Timestamp(i64::try_from(farm.w.ms).expect("few")),
        elapsed: Duration::from_millis(farm.w.ms),
    };
    farm.w.engine = Engine::restore(Config::default(), now, farm.w.engine.image()).expect("whole");
    assert_eq!(farm.emptied(), Vec::<u8>::new(), "nothing is kept of it");
    for number in [1, 2] {
        farm.w.connect_as(number, 4, Identity::User);
        let has = farm.running.iter().filter(|((host, _), _)| *host == number);
        let has = has.map(|((_, key), (run, _))| LaunchInventory {
            key: *key,
            current: Some(*run),
            ahead: Vec::new(),
            is_closing: false,
            is_suspended: false,
        });
        let has: Vec<LaunchInventory> = has.collect();
        farm.w.say(number, FromWorker::Inventory(has));
    }
    let took = farm.until_started(job, 600).expect("it starts");
    assert!(took <= DECIDED_SECONDS + FRAME_SECONDS + 3, "{took}");
}

#[test]
fn jobs_that_no_host_is_large_enough_for_keep_no_other_from_being_looked_at() {
    let mut farm = Farm::new(WideJobs::default());
    for number in 1..=200 {
        farm.w.connect(number, 1);
    }
    farm.w.connect(201, 2);
    // Each of these looks at all hosts, in vain, and that is more than is looked at each time.
    for n in 0..40 {
        farm.submit(JobSpec {
            omithosts: [format!("other{n}")].into(),
            priority: 1,
            ..wide(8)
        });
    }
    farm.flood(202, 1, 1);
    let job = farm.wide(2);
    farm.flood(202, 1, 200);
    let took = farm.until_started(job, 600).expect("it starts");
    assert!(
        took <= DECIDED_SECONDS + 2 * 15 + FRAME_SECONDS + 2,
        "{took}"
    );
}

#[test]
fn a_job_that_asks_for_an_idle_host_gets_one() {
    let asks = || JobSpec {
        requirements: Some(std::sync::Arc::new(
            tessera_model::Requirement::parse("host.processors.used == 0").expect("good"),
        )),
        ..spec(1)
    };
    let mut farm = Farm::new(WideJobs::default());
    farm.w.connect(1, 4);
    farm.w.connect(2, 4);
    for n in 0..8 {
        farm.takes.insert(JobId(n + 1), 3 + n * 2);
        farm.flood(1, 1, 1);
    }
    let job = farm.submit(asks());
    farm.flood(250, 1, 1);
    let took = farm.until_started(job, 600).expect("it starts");
    assert!(took <= DECIDED_SECONDS + FRAME_SECONDS + 2, "{took}");
    // What runs beside it started after it.
    assert_eq!(farm.emptied(), Vec::<u8>::new());
}

#[test]
fn a_job_with_one_instance_a_host_waits_for_its_own_ones() {
    let mut farm = Farm::new(WideJobs::default());
    farm.w.connect(1, 4);
    farm.w.connect(2, 4);
    let each = JobSpec {
        requirements: Some(std::sync::Arc::new(
            tessera_model::Requirement::parse("not job.id in host.duty.id").expect("good"),
        )),
        cpus: 4,
        ..spec(200)
    };
    farm.submit(each);
    farm.flood(6, 1, 200);
    farm.seconds(400);
    assert_eq!(farm.emptied(), Vec::<u8>::new());
}

#[test]
fn who_stands_before_has_a_host_emptied_instead_of_who_stands_behind() {
    let mut farm = Farm::new(WideJobs::default());
    farm.w.connect(1, 3);
    farm.w.connect(2, 8);
    for n in 0..11 {
        farm.takes.insert(JobId(n + 1), 5 + n);
        farm.flood(1, 1, 1);
    }
    // One of two hosts may be emptied. Its own is held by what never ends.
    farm.takes.insert(JobId(12), 40_000);
    let behind = farm.submit(JobSpec {
        hosts: ["rnd1".to_owned()].into(),
        priority: 50,
        ..spec(1)
    });
    farm.until_started(behind, 60).expect("it starts");
    let behind = farm.submit(JobSpec {
        hosts: ["rnd1".to_owned()].into(),
        priority: 50,
        ..wide(3)
    });
    farm.flood(20, 2, 200);
    assert_eq!(farm.until_emptied(), 1);
    let job = farm.submit(JobSpec {
        priority: 40,
        ..wide(8)
    });
    let took = farm.until_started(job, 600).expect("it starts");
    assert!(took <= DECIDED_SECONDS + FRAME_SECONDS + 2, "{took}");
    assert!(!farm.started.contains_key(&behind));
}

#[test]
fn a_farm_that_starts_nothing_keeps_no_host_for_who_is_gone() {
    let (mut farm, job) = flooded(2, WideJobs::default());
    farm.until_emptied();
    let stop = |note: Option<&str>| Input::Mode {
        by: person("root"),
        mode: Mode::StopActivity,
        note: note.map(str::to_owned),
    };
    farm.w.step(stop(Some("")));
    farm.w.act(Action::Kill, Target::Job(job)).expect("allowed");
    assert_eq!(farm.emptied(), Vec::<u8>::new());
    assert_eq!(farm.w.engine.faults(), Vec::<String>::new());
}

#[test]
fn locked_slots_are_none_of_what_a_wide_job_may_have() {
    let (mut farm, job) = flooded(1, WideJobs::default());
    let order = LockOrder {
        slots: "4".parse().expect("slots"),
        ..LockOrder::default()
    };
    farm.w.step(Input::LockWish {
        by: person("root"),
        host: host(1),
        wish: Box::new(LockWish::Lock(order)),
    });
    farm.seconds(DECIDED_SECONDS);
    assert_eq!(farm.emptied(), Vec::<u8>::new(), "it has three at most");
    assert!(!farm.started.contains_key(&job));
}

/// A job of one slot and many frames, of which a host may have one instance.
fn spread(cpus: u32) -> JobSpec {
    let mut spread = JobSpec {
        cpus,
        ..spec(1_000)
    };
    spread.limits.per_host = Some(1);
    spread
}

#[test]
fn who_has_all_that_a_host_may_have_of_it_stands_before_nobody() {
    let mut farm = Farm::new(WideJobs::default());
    farm.w.connect(1, 4);
    farm.w.connect(2, 4);
    farm.submit(spread(8));
    assert_eq!(farm.running.len(), 2);
    assert!(!farm.w.engine.planner.has_wide(), "it needs a slot");
    farm.flood(6, 1, 1);
    let job = farm.wide(3);
    farm.flood(100, 1, 1);
    farm.until_emptied();
    farm.until_started(job, 600).expect("it starts");
}

#[test]
fn no_host_is_emptied_for_who_has_all_there_that_it_may() {
    let mut farm = Farm::new(WideJobs::default());
    farm.w.connect(1, 8);
    let mut many = spread(2);
    many.reservation.slots = 4;
    let job = farm.submit(many);
    farm.flood(100, 1, 1);
    farm.seconds(DECIDED_SECONDS);
    assert_eq!(farm.emptied(), Vec::<u8>::new());
    assert_eq!(
        farm.running.keys().filter(|(_, it)| it.job == job).count(),
        1
    );
}

#[test]
fn what_waits_for_a_licence_takes_nobodys_place_among_the_first() {
    let nuke: GlobalName = "license.nuke".parse().expect("a name");
    let mut farm = Farm::with(Config {
        global_resources: [(nuke.clone(), 1)].into(),
        ..Config::default()
    });
    farm.w.connect(1, 5);
    farm.takes.insert(JobId(1), 10_000);
    let mut holder = spec(1);
    holder.reservation.global.insert(nuke.clone(), 1);
    farm.submit(holder.clone());
    farm.flood(4, 1, 1);
    for number in 0..crate::supervisor::wide::CLASSES_MAX {
        let mut waits = JobSpec {
            omithosts: [format!("other{number}")].into(),
            ..holder.clone()
        };
        waits.reservation.slots = 2;
        farm.submit(waits);
    }
    let job = farm.wide(4);
    farm.flood(60, 1, 1);
    farm.until_emptied();
    farm.until_started(job, 600).expect("it starts");
}

#[test]
fn nobody_is_preempted_for_who_may_not_start_on_an_emptied_host() {
    let mut farm = Farm::new(WideJobs::default());
    farm.w.engine.config.preempt_policy = PreemptPolicy::Passive;
    farm.w.connect(1, 4);
    // It ends some time, and leaves for nobody.
    farm.takes.insert(JobId(1), 600);
    farm.submit(JobSpec {
        cpus: 2,
        flags: [tessera_model::JobFlag::Uninterruptible].into(),
        ..spec(2)
    });
    farm.submit(JobSpec {
        priority: 90,
        cpus: 2,
        ..spec(1_000)
    });
    let job = farm.submit(JobSpec {
        priority: 10,
        ..wide(4)
    });
    farm.until_emptied();
    let between = farm.submit(JobSpec {
        priority: 50,
        cpus: 2,
        ..spec(1_000)
    });
    assert_eq!(farm.w.engine.claims(), 0);
    farm.until_started(job, 900).expect("it starts");
    assert!(!farm.started.contains_key(&between), "it stands behind");
}

#[test]
fn no_host_is_emptied_for_slots_that_are_kept_for_gpus() {
    let mut farm = Farm::new(WideJobs::default());
    farm.w.keeping(1, (8, 2, 2), &[]);
    let small = farm.flood(1, 4, 400)[0];
    let large = JobSpec {
        priority: 1,
        ..wide(5)
    };
    let asks = tessera_model::Requirement::parse("host.processors.used == 0");
    let idle = farm.submit(JobSpec {
        requirements: Some(std::sync::Arc::new(asks.expect("right"))),
        ..large.clone()
    });
    let large = farm.submit(large);
    farm.seconds(2 * DECIDED_SECONDS);
    assert_eq!(farm.emptied(), [], "they would not start on an empty one");
    // All that is not kept, and all of it, can be made free.
    let fitting = farm.submit(JobSpec {
        priority: 1,
        ..wide(4)
    });
    assert_eq!(farm.until_emptied(), 1);
    assert!(farm.until_started(fitting, 600).is_some());
    farm.seconds(60);
    let whole = wide_and_alone(2);
    let whole = farm.submit(JobSpec {
        priority: 1,
        ..whole
    });
    assert!(farm.until_started(whole, 900).is_some());
    let has = |job: JobId| farm.started.contains_key(&job);
    assert!(has(small) && !has(large) && !has(idle));
}

#[test]
fn a_gpu_that_is_in_use_now_is_no_reason_to_empty_a_host() {
    let mut farm = Farm::new(WideJobs::default());
    farm.w.keeping(1, (8, 2, 2), &[]);
    // Both go on for ever and stand before it: what one has of the slots beside those for GPUs is not free for four more.
    let first = |gpus: u64, slots: u32, frames: u32| {
        let mut spec = JobSpec {
            priority: 1,
            ..spec(frames)
        };
        spec.reservation.slots = slots;
        if gpus > 0 {
            spec.reservation.amounts = [("host.gpus".to_owned(), gpus)].into();
        }
        spec
    };
    farm.submit(first(2, 1, 4_000));
    farm.submit(first(0, 2, 4_000));
    farm.flood(1, 5, 4_000);
    assert_eq!(
        farm.starts.len(),
        7,
        "while GPUs are in use nothing is kept"
    );
    let job = farm.submit(JobSpec {
        priority: 2,
        ..wide(4)
    });
    farm.seconds(2 * DECIDED_SECONDS);
    assert_eq!((farm.emptied(), farm.started.get(&job)), (vec![], None));
}

fn wide_and_alone(slots: u32) -> JobSpec {
    let mut alone = wide(slots);
    alone.reservation.more = tessera_model::More::WholeHost;
    alone
}
