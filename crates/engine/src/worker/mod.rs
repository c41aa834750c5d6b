//! The worker's logic: which launches it has, what runs in each, which limits are over, what the supervisor must still
//! be told.
//!
//! Owns: the life of a launch on a host, time limits, the list of unacknowledged reports. Leaves to the daemon: the
//! connection, starting and ending processes (through `tessera-launch`), files.
//!
//! Nothing here needs a file of its own: what must outlive the worker's process is in the spool that the shepherds write
//! (the record of each ended attempt stands there until the report of it is acknowledged), and [`Worker::adopt`] takes it up.

use crate::Now;
use std::collections::BTreeMap;
use std::time::Duration;
use tessera_model::Refusal;
use tessera_model::msg::{
    AttemptEnd, FromWorker, GoneCause, LaunchInventory, LaunchKey, Report, Run, RunLimits, ToWorker,
};
use tessera_model::state::{End, Limit};

pub mod idle;
mod launch;
#[cfg(test)]
mod tests;

use launch::{Launch, Phase};

/// The code of a refusal because somebody is active at the host; it passes by itself.
const OWNER_ACTIVE: &str = "owner_active";

/// One thing that happened outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// The supervisor welcomed us: reports and inventory follow.
    Connected,
    /// The connection ended.
    Disconnected,
    /// The supervisor said something.
    Said(Box<ToWorker>),
    /// The launcher started an instance.
    Started {
        /// Which.
        key: LaunchKey,
        /// The account it became.
        account: String,
        /// Its uid.
        uid: u32,
        /// How what runs is kept together.
        containment: String,
    },
    /// The launcher started nothing.
    Refused {
        /// Which.
        key: LaunchKey,
        /// Why.
        refusal: Refusal,
    },
    /// An item's process exists.
    ItemStarted {
        /// Where.
        key: LaunchKey,
        /// What.
        run: Run,
    },
    /// An item's processes have ended, and the record of it is on disk.
    ItemEnded {
        /// Where.
        key: LaunchKey,
        /// What.
        run: Run,
        /// How.
        end: AttemptEnd,
    },
    /// An item printed something.
    Printed {
        /// Where.
        key: LaunchKey,
        /// What.
        run: Run,
    },
    /// An item's progress was read from its output.
    Progress {
        /// Where.
        key: LaunchKey,
        /// What.
        run: Run,
        /// 0 to 100.
        percent: u8,
    },
    /// The shepherd says that the job's starter is gone.
    StarterLost(LaunchKey),
    /// The connection to the shepherd ended; whether anything is left must be proven.
    ShepherdLost(LaunchKey),
    /// Nothing of a launch is left: answer to [`Effect::ProveGone`], or it closed by itself.
    Gone(LaunchKey),
    /// Who works at the host lets new work come or not, and has what runs suspended or not.
    Closed {
        /// Whether no new work is taken.
        is_closed: bool,
        /// Whether what runs is suspended meanwhile.
        suspends: bool,
    },
    /// Who works at the host wants this launch gone: it is ended and put back.
    GiveBack(LaunchKey),
    /// Time has passed; due when [`Worker::next_deadline`] says.
    Tick,
}

