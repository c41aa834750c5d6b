//! What a host prefers and what it keeps out: algorithms, clusters, restrictions; and the planner against a slow one.

use super::*;
use crate::supervisor::plan::asks::Said;
use crate::supervisor::plan::{Demands, Planner};
use std::collections::BTreeMap;
use std::sync::Arc;
use tessera_model::host::Takes;
use tessera_model::requirements::Operand;
use tessera_model::{ClusterPath, Requirement};

fn world(algorithm: Algorithm) -> World {
    let config = Config {
        queue_algorithm: algorithm,
        ..Config::default()
    };
    let mut w = World::new();
    w.engine = Engine::new(config);
    w
}

/// Connects a host of that cluster that takes jobs of these only.
fn connect_to(w: &mut World, number: u8, cluster: &str, restrictions: &str) {
    w.connect_as(number, 1, Identity::User);
    let mut facts = w.engine.host(host(number)).expect("there").facts.clone();
    for (name, value) in [
        ("host.cluster", cluster),
        ("host.restrictions", restrictions),
    ] {
        facts.properties.insert(name.to_owned(), value.to_owned());
    }
    w.say(number, FromWorker::Hello(facts));
    w.say(number, FromWorker::Inventory(Vec::new()));
}

fn of(cluster: &str, priority: u32) -> JobSpec {
    JobSpec {
        cluster: cluster.parse().expect(cluster),
        priority,
        ..spec(1)
    }
}

fn only_in(restrictions: &str) -> JobSpec {
    JobSpec {
        restrictions: Some(restrictions.parse().expect(restrictions)),
        ..spec(1)
    }
}

/// Submits jobs and answers in which order one host takes them: the numbers of the jobs in their order.
fn taken(algorithm: Algorithm, cluster: &str, specs: &[JobSpec]) -> Vec<u64> {
    let mut w = world(algorithm);
    for spec in specs {
        w.submit(spec.clone());
    }
    connect_to(&mut w, 1, cluster, "");
    let mut order = Vec::new();
    for _ in specs {
        let next = w.order();
        order.push(next.1.job.0);
        w.end(next, End::Exit(0));
        w.gone(1, next.1);
        w.said
            .retain(|(_, said)| !matches!(said, ToWorker::Close { .. }));
    }
    order
}

#[test]
fn each_algorithm_has_its_order() {
    let specs = [of("/x", 5), of("/a", 7), of("/x", 1), of("/a", 9)];
    assert_eq!(taken(Algorithm::Queue, "/a", &specs), [1, 2, 3, 4]);
    assert_eq!(taken(Algorithm::Priority, "/a", &specs), [3, 1, 2, 4]);
    assert_eq!(taken(Algorithm::Cluster, "/a", &specs), [2, 4, 3, 1]);
}

#[test]
fn a_host_takes_the_nearest_as_qubes_table_says() {
    let specs = [
        of("/X", 1),
        of("/A", 1),
        of("/A/B/X", 1),
        of("/A/B/C/D", 1),
        of("/A/B/C", 9_999),
        of("/X,/A/B+", 9_999),
    ];
    assert_eq!(
        taken(Algorithm::Cluster, "/A/B/C", &specs),
        [5, 6, 4, 3, 2, 1]
    );
}

#[test]
fn a_job_goes_to_the_nearest_of_the_idle_hosts() {
    let mut w = World::new();
    connect_to(&mut w, 1, "/x", "");
    connect_to(&mut w, 2, "/a/b", "");
    connect_to(&mut w, 3, "/a", "");
    w.submit(of("/a/b", 1));
    assert_eq!(w.order().0, 2);
    w.submit(of("/a/b", 1));
    assert_eq!(w.order().0, 3);
    w.submit(JobSpec {
        hosts: ["rnd1".to_owned(), "rnd3".to_owned()].into(),
        ..of("/a", 1)
    });
    assert_eq!(w.order().0, 1, "nobody waits for a nearer one");
}

#[test]
fn a_host_keeps_to_its_restrictions_and_a_job_to_its_own() {
    let mut w = World::new();
    connect_to(&mut w, 1, "/a", "/a || /a/+");
    connect_to(&mut w, 2, "/b", "");
    w.submit(of("/b", 1));
    assert_eq!(w.order().0, 2);
    w.submit(of("/b", 1));
    assert!(w.said.is_empty(), "rnd1 takes jobs of /a and below only");
    w.submit(of("/a/x", 9));
    assert_eq!(w.order().0, 1);
    let mut w = World::new();
    connect_to(&mut w, 1, "/a/x", "");
    connect_to(&mut w, 2, "/a", "");
    w.submit(only_in("/a/*"));
    assert_eq!(w.order().0, 1);
    w.submit(only_in("/a/* || /c"));
    assert!(w.said.is_empty(), "rnd2 is in /a itself");
}

