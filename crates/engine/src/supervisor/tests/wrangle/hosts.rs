//! Hosts that are at fault.

use super::*;
use std::collections::BTreeSet;
use tessera_model::reservation::MEMORY;

#[test]
fn a_job_keeps_off_a_bad_host_and_what_failed_there_succeeds_elsewhere() {
    let mut w = farm(&[1, 1]);
    let job = w.submit(frames(20, 2));
    let ran = w.play_with_bad(&[1]);
    assert_eq!(w.status(job), WorkStatus::Complete);
    assert_eq!(on(&ran, 1), N as usize, "no frame more than it takes");
    assert_eq!(ran.len(), 20 + N as usize, "each of those once more");
    assert_eq!(
        w.told_of(kind::ITEM_CHANGED, "put back for another host"),
        2
    );
    assert_eq!(w.told_of(kind::ITEM_ENDED, "put back for another host"), 1);
    let text = "keeps off rnd1 for 20 min: 3 of its frames failed there in a row";
    assert_eq!(w.told_of(kind::JOB_ACTION, text), 1, "{:?}", w.told);
}

#[test]
fn what_still_runs_on_a_bad_host_is_finished_and_put_back_once() {
    let mut w = farm(&[6, 1]);
    let job = w.submit(frames(12, 7));
    let orders: Vec<Order> = (0..7).map(|_| w.order()).collect();
    let (bad, good): (Vec<Order>, Vec<Order>) = orders.into_iter().partition(|it| it.0 == 1);
    assert_eq!((bad.len(), good.len()), (6, 1));
    for order in &bad[..3] {
        w.end(*order, End::Exit(1));
    }
    assert_eq!(w.kept_off(job), [1]);
    // The first two go on to others before that is known; all that is left there is finished, and nobody ends it.
    let ends = |(_, what): &(HostId, ToWorker)| matches!(what, ToWorker::EndItem { .. });
    assert!(!w.said.iter().any(ends), "{:?}", w.said);
    let running = w.engine.launches_of(job).filter(|it| it.host == host(1));
    let running: Vec<Order> = running
        .filter_map(|it| Some((1, it.key, it.current?)))
        .collect();
    assert_eq!(running.len(), 5);
    for order in &running[..4] {
        w.end(*order, End::Exit(1));
        assert_eq!(w.item(job, order.2.item.0), ItemStatus::Pending);
    }
    let last = running[4];
    w.end(last, End::Exit(0));
    assert_eq!(w.item(job, last.2.item.0), ItemStatus::Complete);
    assert_eq!(
        w.kept_off(job),
        Vec::<u8>::new(),
        "one succeeds there after all"
    );
}

#[test]
fn no_retry_is_used_up_on_a_bad_host() {
    let mut w = farm(&[1, 1]);
    let job = w.submit(JobSpec {
        retrywork: 5,
        ..frames(1, 1)
    });
    let mut first = None;
    let ran = w.play(|(host, ..)| End::Exit(i32::from(host == *first.get_or_insert(host))));
    assert_eq!(ran.len(), N as usize + 1, "{ran:?}");
    let core = w.engine.job(job).expect("there").items().get(ItemIndex(0));
    assert_eq!((core.status, core.retries_used), (ItemStatus::Complete, 0));
}

#[test]
fn one_that_succeeds_between_ends_the_row() {
    let mut w = farm(&[1, 1]);
    let job = w.submit(frames(30, 2));
    // Of three in a row on the first host two fail.
    let mut count = 0;
    w.play(|(host, ..)| {
        count += u32::from(host == 1);
        End::Exit(i32::from(host == 1 && !count.is_multiple_of(N)))
    });
    assert_eq!(w.told_of(kind::JOB_ACTION, "keeps off"), 0);
    assert_eq!(w.status(job), WorkStatus::Failed);
}

#[test]
fn only_failures_of_frames_count() {
    let cases = [
        End::Asked,
        End::Lost,
        End::OutOfMemory { peak: 0, limit: 0 },
    ];
    for end in cases {
        let mut w = farm(&[1, 1]);
        let job = w.submit(JobSpec {
            hosts: ["rnd1".to_owned()].into(),
            retry_oom: 0,
            ..frames(8, 1)
        });
        let mut left = 6;
        w.play(|_| {
            left -= i32::from(left > 0);
            if left > 0 { end.clone() } else { End::Exit(0) }
        });
        let record = &w.engine.job(job).expect("there").wrangle;
        assert_eq!(*record, Default::default(), "{end}");
        assert_eq!(w.told_of(kind::JOB_ACTION, "keeps off"), 0, "{end}");
    }
}

#[test]
fn who_has_only_one_host_stays_there() {
    let mut w = farm(&[1]);
    let job = w.submit(frames(10, 1));
    let ran = w.play_with_bad(&[1]);
    assert_eq!((ran.len(), w.status(job)), (10, WorkStatus::Failed));
    // One that can't take it is no other.
    let mut w = farm(&[2, 1]);
    let mut wide = frames(10, 1);
    wide.reservation.slots = 2;
    let job = w.submit(wide);
    assert_eq!(w.play_with_bad(&[1]).len(), 10);
    assert_eq!(w.status(job), WorkStatus::Failed);
    assert_eq!(w.told_of(kind::JOB_ACTION, "keeps off"), 0);
}

