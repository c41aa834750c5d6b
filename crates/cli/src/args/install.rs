//! Arguments of the commands that have the daemons of this host started.

use clap::{Args, Subcommand, ValueEnum};
use std::path::PathBuf;

/// Where a worker of this host is, or is to be.
#[derive(Debug, Clone, Args)]
pub struct WorkerPlace {
    /// The farm's folder of the service (default: /var/lib/tessera)
    #[arg(long, value_name = "DIR")]
    pub state: Option<PathBuf>,
    /// The farm's folder of the desktop worker (default: the XDG state folder)
    #[arg(long, value_name = "DIR")]
    pub desktop_state: Option<PathBuf>,
    #[cfg(not(windows))]
    /// As root: whose desktop is meant (default: who is behind sudo)
    #[arg(long, value_name = "NAME")]
    pub user: Option<String>,
    #[cfg(not(target_os = "macos"))]
    /// The program tessera-launch (default: beside this program, then in PATH)
    #[arg(long, value_name = "FILE")]
    pub launch: Option<PathBuf>,
}

/// How a worker exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum InstallMode {
    /// From boot on; frames run as their owners, or as the proxy account
    Service,
    /// While a person is logged in; frames run as that person and reach the screen
    Desktop,
}

/// What to do with the worker of this host.
#[derive(Debug, Subcommand)]
pub enum WorkerCommand {
    /// Have the worker started from now on, and start it
    Install(WorkerInstallArgs),
    /// Change between service and desktop, whole or not at all
    SetMode(WorkerSetModeArgs),
    /// Say in which mode a worker is installed here, and whether it runs
    Status(WorkerStatusArgs),
    /// Stop the worker, and have it started no more
    Uninstall(WorkerUninstallArgs),
    #[cfg(not(windows))]
    /// Do a part of a switch as the person whose desktop it is
    #[command(hide = true)]
    Part(PartArgs),
}

/// How to install a worker.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sudo tessera worker install --mode service
      launcher and worker start at boot; jobs run as their owners
  tessera worker install --mode desktop
      the worker starts when you log in; jobs run as you
  sudo tessera worker install --mode service --dry-run

Everything that it does is printed. Run again it brings the files up to date;
no frame ends by that. The accounts are made without a password.")]
pub struct WorkerInstallArgs {
    /// When the worker runs, and as whom
    #[arg(long, value_name = "MODE")]
    pub mode: InstallMode,
    /// Where it is.
    #[command(flatten)]
    pub place: WorkerPlace,
    /// Say what would be done, and do nothing
    #[arg(long)]
    pub dry_run: bool,
}

/// How to change the mode.
#[derive(Debug, Args)]
#[command(group(clap::ArgGroup::new("running").required(true).args(["wait", "now"])))]
#[command(after_help = "\
Examples:
  sudo tessera worker set-mode desktop --wait
  sudo tessera worker set-mode service --now --user mia
  sudo tessera worker set-mode desktop --wait --dry-run

In this order: what runs is waited for or ended, the new mode is written, the
old one is stopped, the new one started and looked at until it is steady. If
any of that fails, everything is as it was before.")]
pub struct WorkerSetModeArgs {
    /// The mode from now on
    #[arg(value_name = "MODE")]
    pub mode: InstallMode,
    /// Wait for what runs; the host is locked meanwhile, if you may do that
    #[arg(long)]
    pub wait: bool,
    /// End what runs; the farm runs it again, and no retry is used up
    #[arg(long)]
    pub now: bool,
    /// Where it is.
    #[command(flatten)]
    pub place: WorkerPlace,
    /// Say what would be done, and do nothing
    #[arg(long)]
    pub dry_run: bool,
}

/// Which worker to look at.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tessera worker status
  sudo tessera worker status --json

Ends with 0 when a worker runs, else with 6.")]
pub struct WorkerStatusArgs {
    /// Where it is.
    #[command(flatten)]
    pub place: WorkerPlace,
}

/// Which worker to remove.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sudo tessera worker uninstall --mode service --wait
  tessera worker uninstall --mode desktop --now

Accounts, folders and the enrolment stay; sudo tessera uninstall removes those.")]
pub struct WorkerUninstallArgs {
    /// Which of them
    #[arg(long, value_name = "MODE")]
    pub mode: InstallMode,
    /// Wait for what runs; the host is locked meanwhile, if you may do that
    #[arg(long, conflicts_with = "now")]
    pub wait: bool,
    /// End what runs; the farm runs it again, and no retry is used up
    #[arg(long)]
    pub now: bool,
    /// Where it is.
    #[command(flatten)]
    pub place: WorkerPlace,
    /// Say what would be done, and do nothing
    #[arg(long)]
    pub dry_run: bool,
}

#[cfg(not(windows))]
/// A part of a switch that is done as the person whose desktop it is.
#[derive(Debug, Args)]
pub struct PartArgs {
    /// Which part
    pub part: WorkerPart,
    /// The farm's folder of the desktop worker
    #[arg(long, value_name = "DIR")]
    pub state: Option<PathBuf>,
    #[cfg(target_os = "linux")]
    /// The program tessera-launch
    #[arg(long, value_name = "FILE")]
    pub launch: Option<PathBuf>,
}

#[cfg(not(windows))]
/// The parts of a switch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[expect(missing_docs, reason = "named for what they do")]
pub enum WorkerPart {
    Check,
    Joined,
    Installed,
    Running,
    Count,
    End,
    Diagnose,
    Prepare,
    Start,
    Stop,
    Restore,
    Remove,
}

#[cfg(target_os = "linux")]
/// What to do with the supervisor of this host.
#[derive(Debug, Subcommand)]
pub enum SupervisorCommand {
    /// Have the supervisor started at boot, and start it
    #[command(after_help = "\
Examples:
  sudo tessera supervisor install
  sudo tessera supervisor install --dry-run")]
    Install {
        /// Where it is.
        #[command(flatten)]
        place: SupervisorPlace,
        /// Say what would be done, and do nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// Stop the supervisor, and have it started no more; jobs and keys stay
    Uninstall {
        /// Where it is.
        #[command(flatten)]
        place: SupervisorPlace,
        /// Say what would be done, and do nothing
        #[arg(long)]
        dry_run: bool,
    },
}

#[cfg(target_os = "linux")]
/// Where a supervisor of this host is, or is to be.
#[derive(Debug, Clone, Args)]
pub struct SupervisorPlace {
    /// The farm's folder (default: /var/lib/tessera)
    #[arg(long, value_name = "DIR")]
    pub state: Option<PathBuf>,
    /// The program tessera-launch (default: beside this program, then in PATH)
    #[arg(long, value_name = "FILE")]
    pub launch: Option<PathBuf>,
}