#[test]
fn a_host_whose_restrictions_cant_be_read_takes_nothing() {
    let mut w = World::new();
    connect_to(&mut w, 1, "/a", "a || b");
    let job = w.submit(of("/a", 1));
    assert!(w.said.is_empty());
    let why = w.engine.why(job).expect("there").remove(0);
    assert_eq!(why.kind, why::Kind::HostRestricted);
}

fn modify(w: &mut World, job: JobId, patch: JobPatch) {
    let (by, patch) = (person("mia"), Box::new(patch));
    w.step(Input::Modify { by, job, patch });
}

#[test]
pub(super) fn why_names_restrictions_and_what_it_says_lets_the_job_run() {
    let mut w = World::new();
    connect_to(&mut w, 1, "/a", "/a || /b");
    let job = w.submit(JobSpec {
        cluster: "/c".parse().expect("a cluster"),
        ..only_in("/c/+")
    });
    let why = w.engine.why(job).expect("there").remove(0);
    assert_eq!(why.kind, why::Kind::NotInCluster);
    assert_eq!(
        why.text,
        "rnd1 is in cluster /a; the job is restricted to /c/+"
    );
    let hint = format!("tessera modify {job} --restrictions \"/c/+ || /a\"");
    assert_eq!(why.hint, Some(hint));
    let restrictions = Some(Some("/c/+ || /a".parse().expect("a restriction")));
    modify(
        &mut w,
        job,
        JobPatch {
            restrictions,
            ..JobPatch::default()
        },
    );
    let why = w.engine.why(job).expect("there").remove(0);
    assert_eq!(why.kind, why::Kind::HostRestricted);
    assert_eq!(
        why.text,
        "rnd1 takes jobs of /a || /b only; the job is in /c"
    );
    assert_eq!(
        why.hint,
        Some(format!("tessera modify {job} --cluster /c,/a"))
    );
    assert!(w.said.is_empty());
    let cluster = Some("/c,/a".parse().expect("clusters"));
    modify(
        &mut w,
        job,
        JobPatch {
            cluster,
            ..JobPatch::default()
        },
    );
    assert_eq!(w.order().0, 1);
}

#[test]
fn why_tells_who_is_nearer_and_what_it_says_puts_the_job_first() {
    let mut w = World::new();
    connect_to(&mut w, 1, "/a", "");
    w.submit(of("/a", 9));
    let running = w.order();
    let near = w.submit(of("/a", 9));
    let far = w.submit(of("/x", 1));
    let reasons = w.engine.why(far).expect("there");
    let behind = |it: &&why::Reason| it.kind == why::Kind::BehindJobs;
    let why = reasons.iter().find(behind).expect("behind");
    let text = format!("before it on rnd1, which is in cluster /a: job {near}");
    assert_eq!(why.text, text);
    let hint = format!("tessera modify {far} --cluster /x,/a");
    assert_eq!(why.hint, Some(hint));
    let cluster = Some("/x,/a".parse().expect("clusters"));
    modify(
        &mut w,
        far,
        JobPatch {
            cluster,
            ..JobPatch::default()
        },
    );
    w.end(running, End::Exit(0));
    w.said.clear();
    w.gone(1, running.1);
    assert_eq!(w.order().1.job, far);
}

/// Numbers without order, the same at each run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }

    fn pick<'a>(&mut self, all: &[&'a str]) -> &'a str {
        all[usize::try_from(self.below(all.len() as u64)).expect("small")]
    }
}

const CLUSTERS: &[&str] = &[
    "/",
    "/a",
    "/a/b",
    "/a/b/c",
    "/d",
    "/a+",
    "/d,/a/b",
    "/d+,/a/b/c",
];
const PATHS: &[&str] = &["/", "/a", "/a/b", "/a/b/c", "/d"];
const RESTRICTIONS: &[&str] = &["", "", "/a || /a/+", "/*", "/d"];
const OF_HOSTS: &[&str] = &["linux", "windows", ""];
const REQUIREMENTS: &[&str] = &[
    "",
    "",
    "host.os == linux",
    "host.os != linux",
    "host.os == \"\" or host.os == windows",
    "job.priority == 1 or host.os == linux",
];
const GROUPS: &[&str] = &["", "", "gpu", "gpu,linux"];

