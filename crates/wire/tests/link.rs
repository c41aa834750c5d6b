//! The streams between a worker and its supervisor, over real TLS on loopback.
#![cfg(unix)]

mod common;

use common::{DEADLINE, Farm, Hand, Received, attach, echo, facts, forge, soon, uri};
use std::sync::Arc;
use std::time::Duration;
use tessera_model::host::Refusal;
use tessera_model::msg::{FromWorker, LaunchKey, Report, ToWorker};
use tessera_model::{Attempt, InstanceNo, ItemIndex, JobId, LaunchNo};
use tessera_wire::convert::{
    AttachRefused, CHUNK_BYTES_MAX, ConvertError, LogAck, LogChunk, LogKey, LogStream,
    MESSAGE_BYTES_MAX,
};
use tessera_wire::link::{LOG_STREAMS_MAX, LinkError, WorkerLink};
use tessera_wire::pki::{WorkerIdentity, new_host_id};
use tessera_wire::tls::WorkerTls;
use tokio::io::AsyncReadExt as _;
use tokio::task::JoinHandle;

const KEY: LaunchKey = LaunchKey {
    job: JobId(1),
    instance: InstanceNo(0),
    launch: LaunchNo(1),
};

/// A served farm with one host.
async fn served() -> (Arc<Farm>, Received, JoinHandle<()>, WorkerIdentity) {
    let farm = Arc::new(Farm::new().await);
    let (hand, received) = Hand::new();
    let server = farm.serve(hand);
    let identity = farm.identity();
    (farm, received, server, identity)
}

fn report(seq: u64, text: &str) -> FromWorker {
    let refusal = Refusal {
        code: "test".into(),
        text: text.into(),
    };
    FromWorker::Report {
        seq,
        report: Report::Refused { key: KEY, refusal },
    }
}

fn seq_of(message: &FromWorker) -> u64 {
    let FromWorker::Report { seq, .. } = message else {
        panic!("{message:?}")
    };
    *seq
}

fn log_key(item: u32) -> LogKey {
    let (job, attempt) = (JobId(1), Attempt(1));
    LogKey {
        job,
        item: ItemIndex(item),
        attempt,
        stream: LogStream::Out,
    }
}

/// Proves that a link is over: nothing can be sent, nothing comes.
async fn is_over(link: &WorkerLink) {
    soon("the end of the link", link.closed()).await;
}

#[tokio::test]
async fn hello_and_welcome() {
    let (farm, mut received, _server, identity) = served().await;
    let link = farm.link(&identity).await;
    let features = vec!["gpu".to_owned()];
    let mut attached = soon("a welcome", link.attach(facts(), features.clone()))
        .await
        .unwrap();
    assert_eq!(attached.welcome.proto, 1);
    assert_eq!(attached.welcome.farm, farm.ca.farm_id());
    assert_eq!(attached.welcome.heartbeat, Duration::from_secs(10));
    assert_eq!(attached.welcome.features, ["test"]);
    assert!(
        attached.clock_offset_ms.abs() < 5_000,
        "{}",
        attached.clock_offset_ms
    );
    let mut connection = soon("the worker", received.attached.recv()).await.unwrap();
    assert_eq!(connection.host, identity.host_id());
    assert_eq!(connection.peer.host, identity.host_id());
    assert_eq!(connection.hello.facts, facts());
    assert_eq!(connection.hello.features, features);
    assert!(
        connection.clock_offset_ms.abs() < 5_000,
        "{}",
        connection.clock_offset_ms
    );
    echo(&mut attached, &mut connection).await;
    // Facts that change are said again.
    let changed = vec![FromWorker::Hello(facts())];
    attached.outgoing.send(changed.clone()).await.unwrap();
    assert_eq!(
        soon("new facts", connection.incoming.recv()).await,
        Some(changed)
    );
}

#[tokio::test]
async fn the_host_comes_from_the_certificate_only() {
    let (farm, mut received, _server, first) = served().await;
    let second = farm.identity();
    for identity in [&first, &second] {
        let link = farm.link(identity).await;
        // Both claim the same name.
        let (_attached, connection) = attach(&link, &mut received).await;
        assert_eq!(connection.host, identity.host_id());
    }
    assert_ne!(first.host_id(), second.host_id());
}

