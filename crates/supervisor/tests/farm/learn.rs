//! Memory that is learnt from earlier jobs with the same command.

use crate::world::{Farm, Worker, ended, frames};
use tessera_api::types::SubmitRequest;
use tessera_api::{ClientError, ErrorCode};
use tessera_model::msg::{Report, ToWorker};

const GIB: u64 = 1 << 30;

fn of_scene(version: u32, memory: Option<&str>) -> SubmitRequest {
    let words = [
        "render",
        &format!("shot_v{version:03}.blend"),
        "QB_FRAME_NUMBER",
    ];
    SubmitRequest {
        command: words.map(str::to_owned).to_vec(),
        memory: memory.map(str::to_owned),
        ..frames("1-3")
    }
}

/// Runs the only job that waits: each of its frames ends with a status and a peak.
async fn run(worker: &mut Worker, ends: &[(i32, u64)]) {
    let start = worker.started().await;
    worker.is_up(start.key).await;
    let (key, mut run) = (start.key, start.run);
    for (at, (status, peak)) in ends.iter().enumerate() {
        let mut report = ended(key, run, *status, [0; 2]);
        if let Report::ItemEnded { end, .. } = &mut report {
            end.peak_memory = *peak;
        }
        worker.report(report).await;
        while at + 1 < ends.len() {
            if let ToWorker::Run { run: next, .. } = worker.next().await {
                run = next;
                break;
            }
        }
    }
    worker.gone(key).await;
}

#[tokio::test]
async fn the_memory_of_a_command_is_learnt_from_its_owners_earlier_jobs() {
    let farm = Farm::start().await;
    let mut worker = farm.worker("rnd001", 8).await;
    let asks = async |request: &SubmitRequest, dry_run| {
        let reply = farm.client.submit(request, dry_run).await;
        reply.expect("taken")
    };
    let first = asks(&of_scene(1, Some("learnt")), false).await;
    assert_eq!(first.memory, None);
    // As root there is more to say.
    let is_told = |warnings: &[String]| {
        let mut warnings = warnings.iter();
        warnings.any(|it| it.starts_with("no memory is reserved: no earlier job"))
    };
    assert!(is_told(&first.warnings), "{:?}", first.warnings);
    let spec = |job: Option<u64>| {
        let (client, job) = (&farm.client, job.expect("a job"));
        async move { client.job(job).await.expect("there").spec.reservations }
    };
    assert_eq!(spec(first.job).await, "host.processors=1");
    // What failed shows nothing of what the work needs.
    run(&mut worker, &[(0, 10 * GIB), (1, 40 * GIB), (0, 3 * GIB)]).await;
    let dry = asks(&of_scene(2, None), true).await.memory.expect("known");
    assert_eq!((dry.jobs, dry.frames), (1, 2));
    assert_eq!((dry.peak_bytes, dry.reserves_mib), (10 * GIB, 12 * 1024));
    let second = asks(&of_scene(2, Some("learnt")), false).await;
    assert_eq!(
        (second.memory, is_told(&second.warnings)),
        (Some(dry), false)
    );
    assert_eq!(
        spec(second.job).await,
        "host.processors=1,host.memory=12288"
    );
    run(&mut worker, &[(0, 20 * GIB), (0, 1), (0, 1)]).await;
    let again = SubmitRequest {
        memory: Some("learnt".into()),
        ..SubmitRequest::default()
    };
    let again = farm.client.resubmit(second.job.expect("a job"), &again);
    let again = again.await.expect("taken");
    assert_eq!(again.memory.map(|it| (it.jobs, it.frames)), Some((2, 5)));
    assert_eq!(spec(again.job).await, "host.processors=1,host.memory=24576");
    // Neither another command nor somebody else's jobs.
    let mut other = of_scene(2, None);
    other.command.push("--fast".into());
    assert_eq!(asks(&other, true).await.memory, None);
    let mia = farm.user("mia").await;
    let of_mia = mia.submit(&of_scene(2, None), true).await.expect("good");
    assert_eq!(of_mia.memory, None);
    farm.running.stop().await.expect("stops");
}

#[tokio::test]
async fn an_amount_of_memory_is_reserved_and_said_once() {
    let farm = Farm::start().await;
    let _worker = farm.worker("rnd001", 8).await;
    let id = farm.submit(of_scene(1, Some("8G"))).await;
    let spec = farm.client.job(id).await.expect("there").spec;
    assert_eq!(spec.reservations, "host.processors=1,host.memory=8192");
    let twice = SubmitRequest {
        reservations: Some("host.memory=1G".into()),
        ..of_scene(1, Some("8G"))
    };
    let refused = farm.client.submit(&twice, false).await;
    let Err(ClientError::Api(error)) = refused else {
        panic!("it was taken: {refused:?}")
    };
    assert_eq!(
        (error.code, error.fields[0].field.as_str()),
        (ErrorCode::Invalid, "memory")
    );
    farm.running.stop().await.expect("stops");
}
