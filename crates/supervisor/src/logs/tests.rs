use super::follow::{Ending, Follower};
use super::read::Wanted;
use super::*;
use bytes::Bytes;
use std::time::Duration;
use tessera_api::frames::LogPiece;
use tessera_ticket::{IndexRecord, Stream};

fn store() -> (tempfile::TempDir, LogStore) {
    let dir = tempfile::tempdir().expect("a folder");
    let logs = LogStore::new(dir.path().join("logs"));
    (dir, logs)
}

fn run() -> RunKey {
    RunKey {
        job: JobId(12_345),
        item: ItemIndex(7),
        attempt: Attempt(2),
    }
}

fn chunk(stream: LogStream, offset: u64, data: &[u8]) -> Arrival {
    let data = Bytes::copy_from_slice(data);
    Arrival {
        chunk: LogChunk {
            key: run().stream(stream),
            offset,
            data,
            final_size: None,
        },
        limit: u64::MAX,
    }
}

fn put(logs: &LogStore, arrival: Arrival) -> (u64, bool) {
    let (acks, error) = logs.append(vec![arrival]);
    assert!(error.is_none(), "{error:?}");
    (acks[0].durable_to, acks[0].is_complete)
}

fn text(pieces: &[LogPiece]) -> String {
    let words = pieces.iter().map(|piece| match piece {
        LogPiece::Out(bytes) => format!("o:{}", String::from_utf8_lossy(bytes)),
        LogPiece::Err(bytes) => format!("e:{}", String::from_utf8_lossy(bytes)),
        LogPiece::Idle => "idle".into(),
        LogPiece::End => "end".into(),
    });
    words.collect::<Vec<_>>().join(" ")
}

#[test]
fn a_chunk_sent_twice_changes_nothing_and_a_gap_is_not_taken() {
    let (_dir, logs) = store();
    assert_eq!(put(&logs, chunk(LogStream::Out, 0, b"hello ")), (6, false));
    assert_eq!(put(&logs, chunk(LogStream::Out, 0, b"hello ")), (6, false));
    assert_eq!(
        put(&logs, chunk(LogStream::Out, 3, b"XXXworld")),
        (11, false),
        "only what extends"
    );
    assert_eq!(
        put(&logs, chunk(LogStream::Out, 50, b"later")),
        (11, false),
        "a gap"
    );
    let file = std::fs::read(logs.path(run().stream(LogStream::Out))).expect("there");
    assert_eq!(file, b"hello world");
    let again = LogStore::new(logs.root.clone());
    assert_eq!(
        put(&again, chunk(LogStream::Out, 11, b"!")),
        (12, false),
        "another process goes on"
    );
}

#[test]
fn bytes_that_could_not_be_made_durable_are_written_again() {
    let (_dir, logs) = store();
    assert_eq!(put(&logs, chunk(LogStream::Out, 0, b"kept ")).0, 5);
    let key = run().stream(LogStream::Out);
    let stream = logs.files.open(key, || logs.path(key)).expect("open");
    stream.refuse_sync();
    let (acks, error) = logs.append(vec![chunk(LogStream::Out, 5, b"lost ")]);
    assert!(acks.is_empty() && error.is_some(), "not acknowledged");
    assert_eq!(logs.files.count(), 0, "the handle is dropped");
    assert!(stream.extend(5, b"late", u64::MAX).is_err(), "for good");
    let file = || std::fs::read(logs.path(key)).expect("there");
    assert_eq!(file(), b"kept ", "what may be lost is not there");
    // Its worker may know less than is durable, never more.
    assert_eq!(put(&logs, chunk(LogStream::Out, 10, b"more")).0, 5, "a gap");
    assert_eq!(put(&logs, chunk(LogStream::Out, 5, b"sent ")).0, 10);
    assert_eq!(file(), b"kept sent ");
}

#[test]
fn the_last_chunk_completes_a_stream_and_an_empty_one_has_no_file() {
    let (_dir, logs) = store();
    let mut last = chunk(LogStream::Out, 0, b"bye");
    last.chunk.final_size = Some(3);
    assert_eq!(put(&logs, last), (3, true));
    let mut empty = chunk(LogStream::Err, 0, b"");
    empty.chunk.final_size = Some(0);
    assert_eq!(put(&logs, empty), (0, true));
    assert!(!logs.path(run().stream(LogStream::Err)).exists());
    assert_eq!(logs.files.count(), 0, "a complete stream is closed");
}

