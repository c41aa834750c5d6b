//! What is said of work that failed without a command that did: whose word it was, and which limit.

use crate::world::{Farm, frames};
use tessera_api::Client;
use tessera_api::query::{ErrorsQuery, HistoryQuery, ItemsQuery};
use tessera_api::types::{ActionRequest, ItemRow, Quantity, SubmitRequest};
use tessera_model::msg::{GoneCause, Report};
use tessera_model::state::Limit;

async fn items(client: &Client, job: u64) -> Vec<ItemRow> {
    let all = ItemsQuery::default();
    client.items(job, &all).await.expect("items").items
}

/// Answers how each item ended, in words.
async fn ends(client: &Client, job: u64) -> Vec<String> {
    let rows = items(client, job).await.into_iter();
    let text = |row: ItemRow| row.end.map_or_else(String::new, |end| end.text);
    rows.map(text).collect()
}

#[tokio::test]
async fn who_declared_a_frame_failed_is_named_instead_of_a_cause_that_nobody_saw() {
    let farm = Farm::start().await;
    let mia = farm.user("mia").await;
    let mut worker = farm.worker("rnd001", 1).await;
    let job = mia.submit(&frames("1-3"), false).await.expect("submitted");
    let job = job.job.expect("a number");
    let start = worker.started().await;
    worker.is_up(start.key).await;
    let seq = worker.ended(start.key, start.run, 0).await;
    worker.acknowledged(seq).await;
    // One that was done, one that runs, one that never began.
    let fail = ActionRequest {
        action: "fail".into(),
        targets: vec![format!("{job}:1-3")],
    };
    let done = mia.act(&fail).await.expect("an answer").results;
    assert_eq!(done[0].ok.map(|changed| changed.items), Some(3));
    let said = "mia declared it failed";
    assert_eq!(ends(&mia, job).await, [said; 3]);
    let why = mia.why(job).await.expect("a reason");
    let text = format!("3 of 3 failed frames were declared failed by mia; for instance {job}:1");
    assert_eq!(why.summary, text);
    let frame = mia.item_why(job, 2).await.expect("a reason");
    assert_eq!(
        (frame.name.as_str(), frame.status.as_str()),
        ("3", "failed")
    );
    assert_eq!(frame.summary, said);
    let of_job = ErrorsQuery { job: Some(job) };
    let groups = mia.errors(&of_job).await.expect("an answer").groups;
    let told: Vec<(&str, u32)> = groups
        .iter()
        .map(|it| (it.text.as_str(), it.count))
        .collect();
    assert_eq!(told, [(said, 3)]);
    farm.running.stop().await.expect("stops");
}

/// Has somebody act on a target.
async fn acted(by: &Client, action: &str, target: String) {
    let request = ActionRequest {
        action: action.into(),
        targets: vec![target],
    };
    let done = by.act(&request).await.expect("an answer").results;
    assert!(done[0].ok.is_some(), "{action}: {done:?}");
}

/// What happened to a frame: kind, text, who.
async fn told(by: &Client, job: u64, item: u32) -> Vec<(String, String, Option<String>)> {
    let query = HistoryQuery {
        item: Some(item),
        ..HistoryQuery::default()
    };
    let events = by.history(job, &query).await.expect("told").events;
    let line = |it: tessera_api::types::Event| (it.kind, it.text, it.actor);
    events.into_iter().map(line).collect()
}

#[tokio::test]
async fn who_declared_many_frames_failed_at_once_is_named_for_each() {
    let farm = Farm::start().await;
    let mia = farm.user("mia").await;
    let admin = farm.client.info().await.expect("known").caller.name;
    let job = mia
        .submit(&frames("1-300"), false)
        .await
        .expect("submitted");
    let job = job.job.expect("a number");
    let line = |kind: &str, text: &str, who: &str| (kind.into(), text.into(), Some(who.into()));
    acted(&mia, "fail", job.to_string()).await;
    let all = ItemsQuery {
        limit: Some(1_000),
        ..ItemsQuery::default()
    };
    let rows = mia.items(job, &all).await.expect("items").items;
    let said = "mia declared it failed";
    let is_said = |row: &ItemRow| row.end.as_ref().is_some_and(|end| end.text == said);
    assert_eq!(rows.iter().filter(|row| is_said(row)).count(), 300);
    let failed = line("job.items", "fail #1-300", "mia");
    assert_eq!(told(&mia, job, 299).await, std::slice::from_ref(&failed));

    // What happened since counts, to many at once and to one alone.
    acted(&farm.client, "retry", format!("{job}:1-299")).await;
    acted(&farm.client, "fail", format!("{job}:7")).await;
    let seventh = [
        failed.clone(),
        line("job.items", "retry #1-299", &admin),
        line("item.changed", "fail", &admin),
    ];
    assert_eq!(told(&mia, job, 6).await, seventh);
    assert_eq!(told(&mia, job, 299).await, [failed]);
    let rows = mia.items(job, &all).await.expect("items").items;
    let end = |item: usize| rows[item].end.as_ref().map(|end| end.text.as_str());
    let anew = format!("{admin} declared it failed");
    assert_eq!(
        (end(6), end(7), end(299)),
        (Some(anew.as_str()), None, Some(said))
    );
    // In pages, as the whole history.
    let page = HistoryQuery {
        item: Some(6),
        limit: Some(2),
        ..HistoryQuery::default()
    };
    let first = mia.history(job, &page).await.expect("told");
    let rest = HistoryQuery {
        after: first.next,
        ..page
    };
    let rest = mia.history(job, &rest).await.expect("told").events;
    assert_eq!((first.events.len(), rest.len()), (2, 1));
    let beyond = HistoryQuery {
        item: Some(300),
        ..HistoryQuery::default()
    };
    let refused = mia.history(job, &beyond).await.expect_err("no such frame");
    assert!(refused.to_string().contains("#301"), "{refused}");
    farm.running.stop().await.expect("stops");
}

#[tokio::test]
async fn an_instance_that_failed_says_of_what_and_where_it_was() {
    let farm = Farm::start().await;
    let mut worker = farm.worker("rnd001", 1).await;
    let request = SubmitRequest {
        timelimit: Some(Quantity("1m".into())),
        ..frames("1-2")
    };
    let job = farm.submit(request).await;
    let start = worker.started().await;
    worker.is_up(start.key).await;
    let (key, cause) = (start.key, GoneCause::Limit(Limit::InstanceTime));
    let seq = worker.report(Report::Gone { key, cause }).await;
    worker.acknowledged(seq).await;
    let detail = farm.client.job(job).await.expect("there");
    assert_eq!(detail.job.status, "failed");
    let instance = &detail.instances[0];
    assert_eq!(
        (instance.host.as_deref(), instance.reason.as_deref()),
        (Some("rnd001"), Some("it was over its timelimit"))
    );
    let why = farm.client.why(job).await.expect("a reason");
    assert_eq!(
        why.summary,
        "its instance failed: it was over its timelimit"
    );
    assert_eq!(why.reasons[0].hosts, ["rnd001"]);
    assert_eq!(
        ends(&farm.client, job).await,
        ["over the job's timelimit", ""]
    );
    let frame = farm.client.item_why(job, 1).await.expect("a reason");
    assert_eq!(frame.status, "pending");
    assert_eq!(frame.reasons[0].kind, "instance_failed");
    farm.client
        .item_why(job, 2)
        .await
        .expect_err("has only two");
    // All of it outlives the supervisor.
    let farm = farm.restart().await;
    let again = farm.client.job(job).await.expect("there");
    assert_eq!(again.instances, detail.instances);
    farm.running.stop().await.expect("stops");
}
