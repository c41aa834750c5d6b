//! macOS: programs in sessions that a walk over all processes finds, which the worker starts on a desktop and the launcher in a service.
//!
//! The system does not end them with whoever started them. On a desktop the next worker finds the leaders in the spool and ends what is left of
//! their sessions before it says that a launch is gone; in a service the launcher does.

mod base;
mod link;
mod system;

use std::path::{Path, PathBuf};

use tessera_ticket::Template;

use super::inside::here::Here;
use crate::error::WorkerError;
use crate::os;
use link::Socket;
use system::Sessions;

/// macOS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mac;

impl Here for Mac {
    type Own = Sessions;
    type Link = Socket;

    const CONTAINMENT: &'static str = "session";

    fn launcher(state: &Path) -> PathBuf {
        state.join("run").join("launcher.sock")
    }

    fn unfit() -> Option<WorkerError> {
        os::is_privileged().then_some(WorkerError::ServiceAsRoot)
    }

    fn no_answer(launcher: &Path, cause: &str) -> String {
        format!(
            "the launcher does not answer at {} ({cause}); see `launchctl print system/tessera.launch` and its log, \
             /Library/Logs/tessera.launch.log",
            launcher.display()
        )
    }

    fn own(template: &Template) -> Sessions {
        Sessions::of(template)
    }

    fn environment(
        user: &str,
        tmp: &Path,
        farm: &[u8; 16],
        more: &[String],
    ) -> Vec<(String, String)> {
        base::environment(user, tmp, farm, more)
    }

    fn home() -> String {
        base::home()
    }

    fn uid_of(account: &str) -> Option<u32> {
        os::uid_of(account)
    }

    fn end_left(pid: u32, born: u64) -> bool {
        tessera_macos::end_left(pid, born)
    }
}
