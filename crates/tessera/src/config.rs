//! Answers questions about the configuration with the daemons' own readers.

use std::path::{Path, PathBuf};
use tessera_cli::daemon::{ConfigOptions, ConfigQuestion};
use tessera_cli::{CliError, Exit};
use tessera_supervisor::Config as SupervisorConfig;
use tessera_worker::config::Config as WorkerConfig;

/// A file and which daemon reads it.
struct Source {
    path: PathBuf,
    daemon: Daemon,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Daemon {
    Supervisor,
    Worker,
}

impl Daemon {
    fn word(self) -> &'static str {
        match self {
            Self::Supervisor => "supervisor",
            Self::Worker => "worker",
        }
    }
}

/// Answers.
pub(crate) fn answer(options: &ConfigOptions) -> Result<(), CliError> {
    match &options.what {
        ConfigQuestion::Check(files) => check(&sources(files, &options.state), options.json),
        ConfigQuestion::Show => show(&options.state, None, options.json),
        ConfigQuestion::Explain(key) => show(&options.state, Some(key.as_deref()), options.json),
    }
}

/// Answers the files that are meant: those named, else those of the state folder.
fn sources(files: &[PathBuf], state: &Path) -> Vec<Source> {
    if files.is_empty() {
        return vec![
            Source {
                path: state.join("supervisor.toml"),
                daemon: Daemon::Supervisor,
            },
            Source {
                path: state.join("worker/worker.toml"),
                daemon: Daemon::Worker,
            },
        ];
    }
    let is_worker = |path: &Path| {
        path.file_name().is_some_and(|name| {
            name.to_string_lossy()
                .to_ascii_lowercase()
                .contains("worker")
        })
    };
    let source = |path: &PathBuf| Source {
        path: path.clone(),
        daemon: if is_worker(path) {
            Daemon::Worker
        } else {
            Daemon::Supervisor
        },
    };
    files.iter().map(source).collect()
}

/// Reads a file as its daemon would; answers what is wrong.
fn problem(source: &Source) -> Option<String> {
    match source.daemon {
        Daemon::Supervisor => SupervisorConfig::load(Some(&source.path))
            .err()
            .map(|error| error.to_string()),
        Daemon::Worker => WorkerConfig::read(&source.path)
            .err()
            .map(|error| error.to_string()),
    }
}

fn check(sources: &[Source], json: bool) -> Result<(), CliError> {
    let mut wrong = 0;
    let mut rows = Vec::new();
    for source in sources {
        let path = source.path.display().to_string();
        let (word, problem) = if source.path.exists() {
            let problem = problem(source);
            (if problem.is_some() { "wrong" } else { "good" }, problem)
        } else {
            ("absent", None)
        };
        wrong += usize::from(problem.is_some());
        let daemon = source.daemon.word();
        if !json {
            let said = problem.clone().unwrap_or_else(|| match word {
                "absent" => format!("{path}: not there, the defaults hold"),
                _ => format!("{path}: good ({daemon})"),
            });
            println!("{said}");
        }
        rows.push(
            serde_json::json!({"file": path, "daemon": daemon, "state": word, "problem": problem}),
        );
    }
    if json {
        println!("{:#}", serde_json::Value::Array(rows));
    }
    if wrong > 0 {
        return Err(CliError::new(
            Exit::Usage,
            format!("{wrong} of {} files are wrong", sources.len()),
        ));
    }
    Ok(())
}

/// Prints the values of the files, each with where it is from; `explain` names one key, or means all.
fn show(state: &Path, explain: Option<Option<&str>>, json: bool) -> Result<(), CliError> {
    let mut rows = Vec::new();
    for source in sources(&[], state) {
        if let Some(problem) = source.path.exists().then(|| problem(&source)).flatten() {
            return Err(CliError::new(Exit::Usage, problem));
        }
        let text = std::fs::read_to_string(&source.path).unwrap_or_default();
        let table: toml::Table = text.parse().unwrap_or_default();
        for (key, value) in table {
            if explain.flatten().is_none_or(|wanted| wanted == key) {
                rows.push((
                    source.daemon.word(),
                    key,
                    value.to_string(),
                    source.path.display().to_string(),
                ));
            }
        }
    }
    if let (Some(Some(key)), true) = (explain, rows.is_empty()) {
        println!(
            "{key} is not set in {}; its default holds, if there is such a key",
            state.display()
        );
        return Ok(());
    }
    if json {
        let row = |(daemon, key, value, file): &(&str, String, String, String)| serde_json::json!({"daemon": daemon, "key": key, "value": value, "file": file});
        println!(
            "{:#}",
            serde_json::Value::Array(rows.iter().map(row).collect())
        );
        return Ok(());
    }
    if rows.is_empty() {
        println!("nothing is set in {}; the defaults hold", state.display());
    }
    for (daemon, key, value, file) in rows {
        match explain {
            Some(_) => println!("{key} = {value}   ({daemon}, from {file})"),
            None => println!("{key} = {value}"),
        }
    }
    Ok(())
}
