//! Requests, one by one: fed to the engine, their answers put aside until the turn is durable.

use super::emit::Sink;
use super::handle::Unavailable;
use super::request::{EnrolRefused, Request, Unwelcome};
use super::{Core, JOIN_TOKENS_MAX, Turn};
use crate::persist::rows::{Enrolment, access_row, enrolled_row, kind};
use tessera_engine::supervisor::{Answer, Denied, Input, SessionId};
use tessera_model::msg::FromWorker;
use tessera_model::{HostFacts, HostId};
use tessera_store::Write;
use tokio::sync::oneshot;

impl Core {
    pub(super) fn take_change(&mut self, turn: &mut Turn, request: Request) {
        match request {
            Request::Client { input, reply } => {
                let answer = self.ask(turn, input);
                turn.answers.push(Box::new(move |outcome| {
                    let _client_left = reply.send(outcome.map(|()| answer));
                }));
            }
            Request::Worker(input) => self.hear(turn, input),
            Request::Connect {
                host,
                fingerprint,
                facts,
                sink,
                reply,
            } => {
                self.connect(turn, host, fingerprint, facts, sink, reply);
            }
            Request::Keep { writes, reply } => {
                turn.extra.extend(writes);
                turn.answers.push(Box::new(move |outcome| {
                    let _client_left = reply.send(outcome);
                }));
            }
            Request::KeepJoinToken { row, told, reply } => {
                self.drop_stale_join_tokens(turn);
                turn.extra.push(Write::JoinToken(row.clone()));
                turn.extra.extend(told);
                self.join_tokens.insert(row.sha256, row);
                turn.answers.push(Box::new(move |outcome| {
                    let _client_left = reply.send(outcome);
                }));
            }
            Request::Enrol {
                token,
                host,
                enrolment,
                reply,
            } => {
                let answer = self.enrol(turn, token, host, enrolment);
                turn.answers.push(Box::new(move |outcome| {
                    let _client_left = reply.send(outcome.map(|()| answer));
                }));
            }
            Request::Tidy(reply) => {
                let answer = self
                    .parts
                    .store
                    .tidy()
                    .map_err(|error| Unavailable::of(&error));
                let _client_left = reply.send(answer);
            }
            Request::Read(_) | Request::Stop => {}
        }
    }

    /// Feeds the engine with a client's wish.
    fn ask(&mut self, turn: &mut Turn, input: Input) -> Result<Answer, Denied> {
        if let Some(answer) = self.remove_unmet(turn, &input) {
            return answer;
        }
        let removed = match &input {
            Input::RemoveHost { host, .. } => Some(*host),
            _ => None,
        };
        let out = self.engine.handle(self.clock.now(), input);
        turn.changed.add(out.changes);
        turn.effects.extend(out.effects);
        let answer = out.answer.unwrap_or(Ok(Answer::Done));
        if let Some(host) = removed.filter(|_| answer.is_ok()) {
            // At once: a connection of it may wait in this very turn.
            self.ledger.enrolled.remove(&host);
        }
        answer
    }

    /// Removes a host that has joined and was never connected: the engine knows nothing of it.
    fn remove_unmet(&mut self, turn: &mut Turn, input: &Input) -> Option<Result<Answer, Denied>> {
        let Input::RemoveHost { by, host, .. } = input else {
            return None;
        };
        if self.engine.host(*host).is_some()
            || !self.ledger.enrolled.contains_key(host)
            || !by.is_admin
        {
            return None;
        }
        self.ledger.enrolled.remove(host);
        turn.extra.push(Write::HostRemove(host.0));
        Some(Ok(Answer::Done))
    }

    /// Feeds the engine with what a worker said.
    fn hear(&mut self, turn: &mut Turn, mut input: Input) {
        if let Input::Said { host, what, .. } = &mut input
            && let FromWorker::Hello(facts) = &mut **what
            && let Some(known) = self.ledger.enrolled.get(host)
        {
            facts.go_by(&known.name);
        }
        let passing = passing_of(&input);
        let gone = match &input {
            Input::Disconnected { host, session } => Some((*host, *session)),
            _ => None,
        };
        let out = self.engine.handle(self.clock.now(), input);
        turn.changed.add(out.changes);
        turn.effects.extend(out.effects);
        if let Some((host, session)) = gone {
            self.sessions.close(host, session);
        }
        if let Some(passing) = passing.filter(|_| self.parts.hub.is_heard()) {
            turn.passing.extend(self.passing_event(&passing));
        }
    }

    fn passing_event(&self, passing: &Passing) -> Option<tessera_api::types::Event> {
        let launch = self.engine.launch(passing.key)?;
        if launch.host != passing.host || launch.current != Some(passing.run) {
            return None;
        }
        Some(tessera_api::types::Event {
            at_ms: self.clock.now().wall.0,
            kind: passing.kind.to_owned(),
            job: Some(passing.key.job.0),
            instance: Some(passing.key.instance.0),
            item: Some(passing.run.item.0),
            attempt: Some(passing.run.attempt.0),
            host: Some(self.parts.hub.host_name(passing.host)),
            progress: passing.percent,
            ..tessera_api::types::Event::default()
        })
    }

