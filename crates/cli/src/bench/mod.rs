//! `tessera bench local`: what a frame costs, end to end, beside `xargs`.
//!
//! A farm of its own with everything on: durable transactions, launcher, another user, output kept, audit, reports. The
//! two sides take turns, so that what else the machine does meets both; the median of the rounds counts.

mod figures;
mod floor;
mod memory;

use crate::Exit;
use crate::args::BenchLocalArgs;
use crate::demo::account::{self, FrameAccount, Wanted};
use crate::error::CliError;
use crate::local::farm::{Farm, FarmOptions};
use crate::local::{is_root, programs};
use crate::run::{Context, Watch, items};
use figures::{Latency, Report, Round};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;
use tempfile::TempDir;
use tessera_api::Client;
use tessera_api::frames::LogPiece;
use tessera_api::query::{ItemsQuery, LogQuery};
use tessera_api::types::{ItemRow, JobSummary, SubmitRequest};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, sleep};

/// Where the farm's folder is made: a disk that keeps what is written, unlike what is often at /tmp.
const FOLDER: &str = "/var/tmp";
/// The program of a frame.
const PROGRAM: &str = "/bin/true";
/// Pause between looks at a job of many frames.
const LOOK_PAUSE: Duration = Duration::from_millis(10);
/// Share of the frames that the second figure has, when it is not said.
const SINGLE_SHARE: u32 = 10;
/// Most instances of a job.
const SINGLE_MAX: u32 = tessera_model::limits::INSTANCES_MAX;
/// Frames that the pauses between frames are taken from.
const PAUSE_SAMPLE: usize = 5_000;

/// Measures.
pub(crate) fn run(args: &BenchLocalArgs, context: &Context) -> Result<Exit, CliError> {
    context.block_on(run_until_signal(args, context))
}

async fn run_until_signal(args: &BenchLocalArgs, context: &Context) -> Result<Exit, CliError> {
    let listen = |kind| {
        signal(kind).map_err(|error| CliError::failed(format!("can't listen for Ctrl-C: {error}")))
    };
    let (mut interrupt, mut terminate) = (
        listen(SignalKind::interrupt())?,
        listen(SignalKind::terminate())?,
    );
    let mut farm = None;
    let mut folder = None;
    let result = tokio::select! {
        result = measure(args, &mut folder, &mut farm, context) => result.map(Some),
        _ = interrupt.recv() => Ok(None),
        _ = terminate.recv() => Ok(None),
    };
    if let Some(mut farm) = farm.take() {
        farm.stop().await;
    }
    drop(folder);
    let Some(report) = result? else {
        return Ok(Exit::Interrupted);
    };
    context.show(&report, figures::print)?;
    if let Some(path) = &args.output {
        let text = serde_json::to_string_pretty(&report).unwrap_or_default() + "\n";
        std::fs::write(path, text).map_err(|error| {
            CliError::failed(format!("can't write {}: {error}", path.display()))
        })?;
    }
    Ok(Exit::Done)
}

async fn measure(
    args: &BenchLocalArgs,
    folder: &mut Option<TempDir>,
    farm: &mut Option<Farm>,
    context: &Context,
) -> Result<Report, CliError> {
    let slots = args.slots.unwrap_or_else(cores);
    let wanted = wanted(args)?;
    let state = folder.insert(make_folder()?).path().to_owned();
    let farm = farm.insert(start(args, slots, &state, &wanted).await?);
    let client = farm.until_served().await?;
    let host = farm.until_up().await?;
    let account = FrameAccount::find(&wanted, programs::own()?)?;
    let bench = Bench {
        client: &client,
        account: &account,
        slots,
    };
    let uid = bench.observed_uid().await?;
    let mut report = Report::new(
        args.frames,
        slots,
        host.mode,
        account.name().to_owned(),
        uid,
    );
    for round in 1..=args.rounds {
        let floor = floor::xargs(args.frames, slots).await?;
        let (ours, job) = bench.frames(args.frames).await?;
        let round = Round::new(round, args.frames, floor, ours);
        context.say(&figures::print_round(&context.errors, &round));
        report.rounds.push(round);
        report.launches = launches(&client, job).await?;
        report.items_per_launch = figures::share(args.frames, report.launches);
        report.exit_to_next_start_ms = bench.pauses(job).await?;
    }
    let single = args
        .single
        .unwrap_or(args.frames / SINGLE_SHARE)
        .clamp(1, SINGLE_MAX);
    let (took, job) = bench.singles(single).await?;
    report.one_item_per_launch = figures::Single {
        frames: single,
        frames_per_second: f64::from(single) / took.as_secs_f64(),
        launches: launches(&client, job).await?,
    };
    let (to_start, to_done) = bench.probes(args.probes).await?;
    report.submit_to_start_ms = to_start;
    report.submit_to_done_ms = to_done;
    report.memory = memory::of_farm(&farm.pids());
    report.settle();
    Ok(report)
}

