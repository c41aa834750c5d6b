//! Answers questions about the configuration with the daemons' own readers.

use crate::{explain, workers};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use tessera_cli::daemon::{ConfigOptions, ConfigQuestion};
use tessera_cli::{CliError, Exit};
#[cfg(target_os = "linux")]
use tessera_supervisor::{Config as SupervisorConfig, NotifyConfig};
use tessera_worker::config::Config as WorkerConfig;

/// A file and which daemon reads it.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) path: PathBuf,
    pub(crate) daemon: Daemon,
}

/// A daemon with a configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Daemon {
    #[cfg(target_os = "linux")]
    Supervisor,
    /// The supervisor's, of whom it tells what.
    #[cfg(target_os = "linux")]
    Notify,
    Worker,
    /// No daemon: a file for all workers.
    Workers,
}

impl Daemon {
    pub(crate) fn word(self) -> &'static str {
        match self {
            #[cfg(target_os = "linux")]
            Self::Supervisor => "supervisor",
            #[cfg(target_os = "linux")]
            Self::Notify => "notify",
            Self::Worker => "worker",
            Self::Workers => "workers",
        }
    }
}

/// Answers.
pub(crate) fn answer(options: &ConfigOptions) -> Result<(), CliError> {
    match &options.what {
        ConfigQuestion::Check(files) => {
            let must_exist = !files.is_empty();
            let all = sources(files, &options.state);
            #[cfg(target_os = "linux")]
            let all = with_notify(all, files.is_empty(), &options.state);
            check(&all, must_exist, options.json)
        }
        ConfigQuestion::Show => show(&options.state, options.json),
        ConfigQuestion::Explain(key) => {
            explain::explain(&sources(&[], &options.state), key.as_deref(), options.json)
        }
        ConfigQuestion::ExplainHost {
            host,
            file,
            platform,
            key,
        } => workers::explain(host, file, *platform, key.as_deref(), options.json),
        ConfigQuestion::Import { files, out } => {
            workers::import(files, out.as_deref(), options.json)
        }
    }
}

/// Answers the files that are meant: those named, else those of the state folder.
fn sources(files: &[PathBuf], state: &Path) -> Vec<Source> {
    if files.is_empty() {
        return vec![
            #[cfg(target_os = "linux")]
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
    let source = |path: &PathBuf| Source {
        path: path.clone(),
        daemon: reader_of(path),
    };
    files.iter().map(source).collect()
}

/// Adds to the usual files the one that says whom to tell, if there is one: its absence is usual, and not worth a line.
#[cfg(target_os = "linux")]
fn with_notify(mut sources: Vec<Source>, are_usual: bool, state: &Path) -> Vec<Source> {
    let path = state.join("notify.toml");
    let daemon = Daemon::Notify;
    if are_usual && path.exists() {
        sources.push(Source { path, daemon });
    }
    sources
}

/// Answers whose a file is by its name.
fn reader_of(path: &Path) -> Daemon {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let name = name.to_ascii_lowercase();
    if name.contains("workers") {
        return Daemon::Workers;
    }
    #[cfg(target_os = "linux")]
    if name.contains("notify") {
        return Daemon::Notify;
    }
    // There are only workers on other systems.
    #[cfg(target_os = "linux")]
    if !name.contains("worker") {
        return Daemon::Supervisor;
    }
    Daemon::Worker
}

/// Reads the text of a file; nothing when there is none.
///
/// # Errors
/// When it can't be read.
pub(crate) fn read(source: &Source) -> Result<Option<String>, CliError> {
    match std::fs::read_to_string(&source.path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => {
            let said = format!("can't read {}: {error}", source.path.display());
            Err(match error.kind() {
                ErrorKind::PermissionDenied => {
                    CliError::new(Exit::Denied, said).hint("run it with sudo")
                }
                _ => CliError::failed(said),
            })
        }
    }
}

/// What came of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    /// It can be used; what in it has no effect.
    Good(Vec<String>),
    Absent,
    /// What is wrong: one mistake or more.
    Wrong(Vec<String>),
}

impl State {
    fn word(&self) -> &'static str {
        match self {
            Self::Good(_) => "good",
            Self::Absent => "absent",
            Self::Wrong(_) => "wrong",
        }
    }

    /// Says it for programs.
    fn json(&self, source: &Source) -> serde_json::Value {
        let (problems, warnings) = match self {
            Self::Good(warnings) => (&[][..], warnings.as_slice()),
            Self::Absent => (&[][..], &[][..]),
            Self::Wrong(problems) => (problems.as_slice(), &[][..]),
        };
        serde_json::json!({
            "file": source.path, "daemon": source.daemon.word(), "state": self.word(),
            "problem": problems.first(), "problems": problems, "warnings": warnings,
        })
    }
}

/// Reads a file as its daemon would.
fn look(source: &Source) -> State {
    let text = match read(source) {
        Ok(None) => return State::Absent,
        Ok(Some(text)) => text,
        Err(error) => return State::Wrong(vec![error.to_string()]),
    };
    let problem = match source.daemon {
        #[cfg(target_os = "linux")]
        Daemon::Supervisor => SupervisorConfig::load(Some(&source.path))
            .err()
            .map(|error| error.to_string()),
        #[cfg(target_os = "linux")]
        Daemon::Notify => NotifyConfig::load(&source.path)
            .err()
            .map(|error| error.to_string()),
        Daemon::Worker => WorkerConfig::read(&source.path)
            .err()
            .map(|error| error.to_string()),
        Daemon::Workers => {
            return match workers::read(&source.path, &text) {
                (_, errors, warnings) if errors.is_empty() => State::Good(warnings),
                (_, errors, _) => State::Wrong(errors),
            };
        }
    };
    problem.map_or(State::Good(Vec::new()), |why| State::Wrong(vec![why]))
}

