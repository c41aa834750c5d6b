//! Submitting, listing, acting, changing.

use crate::world::{Farm, frames};
use tessera_api::query::{HistoryQuery, ItemsQuery, JobsQuery};
use tessera_api::types::{ActionRequest, ModifyRequest, SubmitRequest};
use tessera_api::{ClientError, ErrorCode};

fn code(error: &ClientError) -> ErrorCode {
    match error {
        ClientError::Api(error) => error.code,
        other => panic!("not refused: {other}"),
    }
}

#[tokio::test]
async fn a_job_is_submitted_shown_and_killed() {
    let farm = Farm::start().await;
    let id = farm.submit(frames("1-10")).await;
    let job = farm.client.job(id).await.expect("there");
    assert_eq!(
        (
            job.job.status.as_str(),
            job.job.items.total,
            job.job.items.pending
        ),
        ("pending", 10, 10)
    );
    assert_eq!(job.spec.range.as_deref(), Some("1-10"));
    assert!(job.proof.starts_with("peer uid "), "{}", job.proof);
    let listed = farm
        .client
        .jobs(&JobsQuery {
            state: Some("active".into()),
            ..JobsQuery::default()
        })
        .await;
    assert_eq!(listed.expect("a list").jobs.len(), 1);
    let why = farm.client.why(id).await.expect("a reason");
    assert!(!why.summary.is_empty() && !why.reasons.is_empty());
    let kill = ActionRequest {
        action: "kill".into(),
        targets: vec![format!("{id}:2-3"), "99".into(), "x".into()],
    };
    let done = farm.client.act(&kill).await.expect("an answer").results;
    assert_eq!(done[0].ok.map(|changed| changed.items), Some(2));
    assert_eq!(
        done[1].error.as_ref().map(|error| error.code),
        Some(ErrorCode::NotFound)
    );
    assert_eq!(
        done[2].error.as_ref().map(|error| error.code),
        Some(ErrorCode::BadRequest)
    );
    let which = ItemsQuery {
        state: Some("killed".into()),
        ..ItemsQuery::default()
    };
    let killed = farm.client.items(id, &which).await.expect("items").items;
    assert_eq!(
        killed
            .iter()
            .map(|item| item.name.as_str())
            .collect::<Vec<_>>(),
        ["2", "3"]
    );
    let history = farm
        .client
        .history(id, &HistoryQuery::default())
        .await
        .expect("history")
        .events;
    assert_eq!(history[0].kind, "job.submitted");
    assert!(
        history
            .iter()
            .any(|event| event.item == Some(1) && event.status.as_deref() == Some("killed"))
    );
    farm.running.stop().await.expect("stops");
}

#[tokio::test]
async fn the_same_key_makes_one_job() {
    let farm = Farm::start().await;
    let request = SubmitRequest {
        key: Some("shot 7".into()),
        ..frames("1")
    };
    let first = farm
        .client
        .submit(&request, false)
        .await
        .expect("submitted");
    let again = farm.client.submit(&request, false).await.expect("known");
    assert_eq!((first.existed, again.existed), (false, true));
    assert_eq!(first.job, again.job);
    let mia = farm.user("mia").await;
    let hers = mia
        .submit(&request, false)
        .await
        .expect("keys are of their owner");
    assert_ne!(hers.job, first.job);
    farm.running.stop().await.expect("stops");
}

#[tokio::test]
async fn all_errors_of_a_submission_come_at_once() {
    let farm = Farm::start().await;
    let request = SubmitRequest {
        priority: Some(0),
        cwd: Some("relative".into()),
        chunk: Some(0),
        env: Some([("1BAD".to_owned(), String::new())].into()),
        ..frames("1-")
    };
    let error = farm
        .client
        .submit(&request, true)
        .await
        .expect_err("refused");
    let ClientError::Api(error) = error else {
        panic!("{error}")
    };
    assert_eq!(error.code, ErrorCode::Invalid);
    assert!(!error.request_id.is_empty());
    let fields: Vec<&str> = error
        .fields
        .iter()
        .map(|problem| problem.field.as_str())
        .collect();
    for field in ["priority", "cwd", "chunk", "range"] {
        assert!(fields.contains(&field), "{field} is missing in {fields:?}");
    }
    assert!(
        fields.iter().any(|field| field.starts_with("env")),
        "{fields:?}"
    );
    assert!(
        farm.client
            .jobs(&JobsQuery::default())
            .await
            .expect("a list")
            .jobs
            .is_empty()
    );
    let good = farm
        .client
        .submit(&frames("1-3"), true)
        .await
        .expect("only checked");
    assert_eq!((good.job, good.items), (None, 3));
    farm.running.stop().await.expect("stops");
}

