//! Retention.

use crate::world::{Farm, ended, eventually, frames};
use bytes::Bytes;
use tessera_api::query::JobsQuery;
use tessera_api::types::CleanupRequest;
use tessera_wire::convert::{LogChunk, LogKey, LogStream};

#[tokio::test]
async fn ended_jobs_go_and_unfinished_ones_never_do() {
    let farm = Farm::start().await;
    let mut worker = farm.worker("rnd001", 1).await;
    let done = farm.submit(frames("1")).await;
    let start = worker.started().await;
    worker.report(ended(start.key, start.run, 0, [0, 0])).await;
    worker.gone(start.key).await;
    let open = farm.submit(frames("1")).await;
    let mut request = CleanupRequest {
        older_than_days: Some(1),
        quota_bytes: None,
        dry_run: false,
    };
    assert_eq!(
        farm.client
            .cleanup(&request)
            .await
            .expect("an answer")
            .jobs_removed,
        0,
        "too young"
    );
    request.older_than_days = Some(0);
    request.dry_run = true;
    let would = eventually("a job that ended before now", || async {
        let would = farm.client.cleanup(&request).await.ok()?;
        (would.jobs_removed > 0).then_some(would)
    })
    .await;
    assert_eq!(
        (would.dry_run, would.jobs_removed, would.jobs[0].id),
        (true, 1, done)
    );
    let all = farm
        .client
        .jobs(&JobsQuery::default())
        .await
        .expect("a list")
        .jobs;
    assert_eq!(all.len(), 2, "nothing was removed yet");
    request.dry_run = false;
    assert_eq!(
        farm.client
            .cleanup(&request)
            .await
            .expect("an answer")
            .jobs_removed,
        1
    );
    let left = farm
        .client
        .jobs(&JobsQuery::default())
        .await
        .expect("a list")
        .jobs;
    assert_eq!(left.iter().map(|job| job.id).collect::<Vec<_>>(), [open]);
    let usage = farm.client.usage().await.expect("usage");
    assert_eq!((usage.jobs, usage.ended_jobs), (1, 0));
    let farm = farm.restart().await;
    let left = farm
        .client
        .jobs(&JobsQuery::default())
        .await
        .expect("a list")
        .jobs;
    assert_eq!(left.iter().map(|job| job.id).collect::<Vec<_>>(), [open]);
    let next = farm.submit(frames("1")).await;
    assert_eq!(next, open + 1);
    farm.running.stop().await.expect("stops");
}

#[tokio::test]
async fn over_the_quota_the_longest_ended_go_first() {
    let farm = Farm::start().await;
    let mut worker = farm.worker("rnd001", 1).await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(farm.submit(frames("1")).await);
        let start = worker.started().await;
        let mut push = worker.logs().await;
        let stream = LogStream::Out;
        let key = LogKey {
            job: start.key.job,
            item: start.run.item,
            attempt: start.run.attempt,
            stream,
        };
        let data = Bytes::from(vec![b'x'; 1_000]);
        push.chunks
            .send(LogChunk {
                key,
                offset: 0,
                data,
                final_size: Some(1_000),
            })
            .await
            .expect("taken");
        assert!(push.acks.recv().await.is_some_and(|ack| ack.is_complete));
        worker
            .report(ended(start.key, start.run, 0, [1_000, 0]))
            .await;
        worker.gone(start.key).await;
    }
    assert_eq!(farm.client.usage().await.expect("usage").log_bytes, 3_000);
    let request = CleanupRequest {
        older_than_days: None,
        quota_bytes: Some(1_500),
        dry_run: false,
    };
    let done = farm.client.cleanup(&request).await.expect("an answer");
    assert_eq!((done.jobs_removed, done.log_bytes), (2, 2_000));
    assert_eq!(
        done.jobs.iter().map(|job| job.id).collect::<Vec<_>>(),
        ids[..2]
    );
    assert_eq!(farm.client.usage().await.expect("usage").log_bytes, 1_000);
    let left = farm
        .client
        .jobs(&JobsQuery::default())
        .await
        .expect("a list")
        .jobs;
    assert_eq!(left.iter().map(|job| job.id).collect::<Vec<_>>(), ids[2..]);
    farm.running.stop().await.expect("stops");
}

#[tokio::test]
async fn old_history_goes_and_the_farm_goes_on_from_its_numbers() {
    let farm = Farm::start_forgetful().await;
    let mut worker = farm.worker("rnd001", 1).await;
    farm.submit(frames("1")).await;
    let start = worker.started().await;
    worker.report(ended(start.key, start.run, 0, [0, 0])).await;
    worker.gone(start.key).await;
    let open = farm.submit(frames("1-3")).await;
    let request = CleanupRequest {
        older_than_days: None,
        quota_bytes: None,
        dry_run: false,
    };
    // By age: what happened in this millisecond is not old yet.
    let done = eventually("history that is old", || async {
        let done = farm.client.cleanup(&request).await.ok()?;
        (done.events_removed > 0).then_some(done)
    })
    .await;
    assert_eq!(done.jobs_removed, 0, "the job is not old");
    let history = farm
        .client
        .history(open, &tessera_api::query::HistoryQuery::default())
        .await;
    assert!(
        !history.expect("a list").events.is_empty(),
        "what is unfinished keeps its own"
    );
    let farm = farm.restart().await;
    let next = farm.submit(frames("1")).await;
    assert!(next > open, "numbers are not given again");
    let jobs = farm.client.jobs(&JobsQuery::default()).await;
    assert_eq!(jobs.expect("a list").jobs.len(), 3);
    farm.running.stop().await.expect("stops");
}
