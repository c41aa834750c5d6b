//! Putting a file in the place of the farm's `workers.toml`, so that nothing is lost that somebody else wrote meanwhile.
//!
//! The supervisor replaces only the version that is named. Who names none has not said what they saw, so they are shown what would
//! be lost, with the version to name: nothing is replaced unseen but where nothing stands yet, or with `--force`.

use crate::Exit;
use crate::error::CliError;
use crate::out::{diff, text};
use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use tessera_api::types::{ReconfigureReply, SetWorkerFile, WorkerFile};
use tessera_api::{Client, REQUEST_BYTES_MAX};

/// Lines that are shown of what differs.
const LINES_MAX: usize = 40;
/// Columns that are shown of each.
const COLUMNS_MAX: usize = 160;

/// Which version a file may take the place of.
#[derive(Debug)]
pub(super) enum Over {
    /// This one.
    Version(String),
    /// Whatever stands there when the command begins.
    Anything,
    /// What is the same, or nothing.
    Nothing,
}

/// Puts the file in the place of the farm's and has it read.
pub(super) async fn replace(
    client: &Client,
    path: &Path,
    over: Over,
) -> Result<ReconfigureReply, CliError> {
    let text = read_file(path)?;
    let version = match over {
        Over::Version(version) => version,
        Over::Anything => client.worker_file().await?.version.unwrap_or_default(),
        Over::Nothing => {
            let stands = client.worker_file().await?;
            loses_nothing(&stands, &text, path)?;
            stands.version.unwrap_or_default()
        }
    };
    let request = SetWorkerFile { text, version };
    Ok(client.set_worker_file(&request).await?)
}

/// Refuses to replace what differs, and shows it.
fn loses_nothing(stands: &WorkerFile, text: &str, path: &Path) -> Result<(), CliError> {
    // A file that the supervisor can't read it refuses to replace by itself, with the reason.
    let (Some(before), Some(version)) = (&stands.text, &stands.version) else {
        return Ok(());
    };
    if before.trim().is_empty() || before == text {
        return Ok(());
    }
    let told = |line: &String| text::fit(line, COLUMNS_MAX);
    let lines = diff::lines(before, text);
    let from = text::command(&[path.display().to_string()]);
    let mut error = CliError::new(
        Exit::State,
        format!(
            "{} is not empty, and no --version says that you saw what stands there; nothing was changed",
            stands.file
        ),
    )
    .hint(format!(
        "to have the lines with - replaced: tessera reconfigure --from {from} --version {version}"
    ))
    .hint("to begin with what stands there: tessera reconfigure --show; --force replaces whatever it is");
    error.details = lines.iter().take(LINES_MAX).map(told).collect();
    match lines.len().saturating_sub(LINES_MAX) {
        0 if lines.is_empty() => error
            .details
            .push("(the ends of lines differ only)".to_owned()),
        0 => {}
        more => error
            .details
            .push(format!("… and {more} more lines that differ")),
    }
    Err(error)
}

/// Reads a configuration that is to be sent.
fn read_file(path: &Path) -> Result<String, CliError> {
    let cant = |why: String| CliError::failed(format!("can't read {}: {why}", path.display()));
    let file = File::open(path).map_err(|error| cant(error.to_string()))?;
    let mut text = String::new();
    let most = REQUEST_BYTES_MAX as u64;
    let read = file.take(most + 1).read_to_string(&mut text);
    read.map_err(|error| cant(error.to_string()))?;
    if text.len() as u64 > most {
        return Err(cant(format!("it is longer than {most} bytes")));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::out::Look;

    fn judged(stands: &str, text: &str) -> Result<(), CliError> {
        let file = WorkerFile {
            file: "/f/workers.toml".into(),
            text: Some(stands.into()),
            version: Some("5f3a".into()),
            ..WorkerFile::default()
        };
        loses_nothing(&file, text, Path::new("my workers.toml"))
    }

    #[test]
    fn what_somebody_wrote_is_not_replaced_unseen() {
        assert_eq!(judged("", "[default]\n"), Ok(()), "nothing is lost");
        assert_eq!(judged("[default]\n", "[default]\n"), Ok(()), "the same");
        let stands = "[default]\nworker_cpus = 2\n# of tom\n[host.a]\n";
        let error = judged(stands, "[default]\nworker_cpus = 4\n[host.a]\n").expect_err("refused");
        assert_eq!(error.exit, Exit::State);
        let look = Look {
            width: Some(80),
            colour: false,
            now_ms: 0,
            zone: jiff::tz::TimeZone::UTC,
        };
        insta::assert_snapshot!(error.print(&look), @r"
        error: /f/workers.toml is not empty, and no --version says that you saw what stands there; nothing was changed
          - worker_cpus = 2
          - # of tom
          + worker_cpus = 4
        hint: to have the lines with - replaced: tessera reconfigure --from 'my workers.toml' --version 5f3a
        hint: to begin with what stands there: tessera reconfigure --show; --force replaces whatever it is
        ");
        let ends = judged("a\n", "a\r\n").expect_err("refused");
        assert_eq!(ends.details, ["(the ends of lines differ only)"]);
    }

    #[test]
    fn much_that_differs_is_told_in_few_lines() {
        let long = "x".repeat(500);
        let text: String = (0..90).map(|n| format!("{n}{long}\n")).collect();
        let error = judged(&text, "").expect_err("refused");
        assert_eq!(error.details.len(), LINES_MAX + 1);
        assert_eq!(error.details[LINES_MAX], "… and 50 more lines that differ");
        assert!(
            error
                .details
                .iter()
                .all(|line| text::width(line) <= COLUMNS_MAX)
        );
    }
}
