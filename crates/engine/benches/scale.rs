//! How the engine scales: memory of queued frames, submission of large jobs, cost of one event in a full farm.
//!
//! `cargo bench -p tessera-engine --bench scale`; figures go to `docs/performance.md`.
#![expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]

use std::time::{Duration, Instant};
use tessera_engine::Now;
use tessera_engine::supervisor::{Config, Effect, Engine, Input, Output, Submission};
use tessera_model::msg::{AttemptEnd, FromWorker, LaunchKey, Report, Run, ToWorker};
use tessera_model::state::End;
use tessera_model::{
    Agenda, FrameRun, HostFacts, HostId, Identity, JobKind, JobSpec, Order, Principal, Proof,
    Reservation, Split, Timestamp,
};

const NOW: Now = Now {
    wall: Timestamp(1_800_000_000_000),
    elapsed: Duration::from_secs(1),
};

/// MiB that each instance reserves, of what a host has; one in sixteen hosts has four times as much.
const MEMORY: (u64, u64) = (12_000, 65_536);

fn submission(frames: u32, priority: u32, reserves: bool) -> Input {
    let run = FrameRun {
        start: 1,
        step: 1,
        count: frames,
    };
    let agenda = Agenda::new(vec![run], Split::Chunk(1), Order::Ascend, 4).expect("a good agenda");
    let spec = JobSpec {
        name: "shot_010_comp_v003".into(),
        kind: JobKind::CmdRange(agenda),
        command: [
            "render",
            "-f",
            "QB_FRAME_NUMBER",
            "/shows/abc/shot_010/comp.nk",
        ]
        .map(str::to_owned)
        .into(),
        env: [("SHOW".to_owned(), "abc".to_owned())].into(),
        cwd: Some("/shows/abc".into()),
        umask: 0o22,
        flags: Default::default(),
        priority,
        cpus: 4,
        max_cpus: None,
        reservation: Reservation {
            amounts: reserves
                .then(|| ("host.memory".to_owned(), MEMORY.0))
                .into_iter()
                .collect(),
            ..Reservation::default()
        },
        hosts: Default::default(),
        omithosts: Default::default(),
        cluster: Default::default(),
        restrictions: None,
        requirements: None,
        host_order: None,
        groups: Default::default(),
        omitgroups: Default::default(),
        retrywork: 1,
        retrywork_delay: Duration::ZERO,
        retrysubjob: 0,
        retry_oom: 3,
        limits: Default::default(),
        timelimit: None,
        agendatimelimit: None,
        silence_limit: None,
        grace: Duration::from_secs(30),
        output_limit: 1 << 28,
        progress: None,
        after: None,
        label: None,
        pgrp: None,
        mail: None,
        webhooks: Default::default(),
        max_failures: 0,
        notes: String::new(),
    };
    let name = "mia".parse().expect("a good name");
    let by = Principal {
        name,
        proof: Proof::Peer { uid: 1000 },
        is_admin: false,
    };
    Input::Submit(Box::new(Submission {
        by,
        spec,
        owner: None,
        key: None,
        is_blocked: false,
    }))
}

fn resident_bytes() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    statm
        .split(' ')
        .nth(1)
        .and_then(|pages| pages.parse::<u64>().ok())
        .unwrap_or(0)
        * 4096
}

fn connect(engine: &mut Engine, number: u32, slots: u32, memory: u64) -> Vec<Order4> {
    let mut id = [0; 16];
    id[..4].copy_from_slice(&number.to_be_bytes());
    let facts = HostFacts {
        name: format!("rnd{number}"),
        slots,
        resources: [
            ("host.cpus".to_owned(), 64),
            ("host.memory".to_owned(), memory),
            ("host.swap".to_owned(), 0),
        ]
        .into(),
        identity: Identity::Proxy("tessera-job".into()),
        ..HostFacts::default()
    };
    let (host, session) = (HostId(id), 1);
    engine.handle(
        NOW,
        Input::Connected {
            host,
            session,
            facts: Box::new(facts),
        },
    );
    let what = Box::new(FromWorker::Inventory(Vec::new()));
    orders(&engine.handle(
        NOW,
        Input::Said {
            host,
            session,
            what,
        },
    ))
}

type Order4 = (HostId, LaunchKey, Run);

