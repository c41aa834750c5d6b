//! Runs the daemons: turns what the command line said into their own options.

use crate::{desktop, leash};
use std::error::Error;
use std::io::IsTerminal as _;
use tessera_cli::CliError;
#[cfg(target_os = "linux")]
use tessera_cli::daemon::SupervisorOptions;
use tessera_cli::daemon::{WorkerMode, WorkerOptions};
use tracing_subscriber::EnvFilter;

/// The variable that says how much the daemons log.
pub(crate) const LOG_VARIABLE: &str = "TESSERA_LOG";
/// How much they log otherwise.
pub(crate) const LOG_DEFAULT: &str = "info";
#[cfg(target_os = "linux")]
/// Threads for the sockets of the supervisor; its core has its own.
const SUPERVISOR_THREADS: usize = 2;

/// What a person who meant the other mode needs to know.
const SERVICE_HINT: &str = "without --desktop this is the worker of a service, beside tessera-launch and under its own \
                            account; tessera worker --desktop runs jobs as you";

#[cfg(target_os = "linux")]
/// Runs the supervisor until it is asked to end.
pub(crate) fn supervisor(options: SupervisorOptions) -> Result<(), CliError> {
    refuse_root("supervisor")?;
    begin(options.ends_with_parent);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(SUPERVISOR_THREADS)
        .enable_all()
        .build()
        .map_err(|error| CliError::failed(format!("can't start: {error}")))?;
    let options = tessera_supervisor::Options {
        state: options.state,
        listen: options.listen,
        socket: options.socket,
        config: options.config,
    };
    runtime
        .block_on(tessera_supervisor::run(options))
        .map_err(|error| failure("supervisor", &error))
}

#[cfg(target_os = "linux")]
/// Refuses to run as root: only `tessera-launch` has a use for that.
fn refuse_root(daemon: &str) -> Result<(), CliError> {
    if !nix::unistd::geteuid().is_root() {
        return Ok(());
    }
    let said = format!("the {daemon} does not run as root");
    Err(CliError::usage(said).hint("sudo tessera up runs each daemon under an account of its own"))
}

/// Runs the worker until it is asked to end.
pub(crate) fn worker(options: WorkerOptions) -> Result<(), CliError> {
    #[cfg(target_os = "linux")]
    if matches!(options.mode, WorkerMode::Service) {
        refuse_root("worker")?;
    }
    if matches!(options.mode, WorkerMode::Desktop) && !options.ends_with_parent {
        desktop::ask_once(&options.state, options.config.as_deref())?;
    }
    #[cfg(windows)]
    let as_service = options.as_service;
    #[cfg(windows)]
    if as_service {
        crate::service::begin_log(&options.state)?;
    } else {
        begin(options.ends_with_parent);
    }
    #[cfg(unix)]
    begin(options.ends_with_parent);
    let mode = match options.mode {
        WorkerMode::Desktop => tessera_worker::Mode::Desktop,
        WorkerMode::Service => tessera_worker::Mode::Service {
            launcher_socket: options.launcher_socket,
        },
    };
    let options = tessera_worker::Options {
        state: options.state,
        mode,
        supervisor: options.supervisor,
        slots: options.slots,
        name: options.name,
        launch_binary: options.launch,
        config: options.config,
    };
    #[cfg(windows)]
    if as_service {
        return crate::service::worker(options);
    }
    let is_service = matches!(options.mode, tessera_worker::Mode::Service { .. });
    let run = async {
        tessera_worker::run(options).await.map_err(|error| {
            let made = failure("worker", &error);
            if is_service {
                made.hint(SERVICE_HINT)
            } else {
                made
            }
        })
    };
    crate::in_runtime(run)
}

/// Starts to log, and to end with the parent if that is wanted.
fn begin(ends_with_parent: bool) {
    let filter =
        EnvFilter::try_from_env(LOG_VARIABLE).unwrap_or_else(|_| EnvFilter::new(LOG_DEFAULT));
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    log.with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .init();
    if ends_with_parent {
        leash::hold();
    }
}

/// Makes the error of a daemon that can't run, with what caused it.
pub(crate) fn failure(daemon: &str, error: &dyn Error) -> CliError {
    let mut made = CliError::failed(format!("the {daemon} can't run: {error}"));
    let mut cause = error.source();
    while let Some(error) = cause {
        made.details.push(error.to_string());
        cause = error.source();
    }
    made
}
