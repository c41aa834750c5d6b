//! The supervisor of the world: turns, commits, effects, and crashes between them.

use crate::check;
use crate::gpu_slots;
use crate::host::Promise;
use crate::limits;
use crate::world::{Bug, Event, Request, Supervisor, TURN_MAX, World};
use std::time::Duration;
use tessera_engine::supervisor::{
    Answer, Config, Denied, Effect, Engine, FarmRates, Input, Output, UserLimits,
};
use tessera_model::msg::{FromWorker, ToWorker};

impl World {
    pub(crate) fn supervisor_up(&mut self) -> Result<(), String> {
        if self.supervisor.is_some() {
            return Ok(());
        }
        let config = Config {
            worker_lost_timeout: Duration::from_secs(60),
            user_limits: UserLimits {
                default: self.plan.user_limit,
                ..UserLimits::default()
            },
            global_resources: match self.plan.limits {
                true => limits::resources(),
                false => crate::shared::configured(),
            },
            start_rates: match self.plan.limits {
                true => limits::configured(),
                false => FarmRates::default(),
            },
            preempt_policy: self.plan.preempt,
            smart_share: crate::share::configured(self.plan.grow),
            cluster_weights: crate::weights::configured(self.plan.weights),
            wide_jobs: crate::wide::configured(self.plan.wide),
            wrangling: crate::wrangle::configured(self.plan.wrangle),
            ..Config::default()
        };
        let engine =
            Engine::restore(config, self.clock(), self.disk.image()).map_err(|e| e.to_string())?;
        let faults = engine.faults();
        if !faults.is_empty() {
            return Err(format!("after a restart: {faults:?}"));
        }
        self.preempts.restarted();
        self.wrangles.restarted();
        self.share.restarted(&engine);
        self.supervisor = Some(Supervisor {
            engine,
            inbox: Vec::new(),
            sessions: self.serial,
            is_turn_due: false,
        });
        self.plan_tick();
        Ok(())
    }

    pub(crate) fn supervisor_down(&mut self) {
        self.supervisor = None;
        self.client.lose_answers();
        for host in 0..self.hosts.len() {
            self.cut(host);
        }
        let delay = self.rng.between(10, 20_000);
        self.at(delay, Event::SupervisorUp);
    }

    /// Hands an input to the supervisor, if there is one.
    pub(crate) fn request(&mut self, request: Request) {
        let Some(supervisor) = &mut self.supervisor else {
            return;
        };
        supervisor.inbox.push(request);
        if !supervisor.is_turn_due {
            supervisor.is_turn_due = true;
            self.at(1, Event::Turn);
        }
    }

    pub(crate) fn arrive(&mut self, host: usize, session: u64, what: FromWorker) {
        if self.hosts[host].session != Some(session) {
            self.tally.add("fault: message from an old connection");
        }
        let id = self.hosts[host].id;
        if matches!(what, FromWorker::Report { .. }) && self.rng.chance(3) && !self.is_calm() {
            self.tally.add("fault: message doubled");
            let input = Input::Said {
                host: id,
                session,
                what: Box::new(what.clone()),
            };
            self.request(Request {
                input,
                ticket: None,
            });
        }
        self.request(Request {
            input: Input::Said {
                host: id,
                session,
                what: Box::new(what),
            },
            ticket: None,
        });
    }

