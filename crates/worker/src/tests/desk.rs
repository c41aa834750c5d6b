//! The person at the host: what they take back, and what becomes of work when they come.

use std::time::Duration;

use tessera_engine::worker::idle::Seen;
use tessera_model::desk::Running;
use tessera_model::msg::{FromWorker, GoneCause, Report, ToWorker};
use tessera_model::state::End;
use tessera_model::{HostFacts, WhileActive};

use super::{Bench, key, limits, run, start};
use crate::config::Config;

fn anna(seconds: u64) -> Seen {
    Seen::Idle {
        time: Duration::from_secs(seconds),
        who: "anna".to_owned(),
    }
}

/// A host that locks itself while somebody is active, and at which nobody is.
async fn watched(running: Running) -> Bench {
    let mut bench = Bench::without_worker().await;
    bench.farm.enrol(&bench.state.path().join("worker"));
    bench.config = Config {
        desktop_lock_while_active: true,
        desktop_idle_running: running,
        ..Config::default()
    };
    bench.start();
    is_closed(&bench, false).await;
    bench
}

/// Waits until the host was said to take no work, or to take some.
async fn is_closed(bench: &Bench, wanted: bool) {
    let is = |it: &HostFacts| it.presence.as_ref().map(|it| it.is_closed) == Some(wanted);
    bench
        .farm
        .wait_for("what the host says of itself", |it| {
            it.hellos.last().is_some_and(is).then_some(())
        })
        .await;
}

async fn refusal(bench: &Bench, job: u64) -> String {
    let is = |it: &Report| matches!(it, Report::Refused { key: k, .. } if *k == key(job));
    match bench.farm.report("the refusal", is).await {
        Report::Refused { refusal, .. } => refusal.code,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn work_is_suspended_while_somebody_is_there_and_none_comes() {
    let mut bench = watched(Running::Suspend).await;
    bench.launch(key(1), limits()).await;
    bench.eyes.see(anna(2));
    is_closed(&bench, true).await;
    bench
        .until("it is suspended", || {
            bench.host.lock().suspended == [(key(1), true)]
        })
        .await;
    let idle = FromWorker::Idle(Duration::from_secs(2));
    bench
        .farm
        .wait_for("how long nobody touched it", |it| {
            it.said.contains(&idle).then_some(())
        })
        .await;
    // What was on its way is refused by the host itself; the farm's own word to go on does not wake what it stopped.
    bench.farm.order(ToWorker::Resume(key(1))).await;
    bench.farm.order(start(key(2), limits())).await;
    assert_eq!(refusal(&bench, 2).await, "owner_active");
    assert_eq!(bench.host.lock().suspended, [(key(1), true)]);
    bench.eyes.see(Seen::Nobody);
    is_closed(&bench, false).await;
    bench
        .until("it goes on", || {
            bench.host.lock().suspended == [(key(1), true), (key(1), false)]
        })
        .await;
    bench.host.end(key(1), 0);
    let is = |it: &Report| matches!(it, Report::ItemEnded { key: k, .. } if *k == key(1));
    let Report::ItemEnded { end, .. } = bench.farm.report("the end", is).await else {
        panic!("is an end")
    };
    assert_eq!(end.end, End::Exit(0));
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn work_is_put_back_when_somebody_comes_if_told_so() {
    let mut bench = watched(Running::Requeue).await;
    bench.launch(key(1), limits()).await;
    bench.eyes.see(anna(0));
    let is = |it: &Report| matches!(it, Report::ItemEnded { key: k, .. } if *k == key(1));
    let Report::ItemEnded { end, .. } = bench.farm.report("the end", is).await else {
        panic!("is an end")
    };
    assert_eq!(end.end, End::Asked);
    let is = |it: &Report| matches!(it, Report::Gone { key: k, .. } if *k == key(1));
    let gone = bench.farm.report("the end of the launch", is).await;
    assert!(
        matches!(
            gone,
            Report::Gone {
                cause: GoneCause::Closed,
                ..
            }
        ),
        "{gone:?}"
    );
    // The farm knew that nothing may come before it heard of the end.
    let order = bench.farm.wait_for("both", |it| {
        let closed = |it: &FromWorker| matches!(it, FromWorker::Hello(facts) if facts.presence.as_ref().is_some_and(|it| it.is_closed));
        let ended = |it: &FromWorker| matches!(it, FromWorker::Report { report: Report::ItemEnded { .. }, .. });
        Some((it.said.iter().position(closed)?, it.said.iter().position(ended)?))
    });
    let (closed, ended) = order.await;
    assert!(closed < ended, "said {closed}, ended {ended}");
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn work_that_is_kept_ends_by_itself_and_no_other_item_follows() {
    let mut bench = watched(Running::Keep).await;
    bench.launch(key(1), limits()).await;
    bench.eyes.see(Seen::Unknown("no tool".to_owned()));
    // Seen before, so that one failure changes nothing for a while; then somebody is there.
    bench.eyes.see(anna(1));
    is_closed(&bench, true).await;
    bench
        .farm
        .order(ToWorker::Run {
            key: key(1),
            run: run(1),
        })
        .await;
    let is = |it: &Report| matches!(it, Report::ItemEnded { key: k, run: r, .. } if *k == key(1) && *r == run(1));
    let Report::ItemEnded { end, .. } = bench.farm.report("the answer", is).await else {
        panic!("is an end")
    };
    assert_eq!(end.end, End::Asked);
    assert!(bench.host.lock().ends.is_empty(), "what ran was ended");
    assert!(
        bench.host.lock().suspended.is_empty(),
        "what ran was stopped"
    );
    bench.host.end(key(1), 0);
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_farm_can_have_a_host_look_and_a_blind_one_takes_nothing() {
    let mut bench = Bench::new().await;
    bench.eyes.see(Seen::Unknown("no tool".to_owned()));
    bench.launch(key(1), limits()).await;
    let rule = WhileActive {
        idle_after: Duration::from_secs(120),
        running: Running::Keep,
    };
    bench
        .farm
        .order(ToWorker::LockWhileActive(Some(rule)))
        .await;
    is_closed(&bench, true).await;
    let facts = bench
        .farm
        .wait_for("why", |it| {
            let facts = it.hellos.last()?.presence.clone()?;
            (facts.unknown.as_deref() == Some("no tool")).then_some(facts)
        })
        .await;
    assert_eq!(facts.rule, rule);
    bench.farm.order(ToWorker::LockWhileActive(None)).await;
    bench
        .farm
        .wait_for("that it looks no more", |it| {
            it.hellos
                .last()
                .is_some_and(|it| it.presence.is_none())
                .then_some(())
        })
        .await;
    bench.launch(key(2), limits()).await;
    bench.stop().await;
}
