//! Becoming a user: what the user directory knows of an account, the order of calls that makes a process somebody else and
//! proves it, and the part of an instance's chain that is still root, its PAM session
//! included. Beside it what root must be able to rely on: paths that
//! nobody else can change, and private directories below such a path. Who may be become is judged by the crate `rules`.
//!
//! It opens no socket and decides about no ticket; the crate `launch` does.
#![forbid(unsafe_code)]

pub mod chain;
pub mod look_up;
pub mod paths;
pub mod session;
pub mod tmpdir;
pub mod user;

pub use tessera_rules::{account, host, policy, queue, slots};
