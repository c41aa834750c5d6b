//! Shares between clusters by weight: who comes first, what it leaves as it is, and that everybody comes to their part.

use super::share::Hosts;
use super::*;
use crate::supervisor::why::Kind;
use tessera_model::{JobFlag, JobKind};

/// A farm where these clusters have these weights.
fn world_of(weights: &[(&str, u32)], config: Config) -> World {
    let named = weights.iter();
    let named = named.map(|(path, weight)| (path.parse().expect("a path"), *weight));
    let mut w = World::new();
    w.engine = Engine::new(Config {
        cluster_weights: ClusterWeights::new(named.collect()),
        ..config
    });
    w
}

/// Where instances leave at the end of their frame.
fn passive() -> Config {
    Config {
        preempt_policy: PreemptPolicy::Passive,
        ..Config::default()
    }
}

fn world(weights: &[(&str, u32)]) -> World {
    world_of(weights, Config::default())
}

/// A job in these clusters with so many instances of one slot, each of which runs once.
fn many(cluster: &str, cpus: u32) -> JobSpec {
    JobSpec {
        kind: JobKind::CmdLine,
        cpus,
        cluster: cluster.parse().expect("clusters"),
        ..spec(1)
    }
}

fn submit_elite(w: &mut World, spec: JobSpec) -> JobId {
    let flags = [JobFlag::Elite].into();
    match w.try_submit("root", JobSpec { flags, ..spec }, None) {
        Ok(Answer::Submitted { job, .. }) => job,
        other => panic!("{other:?}"),
    }
}

fn with_priority(priority: u32, spec: JobSpec) -> JobSpec {
    JobSpec { priority, ..spec }
}

/// Answers what the shares have, in the order of their names.
fn used(w: &World) -> Vec<u64> {
    let shares = w.engine.shares();
    shares.into_iter().map(|(.., used)| used).collect()
}

/// Ends one of what runs of a job, if there is one: the one that began first.
fn end_one(w: &mut World, hosts: &mut Hosts, job: JobId) -> bool {
    let one = hosts.0.keys().find(|key| key.job == job).copied();
    if let Some(key) = one {
        hosts.end(w, key);
    }
    one.is_some()
}

#[test]
fn two_clusters_come_to_their_parts_and_back_to_them() {
    let mut w = world(&[("/showA", 3), ("/showB", 1)]);
    for number in 1..=4 {
        w.connect(number, 10);
    }
    let mut hosts = Hosts::default();
    let one = w.submit(many("/showA", 90));
    hosts.hear(&mut w);
    assert_eq!(used(&w), [0, 40, 0], "who is alone has all");
    let other = w.submit(many("/showB", 400));
    hosts.hear(&mut w);
    assert_eq!(used(&w), [0, 40, 0], "nobody leaves for it");
    let mut ended = 0;
    while used(&w)[1..] != [30, 10] {
        ended += 1;
        assert!(ended <= 10, "each slot that comes free goes to /showB");
        end_one(&mut w, &mut hosts, one);
    }
    for round in 0..30 {
        let job = if round % 3 == 0 { other } else { one };
        end_one(&mut w, &mut hosts, job);
        assert_eq!(used(&w), [0, 30, 10], "round {round}");
    }
    // One runs dry: the other has all that it leaves.
    while end_one(&mut w, &mut hosts, one) {}
    assert_eq!(used(&w), [0, 0, 40]);
    // It comes back: what comes free is its, up to its part.
    w.submit(many("/showA", 90));
    for freed in 1..=30 {
        end_one(&mut w, &mut hosts, other);
        assert_eq!(used(&w), [0, freed, 40 - freed]);
    }
    end_one(&mut w, &mut hosts, other);
    assert_eq!(used(&w), [0, 30, 10]);
}

/// A job in a cluster with so many instances that take frame after frame.
fn long(cluster: &str, cpus: u32) -> JobSpec {
    JobSpec {
        cpus,
        cluster: cluster.parse().expect("clusters"),
        ..spec(2_000)
    }
}

/// Ends the frames of all that runs before anybody hears what follows.
fn end_all_at_once(w: &mut World, hosts: &mut Hosts) {
    let running: Vec<_> = hosts.0.iter().map(|(key, it)| (*key, *it)).collect();
    for (key, (host, run)) in running {
        w.end((host, key, run), End::Exit(0));
    }
    hosts.hear(w);
}

