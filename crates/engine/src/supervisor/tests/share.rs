//! Secondary instances: where a job grows, how it is shared out, to whom it gives way, and that it never has fewer than it asked for.

mod limits;

use super::*;
use tessera_model::{ClusterChoice, JobFlag, Reservation};

/// A farm that shares, with the policy that a farm has unless it says otherwise.
fn world() -> World {
    world_of(Config {
        preempt_policy: PreemptPolicy::Passive,
        ..Config::default()
    })
}

fn world_of(config: Config) -> World {
    let mut w = World::new();
    w.engine = Engine::new(Config {
        smart_share: SmartShare::ASKED,
        ..config
    });
    w
}

/// A job with so many frames that may grow.
fn growing(frames: u32, cpus: u32, most: u32) -> JobSpec {
    JobSpec {
        cpus,
        max_cpus: Some(most),
        ..spec(frames)
    }
}

/// What runs on the hosts, as their workers know it.
#[derive(Default)]
pub(super) struct Hosts(pub(super) BTreeMap<LaunchKey, (u8, Run)>);

impl Hosts {
    /// Has the workers hear all that was said to them.
    pub(super) fn hear(&mut self, w: &mut World) {
        while !w.said.is_empty() {
            match w.heard() {
                (host, ToWorker::Start { key, run, .. } | ToWorker::Run { key, run }) => {
                    self.0.insert(key, (host.0[0], run));
                }
                (host, ToWorker::Close { key, .. }) => {
                    self.0.remove(&key);
                    w.gone(host.0[0], key);
                }
                (_, other) => panic!("{other:?}"),
            }
        }
    }

    /// Ends the frame of one launch.
    pub(super) fn end(&mut self, w: &mut World, key: LaunchKey) {
        let (host, run) = self.0[&key];
        w.end((host, key, run), End::Exit(0));
        self.hear(w);
    }

    /// Ends the frames of all that runs now, one after the other.
    pub(super) fn round(&mut self, w: &mut World) {
        for key in self.0.keys().copied().collect::<Vec<_>>() {
            if self.0.contains_key(&key) {
                self.end(w, key);
            }
        }
    }

    /// Counts what runs of a job.
    pub(super) fn of(&self, job: JobId) -> usize {
        self.0.keys().filter(|key| key.job == job).count()
    }
}

fn seconds(w: &World, job: JobId) -> u32 {
    w.engine.job(job).expect("there").secondaries()
}

#[test]
fn a_job_has_what_nobody_wants_up_to_its_most_and_no_more_than_it_has_frames() {
    let mut w = world();
    w.connect(1, 8);
    let mut hosts = Hosts::default();
    let job = w.submit(growing(20, 2, 6));
    hosts.hear(&mut w);
    assert_eq!((hosts.of(job), seconds(&w, job)), (6, 4));
    let short = w.submit(growing(2, 1, 6));
    hosts.hear(&mut w);
    assert_eq!(hosts.of(short), 2, "it has two frames");
    assert_eq!(w.engine.job(short).expect("there").instances().len(), 2);
}

#[test]
fn who_asks_for_nothing_has_nothing_more_unless_the_site_says_so() {
    let mut w = world();
    w.connect(1, 8);
    let mut hosts = Hosts::default();
    let job = w.submit(JobSpec { cpus: 2, ..spec(9) });
    hosts.hear(&mut w);
    assert_eq!(hosts.of(job), 2);
    let site = SmartShare {
        default: tessera_model::job::CPUS_ALL,
        limit: 5,
        ..SmartShare::ASKED
    };
    w.engine = Engine::new(Config {
        smart_share: site,
        ..Config::default()
    });
    w.connect(1, 8);
    let mut hosts = Hosts::default();
    let job = w.submit(JobSpec { cpus: 2, ..spec(9) });
    hosts.hear(&mut w);
    assert_eq!(hosts.of(job), 5, "the site's default, and its limit");
    assert_eq!(w.engine.job(job).expect("there").spec.max_cpus, Some(5));
    let own = w.submit(growing(9, 1, 0));
    hosts.hear(&mut w);
    assert_eq!(hosts.of(own), 1, "its own word is before the site's");
}

