//! What the client sends, and what it makes of good answers.

use crate::server::{Seen, Server};
use serde_json::Value;
use std::collections::BTreeSet;
use tessera_api::Client;
use tessera_api::query::{
    AuditQuery, ErrorsQuery, EventsQuery, HistoryQuery, ItemsQuery, JobsQuery, LogQuery,
    RemoveHostQuery, TimelineQuery, TrendsQuery,
};
use tessera_api::types::{
    ActionReply, ActionRequest, Attempts, Channels, CleanupReply, CleanupRequest, Credential,
    CredentialRef, CredentialRequest, Credentials, Deps, Errors, Health, History, HostDetail,
    HostWhy, Hosts, Info, ItemStates, ItemWhy, Items, JobDetail, JobSummary, Jobs, JoinReply,
    JoinRequest, JoinToken, JoinTokenRequest, MailWishes, ModifyRequest, NewToken, NotifyReloaded,
    NotifyTest, NotifyTested, ResourceRequest, ResourceRow, Resources, SealOffer, SessionLink,
    SetMailWishes, SubmitReply, SubmitRequest, Timeline, TokenRequest, Tokens, Trends, Usage, Why,
};
use tessera_api::types::{
    Audit, SetWorkerFile, SiteCertificate, WorkerFile, WorkerFileCheck, WorkerFileChecked,
};
use tessera_api::types::{CalendarRequest, FarmModes, LockRequest, ModeRequest, UnlockRequest};
use tessera_api::types::{FarmSettings, ReconfigureReply, ReconfigureRequest, WhileActive};

fn json<T: serde::Serialize>(value: T) -> String {
    serde_json::to_string(&value).expect("JSON")
}

/// Answers an empty but well-formed value for each endpoint.
fn empty(request: &Seen) -> (u16, String) {
    let below = request.path().strip_prefix("/api/v1").unwrap_or_default();
    let parts: Vec<&str> = below.split('/').skip(1).collect();
    let body = match (request.method.as_str(), parts.as_slice()) {
        ("GET", ["hosts", _, "settings"]) => json(FarmSettings::default()),
        ("POST", ["reconfigure"]) => json(ReconfigureReply::default()),
        ("GET", ["health"]) => json(Health::default()),
        ("GET", ["info"]) => json(Info::default()),
        ("GET", ["openapi.json"]) => "{}".to_owned(),
        ("POST", ["jobs"] | ["jobs", _, "resubmit"]) => json(SubmitReply {
            job: Some(7),
            existed: false,
            items: 1,
            instances: 1,
            warnings: Vec::new(),
            memory: None,
        }),
        ("GET", ["jobs"]) => json(Jobs::default()),
        ("GET", ["jobs", _]) => json(JobDetail::default()),
        ("GET", ["jobs", _, "states"]) => json(ItemStates::default()),
        ("POST", ["session", "links"]) => json(SessionLink::default()),
        ("GET", ["jobs", _, "items"]) => json(Items::default()),
        ("GET", ["jobs", _, "items", _, "attempts"]) => json(Attempts::default()),
        ("GET", ["jobs", _, "items", _, "why"]) => json(ItemWhy::default()),
        ("GET", ["jobs", _, "history"]) => json(History::default()),
        ("GET", ["jobs", _, "why"]) => json(Why::default()),
        ("GET", ["jobs", _, "deps"]) => json(Deps::default()),
        ("POST", ["actions"]) => json(ActionReply::default()),
        ("GET", ["hosts"]) => json(Hosts::default()),
        ("GET", ["hosts", _]) => json(HostDetail::default()),
        ("GET", ["hosts", _, "why"]) => json(HostWhy::default()),
        ("GET", ["tokens"]) => json(Tokens::default()),
        ("POST", ["tokens"]) => json(NewToken::default()),
        ("GET", ["credentials"]) => json(Credentials::default()),
        ("POST", ["credentials", "offer"]) => json(SealOffer::default()),
        ("POST", ["credentials"] | ["credentials", "check" | "revoke"]) => {
            json(Credential::default())
        }
        ("POST", ["join-tokens"]) => json(JoinToken::default()),
        ("POST", ["join"]) => json(JoinReply::default()),
        ("GET", ["usage"]) => json(Usage::default()),
        ("GET", ["notify"]) => json(Channels::default()),
        ("POST", ["notify", "reload"]) => json(NotifyReloaded::default()),
        ("GET", ["timeline"]) => json(Timeline::default()),
        ("GET", ["trends"]) => json(Trends::default()),
        (_, ["notify", "wishes"]) => json(MailWishes::default()),
        ("GET", ["resources"]) => json(Resources::default()),
        ("PUT", ["resources", _]) => json(ResourceRow::default()),
        ("POST", ["notify", "test"]) => json(NotifyTested::default()),
        ("GET", ["errors"]) => json(Errors::default()),
        ("POST", ["cleanup"]) => json(CleanupReply::default()),
        ("GET", ["events"] | ["jobs", _, "items", _, "log"]) => String::new(),
        ("GET", ["worker-file"]) => json(WorkerFile::default()),
        ("POST", ["worker-file", "check"]) => json(WorkerFileChecked::default()),
        ("PUT", ["worker-file"]) => json(ReconfigureReply::default()),
        ("GET", ["audit"]) => json(Audit::default()),
        ("GET", ["site"]) | ("POST", ["site", "reload"]) => json(SiteCertificate::default()),
        ("GET", ["modes"]) => json(FarmModes::default()),
        ("PUT", ["modes", _]) => return (204, String::new()),
        ("PATCH" | "DELETE" | "POST", _) => return (204, String::new()),
        _ => return (404, String::new()),
    };
    (200, body)
}

