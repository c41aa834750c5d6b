//! Workers: their connections, what they say, and the output that they bring.

use crate::core::{CoreHandle, Sink, Unwelcome, View};
use crate::logs::{Arrival, RunKey, SharedLogs};
use crate::readers::Readers;
use crate::settings::{FEATURE, Line, WorkerSettings};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tessera_engine::supervisor::{Input, SessionId};
use tessera_model::msg::{FromWorker, Run, ToWorker};
use tessera_model::{HostFacts, HostId};
use tessera_wire::convert::{AttachRefused, Hello, LogAck, LogChunk};
use tessera_wire::link::{Handler, LogConnection, WorkerConnection};
use tessera_wire::tls::WorkerPeer;
use tokio::sync::mpsc;

/// Turns whose messages may wait for one worker before it is disconnected.
const TURNS_MAX: usize = 4_096;
/// Turns that are sent as one.
const MERGED_MAX: usize = 64;
/// Chunks that are written and made durable together.
const CHUNKS_MAX: usize = 32;
/// Runs whose right to write is remembered per connection.
const RIGHTS_MAX: usize = 4_096;
/// Bytes beyond a job's own limit for the line that says that it was cut.
const MARK_BYTES: u64 = 4_096;
/// Pause after the disk refused output.
const DISK_PAUSE: Duration = Duration::from_secs(1);
/// A clock that is so far off is told.
const CLOCK_WARN_MS: i64 = 30_000;
/// A host whose clock is so far off gets no work.
const CLOCK_PANIC_MS: i64 = 60_000;

/// What becomes of connected workers.
pub(crate) struct Workers {
    /// Decides.
    pub(crate) core: CoreHandle,
    /// Keeps output.
    pub(crate) logs: SharedLogs,
    /// Knows attempts that are over.
    pub(crate) readers: Readers,
    /// What is set for each.
    pub(crate) settings: Arc<WorkerSettings>,
    /// Bytes of a stream that are kept at most.
    pub(crate) log_limit: u64,
}

/// What a host may do with the output of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Right {
    /// Write it, up to so many bytes a stream.
    Write(u64),
    /// Its job is gone: nobody wants it any more.
    Nobody,
    /// It is not this host's.
    Stranger,
}

impl Handler for Workers {
    async fn admit(&self, peer: &WorkerPeer, _hello: &Hello) -> Result<(), AttachRefused> {
        let (host, fingerprint) = (peer.host, peer.certificate.0);
        let is_known = self.core.read(move |view| {
            view.enrolled
                .get(&host)
                .is_some_and(|known| known.fingerprint.is_none_or(|kept| kept == fingerprint))
        });
        match is_known.await {
            Ok(true) => Ok(()),
            Ok(false) => Err(AttachRefused {
                code: "unknown_host".into(),
                text: Unwelcome::Unknown(host).to_string(),
            }),
            Err(why) => Err(AttachRefused {
                code: "unavailable".into(),
                text: why.to_string(),
            }),
        }
    }

    async fn attached(&self, connection: WorkerConnection) {
        let WorkerConnection {
            host,
            peer,
            hello,
            clock_offset_ms,
            mut incoming,
            outgoing,
            parting,
            ..
        } = connection;
        let facts = judge_clock(hello.facts, clock_offset_ms);
        let said = facts.clone();
        let (sink, orders) = mpsc::channel(TURNS_MAX);
        let session = match self
            .core
            .connect(host, peer.certificate.0, facts, Sink::Connection(sink))
            .await
        {
            Ok(session) => session,
            Err(why) => {
                // The trouble of the store is logged where it is; a worker comes again every few seconds.
                tracing::debug!(%host, %why, "worker sent away");
                return parting.send_away(&why.to_string());
            }
        };
        tracing::info!(%host, session, address = %peer.address, clock_offset_ms, "worker connected");
        let Some(name) = self.joined_as(host).await else {
            return self.core.tell(Input::Disconnected { host, session }).await;
        };
        let line = self.settings.opened(host, session, name, &said);
        tokio::select! {
            () = self.listen(host, session, clock_offset_ms, &mut incoming) => {}
            () = speak(orders, &outgoing) => {}
            () = self.serve(&line, &outgoing) => {}
        }
        self.settings.closed(&line);
        tracing::info!(%host, session, "worker disconnected");
        self.core.tell(Input::Disconnected { host, session }).await;
    }

