//! The command line: what can be typed, and the help for it. `--help` is the reference.

mod actions;
mod credential;
mod farm;
#[cfg(target_os = "linux")]
mod here;
mod install;
mod jobs;
mod local;
mod lock;
mod mode;
mod resource;
mod submit;

pub use actions::{ActionArgs, Meant, ModifyArgs};
pub use credential::{CredentialCommand, CredentialOf, CredentialRegisterArgs};
pub use farm::{
    AuditArgs, CleanupArgs, DepsArgs, DesktopCommand, DesktopNames, HostArgs, HostCommand,
    HostNames, HostsArgs, JoinStringArgs, LoginArgs, LogoutArgs, NotifyCommand, ReconfigureArgs,
    SiteCommand, TokenCommand, WhyArgs,
};
#[cfg(target_os = "linux")]
pub use here::{
    BenchCommand, BenchFarmArgs, BenchLocalArgs, BenchReplayArgs, BenchScenario, BenchStore,
    BenchWireArgs, DemoArgs, DoctorCommand, FolderCommand, Renderer, ReplayAlgorithm,
    ReplayPreempt, SupervisorArgs, UninstallArgs, UpArgs,
};
pub use install::{
    InstallMode, WorkerCommand, WorkerInstallArgs, WorkerPlace, WorkerSetModeArgs,
    WorkerStatusArgs, WorkerUninstallArgs,
};
#[cfg(not(windows))]
pub use install::{PartArgs, WorkerPart};
#[cfg(target_os = "linux")]
pub use install::{SupervisorCommand, SupervisorPlace};
pub use jobs::{ErrorsArgs, FramesArgs, HistArgs, JobArgs, JobsArgs, LogArgs, Stream, WaitArgs};
pub use local::{
    ConfigCommand, DoctorArgs, JoinArgs, RenderArgs, SheetArgs, Shell, System, WorkerArgs,
};
pub use lock::{DrainArgs, LockArgs, LockHow, RunningThen, UnlockArgs};
pub use mode::{FarmCommand, FarmMode, ModeSetArgs};
pub use resource::{ResourceCommand, ResourceSetArgs};
pub use submit::{JobFields, ResubmitArgs, SubmitArgs, WaitOptions};

use clap::{Args, Parser, Subcommand, ValueEnum};
use tessera_model::limits::PRIORITY_RANGE;
use tessera_spec::Selector;

/// What every command takes.
#[derive(Debug, Clone, Args)]
pub struct Global {
    /// The farm: https://HOST:PORT or unix:/PATH (default: the configured farm, then the local socket)
    #[arg(long, global = true, value_name = "ADDRESS")]
    #[arg(help_heading = "Everywhere", display_order = 900)]
    pub supervisor: Option<String>,
    /// Print data as JSON, for programs
    #[arg(long, global = true, help_heading = "Everywhere", display_order = 901)]
    pub json: bool,
    /// When to colour
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    #[arg(help_heading = "Everywhere", display_order = 902)]
    pub color: Colour,
}

/// When to colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Colour {
    /// On a terminal, unless NO_COLOR is set
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// How one comes to a farm on this system.
#[cfg(target_os = "linux")]
macro_rules! first_steps {
    () => {
        "
  tessera demo              see a farm of your own render a small animation
  tessera up                a farm on this machine, in the foreground"
    };
}
#[cfg(not(target_os = "linux"))]
macro_rules! first_steps {
    () => {
        "
  tessera login             ask a farm elsewhere, with a token from there
  tessera join              enrol this host with a farm
  tessera worker --desktop  run your jobs here"
    };
}

/// A render farm that knows who is asking.
#[derive(Debug, Parser)]
#[command(
    name = "tessera",
    version,
    max_term_width = 100,
    arg_required_else_help = true
)]
#[command(subcommand_value_name = "COMMAND", disable_help_subcommand = true)]
#[command(after_help = concat!("Start here:", first_steps!(), "
  tessera submit --range 1-100 -- render -f QB_FRAME_NUMBER scene.blend
  tessera jobs              what there is
  tessera log 12:7 -f       what frame 7 of job 12 prints, as it prints it
  tessera why 12            why job 12 waits

Jobs are named 12, instances 12.0, frames 12:7 or 12:1-10,15, and items by
their place 12#3.

