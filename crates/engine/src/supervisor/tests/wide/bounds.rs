//! That a wide job starts in bounded time, and what it costs others and the planner.

use super::*;

#[test]
fn a_wide_job_starts_in_bounded_time_under_a_flood_and_never_would_without() {
    let (mut farm, job) = flooded(3, WideJobs::default());
    let took = farm.until_started(job, 600).expect("it starts");
    assert!(took <= DECIDED_SECONDS + FRAME_SECONDS + 2, "{took}");
    assert_eq!(farm.emptied(), Vec::<u8>::new(), "it has what it needs");
    let (mut farm, job) = flooded(3, off());
    assert_eq!(
        farm.until_started(job, 400),
        None,
        "smaller ones pass it by"
    );
}

#[test]
fn instances_behind_it_end_with_their_frame_there_and_go_on_elsewhere() {
    let mut farm = Farm::new(WideJobs::default());
    farm.w.connect(1, 4);
    farm.w.connect(2, 4);
    // Worse, and with frames for hours.
    let small = JobSpec {
        cpus: 8,
        ..spec(1_000)
    };
    let small = farm.submit(small);
    let job = farm.submit(JobSpec {
        priority: 10,
        ..wide(4)
    });
    let took = farm.until_started(job, 600).expect("it starts");
    assert!(took <= DECIDED_SECONDS + FRAME_SECONDS + 2, "{took}");
    let on = farm.started[&job].1;
    let left = farm.running.keys().filter(|(_, key)| key.job == small);
    let left: Vec<u8> = left.map(|(host, _)| *host).collect();
    assert_eq!(left, [3 - on; 4]);
    assert_eq!(
        farm.w.engine.job(small).expect("there").items().ended() % 4,
        0
    );
}

#[test]
fn a_job_that_needs_half_of_a_host_leaves_the_other_half_to_others() {
    let mut farm = Farm::new(WideJobs::default());
    farm.w.connect(1, 8);
    // Four that take long, and four that are over soon.
    (1..=4).for_each(|job| _ = farm.takes.insert(JobId(job), 900));
    farm.flood(4, 1, 1);
    let job = farm.wide(4);
    farm.flood(100, 1, 1);
    let took = farm.until_started(job, 600).expect("it starts");
    assert!(took <= DECIDED_SECONDS + FRAME_SECONDS + 2, "{took}");
    assert_eq!(farm.running.len(), 5, "what takes long is still there");
}

#[test]
fn few_hosts_are_emptied_at_once_however_many_ask() {
    let mut farm = Farm::new(WideJobs {
        hosts_percent: 20,
        ..WideJobs::default()
    });
    for number in 1..=20 {
        farm.w.connect(number, 2);
    }
    farm.flood(40, 1, 1);
    for priority in 0..6 {
        let many = JobSpec {
            cpus: 10,
            priority: 100 + priority,
            ..spec(50)
        };
        let mut many = JobSpec {
            omithosts: [format!("other{priority}")].into(),
            ..many
        };
        many.reservation.slots = 2;
        farm.submit(many);
    }
    farm.flood(60, 1, 20);
    let mut most = 0;
    for _ in 0..300 {
        farm.second();
        let by_job = farm.w.engine.hosts().filter_map(|host| {
            let kept = farm.w.engine.emptied_for(host.id)?;
            Some(kept.job)
        });
        let jobs: Vec<JobId> = by_job.collect();
        assert!(jobs.len() <= 4, "a fifth of the farm: {jobs:?}");
        most = most.max(jobs.len());
    }
    assert_eq!(most, 4);
}

#[test]
fn half_of_the_hosts_that_would_do_are_left_to_others() {
    let mut farm = Farm::new(WideJobs {
        hosts_percent: 50,
        ..WideJobs::default()
    });
    for number in 1..=10 {
        farm.w.connect(number, if number <= 4 { 4 } else { 1 });
    }
    farm.flood(22, 1, 1);
    let mut many = JobSpec {
        cpus: 8,
        ..spec(50)
    };
    many.reservation.slots = 4;
    farm.submit(many);
    farm.flood(30, 1, 20);
    farm.until_emptied();
    assert_eq!(farm.emptied().len(), 2);
}