/// Counts who was told to leave.
fn left(w: &World) -> usize {
    let told = w.told.iter();
    told.filter(|it| it.kind == kind::INSTANCE_PREEMPTED)
        .count()
}

#[test]
fn at_the_end_of_a_frame_as_many_leave_as_another_share_lacks_and_no_more() {
    let mut w = world_of(&[("/showA", 3), ("/showB", 1)], passive());
    for number in 1..=4 {
        w.connect(number, 5);
    }
    let mut hosts = Hosts::default();
    let one = w.submit(long("/showA", 20));
    hosts.hear(&mut w);
    let other = w.submit(long("/showB", 20));
    w.wait(200);
    hosts.hear(&mut w);
    assert_eq!(
        (used(&w), left(&w)),
        (vec![0, 20, 0], 0),
        "not before the end"
    );
    for _ in 0..4 {
        hosts.round(&mut w);
    }
    assert_eq!((used(&w), left(&w)), (vec![0, 15, 5], 5));
    let told = w.told.iter();
    let mut told = told.filter(|it| it.kind == kind::INSTANCE_PREEMPTED);
    let text = "leaves at the end of its frame on rnd1: cluster /showA has 20 slots for a weight of 3, /showB 0 for 1";
    let first = &told.next().expect("told").text;
    assert!(first.ends_with(text), "{first}");
    // As many as it wants, and no more than that.
    let third = w.submit(long("/other", 2));
    for _ in 0..4 {
        hosts.round(&mut w);
    }
    assert_eq!((hosts.of(third), left(&w)), (2, 7));
    // The others keep their parts among each other: 18 by 3 to 1, within one slot.
    assert_eq!((hosts.of(one), hosts.of(other)), (13, 5));
}

#[test]
fn where_nobody_is_preempted_nobody_leaves_for_a_share() {
    let mut w = world(&[("/showA", 3), ("/showB", 1)]);
    w.connect(1, 8);
    let mut hosts = Hosts::default();
    w.submit(long("/showA", 8));
    w.submit(long("/showB", 8));
    hosts.hear(&mut w);
    hosts.round(&mut w);
    hosts.round(&mut w);
    assert_eq!((used(&w), left(&w)), (vec![0, 8, 0], 0));
}

#[test]
fn as_many_leave_as_wait_though_all_frames_end_at_once() {
    let mut w = world_of(&[("/a", 1), ("/b", 1)], passive());
    w.connect(1, 8);
    let mut hosts = Hosts::default();
    let one = w.submit(long("/a", 8));
    hosts.hear(&mut w);
    w.submit(many("/b", 1));
    end_all_at_once(&mut w, &mut hosts);
    assert_eq!((left(&w), hosts.of(one)), (1, 7));
}

#[test]
fn no_more_leave_for_a_share_than_may_start_by_the_rates() {
    let rate = |text: &str| text.parse().expect("a good rate");
    let world = |farm: Option<&str>| {
        let mut w = world_of(
            &[("/a", 1), ("/b", 1)],
            Config {
                start_rates: FarmRates {
                    farm: farm.map(rate),
                    ..FarmRates::default()
                },
                ..passive()
            },
        );
        w.connect(1, 8);
        let mut hosts = Hosts::default();
        w.submit(long("/a", 8));
        hosts.hear(&mut w);
        (w, hosts)
    };
    let (mut w, mut hosts) = world(Some("8/60s"));
    w.submit(long("/b", 8));
    hosts.round(&mut w);
    hosts.round(&mut w);
    assert_eq!((used(&w), left(&w)), (vec![0, 8, 0], 0), "nothing starts");
    w.wait(61);
    hosts.round(&mut w);
    hosts.round(&mut w);
    assert_eq!((used(&w), left(&w)), (vec![0, 4, 4], 4));
    // A rate of the job itself.
    let (mut w, mut hosts) = world(None);
    let mut slow = long("/b", 8);
    slow.limits.start_rate = Some(rate("1/60s"));
    w.submit(slow);
    for minute in 1..=3 {
        end_all_at_once(&mut w, &mut hosts);
        end_all_at_once(&mut w, &mut hosts);
        assert_eq!(
            (used(&w), left(&w)),
            (
                vec![0, 8 - minute, minute],
                usize::try_from(minute).unwrap_or(0)
            )
        );
        w.wait(61);
        hosts.hear(&mut w);
    }
}

