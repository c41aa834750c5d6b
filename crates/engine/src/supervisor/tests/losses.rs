//! Items whose shepherd is lost again and again: what a job does to its own, and what others do to it.

use super::*;

impl World {
    fn connect_anna(&mut self, number: u8, slots: u32) {
        self.connect_as(number, slots, Identity::Desktop("mia".into()));
        self.say(number, FromWorker::Inventory(Vec::new()));
    }

    /// Takes the oldest order.
    #[track_caller]
    fn started(&mut self) -> (u8, LaunchKey, Run) {
        let order = self.order();
        let report = Report::Started {
            key: order.1,
            account: "mia".into(),
            uid: 1000,
            containment: "pgid".into(),
        };
        self.report(order.0, report);
        order
    }

    fn lose(&mut self, (number, key, _): (u8, LaunchKey, Run)) {
        let cause = GoneCause::ShepherdLost;
        self.report(number, Report::Gone { key, cause });
    }

    /// Waits up to `seconds` until something is ordered; answers after how many it was.
    fn until_ordered(&mut self, seconds: u64) -> Option<u64> {
        for passed in 0..=seconds {
            if !self.said.is_empty() {
                return Some(passed);
            }
            self.wait(1);
        }
        None
    }
}

#[test]
fn a_job_that_ends_its_own_shepherd_pauses_longer_each_time_and_fails_with_that_reason() {
    let mut w = World::new();
    w.connect_anna(1, 1);
    let mut of_retries = spec(1);
    // What its shepherd was ended for is no failure that is tried again.
    of_retries.retrywork = 3;
    let job = w.submit(of_retries);
    for pause in [0, 1, 2, 4] {
        let order = w.started();
        w.lose(order);
        assert_eq!(w.until_ordered(60), Some(pause));
    }
    let order = w.started();
    w.wait(5);
    let now = Now {
        wall: Timestamp(i64::try_from(w.ms).unwrap()),
        elapsed: Duration::from_millis(w.ms),
    };
    let session = w.engine.session_of(host(1)).expect("connected");
    let report = Report::Gone {
        key: order.1,
        cause: GoneCause::ShepherdLost,
    };
    let what = FromWorker::Report { seq: 99, report };
    let input = Input::Said {
        host: host(1),
        session,
        what: Box::new(what),
    };
    let out = w.engine.handle(now, input);
    assert_eq!(w.engine.faults(), Vec::<String>::new());
    let attempt = out.changes.iter().find_map(|change| match change {
        Change::Attempt(record) => Some(record),
        _ => None,
    });
    let attempt = attempt.expect("is recorded");
    let end = attempt.end.as_ref().expect("its end is known");
    assert_eq!(end.end, End::ShepherdEnded { times: 5 });
    assert_eq!(end.elapsed, Duration::from_secs(5));
    assert!(attempt.counted && attempt.run == order.2);
    assert_eq!(w.item(job, 0), ItemStatus::Failed);
    assert_eq!(w.status(job), WorkStatus::Failed);
    // A person may have it tried anew, and it has all its tries again.
    let acted = w.act(Action::Retry, Target::Job(job));
    assert!(acted.is_ok(), "{acted:?}");
    let order = w.started();
    w.lose(order);
    assert_eq!(w.until_ordered(60), Some(0));
}

#[test]
fn while_an_item_pauses_the_others_of_its_job_run_and_why_tells() {
    let mut w = World::new();
    w.connect_anna(1, 1);
    let job = w.submit(spec(2));
    for _ in 0..2 {
        let order = w.started();
        assert_eq!(order.2.item, ItemIndex(0));
        w.lose(order);
    }
    assert_eq!(w.item(job, 0), ItemStatus::Waiting);
    let order = w.started();
    assert_eq!(order.2.item, ItemIndex(1));
    let told = w.engine.why(job).expect("there");
    let told: Vec<&str> = told.iter().map(|reason| reason.text.as_str()).collect();
    assert!(
        told[0].starts_with("1 items lost their shepherd while they ran, 1 for one"),
        "{told:?}"
    );
    assert!(
        !told.iter().any(|it| it.contains("retryworkdelay")),
        "{told:?}"
    );
    w.end(order, End::Exit(0));
    assert_eq!(w.item(job, 1), ItemStatus::Complete);
}

