//! Runs the benchmark of a whole farm: turns what the command line said into its options, and stores what it answers.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tessera_bench::wire::{self, WireError, WireOptions};
use tessera_bench::{
    Algorithm, BenchError, HostsChange, Options, PreemptPolicy, ReplayError, ReplayOptions, Report,
    Scenario, StoreKind,
};
use tessera_cli::CliError;
use tessera_cli::args::{BenchFarmArgs, BenchScenario, BenchStore, ReplayAlgorithm, ReplayPreempt};
use tessera_cli::daemon::{FarmBenchOptions, FarmReplayOptions, WireBenchOptions};

/// Runs it and shows the report.
///
/// # Errors
/// When it can't run, or the farm did what it must not.
pub(crate) fn farm(options: &FarmBenchOptions) -> Result<(), CliError> {
    let report = tessera_bench::run(&asked(&options.args)).map_err(|error| failed(&error))?;
    show(&report, options.args.out.as_deref(), options.json)?;
    judge(
        &report,
        &format!("--scenario {} --seed {}", report.scenario, report.seed),
    )
}

/// Runs once more what a real farm ran, and shows the report.
///
/// # Errors
/// When there is nothing that could be run, it can't run, or the farm did what it must not.
pub(crate) fn replay(options: &FarmReplayOptions) -> Result<(), CliError> {
    let report = tessera_bench::replay(&asked_again(options)?).map_err(|error| refused(&error))?;
    show(&report, options.args.out.as_deref(), options.json)?;
    judge(&report, &format!("--seed {}", report.seed))
}

/// Puts a supervisor of its own under load over its sockets, and shows what was measured.
///
/// # Errors
/// When it can't run, or something went wrong on the way.
pub(crate) fn wire(options: &WireBenchOptions) -> Result<(), CliError> {
    if nix::unistd::geteuid().is_root() {
        let said = "a supervisor does not run as root, so this does not either";
        return Err(CliError::usage(said)
            .hint("run it as an ordinary user: runuser -u USER -- tessera bench wire"));
    }
    let program = std::env::current_exe()
        .map_err(|error| CliError::failed(format!("can't find this program: {error}")))?;
    let args = &options.args;
    let report = wire::run(&WireOptions {
        hosts: args.hosts,
        slots: args.slots,
        frames: args.frames,
        queued: args.queued,
        jobs: args.jobs,
        idle: Duration::from_secs(args.idle.into()),
        program: Some(program),
        folder: args.folder.clone(),
        tell,
    });
    let report = report.map_err(|error| unheard(&error))?;
    let text = match options.json {
        true => printed(serde_json::to_string_pretty(&report))? + "\n",
        false => report.text(),
    };
    // That nobody reads it is no error.
    let _ = std::io::stdout().write_all(text.as_bytes());
    Ok(())
}

/// Says what is done next, where it is in nobody's way.
fn tell(what: &str) {
    // That nobody reads it is no error.
    let _ = writeln!(std::io::stderr(), "{what}");
}

fn unheard(error: &WireError) -> CliError {
    let mut made = match error {
        WireError::Asked(_) => CliError::usage(error.to_string()),
        _ => CliError::failed(error.to_string()),
    };
    add_causes(&mut made, error);
    made
}

fn printed(report: serde_json::Result<String>) -> Result<String, CliError> {
    report.map_err(|error| CliError::failed(format!("the report can't be printed: {error}")))
}

/// Stores a report where it is wanted, and prints it.
fn show(report: &Report, out: Option<&Path>, json: bool) -> Result<(), CliError> {
    let printed = printed(serde_json::to_string_pretty(report))?;
    if let Some(name) = out {
        store(name, "json", &printed)?;
        store(name, "html", &tessera_bench::html(report))?;
    }
    let text = if json {
        printed + "\n"
    } else {
        tessera_bench::text(report)
    };
    // That nobody reads it is no error.
    let _ = std::io::stdout().write_all(text.as_bytes());
    Ok(())
}

fn asked_again(options: &FarmReplayOptions) -> Result<ReplayOptions, CliError> {
    let args = &options.args;
    let hosts = args.hosts.as_deref().map(str::parse::<HostsChange>);
    let hosts = hosts.transpose().map_err(|why| {
        let given = args.hosts.as_deref().unwrap_or_default().escape_debug();
        CliError::usage(format!("--hosts {given}: {why}"))
    })?;
    Ok(ReplayOptions {
        source: args.source.clone(),
        from_ms: options.from_ms,
        to_ms: options.to_ms,
        config: args.config.clone(),
        algorithm: args.algorithm.map(|it| match it {
            ReplayAlgorithm::Queue => Algorithm::Queue,
            ReplayAlgorithm::Priority => Algorithm::Priority,
            ReplayAlgorithm::Cluster => Algorithm::Cluster,
        }),
        preempt: args.preempt.map(|it| match it {
            ReplayPreempt::Disabled => PreemptPolicy::Disabled,
            ReplayPreempt::Passive => PreemptPolicy::Passive,
            ReplayPreempt::Aggressive => PreemptPolicy::Aggressive,
        }),
        hosts: hosts.unwrap_or_default(),
        seed: args.seed,
        store: kind_of(args.store),
        folder: args.folder.clone(),
        minutes: args.minutes,
    })
}

