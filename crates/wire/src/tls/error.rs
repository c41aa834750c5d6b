//! Why a connection did not come about.

use crate::pki::PkiError;
use std::io;

/// Why a supervisor did not take a connection.
#[derive(Debug, thiserror::Error)]
pub enum AcceptError {
    /// The first byte is not that of TLS.
    #[error("the peer speaks no TLS (first byte {first:#04x})")]
    Plaintext {
        /// Its first byte.
        first: u8,
    },
    /// It took longer than [`super::HANDSHAKE_TIME_LIMIT`].
    #[error("the handshake took longer than its time limit")]
    Late,
    /// It was the oldest of more handshakes than [`super::HANDSHAKES_MAX`].
    #[error("too many handshakes at a time, this one was the oldest")]
    Crowded,
    /// TLS refused it: no certificate, one of another farm, an ended one, an unknown ALPN word, an old version …
    #[error("the TLS handshake failed")]
    Handshake(#[source] io::Error),
    /// The certificate is the farm's, but not a worker's as the farm makes them.
    #[error("the certificate does not name a host of this farm")]
    Certificate(#[source] PkiError),
    /// The certificate of a resumed session has ended meanwhile.
    #[error("the worker's certificate has ended; join the host again")]
    Expired,
    /// The connection broke.
    #[error("the connection broke")]
    Broken(#[source] io::Error),
}

/// Why a worker did not reach its supervisor.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Nobody answers there.
    #[error("can't reach {address}")]
    Unreachable {
        /// Where.
        address: String,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// It took longer than [`super::CONNECT_TIME_LIMIT`] or [`super::HANDSHAKE_TIME_LIMIT`].
    #[error("{address} did not answer in time")]
    Late {
        /// Where.
        address: String,
    },
    /// Who answers is not the farm's supervisor, or does not accept this host.
    #[error("{address} and this host do not accept each other")]
    Handshake {
        /// Where.
        address: String,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The host's own key or certificate is no good.
    #[error("this host's identity can't be used; join the host again")]
    Identity(#[source] rustls::Error),
    /// The certificate that was to be pinned is no CA's, or nobody's.
    #[error("the certificates to verify with can't be used")]
    Pki(#[source] PkiError),
}
