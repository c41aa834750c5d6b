//! Jobs whose instances start all at once or not at all (`grid`).

use crate::world::Farm;
use tessera_api::types::SubmitRequest;

fn grid(cpus: i64) -> SubmitRequest {
    SubmitRequest {
        command: vec!["solve".into()],
        flags: Some(vec!["grid".into()]),
        cpus: Some(cpus),
        ..SubmitRequest::default()
    }
}

#[tokio::test]
async fn it_starts_when_there_is_room_for_all_and_says_so_before() {
    let farm = Farm::start().await;
    let mut first = farm.worker("rnd001", 2).await;
    let reply = farm.client.submit(&grid(3), true).await.expect("good");
    let most = "it will wait: all 3 instances start at once (grid), and the hosts that it may use have room for 2 if nothing else runs there";
    let warnings = reply.warnings;
    assert!(warnings.iter().any(|it| it == most), "{warnings:?}");
    let id = farm.submit(grid(3)).await;
    let why = farm.client.why(id).await.expect("there");
    let reason = why.reasons.iter().find(|it| it.kind == "grid");
    let text = reason.map(|it| it.text.as_str()).unwrap_or_default();
    assert!(most.ends_with(text) && !text.is_empty(), "{why:?}");
    let mut second = farm.worker("rnd002", 1).await;
    let mut instances = Vec::new();
    for worker in [&mut first, &mut second] {
        let start = worker.started().await;
        assert_eq!(start.key.job.0, id);
        instances.push(start.key.instance);
    }
    instances.push(first.started().await.key.instance);
    instances.sort_unstable();
    instances.dedup();
    assert_eq!(instances.len(), 3);
    farm.running.stop().await.expect("stops");
}