#[test]
fn a_site_that_shares_nothing_starts_nothing_that_is_secondary() {
    let mut w = World::new();
    w.connect(1, 8);
    let job = w.submit(growing(9, 2, 6));
    assert_eq!([0; 2].map(|_| w.order().1.job), [job; 2]);
    assert!(w.said.is_empty());
}

#[test]
fn what_is_idle_is_shared_out_equally_whatever_the_priorities() {
    let mut w = world();
    let jobs = [1, 5, 9].map(|priority| {
        w.submit(JobSpec {
            priority,
            ..growing(40, 1, 40)
        })
    });
    w.connect(1, 5);
    w.connect(2, 7);
    let mut hosts = Hosts::default();
    hosts.hear(&mut w);
    assert_eq!(jobs.map(|job| hosts.of(job)), [4, 4, 4]);
    // One that is smaller leaves its part to the others.
    let mut w = world();
    let jobs = [2, 40, 40].map(|most| w.submit(growing(40, 1, most)));
    w.connect(1, 12);
    let mut hosts = Hosts::default();
    hosts.hear(&mut w);
    assert_eq!(jobs.map(|job| hosts.of(job)), [2, 5, 5]);
}

#[test]
fn who_comes_later_has_its_own_at_the_end_of_frames_and_then_an_equal_part() {
    let mut w = world();
    w.connect(1, 12);
    let mut hosts = Hosts::default();
    let first = w.submit(growing(400, 2, 40));
    hosts.hear(&mut w);
    assert_eq!(hosts.of(first), 12);
    let second = w.submit(growing(400, 2, 40));
    hosts.hear(&mut w);
    assert_eq!(hosts.of(second), 0, "frames are not ended for it");
    for _ in 0..12 {
        hosts.round(&mut w);
        assert_eq!(hosts.of(first) + hosts.of(second), 12, "nothing is idle");
    }
    assert_eq!((hosts.of(first), hosts.of(second)), (6, 6));
    let before: Vec<LaunchKey> = hosts.0.keys().copied().collect();
    hosts.round(&mut w);
    hosts.round(&mut w);
    let after: Vec<LaunchKey> = hosts.0.keys().copied().collect();
    assert_eq!(before, after, "and nobody leaves for an equal");
}

#[test]
fn whatever_is_primary_is_before_what_is_secondary_however_near_and_good_that_is() {
    let mut w = world();
    let near = |cluster: &str| cluster.parse::<ClusterChoice>().expect("good");
    let grows = w.submit(JobSpec {
        priority: 1,
        cluster: near("/film"),
        ..growing(90, 1, 8)
    });
    let far = w.submit(JobSpec {
        priority: 9000,
        cpus: 5,
        cluster: near("/far/away"),
        ..spec(90)
    });
    w.connect(1, 8);
    let mut hosts = Hosts::default();
    hosts.hear(&mut w);
    assert_eq!((hosts.of(grows), hosts.of(far)), (3, 5));
    // And it gives them back.
    let late = w.submit(JobSpec {
        priority: 9000,
        cpus: 3,
        cluster: near("/far/away"),
        ..spec(9)
    });
    hosts.round(&mut w);
    assert_eq!((hosts.of(grows), hosts.of(late)), (1, 2));
    for _ in 0..3 {
        hosts.round(&mut w);
        assert!(hosts.of(grows) >= 1, "never fewer than it asked for");
    }
}

#[test]
fn of_a_job_the_last_leave_and_never_one_of_those_that_it_asked_for() {
    let mut w = world();
    w.connect(1, 6);
    let mut hosts = Hosts::default();
    let job = w.submit(growing(60, 3, 6));
    hosts.hear(&mut w);
    w.submit(JobSpec {
        cpus: 9,
        ..spec(90)
    });
    let lasting: Vec<u32> = hosts.0.keys().map(|key| key.instance.0).collect();
    assert_eq!(lasting, [0, 1, 2, 3, 4, 5]);
    hosts.round(&mut w);
    let left = hosts.0.keys().filter(|key| key.job == job);
    let left: Vec<u32> = left.map(|key| key.instance.0).collect();
    assert_eq!(left, [0, 1, 2]);
    assert_eq!(seconds(&w, job), 0);
}

