//! Output, from the worker to whoever reads it.

use crate::world::{DEADLINE, Farm, Start, Worker, ended, eventually, frames};
use bytes::Bytes;
use tessera_api::frames::LogPiece;
use tessera_api::query::{LogQuery, LogStream as Wanted};
use tessera_api::types::ActionRequest;
use tessera_api::{ClientError, ErrorCode};
use tessera_ticket::{IndexRecord, Stream};
use tessera_wire::convert::{LogAck, LogChunk, LogKey, LogStream};
use tessera_wire::link::LogPush;

pub(crate) fn chunk(start: &Start, stream: LogStream, offset: u64, data: &[u8]) -> LogChunk {
    let key = LogKey {
        job: start.key.job,
        item: start.run.item,
        attempt: start.run.attempt,
        stream,
    };
    LogChunk {
        key,
        offset,
        data: Bytes::copy_from_slice(data),
        final_size: None,
    }
}

async fn ack(push: &mut LogPush) -> LogAck {
    tokio::time::timeout(DEADLINE, push.acks.recv())
        .await
        .expect("in time")
        .expect("an acknowledgement")
}

pub(crate) async fn put(push: &mut LogPush, chunk: LogChunk) -> u64 {
    push.chunks.send(chunk).await.expect("taken");
    ack(push).await.durable_to
}

async fn running(farm: &Farm) -> (Worker, Start) {
    let mut worker = farm.worker("rnd001", 1).await;
    farm.submit(frames("1")).await;
    let start = worker.started().await;
    (worker, start)
}

fn bytes(pieces: &[LogPiece]) -> Vec<u8> {
    let parts = pieces.iter().map(|piece| match piece {
        LogPiece::Out(bytes) | LogPiece::Err(bytes) => bytes.to_vec(),
        LogPiece::Idle | LogPiece::End => Vec::new(),
    });
    parts.collect::<Vec<_>>().concat()
}

#[tokio::test]
async fn output_is_kept_once_and_read_by_stream_and_by_arrival() {
    let farm = Farm::start().await;
    let (mut worker, start) = running(&farm).await;
    let id = start.key.job.0;
    let mut push = worker.logs().await;
    assert_eq!(
        put(&mut push, chunk(&start, LogStream::Out, 0, b"one\n")).await,
        4
    );
    assert_eq!(
        put(&mut push, chunk(&start, LogStream::Out, 0, b"one\n")).await,
        4,
        "twice is once"
    );
    assert_eq!(
        put(&mut push, chunk(&start, LogStream::Out, 9, b"gap")).await,
        4,
        "where we are"
    );
    assert_eq!(
        put(&mut push, chunk(&start, LogStream::Err, 0, b"two\xff\n")).await,
        5
    );
    assert_eq!(
        put(&mut push, chunk(&start, LogStream::Out, 4, b"three\n")).await,
        10
    );
    let record = |stream, len| {
        IndexRecord {
            stream,
            len,
            at_ms: 0,
        }
        .encode()
    };
    let index = [
        record(Stream::Out, 4),
        record(Stream::Err, 5),
        record(Stream::Out, 6),
    ]
    .concat();
    assert_eq!(
        put(&mut push, chunk(&start, LogStream::Index, 0, &index)).await,
        48
    );
    let read = async |stream, offset| {
        let which = LogQuery {
            stream,
            offset,
            ..LogQuery::default()
        };
        farm.client.log(id, 0, &which).await.expect("output")
    };
    let out = read(Wanted::Out, 0).await;
    assert_eq!(
        (
            bytes(&out.pieces).as_slice(),
            out.size,
            out.attempt,
            out.is_complete
        ),
        (&b"one\nthree\n"[..], 10, 1, false)
    );
    assert_eq!(bytes(&read(Wanted::Err, 3).await.pieces), b"\xff\n");
    assert_eq!(
        bytes(&read(Wanted::Both, 2).await.pieces),
        b"e\ntwo\xff\nthree\n"
    );
    let seq = worker.report(ended(start.key, start.run, 0, [10, 5])).await;
    worker.acknowledged(seq).await;
    assert!(read(Wanted::Both, 0).await.is_complete);
    let farm = farm.restart().await;
    let kept = farm
        .client
        .log(id, 0, &LogQuery::default())
        .await
        .expect("output");
    assert_eq!(
        (bytes(&kept.pieces).as_slice(), kept.is_complete),
        (&b"one\nthree\n"[..], true)
    );
    farm.running.stop().await.expect("stops");
}

