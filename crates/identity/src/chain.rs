//! The chain of an instance while it is still root: a fresh child of the launcher makes its own child become the user (the
//! starter), becomes the shepherd's account itself, and only then does a shepherd's work.

use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd, RawFd};
use std::time::Duration;

use tessera_ticket::{Refusal, Step, TEMPLATE_BYTES_MAX, Ticket};

use tessera_pam::Session;
use tessera_shepherd::login::{self, Login};
use tessera_shepherd::{LoginWish, Setup, StarterEnd, starter};
use tessera_sys::{At as _, Failed, file, ids, process, readable, socket};
use tessera_sys::{cgroup, procs};

use crate::session::{self, Wanted};
use crate::user::{Change, Program, become_user, exec_as};

/// When memory is short the kernel ends jobs first: this counts like so many thousandths of all memory.
const JOB_OOM_SCORE: i32 = 300;
/// How long the starter may take to become the user and execute.
const STARTER_TIME: Duration = Duration::from_secs(10);

/// The most bytes of a report: what a pipe takes in one piece.
pub const REPORT_MAX: usize = 2_048;

/// What stands against a start: the step that failed, with words where its number does not say enough.
pub(crate) struct Stopped {
    pub(crate) failed: Failed,
    pub(crate) words: String,
}

impl From<Failed> for Stopped {
    fn from(failed: Failed) -> Self {
        let words = String::new();
        Self { failed, words }
    }
}

/// Encodes a report: the step that failed and its error, or nothing, then words.
fn report(result: Result<(), Failed>, words: &str) -> Vec<u8> {
    let mut bytes = vec![0; 8];
    if let Err(failed) = result {
        bytes[0] = failed.step as u8;
        bytes[4..].copy_from_slice(&failed.errno.to_le_bytes());
    }
    bytes.extend(words.bytes().take(REPORT_MAX - bytes.len()));
    bytes
}

/// Reads the step of a report; half of one is a shepherd that died.
fn read_step(bytes: &[u8]) -> Result<(), Failed> {
    let died = Failed {
        step: Step::Prepare,
        errno: libc::EPIPE,
    };
    let (Some(&step), Some(errno)) = (bytes.first(), bytes.get(4..8)) else {
        return Err(died);
    };
    let errno = i32::from_le_bytes(errno.try_into().map_err(|_| died)?);
    match Step::from_u8(step) {
        None if step == 0 => Ok(()),
        None => Err(died),
        Some(step) => Err(Failed { step, errno }),
    }
}

/// Reads what a shepherd reports of its start: words for the audit, if there is something to say.
///
/// # Errors
/// Why nothing was started; the failures that have a meaning of their own are named.
pub fn read_report(bytes: &[u8]) -> Result<String, Refusal> {
    let words = String::from_utf8_lossy(bytes.get(8..).unwrap_or_default()).into_owned();
    match read_step(bytes) {
        Ok(()) => Ok(words),
        Err(Failed { step, errno }) => Err(match step {
            Step::ProcessLimit => Refusal::ProcessLimit,
            Step::Login => Refusal::LoginEnvironment { errno },
            Step::Pam => Refusal::PamFailed { reason: words },
            Step::PamAccount => Refusal::PamAccount { reason: words },
            step => Refusal::BecomingUserFailed { step, errno },
        }),
    }
}

/// Runs a shepherd in this process, a fresh child, to its end; with a PAM session if one is wanted.
pub fn run(mut setup: Setup, wanted: Option<&Wanted<'_>>) -> ! {
    let result = begin(&mut setup, wanted);
    let said = match &result {
        Ok((_, words)) => report(Ok(()), words),
        Err(it) => report(Err(it.failed), &it.words),
    };
    let _ = file::write_all(setup.report.as_raw_fd(), &said);
    match result {
        Err(_) => process::exit_now(1),
        Ok((starter, _)) => process::exit_now(tessera_shepherd::serve(setup, starter)),
    }
}

fn begin(setup: &mut Setup, wanted: Option<&Wanted<'_>>) -> Result<(StarterEnd, String), Stopped> {
    process::new_session().at(Step::Session)?;
    // First of all: a launcher that dies meanwhile leaves its lock and its connections to nobody.
    close_others(setup)?;
    // Before standard error goes, which its holder keeps, and before the group, of which it has a leaf of its own.
    let session = wanted.map(|it| session::open(setup, it)).transpose()?;
    let (session, words) = session.unwrap_or_default();
    close_streams()?;
    if let Some(group) = &setup.group {
        cgroup::enter_chain(group.as_fd()).at(Step::Cgroup)?;
    }
    setup.groups.enter().at(Step::Cgroup)?;
    write_run_record(setup)?;
    ids::become_subreaper().at(Step::Prepare)?;
    let (login, pipe) = start_login(setup, &session)?.unzip();
    let starter = start_starter(setup, &session, pipe.as_ref())?;
    // The starter alone reads it, so that a writer notices when it has heard enough.
    drop(pipe);
    let result = drop_privileges(setup).and_then(|()| {
        let group = setup.group.as_ref().map(OwnedFd::as_fd);
        match (login, &setup.login) {
            (Some(login), _) => login::settle(&login, &starter, group),
            (None, LoginWish::Kept(_)) => login::settle_kept(&starter),
            (None, _) => Ok(()),
        }
    });
    if result.is_err() {
        let _ = process::kill(starter.pid, libc::SIGKILL);
    }
    result?;
    Ok((starter, words))
}

