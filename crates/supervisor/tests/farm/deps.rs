//! What waits for what, from the request to the store and back.

use crate::world::{Farm, frames};
use tessera_api::query::{ItemsQuery, JobsQuery};
use tessera_api::types::{ActionRequest, DepsEdge, ModifyRequest, SubmitRequest};
use tessera_api::{ApiError, Client, ClientError};

fn after(text: &str, range: &str) -> SubmitRequest {
    SubmitRequest {
        after: Some(text.into()),
        ..frames(range)
    }
}

async fn act(client: &Client, action: &str, target: &str) {
    let request = ActionRequest {
        action: action.into(),
        targets: vec![target.into()],
    };
    let results = client.act(&request).await.expect("answered").results;
    assert!(results[0].error.is_none(), "{action} {target}: {results:?}");
}

async fn why(client: &Client, id: u64) -> (String, String) {
    let answer = client.why(id).await.expect("there");
    (answer.reasons[0].kind.clone(), answer.summary)
}

async fn status(client: &Client, id: u64) -> String {
    client.job(id).await.expect("there").job.status
}

async fn refused(client: &Client, request: &SubmitRequest) -> ApiError {
    match client.submit(request, false).await.expect_err("refused") {
        ClientError::Api(error) => error,
        other => panic!("{other}"),
    }
}

fn edge(job: u64, on: u64, after: &str, state: &str) -> DepsEdge {
    DepsEdge {
        job,
        on: Some(on),
        after: after.into(),
        state: Some(state.into()),
    }
}

#[tokio::test]
async fn jobs_wait_for_others_over_restarts() {
    let mut farm = Farm::start().await;
    let renders = farm.submit(frames("1-10")).await;
    let comps = farm.submit(after("1:frames", "5-14")).await;
    let movie = farm
        .submit(after("link-complete-job-2, 1:1-3:done", "1-2"))
        .await;
    let spec = farm.client.job(movie).await.expect("there").spec;
    assert_eq!(spec.after.as_deref(), Some("2 && 1:1-3:done"));
    act(&farm.client, "complete", "1:1-6").await;
    for _ in 0..2 {
        let job = farm.client.job(comps).await.expect("there").job;
        assert_eq!(
            (job.status.as_str(), job.items.blocked, job.items.pending),
            ("pending", 4, 6)
        );
        let query = ItemsQuery {
            state: Some("blocked".into()),
            ..ItemsQuery::default()
        };
        let items = farm.client.items(comps, &query).await.expect("there").items;
        let names: Vec<&str> = items.iter().map(|item| item.name.as_str()).collect();
        assert_eq!(names, ["7", "8", "9", "10"]);
        assert_eq!(status(&farm.client, movie).await, "blocked");
        let said = "it waits for job 2 (pending)".to_owned();
        assert_eq!(
            why(&farm.client, movie).await,
            ("waits_for_jobs".to_owned(), said)
        );
        farm = farm.restart().await;
    }
    let graph = farm.client.deps(comps).await.expect("there");
    assert_eq!(
        graph.jobs.iter().map(|job| job.id).collect::<Vec<_>>(),
        [renders, comps, movie]
    );
    let edges = [
        edge(2, 1, "1:frames", "open"),
        edge(3, 2, "2", "open"),
        edge(3, 1, "1:1-3:done", "met"),
    ];
    assert_eq!(graph.edges, edges);
    act(&farm.client, "complete", "2").await;
    act(&farm.client, "remove", "2").await;
    let farm = farm.restart().await;
    assert_eq!(
        status(&farm.client, movie).await,
        "pending",
        "it was complete when it was removed"
    );
    farm.running.stop().await.expect("stops");
}

#[tokio::test]
async fn what_waits_in_vain_says_so_and_is_helped() {
    let farm = Farm::start().await;
    farm.submit(frames("1-2")).await;
    let child = farm.submit(after("1", "1-2")).await;
    act(&farm.client, "kill", "1").await;
    act(&farm.client, "remove", "1").await;
    let farm = farm.restart().await;
    let job = farm.client.job(child).await.expect("there").job;
    assert!(job.is_stranded && job.status == "blocked", "{job:?}");
    let (kind, said) = why(&farm.client, child).await;
    assert_eq!(kind, "waits_in_vain");
    assert!(
        said.ends_with("job 1, which was removed before it was complete"),
        "{said}"
    );
    let other = farm.submit(frames("1-2")).await;
    let change = ModifyRequest {
        after: Some(format!("{other}:done")),
        ..ModifyRequest::default()
    };
    farm.client.modify(child, &change).await.expect("changed");
    assert!(!farm.client.job(child).await.expect("there").job.is_stranded);
    act(&farm.client, "unblock", &child.to_string()).await;
    let farm = farm.restart().await;
    assert_eq!(status(&farm.client, child).await, "pending");
    farm.running.stop().await.expect("stops");
}

