//! Desktop mode: the same shepherd and starter, all of them the person at the desktop, without any privilege.
//!
//! The worker, which is that person as well, starts this program with a socket as standard input. The ticket's signature
//! is not checked here: nothing stands between the worker and this process, so a check would protect nobody. The ticket
//! must be for desktop mode, in time, and name the template that came along.
#![forbid(unsafe_code)]

use std::ffi::CString;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

use tessera_ticket::launcher::{Capabilities, FRAME_MAX, Reply, Request};
use tessera_ticket::{LaunchKey, Mode, PATH_MAP_BYTES_MAX, PathMap, Refusal, Step, Ticket};

use tessera_identity::account::{Account, absolute_or, base_env};
use tessera_identity::chain::{self, REPORT_MAX, read_report, take_template};
use tessera_identity::tmpdir::Parent;
use tessera_shepherd::{LoginWish, Setup, clear};
use tessera_sys::cgroup::{Place, destroy_instance, farm_dir, make_instance};
use tessera_sys::ids::Identity;
use tessera_sys::limits::Groups;
use tessera_sys::{Errno, Sys, file, host_name, ids, poll, process, readable, socket, wall_ms};
use tessera_sys::{directory, procs};

/// How long the shepherd may take to report.
const REPORT_TIME: Duration = Duration::from_secs(15);
/// How long the look for what is left of a launch goes on.
const GONE_TIME: Duration = Duration::from_secs(15);
/// What of the desktop's own environment a job sees: what it takes to reach the screen.
const PASSED_ON: [&str; 6] = [
    "DISPLAY",
    "WAYLAND_DISPLAY",
    "XAUTHORITY",
    "XDG_RUNTIME_DIR",
    "LANG",
    "TZ",
];
/// How long removing a private directory may take.
const TMP_TIME: Duration = Duration::from_secs(5);
/// The most private directories looked at.
const TMP_NAMES_MAX: usize = 65_536;
const PATH: &str = "/usr/local/bin:/usr/bin:/bin:/usr/local/games:/usr/games";

/// Returns standard input, which is the worker's socket or the lock file: open when this program is started, and nothing
/// here closes it before the end.
fn stdin() -> BorrowedFd<'static> {
    file::standing(0)
}

/// Serves one request of the worker's. Jobs see the variables of this process that `pass` names, too, with commas between.
///
/// # Errors
/// A sentence that says why it could not even answer.
pub fn serve(tmp: Option<&str>, pass: &str) -> Result<(), String> {
    let mut buffer = vec![0; FRAME_MAX];
    let packet = socket::receive_waiting(stdin(), &mut buffer)
        .map_err(|e| format!("standard input is not the worker's socket: {e}"))?;
    let request = Request::decode(&buffer[..packet.len]).map_err(|e| e.to_string())?;
    let reply = match request {
        Request::Start {
            id,
            ticket,
            orphan_seconds,
            nice,
            ..
        } => {
            let orphan = Duration::from_secs(orphan_seconds.into());
            let how = How {
                orphan,
                nice,
                tmp,
                pass,
            };
            start(id, &ticket, &how, packet.fds).unwrap_or_else(|refusal| {
                let text = refusal.sentence(&host_name(), "an instance", "of this desktop");
                let (code, hint) = (refusal.code().to_owned(), refusal.hint().to_owned());
                Reply::Refused {
                    id,
                    code,
                    text,
                    hint,
                }
            })
        }
        Request::Capabilities { id } => Reply::Capabilities {
            id,
            what: capabilities(),
        },
        Request::Gone { .. } => return Err("`desktop-gone` answers that".into()),
    };
    socket::send(0, &reply.encode(), &[]).map_err(|e| format!("answering: {e}"))
}

/// Returns this process's uid, which is never root's.
fn own_uid() -> Result<u32, Refusal> {
    match ids::uids() {
        Ok([real, effective, saved]) if real == effective && real == saved && real != 0 => Ok(real),
        _ => Err(Refusal::RootRefused),
    }
}

/// Looks up the account of the desktop: the person's own, whatever the policies of others say.
fn own_account(uid: u32) -> Result<Account, Refusal> {
    let found = directory::by_uid(uid)
        .map_err(|Errno(errno)| Refusal::DirectoryUnavailable { errno })?
        .ok_or(Refusal::NoSuchAccount)?;
    Ok(Account {
        identity: Identity {
            uid: found.uid,
            gid: found.gid,
            groups: Vec::new(),
        },
        home: absolute_or(&found.home, "/"),
        shell: absolute_or(&found.shell, "/bin/sh"),
        stripped: Vec::new(),
        name: found.name,
    })
}

/// What a start brings along besides its ticket.
struct How<'a> {
    orphan: Duration,
    nice: u8,
    /// Where private directories are made.
    tmp: Option<&'a str>,
    /// Names of variables beside the usual ones, with commas between.
    pass: &'a str,
}

