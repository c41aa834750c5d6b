//! What is asked of the core, and how a reader sees the farm.

use super::emit::Sink;
use super::handle::Unavailable;
use crate::persist::rows::Enrolment;
use std::collections::BTreeMap;
use tessera_engine::Now;
use tessera_engine::supervisor::{Answer, Denied, Engine, Input, SessionId};
use tessera_model::{HostFacts, HostId};
use tessera_store::{JoinTokenRow, Write};
use tokio::sync::oneshot;

/// What a client gets: the engine's answer, or why there is none.
pub(crate) type Reply = Result<Result<Answer, Denied>, Unavailable>;

/// Something to do in a turn.
pub(crate) enum Request {
    /// A client's wish.
    Client {
        /// For the engine.
        input: Input,
        /// Where the answer goes after the commit.
        reply: oneshot::Sender<Reply>,
    },
    /// What a worker said, or that its connection ended.
    Worker(Input),
    /// A worker's `Hello`.
    Connect {
        /// Which host, by its certificate.
        host: HostId,
        /// SHA-256 of that certificate.
        fingerprint: [u8; 32],
        /// What it says of itself.
        facts: Box<HostFacts>,
        /// Where messages to it go.
        sink: Sink,
        /// Where the number of the session goes.
        reply: oneshot::Sender<Result<SessionId, Unwelcome>>,
    },
    /// Something to look up.
    Read(Box<dyn Reading>),
    /// Rows that the engine knows nothing of.
    Keep {
        /// The rows.
        writes: Vec<Write>,
        /// Says when they are durable.
        reply: oneshot::Sender<Result<(), Unavailable>>,
    },
    /// A join token to keep.
    KeepJoinToken {
        /// The token.
        row: JoinTokenRow,
        /// The lines of history about it.
        told: Vec<Write>,
        /// Says when it is durable.
        reply: oneshot::Sender<Result<(), Unavailable>>,
    },
    /// A host joins with a token.
    Enrol {
        /// SHA-256 of the token.
        token: [u8; 32],
        /// Its new id.
        host: HostId,
        /// What is kept of it.
        enrolment: Enrolment,
        /// Says when it is durable, or that the token is none.
        reply: oneshot::Sender<Result<Result<(), EnrolRefused>, Unavailable>>,
    },
    /// A portion of the store's own upkeep; says whether there is more.
    Tidy(oneshot::Sender<Result<bool, Unavailable>>),
    /// The last turn.
    Stop,
}

/// Why a host can't join.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EnrolRefused {
    /// The token is unknown, was used or is over.
    BadToken,
    /// A host of that name is connected.
    NameTaken,
}

/// Why a worker is sent away.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unwelcome {
    /// Its host was removed, or joined again with another certificate.
    #[error("host {0} is not one of this farm any more (removed, or joined again); join it anew")]
    Unknown(HostId),
    /// Nothing can be written.
    #[error("{0}")]
    Unavailable(Unavailable),
}

/// Something that looks at the farm and answers after the turn's commit.
pub(crate) trait Reading: Send {
    /// Looks.
    fn look(&mut self, view: &View<'_>);
    /// Answers.
    fn answer(self: Box<Self>, outcome: Result<(), Unavailable>);
}

/// The farm as a reader sees it.
pub(crate) struct View<'a> {
    /// Jobs, hosts, launches.
    pub(crate) engine: &'a Engine,
    /// The time.
    pub(crate) now: Now,
    /// Hosts that have joined.
    pub(crate) enrolled: &'a BTreeMap<HostId, Enrolment>,
    /// Open join tokens by their hash.
    pub(crate) join_tokens: &'a BTreeMap<[u8; 32], JoinTokenRow>,
}

impl View<'_> {
    /// Says whether a host may join with the token that has this hash.
    pub(crate) fn is_invited(&self, token: &[u8; 32]) -> bool {
        let row = self.join_tokens.get(token);
        row.is_some_and(|row| row.expires_ms > self.now.wall.0)
    }
}
