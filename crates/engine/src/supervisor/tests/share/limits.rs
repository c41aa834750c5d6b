//! Beneath a limit: what is secondary counts, starts only while nothing primary waits there, and makes room for it.

use super::*;

/// Of somebody's jobs what is primary comes before all that is secondary, also where they may not have more.
#[test]
fn what_somebody_may_have_goes_to_their_primary_instances_first() {
    let mut w = world_of(Config {
        preempt_policy: PreemptPolicy::Passive,
        user_limits: UserLimits {
            default: Some(4),
            ..UserLimits::default()
        },
        ..Config::default()
    });
    w.connect(1, 12);
    let mut hosts = Hosts::default();
    let grows = w.submit(growing(90, 1, 9));
    hosts.hear(&mut w);
    assert_eq!(
        hosts.of(grows),
        4,
        "the limit holds for secondary ones, too"
    );
    let other = w.submit(JobSpec {
        cpus: 2,
        ..spec(90)
    });
    for _ in 0..6 {
        hosts.round(&mut w);
        assert!(hosts.of(grows) + hosts.of(other) <= 4);
    }
    assert_eq!((hosts.of(grows), hosts.of(other)), (2, 2));
    // One that finds no host keeps a place open and has nobody leave for nothing.
    let unmet = w.submit(JobSpec {
        hosts: ["elsewhere".to_owned()].into(),
        ..spec(90)
    });
    for _ in 0..4 {
        hosts.round(&mut w);
    }
    let before: Vec<LaunchKey> = hosts.0.keys().copied().collect();
    assert_eq!(
        (hosts.of(grows), hosts.of(other), hosts.of(unmet)),
        (1, 2, 0)
    );
    hosts.round(&mut w);
    assert_eq!(before, hosts.0.keys().copied().collect::<Vec<_>>());
    // When that one is gone the place is filled again.
    w.act(Action::Kill, Target::Job(unmet)).expect("allowed");
    hosts.hear(&mut w);
    assert_eq!(hosts.of(grows), 2);
}

#[test]
fn a_licence_goes_to_primary_instances_first() {
    let licence: tessera_model::GlobalName = "license.nuke".parse().expect("a name");
    let mut w = world_of(Config {
        preempt_policy: PreemptPolicy::Passive,
        global_resources: [(licence.clone(), 3)].into(),
        ..Config::default()
    });
    let licensed = |spec: JobSpec| JobSpec {
        reservation: Reservation {
            global: [(licence.clone(), 1)].into(),
            ..Reservation::default()
        },
        ..spec
    };
    w.connect(1, 12);
    let mut hosts = Hosts::default();
    let grows = w.submit(licensed(growing(90, 1, 9)));
    hosts.hear(&mut w);
    assert_eq!(hosts.of(grows), 3);
    let other = w.submit(licensed(JobSpec { cpus: 2, ..spec(6) }));
    for _ in 0..3 {
        hosts.round(&mut w);
        assert!(hosts.of(grows) >= 1);
    }
    assert_eq!((hosts.of(grows), hosts.of(other)), (1, 2));
    for _ in 0..4 {
        hosts.round(&mut w);
    }
    assert_eq!((hosts.of(grows), hosts.of(other)), (3, 0), "and comes back");
}

#[test]
fn a_process_group_with_a_limit_has_its_primary_instances_first() {
    let mut w = world();
    w.connect(1, 12);
    let mut hosts = Hosts::default();
    let limit = tessera_model::JobLimits {
        pgrp: Some(3),
        ..Default::default()
    };
    let leads = w.submit(JobSpec {
        limits: limit,
        ..growing(90, 1, 9)
    });
    hosts.hear(&mut w);
    assert_eq!(hosts.of(leads), 3);
    let follows = w.submit(JobSpec {
        pgrp: Some(leads),
        cpus: 2,
        ..spec(8)
    });
    for _ in 0..4 {
        hosts.round(&mut w);
    }
    assert_eq!((hosts.of(leads), hosts.of(follows)), (1, 2));
    for _ in 0..8 {
        hosts.round(&mut w);
    }
    assert_eq!((hosts.of(leads), hosts.of(follows)), (3, 0));
}

#[test]
fn a_host_has_no_more_of_a_job_than_that_says_and_a_rate_holds() {
    let mut w = world();
    w.connect(1, 12);
    let mut hosts = Hosts::default();
    let per_host = tessera_model::JobLimits {
        per_host: Some(2),
        ..Default::default()
    };
    let job = w.submit(JobSpec {
        limits: per_host,
        ..growing(90, 1, 9)
    });
    hosts.hear(&mut w);
    assert_eq!(hosts.of(job), 2);
    let rate = tessera_model::JobLimits {
        start_rate: Some("3/m".parse().expect("a rate")),
        ..Default::default()
    };
    let paced = w.submit(JobSpec {
        limits: rate,
        ..growing(90, 1, 9)
    });
    hosts.hear(&mut w);
    assert_eq!(hosts.of(paced), 3);
    w.wait(61);
    hosts.hear(&mut w);
    assert_eq!(hosts.of(paced), 6);
}