Exit codes: 0 done, 1 failed, 2 usage, 3 supervisor unreachable or unable to
serve (try again), 4 denied, 5 not found, 6 not in this state, 130 Ctrl-C; of
wait and --wait: 10 the job failed, 11 it was killed, 12 the time is over."))]
pub struct Cli {
    /// What every command takes.
    #[command(flatten)]
    pub global: Global,
    /// Which command.
    #[command(subcommand)]
    pub command: Command,
}

/// Every command.
#[derive(Debug, Subcommand)]
pub enum Command {
    #[cfg(target_os = "linux")]
    /// See it work: an ephemeral farm renders a small animation here
    Demo(DemoArgs),
    #[cfg(target_os = "linux")]
    /// Run a farm on this machine, in the foreground
    Up(UpArgs),
    #[cfg(target_os = "linux")]
    /// Run the supervisor daemon, or have it started at boot
    Supervisor(SupervisorArgs),
    /// Run the worker daemon, or have it started and in which mode
    Worker(WorkerArgs),
    /// Enrol this host with a farm
    Join(JoinArgs),
    /// Make a one-time string with which a host joins
    JoinString(JoinStringArgs),

    /// Submit a command, or a command for each frame of a range
    Submit(Box<SubmitArgs>),
    /// Submit an old job again, with changes if wanted
    Resubmit(Box<ResubmitArgs>),
    /// List jobs
    Jobs(JobsArgs),
    /// Show one job
    Job(JobArgs),
    /// List the frames of a job
    Frames(FramesArgs),
    /// Show what a frame prints, or has printed
    Log(LogArgs),
    /// Show what happened to a job, in order
    Hist(HistArgs),
    /// Show what failed, put together by the line that tells why
    Errors(ErrorsArgs),
    /// Say why a job, or a host, does not do what you expect
    Why(WhyArgs),
    /// Show what a job waits for, and what waits for it
    Deps(DepsArgs),
    /// Wait until jobs have ended
    Wait(WaitArgs),

    /// End it; nothing more is done for it until it is retried
    #[command(after_help = actions::KILL)]
    Kill(ActionArgs),
    /// Hold it; what runs is ended and put back
    #[command(after_help = actions::BLOCK)]
    Block(ActionArgs),
    /// Release what is blocked
    #[command(after_help = actions::UNBLOCK)]
    Unblock(ActionArgs),
    /// End what runs now and put it back
    #[command(after_help = actions::INTERRUPT)]
    Interrupt(ActionArgs),
    /// Take the host away once the current frame is done
    #[command(after_help = actions::PREEMPT)]
    Preempt(ActionArgs),
    /// End what runs now and put it back, to run on another host
    #[command(after_help = actions::MIGRATE)]
    Migrate(ActionArgs),
    /// Stop its processes where they are
    #[command(after_help = actions::SUSPEND)]
    Suspend(ActionArgs),
    /// Let suspended processes go on
    #[command(after_help = actions::RESUME)]
    Resume(ActionArgs),
    /// Run again what has ended
    #[command(after_help = actions::RETRY)]
    Retry(ActionArgs),
    /// Put back what has ended, blocked
    #[command(after_help = actions::REQUEUE)]
    Requeue(ActionArgs),
    /// End an instance once its current frame is done
    #[command(after_help = actions::RETIRE)]
    Retire(ActionArgs),
    /// Declare it complete
    #[command(after_help = actions::COMPLETE)]
    Complete(ActionArgs),
    /// Declare it failed
    #[command(after_help = actions::FAIL)]
    Fail(ActionArgs),
    /// Delete a job with its history and logs
    #[command(after_help = actions::REMOVE)]
    Remove(ActionArgs),
    /// Put a job before all others of its priority
    #[command(after_help = actions::TOP)]
    Top(ActionArgs),
    /// Put a job behind all others of its priority
    #[command(after_help = actions::BOTTOM)]
    Bottom(ActionArgs),
    /// Change a job: its priority, hosts, limits …
    Modify(Box<ModifyArgs>),

