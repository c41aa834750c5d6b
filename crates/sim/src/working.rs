//! The workers of the world, with their launchers, shepherds and processes.

use crate::check::Checker;
use crate::host::{self, Promise, Shepherd};
use crate::limits;
use crate::world::{Bug, Event, Request, World};
use std::time::Duration;
use tessera_engine::Now;
use tessera_engine::supervisor::Input;
use tessera_engine::worker::{self, Worker};
use tessera_model::gpu::{GPU_SLOTS, GPUS};
use tessera_model::host::{CLUSTER_PROPERTY, GROUPS_PROPERTY, RESTRICTIONS_PROPERTY};
use tessera_model::msg::{AttemptEnd, FromWorker, LaunchKey, Run};
use tessera_model::reservation::MEMORY;
use tessera_model::state::End;
use tessera_model::{HostFacts, Identity, Refusal, Timestamp};

/// Of so many jobs on desktops one ends its own shepherd, each time that it runs.
const ENDS_ITS_SHEPHERD: u64 = 5;

impl World {
    pub(crate) fn worker_up(&mut self, index: usize) -> Result<(), String> {
        let now = self.clock();
        let host = &mut self.hosts[index];
        if host.worker.is_some() {
            return Ok(());
        }
        host.incarnation += 1;
        if self.plan.bug == Some(Bug::SpoolForgotten) {
            host.exits.clear();
            host.files.clear();
        }
        let mut worker = Worker::new();
        let found = host.found(self.now);
        let mut effects = Vec::new();
        for found in found {
            if found.is_alive {
                self.tally.add("seen: adopted");
            }
            effects.extend(worker.adopt(now, found));
        }
        host.worker = Some(worker);
        let incarnation = host.incarnation;
        self.work(index, effects)?;
        self.at(
            1,
            Event::Connect {
                host: index,
                incarnation,
            },
        );
        Ok(())
    }

    pub(crate) fn worker_down(&mut self, index: usize) {
        // No other worker knows what has not begun.
        let wall = self.clock().wall;
        let host = &mut self.hosts[index];
        for (key, shepherd) in &mut host.shepherds {
            if let Some(run) = shepherd.held.take() {
                self.tally.add("seen: waiting item given up");
                host.exits
                    .insert((*key, run), AttemptEnd::nothing_ran(End::Asked, wall));
            }
        }
        self.hosts[index].worker = None;
        self.hosts[index].incarnation += 1;
        self.cut(index);
        let delay = self.rng.between(5, 30_000);
        self.at(delay, Event::WorkerUp { host: index });
    }

    pub(crate) fn connect(&mut self, index: usize, incarnation: u64) -> Result<(), String> {
        let host = &self.hosts[index];
        if host.incarnation != incarnation || host.session.is_some() || host.worker.is_none() {
            return Ok(());
        }
        let wait = host.cut_until.saturating_sub(self.now);
        let Some(supervisor) = self.supervisor.as_mut().filter(|_| wait == 0) else {
            self.at(
                wait.max(500),
                Event::Connect {
                    host: index,
                    incarnation,
                },
            );
            return Ok(());
        };
        supervisor.sessions += 1;
        let session = supervisor.sessions;
        let facts = facts(host, self.plan.desktops);
        self.hosts[index].session = Some(session);
        let id = self.hosts[index].id;
        self.request(Request {
            input: Input::Connected {
                host: id,
                session,
                facts: Box::new(facts),
            },
            ticket: None,
        });
        self.feed(index, worker::Input::Connected)
    }

    /// A worker whose facts have changed says all of it again, as on a new connection; orders may be on their way to it.
    pub(crate) fn hello_again(&mut self, index: usize, session: u64) -> Result<(), String> {
        let host = &self.hosts[index];
        if host.session != Some(session) || host.worker.is_none() {
            return Ok(());
        }
        self.tally.add("fault: said again on the same connection");
        let hello = FromWorker::Hello(facts(host, self.plan.desktops));
        self.work_one(index, worker::Effect::Send(hello))?;
        self.feed(index, worker::Input::Connected)
    }

