//! Workers come and go: connections, and what administrators do to hosts.

use super::host::Host;
use super::io::{Answer, Change, Denied, Effect, SessionId, kind};
use super::time::Timer;
use super::{About, Engine, Turn};
use tessera_model::msg::{FromWorker, ToWorker};
use tessera_model::{HostFacts, HostId, HostState, Principal, WhileActive};

impl Engine {
    pub(super) fn connected(
        &mut self,
        t: &mut Turn<'_>,
        id: HostId,
        session: SessionId,
        facts: HostFacts,
    ) {
        let state = facts.panic.clone().map_or(HostState::Up, HostState::Panic);
        let (kind, text) = match &state {
            HostState::Panic(why) => (
                kind::HOST_PANIC,
                format!("{} can't do its job: {why}", facts.name),
            ),
            HostState::Up | HostState::Away | HostState::Down => (
                kind::HOST_UP,
                format!("{} is up with {} slots", facts.name, facts.slots),
            ),
        };
        let is_new = self.session_of(id) != Some(session);
        if is_new {
            // An older connection took what was asked over it with it.
            self.resealing_lost(id);
        }
        let host = self
            .hosts
            .entry(id)
            .or_insert_with(|| Host::new(id, HostFacts::default(), HostState::Away, t.now.wall));
        let before = host.set_facts(facts);
        host.state = state;
        host.session = Some(session);
        host.is_synced = false;
        host.idle = None;
        host.given_up.append(&mut host.strays);
        host.refused.clear();
        host.seen = t.now.wall;
        host.last_heard = t.now.elapsed;
        t.change(Change::Host(id));
        t.event(kind, About::host(id), text);
        self.timers.set(
            t.now.elapsed + self.config.heartbeat_timeout,
            Timer::Silent(id),
        );
        let (while_active, can_see) = (host.while_active, host.facts.presence.is_some());
        self.follow_calendar(t, id);
        self.refresh_host(id);
        self.note_resources(id, &before);
        // Also that there is none: it may have been taken back while the worker was away.
        if while_active.is_some() || (is_new && can_see) {
            self.send(t, id, ToWorker::LockWhileActive(while_active));
        }
        self.release_badlogins(t, |_| true);
    }

    pub(super) fn disconnected(&mut self, t: &mut Turn<'_>, id: HostId, session: SessionId) {
        let Some(host) = self
            .hosts
            .get_mut(&id)
            .filter(|host| host.session == Some(session))
        else {
            return;
        };
        host.session = None;
        host.is_synced = false;
        host.state = HostState::Away;
        host.away_since = t.now.elapsed;
        host.seen = t.now.wall;
        self.resealing_lost(id);
        let Some(host) = self.hosts.get(&id) else {
            return;
        };
        let text = format!(
            "the worker of {} is not connected; its work goes on there",
            host.facts.name
        );
        t.change(Change::Host(id));
        t.event(kind::HOST_AWAY, About::host(id), text);
        self.timers.set(
            t.now.elapsed + self.config.worker_lost_timeout,
            Timer::Lost(id),
        );
        self.refresh_host(id);
    }

    pub(super) fn said(
        &mut self,
        t: &mut Turn<'_>,
        id: HostId,
        session: SessionId,
        what: FromWorker,
    ) {
        let Some(host) = self
            .hosts
            .get_mut(&id)
            .filter(|host| host.session == Some(session))
        else {
            return;
        };
        host.last_heard = t.now.elapsed;
        host.seen = t.now.wall;
        match what {
            FromWorker::Hello(facts) => self.connected(t, id, session, facts),
            FromWorker::Inventory(launches) => self.inventory(t, id, &launches),
            FromWorker::Report { seq, report } => {
                self.report(t, id, report);
                self.send(t, id, ToWorker::Ack(seq));
            }
            FromWorker::ItemStarted { key, run, at } => {
                if let Some(launch) = self
                    .launch_on(id, key)
                    .filter(|launch| launch.current == Some(run))
                {
                    launch.current_started = Some(at);
                }
            }
            FromWorker::Progress { key, run, percent } => {
                if let Some(launch) = self
                    .launch_on(id, key)
                    .filter(|launch| launch.current == Some(run))
                {
                    launch.progress = Some(percent.min(100));
                }
            }
            FromWorker::PoolKeys(keys) => self.pool_keys(t, id, keys),
            FromWorker::CredentialChecked(checked) => self.credential_checked(t, id, checked),
            FromWorker::Resealed {
                id: credential,
                sequence,
                to,
                sealed,
            } => self.resealed(t, id, (credential, sequence, to), sealed),
            FromWorker::Heartbeat => {}
            FromWorker::Idle(idle) => host.idle = Some(idle),
        }
    }