fn start(id: u32, ticket: &[u8], how: &How<'_>, fds: Vec<OwnedFd>) -> Result<Reply, Refusal> {
    let uid = own_uid()?;
    let malformed = |reason: String| Refusal::TicketMalformed { reason };
    let ticket = Ticket::decode(ticket).map_err(|e| malformed(e.to_string()))?;
    if ticket.mode != Mode::Desktop {
        return Err(Refusal::ModeNotAllowed {
            mode: ticket.mode.name(),
        });
    }
    ticket.check_times(wall_ms())?;
    let account = own_account(uid)?;
    if !ticket.account.is_empty() && ticket.account != account.name {
        return Err(Refusal::AccountNotAllowed);
    }
    let mut fds = fds.into_iter();
    let (Some(template), Some(listener), Some(lock), paths, None) =
        (fds.next(), fds.next(), fds.next(), fds.next(), fds.next())
    else {
        return Err(malformed("not the descriptors of a start".into()));
    };
    let paths = read_paths(paths).map_err(malformed)?;
    let template = take_template(&ticket, &template)?;
    if !socket::is_listening(listener.as_fd()) || file::lock(&lock).is_err() {
        return Err(Refusal::Busy);
    }
    let (farm, host) = (hex(&ticket.farm), hex(&ticket.host));
    let groups = farm_dir(Place::Own, &farm, &host).unwrap_or(None);
    // A group that can't be made is the lesser containment, not a refusal: the host has said which it has.
    let group = groups.and_then(|it| make_instance(it.as_fd(), ticket.key, None).ok());
    let containment = if group.is_some() { "cgroup" } else { "session" };
    let prepare = |e: Errno| Refusal::BecomingUserFailed {
        step: Step::Prepare,
        errno: e.0,
    };
    let program = file::open(c"/proc/self/exe", libc::O_RDONLY).map_err(prepare)?;
    let (report, report_end) = file::pipe().map_err(prepare)?;
    let tmp = how.tmp.map(|it| make_tmp(it, ticket.key, &farm, &host));
    let tmp = tmp.transpose()?;
    let tmp_path = tmp.as_ref().map(|(path, _)| path.as_str());
    let setup = Setup {
        key: ticket.key,
        items: ticket.items,
        template,
        paths: paths.encode(),
        login: LoginWish::None,
        user: None,
        env: environment(&account, &farm, tmp_path, how.pass),
        no_new_privs: true,
        shepherd: None,
        worker_uid: uid,
        listener,
        program: program.as_raw_fd(),
        group,
        groups: Groups::default(),
        report: report_end,
        orphan: how.orphan,
        run_dir: None,
        lock: Some(lock),
        boot: procs::boot_id(),
        slot: None,
        session: None,
        variables: None,
        nice: how.nice,
        tmp: tmp.map(|(_, it)| it),
    };
    let pid = fork_shepherd(setup, &farm, &host).map_err(prepare)?;
    wait_for_report(&report)?;
    Ok(Reply::Started {
        id,
        shepherd: u32::try_from(pid).unwrap_or(0),
        account: account.name,
        uid,
        gid: account.identity.gid,
        containment: containment.to_owned(),
    })
}

/// Reads the worker's table of paths, which comes along if there is one.
fn read_paths(paths: Option<OwnedFd>) -> Result<PathMap, String> {
    let Some(paths) = paths else {
        return Ok(PathMap::default());
    };
    let bytes = file::read_memory_file(paths.as_fd(), PATH_MAP_BYTES_MAX);
    let bytes = bytes.map_err(|e| format!("the table of paths: {e}"))?;
    PathMap::decode(&bytes).map_err(|e| format!("the table of paths: {e}"))
}

/// Makes the private directory of a launch, which its shepherd removes at the end; returns its path, and where it is.
fn make_tmp(
    parent: &str,
    key: LaunchKey,
    farm: &str,
    host: &str,
) -> Result<(String, (OwnedFd, CString)), Refusal> {
    let make = || -> Sys<(String, (OwnedFd, CString))> {
        let dir = file::open(&file::c_string(parent)?, libc::O_RDONLY | libc::O_DIRECTORY)?;
        let kept = file::open_dir(dir.as_fd(), c".")?;
        let place =
            Parent::in_dir(dir, Path::new(parent), farm, host).map_err(|_| Errno(libc::EINVAL))?;
        let name = place.make(key, None)?;
        let path = place.path_of(&name).to_string_lossy().into_owned();
        Ok((path, (kept, file::c_string(&name)?)))
    };
    make().map_err(|Errno(errno)| Refusal::StateUnwritable { errno })
}