    /// Ends the connection of a host; what was under way either way is lost, or arrives too late.
    pub(crate) fn cut(&mut self, index: usize) {
        let Some(session) = self.hosts[index].session.take() else {
            return;
        };
        let (rng, calm) = (&mut self.rng, self.now >= self.plan.faults_ms);
        self.events.retain(|_, event| match event {
            Event::ToSupervisor {
                host, session: s, ..
            } => *host != index || *s != session || (!calm && rng.chance(30)),
            Event::ToWorker {
                host, session: s, ..
            } => *host != index || *s != session,
            _ => true,
        });
        let id = self.hosts[index].id;
        self.request(Request {
            input: Input::Disconnected { host: id, session },
            ticket: None,
        });
        if let Some(worker) = &mut self.hosts[index].worker {
            let effects = worker.handle(
                Now {
                    wall: Timestamp(0),
                    elapsed: Duration::from_millis(self.now),
                },
                worker::Input::Disconnected,
            );
            debug_assert!(
                effects
                    .iter()
                    .all(|effect| !matches!(effect, worker::Effect::Send(_)))
            );
            let incarnation = self.hosts[index].incarnation;
            // A failure here is one of the checks' and comes again with the next step.
            _ = self.work(index, effects);
            let delay = self.rng.between(5, 3_000);
            self.at(
                delay,
                Event::Connect {
                    host: index,
                    incarnation,
                },
            );
        }
    }

    pub(crate) fn feed(&mut self, index: usize, input: worker::Input) -> Result<(), String> {
        let now = self.clock();
        let Some(worker) = &mut self.hosts[index].worker else {
            return Ok(());
        };
        let effects = worker.handle(now, input);
        self.work(index, effects)
    }

    pub(crate) fn work(
        &mut self,
        index: usize,
        effects: Vec<worker::Effect>,
    ) -> Result<(), String> {
        let incarnation = self.hosts[index].incarnation;
        for effect in effects {
            self.work_one(index, effect)?;
            if self.hosts[index].incarnation != incarnation {
                // It crashed at that: the rest does not happen.
                return Ok(());
            }
        }
        let host = &self.hosts[index];
        if let Some(due) = host.worker.as_ref().and_then(Worker::next_deadline) {
            let due = u64::try_from(due.as_millis()).unwrap_or(u64::MAX);
            let incarnation = host.incarnation;
            let wait = due.saturating_sub(self.now).max(1);
            if self
                .checker
                .plan_worker_tick(index, self.now, self.now + wait)
            {
                self.at(
                    wait,
                    Event::WorkerTick {
                        host: index,
                        incarnation,
                    },
                );
            }
        }
        Ok(())
    }

    pub(crate) fn tell(&mut self, index: usize, delay: u64, input: worker::Input) {
        let incarnation = self.hosts[index].incarnation;
        self.at(
            delay,
            Event::Worker {
                host: index,
                incarnation,
                input,
            },
        );
    }

