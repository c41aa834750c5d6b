//! What an earlier worker left in the spool.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tessera_engine::worker::Found;
use tessera_model::msg::{LaunchKey, Run, RunLimits};
use tessera_model::{Attempt, ItemIndex};
use tokio::task::JoinSet;

use crate::chain::{ChainError, ExitRecord, ShepherdState, SpoolFile, read_exit, spool_path};
use crate::diagnose::causes;
use crate::launch_file::{self, Kept};
use crate::os;
use crate::output::{Command, Output};
use crate::pauses::{self, Pauses};
use crate::processes::Processes;
use crate::record;
use crate::state::{Spool, number};

/// Shepherds that are asked at a time.
const AT_A_TIME: usize = 16;
/// How often a shepherd that does not answer is asked before it counts as lost.
const TRIES: usize = 3;

/// A launch that was found.
pub(crate) struct Taken<S> {
    pub(crate) found: Found,
    pub(crate) shepherd: Option<S>,
    pub(crate) dir: Arc<PathBuf>,
    /// Whose job it is of, if that is known.
    pub(crate) owner: Option<String>,
}

/// Finds all launches: asks their shepherds, reads their records, and has their output watched or delivered.
pub(crate) async fn take_over<P: Processes>(
    processes: &P,
    spool: &Spool,
    output: &Output,
) -> Vec<Taken<P::Shepherd>> {
    let mut taken = Vec::new();
    let mut asked = JoinSet::new();
    for (key, dir) in directories(spool) {
        let dir = Arc::new(dir);
        match launch_file::read(&dir) {
            Ok(Some(kept)) => {
                if asked.len() >= AT_A_TIME
                    && let Some(Ok(one)) = asked.join_next().await
                {
                    taken.push(one);
                }
                let (processes, output) = (processes.clone(), output.clone());
                asked.spawn(async move { take(processes, output, key, dir, kept).await });
            }
            Ok(None) => only_deliver(output, key, dir).await,
            Err(error) => {
                tracing::error!(launch = %key, %error, "a launch in the spool can't be read; it is left alone");
            }
        }
    }
    while let Some(one) = asked.join_next().await {
        taken.extend(one.ok());
    }
    taken.sort_by_key(|it| it.found.key);
    taken
}

/// Answers the directories of launches.
fn directories(spool: &Spool) -> Vec<(LaunchKey, PathBuf)> {
    let mut found = Vec::new();
    for job in names(spool.root()) {
        let dir = spool.root().join(&job);
        for launch in names(&dir) {
            found.extend(Spool::key_of(&job, &launch).map(|key| (key, dir.join(&launch))));
        }
        if number::<u64>(&job).is_some() {
            let _stays_if_used = std::fs::remove_dir(&dir);
        }
    }
    found
}

fn names(dir: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(dir) else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter_map(|it| it.file_name().into_string().ok())
        .collect()
}

/// The end of this launch was acknowledged; only its output is left to deliver.
async fn only_deliver(output: &Output, key: LaunchKey, dir: Arc<PathBuf>) {
    for run in attempts(&dir).into_keys() {
        watch(output, key, run, &dir, None).await;
        output.tell(Command::Ended { key, run }).await;
    }
    output.tell(Command::ForgetLaunch { key, dir }).await;
}

async fn take<P: Processes>(
    processes: P,
    output: Output,
    key: LaunchKey,
    dir: Arc<PathBuf>,
    kept: Kept,
) -> Taken<P::Shepherd> {
    let Kept {
        limits,
        elapsed,
        owner,
    } = kept;
    let answer = ask(&processes, key, &dir).await;
    let state = answer.as_ref().map(|(_, state)| state);
    let running = state.and_then(|it| it.items.iter().find(|it| !it.ended));
    let current = running.map(|it| Run {
        item: ItemIndex(it.item),
        attempt: Attempt(it.attempt),
    });
    let current_elapsed = running.map_or(Duration::ZERO, |it| os::age_of(it.pid));
    let is_suspended = state.is_some_and(|it| it.suspended);
    let pauses = pauses_of(key, &dir, state.map(|it| it.suspended));
    // Read after the shepherd has answered: what ends from now on, it says.
    let (mut ended, mut forgotten) = (Vec::new(), Vec::new());
    for (run, exit) in attempts(&dir) {
        let limits = (current == Some(run)).then_some(&limits);
        watch(&output, key, run, &dir, limits).await;
        let is_over = match exit {
            Exit::Recorded(record) if current != Some(run) => {
                ended.push(record);
                true
            }
            Exit::Recorded(_) => false,
            Exit::Acknowledged => {
                forgotten.push(run);
                true
            }
            // Of a lost shepherd's attempt something may still print; that it has ended is known when it is gone.
            Exit::Nothing => answer.is_some() && current != Some(run),
        };
        if is_over {
            output.tell(Command::Ended { key, run }).await;
        }
    }
    for run in forgotten {
        let dir = Arc::clone(&dir);
        output.tell(Command::ForgetItem { key, run, dir }).await;
    }
    ended.sort_by_key(|it| (it.ended_ms, it.item, it.attempt));
    let found = Found {
        key,
        limits,
        is_alive: answer.is_some(),
        current,
        current_elapsed,
        elapsed,
        is_suspended,
        is_starter_lost: state.is_some_and(|it| it.starter_lost),
        suspended: pauses.within(elapsed, is_suspended),
        current_suspended: pauses.within(current_elapsed, is_suspended),
        ended: ended.iter().map(record::attempt_end).collect(),
    };
    Taken {
        found,
        shepherd: answer.map(|(shepherd, _)| shepherd),
        dir,
        owner,
    }
}

