//! Windows: programs in job objects, which are the worker's on a desktop and the launcher's in a service. The system ends them with whoever
//! holds them.

mod base;
mod link;
mod system;

use std::os::windows::io::{AsHandle as _, AsRawHandle as _};
use std::path::{Path, PathBuf};

use tessera_ticket::Template;
use tessera_ticket::pipe::Ask;
use tessera_windows::{Sid, end_process};

use super::inside::here::Here;
use crate::credential::Token;
use crate::error::WorkerError;
use link::Pipe;
use system::Jobs;

/// The launcher's usual pipe.
const PIPE: &str = r"\\.\pipe\tessera-launch";

/// Windows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Windows;

impl Here for Windows {
    type Own = Jobs;
    type Link = Pipe;

    const CONTAINMENT: &'static str = "job";

    fn launcher(_: &Path) -> PathBuf {
        PathBuf::from(PIPE)
    }

    fn unfit() -> Option<WorkerError> {
        is_system().then_some(WorkerError::ServiceAsSystem)
    }

    fn no_answer(_: &Path, cause: &str) -> String {
        format!(
            "the launcher does not answer ({cause}); see whether the service TesseraLaunch runs, and its launcher.log"
        )
    }

    fn own(_: &Template) -> Jobs {
        Jobs
    }

    fn environment(_: &str, tmp: &Path, farm: &[u8; 16], more: &[String]) -> Vec<(String, String)> {
        base::environment(tmp, farm, more)
    }

    fn home() -> String {
        base::home()
    }

    fn uid_of(_: &str) -> Option<u32> {
        None
    }

    fn end_left(pid: u32, born: u64) -> bool {
        end_process(pid, born)
    }

    fn name_token(ask: &mut Ask, held: &Token) {
        let held = held.downcast_ref::<tessera_windows::Token>();
        if let (Ask::Start { token, .. }, Some(held)) = (ask, held) {
            *token = held.as_handle().as_raw_handle().addr() as u64;
        }
    }
}

/// Says whether this process is the system itself. Who can't be asked about counts as such.
fn is_system() -> bool {
    let own = tessera_windows::Token::own().and_then(|it| it.user());
    own.map_or(true, |it| it == Sid::system())
}
