//! Arguments of the commands about locks of hosts.

use clap::{Args, ValueEnum};

/// What becomes of what runs when somebody comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum RunningThen {
    /// It goes on to its end
    Keep,
    /// It is stopped, and goes on when nobody is active
    Suspend,
    /// It is ended and put back; no retry is used
    Requeue,
}

impl RunningThen {
    /// Answers the API's word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Keep => "keep",
            Self::Suspend => "suspend",
            Self::Requeue => "requeue",
        }
    }
}

/// Which hosts to lock, and when.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tessera lock rnd001             what runs ends by itself, nothing new comes
  tessera lock rnd001 --for 2h --note 'new disks'
  tessera lock ws17 --slots 1-6   its other slots go on taking work
  tessera lock rnd001 --purge     what runs is put back at once
  tessera lock ws17 --weekly 'mon-fri 09:00-18:00; sat 10-14 slots 1-4 purge'
      each week, by the clock of that host; --weekly '' takes it back
  tessera lock ws17 --while-active
      only while somebody works at it; it takes work when idle for 10 minutes
  tessera lock ws17 --while-active --idle-minutes 30 --running suspend

tessera unlock takes any of these back. What the host's own configuration says
(worker_lock_schedule, desktop_lock_while_active) holds besides.")]
pub struct LockArgs {
    /// Names or ids
    #[arg(required = true, value_name = "HOST")]
    pub hosts: Vec<String>,
    /// How it is to be locked.
    #[command(flatten)]
    pub how: LockHow,
    /// Each week at these hours of the host's own clock: 'mon-fri 09:00-18:00; …'
    #[arg(long, value_name = "WHEN", conflicts_with_all = ["slots", "purge", "for_", "until", "note", "while_active"])]
    pub weekly: Option<String>,
    /// Only while somebody is active at the host
    #[arg(long, conflicts_with_all = ["slots", "purge", "for_", "until", "note"])]
    pub while_active: bool,
    /// Unlock when nobody has touched it for so long (default: 10)
    #[arg(long, value_name = "N", requires = "while_active", value_parser = clap::value_parser!(u32).range(1..=1_440))]
    pub idle_minutes: Option<u32>,
    /// What becomes of what runs when somebody comes (default: keep)
    #[arg(long, value_name = "WHAT", requires = "while_active")]
    pub running: Option<RunningThen>,
}

/// How hosts are to be locked.
#[derive(Debug, Clone, Default, Args)]
pub struct LockHow {
    /// Only these slots, by number: 1-4,7 (default: all)
    #[arg(long, value_name = "SLOTS")]
    pub slots: Option<String>,
    /// End what runs and put it back at once; no retry is used
    #[arg(long)]
    pub purge: bool,
    /// For so long: 90m, 2h, 3d (default: until somebody unlocks it)
    #[arg(
        long = "for",
        id = "for_",
        value_name = "TIME",
        conflicts_with = "until"
    )]
    pub for_: Option<String>,
    /// Until then, in your time zone: '18:00' or '2026-12-24 18:00'
    #[arg(long, value_name = "WHEN")]
    pub until: Option<String>,
    /// Why, for others
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub note: String,
}

/// Which hosts to empty.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tessera drain rnd001 --wait     returns when nothing runs there any more
  tessera drain rnd001 --purge --wait
      what runs is put back at once

It is a lock: nothing new comes, and what runs ends by itself. An event
host.drained tells when the host is empty. tessera unlock takes it back.")]
pub struct DrainArgs {
    /// Names or ids
    #[arg(required = true, value_name = "HOST")]
    pub hosts: Vec<String>,
    /// End what runs and put it back at once; no retry is used
    #[arg(long)]
    pub purge: bool,
    /// Wait until nothing runs there any more
    #[arg(long)]
    pub wait: bool,
    /// Wait at most so long: 90s, 5m, 2h (exit code 12)
    #[arg(long, value_name = "TIME", requires = "wait")]
    pub timeout: Option<String>,
    /// Why, for others
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub note: String,
}

/// Which hosts to unlock.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tessera unlock rnd001
  tessera unlock rnd001 --slots 1-2

All of it: what was ordered by calendar or while somebody is active goes, too.")]
pub struct UnlockArgs {
    /// Names or ids
    #[arg(required = true, value_name = "HOST")]
    pub hosts: Vec<String>,
    /// Only these slots, by number: 1-4,7
    #[arg(long, value_name = "SLOTS")]
    pub slots: Option<String>,
}
