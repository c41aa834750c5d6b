//! The worker daemon of a host: it asks the supervisor for nothing, does what it is told, and loses nothing.
//!
//! Owns one loop ([`run`]) that turns everything outside into inputs of the engine and carries out its effects: the
//! connection to the supervisor, the launches on this host (each with a keeper task over [`chain`]), the spool with what
//! they print, the facts of the host. Leaves to others: what to do (the engine), becoming a user and processes
//! (`tessera-launch`), the protocol (`wire`).
//!
//! What must outlive this process is in the spool: which launches there are, how each attempt ended, what it printed.
#![forbid(unsafe_code)]

pub mod chain;
pub mod credential;

mod connection;
mod daemon;
mod desk;
mod diagnose;
mod error;
mod facts;
mod gpus;
mod keeper;
mod launch_file;
mod looker;
mod options;
mod os;
mod output;
mod pauses;
mod processes;
mod record;
mod scan;
mod served;
mod state;
#[cfg(test)]
mod tests;
mod tool;
mod zone;

/// The worker's configuration, whose keys are known to the supervisor, too.
pub use tessera_hostconfig::worker as config;

pub use error::WorkerError;
pub use options::{Mode, Options};

use std::sync::Arc;

use chain::Chain;
use tokio_util::sync::CancellationToken;

/// Answers what the supervisor set last for the worker of this state, if it takes any: what it starts with.
#[must_use]
pub fn kept_settings(
    state: &std::path::Path,
    lookup: tessera_model::Lookup,
) -> Option<tessera_model::ServedSettings> {
    served::kept(state, lookup)
}

/// Runs the worker of a host until SIGTERM or SIGINT. What runs on the host goes on when it returns; the next worker on
/// the same state takes it up.
///
/// Call [`tessera_wire::install_crypto_provider`] before.
///
/// # Errors
/// When the state directory can't be used, another worker uses it, the configuration has a mistake, or root would run a
/// desktop worker. A supervisor, launcher or certificate that is not there is no error: it is waited for, and said.
pub async fn run(options: Options) -> Result<(), WorkerError> {
    run_with(options, os::cancel_on_signals).await
}

/// Runs it as [`run`] does, until something comes through a channel, or its other end is gone: what a service manager says.
///
/// # Errors
/// As [`run`].
#[cfg(windows)]
pub async fn run_until(
    options: Options,
    stopped: std::sync::mpsc::Receiver<()>,
) -> Result<(), WorkerError> {
    run_with(options, |stop| {
        let wait = move || {
            // Also when nobody can tell any more.
            let _ = stopped.recv();
            stop.cancel();
        };
        let begun = std::thread::Builder::new().name("stop".into()).spawn(wait);
        begun.map_err(WorkerError::Signals)?;
        Ok(tokio::spawn(async {}))
    })
    .await
}

async fn run_with(
    options: Options,
    listen: impl FnOnce(CancellationToken) -> Result<tokio::task::JoinHandle<()>, WorkerError>,
) -> Result<(), WorkerError> {
    let settings = options.resolve()?;
    let vault = credential::of_host(&settings)?;
    let chain = Chain::new(settings.chain_mode.clone());
    #[cfg(windows)]
    let chain = chain.with_passwords(vault.clone());
    let stop = CancellationToken::new();
    let signals = listen(stop.clone())?;
    let eyes = Arc::new(desk::Eyes::new(settings.desktop_user.clone()));
    let result = daemon::run(settings, chain, eyes, vault, stop).await;
    signals.abort();
    result
}
