//! Each thing that people can be told of is told when it happens to a farm: from its cause to what a receiver gets.

use crate::notify::{Manner, SOON, Server, configure, kill};
use crate::world::{Farm, Start, Worker, eventually, frames};
use serde_json::Value;
use std::collections::VecDeque;
use tessera_api::types::{ActionRequest, ModifyRequest, SubmitRequest};
use tessera_model::Timestamp;
use tessera_model::host::Refusal;
use tessera_model::msg::{AttemptEnd, Report, ToWorker};
use tessera_model::state::End;

const ALL: &str = "on = [\"done\", \"failed\", \"killed\", \"blocked\", \"stranded\", \"badlogin\", \"frame_failed\", \"host_lost\", \
                   \"host_panic\", \"farm_full\", \"farm_idle\"]";

/// A farm that tells everything at once, and gives up hosts soon.
async fn farm(server: &Server) -> Farm {
    let dir = tempfile::tempdir().expect("a folder");
    let soon = format!("{SOON}\nfarm_after = 0");
    configure(dir.path(), &soon, &[("all", &server.url(), ALL)]);
    let config = dir.path().join("farm/supervisor.toml");
    std::fs::write(config, "worker_lost_timeout = 1\n").expect("writes");
    Farm::start_in(dir).await
}

/// Waits until something of this kind is told.
async fn told(server: &Server, kind: &str) -> Value {
    let is_it = |it: &Value| it["kind"] == kind;
    let look = || async { server.all().iter().map(|got| got.json()).find(is_it) };
    eventually(kind, look).await
}

async fn act(farm: &Farm, action: &str, id: u64) {
    let request = ActionRequest {
        action: action.into(),
        targets: vec![id.to_string()],
    };
    let done = farm.client.act(&request).await.expect("acts");
    assert!(done.results.iter().all(|it| it.error.is_none()), "{done:?}");
}

async fn run(worker: &mut Worker, status: i32) {
    let start = worker.started().await;
    worker.is_up(start.key).await;
    let seq = worker.ended(start.key, start.run, status).await;
    worker.acknowledged(seq).await;
    worker.gone(start.key).await;
}

#[tokio::test]
async fn each_end_of_a_job_is_told() {
    let server = Server::start(Manner::Takes).await;
    let farm = farm(&server).await;
    let killed = farm.submit(frames("1")).await;
    kill(&farm, killed).await;
    assert_eq!(told(&server, "killed").await["about"][0]["job"], killed);
    let blocked = farm.submit(frames("1")).await;
    act(&farm, "block", blocked).await;
    assert_eq!(told(&server, "blocked").await["about"][0]["job"], blocked);
    let mut worker = farm.worker("rnd001", 1).await;
    let done = farm.submit(frames("1")).await;
    run(&mut worker, 0).await;
    assert_eq!(told(&server, "done").await["about"][0]["job"], done);
    let failed = farm.submit(frames("1")).await;
    run(&mut worker, 3).await;
    assert_eq!(told(&server, "failed").await["about"][0]["job"], failed);
    let frame = told(&server, "frame_failed").await;
    assert_eq!(
        (&frame["about"][0]["job"], &frame["about"][0]["frame"]),
        (&failed.into(), &"1".into())
    );
    farm.running.stop().await.expect("stops");
}

#[tokio::test]
async fn what_only_waits_is_not_told_and_what_waits_in_vain_is() {
    let server = Server::start(Manner::Takes).await;
    let farm = farm(&server).await;
    let parent = farm.submit(frames("1")).await;
    let waits = SubmitRequest {
        after: Some(parent.to_string()),
        ..frames("1")
    };
    let child = farm.submit(waits).await;
    act(&farm, "fail", parent).await;
    let it = told(&server, "stranded").await;
    assert_eq!(it["about"][0]["job"], child);
    let text = it["text"].as_str().expect("a text");
    assert!(text.contains(&format!("job {parent} (failed)")), "{it}");
    // Who did it, and not a cause that nobody saw.
    let it = told(&server, "failed").await;
    assert_eq!(it["about"][0]["job"], parent);
    let text = it["about"][0]["text"].as_str().expect("who");
    assert!(text.ends_with(" declared it failed"), "{it}");
    // What came after it was told, so what was before was passed over.
    let all = server.all();
    let blocked = all.iter().find(|got| got.json()["kind"] == "blocked");
    assert!(blocked.is_none(), "there is nothing to do for anybody");
    farm.running.stop().await.expect("stops");
}