/// Answers the endpoint of the document that a request is for.
fn endpoint(document: &Value, request: &Seen) -> String {
    let paths = document["paths"].as_object().expect("paths");
    let below = request.path().strip_prefix("/api/v1").expect("the prefix");
    let fits = |template: &str| {
        let (one, two): (Vec<_>, Vec<_>) =
            (template.split('/').collect(), below.split('/').collect());
        one.len() == two.len()
            && one
                .iter()
                .zip(&two)
                .all(|(part, found)| part.starts_with('{') || part == found)
    };
    let method = request.method.to_lowercase();
    let found = paths
        .iter()
        .find(|(template, item)| fits(template) && item.get(&method).is_some());
    let (template, _) = found.unwrap_or_else(|| panic!("{method} {below} is no endpoint"));
    format!("{method} {template}")
}

#[tokio::test]
async fn each_method_calls_its_endpoint_and_no_endpoint_is_without_one() {
    let server = Server::http(empty);
    let client = server.client();
    // In parts, each on the heap: one future of all calls is more than a test's stack holds.
    Box::pin(call_about_jobs(&client)).await;
    Box::pin(call_about_hosts(&client)).await;
    Box::pin(call_about_people(&client)).await;
    Box::pin(call_about_the_farm(&client)).await;

    let document: Value = serde_json::from_str(&tessera_api::openapi::generate()).expect("JSON");
    let called: BTreeSet<String> = server
        .seen()
        .iter()
        .map(|request| endpoint(&document, request))
        .collect();
    let all = document["paths"].as_object().expect("paths");
    let all = all.iter().flat_map(|(path, item)| {
        item.as_object()
            .expect("methods")
            .keys()
            .map(move |method| format!("{method} {path}"))
    });
    // Only a browser has sessions; the page begins and ends them.
    let all = all.filter(|endpoint| !endpoint.ends_with(" /session"));
    assert_eq!(called, all.collect());
    let targets: Vec<String> = server
        .seen()
        .iter()
        .map(|request| request.target.clone())
        .collect();
    for target in [
        "/api/v1/jobs?dry_run=true",
        "/api/v1/jobs?user=a%20b",
        "/api/v1/hosts/a%2Fb",
        "/api/v1/jobs/1/items?frames=1-3",
    ] {
        assert!(
            targets.iter().any(|seen| seen == target),
            "{target} is not in {targets:?}"
        );
    }
}

const OK: &str = "a good answer";