    /// One turn: decide, apply, commit, emit; with crashes at every boundary.
    pub(crate) fn turn(&mut self) -> Result<(), String> {
        let calm = self.is_calm();
        let now = self.clock();
        let take = usize::try_from(self.rng.between(1, TURN_MAX)).unwrap_or(1);
        let Some(supervisor) = &mut self.supervisor else {
            return Ok(());
        };
        supervisor.is_turn_due = false;
        let take = take.min(supervisor.inbox.len());
        let requests: Vec<Request> = supervisor.inbox.drain(..take).collect();
        if !supervisor.inbox.is_empty() {
            supervisor.is_turn_due = true;
        }
        let more = supervisor.is_turn_due;
        let mut outputs: Vec<(Option<u64>, Output)> = Vec::new();
        for request in requests {
            if self.plan.trace {
                eprintln!("{:>9}   in {:?}", self.now, request.input);
            }
            if let Input::Said { host, what, .. } = &request.input {
                self.checker
                    .hear(&mut self.tally, &supervisor.engine, *host, what);
            }
            let output = supervisor.engine.handle(now, request.input);
            self.judge
                .handled(&mut self.tally, &supervisor.engine, &output)?;
            if self.plan.shares {
                self.shared
                    .handled(&mut self.tally, &supervisor.engine, &output)?;
            }
            if self.plan.limits {
                self.limits
                    .handled(&mut self.tally, &supervisor.engine, &output, now.elapsed)?;
            }
            let (policy, elapsed) = (self.plan.preempt, now.elapsed);
            let handled = (&supervisor.engine, &output);
            self.preempts
                .handled(&mut self.tally, &self.hosts, policy, elapsed, handled)?;
            if self.plan.wrangle {
                self.wrangles
                    .handled(&mut self.tally, &supervisor.engine, &output)?;
            }
            if self.plan.grid {
                self.gangs
                    .handled(&mut self.tally, &supervisor.engine, &output)?;
            }
            if self.plan.weights {
                self.weights
                    .handled(&mut self.tally, &self.hosts, handled)?;
            }
            if self.plan.grow {
                self.share
                    .handled(&mut self.tally, &supervisor.engine, &output)?;
            }
            if self.plan.gpu_slots {
                gpu_slots::handled(&mut self.tally, &supervisor.engine, &output)?;
            }
            for effect in &output.effects {
                check::placed(&self.hosts, self.now, effect)?;
            }
            if let Some(limit) = self.plan.user_limit {
                check::limited(&mut self.tally, &supervisor.engine, limit)?;
            }
            outputs.push((request.ticket, output));
            let faults = supervisor.engine.faults();
            if !faults.is_empty() {
                return Err(faults.join("; "));
            }
        }
        if more {
            self.at(1, Event::Turn);
        }
        if self.plan.bug == Some(Bug::EffectsBeforeCommit) {
            self.release_early(&outputs);
        }
        match if calm { 100 } else { self.rng.below(400) } {
            0 => {
                self.tally.add("crash: supervisor before commit");
                self.limits.lost();
                self.supervisor_down();
                return Ok(());
            }
            1 => {
                self.tally.add("fault: disk full");
                self.limits.lost();
                self.commit_failed(&outputs)?;
                return Ok(());
            }
            _ => {}
        }
        self.commit(&outputs)?;
        self.limits.committed();
        if !calm && self.rng.below(400) == 0 {
            self.tally
                .add("crash: supervisor after commit, before effects");
            self.supervisor_down();
            return Ok(());
        }
        self.release(outputs, calm);
        self.plan_tick();
        Ok(())
    }

    pub(crate) fn commit(&mut self, outputs: &[(Option<u64>, Output)]) -> Result<(), String> {
        let Some(supervisor) = &self.supervisor else {
            return Ok(());
        };
        for (_, output) in outputs {
            self.disk.commit(&supervisor.engine, &output.changes);
        }
        self.checker.committed(
            &mut self.tally,
            outputs.iter().flat_map(|(_, out)| &out.changes),
        )?;
        match self.disk.difference(&supervisor.engine) {
            Some(difference) => Err(format!("a change was not named: {difference}")),
            None => Ok(()),
        }
    }

    /// The store is full: memory is thrown away and read again, clients are told, workers come again.
    pub(crate) fn commit_failed(
        &mut self,
        outputs: &[(Option<u64>, Output)],
    ) -> Result<(), String> {
        self.supervisor = None;
        for ticket in outputs.iter().filter_map(|(ticket, _)| *ticket) {
            self.client.refused(ticket);
        }
        self.client.lose_answers();
        for host in 0..self.hosts.len() {
            self.cut(host);
        }
        self.supervisor_up()
    }

