//! Who gets in, and what ordinary users may.

use crate::world::{DEADLINE, Farm, frames};
use std::os::unix::fs::PermissionsExt as _;
use tessera_api::query::{
    EventsQuery, HistoryQuery, ItemsQuery, JobsQuery, LogQuery, RemoveHostQuery,
};
use tessera_api::types::{
    ActionRequest, CleanupRequest, JoinRequest, JoinTokenRequest, SubmitRequest, TokenRequest,
};
use tessera_api::{Client, ClientError, ErrorCode};
use tessera_wire::pki::{Fingerprint, JoinString, WorkerIdentity};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

async fn refused<T: std::fmt::Debug>(
    call: impl Future<Output = Result<T, ClientError>>,
) -> ErrorCode {
    match call.await.expect_err("refused") {
        ClientError::Api(error) => error.code,
        other => panic!("not refused: {other}"),
    }
}

#[tokio::test]
async fn without_a_token_there_is_nothing_but_health() {
    let farm = Farm::start().await;
    let stranger = farm.over_tls(None).await;
    assert_eq!(stranger.health().await.expect("open to all").status, "ok");
    assert_eq!(refused(stranger.info()).await, ErrorCode::Unauthenticated);
    assert_eq!(
        refused(stranger.submit(&frames("1"), false)).await,
        ErrorCode::Unauthenticated
    );
    let forger = farm
        .over_tls(Some(format!("tessera_00000000_{}", "0".repeat(64))))
        .await;
    assert_eq!(refused(forger.info()).await, ErrorCode::Unauthenticated);
    farm.running.stop().await.expect("stops");
}

#[tokio::test]
async fn a_token_is_its_owner_until_it_is_revoked() {
    let farm = Farm::start().await;
    let mia = farm.user("mia").await;
    let me = mia.info().await.expect("info").caller;
    assert_eq!((me.name.as_str(), me.is_admin), ("mia", false));
    let id = me.proof.strip_prefix("token ").expect("a token").to_owned();
    assert_eq!(
        refused(mia.create_token(&TokenRequest::default())).await,
        ErrorCode::Forbidden
    );
    assert_eq!(mia.tokens().await.expect("hers").tokens.len(), 1);
    let listed = farm.client.tokens().await.expect("all").tokens;
    assert_eq!(listed[0].user, "mia");
    let farm = farm.restart().await;
    let ca = farm
        .client
        .info()
        .await
        .expect("info")
        .ca_sha256
        .parse()
        .expect("a fingerprint");
    assert_eq!(
        refused(Client::tls(farm.running.address().to_string(), ca, None).info()).await,
        ErrorCode::Unauthenticated
    );
    farm.client.revoke_token(&id).await.expect("revoked");
    assert_eq!(
        refused(farm.client.revoke_token(&id)).await,
        ErrorCode::NotFound
    );
    farm.running.stop().await.expect("stops");
}

#[tokio::test]
async fn a_revoked_token_lets_nobody_in() {
    let farm = Farm::start().await;
    let mia = farm.user("mia").await;
    let id = mia.tokens().await.expect("hers").tokens[0].id.clone();
    mia.revoke_token(&id).await.expect("hers to revoke");
    assert_eq!(refused(mia.info()).await, ErrorCode::Unauthenticated);
    farm.running.stop().await.expect("stops");
}

#[tokio::test]
async fn a_token_that_revokes_itself_first_thing_stays_revoked() {
    let farm = Farm::start().await;
    let request = TokenRequest {
        user: Some("mia".into()),
        ..TokenRequest::default()
    };
    let made = farm.client.create_token(&request).await.expect("a token");
    let mia = farm.over_tls(Some(made.token.clone())).await;
    mia.revoke_token(&made.id).await.expect("hers to revoke");
    assert_eq!(refused(mia.info()).await, ErrorCode::Unauthenticated);
    let farm = farm.restart().await;
    let again = farm.over_tls(Some(made.token)).await;
    assert_eq!(refused(again.info()).await, ErrorCode::Unauthenticated);
    assert!(farm.client.tokens().await.expect("all").tokens.is_empty());
    farm.running.stop().await.expect("stops");
}

