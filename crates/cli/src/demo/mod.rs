//! `tessera demo`: an ephemeral farm renders a small animation.
//!
//! Everything of the farm is in a temporary folder that goes away. What the frames write is in a folder that belongs to
//! the account that they run as; it is made and removed by a process of that account, so that no root process touches
//! what a frame wrote. The contact sheet is a job of the farm, too.

pub(crate) mod account;
mod jobs;
mod made;
mod progress;
mod renderer;
mod show;

use crate::Exit;
use crate::args::{DemoArgs, FolderCommand};
use crate::error::CliError;
use crate::local::farm::{Farm, FarmOptions};
use crate::local::{is_root, missing_accounts, programs};
use crate::out::{Tone, text, time};
use crate::run::{Context, Ended, Watch, items};
use account::FrameAccount;
use jobs::{Jobs, failed};
use made::Made;
use progress::Progress;
use renderer::Scene;
use serde::Serialize;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;
use tessera_api::Client;
use tessera_api::query::ItemsQuery;
use tessera_api::types::ItemRow;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, sleep};

/// The sheet's file.
const SHEET: &str = "contact-sheet.png";
/// Pause between looks at the frames.
const LOOK_PAUSE: Duration = Duration::from_millis(100);

/// What the demo tells programs.
#[derive(Debug, Serialize)]
struct Report {
    renderer: &'static str,
    images: PathBuf,
    contact_sheet: PathBuf,
    first_frame_ms: Option<u64>,
    total_ms: u64,
    frames: Vec<ItemRow>,
}

/// Runs the demo.
pub(crate) fn run(args: &DemoArgs, context: &Context) -> Result<Exit, CliError> {
    context.block_on(run_until_signal(args, context))
}

async fn run_until_signal(args: &DemoArgs, context: &Context) -> Result<Exit, CliError> {
    let mut signals = Vec::new();
    for kind in [
        SignalKind::interrupt(),
        SignalKind::terminate(),
        SignalKind::hangup(),
    ] {
        let listened = signal(kind);
        signals.push(
            listened
                .map_err(|error| CliError::failed(format!("can't listen for Ctrl-C: {error}")))?,
        );
    }
    let [mut interrupt, mut terminate, mut hangup] =
        <[_; 3]>::try_from(signals).map_err(|_| CliError::failed("can't listen for Ctrl-C"))?;
    let mut made = Made::default();
    let result = tokio::select! {
        result = demo(args, &mut made, context) => Some(result),
        _ = interrupt.recv() => None,
        _ = terminate.recv() => None,
        _ = hangup.recv() => None,
    };
    if result.is_none() {
        context.say("\ncleaning up\n");
    }
    let is_good = matches!(&result, Some(Ok(Exit::Done)));
    let cleaned = made.clean_up(is_good).await;
    match result {
        None => cleaned.map(|()| Exit::Interrupted),
        Some(Ok(exit)) => cleaned.map(|()| exit),
        Some(Err(error)) => Err(error),
    }
}

async fn demo(args: &DemoArgs, made: &mut Made, context: &Context) -> Result<Exit, CliError> {
    let begun = Instant::now();
    let scene = Scene::choose(args.renderer)?;
    let launch = programs::launch(args.launch.as_deref())?;
    let folder = temporary_folder()?;
    let state = folder.path().to_owned();
    made.folder = Some(folder);
    let wanted = account::wanted();
    if is_root() {
        account::write_policy(&state, &wanted)?;
    }
    let program = provide(&state, &scene)?;
    let options = FarmOptions {
        state: state.clone(),
        listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        socket: None,
        slots: args.slots,
        launch,
        is_ephemeral: true,
        is_quiet: true,
    };
    let missing = if is_root() {
        missing_accounts()
    } else {
        Vec::new()
    };
    // Kept before anything of it runs: whoever breaks the demo off now still has to stop it.
    let farm = made.farm.insert(Farm::new(options)?);
    farm.bring_up().await?;
    let client = farm.until_served().await?;
    let host = farm.until_up().await?;
    say_made(&missing, context);
    let account = FrameAccount::find(&wanted, program.clone())?;
    let was_there = args.keep.as_ref().is_some_and(|folder| folder.exists());
    let images = account.make_folder(args.keep.as_deref())?;
    if !was_there {
        // Only what the demo made is cleared away when it does not get to its end.
        made.images = Some((images.clone(), account.clone()));
    }
    if !context.json {
        let look = &context.errors;
        context.say(&format!(
            "{} supervisor and worker on {} with {}\n{} draws, as {}\n",
            look.paint(Tone::Good, "a farm is up:"),
            text::safe(&host.name),
            time::count(u64::from(host.slots), "slot"),
            scene.name(),
            account.name(),
        ));
    }
    let share = state.join("share");
    let jobs = Jobs {
        client: &client,
        scene: &scene,
        program: &program,
        share: &share,
        images: &images,
        account: &account,
    };
    let render = jobs.submit_frames(args.frames, host.slots).await?;
    let sheet = jobs.submit_sheet(render).await?;
    let (ended, first) = follow(&client, render, begun, context).await?;
    let rows = items(&client, render, ItemsQuery::default(), usize::MAX)
        .await?
        .items;
    if ended.exit() != Exit::Done {
        return Err(failed(&client, render, &rows, &scene).await);
    }
    let sheet_ended = Watch::begin(&client, sheet, None)
        .await?
        .until_ended(|_| Ok(()))
        .await?;
    if sheet_ended.exit() != Exit::Done {
        let rows = items(&client, sheet, ItemsQuery::default(), 1).await?.items;
        return Err(failed(&client, sheet, &rows, &scene).await);
    }
    let report = Report {
        renderer: scene.word(),
        contact_sheet: images.join(SHEET),
        images,
        first_frame_ms: first.and_then(|at| u64::try_from(at.as_millis()).ok()),
        total_ms: u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX),
        frames: rows,
    };
    context.show(&report, show::report)?;
    Ok(Exit::Done)
}

