//! `tessera-chaos --programs DIR [--rounds N] [--frames N] [--least N] [--seed S]`: kills the parts of a real farm at
//! random, each time while a frame runs, and then counts the frames.
//!
//! Every frame appends its number to a file of its own attempt while it holds a lock of its own: two processes of one
//! frame at the same time would be seen, wherever they come from.
#![forbid(unsafe_code)]

use anyhow::{Context, Result, bail, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};
use tessera_testkit::farm::{Farm, Part};
use tessera_testkit::user::TempUser;
use tessera_testkit::wait;

/// Slots of the farm.
const SLOTS: u32 = 4;
/// How long all frames may take after the last kill.
const FINISH: Duration = Duration::from_secs(300);
/// How long a part may take to be there again.
const BACK: Duration = Duration::from_secs(60);

struct Plan {
    programs: PathBuf,
    rounds: u32,
    frames: u32,
    least: u32,
    seed: u64,
}

fn main() -> ExitCode {
    tessera_testkit::end(plan().and_then(|plan| run(&plan)))
}

fn plan() -> Result<Plan> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let value = |name: &str| {
        let place = words.iter().position(|word| word == name)?;
        words.get(place + 1)
    };
    let number = |name: &str, default: u64| match value(name) {
        Some(text) => text.parse().with_context(|| format!("{name} {text}")),
        None => Ok(default),
    };
    let chance = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)?
        .as_nanos();
    Ok(Plan {
        programs: value("--programs")
            .map(PathBuf::from)
            .context("--programs DIR is missing")?,
        rounds: u32::try_from(number("--rounds", 200)?)?,
        frames: u32::try_from(number("--frames", 500)?)?,
        least: u32::try_from(number("--least", 30)?)?,
        seed: number("--seed", u64::try_from(chance % 1_000_000)?)?,
    })
}

fn run(plan: &Plan) -> Result<()> {
    ensure!(
        nix::unistd::geteuid().is_root(),
        "chaos needs root: it starts daemons under their accounts"
    );
    println!(
        "seed {} rounds {} frames {}",
        plan.seed, plan.rounds, plan.frames
    );
    let mut farm = Farm::start(&plan.programs, SLOTS)?;
    let work = farm.folder().join("work");
    std::fs::create_dir(&work)?;
    std::fs::set_permissions(&work, PermissionsExt::from_mode(0o1777))?;
    let user = TempUser::create("tchaos")?;
    let job = submit(&farm, &work, plan, user.name())?;
    let result =
        rounds(&farm, &work, plan).and_then(|killed| judge(&farm, &work, plan, &job, &killed));
    if result.is_err() {
        let log = farm.log();
        let tail: Vec<&str> = log.lines().rev().take(60).collect();
        eprintln!(
            "--- the daemons' last words\n{}",
            tail.into_iter().rev().collect::<Vec<_>>().join("\n")
        );
    }
    let folder = farm.folder().to_owned();
    let stopped = farm.stop();
    let result = result.and(stopped);
    let left = Farm::leftovers(&folder);
    ensure!(left.is_empty(), "processes are left: {left:?}");
    result?;
    println!("1 passed, 0 failed");
    Ok(())
}

/// What each frame does: takes its lock, says that it began, works a little, says that it is done.
fn submit(farm: &Farm, work: &Path, plan: &Plan, user: &str) -> Result<String> {
    let script = format!(
        "umask 022; cd {} || exit 7; exec 9>>QB_FRAME_NUMBER.lock; flock -n 9 || {{ echo $TESSERA_ATTEMPT >> QB_FRAME_NUMBER.overlap; exit 8; }}; \
         echo QB_FRAME_NUMBER >> QB_FRAME_NUMBER.$TESSERA_ATTEMPT.began; sleep 0.$((RANDOM % 8 + 1)); \
         echo QB_FRAME_NUMBER >> QB_FRAME_NUMBER.$TESSERA_ATTEMPT.done",
        work.display()
    );
    let range = format!("1-{}", plan.frames);
    let slots = SLOTS.to_string();
    let arguments = [
        "submit",
        "--name",
        "chaos",
        "--user",
        user,
        "--range",
        &range,
        "--cpus",
        &slots,
        "--cwd",
        "/",
        "--",
        "/bin/bash",
        "-c",
        &script,
    ];
    let id = farm.tessera(&arguments)?;
    Ok(id.trim().to_owned())
}

