//! `tessera config` about a file for all workers: is it right, what does it set for a host, what do Qube!'s files come to.
//!
//! The worker's own reader judges keys and values, so that what is right here is right there.

use std::fs::File;
use std::io::{ErrorKind, Read as _, Write as _};
use std::path::{Path, PathBuf};
use tessera_cli::args::{Colour, System};
use tessera_cli::out::Look;
use tessera_cli::{CliError, Exit, show};
use tessera_hostconfig::limits::FILE_BYTES_MAX;
use tessera_hostconfig::worker::Key;
use tessera_hostconfig::{Finding, Platform, Source, Workers, qube};

/// Reads a file for all workers: what it says, its errors, and what in it has no effect.
pub(crate) fn read(path: &Path, text: &str) -> (Workers, Vec<String>, Vec<String>) {
    let (workers, findings) = Workers::read(text);
    let said = |it: Finding| {
        let hint = it.hint.as_ref().map(|hint| format!("; {hint}"));
        (
            it.is_error,
            format!("{}:{it}{}", path.display(), hint.unwrap_or_default()),
        )
    };
    let (errors, warnings): (Vec<_>, Vec<_>) = findings.into_iter().map(said).partition(|it| it.0);
    let texts = |all: Vec<(bool, String)>| all.into_iter().map(|(_, text)| text).collect();
    (workers, texts(errors), texts(warnings))
}

/// Prints what a file sets for a host, all or one key, each with where it is from and what it overrides.
pub(crate) fn explain(
    host: &str,
    path: &Path,
    system: System,
    wanted: Option<&str>,
    is_json: bool,
) -> Result<(), CliError> {
    let (workers, errors, _) = read(path, &text_of(path)?);
    if !errors.is_empty() {
        let said = format!("{} has mistakes, and is not used so", path.display());
        let mut error = CliError::usage(said);
        error.details = errors;
        return Err(error);
    }
    let settings = workers.of_host(host, Platform::of_word(system.word()));
    if let Some(wanted) = wanted.filter(|wanted| Key::of_name(wanted).is_none()) {
        return Err(
            CliError::new(Exit::NotFound, format!("there is no key {wanted:?}"))
                .hint("tessera config explain lists all"),
        );
    }
    let rows = settings.values.iter();
    let rows: Vec<_> = rows
        .filter(|(key, _)| wanted.is_none_or(|wanted| wanted == key.as_str()))
        .collect();
    let is_named = workers.names(host);
    if is_json {
        let row = |(key, it): &(&String, &Source)| {
            let over = it.over.iter();
            let over = over.map(|(value, from)| serde_json::json!({"value": value, "from": from.to_string(), "line": from.place.line}));
            serde_json::json!({
                "key": key, "value": it.value, "from": it.from.to_string(), "line": it.from.place.line,
                "overrides": over.collect::<serde_json::Value>(),
            })
        };
        let rows: serde_json::Value = rows.iter().map(row).collect();
        let all = serde_json::json!({
            "host": host, "platform": system.word(), "file": path, "has_section": is_named, "values": rows,
        });
        println!("{all:#}");
        return Ok(());
    }
    let word = system.word();
    match (is_named, rows.is_empty()) {
        (_, true) => println!("{} sets nothing of it for {host} ({word})", path.display()),
        (true, false) => println!("{host} ({word}), by {}:", path.display()),
        (false, false) => println!(
            "{host} ({word}), by {}; no section names it:",
            path.display()
        ),
    }
    let rows: Vec<_> = rows
        .iter()
        .map(|(key, it)| (key, &it.value, from(it)))
        .collect();
    if !rows.is_empty() {
        let look = Look::of_stdout(Colour::Auto);
        let lines = rows
            .iter()
            .map(|(key, value, from)| (key.as_str(), value.as_str(), from.as_str()));
        print!("{}", show::explained(&look, lines));
    }
    Ok(())
}

fn from(source: &Source) -> String {
    let over = source.over.iter();
    let over: Vec<String> = over
        .map(|(value, from)| format!("{value} ({from})"))
        .collect();
    match over.is_empty() {
        true => source.from.to_string(),
        false => format!("{}; over {}", source.from, over.join(", ")),
    }
}

