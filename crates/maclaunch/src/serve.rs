//! Being the launcher: the socket, who may speak on it, and a thread for each connection.

use std::fs::{DirBuilder, Permissions};
use std::io::{self, Read as _};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _, chown};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tessera_macos::{peer_uid, send_with};
use tessera_ticket::pipe::{Answer, Ask, HEAD, head, length};

use crate::config::{Config, DEFAULT_POLICY, POLICY, is_roots};
use crate::launcher::Launcher;
use crate::os::Os as _;
use crate::real::{Given, Real};

/// The most connections at once: one for each instance, and some that only ask.
const CONNECTIONS_MAX: usize = 4_096 + 64;
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

/// Is the launcher, until its socket breaks.
///
/// # Errors
/// A sentence on what is missing.
pub fn serve(state: &Path, socket: &Path) -> Result<(), String> {
    let (launcher, worker) = open(state)?;
    let listener = bind(socket, worker)?;
    let count = Arc::new(AtomicUsize::new(0));
    for stream in listener.incoming() {
        let stream = stream.map_err(|error| format!("{}: {error}", socket.display()))?;
        match peer_uid(&stream) {
            Ok(uid) if uid == worker || uid == 0 => {}
            Ok(uid) => {
                say(&format!("a process of uid {uid} is not listened to"));
                continue;
            }
            Err(error) => {
                say(&format!("who connects can't be said: {error}"));
                continue;
            }
        }
        if count.load(Ordering::Relaxed) >= CONNECTIONS_MAX {
            say("too many connections at once");
            continue;
        }
        count.fetch_add(1, Ordering::Relaxed);
        let (launcher, ended) = (Arc::clone(&launcher), Arc::clone(&count));
        let thread = std::thread::Builder::new().name("connection".into());
        let begun = thread.spawn(move || {
            converse(&launcher, &stream);
            ended.fetch_sub(1, Ordering::Relaxed);
        });
        if let Err(error) = begun {
            count.fetch_sub(1, Ordering::Relaxed);
            say(&format!("no thread for a connection: {error}"));
        }
    }
    Ok(())
}

/// Opens what a launcher needs; answers the worker's uid, too.
///
/// # Errors
/// A sentence on what is missing.
pub fn open(state: &Path) -> Result<(Arc<Launcher<Real>>, u32), String> {
    prepare(state)?;
    let config = Config::load(state, is_roots)?;
    let rules = config.rules().map_err(|it| it.reason_and_hint())?;
    let os = Real::new().map_err(|error| error.to_string())?;
    let name = &rules.policy.worker_account;
    let worker = os
        .look_up(name)
        .map_err(|it| format!("the worker's account {name}: {}", it.reason_and_hint()))?;
    let launcher = Launcher::new(Arc::new(os), config)?;
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

/// Answers a connection until it closes; then its instance is ended.
fn converse(launcher: &Launcher<Real>, stream: &UnixStream) {
    let mut own = None;
    // Whatever goes wrong with the connection is its end.
    while let Ok(Some(ask)) = hear(stream) {
        let (answer, given) = launcher.answer(ask, &mut own);
        if tell(stream, &answer, given.as_ref()).is_err() {
            break;
        }
    }
    if let Some(own) = own {
        launcher.end(&own);
    }
}

/// Reads a question; `None` at the end of the connection.
fn hear(mut stream: &UnixStream) -> io::Result<Option<Ask>> {
    let mut bytes = [0; HEAD];
    stream.set_read_timeout(None)?;
    match stream.read_exact(&mut bytes) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        other => other?,
    }
    let len = length(bytes).ok_or(io::ErrorKind::InvalidData)?;
    stream.set_read_timeout(Some(MESSAGE_TIME))?;
    // Grows as bytes arrive, so that a length alone takes no memory.
    let mut message = Vec::new();
    stream.take(len as u64).read_to_end(&mut message)?;
    if message.len() < len {
        return Ok(None);
    }
    let ask = Ask::decode(&message);
    ask.map(Some)
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

fn tell(stream: &UnixStream, answer: &Answer, given: Option<&Given>) -> io::Result<()> {
    let message = answer.encode();
    let head = head(&message).ok_or(io::ErrorKind::InvalidData)?;
    let bytes = [&head[..], &message].concat();
    stream.set_write_timeout(Some(MESSAGE_TIME))?;
    let fds = given.map(Given::fds);
    let fds = fds.as_ref().map_or(&[][..], |it| &it[..]);
    let sent = send_with(stream, &bytes, fds)?;
    io::Write::write_all(&mut &*stream, bytes.get(sent..).unwrap_or_default())
}

/// Says something to whoever reads this process' complaints.
pub fn say(text: &str) {
    eprintln!("tessera-maclaunch: {text}");
}