#[tokio::test]
async fn a_follower_gets_output_while_the_frame_runs_and_ends_with_it() {
    let farm = Farm::start().await;
    let (mut worker, start) = running(&farm).await;
    let mut push = worker.logs().await;
    let which = LogQuery {
        stream: Wanted::Both,
        ..LogQuery::default()
    };
    let mut follower = farm
        .client
        .follow_log(start.key.job.0, 0, which)
        .await
        .expect("a follower");
    let mut next = async || {
        tokio::time::timeout(DEADLINE, follower.next())
            .await
            .expect("in time")
            .expect("output")
    };
    for (n, line) in ["first\n", "second\n"].into_iter().enumerate() {
        let offset = if n == 0 { 0 } else { 6 };
        put(
            &mut push,
            chunk(&start, LogStream::Out, offset, line.as_bytes()),
        )
        .await;
        assert_eq!(
            next().await,
            Some(LogPiece::Out(Bytes::copy_from_slice(line.as_bytes())))
        );
    }
    let seq = worker.report(ended(start.key, start.run, 0, [17, 0])).await;
    worker.acknowledged(seq).await;
    put(&mut push, chunk(&start, LogStream::Out, 13, b"late")).await;
    assert_eq!(
        next().await,
        Some(LogPiece::Out(Bytes::from_static(b"late"))),
        "what came after the end is waited for"
    );
    assert_eq!(next().await, None);
    farm.running.stop().await.expect("stops");
}

#[tokio::test]
async fn a_host_writes_only_what_it_runs() {
    let farm = Farm::start().await;
    let (worker, start) = running(&farm).await;
    let other = farm.worker("rnd002", 0).await;
    let mut push = other.logs().await;
    push.chunks
        .send(chunk(&start, LogStream::Out, 0, b"forged"))
        .await
        .expect("taken");
    let mut gone = chunk(&start, LogStream::Out, 0, b"old");
    gone.key.job = tessera_model::JobId(77);
    gone.final_size = Some(3);
    push.chunks.send(gone).await.expect("taken");
    let answer = ack(&mut push).await;
    assert_eq!(
        (answer.key.job.0, answer.durable_to, answer.is_complete),
        (77, 3, true),
        "a job that is gone wants nothing"
    );
    let mut push = worker.logs().await;
    assert_eq!(
        put(&mut push, chunk(&start, LogStream::Out, 0, b"true")).await,
        4
    );
    let kept = farm
        .client
        .log(start.key.job.0, 0, &LogQuery::default())
        .await
        .expect("output");
    assert_eq!(bytes(&kept.pieces), b"true");
    farm.running.stop().await.expect("stops");
}

#[tokio::test]
async fn output_goes_with_its_job_and_what_never_ran_has_none() {
    let farm = Farm::start().await;
    let (mut worker, start) = running(&farm).await;
    let id = start.key.job.0;
    let waiting = farm.submit(frames("1")).await;
    let error = farm
        .client
        .log(waiting, 0, &LogQuery::default())
        .await
        .expect_err("refused");
    assert!(
        matches!(&error, ClientError::Api(error) if error.code == ErrorCode::WrongState),
        "{error}"
    );
    let mut push = worker.logs().await;
    put(&mut push, chunk(&start, LogStream::Out, 0, b"x")).await;
    let folder = farm.dir.path().join(format!("farm/supervisor/logs/0/{id}"));
    assert!(folder.join("0.1.out").exists());
    worker.report(ended(start.key, start.run, 0, [1, 0])).await;
    worker.gone(start.key).await;
    let remove = ActionRequest {
        action: "remove".into(),
        targets: vec![id.to_string()],
    };
    let done = farm
        .client
        .act(&remove)
        .await
        .expect("an answer")
        .results
        .remove(0);
    assert_eq!(done.error, None);
    eventually("removed output", || async {
        (!folder.exists()).then_some(())
    })
    .await;
    farm.running.stop().await.expect("stops");
}
