//! What is done to the farm, in order, and what is measured of it.

use super::crowd::Crowd;
use super::host::Shared;
use super::supervisor::Supervisor;
use super::{
    Filled, Idle, Killed, PHASE_TIME_LIMIT, Ran, Submitted, WireError, WireOptions, WireReport,
};
use crate::{JOB_FRAMES_MAX, Quantiles};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tessera_api::Client;
use tessera_api::types::{ActionRequest, SubmitRequest};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::JoinSet;

/// Frames, and instances, of a job that fills the farm.
const FILL_FRAMES: u64 = 1_000;
/// Frames of a job that waits, or that ends at once.
const JOB_FRAMES: u64 = 10_000;
/// Urgent frames, one after the other, at most.
const URGENT: u32 = 100;
/// Clients that submit at a time.
const CLIENTS: usize = 16;
/// How often is looked whether something has come to its end.
const LOOK_EVERY: Duration = Duration::from_millis(2);
/// How often the supervisor is asked for it.
const ASK_EVERY: Duration = Duration::from_millis(20);
/// The highest priority, and that of the rest.
const PRIORITIES: [i64; 2] = [1, 9_999];

/// A farm on which everything is done once.
struct Farm<'a> {
    options: &'a WireOptions,
    supervisor: Supervisor,
    client: Client,
    crowd: Crowd,
}

/// Runs all phases.
pub(super) async fn run(options: &WireOptions) -> Result<WireReport, WireError> {
    let tell = options.tell;
    tell("a supervisor is started");
    let supervisor = Supervisor::start(options).await?;
    let mut memory = vec![supervisor.memory("with no hosts")];
    let (shared, urgent_starts) = Shared::new();
    tell(&format!("{} hosts join and connect", options.hosts));
    let crowd = Crowd::gather(options, &supervisor, shared).await?;
    memory.push(supervisor.memory("with all hosts connected"));
    let farm = Farm {
        options,
        client: supervisor.client(),
        supervisor,
        crowd,
    };
    tell("it is watched when idle");
    let idle = farm.watch().await;
    tell(&format!("{} slots are filled", farm.slots()));
    let (filled, jobs) = farm.fill().await?;
    memory.push(farm.supervisor.memory("with all slots taken and the queue"));
    tell("urgent frames ask for slots");
    let urgent_ms = farm.hurry(urgent_starts).await?;
    tell("what runs and waits is killed");
    let killed = farm.kill(&jobs).await?;
    tell(&format!(
        "{} frames end as soon as they begin",
        options.frames
    ));
    let ran = farm.run().await?;
    tell(&format!("{} jobs of one frame are submitted", options.jobs));
    let submitted = farm.submit_many().await?;
    memory.push(farm.supervisor.memory("in the end"));
    let lost = farm.crowd.shared.lost.times();
    if lost > 0 {
        let what = format!("{lost} of {} hosts lost their connections", options.hosts);
        return Err(WireError::Wrong(what));
    }
    let report = WireReport {
        version: env!("CARGO_PKG_VERSION"),
        is_debug_build: cfg!(debug_assertions),
        hosts: options.hosts,
        slots: options.slots,
        queued: options.queued,
        join_seconds: farm.crowd.joined.as_secs_f64(),
        connect_seconds: farm.crowd.connected.as_secs_f64(),
        memory: memory.into_iter().flatten().collect(),
        idle,
        filled,
        urgent_ms,
        killed,
        ran,
        submitted,
    };
    drop(farm.crowd);
    farm.supervisor.stop().await?;
    Ok(report)
}

