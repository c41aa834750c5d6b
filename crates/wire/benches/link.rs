//! Measures the worker link on loopback: round trips of one small message, and log bytes.
//!
//! `cargo bench -p tessera-wire`

use std::sync::Arc;
use std::time::{Duration, Instant};
use tessera_model::msg::{FromWorker, ToWorker};
use tessera_model::{Attempt, HostFacts, ItemIndex, JobId};
use tessera_wire::convert::{
    AttachRefused, CHUNK_BYTES_MAX, Hello, LogAck, LogChunk, LogKey, LogStream,
};
use tessera_wire::link::{
    Attached, Handler, LogConnection, Terms, WorkerConnection, WorkerLink, serve_worker,
};
use tessera_wire::pki::{FarmCa, WorkerIdentity, new_host_id};
use tessera_wire::tls::{Accepted, TlsServer, WorkerPeer, WorkerTls};
use tokio::net::TcpListener;

const TIME: Duration = Duration::from_secs(3);

/// Answers every turn with an acknowledgement, and every chunk.
struct Echo;

impl Handler for Echo {
    async fn admit(&self, _: &WorkerPeer, _: &Hello) -> Result<(), AttachRefused> {
        Ok(())
    }

    async fn attached(&self, mut connection: WorkerConnection) {
        while connection.incoming.recv().await.is_some() {
            if connection
                .outgoing
                .send(vec![ToWorker::Ack(1)])
                .await
                .is_err()
            {
                return;
            }
        }
    }

    async fn logs(&self, mut connection: LogConnection) {
        while let Some(chunk) = connection.chunks.recv().await {
            let durable_to = chunk.offset + chunk.data.len() as u64;
            let ack = LogAck {
                key: chunk.key,
                durable_to,
                is_complete: false,
            };
            if connection.acks.send(ack).await.is_err() {
                return;
            }
        }
    }
}

/// Serves one worker and connects it.
async fn connect(dir: &std::path::Path) -> (WorkerLink, Attached) {
    let ca = FarmCa::create(dir).unwrap();
    let tls = TlsServer::new(&ca, ca.server_certificate(&[]).unwrap()).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let farm = ca.farm_id();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let Ok(Accepted::Worker(worker)) = tls.accept(stream).await else {
            panic!("no worker")
        };
        let terms = Terms {
            farm,
            heartbeat: Duration::from_secs(10),
            features: Vec::new(),
        };
        serve_worker(worker, terms, Arc::new(Echo)).await
    });
    let request = WorkerIdentity::generate_csr().unwrap();
    let name = "bench".parse().unwrap();
    let certificate = ca
        .sign_worker(request.csr_pem(), new_host_id().unwrap(), &name)
        .unwrap();
    let identity = request
        .complete(&certificate, &ca.certificate_pem(), ca.fingerprint())
        .unwrap();
    let stream = WorkerTls::new(&identity)
        .unwrap()
        .connect(&address)
        .await
        .unwrap();
    let link = WorkerLink::open(stream, farm).await.unwrap();
    let attached = link.attach(HostFacts::default(), Vec::new()).await.unwrap();
    (link, attached)
}

async fn round_trips(worker: &mut Attached) {
    let (begin, mut count, mut times) = (Instant::now(), 0u32, Vec::new());
    while begin.elapsed() < TIME {
        let one = Instant::now();
        worker
            .outgoing
            .send(vec![FromWorker::Heartbeat])
            .await
            .unwrap();
        worker.incoming.recv().await.unwrap();
        times.push(one.elapsed());
        count += 1;
    }
    times.sort();
    let rate = f64::from(count) / begin.elapsed().as_secs_f64();
    let (p50, p99) = (times[times.len() / 2], times[times.len() * 99 / 100]);
    println!("attach: {rate:.0} round trips/s, one at a time; p50 {p50:?}, p99 {p99:?}");
}

async fn messages(worker: Attached) {
    let begin = Instant::now();
    let (outgoing, mut incoming) = (worker.outgoing, worker.incoming);
    let sender = tokio::spawn(async move {
        let mut count = 0u32;
        while begin.elapsed() < TIME {
            outgoing.send(vec![FromWorker::Heartbeat]).await.unwrap();
            count += 1;
        }
        count
    });
    while incoming.recv().await.is_some() {}
    let rate = f64::from(sender.await.unwrap()) / begin.elapsed().as_secs_f64();
    println!("attach: {rate:.0} turns/s in a row, one message each");
}

async fn logs(link: &WorkerLink) {
    let push = link.push_logs().await.unwrap();
    let (chunks, mut acks) = (push.chunks, push.acks);
    let begin = Instant::now();
    let stream = LogStream::Out;
    let key = LogKey {
        job: JobId(1),
        item: ItemIndex(0),
        attempt: Attempt(1),
        stream,
    };
    let data = bytes::Bytes::from(vec![b'x'; CHUNK_BYTES_MAX]);
    tokio::spawn(async move {
        let mut offset = 0;
        while begin.elapsed() < TIME {
            let chunk = LogChunk {
                key,
                offset,
                data: data.clone(),
                final_size: None,
            };
            chunks.send(chunk).await.unwrap();
            offset += CHUNK_BYTES_MAX as u64;
        }
    });
    let mut durable = 0;
    while let Some(ack) = acks.recv().await {
        durable = ack.durable_to;
    }
    let mebibytes = u128::from(durable) / (1024 * 1024) * 1000 / begin.elapsed().as_millis();
    println!("logs: {mebibytes} MiB/s, one stream");
}

fn main() {
    let dir = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let (link, mut worker) = connect(dir.path()).await;
        round_trips(&mut worker).await;
        logs(&link).await;
        messages(worker).await;
    });
}