#[test]
fn no_more_leave_for_a_share_than_a_limit_of_its_owner_lets_start() {
    let mut w = world_of(
        &[("/a", 1), ("/b", 1)],
        Config {
            user_limits: UserLimits {
                default: None,
                named: [(name("tom"), Some(1))].into(),
            },
            ..passive()
        },
    );
    w.connect(1, 8);
    let mut hosts = Hosts::default();
    w.submit(long("/a", 8));
    hosts.hear(&mut w);
    for _ in 0..6 {
        w.try_submit("tom", many("/b", 1), None).expect("taken");
    }
    end_all_at_once(&mut w, &mut hosts);
    assert_eq!((used(&w), left(&w)), (vec![0, 7, 1], 1));
}

#[test]
fn what_a_host_was_emptied_for_does_not_leave_for_a_share() {
    let mut w = world_of(&[("/a", 1), ("/b", 1)], passive());
    for number in 1..=3 {
        w.connect(number, 4);
    }
    let mut hosts = Hosts::default();
    w.submit(long("/b", 12));
    hosts.hear(&mut w);
    let mut wide = long("/a", 1);
    wide.reservation.slots = 4;
    let wide = w.submit(wide);
    for _ in 0..60 {
        w.wait(10);
        hosts.round(&mut w);
        if hosts.of(wide) > 0 {
            break;
        }
    }
    assert_eq!((hosts.of(wide), used(&w)), (1, vec![0, 4, 8]));
    w.submit(long("/a", 4));
    hosts.round(&mut w);
    hosts.round(&mut w);
    assert_eq!(used(&w), [0, 6, 6]);
    // However little the other one has: without it /a would have more even then.
    w.submit(long("/c", 4));
    let before = left(&w);
    assert!(end_one(&mut w, &mut hosts, wide));
    assert_eq!((hosts.of(wide), left(&w)), (1, before));
    hosts.round(&mut w);
    assert!(left(&w) > before, "others leave");
}

#[test]
fn no_host_is_emptied_for_a_share_that_has_had_its_turn() {
    let mut w = world(&[("/a", 1), ("/b", 1)]);
    w.connect(1, 4);
    w.connect(2, 4);
    let mut hosts = Hosts::default();
    let own = w.submit(many("/b", 5));
    hosts.hear(&mut w);
    w.submit(many("/a", 90));
    hosts.hear(&mut w);
    let mut wide = with_priority(1, many("/b", 1));
    wide.reservation.slots = 4;
    w.submit(wide);
    w.wait(600);
    assert_eq!(used(&w), [0, 3, 5]);
    let emptied = |w: &World| {
        (1..=2)
            .filter(|it| w.engine.emptied_for(host(*it)).is_some())
            .count()
    };
    assert_eq!(emptied(&w), 0, "it has more than its part");
    end_one(&mut w, &mut hosts, own);
    w.wait(600);
    assert_eq!((used(&w), emptied(&w)), (vec![0, 4, 4], 1));
}

#[test]
fn jobs_without_a_cluster_have_no_more_than_the_rest_has() {
    let mut w = world(&[("/a", 2), ("/b", 1)]);
    for cluster in ["/", "/a/x", "/b"] {
        w.submit(many(cluster, 50));
    }
    w.connect(1, 8);
    assert_eq!(used(&w), [2, 4, 2]);
    assert!(
        !leaves(("/a", 9), ("/", 1), false),
        "nor leaves anybody for them"
    );
    assert!(leaves(("/x", 9), ("/", 1), false), "but within the rest");
}

#[test]
fn gangs_start_in_the_turn_of_their_shares() {
    let mut w = world(&[("/a", 1), ("/b", 1)]);
    w.connect(1, 4);
    w.connect(2, 1);
    let gang = |cluster: &str, priority: u32| JobSpec {
        flags: [JobFlag::Grid].into(),
        ..with_priority(priority, many(cluster, 4))
    };
    let first = w.submit(gang("/a", 1));
    w.submit(many("/a", 1));
    let mut hosts = Hosts::default();
    hosts.hear(&mut w);
    let second = w.submit(gang("/a", 1));
    let other = w.submit(gang("/b", 9));
    while end_one(&mut w, &mut hosts, first) {}
    assert_eq!((hosts.of(second), hosts.of(other)), (0, 4));
}

#[test]
fn why_says_of_no_elite_job_that_its_share_comes_first() {
    let config = Config {
        queue_algorithm: Algorithm::Priority,
        ..Config::default()
    };
    let mut w = world_of(&[("/a", 1), ("/b", 1)], config);
    w.connect(1, 1);
    w.submit(many("/a", 1));
    submit_elite(&mut w, many("/a", 2));
    let behind = w.submit(many("/a", 2));
    let reasons = w.engine.why(behind).expect("there");
    assert!(
        reasons.iter().all(|it| it.kind != Kind::Share),
        "{reasons:?}"
    );
    assert!(
        reasons.iter().any(|it| it.kind == Kind::BehindJobs),
        "{reasons:?}"
    );
}