#[tokio::test]
async fn a_job_is_told_of_over_the_webhook_that_it_names() {
    let server = Server::start(Manner::Takes).await;
    let dir = tempfile::tempdir().expect("a folder");
    let channels = [
        ("chat", &*server.url(), "jobs = true"),
        ("closed", &*server.url(), "on = [\"farm_full\"]"),
    ];
    configure(dir.path(), SOON, &channels);
    let farm = Farm::start_in(dir).await;
    let asking = |list: &str| SubmitRequest {
        webhooks: Some(vec![list.to_owned()]),
        ..frames("1")
    };
    for name in ["closed", "elsewhere"] {
        let request = asking(&format!("{name}=killed"));
        let refused = farm.client.submit(&request, false).await.expect_err(name);
        let said = format!("{refused:?}");
        assert!(
            said.contains(&format!("no webhook {name} that jobs")),
            "{said}"
        );
        assert!(said.contains("those are chat"), "{said}");
    }
    let quiet = farm.submit(frames("1")).await;
    let other = farm.submit(asking("chat=done")).await;
    let asks = farm.submit(asking("chat=done,killed")).await;
    let change = ModifyRequest {
        webhooks: Some(vec!["chat=killed".into()]),
        ..ModifyRequest::default()
    };
    let later = farm.submit(frames("1")).await;
    farm.client.modify(later, &change).await.expect("allowed");
    let farm = farm.restart().await;
    for job in [quiet, other, asks, later] {
        kill(&farm, job).await;
    }
    let look = || async {
        let all = server.all();
        let about = all.iter().flat_map(|got| {
            let json = got.json();
            json["about"].as_array().cloned().unwrap_or_default()
        });
        let told: std::collections::BTreeSet<u64> =
            about.filter_map(|it| it["job"].as_u64()).collect();
        told.contains(&later).then_some(told)
    };
    let told = eventually("all of it", look).await;
    assert_eq!(told, [asks, later].into());
    farm.running.stop().await.expect("stops");
}

#[tokio::test]
async fn a_refused_identity_is_told() {
    let server = Server::start(Manner::Takes).await;
    let farm = farm(&server).await;
    let mut worker = farm.worker("rnd001", 1).await;
    let id = farm.submit(frames("1")).await;
    let key = worker.started().await.key;
    let refusal = Refusal {
        code: "no_such_account".into(),
        text: "no such account on rnd001".into(),
    };
    let seq = worker.report(Report::Refused { key, refusal }).await;
    worker.acknowledged(seq).await;
    let it = told(&server, "badlogin").await;
    assert_eq!(it["about"][0]["job"], id);
    assert!(
        it["text"]
            .as_str()
            .expect("a text")
            .contains("waits in badlogin"),
        "{it}"
    );
    farm.running.stop().await.expect("stops");
}

#[tokio::test]
async fn a_lost_host_and_one_that_takes_no_work_are_told() {
    let server = Server::start(Manner::Takes).await;
    let farm = farm(&server).await;
    let mut worker = farm.worker("rnd001", 1).await;
    worker
        .panics_of("its disk is full", farm.running.address())
        .await;
    let it = told(&server, "host_panic").await;
    let text = it["text"].as_str().expect("a text");
    assert!(
        text.contains("rnd001") && text.contains("its disk is full"),
        "{it}"
    );
    worker.disconnect();
    assert_eq!(
        told(&server, "host_lost").await["about"][0]["host"],
        "rnd001"
    );
    farm.running.stop().await.expect("stops");
}

#[tokio::test]
async fn a_farm_is_told_to_be_full_then_idle() {
    let server = Server::start(Manner::Takes).await;
    let farm = farm(&server).await;
    let mut worker = farm.worker("rnd001", 1).await;
    let first = farm.submit(frames("1")).await;
    let start = worker.started().await;
    worker.is_up(start.key).await;
    let second = farm.submit(frames("1")).await;
    let full = told(&server, "farm_full").await;
    assert_eq!(
        full["text"],
        "the farm is full: 1 slots are taken, 1 jobs wait"
    );
    kill(&farm, second).await;
    let seq = worker.ended(start.key, start.run, 0).await;
    worker.acknowledged(seq).await;
    worker.gone(start.key).await;
    assert_eq!(told(&server, "done").await["about"][0]["job"], first);
    // It may have been idle before it was full, too.
    let is_after = |all: &[Value]| {
        let place = |kind: &str| all.iter().rposition(|it| it["kind"] == kind);
        place("farm_idle") > place("farm_full")
    };
    let look = || async {
        let all: Vec<Value> = server.all().iter().map(|got| got.json()).collect();
        is_after(&all).then_some(())
    };
    eventually("idle", look).await;
    farm.running.stop().await.expect("stops");
}