#[tokio::test]
async fn what_is_wrong_is_said_at_its_field() {
    let farm = Farm::start().await;
    let first = farm.submit(frames("1-2")).await;
    farm.submit(after("1", "1-2")).await;
    let error = refused(&farm.client, &after("1:finished", "1-2")).await;
    assert_eq!(error.fields[0].field, "after");
    assert!(
        error.fields[0]
            .message
            .starts_with("at character 3 (\"finished\")"),
        "{error:?}"
    );
    let error = refused(&farm.client, &after("99", "1-2")).await;
    assert!(
        error.fields[0].message.contains("there is no job 99"),
        "{error:?}"
    );
    let circle = ModifyRequest {
        after: Some("2".into()),
        ..ModifyRequest::default()
    };
    let circle = farm
        .client
        .modify(first, &circle)
        .await
        .expect_err("refused");
    assert!(
        circle
            .to_string()
            .contains("job 1 waits for 2, which waits for 1"),
        "{circle}"
    );
    let stranger = farm.user("tom").await;
    let joins = SubmitRequest {
        pgrp: Some(1),
        ..frames("1")
    };
    let joins = stranger
        .submit(&joins, false)
        .await
        .expect_err("not theirs");
    assert!(
        joins
            .to_string()
            .contains("may not join the process group of job 1"),
        "{joins}"
    );
    let waits = stranger
        .submit(&after("1", "1"), false)
        .await
        .expect("anybody may wait");
    assert!(waits.job.is_some());
    let graph = stranger.deps(1).await.expect("what anybody can list");
    assert_eq!(graph.jobs.len(), 3);
    let missing = stranger.deps(99).await.expect_err("no such job");
    assert!(
        missing.to_string().contains("there is no job 99"),
        "{missing}"
    );
    let said = stranger
        .submit(&after("1:frames", "2-3"), true)
        .await
        .expect("checked")
        .warnings;
    assert_eq!(
        said,
        ["job 1 has no frame of 1 of its 2 items; those don't wait for it"]
    );
    farm.running.stop().await.expect("stops");
}

#[tokio::test]
async fn a_dry_run_refuses_what_a_submission_would() {
    let farm = Farm::start().await;
    let one = farm.submit(frames("1-3")).await;
    let plain = SubmitRequest {
        range: None,
        command: vec!["true".into()],
        ..SubmitRequest::default()
    };
    let waits = |text: &str, of: &SubmitRequest| SubmitRequest {
        after: Some(text.into()),
        ..of.clone()
    };
    let taken = SubmitRequest {
        key: Some("k".into()),
        ..frames("1-3")
    };
    farm.submit(taken.clone()).await;
    for wrong in [
        waits("9999", &plain),
        waits(&format!("{one}.9"), &plain),
        waits(&format!("{one}:1-99"), &plain),
        waits(&format!("{one}:frames"), &plain),
        SubmitRequest {
            waitfor: Some(vec![9999]),
            ..plain.clone()
        },
        SubmitRequest {
            pgrp: Some(999),
            ..plain.clone()
        },
    ] {
        let said = refused(&farm.client, &wrong).await;
        let dry = match farm.client.submit(&wrong, true).await {
            Err(ClientError::Api(error)) => error,
            other => panic!("{wrong:?}: {other:?}"),
        };
        assert_eq!((dry.message, dry.fields), (said.message, said.fields));
    }
    let before = farm.client.jobs(&JobsQuery::default()).await.expect("jobs");
    let dry = farm.client.submit(&taken, true).await.expect("checked");
    assert_eq!((dry.job, dry.existed, dry.items), (None, true, 3));
    let other = SubmitRequest {
        command: vec!["other".into(), "QB_FRAME_NUMBER".into()],
        ..taken.clone()
    };
    let again = farm.client.submit(&taken, false).await.expect("there");
    assert!(again.existed && again.warnings.is_empty(), "{again:?}");
    let again = farm.client.submit(&other, false).await.expect("there");
    assert!(again.existed, "{again:?}");
    assert!(again.warnings[0].contains("another command"), "{again:?}");
    let after = farm.client.jobs(&JobsQuery::default()).await.expect("jobs");
    assert_eq!(before.jobs.len(), after.jobs.len());
    farm.running.stop().await.expect("stops");
}

#[tokio::test]
async fn stranded_jobs_can_be_listed() {
    let farm = Farm::start().await;
    let one = farm.submit(frames("1")).await;
    let waits = farm.submit(after(&one.to_string(), "1")).await;
    act(&farm.client, "kill", &one.to_string()).await;
    let ask = |state: &str| JobsQuery {
        state: Some(state.into()),
        ..JobsQuery::default()
    };
    let found = farm.client.jobs(&ask("stranded")).await.expect("listed");
    let ids: Vec<u64> = found.jobs.iter().map(|job| job.id).collect();
    assert_eq!(ids, [waits]);
    let found = farm.client.jobs(&ask("killed, stranded")).await;
    assert_eq!(found.expect("listed").jobs.len(), 2);
    let wrong = farm.client.jobs(&ask("foo,stranded")).await;
    let ClientError::Api(wrong) = wrong.expect_err("refused") else {
        panic!("no answer");
    };
    assert!(
        wrong.hint.is_some_and(|hint| hint.contains("stranded")),
        "{}",
        wrong.message
    );
    farm.running.stop().await.expect("stops");
}