#[test]
fn nobody_leaves_for_a_share_whose_slot_would_be_kept_for_gpus() {
    for (each, leaves) in [(1, 0), (0, 1)] {
        let mut w = world_of(&[("/a", 1), ("/b", 1)], passive());
        w.keeping(1, (2, 2, each), &[]);
        let mut hosts = Hosts::default();
        let mut with_gpus = long("/a", 2);
        let gpus = tessera_model::gpu::GPUS.to_owned();
        with_gpus.reservation.amounts.insert(gpus, 1);
        let one = w.submit(with_gpus);
        hosts.hear(&mut w);
        w.submit(many("/b", 1));
        hosts.round(&mut w);
        assert_eq!((hosts.of(one), left(&w)), (2 - leaves, leaves), "{each}");
    }
}

#[test]
fn nobody_leaves_for_who_has_room_coming_from_what_is_secondary() {
    let config = Config {
        smart_share: SmartShare::ASKED,
        ..passive()
    };
    let mut w = world_of(&[("/a", 1), ("/b", 1)], config);
    w.connect(1, 4);
    let mut hosts = Hosts::default();
    let one = w.submit(JobSpec {
        max_cpus: Some(4),
        ..long("/a", 3)
    });
    hosts.hear(&mut w);
    let other = w.submit(many("/b", 1));
    assert_eq!((hosts.of(one), left(&w)), (4, 1));
    hosts.round(&mut w);
    hosts.round(&mut w);
    assert_eq!(w.status(other), WorkStatus::Complete);
    assert_eq!((hosts.of(one), left(&w)), (4, 1), "it has grown again");
}

#[test]
fn wide_instances_count_with_all_their_slots_to_within_one_of_them() {
    let mut w = world(&[("/a", 1), ("/b", 1)]);
    w.connect(1, 24);
    let mut hosts = Hosts::default();
    let mut wide = many("/a", 100);
    wide.reservation.slots = 4;
    let wide = w.submit(wide);
    hosts.hear(&mut w);
    let small = w.submit(many("/b", 100));
    for _ in 0..3 {
        end_one(&mut w, &mut hosts, wide);
    }
    assert_eq!(used(&w), [0, 12, 12]);
    assert_eq!((hosts.of(wide), hosts.of(small)), (3, 12));
}

#[test]
fn what_is_of_no_named_cluster_has_one_part_together() {
    let mut w = world(&[("/a", 2), ("/a/deep", 1)]);
    w.connect(1, 8);
    for cluster in ["/x", "/y", "/a/one", "/a/deep/er", "/a/deep"] {
        w.submit(many(cluster, 50));
    }
    let paths: Vec<_> = w.engine.shares().into_iter().map(|it| it.0).collect();
    let paths: Vec<String> = paths.iter().map(ToString::to_string).collect();
    assert_eq!(paths, ["/", "/a", "/a/deep"]);
    // What was there first had all; as it ends the others have theirs.
    let mut hosts = Hosts::default();
    hosts.hear(&mut w);
    for _ in 0..4 {
        hosts.round(&mut w);
    }
    assert_eq!(used(&w), [2, 4, 2]);
}

#[test]
fn the_rest_has_the_weight_that_it_is_given() {
    let mut w = world(&[("/a", 1), ("/", 3)]);
    w.submit(many("/a", 50));
    w.submit(many("/x", 50));
    w.connect(1, 8);
    assert_eq!(used(&w), [6, 2]);
}

#[test]
fn priority_decides_within_a_share_only_whatever_the_algorithm() {
    for queue_algorithm in Algorithm::ALL {
        let config = Config {
            queue_algorithm,
            ..Config::default()
        };
        let mut w = world_of(&[("/a", 1), ("/b", 1)], config);
        let behind = w.submit(with_priority(9, many("/b", 10)));
        let first = w.submit(with_priority(1, many("/a", 10)));
        let second = w.submit(with_priority(8, many("/b", 10)));
        w.connect(1, 8);
        let mut hosts = Hosts::default();
        hosts.hear(&mut w);
        assert_eq!(hosts.of(first), 4, "{queue_algorithm:?}");
        let best = match queue_algorithm {
            Algorithm::Queue => behind,
            Algorithm::Priority | Algorithm::Cluster => second,
        };
        assert_eq!(hosts.of(best), 4, "{queue_algorithm:?}");
    }
}