#[test]
fn a_host_too_small_for_what_ran_out_of_memory_is_no_other() {
    let mut w = farm(&[]);
    for (number, memory) in [(1, 64), (2, 16)] {
        w.connect_with(number, 1, Identity::User, &[(MEMORY, memory)]);
        w.say(number, FromWorker::Inventory(Vec::new()));
    }
    let mut greedy = frames(6, 1);
    greedy.reservation.amounts.insert(MEMORY.to_owned(), 12);
    let job = w.submit(greedy);
    // Each runs out of memory once, and fails with more of it then.
    let mut seen = BTreeSet::new();
    let (peak, limit) = (12 << 20, 12 << 20);
    let ran = w.play(|(.., run)| match seen.insert(run.item) {
        true => End::OutOfMemory { peak, limit },
        false => End::Exit(1),
    });
    assert_eq!((ran.len(), w.status(job)), (12, WorkStatus::Failed));
    assert_eq!(w.told_of(kind::JOB_ACTION, "keeps off"), 0);
}

pub(in super::super) fn why_says_which_hosts_a_job_keeps_off_and_what_it_says_helps() {
    for is_patient in [true, false] {
        let mut w = farm(&[1, 1]);
        let job = w.submit(frames(20, 1));
        let first = loop {
            let order = w.order();
            w.end(order, End::Exit(1));
            if let [off] = w.kept_off(job)[..] {
                break off;
            }
        };
        w.lock(3 - first, true);
        w.play_with_bad(&[]);
        let told = w.reason(job, Kind::Wrangled);
        let text = "3 of its frames failed there in a row, so it keeps off it";
        let names = vec![format!("rnd{first}")];
        assert_eq!((told.text.as_str(), told.hosts), (text, names));
        let hint = told.hint.expect("a way out");
        let unlock = format!("tessera unlock rnd{first}");
        assert!(hint.starts_with("it may go back there in 20 min"), "{hint}");
        assert!(hint.ends_with(&unlock), "{hint}");
        assert!(!w.begins(job));
        if is_patient {
            w.wait(1201);
        } else {
            w.follow(&hint, "unlock");
        }
        assert!(w.begins(job));
    }
}

#[test]
fn why_says_it() {
    why_says_which_hosts_a_job_keeps_off_and_what_it_says_helps();
}

/// Runs jobs one after another, each on both hosts; the first host is bad.
fn several(w: &mut World, jobs: u32) -> Vec<JobId> {
    let run = |w: &mut World| {
        let job = w.submit(frames(12, 2));
        w.play_with_bad(&[1]);
        job
    };
    (0..jobs).map(|_| run(w)).collect()
}

#[test]
fn a_host_on_which_several_jobs_fail_that_succeed_elsewhere_is_locked_and_told_once() {
    let mut w = farm(&[1, 1]);
    let jobs = several(&mut w, 2);
    assert!(
        !w.engine.host(host(1)).expect("there").is_locked(),
        "two jobs are none too many"
    );
    several(&mut w, 1);
    let known = w.engine.host(host(1)).expect("there");
    assert!(known.is_locked() && known.is_locked_by_farm());
    let text = "locked: by the farm: frames of jobs 1, 2, 3 failed here 3 times in a row and succeed elsewhere";
    assert_eq!(known.why_locked().as_deref(), Some(text));
    assert_eq!(w.told_of(kind::HOST_WRANGLED, text), 1);
    several(&mut w, 3);
    assert_eq!(w.told_of(kind::HOST_WRANGLED, ""), 1);
    assert_eq!(w.told_of(kind::HOST_LOCKED, ""), 0, "told once");
    assert!(
        jobs.iter()
            .all(|job| w.status(*job) == WorkStatus::Complete)
    );
    // It is kept, and who unlocks it lets all of them try again.
    w.begin_anew();
    let known = w.engine.host(host(1)).expect("there");
    assert!(known.is_locked_by_farm());
    w.connect(1, 1);
    w.connect(2, 1);
    w.lock(1, false);
    several(&mut w, 2);
    assert!(
        !w.engine.host(host(1)).expect("there").is_locked(),
        "counted anew"
    );
}

#[test]
fn a_host_on_which_something_succeeds_is_not_locked() {
    let mut w = farm(&[1, 1]);
    for _ in 0..3 {
        several(&mut w, 2);
        let job = w.submit(frames(4, 2));
        w.play_with_bad(&[]);
        assert_eq!(w.status(job), WorkStatus::Complete);
    }
    assert_eq!(w.told_of(kind::HOST_WRANGLED, ""), 0);
}

#[test]
fn a_host_is_not_locked_for_what_is_long_ago() {
    let mut w = farm(&[1, 1]);
    several(&mut w, 2);
    w.wait(3_600);
    several(&mut w, 2);
    assert_eq!(w.told_of(kind::HOST_WRANGLED, ""), 0);
    several(&mut w, 1);
    assert_eq!(w.told_of(kind::HOST_WRANGLED, ""), 1);
}