    pub(crate) fn work_one(&mut self, index: usize, effect: worker::Effect) -> Result<(), String> {
        use worker::Effect as E;
        match effect {
            E::Send(mut what) => {
                if let (Some(Bug::ClosingUnsaid), FromWorker::Inventory(all)) =
                    (self.plan.bug, &mut what)
                {
                    all.retain(|launch| !launch.is_closing);
                }
                if let Some(session) = self.hosts[index].session {
                    let delay = self.latency(index, 0);
                    self.at(
                        delay,
                        Event::ToSupervisor {
                            host: index,
                            session,
                            what,
                        },
                    );
                }
            }
            E::Start {
                key,
                limits,
                ticket,
                ..
            } => {
                let promise = Promise::read(&ticket).ok_or("a ticket without a promise")?;
                self.hosts[index].spool.insert(key, limits);
                self.hosts[index].taken.insert(key, promise);
                let incarnation = self.hosts[index].incarnation;
                let delay = self.rng.between(1, 30);
                self.at(
                    delay,
                    Event::Launch {
                        host: index,
                        incarnation,
                        key,
                    },
                );
                if !self.is_calm() && self.rng.below(100) == 0 {
                    self.tally.add("fault: worker crash while starting");
                    self.worker_down(index);
                }
            }
            E::RunItem { key, run, next, .. } => {
                let is_last = next && !self.is_calm() && self.rng.below(50) == 0;
                self.run_or_wait(index, key, run, next)?;
                if is_last {
                    self.tally.add("fault: worker crash while one waits");
                    self.worker_down(index);
                }
            }
            E::EndItem {
                key,
                run,
                grace,
                limit,
            } => self.end_item(index, key, run, grace, limit),
            E::SetSuspended { key, is_suspended } => self.set_suspended(index, key, is_suspended),
            E::CloseShepherd { key } => {
                self.end_shepherd(index, key);
                let delay = self.rng.between(1, 20);
                self.tell(index, delay, worker::Input::Gone(key));
            }
            E::ProveGone(key) => {
                self.prove_gone(index, key);
            }
            E::ForgetItem { key, run } => {
                self.hosts[index].exits.remove(&(key, run));
                self.hosts[index].files.remove(&(key, run));
            }
            E::ForgetLaunch(key) => {
                self.hosts[index].spool.remove(&key);
                self.hosts[index].taken.remove(&key);
                self.hosts[index].exits.retain(|(k, _), _| *k != key);
                self.hosts[index].files.retain(|(k, _)| *k != key);
            }
        }
        Ok(())
    }

    pub(crate) fn prove_gone(&mut self, index: usize, key: LaunchKey) {
        if self.plan.bug == Some(Bug::LossIsProof) {
            self.tell(index, 1, worker::Input::Gone(key));
            return;
        }
        // The launcher ends what is left and from then on starts nothing of that launch.
        self.end_shepherd(index, key);
        self.hosts[index].barred.insert(key);
        for (run, end) in self.hosts[index].exits_of(key) {
            self.tell(index, 2, worker::Input::ItemEnded { key, run, end });
        }
        let delay = self.rng.between(3, 200) + self.without_launcher(index);
        self.tell(index, delay, worker::Input::Gone(key));
    }

    /// Answers for how long there is no launcher on a host.
    fn without_launcher(&self, index: usize) -> u64 {
        let until = self.hosts.get(index).map_or(0, |it| it.launcher_down_until);
        until.saturating_sub(self.now)
    }

    fn is_spool_full(&self, index: usize) -> bool {
        let until = self.hosts.get(index).map_or(0, |it| it.spool_full_until);
        self.now < until
    }

    /// The launcher has done what it was asked for a launch.
    ///
    /// # Errors
    /// When the host has promised more than it has.
    pub(crate) fn launch(
        &mut self,
        index: usize,
        incarnation: u64,
        key: LaunchKey,
    ) -> Result<(), String> {
        let down = self.without_launcher(index);
        let (refused, code) = if down > 0 {
            self.tally.add("seen: launch while there is no launcher");
            (true, "launcher_unavailable")
        } else if self.is_spool_full(index) {
            self.tally
                .add("seen: nothing started because the spool is full");
            (true, "spool_unwritable")
        } else if self.is_calm() || !self.rng.chance(3) {
            (false, "")
        } else if self.rng.chance(50) {
            self.tally.add("fault: launcher unavailable");
            (true, "launcher_unavailable")
        } else {
            self.tally.add("fault: launcher refuses");
            (true, "no_such_account")
        };
        let host = &mut self.hosts[index];
        if host.barred.contains(&key) || !host.spool.contains_key(&key) {
            return Ok(());
        }
        let input = if refused {
            let refusal = Refusal {
                code: code.into(),
                text: "simulated".into(),
            };
            worker::Input::Refused { key, refusal }
        } else {
            let promise = host.taken.get(&key).copied().unwrap_or_default();
            host.shepherds.insert(
                key,
                Shepherd {
                    since: self.now,
                    promise,
                    ..Shepherd::default()
                },
            );
            Checker::promised(host)?;
            self.checker.licensed(&self.hosts)?;
            worker::Input::Started {
                key,
                account: "tessera-job".into(),
                uid: 999,
                containment: "cgroup2".into(),
            }
        };
        // Before a refusal the launcher must vouch that nothing was started.
        self.at(
            1 + down,
            Event::Worker {
                host: index,
                incarnation,
                input,
            },
        );
        Ok(())
    }