struct SmallHost {
    os: String,
    traits: Arc<Traits>,
    slots: u32,
}

fn set(names: &str) -> std::collections::BTreeSet<String> {
    let names = names.split(',').filter(|name| !name.is_empty());
    names.map(str::to_owned).collect()
}

fn small_host(dice: &mut Dice) -> SmallHost {
    let cluster: ClusterPath = dice.pick(PATHS).parse().expect("a path");
    let takes = match dice.pick(RESTRICTIONS) {
        "" => Takes::All,
        text => Takes::Those(text.parse().expect("a restriction")),
    };
    let groups = set(dice.pick(GROUPS));
    let os = dice.pick(OF_HOSTS).to_owned();
    SmallHost {
        os,
        traits: Arc::new(Traits {
            groups,
            cluster,
            takes,
            said: BTreeMap::new(),
        }),
        slots: u32::try_from(dice.below(4)).expect("small"),
    }
}

fn small_job(dice: &mut Dice) -> JobSpec {
    let restrictions = dice.pick(RESTRICTIONS);
    let requirements = dice.pick(REQUIREMENTS);
    let mut job = JobSpec {
        requirements: (!requirements.is_empty())
            .then(|| Arc::new(Requirement::parse(requirements).expect("good"))),
        groups: set(dice.pick(GROUPS)),
        restrictions: (!restrictions.is_empty()).then(|| restrictions.parse().expect("good")),
        ..of(
            dice.pick(CLUSTERS),
            1 + u32::try_from(dice.below(3)).expect("small"),
        )
    };
    job.reservation.slots = 1 + u32::try_from(dice.below(2)).expect("small");
    job
}

/// What the shares have, for the obvious planner: slots of each, all weights being parts of 60.
#[derive(Default)]
struct Parts(BTreeMap<&'static str, u64>);

/// Clusters with a weight, when there are some.
const WEIGHTS: [(&str, u32); 3] = [("/a", 3), ("/a/b", 2), ("/", 5)];

impl Parts {
    fn share(job: &JobSpec) -> (&'static str, u32) {
        let text = job.cluster.to_string();
        match text.split([',', '+']).next() {
            Some("/a/b" | "/a/b/c") => WEIGHTS[1],
            Some("/a") => WEIGHTS[0],
            _ => WEIGHTS[2],
        }
    }

    fn of(&self, job: &JobSpec) -> u64 {
        let (name, weight) = Self::share(job);
        self.0
            .get(name)
            .map_or(0, |used| used * 60 / u64::from(weight))
    }

    fn take(&mut self, job: &JobSpec) {
        if let Some(used) = self.0.get_mut(Self::share(job).0) {
            *used += u64::from(job.reservation.slots);
        }
    }
}

/// The obvious planner: what a host would take, of all jobs that are there.
fn best_for<'a>(
    algorithm: Algorithm,
    parts: &Parts,
    host: &SmallHost,
    jobs: &'a BTreeMap<JobId, JobSpec>,
) -> Option<&'a JobId> {
    let may = |(_, job): &(&JobId, &JobSpec)| {
        let traits = &host.traits;
        let among = job.groups.is_empty() || job.groups.iter().any(|it| traits.groups.contains(it));
        let inside = job
            .restrictions
            .as_ref()
            .is_none_or(|it| it.admits(&traits.cluster));
        let taken = match &traits.takes {
            Takes::All => true,
            Takes::Those(takes) => takes.admits_choice(&job.cluster),
            Takes::Nothing => false,
        };
        // By hand, and not by reading it.
        let asked = match job
            .requirements
            .as_ref()
            .map(ToString::to_string)
            .as_deref()
        {
            None => true,
            Some("host.os == linux") => host.os == "linux",
            Some("host.os != linux") => host.os == "windows",
            Some("host.os == \"\" or host.os == windows") => host.os != "linux",
            Some(_) => job.priority == 1 || host.os == "linux",
        };
        among && inside && taken && asked && host.slots >= job.reservation.slots
    };
    let rank = |(id, job): &(&JobId, &JobSpec)| {
        let part = parts.of(job);
        match algorithm {
            Algorithm::Queue => (0, part, 0, **id),
            Algorithm::Priority => (0, part, job.priority, **id),
            // Where there are shares a host in no cluster is as near to all.
            Algorithm::Cluster if !parts.0.is_empty() && host.traits.cluster.depth() == 0 => {
                (1, part, job.priority, **id)
            }
            Algorithm::Cluster => (
                job.cluster.distance(&host.traits.cluster),
                part,
                job.priority,
                **id,
            ),
        }
    };
    jobs.iter().filter(may).min_by_key(rank).map(|(id, _)| id)
}

