//! What must outlive the supervisor: a trait over plain rows, its SQLite backend, a fake in memory and the suite that
//! all of them pass.
//!
//! The supervisor decides in memory and hands over [`Batch`]es; a batch is one durable transaction. Items of jobs are
//! kept packed, [`SEGMENT_ITEMS`] to a segment, one opaque `u64` each; a journal row may carry an item's new cell, and
//! [`Store::load`] gives the cells with the journal's already put in.
//!
//! This crate owns what is on the disk and how it is found again. It knows nothing of jobs' meaning: words, JSON and
//! cells are the supervisor's, which converts them at this border.
#![forbid(unsafe_code)]

mod cells;
#[cfg(feature = "conformance")]
pub mod conformance;
mod error;
pub mod memory;
mod rows;
pub mod sqlite;
mod store;

pub use error::{Cause, StoreError};
pub use rows::{
    AttemptRow, CredentialRow, CredentialSealRow, HostRow, InstanceRow, ItemsRow, JobRow,
    JobStateRow, JoinTokenRow, JournalRow, LaunchRow, PoolKeyRow, StateCounts, TokenRow,
};
pub use store::{
    Batch, Committed, EndedJob, Epoch, Events, HistoryRow, Loaded, Reader, Store, TableUsage,
    Usage, Write,
};

/// Cells in a segment of a job's items. Segment `s` holds the items from `s * SEGMENT_ITEMS`; only a job's last
/// segment may hold fewer.
pub const SEGMENT_ITEMS: u32 = 4096;

/// Most rows that a [`Reader`] gives at once, whatever limit it is asked for.
pub const READ_LIMIT_MAX: u32 = 10_000;
