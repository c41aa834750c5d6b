//! What is committed, to whoever listens.
//!
//! A bounded ring of the newest events; a listener that is too slow loses some and is told so, and nobody else notices.
//! What is older than the ring comes from the store.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};
use tessera_api::types::Event;
use tessera_engine::supervisor::items::ItemCore;
use tessera_engine::supervisor::kind;
use tessera_model::HostId;
use tessera_store::{HistoryRow, JournalRow};
use tokio::sync::{broadcast, watch};

/// Events that the ring holds.
pub(crate) const RING_EVENTS: usize = 8_192;

/// Where events are published.
#[derive(Debug)]
pub(crate) struct Hub {
    ring: broadcast::Sender<Arc<Event>>,
    last_seq: watch::Sender<u64>,
    names: RwLock<BTreeMap<HostId, String>>,
}

impl Default for Hub {
    fn default() -> Self {
        let (ring, _) = broadcast::channel(RING_EVENTS);
        Self {
            ring,
            last_seq: watch::Sender::new(0),
            names: RwLock::default(),
        }
    }
}

impl Hub {
    /// Begins to listen; what is published from now on is heard.
    pub(crate) fn listen(&self) -> broadcast::Receiver<Arc<Event>> {
        self.ring.subscribe()
    }

    /// Answers the number of the newest committed event.
    pub(crate) fn last_seq(&self) -> u64 {
        *self.last_seq.borrow()
    }

    /// Says up to where the journal is committed. Called before the events themselves are published.
    pub(crate) fn committed(&self, seq: u64) {
        self.last_seq.send_if_modified(|last| {
            let is_new = *last != seq;
            *last = seq;
            is_new
        });
    }

    /// Begins to hear of each commit that the journal grew by, without what it grew by.
    pub(crate) fn watch(&self) -> watch::Receiver<u64> {
        self.last_seq.subscribe()
    }

    /// Publishes an event; without listeners it is gone.
    pub(crate) fn publish(&self, event: Event) {
        if self.ring.receiver_count() > 0 {
            let _nobody_listens = self.ring.send(Arc::new(event));
        }
    }

    /// Says whether anybody would hear an event.
    pub(crate) fn is_heard(&self) -> bool {
        self.ring.receiver_count() > 0
    }

    /// Keeps the name that a host goes by; that of a removed host is kept for what is read of it.
    pub(crate) fn name_host(&self, id: HostId, name: &str) {
        let mut names = self.names.write().unwrap_or_else(PoisonError::into_inner);
        names.insert(id, name.to_owned());
    }

    /// Answers the name of a host, or its id when it has none.
    pub(crate) fn host_name(&self, id: HostId) -> String {
        let names = self.names.read().unwrap_or_else(PoisonError::into_inner);
        names.get(&id).cloned().unwrap_or_else(|| id.to_string())
    }

    /// Makes the event of a journal row.
    pub(crate) fn event(&self, seq: Option<u64>, row: JournalRow) -> Event {
        let status = match (row.cell.and_then(ItemCore::unpack), row.kind.as_str()) {
            (Some(core), _) => Some(core.status.word().to_owned()),
            (None, kind::JOB_STATUS) => Some(row.text.clone()),
            (None, _) => None,
        };
        Event {
            seq,
            at_ms: row.at_ms,
            kind: row.kind,
            job: row.job,
            instance: row.instance,
            item: row.item,
            attempt: row.attempt,
            host: row.host.map(|id| self.host_name(HostId(id))),
            actor: row.actor,
            status,
            progress: None,
            text: row.text,
        }
    }

    /// Makes the event of a kept row.
    pub(crate) fn of_history(&self, row: HistoryRow) -> Event {
        self.event(Some(row.seq), row.row)
    }
}
