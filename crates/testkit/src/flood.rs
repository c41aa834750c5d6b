//! `tessera-flood --programs DIR [--bytes N] [--limit SIZE] [--frames N]`: one frame prints without end beside short
//! frames in another slot of a real farm. What it prints is kept up to the limit, with a line that says so, and nobody
//! else fails. Prints how many short frames a second there were before, beside and after it.
//!
//! Printing so much takes a core whoever reads it, so a twin that prints the same into `/dev/null` is measured too.
#![forbid(unsafe_code)]

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tessera_testkit::farm::Farm;
use tessera_testkit::user::TempUser;
use tessera_testkit::wait;

/// Slots of the farm: one for the short frames, one for the other.
const SLOTS: u32 = 2;
/// What the frame prints unless told otherwise, in bytes: 1 GiB.
const BYTES_DEFAULT: u64 = 1 << 30;
/// The limit of a job that names none, in bytes per stream.
const LIMIT_DEFAULT: u64 = 256 << 20;
/// Short frames, at least as many as are run until the other is through.
const FRAMES_DEFAULT: u64 = 6_000;
/// Bytes that the line about the limit takes at most.
const MARK_MAX: u64 = 200;
/// What that line says.
const MARK: &str = "passed its output limit of";
/// How long each part may take.
const FINISH: Duration = Duration::from_secs(300);

struct Plan {
    programs: PathBuf,
    bytes: u64,
    limit: Option<u64>,
    frames: u64,
}

/// A time on the clock of this host, in milliseconds since 1970, and a later one.
#[derive(Debug, Clone, Copy)]
struct Span {
    from: i64,
    to: i64,
}

fn main() -> ExitCode {
    tessera_testkit::end(plan().and_then(|plan| run(&plan)))
}

fn plan() -> Result<Plan> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let mut plan = Plan {
        programs: PathBuf::new(),
        bytes: BYTES_DEFAULT,
        limit: None,
        frames: FRAMES_DEFAULT,
    };
    for pair in words.chunks(2) {
        let [name, value] = pair else {
            bail!("{} has no value", pair[0]);
        };
        let number = || value.parse().with_context(|| format!("{name} {value}"));
        match name.as_str() {
            "--programs" => plan.programs = PathBuf::from(value),
            "--bytes" => plan.bytes = number()?,
            "--limit" => plan.limit = Some(number()?),
            "--frames" => plan.frames = number()?,
            _ => bail!("{name} is no option; there are --programs --bytes --limit --frames"),
        }
    }
    ensure!(
        plan.programs.is_dir(),
        "--programs names the folder of both binaries"
    );
    Ok(plan)
}

fn run(plan: &Plan) -> Result<()> {
    ensure!(
        nix::unistd::geteuid().is_root(),
        "this needs root: it starts daemons under their accounts"
    );
    let mut farm = Farm::start(&plan.programs, SLOTS)?;
    let user = TempUser::create("tflood")?;
    let result = watch(&farm, plan, user.name());
    if result.is_err() {
        eprintln!("--- what the daemons said\n{}", farm.log());
    }
    let folder = farm.folder().to_owned();
    let stopped = farm.stop();
    result.and(stopped)?;
    let left = Farm::leftovers(&folder);
    ensure!(left.is_empty(), "processes are left: {left:?}");
    println!("1 passed, 0 failed");
    Ok(())
}

fn watch(farm: &Farm, plan: &Plan, user: &str) -> Result<()> {
    let range = format!("1-{}", plan.frames);
    let short = submit(
        farm,
        &["--user", user, "--name", "short", "--range", &range],
        &["/bin/true"],
    )?;
    let quarter = plan.frames / 4;
    wait::until("a quarter of the short frames", FINISH, || {
        Ok((done(farm, &short)? >= quarter).then_some(()))
    })?;
    let shell = |to: &str| format!("head -c {} /dev/zero | tr '\\0' x{to}", plan.bytes);
    let twin = big(farm, plan, user, &shell(" > /dev/null"))?;
    let flood = big(farm, plan, user, &shell(""))?;
    let printing = span_of(farm, &flood)?;
    let spool = farm.folder().join("state/worker/spool").join(&flood);
    wait::until("the delivery of the output", FINISH, || {
        Ok((!spool.exists()).then_some(()))
    })?;
    let delivered = Span {
        from: printing.to,
        to: now(),
    };
    ensure!(
        done(farm, &short)? < plan.frames,
        "all short frames were through before the long one: use more --frames"
    );
    wait::until("the end of the short frames", FINISH, || {
        ended(farm, &short)
    })?;
    judge_short(farm, &short, plan.frames)?;
    judge_flood(farm, &flood, plan)?;
    let starts = starts(farm, &short)?;
    let twin = span_of(farm, &twin)?;
    let alone = Span {
        from: starts[0],
        to: twin.from,
    };
    for (what, span) in [
        ("alone", alone),
        ("beside a frame that prints into /dev/null", twin),
        ("beside the frame that prints", printing),
        ("while its output is delivered", delivered),
    ] {
        say_rate(what, &starts, span);
    }
    Ok(())
}