#[test]
fn hosts_of_a_clusters_own_serve_it_first_and_elite_jobs_come_before_all() {
    let mut w = world(&[("/a", 1), ("/b", 100)]);
    let own = w.submit(many("/a", 3));
    let other = w.submit(many("/b", 20));
    let elite = submit_elite(&mut w, many("/a", 1));
    w.connect_as(1, 5, Identity::User);
    let mut facts = w.engine.host(host(1)).expect("there").facts.clone();
    let cluster = ("host.cluster".to_owned(), "/a".to_owned());
    facts.properties.extend([cluster]);
    w.say(1, FromWorker::Hello(facts));
    w.say(1, FromWorker::Inventory(Vec::new()));
    let ToWorker::Start { key, .. } = w.said[0].1 else {
        panic!("{:?}", w.said);
    };
    assert_eq!(key.job, elite);
    let mut hosts = Hosts::default();
    hosts.hear(&mut w);
    assert_eq!((hosts.of(own), hosts.of(other)), (3, 1), "the nearer first");
    assert_eq!(used(&w), [0, 4, 1], "what is elite is had as well");
}

#[test]
fn a_job_takes_what_it_has_into_another_share_and_all_is_counted_anew_at_a_start() {
    let weights = [("/a", 1), ("/b", 1)];
    let mut w = world(&weights);
    w.connect(1, 8);
    let job = w.submit(many("/a", 6));
    w.submit(many("/b", 1));
    assert_eq!(used(&w), [0, 6, 1]);
    let patch = Box::new(JobPatch {
        cluster: Some("/b/deep".parse().expect("a cluster")),
        ..JobPatch::default()
    });
    let by = person("mia");
    w.step(Input::Modify { by, job, patch });
    assert_eq!(used(&w), [0, 0, 7]);
    let now = Now {
        wall: Timestamp(9_000_000),
        elapsed: Duration::ZERO,
    };
    let config = world(&weights).engine.config.clone();
    w.engine = Engine::restore(config, now, w.engine.image()).expect("whole");
    assert_eq!(used(&w), [0, 0, 7]);
    assert_eq!(w.engine.faults(), Vec::<String>::new());
}

#[test]
fn elite_jobs_come_before_all_shares() {
    let config = Config {
        queue_algorithm: Algorithm::Priority,
        ..Config::default()
    };
    let mut w = world_of(&[("/a", 1), ("/b", 1)], config);
    w.connect(1, 4);
    w.submit(many("/a", 1));
    let runs = w.order();
    w.submit(many("/a", 2));
    w.submit(many("/c", 20));
    w.submit(many("/b", 20));
    w.said.clear();
    // Its share has most for its weight.
    let elite = submit_elite(&mut w, many("/a", 1));
    w.end(runs, End::Exit(0));
    w.said.clear();
    w.gone(1, runs.1);
    assert_eq!(w.order().1.job, elite);
}

/// Runs one job on a farm of one slot, has another one come, and says whether the first one leaves for it.
fn leaves(first: (&str, u32), second: (&str, u32), is_elite: bool) -> bool {
    let config = Config {
        preempt_policy: PreemptPolicy::Aggressive,
        ..Config::default()
    };
    let mut w = world_of(&[("/a", 1), ("/b", 1)], config);
    w.connect(1, 1);
    let mut runs = with_priority(first.1, spec(5));
    runs.cluster = first.0.parse().expect("a cluster");
    w.submit(runs);
    w.order();
    let mut comes = with_priority(second.1, spec(5));
    comes.cluster = second.0.parse().expect("a cluster");
    match is_elite {
        true => submit_elite(&mut w, comes),
        false => w.submit(comes),
    };
    w.wait(600);
    !w.said.is_empty()
}

#[test]
fn nobody_leaves_for_another_share_but_for_what_is_elite() {
    assert!(leaves(("/a", 9), ("/a", 1), false), "within a share");
    assert!(leaves(("/a", 9), ("/a/x", 1), false), "within a share");
    assert!(!leaves(("/a", 9), ("/b", 1), false));
    assert!(!leaves(("/x", 9), ("/b", 1), false));
    assert!(leaves(("/a", 1), ("/b", 9), true));
}

