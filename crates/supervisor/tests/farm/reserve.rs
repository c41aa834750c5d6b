//! Reservations from a request to a ticket, and attempts that ran out of what they reserved.

use crate::world::{Farm, frames};
use tessera_api::query::{HistoryQuery, ItemsQuery};
use tessera_api::types::{ModifyRequest, SubmitRequest};
use tessera_api::{ClientError, ErrorCode};
use tessera_model::Timestamp;
use tessera_model::msg::{AttemptEnd, Report, ToWorker};
use tessera_model::state::End;
use tessera_ticket::{Template, Ticket};

const GIB: u64 = 1 << 30;

fn reserving(range: &str, reservations: &str) -> SubmitRequest {
    SubmitRequest {
        reservations: Some(reservations.into()),
        ..frames(range)
    }
}

#[tokio::test]
async fn what_is_reserved_is_taken_of_the_host_and_stands_in_the_ticket() {
    let farm = Farm::start().await;
    let mut worker = farm.worker("rnd001", 8).await;
    let id = farm
        .submit(reserving("1", "host.processors=2+, host.memory=16G"))
        .await;
    let start = worker.started().await;
    let limits = Ticket::decode(&start.ticket).expect("a ticket").limits;
    assert_eq!(
        (limits.memory, limits.pids, limits.cpu_weight),
        (16 * GIB, 8 * 4_096, 800)
    );
    assert_eq!(
        Template::decode(&start.template).expect("a template").slots,
        8
    );
    let host = farm.client.host("rnd001").await.expect("there").host;
    assert_eq!(host.used_slots, 8);
    assert_eq!(host.used_resources["host.memory"], 16_384);
    let spec = farm.client.job(id).await.expect("there").spec;
    assert_eq!(spec.reservations, "host.processors=2+,host.memory=16384");
    assert_eq!(spec.retry_oom, 3);
    worker.is_up(start.key).await;
    worker.ended(start.key, start.run, 0).await;
    worker.gone(start.key).await;
    let host = farm.client.host("rnd001").await.expect("there").host;
    assert_eq!((host.used_slots, host.used_resources.len()), (0, 0));
    // A job that reserves nothing has the ticket that it always had.
    farm.submit(frames("1")).await;
    let start = worker.started().await;
    assert_eq!(start.ticket.first(), Some(&1));
    farm.running.stop().await.expect("stops");
}

#[tokio::test]
async fn what_can_not_be_kept_is_told_at_once() {
    let farm = Farm::start().await;
    let _worker = farm.worker("rnd001", 8).await;
    let reply = farm
        .client
        .submit(&reserving("1", "host.memory=1T"), false)
        .await;
    let warnings = reply.expect("taken").warnings;
    // As root there is more to say.
    assert_eq!(
        warnings[0],
        "it will wait: 1024 GiB asked, and the largest host has host.memory: 64 GiB (rnd001)"
    );
    let typo = SubmitRequest {
        host_order: Some("host.memroy".into()),
        ..reserving("1", "host.memroy=1")
    };
    let warnings = farm
        .client
        .submit(&typo, true)
        .await
        .expect("taken")
        .warnings;
    assert_eq!(
        warnings[..2],
        [
            "the host order: no known host has host.memroy; did you mean host.memory?",
            "no known host has host.memroy; did you mean host.memory?"
        ]
    );
    for wrong in [
        "host.memory=8X",
        "global.nuke=1+",
        "host.memory=all",
        "memory=1",
    ] {
        let refused = farm.client.submit(&reserving("1", wrong), false).await;
        let Err(ClientError::Api(error)) = refused else {
            panic!("{wrong} was taken: {refused:?}")
        };
        assert_eq!(error.fields[0].field, "reservations", "{wrong}");
    }
    let change = ModifyRequest {
        reservations: Some("host.memory=1G".into()),
        ..ModifyRequest::default()
    };
    farm.client.modify(1, &change).await.expect("changed");
    let spec = farm.client.job(1).await.expect("there").spec;
    assert_eq!(spec.reservations, "host.processors=1,host.memory=1024");
    let change = ModifyRequest {
        reservations: Some("license.x=all".into()),
        ..ModifyRequest::default()
    };
    let refused = farm.client.modify(1, &change).await.expect_err("none");
    assert!(matches!(refused, ClientError::Api(error) if error.code == ErrorCode::Invalid));
    farm.running.stop().await.expect("stops");
}

#[tokio::test]
async fn an_attempt_that_ran_out_of_memory_is_told_and_tried_with_more() {
    let farm = Farm::start().await;
    let mut worker = farm.worker("rnd001", 8).await;
    let id = farm.submit(reserving("7", "host.memory=16G")).await;
    let start = worker.started().await;
    worker.is_up(start.key).await;
    let (peak, limit) = (16 * GIB, 16 * GIB);
    let end = AttemptEnd {
        peak_memory: peak,
        ..AttemptEnd::nothing_ran(End::OutOfMemory { peak, limit }, Timestamp(1_000))
    };
    let (key, run) = (start.key, start.run);
    worker.report(Report::ItemEnded { key, run, end }).await;
    let again = loop {
        if let ToWorker::Start { ticket, run, .. } = worker.next().await {
            break (ticket, run);
        }
    };
    let limits = Ticket::decode(&again.0).expect("a ticket").limits;
    assert_eq!((limits.memory, again.1.attempt.0), (24 * GIB, 2));
    let items = farm
        .client
        .items(id, &ItemsQuery::default())
        .await
        .expect("items")
        .items;
    assert_eq!((items[0].retries_used, items[0].oom_tries_used), (0, 1));
    let attempts = farm
        .client
        .attempts(id, 0)
        .await
        .expect("attempts")
        .attempts;
    let end = attempts[0].end.as_ref().expect("over");
    assert_eq!(end.text, "out of memory: over its 16384 MiB");
    assert_eq!(
        (end.kind.as_str(), end.outcome.as_str()),
        ("out_of_memory", "out_of_memory")
    );
    assert_eq!(
        (attempts[0].peak_memory, attempts[0].memory_limit),
        (Some(peak), Some(limit))
    );
    let history = farm
        .client
        .history(id, &HistoryQuery::default())
        .await
        .expect("history");
    let said = |part: &str| history.events.iter().any(|event| event.text.contains(part));
    assert!(said("out of memory: over its 16384 MiB after") && said("try 1 of 3 with 24576 MiB"));
    farm.running.stop().await.expect("stops");
}
