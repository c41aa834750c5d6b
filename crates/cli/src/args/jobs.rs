//! Arguments of the commands that show jobs.

use clap::{Args, ValueEnum};
use tessera_spec::Selector;

/// Which jobs to list.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tessera jobs                        the newest 50
  tessera jobs --mine --state running
  tessera jobs --name shot_ --all     everything whose name has shot_ in it
  tessera jobs --json                 for programs")]
pub struct JobsArgs {
    /// Of this owner
    #[arg(long, value_name = "ACCOUNT", conflicts_with = "mine")]
    pub user: Option<String>,
    /// Of mine
    #[arg(long)]
    pub mine: bool,
    /// In this state: pending, blocked, waiting, badlogin, running, suspended, complete, failed, killed
    #[arg(long, value_name = "STATE")]
    pub state: Option<String>,
    /// Whose name contains this
    #[arg(long, value_name = "TEXT")]
    pub name: Option<String>,
    /// At most so many
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub limit: u32,
    /// All of them
    #[arg(long, conflicts_with = "limit")]
    pub all: bool,
}

/// Which job to show.
#[derive(Debug, Args)]
pub struct JobArgs {
    /// The job
    #[arg(value_name = "JOB", value_parser = super::job)]
    pub id: u64,
}

/// Which frames to list.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tessera frames 12
  tessera frames 12 --state failed
  tessera frames 12:1-20
  tessera frames 12:7 --attempts      every attempt of frame 7")]
pub struct FramesArgs {
    /// The job 12, or frames 12:1-10
    #[arg(value_name = "TARGET")]
    pub target: Selector,
    /// In this state: pending, blocked, waiting, running, suspended, complete, failed, killed
    #[arg(long, value_name = "STATE")]
    pub state: Option<String>,
    /// Every attempt of the one frame that is named
    #[arg(long)]
    pub attempts: bool,
    /// At most so many
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    pub limit: u32,
    /// All of them
    #[arg(long, conflicts_with = "limit")]
    pub all: bool,
}

/// Which of the two streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Stream {
    /// Standard output
    Out,
    /// Standard error
    Err,
    /// Both, by arrival
    Both,
}

/// What to show of which frame's output.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tessera log 12                      its only frame, or the newest that runs
  tessera log 12:7 -f                 frame 7, and go on while it runs
  tessera log 12:7 --attempt 1 --stream err
  tessera log 12:7 > frame7.log       bytes as they were printed

On a terminal control characters are made harmless, unless --raw is given.")]
pub struct LogArgs {
    /// The job 12, a frame 12:7 or an item 12#3
    #[arg(value_name = "TARGET")]
    pub target: Selector,
    /// Go on as more is printed, until the attempt has ended
    #[arg(short, long)]
    pub follow: bool,
    /// Which stream
    #[arg(long, value_name = "STREAM", default_value = "both")]
    pub stream: Stream,
    /// Of this attempt (default: the newest)
    #[arg(long, value_name = "N")]
    pub attempt: Option<u32>,
    /// Only about the last so many bytes
    #[arg(long, value_name = "BYTES")]
    pub tail: Option<u64>,
    /// Bytes as they were printed, also on a terminal
    #[arg(long)]
    pub raw: bool,
}

/// Whose history.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tessera hist 12
  tessera hist 12 --limit 1000
  tessera hist 12:7           what became of frame 7, and who did it")]
pub struct HistArgs {
    /// The job 12, a frame of it 12:7 or an item 12#3
    #[arg(value_name = "TARGET")]
    pub target: Selector,
    /// At most the last so many entries
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub limit: u32,
}

/// What failed.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tessera errors
  tessera errors --job 12
  tessera retry $(tessera errors --json | jq -r '.groups[0].targets[]')")]
pub struct ErrorsArgs {
    /// Of this job only (default: of all whose output you may read)
    #[arg(long, value_name = "JOB", value_parser = super::job)]
    pub job: Option<u64>,
}

/// What to wait for.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tessera wait 12
  tessera wait 12 13 --timeout 2h && ./publish.sh

Exit code: 0 all complete, 10 one failed, 11 one was killed, 12 time over.")]
pub struct WaitArgs {
    /// Jobs
    #[arg(required = true, value_name = "JOB", value_parser = super::job)]
    pub ids: Vec<u64>,
    /// Give up after so long: 90, 90s, 5m, 2h, 1d
    #[arg(long, value_name = "TIME")]
    pub timeout: Option<String>,
}
