//! This host: who asks, what launchd starts of the farm, what the launcher can do, the folder of the farm.

use super::{Finding, Level, Place, state};
use crate::local::install::look_at;
use crate::local::{is_root, system_state};
use crate::run::Context;
use std::process::{Command, Stdio};

/// The launcher's program.
const LAUNCH_PROGRAM: &str = "tessera-maclaunch";

/// Looks at this host.
pub(super) fn look(place: &Place, context: &Context) -> Vec<Finding> {
    let mut findings = vec![account()];
    match look_at(context) {
        Ok(halves) => findings.extend(halves.into_iter().map(half)),
        Err(error) => findings.push(Finding::bad("launchd", error.message)),
    }
    if system_state().join("launcher").exists() {
        findings.extend(launcher());
    }
    findings.extend(state::look(&place.state));
    findings
}

fn account() -> Finding {
    if is_root() {
        return Finding::note("account", "root: a worker would refuse to start so");
    }
    Finding::good("account", "an ordinary user")
}

fn half((word, is_installed, is_running): (&'static str, bool, bool)) -> Finding {
    let what = if word == "service" {
        "service"
    } else {
        "log-in"
    };
    let (install, log) = if word == "service" {
        (
            "sudo tessera worker install --mode service",
            "sudo tail /Library/Logs/tessera.launch.log; launchctl print system/tessera.launch",
        )
    } else {
        (
            "tessera worker install --mode desktop",
            "tail ~/Library/Logs/tessera.worker.log; launchctl print gui/$(id -u)/tessera.worker",
        )
    };
    match (is_installed, is_running) {
        (false, _) => {
            Finding::note(what, format!("no worker is installed as {word}")).mend(install)
        }
        (true, true) => Finding::good(what, format!("the worker is installed as {word}, and runs")),
        (true, false) => Finding::bad(
            what,
            format!("the worker is installed as {word}, and does not run"),
        )
        .mend(log),
    }
}

/// Repeats what the launcher says it can do; only root can read its policy.
fn launcher() -> Vec<Finding> {
    if !is_root() {
        let said = "who jobs can become is seen by root only";
        return vec![Finding::note("identity", said).mend("sudo tessera doctor")];
    }
    let program = std::env::current_exe().unwrap_or_default();
    let output = Command::new(program.with_file_name(LAUNCH_PROGRAM))
        .args(["check", "--state"])
        .arg(system_state())
        .stdin(Stdio::null())
        .output();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    match output {
        Ok(output) if output.status.success() => text(&output.stdout).lines().map(judge).collect(),
        Ok(output) => {
            let mend = "mend what it names; nothing runs here as a service until then";
            vec![Finding::bad("identity", text(&output.stderr)).mend(mend)]
        }
        Err(error) => {
            let said = format!("{LAUNCH_PROGRAM} can't be run: {error}");
            vec![Finding::bad("launcher", said).mend("install both programs from one build")]
        }
    }
}

fn judge(line: &str) -> Finding {
    let mut finding = Finding::good("identity", line);
    if line.contains("can't be used") {
        finding.level = Level::Bad;
        return finding.mend("sudo tessera worker install --mode service, or change the policy");
    }
    finding
}
