//! The other end: starting a holder and hearing what it says, with a bound for all of it.

use std::ffi::CString;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd, RawFd};
use std::time::{Duration, Instant};

use tessera_sys::{Errno, Sys, cgroup, file, ids, poll, process, readable, socket};

use crate::frame::{self, FRAME_MAX, No, Session};

/// How long opening a session, or asking about an account, may take.
pub const OPEN_TIME: Duration = Duration::from_secs(10);
/// How long a holder may take to end when it is killed.
const KILL_TIME: Duration = Duration::from_secs(1);
/// What modules find in their environment: nothing of the launcher's own.
const ENV: &str = "PATH=/usr/sbin:/usr/bin:/sbin:/bin";

/// The launch that a session is for, its group, and the directory of run records.
pub type Launch<'a> = (&'a str, BorrowedFd<'a>, BorrowedFd<'a>);

/// What a holder is to do.
#[derive(Debug)]
pub struct Order<'a> {
    /// The service, a name below `/etc/pam.d`.
    pub service: &'a str,
    /// The account.
    pub user: &'a str,
    /// Its groups, which modules add to.
    pub groups: &'a [u32],
    /// This program.
    pub program: RawFd,
    /// Whose session it is; without it the account is asked about only.
    pub launch: Option<Launch<'a>>,
}

/// What came of it.
#[derive(Debug)]
pub struct Asked {
    /// What the session means.
    pub session: Session,
    /// The variables that modules set, each ended by NUL, in a memory file for the user's own process.
    pub variables: OwnedFd,
    /// As long as this is open the session is; nothing where the account was asked about only.
    pub held: Option<OwnedFd>,
}

/// Starts a holder and waits until its session is open.
///
/// # Errors
/// PAM's refusal, or in words what stands against a session.
pub fn ask(order: &Order<'_>) -> Result<Asked, No> {
    let until = Instant::now() + OPEN_TIME;
    let failed =
        |Errno(errno)| No::Session(format!("its holder could not be started (errno {errno})"));
    let (held, end) = socket::pair().map_err(failed)?;
    let pid = start(order, &end).map_err(failed)?;
    drop(end);
    // A number of a child that was not waited for is nobody else's.
    let handle = process::pidfd(pid).map_err(failed)?;
    let heard = hear(&held, &handle, until);
    // Closed where nothing is to be held, so that a holder which waits for the end hears of it at once.
    let held = Some(held).filter(|_| heard.is_ok() && order.launch.is_some());
    if held.is_none() {
        end_holder(order, pid, &handle, until);
    }
    match heard {
        Ok((session, variables)) => Ok(Asked {
            session,
            variables,
            held,
        }),
        Err(Heard::No(no)) => Err(no),
        Err(Heard::Late) => Err(No::Session(format!(
            "service {} did not answer within {} seconds",
            order.service,
            OPEN_TIME.as_secs()
        ))),
        Err(Heard::Ended) => Err(No::Session(format!(
            "the process that was to hold the session ended: a module of service {} crashed, perhaps",
            order.service
        ))),
        Err(Heard::Nonsense(len)) => Err(No::Session(format!(
            "what its holder said is no session ({len} bytes): a module of service {} wrote to its socket, perhaps",
            order.service
        ))),
    }
}

/// Why there is no session to hear of.
enum Heard {
    No(No),
    /// The time was over.
    Late,
    /// The holder ended without a word.
    Ended,
    /// So many bytes that mean nothing.
    Nonsense(usize),
}

fn hear(held: &OwnedFd, handle: &OwnedFd, until: Instant) -> Result<(Session, OwnedFd), Heard> {
    if !wait(&[held, handle], until) {
        return Err(Heard::Late);
    }
    let mut buffer = vec![0; FRAME_MAX];
    let packet = socket::receive(held.as_fd(), &mut buffer, libc::MSG_DONTWAIT);
    let packet = packet.ok().filter(|it| it.len > 0).ok_or(Heard::Ended)?;
    let nonsense = || Heard::Nonsense(packet.len);
    let said = frame::decode(&buffer[..packet.len]).filter(|_| !packet.is_cut);
    let session = said.ok_or_else(nonsense)?.map_err(Heard::No)?;
    let variables = packet.fds.into_iter().next().ok_or_else(nonsense)?;
    Ok((session, variables))
}

/// Waits until one of these is ready; says whether one is before the time is over.
fn wait(fds: &[&OwnedFd], until: Instant) -> bool {
    loop {
        let mut fds: Vec<_> = fds.iter().map(|it| readable(it.as_fd())).collect();
        let _ = poll(
            &mut fds,
            Some(until.saturating_duration_since(Instant::now())),
        );
        let is_ready = fds.iter().any(|it| it.revents != 0);
        if is_ready || Instant::now() >= until {
            return is_ready;
        }
    }
}

/// Takes away a holder that holds nothing: one that does not end in time is killed, with all that modules started.
fn end_holder(order: &Order<'_>, pid: i32, handle: &OwnedFd, until: Instant) {
    if !wait(&[handle], until) {
        let _ = process::kill(pid, libc::SIGKILL);
    }
    if let Some((_, group, _)) = order.launch {
        cgroup::kill_holder(group);
    }
    // What a kill does not end is left to the launcher.
    if wait(&[handle], Instant::now() + KILL_TIME) {
        let _ = process::wait_for(pid);
    }
}

fn start(order: &Order<'_>, end: &OwnedFd) -> Sys<i32> {
    let words = match order.launch {
        Some((launch, group, _)) => {
            cgroup::make_holder(group)?;
            vec!["pam-holder", order.service, order.user, launch]
        }
        None => vec!["pam-check", order.service, order.user],
    };
    let argv = process::c_strings(["tessera-launch"].into_iter().chain(words))?;
    let env = [file::c_string(ENV)?];
    if let Some(pid) = process::fork()? {
        return Ok(pid);
    }
    let _ = execute(order, end, &argv, &env);
    process::exit_now(127)
}

/// The child, up to the program.
fn execute(order: &Order<'_>, end: &OwnedFd, argv: &[CString], env: &[CString]) -> Sys<()> {
    if let Some((_, group, _)) = order.launch {
        cgroup::enter_holder(group)?;
    }
    process::new_session()?;
    process::default_signals()?;
    process::change_dir(c"/")?;
    process::set_umask(0o077);
    ids::set_groups(order.groups)?;
    let null = file::open(c"/dev/null", libc::O_RDWR)?;
    // What modules print goes where the launcher's own words go.
    let mut fds = vec![null.as_raw_fd(), null.as_raw_fd(), 2, end.as_raw_fd()];
    if let Some((_, group, run)) = order.launch {
        fds.extend([group.as_raw_fd(), run.as_raw_fd()]);
    }
    let first_free = RawFd::try_from(fds.len()).unwrap_or(RawFd::MAX);
    let program = file::owned(file::duplicate_above(order.program, first_free)?);
    file::put_in_place(&fds)?;
    process::close_on_exec_from(first_free)?;
    Err(process::exec_fd(program.as_fd(), argv, env))
}