    /// List hosts
    Hosts(HostsArgs),
    /// Show one host, or lock, unlock, remove it
    Host(HostArgs),
    /// Give hosts no new work: some slots, for a while, weekly, while somebody is active
    Lock(LockArgs),
    /// Give hosts work again
    Unlock(UnlockArgs),
    /// Lock hosts so that they become empty, and wait for it
    Drain(DrainArgs),
    /// Maintenance of the whole farm: take no submissions, or start nothing
    #[command(subcommand)]
    Farm(FarmCommand),
    /// Have workers.toml read anew, and told to the hosts
    Reconfigure(ReconfigureArgs),
    /// Whose jobs run on this desktop: allow, deny, list
    #[command(subcommand)]
    Desktop(DesktopCommand),

    /// Tokens for people and programs elsewhere
    #[command(subcommand)]
    Token(TokenCommand),
    /// Passwords that Windows workers need to become people
    #[command(subcommand)]
    Credential(CredentialCommand),
    /// Licences and other things that jobs of the farm share: how many, and who has them
    #[command(subcommand)]
    Resource(ResourceCommand),
    /// Whom the farm tells of what, and a test of it
    #[command(subcommand)]
    Notify(NotifyCommand),
    /// The certificate of the site's own that browsers are shown
    #[command(subcommand)]
    Site(SiteCommand),
    /// Show who did what to the farm, and who was refused
    Audit(AuditArgs),
    /// Remove old jobs, logs and history now, or say what would go
    Cleanup(CleanupArgs),
    /// Remember a farm elsewhere, and your token for it
    Login(LoginArgs),
    /// Forget a farm elsewhere, and your token for it
    Logout(LogoutArgs),
    /// Print a link that logs a browser in, once
    #[command(after_help = "\
Examples:
  tessera open
  tessera --json open             for programs: url, user, expires_ms

The link works once, within ten minutes; the browser is then you for twelve
hours. tessera token list names its session, tessera token revoke ends it.")]
    Open,
    /// Say who the farm takes you for
    Whoami,
    /// Say what is wrong on this host, and the mend
    Doctor(DoctorArgs),
    /// Check, show or explain the configuration
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Print completions for a shell
    Completions {
        /// Which shell
        shell: Shell,
    },
    #[cfg(target_os = "linux")]
    /// Measure this machine's farm
    #[command(subcommand)]
    Bench(BenchCommand),
    #[cfg(target_os = "linux")]
    /// Remove the accounts and folders that `tessera up` made as root
    Uninstall(UninstallArgs),

    #[cfg(target_os = "linux")]
    /// Make accounts, folders and policy of a service, and start nothing: for packages
    #[command(hide = true)]
    SetUpHost,
    /// Print the OpenAPI document
    #[command(hide = true)]
    OpenApi,
    /// Render one frame of the demo with our own renderer
    #[command(hide = true)]
    RenderDemo(RenderArgs),
    /// Lay the images of a folder out on one sheet
    #[command(hide = true)]
    ContactSheet(SheetArgs),
    #[cfg(target_os = "linux")]
    /// Make or remove the folder of the demo's images, as its owner
    #[command(hide = true, subcommand)]
    DemoFolder(FolderCommand),
}

/// The commands in groups, as the first help shows them. Hidden ones are in none.
const GROUPS: [(&str, &[&str]); 5] = [
    (
        "A farm",
        &[
            "demo",
            "up",
            "supervisor",
            "worker",
            "join",
            "join-string",
            "uninstall",
        ],
    ),
    (
        "Jobs",
        &[
            "submit", "resubmit", "jobs", "job", "frames", "log", "hist", "errors", "why", "deps",
            "wait",
        ],
    ),
    (
        "Acting on jobs, instances, frames",
        &[
            "kill",
            "block",
            "unblock",
            "interrupt",
            "preempt",
            "migrate",
            "suspend",
            "resume",
            "retry",
            "requeue",
            "retire",
            "complete",
            "fail",
            "remove",
            "top",
            "bottom",
            "modify",
        ],
    ),
    (
        "Hosts",
        &[
            "hosts",
            "host",
            "lock",
            "unlock",
            "drain",
            "farm",
            "reconfigure",
            "desktop",
        ],
    ),
    (
        "The farm and you",
        &[
            "open",
            "whoami",
            "login",
            "logout",
            "token",
            "credential",
            "resource",
            "notify",
            "site",
            "audit",
            "cleanup",
            "doctor",
            "config",
            "completions",
            "bench",
        ],
    ),
];