fn kind_of(store: BenchStore) -> StoreKind {
    match store {
        BenchStore::Sqlite => StoreKind::Sqlite,
        BenchStore::Nothing => StoreKind::Nothing,
    }
}

fn asked(args: &BenchFarmArgs) -> Options {
    Options {
        scenario: match args.scenario {
            BenchScenario::ColdStart => Scenario::ColdStart,
            BenchScenario::SteadyState => Scenario::SteadyState,
            BenchScenario::SmallJobs => Scenario::SmallJobs,
            BenchScenario::WideJobs => Scenario::WideJobs,
            BenchScenario::MemoryMix => Scenario::MemoryMix,
            BenchScenario::Licences => Scenario::Licences,
            BenchScenario::FailureStorm => Scenario::FailureStorm,
            BenchScenario::Restart => Scenario::Restart,
            BenchScenario::HalfLost => Scenario::HalfLost,
            BenchScenario::Users => Scenario::Users,
        },
        hosts: args.hosts,
        slots: args.slots,
        frames: args.frames,
        job_frames: args.job_frames,
        ends: args.ends,
        seed: args.seed,
        store: kind_of(args.store),
        folder: args.folder.clone(),
        minutes: args.minutes,
        keep: args.keep.clone(),
        wide_hosts: args.wide_hosts,
    }
}

/// Writes a file of the report beside the name that was asked for.
fn store(name: &Path, suffix: &str, text: &str) -> Result<(), CliError> {
    let mut path = name.as_os_str().to_owned();
    path.push(format!(".{suffix}"));
    let path = PathBuf::from(path);
    std::fs::write(&path, text)
        .map_err(|error| CliError::failed(format!("can't write {}: {error}", path.display())))
}

fn judge(report: &Report, how: &str) -> Result<(), CliError> {
    if report.faults.is_empty() {
        return Ok(());
    }
    let mut error = CliError::failed("the farm did what it must not").hint(format!(
        "the same happens again with {how} and the same options"
    ));
    error.details.clone_from(&report.faults);
    Err(error)
}

fn failed(error: &BenchError) -> CliError {
    let mut made = match error {
        BenchError::Asked(_) => CliError::usage(error.to_string()),
        BenchError::Io { path, .. } => CliError::failed(error.to_string()).hint(format!(
            "choose another place than {} with --folder",
            path.display()
        )),
        BenchError::Wrong { .. } | BenchError::Supervisor(_) | BenchError::Store(_) => {
            CliError::failed(error.to_string())
        }
    };
    add_causes(&mut made, error);
    made
}

/// Says why a farm is not replayed, and the way out.
fn refused(error: &ReplayError) -> CliError {
    let said = error.to_string();
    let mut made = match error {
        ReplayError::Asked(_) => CliError::usage(said),
        ReplayError::Bench(error) => return failed(error),
        ReplayError::Missing { .. } | ReplayError::NoStoreIn { .. } | ReplayError::NotAStore { .. } => {
            CliError::failed(said).hint(
                "name the folder of the farm (as `tessera supervisor --state` does: /var/lib/tessera by default), or a file of a store in it",
            )
        }
        ReplayError::Unreadable { path, .. } => CliError::failed(said).hint(format!(
            "run it as who may read {}, or as root; or replay a copy that `sqlite3 -readonly STORE '.backup copy.db'` made",
            path.display()
        )),
        ReplayError::Postgres => CliError::failed(said)
            .hint("name the folder of a farm or the file of an SQLite store"),
        ReplayError::Moved { .. } => CliError::failed(said).hint("run it again"),
        ReplayError::Nothing { .. } => {
            CliError::failed(said).hint("choose other times with --from and --to, or another store")
        }
        ReplayError::TooMuch { .. } => {
            CliError::failed(said).hint("choose a shorter time with --from and --to")
        }
        ReplayError::Store(_) | ReplayError::Strange { .. } | ReplayError::Config(_) => {
            CliError::failed(said)
        }
    };
    add_causes(&mut made, error);
    made
}

fn add_causes(made: &mut CliError, error: &dyn std::error::Error) {
    let mut cause = error.source();
    while let Some(error) = cause {
        made.details.push(error.to_string());
        cause = error.source();
    }
}