#[tokio::test]
async fn a_job_is_changed_and_submitted_again() {
    let farm = Farm::start().await;
    let id = farm.submit(frames("1-4")).await;
    let change = ModifyRequest {
        priority: Some(5),
        notes: Some("urgent".into()),
        ..ModifyRequest::default()
    };
    farm.client.modify(id, &change).await.expect("changed");
    let spec = farm.client.job(id).await.expect("there").spec;
    assert_eq!((spec.priority, spec.notes.as_str()), (5, "urgent"));
    let bad = ModifyRequest {
        priority: Some(0),
        ..ModifyRequest::default()
    };
    assert_eq!(
        code(&farm.client.modify(id, &bad).await.expect_err("refused")),
        ErrorCode::Invalid
    );
    let over = SubmitRequest {
        range: Some("7-8".into()),
        ..SubmitRequest::default()
    };
    let again = farm
        .client
        .resubmit(id, &over)
        .await
        .expect("submitted")
        .job
        .expect("a number");
    let spec = farm.client.job(again).await.expect("there").spec;
    assert_eq!((spec.range.as_deref(), spec.priority), (Some("7-8"), 5));
    assert_eq!(
        code(&farm.client.resubmit(99, &over).await.expect_err("refused")),
        ErrorCode::NotFound
    );
    farm.running.stop().await.expect("stops");
}

#[tokio::test]
async fn lists_come_in_pages() {
    let farm = Farm::start().await;
    for n in 0..5 {
        farm.submit(SubmitRequest {
            name: Some(format!("shot {n}")),
            ..frames("1-250")
        })
        .await;
    }
    let mut which = JobsQuery {
        limit: Some(2),
        ..JobsQuery::default()
    };
    let mut seen = Vec::new();
    loop {
        let page = farm.client.jobs(&which).await.expect("a page");
        seen.extend(page.jobs.iter().map(|job| job.id));
        match page.next {
            Some(next) => which.cursor = Some(next),
            None => break,
        }
    }
    assert_eq!(seen, [5, 4, 3, 2, 1], "the newest first");
    let named = JobsQuery {
        name: Some("SHOT 3".into()),
        ..JobsQuery::default()
    };
    assert_eq!(
        farm.client.jobs(&named).await.expect("a page").jobs[0].id,
        4
    );
    let mut which = ItemsQuery {
        limit: Some(100),
        ..ItemsQuery::default()
    };
    let mut items = Vec::new();
    loop {
        let page = farm.client.items(1, &which).await.expect("a page");
        items.extend(page.items.into_iter().map(|item| item.index));
        match page.next {
            Some(next) => which.cursor = Some(next),
            None => break,
        }
    }
    assert_eq!(items, (0..250).collect::<Vec<_>>());
    let framed = ItemsQuery {
        frames: Some("10-12,200".into()),
        ..ItemsQuery::default()
    };
    let found = farm.client.items(1, &framed).await.expect("a page").items;
    assert_eq!(
        found.iter().map(|item| item.index).collect::<Vec<_>>(),
        [9, 10, 11, 199]
    );
    farm.running.stop().await.expect("stops");
}

#[tokio::test]
async fn many_clients_submit_at_once_and_each_gets_its_own_job() {
    let farm = Farm::start().await;
    let tasks: Vec<_> = (0..16)
        .map(|_| {
            let client = farm.client.clone();
            tokio::spawn(async move {
                let mut ids = Vec::new();
                for _ in 0..25 {
                    ids.push(
                        client
                            .submit(&frames("1"), false)
                            .await
                            .expect("submitted")
                            .job
                            .expect("a number"),
                    );
                }
                ids
            })
        })
        .collect();
    let mut ids = Vec::new();
    for task in tasks {
        ids.extend(task.await.expect("no panic"));
    }
    ids.sort_unstable();
    assert_eq!(ids, (1..=400).collect::<Vec<_>>());
    farm.running.stop().await.expect("stops");
}
