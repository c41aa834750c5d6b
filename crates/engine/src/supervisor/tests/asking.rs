//! What jobs ask of hosts in expressions: which host takes them, why they wait, and what that costs.

use super::*;
use std::sync::Arc;
use tessera_model::Requirement;
use tessera_model::reservation::MEMORY;

fn asking(text: &str) -> JobSpec {
    JobSpec {
        requirements: Some(Arc::new(Requirement::parse(text).expect(text))),
        ..spec(1)
    }
}

/// Connects a host that says this of itself.
fn connect_saying(w: &mut World, number: u8, slots: u32, said: &[(&str, &str)], memory: u64) {
    w.connect_with(number, slots, Identity::User, &[(MEMORY, memory)]);
    let mut facts = w.engine.host(host(number)).expect("there").facts.clone();
    let said = said.iter();
    facts
        .properties
        .extend(said.map(|(name, value)| (format!("host.{name}"), (*value).to_owned())));
    w.say(number, FromWorker::Hello(facts));
    w.say(number, FromWorker::Inventory(Vec::new()));
}

fn modify(w: &mut World, job: JobId, text: &str) {
    let requirements = (!text.is_empty()).then(|| Arc::new(Requirement::parse(text).expect(text)));
    let patch = Box::new(JobPatch {
        requirements: Some(requirements),
        ..JobPatch::default()
    });
    let by = person("mia");
    let answer = w.step(Input::Modify { by, job, patch });
    assert_eq!(answer, Some(Ok(Answer::Done)));
}

/// Does what the first reason says, as somebody would who copies it from the screen.
fn follow(w: &mut World, job: JobId) {
    let hint = w.engine.why(job).expect("there").remove(0).hint;
    let hint = hint.expect("a way out");
    let (_, text) = hint
        .split_once("--requirements '")
        .expect("of requirements");
    let text = text
        .strip_suffix('\'')
        .expect("quoted")
        .replace(r"'\''", "'");
    modify(w, job, &text);
}

fn why(w: &World, job: JobId) -> (why::Kind, String) {
    let why = w.engine.why(job).expect("there").remove(0);
    (why.kind, why.text)
}

#[test]
fn a_host_is_used_only_where_what_the_job_asks_holds() {
    let mut w = World::new();
    connect_saying(
        &mut w,
        1,
        4,
        &[("os", "linux"), ("groups", "cpu")],
        48 << 10,
    );
    connect_saying(
        &mut w,
        2,
        4,
        &[("os", "linux"), ("groups", "gpu,fast")],
        64 << 10,
    );
    connect_saying(
        &mut w,
        3,
        4,
        &[("os", "windows"), ("flags", "dedicated")],
        64 << 10,
    );
    for (text, expected) in [
        ("host.os == windows", 3),
        ("host.os == winnt and host.memory >= 64G", 3),
        ("host.os == linux and host.memory >= 64G", 2),
        ("host.groups has gpu", 2),
        ("host.name == rnd1", 1),
        ("host.processors == 4 and host.flag.dedicated", 3),
        ("host.cluster == \"/\" and host.memory.avail < 64G", 1),
        (
            "host.state == up and not (host.groups == \"\") and host.groups has cpu",
            1,
        ),
        ("job.user == mia and host.memory.total < 50000", 1),
    ] {
        w.submit(asking(text));
        assert_eq!(w.order().0, expected, "{text}");
    }
    for text in [
        "host.gpus >= 1",
        "host.gpus == 0",
        "job.user == tom",
        "host.os == macos",
    ] {
        w.submit(asking(text));
        assert!(w.said.is_empty(), "{text}");
    }
}

