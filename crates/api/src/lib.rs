//! The farm's HTTP API `/api/v1`: its types, its OpenAPI document and a client.
//!
//! Owns what is promised to the outside: words, fields, status and exit codes. Leaves to others: how it is served
//! (`supervisor`) and shown (`cli`). Conventions: ids of jobs are numbers, ids of hosts are UUIDs; times are
//! milliseconds since 1970-01-01 UTC in fields that end in `_ms`, lengths of time too; items and instances are counted
//! from 0 (people say `#1` for item 0); what is not known or does not apply is left out.
#![forbid(unsafe_code)]

pub mod client;
pub mod convert;
pub mod discover;
pub mod error;
pub mod exit;
pub mod frames;
pub mod openapi;
pub mod paths;
pub mod query;
pub mod types;

pub use client::{Client, ClientError};
pub use error::{ApiError, ErrorCode, FieldProblem};
pub use exit::Exit;

/// Where all paths of this version begin.
pub const PREFIX: &str = "/api/v1";
/// The version of the API; a number that grows with each incompatible one.
pub const API_VERSION: u32 = 1;
/// The port of a farm unless another is configured.
pub const PORT_DEFAULT: u16 = 7433;
/// Largest body of a request, in bytes; a larger one is answered with 413.
pub const REQUEST_BYTES_MAX: usize = 2 * 1024 * 1024;
/// Most entries of one page of a list.
pub const PAGE_MAX: u32 = 1_000;
/// Entries of a page when the request names no limit.
pub const PAGE_DEFAULT: u32 = 100;
/// Targets of one action.
pub const TARGETS_MAX: usize = 1_000;
/// Most bytes of a log that one answer carries when it does not follow.
pub const LOG_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// Bytes of a log that one answer carries when the request names no limit.
pub const LOG_BYTES_DEFAULT: u64 = 1024 * 1024;
/// Longest pause, in seconds, between two things that the server sends on an open event or log stream: it says that it
/// is still there.
pub const KEEPALIVE_SECONDS: u64 = 15;
