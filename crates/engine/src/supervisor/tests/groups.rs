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
fn why_names_the_groups_and_what_it_says_lets_the_job_run() {
    let mut w = World::new();
    connect_in(&mut w, 1, "linux");
    let job = w.submit(in_only(&["gpu"], &["linux", "desktops"]));
    let reason = |w: &World| w.engine.why(job).expect("there").remove(0);
    let why = reason(&w);
    assert_eq!(why.kind, why::Kind::NotInGroups);
    assert_eq!(why.text, "rnd1 is in linux; gpu asked");
    let hint = format!("tessera modify {job} --groups gpu,linux");
    assert_eq!(why.hint, Some(hint));
    let set = |names: &[&str]| Some(names.iter().map(|name| (*name).to_owned()).collect());
    let modify = |w: &mut World, patch| {
        let (by, patch) = (person("mia"), Box::new(patch));
        w.step(Input::Modify { by, job, patch });
    };
    modify(
        &mut w,
        JobPatch {
            groups: set(&["gpu", "linux"]),
            ..JobPatch::default()
        },
    );
    let why = reason(&w);
    assert_eq!(why.kind, why::Kind::OmittedGroup);
    let hint = format!("tessera modify {job} --omitgroups \"desktops\"");
    assert_eq!(why.hint, Some(hint));
    assert!(w.said.is_empty());
    modify(
        &mut w,
        JobPatch {
            omitgroups: set(&["desktops"]),
            ..JobPatch::default()
        },
    );
    assert_eq!(w.order().0, 1);
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
