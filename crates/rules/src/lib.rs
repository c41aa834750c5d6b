//! Who may run here: the host's policy, what a user directory says of an account, and the rules that stand between them.
//!
//! It judges and does nothing: no file is opened, no user directory asked, nobody becomes anybody. The crate `identity` brings
//! what is judged here, and acts on what comes of it.
#![forbid(unsafe_code)]

pub mod account;
pub mod host;
pub mod policy;
pub mod queue;
pub mod slots;