/// Says which accounts were made: those that were missing before.
fn say_made(missing: &[&str], context: &Context) {
    let still = missing_accounts();
    for account in missing.iter().filter(|account| !still.contains(account)) {
        context.say(&format!(
            "made the account {account} (no password; kept until tessera uninstall)\n"
        ));
    }
}

/// Makes the folder of the farm. As root it can be passed through: programs and sockets in it are for others.
fn temporary_folder() -> Result<TempDir, CliError> {
    let mode = if is_root() { 0o755 } else { 0o700 };
    let made = tempfile::Builder::new()
        .prefix("tessera-demo-farm-")
        .permissions(std::fs::Permissions::from_mode(mode))
        .tempdir();
    made.map_err(|error| {
        CliError::failed(format!("can't make a temporary folder: {error}")).hint("set TMPDIR")
    })
}

/// Puts what the frames need where their account can read it: the scene, and as root this program, which may lie below
/// a home that nobody else may enter. Answers the program.
fn provide(state: &Path, scene: &Scene) -> Result<PathBuf, CliError> {
    let share = state.join("share");
    let made = std::fs::create_dir(&share).and_then(|()| open_to_all(&share));
    made.map_err(|error| CliError::failed(format!("can't make {}: {error}", share.display())))?;
    scene.write(&share)?;
    let own = programs::own()?;
    if !is_root() {
        return Ok(own);
    }
    let copy = share.join("tessera");
    std::fs::copy(&own, &copy)
        .and_then(|_| open_to_all(&copy))
        .map_err(|error| {
            CliError::failed(format!(
                "can't copy this program to {}: {error}",
                copy.display()
            ))
        })?;
    match std::process::Command::new(&copy)
        .arg("--version")
        .stdout(std::process::Stdio::null())
        .status()
    {
        Ok(status) if status.success() => Ok(copy),
        _ => Err(
            CliError::failed(format!("programs can't be run from {}", share.display()))
                .hint("name another temporary folder: TMPDIR=/var/tmp tessera demo"),
        ),
    }
}

fn open_to_all(path: &Path) -> std::io::Result<()> {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755))
}

/// Shows the frames as they are done; answers how the job ended, and when the first frame was there.
async fn follow(
    client: &Client,
    job: u64,
    begun: Instant,
    context: &Context,
) -> Result<(Ended, Option<Duration>), CliError> {
    let mut progress = Progress::new(context);
    let mut first = None;
    loop {
        let rows = items(client, job, ItemsQuery::default(), usize::MAX)
            .await?
            .items;
        if first.is_none() && rows.iter().any(|row| row.status == "complete") {
            first = Some(begun.elapsed());
        }
        progress.update(&rows, begun.elapsed());
        let is_over =
            |row: &ItemRow| matches!(row.status.as_str(), "complete" | "failed" | "killed");
        if rows.iter().all(is_over) {
            progress.finish();
            let ended = Watch::begin(client, job, None)
                .await?
                .until_ended(|_| Ok(()))
                .await?;
            return Ok((ended, first));
        }
        sleep(LOOK_PAUSE).await;
    }
}

/// Makes or removes the folder of the images; run as the account that owns it.
pub(crate) fn folder(args: &FolderCommand) -> Result<Exit, CliError> {
    let (result, verb, dir) = match args {
        FolderCommand::Make { dir } => (account::make(dir), "make", dir),
        FolderCommand::Remove { dir } => (std::fs::remove_dir_all(dir), "remove", dir),
    };
    result.map_err(|error| CliError::failed(format!("can't {verb} {}: {error}", dir.display())))?;
    Ok(Exit::Done)
}