/// Something to carry out, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Say this to the supervisor, if connected.
    Send(FromWorker),
    /// Ask the launcher to start an instance; answer with `Started` or `Refused`.
    Start {
        /// Which.
        key: LaunchKey,
        /// The ticket.
        ticket: Vec<u8>,
        /// Its signature.
        signature: Vec<u8>,
        /// The template.
        template: Vec<u8>,
        /// Kept beside the spool so that a new worker knows them.
        limits: RunLimits,
    },
    /// Ask the shepherd to run an item.
    RunItem {
        /// Where.
        key: LaunchKey,
        /// What.
        run: Run,
        /// Bytes per stream that are kept.
        output_limit: u64,
        /// Whether it waits, ready, and begins by itself when nothing is left of the item before it.
        next: bool,
    },
    /// Ask the shepherd to end an item, or to give up one that waits; `ItemEnded` follows.
    EndItem {
        /// Where.
        key: LaunchKey,
        /// What.
        run: Run,
        /// Time between the polite signal and the kill.
        grace: Duration,
        /// The limit that is over, for the record of the attempt; `None`: somebody asked.
        limit: Option<Limit>,
    },
    /// Ask the shepherd to stop or continue the processes.
    SetSuspended {
        /// Where.
        key: LaunchKey,
        /// Stop, or go on.
        is_suspended: bool,
    },
    /// Ask the shepherd to end everything and itself; `Gone` follows when that is proven.
    CloseShepherd {
        /// Which.
        key: LaunchKey,
    },
    /// Prove that nothing of a launch is left, ending what is; `Gone` follows.
    ProveGone(LaunchKey),
    /// The report of this attempt is acknowledged: its record may go, its output when that is delivered.
    ForgetItem {
        /// Where.
        key: LaunchKey,
        /// What.
        run: Run,
    },
    /// The end of this launch is acknowledged: its directory may go, when its output is delivered.
    ForgetLaunch(LaunchKey),
}

/// What a new worker found of a launch in its spool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Which.
    pub key: LaunchKey,
    /// Its limits, as they were kept.
    pub limits: RunLimits,
    /// Whether its shepherd answers.
    pub is_alive: bool,
    /// The item that its shepherd runs.
    pub current: Option<Run>,
    /// For how long it has run.
    pub current_elapsed: Duration,
    /// For how long the launch has existed.
    pub elapsed: Duration,
    /// Whether it is suspended.
    pub is_suspended: bool,
    /// Whether its starter is gone: it takes no more items.
    pub is_starter_lost: bool,
    /// For how long of `elapsed` it was suspended.
    pub suspended: Duration,
    /// For how long of `current_elapsed` it was.
    pub current_suspended: Duration,
    /// Records of ended attempts that nobody has acknowledged, oldest first.
    pub ended: Vec<(Run, AttemptEnd)>,
}

/// The worker of a host.
#[derive(Debug, Clone, Default)]
pub struct Worker {
    is_connected: bool,
    launches: BTreeMap<LaunchKey, Launch>,
    /// Whether who works at the host lets no new work come.
    is_closed: bool,
    last_seq: u64,
    unacknowledged: BTreeMap<u64, Report>,
}

impl Worker {
    /// Makes a worker that has nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Answers the launches that are there, with what runs in each.
    pub fn launches(&self) -> impl Iterator<Item = LaunchInventory> {
        self.launches.values().map(Launch::inventory)
    }

    /// Answers how many reports wait to be acknowledged.
    #[must_use]
    pub fn unacknowledged(&self) -> usize {
        self.unacknowledged.len()
    }

    /// Takes up a launch that an earlier worker process left in the spool. Call before anything else.
    pub fn adopt(&mut self, now: Now, found: Found) -> Vec<Effect> {
        let mut effects = Vec::new();
        let key = found.key;
        let mut launch = Launch::adopted(now, &found);
        for (run, end) in found.ended {
            launch.forget_current(run);
            self.report(&mut effects, Report::ItemEnded { key, run, end });
        }
        if found.is_starter_lost {
            launch.starter_lost(&mut effects);
        }
        if !found.is_alive {
            launch.phase = Phase::Proving(GoneCause::ShepherdLost);
            effects.push(Effect::ProveGone(key));
        }
        self.launches.insert(key, launch);
        effects
    }

