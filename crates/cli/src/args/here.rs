//! Arguments of the commands that run a farm on this machine, or look at one: the demo, the supervisor, measuring.

use super::install::SupervisorCommand;
use clap::{Args, Subcommand, ValueEnum};
use std::net::SocketAddr;
use std::path::PathBuf;
use tessera_api::PORT_DEFAULT;

/// What draws the demo's frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Renderer {
    /// Blender, Cycles on the CPU
    Blender,
    /// POV-Ray
    Povray,
    /// Our own small ray tracer
    Own,
}

/// What the demo does.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tessera demo
  tessera demo --renderer own --frames 48
  tessera demo --keep shots       the images go to the folder shots
  sudo tessera demo               daemons under own accounts, frames as you

The farm lives in a temporary folder and goes away at the end; the images stay.
Ctrl-C ends it and leaves nothing.")]
pub struct DemoArgs {
    /// What draws (default: Blender if it is installed, else POV-Ray, else our own)
    #[arg(long, value_name = "NAME")]
    pub renderer: Option<Renderer>,
    /// Number of frames, 1 to 1000
    #[arg(long, value_name = "N", default_value_t = 24, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub frames: u32,
    /// Put the images there: a new or empty folder (default: a new one in the temporary folder)
    #[arg(long, value_name = "DIR")]
    pub keep: Option<PathBuf>,
    /// Slots of the worker (default: the number of cores)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=256))]
    pub slots: Option<u32>,
    /// The program tessera-launch (default: beside this program, then in PATH)
    #[arg(long, value_name = "FILE")]
    pub launch: Option<PathBuf>,
}

/// How to run a farm here.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tessera up                      as yourself: jobs run as you
  sudo tessera up                 as a service would: jobs run as their owners

Ctrl-C ends the daemons; frames that run go on and are picked up at the next
start. A second Ctrl-C does not wait for the daemons to say goodbye.
Other hosts can join when it listens for them: --listen 0.0.0.0:7433")]
pub struct UpArgs {
    /// Everything of the farm goes there (default: /var/lib/tessera as root, else the XDG state folder)
    #[arg(long, value_name = "DIR")]
    pub state: Option<PathBuf>,
    /// Where the supervisor listens for other hosts
    #[arg(long, value_name = "ADDRESS", default_value_t = SocketAddr::from(([127, 0, 0, 1], PORT_DEFAULT)))]
    pub listen: SocketAddr,
    /// Slots of the worker (default: the number of cores)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=4_096))]
    pub slots: Option<u32>,
    /// The program tessera-launch (default: beside this program, then in PATH)
    #[arg(long, value_name = "FILE")]
    pub launch: Option<PathBuf>,
}

/// How to run the supervisor.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct SupervisorArgs {
    /// Something else than to run it.
    #[command(subcommand)]
    pub command: Option<SupervisorCommand>,
    /// Everything of the farm goes there (default: /var/lib/tessera as root or a service's account,
    /// else the XDG state folder)
    #[arg(long, value_name = "DIR")]
    pub state: Option<PathBuf>,
    /// Where workers and clients connect; port 0: any free one (default: every address, port 7433)
    #[arg(long, value_name = "ADDRESS")]
    pub listen: Option<SocketAddr>,
    /// The Unix socket for clients here (default: run/supervisor.sock in the state folder)
    #[arg(long, value_name = "FILE")]
    pub socket: Option<PathBuf>,
    /// Configuration (default: supervisor.toml in the state folder)
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// End when standard input closes
    #[arg(long, hide = true)]
    pub ends_with_parent: bool,
}

/// Something in particular to look at.
#[derive(Debug, Subcommand)]
pub enum DoctorCommand {
    /// Say whether jobs can become an account here, and why not
    Identity {
        /// The account
        #[arg(long = "as", value_name = "ACCOUNT")]
        account: String,
        /// The farm's folder on this host
        #[arg(long, value_name = "DIR")]
        state: Option<PathBuf>,
        /// The program tessera-launch
        #[arg(long, value_name = "FILE")]
        launch: Option<PathBuf>,
    },
}

/// What to measure.
#[derive(Debug, Subcommand)]
pub enum BenchCommand {
    /// Frames of /bin/true through a farm of its own, beside xargs
    Local(BenchLocalArgs),
    /// A whole farm in this process: the real supervisor, hosts that are made up
    Farm(BenchFarmArgs),
    /// What a real farm ran, once more: with other settings, or other hosts
    Replay(BenchReplayArgs),
    /// A supervisor of its own over sockets: hosts that are made up join and connect
    Wire(BenchWireArgs),
}