#[tokio::test]
async fn a_refusal_tells_the_reason() {
    let farm = Arc::new(Farm::new().await);
    let reason = AttachRefused {
        code: "unknown_host".into(),
        text: "this host was removed; join it again".into(),
    };
    let (hand, _received) = Hand::with(Some(reason.clone()));
    let _server = farm.serve(hand);
    let identity = farm.identity();
    let link = farm.link(&identity).await;
    let Err(LinkError::Refused(refused)) = soon("a refusal", link.attach(facts(), vec![])).await
    else {
        panic!("not refused")
    };
    assert_eq!(refused, reason);
    is_over(&link).await;
}

#[tokio::test]
async fn ten_thousand_messages_each_way_in_order() {
    const COUNT: u64 = 10_000;
    let (farm, mut received, _server, identity) = served().await;
    let link = farm.link(&identity).await;
    let (mut worker, mut supervisor) = attach(&link, &mut received).await;
    let (from, to) = (worker.outgoing, supervisor.outgoing);
    tokio::spawn(async move {
        for seq in 0..COUNT {
            from.send(vec![report(seq, "ended")]).await.unwrap();
        }
    });
    tokio::spawn(async move {
        // Turns of several sizes.
        let mut next = 0..COUNT;
        for size in (1..=97).cycle() {
            let turn: Vec<ToWorker> = next.by_ref().take(size).map(ToWorker::Ack).collect();
            if turn.is_empty() {
                return;
            }
            to.send(turn).await.unwrap();
        }
    });
    let upward = async {
        let mut expected = 0;
        while let Some(turn) = supervisor.incoming.recv().await {
            for message in turn {
                assert_eq!(seq_of(&message), expected);
                expected += 1;
            }
        }
        expected
    };
    let downward = async {
        let mut expected = 0;
        while let Some(turn) = worker.incoming.recv().await {
            for message in turn {
                assert_eq!(message, ToWorker::Ack(expected));
                expected += 1;
            }
        }
        expected
    };
    let both = soon("all messages", async { tokio::join!(upward, downward) }).await;
    assert_eq!(both, (COUNT, COUNT));
}

#[tokio::test]
async fn one_large_turn_travels_as_several_messages() {
    let (farm, mut received, _server, identity) = served().await;
    let link = farm.link(&identity).await;
    let (worker, mut supervisor) = attach(&link, &mut received).await;
    let text = "x".repeat(4_000);
    let turn: Vec<FromWorker> = (0..1_000).map(|seq| report(seq, &text)).collect();
    worker.outgoing.send(turn.clone()).await.unwrap();
    let mut all = Vec::new();
    let mut turns = 0;
    while all.len() < turn.len() {
        all.extend(soon("the turn", supervisor.incoming.recv()).await.unwrap());
        turns += 1;
    }
    assert_eq!(all, turn);
    assert!(turns > 10, "{turns}");
}

/// Sends until nothing more goes; answers how many were taken.
async fn fill<T>(
    what: &str,
    sender: &tokio::sync::mpsc::Sender<T>,
    make: impl Fn(u64) -> T,
) -> u64 {
    for count in 0..100_000 {
        let sent = tokio::time::timeout(Duration::from_secs(1), sender.send(make(count))).await;
        match sent {
            Ok(sent) => sent.unwrap_or_else(|_| panic!("{what}: closed after {count}")),
            Err(_elapsed) => return count,
        }
    }
    panic!("{what}: never stops taking");
}