#[test]
fn who_may_leave_within_a_share_is_found_beside_others_that_stand_lower() {
    let config = Config {
        preempt_policy: PreemptPolicy::Aggressive,
        ..Config::default()
    };
    let mut w = world_of(&[("/a", 1), ("/b", 1)], config);
    for number in 1..=40 {
        // Of two that run on the last one the other share's stands lowest.
        w.connect(number, 1 + u32::from(number / 40));
        let hosts = [format!("rnd{number}")];
        for (cluster, priority) in [("/b", 9), ("/a", 5)]
            .iter()
            .take(1 + usize::from(number / 40))
        {
            w.submit(JobSpec {
                hosts: hosts.clone().into(),
                ..with_priority(*priority, many(cluster, 1))
            });
        }
    }
    w.said.clear();
    let job = w.submit(with_priority(1, many("/a", 1)));
    let (victim, said) = w.heard();
    assert_eq!(victim, host(40), "{said:?}");
    assert_eq!(w.reason(job, Kind::Preempting).hosts, ["rnd40"]);
}

#[test]
fn a_host_that_is_emptied_takes_nothing_of_another_share() {
    let mut w = world(&[("/a", 1), ("/b", 1)]);
    w.connect(1, 4);
    let mut hosts = Hosts::default();
    let small = w.submit(with_priority(1, many("/b", 200)));
    hosts.hear(&mut w);
    let mut wide = with_priority(5, many("/a", 1));
    wide.reservation.slots = 4;
    let wide = w.submit(wide);
    for _ in 0..60 {
        w.wait(10);
        end_one(&mut w, &mut hosts, small);
        if hosts.of(wide) > 0 {
            break;
        }
    }
    assert_eq!(hosts.of(wide), 1, "it has not starved");
}

#[test]
fn without_weights_nothing_costs_more_and_with_them_no_more_than_a_look_at_each_cluster() {
    let cost = |weights: &[(&str, u32)], jobs: u32, clusters: u32| {
        let mut w = world(weights);
        w.connect(1, 1);
        w.submit(many("/x", 1));
        let order = w.order();
        for number in 0..jobs {
            w.submit(many(&format!("/show{}", number % clusters), 100));
        }
        let before = w.engine.planner.asked();
        w.end(order, End::Exit(0));
        w.gone(1, order.1);
        w.engine.planner.asked() - before
    };
    let weights = [("/show0", 2), ("/show1", 3), ("/show2", 5)];
    let plain = cost(&[], 8, 8);
    assert_eq!(plain, cost(&[], 80, 8));
    assert_eq!(
        cost(&weights, 8, 8),
        plain,
        "each cluster is looked at once"
    );
    assert_eq!(cost(&weights, 80, 8), plain, "however much waits");
}

pub(super) fn why_says_what_the_shares_have_and_what_it_says_lets_the_job_run() {
    let scene = || {
        let mut w = world(&[("/showA", 3), ("/showB", 1)]);
        w.connect(1, 10);
        let mut hosts = Hosts::default();
        w.submit(many("/showA", 9));
        let other = w.submit(many("/showB", 1));
        hosts.hear(&mut w);
        let behind = w.submit(with_priority(1, many("/showA", 4)));
        let first = w.submit(with_priority(3, many("/showB", 4)));
        (w, hosts, other, behind, first)
    };
    let (mut w, mut hosts, other, behind, first) = scene();
    // As long as all is taken by the first ones the best of either comes next.
    end_one(&mut w, &mut hosts, other);
    assert_eq!(hosts.of(first), 1, "9 for 3 are more than none for 1");
    let (mut w, mut hosts, other, behind_too, _) = scene();
    assert_eq!(behind, behind_too);
    let more = w.submit(with_priority(1, many("/showA", 4)));
    w.act_as("root", Action::Kill, Target::Job(behind))
        .expect("allowed");
    let told = w.reason(more, Kind::Share);
    assert_eq!(
        told.text,
        format!(
            "cluster /showA has 9 slots for a weight of 3, /showB 1 for 1: /showB comes first (job {first})"
        )
    );
    let hint = told.hint.expect("a way out");
    assert_eq!(
        hint,
        format!(
            "tessera modify {more} --cluster /showB; or /showA=10 in supervisor_cluster_weights"
        )
    );
    w.follow(&hint, "modify");
    end_one(&mut w, &mut hosts, other);
    assert_eq!(hosts.of(more), 1);
}

#[test]
fn why_says_what_the_shares_have() {
    why_says_what_the_shares_have_and_what_it_says_lets_the_job_run();
}
