//! Installing, changing between the modes, and removing on Windows: in order, and taken back when something fails.

use super::host::{Host, Service, State};
use crate::Exit;
use crate::error::CliError;
use std::path::{Path, PathBuf};

/// What the services are known by.
pub(super) const LAUNCH: &str = "TesseraLaunch";
pub(super) const WORKER: &str = "TesseraWorker";
/// The account of the worker service, which exists as soon as the service does.
const WORKER_ACCOUNT: &str = r"NT SERVICE\TesseraWorker";
/// What the launcher keeps of the system's privileges.
const LAUNCH_PRIVILEGES: [&str; 7] = [
    "SeAssignPrimaryTokenPrivilege",
    "SeIncreaseQuotaPrivilege",
    "SeTcbPrivilege",
    "SeImpersonatePrivilege",
    "SeBackupPrivilege",
    "SeRestorePrivilege",
    "SeChangeNotifyPrivilege",
];
/// What the worker keeps: passing through directories.
const WORKER_PRIVILEGES: [&str; 1] = ["SeChangeNotifyPrivilege"];
/// Looks, a second apart, at a service that starts or stops.
const LOOKS_MAX: u32 = 30;

/// Where the two kinds of worker have their farm's folder.
#[derive(Debug, Clone)]
pub(super) struct Places {
    pub(super) service: PathBuf,
    pub(super) desktop: PathBuf,
    /// Whether that is where a desktop worker looks by itself.
    pub(super) is_usual_desktop: bool,
}

fn failed(text: impl Into<String>) -> CliError {
    CliError::failed(text)
}

/// Quotes a path for a command line of the system; a path has no quotes in it.
fn quoted(path: &Path) -> String {
    format!("\"{}\"", path.display())
}

/// Says whether a path can stand in quotes: no quotes, and no backslash before the closing one.
fn is_quotable(path: &Path) -> bool {
    path.to_str()
        .is_some_and(|it| !it.contains(['"', '\n', '\r', '\0']) && !it.ends_with('\\'))
}

fn need_administrator(host: &mut dyn Host, is_dry: bool) -> Result<(), CliError> {
    if is_dry || host.is_administrator() {
        return Ok(());
    }
    let said = "only an administrator can change the services of this host";
    Err(CliError::new(Exit::Denied, said).hint("open the terminal by \"Run as administrator\""))
}

/// Answers the two services, the launcher first.
pub(super) fn services(tessera: &Path, launch: &Path, state: &Path) -> [Service; 2] {
    let state = quoted(state);
    [
        Service {
            name: LAUNCH,
            title: "Tessera launcher",
            description: "Starts jobs of the render farm as their accounts. Never talks to the network.",
            command: format!("{} service --state {state}", quoted(launch)),
            account: None,
            privileges: &LAUNCH_PRIVILEGES,
            needs: None,
        },
        Service {
            name: WORKER,
            title: "Tessera worker",
            description: "Takes jobs from the render farm and has the Tessera launcher start them.",
            command: format!("{} worker --as-service --state {state}", quoted(tessera)),
            account: Some(WORKER_ACCOUNT),
            privileges: &WORKER_PRIVILEGES,
            needs: Some(LAUNCH),
        },
    ]
}

/// Makes the services and starts them, if this host has joined a farm; says whether they run.
pub(super) fn install_service(
    host: &mut dyn Host,
    places: &Places,
    is_dry: bool,
) -> Result<bool, CliError> {
    need_administrator(host, is_dry)?;
    let (tessera, launch) = host.programs().map_err(failed)?;
    for path in [&tessera, &launch, &places.service] {
        if !is_quotable(path) {
            return Err(CliError::usage(format!(
                "{} can't stand in a service's command",
                path.display()
            )));
        }
    }
    for path in [&tessera, &launch] {
        if let Some(problem) = host.program_problem(path) {
            return Err(failed(format!("{}: {problem}", path.display())).hint(
                "put both programs below C:\\Program Files, where only administrators can write",
            ));
        }
    }
    for service in services(&tessera, &launch, &places.service) {
        if host.service(service.name).map_err(failed)?.is_some() {
            host.say(&format!("service {} is there", service.name));
            continue;
        }
        host.say(&format!(
            "make service {}: {}",
            service.name, service.command
        ));
        if is_dry {
            continue;
        }
        match host.install(&service) {
            Ok(missing) => {
                for it in missing {
                    host.say(&format!("this Windows does not have {it}"));
                }
            }
            Err(error) => {
                take_back(host);
                return Err(failed(format!(
                    "service {} can't be made: {error}",
                    service.name
                )));
            }
        }
    }
    if is_dry {
        return Ok(false);
    }
    if let Err(error) = host.protect(&places.service) {
        take_back(host);
        return Err(failed(format!("{}: {error}", places.service.display())));
    }
    if !is_joined(host, &places.service) {
        host.say("this host has joined no farm as a service; when it has (tessera join STRING), run this again to start the worker");
        return Ok(false);
    }
    for name in [LAUNCH, WORKER] {
        host.start(name)
            .map_err(|error| failed(format!("service {name} can't be started: {error}")))?;
        wait_until(host, name, State::Running).map_err(|error| {
            let log = places.service.join(if name == LAUNCH {
                r"launcher\launcher.log"
            } else {
                r"worker\worker.log"
            });
            error.hint(format!("it says why in {}", log.display()))
        })?;
    }
    Ok(true)
}