#[test]
fn hosts_are_chosen_by_the_model_and_the_memory_of_their_gpus() {
    let mut w = World::new();
    // As workers say it (`tessera-worker`): the models, and the memory of the GPU that has least in MiB.
    let gpus = [
        (1, "RTX A6000", "49140"),
        (2, "RTX A6000,Tesla T4", "15360"),
        (3, "W7900", "46080"),
    ];
    for (number, models, memory) in gpus {
        let said = [("gpu_model", models), ("gpu_memory", memory)];
        connect_saying(&mut w, number, 8, &said, 1);
    }
    connect_saying(&mut w, 4, 8, &[], 1);
    for (text, expected) in [
        ("host.gpu_model has \"Tesla T4\"", 2),
        ("host.gpu_model has \"W7900\"", 3),
        (
            "host.gpu_model has \"RTX A6000\" and host.gpu_memory >= 40G",
            1,
        ),
        (
            "host.gpu_memory >= 40G and not (host.gpu_model has \"RTX A6000\")",
            3,
        ),
        ("host.gpu_memory < 16G", 2),
    ] {
        w.submit(asking(text));
        assert_eq!(w.order().0, expected, "{text}");
    }
    for text in ["host.gpu_memory >= 48G", "host.gpu_model has RTX"] {
        w.submit(asking(text));
        assert!(w.said.is_empty(), "{text}: {:?}", w.said);
    }
}

#[test]
fn one_instance_of_a_job_goes_to_a_host_when_it_asks_so() {
    let mut w = World::new();
    connect_saying(&mut w, 1, 8, &[], 1);
    connect_saying(&mut w, 2, 8, &[], 1);
    let job = w.submit(JobSpec { cpus: 4, ..spec(8) });
    for _ in 0..4 {
        assert_eq!(w.order().1.job, job);
    }
    let mut alone = asking("not (job.id in host.duty.id)");
    alone.kind = spec(8).kind;
    alone.cpus = 4;
    let job = w.submit(alone);
    let first = w.order();
    let second = w.order();
    assert_eq!([first.0, second.0], [2, 1]);
    assert!(w.said.is_empty(), "the others wait");
    let (kind, text) = why(&w, job);
    assert_eq!(kind, why::Kind::Running);
    assert_eq!(text, "2 items are running");
    let reasons = w.engine.why(job).expect("there");
    let said: Vec<&str> = reasons.iter().map(|it| it.text.as_str()).collect();
    let expected =
        "on rnd1 job.id is 2 and host.duty.id is 1,2, asked for not job.id in host.duty.id";
    assert!(said.contains(&expected), "{said:?}");
    // When it is gone from there, another comes.
    w.act(Action::Interrupt, Target::Instance(job, InstanceNo(0)))
        .expect("allowed");
    w.said.clear();
    w.gone(2, first.1);
    assert_eq!(w.order().0, 2);
}

#[test]
fn an_idle_host_is_awaited() {
    let mut w = World::new();
    connect_saying(&mut w, 1, 2, &[], 1);
    w.submit(spec(1));
    let first = w.order();
    let job = w.submit(asking("host.processors.used == 0"));
    assert!(w.said.is_empty());
    let (kind, text) = why(&w, job);
    assert_eq!(kind, why::Kind::Requirements);
    assert_eq!(text, "on rnd1 host.processors.used is 1, asked for == 0");
    w.end(first, End::Exit(0));
    w.said.clear();
    w.gone(1, first.1);
    assert_eq!(w.order().1.job, job);
}

#[test]
pub(super) fn why_tells_the_smallest_part_and_what_it_says_lets_the_job_run() {
    let cases = [
        (
            "host.os == linux and host.memory >= 64G",
            "on rnd1 host.memory is 48 GiB, asked for >= 64 GiB",
            "host.os == linux",
        ),
        (
            "host.os == windows or host.gpus >= 1",
            "on rnd1 host.os is linux, asked for == windows; or this host has no host.gpus, asked for >= 1",
            "",
        ),
        (
            "host.name == \"it's\" and host.os == linux and host.note == \"it's\"",
            "on rnd1 host.name is rnd1, asked for == \"it's\"",
            "host.os == linux and host.note == \"it's\"",
        ),
        (
            "host.processors.used == 3",
            "on rnd1 host.processors.used is 0, asked for == 3",
            "",
        ),
    ];
    for (text, expected, left) in cases {
        let mut w = World::new();
        let said = [("os", "linux"), ("note", "it's")];
        connect_saying(&mut w, 1, 2, &said, 48 << 10);
        let job = w.submit(asking(text));
        assert_eq!(why(&w, job), (why::Kind::Requirements, expected.to_owned()));
        follow(&mut w, job);
        assert_eq!(w.order().0, 1, "{text}");
        let asks = w.engine.job(job).expect("there").spec.requirements.clone();
        assert_eq!(asks.map_or_else(String::new, |it| it.to_string()), left);
    }
}