#[test]
fn a_frame_that_comes_to_another_end_begins_a_new_row() {
    let mut w = World::new();
    w.connect_anna(1, 1);
    let mut failing = spec(1);
    failing.retrywork = 9;
    let job = w.submit(failing);
    for _ in 0..3 {
        for _ in 0..4 {
            assert!(w.until_ordered(60).is_some());
            let order = w.started();
            w.lose(order);
        }
        assert!(w.until_ordered(60).is_some());
        let order = w.started();
        w.end(order, End::Exit(1));
    }
    assert_eq!(w.item(job, 0), ItemStatus::Running);
}

#[test]
fn a_cmdline_job_that_ends_its_own_shepherd_fails_too() {
    let mut w = World::new();
    w.connect_anna(1, 1);
    let mut one = spec(1);
    one.kind = JobKind::CmdLine;
    let job = w.submit(one);
    for _ in 0..5 {
        assert!(w.until_ordered(60).is_some());
        let order = w.started();
        w.lose(order);
    }
    assert_eq!(w.status(job), WorkStatus::Failed);
    let said = std::mem::take(&mut w.said);
    let is_close = |(_, it): &(HostId, ToWorker)| matches!(it, ToWorker::Close { .. });
    assert!(said.iter().all(is_close), "{said:?}");
    assert_eq!(w.until_ordered(120), None);
}

#[test]
fn what_jobs_cannot_reach_is_never_held_against_them() {
    let mut w = World::new();
    // Of a host with a launcher.
    w.connect(1, 1);
    let job = w.submit(spec(1));
    for _ in 0..30 {
        assert!(w.until_ordered(1).is_some());
        let order = w.started();
        w.lose(order);
    }
    assert_eq!(w.item(job, 0), ItemStatus::Running);
}

#[test]
fn what_is_lost_while_its_worker_is_away_is_not_held_against_it() {
    let mut w = World::new();
    w.connect_anna(1, 1);
    let job = w.submit(spec(1));
    for _ in 0..30 {
        let order = w.started();
        w.disconnect(1);
        w.connect_as(1, 1, Identity::Desktop("mia".into()));
        w.lose(order);
        w.say(1, FromWorker::Inventory(Vec::new()));
        assert!(w.until_ordered(1).is_some());
    }
    assert_eq!(w.item(job, 0), ItemStatus::Running);
}

#[test]
fn what_is_lost_together_is_excused_for_a_while() {
    let mut w = World::new();
    w.connect_anna(1, 2);
    let jobs = [w.submit(spec(1)), w.submit(spec(1))];
    for loss in 1..10 {
        let mut orders = Vec::new();
        while orders.len() < 2 {
            assert!(w.until_ordered(60).is_some(), "loss {loss}");
            orders.push(w.started());
        }
        orders.into_iter().for_each(|order| w.lose(order));
        for job in jobs {
            assert_ne!(w.item(job, 0), ItemStatus::Failed, "after {loss}");
        }
    }
    // Two bad jobs do not excuse each other for ever.
    for _ in 0..2 {
        assert!(w.until_ordered(60).is_some());
        let order = w.started();
        w.lose(order);
    }
    for job in jobs {
        assert_eq!(w.item(job, 0), ItemStatus::Failed);
    }
}

#[test]
fn an_item_that_ends_its_shepherd_for_good_is_one_of_as_many_as_may_fail() {
    let mut w = World::new();
    w.connect_anna(1, 2);
    let job = w.submit(JobSpec {
        cpus: 2,
        max_failures: 1,
        ..spec(2)
    });
    let (mut first, second) = (w.started(), w.started());
    for _ in 0..4 {
        w.lose(first);
        assert!(w.until_ordered(60).is_some());
        first = w.started();
        assert_eq!(first.2.item, ItemIndex(0));
    }
    w.lose(first);
    assert_eq!(w.item(job, 0), ItemStatus::Failed);
    let phase = w.engine.launch(second.1).expect("there").phase;
    assert_eq!(phase, Phase::Finishing(WorkStatus::Failed));
    w.end(second, End::Exit(0));
    w.gone(1, second.1);
    let job = w.engine.job(job).expect("there");
    assert_eq!(job.status, WorkStatus::Failed);
    let why = |no: usize| job.instances()[no].failure.clone().unwrap_or_default();
    assert!(why(0).contains("max-failures 1") && why(1).contains("max-failures 1"));
}
