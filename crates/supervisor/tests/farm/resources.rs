//! The farm's own resources, from the configuration and the API to who waits for them and why, over restarts.

use crate::world::{Farm, frames, options};
use tessera_api::client::Streamed;
use tessera_api::query::EventsQuery;
use tessera_api::types::{ResourceHolder, ResourceRequest, ResourceRow, SubmitRequest};
use tessera_api::{ApiError, Client, ClientError, ErrorCode};
use tessera_model::msg::{GoneCause, LaunchInventory, Report, ToWorker};
use tessera_supervisor::{Options, start};

fn wanting(range: &str, reservations: &str) -> SubmitRequest {
    SubmitRequest {
        cpus: Some(4),
        reservations: Some(reservations.into()),
        ..frames(range)
    }
}

/// Starts a farm in a folder whose configuration gives it 3 licences.
async fn start_with(dir: tempfile::TempDir) -> Farm {
    let config = dir.path().join("supervisor.toml");
    let text = "supervisor_global_resources = [\"license.nuke=3\"]\n";
    std::fs::write(&config, text).expect("writes");
    let options = Options {
        config: Some(config),
        ..options(dir.path())
    };
    let running = start(options).await.expect("starts");
    let client = Client::unix(running.socket());
    Farm {
        running,
        client,
        dir,
    }
}

async fn of(client: &Client, name: &str) -> ResourceRow {
    let all = client.resources().await.expect("a list").resources;
    let found = all.into_iter().find(|it| it.name == name);
    found.unwrap_or_else(|| panic!("no {name}"))
}

fn refused<T: std::fmt::Debug>(answer: Result<T, ClientError>) -> ApiError {
    match answer.expect_err("refused") {
        ClientError::Api(error) => error,
        other => panic!("{other}"),
    }
}

async fn first_why(client: &Client, job: u64, kind: &str) -> String {
    let reasons = client.why(job).await.expect("there").reasons;
    let found = reasons.iter().find(|it| it.kind == kind);
    found.unwrap_or_else(|| panic!("{reasons:?}")).text.clone()
}

#[tokio::test]
async fn licences_are_counted_told_and_kept_over_a_restart() {
    let farm = start_with(tempfile::tempdir().expect("a folder")).await;
    let mut worker = farm.worker("rnd001", 8).await;
    let first = farm.submit(wanting("1-2", "license.nuke=1")).await;
    let starts = [worker.started().await, worker.started().await];
    let spec = farm.client.job(first).await.expect("there").spec;
    assert_eq!(spec.reservations, "host.processors=1,license.nuke=1");
    let second = farm.submit(wanting("1", "license.nuke=2")).await;
    let text = format!("license.nuke 2/3, 2 asked, held by job {first} (2)");
    assert_eq!(
        first_why(&farm.client, second, "resource_in_use").await,
        text
    );
    let row = of(&farm.client, "license.nuke").await;
    let holder = ResourceHolder {
        job: first,
        held: 2,
        instances: 2,
    };
    assert_eq!(
        (row.total, row.held, row.free, row.holders),
        (Some(3), 2, 1, vec![holder])
    );
    // A poller of the licence server: 3 are in use, one of them outside of the farm.
    let said = ResourceRequest {
        total: Some(5),
        used: Some(3),
        ttl_seconds: Some(600),
        ..ResourceRequest::default()
    };
    let row = farm
        .client
        .set_resource("license.nuke", &said)
        .await
        .expect("said");
    let counts = (
        row.total,
        row.configured,
        row.set,
        row.held,
        row.others,
        row.free,
    );
    assert_eq!(counts, (Some(3), Some(3), Some(5), 2, 1, 1));
    assert!(row.others_until_ms > row.others_said_ms && row.others_expired.is_none());
    worker.disconnect();
    let before = of(&farm.client, "license.nuke").await;
    farm.running.stop().await.expect("stops");
    let farm = start_with(farm.dir).await;
    assert_eq!(of(&farm.client, "license.nuke").await, before);
    let has = starts.iter().map(|start| LaunchInventory {
        key: start.key,
        current: Some(start.run),
        ahead: Vec::new(),
        is_closing: false,
        is_suspended: false,
    });
    let connected = worker.connect(farm.running.address(), has.collect());
    connected.await.expect("connects");
    // One ends: what is free goes to who waits.
    let (key, run) = (starts[0].key, starts[0].run);
    worker.ended(key, run, 0).await;
    while !matches!(worker.next().await, ToWorker::Close { .. }) {}
    let cause = GoneCause::Closed;
    worker.report(Report::Gone { key, cause }).await;
    assert_eq!(worker.started().await.key.job.0, second);
    assert_eq!(of(&farm.client, "license.nuke").await.free, 0);
    farm.running.stop().await.expect("stops");
}

