//! The work for one event does not grow with the queue, nor with the hosts. It is counted, not timed, so that it fails on every
//! machine or on none.

use tessera_bench::{Counted, Options, Report, Scenario, StoreKind, run};

/// How much more work an event may be in the larger farm: different shares of starts and ends of jobs are in it.
const GROWTH_MAX: f64 = 1.25;

fn farm(scenario: Scenario, hosts: u32, frames: u32) -> Report {
    let slots = 2;
    let report = run(&Options {
        scenario,
        hosts,
        slots,
        frames,
        job_frames: 100,
        // Each slot has a few frames one after another.
        ends: (scenario != Scenario::SmallJobs).then_some((3 * hosts * slots).min(frames / 2)),
        seed: 3,
        store: StoreKind::Nothing,
        folder: std::env::temp_dir(),
        minutes: 10,
        keep: None,
        wide_hosts: 10,
    });
    let report = report.expect("it runs");
    assert_eq!(report.faults, Vec::<String>::new());
    assert!(!report.is_cut && report.counted.events > 1_000);
    report
}

/// What is compared, by name.
fn counts(counted: &Counted) -> [(&'static str, f64); 4] {
    [
        ("looked at for an event", counted.looked_at_per_event),
        ("looked at for a placement", counted.looked_at_per_placement),
        ("rows for an event", counted.rows_per_event),
        (
            "bytes on the wire for an event",
            counted.wire_bytes_per_event,
        ),
    ]
}

/// The most that it may be in a steady farm, as [`counts`] has them: a third above what was counted when this was written.
const STEADY_MOST: [f64; 4] = [0.75, 2.35, 2.35, 95.0];

/// What an event costs in itself: growth alone would not tell that it costs twice as much everywhere.
fn is_bounded(what: &str, report: &Report, most: [f64; 4]) {
    for ((name, counted), most) in counts(&report.counted).into_iter().zip(most) {
        assert!(
            counted <= most,
            "{what}: {name}: {counted:.3}, at most {most}"
        );
    }
}

fn compare(what: &str, small: &Report, large: &Report) {
    let pairs = counts(&small.counted)
        .into_iter()
        .zip(counts(&large.counted));
    for ((name, small), (_, large)) in pairs {
        println!("{what}: {name}: {small:.3}, then {large:.3}");
        assert!(small > 0.0, "{name} is not counted");
        assert!(
            large <= small * GROWTH_MAX,
            "{what}: {name} grew from {small:.3} to {large:.3}"
        );
    }
}

#[test]
fn an_event_costs_the_same_with_a_hundred_times_the_queue() {
    let small = farm(Scenario::SteadyState, 50, 1_000);
    let large = farm(Scenario::SteadyState, 50, 100_000);
    compare("1,000 to 100,000 frames", &small, &large);
}

#[test]
fn an_event_costs_the_same_with_twenty_times_the_hosts() {
    let small = farm(Scenario::SteadyState, 100, 20_000);
    let large = farm(Scenario::SteadyState, 2_000, 100_000);
    compare("100 to 2,000 hosts", &small, &large);
    is_bounded("2,000 hosts", &large, STEADY_MOST);
}

#[test]
fn a_job_of_one_frame_costs_the_same_after_thousands() {
    let small = farm(Scenario::SmallJobs, 100, 1_000);
    let large = farm(Scenario::SmallJobs, 100, 4_000);
    compare("1,000 to 4,000 jobs", &small, &large);
}

/// For a slot the first jobs of classes are asked until one fits. In both farms there are all eighty classes that ten people
/// with eight sizes make, so what is counted is the queue.
#[test]
fn reserving_memory_costs_the_same_with_ten_times_the_queue() {
    let small = farm(Scenario::MemoryMix, 100, 40_000);
    let large = farm(Scenario::MemoryMix, 100, 400_000);
    compare("memory, 40,000 to 400,000 frames", &small, &large);
}

#[test]
fn reserving_memory_costs_the_same_with_twenty_times_the_hosts() {
    let small = farm(Scenario::MemoryMix, 100, 20_000);
    let large = farm(Scenario::MemoryMix, 2_000, 100_000);
    compare("memory, 100 to 2,000 hosts", &small, &large);
}

/// Half of the queue waits for a licence, and nobody looks at it for that.
#[test]
fn waiting_for_a_licence_costs_the_same_with_ten_times_the_queue() {
    let small = farm(Scenario::Licences, 50, 10_000);
    let large = farm(Scenario::Licences, 50, 100_000);
    compare("licences, 10,000 to 100,000 frames", &small, &large);
}

#[test]
fn waiting_for_a_licence_costs_the_same_with_twenty_times_the_hosts() {
    let small = farm(Scenario::Licences, 100, 20_000);
    let large = farm(Scenario::Licences, 2_000, 100_000);
    compare("licences, 100 to 2,000 hosts", &small, &large);
}