    /// Makes the files of an attempt, or tells what follows when they can't be made or are there already.
    fn makes_files(&mut self, index: usize, key: LaunchKey, run: Run) -> bool {
        let is_full = self.is_spool_full(index);
        let wall = self.clock().wall;
        let host = &mut self.hosts[index];
        if !is_full && host.files.insert((key, run)) {
            return true;
        }
        let recorded = host.exits.get(&(key, run)).cloned();
        self.tally.add(if is_full {
            "seen: nothing started because the spool is full"
        } else {
            "seen: attempt refused because it was begun before"
        });
        let nothing_ran = || AttemptEnd::nothing_ran(End::Lost, wall);
        let end = recorded.unwrap_or_else(nothing_ran);
        self.tell(index, 1_000, worker::Input::ItemEnded { key, run, end });
        false
    }

    fn run_or_wait(
        &mut self,
        index: usize,
        key: LaunchKey,
        run: Run,
        next: bool,
    ) -> Result<(), String> {
        if !self.makes_files(index, key, run) {
            return Ok(());
        }
        let shepherd = self.hosts[index].shepherds.get_mut(&key);
        let Some(shepherd) = shepherd.filter(|shepherd| next && shepherd.process.is_some()) else {
            return self.run_item(index, key, run);
        };
        match shepherd.held.replace(run) {
            None => Ok(()),
            Some(other) => Err(format!(
                "{key} has item {} waiting and was given {}",
                other.item, run.item
            )),
        }
    }

    pub(crate) fn run_item(
        &mut self,
        index: usize,
        key: LaunchKey,
        run: Run,
    ) -> Result<(), String> {
        self.serial += 1;
        let generation = self.serial;
        let shepherd = self.hosts[index].shepherds.get(&key);
        let memory = shepherd.map_or(0, |shepherd| shepherd.promise.memory);
        let mut process = host::process(&mut self.rng, run, memory, self.now, generation);
        if self.plan.wrangle {
            // The last one: jobs may name the first.
            let is_bad = index > 0 && index + 1 == self.hosts.len();
            process.end = crate::wrangle::end(key.job, is_bad, process.end);
        }
        let Some(shepherd) = self.hosts[index].shepherds.get_mut(&key) else {
            return Ok(());
        };
        if shepherd.process.is_some() {
            return Err(format!(
                "{key} was given attempt {} of {} while it runs another",
                run.attempt, run.item
            ));
        }
        let left = process.left;
        shepherd.process = Some(process);
        self.checker
            .started(self.now, &self.hosts, index, key, run)?;
        self.at(
            left,
            Event::ProcessEnd {
                host: index,
                key,
                generation,
            },
        );
        self.tell(index, 1, worker::Input::ItemStarted { key, run });
        Ok(())
    }

    pub(crate) fn end_item(
        &mut self,
        index: usize,
        key: LaunchKey,
        run: Run,
        grace: Duration,
        limit: Option<tessera_model::state::Limit>,
    ) {
        self.serial += 1;
        let generation = self.serial;
        let quick = self.rng.between(1, 50);
        let Some(shepherd) = self.hosts[index].shepherds.get_mut(&key) else {
            return;
        };
        if shepherd.held.take_if(|held| *held == run).is_some() {
            self.tally.add("seen: waiting item given up");
            let end = AttemptEnd::nothing_ran(End::Asked, self.clock().wall);
            self.hosts[index].exits.insert((key, run), end.clone());
            return self.tell(index, quick, worker::Input::ItemEnded { key, run, end });
        }
        shepherd.is_suspended = false;
        let Some(process) = shepherd
            .process
            .as_mut()
            .filter(|process| process.run == run)
        else {
            return;
        };
        if limit.is_some() {
            self.tally.add("seen: limit");
        }
        process.limit = limit;
        process.end = limit.map_or(End::Asked, End::Limit);
        process.generation = generation;
        let grace = u64::try_from(grace.as_millis()).unwrap_or(0);
        let delay = if process.is_stubborn {
            grace.max(1)
        } else {
            quick
        };
        self.at(
            delay,
            Event::ProcessEnd {
                host: index,
                key,
                generation,
            },
        );
    }