/// Makes a file for all workers of Qube!'s, and lists what is not in it.
pub(crate) fn import(files: &[PathBuf], out: Option<&Path>, is_json: bool) -> Result<(), CliError> {
    let read = |path: &PathBuf| Ok((path.display().to_string(), text_of(path)?));
    let texts: Vec<(String, String)> = files.iter().map(read).collect::<Result<_, CliError>>()?;
    let texts: Vec<qube::File<'_>> = texts
        .iter()
        .map(|(name, text)| qube::File { name, text })
        .collect();
    let made = qube::import(&texts).map_err(too_long)?;
    if let Some(out) = out {
        write(out, &made.toml)?;
    }
    if is_json {
        let row = |it: &qube::Left| serde_json::json!({"file": it.file, "line": it.line, "what": it.what, "why": it.why});
        let left: serde_json::Value = made.left.iter().map(row).collect();
        println!(
            "{:#}",
            serde_json::json!({"toml": made.toml, "left": left, "file": out})
        );
        return Ok(());
    }
    match out {
        Some(out) => println!(
            "{} is written; try: tessera config check {0}",
            out.display()
        ),
        None => print!("{}", made.toml),
    }
    if !made.left.is_empty() {
        eprintln!("not carried over, or not as it was:");
    }
    for left in made.left {
        eprintln!("  {left}");
    }
    Ok(())
}

fn too_long(name: &str) -> CliError {
    CliError::usage(format!("{name} is longer than {FILE_BYTES_MAX} bytes"))
}

/// Reads a file; letters of old encodings are replaced.
fn text_of(path: &Path) -> Result<String, CliError> {
    let failed = |error: std::io::Error| {
        let said = format!("can't read {}: {error}", path.display());
        match error.kind() {
            ErrorKind::NotFound => CliError::new(Exit::NotFound, said),
            ErrorKind::PermissionDenied => {
                CliError::new(Exit::Denied, said).hint("run it with sudo")
            }
            _ => CliError::failed(said),
        }
    };
    let mut bytes = Vec::new();
    let bound = FILE_BYTES_MAX as u64 + 1;
    let file = File::open(path).map_err(failed)?;
    file.take(bound).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() > FILE_BYTES_MAX {
        return Err(too_long(&path.display().to_string()));
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Writes a file that must not be there yet: what somebody has written is not replaced.
fn write(path: &Path, text: &str) -> Result<(), CliError> {
    let made = File::create_new(path).and_then(|mut file| file.write_all(text.as_bytes()));
    made.map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => {
            CliError::failed(format!("{} is there already", path.display()))
                .hint("name another file, or remove that one")
        }
        _ => CliError::failed(format!("can't write {}: {error}", path.display())),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use tessera_worker::config::Config;

    #[test]
    fn what_is_set_for_a_host_is_taken_by_its_worker() {
        let text = "[default]\nworker_spool_max = \"2 GiB\"\nworker_path_map = [['P:\\', '/mnt/p']]\n\
                    [host.\"r[01-20]\"]\nworker_properties = [\"host.rack=b7\"]\nproxy_nice_value = 5\n";
        let (workers, errors, warnings) = read(Path::new("w"), text);
        assert_eq!((errors, warnings), (Vec::new(), Vec::new()));
        let toml = workers.of_host("r07", None).to_toml();
        let config = Config::parse(Path::new("w"), &toml).expect("the worker takes it");
        assert_eq!(config.worker_spool_max, 2 << 30);
        assert_eq!(config.worker_properties["host.rack"], "b7");
        assert_eq!(config.worker_path_map.pairs().count(), 1);
    }

    #[test]
    fn what_is_imported_is_right_and_replaces_nothing() {
        let dir = tempfile::tempdir().expect("a folder");
        let (conf, out) = (
            dir.path().join("qbwrk.conf"),
            dir.path().join("workers.toml"),
        );
        std::fs::write(
            &conf,
            b"[default]\nworker_cpus = 4\nworker_description = \"T\xfcr\"\n",
        )
        .expect("written");
        let files = [conf];
        assert_eq!(import(&files, Some(&out), true), Ok(()));
        let text = std::fs::read_to_string(&out).expect("written");
        let (workers, errors, _) = read(&out, &text);
        assert_eq!(errors, Vec::<String>::new(), "{text}");
        assert_eq!(workers.of_host("x", None).values["worker_cpus"].value, "4");
        let again = import(&files, Some(&out), true).expect_err("it is there");
        assert!(
            again.message.ends_with("workers.toml is there already"),
            "{again}"
        );
        let missing = import(&[dir.path().join("nope")], None, true).expect_err("missing");
        assert_eq!(missing.exit, Exit::NotFound);
    }

    #[test]
    fn a_host_is_explained_by_a_file_that_is_right() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("workers.toml");
        let ask = |text: &str, key: Option<&str>| {
            std::fs::write(&path, text).expect("written");
            explain("r1", &path, System::Linux, key, true)
        };
        assert_eq!(
            ask("[host.r1]\nworker_cpus = 1\n", Some("worker_cpus")),
            Ok(())
        );
        let unknown = ask("[host.r1]\nworker_cpus = 1\n", Some("lissten")).expect_err("no key");
        assert_eq!(unknown.exit, Exit::NotFound);
        let wrong = ask("[host.r1]\nworker_cpus = 9999\n", None).expect_err("wrong");
        assert_eq!((wrong.exit, wrong.details.len()), (Exit::Usage, 1));
    }
}