#[test]
fn one_that_is_lost_is_no_loss_while_there_are_more_than_asked_for() {
    let mut w = world();
    w.connect(1, 2);
    w.connect(2, 2);
    let mut hosts = Hosts::default();
    let job = w.submit(growing(60, 2, 4));
    let rest = w.submit(spec(60));
    hosts.hear(&mut w);
    for _ in 0..4 {
        hosts.round(&mut w);
    }
    assert_eq!((hosts.of(job), hosts.of(rest)), (3, 1), "one beyond two");
    let first = *hosts.0.keys().find(|key| key.job == job).expect("one");
    w.act(Action::Interrupt, Target::Instance(job, first.instance))
        .expect("allowed");
    assert!(
        w.engine
            .job(job)
            .expect("there")
            .instances_in(WorkStatus::Running)
            == 2
    );
    assert_eq!(
        seconds(&w, job),
        0,
        "the others are those that it asked for"
    );
    hosts.hear(&mut w);
    assert_eq!(
        (hosts.of(job), hosts.of(rest)),
        (3, 1),
        "the room is still its"
    );
}

#[test]
fn one_that_leaves_is_none_of_those_that_it_asked_for() {
    let mut w = world();
    (1..=3).for_each(|number| w.connect(number, 1));
    let mut hosts = Hosts::default();
    let job = w.submit(growing(60, 1, 3));
    hosts.hear(&mut w);
    let at = |no: u32| {
        let key = hosts.0.keys().find(|key| key.instance.0 == no);
        *key.expect("it runs")
    };
    let (first, second, third) = (at(0), at(1), at(2));
    let on = |key: LaunchKey| format!("rnd{}", hosts.0[&key].0);
    let (one, other) = (on(second), on(third));
    let wants = |host: &String| JobSpec {
        hosts: [host.clone()].into(),
        ..spec(9)
    };
    let leaving = |w: &World, key| w.engine.launch(key).map(|it| it.phase != Phase::Open);
    w.submit(wants(&one));
    assert_eq!(leaving(&w, second), Some(true));
    w.act(Action::Kill, Target::Instance(job, first.instance))
        .expect("allowed");
    w.submit(wants(&other));
    assert_eq!(
        leaving(&w, third),
        Some(false),
        "it is all that the job has"
    );
    let job = w.engine.job(job).expect("there");
    assert_eq!(w.engine.level_of(job, third.instance), None);
    are_the_same(&w, job);
}

/// What is asked of all instances at once is what is asked of each.
fn are_the_same(w: &World, job: &Job) {
    let all = job.instances().iter().map(|it| it.no);
    let each = all.filter(|no| w.engine.level_of(job, *no).is_some());
    let each: Vec<InstanceNo> = each.collect();
    let at_once: Vec<InstanceNo> = w.engine.secondaries_of(job).into_iter().collect();
    assert_eq!(at_once, each);
}

#[test]
fn a_wide_job_has_secondary_ones_end_their_frames_and_nothing_small_comes_between() {
    let mut w = world();
    w.connect(1, 4);
    let mut hosts = Hosts::default();
    let small = w.submit(growing(60, 1, 8));
    hosts.hear(&mut w);
    assert_eq!(hosts.of(small), 4);
    let wide = w.submit(JobSpec {
        priority: 9999,
        reservation: Reservation {
            slots: 3,
            ..Reservation::default()
        },
        ..spec(2)
    });
    let keys: Vec<LaunchKey> = hosts.0.keys().copied().collect();
    for key in &keys[1..] {
        assert_eq!(hosts.of(wide), 0);
        hosts.end(&mut w, *key);
    }
    assert_eq!((hosts.of(small), hosts.of(wide)), (1, 1));
}

