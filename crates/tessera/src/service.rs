//! The worker as a service of Windows: the service manager says when it ends, and what it says goes to a file.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::mpsc::Receiver;

use tessera_cli::CliError;
use tracing_subscriber::EnvFilter;

use crate::daemons::{LOG_DEFAULT, LOG_VARIABLE, failure};

/// What the service is known by.
const SERVICE: &str = "TesseraWorker";
/// At this size the log is put aside as `worker.log.1` and a new one begins.
const LOG_BYTES_MAX: u64 = 16 << 20;
const LOG: &str = "worker.log";

/// Is the worker service until it is told to stop.
pub(crate) fn worker(options: tessera_worker::Options) -> Result<(), CliError> {
    let body = move |stop: Receiver<()>| {
        let run = async {
            let ended = tessera_worker::run_until(options, stop).await;
            ended.map_err(|error| failure("worker", &error))
        };
        match crate::in_runtime(run) {
            Ok(()) => 0,
            Err(error) => {
                tracing::error!(%error, details = ?error.details, "the worker service ends");
                1
            }
        }
    };
    tessera_windows::serve(SERVICE, Box::new(body)).map_err(|error| {
        CliError::usage(format!("only the service manager starts this: {error}"))
            .hint("tessera worker install --mode service makes the service and starts it")
    })
}

/// Starts to log into a file of the worker's folder.
pub(crate) fn begin_log(state: &Path) -> Result<(), CliError> {
    let path = state.join("worker").join(LOG);
    let log = Log::open(path.clone())
        .map_err(|error| CliError::failed(format!("can't write {}: {error}", path.display())))?;
    let filter =
        EnvFilter::try_from_env(LOG_VARIABLE).unwrap_or_else(|_| EnvFilter::new(LOG_DEFAULT));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(Mutex::new(log))
        .with_ansi(false)
        .with_target(false)
        .init();
    Ok(())
}

/// A file that begins anew when it is full.
struct Log {
    path: PathBuf,
    file: Option<File>,
    size: u64,
}

impl Log {
    fn open(path: PathBuf) -> io::Result<Self> {
        let file = OpenOptions::new().append(true).create(true).open(&path)?;
        let size = file.metadata()?.len();
        let file = Some(file);
        Ok(Self { path, file, size })
    }

    fn begin_anew(&mut self) -> io::Result<()> {
        // A file that is open can't always be renamed.
        self.file = None;
        std::fs::rename(&self.path, self.path.with_extension("log.1"))?;
        *self = Self::open(self.path.clone())?;
        Ok(())
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.size >= LOG_BYTES_MAX {
            self.begin_anew()?;
        }
        let Some(file) = &mut self.file else {
            // What can't be renamed now may be later.
            *self = Self::open(self.path.clone())?;
            return Ok(bytes.len());
        };
        let len = file.write(bytes)?;
        self.size += len as u64;
        Ok(len)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
