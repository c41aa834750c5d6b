//! How much runs at once and how quickly it starts, from a request to the workers, over a restart.

use crate::world::{Farm, frames};
use tessera_api::types::{ModifyRequest, SubmitRequest};
use tessera_api::{Client, ClientError};

async fn why(client: &Client, job: u64, kind: &str) -> String {
    let reasons = client.why(job).await.expect("there").reasons;
    let found = reasons.iter().find(|it| it.kind == kind);
    found.unwrap_or_else(|| panic!("{reasons:?}")).text.clone()
}

#[tokio::test]
async fn the_jobs_of_a_group_share_a_limit_that_is_kept_over_a_restart() {
    let farm = Farm::start().await;
    let mut worker = farm.worker("rnd001", 8).await;
    let first = SubmitRequest {
        cpus: Some(4),
        pgrp_limit: Some(2),
        start_rate: Some("100/s".into()),
        ..frames("1-4")
    };
    let first = farm.submit(first).await;
    let starts = [worker.started().await, worker.started().await];
    assert!(starts.iter().all(|start| start.key.job.0 == first));
    let second = SubmitRequest {
        pgrp: i64::try_from(first).ok(),
        per_host: Some(1),
        ..frames("1")
    };
    let second = farm.submit(second).await;
    let text = format!(
        "process group limit 2/2: the jobs of group {first} may have 2 instances at once, held by job {first} (2)"
    );
    assert_eq!(why(&farm.client, second, "pgrp_limit").await, text);
    let farm = farm.restart().await;
    let spec = farm.client.job(first).await.expect("there").spec;
    assert_eq!((spec.pgrp_limit, spec.per_host), (Some(2), None));
    assert_eq!(spec.start_rate.as_deref(), Some("100/s"));
    let spec = farm.client.job(second).await.expect("there").spec;
    assert_eq!((spec.pgrp_limit, spec.per_host), (None, Some(1)));
    assert_eq!(why(&farm.client, second, "pgrp_limit").await, text);
    let more = ModifyRequest {
        pgrp_limit: Some(-1),
        start_rate: Some("none".into()),
        ..ModifyRequest::default()
    };
    farm.client.modify(first, &more).await.expect("changed");
    let spec = farm.client.job(first).await.expect("there").spec;
    assert_eq!((spec.pgrp_limit, spec.start_rate), (None, None));
    farm.running.stop().await.expect("stops");
}

#[tokio::test]
async fn a_job_goes_to_a_host_no_more_often_than_it_says() {
    let farm = Farm::start().await;
    let mut workers = [
        farm.worker("rnd001", 8).await,
        farm.worker("rnd002", 8).await,
    ];
    let job = SubmitRequest {
        cpus: Some(3),
        per_host: Some(1),
        ..frames("1-3")
    };
    let job = farm.submit(job).await;
    for worker in &mut workers {
        assert_eq!(worker.started().await.key.job.0, job);
    }
    let text = why(&farm.client, job, "per_host").await;
    assert!(
        text.starts_with("1 of the 1 instances that one host may have of it"),
        "{text}"
    );
    let more = ModifyRequest {
        per_host: Some(2),
        ..ModifyRequest::default()
    };
    farm.client.modify(job, &more).await.expect("changed");
    let hosts = farm.client.job(job).await.expect("there").instances;
    assert_eq!(hosts.len(), 3);
    farm.running.stop().await.expect("stops");
}

#[tokio::test]
async fn what_is_no_limit_is_refused_with_its_field() {
    let farm = Farm::start().await;
    let wrong = SubmitRequest {
        pgrp_limit: Some(0),
        per_host: Some(-7),
        start_rate: Some("quick".into()),
        ..frames("1")
    };
    let error = match farm.client.submit(&wrong, false).await {
        Err(ClientError::Api(error)) => error,
        other => panic!("{other:?}"),
    };
    let mut fields: Vec<_> = error.fields.iter().map(|it| it.field.as_str()).collect();
    fields.sort_unstable();
    assert_eq!(fields, ["per_host", "pgrp_limit", "start_rate"]);
    farm.running.stop().await.expect("stops");
}