    async fn logs(&self, mut connection: LogConnection) {
        let host = connection.host;
        let mut rights = HashMap::new();
        let mut chunks = Vec::with_capacity(CHUNKS_MAX);
        while connection.chunks.recv_many(&mut chunks, CHUNKS_MAX).await > 0 {
            if !self.is_enrolled(host).await {
                tracing::warn!(%host, "output of a host that was removed; not taken");
                return;
            }
            let (arrivals, mut acks) = self.sort(host, &mut rights, chunks.drain(..)).await;
            let logs = std::sync::Arc::clone(&self.logs);
            let written = tokio::task::spawn_blocking(move || logs.append(arrivals)).await;
            let (durable, failed) =
                written.unwrap_or_else(|error| (Vec::new(), Some(std::io::Error::other(error))));
            acks.extend(durable);
            for ack in acks {
                if connection.acks.send(ack).await.is_err() {
                    return;
                }
            }
            if let Some(error) = failed {
                // The worker keeps what is not acknowledged and sends it again on its next connection.
                tracing::error!(%host, %error, "output can't be kept; free space on the supervisor's disk");
                tokio::time::sleep(DISK_PAUSE).await;
                return;
            }
        }
    }
}

/// Hands orders on, those that wait as one message.
async fn speak(mut orders: mpsc::Receiver<Vec<ToWorker>>, outgoing: &mpsc::Sender<Vec<ToWorker>>) {
    let mut turns = Vec::new();
    while orders.recv_many(&mut turns, MERGED_MAX).await > 0 {
        if outgoing
            .send(turns.drain(..).flatten().collect())
            .await
            .is_err()
        {
            return;
        }
    }
}

/// Work on a host whose clock is far off would be refused (tickets end) or be recorded at wrong times.
fn judge_clock(mut facts: HostFacts, offset_ms: i64) -> HostFacts {
    let seconds = offset_ms / 1_000;
    if offset_ms.abs() > CLOCK_PANIC_MS && facts.panic.is_none() {
        facts.panic = Some(format!(
            "clock: it is {seconds}s off the supervisor's; set the host's time (NTP)"
        ));
    } else if offset_ms.abs() > CLOCK_WARN_MS {
        tracing::warn!(
            host = facts.name,
            seconds,
            "the host's clock is off; set its time (NTP)"
        );
    }
    facts
}

impl Workers {
    /// Answers words for what this supervisor can do now beyond the version of the protocol.
    pub(crate) fn features(&self) -> Vec<String> {
        let serves = self.settings.serves().then(|| FEATURE.to_owned());
        serves.into_iter().collect()
    }

    /// Answers the name that a host joined with; nothing when it was removed meanwhile.
    async fn joined_as(&self, host: HostId) -> Option<String> {
        let name = move |view: &View<'_>| view.enrolled.get(&host).map(|it| it.name.clone());
        self.core.read(name).await.ok().flatten()
    }

    /// Sends a worker what is set for it, again when that changes.
    async fn serve(&self, line: &Line, outgoing: &mpsc::Sender<Vec<ToWorker>>) {
        loop {
            let due = Box::new(self.settings.next(line).await);
            if outgoing.send(vec![ToWorker::Settings(due)]).await.is_err() {
                return;
            }
        }
    }

