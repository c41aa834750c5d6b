//! A store that refuses commits.

use crate::world::{DEADLINE, Farm, eventually, frames, options};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use tessera_api::Client;
use tessera_api::client::Streamed;
use tessera_api::query::{EventsQuery, JobsQuery};
use tessera_api::{ClientError, ErrorCode};
use tessera_model::msg::{FromWorker, LaunchInventory};
use tessera_store::memory::{Fault, MemoryDisk, MemoryStore};
use tessera_store::{Batch, Committed, Epoch, Loaded, Reader, Store, StoreError};
use tessera_supervisor::start_with;

#[tokio::test]
async fn a_full_disk_stops_nothing_and_loses_nothing_that_was_acknowledged() {
    let disk = MemoryDisk::new();
    let farm = Farm::start_on(&disk).await;
    let mut worker = farm.worker("rnd001", 1).await;
    let id = farm.submit(frames("1-2")).await;
    let start = worker.started().await;
    let seq = worker.is_up(start.key).await;
    worker.acknowledged(seq).await;
    for _ in 0..3 {
        disk.fail_next(Fault::NoSpace);
    }
    let error = farm
        .client
        .submit(&frames("1"), false)
        .await
        .expect_err("no space");
    let ClientError::Api(error) = error else {
        panic!("{error}")
    };
    assert_eq!(error.code, ErrorCode::Unavailable);
    assert!(
        error
            .hint
            .as_deref()
            .is_some_and(|hint| hint.contains("free space")),
        "{error:?}"
    );
    assert!(error.message.contains("no space"), "{error:?}");
    assert!(farm.client.health().await.is_err(), "it says so");
    let jobs = farm
        .client
        .jobs(&JobsQuery::default())
        .await
        .expect("reading goes on")
        .jobs;
    assert_eq!(jobs.len(), 1, "what was refused does not exist");
    assert_eq!(worker.try_next().await, None, "workers connect anew");
    let client = farm.client.clone();
    eventually("well again", || async { client.health().await.ok() }).await;
    assert_eq!(disk.faults_left(), 0);
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
    worker.acknowledged(seq).await;
    assert_eq!(
        farm.client.job(id).await.expect("there").job.items.complete,
        1
    );
    farm.submit(frames("1")).await;
    farm.running.stop().await.expect("stops");
}

#[tokio::test]
async fn an_answer_that_got_lost_is_found_again_by_its_key() {
    let disk = MemoryDisk::new();
    let farm = Farm::start_on(&disk).await;
    let request = tessera_api::types::SubmitRequest {
        key: Some("once".into()),
        ..frames("1")
    };
    let mut stream = farm
        .client
        .events(EventsQuery::default())
        .await
        .expect("a stream");
    disk.fail_next(Fault::AfterDurable);
    let lost = farm.client.submit(&request, false).await;
    assert!(lost.is_err(), "{lost:?}");
    let client = farm.client.clone();
    let again = eventually("an answer", || async {
        client.submit(&request, false).await.ok()
    })
    .await;
    assert_eq!((again.existed, again.job), (true, Some(1)));
    farm.submit(frames("1")).await;
    for id in [1, 2] {
        let next = tokio::time::timeout(DEADLINE, stream.next())
            .await
            .expect("in time");
        let Streamed::Event(event) = next.expect("a stream") else {
            panic!("resync")
        };
        assert_eq!(event.job, Some(id), "no event is missing");
    }
    assert_eq!(
        farm.client
            .jobs(&JobsQuery::default())
            .await
            .expect("a list")
            .jobs
            .len(),
        2
    );
    farm.running.stop().await.expect("stops");
}

#[tokio::test]
async fn a_report_is_acknowledged_only_when_it_is_durable_and_counts_once() {
    for fault in [Fault::BeforeDurable, Fault::AfterDurable] {
        let disk = MemoryDisk::new();
        let farm = Farm::start_on(&disk).await;
        let mut worker = farm.worker("rnd001", 1).await;
        let id = farm.submit(frames("1-2")).await;
        let start = worker.started().await;
        let seq = worker.is_up(start.key).await;
        worker.acknowledged(seq).await;
        disk.fail_next(fault);
        worker.ended(start.key, start.run, 0).await;
        assert_eq!(worker.try_next().await, None, "{fault:?}: no word of it");
        let client = farm.client.clone();
        eventually("well again", || async { client.health().await.ok() }).await;
        worker.attach(farm.running.address()).await.expect("again");
        let has = LaunchInventory {
            key: start.key,
            current: None,
            ahead: Vec::new(),
            is_closing: false,
            is_suspended: false,
        };
        let seq = worker.ended(start.key, start.run, 0).await;
        worker.say(FromWorker::Inventory(vec![has])).await;
        worker.acknowledged(seq).await;
        let attempts = farm
            .client
            .attempts(id, 0)
            .await
            .expect("attempts")
            .attempts;
        assert_eq!(attempts.len(), 1, "{fault:?}: {attempts:?}");
        farm.running.stop().await.expect("stops");
    }
}

