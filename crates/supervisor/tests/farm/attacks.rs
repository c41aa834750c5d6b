//! Attacks on what clients and workers say to the supervisor, each by its id in `docs/security/attacks.md`. More of them are in
//! `strangers`, `workers`, `logs` and `jobs` here, and in the crate `wire`.

use crate::logs::chunk;
use crate::world::{DEADLINE, Farm, Worker, eventually, frames};
use std::os::unix::fs::PermissionsExt as _;
use tessera_api::client::Streamed;
use tessera_api::query::{EventsQuery, LogQuery, RemoveHostQuery};
use tessera_api::types::ActionRequest;
use tessera_api::{Client, ClientError, ErrorCode};
use tessera_model::msg::{LaunchKey, Report, Run};
use tessera_model::{InstanceNo, LaunchNo};
use tessera_wire::convert::LogStream;
use tessera_wire::link::LinkError;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

fn code_of<T: std::fmt::Debug>(answer: Result<T, ClientError>) -> ErrorCode {
    match answer.expect_err("refused") {
        ClientError::Api(error) => error.code,
        other => panic!("not refused: {other}"),
    }
}

/// Says a request to the socket as it is; answers all that comes.
async fn raw(farm: &Farm, head: &str, body: &str) -> String {
    let stream = tokio::net::UnixStream::connect(farm.running.socket()).await;
    let mut stream = stream.expect("connects");
    let length = body.len();
    let text = format!(
        "{head} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
    );
    stream.write_all(text.as_bytes()).await.expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("answered");
    answer
}

