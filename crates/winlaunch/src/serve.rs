//! Being the launcher: the pipe, who may speak on it, and a thread for each connection.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use tessera_keeper::{Config, POLICY, Stream, doors};
use tessera_windows::{Listener, Peer, Sid, enable_privileges, look_up, protect, service_sid};

use crate::Launcher;
use crate::host::Host;
use crate::os::Os;
use crate::policy::DEFAULT_POLICY;

/// The pipe's usual name.
pub const PIPE: &str = r"\\.\pipe\tessera-launch";
/// What the launcher must be able to do.
pub const PRIVILEGES: [&str; 6] = [
    "SeAssignPrimaryTokenPrivilege",
    "SeIncreaseQuotaPrivilege",
    "SeTcbPrivilege",
    "SeImpersonatePrivilege",
    "SeBackupPrivilege",
    "SeRestorePrivilege",
];
/// Only the system and administrators.
const OURS: &str = "D:P(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)";

/// At this size the log begins anew.
const LOG_BYTES_MAX: u64 = 1 << 20;
static LOG: OnceLock<PathBuf> = OnceLock::new();

/// How a launcher is started.
#[derive(Debug, Clone)]
pub struct Options {
    /// The state's directory.
    pub state: PathBuf,
    /// The pipe's name.
    pub pipe: String,
}

/// Makes the launcher's directory private, and writes a policy where there is none.
///
/// # Errors
/// A sentence that names the file.
pub fn prepare(state: &Path) -> Result<(), String> {
    let dir = state.join("launcher");
    let failed = |error: io::Error| format!("{}: {error}", dir.display());
    std::fs::create_dir_all(&dir).map_err(failed)?;
    protect(&dir, OURS).map_err(failed)?;
    let policy = dir.join(POLICY);
    if !policy.exists() {
        let text = DEFAULT_POLICY.replace('\n', "\r\n");
        std::fs::write(&policy, text).map_err(|error| format!("{}: {error}", policy.display()))?;
    }
    Ok(())
}

/// Opens what a launcher needs; nobody can connect before.
///
/// # Errors
/// A sentence on what is missing.
pub fn open<O: Os<Peer = Peer>>(
    os: O,
    options: &Options,
) -> Result<(Arc<Launcher<O>>, Listener, Sid), String> {
    prepare(&options.state)?;
    let config = Config::load(&options.state, |_| Ok(()))?;
    let rules = config
        .rules::<Host<O>>()
        .map_err(|it| it.reason_and_hint())?;
    let account = &rules.policy.worker_account;
    let worker = worker_sid(account)?;
    let launcher = Arc::new(Launcher::new(Arc::new(Host::new(Arc::new(os))), config)?);
    // The owner is what the worker knows the launcher by.
    let list = format!("O:SYD:P(A;;GA;;;SY)(A;;GRGW;;;{worker})");
    let listener = Listener::bind(&options.pipe, &list)
        .map_err(|error| format!("{}: {error}; is another launcher running?", options.pipe))?;
    Ok((launcher, listener, worker))
}

/// Answers whom the launcher listens to. The account of a service is known by its name alone.
fn worker_sid(account: &str) -> Result<Sid, String> {
    let unknown = |why: String| {
        format!("the account of the worker service, {account}, is not known here ({why})")
    };
    match account.split_once('\\') {
        Some((domain, service)) if domain.eq_ignore_ascii_case("NT SERVICE") => {
            service_sid(service).map_err(|error| unknown(error.to_string()))
        }
        Some(_) | None => {
            let found = look_up(account).map_err(|error| unknown(format!("{error:?}")))?;
            Ok(found.sid)
        }
    }
}

/// Switches on what the launcher must be able to do.
///
/// # Errors
/// A sentence that names the privilege.
pub fn prepare_privileges() -> Result<(), String> {
    enable_privileges(&PRIVILEGES).map_err(|error| format!("this is not the system: {error}"))
}

/// Takes connections until the process ends. What is not the worker's is closed at once.
pub fn serve<O: Os<Peer = Peer>>(
    launcher: Arc<Launcher<O>>,
    mut listener: Listener,
    worker: Sid,
) -> ! {
    let admit = move |connection: &File| {
        let unknown = |error| format!("who connects can't be said: {error}");
        let peer = Peer::of(connection).map_err(unknown)?;
        match peer.account().map_err(unknown)? {
            account if account == worker => Ok(peer),
            account => Err(format!("a process of {account} is not listened to")),
        }
    };
    let converse = move |connection: File, peer: Peer| {
        launcher.converse(&mut Stream(connection), &peer);
    };
    doors::serve(|| listener.accept(), admit, converse, say)
}

/// Has what is said written to `launcher.log` beside the policy, too: nobody sees what a service prints.
pub fn say_in(state: &Path) {
    // The first one counts.
    let _ = LOG.set(state.join("launcher").join("launcher.log"));
}

/// Says something to whoever reads this process' complaints.
pub fn say(text: &str) {
    eprintln!("tessera-winlaunch: {text}");
    let Some(path) = LOG.get() else { return };
    let is_full = path.metadata().is_ok_and(|it| it.len() > LOG_BYTES_MAX);
    let mut options = std::fs::OpenOptions::new();
    options.create(true);
    let opened = if is_full {
        options.write(true).truncate(true).open(path)
    } else {
        options.append(true).open(path)
    };
    // What can't be written can't be complained of either.
    let _ = opened.and_then(|mut file| writeln!(file, "{text}"));
}
