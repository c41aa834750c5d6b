//! The shepherd: one per instance, parent of everything that the instance runs, and the only source of exit statuses and
//! output; and the starter, its helper that already is the user.
//!
//! Nothing here is root or becomes anybody: the crate `identity` has brought this process to its account (which keeps
//! `CAP_KILL`) and the starter to the user's before any of this runs. In desktop mode both are the person at the desktop.
#![forbid(unsafe_code)]

pub mod clear;
mod contain;
mod item;
pub mod kept;
pub mod login;
pub mod starter;
mod watch;

use std::ffi::CString;
use std::os::fd::{AsFd as _, OwnedFd, RawFd};
use std::time::{Duration, Instant};

use tessera_sys::ids::Identity;
use tessera_sys::limits::Groups;
use tessera_ticket::{ItemRange, LaunchKey};

/// How long removing a private directory may take.
const TMP_TIME: Duration = Duration::from_secs(5);

/// What an instance is to have of the environment of its user's login shell.
#[derive(Debug)]
pub enum LoginWish {
    /// Nothing.
    None,
    /// The shell is asked; what it said goes into the memory file, too, if there is one.
    Ask(Option<OwnedFd>),
    /// What it said lately.
    Kept(OwnedFd),
}

/// Everything that a shepherd needs; made by the launcher before it forks.
#[derive(Debug)]
pub struct Setup {
    /// The launch.
    pub key: LaunchKey,
    /// The items that it may run.
    pub items: Vec<ItemRange>,
    /// What runs, encoded.
    pub template: Vec<u8>,
    /// The host's table of paths, encoded.
    pub paths: Vec<u8>,
    /// Whether the items get the environment of the user's login shell, and where it comes from.
    pub login: LoginWish,
    /// The user, or nobody to become in desktop mode.
    pub user: Option<Identity>,
    /// The variables that every item starts from.
    pub env: Vec<CString>,
    /// Whether the items give up new privileges.
    pub no_new_privs: bool,
    /// The shepherd's own account; `None` in desktop mode.
    pub shepherd: Option<Identity>,
    /// Who may connect.
    pub worker_uid: u32,
    /// The control socket, which listens.
    pub listener: OwnedFd,
    /// This program, for the starter.
    pub program: RawFd,
    /// The instance's group; `None` where there are none.
    pub group: Option<OwnedFd>,
    /// Its groups in older trees.
    pub groups: Groups,
    /// Where success or the failed step is reported, eight bytes.
    pub report: OwnedFd,
    /// How long it waits without a worker and without work.
    pub orphan: Duration,
    /// Where the launcher finds out who this is after its own restart.
    pub run_dir: Option<OwnedFd>,
    /// Held while this process lives (desktop mode).
    pub lock: Option<OwnedFd>,
    /// The number of this boot of the host.
    pub boot: String,
    /// The account's name if it is a slot's.
    pub slot: Option<String>,
    /// As long as this is open the instance's PAM session is, if it has one.
    pub session: Option<OwnedFd>,
    /// The variables of that session, in a memory file for the user's processes.
    pub variables: Option<OwnedFd>,
    /// Added to the priority of what runs, 0 to 19; more is less.
    pub nice: u8,
    /// Where the private directory is and its name, if this process is to remove it at the end (desktop mode).
    pub tmp: Option<(OwnedFd, CString)>,
}

/// The starter, as its parent sees it.
#[derive(Debug)]
pub struct StarterEnd {
    /// Its process id.
    pub pid: i32,
    /// Orders to it, and its answers.
    pub orders: OwnedFd,
    /// Words between the children of items and the shepherd.
    pub shake: OwnedFd,
}

/// Serves until the instance is closed, then removes its private directory if that is this process's business; returns the
/// exit code.
pub fn serve(mut setup: Setup, starter: StarterEnd) -> i32 {
    let tmp = setup.tmp.take();
    let code = watch::run(setup, starter);
    if let Some((dir, name)) = tmp {
        clear::private(dir.as_fd(), &name, Instant::now() + TMP_TIME);
    }
    code
}
