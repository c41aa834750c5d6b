//! Runs the benchmark of a whole farm: turns what the command line said into its options, and stores what it answers.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use tessera_bench::{BenchError, Options, Report, Scenario, StoreKind};
use tessera_cli::CliError;
use tessera_cli::args::{BenchFarmArgs, BenchScenario, BenchStore};
use tessera_cli::daemon::FarmBenchOptions;

/// Runs it and shows the report.
///
/// # Errors
/// When it can't run, or the farm did what it must not.
pub(crate) fn farm(options: &FarmBenchOptions) -> Result<(), CliError> {
    let report = tessera_bench::run(&asked(&options.args)).map_err(|error| failed(&error))?;
    let json = serde_json::to_string_pretty(&report)
        .map_err(|error| CliError::failed(format!("the report can't be printed: {error}")))?;
    if let Some(name) = &options.args.out {
        store(name, "json", &json)?;
        store(name, "html", &tessera_bench::html(&report))?;
    }
    let text = if options.json {
        json + "\n"
    } else {
        tessera_bench::text(&report)
    };
    // That nobody reads it is no error.
    let _ = std::io::stdout().write_all(text.as_bytes());
    judge(&report)
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
        store: match args.store {
            BenchStore::Sqlite => StoreKind::Sqlite,
            BenchStore::Nothing => StoreKind::Nothing,
        },
        folder: args.folder.clone(),
        minutes: args.minutes,
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

fn judge(report: &Report) -> Result<(), CliError> {
    if report.faults.is_empty() {
        return Ok(());
    }
    let mut error = CliError::failed("the farm did what it must not").hint(format!(
        "the same happens again with --scenario {} --seed {} and the same numbers",
        report.scenario, report.seed
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
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        made.details.push(error.to_string());
        cause = error.source();
    }
    made
}
