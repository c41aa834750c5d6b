//! Events and logs over cut lines.

use crate::server::{Script, Server, short};
use bytes::Bytes;
use std::time::Duration;
use tessera_api::client::{Streamed, TimeLimits};
use tessera_api::frames::LogPiece;
use tessera_api::query::{EventsQuery, LogQuery, LogStream};
use tessera_api::types::Event;
use tessera_api::{ApiError, ClientError, ErrorCode};

fn event(seq: u64) -> String {
    let event = Event {
        seq: Some(seq),
        kind: "job.status".into(),
        job: Some(1),
        ..Event::default()
    };
    format!(
        "id: {seq}\nevent: job.status\ndata: {}\n\n",
        serde_json::to_string(&event).expect("JSON")
    )
}

fn refusal(code: ErrorCode) -> Script {
    let body = serde_json::to_string(&ApiError::new(code, "no")).expect("JSON");
    Script::fixed(&format!("{} No", code.status()), &body)
}

fn seq(streamed: Streamed) -> u64 {
    match streamed {
        Streamed::Event(event) => event.seq.expect("a number"),
        Streamed::Resync => panic!("a resync"),
    }
}

#[tokio::test]
async fn events_resume_where_the_line_was_cut() {
    let (six, seven, eight) = (event(6), event(7), event(8));
    let half = &seven.as_bytes()[..seven.len() / 2];
    let server = Server::scripted([
        Script::cut(
            "",
            &[
                b"event: hello\nid: 5\ndata: {\"after\": 5}\n\n",
                six.as_bytes(),
                half,
            ],
        ),
        refusal(ErrorCode::Unavailable),
        Script::whole("", &[b": still here\n\n", seven.as_bytes()]),
        Script::silent(
            "",
            &[b"event: resync\ndata: {\"after\": 7}\n\n", eight.as_bytes()],
        ),
    ]);
    let which = EventsQuery {
        after: None,
        job: Some(1),
    };
    let mut events = server.client().events(which).await.expect("a stream");
    assert_eq!(seq(events.next().await.expect("an event")), 6);
    assert_eq!(seq(events.next().await.expect("an event")), 7);
    assert_eq!(events.next().await.expect("an event"), Streamed::Resync);
    assert_eq!(seq(events.next().await.expect("an event")), 8);
    assert_eq!(events.position(), Some(8));
    let seen = server.seen();
    let after: Vec<_> = seen
        .iter()
        .map(|request| request.header("last-event-id"))
        .collect();
    assert_eq!(after, [None, Some("6"), Some("6"), Some("7")]);
    assert!(seen.iter().all(|request| request.target.contains("job=1")));
}

#[tokio::test]
async fn a_stream_cut_before_its_first_event_misses_nothing() {
    let server = Server::scripted([
        Script::cut("", &[b"event: hello\ndata: {\"after\": 41}\n\n"]),
        Script::silent("", &[event(42).as_bytes()]),
    ]);
    let mut events = server
        .client()
        .events(EventsQuery::default())
        .await
        .expect("a stream");
    assert_eq!(seq(events.next().await.expect("an event")), 42);
    assert_eq!(server.seen()[1].header("last-event-id"), Some("41"));
}

#[tokio::test]
async fn a_silent_line_is_given_up() {
    let server = Server::scripted([
        Script::silent("", &[]),
        Script::silent("", &[event(1).as_bytes()]),
    ]);
    let limits = TimeLimits {
        silence: Duration::from_millis(500),
        ..short()
    };
    let mut events = server
        .client_with(limits)
        .events(EventsQuery::default())
        .await
        .expect("a stream");
    assert_eq!(seq(events.next().await.expect("an event")), 1);
    assert_eq!(server.seen().len(), 2);
}