/// Removes what a failed installation has made; what can't be is said.
fn take_back(host: &mut dyn Host) {
    for name in [WORKER, LAUNCH] {
        if let Err(error) = host.delete(name) {
            host.say(&format!("service {name} stays: {error}"));
        }
    }
}

fn is_joined(host: &mut dyn Host, state: &Path) -> bool {
    host.exists(&state.join("launcher").join("dispatch.pub"))
        && host.exists(&state.join("worker").join("cert.pem"))
}

fn wait_until(host: &mut dyn Host, name: &str, wanted: State) -> Result<(), CliError> {
    for _ in 0..LOOKS_MAX {
        match host.service(name).map_err(failed)? {
            Some(state) if state == wanted => return Ok(()),
            None if wanted == State::Stopped => return Ok(()),
            Some(State::Stopped) => break,
            Some(State::Running | State::Between) | None => host.pause(),
        }
    }
    let word = if wanted == State::Running {
        "run"
    } else {
        "stop"
    };
    Err(failed(format!("service {name} does not {word}")))
}

/// Stops and removes the services; folders and the enrolment stay.
pub(super) fn uninstall_service(
    host: &mut dyn Host,
    places: &Places,
    ends_work: bool,
    is_dry: bool,
) -> Result<(), CliError> {
    need_administrator(host, is_dry)?;
    let there = [WORKER, LAUNCH].map(|name| host.service(name));
    let there: Result<Vec<_>, String> = there.into_iter().collect();
    if there.map_err(failed)?.iter().all(Option::is_none) {
        host.say("no worker is installed as service");
        return Ok(());
    }
    let running = host
        .count(&places.service.join("launcher").join("launches"))
        .map_err(failed)?;
    if running > 0 && !ends_work {
        return Err(CliError::new(Exit::State, format!("{running} instances of jobs run here"))
            .hint("give --now to end them (the farm runs them again), or lock the host and wait: tessera lock HOST"));
    }
    // The worker first: without it nothing asks the launcher for anything.
    for name in [WORKER, LAUNCH] {
        host.say(&format!("stop and remove service {name}"));
        if is_dry {
            continue;
        }
        host.stop(name).map_err(failed)?;
        wait_until(host, name, State::Stopped)?;
        host.delete(name).map_err(failed)?;
    }
    Ok(())
}

/// Has the worker started at this person's log-on.
pub(super) fn install_desktop(
    host: &mut dyn Host,
    places: &Places,
    is_dry: bool,
) -> Result<(), CliError> {
    let (tessera, _) = host.programs().map_err(failed)?;
    if !is_quotable(&tessera) || !is_quotable(&places.desktop) {
        return Err(CliError::usage(format!(
            "{} can't stand in a command",
            tessera.display()
        )));
    }
    let mut command = format!("{} worker --desktop", quoted(&tessera));
    if !places.is_usual_desktop {
        command += &format!(" --state {}", quoted(&places.desktop));
    }
    host.say(&format!("at each log-on: {command}"));
    if is_dry {
        return Ok(());
    }
    host.set_autostart(Some(&command)).map_err(failed)?;
    if !host.exists(&places.desktop.join("worker").join("cert.pem")) {
        host.say("you have joined no farm yet: tessera join --desktop STRING");
    }
    host.say("it starts when you log on the next time; now: tessera worker --desktop");
    Ok(())
}

/// Has it started no more. One that runs goes on until it is closed or the person logs off.
pub(super) fn uninstall_desktop(host: &mut dyn Host, is_dry: bool) -> Result<(), CliError> {
    if host.autostart().map_err(failed)?.is_none() {
        host.say("no worker is installed as desktop");
        return Ok(());
    }
    host.say("start no worker at your log-on any more; one that runs goes on until you log off");
    if is_dry {
        return Ok(());
    }
    host.set_autostart(None).map_err(failed)
}

/// Changes from one mode to the other. The new one is made before the old one is removed; when it can't be, all stays as it was.
pub(super) fn set_mode(
    host: &mut dyn Host,
    places: &Places,
    to_service: bool,
    ends_work: bool,
    is_dry: bool,
) -> Result<(), CliError> {
    if to_service {
        if !is_dry && !is_joined(host, &places.service) {
            let said = "this host has joined no farm as a service";
            return Err(
                CliError::new(Exit::State, said).hint("tessera join STRING, as an administrator")
            );
        }
        install_service(host, places, is_dry)?;
        return uninstall_desktop(host, is_dry);
    }
    if !is_dry && !host.exists(&places.desktop.join("worker").join("cert.pem")) {
        let said = "you have joined no farm with your desktop";
        return Err(CliError::new(Exit::State, said).hint("tessera join --desktop STRING"));
    }
    need_administrator(host, is_dry)?;
    install_desktop(host, places, is_dry)?;
    let removed = uninstall_service(host, places, ends_work, is_dry);
    if removed.is_err() && !is_dry {
        host.set_autostart(None).map_err(failed)?;
    }
    removed
}