#[tokio::test]
async fn a_slow_reader_holds_up_its_worker_and_nobody_else() {
    let (farm, mut received, _server, identity) = served().await;
    let (slow_link, other_link) = (
        farm.link(&identity).await,
        farm.link(&farm.identity()).await,
    );
    let (slow, mut slow_end) = attach(&slow_link, &mut received).await;
    let (mut other, mut other_end) = attach(&other_link, &mut received).await;
    let text = "x".repeat(4_000);
    let batch = |n: u64| {
        (n * 16..(n + 1) * 16)
            .map(|seq| report(seq, &text))
            .collect::<Vec<_>>()
    };
    let taken = fill("the slow worker", &slow.outgoing, batch).await;
    // 64 KiB a turn: channels of both ends, the window, what the sockets hold.
    assert!((64..1_000).contains(&taken), "{taken}");
    echo(&mut other, &mut other_end).await;
    drop(slow.outgoing);
    let mut expected = 0;
    while let Some(turn) = soon("the rest", slow_end.incoming.recv()).await {
        for message in turn {
            assert_eq!(seq_of(&message), expected);
            expected += 1;
        }
    }
    assert_eq!(expected, taken * 16);
}

#[tokio::test]
async fn a_worker_that_does_not_read_fills_only_its_channel() {
    let (farm, mut received, _server, identity) = served().await;
    let link = farm.link(&identity).await;
    let (mut worker, supervisor) = attach(&link, &mut received).await;
    let close = ToWorker::Close {
        key: KEY,
        grace: Duration::from_secs(30),
    };
    let turn = |_| vec![close.clone(); 2_000];
    let taken = fill("the supervisor", &supervisor.outgoing, turn).await;
    assert!((64..2_000).contains(&taken), "{taken}");
    drop(supervisor.outgoing);
    let mut count = 0;
    while let Some(turn) = soon("the rest", worker.incoming.recv()).await {
        count += turn.len() as u64;
    }
    assert_eq!(count, taken * 2_000);
}

#[tokio::test]
async fn full_logs_do_not_stop_control() {
    let (farm, mut received, _server, identity) = served().await;
    let link = farm.link(&identity).await;
    let (mut worker, mut supervisor) = attach(&link, &mut received).await;
    let mut pushes = Vec::new();
    let mut ends = Vec::new();
    for item in 0..u32::try_from(LOG_STREAMS_MAX).unwrap() {
        let push = soon("a log stream", link.push_logs()).await.unwrap();
        ends.push(soon("its other end", received.logs.recv()).await.unwrap());
        let data = bytes::Bytes::from(vec![b'x'; CHUNK_BYTES_MAX]);
        let chunk = |n: u64| LogChunk {
            key: log_key(item),
            offset: n * CHUNK_BYTES_MAX as u64,
            data: data.clone(),
            final_size: None,
        };
        // Nobody takes the chunks.
        let taken = fill("a log stream", &push.chunks, chunk).await;
        assert!((8..100).contains(&taken), "{taken}");
        pushes.push((push, taken));
        echo(&mut worker, &mut supervisor).await;
    }
    let more = soon("an answer", link.push_logs()).await;
    assert!(
        matches!(more, Err(LinkError::Ended { .. })),
        "one stream too many was taken"
    );
    // Once somebody takes them, all arrive, in order, and are acknowledged.
    for ((mut push, taken), mut end) in pushes.into_iter().zip(ends) {
        drop(push.chunks);
        let mut offset = 0;
        while let Some(chunk) = soon("a chunk", end.chunks.recv()).await {
            assert_eq!(chunk.offset, offset);
            offset += chunk.data.len() as u64;
        }
        assert_eq!(offset, taken * CHUNK_BYTES_MAX as u64);
        let key = log_key(0);
        let ack = LogAck {
            key,
            durable_to: offset,
            is_complete: false,
        };
        end.acks.send(ack).await.unwrap();
        drop(end.acks);
        assert_eq!(soon("an ack", push.acks.recv()).await, Some(ack));
        assert_eq!(soon("the end", push.acks.recv()).await, None);
        assert!(push.end.error().is_none(), "{:?}", push.end.error());
    }
}