/// Answers the pauses of a launch; those of one that does not say whether it is suspended are left as they are.
fn pauses_of(key: LaunchKey, dir: &Path, is_suspended: Option<bool>) -> Pauses {
    let Some(is_suspended) = is_suspended else {
        return pauses::read(dir);
    };
    let (pauses, kept) = pauses::settle(dir, is_suspended);
    if let Err(error) = kept {
        tracing::warn!(launch = %key, %error,
            "can't settle in the spool for how long it was suspended; after another restart of the worker its limits may be off by that");
    }
    pauses
}

async fn ask<P: Processes>(
    processes: &P,
    key: LaunchKey,
    dir: &Path,
) -> Option<(P::Shepherd, ShepherdState)> {
    for _ in 0..TRIES {
        match processes.adopt(key, dir).await {
            Ok(answer) => return Some(answer),
            Err(ChainError::NotThere { .. }) => break,
            Err(e) => {
                tracing::warn!(launch = %key, error = %causes(&e), "a shepherd does not answer");
            }
        }
    }
    tracing::warn!(launch = %key, "the shepherd of a launch is lost");
    None
}

async fn watch(
    output: &Output,
    key: LaunchKey,
    run: Run,
    dir: &Arc<PathBuf>,
    limits: Option<&RunLimits>,
) {
    let pattern = limits.and_then(|it| it.progress.clone());
    let tells_printing = limits.is_some_and(|it| it.silence_limit.is_some());
    let dir = Arc::clone(dir);
    output
        .tell(Command::Watch {
            key,
            run,
            dir,
            pattern,
            tells_printing,
        })
        .await;
}

/// What the spool says of the end of an attempt.
enum Exit {
    /// Its report is acknowledged, the record is removed.
    Acknowledged,
    /// How it ended.
    Recorded(ExitRecord),
    /// No whole record.
    Nothing,
}

/// Answers the attempts that have a file in a launch's directory.
fn attempts(dir: &Path) -> BTreeMap<Run, Exit> {
    let runs = names(dir).into_iter().filter_map(|name| run_of(&name));
    runs.map(|run| (run, exit_of(dir, run))).collect()
}

fn run_of(name: &str) -> Option<Run> {
    let mut parts = name.split('.');
    let (item, attempt, ending) = (parts.next()?, parts.next()?, parts.next()?);
    let is_ours = matches!(ending, "out" | "err" | "idx" | "exit") && parts.next().is_none();
    is_ours.then_some(())?;
    Some(Run {
        item: ItemIndex(number(item)?),
        attempt: Attempt(number(attempt)?),
    })
}

fn exit_of(dir: &Path, run: Run) -> Exit {
    let (item, attempt) = (run.item.0, run.attempt.0);
    match read_exit(dir, item, attempt) {
        Ok(Some(record)) => Exit::Recorded(record),
        Ok(None) if !spool_path(dir, item, attempt, SpoolFile::Exit).exists() => Exit::Acknowledged,
        Ok(None) => Exit::Nothing,
        Err(error) => {
            tracing::warn!(dir = %dir.display(), item, attempt, %error, "a record can't be read");
            Exit::Nothing
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_name_their_attempt() {
        let run = Run {
            item: ItemIndex(7),
            attempt: Attempt(2),
        };
        for name in ["7.2.out", "7.2.err", "7.2.idx", "7.2.exit"] {
            assert_eq!(run_of(name), Some(run), "{name}");
        }
        for name in [
            "limits",
            "ctl.1",
            "lock.1",
            "7.2",
            "7.2.log",
            "07.2.out",
            "7.2.out.x",
        ] {
            assert_eq!(run_of(name), None, "{name}");
        }
    }
}