/// Closes what came along from the launcher, but 0, 1 and 2.
fn close_others(setup: &Setup) -> Result<(), Failed> {
    let mut keep = vec![
        setup.listener.as_raw_fd(),
        setup.program,
        setup.report.as_raw_fd(),
    ];
    let optional = [
        &setup.group,
        &setup.run_dir,
        &setup.lock,
        &setup.session,
        &setup.variables,
    ];
    if let LoginWish::Ask(Some(fd)) | LoginWish::Kept(fd) = &setup.login {
        keep.push(fd.as_raw_fd());
    }
    let optional = optional.into_iter().flatten();
    keep.extend(optional.map(std::os::fd::AsRawFd::as_raw_fd));
    let groups = setup.groups.fds();
    keep.extend(groups.map(std::os::fd::AsRawFd::as_raw_fd));
    keep.extend(setup.tmp.iter().map(|(dir, _)| dir.as_raw_fd()));
    process::close_all_but(3, &mut keep).at(Step::CloseOthers)
}

/// Puts `/dev/null` at 0, 1 and 2.
fn close_streams() -> Result<(), Failed> {
    let null = file::open(c"/dev/null", libc::O_RDWR).at(Step::Descriptors)?;
    (0..3).try_for_each(|number| file::duplicate_to(null.as_raw_fd(), number).at(Step::Descriptors))
}

fn write_run_record(setup: &Setup) -> Result<(), Failed> {
    let Some(dir) = &setup.run_dir else {
        return Ok(());
    };
    let pid = process::own_pid();
    let start = procs::read(pid).map_or(0, |it| it.start);
    let slot = match (&setup.slot, &setup.user) {
        (Some(name), Some(user)) => format!(" {} {} {name}", user.uid, user.gid),
        _ => String::new(),
    };
    let text = format!("{pid} {start} {}{slot}\n", setup.boot);
    let name = file::c_string(&setup.key.to_string()).at(Step::Prepare)?;
    let flags = libc::O_WRONLY | libc::O_CREAT | libc::O_TRUNC;
    let record = file::open_at(dir.as_fd(), &name, flags, 0o600).at(Step::Prepare)?;
    file::write_all(record.as_raw_fd(), text.as_bytes()).at(Step::Prepare)
}

/// Forks the starter, which becomes the user and executes this program anew; returns when it has. It gets the pipe that its
/// login shell's environment comes from, if there is to be one.
fn start_starter(
    setup: &Setup,
    session: &Session,
    login: Option<&OwnedFd>,
) -> Result<StarterEnd, Failed> {
    let (orders, orders_end) = socket::pair().at(Step::Prepare)?;
    let (shake, shake_end) = socket::pair().at(Step::Prepare)?;
    socket::ask_for_sender(shake.as_fd()).at(Step::Prepare)?;
    let template = file::memory_file(c"template", &setup.template).at(Step::Prepare)?;
    let paths = file::memory_file(c"paths", &setup.paths).at(Step::Prepare)?;
    let key = setup.key.to_string();
    let given = [&orders_end, &template, &shake_end, &paths].map(OwnedFd::as_raw_fd);
    let (kept, keep) = match &setup.login {
        LoginWish::Kept(kept) => (Some(kept), None),
        LoginWish::Ask(keep) => (None, keep.as_ref()),
        LoginWish::None => (None, None),
    };
    let optional = [
        if kept.is_some() {
            (kept, "kept")
        } else {
            (login, "login")
        },
        (keep, "keep"),
        (setup.variables.as_ref(), "pam"),
    ];
    let words = optional.iter().filter_map(|(it, word)| it.map(|_| *word));
    let words = ["starter", &key].into_iter().chain(words);
    let fds = given
        .into_iter()
        .chain(optional.map(|(it, _)| fd_or_null(it)));
    let pid = start_as_user(setup, session, words, fds, || Ok(()))?;
    Ok(StarterEnd { pid, orders, shake })
}

/// Forks the process that runs the user's login shell, if there is to be one; returns the pipe that its environment comes
/// from as well.
fn start_login(setup: &Setup, session: &Session) -> Result<Option<(Login, OwnedFd)>, Failed> {
    if !matches!(setup.login, LoginWish::Ask(_)) {
        return Ok(None);
    }
    if let Some(group) = &setup.group {
        let shepherd = setup.shepherd.as_ref().map(|it| (it.uid, it.gid));
        cgroup::make_login(group.as_fd(), shepherd).at(Step::Cgroup)?;
    }
    let (pipe, pipe_end) = file::pipe().at(Step::Prepare)?;
    let variables = setup.variables.as_ref();
    let fds = [pipe_end.as_raw_fd(), setup.program, fd_or_null(variables)];
    let words = ["login"].into_iter().chain(variables.map(|_| "pam"));
    let pid = start_as_user(setup, session, words, fds.into_iter(), || {
        let group = setup.group.as_ref();
        group.map_or(Ok(()), |it| {
            cgroup::enter_login(it.as_fd()).at(Step::Cgroup)
        })
    })?;
    Ok(Some((Login { pid }, pipe)))
}

