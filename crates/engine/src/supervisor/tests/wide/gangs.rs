//! Hosts that are emptied for what starts all at once (`grid`).

use super::super::gang::gang;
use super::*;

/// Answers when each instance of a job started.
fn starts_of(farm: &Farm, job: JobId) -> Vec<(u64, u8)> {
    let starts = farm.starts.iter().filter(|(_, of, _)| *of == job);
    starts.map(|(at, _, host)| (*at, *host)).collect()
}

#[test]
fn a_flood_of_small_jobs_does_not_starve_it_though_it_needs_all_hosts() {
    for (hosts, count) in [(1, 4), (2, 8), (2, 6), (4, 12)] {
        let submit = |farm: &mut Farm| farm.submit(gang(count, count));
        let (mut farm, job) = flooded_behind(hosts, WideJobs::default(), submit);
        let most = DECIDED_SECONDS + 2 * FRAME_SECONDS + 60;
        assert!(
            farm.until_started(job, most).is_some(),
            "{count} of {hosts}"
        );
        let starts = starts_of(&farm, job);
        assert_eq!(starts.len(), count as usize, "{starts:?}");
        assert!(starts.iter().all(|(at, _)| *at == starts[0].0));
        farm.seconds(1);
        assert_eq!(farm.emptied(), Vec::<u8>::new(), "all are let go");
    }
}

#[test]
fn where_nothing_is_emptied_the_flood_goes_first() {
    let submit = |farm: &mut Farm| farm.submit(gang(4, 4));
    let (mut farm, job) = flooded_behind(1, off(), submit);
    assert_eq!(farm.until_started(job, 400), None);
}

#[test]
fn hosts_are_emptied_for_all_of_it_or_for_none() {
    // Half of the slots are of jobs that stand before it and go on.
    let mut farm = Farm::new(WideJobs::default());
    farm.w.connect(1, 4);
    farm.w.connect(2, 4);
    let before = farm.flood(4, 1, 1_000);
    let job = farm.submit(gang(8, 8));
    farm.flood(400, 1, 1);
    farm.seconds(400);
    assert_eq!(farm.emptied(), Vec::<u8>::new());
    assert_eq!(starts_of(&farm, job), []);
    for small in before {
        farm.w
            .act(Action::Kill, Target::Job(small))
            .expect("allowed");
        farm.listen();
    }
    assert!(farm.until_started(job, DECIDED_SECONDS + 60).is_some());
}

#[test]
fn of_two_gangs_one_has_hosts_and_both_start() {
    let two = |farm: &mut Farm| {
        farm.submit(gang(8, 8));
        farm.submit(gang(8, 8))
    };
    let (mut farm, second) = flooded_behind(4, WideJobs::default(), two);
    // The engine's own check says that hosts are emptied for one at a time.
    assert!(farm.until_started(second, 3 * DECIDED_SECONDS).is_some());
}

#[test]
fn gangs_of_two_clusters_that_want_each_others_hosts_both_start() {
    let mut farm = Farm::new(WideJobs::default());
    for (number, cluster) in [(1, "/a"), (2, "/b")] {
        farm.w.connect_as(number, 4, Identity::User);
        let facts = &farm.w.engine.host(host(number)).expect("there").facts;
        let mut facts = facts.clone();
        let cluster = ("host.cluster".to_owned(), cluster.to_owned());
        facts.properties.extend([cluster]);
        farm.w.say(number, FromWorker::Hello(facts));
        farm.w.say(number, FromWorker::Inventory(Vec::new()));
    }
    let of = |cluster: &str, spec: JobSpec| JobSpec {
        cluster: cluster.parse().expect("a cluster"),
        ..spec
    };
    for _ in 0..4 {
        farm.submit(of("/a", spec(1)));
        farm.submit(of("/b", spec(1)));
    }
    let gangs = ["/a", "/b"].map(|cluster| farm.submit(of(cluster, gang(8, 8))));
    for cluster in ["/a", "/b"] {
        for _ in 0..40 {
            farm.submit(of(cluster, spec(1)));
        }
    }
    for job in gangs {
        assert!(farm.until_started(job, 1_200).is_some(), "{job}");
        assert_eq!(starts_of(&farm, job).len(), 8);
    }
}

#[test]
fn what_is_over_in_time_runs_meanwhile() {
    let mut farm = Farm::new(WideJobs::default());
    farm.w.connect(1, 4);
    let limited = |seconds: u64| JobSpec {
        agendatimelimit: Some(Duration::from_secs(seconds)),
        grace: Duration::ZERO,
        ..spec(1)
    };
    for _ in 0..2 {
        let long = JobId(farm.w.engine.next_job());
        farm.takes.insert(long, 600);
        farm.submit(limited(700));
    }
    let job = farm.submit(gang(4, 4));
    assert_eq!(farm.until_emptied(), 1);
    // Of these nobody knows how long they take.
    farm.flood(5, 1, 1);
    let short = farm.submit(limited(30));
    assert!(farm.until_started(job, 900).is_some());
    let [(at, _)] = starts_of(&farm, short)[..] else {
        panic!("it did not start once");
    };
    assert!(at < starts_of(&farm, job)[0].0);
}