#[test]
fn what_a_host_says_later_counts_at_once() {
    let mut w = World::new();
    connect_saying(&mut w, 1, 2, &[("rack", "a")], 1);
    w.submit(asking("host.rack == b"));
    w.submit(asking("host.name == \"rnd1\" and host.rack == b"));
    assert!(w.said.is_empty());
    let mut facts = w.engine.host(host(1)).expect("there").facts.clone();
    facts.properties.insert("host.rack".into(), "b".into());
    w.say(1, FromWorker::Hello(facts));
    w.say(1, FromWorker::Inventory(Vec::new()));
    w.order();
    w.order();
}

#[test]
fn what_is_on_duty_says_what_it_was_changed_to() {
    let mut w = World::new();
    connect_saying(&mut w, 1, 2, &[], 1);
    let first = w.submit(spec(1));
    w.order();
    let job = w.submit(asking("not (host.duty.priority has 9999)"));
    assert!(w.said.is_empty());
    let patch = Box::new(JobPatch {
        priority: Some(5),
        ..JobPatch::default()
    });
    let by = person("mia");
    w.step(Input::Modify {
        by,
        job: first,
        patch,
    });
    assert_eq!(w.order().1.job, job);
}

#[test]
fn the_history_tells_a_number_that_was_changed_as_it_was() {
    let mut w = World::new();
    let job = w.submit(spec(1));
    let patch = Box::new(JobPatch {
        priority: Some(5),
        notes: Some("soon".into()),
        ..JobPatch::default()
    });
    let (by, now) = (person("mia"), w.engine.now);
    let out = w.engine.handle(now, Input::Modify { by, job, patch });
    let wanted = "changed priority from 9999 to 5, notes";
    let told = |change: &Change| matches!(change, Change::Event(event) if event.text == wanted);
    assert!(out.changes.iter().any(told), "{:?}", out.changes);
}

#[test]
fn a_restored_farm_asks_the_same() {
    let mut w = World::new();
    connect_saying(&mut w, 1, 2, &[("os", "linux")], 1);
    let job = w.submit(asking("host.os == windows"));
    let now = Now {
        wall: Timestamp(0),
        elapsed: Duration::ZERO,
    };
    w.engine = Engine::restore(Config::default(), now, w.engine.image()).expect("whole");
    connect_saying(&mut w, 1, 2, &[("os", "linux")], 1);
    assert!(w.said.is_empty());
    assert_eq!(why(&w, job).0, why::Kind::Requirements);
    connect_saying(&mut w, 2, 2, &[("os", "windows")], 1);
    assert_eq!(w.order().0, 2);
}

#[test]
fn a_host_that_looks_as_it_did_is_asked_again_when_something_else_runs_there() {
    let mut w = World::new();
    connect_saying(&mut w, 1, 2, &[], 1);
    w.try_submit("tom", spec(1), None).expect("taken");
    let toms = w.order();
    let job = w.submit(asking("not (host.duty.user has tom)"));
    assert!(w.said.is_empty(), "tom is there");
    // As soon as both of these have gone and come there is one slot free again, and it isn't beside tom.
    let anns = JobSpec {
        priority: 1,
        cpus: 2,
        ..spec(2)
    };
    w.try_submit("ann", anns, None).expect("taken");
    let first = w.order();
    w.end(toms, End::Exit(0));
    w.gone(1, toms.1);
    w.said
        .retain(|(_, what)| !matches!(what, ToWorker::Close { .. }));
    let second = w.order();
    assert_eq!(second.1.job, first.1.job, "ann goes before");
    w.end(first, End::Exit(0));
    w.said.clear();
    w.gone(1, first.1);
    assert_eq!(w.order().1.job, job);
}

