//! What hosts ran within a time.

use crate::world::{Farm, frames};
use tessera_api::query::TimelineQuery;
use tessera_api::types::Timeline;
use tessera_api::{Client, ClientError, ErrorCode};

async fn timeline(client: &Client, query: TimelineQuery) -> Result<Timeline, ErrorCode> {
    match client.timeline(&query).await {
        Ok(found) => Ok(found),
        Err(ClientError::Api(error)) => Err(error.code),
        Err(other) => panic!("no answer: {other}"),
    }
}

fn of(hosts: &str) -> TimelineQuery {
    TimelineQuery {
        hosts: hosts.into(),
        ..TimelineQuery::default()
    }
}

#[tokio::test]
async fn what_ran_and_what_runs_is_seen_where_and_when() {
    let farm = Farm::start().await;
    let mia = farm.user("mia").await;
    let mut worker = farm.worker("rnd001", 4).await;
    let _idle = farm.worker("rnd002", 4).await;
    let mut ids = Vec::new();
    for end in [Some(0), Some(3), None] {
        let mut request = frames("1");
        request.hosts = Some(vec!["rnd001".into()]);
        let job = mia
            .submit(&request, false)
            .await
            .expect("submitted")
            .job
            .expect("a number");
        let start = worker.started().await;
        worker.is_up(start.key).await;
        if let Some(status) = end {
            let seq = worker.ended(start.key, start.run, status).await;
            worker.acknowledged(seq).await;
        }
        ids.push(job);
    }
    let seen = timeline(&farm.user("tom").await, of("rnd001,rnd002"))
        .await
        .expect("an answer");
    let names: Vec<&str> = seen.hosts.iter().map(|host| host.name.as_str()).collect();
    assert_eq!(names, ["rnd001", "rnd002"], "as they were asked for");
    let mut spans: Vec<(u64, &str, bool, u32)> = seen.hosts[0]
        .spans
        .iter()
        .map(|span| {
            (
                span.job,
                span.state.as_str(),
                span.to_ms.is_some(),
                span.failed,
            )
        })
        .collect();
    spans.sort_unstable();
    assert_eq!(
        spans,
        [
            (ids[0], "done", true, 0),
            (ids[1], "failed", true, 1),
            (ids[2], "running", false, 0)
        ]
    );
    assert!(seen.hosts[1].spans.is_empty());
    assert_eq!(seen.jobs.len(), 3);
    assert_eq!(seen.jobs[0].user, "mia");
    let past = TimelineQuery {
        from_ms: Some(1),
        to_ms: Some(2),
        ..of("rnd001")
    };
    assert!(
        timeline(&mia, past).await.expect("an answer").hosts[0]
            .spans
            .is_empty()
    );
    for (query, code) in [
        (of("nohost"), ErrorCode::NotFound),
        (of(""), ErrorCode::Invalid),
        (
            TimelineQuery {
                from_ms: Some(5),
                to_ms: Some(5),
                ..of("rnd001")
            },
            ErrorCode::Invalid,
        ),
        (
            TimelineQuery {
                from_ms: Some(0),
                ..of("rnd001")
            },
            ErrorCode::Invalid,
        ),
    ] {
        assert_eq!(timeline(&mia, query.clone()).await, Err(code), "{query:?}");
    }
    let stranger = farm.over_tls(None).await;
    assert_eq!(
        timeline(&stranger, of("rnd001")).await,
        Err(ErrorCode::Unauthenticated)
    );
    farm.running.stop().await.expect("stops");
}