    /// Takes one input and answers what is to be done, in order.
    pub fn handle(&mut self, now: Now, input: Input) -> Vec<Effect> {
        let mut effects = Vec::new();
        let e = &mut effects;
        match input {
            Input::Connected => self.connected(e),
            Input::Disconnected => self.is_connected = false,
            Input::Said(message) => self.said(now, e, *message),
            Input::Started {
                key,
                account,
                uid,
                containment,
            } => {
                if self.launches.contains_key(&key) {
                    self.report(
                        e,
                        Report::Started {
                            key,
                            account,
                            uid,
                            containment,
                        },
                    );
                    self.with(key, |launch| launch.started(now, e));
                }
            }
            Input::Refused { key, refusal } => {
                if self.launches.remove(&key).is_some() {
                    self.report(e, Report::Refused { key, refusal });
                }
            }
            Input::ItemStarted { key, run } => {
                let launch = self.launches.get(&key);
                if self.is_connected && launch.is_some_and(|launch| !launch.was_ahead(run)) {
                    e.push(Effect::Send(FromWorker::ItemStarted {
                        key,
                        run,
                        at: now.wall,
                    }));
                }
            }
            Input::ItemEnded { key, run, end } => self.item_ended(now, e, key, run, end),
            Input::Printed { key, run } => self.with(key, |launch| launch.printed(now, run)),
            Input::Progress { key, run, percent } => {
                if self.is_connected {
                    e.push(Effect::Send(FromWorker::Progress { key, run, percent }));
                }
            }
            Input::StarterLost(key) => self.with(key, |launch| launch.starter_lost(e)),
            Input::ShepherdLost(key) => self.with(key, |launch| launch.shepherd_lost(e)),
            Input::Gone(key) => self.gone(now, e, key),
            Input::Closed {
                is_closed,
                suspends,
            } => {
                self.is_closed = is_closed;
                for launch in self.launches.values_mut() {
                    launch.suspend_for_owner(now, e, suspends);
                }
            }
            Input::GiveBack(key) => self.with(key, |launch| launch.give_back(e)),
            Input::Tick => {}
        }
        let mut dropped = Vec::new();
        for (key, launch) in &mut self.launches {
            launch.watch(now, e);
            dropped.extend(launch.drop_if_over(e).into_iter().map(|run| (*key, run)));
        }
        for (key, run) in dropped {
            let end = AttemptEnd::nothing_ran(End::Asked, now.wall);
            self.report(&mut effects, Report::ItemEnded { key, run, end });
        }
        effects
    }