fn submit(farm: &Farm, options: &[&str], command: &[&str]) -> Result<String> {
    let mut words = vec!["submit", "--cwd", "/", "--cpus", "1"];
    words.extend(options);
    words.push("--");
    words.extend(command);
    Ok(farm.tessera(&words)?.trim().to_owned())
}

/// Runs a job of one frame to its end.
fn big(farm: &Farm, plan: &Plan, user: &str, script: &str) -> Result<String> {
    let limit = plan.limit.map(|limit| limit.to_string());
    let mut options = vec!["--user", user, "--name", "big", "--priority", "1"];
    if let Some(limit) = &limit {
        options.extend(["--output-limit", limit]);
    }
    let job = submit(farm, &options, &["/bin/sh", "-c", script])?;
    wait::until("the end of the frame that prints", FINISH, || {
        ended(farm, &job)
    })?;
    Ok(job)
}

fn status(farm: &Farm, job: &str) -> Result<Value> {
    let mut detail = farm.json(&["job", job])?;
    Ok(match detail.get_mut("job") {
        Some(inner) => inner.take(),
        None => detail,
    })
}

fn ended(farm: &Farm, job: &str) -> Result<Option<()>> {
    let status = status(farm, job)?;
    match status["status"].as_str() {
        Some("complete") => Ok(Some(())),
        Some(word @ ("failed" | "killed" | "badlogin")) => bail!("job {job} is {word}"),
        _ => Ok(None),
    }
}

fn done(farm: &Farm, job: &str) -> Result<u64> {
    let status = status(farm, job)?;
    status["items"]["complete"]
        .as_u64()
        .with_context(|| format!("no count of complete frames in {status}"))
}

fn frames(farm: &Farm, job: &str) -> Result<Vec<Value>> {
    let page = farm.json(&["frames", job, "--all"])?;
    let rows = page["items"].as_array().context("no items")?;
    Ok(rows.clone())
}

/// Answers from when to when the only frame of a job ran.
fn span_of(farm: &Farm, job: &str) -> Result<Span> {
    let rows = frames(farm, job)?;
    let row = rows.first().context("no frame")?;
    let from = row["started_ms"].as_i64().context("never started")?;
    let elapsed = row["elapsed_ms"].as_i64().context("never ended")?;
    Ok(Span {
        from,
        to: from + elapsed.max(1),
    })
}

fn starts(farm: &Farm, job: &str) -> Result<Vec<i64>> {
    let rows = frames(farm, job)?;
    let mut starts: Vec<i64> = rows
        .iter()
        .filter_map(|row| row["started_ms"].as_i64())
        .collect();
    starts.sort_unstable();
    ensure!(!starts.is_empty(), "no short frame has started");
    Ok(starts)
}

fn say_rate(what: &str, starts: &[i64], span: Span) {
    let within = starts
        .iter()
        .filter(|at| (span.from..span.to).contains(at))
        .count();
    let milliseconds = (span.to - span.from).max(1);
    let rate = within as u64 * 1_000 / milliseconds.unsigned_abs();
    println!(
        "{what}: {rate} short frames/s ({within} in {:.2} s)",
        Duration::from_millis(milliseconds.unsigned_abs()).as_secs_f64()
    );
}

fn judge_short(farm: &Farm, job: &str, frames: u64) -> Result<()> {
    let done = done(farm, job)?;
    ensure!(done == frames, "{done} of {frames} short frames complete");
    Ok(())
}

/// Says what must hold of the frame that printed.
fn judge_flood(farm: &Farm, job: &str, plan: &Plan) -> Result<()> {
    let limit = plan.limit.unwrap_or(LIMIT_DEFAULT);
    let place = format!("{job}#1");
    let attempts = farm.json(&["frames", &place, "--attempts"])?;
    let attempt = &attempts["attempts"][0];
    let (printed, kept) = (&attempt["printed_out"], &attempt["kept_out"]);
    ensure!(
        *printed == plan.bytes,
        "it printed {printed} of {} bytes",
        plan.bytes
    );
    let kept = kept.as_u64().context("no figure of what is kept")?;
    ensure!(
        kept > limit && kept <= limit + MARK_MAX,
        "{kept} bytes are kept of a limit of {limit}"
    );
    let file = farm.folder().join("flood.log");
    farm.log_to(&place, &file)?;
    let length = std::fs::metadata(&file)?.len();
    ensure!(
        length == kept,
        "{kept} bytes are kept and the log has {length}"
    );
    let end = tail(&file, MARK_MAX)?;
    ensure!(
        end.contains(MARK),
        "no line in the log says that the limit was passed; it ends in {end:?}"
    );
    println!(
        "printed {printed} bytes, kept {kept}; the log ends in: {}",
        end.lines().last().unwrap_or_default()
    );
    Ok(())
}

fn tail(file: &Path, bytes: u64) -> Result<String> {
    use std::io::{Read as _, Seek as _, SeekFrom};
    let mut file = std::fs::File::open(file)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(bytes)))?;
    let mut end = Vec::new();
    file.read_to_end(&mut end)?;
    Ok(String::from_utf8_lossy(&end).into_owned())
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |it| i64::try_from(it.as_millis()).unwrap_or(i64::MAX))
}