#[tokio::test]
async fn large_chunks_are_cut() {
    let (farm, mut received, _server, identity) = served().await;
    let link = farm.link(&identity).await;
    let (_worker, _supervisor) = attach(&link, &mut received).await;
    let push = soon("a log stream", link.push_logs()).await.unwrap();
    let mut end = soon("its other end", received.logs.recv()).await.unwrap();
    assert_eq!(end.host, identity.host_id());
    let data: Vec<u8> = (0..=255).cycle().take(2 * CHUNK_BYTES_MAX + 10).collect();
    let size = 100 + data.len() as u64;
    let chunk = LogChunk {
        key: log_key(3),
        offset: 100,
        data: data.clone().into(),
        final_size: Some(size),
    };
    push.chunks.send(chunk).await.unwrap();
    let mut read = Vec::new();
    for is_last in [false, false, true] {
        let piece = soon("a piece", end.chunks.recv()).await.unwrap();
        assert_eq!(piece.key, log_key(3));
        assert_eq!(piece.offset, 100 + read.len() as u64);
        assert_eq!(piece.final_size, is_last.then_some(size));
        read.extend_from_slice(&piece.data);
    }
    assert_eq!(read, data);
}

#[tokio::test]
async fn logs_need_control_and_control_is_one() {
    let (farm, mut received, _server, identity) = served().await;
    let link = farm.link(&identity).await;
    let early = soon("an answer", link.push_logs()).await;
    let Err(LinkError::Ended { message, .. }) = early else {
        panic!("logs before hello")
    };
    assert!(message.contains("attach first"), "{message}");
    let (mut worker, mut supervisor) = attach(&link, &mut received).await;
    let second = soon("an answer", link.attach(facts(), vec![])).await;
    assert!(
        matches!(second, Err(LinkError::Ended { .. })),
        "attached twice"
    );
    echo(&mut worker, &mut supervisor).await;
}

#[tokio::test]
async fn either_side_can_end_it() {
    let (farm, mut received, _server, identity) = served().await;
    // The supervisor lets go.
    let link = farm.link(&identity).await;
    let (mut worker, supervisor) = attach(&link, &mut received).await;
    drop(supervisor);
    assert_eq!(soon("the end", worker.incoming.recv()).await, None);
    soon("no more room", worker.outgoing.closed()).await;
    is_over(&link).await;
    // The worker lets go.
    let link = farm.link(&identity).await;
    let (worker, mut supervisor) = attach(&link, &mut received).await;
    drop((worker, link));
    assert_eq!(soon("the end", supervisor.incoming.recv()).await, None);
    soon("no more room", supervisor.outgoing.closed()).await;
}