/// Answers what it costs to submit a job that asks this once more, among so many hosts that do not meet it and queued jobs that ask it.
fn cost_of_another(text: &str, hosts: u8, queued: u32) -> u64 {
    let mut w = World::new();
    for number in 1..=hosts {
        connect_saying(&mut w, number, 2, &[("os", "linux")], 1);
    }
    for _ in 0..queued {
        w.submit(asking(text));
    }
    let before = w.engine.asked();
    w.submit(asking(text));
    assert!(w.said.is_empty());
    w.engine.asked() - before
}

#[test]
fn what_stays_is_asked_once_for_all_hosts_that_are_alike() {
    let text = "host.os == windows and host.memory >= 1";
    let least = cost_of_another(text, 1, 1);
    assert_eq!(cost_of_another(text, 200, 1), least);
    assert_eq!(cost_of_another(text, 200, 100), least);
}

#[test]
fn what_moves_is_asked_of_each_host_once_however_many_jobs_ask() {
    let text = "host.processors.used > 0";
    let cost = |queued| cost_of_another(text, 100, queued);
    assert_eq!(cost(100), cost(1));
    assert!(cost(1) <= 2 * 100 + 10);
}

#[test]
fn what_moves_is_asked_again_only_of_hosts_that_changed() {
    let text = "host.processors.used > 0";
    assert_eq!(cost_of_another(text, 10, 1), cost_of_another(text, 200, 1));
    // An instance that ends asks its own host again, and no other.
    let cost = |hosts: u8| {
        let mut w = World::new();
        for number in 1..=hosts {
            connect_saying(&mut w, number, 2, &[], 1);
        }
        w.submit(asking("host.processors.used == 2"));
        w.submit(spec(1));
        let first = w.order();
        w.end(first, End::Exit(0));
        w.said.clear();
        let before = w.engine.asked();
        w.gone(first.0, first.1);
        w.engine.asked() - before
    };
    assert_eq!(cost(10), cost(200));
    // What was not met once is met when that changes.
    let mut w = World::new();
    connect_saying(&mut w, 1, 3, &[], 1);
    connect_saying(&mut w, 2, 3, &[], 1);
    let busy = w.submit(asking("host.processors.used == 1"));
    w.submit(spec(1));
    let first = w.order();
    let second = w.order();
    assert_eq!((second.0, second.1.job), (first.0, busy));
    w.submit(asking("host.processors.used == 1"));
    assert!(w.said.is_empty());
    w.end(second, End::Exit(0));
    w.said.clear();
    w.gone(second.0, second.1);
    assert_eq!(w.order().0, first.0);
}

#[test]
fn one_that_asks_host_by_host_makes_nothing_dearer_for_others() {
    let cost = |extra: bool| {
        let mut w = World::new();
        for number in 1..=100 {
            connect_saying(&mut w, number, 2, &[("os", "linux")], 1);
        }
        if extra {
            w.submit(asking("host.name == nobody"));
        }
        let before = w.engine.asked();
        w.submit(asking("host.os == windows"));
        w.engine.asked() - before
    };
    assert_eq!(cost(true), cost(false));
}

fn preferring(order: &str) -> JobSpec {
    JobSpec {
        host_order: Some(Arc::new(order.parse().expect(order))),
        ..spec(1)
    }
}

