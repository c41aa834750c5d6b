//! Small farms through every scenario: nothing goes wrong, and the same seed decides the same.

use std::path::PathBuf;
use tessera_bench::{Options, Report, Scenario, StoreKind, run};

fn options(scenario: Scenario, store: StoreKind) -> Options {
    Options {
        scenario,
        hosts: 40,
        slots: 4,
        frames: 3_000,
        job_frames: 100,
        ends: None,
        seed: 7,
        store,
        folder: std::env::temp_dir(),
        minutes: 10,
        keep: None,
        wide_hosts: 10,
    }
}

fn farm(scenario: Scenario) -> Report {
    let report = run(&options(scenario, StoreKind::Nothing)).expect("it runs");
    assert_eq!(report.faults, Vec::<String>::new());
    assert!(!report.is_cut);
    report
}

#[test]
fn the_same_seed_decides_the_same_whatever_the_store() {
    let of = |store, seed| {
        let mut options = options(Scenario::SteadyState, store);
        options.seed = seed;
        let report = run(&options).expect("it runs");
        (report.placements_hash, report.placements, report.ends)
    };
    let first = of(StoreKind::Memory, 7);
    assert_eq!(of(StoreKind::Memory, 7), first);
    assert_eq!(of(StoreKind::Nothing, 7), first);
    assert_eq!(of(StoreKind::Sqlite, 7), first);
    assert_ne!(of(StoreKind::Nothing, 8).0, first.0);
}

#[test]
fn a_cold_farm_fills() {
    let report = farm(Scenario::ColdStart);
    let fill = report.fill.expect("it is filled");
    assert_eq!(fill.slots, 160);
    assert_eq!(report.placements, 160);
}

#[test]
fn in_steady_state_hardly_a_slot_is_idle() {
    let report = farm(Scenario::SteadyState);
    assert!(report.ends.complete >= 1_450, "{:?}", report.ends);
    let working = report.utilisation.working;
    assert!(working > 0.9, "{working}");
}

#[test]
fn small_jobs_are_all_done() {
    let report = farm(Scenario::SmallJobs);
    assert_eq!(report.ends.complete, 3_000);
    let waits = &report.waits[0];
    assert_eq!((waits.jobs, waits.waiting), (3_000, 0));
}

#[test]
fn wide_jobs_are_told_apart() {
    let report = farm(Scenario::WideJobs);
    let jobs: Vec<u64> = report.waits.iter().map(|it| it.jobs).collect();
    assert_eq!(jobs, [27, 3]);
    assert_eq!(report.ends.complete, report.ends.submitted);
}

#[test]
fn memory_is_reserved_by_class() {
    let report = farm(Scenario::MemoryMix);
    let jobs: u64 = report.waits.iter().map(|it| it.jobs).sum();
    assert_eq!(jobs, 30);
    assert!(report.waits.iter().filter(|it| it.jobs > 0).count() > 4);
    assert_eq!(report.ends.complete, 3_000);
}

#[test]
fn those_who_need_no_licence_pass_those_who_wait_for_one() {
    let report = farm(Scenario::Licences);
    assert_eq!(report.ends.complete, 3_000);
    let jobs: Vec<u64> = report.waits.iter().map(|it| it.jobs).collect();
    assert_eq!(jobs, [15, 15]);
}

#[test]
fn a_storm_of_failures_passes() {
    let report = farm(Scenario::FailureStorm);
    let ends = report.ends;
    assert!(ends.ended_badly > 100, "{ends:?}");
    assert_eq!(ends.complete + ends.failed, 3_000);
}

#[test]
fn a_killed_supervisor_loses_nothing() {
    for store in [StoreKind::Memory, StoreKind::Sqlite] {
        let report = run(&options(Scenario::Restart, store)).expect("it runs");
        assert_eq!(report.faults, Vec::<String>::new());
        let restart = report.restart.expect("it was killed");
        assert!(restart.complete_before > 0 && restart.running_before > 100);
        assert_eq!((restart.lost, restart.started_twice), (0, 0));
        assert!(report.ends.complete > restart.complete_before);
    }
}

