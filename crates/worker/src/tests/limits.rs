//! Limits of time, silence and spool, suspension, progress.

use std::time::Duration;

use tessera_model::msg::{FromWorker, GoneCause, Report, RunLimits, ToWorker};
use tessera_model::state::{End, Limit};

use super::{Bench, key, limits, run};
use crate::chain::{EndCause, SpoolFile};
use crate::output::Output;
use crate::state::StateDir;
use crate::{pauses, scan};

fn end_of(report: &Report) -> Option<End> {
    match report {
        Report::ItemEnded { end, .. } => Some(end.end.clone()),
        Report::Started { .. } | Report::Refused { .. } | Report::Gone { .. } => None,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn time_limits_end_items_and_launches() {
    let mut bench = Bench::new().await;
    let short = Some(Duration::from_millis(300));
    bench
        .launch(
            key(1),
            RunLimits {
                agendatimelimit: short,
                ..limits()
            },
        )
        .await;
    bench
        .farm
        .report("the end", |it| {
            end_of(it) == Some(End::Limit(Limit::ItemTime))
        })
        .await;
    assert_eq!(bench.host.lock().ends, [(key(1), 0, EndCause::TimeLimit)]);
    bench
        .launch(
            key(2),
            RunLimits {
                timelimit: short,
                ..limits()
            },
        )
        .await;
    bench
        .farm
        .report("the end of the launch", |it| {
            matches!(
                it,
                Report::Gone {
                    cause: GoneCause::Limit(Limit::InstanceTime),
                    ..
                }
            )
        })
        .await;
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_prints_is_not_silent() {
    let mut bench = Bench::new().await;
    let silence_limit = Some(Duration::from_millis(800));
    bench
        .launch(
            key(1),
            RunLimits {
                silence_limit,
                ..limits()
            },
        )
        .await;
    for _ in 0..12 {
        bench.host.print(key(1), SpoolFile::Err, b".");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(bench.host.lock().ends, []);
    bench
        .farm
        .report("the end", |it| {
            end_of(it) == Some(End::Limit(Limit::Silence))
        })
        .await;
    assert_eq!(
        bench.host.lock().ends,
        [(key(1), 0, EndCause::SilenceLimit)]
    );
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limits_are_kept_over_a_restart() {
    let mut bench = Bench::new().await;
    let timelimit = Some(Duration::from_secs(2));
    bench
        .launch(
            key(1),
            RunLimits {
                timelimit,
                ..limits()
            },
        )
        .await;
    bench.stop().await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    bench.start();
    bench
        .farm
        .report("the end of the launch", |it| {
            matches!(
                it,
                Report::Gone {
                    cause: GoneCause::Limit(Limit::InstanceTime),
                    ..
                }
            )
        })
        .await;
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_worker_knows_for_how_long_a_launch_was_suspended() {
    let mut bench = Bench::new().await;
    bench.launch(key(1), limits()).await;
    bench.launch(key(2), limits()).await;
    bench.farm.order(ToWorker::Suspend(key(1))).await;
    let hour = Duration::from_secs(3_600);
    let paused = |key, is| pauses::read(&bench.dir(key)).within(hour, is);
    bench
        .until("the pause is noted, and some time passes", || {
            paused(key(1), true) > Duration::ZERO && !bench.host.lock().suspended.is_empty()
        })
        .await;
    bench.stop().await;
    let state = StateDir::open(bench.state.path()).expect("opens");
    let (events, _inbox) = tokio::sync::mpsc::channel(64);
    let (output, _delivery) = Output::start(events);
    let taken = scan::take_over(&bench.host, &state.spool(), &output).await;
    let found: Vec<_> = taken.iter().map(|it| &it.found).collect();
    assert!(found[0].is_suspended && found[0].suspended > Duration::ZERO);
    assert!(found[0].suspended <= found[0].elapsed, "{:?}", found[0]);
    assert!(found[0].current_suspended > Duration::ZERO);
    assert!(!found[1].is_suspended);
    assert_eq!(found[1].suspended, Duration::ZERO);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_runs_between_a_pause_that_never_began_and_the_next_counts() {
    let mut bench = Bench::new().await;
    bench.launch(key(1), limits()).await;
    let dir = bench.dir(key(1));
    // What a worker does that ends before it can suspend it.
    pauses::note(&dir, true).expect("noted");
    let hour = Duration::from_secs(3_600);
    let long = Duration::from_millis(200);
    bench
        .until("some time passes", || {
            pauses::read(&dir).within(hour, true) >= long
        })
        .await;
    bench.stop().await;
    let noted = std::fs::read_to_string(dir.join("pauses")).expect("there");
    bench.start();
    bench.farm.order(ToWorker::Suspend(key(1))).await;
    bench
        .until("it is suspended", || {
            bench.host.lock().suspended == [(key(1), true)]
        })
        .await;
    bench.stop().await;
    let since = |text: &str| -> Option<u64> { text.strip_suffix(" -\n")?.parse().ok() };
    let now_noted = std::fs::read_to_string(dir.join("pauses")).expect("there");
    let (before, now) = (since(&noted), since(&now_noted));
    let long = u64::try_from(long.as_millis()).expect("short");
    assert!(
        now >= before.map(|it| it + long) && now.is_some(),
        "{noted:?}, then {now_noted:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn items_are_suspended_resumed_and_ended() {
    let mut bench = Bench::new().await;
    bench.launch(key(1), limits()).await;
    bench.farm.order(ToWorker::Suspend(key(1))).await;
    bench
        .until("it is suspended", || {
            bench.host.lock().suspended == [(key(1), true)]
        })
        .await;
    bench.stop().await;
    bench.start();
    bench.farm.order(ToWorker::Resume(key(1))).await;
    let both = [(key(1), true), (key(1), false)];
    bench
        .until("it goes on", || bench.host.lock().suspended == both)
        .await;
    let grace = Duration::ZERO;
    bench
        .farm
        .order(ToWorker::EndItem {
            key: key(1),
            run: run(0),
            grace,
        })
        .await;
    bench
        .farm
        .report("the end", |it| end_of(it) == Some(End::Asked))
        .await;
    assert_eq!(bench.host.lock().ends, [(key(1), 0, EndCause::Kill)]);
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn progress_is_read_from_the_output() {
    let mut bench = Bench::new().await;
    let progress = Some(r"Fra:\d+ .* (\d+)%".to_owned());
    bench
        .launch(
            key(1),
            RunLimits {
                progress,
                ..limits()
            },
        )
        .await;
    bench.host.print(
        key(1),
        SpoolFile::Out,
        b"Fra:7 Mem 1M 10%\nFra:7 Mem 2M 42%\nFra:7",
    );
    let percent = |said: &FromWorker| match said {
        FromWorker::Progress {
            percent, run: r, ..
        } => (*r == run(0)).then_some(*percent),
        _ => None,
    };
    let seen = bench
        .farm
        .wait_for("progress", |it| it.said.iter().rev().find_map(percent))
        .await;
    assert_eq!(seen, 42);
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_spool_that_fills_up_keeps_less_of_new_output() {
    let mut bench = Bench::without_worker().await;
    bench.config.worker_spool_max = 1 << 20;
    bench.farm.enrol(&bench.state.path().join("worker"));
    bench.farm.set(|state| state.keeps_logs = false);
    bench.start();
    bench.launch(key(1), limits()).await;
    assert_eq!(bench.host.lock().runs[0].1.output_limit, 256 << 10);
    bench
        .host
        .print(key(1), SpoolFile::Out, &vec![b'x'; (1 << 20) - 100]);
    bench.host.end(key(1), 0);
    bench
        .farm
        .report("the end", |it| end_of(it) == Some(End::Exit(0)))
        .await;
    // What was printed is noticed by and by, by another task.
    let mut launches = 2..50;
    loop {
        let next = launches.next().expect("the spool is noticed to be full");
        bench.launch(key(next), limits()).await;
        let limit = bench.host.lock().runs.last().map(|it| it.1.output_limit);
        if limit.is_some_and(|it| it < 100) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // Delivered output makes room again.
    bench.farm.set(|state| state.keeps_logs = true);
    bench.farm.disconnect(true);
    bench
        .farm
        .order(ToWorker::Close {
            key: key(1),
            grace: Duration::ZERO,
        })
        .await;
    bench
        .until("it is delivered", || !bench.dir(key(1)).exists())
        .await;
    bench.launch(key(60), limits()).await;
    assert_eq!(
        bench.host.lock().runs.last().expect("ran").1.output_limit,
        256 << 10
    );
    bench.stop().await;
}
