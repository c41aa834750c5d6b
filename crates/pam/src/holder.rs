//! The holder: root, a fresh image of this program, and the only process into which PAM's modules are loaded.

use std::collections::BTreeSet;
use std::ffi::CString;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::time::Duration;

use tessera_sys::pam::{Call, Transaction};
use tessera_sys::{Errno, Sys, cgroup, directory, file, ids, poll, process};
use tessera_sys::{say, socket};

use crate::frame::{self, LIMITS, Limit, No, Session};
use crate::marks::Marks;
use crate::record;
use crate::{GROUP_FD, RUN_FD, SOCKET_FD, VARIABLES_MAX};

/// What stands for a terminal, as `cron` does.
const TERMINAL: &str = "tessera";
/// Where services are described: the host's own first.
const SERVICES: [&str; 3] = ["/etc/pam.d", "/usr/lib/pam.d", "/usr/share/pam.d"];
/// The most groups that the kernel lets a process have.
const GROUPS_OF_A_PROCESS_MAX: usize = 65_536;
/// The least and the longest pause between two looks whether the instance is gone.
const PAUSE: (Duration, Duration) = (Duration::from_millis(2), Duration::from_millis(200));

/// Opens the session of a launch, says so, and closes it when nothing else is left of the instance.
pub fn run(service: &str, user: &str, launch: &str) -> i32 {
    shield();
    let before = State::now();
    // Before anything is asked: a session that may be open is known of, whatever happens to this process.
    let begun = note(launch, &format!("{service} {user}\nopening\n"));
    let mut open = match begun.and_then(|()| open(service, user)) {
        Ok(open) => open,
        Err(no) => {
            forget_record(launch);
            return answer(&Err(no), &[]);
        }
    };
    let described = before.and_then(|before| describe(&before, &open));
    let noted = described.and_then(|it| note(launch, "open\n").map(|()| it));
    let code = match noted {
        Ok((session, variables)) => answer(&Ok(session), &variables),
        Err(no) => answer(&Err(no), &[]),
    };
    if code == 0 {
        wait_until_gone();
    }
    match open.close() {
        Ok(()) => forget_record(launch),
        Err(words) => say(&format!(
            "closing the PAM session of {launch} as {user} (service {service}): {words}"
        )),
    }
    drop(open);
    cgroup::clear_holder(file::standing(GROUP_FD));
    code
}

/// Asks whether an account may be used, and no more.
pub fn check(service: &str, user: &str) -> i32 {
    shield();
    let asked = begin(service, user).and_then(|mut pam| may(&mut pam));
    answer(&asked.map(|()| Session::default()), &[])
}

/// Keeps this process's descriptors from programs that modules execute, and this process from a limit that modules set.
fn shield() {
    for fd in [SOCKET_FD, GROUP_FD, RUN_FD] {
        let _ = file::set_close_on_exec(fd, true);
    }
    process::ignore(libc::SIGXFSZ);
}

/// Says what became of it, with the variables as a memory file beside it.
fn answer(said: &Result<Session, No>, variables: &[u8]) -> i32 {
    let bytes = frame::encode(said);
    let sent = file::memory_file(c"pam", variables)
        .and_then(|memory| socket::send(SOCKET_FD, &bytes, &[memory.as_raw_fd()]));
    i32::from(sent.is_err() || said.is_err())
}

/// A session that is open, and what of it is to be taken back.
struct Open {
    pam: Transaction,
    is_open: bool,
}

impl Open {
    /// Closes the session and takes the credentials back, each once; what fails first is said.
    fn close(&mut self) -> Result<(), String> {
        let mut calls = vec![Call::Delete];
        if std::mem::take(&mut self.is_open) {
            calls.insert(0, Call::Close);
        }
        let mut first = Ok(());
        for call in calls {
            let done = self.pam.call(call).map_err(|code| self.pam.words(code));
            first = first.and(done);
        }
        first
    }
}

/// Says whether a service can be used here, as far as that can be seen without asking it.
pub fn in_words(service: &str) -> String {
    match check_service(service) {
        _ if service.is_empty() => "none".to_owned(),
        Ok(()) => service.to_owned(),
        Err(words) => format!("{service} can't be used: {words}"),
    }
}

/// Checks that a service is described on this host, by root alone: PAM itself would take `other` instead.
///
/// # Errors
/// A sentence that names the file.
fn check_service(service: &str) -> Result<(), String> {
    let path = |dir: &&str| format!("{dir}/{service}");
    let mut paths = SERVICES.iter().map(path);
    let path = paths.find(|it| std::fs::exists(it).unwrap_or(false));
    let path = path.ok_or(format!("there is no /etc/pam.d/{service} on this host"))?;
    let found = std::fs::metadata(&path).map_err(|e| format!("{path}: {e}"))?;
    if found.uid() != 0 || found.mode() & 0o022 != 0 {
        return Err(format!(
            "{path} belongs to somebody else than root, or can be written by others"
        ));
    }
    Ok(())
}

/// Begins with a service.
fn begin(service: &str, user: &str) -> Result<Transaction, No> {
    check_service(service).map_err(No::Session)?;
    let text = |it: &str| CString::new(it).map_err(|_| No::Session("a name holds a NUL".into()));
    let (service, user, terminal) = (text(service)?, text(user)?, text(TERMINAL)?);
    Transaction::start(&service, &user, &terminal).map_err(No::Session)
}