/// A job that both of two hosts have an instance of.
fn on_both(range: &str) -> SubmitRequest {
    SubmitRequest {
        cpus: Some(2),
        ..frames(range)
    }
}

/// So many fail on a host before its job keeps off it: five, and the one that was given ahead and has begun by then.
const IN_A_ROW: usize = 5 + 1;

/// Ends each item that a launch is given with this status, until it is closed; answers how many.
async fn serve(worker: &mut Worker, status: i32) -> usize {
    let Start { key, run, .. } = worker.started().await;
    worker.is_up(key).await;
    let (mut given, mut count) = (VecDeque::from([run]), 0);
    loop {
        // What is said up to the acknowledgement of an end is heard before the next one ends.
        let said = match given.pop_front() {
            Some(run) => {
                count += 1;
                let seq = worker.ended(key, run, status).await;
                worker.acknowledged(seq).await
            }
            None => vec![worker.next().await],
        };
        for it in said {
            match it {
                ToWorker::Run { run, .. } => given.push_back(run),
                ToWorker::EndItem { run, .. } => {
                    // As a worker does with what has not begun.
                    given.retain(|it| *it != run);
                    let end = AttemptEnd::nothing_ran(End::Asked, Timestamp(1_000));
                    worker.report(Report::ItemEnded { key, run, end }).await;
                }
                ToWorker::Close { .. } => {
                    worker.gone(key).await;
                    return count;
                }
                ToWorker::Ack(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }
}

#[tokio::test]
async fn a_job_that_fails_wherever_it_is_tried_is_told_once_with_the_reason() {
    let server = Server::start(Manner::Takes).await;
    let farm = farm(&server).await;
    let mut first = farm.worker("rnd001", 1).await;
    let mut second = farm.worker("rnd002", 1).await;
    let job = farm.submit(on_both("1-40")).await;
    for worker in [&mut first, &mut second] {
        assert_eq!(serve(worker, 3).await, IN_A_ROW);
    }
    let why =
        "5 of its frames failed in a row on each of rnd001, rnd002, and none succeeded anywhere";
    let about = told(&server, "blocked").await["about"][0].clone();
    assert_eq!(about["job"], job);
    let text = about["text"].as_str().expect("why");
    assert_eq!(text, format!("{why}; tessera why {job} says more"));
    let reason = farm.client.why(job).await.expect("there").reasons.remove(0);
    assert_eq!(
        (reason.kind.as_str(), reason.text),
        ("blocked", format!("blocked by the farm: {why}"))
    );
    // It is so after a restart, too, and who unblocks it lets it go on.
    let farm = farm.restart().await;
    let detail = farm.client.job(job).await.expect("there");
    let reasons = detail.instances.iter().map(|it| it.reason.as_deref());
    assert_eq!(reasons.collect::<Vec<_>>(), [Some(why); 2]);
    act(&farm, "unblock", job).await;
    let address = farm.running.address();
    first.connect(address, Vec::new()).await.expect("attaches");
    assert_eq!(first.started().await.key.job.0, job);
    let told = server.all();
    let blocked = told.iter().filter(|it| it.json()["kind"] == "blocked");
    assert_eq!(blocked.count(), 1);
    farm.running.stop().await.expect("stops");
}

#[tokio::test]
async fn a_host_that_the_farm_locks_is_told_once() {
    let server = Server::start(Manner::Takes).await;
    let farm = farm(&server).await;
    let mut bad = farm.worker("rnd001", 1).await;
    let mut good = farm.worker("rnd002", 1).await;
    for _ in 0..3 {
        let job = farm.submit(on_both("1-12")).await;
        assert_eq!(serve(&mut bad, 3).await, IN_A_ROW);
        assert_eq!(serve(&mut good, 0).await, 12);
        let job = farm.client.job(job).await.expect("there").job;
        assert_eq!(job.status, "complete");
    }
    let about = told(&server, "host_panic").await["about"][0].clone();
    assert_eq!(
        (&about["host"], &about["count"]),
        (&"rnd001".into(), &1.into())
    );
    let text = about["text"].as_str().expect("why");
    let why = "rnd001 is locked: by the farm: frames of jobs 1, 2, 3 failed here 5 times in a row and succeed elsewhere";
    assert_eq!(text, why);
    farm.running.stop().await.expect("stops");
}
