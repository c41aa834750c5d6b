//! Arguments of the commands about hosts, tokens and the farm.

use super::lock::{LockArgs, UnlockArgs};
use clap::{Args, Subcommand};
use std::path::PathBuf;

/// Which hosts to list.
#[derive(Debug, Args)]
pub struct HostsArgs {
    /// In this state: up, locked, away, down, panic
    #[arg(long, value_name = "STATE", value_parser = ["up", "locked", "away", "down", "panic"], hide_possible_values = true)]
    pub state: Option<String>,
}

/// Names of hosts.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tessera host remove rnd009      forget a host that is gone")]
pub struct HostNames {
    /// Names or ids
    #[arg(required = true, value_name = "HOST")]
    pub hosts: Vec<String>,
}

/// Which hosts to reconfigure.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tessera reconfigure            after a change of workers.toml
  tessera reconfigure rnd001     tell this host; others get it when they connect
  tessera reconfigure --show > workers.toml
      prints the file, and on stderr its version
  tessera reconfigure --from workers.toml --version 5f3a…
      puts this file in its place first, where it is the supervisor's own and
      nobody changed it since that version was shown
  tessera reconfigure --from workers.toml
      shows what that would change, with the version to name; replaces nothing
      but an empty file

The file is the supervisor's, on its host. Restarts nothing and ends no job.
With mistakes in the file nothing changes. A host's own worker.toml is read by
its worker when that starts, and not by this command.")]
pub struct ReconfigureArgs {
    /// Names or ids (default: all that are connected)
    #[arg(value_name = "HOST")]
    pub hosts: Vec<String>,
    /// Put this file in the place of the farm's workers.toml first
    #[arg(long, value_name = "FILE", conflicts_with = "hosts")]
    pub from: Option<PathBuf>,
    /// In the place of this version, as --show prints it (default: of nothing but an empty file)
    #[arg(long, value_name = "HASH", requires = "from")]
    pub version: Option<String>,
    /// In the place of whatever stands there, unseen
    #[arg(long, requires = "from", conflicts_with = "version")]
    pub force: bool,
    /// Print the farm's workers.toml and its version, and change nothing
    #[arg(long, conflicts_with_all = ["hosts", "from"])]
    pub show: bool,
}

