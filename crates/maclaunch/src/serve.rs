//! Being the launcher: the socket, who may speak on it, and a thread for each connection.

use std::fs::{DirBuilder, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _, chown};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tessera_keeper::frames::{bytes_of, read_ask, read_head};
use tessera_keeper::{Config, POLICY, Port, doors};
use tessera_macos::{peer_uid, send_with};
use tessera_ticket::pipe::{Answer, Ask};

use crate::Launcher;
use crate::config::{DEFAULT_POLICY, is_roots};
use crate::host::Host;
use crate::os::Os as _;
use crate::real::{Given, Real};

/// How long a message may take, once it has begun.
const MESSAGE_TIME: Duration = Duration::from_secs(30);

/// Makes the launcher's directory private, and writes a policy where there is none.
///
/// # Errors
/// A sentence that names the file.
pub fn prepare(state: &Path) -> Result<(), String> {
    let dir = state.join("launcher");
    let failed = |error: io::Error| format!("{}: {error}", dir.display());
    let mut builder = DirBuilder::new();
    builder
        .recursive(true)
        .mode(0o700)
        .create(&dir)
        .map_err(failed)?;
    is_roots(&dir)?;
    std::fs::set_permissions(&dir, Permissions::from_mode(0o700)).map_err(failed)?;
    let policy = dir.join(POLICY);
    if !policy.exists() {
        std::fs::write(&policy, DEFAULT_POLICY)
            .map_err(|error| format!("{}: {error}", policy.display()))?;
    }
    Ok(())
}

/// Answers where the socket is, unless another place is named.
pub fn usual_socket(state: &Path) -> PathBuf {
    state.join("run").join("launcher.sock")
}

/// Is the launcher, until the process ends.
///
/// # Errors
/// A sentence on what is missing.
pub fn serve(state: &Path, socket: &Path) -> Result<(), String> {
    let (launcher, worker) = open(state)?;
    let listener = bind(socket, worker)?;
    let own = Arc::clone(&launcher);
    let thread = std::thread::Builder::new().name("left".into());
    let begun = thread.spawn(move || own.keep_clearing());
    begun.map_err(|error| format!("no thread: {error}"))?;
    let admit = move |stream: &UnixStream| match peer_uid(stream) {
        Ok(uid) if uid == worker || uid == 0 => Ok(()),
        Ok(uid) => Err(format!("a process of uid {uid} is not listened to")),
        Err(error) => Err(format!("who connects can't be said: {error}")),
    };
    let converse = move |stream: UnixStream, ()| launcher.converse(&mut Socket(stream), &());
    let accept = || listener.accept().map(|(stream, _)| stream);
    doors::serve(accept, admit, converse, say)
}

/// Opens what a launcher needs; answers the worker's uid, too.
///
/// # Errors
/// A sentence on what is missing.
pub fn open(state: &Path) -> Result<(Arc<Launcher<Real>>, u32), String> {
    prepare(state)?;
    let config = Config::load(state, is_roots)?;
    let rules = config
        .rules::<Host<Real>>()
        .map_err(|it| it.reason_and_hint())?;
    let os = Arc::new(Real::new().map_err(|error| error.to_string())?);
    let name = &rules.policy.worker_account;
    let worker = os
        .look_up(name)
        .map_err(|it| format!("the worker's account {name}: {}", it.reason_and_hint()))?;
    let launcher = Launcher::new(Arc::new(Host::new(os)), config)?;
    Ok((Arc::new(launcher), worker.uid))
}

fn bind(socket: &Path, worker: u32) -> Result<UnixListener, String> {
    let failed = |error: io::Error| format!("{}: {error}", socket.display());
    if let Some(dir) = socket.parent() {
        if !dir.exists() {
            DirBuilder::new().mode(0o755).create(dir).map_err(failed)?;
        }
        is_roots(dir)?;
    }
    // A launcher that is still there answers, and keeps its socket.
    if UnixStream::connect(socket).is_ok() {
        return Err(format!("{}: another launcher runs", socket.display()));
    }
    match std::fs::remove_file(socket) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
        Ok(()) | Err(_) => {}
    }
    let listener = UnixListener::bind(socket).map_err(failed)?;
    std::fs::set_permissions(socket, Permissions::from_mode(0o600)).map_err(failed)?;
    chown(socket, Some(worker), None).map_err(failed)?;
    Ok(listener)
}

/// A connection, over which descriptors go with an answer.
struct Socket(UnixStream);

impl Port<Host<Real>> for Socket {
    fn hear(&mut self) -> io::Result<Option<Ask>> {
        self.0.set_read_timeout(None)?;
        let Some(len) = read_head(&mut self.0)? else {
            return Ok(None);
        };
        self.0.set_read_timeout(Some(MESSAGE_TIME))?;
        read_ask(&mut self.0, len)
    }

    fn tell(&mut self, answer: &Answer, given: Option<&Given>) -> io::Result<()> {
        let bytes = bytes_of(answer)?;
        self.0.set_write_timeout(Some(MESSAGE_TIME))?;
        let fds = given.map(Given::fds);
        let fds = fds.as_ref().map_or(&[][..], |it| &it[..]);
        let sent = send_with(&self.0, &bytes, fds)?;
        self.0.write_all(bytes.get(sent..).unwrap_or_default())
    }
}

/// Says something to whoever reads this process' complaints.
pub fn say(text: &str) {
    eprintln!("tessera-maclaunch: {text}");
}