/// How to measure.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sudo tessera bench local
  sudo tessera bench local --frames 2000 --rounds 3 --json

As root the frames pass the launcher and run as another user, as in service.")]
pub struct BenchLocalArgs {
    /// Frames a side and round
    #[arg(long, value_name = "N", default_value_t = 20_000, value_parser = clap::value_parser!(u32).range(10..=1_000_000))]
    pub frames: u32,
    /// Rounds; the median counts
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=99))]
    pub rounds: u32,
    /// Slots, and processes of xargs at once (default: the number of cores)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=256))]
    pub slots: Option<u32>,
    /// Frames of the second figure, in which each passes the launcher (default: a tenth)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub single: Option<u32>,
    /// Submissions of one frame each for the latency figures
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub probes: u32,
    /// The account that frames run as, when run by root (default: who is behind sudo, else tessera-job)
    #[arg(long = "as", value_name = "ACCOUNT")]
    pub account: Option<String>,
    /// Write the figures as JSON to this file, too
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// The program tessera-launch (default: beside this program, then in PATH)
    #[arg(long, value_name = "FILE")]
    pub launch: Option<PathBuf>,
}

/// What happens on the farm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum BenchScenario {
    /// A full queue, and all hosts come at once
    ColdStart,
    /// A full queue, frames end and the next begin
    SteadyState,
    /// Jobs of one frame come all the time
    SmallJobs,
    /// Some jobs want whole hosts, many want a slot
    WideJobs,
    /// Jobs reserve memory, hosts have different amounts of it
    MemoryMix,
    /// Half of the jobs need a licence, and there is one for each eighth slot
    Licences,
    /// For a while most frames fail at once, and are retried
    FailureStorm,
    /// The supervisor is killed and reads its store again
    Restart,
    /// Half of the hosts vanish for longer than the farm waits, and come back
    HalfLost,
    /// A hundred users want everything at once
    Users,
}

/// Where the supervisor of the benchmark keeps what it knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum BenchStore {
    /// A file, each transaction flushed to the disk, as in service
    Sqlite,
    /// Nothing is kept, to see what the store costs
    Nothing,
}

/// Which farm to run.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tessera bench farm --scenario steady-state
  tessera bench farm --scenario cold-start --hosts 1553 --slots 37 --out report
  tessera bench farm --scenario restart --hosts 1000 --frames 10000000 --json

The time of the farm is made up, so hours take seconds; what the supervisor does
in it is measured. The same seed gives the same decisions.")]
pub struct BenchFarmArgs {
    /// What happens
    #[arg(long, value_name = "NAME", default_value = "steady-state")]
    pub scenario: BenchScenario,
    /// Hosts
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub hosts: u32,
    /// Slots of each
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=256))]
    pub slots: u32,
    /// Frames
    #[arg(long, value_name = "M", default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    pub frames: u32,
    /// Frames of each job
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub job_frames: u32,
    /// End the run after so many frames (default: as many as the scenario needs)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    pub ends: Option<u32>,
    /// Where chance begins
    #[arg(long, value_name = "S", default_value_t = 1)]
    pub seed: u64,
    /// Where the supervisor keeps what it knows
    #[arg(long, value_name = "STORE", default_value = "sqlite")]
    pub store: BenchStore,
    /// Where the farm's folder is made, and removed again
    #[arg(long, value_name = "DIR", default_value = "/var/tmp")]
    pub folder: PathBuf,
    /// Real minutes after which the run is cut short
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=1_440))]
    pub minutes: u32,
    /// Copy the store to this file at the end, e.g. for tessera bench replay
    #[arg(long, value_name = "FILE")]
    pub keep: Option<PathBuf>,
    /// Of a hundred hosts so many may be emptied at once for wide jobs (supervisor_wide_hosts)
    #[arg(long, value_name = "PERCENT", default_value_t = 10, value_parser = clap::value_parser!(u32).range(0..=50))]
    pub wide_hosts: u32,
    /// Write the report to NAME.json and NAME.html
    #[arg(long, value_name = "NAME")]
    pub out: Option<PathBuf>,
}

/// How large the farm is, and what it is given.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tessera bench wire
  tessera bench wire --hosts 1553 --slots 37
  tessera bench wire --hosts 10000 --slots 1 --queued 10000000 --json

