//! `tessera config explain`: every key of this host's daemons, its value, and where that is from.

use std::collections::BTreeMap;
use std::path::Path;
use tessera_cli::args::Colour;
use tessera_cli::out::Look;
use tessera_cli::{CliError, Exit, show};
use tessera_hostconfig::nearest;
#[cfg(target_os = "linux")]
use tessera_supervisor::Config as SupervisorConfig;
use tessera_worker::config::{KEYS, Key, Own, Setter, When};
use toml::de::DeTable;

use crate::config::{Daemon, Source, read};

/// Options of the daemons that go before a key.
const OPTIONS: [(&str, &str); 4] = [
    ("qb_supervisor", "tessera worker --connect"),
    ("worker_cpus", "tessera worker --slots"),
    ("worker_name", "tessera worker --name"),
    ("supervisor_port", "tessera supervisor --listen"),
];

/// A key of a daemon.
#[derive(Debug, PartialEq, Eq)]
struct Row {
    daemon: Daemon,
    key: &'static str,
    value: String,
    from: String,
}

/// Prints every key, or one.
pub(crate) fn explain(
    sources: &[Source],
    wanted: Option<&str>,
    is_json: bool,
) -> Result<(), CliError> {
    let mut rows = Vec::new();
    for source in sources {
        rows.extend(of_source(source)?);
    }
    let known: Vec<&'static str> = rows.iter().map(|row| row.key).collect();
    rows.retain(|row| wanted.is_none_or(|wanted| wanted == row.key));
    if let (Some(wanted), true) = (wanted, rows.is_empty()) {
        return Err(no_key(wanted, &known));
    }
    if is_json {
        let json = |row: &Row| serde_json::json!({"daemon": row.daemon.word(), "key": row.key, "value": row.value, "from": row.from});
        println!("{:#}", rows.iter().map(json).collect::<serde_json::Value>());
        return Ok(());
    }
    let look = Look::of_stdout(Colour::Auto);
    let lines = rows.iter().map(|row| {
        let value = match row.value.as_str() {
            "" => "not set",
            value => value,
        };
        (row.key, value, row.from.as_str())
    });
    print!("{}", show::explained(&look, lines));
    if rows.iter().any(waits_for_a_start) {
        eprintln!("{WHEN_READ}");
    }
    Ok(())
}

/// When a change of a host's own file holds.
const WHEN_READ: &str = "note: a worker reads its own worker.toml when it starts, and tessera reconfigure does not change that: a change \
                         of the file holds from the worker's next start, of which a restart ends no job on Linux; only desktop_… keys \
                         about who is let in and who is active are read again at once";

/// Says whether a change of a key in the host's own file waits for the worker's next start.
fn waits_for_a_start(row: &Row) -> bool {
    let key = KEYS.iter().find(|key| key.name == row.key);
    let is_reread = |key: &Key| key.setter == Setter::Host && key.when == When::Now;
    row.daemon == Daemon::Worker && !key.is_some_and(is_reread)
}

