//! Arguments of `submit` and `resubmit`. The options have Qube!'s names.

use clap::{ArgAction, Args};
use tessera_model::gpu::GPUS_MAX;

/// A job to submit.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tessera submit -- sleep 60
      one command, run once
  tessera submit --range 1-100 -- blender -b shot.blend -f QB_FRAME_NUMBER
      a hundred frames, one process each
  tessera submit --range 1-240 --chunk 10 --cpus 4 --priority 50 \\
      --name shot_010 -- Render -s QB_FRAME_START -e QB_FRAME_END shot.ma
      ten frames a process, at most four at a time
  tessera submit --range 1-48 --binary --padding 4 -- ./frame.sh QB_FRAME_NUMBER
      first, last, then the middles; frames are written 0001, 0002 …
  tessera submit --after 12 -- ./make-movie.sh
      after job 12 has completed
  tessera submit --after 12:frames --range 1-100 -- ./comp QB_FRAME_NUMBER
      frame by frame: each after the same frame of job 12
  tessera submit --after '12:done && (13 || 14:failed)' -- ./tidy.sh
      when 12 has ended in any way, and 13 is complete or 14 has failed
  tessera submit --wait --range=-10-10 -- ./render QB_FRAME_NUMBER
      stay and show a progress bar; the exit code says how the job ended

Ranges: 1   1-100   1-100x3   100-1   1,5,9-12   -10-10
Tokens in the command, and variables of the same names: QB_FRAME_NUMBER,
QB_FRAME_START, QB_FRAME_END, QB_FRAME_STEP, QB_FRAME_RANGE.
Times: 90, 90s, 5m, 2h, 1d. Sizes: 64K, 256M, 2G.")]
pub struct SubmitArgs {
    /// The command and its arguments; no shell is involved
    #[arg(required = true, last = true, value_name = "COMMAND")]
    pub command: Vec<String>,
    /// What the job is.
    #[command(flatten)]
    pub job: JobFields,
    /// Run the command by a shell: its parts are joined by spaces
    #[arg(long, value_name = "PATH", num_args = 0..=1, default_missing_value = "/bin/sh")]
    #[arg(require_equals = true, help_heading = "Command")]
    pub shell: Option<String>,
    /// Submitted twice with the same key, the job exists once (default: a new key each time)
    #[arg(long, value_name = "TEXT", help_heading = "Submission")]
    pub key: Option<String>,
    /// Own the job as another account (needs the right to)
    #[arg(long, value_name = "ACCOUNT", help_heading = "Submission")]
    pub user: Option<String>,
    /// Check everything and submit nothing
    #[arg(long, help_heading = "Submission")]
    pub dry_run: bool,
    /// Whether to stay.
    #[command(flatten)]
    pub wait: WaitOptions,
}

/// A job to submit again.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tessera resubmit 12
  tessera resubmit 12 --range 50-60 --priority 10
  tessera resubmit 12 --wait -- ./render --samples 256 QB_FRAME_NUMBER

What is not named stays as it was in the old job.")]
pub struct ResubmitArgs {
    /// The old job
    #[arg(value_name = "JOB", value_parser = super::job)]
    pub id: u64,
    /// Another command and its arguments (default: the old one)
    #[arg(last = true, value_name = "COMMAND")]
    pub command: Vec<String>,
    /// What shall be different.
    #[command(flatten)]
    pub job: JobFields,
    /// Whether to stay.
    #[command(flatten)]
    pub wait: WaitOptions,
}

