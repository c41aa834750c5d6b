//! What macOS has in common with other Unix systems, so that it is tried on Linux, too.

mod directory;
mod ids;
mod socket;

pub use directory::{Entry, by_name, by_uid, groups_of};
pub use ids::{
    can_go_back, close_others_on_exec, gids, groups, host_name, init_groups, set_gid, set_uid,
    status_pipe, uids,
};
pub use socket::{FDS_MAX, peer_uid, receive_with, send_with};

use std::io;

/// Makes an error of a call that answers -1.
fn check(answer: libc::c_int) -> io::Result<()> {
    if answer < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}
