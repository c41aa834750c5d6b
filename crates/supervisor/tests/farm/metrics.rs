//! The farm in numbers: what Prometheus reads, who may, and what is kept of the last days.

use crate::browser::{Answer, ask, token_body};
use crate::world::{Farm, eventually, frames};
use tessera_api::query::TrendsQuery;
use tessera_api::types::{TokenRequest, Trends};
use tessera_api::{Client, ClientError, ErrorCode};

async fn scrape(farm: &Farm, headers: &str) -> Answer {
    ask(farm, "GET /metrics", headers, "").await
}

fn bearer(token: &str) -> String {
    format!("Authorization: Bearer {token}\r\n")
}

async fn scraper(farm: &Farm) -> String {
    let request = TokenRequest {
        user: Some("prometheus".into()),
        metrics: true,
        ..TokenRequest::default()
    };
    farm.client
        .create_token(&request)
        .await
        .expect("a token")
        .token
}

/// Answers the value of a series.
fn value(page: &str, series: &str) -> f64 {
    let line = page
        .lines()
        .find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    let line = line.unwrap_or_else(|| panic!("no {series} in\n{page}"));
    line.parse().expect("a number")
}

#[tokio::test]
async fn a_scraper_reads_the_metrics_and_nothing_else() {
    let farm = Farm::start().await;
    assert_eq!(scrape(&farm, "").await.status, 401, "strangers");
    let token = scraper(&farm).await;
    let page = scrape(&farm, &bearer(&token)).await;
    assert_eq!(page.status, 200, "{}", page.body);
    let media_type = page.header("content-type").expect("a media type");
    assert_eq!(media_type, "text/plain; version=0.0.4; charset=utf-8");
    for what in [
        "GET /api/v1/info",
        "GET /api/v1/jobs",
        "GET /api/v1/trends",
        "POST /api/v1/actions",
        "GET /metrics/",
    ] {
        assert_eq!(
            ask(&farm, what, &bearer(&token), "").await.status,
            401,
            "{what}"
        );
    }
    let begun = ask(
        &farm,
        "POST /api/v1/session",
        crate::browser::PAGE,
        &token_body(&token),
    )
    .await;
    assert_eq!(begun.status, 401, "no browser begins with it");
    let mia = TokenRequest {
        user: Some("mia".into()),
        ..TokenRequest::default()
    };
    let mia = farm.client.create_token(&mia).await.expect("a token");
    assert_eq!(
        scrape(&farm, &bearer(&mia.token)).await.status,
        200,
        "everybody else may, too"
    );
    let listed = farm.client.tokens().await.expect("a list").tokens;
    let row = listed
        .iter()
        .find(|row| row.user == "prometheus")
        .expect("listed");
    assert!(
        row.id.starts_with('m') && row.last_used_ms.is_some(),
        "{row:?}"
    );
    farm.client.revoke_token(&row.id).await.expect("revoked");
    assert_eq!(
        scrape(&farm, &bearer(&token)).await.status,
        401,
        "it is revoked"
    );
    let both = TokenRequest {
        admin: true,
        metrics: true,
        ..TokenRequest::default()
    };
    assert!(
        farm.client.create_token(&both).await.is_err(),
        "it is no administrator's"
    );
    assert_eq!(
        ask(&farm, "POST /metrics", &bearer(&mia.token), "")
            .await
            .status,
        405
    );
    farm.running.stop().await.expect("stops");
}

#[tokio::test]
async fn what_happens_is_counted_once_it_is_durable() {
    let farm = Farm::start().await;
    let headers = bearer(&scraper(&farm).await);
    let mut worker = farm.worker("rnd001", 3).await;
    let before = scrape(&farm, &headers).await.body;
    assert!(value(&before, "tessera_healthy") > 0.5);
    let mut starts = Vec::new();
    for _ in 0..2 {
        farm.submit(frames("1")).await;
        starts.push(worker.started().await);
    }
    for (start, status) in starts.iter().zip([0, 1]) {
        worker.is_up(start.key).await;
        let seq = worker.ended(start.key, start.run, status).await;
        worker.acknowledged(seq).await;
    }
    let page = eventually("the end is counted", || async {
        let page = scrape(&farm, &headers).await.body;
        (value(&page, "tessera_attempts_ended_total{outcome=\"failed\"}") > 0.5).then_some(page)
    })
    .await;
    assert!((value(&page, "tessera_jobs_submitted_total") - 2.0).abs() < 0.1);
    assert!(value(&page, "tessera_placements_total") >= 1.0);
    assert!((value(&page, "tessera_attempts_ended_total{outcome=\"done\"}") - 1.0).abs() < 0.1);
    assert!(
        (value(&page, "tessera_job_wait_seconds_count") - 2.0).abs() < 0.1,
        "a job waits once"
    );
    assert!((value(&page, "tessera_attempt_seconds_count") - 2.0).abs() < 0.1);
    assert!(
        value(&page, "tessera_store_commit_seconds_count")
            > value(&before, "tessera_store_commit_seconds_count")
    );
    let page = eventually("the figures are looked at anew", || async {
        let page = scrape(&farm, &headers).await.body;
        (value(&page, "tessera_slots") > 2.5).then_some(page)
    })
    .await;
    assert!((value(&page, "tessera_hosts{state=\"up\"}") - 1.0).abs() < 0.1);
    // However much runs: no user, job or host is a label.
    for name in ["mia", "rnd001", "job=", "user=", "host="] {
        assert!(!page.contains(name), "{name} in\n{page}");
    }
    farm.running.stop().await.expect("stops");
}

async fn trends(client: &Client, hours: Option<u32>) -> Result<Trends, ErrorCode> {
    match client.trends(&TrendsQuery { hours }).await {
        Ok(trends) => Ok(trends),
        Err(ClientError::Api(error)) => Err(error.code),
        Err(other) => panic!("no answer: {other}"),
    }
}

#[tokio::test]
async fn the_trends_are_for_everybody_the_farm_knows_and_outlive_a_restart() {
    let farm = Farm::start().await;
    let mia = farm.user("mia").await;
    let _worker = farm.worker("rnd001", 3).await;
    let found = eventually("the farm was looked at", || async {
        let found = trends(&mia, None).await.expect("an answer");
        (!found.points.is_empty()).then_some(found)
    })
    .await;
    assert!((found.points[0].slots - 3.0).abs() < 0.01, "{found:?}");
    let stranger = farm.over_tls(None).await;
    assert_eq!(
        trends(&stranger, None).await,
        Err(ErrorCode::Unauthenticated)
    );
    for hours in [0, 193, u32::MAX] {
        assert_eq!(
            trends(&mia, Some(hours)).await,
            Err(ErrorCode::Invalid),
            "{hours}"
        );
    }
    assert!(trends(&mia, Some(192)).await.is_ok());
    let farm = farm.restart().await;
    let again = trends(&farm.client, Some(1)).await.expect("an answer");
    assert_eq!(again.points.last(), found.points.last(), "it was kept");
    farm.running.stop().await.expect("stops");
}