#[tokio::test]
async fn what_a_job_runs_is_shown_to_its_own_people_only() {
    let farm = Farm::start().await;
    let (mia, tom) = (farm.user("mia").await, farm.user("tom").await);
    let secret = SubmitRequest {
        command: vec!["render".into(), "--license=secret-word".into()],
        env: Some([("KEY".to_owned(), "secret-word".to_owned())].into()),
        cwd: Some("/secret-word".into()),
        ..frames("1-2")
    };
    let id = mia.submit(&secret, false).await.expect("submitted").job;
    let id = id.expect("a number");
    let hers = mia.job(id).await.expect("hers").spec;
    assert_eq!((&hers.command, hers.env.len()), (&secret.command, 1));
    let admins = farm.client.job(id).await.expect("an administrator may");
    assert_eq!(admins.spec, hers);
    let others = tom.job(id).await.expect("that it is there is no secret");
    assert!(others.spec.command.is_empty() && others.spec.env.is_empty());
    assert_eq!((others.spec.cwd, others.job.items.total), (None, 2));
    for text in [
        format!(
            "{:?}",
            tom.jobs(&JobsQuery::default()).await.expect("a list")
        ),
        format!("{:?}", tom.why(id).await.expect("why")),
        format!(
            "{:?}",
            tom.items(id, &ItemsQuery::default()).await.expect("items")
        ),
        format!(
            "{:?}",
            tom.history(id, &HistoryQuery::default())
                .await
                .expect("history")
        ),
    ] {
        assert!(!text.contains("secret-word"), "{text}");
    }
    let attempt = LogQuery {
        attempt: Some(1),
        ..LogQuery::default()
    };
    for which in [LogQuery::default(), attempt] {
        match tom.log(id, 0, &which).await.expect_err("refused") {
            ClientError::Api(error) => {
                assert_eq!(error.code, ErrorCode::Forbidden);
                assert_eq!(
                    error.message,
                    format!(
                        "tom may not read the output of job {id}: only its owner mia and the farm's administrators may"
                    )
                );
            }
            other => panic!("not refused: {other}"),
        }
        assert_eq!(
            refused(mia.log(id, 0, &which)).await,
            ErrorCode::WrongState,
            "she may; it has not run"
        );
    }
    let over = SubmitRequest::default();
    assert_eq!(refused(tom.resubmit(id, &over)).await, ErrorCode::Forbidden);
    mia.resubmit(id, &over).await.expect("she may");
    farm.running.stop().await.expect("stops");
}

#[tokio::test]
async fn events_tell_nothing_of_what_a_job_runs() {
    let farm = Farm::start().await;
    let (mia, tom) = (farm.user("mia").await, farm.user("tom").await);
    let mut stream = tom.events(EventsQuery::default()).await.expect("a stream");
    let secret = SubmitRequest {
        command: vec!["render".into(), "--license=secret-word".into()],
        env: Some([("KEY".to_owned(), "secret-word".to_owned())].into()),
        cwd: Some("/secret-word".into()),
        ..frames("1")
    };
    mia.submit(&secret, false).await.expect("submitted");
    let next = tokio::time::timeout(DEADLINE, stream.next()).await;
    let text = format!("{:?}", next.expect("in time").expect("an event"));
    assert!(
        text.contains("submitted") && !text.contains("secret-word"),
        "{text}"
    );
    farm.running.stop().await.expect("stops");
}

async fn ca_of(farm: &Farm) -> Fingerprint {
    let request = JoinTokenRequest::default();
    let invitation = farm.client.create_join_token(&request);
    let invitation = invitation.await.expect("a token").join_string;
    let join: JoinString = invitation.parse().expect("a join string");
    join.ca
}

