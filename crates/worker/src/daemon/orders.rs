//! What the engine decided, carried out: launches get keepers, keepers get orders, output is watched and forgotten.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tessera_engine::worker::{Effect, Input};
use tessera_model::Refusal;
use tessera_model::msg::{LaunchKey, Run, RunLimits};
use tessera_model::state::Limit;
use tessera_ticket::Ticket;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use tokio::time::Instant;

use super::{Daemon, Event};
use crate::chain::EndCause;
use crate::keeper::{Keeper, ORDERS_MAX, Order, Start};
use crate::output::Command;
use crate::processes::Processes;

/// The same trouble is said again after so long.
const WARN_EVERY: Duration = Duration::from_secs(60);
/// A share of the free spool that one stream of one attempt may fill.
const SPOOL_SHARE: u64 = 4;

impl<P: Processes> Daemon<P> {
    /// Carries out what the engine decided.
    pub(super) fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::Send(message) => {
                if self.link.is_some() {
                    self.outbox.push(message);
                }
            }
            Effect::Start {
                key,
                ticket,
                signature,
                template,
                limits,
            } => {
                self.start(key, ticket, &signature, template, limits);
            }
            Effect::RunItem {
                key,
                run,
                output_limit,
                next,
            } => {
                self.run_item(key, run, output_limit, next);
            }
            Effect::EndItem {
                key,
                run,
                grace,
                limit,
            } => {
                self.order(
                    key,
                    Order::End {
                        run,
                        grace,
                        cause: cause_of(limit),
                    },
                );
            }
            Effect::SetSuspended { key, is_suspended } => {
                self.order(key, Order::SetSuspended(is_suspended));
            }
            Effect::CloseShepherd { key } => self.order(key, Order::Close),
            Effect::ProveGone(key) => self.order(key, Order::ProveGone),
            Effect::ForgetItem { key, run } => {
                let dir = Arc::new(self.spool.dir(key));
                self.told.push(Command::ForgetItem { key, run, dir }, false);
            }
            Effect::ForgetLaunch(key) => {
                self.limits.remove(&key);
                self.owners.remove(&key);
                let dir = Arc::new(self.spool.dir(key));
                self.told.push(Command::ForgetLaunch { key, dir }, false);
            }
        }
    }

    fn start(
        &mut self,
        key: LaunchKey,
        ticket: Vec<u8>,
        signature: &[u8],
        template: Vec<u8>,
        limits: RunLimits,
    ) {
        let Ok(signature) = <[u8; 64]>::try_from(signature) else {
            let text =
                "the ticket's signature is not one; are supervisor and worker of the same release?";
            let refusal = Refusal {
                code: "ticket_malformed".to_owned(),
                text: text.to_owned(),
            };
            // Answered in a turn of its own, like any other answer.
            let events = self.events.clone();
            self.tasks.spawn(async move {
                let _ends_too = events
                    .send(Event::Input(Input::Refused { key, refusal }))
                    .await;
            });
            return;
        };
        self.limits.insert(key, limits.clone());
        // A ticket that can't be read starts nothing.
        let owner = Ticket::decode(&ticket).map(|it| it.principal).ok();
        self.owners.extend(owner.clone().map(|it| (key, it)));
        let keeper = self.keeper(key, Arc::new(self.spool.dir(key)), None);
        let request = Start {
            ticket,
            signature,
            template,
            limits,
            owner,
        };
        self.kept.spawn(keeper.start(request));
    }

    /// Makes the keeper of a launch and the way to it.
    pub(super) fn keeper(
        &mut self,
        key: LaunchKey,
        dir: Arc<PathBuf>,
        current: Option<Run>,
    ) -> Keeper<P> {
        let (orders, inbox) = mpsc::channel(ORDERS_MAX);
        self.keepers.insert(key, orders);
        Keeper {
            key,
            dir,
            processes: self.processes.clone(),
            events: self.events.clone(),
            orders: inbox,
            recheck: Arc::clone(&self.recheck),
            is_durable: self.is_durable,
            spares: self.output.spares(),
            runs: current.into_iter().collect(),
        }
    }

    fn run_item(&mut self, key: LaunchKey, run: Run, wanted: u64, next: bool) {
        let limits = self.limits.get(&key);
        let watch = Command::Watch {
            key,
            run,
            dir: Arc::new(self.spool.dir(key)),
            pattern: limits.and_then(|it| it.progress.clone()),
            tells_printing: limits.is_some_and(|it| it.silence_limit.is_some()),
        };
        self.told.push(watch, false);
        let output_limit = self.output_limit(wanted);
        let order = Order::Run {
            run,
            output_limit,
            next,
        };
        self.order(key, order);
    }

    /// Answers how much a stream of a new attempt may keep: what the job may, unless the spool is filling up.
    fn output_limit(&mut self, wanted: u64) -> u64 {
        let used = self.output.used();
        let share = self.spool_max.saturating_sub(used) / SPOOL_SHARE;
        let is_news = self.warned_at.is_none_or(|at| at.elapsed() >= WARN_EVERY);
        if share < wanted && used > self.spool_max / 2 && is_news {
            self.warned_at = Some(Instant::now());
            tracing::warn!(
                used,
                worker_spool_max = self.spool_max,
                "the spool is filling up, so new attempts keep less output; see whether the supervisor has room for logs, \
                 or raise worker_spool_max"
            );
        }
        wanted.min(share)
    }

    /// Tells the keeper of a launch. A launch that is gone has none.
    fn order(&mut self, key: LaunchKey, order: Order) {
        let Some(keeper) = self.keepers.get(&key) else {
            tracing::debug!(launch = %key, ?order, "there is no such launch any more");
            return;
        };
        match keeper.try_send(order) {
            Ok(()) | Err(TrySendError::Closed(_)) => {}
            Err(TrySendError::Full(order)) => {
                tracing::error!(launch = %key, ?order, "a keeper has too much to do; the order is dropped");
            }
        }
    }
}

/// Tells why an attempt is ended; the shepherd keeps it in its record.
fn cause_of(limit: Option<Limit>) -> EndCause {
    match limit {
        None => EndCause::Kill,
        Some(Limit::ItemTime | Limit::InstanceTime) => EndCause::TimeLimit,
        Some(Limit::Silence) => EndCause::SilenceLimit,
    }
}
