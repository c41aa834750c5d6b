//! Becoming an account: the order of steps, and the proof. It is done by a fresh process with one thread, which is root until then
//! and has nothing of the launcher's.
//!
//! There is no `setresuid` on macOS, and a list of groups that is set by hand is not asked of the user directory any more: so
//! `initgroups`, `setgid`, `setuid`, and everything is read back.

use std::io;
#[cfg(any(target_os = "linux", target_os = "macos"))]
use std::process::{Command, Stdio};

use tessera_keeper::Failed;
use tessera_ticket::Step;

use crate::order::Order;

/// What the system refuses with (`EPERM`), as the reason of what we refuse ourselves.
const EPERM: i32 = 1;

/// Who this process is.
pub trait Ids {
    /// Takes over all groups of an account.
    ///
    /// # Errors
    /// When the system refuses.
    fn init_groups(&self, name: &str, gid: u32) -> io::Result<()>;
    /// Sets all group ids.
    ///
    /// # Errors
    /// When the system refuses.
    fn set_gid(&self, gid: u32) -> io::Result<()>;
    /// Sets all user ids.
    ///
    /// # Errors
    /// When the system refuses.
    fn set_uid(&self, uid: u32) -> io::Result<()>;
    /// Answers the real and the effective uid.
    fn uids(&self) -> (u32, u32);
    /// Answers the real and the effective gid.
    fn gids(&self) -> (u32, u32);
    /// Answers the kernel's list of groups.
    ///
    /// # Errors
    /// When the system does not say.
    fn groups(&self) -> io::Result<Vec<u32>>;
    /// Tries to be root again; says whether that works.
    fn can_go_back(&self) -> bool;
    /// Enters a directory.
    ///
    /// # Errors
    /// When the account can't.
    fn enter(&self, directory: &str) -> io::Result<()>;
}

/// Becomes the account of an order, and proves it.
///
/// # Errors
/// The step that failed; the process must end then.
pub fn become_user(ids: &dyn Ids, order: &Order) -> Result<(), Failed> {
    let refused = |step| Failed { step, errno: EPERM };
    if order.uid == 0 || order.gid == 0 {
        return Err(refused(Step::SetUid));
    }
    let at = |step| move |error: io::Error| Failed::at(step, &error);
    ids.init_groups(&order.name, order.gid)
        .map_err(at(Step::SetGroups))?;
    ids.set_gid(order.gid).map_err(at(Step::SetGid))?;
    ids.set_uid(order.uid).map_err(at(Step::SetUid))?;
    let is_user = ids.uids() == (order.uid, order.uid);
    let is_group = ids.gids() == (order.gid, order.gid);
    let groups = ids.groups().map_err(at(Step::ReadBack))?;
    if !is_user || !is_group || groups.contains(&0) {
        return Err(refused(Step::ReadBack));
    }
    if ids.can_go_back() {
        return Err(refused(Step::NoWayBack));
    }
    ids.enter(&order.directory).map_err(at(Step::Directory))
}

/// Is the program of an order from now on; only ever returns a failure.
#[cfg(any(target_os = "linux", target_os = "macos"))]
pub fn execute(order: &Order) -> Failed {
    use std::os::unix::process::CommandExt as _;
    let Some((program, arguments)) = order.argv.split_first() else {
        return Failed {
            step: Step::Command,
            errno: 0,
        };
    };
    tessera_macos::close_others_on_exec();
    let variables = order.env.iter().map(|(name, value)| (name, value));
    let error = Command::new(program)
        .args(arguments)
        .env_clear()
        .envs(variables)
        .stdin(Stdio::null())
        .exec();
    Failed::at(Step::Exec, &error)
}

/// This process.
#[cfg(any(target_os = "linux", target_os = "macos"))]
#[derive(Debug, Clone, Copy)]
pub struct Own;

#[cfg(any(target_os = "linux", target_os = "macos"))]
impl Ids for Own {
    fn init_groups(&self, name: &str, gid: u32) -> io::Result<()> {
        let name = std::ffi::CString::new(name)?;
        tessera_macos::init_groups(&name, gid)
    }

    fn set_gid(&self, gid: u32) -> io::Result<()> {
        tessera_macos::set_gid(gid)
    }

    fn set_uid(&self, uid: u32) -> io::Result<()> {
        tessera_macos::set_uid(uid)
    }

    fn uids(&self) -> (u32, u32) {
        tessera_macos::uids()
    }

    fn gids(&self) -> (u32, u32) {
        tessera_macos::gids()
    }

    fn groups(&self) -> io::Result<Vec<u32>> {
        tessera_macos::groups()
    }

    fn can_go_back(&self) -> bool {
        tessera_macos::can_go_back()
    }

    fn enter(&self, directory: &str) -> io::Result<()> {
        std::env::set_current_dir(directory)
    }
}