async fn call_about_jobs(client: &Client) {
    let ok = OK;
    client.health().await.expect(ok);
    client.info().await.expect(ok);
    client.openapi().await.expect(ok);
    let reply = client
        .submit(&SubmitRequest::default(), true)
        .await
        .expect(ok);
    assert_eq!(reply.job, Some(7));
    client
        .jobs(&JobsQuery {
            user: Some("a b".into()),
            ..JobsQuery::default()
        })
        .await
        .expect(ok);
    client.job(1).await.expect(ok);
    client
        .items(
            1,
            &ItemsQuery {
                frames: Some("1-3".into()),
                ..ItemsQuery::default()
            },
        )
        .await
        .expect(ok);
    client.item_states(1).await.expect(ok);
    client.create_session_link().await.expect(ok);
    client.attempts(1, 2).await.expect(ok);
    client.item_why(1, 2).await.expect(ok);
    client
        .history(
            1,
            &HistoryQuery {
                after: Some(3),
                ..HistoryQuery::default()
            },
        )
        .await
        .expect(ok);
    client.why(1).await.expect(ok);
    client.deps(1).await.expect(ok);
    client
        .act(&ActionRequest {
            action: "kill".into(),
            targets: vec!["1:2".into()],
        })
        .await
        .expect(ok);
    client.modify(1, &ModifyRequest::default()).await.expect(ok);
    client
        .resubmit(1, &SubmitRequest::default())
        .await
        .expect(ok);
}

async fn call_about_hosts(client: &Client) {
    let ok = OK;
    client.hosts().await.expect(ok);
    client.host("a/b").await.expect(ok);
    client.lock_host("a").await.expect(ok);
    client
        .lock_host_while_active("a", &WhileActive::default())
        .await
        .expect(ok);
    client.unlock_host("a").await.expect(ok);
    let slots = Some("1-4".to_owned());
    let how = LockRequest {
        slots: slots.clone(),
        ..LockRequest::default()
    };
    client.lock_host_so("a", &how).await.expect(ok);
    client
        .lock_host_calendar("a", &CalendarRequest::default())
        .await
        .expect(ok);
    let which = UnlockRequest { slots };
    client.unlock_host_slots("a", &which).await.expect(ok);
    client.modes().await.expect(ok);
    let why = ModeRequest::default();
    client.set_mode("stop_activity", &why).await.expect(ok);
    client.unset_mode("stop_activity").await.expect(ok);
    client.host_settings("a").await.expect(ok);
    client
        .reconfigure(&ReconfigureRequest::default())
        .await
        .expect(ok);
    client
        .remove_host("a", &RemoveHostQuery { force: true })
        .await
        .expect(ok);
    client.host_why("a").await.expect(ok);
}

async fn call_about_people(client: &Client) {
    let ok = OK;
    client
        .create_token(&TokenRequest::default())
        .await
        .expect(ok);
    client.tokens().await.expect(ok);
    client.revoke_token("x").await.expect(ok);
    let whose = CredentialRef::default();
    client.credentials().await.expect(ok);
    client.seal_offer(&whose).await.expect(ok);
    client
        .register_credential(&CredentialRequest::default())
        .await
        .expect(ok);
    client.check_credential(&whose).await.expect(ok);
    client.revoke_credential(&whose).await.expect(ok);
    client
        .create_join_token(&JoinTokenRequest::default())
        .await
        .expect(ok);
    client.join(&JoinRequest::default()).await.expect(ok);
}

