//! Effects, carried out: messages to workers, tickets, closed connections.

use crate::tickets::Tickets;
use std::collections::BTreeMap;
use tessera_engine::supervisor::{Effect, SessionId};
use tessera_model::msg::ToWorker;
use tessera_model::{HostId, JobId, Timestamp};
use tokio::sync::mpsc;

/// Where messages to a worker go, those of a turn together.
#[derive(Debug, Clone)]
pub(crate) enum Sink {
    /// To the task of its connection. Bounded: a worker that does not take them is disconnected.
    Connection(mpsc::Sender<Vec<ToWorker>>),
    /// To who drives the core, with those of all others; it takes them after each turn.
    Driver(mpsc::UnboundedSender<(HostId, Vec<ToWorker>)>),
}

/// A worker that takes no messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Full;

impl Sink {
    /// Hands messages over.
    fn send(&self, host: HostId, messages: Vec<ToWorker>) -> Result<(), Full> {
        match self {
            Self::Connection(sink) => match sink.try_send(messages) {
                Err(mpsc::error::TrySendError::Full(_)) => Err(Full),
                // Its end is told as an input.
                Ok(()) | Err(mpsc::error::TrySendError::Closed(_)) => Ok(()),
            },
            Self::Driver(sink) => {
                let _driver_left = sink.send((host, messages));
                Ok(())
            }
        }
    }
}

/// The connected workers.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    open: BTreeMap<HostId, (SessionId, Sink)>,
}

/// Messages of a turn to one worker.
#[derive(Default)]
struct Parcel {
    messages: Vec<ToWorker>,
    ack: Option<u64>,
}

impl Sessions {
    /// Takes up a connection; an older one of the same host ends.
    pub(crate) fn open(&mut self, host: HostId, session: SessionId, sink: Sink) {
        self.open.insert(host, (session, sink));
    }

    /// Drops a connection, if it still is the host's.
    pub(crate) fn close(&mut self, host: HostId, session: SessionId) {
        if self
            .open
            .get(&host)
            .is_some_and(|(open, _)| *open == session)
        {
            self.open.remove(&host);
        }
    }

    /// Drops all connections.
    pub(crate) fn close_all(&mut self) {
        self.open.clear();
    }

    /// Carries out the effects of a turn; answers the hosts that were disconnected because they take no messages.
    pub(crate) fn carry_out(
        &mut self,
        effects: Vec<Effect>,
        now: Timestamp,
        tickets: &mut Tickets,
        removed: &mpsc::UnboundedSender<JobId>,
    ) -> Vec<HostId> {
        let mut parcels: BTreeMap<(HostId, SessionId), Parcel> = BTreeMap::new();
        let mut closing = Vec::new();
        for effect in effects {
            match effect {
                Effect::Send {
                    host,
                    session,
                    message,
                } => parcels.entry((host, session)).or_default().add(message),
                Effect::Start {
                    host,
                    session,
                    order,
                } => match tickets.start(host, &order, now) {
                    Ok(message) => parcels.entry((host, session)).or_default().add(message),
                    // The engine counts it as sent. What the host says it has when it connects anew puts it back.
                    Err(error) => {
                        tracing::error!(
                            %host, launch = %order.key, %error,
                            "no ticket can be made; the worker is disconnected so that the instance is given anew"
                        );
                        closing.push((host, session));
                    }
                },
                Effect::Disconnect { host, session } => closing.push((host, session)),
                Effect::JobEnded { job, status } => tracing::info!(%job, %status, "job ended"),
                Effect::RemoveLogs(job) => {
                    // Nobody takes it while the supervisor ends; the next clean-up finds the folder.
                    let _ending = removed.send(job);
                }
            }
        }
        let lost = parcels
            .into_iter()
            .filter_map(|((host, session), parcel)| self.send(host, session, parcel));
        let lost: Vec<HostId> = lost.collect();
        for (host, session) in closing {
            self.close(host, session);
        }
        lost
    }

