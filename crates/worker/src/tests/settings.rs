//! What a supervisor sets for a worker: taken while jobs run, kept, and not believed.

use std::collections::BTreeMap;
use std::path::Path;

use tessera_model::{HostFacts, ServedSettings, SettingsHash, SettingsInUse};

use super::*;

fn served(hash: u8, values: &[(&str, &str)]) -> ServedSettings {
    let own = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
    ServedSettings {
        hash: SettingsHash([hash; 16]),
        values: values.iter().map(own).collect(),
    }
}

/// Waits until the farm was told that this set was taken; answers what the host said then.
async fn taken(bench: &Bench, hash: u8) -> (HostFacts, SettingsInUse) {
    bench
        .farm
        .wait_for("that it was taken", |state| {
            let facts = state.hellos.last()?.clone();
            let in_use = facts.settings.clone()?;
            (in_use.taken == Some(SettingsHash([hash; 16]))).then_some((facts, in_use))
        })
        .await
}

async fn bench(own: &str) -> Bench {
    let mut bench = Bench::without_worker().await;
    bench.farm.enrol(&bench.state.path().join("worker"));
    bench.own = Own::parse(Path::new("w.toml"), own).expect("is right");
    bench.config = bench.own.config().clone();
    bench.slots = None;
    bench
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_is_taken_while_a_job_runs_and_ends_nothing() {
    let mut bench = bench("worker_cpus = 4\n").await;
    bench.start();
    bench.launch(key(1), limits()).await;
    let values = [
        ("worker_cpus", "2"),
        ("worker_groups", "[\"gpu\"]"),
        ("worker_gpu_slots", "3"),
        ("proxy_nice_value", "5"),
    ];
    bench
        .farm
        .order(ToWorker::Settings(Box::new(served(1, &values))))
        .await;
    let (facts, in_use) = taken(&bench, 1).await;
    assert_eq!(
        (facts.slots, facts.properties["host.groups"].as_str()),
        (2, "gpu")
    );
    assert_eq!(facts.properties["host.gpu_slots"], "3");
    assert_eq!(
        in_use.restart.into_iter().collect::<Vec<_>>(),
        ["proxy_nice_value"]
    );
    assert_eq!(in_use.refused, BTreeMap::new());
    // What the farm must know follows, as on a new connection: the launch is still there.
    let inventory = bench
        .farm
        .wait_for("the inventory", |it| it.inventories.get(1).cloned())
        .await;
    assert_eq!(
        inventory.iter().map(|it| it.key).collect::<Vec<_>>(),
        [key(1)]
    );
    assert!(bench.host.lock().ends.is_empty(), "what ran was ended");
    // Back to what its own file says, when nothing is set any more. Slots for GPUs are said by their own key alone.
    let property = [("worker_properties", "[\"host.gpu_slots=9\"]")];
    bench
        .farm
        .order(ToWorker::Settings(Box::new(served(2, &property))))
        .await;
    let (facts, in_use) = taken(&bench, 2).await;
    assert_eq!((facts.slots, in_use.restart.len()), (4, 0));
    assert!(!facts.properties.contains_key("host.gpu_slots"));
    bench.host.end(key(1), 0);
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_says_what_it_has_only_when_it_knows_what_is_set_for_it() {
    let mut bench = bench("").await;
    bench.farm.set(|it| {
        it.serves = true;
        it.settings = Some(served(
            3,
            &[("worker_cpus", "1"), ("worker_restrictions", "\"/night\"")],
        ));
    });
    bench.start();
    bench
        .farm
        .wait_for("the inventory", |it| {
            (!it.inventories.is_empty()).then_some(())
        })
        .await;
    let (facts, _) = taken(&bench, 3).await;
    assert_eq!(
        (facts.slots, facts.properties["host.restrictions"].as_str()),
        (1, "/night")
    );
    let order = bench
        .farm
        .wait_for("what was said", |it| {
            let is = |it: &tessera_model::msg::FromWorker| {
                use tessera_model::msg::FromWorker as F;
                match it {
                    F::Hello(_) => Some("hello"),
                    F::Inventory(_) => Some("inventory"),
                    _ => None,
                }
            };
            let words: Vec<&str> = it.said.iter().filter_map(is).collect();
            (!words.is_empty()).then_some(words)
        })
        .await;
    assert_eq!(
        order,
        ["hello", "inventory"],
        "it was given work by what it said before"
    );
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_starts_with_what_is_kept_while_the_supervisor_is_away() {
    let mut bench = bench("").await;
    bench.start();
    let values = [("worker_cpus", "3"), ("proxy_nice_value", "7")];
    bench
        .farm
        .order(ToWorker::Settings(Box::new(served(4, &values))))
        .await;
    taken(&bench, 4).await;
    bench.stop().await;
    bench.farm.disconnect(false);
    bench.start();
    bench
        .until("it runs", || {
            bench
                .worker
                .as_ref()
                .is_some_and(|(_, task)| !task.is_finished())
        })
        .await;
    bench.farm.set(|it| {
        it.hellos.clear();
        it.is_up = true;
    });
    // Its first words have it already, and nothing waits for a restart.
    let first = bench
        .farm
        .wait_for("a hello", |it| it.hellos.first().cloned())
        .await;
    assert_eq!(first.slots, 3);
    let in_use = first.settings.expect("it takes settings");
    assert_eq!(
        (in_use.taken, in_use.restart.len()),
        (Some(SettingsHash([4; 16])), 0)
    );
    bench.stop().await;
    // A host that has joined another farm has nothing of the old one.
    let other = Farm::new().await;
    other.enrol(&bench.state.path().join("worker"));
    assert_eq!(bench.settings().in_use.taken, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hostile_supervisor_sets_nothing_that_is_the_hosts_own() {
    let mut bench = bench("proxy_account = \"tessera-job\"\n").await;
    bench.start();
    bench
        .farm
        .wait_for("a hello", |it| it.hellos.last().cloned())
        .await;
    let evil = [
        ("proxy_account", "\"root\""),
        ("proxy_execution_mode", "\"user\""),
        ("qb_supervisor", "\"evil:7433\""),
        ("desktop_allowed_submitters", "\"*\""),
        ("worker_credential_admit", "[]"),
        ("worker_lookup", "\"supervisor\""),
        ("worker_cpus", "4097"),
        ("worker_groups", "[\"a\"]\nproxy_account = \"root\""),
        ("worker_description", "\"fine\""),
    ];
    bench
        .farm
        .order(ToWorker::Settings(Box::new(served(5, &evil))))
        .await;
    let (facts, in_use) = taken(&bench, 5).await;
    assert_eq!(facts.properties["host.description"], "fine");
    assert_eq!(facts.allows, tessera_model::Consent::default());
    assert_eq!(facts.properties.get("host.groups"), None);
    let refused: Vec<&str> = in_use.refused.keys().map(String::as_str).collect();
    let mut wanted: Vec<&str> = evil.iter().map(|(key, _)| *key).collect();
    wanted.retain(|it| *it != "worker_description");
    wanted.sort_unstable();
    assert_eq!(refused, wanted, "each is told");
    bench.stop().await;
    // Nor by way of what is kept.
    let settings = bench.settings();
    let own = bench.own.config();
    assert_eq!(settings.config.proxy_account, own.proxy_account);
    assert_eq!(settings.config.proxy_execution_mode, None);
    assert_eq!(settings.config.qb_supervisor, None);
    assert_eq!(settings.config.worker_lookup, own.worker_lookup);
    assert_eq!(settings.config.desktop_allowed_submitters, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_that_looks_up_locally_takes_nothing() {
    let mut bench = bench("worker_lookup = \"local\"\nworker_cpus = 4\n").await;
    bench.farm.set(|it| {
        it.serves = true;
        it.settings = Some(served(6, &[("worker_cpus", "1")]));
    });
    bench.start();
    // It does not wait for what it would not take.
    bench
        .farm
        .wait_for("the inventory", |it| {
            (!it.inventories.is_empty()).then_some(())
        })
        .await;
    bench.launch(key(1), limits()).await;
    let last = bench
        .farm
        .wait_for("a hello", |it| it.hellos.last().cloned())
        .await;
    assert_eq!((last.slots, last.settings.expect("said").taken), (4, None));
    assert!(!bench.state.path().join("worker/served.toml").exists());
    bench.host.end(key(1), 0);
    bench.stop().await;
}
