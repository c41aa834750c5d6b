//! How a link ends.

use crate::convert::{AttachRefused, ConvertError};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

/// Why a link, or a stream of it, is over.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// The connection broke.
    #[error("the connection broke")]
    Broken(#[source] hyper::Error),
    /// The other side ended the stream with an error.
    #[error("the other side ended the stream: {message} ({code})")]
    Ended {
        /// gRPC's word for it.
        code: String,
        /// What it said.
        message: String,
    },
    /// The other side said something that can't be read.
    #[error("the other side said something that can't be read")]
    Message(#[source] ConvertError),
    /// The supervisor does not take this worker.
    #[error("the supervisor refused this worker")]
    Refused(#[source] AttachRefused),
    /// The other side did not say its first words in time.
    #[error("the other side did not say its first words in time")]
    Late,
    /// The other side ended the stream before its first words.
    #[error("the other side ended the stream before its first words")]
    Silent,
}

impl LinkError {
    /// Takes what tonic says.
    pub(super) fn from_status(status: &tonic::Status) -> Self {
        let code = format!("{:?}", status.code());
        Self::Ended {
            code,
            message: status.message().chars().take(1024).collect(),
        }
    }
}

/// How a stream went and why it ended; shared by who uses it and what carries it.
#[derive(Debug, Clone, Default)]
pub struct LinkEnd(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    ignored: AtomicU64,
    error: OnceLock<LinkError>,
}

impl LinkEnd {
    /// Answers how many messages were ignored because this program does not know their kind (the other side is newer).
    #[must_use]
    pub fn ignored(&self) -> u64 {
        self.0.ignored.load(Ordering::Relaxed)
    }

    /// Answers why receiving ended, once it has; `None` also when the other side simply had nothing more to say.
    #[must_use]
    pub fn error(&self) -> Option<&LinkError> {
        self.0.error.get()
    }

    pub(super) fn add_ignored(&self, count: u64) {
        self.0.ignored.fetch_add(count, Ordering::Relaxed);
    }

    pub(super) fn set(&self, error: LinkError) {
        let _first_one_counts = self.0.error.set(error);
    }
}
