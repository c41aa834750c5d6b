//! Things that tests of the whole farm share: a farm of real daemons in a folder of its own, its processes as /proc shows
//! them, waits with a deadline. Used by tests only.
#![forbid(unsafe_code)]

pub mod farm;
pub mod processes;
pub mod user;
pub mod wait;