#[tokio::test]
async fn a_refusal_ends_the_stream_and_so_does_patience() {
    let server = Server::scripted([Script::cut("", &[]), refusal(ErrorCode::Unauthenticated)]);
    let mut events = server
        .client()
        .events(EventsQuery::default())
        .await
        .expect("a stream");
    let error = events.next().await.expect_err("a refusal");
    assert!(matches!(error, ClientError::Api(error) if error.code == ErrorCode::Unauthenticated));

    let server = Server::scripted([Script::cut("", &[])]);
    let limits = TimeLimits {
        patience: Duration::from_millis(300),
        ..short()
    };
    let mut events = server
        .client_with(limits)
        .events(EventsQuery::default())
        .await
        .expect("a stream");
    drop(server);
    let error = events.next().await.expect_err("nobody is there");
    assert!(matches!(error, ClientError::Unreachable { .. }), "{error}");
}

fn head(attempt: u32, offset: u64) -> String {
    format!("x-tessera-attempt: {attempt}\r\nx-tessera-offset: {offset}\r\n")
}

#[tokio::test]
async fn a_followed_log_goes_on_at_the_byte_where_it_was_cut() {
    let out = |text: &'static str| LogPiece::Out(Bytes::from_static(text.as_bytes()));
    let err = |text: &'static str| LogPiece::Err(Bytes::from_static(text.as_bytes()));
    let frame = |piece: LogPiece| piece.encode().to_vec();
    let half = &frame(out("lost"))[..7];
    let server = Server::scripted([
        Script::cut(
            &head(3, 0),
            &[&frame(out("one ")), &frame(err("two ")), half],
        ),
        Script::whole(&head(3, 8), &[&frame(LogPiece::Idle), &frame(out("three"))]),
        Script::whole(&head(3, 13), &[&frame(LogPiece::End)]),
    ]);
    let which = LogQuery {
        stream: LogStream::Both,
        ..LogQuery::default()
    };
    let mut log = server
        .client()
        .follow_log(1, 2, which)
        .await
        .expect("a log");
    let mut pieces = Vec::new();
    while let Some(piece) = log.next().await.expect("a piece") {
        pieces.push(piece);
    }
    assert_eq!(pieces, [out("one "), err("two "), out("three")]);
    assert_eq!((log.attempt(), log.offset()), (3, 13));
    assert_eq!(log.next().await.expect("the end again"), None);
    let targets: Vec<_> = server
        .seen()
        .into_iter()
        .map(|request| request.target)
        .collect();
    assert!(
        targets[0].contains("follow=true") && !targets[0].contains("attempt="),
        "{targets:?}"
    );
    assert!(
        targets[1].contains("offset=8") && targets[1].contains("attempt=3"),
        "{targets:?}"
    );
    assert!(targets[2].contains("offset=13"), "{targets:?}");
}

#[tokio::test]
async fn a_part_of_a_log_says_where_it_stands() {
    let head = "x-tessera-attempt: 2\r\nx-tessera-offset: 4\r\nx-tessera-size: 9\r\nx-tessera-complete: true\r\n";
    let framed = LogPiece::Err(Bytes::from_static(b"er")).encode();
    let server = Server::scripted([
        Script::whole(head, &[b"hel", b"lo"]),
        Script::whole(head, &[&framed, &LogPiece::End.encode()]),
        Script::whole("x-tessera-attempt: 2\r\n", &[b"x"]),
    ]);
    let client = server.client();
    let part = client
        .log(
            1,
            0,
            &LogQuery {
                offset: 4,
                ..LogQuery::default()
            },
        )
        .await
        .expect("a part");
    assert_eq!(part.pieces, [LogPiece::Out(Bytes::from_static(b"hello"))]);
    assert_eq!(
        (
            part.attempt,
            part.offset,
            part.next_offset(),
            part.is_last()
        ),
        (2, 4, 9, true)
    );
    let both = LogQuery {
        stream: LogStream::Both,
        ..LogQuery::default()
    };
    let part = client.log(1, 0, &both).await.expect("a part");
    assert_eq!(part.pieces, [LogPiece::Err(Bytes::from_static(b"er"))]);
    assert!(!part.is_last());
    let error = client
        .log(1, 0, &LogQuery::default())
        .await
        .expect_err("no headers");
    assert!(error.to_string().contains("x-tessera-offset"), "{error}");
}