/// Says of each file whether it is right; one that was named must be there.
fn check(sources: &[Source], must_exist: bool, json: bool) -> Result<(), CliError> {
    let states: Vec<State> = sources.iter().map(look).collect();
    if json {
        let rows = sources.iter().zip(&states);
        let rows = rows.map(|(source, state)| state.json(source));
        println!("{:#}", rows.collect::<serde_json::Value>());
    }
    let (mut wrong, mut files) = (Vec::new(), 0);
    let mut exit = Exit::NotFound;
    for (source, state) in sources.iter().zip(states) {
        let path = source.path.display();
        match state {
            State::Wrong(why) => {
                exit = Exit::Usage;
                files += 1;
                wrong.extend(why);
            }
            State::Absent if must_exist => {
                files += 1;
                wrong.push(format!("{path}: there is no such file"));
            }
            State::Absent if !json => println!("{path}: not there, the defaults hold"),
            State::Good(warnings) if !json => {
                println!("{path}: good ({})", source.daemon.word());
                for warning in warnings {
                    println!("{warning}");
                }
            }
            State::Good(_) | State::Absent => {}
        }
    }
    if wrong.len() <= 1 {
        return wrong
            .pop()
            .map_or(Ok(()), |why| Err(CliError::new(exit, why)));
    }
    let mistakes = wrong.len();
    let said = match files {
        1 => format!("{mistakes} mistakes"),
        files => format!("{files} of {} files are wrong", sources.len()),
    };
    let mut error = CliError::new(exit, said);
    error.details = wrong;
    Err(error)
}

/// Prints the values that the files set.
fn show(state: &Path, json: bool) -> Result<(), CliError> {
    let mut rows = Vec::new();
    for source in sources(&[], state) {
        let text = read(&source)?.unwrap_or_default();
        if let State::Wrong(problems) = look(&source) {
            return Err(CliError::new(Exit::Usage, problems.join("; ")));
        }
        let table: toml::Table = text.parse().unwrap_or_default();
        let file = source.path.display().to_string();
        for (key, value) in table {
            rows.push((source.daemon.word(), key, value.to_string(), file.clone()));
        }
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
        println!(
            "nothing is set in {}; the defaults hold: tessera config explain",
            state.display()
        );
    }
    for (_, key, value, _) in rows {
        println!("{key} = {value}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_was_named_must_be_there_and_right() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = |name: &str| dir.path().join(name);
        std::fs::write(path("sup.toml"), "lissten = 1\n").expect("written");
        std::fs::write(path("worker.toml"), "worker_cpus = 2\n").expect("written");
        let ask = |names: &[&str]| {
            let files: Vec<PathBuf> = names.iter().map(|name| path(name)).collect();
            check(&sources(&files, dir.path()), true, false)
        };
        assert_eq!(ask(&["worker.toml"]), Ok(()));
        let missing = ask(&["nope.toml"]).expect_err("missing");
        assert_eq!(missing.exit, Exit::NotFound);
        assert!(missing.message.contains("nope.toml"), "{missing}");
        let wrong = ask(&["sup.toml"]).expect_err("wrong");
        assert_eq!(wrong.exit, Exit::Usage);
        assert!(
            wrong
                .message
                .ends_with("sup.toml:1: unknown key \"lissten\""),
            "{wrong}"
        );
        let both = ask(&["sup.toml", "nope.toml"]).expect_err("wrong");
        assert_eq!((both.exit, both.details.len()), (Exit::Usage, 2));
    }

    #[test]
    fn a_file_for_all_workers_is_told_by_its_name_and_has_all_its_mistakes_told() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("workers.toml");
        let ask = |text: &str| {
            std::fs::write(&path, text).expect("written");
            check(
                &sources(std::slice::from_ref(&path), dir.path()),
                true,
                false,
            )
        };
        assert_eq!(ask("[default]\nworker_cpus = 2\n"), Ok(()));
        let one = ask("[default]\nworker_cpu = 2\n").expect_err("wrong");
        assert!(
            one.message.ends_with(
                "workers.toml:2:1: there is no key `worker_cpu` in [default]; did you mean `worker_cpus`?"
            ),
            "{one}"
        );
        let two = ask("[default]\nworker_cpus = 9999\nqb_supervisor = \"x\"\n").expect_err("wrong");
        assert_eq!(
            (two.message.as_str(), two.details.len()),
            ("2 mistakes", 2),
            "{two:?}"
        );
        assert!(
            two.details[0].ends_with(
                "workers.toml:2:1: `worker_cpus` must be a number from 0 (one slot per core) to 4096"
            ),
            "{two:?}"
        );
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn whom_to_tell_is_checked_with_the_secrets_that_it_names() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("notify.toml");
        let text = "[[webhook]]\nname = \"a\"\nurl = \"https://a.example/\"\nsecret_file = \"none\"\non = [\"done\"]\n";
        std::fs::write(&path, text).expect("written");
        let named = check(&sources(&[path], dir.path()), true, false).expect_err("no secret");
        assert!(named.message.contains("none: No such file"), "{named}");
        let options = ConfigOptions {
            what: ConfigQuestion::Check(Vec::new()),
            state: dir.path().to_owned(),
            json: false,
        };
        assert_eq!(
            answer(&options).expect_err("found by itself").exit,
            Exit::Usage
        );
    }

    #[test]
    fn files_of_the_state_may_be_missing() {
        let dir = tempfile::tempdir().expect("a folder");
        assert_eq!(check(&sources(&[], dir.path()), false, false), Ok(()));
        assert_eq!(show(dir.path(), true), Ok(()));
    }
}