/// Says that there is no such key, and which may be meant.
fn no_key(wanted: &str, known: &[&'static str]) -> CliError {
    let near = nearest(wanted, known.iter().copied());
    let meant = near.map(|near| format!("; did you mean {near}?"));
    let meant = meant.unwrap_or_default();
    CliError::new(Exit::NotFound, format!("there is no key {wanted:?}{meant}"))
        .hint("tessera config explain lists all")
}

fn of_source(source: &Source) -> Result<Vec<Row>, CliError> {
    let text = read(source)?.unwrap_or_default();
    let wrong = |error: &dyn std::fmt::Display| CliError::usage(error.to_string());
    let mut served = BTreeMap::new();
    let values = match source.daemon {
        Daemon::Worker => {
            let own = Own::parse(&source.path, &text).map_err(|error| wrong(&error))?;
            let (values, theirs) = of_worker(&own, &source.path);
            served = theirs;
            values
        }
        #[cfg(target_os = "linux")]
        Daemon::Supervisor => SupervisorConfig::parse(&text)
            .map_err(|(line, problem)| {
                wrong(&format!("{}:{line}: {problem}", source.path.display()))
            })?
            .values(),
        // They set nothing of this host by themselves.
        #[cfg(target_os = "linux")]
        Daemon::Notify => Vec::new(),
        Daemon::Workers => Vec::new(),
    };
    let lines = lines(&text);
    Ok(values
        .into_iter()
        .map(|(key, value)| Row {
            daemon: source.daemon,
            key,
            value,
            from: from(key, lines.get(key).copied(), &source.path, served.get(key)),
        })
        .collect())
}

/// What a set of values that the supervisor serves is called, by key.
type Served = BTreeMap<String, String>;

/// Answers what holds for this host's worker, and what of it is the supervisor's.
fn of_worker(own: &Own, path: &Path) -> (Vec<(&'static str, String)>, Served) {
    // The file lies in the worker's part of the state.
    let state = path.parent().and_then(Path::parent);
    let kept = state.and_then(|state| tessera_worker::kept_settings(state, own.lookup()));
    let together = own.with(
        &kept
            .as_ref()
            .map(|it| it.values.clone())
            .unwrap_or_default(),
    );
    let value = |key: &Key| (key.name, key.show(&together.config).unwrap_or_default());
    let values = KEYS.iter().map(value).collect();
    let said = kept.map_or_else(String::new, |it| format!("the supervisor ({})", it.hash));
    let served = together.central.iter();
    (
        values,
        served.map(|key| (key.clone(), said.clone())).collect(),
    )
}

/// Answers the line of each key in a file that was understood.
fn lines(text: &str) -> BTreeMap<String, usize> {
    let Ok(table) = DeTable::parse(text) else {
        return BTreeMap::new();
    };
    let line = |at: usize| text.bytes().take(at).filter(|byte| *byte == b'\n').count() + 1;
    let keys = table.get_ref().keys();
    keys.map(|key| (key.get_ref().to_string(), line(key.span().start)))
        .collect()
}

fn from(key: &str, line: Option<usize>, path: &Path, served: Option<&String>) -> String {
    let place = line.map(|line| format!("{}:{line}", path.display()));
    let place = match (served, place) {
        (Some(served), Some(place)) => format!("{served}; over {place}"),
        (Some(served), None) => served.clone(),
        (None, place) => place.unwrap_or_else(|| "default".to_owned()),
    };
    match OPTIONS.iter().find(|(of, _)| *of == key) {
        Some((_, option)) => format!("{place}, unless {option} is given"),
        None => place,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tessera_worker::config::Config as WorkerConfig;

    fn worker(text: &str) -> Result<Vec<Row>, CliError> {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("worker.toml");
        std::fs::write(&path, text).expect("written");
        of_source(&Source {
            path,
            daemon: Daemon::Worker,
        })
    }

    #[test]
    fn each_value_names_its_line_or_the_default() {
        let rows = worker("# ours\nworker_cpus = 4\n\nworker_groups = \"gpu, linux\"\n");
        let rows = rows.expect("is right");
        let of = |key: &str| rows.iter().find(|row| row.key == key).expect("a key");
        assert_eq!(of("worker_cpus").value, "4");
        assert!(
            of("worker_cpus")
                .from
                .ends_with("worker.toml:2, unless tessera worker --slots is given"),
            "{rows:?}"
        );
        assert_eq!(of("worker_groups").value, r#"["gpu", "linux"]"#);
        assert!(of("worker_groups").from.ends_with("worker.toml:4"));
        assert_eq!(of("worker_spool_max").from, "default");
        assert_eq!(of("proxy_account").value, "");
    }

    #[test]
    fn what_waits_for_a_start_of_the_worker_is_known() {
        let rows = worker("").expect("is right");
        let waits = |key: &str| {
            let row = rows.iter().find(|row| row.key == key);
            waits_for_a_start(row.expect("a key"))
        };
        assert!(waits("worker_groups") && waits("worker_name") && waits("desktop_environment"));
        assert!(!waits("desktop_idle_seconds") && !waits("desktop_allowed_submitters"));
    }

    #[test]
    fn what_is_shown_is_what_is_read() {
        let text = "qb_supervisor = \"a:1\"\nworker_cluster = \"/show\"\nworker_restrictions = \"/show/*\"\nworker_name = \"n\"\nproxy_execution_mode = \"user\"\n\
                    worker_resources = [\"host.gpu=2\"]\nworker_spool_max = \"2 GiB\"\nworker_credential_pool = \"night\"\n\
                    worker_credential_admit = [\"00112233445566778899aabbccddeeff\"]\n";
        let shown: String = worker(text)
            .expect("is right")
            .iter()
            .filter(|row| !row.value.is_empty())
            .map(|row| format!("{} = {}\n", row.key, row.value))
            .collect();
        let path = Path::new("w.toml");
        assert_eq!(
            WorkerConfig::parse(path, &shown).map_err(|error| error.to_string()),
            WorkerConfig::parse(path, text).map_err(|error| error.to_string()),
            "{shown}"
        );
    }

    #[test]
    fn a_wrong_file_and_an_unknown_key_are_errors() {
        assert_eq!(
            worker("worker_cpu = 1").expect_err("unknown").exit,
            Exit::Usage
        );
        let source = Source {
            path: "/nonexistent/worker.toml".into(),
            daemon: Daemon::Worker,
        };
        let error = explain(&[source], Some("lissten"), true).expect_err("no key");
        assert_eq!(error.exit, Exit::NotFound);
    }

    #[test]
    fn a_misspelt_key_is_told_the_nearest() {
        let known = ["worker_cpus", "worker_name"];
        assert_eq!(
            no_key("worker_cpu", &known).message,
            "there is no key \"worker_cpu\"; did you mean worker_cpus?"
        );
        assert_eq!(no_key("zzz", &known).message, "there is no key \"zzz\"");
    }
}
