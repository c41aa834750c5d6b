//! What was once told wrong.

use super::scenes::{panics, wanting};
use super::*;

#[test]
fn jobs_that_cant_run_on_a_host_are_before_nobody_there() {
    let mut w = World::new();
    w.connect(1, 2);
    w.submit(wanting(2, 0));
    let running = w.order();
    // One slot more than it has, and memory that it does not have.
    w.submit(wanting(3, 0));
    w.submit(wanting(1, 1));
    // Tom's account is refused there.
    let tom = w.submit_as("tom", spec(1));
    w.finish(running, End::Exit(0));
    let order = w.order();
    assert_eq!(order.1.job, tom);
    let refusal = Refusal {
        code: "no_such_account".into(),
        text: "no account tom".into(),
    };
    let key = order.1;
    w.report(1, Report::Refused { key, refusal });
    w.submit_as("eve", wanting(2, 0));
    let running = w.order();
    let job = w.submit(spec(1));
    w.submit_as(
        "tom",
        JobSpec {
            priority: 1,
            ..spec(1)
        },
    );
    let kinds: Vec<Kind> = w
        .engine
        .why(job)
        .expect("there")
        .iter()
        .map(|it| it.kind)
        .collect();
    assert_eq!(kinds, [Kind::Full], "it is the first that can");
    w.finish(running, End::Exit(0));
    assert_eq!(w.order().1.job, job);
}

#[test]
fn a_job_that_left_a_host_is_before_nobody_there() {
    let mut w = World::new();
    w.connect(1, 1);
    w.submit(JobSpec {
        priority: 1,
        ..spec(1)
    });
    let order = w.order();
    w.act(Action::Migrate, Target::Job(JobId(1)))
        .expect("allowed");
    w.said.clear();
    w.finish(order, End::Asked);
    w.submit_as("tom", spec(1));
    w.order();
    let job = w.submit(spec(1));
    let told = w.engine.why(job).expect("there");
    assert!(
        told.iter().all(|it| it.kind != Kind::BehindJobs),
        "{told:?}"
    );
}

#[test]
fn what_would_not_take_it_when_it_is_empty_is_not_called_full() {
    let mut w = World::new();
    w.connect_as(1, 1, Identity::Desktop("bob".into()));
    w.say(1, FromWorker::Inventory(Vec::new()));
    w.submit_as("bob", spec(1));
    w.order();
    let job = w.submit(spec(1));
    let kinds: Vec<Kind> = w
        .engine
        .why(job)
        .expect("there")
        .iter()
        .map(|it| it.kind)
        .collect();
    assert_eq!(kinds, [Kind::OtherDesktop]);
}

#[test]
fn full_hosts_of_unlike_sizes_are_told_together_with_all_their_slots() {
    let mut w = World::new();
    w.connect(1, 2);
    w.connect(2, 4);
    for who in ["tom", "eve", "ann", "bob"] {
        let slots = if who == "tom" { 3 } else { 1 };
        w.submit_as(who, wanting(slots, 0));
        w.order();
    }
    let job = w.submit(spec(1));
    let told = w.reason(job, Kind::Full);
    assert_eq!(
        told.text,
        "all 6 slots of these 2 hosts are in use: job 1 of tom (3), job 2 of eve (1), job 3 of ann (1), 1 more job"
    );
    assert_eq!((told.count, told.hosts.len()), (2, 2));
    let (kind, text) = w.engine.why_host_idle(host(1)).expect("full");
    assert_eq!(kind, Kind::Full);
    assert!(text.starts_with("all 2 slots are in use: job "), "{text}");
}

#[test]
fn hosts_with_different_troubles_are_told_apart_up_to_a_bound() {
    let mut w = World::new();
    for number in 1..=7 {
        w.connect(number, 1);
        let why = match number {
            1 | 2 => "clock".to_owned(),
            n => format!("disk {n}"),
        };
        panics(&mut w, number, Some(&why));
    }
    let job = w.submit(spec(1));
    let all = w.engine.why(job).expect("there");
    let told: Vec<(&str, u32)> = all.iter().map(|it| (it.text.as_str(), it.count)).collect();
    let others = "can't do its job: disk 5; of some of these hosts another reason of this kind";
    assert_eq!(
        told,
        [
            ("can't do its job: clock", 2),
            ("can't do its job: disk 3", 1),
            ("can't do its job: disk 4", 1),
            (others, 3),
        ]
    );
}

