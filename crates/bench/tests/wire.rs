//! A supervisor under load over its sockets: each phase does what it says, and what is measured was there.

use std::time::Duration;
use tessera_bench::wire::{WireError, WireOptions, run};

fn options() -> WireOptions {
    WireOptions {
        hosts: 6,
        slots: 2,
        frames: 600,
        queued: 300,
        jobs: 40,
        idle: Duration::ZERO,
        // Processes of daemons do not run as root, as which tests may.
        program: None,
        folder: std::env::temp_dir(),
        tell: |_| {},
    }
}

#[test]
fn a_small_farm_goes_through_all_phases() {
    let report = run(&options()).expect("it runs");
    assert_eq!(report.filled.slots, 12);
    assert!(report.filled.first_ms > 0.0 && report.filled.first_ms <= report.filled.all_ms);
    assert_eq!(report.urgent_ms.samples, 6, "each host once");
    assert!(report.urgent_ms.p50 > 0.0 && report.urgent_ms.most < 60_000.0);
    assert_eq!(report.killed.running, 12, "the queue takes what is freed");
    assert!(report.killed.told_ms > 0.0);
    assert_eq!(report.ran.frames, 600);
    let submitted = report.submitted.expect("asked for");
    assert_eq!((submitted.jobs, submitted.each_ms.samples), (40, 40));
    // It runs in this process: what that takes is not the supervisor's.
    assert!(report.memory.is_empty() && report.idle.is_none());
    let text = report.text();
    for words in [
        "6 hosts of 2 slots",
        "12 slots: the first",
        "600 frames that end at once",
        "40 jobs of one frame by 16 clients",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
}

#[test]
fn what_is_not_asked_for_is_left_out() {
    let few = WireOptions {
        hosts: 1,
        slots: 1,
        queued: 0,
        jobs: 0,
        frames: 1,
        ..options()
    };
    let report = run(&few).expect("it runs");
    let urgent = report.urgent_ms.samples;
    assert_eq!(
        (report.killed.running, urgent, report.submitted),
        (1, 0, None)
    );
}

#[test]
fn what_is_asked_wrongly_is_refused_in_words() {
    let refused = |options: WireOptions| match run(&options) {
        Err(WireError::Asked(why)) => why,
        other => panic!("{other:?}"),
    };
    let hosts = |hosts, slots| WireOptions {
        hosts,
        slots,
        ..options()
    };
    assert_eq!(refused(hosts(0, 1)), "hosts must be 1 to 20000");
    assert_eq!(refused(hosts(20_001, 1)), "hosts must be 1 to 20000");
    let slots = "1000 hosts of 101 slots have 101000; 1 to 100000 are possible";
    assert_eq!(refused(hosts(1_000, 101)), slots);
    let frames = WireOptions {
        frames: 0,
        ..options()
    };
    assert_eq!(refused(frames), "frames go up to 10000000");
    let missing = WireOptions {
        folder: "/there/is/no/such/folder".into(),
        ..options()
    };
    let error = run(&missing).expect_err("refused").to_string();
    assert_eq!(error, "can't make a folder in /there/is/no/such/folder");
}