fn cores() -> u32 {
    std::thread::available_parallelism().map_or(1, |cores| u32::try_from(cores.get()).unwrap_or(1))
}

/// Answers who frames run as; a person's account gives user mode.
fn wanted(args: &BenchLocalArgs) -> Result<Wanted, CliError> {
    match &args.account {
        Some(name) if is_root() => Ok(Wanted::Person(name.clone())),
        Some(_) => Err(
            CliError::usage("--as: only root can run frames as another account")
                .hint("run it with sudo"),
        ),
        None => Ok(account::wanted()),
    }
}

fn make_folder() -> Result<TempDir, CliError> {
    let mode = if is_root() { 0o755 } else { 0o700 };
    let made = tempfile::Builder::new()
        .prefix("tessera-bench-")
        .permissions(std::fs::Permissions::from_mode(mode))
        .tempdir_in(FOLDER);
    made.map_err(|error| CliError::failed(format!("can't make a folder in {FOLDER}: {error}")))
}

async fn start(
    args: &BenchLocalArgs,
    slots: u32,
    state: &Path,
    wanted: &Wanted,
) -> Result<Farm, CliError> {
    if is_root() {
        account::write_policy(state, wanted)?;
    }
    Farm::start(FarmOptions {
        state: state.to_owned(),
        listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        socket: None,
        slots: Some(slots),
        launch: programs::launch(args.launch.as_deref())?,
        is_ephemeral: true,
        is_quiet: true,
    })
    .await
}

/// Answers how many starts of instances a job took: each passed the launcher once.
async fn launches(client: &Client, job: u64) -> Result<u64, CliError> {
    let detail = client.job(job).await?;
    Ok(detail
        .instances
        .iter()
        .map(|instance| u64::from(instance.launch.unwrap_or(1)))
        .sum())
}

/// What the measurements share.
struct Bench<'a> {
    client: &'a Client,
    account: &'a FrameAccount,
    slots: u32,
}