#[tokio::test]
async fn what_is_unknown_or_wrong_is_said() {
    let farm = start_with(tempfile::tempdir().expect("a folder")).await;
    let mia = farm.user("mia").await;
    let events = farm.client.events(EventsQuery::default()).await;
    let mut events = events.expect("a stream");
    let reply = farm
        .client
        .submit(&wanting("1", "license.Nuke=1, global.rig=1"), false)
        .await;
    let reply = reply.expect("taken, and it waits");
    assert_eq!(
        reply.warnings[..2],
        [
            "it will wait: the farm has no global.rig; `tessera resource list` lists what it has",
            "it will wait: the farm has no license.Nuke; was license.nuke meant?"
        ]
    );
    let large = farm
        .client
        .submit(&wanting("1", "license.nuke=4"), true)
        .await;
    let warnings = large.expect("a dry run").warnings;
    assert_eq!(
        warnings[0],
        "it will wait: license.nuke is 3 in all; 4 asked"
    );
    let total = |n| ResourceRequest {
        total: Some(n),
        ..ResourceRequest::default()
    };
    // Whoever it is may look, and only administrators set.
    mia.resources().await.expect("a list");
    let error = refused(mia.set_resource("global.rig", &total(1)).await);
    assert_eq!(error.code, ErrorCode::Forbidden);
    let error = refused(mia.remove_resource("license.nuke").await);
    assert_eq!(error.code, ErrorCode::Forbidden);
    let nobody = farm.over_tls(None).await;
    let error = refused(nobody.resources().await);
    assert_eq!(error.code, ErrorCode::Unauthenticated);
    let wrong = ResourceRequest {
        total: Some(u64::MAX),
        used: Some(1),
        others: Some(1),
        ttl_seconds: Some(0),
    };
    let error = refused(farm.client.set_resource("global.rig", &wrong).await);
    let fields: Vec<&str> = error.fields.iter().map(|it| it.field.as_str()).collect();
    assert_eq!(
        (error.code, fields),
        (ErrorCode::Invalid, vec!["total", "others", "ttl_seconds"])
    );
    let nothing = ResourceRequest {
        ttl_seconds: Some(5),
        ..ResourceRequest::default()
    };
    let error = refused(farm.client.set_resource("license.nuke", &nothing).await);
    assert_eq!(error.fields.len(), 2, "{error:?}");
    let others = ResourceRequest {
        others: Some(1),
        ..ResourceRequest::default()
    };
    let error = refused(farm.client.set_resource("global.rig", &others).await);
    assert!(
        error.fields[0].message.contains("say the total, too"),
        "{error:?}"
    );
    for name in ["host.memory", "global.", "nuke", "global.a b"] {
        let error = refused(farm.client.set_resource(name, &total(1)).await);
        assert_eq!(error.code, ErrorCode::BadRequest, "{name}");
        assert!(
            error.message.contains("is no resource of a farm"),
            "{error:?}"
        );
    }
    assert_eq!(
        refused(farm.client.remove_resource("global.rig").await).code,
        ErrorCode::NotFound
    );
    let error = refused(farm.client.remove_resource("license.nuke").await);
    assert!(
        error.fields[0]
            .message
            .contains("supervisor_global_resources"),
        "{error:?}"
    );
    // Who said what is on record.
    farm.client
        .set_resource("global.rig", &total(2))
        .await
        .expect("said");
    farm.client
        .remove_resource("global.rig")
        .await
        .expect("removed");
    for (kind, text) in [
        ("resource.set", "global.rig: 2 in all"),
        ("resource.removed", "global.rig was removed"),
    ] {
        let event = loop {
            match events.next().await.expect("an event") {
                Streamed::Event(event) if event.kind == kind => break event,
                _ => {}
            }
        };
        assert_eq!(event.text, text);
        assert!(event.actor.is_some_and(|it| !it.is_empty()));
    }
    farm.running.stop().await.expect("stops");
}