fn may(pam: &mut Transaction) -> Result<(), No> {
    let said = pam.call(Call::Account);
    said.map_err(|code| {
        let words = pam.words(code);
        if code.is_verdict() {
            No::Account(words)
        } else {
            No::Session(format!("asking about the account: {words}"))
        }
    })
}

fn open(service: &str, user: &str) -> Result<Open, No> {
    let mut pam = begin(service, user)?;
    may(&mut pam)?;
    if let Err(code) = pam.call(Call::Establish) {
        return Err(No::Session(format!(
            "giving credentials: {}",
            pam.words(code)
        )));
    }
    let mut open = Open { pam, is_open: true };
    if let Err(code) = open.pam.call(Call::Open) {
        let said = format!("opening the session: {}", open.pam.words(code));
        open.is_open = false;
        let _ = open.close();
        return Err(No::Session(said));
    }
    Ok(open)
}

/// What of this process sessions are there to change.
struct State {
    marks: Marks,
    limits: Vec<(u64, u64)>,
    nice: i32,
    login_uid: Option<u32>,
}

impl State {
    fn now() -> Result<Self, No> {
        let failed =
            |Errno(errno)| No::Session(format!("its own state can't be read (errno {errno})"));
        let limits = (0..u32::from(LIMITS)).map(process::limit_now);
        Ok(Self {
            marks: Marks::now(),
            limits: limits.collect::<Sys<_>>().map_err(failed)?,
            nice: process::niceness().map_err(failed)?,
            login_uid: login_uid(),
        })
    }
}

/// Reads from this process, and from PAM, what the session means for others.
fn describe(before: &State, open: &Open) -> Result<(Session, Vec<u8>), No> {
    let now = State::now()?;
    // They are for the user's processes; this one still has to close the session, whatever else is wrong with it.
    for (resource, before) in (0..).zip(before.limits.iter().copied()) {
        let _ = process::give_limit_back(resource, before);
    }
    if let Some(words) = before.marks.changed_to(&now.marks) {
        return Err(No::Session(format!("a module {words}")));
    }
    let variables = open.pam.variables(VARIABLES_MAX);
    let many = || {
        No::Session(format!(
            "modules set more than {} bytes of variables",
            VARIABLES_MAX.0
        ))
    };
    let mut bytes = variables.ok_or_else(many)?.join(&0);
    bytes.push(0);
    let pairs = (0..).zip(before.limits.iter().zip(&now.limits));
    let changed = pairs.filter(|(_, (before, now))| before != now);
    let limits = changed.map(|(resource, (_, &(soft, hard)))| Limit {
        resource,
        soft,
        hard,
    });
    let limits = limits.collect();
    let session = Session {
        groups: groups()?,
        limits,
        nice: u8::try_from(now.nice - before.nice).unwrap_or(0),
        login_uid: now.login_uid.filter(|_| now.login_uid != before.login_uid),
    };
    session.check().map_err(No::Session)?;
    Ok((session, bytes))
}

/// Returns the groups of this process, which began with the account's.
fn groups() -> Result<Vec<(u32, String)>, No> {
    let mut room = vec![0; GROUPS_OF_A_PROCESS_MAX];
    let found = ids::groups_into(&mut room);
    let found = found
        .map_err(|Errno(errno)| No::Session(format!("its groups can't be read (errno {errno})")))?;
    let gids: BTreeSet<u32> = room.into_iter().take(found).collect();
    let named = gids
        .into_iter()
        .map(|gid| (gid, directory::group_name(gid)));
    Ok(named.collect())
}

/// Returns what pam_loginuid has set, if anything is set.
fn login_uid() -> Option<u32> {
    let text = file::read_path(c"/proc/self/loginuid", 16).ok()?;
    let uid = String::from_utf8_lossy(&text).trim().parse().ok()?;
    (uid != u32::MAX).then_some(uid)
}

/// Adds to the record of a session, by which one that nobody closed is told.
fn note(launch: &str, text: &str) -> Result<(), No> {
    let noted = record::add(file::standing(RUN_FD), launch, text);
    noted
        .map_err(|Errno(errno)| No::Session(format!("its record can't be written (errno {errno})")))
}

fn forget_record(launch: &str) {
    let _ = record::remove(file::standing(RUN_FD), launch);
}

/// Waits until the shepherd has ended, whose end of the socket closes then, and nothing else is left in the instance's group,
/// which the launcher clears away.
fn wait_until_gone() {
    // As the shepherd does: what a service manager sends to all of a unit ends no session.
    for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGHUP] {
        process::ignore(signal);
    }
    let socket = file::standing(SOCKET_FD);
    let mut byte = [0; 1];
    while !matches!(
        socket::receive_waiting(socket, &mut byte),
        Err(_) | Ok(socket::Packet { len: 0, .. })
    ) {}
    let mut pause = PAUSE.0;
    while !cgroup::is_only_holder(file::standing(GROUP_FD)) {
        let _ = poll(&mut [], Some(pause));
        pause = (pause * 2).min(PAUSE.1);
    }
}
