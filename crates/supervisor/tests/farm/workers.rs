//! Workers: orders, tickets, reports, reconnects.

use crate::world::{Farm, ended, eventually, frames};
use std::time::Duration;
use tessera_api::query::{AuditQuery, RemoveHostQuery};
use tessera_api::types::{ActionRequest, HostRow, SubmitRequest};
use tessera_model::HostFacts;
use tessera_model::msg::{FromWorker, LaunchInventory, ToWorker};
use tessera_ticket::{PathMap, Template, Ticket, VerifyingKey};
use tessera_wire::link::{LinkError, WorkerLink};
use tessera_wire::tls::WorkerTls;

fn bytes_of(hex: &str) -> Vec<u8> {
    (0..hex.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hex"))
        .collect()
}

#[tokio::test]
async fn a_start_comes_with_a_ticket_that_its_host_can_verify() {
    let farm = Farm::start().await;
    let mut worker = farm.worker("rnd001", 2).await;
    let id = farm.submit(frames("5-9")).await;
    let start = worker.started().await;
    let key = bytes_of(&worker.reply.dispatch_keys[0]);
    let key = VerifyingKey::from_bytes(&key.try_into().expect("32 bytes")).expect("a key");
    let signature: [u8; 64] = start.signature.clone().try_into().expect("64 bytes");
    let ticket = Ticket::verify(&start.ticket, &signature, &[key]).expect("signed by the farm");
    assert_eq!(
        (ticket.key.job, ticket.key.instance, ticket.key.launch),
        (id, 0, 1)
    );
    assert_eq!(
        tessera_model::HostId(ticket.host).to_string(),
        worker.reply.host_id
    );
    assert_eq!(ticket.template, Template::digest_of(&start.template));
    assert!(ticket.allows(4) && !ticket.allows(5));
    let template = Template::decode(&start.template).expect("a template");
    assert_eq!(
        template.argv_of(start.run.item.0, &PathMap::default()),
        Ok(vec!["render".into(), "5".into()])
    );
    let mut other = start.ticket.clone();
    other[40] ^= 1;
    assert!(
        Ticket::verify(&other, &signature, &[key]).is_err(),
        "not a bit of it can be changed"
    );
    farm.running.stop().await.expect("stops");
}

#[tokio::test]
async fn frames_run_one_after_another_and_count_once() {
    let farm = Farm::start().await;
    let mut worker = farm.worker("rnd001", 1).await;
    let id = farm.submit(frames("1-3")).await;
    let start = worker.started().await;
    worker.is_up(start.key).await;
    let mut run = start.run;
    for frame in 0..3 {
        assert_eq!((run.item.0, run.attempt.0), (frame, 1));
        let seq = worker.ended(start.key, run, 0).await;
        worker.repeat(seq, ended(start.key, run, 1, [0, 0])).await;
        let before = worker.acknowledged(seq).await;
        match before.as_slice() {
            [ToWorker::Run { run: next, .. }] => run = *next,
            [ToWorker::Close { .. }] if frame == 2 => break,
            other => panic!("after frame {frame}: {other:?}"),
        }
    }
    let job = farm.client.job(id).await.expect("there").job;
    assert_eq!((job.status.as_str(), job.items.complete), ("complete", 3));
    let attempts = farm
        .client
        .attempts(id, 1)
        .await
        .expect("attempts")
        .attempts;
    assert_eq!(attempts.len(), 1, "sent twice, it counts once");
    let end = attempts[0].end.clone().expect("over");
    assert_eq!(
        (
            end.text.as_str(),
            end.kind.as_str(),
            attempts[0].host.as_str()
        ),
        ("exit 0", "exit", "rnd001")
    );
    let host = farm.client.host("rnd001").await.expect("there");
    assert_eq!(host.running.len(), 1, "its slot is free when it is gone");
    worker.gone(start.key).await;
    assert!(
        farm.client
            .host("rnd001")
            .await
            .expect("there")
            .running
            .is_empty()
    );
    farm.running.stop().await.expect("stops");
}

#[tokio::test]
async fn a_report_is_acknowledged_when_a_reader_of_the_store_sees_it() {
    let farm = Farm::start().await;
    let mut worker = farm.worker("rnd001", 1).await;
    let id = farm.submit(frames("1")).await;
    let start = worker.started().await;
    let seq = worker.ended(start.key, start.run, 3).await;
    worker.acknowledged(seq).await;
    let attempts = farm
        .client
        .attempts(id, 0)
        .await
        .expect("attempts")
        .attempts;
    assert_eq!(
        attempts[0].end.as_ref().map(|end| end.exit_status),
        Some(Some(3))
    );
    farm.running.stop().await.expect("stops");
}

#[tokio::test]
async fn work_goes_on_over_a_new_connection() {
    let farm = Farm::start().await;
    let mut worker = farm.worker("rnd001", 1).await;
    let id = farm.submit(frames("1-2")).await;
    let start = worker.started().await;
    worker.is_up(start.key).await;
    worker.disconnect();
    let client = farm.client.clone();
    eventually("away", || async {
        (client.host("rnd001").await.ok()?.host.status == "away").then_some(())
    })
    .await;
    let has = LaunchInventory {
        key: start.key,
        current: Some(start.run),
        ahead: Vec::new(),
        is_closing: false,
        is_suspended: false,
    };
    worker
        .connect(farm.running.address(), vec![has])
        .await
        .expect("again");
    let seq = worker.ended(start.key, start.run, 0).await;
    let before = worker.acknowledged(seq).await;
    assert!(
        matches!(before.as_slice(), [ToWorker::Run { run, .. }] if run.item.0 == 1),
        "{before:?}"
    );
    assert_eq!(
        farm.client.job(id).await.expect("there").job.items.complete,
        1
    );
    farm.running.stop().await.expect("stops");
}

#[tokio::test]
async fn what_a_worker_does_not_have_is_started_again() {
    let farm = Farm::start().await;
    let mut worker = farm.worker("rnd001", 1).await;
    farm.submit(frames("1")).await;
    let start = worker.started().await;
    worker.disconnect();
    worker
        .connect(farm.running.address(), Vec::new())
        .await
        .expect("again");
    let again = worker.started().await;
    assert_eq!(again.key.job, start.key.job);
    assert!(
        again.key.launch > start.key.launch,
        "another launch: {}",
        again.key
    );
    assert_eq!(again.run.attempt.0, 2);
    farm.running.stop().await.expect("stops");
}

#[tokio::test]
async fn the_newest_connection_of_a_host_is_the_one() {
    let farm = Farm::start().await;
    let mut worker = farm.worker("rnd001", 1).await;
    let mut double = farm.worker("rnd002", 1).await;
    std::mem::swap(&mut double.identity, &mut worker.identity);
    // Now `double` proves itself as rnd001, too.
    let address = farm.running.address();
    double.connect(address, Vec::new()).await.expect("attaches");
    assert_eq!(worker.try_next().await, None, "the older one is closed");
    // The connection that the double had before is noticed to be over; else the frame may go there.
    let client = farm.client.clone();
    eventually("away", || async {
        let host = client.host("rnd002").await.ok()?;
        (host.host.status != "up").then_some(())
    })
    .await;
    let id = farm.submit(frames("1")).await;
    assert_eq!(double.started().await.key.job.0, id);
    farm.running.stop().await.expect("stops");
}

#[tokio::test]
async fn a_host_goes_by_the_name_that_it_joined_with() {
    let farm = Farm::start().await;
    let _worker = farm.worker("rnd001", 4).await;
    let client = farm.client.clone();
    let host = eventually("up", || async {
        client
            .host("RND001")
            .await
            .ok()
            .filter(|host| host.host.status == "up")
    });
    assert_eq!(
        (
            host.await.host.slots,
            farm.client.host("claimed-name").await.is_err()
        ),
        (4, true)
    );
    farm.client.lock_host("rnd001").await.expect("locked");
    assert!(
        farm.client
            .host("rnd001")
            .await
            .expect("there")
            .host
            .is_locked
    );
    assert!(
        farm.client
            .host_why("rnd001")
            .await
            .expect("a reason")
            .summary
            .contains("lock")
    );
    farm.client.unlock_host("rnd001").await.expect("unlocked");
    farm.running.stop().await.expect("stops");
}

#[tokio::test]
async fn a_removed_host_does_not_come_back_with_its_certificate() {
    let farm = Farm::start().await;
    let mut worker = farm.worker("rnd001", 1).await;
    let client = farm.client.clone();
    assert!(
        client
            .remove_host("rnd001", &RemoveHostQuery::default())
            .await
            .is_err(),
        "it is connected"
    );
    worker.disconnect();
    eventually("removed", || async {
        client
            .remove_host("rnd001", &RemoveHostQuery::default())
            .await
            .ok()
    })
    .await;
    let error = worker
        .connect(farm.running.address(), Vec::new())
        .await
        .expect_err("sent away");
    assert!(
        matches!(&error, LinkError::Refused(refused) if refused.code == "unknown_host"),
        "{error:?}"
    );
    farm.running.stop().await.expect("stops");
}

#[tokio::test]
async fn a_killed_frame_is_ended_at_once_on_its_host() {
    let farm = Farm::start().await;
    let mut worker = farm.worker("rnd001", 1).await;
    let id = farm.submit(frames("1-2")).await;
    let start = worker.started().await;
    let seq = worker.is_up(start.key).await;
    worker.acknowledged(seq).await;
    let kill = ActionRequest {
        action: "kill".into(),
        targets: vec![format!("{id}:1")],
    };
    farm.client.act(&kill).await.expect("killed");
    let next = worker.next().await;
    let (key, grace) = match next {
        ToWorker::EndItem { key, run, grace } if run == start.run => (key, grace),
        other => panic!("{other:?}"),
    };
    assert_eq!((key, grace), (start.key, Duration::from_secs(30)));
    farm.running.stop().await.expect("stops");
}

/// A worker may say another name (`tessera worker --name`), in words and as a property that requirements look at.
#[tokio::test]
async fn the_name_that_a_host_joined_with_is_its_property_too() {
    let farm = Farm::start().await;
    let mut worker = farm.worker("rnd001", 1).await;
    let shown = farm.client.host("rnd001").await.expect("there").host;
    let named = |host: &HostRow| host.properties.get("host.name").cloned();
    assert_eq!(named(&shown).as_deref(), Some("rnd001"));
    let request = SubmitRequest {
        requirements: Some("host.name == rnd001".into()),
        ..frames("1")
    };
    farm.submit(request).await;
    worker.started().await;
    // Also when it says anew what it is.
    let anew = HostFacts {
        name: "claimed-again".into(),
        slots: 7,
        ..HostFacts::default()
    };
    worker.say(FromWorker::Hello(anew)).await;
    let slots = eventually("heard", || async {
        let host = farm.client.host("rnd001").await.expect("there").host;
        (host.slots == 7).then_some(named(&host))
    });
    assert_eq!(slots.await.as_deref(), Some("rnd001"));
    farm.running.stop().await.expect("stops");
}

#[tokio::test]
async fn a_second_join_under_a_name_is_told_and_takes_nothing_over() {
    let farm = Farm::start().await;
    let (identity, first) = farm.enrol("rnd001").await;
    assert_eq!(first.same_name, [""; 0]);
    let second = farm.worker("rnd001", 1).await;
    let others = second.reply.same_name.as_slice();
    assert_eq!(others, std::slice::from_ref(&first.host_id));
    let hosts = farm.client.hosts().await.expect("told").hosts;
    let way_out = format!("tessera host remove {}", first.host_id);
    let ghost = hosts.iter().find(|it| it.id == first.host_id);
    let reason = ghost.and_then(|it| it.reason.clone()).expect("a reason");
    assert!(reason.starts_with(&way_out), "{reason}");
    let other = hosts.iter().find(|it| it.id == second.reply.host_id);
    assert_eq!(other.map(|it| it.reason.clone()), Some(None));
    let shown = farm.client.host(&first.host_id).await.expect("there").host;
    assert_eq!(shown.reason, Some(reason));
    let told = farm.client.audit(&AuditQuery::default()).await;
    let told = told.expect("told").events;
    let is_told = |it: &tessera_api::types::Event| {
        it.kind == "host.joined" && it.text.contains(&first.host_id)
    };
    assert!(told.iter().any(is_told), "{told:?}");

    // Which of the two is meant must be said; the first is as good as it was until it is removed.
    let how = RemoveHostQuery::default();
    let refused = farm.client.remove_host("rnd001", &how).await;
    let refused = refused.expect_err("two of them").to_string();
    assert!(refused.contains(&first.host_id), "{refused}");
    let tls = WorkerTls::new(&identity).expect("an identity");
    let address = farm.running.address().to_string();
    let stream = tls.connect(&address).await.expect("connects");
    let link = WorkerLink::open(stream, tls.farm_id()).await;
    let facts = HostFacts {
        name: "rnd001".into(),
        slots: 1,
        ..HostFacts::default()
    };
    let attached = link.expect("greeted").attach(facts, Vec::new()).await;
    drop(attached.expect("known"));
    eventually("removed", || async {
        let removed = farm.client.remove_host(&first.host_id, &how).await;
        removed.ok()
    })
    .await;
    let hosts = farm.client.hosts().await.expect("told").hosts;
    assert_eq!((hosts.len(), hosts[0].reason.clone()), (1, None));
    farm.running.stop().await.expect("stops");
}
