//! What calls the system.

mod exits;
mod list;
mod machine;
mod tree;

pub use machine::{awake, boot_id, machine};
pub use tree::{Held, Started, Tree, end_left, hold, start};

use std::io;

/// Makes an error of a call that answers -1.
fn check(answer: libc::c_int) -> io::Result<libc::c_int> {
    if answer < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(answer)
    }
}

/// Answers the size of a structure as the system wants it.
fn size_of_int<T>() -> libc::c_int {
    libc::c_int::try_from(size_of::<T>()).unwrap_or(libc::c_int::MAX)
}
