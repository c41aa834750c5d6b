//! A farm in the container: jobs that wait for a word, and what the farm says of them afterwards.

use super::container::Container;
use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

/// The person whose jobs run, with a home where no system has one.
pub(super) const PERSON: &str = "tessera-trial";
/// A job prints lines until this file is there.
const WORD: &str = "/srv/word";

/// A job of one frame that runs.
pub(super) struct Job {
    id: String,
    /// The frame's process, and when that began.
    process: String,
    began: String,
    /// The status that it ends with.
    status: u8,
}

/// Makes the person, with a number that no test of this machine uses at the same time: some kill all that a number has, and
/// from here they see into the container.
pub(super) fn add_person(container: &Container) -> Result<()> {
    let uid = 40_000 + std::process::id() % 10_000;
    container.run(&format!(
        "useradd --uid {uid} --create-home --home-dir /srv/{PERSON} --shell /bin/sh {PERSON}"
    ))?;
    Ok(())
}

/// Waits until a host in this mode is connected.
pub(super) fn wait_for_host(container: &Container, mode: &str) -> Result<()> {
    let script = format!(
        r#"tessera hosts --json | tr -d ' \n' | grep -E '"status":"up"[^{{}}]*"mode":"{mode}"'"#
    );
    container.wait_until(&format!("a host in mode {mode} is up"), &script)
}

/// Submits a job as the person and waits until its frame prints.
pub(super) fn begin(container: &Container, status: u8) -> Result<Job> {
    container.run(&format!("rm -f {WORD}"))?;
    // `$$` is the shell's number, which stays the frame's.
    let frame = format!(
        "echo process $$; n=0; while [ ! -e {WORD} ]; do n=$((n+1)); echo line $n; sleep 0.1; done; \
         echo last after $n; exit {status}"
    );
    let id = container.run_as(
        PERSON,
        &format!("tessera submit --range 1 -- sh -c '{frame}'"),
    )?;
    let id = id.lines().last().unwrap_or_default().to_owned();
    ensure!(id.parse::<u64>().is_ok(), "\"{id}\" is no job");
    let log = format!("runuser -l {PERSON} -c 'tessera log {id}:1' | grep -q '^line 5$'");
    container.wait_until(&format!("job {id} prints"), &log)?;
    let log = container.run_as(PERSON, &format!("tessera log {id}:1"))?;
    let process = log.lines().find_map(|line| line.strip_prefix("process "));
    let process = process.context("the frame names no process")?.to_owned();
    let began = began(container, &process)?;
    Ok(Job {
        id,
        process,
        began,
        status,
    })
}

/// Answers when a process began, in the kernel's ticks.
fn began(container: &Container, process: &str) -> Result<String> {
    container.run(&format!("cut -d' ' -f22 /proc/{process}/stat"))
}

impl Job {
    /// Sees that the frame is still the same process, as the person.
    pub(super) fn runs(&self, container: &Container) -> Result<()> {
        let process = &self.process;
        let began = began(container, process).context("the frame's process is gone")?;
        ensure!(began == self.began, "process {process} is another one");
        let uid = container.run(&format!("stat -c %U /proc/{process}"))?;
        ensure!(uid == PERSON, "the frame runs as {uid}");
        Ok(())
    }

    /// Says the word.
    pub(super) fn let_end(&self, container: &Container) -> Result<()> {
        container.run(&format!("touch {WORD}"))?;
        Ok(())
    }

    /// Sees that the frame's process has ended.
    pub(super) fn has_ended(&self, container: &Container) -> Result<()> {
        let gone = format!("[ ! -e /proc/{} ]", self.process);
        container.wait_until("the frame has ended", &gone)
    }

    /// Lets it end, and sees that the farm knows all of it: every line, the status, one attempt.
    pub(super) fn end(&self, container: &Container) -> Result<()> {
        self.runs(container)?;
        self.let_end(container)?;
        self.is_reported(container)
    }

    /// Sees that the farm knows all of it.
    pub(super) fn is_reported(&self, container: &Container) -> Result<()> {
        let id = &self.id;
        let words = if self.status == 0 {
            "complete"
        } else {
            "failed"
        };
        let script =
            format!(r#"tessera frames {id} --json | tr -d ' ' | grep '"status":"{words}"'"#);
        container.wait_until(&format!("job {id} is {words}"), &script)?;
        let frames = container.run_as(PERSON, &format!("tessera frames {id} --json"))?;
        let frames: Value = serde_json::from_str(&frames)?;
        let frame = frames["items"].get(0);
        let frame = frame.with_context(|| format!("no frame in {frames}"))?;
        ensure!(frame["attempt"] == 1, "it counted more than once: {frame}");
        ensure!(
            frame["account"] == PERSON,
            "it ran as somebody else: {frame}"
        );
        if self.status != 0 {
            let status = self.status;
            ensure!(
                frame["end"]["exit_status"] == status,
                "not {status}: {frame}"
            );
        }
        let log = container.run_as(PERSON, &format!("tessera log {id}:1"))?;
        whole(&log)
    }
}

/// Sees that no line is missing and none is there twice.
fn whole(log: &str) -> Result<()> {
    let mut lines = log.lines();
    let first = lines.next().unwrap_or_default();
    ensure!(first.starts_with("process "), "it begins with \"{first}\"");
    let mut count = 0;
    for line in lines.by_ref() {
        if line != format!("line {}", count + 1) {
            ensure!(
                line == format!("last after {count}"),
                "\"{line}\" after line {count}"
            );
            ensure!(lines.next().is_none(), "something follows the last line");
            return Ok(());
        }
        count += 1;
    }
    anyhow::bail!("the end is missing after line {count}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_is_whole_or_not() {
        assert!(whole("process 7\nline 1\nline 2\nlast after 2\n").is_ok());
        for bad in [
            "",
            "process 7\nline 1\n",
            "process 7\nline 2\nlast after 2\n",
            "process 7\nline 1\nline 1\nlast after 1\n",
            "process 7\nline 1\nlast after 1\nline 2\n",
            "line 1\nlast after 1\n",
        ] {
            assert!(whole(bad).is_err(), "{bad:?}");
        }
    }
}