/// Answers the kind of a host, with what of it somebody reads.
fn kind(planner: &Planner, small: &SmallHost) -> Arc<Traits> {
    let os = Operand::parse("host.os").expect("one");
    let is_read = planner.operands().any(|it| *it == os) && !small.os.is_empty();
    let said = is_read.then(|| (os, Said::Text(small.os.clone())));
    Arc::new(Traits {
        said: said.into_iter().collect(),
        ..(*small.traits).clone()
    })
}

/// Plays a small farm at random; after each placement the obvious planner must agree, and in the end find nothing left to do.
fn play(seed: u64, algorithm: Algorithm, has_weights: bool) {
    let mut dice = Dice(seed | 1);
    let mut parts = Parts::default();
    let mut weights = ClusterWeights::default();
    if has_weights {
        parts.0 = WEIGHTS.iter().map(|(name, _)| (*name, 0)).collect();
        let named = WEIGHTS.map(|(name, weight)| (name.parse().expect("a path"), weight));
        weights = ClusterWeights::new(named.into());
    }
    let mut planner = Planner::new(algorithm).sharing(weights);
    let mut hosts: BTreeMap<HostId, SmallHost> = BTreeMap::new();
    let mut jobs: BTreeMap<JobId, JobSpec> = BTreeMap::new();
    let mut classes = BTreeMap::new();
    let rank = |spec: &JobSpec, id: JobId| match algorithm {
        Algorithm::Queue => (0, 0, id),
        Algorithm::Priority | Algorithm::Cluster => (spec.priority, 0, id),
    };
    for step in 0..60 {
        if dice.below(3) == 0 {
            let number = host(u8::try_from(dice.below(5)).expect("small"));
            let small = small_host(&mut dice);
            planner.set_free(
                number,
                "rnd",
                &kind(&planner, &small),
                (small.slots, 0, false),
                |_| 0,
            );
            hosts.insert(number, small);
        } else {
            let (id, spec) = (JobId(step), small_job(&mut dice));
            let class = planner.take_class(Demands::of(&spec, id, &name("mia")));
            if class.is_new_operand {
                for (number, small) in &hosts {
                    planner.set_kind(*number, &kind(&planner, small));
                }
            }
            planner.set_ready(class.number, rank(&spec, id), true);
            classes.insert(id, class.number);
            jobs.insert(id, spec);
        }
        if dice.below(4) == 0 {
            planner.touch_all();
        }
        while let Some(found) = planner.next(&|_, _| true) {
            let small = hosts.get_mut(&found.host).expect("known");
            assert_eq!(
                Some(&found.job),
                best_for(algorithm, &parts, small, &jobs),
                "seed {seed}, step {step}"
            );
            let spec = jobs.remove(&found.job).expect("there");
            let share = planner.share_of(found.class);
            planner.count_used(share, plan::OUTSIDE, spec.reservation.slots.into());
            parts.take(&spec);
            assert_eq!(classes.get(&found.job), Some(&found.class));
            planner.set_ready(found.class, rank(&spec, found.job), false);
            planner.drop_class(found.class);
            small.slots -= spec.reservation.slots;
            planner.set_free(
                found.host,
                "rnd",
                &kind(&planner, small),
                (small.slots, 0, false),
                |_| 0,
            );
        }
        for (number, small) in &hosts {
            let left = best_for(algorithm, &parts, small, &jobs);
            assert_eq!(left, None, "seed {seed}, step {step}: {number} is idle");
        }
    }
}

#[test]
fn the_planner_agrees_with_an_obvious_one() {
    for seed in 1..=150 {
        for algorithm in Algorithm::ALL {
            play(seed * 7_919, algorithm, false);
            if seed % 3 == 0 {
                play(seed * 7_919, algorithm, true);
            }
        }
    }
}

#[test]
fn top_moves_past_every_job_where_only_age_counts() {
    let mut w = world(Algorithm::Queue);
    w.connect(1, 1);
    w.submit(of("/", 5));
    w.order();
    w.submit(of("/", 1));
    let last = w.submit(of("/", 9));
    let why = w.engine.why(last).expect("there").remove(0);
    assert_eq!(why.kind, why::Kind::BehindJobs);
    assert_eq!(why.hint, Some(format!("tessera top {last}")));
    w.act_as("root", Action::Top, Target::Job(last))
        .expect("allowed");
    let ahead = w.engine.why(last).expect("there").remove(0);
    assert_ne!(ahead.kind, why::Kind::BehindJobs, "it is the first now");
}
