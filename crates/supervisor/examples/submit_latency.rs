//! Measures how long it takes from a submission over the Unix socket to the order that its worker gets over TLS, on an idle
//! farm with a durable store, and from a frame's report to the next order. Prints figures, asserts nothing about them.
//!
//! `cargo run -p tessera-supervisor --example submit_latency [ROUNDS]`

use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tessera_api::Client;
use tessera_api::client::Fingerprint;
use tessera_api::types::{JoinRequest, JoinTokenRequest, SubmitRequest};
use tessera_model::msg::{AttemptEnd, FromWorker, GoneCause, Report, ToWorker};
use tessera_model::state::End;
use tessera_model::{HostFacts, Timestamp};
use tessera_supervisor::{Options, start};
use tessera_wire::link::{Attached, WorkerLink};
use tessera_wire::pki::{JoinString, WorkerIdentity};
use tessera_wire::tls::WorkerTls;

type Fault = Box<dyn std::error::Error>;

#[tokio::main]
async fn main() -> Result<(), Fault> {
    let rounds: usize = std::env::args()
        .nth(1)
        .and_then(|text| text.parse().ok())
        .unwrap_or(500);
    let dir = tempfile::tempdir()?;
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    let running = start(Options {
        listen: Some(listen),
        ..Options::new(dir.path().join("farm"))
    })
    .await?;
    let client = Client::unix(running.socket());
    let (_link, mut worker) = attach(&client, &running.address().to_string()).await?;
    let mut seq = 0;
    let (mut to_answer, mut to_order) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        let request = SubmitRequest {
            command: vec!["/bin/true".into()],
            ..SubmitRequest::default()
        };
        let began = Instant::now();
        let answer = client.submit(&request, false);
        let order = next(&mut worker);
        let (answered, ordered) = tokio::join!(
            async {
                answer.await?;
                Ok::<_, Fault>(began.elapsed())
            },
            async {
                let order = order.await;
                (began.elapsed(), order)
            },
        );
        to_answer.push(answered?);
        to_order.push(ordered.0);
        let ToWorker::Start { key, run, .. } = ordered.1 else {
            return Err("no start".into());
        };
        let reports = [
            Report::ItemEnded {
                key,
                run,
                end: end(),
            },
            Report::Gone {
                key,
                cause: GoneCause::Closed,
            },
        ];
        for report in reports {
            seq += 1;
            worker
                .outgoing
                .send(vec![FromWorker::Report { seq, report }])
                .await?;
        }
        wait_for_ack(&mut worker, seq).await;
    }
    print("submit → answer", &mut to_answer);
    print("submit → order at the worker", &mut to_order);
    let turnarounds = frames(&client, &mut worker, &mut seq, rounds).await?;
    print("frame's report → next order", &mut turnarounds.clone());
    let total: Duration = turnarounds.iter().sum();
    println!(
        "{:<32} {:>8.0} frames/s, one slot",
        "",
        rounds as f64 / total.as_secs_f64()
    );
    running.stop().await?;
    Ok(())
}

/// Runs a job of many frames; answers each turnaround.
async fn frames(
    client: &Client,
    worker: &mut Attached,
    seq: &mut u64,
    rounds: usize,
) -> Result<Vec<Duration>, Fault> {
    let request = SubmitRequest {
        command: vec!["/bin/true".into()],
        range: Some(format!("1-{}", rounds + 1)),
        ..SubmitRequest::default()
    };
    client.submit(&request, false).await?;
    let ToWorker::Start { key, mut run, .. } = next(worker).await else {
        return Err("no start".into());
    };
    let mut times = Vec::new();
    for _ in 0..rounds {
        *seq += 1;
        let began = Instant::now();
        let report = Report::ItemEnded {
            key,
            run,
            end: end(),
        };
        worker
            .outgoing
            .send(vec![FromWorker::Report { seq: *seq, report }])
            .await?;
        match next(worker).await {
            ToWorker::Run { run: following, .. } => run = following,
            other => return Err(format!("{other:?}").into()),
        }
        times.push(began.elapsed());
    }
    Ok(times)
}

fn end() -> AttemptEnd {
    AttemptEnd {
        end: End::Exit(0),
        started: Timestamp(1),
        elapsed: Duration::from_millis(1),
        cpu: Duration::from_millis(1),
        peak_memory: 0,
        printed: [0, 0],
        kept: [0, 0],
        leftovers: 0,
    }
}

async fn attach(client: &Client, address: &str) -> Result<(WorkerLink, Attached), Fault> {
    let token = client
        .create_join_token(&JoinTokenRequest::default())
        .await?;
    let join: JoinString = token.join_string.parse()?;
    let ca: Fingerprint = client.info().await?.ca_sha256.parse()?;
    let request = WorkerIdentity::generate_csr()?;
    let body = JoinRequest {
        token: join.token.reveal(),
        csr_pem: request.csr_pem().to_owned(),
        name: "bench".to_owned(),
    };
    let reply = Client::tls(address, ca, None).join(&body).await?;
    let identity = request.complete(&reply.certificate_pem, &reply.ca_pem, join.ca)?;
    let tls = WorkerTls::new(&identity)?;
    let link = WorkerLink::open(tls.connect(address).await?, tls.farm_id()).await?;
    let facts = HostFacts {
        slots: 1,
        ..HostFacts::default()
    };
    let attached = link.attach(facts, Vec::new()).await?;
    attached
        .outgoing
        .send(vec![FromWorker::Inventory(Vec::new())])
        .await?;
    Ok((link, attached))
}

/// Waits for an order, passing over acknowledgements and closings.
async fn next(worker: &mut Attached) -> ToWorker {
    loop {
        let turn = worker.incoming.recv().await.unwrap_or_default();
        for message in turn {
            if matches!(message, ToWorker::Start { .. } | ToWorker::Run { .. }) {
                return message;
            }
        }
    }
}

async fn wait_for_ack(worker: &mut Attached, seq: u64) {
    while let Some(turn) = worker.incoming.recv().await {
        if turn
            .iter()
            .any(|message| matches!(message, ToWorker::Ack(upto) if *upto >= seq))
        {
            return;
        }
    }
}

fn print(what: &str, times: &mut [Duration]) {
    times.sort_unstable();
    let at = |percent: usize| times[(times.len() - 1) * percent / 100].as_secs_f64() * 1_000.0;
    let (p50, p99, max) = (at(50), at(99), at(100));
    println!("{what:<32} p50 {p50:>7.3} ms   p99 {p99:>7.3} ms   max {max:>7.3} ms");
}