#[test]
fn an_aggressive_site_ends_what_is_secondary_and_one_that_preempts_nobody_waits_for_its_frames() {
    for (policy, at_once) in [
        (PreemptPolicy::Aggressive, 2),
        (PreemptPolicy::Disabled, 0),
        (PreemptPolicy::Passive, 0),
    ] {
        let mut w = world_of(Config {
            preempt_policy: policy,
            ..Config::default()
        });
        w.connect(1, 4);
        let mut hosts = Hosts::default();
        let job = w.submit(growing(60, 2, 4));
        let usual = w.submit(spec(60));
        hosts.hear(&mut w);
        hosts.round(&mut w);
        assert_eq!((hosts.of(job), hosts.of(usual)), (3, 1), "{policy:?}");
        let late = w.submit(JobSpec {
            cpus: 2,
            ..spec(60)
        });
        hosts.hear(&mut w);
        assert_eq!(hosts.of(late), at_once.min(1), "{policy:?}");
        hosts.round(&mut w);
        // What is primary stays where nothing that stands higher waits.
        assert_eq!(
            (hosts.of(job), hosts.of(usual), hosts.of(late)),
            (2, 1, 1),
            "{policy:?}"
        );
    }
}

#[test]
fn a_farm_that_preempts_nobody_still_says_whom_a_person_could_have_leave() {
    let mut w = world_of(Config::default());
    w.connect(1, 1);
    w.submit(JobSpec {
        priority: 9,
        ..spec(5)
    });
    let high = w.submit(JobSpec {
        priority: 1,
        ..spec(1)
    });
    let why = w.engine.why(high).expect("there");
    let could = why.iter().find(|it| it.kind == why::Kind::CouldPreempt);
    let hint = could.and_then(|it| it.hint.as_deref());
    assert!(
        hint.is_some_and(|it| it.contains("tessera preempt 1.0")),
        "{why:?}"
    );
}

#[test]
fn a_modified_job_grows_and_shrinks_at_the_end_of_its_frames() {
    let mut w = world();
    w.connect(1, 8);
    let mut hosts = Hosts::default();
    let job = w.submit(growing(200, 2, 0));
    hosts.hear(&mut w);
    let modify = |w: &mut World, patch: JobPatch| {
        let patch = Box::new(patch);
        w.step(Input::Modify {
            by: person("mia"),
            job,
            patch,
        })
        .expect("an answer")
    };
    let most = |most: u32| JobPatch {
        max_cpus: Some(most),
        ..JobPatch::default()
    };
    modify(&mut w, most(5)).expect("allowed");
    hosts.hear(&mut w);
    assert_eq!((hosts.of(job), seconds(&w, job)), (5, 3));
    let cpus = JobPatch {
        cpus: Some(4),
        ..JobPatch::default()
    };
    modify(&mut w, cpus).expect("allowed");
    hosts.hear(&mut w);
    assert_eq!(
        (hosts.of(job), seconds(&w, job)),
        (5, 1),
        "more of them are its own"
    );
    modify(&mut w, most(tessera_model::job::CPUS_ALL)).expect("allowed");
    hosts.hear(&mut w);
    assert_eq!((hosts.of(job), seconds(&w, job)), (8, 4));
    modify(&mut w, most(0)).expect("allowed");
    hosts.hear(&mut w);
    assert_eq!(hosts.of(job), 8, "its frames go on");
    hosts.round(&mut w);
    hosts.round(&mut w);
    assert_eq!((hosts.of(job), seconds(&w, job)), (4, 0));
}

