//! TLS on the one port of a supervisor: workers prove who they are by certificate, everybody else is asked for none.
//!
//! Nothing here answers in plaintext, and nothing below TLS 1.3 is spoken. A worker is told apart by its ALPN word; the
//! host it speaks for is read from its certificate and from nothing else. Who asks for a name of the site's own certificate, and does not
//! pin the farm's CA, is shown that one; all others, workers always, are shown the farm's.

mod client;
mod error;
mod gate;
mod pin;
mod server;

pub use client::{WorkerTls, connect_pinned};
pub use error::{AcceptError, ConnectError};
pub use server::{Accepted, AcceptedClient, AcceptedWorker, TlsServer, WorkerPeer};

use rustls::crypto::CryptoProvider;
use std::sync::Arc;
use std::time::Duration;

/// The ALPN word of workers.
pub const ALPN_WORKER: &[u8] = b"tessera-worker/1";
/// The ALPN word of clients that pin the farm's CA: whatever name they ask for, they are shown the farm's own certificate. It is never
/// chosen; what is spoken is one of the other words.
pub const ALPN_PINNED: &[u8] = b"tessera-pinned/1";
/// How long a client may take from its first byte to the end of the handshake.
pub const HANDSHAKE_TIME_LIMIT: Duration = Duration::from_secs(10);
/// How long a worker waits for a TCP connection.
pub const CONNECT_TIME_LIMIT: Duration = Duration::from_secs(10);
/// Handshakes at a time. When there are more, the oldest unfinished one is dropped, so that idle connections keep nobody
/// else out.
pub const HANDSHAKES_MAX: usize = 1_024;
/// Sessions that can be resumed, kept in memory (about 2 KiB each).
pub const SESSIONS_MAX: usize = 4_096;

/// A server's side of a TLS connection.
pub type ServerStream = tokio_rustls::server::TlsStream<tokio::net::TcpStream>;
/// A worker's side of a TLS connection.
pub type ClientStream = tokio_rustls::client::TlsStream<tokio::net::TcpStream>;

/// Answers the one provider of cryptography.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}
