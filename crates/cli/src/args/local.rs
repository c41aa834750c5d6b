//! Arguments of the commands that work on this machine: the worker, diagnostics, the renderer.

#[cfg(target_os = "linux")]
use super::here::DoctorCommand;
use super::install::WorkerCommand;
use clap::{Args, Subcommand, ValueEnum};
use std::path::PathBuf;

/// How to run the worker.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct WorkerArgs {
    /// Something else than to run it.
    #[command(subcommand)]
    pub command: Option<WorkerCommand>,
    /// Everything of the farm on this host goes there (default: /var/lib/tessera, or the XDG state
    /// folder with --desktop)
    #[arg(long, value_name = "DIR")]
    pub state: Option<PathBuf>,
    /// Run every job as the user who starts this, without a launcher
    #[arg(long)]
    pub desktop: bool,
    /// Connect to HOST:PORT instead of the supervisor that was joined
    #[arg(long, value_name = "HOST:PORT")]
    pub connect: Option<String>,
    /// Slots to offer (default: the number of cores)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=4_096))]
    pub slots: Option<u32>,
    /// The name this host goes by (default: its host name)
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// The program tessera-launch (default: beside this program, then in PATH)
    #[arg(long, value_name = "FILE")]
    pub launch: Option<PathBuf>,
    /// The launcher's socket (default: run/launcher.sock in the state folder)
    #[arg(long, value_name = "FILE")]
    pub launcher_socket: Option<PathBuf>,
    /// Configuration (default: worker/worker.toml in the state folder)
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// End when standard input closes
    #[arg(long, hide = true)]
    pub ends_with_parent: bool,
    /// Be the service that the service manager has started
    #[cfg(windows)]
    #[arg(long, hide = true)]
    pub as_service: bool,
}

/// How to enrol this host.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sudo tessera join 'tessera-join:…'
      the string comes from tessera join-string on the farm
  tessera join --desktop 'tessera-join:…'
      this host's worker will run as you, when you run it
  sudo tessera join --local
      the supervisor runs on this host")]
pub struct JoinArgs {
    /// What tessera join-string printed
    #[arg(required_unless_present = "local", value_name = "STRING")]
    pub string: Option<String>,
    /// The supervisor runs here: ask it over its Unix socket
    #[arg(long, conflicts_with = "string")]
    pub local: bool,
    /// The supervisor's socket, with --local (default: run/supervisor.sock in the state folder)
    #[arg(long, value_name = "FILE", requires = "local")]
    pub socket: Option<PathBuf>,
    /// Everything of the farm on this host goes there (default: /var/lib/tessera, or the XDG state folder with --desktop)
    #[arg(long, value_name = "DIR")]
    pub state: Option<PathBuf>,
    /// The name this host goes by (default: its host name)
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// The worker will run as you; nothing is set up for a launcher
    #[arg(long)]
    pub desktop: bool,
}

/// What to look at.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
#[command(after_help = "\
Examples:
  tessera doctor
  sudo tessera doctor identity --as mia
      could a job become mia on this host?")]
pub struct DoctorArgs {
    /// The farm's folder on this host
    #[arg(long, value_name = "DIR")]
    pub state: Option<PathBuf>,
    /// The program tessera-launch (default: beside this program, then in PATH)
    #[cfg(target_os = "linux")]
    #[arg(long, value_name = "FILE")]
    pub launch: Option<PathBuf>,
    /// Something in particular.
    #[cfg(target_os = "linux")]
    #[command(subcommand)]
    pub command: Option<DoctorCommand>,
}

/// What to do with the configuration.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Read the files and say what is wrong, with file and line
    #[command(after_help = "\
Examples:
  tessera config check                      the files of this host
  tessera config check workers.toml         a file for all workers")]
    Check {
        /// Files (default: those of the state folder); one with 'workers' in its name is for all workers
        files: Vec<PathBuf>,
        /// The farm's folder on this host
        #[arg(long, value_name = "DIR")]
        state: Option<PathBuf>,
    },
    /// Print the values that hold
    Show {
        /// The farm's folder on this host
        #[arg(long, value_name = "DIR")]
        state: Option<PathBuf>,
    },
    /// Say where each value comes from: a file and line, or the default
    #[command(after_help = "\
Examples:
  tessera config explain                    every key of this host
  tessera config explain --key worker_cpus
  tessera config explain rnd001             what the supervisor knows of it
  tessera config explain rnd001 --file workers.toml
      what a file for all workers sets for it, and by which section

A worker reads the host's own worker.toml when it starts: a change of it holds
from then on (a restart of the worker ends no job on Linux). What workers.toml
sets is told with tessera reconfigure.")]
    Explain {
        /// Another host, as the supervisor knows it (default: this one, from its files)
        host: Option<String>,
        /// What this file for all workers sets for the host, whatever the supervisor knows
        #[arg(long, value_name = "FILE", requires = "host", conflicts_with = "state")]
        file: Option<PathBuf>,
        /// The host's system, with --file
        #[arg(
            long,
            value_name = "SYSTEM",
            requires = "file",
            default_value = "linux"
        )]
        platform: System,
        /// Only this key
        #[arg(long, value_name = "KEY")]
        key: Option<String>,
        /// The farm's folder on this host
        #[arg(long, value_name = "DIR")]
        state: Option<PathBuf>,
    },
    /// Make a file for all workers of Qube!'s qb.conf and qbwrk.conf, and list what can't be carried over
    #[command(after_help = "\
Examples:
  tessera config import /etc/qbwrk.conf > workers.toml
  tessera config import qb.conf qbwrk.conf --out workers.toml
      the later file goes before the earlier one")]
    Import {
        /// Qube!'s files, in this order
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// Write the result there, where nothing may be yet (default: standard output)
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
}

/// A kind of system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[expect(missing_docs, reason = "names of systems")]
pub enum System {
    Linux,
    Windows,
    Macos,
}

impl System {
    /// Answers the word for it: what a host of that system says as `host.os`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Linux => "linux",
            Self::Windows => "windows",
            Self::Macos => "macos",
        }
    }
}

/// A shell that has completions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[expect(missing_docs, reason = "names of shells")]
pub enum Shell {
    Bash,
    Elvish,
    Fish,
    #[value(name = "powershell")]
    PowerShell,
    Zsh,
}

/// A frame to render.
#[derive(Debug, Args)]
pub struct RenderArgs {
    /// Number of the frame, from 1
    #[arg(long, value_name = "N")]
    pub frame: u32,
    /// Number of frames of the animation
    #[arg(long, value_name = "N", default_value_t = 24, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub frames: u32,
    /// Width in pixels
    #[arg(long, value_name = "PIXELS", default_value_t = 320, value_parser = clap::value_parser!(u32).range(1..=4_096))]
    pub width: u32,
    /// Height in pixels
    #[arg(long, value_name = "PIXELS", default_value_t = 240, value_parser = clap::value_parser!(u32).range(1..=4_096))]
    pub height: u32,
    /// The PNG file to write
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
}

/// A sheet to lay out.
#[derive(Debug, Args)]
pub struct SheetArgs {
    /// The folder with the images
    pub dir: PathBuf,
    /// The PNG file to write
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// Images a row (default: about as many as rows)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub columns: Option<u32>,
    /// Width of each image in pixels
    #[arg(long, value_name = "PIXELS", default_value_t = 160, value_parser = clap::value_parser!(u32).range(8..=1_024))]
    pub width: u32,
}