    fn connect(
        &mut self,
        turn: &mut Turn,
        host: HostId,
        fingerprint: [u8; 32],
        mut facts: Box<HostFacts>,
        sink: Sink,
        reply: oneshot::Sender<Result<SessionId, Unwelcome>>,
    ) {
        let known = self.ledger.enrolled.get(&host);
        let known = known.filter(|known| known.fingerprint.is_none_or(|kept| kept == fingerprint));
        let Some(known) = known else {
            let _worker_left = reply.send(Err(Unwelcome::Unknown(host)));
            return;
        };
        // The name that it joined with, not one that it claims: jobs are sent to names.
        facts.go_by(&known.name);
        self.last_session += 1;
        let session = self.last_session;
        self.parts.hub.name_host(host, &facts.name);
        let out = self.engine.handle(
            self.clock.now(),
            Input::Connected {
                host,
                session,
                facts,
            },
        );
        turn.changed.add(out.changes);
        turn.effects.extend(out.effects);
        turn.arrivals.push((host, session, sink));
        turn.answers.push(Box::new(move |outcome| {
            let _worker_left =
                reply.send(outcome.map(|()| session).map_err(Unwelcome::Unavailable));
        }));
    }

    fn enrol(
        &mut self,
        turn: &mut Turn,
        token: [u8; 32],
        host: HostId,
        enrolment: Enrolment,
    ) -> Result<(), EnrolRefused> {
        self.drop_stale_join_tokens(turn);
        if !self.join_tokens.contains_key(&token) {
            return Err(EnrolRefused::BadToken);
        }
        let same_name = |host: &tessera_engine::supervisor::Host| host.facts.name == enrolment.name;
        if self
            .engine
            .hosts()
            .any(|host| host.is_connected() && same_name(host))
        {
            return Err(EnrolRefused::NameTaken);
        }
        let mut row = self
            .join_tokens
            .remove(&token)
            .ok_or(EnrolRefused::BadToken)?;
        row.uses_left = row.uses_left.saturating_sub(1);
        if row.uses_left == 0 {
            turn.extra.push(Write::JoinTokenRemove(token));
        } else {
            turn.extra.push(Write::JoinToken(row.clone()));
            self.join_tokens.insert(token, row);
        }
        turn.extra
            .push(Write::Host(enrolled_row(host.0, &enrolment)));
        let mut others = self.ledger.enrolled.iter();
        let other = others.find(|(id, it)| **id != host && it.name == enrolment.name);
        let other =
            other.map(|(id, _)| format!("; {id}, which is not connected, has that name, too"));
        let text = format!("{} joined{}", enrolment.name, other.unwrap_or_default());
        turn.extra
            .push(access_row(enrolment.at_ms, kind::HOST_JOINED, None, text));
        self.parts.hub.name_host(host, &enrolment.name);
        self.ledger.enrolled.insert(host, enrolment);
        Ok(())
    }

    /// Forgets join tokens whose time is over, and the oldest when there are too many.
    fn drop_stale_join_tokens(&mut self, turn: &mut Turn) {
        let now = self.clock.now().wall.0;
        let mut stale: Vec<[u8; 32]> = self
            .join_tokens
            .values()
            .filter(|row| row.expires_ms <= now)
            .map(|row| row.sha256)
            .collect();
        if self.join_tokens.len() >= JOIN_TOKENS_MAX {
            let oldest = self.join_tokens.values().min_by_key(|row| row.expires_ms);
            stale.extend(oldest.map(|row| row.sha256));
        }
        for sha256 in stale {
            if self.join_tokens.remove(&sha256).is_some() {
                turn.extra.push(Write::JoinTokenRemove(sha256));
            }
        }
    }
}

/// Answers a request that can't be taken now.
pub(super) fn refuse(request: Request, why: &Unavailable) {
    match request {
        Request::Client { reply, .. } => _ = reply.send(Err(why.clone())),
        Request::Connect { reply, .. } => _ = reply.send(Err(Unwelcome::Unavailable(why.clone()))),
        Request::Keep { reply, .. } | Request::KeepJoinToken { reply, .. } => {
            _ = reply.send(Err(why.clone()));
        }
        Request::Enrol { reply, .. } => _ = reply.send(Err(why.clone())),
        Request::Tidy(reply) => _ = reply.send(Err(why.clone())),
        // Its connection was closed with the others; what it says is not acknowledged, so it says it again.
        Request::Worker(_) | Request::Read(_) | Request::Stop => {}
    }
}

/// Something that is shown and not kept.
struct Passing {
    kind: &'static str,
    host: HostId,
    key: tessera_model::msg::LaunchKey,
    run: tessera_model::msg::Run,
    percent: Option<u8>,
}

fn passing_of(input: &Input) -> Option<Passing> {
    let Input::Said { host, what, .. } = input else {
        return None;
    };
    match **what {
        FromWorker::ItemStarted { key, run, .. } => Some(Passing {
            kind: "item.started",
            host: *host,
            key,
            run,
            percent: None,
        }),
        FromWorker::Progress { key, run, percent } => Some(Passing {
            kind: "item.progress",
            host: *host,
            key,
            run,
            percent: Some(percent),
        }),
        FromWorker::Hello(_)
        | FromWorker::Inventory(_)
        | FromWorker::Report { .. }
        | FromWorker::PoolKeys(_)
        | FromWorker::CredentialChecked(_)
        | FromWorker::Resealed { .. }
        | FromWorker::Idle(_)
        | FromWorker::Heartbeat => None,
    }
}
