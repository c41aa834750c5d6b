//! What failed, grouped by the line that tells why.

use crate::logs::{chunk, put};
use crate::world::{Farm, frames};
use tessera_api::query::ErrorsQuery;
use tessera_api::types::{ActionRequest, Errors};
use tessera_api::{Client, ClientError, ErrorCode};
use tessera_wire::convert::LogStream;

async fn errors(client: &Client) -> Errors {
    let all = ErrorsQuery::default();
    client.errors(&all).await.expect("an answer")
}

async fn refused(client: &Client, job: u64) -> ErrorCode {
    let of_job = ErrorsQuery { job: Some(job) };
    match client.errors(&of_job).await.expect_err("refused") {
        ClientError::Api(error) => error.code,
        other => panic!("not refused: {other}"),
    }
}

#[tokio::test]
async fn failures_are_grouped_by_why_for_who_may_read_the_output() {
    let farm = Farm::start().await;
    let (mia, tom) = (farm.user("mia").await, farm.user("tom").await);
    let mut worker = farm.worker("rnd001", 4).await;
    let mut push = worker.logs().await;
    let mut started = Vec::new();
    for (who, line) in [
        (&mia, "Error: no license for /mnt/a/1.exr, try 1\nbye\n"),
        (&mia, "Error: no license for /mnt/b/22.exr, try 30\n"),
        (
            &tom,
            "\u{1b}[31mcrash: segmentation fault at 0x12\u{1b}[0m\n",
        ),
        (&tom, ""),
    ] {
        let job = who.submit(&frames("1"), false).await.expect("submitted");
        started.push((job.job.expect("a number"), worker.started().await, line));
    }
    for (_, start, line) in &started {
        worker.is_up(start.key).await;
        if !line.is_empty() {
            put(&mut push, chunk(start, LogStream::Err, 0, line.as_bytes())).await;
        }
        let seq = worker.ended(start.key, start.run, 1).await;
        worker.acknowledged(seq).await;
    }
    let ids: Vec<u64> = started.iter().map(|(id, ..)| *id).collect();
    let hers = errors(&mia).await;
    assert_eq!(
        (hers.groups.len(), hers.looked_at, hers.left_out),
        (1, 2, 0)
    );
    let group = &hers.groups[0];
    assert_eq!(group.text, "Error: no license for <path>, try <n>");
    assert_eq!((group.count, group.job_count, group.host_count), (2, 2, 1));
    assert_eq!(group.hosts, ["rnd001"]);
    assert_eq!(
        group.targets,
        [format!("{}#1", ids[1]), format!("{}#1", ids[0])]
    );
    assert!(group.first_ms > 0 && group.first_ms <= group.last_ms);
    assert!(group.example.starts_with("Error: no license for /mnt/"));
    let his = errors(&tom).await;
    let mut texts: Vec<&str> = his.groups.iter().map(|group| group.text.as_str()).collect();
    texts.sort_unstable();
    assert_eq!(
        texts,
        [
            "crash: segmentation fault at <hex>",
            "it printed nothing: exit 1"
        ]
    );
    assert_eq!(
        errors(&farm.client).await.groups.len(),
        3,
        "an administrator sees all"
    );
    assert_eq!(refused(&tom, ids[0]).await, ErrorCode::Forbidden);
    assert_eq!(refused(&tom, 999).await, ErrorCode::NotFound);
    let stranger = farm.over_tls(None).await;
    assert_eq!(refused(&stranger, ids[0]).await, ErrorCode::Unauthenticated);
    let retry = ActionRequest {
        action: "retry".into(),
        targets: group.targets.clone(),
    };
    let results = mia.act(&retry).await.expect("an answer").results;
    assert!(
        results.iter().all(|result| result.ok.is_some()),
        "{results:?}"
    );
    assert_eq!(errors(&mia).await.groups, [], "they are tried again");
    farm.running.stop().await.expect("stops");
}
