//! `workers.toml` over the API: seen, checked and changed by administrators only, and who did what.

use crate::world::Farm;
use tessera_api::query::AuditQuery;
use tessera_api::types::{ReconfigureRequest, SetWorkerFile, TokenRequest, WorkerFileCheck};
use tessera_api::{ApiError, Client, ClientError, ErrorCode};

fn refused<T: std::fmt::Debug>(answer: Result<T, ClientError>) -> ApiError {
    match answer.expect_err("refused") {
        ClientError::Api(error) => error,
        other => panic!("{other}"),
    }
}

const OLD: &str = "# notes of the administrator\n[default]\nworker_cpus = 2\n";

async fn set(client: &Client, text: &str, version: &str) -> Result<usize, ClientError> {
    let request = SetWorkerFile {
        text: text.into(),
        version: version.into(),
    };
    let reply = client.set_worker_file(&request).await?;
    Ok(reply
        .hosts
        .iter()
        .filter(|it| !it.changed.is_empty())
        .count())
}

#[tokio::test]
async fn the_file_of_all_workers_is_seen_checked_and_changed_by_administrators() {
    let farm = Farm::start().await;
    let _worker = farm.worker("rnd001", 2).await;
    let path = farm.dir.path().join("farm/workers.toml");
    let mia = farm.user("mia").await;
    let text = WorkerFileCheck { text: OLD.into() };
    for code in [
        refused(mia.worker_file().await).code,
        refused(mia.check_worker_file(&text).await).code,
        refused(set(&mia, OLD, "none").await).code,
        refused(mia.audit(&AuditQuery::default()).await).code,
    ] {
        assert_eq!(code, ErrorCode::Forbidden);
    }
    let nobody = farm.over_tls(None).await;
    assert_eq!(
        refused(nobody.worker_file().await).code,
        ErrorCode::Unauthenticated
    );
    assert!(!path.exists());

    // There is none yet: one is made.
    let none = farm.client.worker_file().await.expect("told");
    assert_eq!((none.text.as_deref(), none.closed), (Some(""), None));
    let version = none.version.expect("has one");
    let checked = farm.client.check_worker_file(&text).await.expect("told");
    let change = &checked.hosts[0].changes[0];
    assert_eq!(
        (
            checked.hosts[0].name.as_str(),
            change.key.as_str(),
            change.after.as_deref()
        ),
        ("rnd001", "worker_cpus", Some("2"))
    );
    assert_eq!(change.from.as_deref(), Some("line 3, [default]"));
    assert_eq!(set(&farm.client, OLD, &version).await.expect("sets"), 1);
    assert_eq!(std::fs::read_to_string(&path).expect("there"), OLD);
    let now = farm.client.worker_file().await.expect("told");
    assert!(now.is_in_use, "{now:?}");

    // Who read what is no longer there, and who makes a mistake, changes nothing.
    let late = refused(set(&farm.client, "", &version).await);
    assert_eq!(late.code, ErrorCode::WrongState);
    let version = now.version.expect("has one");
    let wrong = refused(set(&farm.client, "[default]\nworker_cpu = 4\n", &version).await);
    assert_eq!(wrong.code, ErrorCode::Invalid);
    let said = &wrong.fields[0].message;
    assert!(
        said.starts_with("2:1: there is no key `worker_cpu`"),
        "{said}"
    );
    let map = format!("{OLD}worker_path_map = [['/mnt/p', '/home/evil']]\n");
    let map = refused(set(&farm.client, &map, &version).await);
    assert_eq!(map.code, ErrorCode::Forbidden);
    assert_eq!(std::fs::read_to_string(&path).expect("there"), OLD);

    // A file that somebody changed by hand is seen with its mistakes, and not in use.
    std::fs::write(&path, "[host.rnd001]\nworker_cpus = -1\n").expect("writes");
    let faulty = farm.client.worker_file().await.expect("told");
    assert!(!faulty.is_in_use);
    assert_eq!(
        (faulty.findings[0].line, faulty.findings[0].is_error),
        (2, true)
    );
    farm.running.stop().await.expect("stops");
}

#[tokio::test]
async fn who_did_what_is_told_to_administrators_the_newest_first() {
    let farm = Farm::start().await;
    let token = TokenRequest {
        user: Some("mia".into()),
        ..TokenRequest::default()
    };
    let made = farm.client.create_token(&token).await.expect("makes");
    let job = farm.submit(crate::world::frames("1-3")).await;
    farm.client.revoke_token(&made.id).await.expect("revokes");
    farm.client
        .reconfigure(&ReconfigureRequest::default())
        .await
        .expect("reads");
    let all = farm
        .client
        .audit(&AuditQuery::default())
        .await
        .expect("told");
    let kinds: Vec<&str> = all.events.iter().map(|it| it.kind.as_str()).collect();
    assert_eq!(
        kinds,
        [
            "workers.read",
            "token.revoked",
            "job.submitted",
            "token.created"
        ]
    );
    assert!(all.events.iter().all(|it| it.actor.is_some()), "{all:?}");
    assert_eq!((all.events[2].job, all.next), (Some(job), None));
    let tokens = AuditQuery {
        kinds: Some("token".into()),
        limit: Some(1),
        ..AuditQuery::default()
    };
    let first = farm.client.audit(&tokens).await.expect("told");
    assert_eq!(first.events[0].kind, "token.revoked");
    let second = AuditQuery {
        before: first.next,
        ..tokens
    };
    let second = farm.client.audit(&second).await.expect("told");
    assert_eq!(second.events[0].kind, "token.created");
    let nobody = AuditQuery {
        actor: Some("nobody".into()),
        ..AuditQuery::default()
    };
    assert_eq!(farm.client.audit(&nobody).await.expect("told").events, []);
    farm.running.stop().await.expect("stops");
}