    /// Answers when [`Input::Tick`] is due at the latest: when the next limit would be over.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Duration> {
        self.launches.values().filter_map(Launch::deadline).min()
    }

    fn with(&mut self, key: LaunchKey, change: impl FnOnce(&mut Launch)) {
        if let Some(launch) = self.launches.get_mut(&key) {
            change(launch);
        }
    }

    fn connected(&mut self, e: &mut Vec<Effect>) {
        self.is_connected = true;
        for (seq, report) in &self.unacknowledged {
            e.push(Effect::Send(FromWorker::Report {
                seq: *seq,
                report: report.clone(),
            }));
        }
        e.push(Effect::Send(FromWorker::Inventory(
            self.launches().collect(),
        )));
    }

    fn report(&mut self, e: &mut Vec<Effect>, report: Report) {
        self.last_seq += 1;
        self.unacknowledged.insert(self.last_seq, report.clone());
        if self.is_connected {
            e.push(Effect::Send(FromWorker::Report {
                seq: self.last_seq,
                report,
            }));
        }
    }

    fn said(&mut self, now: Now, e: &mut Vec<Effect>, message: ToWorker) {
        match message {
            ToWorker::Start {
                key,
                ticket,
                signature,
                template,
                limits,
                run,
            } => {
                if self.launches.contains_key(&key) || self.is_over(key) {
                    return;
                }
                if self.is_closed {
                    // It was on its way when somebody came back.
                    let refusal = Refusal {
                        code: OWNER_ACTIVE.to_owned(),
                        text: "the host takes no new work while somebody is active there"
                            .to_owned(),
                    };
                    self.report(e, Report::Refused { key, refusal });
                    return;
                }
                self.launches
                    .insert(key, Launch::new(now, key, limits.clone(), run));
                e.push(Effect::Start {
                    key,
                    ticket,
                    signature,
                    template,
                    limits,
                });
            }
            ToWorker::Run { key, run } => {
                if self.is_closed && !self.has_ended(key, run) && !self.has(key, run) {
                    let end = AttemptEnd::nothing_ran(End::Asked, now.wall);
                    self.report(e, Report::ItemEnded { key, run, end });
                } else if !self.has_ended(key, run) {
                    self.with(key, |launch| launch.run(now, e, run));
                }
            }
            ToWorker::EndItem { key, run, grace } => {
                let mut never_ran = false;
                self.with(key, |launch| {
                    never_ran = launch.end_item(now, e, run, grace);
                });
                if never_ran {
                    self.report(
                        e,
                        Report::ItemEnded {
                            key,
                            run,
                            end: AttemptEnd::nothing_ran(End::Asked, now.wall),
                        },
                    );
                }
            }
            ToWorker::Close { key, grace } => self.with(key, |launch| launch.close(e, grace)),
            ToWorker::Suspend(key) => {
                self.with(key, |launch| launch.suspend_for_farm(now, e, true));
            }
            ToWorker::Resume(key) => {
                self.with(key, |launch| launch.suspend_for_farm(now, e, false));
            }
            ToWorker::Ack(seq) => self.acknowledged(e, seq),
            // The vault's, which the daemon asks itself: no launch depends on the order of these.
            ToWorker::Credential { .. }
            | ToWorker::CredentialRevoked { .. }
            | ToWorker::Reseal { .. }
            | ToWorker::RetireKey(_) => {}
            // What is seen of who works at the host comes as `Input::Closed`.
            ToWorker::LockWhileActive(_) | ToWorker::Settings(_) => {}
        }
    }

    /// Says whether a launch runs an item, or has it waiting. A launch that is not there has nothing that could be told apart.
    fn has(&self, key: LaunchKey, run: Run) -> bool {
        let launch = self.launches.get(&key).map(Launch::inventory);
        launch.is_none_or(|it| it.current == Some(run) || it.ahead.contains(&run))
    }

    /// Says whether a launch has ended and only its report is left.
    fn is_over(&self, key: LaunchKey) -> bool {
        self.unacknowledged.values().any(|report| {
            report.key() == key && matches!(report, Report::Gone { .. } | Report::Refused { .. })
        })
    }

    fn has_ended(&self, key: LaunchKey, run: Run) -> bool {
        self.unacknowledged.values().any(|report| {
            matches!(report, Report::ItemEnded { key: k, run: r, .. } if *k == key && *r == run)
        })
    }

    fn acknowledged(&mut self, e: &mut Vec<Effect>, seq: u64) {
        let rest = self.unacknowledged.split_off(&(seq.saturating_add(1)));
        for report in std::mem::replace(&mut self.unacknowledged, rest).into_values() {
            match report {
                Report::ItemEnded { key, run, .. } => e.push(Effect::ForgetItem { key, run }),
                Report::Gone { key, .. } | Report::Refused { key, .. } => {
                    e.push(Effect::ForgetLaunch(key));
                }
                Report::Started { .. } => {}
            }
        }
    }

    fn item_ended(
        &mut self,
        now: Now,
        e: &mut Vec<Effect>,
        key: LaunchKey,
        run: Run,
        mut end: AttemptEnd,
    ) {
        let Some(launch) = self.launches.get_mut(&key) else {
            return;
        };
        let Some(ended_by) = launch.take(run) else {
            return;
        };
        if let Some(ended_by) = ended_by {
            end.end = ended_by;
        }
        // What comes next is started before anything is said: nobody waits for the network.
        launch.after_item(now, e);
        self.report(e, Report::ItemEnded { key, run, end });
    }

    fn gone(&mut self, now: Now, e: &mut Vec<Effect>, key: LaunchKey) {
        if let Some(mut launch) = self.launches.remove(&key) {
            for run in launch.take_all_queued() {
                let end = AttemptEnd::nothing_ran(End::Asked, now.wall);
                self.report(e, Report::ItemEnded { key, run, end });
            }
            self.report(
                e,
                Report::Gone {
                    key,
                    cause: launch.cause(),
                },
            );
        }
    }
}