Hosts connect over TLS and say what workers say; they run nothing. Everything is
on this machine, so what the hosts cost lowers the figures. Not as root: the
supervisor runs as who starts it.")]
pub struct BenchWireArgs {
    /// Hosts
    #[arg(long, value_name = "N", default_value_t = 200)]
    pub hosts: u32,
    /// Slots of each
    #[arg(long, value_name = "N", default_value_t = 8)]
    pub slots: u32,
    /// Frames that end as soon as they have begun
    #[arg(long, value_name = "M", default_value_t = 100_000)]
    pub frames: u32,
    /// Frames that wait behind those that fill the farm
    #[arg(long, value_name = "M", default_value_t = 10_000)]
    pub queued: u32,
    /// Jobs of one frame that sixteen clients submit
    #[arg(long, value_name = "M", default_value_t = 5_000)]
    pub jobs: u32,
    /// Seconds for which the idle farm is watched
    #[arg(long, value_name = "S", default_value_t = 10, value_parser = clap::value_parser!(u32).range(0..=600))]
    pub idle: u32,
    /// Where the farm's folder is made, and removed again
    #[arg(long, value_name = "DIR", default_value = "/var/tmp")]
    pub folder: PathBuf,
}

/// By what hosts choose among jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ReplayAlgorithm {
    /// By age
    Queue,
    /// By priority, then age
    Priority,
    /// By how near jobs are to the host's cluster, then priority, then age
    Cluster,
}

/// What happens when work waits for what stands lower.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ReplayPreempt {
    /// It waits
    Disabled,
    /// Who must leave leaves when its current frame is done
    Passive,
    /// Who must leave is ended; its frame is put back
    Aggressive,
}

/// Which farm to run once more, and how.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sudo tessera bench replay /var/lib/tessera
  sudo tessera bench replay /var/lib/tessera --hosts +10
  tessera bench replay copy.db --config supervisor.toml --algorithm priority
  tessera bench replay copy.db --from '2026-12-01 09:00' --to 2026-12-02

Run it without any change first: how far that is from what was is how far the
rest may be trusted. The store is only read, also while a supervisor uses it.
The same store, options and seed give the same decisions.")]
pub struct BenchReplayArgs {
    /// The folder of a farm, or the file of its store (or a backup of it)
    #[arg(value_name = "STORE")]
    pub source: PathBuf,
    /// Jobs submitted from then on, e.g. 2026-12-01 or '2026-12-01 09:00' (default: from the first on)
    #[arg(long, value_name = "TIME")]
    pub from: Option<String>,
    /// Jobs submitted before then (default: all)
    #[arg(long, value_name = "TIME")]
    pub to: Option<String>,
    /// The supervisor.toml of the farm (default: that in its folder)
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Choose among jobs by this instead (supervisor_queue_algorithm)
    #[arg(long, value_name = "NAME")]
    pub algorithm: Option<ReplayAlgorithm>,
    /// Preempt so instead (supervisor_preempt_policy)
    #[arg(long, value_name = "POLICY")]
    pub preempt: Option<ReplayPreempt>,
    /// So many hosts more, like the commonest kind, or fewer of it
    #[arg(long, value_name = "+N|-N", allow_hyphen_values = true)]
    pub hosts: Option<String>,
    /// Where chance begins: how long launches take
    #[arg(long, value_name = "S", default_value_t = 1)]
    pub seed: u64,
    /// Where the supervisor of the replay keeps what it knows
    #[arg(long, value_name = "STORE", default_value = "nothing")]
    pub store: BenchStore,
    /// Where the folder of the replay is made, and removed again
    #[arg(long, value_name = "DIR", default_value = "/var/tmp")]
    pub folder: PathBuf,
    /// Real minutes after which the run is cut short
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=1_440))]
    pub minutes: u32,
    /// Write the report to NAME.json and NAME.html
    #[arg(long, value_name = "NAME")]
    pub out: Option<PathBuf>,
}

/// What to remove.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sudo tessera uninstall              say what would go
  sudo tessera uninstall --yes        the accounts; the farm's folder stays
  sudo tessera uninstall --yes --purge")]
pub struct UninstallArgs {
    /// The farm's folder
    #[arg(long, value_name = "DIR", default_value = "/var/lib/tessera")]
    pub state: PathBuf,
    /// Do it
    #[arg(long)]
    pub yes: bool,
    /// The farm's folder, with all jobs and logs, too
    #[arg(long)]
    pub purge: bool,
}

/// What to do with the folder of the demo's images.
#[derive(Debug, Subcommand)]
pub enum FolderCommand {
    /// Make it; refuse one that is there and not empty
    Make {
        /// The folder
        dir: PathBuf,
    },
    /// Remove it with everything in it
    Remove {
        /// The folder
        dir: PathBuf,
    },
}
