//! The event stream.

use crate::world::{DEADLINE, Farm, frames};
use tessera_api::client::{EventStream, Streamed};
use tessera_api::query::EventsQuery;
use tessera_api::types::Event;
use tessera_model::msg::FromWorker;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

async fn next(stream: &mut EventStream) -> Streamed {
    tokio::time::timeout(DEADLINE, stream.next())
        .await
        .expect("in time")
        .expect("a stream")
}

async fn event(stream: &mut EventStream) -> Event {
    match next(stream).await {
        Streamed::Event(event) => event,
        Streamed::Resync => panic!("resync"),
    }
}

#[tokio::test]
async fn events_come_as_they_are_committed_and_resume_where_they_were() {
    let farm = Farm::start().await;
    let mut live = farm
        .client
        .events(EventsQuery::default())
        .await
        .expect("a stream");
    let first = farm.submit(frames("1")).await;
    let submitted = event(&mut live).await;
    assert_eq!(
        (submitted.kind.as_str(), submitted.job),
        ("job.submitted", Some(first))
    );
    let seen = submitted.seq.expect("kept");
    let second = farm.submit(frames("1")).await;
    let after = EventsQuery {
        after: Some(seen),
        ..EventsQuery::default()
    };
    let mut resumed = farm.client.events(after).await.expect("a stream");
    let old = event(&mut resumed).await;
    assert_eq!((old.job, old.seq), (Some(second), Some(seen + 1)));
    let third = farm.submit(frames("1")).await;
    let new = event(&mut resumed).await;
    assert_eq!((new.job, new.seq), (Some(third), Some(seen + 2)));
    farm.running.stop().await.expect("stops");
}

#[tokio::test]
async fn a_stream_goes_on_over_a_restart_without_a_gap() {
    let farm = Farm::start().await;
    let first = farm.submit(frames("1")).await;
    let mut stream = farm
        .client
        .events(EventsQuery {
            after: Some(0),
            ..EventsQuery::default()
        })
        .await
        .expect("a stream");
    assert_eq!(event(&mut stream).await.job, Some(first));
    let farm = farm.restart().await;
    let second = farm.submit(frames("1")).await;
    assert_eq!(event(&mut stream).await.job, Some(second));
    farm.running.stop().await.expect("stops");
}

#[tokio::test]
async fn only_what_was_asked_for_comes() {
    let farm = Farm::start().await;
    let first = farm.submit(frames("1")).await;
    let which = EventsQuery {
        after: Some(0),
        job: Some(first + 1),
    };
    let mut stream = farm.client.events(which).await.expect("a stream");
    let second = farm.submit(frames("1")).await;
    assert_eq!(event(&mut stream).await.job, Some(second));
    farm.running.stop().await.expect("stops");
}

#[tokio::test]
async fn a_number_from_the_future_means_to_start_over() {
    let farm = Farm::start().await;
    let which = EventsQuery {
        after: Some(1_000_000),
        ..EventsQuery::default()
    };
    let mut stream = farm.client.events(which).await.expect("a stream");
    assert_eq!(next(&mut stream).await, Streamed::Resync);
    let id = farm.submit(frames("1")).await;
    assert_eq!(event(&mut stream).await.job, Some(id));
    farm.running.stop().await.expect("stops");
}

#[tokio::test]
async fn progress_passes_by() {
    let farm = Farm::start().await;
    let mut worker = farm.worker("rnd001", 1).await;
    let id = farm.submit(frames("1")).await;
    let start = worker.started().await;
    let mut stream = farm
        .client
        .events(EventsQuery {
            after: None,
            job: Some(id),
        })
        .await
        .expect("a stream");
    worker
        .say(FromWorker::Progress {
            key: start.key,
            run: start.run,
            percent: 40,
        })
        .await;
    let seen = event(&mut stream).await;
    assert_eq!(
        (seen.kind.as_str(), seen.progress, seen.seq),
        ("item.progress", Some(40), None)
    );
    assert_eq!(seen.host.as_deref(), Some("rnd001"));
    let item = farm
        .client
        .items(id, &Default::default())
        .await
        .expect("items")
        .items
        .remove(0);
    assert_eq!((item.status.as_str(), item.progress), ("running", Some(40)));
    farm.running.stop().await.expect("stops");
}

/// Reads the rest of a raw stream until it has this text.
async fn read_until(stream: &mut tokio::net::UnixStream, text: &str) {
    let (mut seen, mut buffer) = (String::new(), vec![0; 64 * 1024]);
    while !seen.contains(text) {
        let read = tokio::time::timeout(DEADLINE, stream.read(&mut buffer))
            .await
            .expect("in time")
            .expect("bytes");
        assert!(read > 0, "the stream ended without {text:?}");
        // What the text may begin in is kept, the rest is long.
        let kept = seen.len().saturating_sub(text.len());
        seen = String::from_utf8_lossy(&seen.as_bytes()[kept..]).into_owned();
        seen.push_str(&String::from_utf8_lossy(&buffer[..read]));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_does_not_read_is_told_to_start_over_and_costs_nobody() {
    let farm = Farm::start().await;
    let mut worker = farm.worker("rnd001", 1).await;
    let id = farm.submit(frames("1")).await;
    let start = worker.started().await;
    let mut slow = tokio::net::UnixStream::connect(farm.running.socket())
        .await
        .expect("connects");
    slow.write_all(b"GET /api/v1/events HTTP/1.1\r\nHost: x\r\n\r\n")
        .await
        .expect("sent");
    read_until(&mut slow, "event: hello").await;
    for _ in 0..40 {
        let progress = FromWorker::Progress {
            key: start.key,
            run: start.run,
            percent: 1,
        };
        worker.say_all(vec![progress; 1_000]).await;
    }
    let mut quick = farm
        .client
        .events(EventsQuery {
            after: None,
            job: Some(id + 1),
        })
        .await
        .expect("a stream");
    let next = farm.submit(frames("1")).await;
    assert_eq!(
        event(&mut quick).await.job,
        Some(next),
        "others are served at once"
    );
    read_until(&mut slow, "event: resync").await;
    farm.running.stop().await.expect("stops");
}
