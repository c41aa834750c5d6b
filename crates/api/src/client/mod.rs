//! A client of the API: one method an endpoint, over the supervisor's Unix socket or over TLS with the farm's CA pinned.
//!
//! A [`Client`] is cheap to clone and keeps a few connections open; it connects anew when one is gone. Dropping the
//! future of a call closes the connection that it used; whether the supervisor did what was asked is then not known
//! (a submission with a key can simply be sent again). Streams ([`Client::events`], [`Client::follow_log`]) have
//! connections of their own and resume by themselves where a cut line left off.

mod calls;
mod events;
mod log;
mod seal;
mod sse;
mod tls;
mod transport;

pub use crate::frames::{ATTEMPT_HEADER, COMPLETE_HEADER, OFFSET_HEADER, SIZE_HEADER};
pub use events::{EventStream, Streamed};
pub use log::{LogFollower, LogPart};
pub use seal::{BadOffer, SignedKey, from_hex, key_statement};
pub use tls::{BadFingerprint, BadRoots, Fingerprint, roots};

use crate::error::ApiError;
use crate::exit::Exit;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use transport::{Endpoint, Transport};

/// Largest body of an answer that is no stream, in bytes.
pub const ANSWER_BYTES_MAX: usize = 32 * 1024 * 1024;

/// How long the client waits for what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeLimits {
    /// For a connection, the TLS handshake included.
    pub connect: Duration,
    /// For the whole answer of a call that is no stream.
    pub answer: Duration,
    /// For a sign of life on a stream; the server gives one every [`crate::KEEPALIVE_SECONDS`].
    pub silence: Duration,
    /// For a stream that was cut to come back; then it ends with an error.
    pub patience: Duration,
}

impl Default for TimeLimits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            answer: Duration::from_secs(60),
            silence: Duration::from_secs(3 * crate::KEEPALIVE_SECONDS),
            patience: Duration::from_secs(120),
        }
    }
}

/// Why a call came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// There was no connection, or no answer on it.
    #[error("can't reach the supervisor at {endpoint}: {cause}")]
    Unreachable {
        /// Where: `unix:/path` or `https://host:port`.
        endpoint: String,
        /// Why.
        cause: io::Error,
    },
    /// The supervisor refused or failed.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// What answers there does not keep to the API.
    #[error("{endpoint} doesn't answer like a supervisor of this version: {what}")]
    Protocol {
        /// Where.
        endpoint: String,
        /// What was wrong.
        what: String,
    },
}

impl ClientError {
    /// Answers the exit code of a command that ends with it.
    #[must_use]
    pub fn exit_code(&self) -> Exit {
        match self {
            Self::Unreachable { .. } => Exit::Unreachable,
            Self::Api(error) => error.code.exit_code(),
            Self::Protocol { .. } => Exit::Failed,
        }
    }

    /// Answers what can be done about it.
    #[must_use]
    pub fn hint(&self) -> Option<&str> {
        match self {
            Self::Unreachable { cause, .. } => Some(hint_for(cause.kind())),
            Self::Api(error) => error.hint.as_deref(),
            Self::Protocol { .. } => {
                Some("compare `tessera --version` here and on the supervisor's host")
            }
        }
    }
}

/// Answers what can be done about a connection that was not made.
fn hint_for(kind: io::ErrorKind) -> &'static str {
    match kind {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
            "start a supervisor (`tessera up`), or name another with --supervisor"
        }
        io::ErrorKind::InvalidData => {
            "if the farm was set up anew, forget the old one (`tessera logout NAME`) and use `tessera login` with its new fingerprint"
        }
        io::ErrorKind::PermissionDenied => {
            "ask for access to the socket's directory, or use https:// with a token"
        }
        _ => "look at the address and the network between, then try again",
    }
}

/// A client of one supervisor.
#[derive(Debug, Clone)]
pub struct Client {
    transport: Arc<Transport>,
}

impl Client {
    /// Makes a client of the supervisor behind a Unix socket; the kernel tells it who is asking.
    #[must_use]
    pub fn unix(path: impl Into<PathBuf>) -> Self {
        Self::over(Endpoint::Unix(path.into()), None, TimeLimits::default())
    }

    /// Makes a client of the supervisor at `address` (`host:port`), trusted by the SHA-256 of its farm's CA certificate.
    /// Without a token only joining and health are answered.
    #[must_use]
    pub fn tls(address: impl Into<String>, ca: Fingerprint, token: Option<String>) -> Self {
        let endpoint = Endpoint::Tls {
            address: address.into(),
            config: tls::config(ca, None),
            ca: Some(ca),
        };
        Self::over(endpoint, token, TimeLimits::default())
    }

    /// Makes a client like [`Client::tls`] that also insists on the farm's id (a UUID).
    #[must_use]
    pub fn tls_farm(
        address: impl Into<String>,
        ca: Fingerprint,
        farm_id: &str,
        token: Option<String>,
    ) -> Self {
        let config = tls::config(ca, Some(farm_id.to_owned()));
        Self::over(
            Endpoint::Tls {
                address: address.into(),
                config,
                ca: Some(ca),
            },
            token,
            TimeLimits::default(),
        )
    }

    /// Makes a client of the supervisor at `address` (`host:port`), which must show a certificate of the site's own: good for that
    /// host and signed by one of `roots`. For learning the farm's CA once; what comes later pins that.
    #[must_use]
    pub fn site(
        address: impl Into<String>,
        roots: rustls::RootCertStore,
        token: Option<String>,
    ) -> Self {
        let endpoint = Endpoint::Tls {
            address: address.into(),
            config: tls::site_config(roots),
            ca: None,
        };
        Self::over(endpoint, token, TimeLimits::default())
    }

    /// Answers this client with other time limits.
    #[must_use]
    pub fn with_time_limits(self, limits: TimeLimits) -> Self {
        let transport = self.transport.as_ref();
        Self::over(transport.endpoint.clone(), transport.token.clone(), limits)
    }

    /// Answers where the supervisor is: `unix:/path` or `https://host:port`.
    #[must_use]
    pub fn endpoint(&self) -> String {
        self.transport.endpoint.to_string()
    }

    fn over(endpoint: Endpoint, token: Option<String>, limits: TimeLimits) -> Self {
        Self {
            transport: Arc::new(Transport::new(endpoint, token, limits)),
        }
    }
}