#[tokio::test]
async fn silent_tls_connections_keep_nobody_out() {
    // More than one address may have.
    const SILENT: usize = 300;
    let farm = Farm::start().await;
    let mia = farm.user("mia").await;
    mia.info().await.expect("she has proven who she is");
    let ca = ca_of(&farm).await;
    let address = farm.running.address().to_string();
    let mut silent = Vec::new();
    for _ in 0..SILENT {
        let connected = tessera_wire::tls::connect_pinned(&address, ca).await;
        silent.push(connected.expect("connects"));
    }
    let newcomer = farm.over_tls(None).await;
    assert_eq!(newcomer.health().await.expect("let in").status, "ok");
    mia.info().await.expect("nor is she kept out");
    drop(silent);
    farm.running.stop().await.expect("stops");
}

#[tokio::test]
async fn strangers_are_not_told_what_paths_there_are() {
    let farm = Farm::start().await;
    let ca = ca_of(&farm).await;
    let address = farm.running.address().to_string();
    for (path, status) in [
        ("/api/v1/health", "200"),
        ("/api/v1/openapi.json", "401"),
        ("/api/v1/nothing", "401"),
        ("/api/v1/health/", "401"),
        ("/nothing", "401"),
        ("/nothing/below", "401"),
        ("/jobs/1/nothing", "401"),
        // The page itself is for all, and holds nothing of the farm.
        ("/", "200"),
    ] {
        let connected = tessera_wire::tls::connect_pinned(&address, ca).await;
        let mut stream = connected.expect("connects");
        let text = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        stream.write_all(text.as_bytes()).await.expect("sent");
        let mut answer = Vec::new();
        // An end without farewell is as good.
        let _end = stream.read_to_end(&mut answer).await;
        let answer = String::from_utf8_lossy(&answer);
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status}")),
            "{path}: {answer}"
        );
    }
    farm.running.stop().await.expect("stops");
}

#[tokio::test]
async fn users_act_on_their_own_jobs_only() {
    let farm = Farm::start().await;
    let (mia, tom) = (farm.user("mia").await, farm.user("tom").await);
    let id = mia
        .submit(&frames("1-3"), false)
        .await
        .expect("submitted")
        .job
        .expect("a number");
    assert_eq!(farm.client.job(id).await.expect("there").job.user, "mia");
    let kill = ActionRequest {
        action: "kill".into(),
        targets: vec![id.to_string()],
    };
    let his = tom.act(&kill).await.expect("an answer").results.remove(0);
    assert_eq!(
        his.error.map(|error| error.code),
        Some(ErrorCode::Forbidden)
    );
    let hers = mia.act(&kill).await.expect("an answer").results.remove(0);
    assert_eq!(hers.ok.map(|changed| changed.items), Some(3));
    let as_mia = SubmitRequest {
        user: Some("mia".into()),
        ..frames("1")
    };
    assert_eq!(
        refused(tom.submit(&as_mia, false)).await,
        ErrorCode::Forbidden
    );
    assert_eq!(
        refused(tom.submit(&as_mia, true)).await,
        ErrorCode::Forbidden
    );
    let admins = farm
        .client
        .submit(&as_mia, false)
        .await
        .expect("an administrator may")
        .job
        .expect("a number");
    assert_eq!(
        farm.client.job(admins).await.expect("there").job.user,
        "mia"
    );
    assert_eq!(
        refused(tom.cleanup(&CleanupRequest::default())).await,
        ErrorCode::Forbidden
    );
    assert_eq!(
        refused(tom.create_join_token(&JoinTokenRequest::default())).await,
        ErrorCode::Forbidden
    );
    farm.running.stop().await.expect("stops");
}