async fn call_about_the_farm(client: &Client) {
    let ok = OK;
    client.cleanup(&CleanupRequest::default()).await.expect(ok);
    client.usage().await.expect(ok);
    client.channels().await.expect(ok);
    client.notify_reload().await.expect(ok);
    client
        .trends(&TrendsQuery { hours: Some(6) })
        .await
        .expect(ok);
    client.wishes().await.expect(ok);
    client
        .set_wishes(&SetMailWishes::default())
        .await
        .expect(ok);
    client.timeline(&TimelineQuery::default()).await.expect(ok);
    client.notify_test(&NotifyTest::default()).await.expect(ok);
    client.resources().await.expect(ok);
    let said = ResourceRequest::default();
    client.set_resource("global.a", &said).await.expect(ok);
    client.remove_resource("global.a").await.expect(ok);
    client.worker_file().await.expect(ok);
    client
        .check_worker_file(&WorkerFileCheck::default())
        .await
        .expect(ok);
    client
        .set_worker_file(&SetWorkerFile::default())
        .await
        .expect(ok);
    client.audit(&AuditQuery::default()).await.expect(ok);
    client.site_certificate().await.expect(ok);
    client.site_reload().await.expect(ok);
    let of_job = ErrorsQuery { job: Some(1) };
    client.errors(&of_job).await.expect(ok);
    client.events(EventsQuery::default()).await.expect(ok);
    client
        .log(1, 2, &LogQuery::default())
        .await
        .expect_err("no headers");
}

#[tokio::test]
async fn a_connection_is_used_again_and_replaced_when_it_is_gone() {
    let server = Server::http(empty);
    let client = server.client();
    client.hosts().await.expect("a good answer");
    client.hosts().await.expect("a good answer");
    let (one, two) = tokio::join!(client.usage(), client.usage());
    assert!(one.is_ok() && two.is_ok());
    let connections: Vec<usize> = server
        .seen()
        .iter()
        .map(|request| request.connection)
        .collect();
    assert_eq!(connections[..2], [0, 0]);
    assert_eq!(
        connections.iter().max(),
        Some(&1),
        "two calls at a time need two connections"
    );

    drop(server);
    assert!(client.hosts().await.is_err(), "nobody is there");
}

#[tokio::test]
async fn a_server_that_closes_after_each_answer_is_called_anew() {
    let reply = json(Jobs {
        jobs: vec![JobSummary {
            id: 5,
            ..JobSummary::default()
        }],
        ..Jobs::default()
    });
    let server = Server::scripted(vec![crate::server::Script::fixed("200 OK", &reply); 5]);
    let client = server.client();
    for _ in 0..5 {
        let jobs = client
            .jobs(&JobsQuery::default())
            .await
            .expect("a good answer");
        assert_eq!(jobs.jobs[0].id, 5);
    }
    assert_eq!(server.seen().len(), 5);
}

#[tokio::test]
async fn only_what_changes_nothing_is_sent_twice() {
    let usage = json(Usage {
        jobs: 5,
        ..Usage::default()
    });
    let script = crate::server::Script::fixed("200 OK", &usage);
    let server = Server::scripted([script.clone().then_hangs_up(), script.then_hangs_up()]);
    let client = server.client();
    client.usage().await.expect("a good answer");
    assert_eq!(
        client
            .usage()
            .await
            .expect("sent again over a new connection")
            .jobs,
        5
    );
    let error = client.lock_host("a").await.expect_err("not sent again");
    assert_eq!(error.exit_code(), tessera_api::Exit::Unreachable);
    let seen: Vec<_> = server
        .seen()
        .into_iter()
        .map(|request| (request.method, request.connection))
        .collect();
    let expected = [("GET", 0), ("GET", 0), ("GET", 1), ("POST", 1)];
    assert_eq!(
        seen,
        expected.map(|(method, connection)| (method.to_owned(), connection))
    );
}

#[tokio::test]
async fn bodies_are_json_and_requests_say_who_sends_them() {
    let server = Server::http(empty);
    let request = SubmitRequest {
        command: vec!["true".into()],
        key: Some("k".into()),
        ..SubmitRequest::default()
    };
    server
        .client()
        .submit(&request, false)
        .await
        .expect("a good answer");
    let seen = server.seen().remove(0);
    assert_eq!(
        serde_json::from_str::<SubmitRequest>(&seen.body).ok(),
        Some(request)
    );
    assert_eq!(seen.body, r#"{"command":["true"],"key":"k"}"#);
    assert_eq!(seen.header("content-type"), Some("application/json"));
    assert!(
        seen.header("user-agent")
            .is_some_and(|agent| agent.starts_with("tessera/"))
    );
    assert_eq!(seen.header("authorization"), None);
}
