//! How often something is put back at most, and what turns all of it off.

use super::*;
use std::collections::BTreeMap;

#[test]
fn frames_that_fail_everywhere_are_tried_on_few_hosts_and_hold_up_nobody() {
    // Twelve of its frames are bad, the others are not.
    const BAD: std::ops::Range<u32> = 10..22;
    let end = |(.., run): Order| End::Exit(i32::from(BAD.contains(&run.item.0)));
    let mut w = farm(&[1; 8]);
    let job = w.submit(frames(60, 4));
    let mut ran = w.play(end);
    for _ in 0..5 {
        if !w.status(job).is_ended() {
            // What is left waits until it may go back.
            w.wait(1_201);
            ran.extend(w.play(end));
        }
    }
    assert_eq!(w.status(job), WorkStatus::Failed);
    assert_eq!(w.count(job, ItemStatus::Failed), 12);
    let most = w.engine.config.wrangling.hosts as usize;
    let tried = BAD.map(|item| of(&ran, item).len()).max();
    assert!(tried > Some(1) && tried <= Some(1 + most), "{tried:?}");
    assert_eq!(w.told_of(kind::JOB_ACTION, "blocked by the farm"), 0);
    let good = (0..60).filter(|item| !BAD.contains(item));
    assert!(good.into_iter().all(|item| of(&ran, item).len() == 1));
}

#[test]
fn a_job_keeps_off_no_more_than_half_of_the_hosts_that_it_has() {
    let mut w = farm(&[1; 12]);
    // It has succeeded, and fails everywhere since.
    let job = w.submit(frames(400, 1));
    let order = w.order();
    w.end(order, End::Exit(0));
    let (mut most, mut tried) = (0, BTreeMap::<u32, usize>::new());
    while !w.said.is_empty() {
        let order = w.said.remove(0);
        match order {
            (host, ToWorker::Start { key, run, .. } | ToWorker::Run { key, run }) => {
                *tried.entry(run.item.0).or_default() += 1;
                w.end((host.0[0], key, run), End::Exit(1));
            }
            (host, ToWorker::Close { key, .. }) => w.gone(host.0[0], key),
            _ => {}
        }
        most = most.max(w.kept_off(job).len());
    }
    assert_eq!(most, 6);
    // Put back from three hosts, though a fourth was kept off while it ran there.
    assert_eq!(tried.into_values().max(), Some(1 + 3));
    assert_eq!(w.status(job), WorkStatus::Failed);
}

#[test]
fn a_frame_is_put_back_again_when_a_person_retries_it() {
    let mut w = farm(&[1, 1]);
    let job = w.submit(frames(4, 1));
    w.play(|_| End::Exit(1));
    assert!(w.count(job, ItemStatus::Failed) > 0);
    w.act(Action::Unblock, Target::Job(job)).ok();
    w.play(|_| End::Exit(1));
    w.act(Action::Retry, Target::Job(job)).expect("allowed");
    let record = &w.engine.job(job).expect("there").wrangle;
    assert_eq!(*record, Default::default());
    assert_eq!(w.kept_off(job), Vec::<u8>::new());
}

#[test]
fn what_is_over_is_forgotten() {
    let mut w = farm(&[1, 1]);
    let job = w.submit(frames(20, 2));
    w.play_with_bad(&[1]);
    let job = w.engine.job(job).expect("there");
    assert_eq!((&job.wrangle, job.bars.len()), (&Default::default(), 0));
}

#[test]
fn it_can_be_turned_off() {
    let mut w = farm_with(&[1, 1, 1], Wrangling::OFF);
    let job = w.submit(frames(30, 1));
    assert_eq!(w.play(|_| End::Exit(1)).len(), 30);
    assert_eq!(w.status(job), WorkStatus::Failed);
    // Or for hosts alone.
    let jobs = 0;
    let never = Wrangling {
        jobs,
        ..Wrangling::default()
    };
    let mut w = farm_with(&[1, 1], never);
    for _ in 0..5 {
        w.submit(frames(12, 2));
        w.play_with_bad(&[1]);
    }
    assert_eq!(w.told_of(kind::JOB_ACTION, "keeps off rnd1"), 5);
    assert_eq!(w.told_of(kind::HOST_WRANGLED, ""), 0);
}

#[test]
fn no_more_than_a_quarter_of_the_hosts_is_locked() {
    let mut w = farm(&[1; 8]);
    for _ in 0..12 {
        w.submit(frames(60, 8));
        w.play_with_bad(&[1, 2, 3, 4]);
    }
    let locked = w.engine.hosts().filter(|it| it.is_locked_by_farm());
    assert_eq!(locked.count(), 2);
}

#[test]
fn what_is_retired_or_killed_is_not_put_back() {
    let mut w = farm(&[3, 1]);
    let job = w.submit(frames(12, 3));
    let orders: Vec<Order> = (0..3).map(|_| w.order()).collect();
    assert!(orders.iter().filter(|it| it.0 == 1).count() >= 2);
    let (first, second) = (orders[0], orders[1]);
    for instance in 0..3 {
        let target = Target::Instance(job, InstanceNo(instance));
        w.act(Action::Retire, target).expect("allowed");
    }
    w.end(first, End::Exit(1));
    w.end(second, End::Exit(1));
    assert_eq!(w.item(job, first.2.item.0), ItemStatus::Failed);
    let record = &w.engine.job(job).expect("there").wrangle;
    assert_eq!(*record, Default::default());
}