#[test]
fn what_needs_one_slot_waits_for_its_turn() {
    let mut farm = Farm::new(WideJobs::default());
    farm.w.connect(1, 2);
    let small = farm.flood(2, 1, 100);
    let job = farm.submit(JobSpec {
        priority: 1,
        ..spec(1)
    });
    assert_eq!(farm.until_started(job, 600), None, "nothing is preempted");
    assert_eq!(farm.emptied(), Vec::<u8>::new());
    assert_eq!(small.len(), 2);
}

#[test]
fn what_wins_the_odd_gap_has_waited_all_the_same() {
    let after = Duration::from_secs(120);
    let mut waited = crate::supervisor::plan::Waited::default();
    let most = after * 5;
    waited.pass(None, Duration::from_secs(10), most);
    assert_eq!(waited.net, Duration::ZERO, "seen for the first time");
    waited.pass(Some(Duration::from_secs(10)), Duration::from_secs(25), most);
    assert_eq!(waited.net, Duration::from_secs(15));
    // It did not wait when others were looked at.
    waited.pass(Some(Duration::from_secs(40)), Duration::from_secs(55), most);
    assert_eq!(waited.net, Duration::from_secs(15));
    waited.pass(
        Some(Duration::from_secs(55)),
        Duration::from_secs(5_000),
        most,
    );
    assert_eq!(waited.net, most);
}

/// Answers what the end of a frame on a host that is being emptied costs, with so many jobs and classes waiting behind.
fn cost_behind(jobs: u32, classes: u32) -> u64 {
    let mut farm = Farm::new(WideJobs::default());
    farm.w.connect(1, 4);
    (1..=4).for_each(|job| _ = farm.takes.insert(JobId(job), 3_000));
    farm.flood(4, 1, 1);
    farm.wide(4);
    for class in 0..classes {
        for _ in 0..jobs / classes {
            farm.submit(JobSpec {
                omithosts: [format!("other{class}")].into(),
                ..spec(1)
            });
        }
    }
    farm.until_emptied();
    let ((host, key), (run, _)) = farm.running.pop_first().expect("runs");
    farm.w.end((host, key, run), End::Exit(0));
    let before = farm.w.engine.asked();
    farm.w.gone(host, key);
    farm.listen();
    assert_eq!(farm.running.len(), 3, "nothing else starts there");
    farm.w.engine.asked() - before
}

#[test]
fn what_waits_behind_a_wide_job_costs_within_bounds() {
    let few = cost_behind(40, 1);
    assert_eq!(few, cost_behind(400, 1), "jobs");
    assert_eq!(cost_behind(400, 40), cost_behind(2_000, 200), "classes");
}

/// Answers what a look costs on a farm of so many hosts.
fn cost_of_a_look(hosts: u8, jobs: u32) -> u64 {
    let mut farm = Farm::new(WideJobs::default());
    for number in 1..=hosts {
        farm.w.connect(number, 1);
    }
    // No host is large enough, so that nothing but looking happens.
    farm.wide(2);
    farm.flood(u32::from(hosts) + jobs, 1, 2);
    farm.running.clear();
    farm.w.wait(200);
    let before = farm.w.engine.asked();
    farm.w.wait(15);
    farm.w.engine.asked() - before
}

#[test]
fn a_look_costs_as_much_as_there_are_hosts_whatever_the_queue() {
    assert_eq!(cost_of_a_look(10, 10), cost_of_a_look(10, 1_000));
    let (few, many) = (cost_of_a_look(10, 10), cost_of_a_look(200, 10));
    assert_eq!(many - few, 190);
}

#[test]
fn no_more_hosts_are_emptied_than_a_group_or_a_rate_lets_start() {
    let most = |limits: fn(&mut JobSpec)| {
        let mut farm = Farm::new(WideJobs {
            hosts_percent: 50,
            ..WideJobs::default()
        });
        for number in 1..=8 {
            farm.w.connect(number, 4);
        }
        farm.flood(32, 1, 1);
        let mut many = JobSpec {
            cpus: 8,
            priority: 10,
            ..spec(50)
        };
        many.reservation.slots = 4;
        limits(&mut many);
        farm.submit(many);
        farm.flood(400, 1, 1);
        let mut most = 0;
        for _ in 0..DECIDED_SECONDS {
            farm.second();
            most = most.max(farm.emptied().len());
        }
        most
    };
    assert_eq!(most(|_| ()), 4);
    assert_eq!(most(|it| it.limits.pgrp = Some(2)), 2);
    assert_eq!(
        most(|it| it.limits.start_rate = Some("1/10s".parse().expect("a rate"))),
        1
    );
}