#[test]
fn half_the_hosts_come_back() {
    let report = farm(Scenario::HalfLost);
    assert_eq!(report.ends.complete, 3_000);
    // What ran on the lost hosts was given to others, and ran to its end on both sides.
    assert!(report.ends.ended_well > 3_000, "{:?}", report.ends);
}

#[test]
fn users_are_told_apart() {
    let report = farm(Scenario::Users);
    assert!(report.fairness.users.len() > 10);
    assert!(report.fairness.jain > 0.0 && report.fairness.jain <= 1.0);
}

#[test]
fn a_restart_needs_a_store() {
    let error = run(&options(Scenario::Restart, StoreKind::Nothing));
    let error = error.expect_err("nothing is kept").to_string();
    assert!(error.contains("--store sqlite"), "{error}");
}

#[test]
fn what_is_out_of_bounds_is_refused() {
    let bad: [fn(&mut Options); 5] = [
        |it| it.hosts = 0,
        |it| it.hosts = 100_001,
        |it| it.frames = 10_000_001,
        |it| it.slots = 257,
        |it| it.job_frames = 0,
    ];
    for spoil in bad {
        let mut options = options(Scenario::ColdStart, StoreKind::Memory);
        spoil(&mut options);
        let error = run(&options).expect_err("it is out of bounds").to_string();
        assert!(error.contains("out of bounds"), "{error}");
    }
    let mut nowhere = options(Scenario::ColdStart, StoreKind::Memory);
    nowhere.folder = PathBuf::from("/nonexistent");
    let error = run(&nowhere).expect_err("there is no such folder");
    assert!(error.to_string().contains("/nonexistent"), "{error}");
}

#[test]
fn the_page_needs_nothing_else() {
    let report = farm(Scenario::SteadyState);
    let page = tessera_bench::html(&report);
    assert!(page.contains("<svg") && page.ends_with("</html>\n"));
    for outside in ["http:", "https:", "<script", "<link", "src="] {
        assert!(!page.contains(outside), "{outside}");
    }
    let titles = page.split("<h2>").skip(1);
    let titles: Vec<&str> = titles.filter_map(|it| it.split("</h2>").next()).collect();
    for told in [
        "Slots",
        "Placements a second",
        "What an event costs",
        "commit",
        "memory",
        "first frame",
        "users",
    ] {
        let is_it = |title: &&str| title.to_lowercase().contains(&told.to_lowercase());
        assert!(titles.iter().any(is_it), "{told}: {titles:?}");
    }
    assert_eq!(page.matches("<svg").count(), page.matches("</svg>").count());
    let text = tessera_bench::text(&report);
    assert!(text.contains(&report.placements_hash), "{text}");
    let json = serde_json::to_value(&report).expect("it is JSON");
    assert_eq!(json["scenario"], "steady-state");
}

/// Wide jobs are begun much earlier when hosts are emptied for them, in the same farm with the same chance; the rest loses little.
#[test]
fn wide_jobs_begin_earlier_when_hosts_are_emptied_for_them() {
    let of = |wide_hosts| {
        let options = Options {
            // What comes first is there for long.
            frames: 6_000,
            job_frames: 50,
            wide_hosts,
            ..options(Scenario::WideJobs, StoreKind::Nothing)
        };
        let report = run(&options).expect("it runs");
        assert_eq!(report.faults, Vec::<String>::new());
        let wide = report.waits.iter().find(|it| it.class == "whole hosts");
        let wide = wide.expect("there are some").first_frame_seconds;
        let working = report.utilisation.working_while_waiting;
        let (p50, most) = (wide.p50, wide.most);
        println!(
            "{wide_hosts} %: first frame p50 {p50:.0} s, most {most:.0} s; {working:.3} of slots work"
        );
        (wide.p50, wide.most, working)
    };
    let (without, with) = (of(0), of(10));
    assert!(with.0 < without.0, "{without:?}, then {with:?}");
    assert!(with.1 <= without.1, "{without:?}, then {with:?}");
}