/// The fields of a job.
#[derive(Debug, Default, Args)]
pub struct JobFields {
    /// Name for people (default: the command's file name)
    #[arg(long, value_name = "TEXT", help_heading = "Job")]
    pub name: Option<String>,
    /// Who goes first: 1 (first) to 9999 (default: 9999)
    #[arg(
        long,
        value_name = "N",
        allow_hyphen_values = true,
        value_parser = super::priority,
        help_heading = "Job"
    )]
    pub priority: Option<i64>,
    /// Number of instances: how many of its frames run at once (default: 1)
    #[arg(
        long,
        value_name = "N",
        allow_hyphen_values = true,
        help_heading = "Job"
    )]
    pub cpus: Option<i64>,
    /// Number of instances where nobody else wants the room: a number, '*' for as many as the farm allows, 0 for no more than --cpus
    #[arg(
        long,
        value_name = "N",
        allow_hyphen_values = true,
        value_parser = super::max_cpus,
        help_heading = "Job"
    )]
    pub max_cpus: Option<i64>,
    /// Begin as: pending or blocked (default: pending)
    #[arg(long, value_name = "STATE", help_heading = "Job")]
    pub status: Option<String>,
    /// Begin after these jobs have completed
    #[arg(long, value_name = "JOBS", help_heading = "Job")]
    pub waitfor: Vec<String>,
    /// Begin after this: 12, 12:frames, 12:done, render && (13 || 14.0:failed); Qube!'s link-complete-work-12 too
    #[arg(long, value_name = "WHAT", help_heading = "Job")]
    pub after: Option<String>,
    /// Its name in its process group, by which others of the group wait for it
    #[arg(long, value_name = "NAME", help_heading = "Job")]
    pub label: Option<String>,
    /// Join the process group of this job
    #[arg(
        long,
        value_name = "JOB",
        allow_hyphen_values = true,
        help_heading = "Job"
    )]
    pub pgrp: Option<i64>,
    /// Write mail when it is done, failed, killed, blocked, stranded, badlogin, or at frame_failed
    #[arg(long, value_name = "WHEN", help_heading = "Job")]
    pub mail: Vec<String>,
    /// Write it to this address instead of yours
    #[arg(long, value_name = "ADDRESS", help_heading = "Job")]
    pub mail_to: Option<String>,
    /// Tell a webhook of the farm's: CHANNEL=WHEN, for instance chat=done,failed
    #[arg(long, value_name = "CHANNEL=WHEN", help_heading = "Job")]
    pub webhook: Vec<String>,
    /// Free text
    #[arg(long, value_name = "TEXT", help_heading = "Job")]
    pub notes: Option<String>,

    /// Frames: 1-100, 1-100x3, 100-1, 1,5,9; with a leading minus as --range=-5-5
    #[arg(
        long,
        value_name = "RANGE",
        allow_hyphen_values = true,
        help_heading = "Frames"
    )]
    pub range: Option<String>,
    /// Frames that one process does (default: 1)
    #[arg(
        long,
        value_name = "N",
        allow_hyphen_values = true,
        help_heading = "Frames"
    )]
    pub chunk: Option<i64>,
    /// Cut the range into so many parts (instead of --chunk)
    #[arg(
        long,
        value_name = "N",
        allow_hyphen_values = true,
        help_heading = "Frames"
    )]
    pub partitions: Option<i64>,
    /// Least number of digits of a frame number, 0 to 20 (default: 0)
    #[arg(
        long,
        value_name = "N",
        allow_hyphen_values = true,
        help_heading = "Frames"
    )]
    pub padding: Option<i64>,
    /// Last frame first
    #[arg(long, conflicts_with = "binary", help_heading = "Frames")]
    pub reverse: bool,
    /// First, last, then the middles: problems show early
    #[arg(long, help_heading = "Frames")]
    pub binary: bool,

    /// Set a variable for the job; repeat for more
    #[arg(long, value_name = "NAME=VALUE", help_heading = "Command")]
    pub env: Vec<String>,
    /// Give the job your whole environment, but for what the host sets
    #[arg(long, help_heading = "Command")]
    pub export_env: bool,
    /// Working directory on the hosts (default: where you are)
    #[arg(long, value_name = "DIR", help_heading = "Command")]
    pub cwd: Option<String>,
    /// File mode mask, octal (default: yours)
    #[arg(long, value_name = "MASK", help_heading = "Command")]
    pub umask: Option<String>,
    /// Flags of the job: convert_path (each host converts the paths in the command by its table), uninterruptible (no other job
    /// takes its hosts from it), elite (before all others, at once; for administrators), host_list (once on each host that is there
    /// and may run it), grid (all its instances start at once, or none)
    #[arg(long, value_name = "LIST", help_heading = "Command")]
    pub flags: Vec<String>,
    /// The same as --flags convert_path
    #[arg(long, help_heading = "Command")]
    pub convert_path: bool,

    /// What each instance takes of its host (default: host.processors=1): host.processors=2,host.memory=8G; of slots also 2+ (all
    /// that are free), 2-4 (up to 4 of them), all or 2* (a host to itself, with 2 at least)
    #[arg(long, value_name = "LIST", help_heading = "Hosts")]
    pub reservations: Option<String>,
    /// GPUs that each instance has to itself (the same as --reservations host.gpus=N)
    #[arg(long, value_name = "N", help_heading = "Hosts", value_parser = clap::value_parser!(u32).range(1..=GPUS_MAX as i64))]
    pub gpus: Option<u32>,
    /// Memory that each instance takes of its host: 8G (the same as --reservations host.memory=8G), or learnt: what your earlier
    /// jobs with this command took, and a fifth more
    #[arg(long, value_name = "SIZE", help_heading = "Hosts")]
    pub memory: Option<String>,
    /// Only on these hosts
    #[arg(long, value_name = "LIST", help_heading = "Hosts")]
    pub hosts: Vec<String>,
    /// Never on these hosts
    #[arg(long, value_name = "LIST", help_heading = "Hosts")]
    pub omithosts: Vec<String>,
    /// Clusters that the job is in (default: /): /show/sequence,/other+
    #[arg(long, value_name = "LIST", help_heading = "Hosts")]
    pub cluster: Option<String>,
    /// Only in these clusters: "/a || /b/* || /c/+"
    #[arg(long, value_name = "LIST", help_heading = "Hosts")]
    pub restrictions: Option<String>,
    /// Only where this holds: 'host.memory >= 64G'
    #[arg(long, value_name = "EXPR", help_heading = "Hosts")]
    pub requirements: Option<String>,
    /// Host to pick first: +host.memory,-host.cpus
    #[arg(
        long,
        alias = "hostorder",
        value_name = "LIST",
        allow_hyphen_values = true,
        help_heading = "Hosts"
    )]
    pub host_order: Option<String>,
    /// Only on hosts in one of these groups
    #[arg(long, value_name = "LIST", help_heading = "Hosts")]
    pub groups: Vec<String>,
    /// Never on hosts in one of these groups
    #[arg(long, value_name = "LIST", help_heading = "Hosts")]
    pub omitgroups: Vec<String>,

    /// Run a failed frame again so many times (default: 0)
    #[arg(
        long,
        value_name = "N",
        allow_hyphen_values = true,
        help_heading = "Retries and limits"
    )]
    pub retrywork: Option<i64>,
    /// Pause before that (default: 0s)
    #[arg(
        long,
        value_name = "TIME",
        allow_negative_numbers = true,
        help_heading = "Retries and limits"
    )]
    pub retryworkdelay: Option<String>,
    /// Start a failed instance again so many times (default: 0)
    #[arg(
        long,
        value_name = "N",
        allow_hyphen_values = true,
        help_heading = "Retries and limits"
    )]
    pub retrysubjob: Option<i64>,
    /// Begin nothing more once so many frames failed, and be failed; 0: go on whatever fails (default: 0)
    #[arg(
        long,
        value_name = "N",
        allow_hyphen_values = true,
        help_heading = "Retries and limits"
    )]
    pub max_failures: Option<i64>,
    /// Run a frame that ran out of its memory again so many times, each with half as much again (default: 3)
    #[arg(
        long,
        value_name = "N",
        allow_hyphen_values = true,
        help_heading = "Retries and limits"
    )]
    pub retry_oom: Option<i64>,
    /// Run at most so many instances of all jobs of its process group at once (default: no limit)
    #[arg(
        long,
        value_name = "N",
        allow_hyphen_values = true,
        help_heading = "Retries and limits"
    )]
    pub pgrp_limit: Option<i64>,
    /// Run at most so many of its instances on one host (default: no limit)
    #[arg(
        long,
        value_name = "N",
        allow_hyphen_values = true,
        help_heading = "Retries and limits"
    )]
    pub per_host: Option<i64>,
    /// Start its instances no quicker than that: 5/s, 10/min, 3/30s (default: none)
    #[arg(long, value_name = "RATE", help_heading = "Retries and limits")]
    pub start_rate: Option<String>,
    /// End an instance that runs longer (default: none)
    #[arg(
        long,
        value_name = "TIME",
        allow_negative_numbers = true,
        help_heading = "Retries and limits"
    )]
    pub timelimit: Option<String>,
    /// End a frame that runs longer (default: none)
    #[arg(
        long,
        value_name = "TIME",
        allow_negative_numbers = true,
        help_heading = "Retries and limits"
    )]
    pub agendatimelimit: Option<String>,
    /// End a frame that prints nothing for so long (default: none)
    #[arg(
        long,
        value_name = "TIME",
        allow_negative_numbers = true,
        help_heading = "Retries and limits"
    )]
    pub silence_limit: Option<String>,
    /// Time between the polite signal and the kill (default: 30s)
    #[arg(
        long,
        value_name = "TIME",
        allow_negative_numbers = true,
        help_heading = "Retries and limits"
    )]
    pub grace: Option<String>,
    /// Keep at most so much of each stream of a frame (default: 256M)
    #[arg(long, value_name = "SIZE", help_heading = "Retries and limits")]
    pub output_limit: Option<String>,
    /// Pattern whose first group is the progress in percent
    #[arg(long, value_name = "REGEX", help_heading = "Retries and limits")]
    pub progress: Option<String>,
}

/// Whether to stay until the job has ended.
#[derive(Debug, Default, Args)]
pub struct WaitOptions {
    /// Stay until the job has ended, with a progress bar on a terminal
    #[arg(long, action = ArgAction::SetTrue, help_heading = "Submission")]
    pub wait: bool,
    /// With --wait: give up after so long (exit code 12); the job goes on
    #[arg(
        long,
        value_name = "TIME",
        requires = "wait",
        help_heading = "Submission"
    )]
    pub timeout: Option<String>,
}