#[test]
fn what_is_over_the_limit_is_thrown_away_and_acknowledged() {
    let (_dir, logs) = store();
    let limited = |offset, data: &[u8]| Arrival {
        limit: 4,
        ..chunk(LogStream::Out, offset, data)
    };
    assert_eq!(put(&logs, limited(0, b"abcdef")), (6, false));
    assert_eq!(put(&logs, limited(6, b"ghi")), (9, false));
    assert_eq!(logs.sizes(run()), (4, 0));
}

#[test]
fn open_files_are_bounded() {
    let (_dir, logs) = store();
    for item in 0..2 * u32::try_from(files::FILES_MAX).expect("small") {
        let mut arrival = chunk(LogStream::Out, 0, b"x");
        arrival.chunk.key.item = ItemIndex(item);
        assert_eq!(put(&logs, arrival).0, 1);
        assert!(logs.files.count() <= files::FILES_MAX);
    }
}

#[test]
fn both_streams_are_merged_by_arrival() {
    let (_dir, logs) = store();
    put(&logs, chunk(LogStream::Out, 0, b"1-33"));
    put(&logs, chunk(LogStream::Err, 0, b"22"));
    let record = |stream, len| {
        IndexRecord {
            stream,
            len,
            at_ms: 0,
        }
        .encode()
    };
    let index = [record(Stream::Out, 2), record(Stream::Err, 2)].concat();
    put(&logs, chunk(LogStream::Index, 0, &index));
    let read = |offset, is_over| {
        let mut at = logs.position(run(), Wanted::Both, offset);
        text(
            &logs
                .read(run(), Wanted::Both, &mut at, 100, is_over)
                .expect("read"),
        )
    };
    assert_eq!(
        read(0, false),
        "o:1- e:22 o:33",
        "only stdout has more: it must be next"
    );
    assert_eq!(read(3, false), "e:2 o:33");
    put(&logs, chunk(LogStream::Err, 2, b"44"));
    assert_eq!(
        read(0, false),
        "o:1- e:22",
        "which comes first is not known yet"
    );
    assert_eq!(read(0, true), "o:1- e:22 o:33 e:44");
    put(&logs, chunk(LogStream::Index, 32, &record(Stream::Err, 2)));
    assert_eq!(read(0, false), "o:1- e:22 e:44 o:33");
}

#[test]
fn a_job_is_measured_and_removed() {
    let (_dir, logs) = store();
    put(&logs, chunk(LogStream::Out, 0, b"12345"));
    assert_eq!(logs.jobs(), BTreeMap::from([(JobId(12_345), 5)]));
    assert_eq!(logs.remove_job(JobId(12_345)).expect("removed"), 5);
    assert_eq!(logs.remove_job(JobId(12_345)).expect("nothing to do"), 0);
    assert_eq!(logs.jobs(), BTreeMap::new());
}

#[tokio::test]
async fn a_follower_gets_what_comes_and_the_end() {
    let (_dir, logs) = store();
    let logs = Arc::new(logs);
    put(&logs, chunk(LogStream::Out, 0, b"one"));
    let (over, ending) = watch::channel(Ending::Runs);
    let (to, mut pieces) = tokio::sync::mpsc::channel(1);
    let follower = Follower::begin(Arc::clone(&logs), run(), Wanted::Out, 1);
    let task = tokio::spawn(follower.run(to, move || {
        let end = *ending.borrow();
        async move { end }
    }));
    let next = async |pieces: &mut tokio::sync::mpsc::Receiver<LogPiece>| {
        tokio::time::timeout(Duration::from_secs(10), pieces.recv())
            .await
            .expect("in time")
    };
    assert_eq!(
        next(&mut pieces).await,
        Some(LogPiece::Out(Bytes::from_static(b"ne")))
    );
    put(&logs, chunk(LogStream::Out, 3, b"two"));
    assert_eq!(
        next(&mut pieces).await,
        Some(LogPiece::Out(Bytes::from_static(b"two")))
    );
    over.send(Ending::Over { out: 9, err: 0 }).expect("heard");
    put(&logs, chunk(LogStream::Out, 6, b"end"));
    assert_eq!(
        next(&mut pieces).await,
        Some(LogPiece::Out(Bytes::from_static(b"end")))
    );
    assert_eq!(next(&mut pieces).await, Some(LogPiece::End));
    task.await.expect("no panic").expect("read");
}
