//! Who may be become on this host, and becoming them: the host's policy, what the user directory knows of an account, the
//! rules that stand between them, the order of calls that makes a process somebody else and proves it, and the part of an
//! instance's chain that is still root, its PAM session included. Beside it what root must be able to rely on: paths that nobody else can change, and
//! private directories below such a path.
//!
//! It opens no socket and decides about no ticket; the crate `launch` does.
#![forbid(unsafe_code)]

pub mod account;
pub mod chain;
pub mod paths;
pub mod policy;
pub mod session;
pub mod tmpdir;
pub mod user;