/// Commands that ask no supervisor that could be named: what is said of `--supervisor` does not belong to them.
const LOCAL: [&str; 12] = [
    "demo",
    "up",
    "supervisor",
    "worker",
    "join",
    "desktop",
    "uninstall",
    "login",
    "logout",
    "completions",
    "bench",
    "set-up-host",
];

/// Answers the whole command line, with its commands in groups.
#[must_use]
pub fn command() -> clap::Command {
    let command = <Cli as clap::CommandFactory>::command();
    let groups = grouped(&command);
    let mut command = command.help_template(format!(
        "{{about-with-newline}}\n{{usage-heading}} {{usage}}\n\n{groups}\nOptions:\n{{options}}{{after-help}}"
    ));
    if let Some(resubmit) = command.find_subcommand_mut("resubmit") {
        without_defaults(resubmit);
    }
    // What is for all commands reaches them when the whole is built.
    command.build();
    for name in LOCAL {
        if let Some(found) = command.find_subcommand_mut(name) {
            hide_supervisor(found);
        }
    }
    command
}

/// Reads a priority. Whether it is in the range is the supervisor's to say, with all else that is wrong.
fn priority(text: &str) -> Result<i64, String> {
    text.trim().parse().map_err(|_| {
        let (first, last) = (PRIORITY_RANGE.start(), PRIORITY_RANGE.end());
        format!("it is not a whole number from {first} to {last}")
    })
}

/// Reads a number of instances, or Qube!'s word for as many as there may be.
fn max_cpus(text: &str) -> Result<i64, String> {
    match text.trim() {
        "*" => Ok(-1),
        text => text
            .parse()
            .map_err(|_| "it is neither a whole number nor '*'".to_owned()),
    }
}

/// Reads the number of a whole job.
fn job(text: &str) -> Result<u64, String> {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    if let Some(id) = text.parse().ok().filter(|id| is_number && *id > 0) {
        return Ok(id);
    }
    Err(match text.parse::<Selector>() {
        Ok(part) if part.job.0 > 0 => {
            format!("this is about a whole job; write {}", part.job)
        }
        _ => "it is not the number of a job, such as 12".to_owned(),
    })
}

/// Reads a target of a verb.
fn target(text: &str) -> Result<Selector, String> {
    let number = text.split(['.', ':', '#']).next().unwrap_or_default();
    if !number.is_empty() && number.bytes().all(|digit| digit == b'0') {
        return Err("jobs are numbered from 1".to_owned());
    }
    text.parse()
        .map_err(|bad: tessera_spec::SelectorError| bad.to_string())
}

/// Takes out what `submit` puts in the place of what is not said: `resubmit` keeps what the old job has.
fn without_defaults(command: &mut clap::Command) {
    let taken = std::mem::take(command);
    *command = taken.mut_args(|arg| {
        let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
        match help.split_once(" (default: ") {
            Some((said, rest)) if arg.get_id() != "command" => {
                let behind = rest.split_once(')').map_or("", |(_, behind)| behind);
                arg.help(format!("{said}{behind}"))
            }
            _ => arg,
        }
    });
}

fn hide_supervisor(command: &mut clap::Command) {
    let taken = std::mem::take(command);
    *command = taken.mut_args(|arg| {
        if arg.get_id() == "supervisor" {
            arg.hide(true)
        } else {
            arg
        }
    });
    command.get_subcommands_mut().for_each(hide_supervisor);
}

