//! This host: programs, services, what starts at a log-on, the folder of the farm, what the launcher can do.

use super::{Finding, Level, Place, state};
use crate::local;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tessera_windows::{ServiceState, autostart, service_state};

/// The services, and what each is for.
const SERVICES: [(&str, &str); 2] = [
    ("TesseraLaunch", "the launcher"),
    ("TesseraWorker", "the worker"),
];
/// What stands in what starts at a log-on.
const AUTOSTART: &str = "Tessera worker";
/// The launcher's program.
const LAUNCH_PROGRAM: &str = "tessera-winlaunch.exe";

/// Looks at this host.
pub(super) fn look(place: &Place) -> Vec<Finding> {
    let mut findings: Vec<Finding> = SERVICES
        .iter()
        .map(|(name, what)| service(name, what))
        .collect();
    findings.push(log_on());
    findings.push(rights());
    let service_state = local::system_state();
    if service_state.join("launcher").exists() {
        findings.push(launch_program());
        findings.extend(launcher(&service_state));
    }
    findings.extend(state::look(&place.state));
    findings
}

fn service(name: &'static str, what: &str) -> Finding {
    match service_state(name) {
        Ok(None) => Finding::note("service", format!("{what} is no service here ({name})")),
        Ok(Some(ServiceState::Running { process })) => Finding::good(
            "service",
            format!("{what} runs ({name}, process {process})"),
        ),
        Ok(Some(ServiceState::Between)) => Finding::note(
            "service",
            format!("{what} is starting or stopping ({name})"),
        ),
        Ok(Some(ServiceState::Stopped)) => {
            Finding::bad("service", format!("{what} does not run ({name})")).mend(format!(
                "as an administrator: net start {name}; its log is in %ProgramData%\\Tessera"
            ))
        }
        Err(error) => Finding::bad("service", format!("{name}: {error}")),
    }
}

fn log_on() -> Finding {
    match autostart(AUTOSTART) {
        Ok(Some(command)) => Finding::good("log-on", format!("starts {command}")),
        Ok(None) => Finding::note("log-on", "no worker starts when you log on"),
        Err(error) => Finding::bad("log-on", format!("what starts can't be read: {error}")),
    }
}

fn rights() -> Finding {
    match tessera_windows::account() {
        Ok(it) if it.is_elevated => Finding::note(
            "account",
            format!(
                "{} with an administrator's rights: a desktop worker would refuse to start so",
                it.name
            ),
        ),
        Ok(it) => Finding::good("account", format!("{}, an ordinary user", it.name)),
        Err(error) => Finding::bad("account", format!("can't be said: {error}")),
    }
}

fn beside(name: &str) -> PathBuf {
    let own = std::env::current_exe().unwrap_or_default();
    own.with_file_name(name)
}

/// Asks the launcher for its version: both programs come from one build.
fn launch_program() -> Finding {
    let path = beside(LAUNCH_PROGRAM);
    let said = run(&path, &["--version"]).unwrap_or_else(|error| error);
    let own = env!("CARGO_PKG_VERSION");
    if said.trim().ends_with(own) {
        return Finding::good("launcher", format!("{} {own}", path.display()));
    }
    let said = said.trim();
    Finding::bad(
        "launcher",
        format!("{} says \"{said}\", this program is {own}", path.display()),
    )
    .mend("install both programs from one build")
}

/// Repeats what the launcher says it can do; only administrators can read its policy.
fn launcher(state: &Path) -> Vec<Finding> {
    if !local::is_administrator() {
        let said = "who jobs can become is seen by administrators only";
        let mend = "tessera doctor in a terminal that was opened by \"Run as administrator\"";
        return vec![Finding::note("identity", said).mend(mend)];
    }
    let state = state.display().to_string();
    match run(&beside(LAUNCH_PROGRAM), &["check", "--state", &state]) {
        Ok(said) => said.lines().map(judge).collect(),
        Err(said) => {
            let mend = "mend what it names; nothing runs here as a service until then";
            vec![Finding::bad("identity", said).mend(mend)]
        }
    }
}

fn judge(line: &str) -> Finding {
    let mut finding = Finding::good("identity", line);
    if line.contains("can't be used") {
        finding.level = Level::Bad;
        return finding.mend("make the account, or change the launcher's policy");
    }
    finding
}

/// Runs a program that only says something.
fn run(program: &Path, words: &[&str]) -> Result<String, String> {
    let output = Command::new(program)
        .args(words)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| error.to_string())?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if output.status.success() {
        Ok(text(&output.stdout))
    } else {
        Err(text(&output.stderr))
    }
}