/// What can be done about the site's own certificate.
#[derive(Debug, Subcommand)]
pub enum SiteCommand {
    /// Say which certificate browsers are shown, and what is wrong with it
    #[command(after_help = "\
Examples:
  tessera site status

For administrators. The files are named in supervisor.toml: site_certificate
(the chain, the server's own first) and site_key, both PEM.")]
    Status,
    /// Have the certificate and its key read anew, without a restart; faulty ones change nothing
    #[command(after_help = "\
Examples:
  tessera site reload             from whatever renews the certificate

For administrators. The supervisor looks by itself once a day, too.")]
    Reload,
}

/// What people did.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tessera audit                        the last 50 things that people did
  tessera audit --user mia             what mia did
  tessera audit --kind token,login.refused --limit 500

For administrators. What happened to a job: tessera hist ID. Who became whom on
a host is recorded there by its launcher: tessera-launch audit --state DIR.")]
pub struct AuditArgs {
    /// By this account only
    #[arg(long, value_name = "NAME")]
    pub user: Option<String>,
    /// Of these kinds only: whole, or what stands before the dot, with commas
    #[arg(long, value_name = "KINDS")]
    pub kind: Option<String>,
    /// How many, the last ones
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub limit: u32,
}

/// Whom a desktop lets in.
#[derive(Debug, Subcommand)]
pub enum DesktopCommand {
    /// Let jobs of others run on this desktop, as you
    #[command(after_help = "\
Examples:
  tessera desktop allow bob
  tessera desktop allow '*'       everybody who may submit to the farm

A job on a desktop can do all that you can: read and change your files, and send
them anywhere. Allow whom you would let sit at your keyboard.")]
    Allow(DesktopNames),
    /// Take that back: what runs of them is ended and put back
    Deny(DesktopNames),
    /// Say whose jobs run on this desktop
    List {
        /// The farm's folder on this host (default: the XDG state folder)
        #[arg(long, value_name = "DIR")]
        state: Option<PathBuf>,
    },
}

/// Names of owners of jobs.
#[derive(Debug, Args)]
pub struct DesktopNames {
    /// Names of users as the farm knows them, or '*' for everybody
    #[arg(required = true, value_name = "USER")]
    pub names: Vec<String>,
    /// The farm's folder on this host (default: the XDG state folder)
    #[arg(long, value_name = "DIR")]
    pub state: Option<PathBuf>,
}

/// Which host, and what about it.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, arg_required_else_help = true)]
#[command(after_help = "\
Examples:
  tessera host rnd001             everything about it
  tessera host lock rnd001
  tessera host remove rnd001      forget a host that is gone")]
pub struct HostArgs {
    /// Show this host
    #[arg(value_name = "HOST")]
    pub host: Option<String>,
    /// What to do.
    #[command(subcommand)]
    pub command: Option<HostCommand>,
}

/// What can be done to hosts.
#[derive(Debug, Subcommand)]
pub enum HostCommand {
    /// Show everything about a host
    Show {
        /// Name or id
        host: String,
    },
    /// Give hosts no new work: some slots, for a while, weekly, while somebody is active
    Lock(LockArgs),
    /// Give hosts work again
    Unlock(UnlockArgs),
    /// Forget hosts that are gone
    Remove(RemoveHosts),
}

/// Hosts to forget.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tessera host remove rnd001            its worker is stopped
  tessera host remove --force rnd001    it can't be stopped, or was taken over

A removed host can't come back with its certificate; it has to join again.")]
pub struct RemoveHosts {
    /// The hosts
    #[command(flatten)]
    pub names: HostNames,
    /// Also hosts that are connected: what they run is put back and run elsewhere
    #[arg(long)]
    pub force: bool,
}

/// A join string to make.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tessera join-string                then, on the new host: tessera join STRING
  tessera join-string --minutes 1440 --note 'rack 3'

The string works once. It proves the farm to the host and the host to the farm.")]
pub struct JoinStringArgs {
    /// How long it is good for, in minutes
    #[arg(long, value_name = "N", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=43_200))]
    pub minutes: u32,
    /// What it is for
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub note: String,
}

/// What can be done about tokens.
#[derive(Debug, Subcommand)]
pub enum TokenCommand {
    /// Make a token; it is shown once
    #[command(after_help = "\
Examples:
  tessera token create --note laptop
  tessera token create --user mia --expires-days 30
  tessera token create --metrics --note prometheus --expires-days 3650")]
    Create {
        /// For this account (default: you)
        #[arg(long, value_name = "ACCOUNT")]
        user: Option<String>,
        /// What it is for
        #[arg(long, value_name = "TEXT", default_value = "")]
        note: String,
        /// How long it is good for
        #[arg(long, value_name = "N", default_value_t = 90, value_parser = clap::value_parser!(u32).range(1..=3_650))]
        expires_days: u32,
        /// With the rights of an administrator
        #[arg(long)]
        admin: bool,
        /// Good for reading /metrics and nothing else
        #[arg(long, conflicts_with = "admin")]
        metrics: bool,
    },
    /// List tokens
    List,
    /// End tokens; who uses them is refused from then on
    Revoke {
        /// Their ids, from the list
        #[arg(required = true, value_name = "ID")]
        ids: Vec<String>,
    },
}

/// What can be done about channels.
#[derive(Debug, Subcommand)]
pub enum NotifyCommand {
    /// List the channels, what is on its way and what does not arrive
    #[command(after_help = "\
Examples:
  tessera notify status
  tessera --json notify status

For administrators. Channels are written in notify.toml beside the
supervisor's configuration; tessera notify reload has it read anew.")]
    Status,
    /// Wish to be mailed of all your jobs
    #[command(after_help = "\
Examples:
  tessera notify set --on done,failed
  tessera notify set --on none

It is for whom tessera whoami names, and goes to the address that
tessera notify show prints. tessera submit --mail is for one job.")]
    Set {
        /// On what: done, failed, killed, blocked, stranded, badlogin, frame_failed; none for nothing
        #[arg(long, required = true, value_name = "WHEN", value_delimiter = ',')]
        on: Vec<String>,
    },
    /// Print what you wish to be mailed of, and where to
    #[command(after_help = "\
Examples:
  tessera notify show")]
    Show,
    /// Have notify.toml read anew, without a restart; a faulty one changes nothing
    #[command(after_help = "\
Examples:
  tessera notify reload

For administrators. What was not taken by a channel that changed is
tried again at once.")]
    Reload,
    /// Send a test over one channel, or all, and print what came of it
    #[command(after_help = "\
Examples:
  tessera notify test
  tessera notify test chat")]
    Test {
        /// The channel's name (default: all)
        #[arg(value_name = "CHANNEL")]
        channel: Option<String>,
    },
}

/// What to remove.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tessera cleanup --dry-run           what would go
  tessera cleanup --older-than-days 7

What has not ended is never removed. The supervisor does this by itself, too.")]
pub struct CleanupArgs {
    /// Say what would go, remove nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Jobs that ended before so many days (default: as configured)
    #[arg(long, value_name = "N")]
    pub older_than_days: Option<u32>,
    /// Logs until so much is left, oldest first: 500M, 20G (default: as configured)
    #[arg(long, value_name = "SIZE")]
    pub logs_quota: Option<String>,
}

/// What waits for what.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tessera deps 12                     what it waits for, and what waits for it
  tessera deps 12 --dot | dot -Tsvg > deps.svg

What comes first stands above what waits for it. ✓ has come, … may come,
✗ can't come any more unless somebody does something (tessera why JOB).")]
pub struct DepsArgs {
    /// The job
    #[arg(value_name = "JOB", value_parser = super::job)]
    pub id: u64,
    /// Print it for Graphviz
    #[arg(long)]
    pub dot: bool,
}

/// Why what.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tessera why 12                      why job 12 does not run
  tessera why 12:7                    why frame 7 does not, or why it failed
  tessera why rnd001                  why host rnd001 gets no work")]
pub struct WhyArgs {
    /// A job 12, a frame 12:7, or the name of a host
    #[arg(value_name = "JOB|FRAME|HOST")]
    pub what: String,
}

/// A farm to remember.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tessera login https://farm.example --ca 3f2a…
      asks for the token; or give it in the variable TESSERA_TOKEN
  tessera login https://farm.example --site
      the supervisor shows a certificate of the site's own, which this system
      trusts: the farm's fingerprint is learned over that connection, once.
      Whoever has a certificate for that name gets your token then: with --ca
      nobody does

On the supervisor's host, tessera token create makes the token and tessera
whoami prints the fingerprint. Both are kept in farms.toml of your configuration
folder, readable by you alone.")]
pub struct LoginArgs {
    /// HOST, HOST:PORT or https://HOST:PORT
    #[arg(value_name = "ADDRESS")]
    pub address: String,
    /// SHA-256 of the farm's CA certificate, 64 hexadecimal digits
    #[arg(
        long,
        value_name = "SHA256",
        required_unless_present = "site",
        conflicts_with = "site"
    )]
    pub ca: Option<String>,
    /// Trust the site's own certificate this once, and pin the farm's CA from then on
    #[arg(long)]
    pub site: bool,
    /// With --site: trust what these certificates signed, instead of what this system trusts
    #[arg(long, value_name = "FILE", requires = "site")]
    pub ca_file: Option<PathBuf>,
    /// A name for it (default: its own)
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Use it when no farm is named (else the first one is, unless a supervisor runs on this host)
    #[arg(long)]
    pub default: bool,
}

/// A farm to forget.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tessera logout                  the farm that is used when none is named
  tessera logout north            one of several, by its name or id

The token stays good until it is revoked: tessera token revoke.")]
pub struct LogoutArgs {
    /// Name or id of the farm (default: the default one, or the only one)
    #[arg(value_name = "FARM")]
    pub farm: Option<String>,
}