/// Kills part after part, each while a frame runs.
fn rounds(farm: &Farm, work: &Path, plan: &Plan) -> Result<BTreeMap<Part, u32>> {
    let mut killed: BTreeMap<Part, u32> = BTreeMap::new();
    let mut chance = Chance(plan.seed);
    for round in 0..plan.rounds {
        let left = plan.rounds - round;
        let part = pick(&mut chance, &killed, plan.least, left);
        std::thread::sleep(Duration::from_millis(chance.below(300)));
        let began = Instant::now();
        let process = wait::until(
            &format!("round {round}: a {part:?} and a running frame"),
            BACK,
            || {
                if count(work, "done") >= plan.frames as usize {
                    bail!(
                        "all {} frames are done after {round} rounds; use more frames",
                        plan.frames
                    );
                }
                let is_running = count(work, "began") > count(work, "done");
                let processes = farm.processes_of(part);
                let index = usize::try_from(chance.below(processes.len().max(1) as u64))?;
                Ok(processes.get(index).filter(|_| is_running).cloned())
            },
        )?;
        _ = kill(Pid::from_raw(process.pid), Signal::SIGKILL);
        *killed.entry(part).or_insert(0) += 1;
        if round % 20 == 19 {
            println!(
                "round {}: {} frames done, {killed:?}, last wait {} ms",
                round + 1,
                count(work, "done"),
                began.elapsed().as_millis()
            );
        }
    }
    for part in Part::ALL {
        let n = killed.get(&part).copied().unwrap_or(0);
        ensure!(
            n >= plan.least,
            "{part:?} was killed {n} times, {} are asked for",
            plan.least
        );
    }
    Ok(killed)
}

fn pick(chance: &mut Chance, killed: &BTreeMap<Part, u32>, least: u32, left: u32) -> Part {
    let lacking = |part: &Part| least.saturating_sub(killed.get(part).copied().unwrap_or(0));
    let needed: u32 = Part::ALL.iter().map(lacking).sum();
    let wanted: Vec<Part> = Part::ALL
        .into_iter()
        .filter(|part| needed < left || lacking(part) > 0)
        .collect();
    let index = usize::try_from(chance.below(wanted.len() as u64)).unwrap_or(0);
    wanted.get(index).copied().unwrap_or(Part::Worker)
}

/// Counts frames' files of one kind.
fn count(work: &Path, kind: &str) -> usize {
    let Ok(entries) = std::fs::read_dir(work) else {
        return 0;
    };
    entries
        .flatten()
        .filter(|entry| entry.path().extension().is_some_and(|e| e == kind))
        .count()
}

/// Says what must hold at the end.
fn judge(
    farm: &Farm,
    work: &Path,
    plan: &Plan,
    job: &str,
    killed: &BTreeMap<Part, u32>,
) -> Result<()> {
    let status = wait::until("the end of the job", FINISH, || {
        let detail = farm.json_soon(&["job", job])?;
        let status = find_status(&detail).unwrap_or_default();
        Ok(matches!(status.as_str(), "complete" | "failed" | "killed").then_some(status))
    })?;
    ensure!(status == "complete", "the job is {status}");
    let overlaps = count(work, "overlap");
    ensure!(
        overlaps == 0,
        "{overlaps} frames had two processes at the same time"
    );
    let (mut runs, mut twice) = (0, 0);
    for frame in 1..=plan.frames {
        let attempts = farm.json_soon(&["frames", &format!("{job}:{frame}"), "--attempts"])?;
        let done = done_attempts(&attempts);
        ensure!(
            done == 1,
            "frame {frame}: {done} attempts counted as done: {attempts}"
        );
        let finished = finished_runs(work, frame);
        ensure!(
            !finished.is_empty(),
            "frame {frame} is complete and never finished a run"
        );
        runs += finished.len();
        twice += usize::from(finished.len() > 1);
    }
    println!(
        "killed {killed:?}: all {} frames complete, each counted once ({runs} finished runs, {twice} frames finished twice because their result died with a shepherd), no overlap",
        plan.frames
    );
    Ok(())
}

fn find_status(detail: &serde_json::Value) -> Option<String> {
    let status = detail
        .get("status")
        .or_else(|| detail.get("job").and_then(|job| job.get("status")));
    status.and_then(|status| status.as_str()).map(str::to_owned)
}

/// Counts attempts that ended well and counted.
fn done_attempts(value: &serde_json::Value) -> usize {
    let rows = value
        .get("attempts")
        .and_then(|rows| rows.as_array())
        .cloned()
        .unwrap_or_default();
    rows.iter()
        .filter(|row| row["counted"] == true && row["end"]["outcome"] == "done")
        .count()
}

fn finished_runs(work: &Path, frame: u32) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(work) else {
        return Vec::new();
    };
    let start = format!("{frame}.");
    let is_done = |path: &PathBuf| {
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        name.starts_with(&start) && name.ends_with(".done")
    };
    entries
        .flatten()
        .map(|entry| entry.path())
        .filter(is_done)
        .collect()
}

/// Splitmix64.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound.max(1)
    }
}
