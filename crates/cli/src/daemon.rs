//! What the daemons and the enrolment are asked for on the command line, as plain data. The crate that owns `main`
//! turns it into the daemons' own options: this crate knows none of them.

use crate::args::System;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// What `tessera supervisor` was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SupervisorOptions {
    /// The folder of the farm; what the daemon keeps is in its `supervisor` folder.
    pub state: PathBuf,
    /// Where workers and clients connect; every address at the configured port when not said.
    pub listen: Option<SocketAddr>,
    /// The Unix socket for clients of this host; `run/supervisor.sock` of the state by default.
    pub socket: Option<PathBuf>,
    /// A configuration file other than the default.
    pub config: Option<PathBuf>,
    /// Whether to end when standard input closes: a parent holds it open.
    pub ends_with_parent: bool,
}

/// What `tessera bench farm` was asked for.
#[cfg(target_os = "linux")]
#[derive(Debug)]
pub struct FarmBenchOptions {
    /// Which farm.
    pub args: crate::args::BenchFarmArgs,
    /// Whether the report is printed as JSON.
    pub json: bool,
}

/// What `tessera bench wire` was asked for.
#[cfg(target_os = "linux")]
#[derive(Debug)]
pub struct WireBenchOptions {
    /// Which farm.
    pub args: crate::args::BenchWireArgs,
    /// Whether the report is printed as JSON.
    pub json: bool,
}

/// What `tessera bench replay` was asked for.
#[cfg(target_os = "linux")]
#[derive(Debug)]
pub struct FarmReplayOptions {
    /// Which farm, and how.
    pub args: crate::args::BenchReplayArgs,
    /// Since when, in milliseconds since 1970.
    pub from_ms: Option<i64>,
    /// Until when.
    pub to_ms: Option<i64>,
    /// Whether the report is printed as JSON.
    pub json: bool,
}

/// How a worker runs jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WorkerMode {
    /// Through the launcher, as other users.
    Service,
    /// Everything as the user who started it.
    Desktop,
}

/// What `tessera worker` was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerOptions {
    /// The folder of the farm; what the daemon keeps is in its `worker` folder.
    pub state: PathBuf,
    /// How it runs jobs.
    pub mode: WorkerMode,
    /// Address of the supervisor, when it is not the one that was joined.
    pub supervisor: Option<String>,
    /// Slots to offer; the number of cores by default.
    pub slots: Option<u32>,
    /// The name this host goes by; its host name by default.
    pub name: Option<String>,
    /// The program `tessera-launch`.
    pub launch: Option<PathBuf>,
    /// The socket of the launcher.
    pub launcher_socket: Option<PathBuf>,
    /// A configuration file other than the default.
    pub config: Option<PathBuf>,
    /// Whether to end when standard input closes: a parent holds it open.
    pub ends_with_parent: bool,
    /// Whether the service manager of Windows has started it.
    pub as_service: bool,
}

/// How a host gets its join token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JoinBy {
    /// From a join string that somebody made with `tessera join-string`.
    String(String),
    /// From the supervisor of this host, over its Unix socket.
    Local {
        /// That socket.
        socket: PathBuf,
    },
}

/// What `tessera join` was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinOptions {
    /// How the token is had.
    pub by: JoinBy,
    /// The folder of the farm on this host.
    pub state: PathBuf,
    /// Whether that is the folder that the worker takes when none is named.
    pub has_usual_state: bool,
    /// The name this host goes by; its host name by default.
    pub name: Option<String>,
    /// Whether the worker will run as the caller: no launcher is set up then.
    pub mode: WorkerMode,
    /// Longest wait for the supervisor.
    pub patience: Duration,
}

/// Which configuration, and what about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigOptions {
    /// What is asked.
    pub what: ConfigQuestion,
    /// The folder of the farm.
    pub state: PathBuf,
    /// Whether the answer is JSON.
    pub json: bool,
}

/// What is asked about the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConfigQuestion {
    /// Whether the files are right: these, or those in the state folder.
    Check(Vec<PathBuf>),
    /// Which values hold.
    Show,
    /// Where the value of a key of this host comes from; every key when none is named.
    Explain(Option<String>),
    /// What a file for all workers sets for a host, and by which section.
    ExplainHost {
        /// The host.
        host: String,
        /// The file.
        file: PathBuf,
        /// The host's system.
        platform: System,
        /// Only this key.
        key: Option<String>,
    },
    /// What Qube!'s files come to as a file for all workers.
    Import {
        /// Qube!'s files.
        files: Vec<PathBuf>,
        /// Where the result goes, if not to standard output.
        out: Option<PathBuf>,
    },
}

/// Whom this desktop lets in, and what about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DesktopOptions {
    /// What is to be done.
    pub what: DesktopChange,
    /// The folder of the farm.
    pub state: PathBuf,
    /// Whether the answer is JSON.
    pub json: bool,
}

/// What is to be done about whom a desktop lets in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DesktopChange {
    /// Let these in, too.
    Allow(Vec<String>),
    /// Let these in no more.
    Deny(Vec<String>),
    /// Say who is let in.
    List,
}