#[test]
fn a_host_order_says_where_a_job_starts_first() {
    for (order, expected) in [
        ("+host.memory", 2),
        ("-host.memory", 3),
        ("+host.rack", 3),
        ("-host.rack,+host.memory", 2),
        ("+host.processors.avail", 1),
        ("-host.processors.avail,-host.memory", 3),
        ("+host.processors.used,+host.memory", 2),
        ("-host.memory.avail", 3),
        ("+host.name", 4),
        ("+host.dedicated", 4),
    ] {
        let mut w = World::new();
        connect_saying(&mut w, 1, 8, &[("rack", "1")], 16);
        connect_saying(&mut w, 2, 4, &[("rack", "1")], 64);
        connect_saying(&mut w, 3, 4, &[("rack", "10")], 8);
        connect_saying(&mut w, 4, 4, &[("dedicated", "1")], 32);
        w.submit(preferring(order));
        assert_eq!(w.order().0, expected, "{order}");
        let mut named = preferring(order);
        named.hosts = [1, 2, 3, 4].map(|n| format!("rnd{n}")).into();
        let mut w = World::new();
        connect_saying(&mut w, 1, 8, &[("rack", "1")], 16);
        connect_saying(&mut w, 2, 4, &[("rack", "1")], 64);
        connect_saying(&mut w, 3, 4, &[("rack", "10")], 8);
        connect_saying(&mut w, 4, 4, &[("dedicated", "1")], 32);
        w.submit(named);
        assert_eq!(w.order().0, expected, "{order}, among named hosts");
    }
}

#[test]
fn a_host_order_keeps_no_job_from_the_only_host_that_can_take_it() {
    let mut w = World::new();
    connect_saying(&mut w, 1, 1, &[], 8);
    connect_saying(&mut w, 2, 1, &[], 64);
    w.submit(preferring("+host.memory"));
    w.submit(preferring("+host.memory"));
    assert_eq!([w.order().0, w.order().0], [2, 1]);
    let mut both = preferring("+host.memory");
    both.requirements = asking("host.memory < 64").requirements;
    w.submit(both);
    assert!(w.said.is_empty(), "what it asks comes first");
}

#[test]
fn a_host_order_over_what_stays_costs_as_much_as_there_are_kinds_of_hosts() {
    let cost = |hosts: u8| {
        let mut w = World::new();
        for number in 1..=hosts {
            connect_saying(&mut w, number, 2, &[("os", "linux")], 1);
        }
        w.submit(preferring("+host.os,-host.processors.avail"));
        let before = w.engine.asked();
        w.submit(preferring("+host.os,-host.processors.avail"));
        w.engine.asked() - before
    };
    assert_eq!(cost(100), cost(2));
}

/// Runs a job out of the memory that it reserves, on a host that it may use, while a larger one is there that it may not use.
fn grow_in_vain(text: &str) -> (World, JobId) {
    let mut w = World::new();
    connect_saying(&mut w, 1, 2, &[("os", "linux")], 64);
    connect_saying(&mut w, 2, 2, &[("os", "windows")], 256);
    let mut greedy = asking(text);
    greedy.reservation.amounts.insert(MEMORY.to_owned(), 48);
    let job = w.submit(greedy);
    for had in [48, 64] {
        let order = w.order();
        assert_eq!(order.0, 1, "{text}");
        let (peak, limit) = (had << 20, had << 20);
        w.end(order, End::OutOfMemory { peak, limit });
        w.said.clear();
        w.gone(1, order.1);
    }
    (w, job)
}

#[test]
fn what_moves_makes_no_host_one_that_a_larger_try_may_go_to() {
    for text in [
        "host.os == linux",
        "host.os == linux and host.processors.used == 0",
        "host.processors.used == 0 and host.os == linux",
        "not (host.duty.user has tom) and not (host.os == windows)",
        "host.memory.used < 100 and host.memory.total < 100",
    ] {
        let (w, job) = grow_in_vain(text);
        assert!(w.said.is_empty(), "{text}");
        assert_eq!(w.status(job), WorkStatus::Failed, "{text}");
    }
}

#[test]
fn a_try_asks_for_no_more_than_what_it_requires_leaves_to_it() {
    let mut w = World::new();
    connect_saying(&mut w, 1, 2, &[], 256);
    // It wants company: 200 MiB are never free beside 64 that are used.
    let busy = JobSpec {
        reservation: tessera_model::Reservation {
            amounts: [(MEMORY.to_owned(), 64)].into(),
            ..Default::default()
        },
        ..spec(1)
    };
    w.submit(busy);
    w.order();
    let mut greedy = asking("host.memory.used >= 64");
    greedy.reservation.amounts.insert(MEMORY.to_owned(), 150);
    let job = w.submit(greedy);
    let order = w.order();
    let end = |had: u64| End::OutOfMemory {
        peak: had << 20,
        limit: had << 20,
    };
    w.end(order, end(150));
    assert_eq!(w.status(job), WorkStatus::Failed);
    // 72 MiB can't be free where no more than 64 are.
    let mut w = World::new();
    connect_saying(&mut w, 1, 2, &[], 64);
    connect_saying(&mut w, 2, 2, &[], 256);
    let mut greedy = asking("host.memory.avail <= 64");
    greedy.reservation.amounts.insert(MEMORY.to_owned(), 48);
    let job = w.submit(greedy);
    let order = w.order();
    w.end(order, end(48));
    assert_eq!(w.status(job), WorkStatus::Failed);
}

