//! Groups of hosts: what a job asks of them, and why it waits.

use super::*;

/// Connects a host that is in these groups.
fn connect_in(w: &mut World, number: u8, groups: &str) {
    w.connect_as(number, 2, Identity::User);
    w.say(number, FromWorker::Hello(in_groups(w, number, groups)));
    w.say(number, FromWorker::Inventory(Vec::new()));
}

fn in_groups(w: &World, number: u8, groups: &str) -> HostFacts {
    let mut facts = w.engine.host(host(number)).expect("there").facts.clone();
    let groups = groups.to_owned();
    facts.properties.insert("host.groups".to_owned(), groups);
    facts
}

fn in_only(groups: &[&str], omitgroups: &[&str]) -> JobSpec {
    let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    JobSpec {
        groups: set(groups),
        omitgroups: set(omitgroups),
        ..spec(1)
    }
}

#[test]
fn groups_and_omitgroups_are_kept() {
    let mut w = World::new();
    connect_in(&mut w, 1, "linux");
    connect_in(&mut w, 2, "GPU, linux");
    connect_in(&mut w, 3, "");
    w.submit(in_only(&["gpu", "none"], &[]));
    assert_eq!(w.order().0, 2);
    w.submit(in_only(&["linux"], &["gpu"]));
    assert_eq!(w.order().0, 1);
    w.submit(in_only(&[], &["linux"]));
    assert_eq!(w.order().0, 3);
    w.submit(JobSpec {
        hosts: ["rnd1".to_owned(), "rnd3".to_owned()].into(),
        ..in_only(&["linux"], &[])
    });
    assert_eq!(w.order().0, 1, "both must hold");
    let mut w = World::new();
    connect_in(&mut w, 1, "gpu");
    w.said.clear();
    w.submit(in_only(&[], &["gpu"]));
    assert!(w.said.is_empty(), "the only one is left out");
}

#[test]
pub(super) fn why_names_the_groups_and_what_it_says_lets_the_job_run() {
    let set = |names: &[&str]| Some(names.iter().map(|name| (*name).to_owned()).collect());
    let cases = [
        // What the host is in, what the job asks and omits, what is said and what is hinted.
        (
            "linux",
            "gpu",
            "linux,desktops",
            "rnd1 is in linux; gpu asked",
            "--groups gpu,linux --omitgroups \"desktops\"",
        ),
        (
            "desktops,linux",
            "gpu",
            "desktops",
            "rnd1 is in desktops,linux; gpu asked",
            "--groups gpu,linux --omitgroups \"\"",
        ),
        (
            "linux",
            "gpu",
            "",
            "rnd1 is in linux; gpu asked",
            "--groups gpu,linux",
        ),
        (
            "linux",
            "",
            "linux,desktops",
            "in group linux, which the job omits (omitgroups)",
            "--omitgroups \"desktops\"",
        ),
    ];
    for (is_in, asked, omitted, text, hint) in cases {
        let split = |names: &'static str| {
            names
                .split(',')
                .filter(|it| !it.is_empty())
                .collect::<Vec<_>>()
        };
        let mut w = World::new();
        connect_in(&mut w, 1, is_in);
        let job = w.submit(in_only(&split(asked), &split(omitted)));
        let why = w.engine.why(job).expect("there").remove(0);
        assert_eq!(why.text, text);
        assert_eq!(why.hint, Some(format!("tessera modify {job} {hint}")));
        assert!(w.said.is_empty());
        let option = |name: &str| {
            let (_, rest) = hint.split_once(name)?;
            let value = rest.trim_start().split(' ').next().unwrap_or_default();
            set(&split(value.trim_matches('"').to_owned().leak()))
        };
        let patch = Box::new(JobPatch {
            groups: option("--groups"),
            omitgroups: option("--omitgroups"),
            ..JobPatch::default()
        });
        let by = person("mia");
        w.step(Input::Modify { by, job, patch });
        assert_eq!(w.order().0, 1, "{hint}");
    }
}

#[test]
fn a_host_that_joins_a_group_takes_the_work_of_it_at_once() {
    let mut w = World::new();
    connect_in(&mut w, 1, "");
    let job = w.submit(in_only(&["gpu"], &[]));
    let why = w.engine.why(job).expect("there").remove(0);
    assert_eq!(why.text, "rnd1 is in no group; gpu asked");
    let facts = in_groups(&w, 1, "gpu");
    w.say(1, FromWorker::Hello(facts));
    w.say(1, FromWorker::Inventory(Vec::new()));
    assert_eq!(w.order().0, 1);
}

#[test]
fn hosts_of_other_groups_cost_nothing_however_many_there_are() {
    let cost = |others: u8| {
        let mut w = World::new();
        for number in 1..=others {
            connect_in(&mut w, number, "linux");
        }
        w.submit(in_only(&["gpu"], &[]));
        let before = w.engine.asked();
        w.submit(in_only(&["gpu"], &[]));
        w.engine.asked() - before
    };
    assert_eq!(cost(1), cost(100));
}