    async fn listen(
        &self,
        host: HostId,
        session: SessionId,
        clock_offset_ms: i64,
        incoming: &mut mpsc::Receiver<Vec<FromWorker>>,
    ) {
        while let Some(turn) = incoming.recv().await {
            for what in turn {
                let what = match what {
                    FromWorker::Hello(facts) => {
                        self.settings.said(host, session, facts.settings.as_ref());
                        FromWorker::Hello(judge_clock(facts, clock_offset_ms))
                    }
                    other => other,
                };
                self.core
                    .tell(Input::Said {
                        host,
                        session,
                        what: Box::new(what),
                    })
                    .await;
            }
        }
    }

    /// Says whether the host is one of the farm's: it may have been removed since its connection began. While that can't be
    /// found out it is: what it brings is then not acknowledged either.
    async fn is_enrolled(&self, host: HostId) -> bool {
        let found = self
            .core
            .read(move |view| view.enrolled.contains_key(&host));
        found.await.unwrap_or(true)
    }

    /// Finds out which chunks to write; answers those, and what is acknowledged without being kept.
    async fn sort(
        &self,
        host: HostId,
        rights: &mut HashMap<RunKey, Right>,
        chunks: impl Iterator<Item = LogChunk>,
    ) -> (Vec<Arrival>, Vec<LogAck>) {
        let (mut arrivals, mut acks) = (Vec::new(), Vec::new());
        for chunk in chunks {
            let run = RunKey::of(chunk.key);
            let right = match rights.get(&run) {
                Some(right) => Some(*right),
                None => self.right(host, run).await,
            };
            match right {
                // It can't be found out now: not acknowledged, so it comes again.
                None => continue,
                Some(Right::Write(limit)) => arrivals.push(Arrival { limit, chunk }),
                Some(Right::Nobody) => {
                    let durable_to = chunk.offset + chunk.data.len() as u64;
                    acks.push(LogAck {
                        key: chunk.key,
                        durable_to,
                        is_complete: chunk.final_size.is_some(),
                    });
                    continue;
                }
                Some(Right::Stranger) => {
                    tracing::warn!(%host, job = %run.job, item = %run.item, attempt = %run.attempt,
                        "output of a run that this host never had; not taken");
                    continue;
                }
            }
            if rights.len() >= RIGHTS_MAX {
                rights.clear();
            }
            rights.extend(right.map(|right| (run, right)));
        }
        (arrivals, acks)
    }

    /// Finds out what a host may do with the output of a run; nothing when that can't be found out now.
    async fn right(&self, host: HostId, run: RunKey) -> Option<Right> {
        let wanted = Run {
            item: run.item,
            attempt: run.attempt,
        };
        let known = self.core.read(move |view| {
            let Some(job) = view.engine.job(run.job) else {
                return Err(Right::Nobody);
            };
            let has_it = view
                .engine
                .launches_of(run.job)
                .any(|launch| launch.host == host && launch.runs().any(|run| run == wanted));
            Ok((has_it, job.spec.output_limit.saturating_add(MARK_BYTES)))
        });
        let (has_it, limit) = match known.await.ok()? {
            Err(right) => return Some(right),
            Ok(known) => known,
        };
        let limit = limit.min(self.log_limit);
        if has_it {
            return Some(Right::Write(limit));
        }
        let before = (run.item.0, run.attempt.0.checked_sub(1)?);
        let had = self
            .readers
            .read(move |reader| reader.attempts(run.job.0, Some(run.item.0), Some(before), 1));
        let had = had
            .await
            .ok()?
            .into_iter()
            .any(|row| row.attempt == run.attempt.0 && row.host == host.0);
        Some(if had {
            Right::Write(limit)
        } else {
            Right::Stranger
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_far_off_puts_the_host_in_panic() {
        let panic = |offset| judge_clock(HostFacts::default(), offset).panic;
        assert_eq!(panic(59_000), None);
        assert_eq!(
            panic(-61_000),
            Some("clock: it is -61s off the supervisor's; set the host's time (NTP)".into())
        );
        let own = HostFacts {
            panic: Some("no spool".into()),
            ..HostFacts::default()
        };
        assert_eq!(judge_clock(own, 99_000).panic, Some("no spool".into()));
    }
}
