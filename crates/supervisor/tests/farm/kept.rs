//! What outlives the supervisor: everything that it acknowledged.

use crate::world::{DEADLINE, Farm, eventually, frames, options};
use std::path::Path;
use std::process::Stdio;
use tessera_api::Client;
use tessera_api::query::JobsQuery;
use tessera_api::types::SubmitRequest;
use tessera_model::msg::{LaunchInventory, ToWorker};
use tessera_supervisor::{SupervisorError, start};

/// Names the folder for [`serve_until_killed`].
const FOLDER: &str = "TESSERA_TEST_FOLDER";

#[tokio::test]
async fn a_restart_keeps_jobs_hosts_and_what_runs() {
    let farm = Farm::start().await;
    let mut worker = farm.worker("rnd001", 1).await;
    let blocked = farm
        .submit(SubmitRequest {
            status: Some("blocked".into()),
            ..frames("1-5000")
        })
        .await;
    let id = farm.submit(frames("1-3")).await;
    let start = worker.started().await;
    let seq = worker.is_up(start.key).await;
    worker.acknowledged(seq).await;
    let seq = worker.ended(start.key, start.run, 1).await;
    let before = worker.acknowledged(seq).await;
    let [ToWorker::Run { run, .. }] = before.as_slice() else {
        panic!("{before:?}")
    };
    let run = *run;
    let farm = farm.restart().await;
    let job = farm.client.job(id).await.expect("kept").job;
    assert_eq!(
        (job.items.failed, job.items.running, job.items.pending),
        (1, 1, 1)
    );
    assert_eq!(
        farm.client
            .job(blocked)
            .await
            .expect("kept")
            .job
            .items
            .blocked,
        5_000
    );
    assert_eq!(
        farm.client.host("rnd001").await.expect("kept").host.status,
        "away"
    );
    let has = LaunchInventory {
        key: start.key,
        current: Some(run),
        ahead: Vec::new(),
        is_closing: false,
        is_suspended: false,
    };
    worker
        .connect(farm.running.address(), vec![has])
        .await
        .expect("the same farm");
    let seq = worker.ended(start.key, run, 0).await;
    worker.acknowledged(seq).await;
    let items = farm.client.job(id).await.expect("kept").job.items;
    assert_eq!((items.failed, items.complete, items.running), (1, 1, 1));
    farm.running.stop().await.expect("stops");
}

#[tokio::test]
async fn one_state_has_one_supervisor() {
    let farm = Farm::start().await;
    let error = start(options(farm.dir.path()))
        .await
        .err()
        .expect("refused");
    assert!(
        matches!(&error, SupervisorError::AlreadyRunning { .. }),
        "{error}"
    );
    farm.running.stop().await.expect("stops");
}

#[tokio::test]
async fn a_bad_configuration_is_told_with_file_and_line() {
    let dir = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(dir.path().join("farm")).expect("made");
    std::fs::write(
        dir.path().join("farm/supervisor.toml"),
        "\nsupervisor_prot = 1\n",
    )
    .expect("written");
    let error = start(options(dir.path()))
        .await
        .err()
        .expect("refused")
        .to_string();
    assert!(
        error.ends_with(
            "supervisor.toml:2: unknown key \"supervisor_prot\"; did you mean `supervisor_port`?"
        ),
        "{error}"
    );
}

#[tokio::test]
async fn keys_of_another_farm_are_not_put_on_this_store() {
    let farm = Farm::start().await;
    let dir = farm.dir;
    farm.running.stop().await.expect("stops");
    std::fs::remove_dir_all(dir.path().join("farm/supervisor/keys")).expect("removed");
    let error = start(options(dir.path()))
        .await
        .err()
        .expect("refused")
        .to_string();
    assert!(error.contains("the keys are of farm"), "{error}");
}

/// Not a test of its own: the process that the next one kills.
#[tokio::test]
#[ignore = "run by submissions_outlive_kill_9 in a process of its own"]
async fn serve_until_killed() {
    let Ok(folder) = std::env::var(FOLDER) else {
        return;
    };
    let running = start(options(Path::new(&folder))).await.expect("starts");
    tokio::time::sleep(DEADLINE * 3).await;
    drop(running);
}

async fn serve(folder: &Path) -> (tokio::process::Child, Client) {
    let socket = options(folder).socket_path();
    let _left_over = std::fs::remove_file(&socket);
    let child = tokio::process::Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", "kept::serve_until_killed", "--ignored"])
        .env(FOLDER, folder)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("starts");
    let client = Client::unix(&socket);
    eventually("a supervisor", || async { client.health().await.ok() }).await;
    (child, client)
}

#[tokio::test]
async fn submissions_outlive_kill_9() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut acknowledged = Vec::new();
    for round in 0..4 {
        let (mut child, client) = serve(dir.path()).await;
        let submitter = {
            let client = client.clone();
            tokio::spawn(async move {
                let mut ids = Vec::new();
                let request = |n| SubmitRequest {
                    key: Some(format!("{round}.{n}")),
                    ..frames("1-20")
                };
                for n in 0.. {
                    match client.submit(&request(n), false).await {
                        Ok(reply) => ids.push(reply.job.expect("a number")),
                        Err(_killed) => break,
                    }
                }
                ids
            })
        };
        let enough = 30 + 17 * round;
        eventually("enough jobs", || async {
            let jobs = client
                .jobs(&JobsQuery {
                    limit: Some(1_000),
                    ..JobsQuery::default()
                })
                .await
                .ok()?
                .jobs;
            (jobs.len() >= acknowledged.len() + enough).then_some(())
        })
        .await;
        child.kill().await.expect("killed");
        let ids = submitter.await.expect("no panic");
        // Each round may have left one job that is there and whose answer was lost.
        assert!(ids.len() + 1 + round >= enough, "{} of {enough}", ids.len());
        acknowledged.extend(ids);
    }
    let (_child, client) = serve(dir.path()).await;
    let mut known = Vec::new();
    let mut which = JobsQuery {
        limit: Some(1_000),
        ..JobsQuery::default()
    };
    loop {
        let page = client.jobs(&which).await.expect("a page");
        known.extend(page.jobs.iter().map(|job| job.id));
        match page.next {
            Some(next) => which.cursor = Some(next),
            None => break,
        }
    }
    let lost: Vec<_> = acknowledged
        .iter()
        .filter(|id| !known.contains(id))
        .collect();
    assert!(lost.is_empty(), "acknowledged and lost: {lost:?}");
    let mut once = acknowledged.clone();
    once.sort_unstable();
    once.dedup();
    assert_eq!(once.len(), acknowledged.len(), "no number was given twice");
}