impl Farm<'_> {
    fn shared(&self) -> &Shared {
        &self.crowd.shared
    }

    fn slots(&self) -> u64 {
        u64::from(self.options.hosts) * u64::from(self.options.slots)
    }

    /// Watches the farm do nothing.
    async fn watch(&self) -> Option<Idle> {
        let before = self.supervisor.processor_seconds()?;
        let began = Instant::now();
        tokio::time::sleep(self.options.idle).await;
        let seconds = began.elapsed().as_secs_f64();
        let spent = self.supervisor.processor_seconds()? - before;
        Some(Idle {
            seconds,
            core: spent / seconds.max(f64::MIN_POSITIVE),
        })
    }

    /// Takes all slots, and lets others wait behind. Answers the jobs, too.
    async fn fill(&self) -> Result<(Filled, Vec<u64>), WireError> {
        let (slots, shared) = (self.slots(), self.shared());
        let began = Instant::now();
        let mut jobs = Vec::new();
        for frames in parts(slots, FILL_FRAMES) {
            jobs.push(submit(&self.client, frames, frames, PRIORITIES[1]).await?);
        }
        self.until("slots are still free", || shared.begun.times() >= slots)
            .await?;
        let filled = Filled {
            slots,
            first_ms: millis(shared.first_after(&shared.begun, began)),
            all_ms: millis(shared.last_after(&shared.begun, began)),
        };
        for frames in parts(u64::from(self.options.queued), JOB_FRAMES) {
            jobs.push(submit(&self.client, frames, frames.min(100), PRIORITIES[1]).await?);
        }
        Ok((filled, jobs))
    }

    /// Has the most urgent frame wait for a slot that becomes free, again and again, each time on another host.
    async fn hurry(&self, mut starts: UnboundedReceiver<Instant>) -> Result<Quantiles, WireError> {
        let (shared, hosts) = (self.shared(), self.options.hosts);
        // As many as wait: their places are taken, so that the farm stays full.
        let times = URGENT.min(hosts).min(self.options.queued);
        let mut each = Vec::with_capacity(times as usize);
        for number in 0..times {
            let job = submit(&self.client, 1, 1, PRIORITIES[0]).await?;
            shared.urgent.store(job, Ordering::SeqCst);
            let (launched, freed) = (shared.launched.times(), Instant::now());
            let place = u64::from(number) * u64::from(hosts) / u64::from(times);
            self.crowd.end_one(usize::try_from(place).unwrap_or(0));
            let start = tokio::time::timeout(PHASE_TIME_LIMIT, starts.recv()).await;
            let Ok(Some(start)) = start else {
                return Err(late("an urgent frame waits"));
            };
            each.push(millis(start.saturating_duration_since(freed)));
            self.until("a slot is still free", || {
                shared.launched.times() >= launched + 2
            })
            .await?;
        }
        shared.urgent.store(0, Ordering::SeqCst);
        Ok(Quantiles::of(each))
    }

    /// Kills what runs and what waits.
    async fn kill(&self, jobs: &[u64]) -> Result<Killed, WireError> {
        let shared = self.shared();
        let running = shared.launched.times() - shared.gone.times();
        let (told, began) = (shared.told.times(), Instant::now());
        let mut answered = Duration::ZERO;
        for some in jobs.chunks(tessera_api::TARGETS_MAX) {
            let request = ActionRequest {
                action: "kill".into(),
                targets: some.iter().map(ToString::to_string).collect(),
            };
            let done = self.client.act(&request).await?;
            if let Some(error) = done.results.iter().find_map(|it| it.error.as_ref()) {
                return Err(WireError::Wrong(format!("a job is not killed: {error:?}")));
            }
            answered = began.elapsed();
        }
        self.until("hosts were not told what is killed", || {
            shared.told.times() >= told + running
        })
        .await?;
        let told_ms = millis(shared.last_after(&shared.told, began));
        self.until_empty().await?;
        Ok(Killed {
            running,
            told_ms,
            answered_ms: millis(answered),
        })
    }

    /// Runs frames that end at once.
    async fn run(&self) -> Result<Ran, WireError> {
        let shared = self.shared();
        shared.is_quick.store(true, Ordering::SeqCst);
        let frames = u64::from(self.options.frames);
        let (ended, launched) = (shared.ended.times(), shared.launched.times());
        let spent = self.supervisor.processor_seconds();
        let began = Instant::now();
        let each: Vec<u64> =
            parts(frames, u64::from(JOB_FRAMES_MAX).min(frames.div_ceil(10))).collect();
        let count = u64::try_from(each.len()).unwrap_or(1).max(1);
        let cpus = self.slots().div_ceil(count);
        let mut jobs = Vec::new();
        for frames in each {
            jobs.push(submit(&self.client, frames, cpus.min(frames), PRIORITIES[1]).await?);
        }
        self.until("frames have not ended", || {
            shared.ended.times() >= ended + frames
        })
        .await?;
        for job in jobs {
            self.until_complete(job).await?;
        }
        let seconds = began.elapsed().as_secs_f64();
        let now = self.supervisor.processor_seconds();
        Ok(Ran {
            frames,
            launches: shared.launched.times() - launched,
            seconds,
            supervisor_seconds: now.zip(spent).map(|(now, before)| now - before),
        })
    }

    /// Has many clients submit jobs of one frame.
    async fn submit_many(&self) -> Result<Option<Submitted>, WireError> {
        let jobs = self.options.jobs;
        if jobs == 0 {
            return Ok(None);
        }
        let began = Instant::now();
        let mut set = JoinSet::new();
        for part in 0..CLIENTS {
            let client = self.supervisor.client();
            let mine = (0..jobs as usize).skip(part).step_by(CLIENTS).count();
            set.spawn(async move {
                let mut each = Vec::with_capacity(mine);
                for _ in 0..mine {
                    let asked = Instant::now();
                    submit(&client, 1, 1, PRIORITIES[1]).await?;
                    each.push(millis(asked.elapsed()));
                }
                Ok::<_, WireError>(each)
            });
        }
        let mut each = Vec::with_capacity(jobs as usize);
        while let Some(one) = set.join_next().await {
            let one = one.map_err(|error| WireError::Wrong(format!("a client failed: {error}")))?;
            each.extend(one?);
        }
        let seconds = began.elapsed().as_secs_f64();
        self.until_empty().await?;
        Ok(Some(Submitted {
            jobs,
            clients: CLIENTS,
            seconds,
            each_ms: Quantiles::of(each),
        }))
    }

    /// Waits until nothing runs or waits any more.
    async fn until_empty(&self) -> Result<(), WireError> {
        let (end, shared) = (Instant::now() + PHASE_TIME_LIMIT, self.shared());
        loop {
            let usage = self.client.usage().await?;
            let is_over = usage.jobs == usage.ended_jobs;
            if is_over && shared.launched.times() == shared.gone.times() {
                return Ok(());
            }
            if Instant::now() > end {
                return Err(late("the farm is not empty"));
            }
            tokio::time::sleep(ASK_EVERY).await;
        }
    }

    async fn until_complete(&self, job: u64) -> Result<(), WireError> {
        let end = Instant::now() + PHASE_TIME_LIMIT;
        loop {
            let status = self.client.job(job).await?.job.status;
            match status.as_str() {
                "complete" => return Ok(()),
                "failed" | "killed" => {
                    return Err(WireError::Wrong(format!("job {job} is {status}")));
                }
                _ if Instant::now() > end => return Err(late("a job is not complete")),
                _ => tokio::time::sleep(ASK_EVERY).await,
            }
        }
    }

    /// Waits until something is so.
    async fn until(&self, else_what: &str, is_so: impl Fn() -> bool) -> Result<(), WireError> {
        let end = Instant::now() + PHASE_TIME_LIMIT;
        while !is_so() {
            let lost = self.shared().lost.times();
            if lost > 0 {
                return Err(WireError::Wrong(format!(
                    "{lost} hosts lost their connections"
                )));
            }
            if Instant::now() > end {
                return Err(late(else_what));
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(())
    }
}

async fn submit(client: &Client, frames: u64, cpus: u64, priority: i64) -> Result<u64, WireError> {
    let request = SubmitRequest {
        command: vec!["render".into(), "QB_FRAME_NUMBER".into()],
        range: Some(format!("1-{frames}")),
        cpus: Some(i64::try_from(cpus).unwrap_or(i64::MAX)),
        priority: Some(priority),
        ..SubmitRequest::default()
    };
    let job = client.submit(&request, false).await?.job;
    job.ok_or_else(|| WireError::Wrong("a job that was taken has no number".to_owned()))
}

/// Splits a number into parts of so many, the last one smaller.
fn parts(all: u64, each: u64) -> impl Iterator<Item = u64> {
    let each = each.max(1);
    (0..all.div_ceil(each)).map(move |part| each.min(all - part * each))
}

fn late(what: &str) -> WireError {
    WireError::Late {
        what: what.to_owned(),
    }
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}
