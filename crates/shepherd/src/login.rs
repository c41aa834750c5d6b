//! The environment that the user's login shell makes, where the host's policy wants it.
//!
//! A process that already is the user executes the login shell ([`run`]), which reads its files and then executes this program
//! again ([`print()`]): what it sees is written to a pipe of its own, never to standard output, on which such files print. The
//! starter, which is the user as well, reads it ([`read`]); root never does, also where the launcher keeps the bytes for the
//! user's next instance ([`keep`], [`kept`]). The variables of a PAM session pass by the same rules ([`of_session`]). The shepherd bounds the time, hears from the
//! kernel how the shell ended, and ends what it left ([`settle`]).

use std::ffi::OsString;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt as _;
use std::time::{Duration, Instant};

use tessera_sys::child::Program;
use tessera_sys::{
    At as _, Errno, Failed, Sys, cgroup, file, poll, process, procs, readable, socket,
};
use tessera_ticket::Step;
use tessera_ticket::shepherd::{CHAIN_LEN, Chain};

use crate::StarterEnd;

/// Where the environment is written.
pub const OUTPUT_FD: RawFd = 3;
/// This program, for the shell to execute.
pub const PROGRAM_FD: RawFd = 4;
/// The variables of the PAM session in a memory file, if there is one.
pub const PAM_FD: RawFd = 5;
/// How long all of it may take.
const TIME: Duration = Duration::from_secs(8);
/// How long what the shell left may take to end when it is killed.
const CLEAR_TIME: Duration = Duration::from_secs(3);
const PAUSE: Duration = Duration::from_millis(2);
/// The most bytes of an environment.
pub const BYTES_MAX: usize = 256 * 1024;
/// The most variables of one.
const VARIABLES_MAX: usize = 4_096;
/// What an environment begins with. It ends with an empty variable, so that half of one is told from a whole one.
const MARK: &[u8] = b"tessera login environment 1\0";
/// Names that the farm or the host sets, that mean something in the shell only, or that lead to a session or an agent which
/// the job is no part of. What else there is passes: studios put their tools' own names there, so no list could have them all.
const DENIED: [&str; 22] = [
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "TMPDIR",
    "TMP",
    "TEMP",
    "PWD",
    "OLDPWD",
    "SHLVL",
    "_",
    "MAIL",
    "TERM",
    "ENV",
    "BASH_ENV",
    "DISPLAY",
    "WAYLAND_DISPLAY",
    "XAUTHORITY",
    "SSH_AUTH_SOCK",
    "SSH_AGENT_PID",
    "DBUS_SESSION_BUS_ADDRESS",
    "KRB5CCNAME",
];
/// Beginnings of more such names.
const DENIED_BEGINNINGS: [&str; 4] = ["TESSERA_", "QB", "XDG_RUNTIME_", "XDG_SESSION_"];

/// The process that runs the login shell, as its parent sees it.
#[derive(Debug)]
pub struct Login {
    /// Its process id.
    pub pid: i32,
}

/// Executes the user's login shell, with the variables of a PAM session if there is one; returns only when that fails.
pub fn run(has_session: bool) -> i32 {
    let execute = || -> Sys<Errno> {
        let session = file::owned(PAM_FD);
        let more = if has_session {
            of_session(&session)?
        } else {
            Vec::new()
        };
        drop(session);
        let shell = std::env::var("SHELL").map_err(|_| Errno(libc::EINVAL))?;
        let own = format!("exec /proc/self/fd/{PROGRAM_FD} login-print");
        let name = shell.rsplit('/').next().unwrap_or("sh");
        // The C shell knows that it is a login shell by its name only, others by a word.
        let argv = if name.ends_with("csh") {
            vec![format!("-{name}"), "-c".to_owned(), own]
        } else {
            vec![name.to_owned(), "-l".to_owned(), "-c".to_owned(), own]
        };
        let argv = process::c_strings(argv.iter().map(String::as_str))?;
        let own = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .filter(|(name, _)| more.iter().all(|(other, _)| other != name));
        let env = own
            .chain(more.iter().cloned())
            .filter_map(|(name, value)| file::c_string(&format!("{name}={value}")).ok());
        for fd in [OUTPUT_FD, PROGRAM_FD] {
            file::set_close_on_exec(fd, false)?;
        }
        if let Some(home) = std::env::var("HOME")
            .ok()
            .and_then(|it| file::c_string(&it).ok())
        {
            // Where it can't be entered the shell begins at the top.
            let _ = process::change_dir(&home);
        }
        Ok(Program::new(vec![file::c_string(&shell)?], argv, env.collect()).execute())
    };
    let _ = execute();
    127
}

/// Writes what this process's environment is; executed by the shell when it has read its files.
pub fn print() -> i32 {
    let bytes = encode(std::env::vars_os());
    i32::from(file::write_all(OUTPUT_FD, &bytes).is_err())
}