/// Removes the private directories that a launch has left below `parent`, whose shepherd was killed.
fn remove_tmp_of(parent: &str, key: LaunchKey) {
    let open = || file::open(&file::c_string(parent)?, libc::O_RDONLY | libc::O_DIRECTORY);
    let Ok(dir) = open() else { return };
    for name in file::names(dir.as_fd(), TMP_NAMES_MAX).unwrap_or_default() {
        let of = name
            .split_once('.')
            .and_then(|(_, rest)| rest.rsplit_once('.'));
        if of.is_some_and(|(it, _)| it.parse() == Ok(key))
            && let Ok(name) = file::c_string(&name)
        {
            clear::private(dir.as_fd(), &name, Instant::now() + TMP_TIME);
        }
    }
}

fn fork_shepherd(setup: Setup, farm: &str, host: &str) -> Sys<i32> {
    if let Some(pid) = process::fork()? {
        // The writing end is the child's alone, so that its death shows.
        drop(setup);
        return Ok(pid);
    }
    if let Some(lock) = &setup.lock {
        let pid = process::own_pid();
        let start = procs::read(pid).map_or(0, |it| it.start);
        let text = format!("{pid} {start} {} {farm} {host}\n", setup.boot);
        let _ = file::write_all(lock.as_raw_fd(), text.as_bytes());
    }
    chain::run(setup, None)
}

fn wait_for_report(report: &OwnedFd) -> Result<(), Refusal> {
    let mut fds = [readable(report.as_fd())];
    let mut bytes = [0; REPORT_MAX];
    let len = poll(&mut fds, Some(REPORT_TIME)).and_then(|()| file::read(report, &mut bytes));
    read_report(&bytes[..len.unwrap_or(0)]).map(drop)
}

fn environment(account: &Account, farm: &str, tmp: Option<&str>, pass: &str) -> Vec<CString> {
    let mut env = base_env(account, PATH, tmp);
    env.retain(|it| !it.to_bytes().starts_with(b"LANG="));
    let names = PASSED_ON
        .into_iter()
        .chain(pass.split(',').filter(|it| !it.is_empty()));
    let own = names.filter_map(|name| Some((name, std::env::var(name).ok()?)));
    env.extend(own.filter_map(|(name, value)| file::c_string(&format!("{name}={value}")).ok()));
    env.extend(file::c_string(&format!("TESSERA_FARM={farm}")));
    env
}

fn capabilities() -> Capabilities {
    let has_groups = farm_dir(Place::Own, "capability", "check").is_ok_and(|it| it.is_some());
    let problem = own_uid().err().map(|it| it.code().to_owned());
    Capabilities {
        containment: if has_groups { "cgroup" } else { "session" }.to_owned(),
        modes: vec!["desktop".to_owned()],
        proxy_account: String::new(),
        proxy_uid: None,
        proxy_problem: problem.unwrap_or_default(),
        uid_min: 0,
        no_new_privs: true,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        // Nobody here may set them: the group is the user's, as the job is.
        limits: Vec::new(),
        logons: Vec::new(),
    }
}

/// Kills what is left of a launch and returns when nothing of it is alive. Standard input is the lock file of the launch.
///
/// # Errors
/// When something is still alive in the end.
pub fn gone(key: &str, tmp: Option<&str>) -> Result<(), String> {
    let key: LaunchKey = key.parse().map_err(|_| format!("`{key}` is no launch"))?;
    own_uid().map_err(|_| "desktop mode is not for root".to_owned())?;
    let give_up = Instant::now() + GONE_TIME;
    let mut pause = Duration::from_millis(2);
    while !is_gone(key) {
        if Instant::now() >= give_up {
            return Err(format!("something of launch {key} is still alive"));
        }
        let _ = poll(&mut [], Some(pause));
        pause = (pause * 2).min(Duration::from_millis(200));
    }
    tmp.into_iter().for_each(|it| remove_tmp_of(it, key));
    Ok(())
}

fn is_gone(key: LaunchKey) -> bool {
    let is_free = file::lock(stdin()).is_ok();
    let text = file::read_part(stdin(), 0, 512).unwrap_or_default();
    let text = String::from_utf8_lossy(&text).into_owned();
    let words: Vec<&str> = text.split_whitespace().collect();
    let [pid, start, boot, farm, host] = words.as_slice() else {
        // Nobody has written there: nothing was ever started, or it is just being started.
        return is_free;
    };
    if *boot != procs::boot_id() {
        return true;
    }
    if !is_free {
        kill_shepherd(pid.parse().unwrap_or(0), start.parse().unwrap_or(0));
        return false;
    }
    let left = procs::marked(farm, key);
    for &pid in &left {
        let _ = process::kill(pid, libc::SIGKILL);
    }
    let groups = farm_dir(Place::Own, farm, host).unwrap_or(None);
    let is_clear = groups.is_none_or(|it| destroy_instance(it.as_fd(), key).unwrap_or(true));
    left.is_empty() && is_clear
}

fn kill_shepherd(pid: i32, start: u64) {
    let Ok(handle) = process::pidfd(pid) else {
        return;
    };
    if procs::read(pid).is_some_and(|it| it.start == start) {
        let _ = process::pidfd_kill(handle.as_fd(), libc::SIGKILL);
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|it| format!("{it:02x}")).collect()
}
