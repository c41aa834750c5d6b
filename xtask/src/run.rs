//! Running a command in the open: it is printed, its output passes through (or into a file), its time is bounded.

use crate::tally::Tally;
use anyhow::{Context, Result};
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// How much of what was put aside is shown when something is wrong.
const SHOWN_LINES: usize = 120;
/// How often a running command is looked at.
const LOOK: Duration = Duration::from_millis(50);

/// Where a stream goes.
type Sink = Box<dyn Write + Send>;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ended {
    /// Whether it ended with 0, in time.
    pub(crate) is_well: bool,
    /// Whether its time was up.
    pub(crate) is_late: bool,
    /// What its own summaries said, if it printed any.
    pub(crate) tally: Option<Tally>,
}

impl Ended {
    /// Answers the counts: those of the command's own summaries when there are any, else the command as one check.
    pub(crate) fn counted(self) -> Tally {
        match self.tally {
            Some(tally) if self.is_well || tally.failed > 0 => tally,
            Some(mut tally) => {
                tally += Tally::FAILED;
                tally
            }
            None => Tally::one(self.is_well),
        }
    }
}

/// A command with a limit.
pub(crate) struct Run {
    command: Command,
    limit: Duration,
    /// Where its output goes instead of here.
    aside: Option<PathBuf>,
}

impl Run {
    /// Prepares a program in a folder; it may run for `minutes`.
    pub(crate) fn new(program: &str, folder: &Path, minutes: u64) -> Self {
        let mut command = Command::new(program);
        command.current_dir(folder).stdin(Stdio::null());
        Self {
            command,
            limit: Duration::from_secs(minutes * 60),
            aside: None,
        }
    }

    pub(crate) fn words<S: AsRef<std::ffi::OsStr>>(
        mut self,
        words: impl IntoIterator<Item = S>,
    ) -> Self {
        self.command.args(words);
        self
    }

    pub(crate) fn env(mut self, name: &str, value: impl AsRef<std::ffi::OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Adds what it prints to the end of a file: a failure that is wanted is not to be read as one of ours.
    pub(crate) fn aside(mut self, file: &Path) -> Self {
        self.aside = Some(file.to_owned());
        self
    }

    /// Answers where its streams go.
    fn outputs(&self) -> Result<(Sink, Sink)> {
        let Some(file) = &self.aside else {
            return Ok((shown_at(std::io::stdout()), shown_at(std::io::stderr())));
        };
        let opened = File::options().create(true).append(true).open(file);
        let opened = opened.with_context(|| format!("can't write {}", file.display()))?;
        Ok((Box::new(opened.try_clone()?), Box::new(opened)))
    }

    #[cfg(test)]
    fn within(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Runs it to its end, or ends it with all that it started.
    ///
    /// # Errors
    /// When it can't be started.
    pub(crate) fn go(mut self) -> Result<Ended> {
        let line = shown(&self.command);
        let (mut to, to_error) = self.outputs()?;
        writeln!(to, "$ {line}")?;
        let started = Instant::now();
        self.command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = self
            .command
            .spawn()
            .with_context(|| format!("can't start {line}"))?;
        let (send, summaries) = mpsc::channel();
        let out = pass_on(child.stdout.take(), to, send.clone());
        let err = pass_on(child.stderr.take(), to_error, send);
        let status = wait(&mut child, started + self.limit)?;
        for thread in [out, err] {
            // A process that the command left behind may hold its output open: that is not waited for.
            let given_up = Instant::now() + Duration::from_secs(10);
            while !thread.is_finished() && Instant::now() < given_up {
                thread::sleep(LOOK);
            }
        }
        if status.is_none() {
            eprintln!(
                "ended after {} s without a result: {line}",
                self.limit.as_secs()
            );
        }
        Ok(Ended {
            is_well: status.is_some_and(|status| status.success()),
            is_late: status.is_none(),
            tally: summaries.try_iter().reduce(|mut sum, one| {
                sum += one;
                sum
            }),
        })
    }
}

/// Begins what [`Run::aside`] adds to.
pub(crate) fn begin_log(file: &Path) -> Result<()> {
    let folder = file.parent().context("a file has a folder")?;
    std::fs::create_dir_all(folder)?;
    std::fs::write(file, "").with_context(|| format!("can't write {}", file.display()))
}

/// Prints the end of what was put aside, each line marked.
pub(crate) fn show_end(file: &Path) {
    let said = std::fs::read(file).unwrap_or_default();
    let said = String::from_utf8_lossy(&said);
    let lines: Vec<&str> = said.lines().collect();
    let first = lines.len().saturating_sub(SHOWN_LINES);
    println!("the end of {}:", file.display());
    for line in lines.iter().skip(first) {
        println!("| {line}");
    }
}

/// Answers the command as one would type it.
fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let quoted = words.map(|word| {
        let word = word.to_string_lossy();
        if word.contains([' ', '"', '&', '|', '(']) {
            format!("'{word}'")
        } else {
            word.into_owned()
        }
    });
    let variables = command.get_envs().filter_map(|(name, value)| {
        Some(format!(
            "{}={}",
            name.to_string_lossy(),
            value?.to_string_lossy()
        ))
    });
    variables.chain(quoted).collect::<Vec<_>>().join(" ")
}

/// Answers where output is seen; in our own tests nowhere, so that who counts their summaries doesn't count what they play.
fn shown_at(terminal: impl Write + Send + 'static) -> Sink {
    if cfg!(test) {
        Box::new(std::io::sink())
    } else {
        Box::new(terminal)
    }
}

/// Copies lines as they come, and reads the summaries among them.
fn pass_on(
    from: Option<impl Read + Send + 'static>,
    mut to: impl Write + Send + 'static,
    summaries: mpsc::Sender<Tally>,
) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        let Some(from) = from else { return };
        let mut from = BufReader::new(from);
        let mut line = Vec::new();
        while from.read_until(b'\n', &mut line).is_ok_and(|n| n > 0) {
            // In one piece: the other stream's lines go to the same place.
            _ = to.write_all(&line).and_then(|()| to.flush());
            if let Some(tally) = Tally::read(&String::from_utf8_lossy(&line)) {
                _ = summaries.send(tally);
            }
            line.clear();
        }
    })
}