fn encode(variables: impl IntoIterator<Item = (OsString, OsString)>) -> Vec<u8> {
    let mut bytes = MARK.to_vec();
    for (name, value) in variables {
        bytes.extend([name.as_bytes(), b"=", value.as_bytes(), b"\0"].concat());
    }
    bytes.push(0);
    bytes
}

/// Reads an environment from the pipe to its end.
///
/// # Errors
/// `EFBIG` when it is too long, `EPROTO` when it ends before it is whole.
pub(crate) fn read(pipe: &OwnedFd) -> Sys<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut part = [0; 16 * 1024];
    loop {
        match file::read(pipe, &mut part) {
            Err(Errno(libc::EAGAIN)) => poll(&mut [readable(pipe.as_fd())], None)?,
            other => match other? {
                0 => return Err(Errno(libc::EPROTO)),
                len => bytes.extend_from_slice(&part[..len]),
            },
        }
        if bytes.len() > BYTES_MAX {
            return Err(Errno(libc::EFBIG));
        }
        // What the shell's files left running may hold the pipe open, so its end is not waited for.
        if is_whole(&bytes) {
            return Ok(bytes);
        }
    }
}

/// Leaves what a login shell said with the launcher, for the user's next instance; half of it is nothing.
pub(crate) fn keep(memory: &OwnedFd, bytes: &[u8]) {
    if file::write_all(memory.as_raw_fd(), bytes).is_err() {
        let _ = file::truncate(memory, 0);
    }
}

/// Takes what a login shell said lately.
///
/// # Errors
/// `EPROTO` when that is no environment: processes of this user may have changed it before it was kept.
pub(crate) fn kept(memory: &OwnedFd) -> Sys<Vec<(String, String)>> {
    let bytes = file::read_memory_file(memory.as_fd(), BYTES_MAX)?;
    decode(&bytes).ok_or(Errno(libc::EPROTO))
}

/// Takes the variables of a PAM session.
///
/// # Errors
/// `EFBIG` when they are too long.
pub(crate) fn of_session(memory: &OwnedFd) -> Sys<Vec<(String, String)>> {
    let bytes = file::read_memory_file(memory.as_fd(), BYTES_MAX)?;
    Ok(variables(&bytes))
}

fn is_whole(bytes: &[u8]) -> bool {
    let rest = bytes.strip_prefix(MARK);
    rest.is_some_and(|rest| rest == b"\0" || rest.ends_with(b"\0\0"))
}

/// Takes the variables that pass; `None` for bytes that are no whole environment.
pub(crate) fn decode(bytes: &[u8]) -> Option<Vec<(String, String)>> {
    let rest = bytes.strip_prefix(MARK).filter(|_| is_whole(bytes))?;
    Some(variables(rest))
}

fn variables(bytes: &[u8]) -> Vec<(String, String)> {
    let entries = bytes.split(|byte| *byte == 0).filter(|it| !it.is_empty());
    let pair = |entry: &[u8]| {
        let text = std::str::from_utf8(entry).ok()?;
        let (name, value) = text.split_once('=')?;
        passes(name).then(|| (name.to_owned(), value.to_owned()))
    };
    entries.take(VARIABLES_MAX).filter_map(pair).collect()
}

fn passes(name: &str) -> bool {
    let begins = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    let is_name = begins && name.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'_');
    let is_denied =
        DENIED.contains(&name) || DENIED_BEGINNINGS.iter().any(|it| name.starts_with(it));
    is_name && !is_denied
}

/// Waits until the starter has the environment and the login shell has ended, and ends what that left. Of a failure the
/// number is that of the system's error, or, below 0, that of the shell's own status.
///
/// # Errors
/// [`Step::Login`] with the reason.
pub fn settle(
    login: &Login,
    starter: &StarterEnd,
    group: Option<BorrowedFd<'_>>,
) -> Result<(), Failed> {
    let until = Instant::now() + TIME;
    let handle = process::pidfd(login.pid).at(Step::Login)?;
    let word = word(starter.orders.as_fd(), until);
    let has_ended =
        word != Err(Errno(libc::ETIMEDOUT)) && is_ready(handle.as_fd(), until) == Ok(true);
    if !has_ended {
        let _ = process::pidfd_kill(handle.as_fd(), libc::SIGKILL);
    }
    let status = process::wait_for(login.pid).unwrap_or(255);
    let is_clear = clear(group, starter.pid);
    let result = match word {
        Err(errno @ Errno(libc::ETIMEDOUT | libc::EFBIG)) => Err(errno),
        _ if !has_ended => Err(Errno(libc::ETIMEDOUT)),
        _ if status != 0 => Err(Errno(-status)),
        _ if !is_clear => Err(Errno(libc::EBUSY)),
        other => other,
    };
    result.at(Step::Login)
}

/// Waits until the starter has taken what a login shell said lately.
///
/// # Errors
/// [`Step::Login`] with the reason.
pub fn settle_kept(starter: &StarterEnd) -> Result<(), Failed> {
    word(starter.orders.as_fd(), Instant::now() + TIME).at(Step::Login)
}