    /// Takes back what the launches of a host were given ahead.
    pub(super) fn recall_all(&mut self, t: &mut Turn<'_>, id: HostId) {
        let launches = self
            .hosts
            .get(&id)
            .map(|host| host.launches.keys().copied().collect::<Vec<_>>());
        for key in launches.into_iter().flatten() {
            self.recall(t, key);
            self.settle(t, key.job);
        }
    }

    /// Locks a host for as long as somebody is active there. Whether somebody is, its worker finds out; until that has said
    /// so it is given nothing.
    pub(super) fn lock_while_active(
        &mut self,
        t: &mut Turn<'_>,
        by: &Principal,
        id: HostId,
        rule: WhileActive,
    ) -> Result<Answer, Denied> {
        admin_only(by, "lock or unlock hosts")?;
        let host = self.hosts.get_mut(&id).ok_or(Denied::NoHost(id))?;
        if host.while_active != Some(rule) || host.lock.is_some() {
            host.while_active = Some(rule);
            host.lock = None;
            let text = format!(
                "{} is locked while somebody is active there, until idle for {} s (what runs then: {})",
                host.facts.name,
                rule.idle_after.as_secs(),
                rule.running.word()
            );
            t.change(Change::Host(id));
            t.event(kind::HOST_LOCKED, About::host(id).by(&by.name), text);
            self.send(t, id, ToWorker::LockWhileActive(Some(rule)));
            self.refresh_host(id);
        }
        Ok(Answer::Done)
    }

    pub(super) fn remove_host(
        &mut self,
        t: &mut Turn<'_>,
        by: &Principal,
        id: HostId,
        is_forced: bool,
    ) -> Result<Answer, Denied> {
        admin_only(by, "remove hosts")?;
        let host = self.hosts.get(&id).ok_or(Denied::NoHost(id))?;
        match host.session {
            Some(_) if !is_forced => return Err(Denied::HostConnected(id)),
            Some(session) => t.effect(Effect::Disconnect { host: id, session }),
            None => {}
        }
        let (launches, name) = (host.launches.clone(), host.facts.name.clone());
        let resources = host.facts.resources.clone();
        for key in launches.into_keys() {
            self.lose_launch(t, key, "its host was removed");
        }
        self.hosts.remove(&id);
        self.note_resources(id, &resources);
        self.refresh_host(id);
        self.resealing_lost(id);
        self.forget_keys(t, id);
        self.credentials_lost(t, id);
        t.change(Change::Host(id));
        t.event(
            kind::HOST_REMOVED,
            About::host(id).by(&by.name),
            format!("{name} was removed"),
        );
        Ok(Answer::Done)
    }

    /// Answers the connection of a host's worker, if it is connected.
    #[must_use]
    pub fn session_of(&self, host: HostId) -> Option<SessionId> {
        self.hosts.get(&host).and_then(|host| host.session)
    }
}

pub(super) fn admin_only(by: &Principal, what: &str) -> Result<(), Denied> {
    if by.is_admin {
        return Ok(());
    }
    let why = "only the farm's administrators may (root and the group tessera-admin on the supervisor's host)".into();
    Err(Denied::Forbidden {
        by: by.name.clone(),
        what: what.to_owned(),
        why,
    })
}