#[tokio::test]
async fn a_join_token_lets_one_host_in() {
    let farm = Farm::start().await;
    let token = farm
        .client
        .create_join_token(&JoinTokenRequest::default())
        .await
        .expect("a token");
    let join: JoinString = token.join_string.parse().expect("a join string");
    assert_eq!(join.address, farm.running.address().to_string());
    let stranger = farm.over_tls(None).await;
    let request = WorkerIdentity::generate_csr().expect("a request");
    let with = |csr: &str, name: &str| JoinRequest {
        token: join.token.reveal(),
        csr_pem: csr.to_owned(),
        name: name.to_owned(),
    };
    assert_eq!(
        refused(stranger.join(&with("nonsense", "a"))).await,
        ErrorCode::Invalid
    );
    assert_eq!(
        refused(stranger.join(&with(request.csr_pem(), "a b"))).await,
        ErrorCode::Invalid
    );
    let unknown = JoinRequest {
        token: tessera_wire::pki::JoinToken::generate()
            .expect("random")
            .reveal(),
        ..with("nonsense", "a b")
    };
    assert_eq!(
        refused(stranger.join(&unknown)).await,
        ErrorCode::Unauthenticated,
        "nothing else of a stranger is looked at"
    );
    stranger
        .join(&with(request.csr_pem(), "rnd001"))
        .await
        .expect("what failed did not use it up");
    assert_eq!(
        refused(stranger.join(&with(request.csr_pem(), "rnd002"))).await,
        ErrorCode::Unauthenticated
    );
    let hosts = farm.client.hosts().await.expect("hosts").hosts;
    assert_eq!(
        (
            hosts.len(),
            hosts[0].name.as_str(),
            hosts[0].status.as_str()
        ),
        (1, "rnd001", "away")
    );
    farm.client
        .remove_host("rnd001", &RemoveHostQuery::default())
        .await
        .expect("removed");
    assert!(farm.client.hosts().await.expect("hosts").hosts.is_empty());
    farm.running.stop().await.expect("stops");
}

#[tokio::test]
async fn the_port_answers_nothing_in_plaintext() {
    let farm = Farm::start().await;
    let mut stream = tokio::net::TcpStream::connect(farm.running.address())
        .await
        .expect("connects");
    stream
        .write_all(b"GET /api/v1/health HTTP/1.1\r\nHost: x\r\n\r\n")
        .await
        .expect("sent");
    let mut answer = Vec::new();
    // A reset is as good an end as a close.
    let _reset = stream.read_to_end(&mut answer).await;
    assert_eq!(String::from_utf8_lossy(&answer), "");
    farm.running.stop().await.expect("stops");
}

#[tokio::test]
async fn the_socket_is_open_to_all_and_requests_that_make_no_sense_are_told_why() {
    let farm = Farm::start().await;
    let mode = std::fs::metadata(farm.running.socket())
        .expect("there")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o666);
    for (request, status, word) in [
        ("GET /api/v1/nothing HTTP/1.1", "404", "not_found"),
        ("DELETE /api/v1/jobs HTTP/1.1", "405", "method_not_allowed"),
        ("GET /api/v1/jobs?limit=x HTTP/1.1", "400", "bad_request"),
        ("GET /api/v1/jobs/x HTTP/1.1", "400", "bad_request"),
        ("GET /api/v1/jobs?state=odd HTTP/1.1", "400", "bad_request"),
        (
            "GET /api/v1/events HTTP/1.1\r\nLast-Event-ID: abc",
            "400",
            "Last-Event-ID is no number",
        ),
        (
            "POST /api/v1/jobs HTTP/1.1\r\nContent-Length: 45\r\n\r\n{\"command\":[\"true\"],\"priority\":\"a\",\"chunk\":0}#",
            "400",
            "priority: ",
        ),
    ] {
        let mut stream = tokio::net::UnixStream::connect(farm.running.socket())
            .await
            .expect("connects");
        // A body, where there is one, stands behind the head.
        let (head, body) = request.split_once("\r\n\r\n").unwrap_or((request, ""));
        let body = body.trim_end_matches('#');
        let text = format!("{head}\r\nHost: x\r\nConnection: close\r\n\r\n{body}");
        stream.write_all(text.as_bytes()).await.expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("answered");
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status}")),
            "{request}: {answer}"
        );
        assert!(
            answer.contains(word) && answer.contains("\"request_id\":\""),
            "{request}: {answer}"
        );
    }
    farm.running.stop().await.expect("stops");
}