/// Waits for the end; past the deadline it ends the child with all below it and answers `None`.
fn wait(child: &mut Child, deadline: Instant) -> Result<Option<ExitStatus>> {
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if Instant::now() >= deadline {
            end_tree(child);
            return Ok(None);
        }
        thread::sleep(LOOK);
    }
}

fn end_tree(child: &mut Child) {
    let mut doomed = vec![child.id()];
    let parents = parents();
    let mut next = 0;
    while let Some(parent) = doomed.get(next).copied() {
        doomed.extend(
            parents
                .iter()
                .filter(|(_, of)| *of == parent)
                .map(|(pid, _)| *pid),
        );
        next += 1;
    }
    let pids = doomed.iter().map(u32::to_string);
    _ = Command::new("kill")
        .arg("-KILL")
        .args(pids)
        .stderr(Stdio::null())
        .status();
    _ = child.kill();
    _ = child.wait();
}

/// Lists every process with its parent; empty where there is no /proc.
fn parents() -> Vec<(u32, u32)> {
    let Ok(entries) = std::fs::read_dir("/proc") else {
        return Vec::new();
    };
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    pids.filter_map(|pid| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name in brackets may hold anything, so fields are counted from its end.
        let parent = stat
            .rsplit_once(')')?
            .1
            .split_whitespace()
            .nth(1)?
            .parse()
            .ok()?;
        Some((pid, parent))
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Run {
        Run::new("sh", Path::new("/"), 1).words(["-c", script])
    }

    #[test]
    fn the_result_and_the_summaries_are_seen() {
        let ended =
            shell("echo '2 passed, 0 failed, 1 skipped'; echo '3 passed, 0 failed, 0 skipped' >&2")
                .go();
        let ended = ended.expect("sh starts");
        assert!(ended.is_well && !ended.is_late);
        assert_eq!(
            ended.counted(),
            Tally {
                passed: 5,
                failed: 0,
                skipped: 1
            }
        );
        let ended = shell("exit 3").go().expect("sh starts");
        assert_eq!(ended.counted(), Tally::FAILED);
    }

    #[test]
    fn what_is_put_aside_is_in_its_file_and_still_counted() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("new/log");
        begin_log(&file).expect("a file");
        for script in ["echo 1 passed, 2 failed, 0 skipped", "echo FAIL x >&2"] {
            let ended = shell(script).aside(&file).go().expect("sh starts");
            assert_eq!(
                ended.counted().failed,
                if script.contains("FAIL") { 0 } else { 2 }
            );
        }
        let said = std::fs::read_to_string(&file).expect("text");
        let lines: Vec<&str> = said.lines().filter(|line| !line.starts_with('$')).collect();
        assert_eq!(lines, ["1 passed, 2 failed, 0 skipped", "FAIL x"]);
        assert_eq!(said.lines().count(), 4, "{said}");
    }

    #[test]
    fn a_failure_that_no_summary_names_counts_too() {
        let ended = shell("echo '2 passed, 0 failed, 1 skipped'; exit 1")
            .go()
            .expect("sh starts");
        assert_eq!(
            ended.counted(),
            Tally {
                passed: 2,
                failed: 1,
                skipped: 1
            }
        );
    }

    #[test]
    fn what_takes_too_long_is_ended_with_its_children() {
        let started = Instant::now();
        let run = shell("sleep 4321 & sleep 4321; true").within(Duration::from_millis(300));
        let ended = run.go().expect("sh starts");
        assert!(ended.is_late && !ended.is_well);
        assert!(
            started.elapsed() < Duration::from_secs(30),
            "children are ended as well"
        );
    }

    #[test]
    fn a_missing_program_is_an_error_that_names_it() {
        let error = Run::new("no-such-program-here", Path::new("/"), 1)
            .go()
            .expect_err("missing");
        assert!(
            error.to_string().contains("no-such-program-here"),
            "{error}"
        );
    }
}