fn orders(out: &Output) -> Vec<Order4> {
    let order = |effect: &Effect| match effect {
        Effect::Start { host, order, .. } => Some((*host, order.key, order.run)),
        Effect::Send {
            host,
            message: ToWorker::Run { key, run },
            ..
        } => Some((*host, *key, *run)),
        _ => None,
    };
    out.effects.iter().filter_map(order).collect()
}

fn end(engine: &mut Engine, (host, key, run): Order4, seq: u64) -> Vec<Order4> {
    let end = AttemptEnd {
        end: End::Exit(0),
        started: NOW.wall,
        elapsed: Duration::from_secs(60),
        cpu: Duration::from_secs(50),
        peak_memory: 1 << 30,
        printed: [0; 2],
        kept: [0; 2],
        leftovers: 0,
    };
    let report = Report::ItemEnded { key, run, end };
    let what = Box::new(FromWorker::Report { seq, report });
    orders(&engine.handle(
        NOW,
        Input::Said {
            host,
            session: 1,
            what,
        },
    ))
}

/// A job becomes ready that no idle host is large enough for: does it matter how many there are?
fn idle_hosts() {
    for hosts in [100u32, 10_000] {
        let mut engine = Engine::new(Config::default());
        for host in 0..hosts {
            connect(&mut engine, host, 4, MEMORY.0 - 1);
        }
        let (start, asked) = (Instant::now(), engine.asked());
        const JOBS: u32 = 2_000;
        for _ in 0..JOBS {
            engine.handle(NOW, submission(10, 5, true));
        }
        println!(
            "{hosts:>6} idle hosts, none large enough: {:>6.1} us/job, {:.2} looked at",
            start.elapsed().as_secs_f64() * 1e6 / f64::from(JOBS),
            (engine.asked() - asked) as f64 / f64::from(JOBS),
        );
    }
}

fn main() {
    println!("jobs of 1,000 frames; engine alone, no store, no network");
    for (jobs, hosts, reserves) in [
        (10u32, 100u32, false),
        (1_000, 1_000, false),
        (10_000, 1_000, false),
        (10_000, 10_000, false),
        (10, 100, true),
        (1_000, 1_000, true),
        (10_000, 1_000, true),
        (10_000, 10_000, true),
    ] {
        let before = resident_bytes();
        let mut engine = Engine::new(Config::default());
        let start = Instant::now();
        for job in 0..jobs {
            engine.handle(NOW, submission(1000, 1 + job % 100, reserves));
        }
        let submitted = start.elapsed();
        let bytes = resident_bytes().saturating_sub(before);
        let start = Instant::now();
        let mut running: Vec<Order4> = Vec::new();
        for host in 0..hosts {
            let memory = if host % 16 == 0 {
                4 * MEMORY.1
            } else {
                MEMORY.1
            };
            running.extend(connect(&mut engine, host, 4, memory));
        }
        let joined = start.elapsed();
        let (start, asked) = (Instant::now(), engine.asked());
        let mut done = 0u64;
        while done < 200_000 && !running.is_empty() {
            let mut next = Vec::with_capacity(running.len());
            for order in running.drain(..) {
                done += 1;
                next.extend(end(&mut engine, order, done));
            }
            running = next;
        }
        println!(
            "{:>9} frames {hosts:>6} hosts{}: submit {:>6.1} us/job, {:>5.1} MB a million frames, join {:>6.1} us/host, {:>9.0} frame ends/s ({done}), {:.3} looked at for each",
            u64::from(jobs) * 1000,
            if reserves { ", reserving" } else { "" },
            submitted.as_secs_f64() * 1e6 / f64::from(jobs),
            bytes as f64 / 1e6 / (f64::from(jobs) / 1000.0),
            joined.as_secs_f64() * 1e6 / f64::from(hosts),
            done as f64 / start.elapsed().as_secs_f64(),
            (engine.asked() - asked) as f64 / done as f64,
        );
    }
    idle_hosts();
    let mut engine = Engine::new(Config::default());
    for frames in [10_000, 1_000_000] {
        let start = Instant::now();
        engine.handle(NOW, submission(frames, 5, false));
        println!(
            "submit one job of {frames} frames: {:.2} ms",
            start.elapsed().as_secs_f64() * 1e3
        );
    }
}
