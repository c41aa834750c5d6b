//! Becoming a user, in the one order that works, and proving it. Runs in a child that does nothing else before.

use std::ffi::CString;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd, RawFd};

use tessera_ticket::Step;

use tessera_sys::ids::Identity;
use tessera_sys::{At as _, Errno, Failed, Sys, file, ids, process};

/// How to become somebody.
#[derive(Debug)]
pub struct Change<'a> {
    /// Who.
    pub identity: &'a Identity,
    /// Capabilities that stay, as a bit mask; 0 for users.
    pub keep_caps: u64,
    /// Whether new privileges are given up.
    pub no_new_privs: bool,
}

/// The most groups that the read-back looks at; the kernel's own limit.
const GROUPS_MAX: usize = 65_536;

/// Makes this process, a fresh child, somebody else: signals, session, mask, keyring, groups, gid, uid, in this order,
/// then reads everything back.
///
/// # Errors
/// The step that failed; the process must end then.
pub fn become_user(change: &Change<'_>) -> Result<(), Failed> {
    let who = change.identity;
    if who.uid == 0 || who.gid == 0 || who.groups.contains(&0) {
        return Err(Failed {
            step: Step::SetUid,
            errno: libc::EPERM,
        });
    }
    let mut room = vec![0; who.groups.len() + 1];
    process::default_signals().at(Step::Signals)?;
    process::set_umask(0o022);
    ids::new_session_keyring().at(Step::Keyring)?;
    ids::clear_ambient().at(Step::Capabilities)?;
    if change.no_new_privs {
        ids::drop_bounding().at(Step::Capabilities)?;
    }
    ids::set_groups(&who.groups).at(Step::SetGroups)?;
    ids::set_gid(who.gid).at(Step::SetGid)?;
    ids::keep_caps(change.keep_caps != 0).at(Step::Capabilities)?;
    ids::set_uid(who.uid).at(Step::SetUid)?;
    ids::set_caps(change.keep_caps).at(Step::Capabilities)?;
    ids::keep_caps(false).at(Step::Capabilities)?;
    if change.no_new_privs {
        ids::no_new_privileges().at(Step::NoNewPrivileges)?;
    }
    read_back(who, change.keep_caps, &mut room)
}

/// Compares what this process is with what it should be.
fn read_back(who: &Identity, caps: u64, room: &mut [u32]) -> Result<(), Failed> {
    let wrong = Err(Failed {
        step: Step::ReadBack,
        errno: libc::EPERM,
    });
    if ids::uids().at(Step::ReadBack)? != [who.uid; 3]
        || ids::gids().at(Step::ReadBack)? != [who.gid; 3]
    {
        return wrong;
    }
    let found = ids::groups_into(room).at(Step::ReadBack)?;
    let (found, _) = room.split_at_mut(found.min(GROUPS_MAX));
    found.sort_unstable();
    if *found != *who.groups {
        return wrong;
    }
    let now = ids::caps().at(Step::ReadBack)?;
    if now.effective != caps || now.permitted != caps || now.inheritable != 0 {
        return wrong;
    }
    if !ids::has_no_way_back() {
        return Err(Failed {
            step: Step::NoWayBack,
            errno: libc::EPERM,
        });
    }
    Ok(())
}

/// A program to be executed as somebody: opened before, so that the user need not be able to reach it.
#[derive(Debug)]
pub struct Program<'a> {
    /// The program.
    pub file: BorrowedFd<'a>,
    /// Its arguments, the name first.
    pub argv: &'a [CString],
    /// Its variables.
    pub env: &'a [CString],
    /// What stands at descriptors 0, 1, 2, …; everything else is closed on exec.
    pub fds: &'a [RawFd],
    /// The parent that this program must not outlive; `None` for a program that may.
    pub bound_to: Option<i32>,
}

/// Executes a program of root's in a child, with these descriptors at 0, 1, 2, …; it ends with this process if that is wanted.
/// Returns the child's number, also of one that could not execute it, which ends with 127.
pub fn spawn(
    file: BorrowedFd<'_>,
    argv: &[CString],
    env: &[CString],
    fds: &[RawFd],
    bound_to: Option<i32>,
) -> Sys<i32> {
    let program = Program {
        file,
        argv,
        env,
        fds,
        bound_to,
    };
    match process::fork()? {
        Some(pid) => Ok(pid),
        None => {
            exec_as(None, &program);
            process::exit_now(127)
        }
    }
}

/// Becomes the user if there is one to become, then executes the program; only ever returns a failure.
pub fn exec_as(change: Option<&Change<'_>>, program: &Program<'_>) -> Failed {
    match prepare(change, program) {
        Err(failed) => failed,
        Ok(file) => {
            let Errno(errno) = process::exec_fd(file.as_fd(), program.argv, program.env);
            // Changing the uid succeeds for a user who has too many processes; the kernel says so only now.
            let step = if errno == libc::EAGAIN {
                Step::ProcessLimit
            } else {
                Step::Exec
            };
            Failed { step, errno }
        }
    }
}

/// Returns the program under a number that nothing was put at.
fn prepare(change: Option<&Change<'_>>, program: &Program<'_>) -> Result<OwnedFd, Failed> {
    process::new_session().at(Step::Session)?;
    match change {
        Some(change) => become_user(change)?,
        None => process::default_signals().at(Step::Signals)?,
    }
    if let Some(parent) = program.bound_to {
        ids::death_signal(libc::SIGKILL).at(Step::DeathSignal)?;
        if process::parent_pid() != parent {
            return Err(Failed {
                step: Step::DeathSignal,
                errno: libc::ESRCH,
            });
        }
    }
    process::change_dir(c"/").at(Step::Directory)?;
    let first_free = RawFd::try_from(program.fds.len()).unwrap_or(RawFd::MAX);
    let file = file::duplicate_above(program.file.as_raw_fd(), first_free);
    let file = file::owned(file.at(Step::Descriptors)?);
    file::put_in_place(program.fds).at(Step::Descriptors)?;
    process::close_on_exec_from(first_free).at(Step::CloseOthers)?;
    Ok(file)
}
