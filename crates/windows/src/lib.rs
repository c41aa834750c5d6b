//! What is particular to Windows, made safe to call: command lines, environment blocks, trees of processes in job objects,
//! who this process is. The worker decides; this crate knows no job and no farm.
//!
//! **Invariant:** a process is never outside its job object: it is in it from its creation (`PROC_THREAD_ATTRIBUTE_JOB_LIST`),
//! can't break away, and dies with the last handle to it. It gets the three handles of its streams and no others.
//!
//! What does not call the system is built and tested everywhere; the rest is run under Wine in CI. Nobody has run it on
//! Windows yet: see `docs/windows.md`.
#![deny(unsafe_code)]

pub mod command_line;
pub mod environment;
pub mod limits;
pub mod logon;
pub mod program;
pub mod search;
mod sid;

#[cfg(windows)]
mod sys;

pub use sid::{Sid, SidError};
#[cfg(windows)]
pub use sys::*;

use std::path::PathBuf;

/// What the system says of the machine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Machine {
    /// `MAJOR.MINOR.BUILD`; empty when it is not told.
    pub version: String,
    /// Physical memory, bytes.
    pub memory: u64,
    /// What the system can promise beyond it, bytes.
    pub swap: u64,
}

/// A program to start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Start {
    /// The program's file, absolute.
    pub program: PathBuf,
    /// Its command line, from [`command_line::of`].
    pub command_line: Vec<u16>,
    /// Its variables, from [`environment::block`].
    pub environment: Vec<u16>,
    /// Its working directory, absolute.
    pub directory: PathBuf,
    /// How far it stands back behind others.
    pub priority: Priority,
}

/// An account or a group that was looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// What it is known by.
    pub sid: Sid,
    /// What kind it is of (`SID_NAME_USE`): 1 is a user.
    pub kind: i32,
}

/// A service to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceSpec {
    /// What it is known by.
    pub name: String,
    /// What people see.
    pub title: String,
    /// One sentence on what it is for.
    pub description: String,
    /// Its command line: the program in quotes, whatever its path.
    pub command: String,
    /// The account that it runs as; `None` for LocalSystem.
    pub account: Option<String>,
    /// The privileges that it keeps.
    pub privileges: Vec<String>,
    /// Services that are started before it.
    pub needs: Vec<String>,
}

/// How a service stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServiceState {
    /// It does not run.
    Stopped,
    /// It runs.
    Running {
        /// Its process.
        process: u32,
    },
    /// It is starting or stopping.
    Between,
}

/// How far a program stands back behind others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Priority {
    /// As any program.
    Normal,
    /// Behind what somebody at the machine does.
    BelowNormal,
    /// Only when nothing else has anything to do.
    Idle,
}

impl Priority {
    /// Answers what comes next to a niceness of Unix, 0 to 19: 0 is normal, 1 to 9 below normal, more is idle.
    pub fn of_nice(nice: u8) -> Self {
        match nice {
            0 => Self::Normal,
            1..=9 => Self::BelowNormal,
            _ => Self::Idle,
        }
    }
}