#[tokio::test]
async fn a_worker_that_is_sent_away_is_not_let_in_before_it_is_said_what_is_wrong() {
    let (disk, reads) = (MemoryDisk::new(), Arc::new(AtomicUsize::new(0)));
    let farm = Farm::start_with_store(Box::new(Moody {
        // Long enough to come again meanwhile.
        takes: Duration::from_secs(2),
        reads: Arc::clone(&reads),
        ..Moody::on(&disk)
    }))
    .await;
    let mut worker = farm.worker("rnd001", 1).await;
    // Who has run something has a connection that nothing of is still to be made.
    farm.submit(frames("1")).await;
    let start = worker.started().await;
    worker.is_up(start.key).await;
    worker.ended(start.key, start.run, 0).await;
    worker.gone(start.key).await;
    let read_before = reads.load(Ordering::SeqCst);
    disk.fail_next(Fault::NoSpace);
    let client = farm.client.clone();
    let refused = tokio::spawn(async move { client.submit(&frames("1"), false).await });
    while worker.try_next().await.is_some() {}
    let read = reads.load(Ordering::SeqCst);
    assert!(read > read_before, "sent away before the store was read");
    let client = farm.client.clone();
    eventually("well again", || async { client.health().await.ok() }).await;
    refused.await.expect("asked").expect_err("no space");
    worker
        .connect(farm.running.address(), Vec::new())
        .await
        .expect("again");
    farm.submit(frames("1")).await;
    worker.started().await;
    farm.running.stop().await.expect("stops");
}

/// A store that at times can't be read, or takes its time for it.
struct Moody {
    inner: MemoryStore,
    is_blind: Arc<AtomicBool>,
    takes: Duration,
    /// How often it was read to the end.
    reads: Arc<AtomicUsize>,
}

impl Moody {
    fn on(disk: &MemoryDisk) -> Self {
        Self {
            inner: disk.open(),
            is_blind: Arc::default(),
            takes: Duration::ZERO,
            reads: Arc::default(),
        }
    }
}

impl Store for Moody {
    fn load(&mut self) -> Result<Loaded, StoreError> {
        std::thread::sleep(self.takes);
        if self.is_blind.load(Ordering::SeqCst) {
            let (file, source) = ("store".into(), "it is dark".into());
            return Err(StoreError::Backend { file, source });
        }
        let loaded = self.inner.load();
        self.reads.fetch_add(1, Ordering::SeqCst);
        loaded
    }

    fn commit(&mut self, batch: &Batch) -> Result<Committed, StoreError> {
        self.inner.commit(batch)
    }

    fn reader(&self) -> Result<Box<dyn Reader>, StoreError> {
        self.inner.reader()
    }

    fn lease(&mut self, holder: &str) -> Result<Epoch, StoreError> {
        self.inner.lease(holder)
    }

    fn tidy(&mut self) -> Result<bool, StoreError> {
        self.inner.tidy()
    }
}

#[tokio::test]
async fn what_was_not_committed_is_shown_to_nobody() {
    let (disk, is_blind) = (MemoryDisk::new(), Arc::new(AtomicBool::new(false)));
    let dir = tempfile::tempdir().expect("a folder");
    let store = Moody {
        is_blind: Arc::clone(&is_blind),
        ..Moody::on(&disk)
    };
    let running = start_with(options(dir.path()), |_| Ok(Box::new(store)))
        .await
        .expect("starts");
    let client = Client::unix(running.socket());
    client.submit(&frames("1"), false).await.expect("submitted");
    is_blind.store(true, Ordering::SeqCst);
    disk.fail_next(Fault::NoSpace);
    client
        .submit(&frames("1"), false)
        .await
        .expect_err("no space");
    let error = client
        .jobs(&JobsQuery::default())
        .await
        .expect_err("nothing to show");
    assert!(error.to_string().contains("can't be read"), "{error}");
    is_blind.store(false, Ordering::SeqCst);
    let jobs = eventually("a list", || async {
        client.jobs(&JobsQuery::default()).await.ok()
    })
    .await;
    assert_eq!(jobs.jobs.len(), 1);
    running.stop().await.expect("stops");
}