#[test]
fn work_of_less_importance_would_give_its_slots_when_asked() {
    let mut w = World::new();
    w.connect(1, 1);
    let holds = w.submit_as(
        "tom",
        JobSpec {
            priority: 500,
            ..spec(3)
        },
    );
    let order = w.order();
    let job = w.submit(JobSpec {
        priority: 100,
        ..spec(1)
    });
    let hint = w.hint(job, Kind::Full);
    assert!(
        hint.contains(&format!("tessera preempt {holds} ")),
        "{hint}"
    );
    w.follow(&hint, "preempt");
    w.said.clear();
    w.finish(order, End::Exit(0));
    assert!(
        w.begins(job),
        "its frame over, the slot goes to the better one"
    );
}

#[test]
fn an_item_given_ahead_does_not_run_yet() {
    let mut w = World::new();
    w.connect(1, 1);
    let job = w.submit(spec(20));
    let order = w.order();
    let mut end = ended(End::Exit(0));
    end.elapsed = Duration::from_millis(5);
    let (key, run) = (order.1, order.2);
    w.report(1, Report::ItemEnded { key, run, end });
    assert_eq!(w.engine.given_ahead(job), 4);
    let text = "1 items are running, and 4 begin right after them";
    assert_eq!(w.reason(job, Kind::Running).text, text);
}

#[test]
fn of_a_host_that_is_away_for_good_it_is_said_what_becomes_of_its_work() {
    let mut w = World::new();
    w.engine = Engine::new(Config {
        on_host_lost: OnHostLost::Hold,
        ..Config::default()
    });
    w.connect(1, 1);
    let job = w.submit(spec(1));
    w.order();
    w.disconnect(1);
    let text = w.reason(job, Kind::Unreachable).text;
    assert!(
        text.ends_with("held until it is back, however long that takes"),
        "{text}"
    );
    w.wait_in_silence(301);
    let text = w.reason(job, Kind::Unreachable).text;
    assert!(
        text.ends_with("held until it is back (on_host_lost = hold)"),
        "{text}"
    );
}

#[test]
fn whoever_declares_an_instance_failed_is_named() {
    let mut w = World::new();
    w.connect(1, 1);
    let job = w.submit(spec(2));
    let order = w.order();
    w.act_as(
        "root",
        Action::Fail,
        Target::Instance(job, order.1.instance),
    )
    .expect("allowed");
    let text = "its instance failed: root declared it failed";
    assert_eq!(w.reason(job, Kind::InstanceFailed).text, text);
    let instance = &w.engine.job(job).expect("there").instances()[0];
    assert_eq!(instance.last_host, Some(host(1)));
}

/// Answers why the attempts are over that an input puts an end to.
fn why_over(w: &mut World, number: u8, report: Report) -> Vec<String> {
    let now = Now {
        wall: Timestamp(0),
        elapsed: Duration::from_millis(w.ms),
    };
    let session = w.engine.session_of(host(number)).expect("connected");
    let what = Box::new(FromWorker::Report { seq: 99, report });
    let host = host(number);
    let out = w.engine.handle(
        now,
        Input::Said {
            host,
            session,
            what,
        },
    );
    let over = out.changes.into_iter().filter_map(|change| match change {
        Change::Attempt(record) => Some(record.why),
        _ => None,
    });
    over.collect()
}

#[test]
fn an_attempt_without_an_end_says_why_it_is_over() {
    let cases = [
        (
            GoneCause::Limit(tessera_model::state::Limit::InstanceTime),
            "over the job's timelimit",
        ),
        (GoneCause::StarterLost, "the job ended its own starter"),
        (GoneCause::ShepherdLost, "its shepherd was lost"),
    ];
    for (cause, why) in cases {
        let mut w = World::new();
        w.connect(1, 1);
        w.submit(spec(1));
        let key = w.order().1;
        assert_eq!(why_over(&mut w, 1, Report::Gone { key, cause }), [why]);
    }
}
