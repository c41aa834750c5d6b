//! The one program of the farm for everything that needs no privilege: reads the command line with `cli`, then runs
//! the daemon or the enrolment that it asks for.
#![forbid(unsafe_code)]

#[cfg(target_os = "linux")]
mod bench;
mod config;
mod daemons;
mod desktop;
mod explain;
mod join;
mod leash;
#[cfg(windows)]
mod service;
mod workers;

use std::ffi::OsString;
use std::process::ExitCode;
use tessera_cli::{CliError, Outcome};

fn main() -> ExitCode {
    let words: Vec<OsString> = std::env::args_os().collect();
    let is_json = tessera_cli::wants_json(&words);
    let left = match tessera_cli::run(words) {
        Outcome::Done(exit) => return exit.into(),
        left => left,
    };
    tessera_wire::install_crypto_provider();
    let result = match left {
        Outcome::Done(_) => Ok(()),
        #[cfg(target_os = "linux")]
        Outcome::Supervisor(options) => daemons::supervisor(options),
        #[cfg(target_os = "linux")]
        Outcome::BenchFarm(options) => bench::farm(&options),
        #[cfg(target_os = "linux")]
        Outcome::BenchReplay(options) => bench::replay(&options),
        #[cfg(target_os = "linux")]
        Outcome::BenchWire(options) => bench::wire(&options),
        Outcome::Worker(options) => daemons::worker(options),
        Outcome::Join(options) => in_runtime(join::join(options)),
        Outcome::Config(options) => config::answer(&options),
        Outcome::Desktop(options) => desktop::answer(&options),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => tessera_cli::complain(&error, is_json).into(),
    }
}

/// Runs a future in this thread.
fn in_runtime<T>(future: impl Future<Output = Result<T, CliError>>) -> Result<T, CliError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime
        .map_err(|error| CliError::failed(format!("can't start: {error}")))?
        .block_on(future)
}