    pub(crate) fn release(&mut self, outputs: Vec<(Option<u64>, Output)>, calm: bool) {
        for (ticket, output) in outputs {
            if let (Some(ticket), Some(answer)) = (ticket, output.answer) {
                self.answered(ticket, &answer);
            }
            for effect in output.effects {
                if !calm && self.rng.below(4_000) == 0 {
                    self.tally.add("crash: supervisor between effects");
                    self.supervisor_down();
                    return;
                }
                if self.plan.bug != Some(Bug::EffectsBeforeCommit) {
                    self.emit(effect);
                }
            }
        }
    }

    /// The planted bug: answers and effects leave before they are durable.
    pub(crate) fn release_early(&mut self, outputs: &[(Option<u64>, Output)]) {
        for (ticket, output) in outputs {
            if let (Some(ticket), Some(answer)) = (ticket, &output.answer) {
                self.answered(*ticket, answer);
            }
            output
                .effects
                .iter()
                .cloned()
                .for_each(|effect| self.emit(effect));
        }
    }

    pub(crate) fn answered(&mut self, ticket: u64, answer: &Result<Answer, Denied>) {
        if let Ok(Answer::Submitted { job, existed }) = answer {
            let key = self.client.key_of(ticket);
            self.checker.acknowledged(*job, key.as_deref());
            if *existed {
                self.tally.add("seen: submission sent twice");
            }
        }
        let lost = !self.is_calm() && self.rng.chance(10);
        if lost {
            self.client.lost(ticket);
        } else {
            self.client.answered(ticket);
        }
    }

    pub(crate) fn emit(&mut self, effect: Effect) {
        match effect {
            Effect::Send {
                host,
                session,
                message,
            } => self.send_down(host, session, message),
            Effect::Start {
                host,
                session,
                order,
            } => {
                let message = ToWorker::Start {
                    key: order.key,
                    ticket: Promise::ticket(&order.taken),
                    signature: Vec::new(),
                    template: Vec::new(),
                    limits: order.limits,
                    run: order.run,
                };
                self.send_down(host, session, message);
            }
            Effect::Disconnect { host, session } => {
                let found = self
                    .hosts
                    .iter()
                    .position(|h| h.id == host && h.session == Some(session));
                if let Some(host) = found {
                    self.cut(host);
                }
            }
            Effect::JobEnded { .. } | Effect::RemoveLogs(_) => {}
        }
    }

    pub(crate) fn send_down(&mut self, id: tessera_model::HostId, session: u64, what: ToWorker) {
        let Some(host) = self.hosts.iter().position(|h| h.id == id) else {
            return;
        };
        let delay = self.latency(host, 1);
        let is_order = matches!(what, ToWorker::Start { .. } | ToWorker::Run { .. });
        if is_order && !self.is_calm() && self.rng.below(100) == 0 {
            // Its inventory is under way before it has heard of this.
            self.at(delay - 1, Event::HelloAgain { host, session });
        }
        self.at(
            delay,
            Event::ToWorker {
                host,
                session,
                what,
            },
        );
    }

    /// Messages of one connection and direction stay in order: their delay never shrinks below that of the last.
    pub(crate) fn latency(&mut self, host: usize, direction: usize) -> u64 {
        let late = !self.is_calm() && self.rng.below(500) == 0;
        if late {
            self.tally.add("fault: late message");
        }
        let delay = if late {
            self.rng.between(100, 5_000)
        } else {
            self.rng.between(1, 5)
        };
        self.checker.in_order(host, direction, self.now, delay)
    }

    pub(crate) fn plan_tick(&mut self) {
        let Some(due) = self.engine().and_then(Engine::next_deadline) else {
            return;
        };
        let due = u64::try_from(due.as_millis()).unwrap_or(u64::MAX);
        let wait = due.saturating_sub(self.now).max(1);
        if self.checker.plan_tick(self.now, self.now + wait) {
            self.at(wait, Event::Tick);
        }
    }
}
