//! Who is sent what, and when.

use super::*;
use std::path::Path;
use tessera_model::Lookup;

fn settings(dir: &Path, text: &str) -> WorkerSettings {
    let own = dir.join("own");
    std::fs::create_dir_all(&own).expect("makes");
    let path = dir.join("workers.toml");
    std::fs::write(&path, text).expect("writes");
    WorkerSettings::open(Place {
        path,
        is_named: false,
        own,
    })
}

fn facts(lookup: Option<Lookup>) -> HostFacts {
    HostFacts {
        name: "claimed".into(),
        properties: [("host.os".into(), "linux".into())].into(),
        settings: lookup.map(|lookup| SettingsInUse {
            lookup,
            ..SettingsInUse::default()
        }),
        ..HostFacts::default()
    }
}

fn took(hash: SettingsHash) -> SettingsInUse {
    SettingsInUse {
        taken: Some(hash),
        ..SettingsInUse::default()
    }
}

const A: HostId = HostId([1; 16]);
const B: HostId = HostId([2; 16]);
const TEXT: &str =
    "[linux]\nworker_cpus = 2\n[host.b]\nworker_cpus = 3\n[host.claimed]\nworker_cpus = 9\n";

#[tokio::test]
async fn each_host_is_sent_its_own_once_and_again_when_it_changes() {
    let dir = tempfile::tempdir().expect("a folder");
    let all = settings(dir.path(), TEXT);
    assert!(all.serves());
    let asks = Some(Lookup::default());
    let (a, b) = (
        all.opened(A, 1, "a".into(), &facts(asks)),
        all.opened(B, 2, "b".into(), &facts(asks)),
    );
    let first = all.next(&a).await;
    assert_eq!(first.values["worker_cpus"], "2");
    assert_eq!(all.next(&b).await.values["worker_cpus"], "3");
    assert_eq!(all.take_due(&a), None);
    assert_eq!(all.is_current(A), Some(false));
    all.said(A, 1, Some(&took(first.hash)));
    assert_eq!(all.is_current(A), Some(true));
    // What an older connection says counts no more, and its end ends nothing.
    let newer = all.opened(A, 3, "a".into(), &facts(asks));
    all.said(A, 1, Some(&took(first.hash)));
    all.closed(&a);
    assert_eq!(all.take_due(&a), None);
    assert_eq!(all.next(&newer).await, first);
    all.said(A, 3, Some(&took(first.hash)));
    std::fs::write(&all.place().path, TEXT.replace('3', "4")).expect("writes");
    let only_a = [A].into();
    let (_, outcomes) = all.reconfigure(Some(&only_a)).await.expect("is right");
    assert_eq!(outcomes.len(), 1);
    assert!(
        outcomes[0].changed.is_empty() && outcomes[0].is_current,
        "{outcomes:?}"
    );
    assert_eq!(all.take_due(&b), None, "it was not meant");
    assert_eq!(
        all.is_current(B),
        Some(false),
        "and the file says otherwise by now"
    );
    all.closed(&b);
    let b = all.opened(B, 4, "b".into(), &facts(asks));
    assert_eq!(all.next(&b).await.values["worker_cpus"], "4");
}

#[tokio::test]
async fn a_change_waits_for_what_hosts_say_and_not_for_one_that_goes() {
    let dir = tempfile::tempdir().expect("a folder");
    let all = Arc::new(settings(dir.path(), TEXT));
    let (a, b) = (
        all.opened(A, 1, "a".into(), &facts(Some(Lookup::default()))),
        all.opened(B, 2, "b".into(), &facts(Some(Lookup::default()))),
    );
    let first = all.next(&a).await;
    all.said(A, 1, Some(&took(first.hash)));
    std::fs::write(&all.place().path, "[linux]\nworker_groups = [\"gpu\"]\n").expect("writes");
    let hears = {
        let all = Arc::clone(&all);
        tokio::spawn(async move {
            let due = all.next(&a).await;
            all.said(A, 1, Some(&took(due.hash)));
            all.closed(&b);
        })
    };
    let (warnings, outcomes) = all.reconfigure(None).await.expect("is right");
    assert_eq!(warnings, [""; 0]);
    let keys = |of: usize| {
        outcomes[of]
            .changed
            .iter()
            .map(String::as_str)
            .collect::<Vec<_>>()
    };
    assert_eq!(
        (keys(0), outcomes[0].is_current),
        (vec!["worker_cpus", "worker_groups"], true)
    );
    assert!(!outcomes[1].is_current, "it never answered");
    hears.await.expect("it ends");
}

#[tokio::test]
async fn who_takes_nothing_is_sent_nothing() {
    let dir = tempfile::tempdir().expect("a folder");
    let all = settings(dir.path(), TEXT);
    let old = all.opened(A, 1, "a".into(), &facts(None));
    let local = all.opened(B, 2, "b".into(), &facts(Some(Lookup::Local)));
    assert_eq!((all.take_due(&old), all.take_due(&local)), (None, None));
    assert_eq!((all.is_current(A), all.is_current(B)), (None, None));
    let (_, outcomes) = all.reconfigure(None).await.expect("is right");
    assert!(outcomes.iter().all(|it| !it.is_current));
}

#[tokio::test]
async fn a_faulty_file_changes_nothing_and_is_told() {
    let dir = tempfile::tempdir().expect("a folder");
    let all = settings(dir.path(), TEXT);
    let a = all.opened(A, 1, "a".into(), &facts(Some(Lookup::default())));
    let first = all.next(&a).await;
    std::fs::write(&all.place().path, "[linux]\nworker_cpus = 5000\n").expect("writes");
    let mistakes = all.reconfigure(None).await.expect_err("is wrong");
    assert_eq!(mistakes.len(), 1);
    assert_eq!(all.file().1, mistakes);
    assert_eq!(all.take_due(&a), None);
    // A supervisor that starts then has the last good one.
    let again = WorkerSettings::open(all.place().clone());
    let a = again.opened(A, 1, "a".into(), &facts(Some(Lookup::default())));
    assert_eq!(again.next(&a).await, first);
    assert_eq!(again.file().1.len(), 1);
    // One that never had a good one has nothing to say.
    std::fs::remove_file(dir.path().join("own/workers.toml")).expect("is there");
    let without = WorkerSettings::open(all.place().clone());
    assert!(!without.serves());
    let a = without.opened(A, 1, "a".into(), &facts(Some(Lookup::default())));
    assert_eq!(without.take_due(&a), None);
}