impl Bench<'_> {
    fn request(&self, command: &[&str]) -> SubmitRequest {
        SubmitRequest {
            command: command.iter().map(|word| (*word).to_owned()).collect(),
            user: self.account.other_than_own(),
            cwd: Some("/".to_owned()),
            key: Some(uuid::Uuid::new_v4().to_string()),
            ..SubmitRequest::default()
        }
    }

    async fn submit(&self, request: &SubmitRequest) -> Result<u64, CliError> {
        let reply = self.client.submit(request, false).await?;
        reply
            .job
            .ok_or_else(|| CliError::failed("the supervisor gave the job no number"))
    }

    /// Submits a job and waits until it has completed; answers how long that took, to the event that says so.
    async fn complete(&self, request: &SubmitRequest) -> Result<(Duration, u64), CliError> {
        let begun = Instant::now();
        let job = self.submit(request).await?;
        let ended = Watch::begin(self.client, job, None)
            .await?
            .until_ended(|_| Ok(()))
            .await?;
        let took = begun.elapsed();
        completed(ended.job()).map(|_| (took, job))
    }

    /// Does the same for a job of many frames, by looking at it now and then: an event for every frame would cost
    /// what is to be measured.
    async fn complete_many(&self, request: &SubmitRequest) -> Result<(Duration, u64), CliError> {
        let begun = Instant::now();
        let job = self.submit(request).await?;
        while !completed(&self.client.job(job).await?.job)? {
            sleep(LOOK_PAUSE).await;
        }
        Ok((begun.elapsed(), job))
    }

    /// Runs so many frames in as many instances as there are slots.
    async fn frames(&self, frames: u32) -> Result<(Duration, u64), CliError> {
        let request = SubmitRequest {
            range: Some(format!("1-{frames}")),
            cpus: Some(i64::from(self.slots)),
            ..self.request(&[PROGRAM])
        };
        self.complete_many(&request).await
    }

    /// Runs so many instances with one item each: every one of them passes the launcher.
    async fn singles(&self, instances: u32) -> Result<(Duration, u64), CliError> {
        let request = SubmitRequest {
            cpus: Some(i64::from(instances)),
            ..self.request(&[PROGRAM])
        };
        self.complete_many(&request).await
    }

    /// Submits one frame after another to the idle farm; answers the times to its start, by the host's clock in whole
    /// milliseconds, and to its end as seen here.
    async fn probes(&self, probes: u32) -> Result<(Latency, Latency), CliError> {
        let (mut starts, mut ends) = (Vec::new(), Vec::new());
        for _ in 0..probes {
            let submitted_ms = crate::out::now_ms();
            let (took, job) = self.complete(&self.request(&[PROGRAM])).await?;
            ends.push(took.as_secs_f64() * 1_000.0);
            let attempts = self.client.attempts(job, 0).await?.attempts;
            if let Some(started) = attempts.first().and_then(|attempt| attempt.started_ms) {
                starts.push(figures::milliseconds(started.saturating_sub(submitted_ms)));
            }
        }
        Ok((Latency::of(starts), Latency::of(ends)))
    }

    /// Answers the pauses between an exit and the next start in the same instance, in whole milliseconds.
    async fn pauses(&self, job: u64) -> Result<Latency, CliError> {
        let mut rows = items(self.client, job, ItemsQuery::default(), PAUSE_SAMPLE)
            .await?
            .items;
        rows.sort_by_key(|row| (row.instance, row.started_ms, row.index));
        let pauses = rows
            .windows(2)
            .filter_map(|pair| pause(pair.first()?, pair.get(1)?));
        Ok(Latency::of(pauses.collect()))
    }

    /// Asks a frame for its uid.
    async fn observed_uid(&self) -> Result<u32, CliError> {
        let (_, job) = self.complete(&self.request(&["/usr/bin/id", "-u"])).await?;
        let mut follower = self.client.follow_log(job, 0, LogQuery::default()).await?;
        let mut said: Vec<u8> = Vec::new();
        while let Some(piece) = follower.next().await? {
            if let LogPiece::Out(bytes) = piece {
                said.extend_from_slice(&bytes);
            }
        }
        let said = String::from_utf8_lossy(&said);
        said.trim()
            .parse()
            .map_err(|_| CliError::failed(format!("a frame says its uid is \"{}\"", said.trim())))
    }
}

/// Says whether a job has completed.
fn completed(job: &JobSummary) -> Result<bool, CliError> {
    match job.status.as_str() {
        "complete" => Ok(true),
        "failed" | "killed" | "blocked" | "badlogin" => Err(CliError::failed(format!(
            "job {} of the benchmark is {}",
            job.id, job.status
        ))),
        _ => Ok(false),
    }
}

/// Answers the milliseconds between two items of one instance.
fn pause(before: &ItemRow, after: &ItemRow) -> Option<f64> {
    let same = before.instance.is_some() && before.instance == after.instance;
    let end = before
        .started_ms?
        .saturating_add_unsigned(before.elapsed_ms?);
    same.then_some(figures::milliseconds(after.started_ms?.saturating_sub(end)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_are_within_an_instance() {
        let row = |instance, started_ms| ItemRow {
            instance: Some(instance),
            started_ms: Some(started_ms),
            elapsed_ms: Some(10),
            ..ItemRow::default()
        };
        assert_eq!(pause(&row(0, 100), &row(0, 112)), Some(2.0));
        assert_eq!(pause(&row(0, 100), &row(1, 112)), None);
    }
}
