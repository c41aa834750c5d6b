//! What is written down of who logs in, and of who was refused; how many sessions there may be.

use crate::browser::{Answer, PAGE, ask, token_body};
use crate::world::{Farm, eventually, frames};
use std::sync::Arc;
use tessera_api::client::Streamed;
use tessera_api::query::EventsQuery;
use tessera_api::types::{NewToken, TokenRequest};
use tokio::task::JoinSet;

async fn token(farm: &Farm) -> NewToken {
    let request = TokenRequest {
        user: Some("mia".into()),
        ..TokenRequest::default()
    };
    farm.client.create_token(&request).await.expect("a token")
}

async fn log_in(farm: &Farm, body: &str) -> Answer {
    ask(farm, "POST /api/v1/session", PAGE, body).await
}

#[tokio::test]
async fn a_login_is_a_use_of_its_token() {
    let farm = Farm::start().await;
    let token = token(&farm).await;
    let begun = log_in(&farm, &token_body(&token.token)).await;
    assert_eq!(begun.status, 201, "{}", begun.body);
    let farm = farm.restart().await;
    let listed = farm.client.tokens().await.expect("a list").tokens;
    let row = listed.iter().find(|row| row.id == token.id);
    assert!(row.expect("listed").last_used_ms.is_some(), "{listed:?}");
    farm.running.stop().await.expect("stops");
}

/// Answers what the farm's history says of refusals up to now.
async fn refusals(farm: &Farm) -> Vec<String> {
    let end = farm.submit(frames("1")).await;
    let all = EventsQuery {
        after: Some(0),
        ..EventsQuery::default()
    };
    let mut stream = farm.client.events(all).await.expect("a stream");
    let mut found = Vec::new();
    while let Streamed::Event(event) = stream.next().await.expect("an event") {
        match event.kind.as_str() {
            "login.refused" => found.push(event.text),
            "job.submitted" if event.job == Some(end) => break,
            _ => {}
        }
    }
    found
}

#[tokio::test]
async fn refused_logins_are_in_the_history_with_where_from_and_without_what_was_shown() {
    let farm = Farm::start().await;
    let known = token(&farm).await;
    let secret = "5ec2e7".repeat(10);
    let guess = format!("tessera_{}_{secret}", known.id);
    for (headers, body) in [
        (PAGE, token_body(&guess)),
        (PAGE, format!(r#"{{"link":"{secret}"}}"#)),
        ("", token_body(&known.token)),
    ] {
        let answer = ask(&farm, "POST /api/v1/session", headers, &body).await;
        assert!([401, 403].contains(&answer.status), "{}", answer.body);
    }
    let bearer = format!("Authorization: Bearer {guess}\r\n");
    let answer = ask(&farm, "GET /api/v1/info", &bearer, "").await;
    assert_eq!(answer.status, 401);
    let join = format!(r#"{{"token":"{secret}","csr_pem":"x","name":"rnd"}}"#);
    let answer = ask(&farm, "POST /api/v1/join", "", &join).await;
    assert_eq!(answer.status, 401);
    let wrong = log_in(&farm, "{}").await;
    assert_eq!(wrong.status, 400, "that is no try");
    let mut told = eventually("all five in the history", || async {
        let told = refusals(&farm).await;
        (told.len() >= 5).then_some(told)
    })
    .await;
    told.sort();
    let whats = [
        "a host that wants to join from 127.0.0.1:",
        "a login by a link from 127.0.0.1:",
        "a login by a token from 127.0.0.1:",
        "a login by a token from 127.0.0.1:",
        "a request with a token from 127.0.0.1:",
    ];
    assert_eq!(told.len(), whats.len(), "{told:?}");
    for (text, what) in told.iter().zip(whats) {
        assert!(text.starts_with(&format!("refused {what}")), "{text}");
        let shows = text.contains(&secret) || text.contains(&known.token[17..]);
        assert!(!shows, "{text}");
    }
    farm.running.stop().await.expect("stops");
}

#[tokio::test]
async fn sessions_are_bounded_also_when_many_begin_at_once() {
    const MANY: usize = 40;
    let farm = Arc::new(Farm::start().await);
    let token = token(&farm).await;
    let mut begun = JoinSet::new();
    for _ in 0..MANY {
        let (farm, body) = (Arc::clone(&farm), token_body(&token.token));
        begun.spawn(async move { log_in(&farm, &body).await });
    }
    for answer in begun.join_all().await {
        assert!([201, 429].contains(&answer.status), "{}", answer.body);
    }
    let farm = Arc::into_inner(farm).expect("nobody else has it");
    let listed = farm.client.tokens().await.expect("a list").tokens;
    let sessions = listed.iter().filter(|row| row.id != token.id).count();
    assert!(sessions <= 16, "{sessions} sessions");
    farm.running.stop().await.expect("stops");
}
