//! The streams between a worker and its supervisor; gRPC over one HTTP/2 connection, and nobody outside can tell.
//!
//! Each direction is a bounded channel. Who doesn't empty his end makes the other's `send` wait, and nobody else's: control
//! and logs have windows of their own, and the connection has room for all of them.

mod client;
mod error;
mod outbox;
mod server;

pub use client::{Attached, LogPush, WorkerLink};
pub use error::{LinkEnd, LinkError};
pub use server::{Handler, LogConnection, Parting, Terms, WorkerConnection, serve_worker};

use std::time::Duration;
use tessera_model::Timestamp;

/// Turns that wait in a control channel.
pub const TURNS_MAX: usize = 64;
/// Log chunks, or acknowledgements, that wait in a log channel.
pub const LOG_CHUNKS_MAX: usize = 8;
/// Log streams of a worker at a time.
pub const LOG_STREAMS_MAX: usize = 4;
/// Streams of one connection at a time: control, logs, and room for those that just end.
const STREAMS_MAX: u32 = 8;
/// Bytes that may travel on one stream before the reader has taken them.
const STREAM_WINDOW: u32 = 1024 * 1024;
/// The same for a connection: all streams together, so that none can stop another.
const CONNECTION_WINDOW: u32 = STREAM_WINDOW * STREAMS_MAX;
/// Largest HTTP/2 frame: how much of a log may stand before an order.
const FRAME_BYTES: u32 = 64 * 1024;
/// Bytes of HTTP headers.
const HEADER_BYTES_MAX: u32 = 8 * 1024;
/// Bytes that one stream may have ready for sending.
const SEND_BUFFER_BYTES: usize = 512 * 1024;
/// How often a worker looks whether an idle connection still leads somewhere (keeps NATs open too).
const KEEP_ALIVE_WORKER: Duration = Duration::from_secs(20);
/// How often a supervisor does.
const KEEP_ALIVE_SUPERVISOR: Duration = Duration::from_secs(30);
/// How long an answer to that may take.
const KEEP_ALIVE_TIME_LIMIT: Duration = Duration::from_secs(20);
/// How long a worker may take to say hello, and a supervisor to answer.
pub const HELLO_TIME_LIMIT: Duration = Duration::from_secs(10);
/// How long reading the hello and deciding about it may take together.
const ADMIT_TIME_LIMIT: Duration = Duration::from_secs(20);
/// How long log streams may go on after control has ended.
const LINGER: Duration = Duration::from_secs(5);

/// Answers the wall time.
fn now() -> Timestamp {
    let elapsed = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp(i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX))
}