#[tokio::test]
async fn p01_names_in_a_request_are_wishes() {
    let farm = Farm::start().await;
    let (mia, tom) = (farm.user("mia").await, farm.user("tom").await);
    let hers = mia.submit(&frames("1"), false).await.expect("submitted");
    for wish in ["mia", "root"] {
        let request = tessera_api::types::SubmitRequest {
            user: Some(wish.into()),
            ..frames("1")
        };
        let answer = tom.submit(&request, false).await;
        assert_eq!(code_of(answer), ErrorCode::Forbidden, "{wish}");
    }
    // What a client puts beside the request says nothing.
    let id = hers.job.expect("a number");
    let body = format!(r#"{{"action":"kill","targets":["{id}"],"by":"mia"}}"#);
    let answer = raw(&farm, "POST /api/v1/actions", &body).await;
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    assert_eq!(mia.job(id).await.expect("hers").job.user, "mia");
    farm.running.stop().await.expect("stops");
}

#[tokio::test]
async fn p05_a_token_of_one_farm_is_nothing_at_another() {
    let (ours, theirs) = (Farm::start().await, Farm::start().await);
    let request = tessera_api::types::TokenRequest::default();
    let token = theirs.client.create_token(&request).await.expect("made");
    let stranger = ours.over_tls(Some(token.token.clone())).await;
    assert_eq!(code_of(stranger.info().await), ErrorCode::Unauthenticated);
    // Nor does a client of theirs speak to us: it knows its farm by the fingerprint, before it shows a token.
    let pin = theirs.client.info().await.expect("info").ca_sha256;
    let pin = pin.parse().expect("a fingerprint");
    let misled = Client::tls(ours.running.address().to_string(), pin, Some(token.token));
    match misled.info().await.expect_err("another farm") {
        ClientError::Api(error) => panic!("it spoke: {error:?}"),
        error => assert!(error.to_string().contains("certificate"), "{error}"),
    }
    ours.running.stop().await.expect("stops");
    theirs.running.stop().await.expect("stops");
}

#[tokio::test]
async fn p09_whose_job_it_is_decides_and_bulk_is_no_way_round() {
    let farm = Farm::start().await;
    let (mia, tom) = (farm.user("mia").await, farm.user("tom").await);
    let id = mia.submit(&frames("1-3"), false).await.expect("submitted");
    let id = id.job.expect("a number");
    for action in [
        "kill", "block", "suspend", "retry", "complete", "fail", "remove", "top",
    ] {
        for target in [format!("{id}"), format!("{id}:1-3"), format!("{id}.0")] {
            let request = ActionRequest {
                action: action.into(),
                targets: vec![target.clone()],
            };
            let Ok(answer) = tom.act(&request).await else {
                // An action that such a target does not have.
                continue;
            };
            for result in answer.results {
                let error = result.error.expect("nothing was done");
                let refused = [
                    ErrorCode::Forbidden,
                    ErrorCode::Invalid,
                    ErrorCode::BadRequest,
                ];
                assert!(
                    refused.contains(&error.code),
                    "{action} {target}: {error:?}"
                );
            }
        }
    }
    let change = tessera_api::types::ModifyRequest {
        priority: Some(1),
        ..tessera_api::types::ModifyRequest::default()
    };
    assert_eq!(code_of(tom.modify(id, &change).await), ErrorCode::Forbidden);
    let job = mia.job(id).await.expect("hers").job;
    assert_eq!((job.status.as_str(), job.items.pending), ("pending", 3));
    farm.running.stop().await.expect("stops");
}

/// Says the same of an instance as its own host would.
fn forged(key: LaunchKey, run: Run) -> [Report; 3] {
    let started = Report::Started {
        key,
        account: "mia".into(),
        uid: 1_000,
        containment: "cgroup".into(),
    };
    let gone = Report::Gone {
        key,
        cause: tessera_model::msg::GoneCause::Closed,
    };
    [started, crate::world::ended(key, run, 0, [0, 0]), gone]
}

#[tokio::test]
async fn p11_a_host_reports_of_its_own_instances_only() {
    let farm = Farm::start().await;
    let mut own: Worker = farm.worker("rnd001", 1).await;
    let id = farm.submit(frames("1")).await;
    let start = own.started().await;
    let mut other: Worker = farm.worker("rnd002", 1).await;
    let next = LaunchKey {
        launch: LaunchNo(start.key.launch.0 + 1),
        ..start.key
    };
    let second = LaunchKey {
        instance: InstanceNo(1),
        ..start.key
    };
    for key in [start.key, next, second] {
        for report in forged(key, start.run) {
            // It is acknowledged, or the worker would say it for ever, and changes nothing.
            let seq = other.report(report).await;
            other.acknowledged(seq).await;
        }
    }
    let seq = own.is_up(start.key).await;
    own.acknowledged(seq).await;
    let job = farm.client.job(id).await.expect("there").job;
    assert_eq!((job.status.as_str(), job.items.complete), ("running", 0));
    let host = farm.client.host("rnd001").await.expect("there");
    assert_eq!(host.running.len(), 1);
    let seq = own.ended(start.key, start.run, 0).await;
    own.acknowledged(seq).await;
    let job = farm.client.job(id).await.expect("there").job;
    assert_eq!(job.items.complete, 1);
    farm.running.stop().await.expect("stops");
}

#[tokio::test]
async fn p21_what_is_open_ends_with_the_token() {
    let farm = Farm::start().await;
    let mut worker = farm.worker("rnd001", 1).await;
    let mia = farm.user("mia").await;
    let id = mia.submit(&frames("1"), false).await.expect("submitted");
    let id = id.job.expect("a number");
    let start = worker.started().await;
    let seq = worker.is_up(start.key).await;
    worker.acknowledged(seq).await;
    let mut events = mia.events(EventsQuery::default()).await.expect("a stream");
    let mut output = mia
        .follow_log(id, 0, LogQuery::default())
        .await
        .expect("a follower");
    let token = mia.tokens().await.expect("hers").tokens[0].id.clone();
    farm.client.revoke_token(&token).await.expect("revoked");
    let ended = tokio::time::timeout(DEADLINE, async {
        loop {
            match events.next().await {
                Ok(Streamed::Event(_) | Streamed::Resync) => {}
                Err(error) => return error,
            }
        }
    });
    let ended = ended.await.expect("no word more");
    assert_eq!(code_of(Err::<(), _>(ended)), ErrorCode::Unauthenticated);
    let ended = tokio::time::timeout(DEADLINE, output.next()).await;
    let ended = ended.expect("no byte more");
    assert_eq!(code_of(ended), ErrorCode::Unauthenticated);
    // The job is hers all the same: nobody else took it over.
    assert_eq!(farm.client.job(id).await.expect("there").job.user, "mia");
    farm.running.stop().await.expect("stops");
}

#[tokio::test]
async fn p21_a_host_that_does_not_leave_is_sent_away() {
    let farm = Farm::start().await;
    let mut worker = farm.worker("rnd001", 1).await;
    let id = farm.submit(frames("1")).await;
    let start = worker.started().await;
    let seq = worker.is_up(start.key).await;
    worker.acknowledged(seq).await;
    let mut logs = worker.logs().await;
    let remove = async |force| {
        let how = RemoveHostQuery { force };
        farm.client.remove_host("rnd001", &how).await
    };
    assert_eq!(code_of(remove(false).await), ErrorCode::WrongState);
    remove(true).await.expect("removed");
    while worker.try_next().await.is_some() {}
    // What it had is another's to run, and what it still says of it is nobody's word.
    let job = farm.client.job(id).await.expect("there").job;
    assert_eq!((job.items.running, job.items.pending), (0, 1));
    let error = worker.connect(farm.running.address(), Vec::new()).await;
    let error = error.expect_err("it is no host of the farm");
    assert!(
        matches!(&error, LinkError::Refused(refused) if refused.code == "unknown_host"),
        "{error:?}"
    );
    let late = chunk(&start, LogStream::Out, 0, b"late");
    if logs.chunks.send(late).await.is_ok() {
        // Answered or cut off; what counts is that it is not kept.
        let _answer = tokio::time::timeout(DEADLINE, logs.acks.recv()).await;
    }
    let first = LogQuery {
        attempt: Some(1),
        ..LogQuery::default()
    };
    let kept = farm.client.log(id, 0, &first).await.expect("its output");
    assert_eq!(kept.size, 0, "{kept:?}");
    let mut other = farm.worker("rnd002", 1).await;
    assert_eq!(other.started().await.run.attempt.0, 2);
    farm.running.stop().await.expect("stops");
}

#[tokio::test]
async fn p08_who_opened_the_socket_is_who_asks() {
    let farm = Farm::start().await;
    let mode = std::fs::metadata(farm.running.socket()).expect("there");
    assert_eq!(mode.permissions().mode() & 0o777, 0o666);
    // A header that names somebody, or a token of somebody else, is not looked at where the kernel has spoken.
    let mia = farm.user("mia").await;
    let token = farm.client.tokens().await.expect("all").tokens[0]
        .id
        .clone();
    mia.revoke_token(&token).await.expect("hers to revoke");
    let head = format!(
        "GET /api/v1/info HTTP/1.1\r\nAuthorization: Bearer tessera_{token}_{}\r\nX-Remote-User: mia\r\nX-Ignored:",
        "0".repeat(64)
    );
    let answer = raw(&farm, &head, "").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(
        answer.contains("peer") && !answer.contains("\"mia\""),
        "{answer}"
    );
    let _ = eventually("an answer", || async { farm.client.info().await.ok() }).await;
    farm.running.stop().await.expect("stops");
}