#[tokio::test]
async fn who_is_sent_away_is_told_why() {
    let (farm, mut received, _server, identity) = served().await;
    let link = farm.link(&identity).await;
    let (mut worker, supervisor) = attach(&link, &mut received).await;
    supervisor.parting.send_away("the disk is full");
    let end = soon("the end", worker.incoming.recv()).await;
    assert!(end.is_none());
    let error = worker.end.error();
    assert!(
        matches!(error, Some(LinkError::Ended { message, .. }) if message == "the disk is full"),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_stopped_server_ends_everything() {
    let (farm, mut received, server, identity) = served().await;
    let link = farm.link(&identity).await;
    let (mut worker, mut supervisor) = attach(&link, &mut received).await;
    let push = soon("a log stream", link.push_logs()).await.unwrap();
    server.abort();
    assert_eq!(soon("the end", worker.incoming.recv()).await, None);
    assert_eq!(soon("the end", supervisor.incoming.recv()).await, None);
    soon("no more logs", push.chunks.closed()).await;
    is_over(&link).await;
}

/// A worker that keeps to nothing: plain gRPC over a proven connection.
mod raw {
    use super::common::{Farm, RawClient};
    use hyper_util::rt::{TokioExecutor, TokioIo};
    use std::task::{Context, Poll};
    use tessera_wire::proto::worker_link_client::WorkerLinkClient;
    use tessera_wire::tls::ALPN_WORKER;

    type Body = tonic::body::Body;

    #[derive(Clone)]
    pub(crate) struct Raw(hyper::client::conn::http2::SendRequest<Body>);

    impl tower::Service<http::Request<Body>> for Raw {
        type Response = http::Response<hyper::body::Incoming>;
        type Error = hyper::Error;
        type Future =
            std::pin::Pin<Box<dyn Future<Output = Result<Self::Response, hyper::Error>> + Send>>;
        fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), hyper::Error>> {
            self.0.poll_ready(cx)
        }
        fn call(&mut self, request: http::Request<Body>) -> Self::Future {
            Box::pin(self.0.send_request(request))
        }
    }

    /// Connects with a certificate that the test made.
    pub(crate) async fn connect(
        farm: &Farm,
        made: &(rcgen::Certificate, rcgen::KeyPair),
    ) -> WorkerLinkClient<Raw> {
        let client = RawClient::of(farm).alpn(ALPN_WORKER).certificate(made);
        let stream = client.connect(farm.address).await.unwrap();
        let (sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
                .await
                .unwrap();
        tokio::spawn(connection);
        WorkerLinkClient::with_origin(Raw(sender), "https://farm.tessera".parse().unwrap())
    }
}

/// Connects a raw worker and sends these messages as they are.
async fn raw_attach(
    farm: &Farm,
    messages: Vec<tessera_wire::proto::FromWorkerBatch>,
) -> Result<tonic::Streaming<tessera_wire::proto::ToWorkerBatch>, tonic::Status> {
    let host = new_host_id().unwrap();
    let made = forge(&farm.issuer(), |params| {
        params.subject_alt_names = vec![uri(&format!("tessera:host:{host}"))];
    });
    let mut client = raw::connect(farm, &made).await;
    let (sender, receiver) = tokio::sync::mpsc::channel(16);
    for message in messages {
        sender.send(message).await.unwrap();
    }
    // The stream stays open, as a worker's does.
    tokio::spawn(async move {
        tokio::time::sleep(DEADLINE).await;
        drop(sender);
    });
    let stream = tokio_stream::wrappers::ReceiverStream::new(receiver);
    let answer = soon("an answer", client.attach(stream)).await;
    answer.map(tonic::Response::into_inner)
}

use tessera_wire::proto;

fn raw_hello(proto_min: u32, proto_max: u32) -> proto::FromWorkerBatch {
    let identity = Some(proto::Identity {
        kind: Some(proto::identity::Kind::User(proto::Empty {})),
    });
    let facts = Some(proto::HostFacts {
        identity,
        ..Default::default()
    });
    let hello = proto::Hello {
        proto_min,
        proto_max,
        facts,
        ..Default::default()
    };
    let kind = Some(proto::from_worker::Kind::Hello(Box::new(hello)));
    proto::FromWorkerBatch {
        messages: vec![proto::FromWorker { kind }],
    }
}

#[tokio::test]
async fn versions_without_a_common_one_are_refused_with_the_way_out() {
    let (farm, _received, _server, _) = served().await;
    for (min, max, who) in [
        (2, 3, "upgrade the supervisor"),
        (0, 0, "upgrade the worker"),
    ] {
        let mut answers = raw_attach(&farm, vec![raw_hello(min, max)]).await.unwrap();
        let first = soon("a refusal", answers.message()).await.unwrap().unwrap();
        let Some(proto::to_worker::Kind::Refused(refused)) = &first.messages[0].kind else {
            panic!("{first:?}")
        };
        assert_eq!(refused.code, "version");
        assert!(refused.text.contains(who), "{}", refused.text);
    }
    // A newer worker that still speaks this version is welcome.
    let mut answers = raw_attach(&farm, vec![raw_hello(1, 9)]).await.unwrap();
    let first = soon("a welcome", answers.message()).await.unwrap().unwrap();
    let Some(proto::to_worker::Kind::Welcome(welcome)) = &first.messages[0].kind else {
        panic!("{first:?}")
    };
    assert_eq!(welcome.proto, 1);
}

#[tokio::test]
async fn without_hello_there_is_no_control() {
    let (farm, mut received, _server, _) = served().await;
    let kind = Some(proto::from_worker::Kind::Heartbeat(proto::Empty {}));
    let heartbeat = proto::FromWorkerBatch {
        messages: vec![proto::FromWorker { kind }],
    };
    for first in [heartbeat, proto::FromWorkerBatch::default()] {
        let status = raw_attach(&farm, vec![first]).await.unwrap_err();
        assert_eq!(status.code(), tonic::Code::InvalidArgument, "{status}");
    }
    assert!(received.attached.try_recv().is_err());
}

#[tokio::test]
async fn who_says_nothing_is_let_go() {
    let (farm, mut received, _server, identity) = served().await;
    // A proven connection without HTTP/2, one without control, and control without a hello.
    let address = farm.address.to_string();
    let mut mute = WorkerTls::new(&identity)
        .unwrap()
        .connect(&address)
        .await
        .unwrap();
    let idle = farm.link(&identity).await;
    let silent = raw_attach(&farm, vec![]);
    let mut sink = Vec::new();
    let (_end_or_reset, (), answer) = tokio::join!(
        soon("the end of the mute one", mute.read_to_end(&mut sink)),
        is_over(&idle),
        silent,
    );
    let status = answer.unwrap_err();
    assert_eq!(status.code(), tonic::Code::DeadlineExceeded, "{status}");
    assert!(received.attached.try_recv().is_err());
}

#[tokio::test]
async fn an_oversize_message_ends_the_stream() {
    let (farm, mut received, _server, _) = served().await;
    let text = "x".repeat(MESSAGE_BYTES_MAX);
    let refused = proto::LaunchRefused {
        text,
        ..Default::default()
    };
    let kind = Some(proto::report::Kind::Refused(refused));
    let kind = Some(proto::from_worker::Kind::Report(Box::new(proto::Report {
        seq: 1,
        kind,
    })));
    let large = proto::FromWorkerBatch {
        messages: vec![proto::FromWorker { kind }],
    };
    let mut answers = raw_attach(&farm, vec![raw_hello(1, 1), large])
        .await
        .unwrap();
    let mut connection = soon("the worker", received.attached.recv()).await.unwrap();
    assert_eq!(soon("the end", connection.incoming.recv()).await, None);
    assert!(matches!(
        connection.end.error(),
        Some(LinkError::Ended { .. })
    ));
    soon("a welcome", answers.message()).await.unwrap().unwrap();
    assert!(soon("the reason", answers.message()).await.is_err());
    soon("no more room", connection.outgoing.closed()).await;
}

#[tokio::test]
async fn a_malformed_message_ends_the_stream_and_names_the_field() {
    let (farm, mut received, _server, _) = served().await;
    let kind = Some(proto::from_worker::Kind::Progress(
        proto::Progress::default(),
    ));
    let bad = proto::FromWorkerBatch {
        messages: vec![proto::FromWorker { kind }],
    };
    let mut answers = raw_attach(&farm, vec![raw_hello(1, 1), bad]).await.unwrap();
    let mut connection = soon("the worker", received.attached.recv()).await.unwrap();
    assert_eq!(soon("the end", connection.incoming.recv()).await, None);
    let error = connection.end.error();
    assert!(
        matches!(
            error,
            Some(LinkError::Message(ConvertError::Missing {
                field: "progress.key"
            }))
        ),
        "{error:?}"
    );
    soon("a welcome", answers.message()).await.unwrap().unwrap();
    let status = soon("the reason", answers.message()).await.unwrap_err();
    assert!(status.message().contains("progress.key"), "{status}");
}

#[tokio::test]
async fn what_is_unknown_is_ignored_and_counted() {
    let (farm, mut received, _server, _) = served().await;
    let unknown = proto::FromWorkerBatch {
        messages: vec![proto::FromWorker { kind: None }; 3],
    };
    let kind = Some(proto::from_worker::Kind::Heartbeat(proto::Empty {}));
    let heartbeat = proto::FromWorkerBatch {
        messages: vec![proto::FromWorker { kind }],
    };
    let _answers = raw_attach(&farm, vec![raw_hello(1, 1), unknown, heartbeat])
        .await
        .unwrap();
    let mut connection = soon("the worker", received.attached.recv()).await.unwrap();
    let heard = soon("a heartbeat", connection.incoming.recv()).await;
    assert_eq!(heard, Some(vec![FromWorker::Heartbeat]));
    assert_eq!(connection.end.ignored(), 3);
}
