//! The life of launches: from order to acknowledgement, over disconnections, restarts and losses.

use std::time::Duration;

use tessera_model::msg::{FromWorker, GoneCause, Report, ToWorker};
use tessera_model::state::End;

use super::{Bench, key, limits, run, start};
use crate::chain::{SpoolFile, spool_path};
use crate::error::WorkerError;

fn is_gone(report: &Report, job: u64) -> bool {
    matches!(report, Report::Gone { key: k, .. } if *k == key(job))
}

fn ended(report: &Report) -> Option<(u64, u32, End)> {
    match report {
        Report::ItemEnded { key, run, end } => Some((key.job.0, run.item.0, end.end.clone())),
        Report::Started { .. } | Report::Refused { .. } | Report::Gone { .. } => None,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn from_order_to_acknowledgement_and_nothing_is_left() {
    let mut bench = Bench::new().await;
    let key = key(1);
    bench.launch(key, limits()).await;
    let started = |it: &Report| matches!(it, Report::Started { .. });
    let Report::Started { account, uid, .. } = bench.farm.report("the start", started).await else {
        panic!("is a start")
    };
    assert_eq!((account.as_str(), uid), ("mia", 1001));
    bench.host.print(key, SpoolFile::Out, b"frame 1\n");
    bench.host.end(key, 0);
    bench
        .farm
        .report("the end", |it| ended(it) == Some((1, 0, End::Exit(0))))
        .await;
    // The instance stays and takes another item.
    bench.farm.order(ToWorker::Run { key, run: run(1) }).await;
    bench
        .until("the second item runs", || bench.host.lock().runs.len() == 2)
        .await;
    bench
        .until("its files", || {
            spool_path(&bench.dir(key), 1, 1, SpoolFile::Exit).exists()
        })
        .await;
    bench.host.end(key, 3);
    bench
        .farm
        .report("the second end", |it| {
            ended(it) == Some((1, 1, End::Exit(3)))
        })
        .await;
    bench
        .farm
        .order(ToWorker::Close {
            key,
            grace: Duration::ZERO,
        })
        .await;
    bench.farm.report("the close", |it| is_gone(it, 1)).await;
    let job = bench.dir(key).parent().expect("has a parent").to_owned();
    bench.until("the spool is empty", || !job.exists()).await;
    assert!(
        bench
            .farm
            .shop_logs()
            .iter()
            .any(|it| it.as_slice() == b"frame 1\n")
    );
    let heartbeat = |it: &FromWorker| matches!(it, FromWorker::Heartbeat);
    bench
        .farm
        .wait_for("a heartbeat", |it| {
            it.said.iter().any(heartbeat).then_some(())
        })
        .await;
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_ends_while_the_supervisor_is_away_is_said_in_order_until_acknowledged() {
    let mut bench = Bench::new().await;
    for job in 1..=3 {
        bench.launch(key(job), limits()).await;
    }
    bench.farm.set(|state| state.acknowledges = false);
    bench.farm.disconnect(false);
    for job in [2, 3, 1] {
        bench.host.print(key(job), SpoolFile::Out, b"done\n");
        bench.host.end(key(job), 0);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let expected = vec![
        (2, 0, End::Exit(0)),
        (3, 0, End::Exit(0)),
        (1, 0, End::Exit(0)),
    ];
    let mut seen = Vec::new();
    for _ in 0..2 {
        bench.farm.set(|state| {
            state.reports.clear();
            state.is_up = true;
        });
        let reports = bench
            .farm
            .wait_for("the ends", |it| {
                let reports = it.reports.last()?;
                let ends = reports.iter().filter(|(_, it)| ended(it).is_some()).count();
                (ends == 3).then(|| reports.clone())
            })
            .await;
        let ends: Vec<_> = reports.iter().filter_map(|(_, it)| ended(it)).collect();
        assert_eq!(ends, expected);
        assert!(reports.is_sorted_by(|a, b| a.0 < b.0), "numbers grow");
        seen.push(reports);
        bench.farm.disconnect(false);
    }
    assert_eq!(
        seen[0], seen[1],
        "said again until acknowledged, with the same numbers"
    );
    for job in 1..=3 {
        let exit = spool_path(&bench.dir(key(job)), 0, 1, SpoolFile::Exit);
        assert!(exit.exists(), "the record is kept until then");
    }
    bench.farm.set(|state| {
        state.acknowledges = true;
        state.is_up = true;
    });
    for job in 1..=3 {
        let exit = spool_path(&bench.dir(key(job)), 0, 1, SpoolFile::Exit);
        bench.until("the record goes", || !exit.exists()).await;
    }
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_worker_takes_up_what_the_old_one_left() {
    let mut bench = Bench::new().await;
    for job in 1..=3 {
        bench.launch(key(job), limits()).await;
    }
    bench.host.print(key(1), SpoolFile::Out, b"before ");
    bench.stop().await;
    // Meanwhile one prints on, one ends, one is lost.
    bench.host.print(key(1), SpoolFile::Out, b"between ");
    bench.host.print(key(2), SpoolFile::Err, b"last words");
    bench.host.end(key(2), 7);
    bench.host.print(key(3), SpoolFile::Out, b"torn");
    bench.host.kill_shepherd(key(3));
    bench.farm.set(|state| {
        state.reports.clear();
        state.inventories.clear();
    });
    bench.start();
    bench
        .farm
        .report("the end", |it| ended(it) == Some((2, 0, End::Exit(7))))
        .await;
    let Report::Gone { cause, .. } = bench.farm.report("the loss", |it| is_gone(it, 3)).await
    else {
        panic!("is gone")
    };
    assert_eq!(cause, GoneCause::ShepherdLost);
    assert_eq!(bench.host.lock().proofs, [key(3)]);
    let inventory = bench
        .farm
        .wait_for("the inventory", |it| it.inventories.pop())
        .await;
    let running = inventory
        .iter()
        .find(|it| it.key == key(1))
        .expect("is there");
    assert_eq!(running.current, Some(run(0)));
    bench.host.print(key(1), SpoolFile::Out, b"after");
    bench.host.end(key(1), 0);
    bench
        .farm
        .report("its end", |it| ended(it) == Some((1, 0, End::Exit(0))))
        .await;
    for (job, log) in [
        (1, &b"before between after"[..]),
        (2, &b"last words"[..]),
        (3, &b"torn"[..]),
    ] {
        bench
            .farm
            .wait_for("the logs", |state| {
                let mut logs = state.logs.iter().filter(|(it, _)| it.job.0 == job);
                logs.any(|(it, bytes)| bytes == log && state.complete.contains(it))
                    .then_some(())
            })
            .await;
    }
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_acknowledged_end_is_not_said_again_after_a_restart() {
    let mut bench = Bench::new().await;
    bench.launch(key(1), limits()).await;
    bench.farm.set(|state| state.keeps_logs = false);
    bench.host.print(key(1), SpoolFile::Out, b"to deliver");
    bench.host.end(key(1), 0);
    let exit = spool_path(&bench.dir(key(1)), 0, 1, SpoolFile::Exit);
    bench.until("the record goes", || !exit.exists()).await;
    bench
        .farm
        .order(ToWorker::Close {
            key: key(1),
            grace: Duration::ZERO,
        })
        .await;
    let limits_file = bench.dir(key(1)).join("limits");
    bench
        .until("the launch is forgotten", || !limits_file.exists())
        .await;
    assert!(spool_path(&bench.dir(key(1)), 0, 1, SpoolFile::Out).exists());
    bench.stop().await;
    bench.farm.set(|state| {
        state.keeps_logs = true;
        state.reports.clear();
        state.inventories.clear();
    });
    bench.start();
    bench
        .until("the output is delivered", || !bench.dir(key(1)).exists())
        .await;
    let inventory = bench
        .farm
        .wait_for("the inventory", |it| it.inventories.pop())
        .await;
    assert_eq!(inventory, []);
    let reports = bench
        .farm
        .wait_for("reports", |it| Some(it.reports.concat()))
        .await;
    assert_eq!(reports, []);
    assert!(
        bench
            .farm
            .shop_logs()
            .iter()
            .any(|it| it.as_slice() == b"to deliver")
    );
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_shepherd_is_proven_gone_and_its_last_record_counts() {
    let mut bench = Bench::new().await;
    bench.launch(key(1), limits()).await;
    // The record is written, but nobody is told.
    bench.host.die_after(key(1), |host| host.end(key(1), 0));
    bench
        .farm
        .report("the end", |it| ended(it) == Some((1, 0, End::Exit(0))))
        .await;
    bench.farm.report("the loss", |it| is_gone(it, 1)).await;
    assert_eq!(bench.host.lock().proofs, [key(1)]);
    bench
        .until("the spool is empty", || !bench.dir(key(1)).exists())
        .await;
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refusals_are_said_with_their_reason() {
    let mut bench = Bench::new().await;
    bench.host.lock().refuses = Some("account_denied");
    bench.farm.order(start(key(1), limits())).await;
    let refused = |it: &Report| matches!(it, Report::Refused { .. });
    let Report::Refused { refusal, .. } = bench.farm.report("a refusal", refused).await else {
        panic!("is a refusal")
    };
    assert_eq!(
        (refusal.code.as_str(), refusal.text.as_str()),
        ("account_denied", "no; ask")
    );
    bench
        .until("nothing is left", || !bench.dir(key(1)).exists())
        .await;
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_launcher_that_goes_away_is_said_and_its_return_too() {
    let mut bench = Bench::without_worker().await;
    bench.farm.enrol(&bench.state.path().join("worker"));
    bench.host.lock().is_launcher_away = true;
    bench.start();
    let facts = bench.farm.wait_for("a hello", |it| it.hellos.pop()).await;
    let panic = facts.panic.expect("has a reason");
    assert!(panic.starts_with("the launcher does not answer"), "{panic}");
    assert_eq!(facts.name, "rnd042");
    bench.farm.order(start(key(1), limits())).await;
    let refused = |it: &Report| matches!(it, Report::Refused { .. });
    let Report::Refused { refusal, .. } = bench.farm.report("a refusal", refused).await else {
        panic!("is a refusal")
    };
    assert_eq!(refusal.code, "launcher_unavailable");
    assert!(refusal.is_passing());
    // The refusal makes the worker look again.
    bench.host.lock().is_launcher_away = false;
    bench.farm.order(start(key(2), limits())).await;
    let facts = bench
        .farm
        .wait_for("another hello", |it| it.hellos.pop())
        .await;
    assert_eq!(facts.panic, None);
    assert_eq!(facts.properties["host.identity.containment"], "cgroup");
    assert_eq!(facts.properties["host.proxy_mode"], "user");
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_spool_that_cannot_be_written_refuses_and_the_rest_goes_on() {
    let mut bench = Bench::new().await;
    bench.launch(key(1), limits()).await;
    std::fs::write(bench.state.path().join("worker/spool/2"), b"in the way").expect("writes");
    bench.farm.order(start(key(2), limits())).await;
    let refused = |it: &Report| matches!(it, Report::Refused { .. });
    let Report::Refused { refusal, .. } = bench.farm.report("a refusal", refused).await else {
        panic!("is a refusal")
    };
    assert_eq!(refusal.code, "spool_unwritable");
    // Files of an item that can't be made: nothing ran, and no retry is used up.
    bench.host.end(key(1), 0);
    bench
        .farm
        .report("the end", |it| ended(it) == Some((1, 0, End::Exit(0))))
        .await;
    std::fs::create_dir(spool_path(&bench.dir(key(1)), 1, 1, SpoolFile::Exit)).expect("makes");
    bench
        .farm
        .order(ToWorker::Run {
            key: key(1),
            run: run(1),
        })
        .await;
    bench
        .farm
        .report("the loss", |it| ended(it) == Some((1, 1, End::Lost)))
        .await;
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mended_spool_is_noticed_soon() {
    let mut bench = Bench::new().await;
    bench.farm.wait_for("a hello", |it| it.hellos.pop()).await;
    let spool = bench.state.path().join("worker/spool");
    // As root everything can be written, so something stands where the worker tries.
    std::fs::create_dir(spool.join(".probe")).expect("makes");
    std::fs::write(spool.join("1"), b"in the way").expect("writes");
    bench.farm.order(start(key(1), limits())).await;
    let panic = bench
        .farm
        .wait_for("the panic", |it| it.hellos.pop()?.panic)
        .await;
    assert!(panic.contains("can't be written"), "{panic}");
    std::fs::remove_dir(spool.join(".probe")).expect("removes");
    let mended = std::time::Instant::now();
    let is_well = |it: &tessera_model::HostFacts| it.panic.is_none();
    bench
        .farm
        .wait_for("the end of the panic", |it| it.hellos.pop().filter(is_well))
        .await;
    let took = mended.elapsed();
    assert!(took < Duration::from_secs(10), "noticed after {took:?}");
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_is_sent_away_comes_back_when_it_may_stay() {
    let mut bench = Bench::without_worker().await;
    bench.farm.enrol(&bench.state.path().join("worker"));
    bench.farm.set(|state| state.sends_away = true);
    bench.start();
    bench
        .farm
        .wait_for("some tries", |it| (it.hellos.len() >= 4).then_some(()))
        .await;
    bench.farm.set(|state| state.sends_away = false);
    bench.launch(key(1), limits()).await;
    bench.host.end(key(1), 0);
    bench
        .farm
        .report("the end", |it| ended(it) == Some((1, 0, End::Exit(0))))
        .await;
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_may_join_while_its_worker_waits() {
    let mut bench = Bench::without_worker().await;
    bench.start();
    let worker = bench.state.path().join("worker");
    bench
        .until("the worker is there", || worker.join("lock").exists())
        .await;
    bench.farm.enrol(&worker);
    bench.farm.wait_for("a hello", |it| it.hellos.pop()).await;
    let second = crate::daemon::run(
        bench.settings(),
        bench.host.clone(),
        bench.eyes.clone(),
        None,
        tokio_util::sync::CancellationToken::new(),
    );
    assert!(matches!(
        second.await,
        Err(WorkerError::AlreadyRunning { .. })
    ));
    bench.stop().await;
}