    /// Hands a parcel over; answers the host when it is disconnected instead.
    fn send(&mut self, host: HostId, session: SessionId, parcel: Parcel) -> Option<HostId> {
        let (open, sink) = self.open.get(&host)?;
        if *open != session {
            return None;
        }
        match sink.send(host, parcel.finish()) {
            Ok(()) => None,
            Err(Full) => {
                self.open.remove(&host);
                Some(host)
            }
        }
    }
}

impl Parcel {
    fn add(&mut self, message: ToWorker) {
        match message {
            ToWorker::Ack(seq) => self.ack = self.ack.max(Some(seq)),
            other => self.messages.push(other),
        }
    }

    /// One acknowledgement says it for all before it; it stands at the end.
    fn finish(mut self) -> Vec<ToWorker> {
        self.messages.extend(self.ack.map(ToWorker::Ack));
        self.messages
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use tessera_engine::supervisor::StartOrder;
    use tessera_model::msg::{LaunchKey, Run, RunLimits};
    use tessera_wire::pki::{DispatchKey, FarmCa};

    #[test]
    fn a_worker_whose_ticket_cant_be_made_is_disconnected() {
        let dir = tempfile::tempdir().expect("a folder");
        let ca = FarmCa::open_or_create(dir.path()).expect("a farm");
        let key = DispatchKey::open_or_create(dir.path()).expect("a key");
        let mut tickets = Tickets::new(ca.farm_id(), &key);
        let (mut sessions, host) = (Sessions::default(), HostId([7; 16]));
        let (sink, mut messages) = mpsc::channel(4);
        sessions.open(host, 3, Sink::Connection(sink));
        let draft = tessera_api::types::SubmitRequest {
            command: vec!["render".into()],
            ..Default::default()
        };
        let draft = tessera_spec::SubmissionDraft::from(draft);
        let mut spec = draft.validate().expect("a job").spec;
        // Without a command there is no template.
        spec.command.clear();
        let order = StartOrder {
            key: LaunchKey {
                job: JobId(1),
                instance: tessera_model::InstanceNo(0),
                launch: tessera_model::LaunchNo(1),
            },
            owner: "mia".parse().expect("a name"),
            proof: "uid 1".into(),
            account: "mia".into(),
            mode: "user",
            spec: Arc::new(spec),
            taken: Arc::default(),
            kernel: tessera_model::KernelLimits::default(),
            variables: Vec::new(),
            limits: RunLimits::default(),
            run: Run {
                item: tessera_model::ItemIndex(0),
                attempt: tessera_model::Attempt(1),
            },
        };
        let start = Effect::Start {
            host,
            session: 3,
            order: Box::new(order),
        };
        let ack = Effect::Send {
            host,
            session: 3,
            message: ToWorker::Ack(5),
        };
        let (removed, _) = mpsc::unbounded_channel();
        sessions.carry_out(vec![start, ack], Timestamp(0), &mut tickets, &removed);
        assert_eq!(messages.try_recv(), Ok(vec![ToWorker::Ack(5)]));
        assert_eq!(
            messages.try_recv(),
            Err(mpsc::error::TryRecvError::Disconnected)
        );
    }

    #[test]
    fn acknowledgements_of_a_turn_become_one_at_the_end() {
        let mut parcel = Parcel::default();
        let key = tessera_model::msg::LaunchKey {
            job: JobId(1),
            instance: tessera_model::InstanceNo(0),
            launch: tessera_model::LaunchNo(1),
        };
        for message in [
            ToWorker::Ack(3),
            ToWorker::Suspend(key),
            ToWorker::Ack(5),
            ToWorker::Ack(4),
        ] {
            parcel.add(message);
        }
        assert_eq!(parcel.finish(), [ToWorker::Suspend(key), ToWorker::Ack(5)]);
    }
}