#[test]
fn what_could_not_be_given_back_is_never_secondary() {
    let mut w = world();
    w.connect(1, 8);
    for flag in [
        JobFlag::Uninterruptible,
        JobFlag::Elite,
        JobFlag::HostList,
        JobFlag::Grid,
    ] {
        let flagged = |spec: JobSpec| JobSpec {
            flags: [flag].into(),
            ..spec
        };
        let answer = w.try_submit("root", flagged(growing(9, 1, 8)), None);
        let said = format!("{:?}", answer.expect_err("refused"));
        assert!(
            said.contains("max_cpus") && said.contains(flag.word()),
            "{said}"
        );
        let Ok(Answer::Submitted { job, .. }) = w.try_submit("root", flagged(spec(9)), None) else {
            panic!("refused");
        };
        assert_eq!(w.engine.job(job).expect("there").instances().len(), 1);
        let patch = JobPatch {
            max_cpus: Some(3),
            ..JobPatch::default()
        };
        let by = person("root");
        let patch = Box::new(patch);
        let answer = w.step(Input::Modify { by, job, patch });
        let said = format!("{:?}", answer.expect("an answer").expect_err("refused"));
        assert!(
            said.contains("max_cpus") && said.contains(flag.word()),
            "{said}"
        );
    }
    let cmdline = JobSpec {
        kind: JobKind::CmdLine,
        ..growing(1, 2, 8)
    };
    let answer = w.try_submit("mia", cmdline, None).expect_err("refused");
    assert!(
        answer.to_string().contains("one run of its command"),
        "{answer}"
    );
}

#[test]
fn a_restarted_supervisor_knows_what_is_secondary() {
    let mut w = world();
    w.connect(1, 6);
    let mut hosts = Hosts::default();
    let job = w.submit(growing(60, 2, 6));
    hosts.hear(&mut w);
    let image = w.engine.job_image(job).expect("there");
    assert_eq!(image.instances.len(), 6);
    let known = w.engine.job(job).expect("there");
    let levels: Vec<Option<u32>> = (0..6).map(|no| known.level_of(InstanceNo(no))).collect();
    assert_eq!(levels, [None, None, Some(0), Some(1), Some(2), Some(3)]);
    assert_eq!(w.engine.secondaries_of(known).len(), 4);
    are_the_same(&w, known);
}

#[test]
pub(super) fn why_says_what_is_secondary_and_what_keeps_it_from_more() {
    let told = |w: &World, job: JobId| {
        let reasons = w.engine.why(job).expect("there").into_iter();
        let found = reasons.filter(|it| it.kind == why::Kind::Secondary);
        found.map(|it| (it.count, it.text, it.hint)).next_back()
    };
    let mut w = world();
    w.connect(1, 4);
    let mut hosts = Hosts::default();
    let small = w.submit(growing(60, 1, 2));
    hosts.hear(&mut w);
    let (count, text, hint) = told(&w, small).expect("it is told");
    assert_eq!(
        (count, text.as_str()),
        (
            1,
            "it has its 1 instances and 1 secondary ones; that is all it may have"
        )
    );
    let hint = hint.expect("a way out");
    assert!(hint.starts_with("tessera modify 1 --max-cpus N"), "{hint}");
    let by = person("mia");
    let patch = Box::new(JobPatch {
        max_cpus: Some(9),
        ..JobPatch::default()
    });
    w.step(Input::Modify {
        by,
        job: small,
        patch,
    });
    hosts.hear(&mut w);
    assert_eq!(hosts.of(small), 4, "what the hint says lets it have more");
    let (_, text, _) = told(&w, small).expect("it is told");
    assert!(
        text.ends_with("more start where no primary instance of anybody wants the room"),
        "{text}"
    );
    // One that lacks some of its own is told nothing of it.
    let late = w.submit(growing(60, 1, 9));
    assert_eq!(told(&w, late), None);
    let why = w.engine.why(late).expect("there");
    let room = why.iter().find(|it| it.kind == why::Kind::Preempting);
    let text = &room.expect("it is told").text;
    assert_eq!(
        text,
        "room is made for it on rnd1: instance 1.3 leaves at the end of its frame"
    );
    let said: Vec<&str> = w.told.iter().map(|it| it.text.as_str()).collect();
    let left = "instance 1.3 leaves at the end of its frame on rnd1: preempted by job 2 (it is secondary: beyond the 1 cpus of its job)";
    assert!(said.contains(&left), "{said:?}");
}