fn grouped(command: &clap::Command) -> String {
    let mut out = String::new();
    for (title, names) in GROUPS {
        out += &format!("{title}:\n");
        for name in names {
            // Some are not there on every system.
            let Some(found) = command.find_subcommand(name) else {
                continue;
            };
            let about = found.get_about().map(ToString::to_string);
            out += &format!("  {name:<12} {}\n", about.unwrap_or_default());
        }
        out.push('\n');
    }
    out.truncate(out.trim_end().len());
    out.push('\n');
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_command_is_in_one_group() {
        let command = command();
        let all: BTreeSet<&str> = command
            .get_subcommands()
            .filter(|below| !below.is_hide_set())
            .map(clap::Command::get_name)
            .collect();
        let grouped: Vec<&str> = GROUPS
            .iter()
            .flat_map(|(_, names)| names.iter().copied())
            .collect();
        assert_eq!(grouped.len(), all.len());
        assert_eq!(grouped.into_iter().collect::<BTreeSet<_>>(), all);
    }

    #[test]
    fn only_commands_that_ask_a_farm_speak_of_it() {
        let mut command = command();
        for name in LOCAL {
            let below = command.find_subcommand_mut(name).expect("a command");
            let help = below.render_long_help().to_string();
            assert!(!help.contains("--supervisor"), "{name}: {help}");
        }
        let jobs = command.find_subcommand_mut("jobs").expect("a command");
        assert!(jobs.render_long_help().to_string().contains("--supervisor"));
    }

    #[test]
    fn a_priority_that_is_no_number_is_told_the_range() {
        for word in ["submit", "modify"] {
            for given in ["abc", "5.5", "", "99999999999999999999"] {
                let words = ["tessera", word, "--priority", given, "--", "1"];
                let said = command().try_get_matches_from(words).expect_err("refused");
                let said = said.to_string();
                assert!(
                    said.contains("not a whole number from 1 to 9999"),
                    "{word} {given}: {said}"
                );
            }
        }
    }

    #[test]
    fn a_part_where_a_whole_job_is_meant_is_told_so() {
        for (words, wanted) in [
            (&["wait", "2:3"][..], "this is about a whole job; write 2"),
            (&["modify", "2.0"], "this is about a whole job; write 2"),
            (&["deps", "2#1"], "this is about a whole job; write 2"),
            (&["errors", "--job", "x"], "not the number of a job"),
            (&["job", "foo"], "not the number of a job"),
            (&["resubmit", "0"], "not the number of a job"),
            (&["job", "+2"], "not the number of a job"),
            (&["resubmit", "12", "--gpus", "0"], "0 is not in 1..=64"),
            (
                &["submit", "--gpus", "65", "--", "x"],
                "65 is not in 1..=64",
            ),
            (&["kill", "0"], "jobs are numbered from 1"),
        ] {
            let words = [&["tessera"], words].concat();
            let said = command().try_get_matches_from(&words).expect_err("refused");
            let said = said.to_string();
            assert!(said.contains(wanted), "{words:?}: {said}");
        }
        let good = command().try_get_matches_from(["tessera", "wait", "2", "13"]);
        assert!(good.is_ok());
    }

    #[test]
    fn resubmit_speaks_of_no_defaults_of_submit() {
        let mut command = command();
        let below = command.find_subcommand_mut("resubmit").expect("a command");
        let help = below.render_long_help().to_string();
        let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
        let said = help
            .replace("[default: auto]", "")
            .replace("(default: the old one)", "");
        let said = said.replace("(default: the configured farm, then the local socket)", "");
        assert!(!said.contains("default"), "{said}");
        assert!(help.contains("stays as it was"), "{help}");
    }

    #[test]
    fn times_below_zero_are_taken_for_times() {
        let words = "tessera submit --timelimit -3 --grace -1 -- true";
        let matches = command().try_get_matches_from(words.split(' '));
        let matches = matches.expect("left to the supervisor");
        let (_, submit) = matches.subcommand().expect("submit");
        let said = |name| submit.get_one::<String>(name).map(String::as_str);
        assert_eq!((said("timelimit"), said("grace")), (Some("-3"), Some("-1")));
        let words = "tessera modify 12 --timelimit -1";
        let matches = command().try_get_matches_from(words.split(' '));
        assert!(matches.is_ok(), "{matches:?}");
    }

    #[test]
    fn examples_fit_eighty_columns() {
        fn walk(command: &clap::Command, long: &mut Vec<String>) {
            let text = command
                .get_after_help()
                .map(ToString::to_string)
                .unwrap_or_default();
            let lines = text.lines().filter(|line| line.chars().count() > 80);
            long.extend(lines.map(|line| format!("{}: {line}", command.get_name())));
            command
                .get_subcommands()
                .for_each(|below| walk(below, long));
        }
        let mut long = Vec::new();
        walk(&command(), &mut long);
        assert!(long.is_empty(), "over 80 columns:\n{}", long.join("\n"));
    }
}