/// Waits for the starter's word.
fn word(orders: BorrowedFd<'_>, until: Instant) -> Sys<()> {
    if !is_ready(orders, until)? {
        return Err(Errno(libc::ETIMEDOUT));
    }
    let mut buffer = [0; CHAIN_LEN];
    let len = socket::receive(orders, &mut buffer, libc::MSG_DONTWAIT)?.len;
    match Chain::decode(&buffer[..len]) {
        Ok(Chain::Ready) => Ok(()),
        Ok(Chain::Failed { errno, .. }) => Err(Errno(errno)),
        _ => Err(Errno(libc::EPROTO)),
    }
}

/// Waits until a descriptor can be read; says whether it can before the time is over.
fn is_ready(fd: BorrowedFd<'_>, until: Instant) -> Sys<bool> {
    loop {
        let mut fds = [readable(fd)];
        poll(
            &mut fds,
            Some(until.saturating_duration_since(Instant::now())),
        )?;
        if fds[0].revents != 0 || Instant::now() >= until {
            return Ok(fds[0].revents != 0);
        }
    }
}

/// Kills what the login shell left; says whether nothing is.
fn clear(group: Option<BorrowedFd<'_>>, starter: i32) -> bool {
    let until = Instant::now() + CLEAR_TIME;
    loop {
        let is_clear = match group {
            Some(group) => cgroup::clear_login(group),
            None => kill_descendants(starter) == 0,
        };
        if is_clear || Instant::now() >= until {
            return is_clear;
        }
        let _ = poll(&mut [], Some(PAUSE));
    }
}

/// Kills all descendants of this process but the starter; there is nothing else yet. Says how many there were.
fn kill_descendants(starter: i32) -> usize {
    let mut all = procs::descendants(process::own_pid());
    all.retain(|it| it.pid != starter);
    for it in &all {
        let _ = process::kill(it.pid, libc::SIGKILL);
    }
    all.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(list: &[(&str, &str)]) -> Vec<(OsString, OsString)> {
        list.iter()
            .map(|(name, value)| (name.into(), value.into()))
            .collect()
    }

    #[test]
    fn what_is_the_jobs_passes_and_what_is_the_hosts_does_not() {
        let given = pairs(&[
            ("PATH", "/opt/bin:/bin"),
            ("REZ_CONFIG", "a\nb=c"),
            ("EMPTY", ""),
            ("HOME", "/evil"),
            ("TESSERA_JOB", "1"),
            ("QBJOBID", "1"),
            ("SSH_AUTH_SOCK", "/x"),
            ("BASH_FUNC_x%%", "() { :; }"),
            ("1A", "b"),
        ]);
        let bytes = encode(given);
        let found = decode(&bytes).unwrap();
        let found: Vec<_> = found
            .iter()
            .map(|(a, b)| (a.as_str(), b.as_str()))
            .collect();
        assert_eq!(
            found,
            [
                ("PATH", "/opt/bin:/bin"),
                ("REZ_CONFIG", "a\nb=c"),
                ("EMPTY", "")
            ]
        );
        assert_eq!(decode(&encode([])), Some(Vec::new()));
    }

    #[test]
    fn half_an_environment_is_none() {
        let bytes = encode(pairs(&[("A", "b"), ("C", "d")]));
        for len in 0..bytes.len() {
            assert_eq!(decode(&bytes[..len]), None, "{len}");
        }
        assert_eq!(decode(b"A=b\0\0"), None);
        let mut broken = MARK.to_vec();
        broken.extend(b"\xff=1\0=\0A\0B=2\0\0");
        assert_eq!(
            decode(&broken),
            Some(vec![("B".to_owned(), "2".to_owned())])
        );
    }

    #[test]
    fn what_was_kept_passes_by_the_same_rules() {
        let memory = file::memory_file(c"t", b"").unwrap();
        keep(&memory, &encode(pairs(&[("A", "b"), ("HOME", "/evil")])));
        assert_eq!(kept(&memory), Ok(vec![("A".to_owned(), "b".to_owned())]));
        let memory = file::memory_file(c"t", b"A=b\0\0").unwrap();
        assert_eq!(kept(&memory), Err(Errno(libc::EPROTO)));
        let memory = file::memory_file(c"t", &vec![0; BYTES_MAX + 1]).unwrap();
        assert_eq!(kept(&memory), Err(Errno(libc::EFBIG)));
        let session =
            file::memory_file(c"t", b"LANG=de\0TESSERA_JOB=1\0XDG_SESSION_ID=2\0").unwrap();
        let wanted = vec![("LANG".to_owned(), "de".to_owned())];
        assert_eq!(of_session(&session), Ok(wanted));
    }

    #[test]
    fn an_endless_one_is_cut_off() {
        let zero = file::open(c"/dev/zero", libc::O_RDONLY).unwrap();
        assert_eq!(read(&zero), Err(Errno(libc::EFBIG)));
        let null = file::open(c"/dev/null", libc::O_RDONLY).unwrap();
        assert_eq!(read(&null), Err(Errno(libc::EPROTO)));
    }
}
