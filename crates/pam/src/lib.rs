//! The PAM session of an instance, where the host's policy wants one: a process that keeps root and does nothing but open it,
//! wait until the instance is gone, and close it.
//!
//! PAM's modules run in that process alone, the *holder* ([`holder`]), which is this program executed anew. Nothing of the instance
//! descends from it: what a session means for a process is read there and handed over in one bounded message ([`Session`]), and
//! the chain, which starts the holder and hears it ([`Asked`]), applies it. So threads, descriptors, signals and whatever else modules
//! leave in their process reach nobody.
#![forbid(unsafe_code)]

mod asked;
mod frame;
pub mod holder;
mod marks;
pub mod record;

pub use asked::{Asked, Launch, OPEN_TIME, Order, ask};
pub use frame::{FRAME_MAX, Limit, No, Session, decode, encode};

/// Where the holder finds its socket.
pub const SOCKET_FD: i32 = 3;
/// Where it finds the group of its instance.
pub const GROUP_FD: i32 = 4;
/// Where it finds the directory of run records.
pub const RUN_FD: i32 = 5;
/// The most bytes of variables that modules set, and the most variables.
pub const VARIABLES_MAX: (usize, usize) = (64 * 1024, 512);
/// How long the launcher lets a holder go on when nothing else is left of its instance.
pub const CLOSE_TIME: std::time::Duration = std::time::Duration::from_secs(10);