#[test]
fn a_host_that_will_never_do_is_told_apart_from_one_that_is_busy() {
    let mut w = World::new();
    connect_saying(&mut w, 1, 2, &[("os", "linux")], 64);
    w.submit(spec(1));
    w.order();
    for (text, never) in [
        (
            "host.processors.used == 0 and host.os == windows",
            "host.os is linux, asked for == windows",
        ),
        (
            "host.memory.avail >= 100",
            "host.memory.avail is 64 MiB, asked for >= 100",
        ),
        (
            "host.processors.used == 2",
            "host.processors.used is 1, asked for == 2",
        ),
    ] {
        let spec = asking(text);
        let unmet = w.engine.unmet(&spec, &name("mia"));
        assert_eq!(unmet, Some(format!("on rnd1 {never}")));
        let job = w.submit(spec);
        assert_eq!(
            why(&w, job),
            (why::Kind::Requirements, format!("on rnd1 {never}"))
        );
        let hint = w
            .engine
            .why(job)
            .expect("there")
            .remove(0)
            .hint
            .expect("one");
        assert!(
            hint.starts_with("tessera modify"),
            "it won't change by itself: {hint}"
        );
    }
    let spec = asking("host.processors.used == 0 and host.os == linux");
    assert_eq!(w.engine.unmet(&spec, &name("mia")), None);
    let job = w.submit(spec);
    let hint = w
        .engine
        .why(job)
        .expect("there")
        .remove(0)
        .hint
        .expect("one");
    assert!(
        hint.starts_with("it starts when that changes there"),
        "{hint}"
    );
}

#[test]
fn an_account_that_the_only_fitting_host_refuses_waits_though_another_host_is_idle() {
    let mut w = World::new();
    connect_saying(&mut w, 1, 2, &[("os", "linux")], 64);
    connect_saying(&mut w, 2, 2, &[("os", "windows")], 64);
    let job = w.submit(asking("host.processors.used == 0 and host.os == linux"));
    let (number, key, _) = w.order();
    let refusal = Refusal {
        code: "no_such_account".into(),
        text: "no such account".into(),
    };
    w.report(number, Report::Refused { key, refusal });
    assert_eq!(w.status(job), WorkStatus::Badlogin);
}

#[test]
fn a_job_says_its_process_group_and_its_label() {
    let mut w = World::new();
    connect_saying(&mut w, 1, 4, &[], 1);
    let labelled = |label: &str, pgrp, asks: JobSpec| JobSpec {
        label: Some(label.parse().expect("a label")),
        pgrp,
        ..asks
    };
    let leader = w.submit(labelled(
        "sim",
        None,
        asking("job.pgrp == 1 and job.label == sim"),
    ));
    w.order();
    w.submit(labelled(
        "comp",
        Some(leader),
        asking("job.pgrp in host.duty.pgrp and job.label != sim"),
    ));
    w.order();
    w.submit(asking(
        "host.duty.label has comp and job.label == \"\" and job.pgrp == job.id",
    ));
    w.order();
    let alone = labelled(
        "more",
        Some(leader),
        asking("not (job.pgrp in host.duty.pgrp)"),
    );
    let job = w.submit(alone);
    assert!(w.said.is_empty());
    let said = "on rnd1 job.pgrp is 1 and host.duty.pgrp is 1,1,3, asked for not job.pgrp in host.duty.pgrp";
    assert_eq!(why(&w, job).1, said);
}
