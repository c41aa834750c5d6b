//! Hosts are emptied for jobs that want one to themselves.

use super::*;
use tessera_model::More;

/// A farm of so many hosts of four slots that is full, and a job before all that wait which wants a host to itself.
fn flooded_for_whole(hosts: u8, wide_jobs: WideJobs) -> (Farm, JobId) {
    flooded_behind(hosts, wide_jobs, |farm| {
        let mut asks = spec(1);
        asks.reservation.more = More::WholeHost;
        farm.submit(asks)
    })
}

#[test]
fn a_job_that_wants_a_host_to_itself_does_not_starve() {
    // One slot is the least that it asks for; what it takes is all of them.
    let most = DECIDED_SECONDS + 2 * FRAME_SECONDS;
    let (mut farm, job) = flooded_for_whole(3, WideJobs::default());
    let number = farm.until_emptied();
    assert_eq!(farm.emptied(), [number], "one of three, and no other");
    farm.until_started(job, most).expect("it starts");
    let (_, on) = farm.started[&job];
    assert_eq!(on, number);
    let there = farm.w.engine.launches().filter(|it| it.host == host(on));
    assert_eq!(there.map(|it| it.key.job).collect::<Vec<_>>(), [job]);
    // Where none is emptied it waits until the flood is over.
    let (mut farm, job) = flooded_for_whole(3, off());
    assert_eq!(farm.until_started(job, most + 60), None);
}

#[test]
fn a_host_that_is_emptied_for_one_takes_what_is_over_in_time_and_nothing_beside() {
    let mut farm = Farm::new(WideJobs::default());
    farm.w.connect(1, 4);
    farm.takes.insert(JobId(1), 900);
    farm.submit(JobSpec {
        agendatimelimit: Some(Duration::from_secs(900)),
        grace: Duration::ZERO,
        ..spec(1)
    });
    let mut asks = spec(1);
    asks.reservation.more = More::WholeHost;
    let job = farm.submit(asks);
    farm.until_emptied();
    // Three slots are free, and who knows how long these take? The other says it.
    let unknown = farm.flood(3, 1, 1);
    let short = farm.submit(JobSpec {
        agendatimelimit: Some(Duration::from_secs(60)),
        grace: Duration::ZERO,
        // Of a kind of its own.
        omithosts: ["elsewhere".to_owned()].into(),
        ..spec(1)
    });
    farm.seconds(FRAME_SECONDS);
    assert!(farm.started.contains_key(&short));
    assert!(unknown.iter().all(|it| !farm.started.contains_key(it)));
    farm.until_started(job, 900).expect("it starts");
    assert!(unknown.iter().all(|it| !farm.started.contains_key(it)));
}