/// Returns the number of a descriptor, or that of `/dev/null` in its place.
fn fd_or_null(fd: Option<&OwnedFd>) -> RawFd {
    fd.map_or(0, OwnedFd::as_raw_fd)
}

/// Forks a child that becomes the user and executes this program anew with these words, and with these descriptors behind
/// `/dev/null` at 0, 1 and 2; returns when it has.
fn start_as_user<'a>(
    setup: &Setup,
    session: &Session,
    words: impl IntoIterator<Item = &'a str>,
    fds: impl Iterator<Item = RawFd>,
    before: impl FnOnce() -> Result<(), Failed>,
) -> Result<i32, Failed> {
    let words = ["tessera-launch"].into_iter().chain(words);
    let argv = process::c_strings(words).at(Step::Prepare)?;
    let fds: Vec<RawFd> = [0; 3].into_iter().chain(fds).collect();
    let (failed, failed_end) = file::pipe().at(Step::Prepare)?;
    let parent = process::own_pid();
    let Some(pid) = process::fork().at(Step::Prepare)? else {
        let change = setup.user.as_ref().map(|identity| Change {
            identity,
            keep_caps: 0,
            no_new_privs: setup.no_new_privs,
        });
        let program = Program {
            file: file::standing(setup.program),
            argv: &argv,
            env: &setup.env,
            fds: &fds,
            bound_to: Some(parent),
        };
        let ready = before().and_then(|()| bounds(setup, session));
        let failed = match ready.and_then(|()| desktop_privileges(setup)) {
            Ok(()) => exec_as(change.as_ref(), &program),
            Err(failed) => failed,
        };
        let _ = file::write_all(failed_end.as_raw_fd(), &report(Err(failed), ""));
        process::exit_now(1)
    };
    drop(failed_end);
    wait_for_exec(&failed)?;
    Ok(pid)
}

// The places at which the two find what they are given, in the order of the lists above.
const _: () = assert!(
    starter::ORDERS_FD == 3
        && starter::TEMPLATE_FD == 4
        && starter::SHAKE_FD == 5
        && starter::PATHS_FD == 6
        && starter::LOGIN_FD == 7
        && starter::KEEP_FD == 8
        && starter::PAM_FD == 9
        && login::OUTPUT_FD == 3
        && login::PROGRAM_FD == 4
        && login::PAM_FD == 5
);

/// Sets what the job can't take back: its place behind the daemons in everything that is short. Done before this process
/// becomes the user, who may go further down but not up again.
fn bounds(setup: &Setup, session: &Session) -> Result<(), Failed> {
    session.enter().at(Step::Limits)?;
    process::lower_priority(setup.nice).at(Step::Limits)?;
    process::die_before(JOB_OOM_SCORE).at(Step::Limits)?;
    for resource in [libc::RLIMIT_NICE, libc::RLIMIT_RTPRIO] {
        process::limit(resource, 0, 0).at(Step::Limits)?;
    }
    Ok(())
}

/// In desktop mode there is nobody to become, but set-user-id programs are out of reach all the same.
fn desktop_privileges(setup: &Setup) -> Result<(), Failed> {
    if setup.user.is_none() && setup.no_new_privs {
        ids::no_new_privileges().at(Step::NoNewPrivileges)?;
    }
    Ok(())
}

/// The pipe closes when the program is executed; before that it carries the step that failed.
fn wait_for_exec(failed: &OwnedFd) -> Result<(), Failed> {
    let mut fds = [readable(failed.as_fd())];
    tessera_sys::poll(&mut fds, Some(STARTER_TIME)).at(Step::Prepare)?;
    let mut bytes = [0; 8];
    match file::read(failed, &mut bytes).at(Step::Exec)? {
        0 => Ok(()),
        len => read_step(&bytes[..len]),
    }
}

/// Becomes the shepherd's account with `CAP_KILL` only: without it the kernel would not let its death kill the user's
/// processes.
fn drop_privileges(setup: &Setup) -> Result<(), Failed> {
    let Some(identity) = &setup.shepherd else {
        return Ok(());
    };
    become_user(&Change {
        identity,
        keep_caps: 1 << ids::CAP_KILL,
        no_new_privs: true,
    })
}

/// Copies the template and checks it against the ticket: what the worker does to its own file afterwards changes nothing.
pub fn take_template(ticket: &Ticket, file: &OwnedFd) -> Result<Vec<u8>, Refusal> {
    let wrong = |reason: String| Refusal::TemplateInvalid { reason };
    let bytes = file::read_memory_file(file.as_fd(), TEMPLATE_BYTES_MAX)
        .map_err(|e| wrong(e.to_string()))?;
    ticket.check_template(&bytes)?;
    Ok(bytes)
}