    pub(crate) fn set_suspended(&mut self, index: usize, key: LaunchKey, is_suspended: bool) {
        self.serial += 1;
        let generation = self.serial;
        let now = self.now;
        let Some(shepherd) = self.hosts[index].shepherds.get_mut(&key) else {
            return;
        };
        shepherd.is_suspended = is_suspended;
        let Some(process) = &mut shepherd.process else {
            return;
        };
        if !is_suspended {
            process.generation = generation;
            let left = process.left.min(10_000);
            debug_assert!(process.since <= now);
            self.at(
                left,
                Event::ProcessEnd {
                    host: index,
                    key,
                    generation,
                },
            );
        }
    }

    pub(crate) fn process_end(
        &mut self,
        index: usize,
        key: LaunchKey,
        generation: u64,
    ) -> Result<(), String> {
        let (wall, now) = (self.clock().wall, self.now);
        let host = &mut self.hosts[index];
        let Some(shepherd) = host.shepherds.get_mut(&key).filter(|s| !s.is_suspended) else {
            return Ok(());
        };
        let Some(process) = shepherd.process.take_if(|p| p.generation == generation) else {
            return Ok(());
        };
        if self.plan.desktops && key.job.0.is_multiple_of(ENDS_ITS_SHEPHERD) {
            self.tally.add("seen: a job ended its own shepherd");
            host.shepherds.remove(&key);
            self.tell(index, 1, worker::Input::ShepherdLost(key));
            return Ok(());
        }
        let next = shepherd.held.take();
        let end = host::record(&process, process.end.clone(), wall, now);
        let is_lost = now < host.spool_full_until;
        if is_lost {
            self.tally.add("seen: record lost with a full spool");
        } else {
            host.exits.insert((key, process.run), end.clone());
        }
        let delay = if next.is_some() {
            1
        } else {
            self.rng.between(1, 3)
        };
        self.tell(
            index,
            delay,
            worker::Input::ItemEnded {
                key,
                run: process.run,
                end,
            },
        );
        if let Some(run) = next {
            self.run_item(index, key, run)?;
        }
        if is_lost && self.rng.chance(30) {
            // Nobody knows any more how it ended.
            self.tally.add("fault: worker crash with a full spool");
            self.worker_down(index);
        }
        Ok(())
    }

    /// Everything of a launch ends now; what ran leaves a record only when its shepherd is there to write it.
    pub(crate) fn end_shepherd(&mut self, index: usize, key: LaunchKey) {
        let (wall, now) = (self.clock().wall, self.now);
        let host = &mut self.hosts[index];
        let Some(mut shepherd) = host.shepherds.remove(&key) else {
            return;
        };
        if let Some(process) = shepherd.process.take() {
            let end = host::record(&process, End::Asked, wall, now);
            host.exits.insert((key, process.run), end);
        }
    }
}

/// Answers what the worker of a host says of it.
fn facts(host: &host::Host, is_desktop: bool) -> HostFacts {
    HostFacts {
        name: host.name.clone(),
        slots: host.offers(),
        resources: [
            (MEMORY.to_owned(), host.memory),
            (GPUS.to_owned(), crate::client::GPUS_MAX),
            (limits::IO.to_owned(), limits::IO_OF_HOST),
        ]
        .into(),
        properties: [
            (GROUPS_PROPERTY.to_owned(), host.groups().to_owned()),
            (CLUSTER_PROPERTY.to_owned(), host.cluster().to_owned()),
            (
                RESTRICTIONS_PROPERTY.to_owned(),
                host.restrictions().to_owned(),
            ),
            (
                GPU_SLOTS.to_owned(),
                crate::gpu_slots::said(host).to_string(),
            ),
        ]
        .into(),
        identity: match is_desktop {
            true => Identity::Desktop("mia".into()),
            false => Identity::Proxy("tessera-job".into()),
        },
        ..HostFacts::default()
    }
}
