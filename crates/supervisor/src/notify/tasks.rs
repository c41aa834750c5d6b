//! The channels' tasks: which run, and what becomes of them when `notify.toml` is read anew.
//!
//! A channel that is as it was is left alone; one that is otherwise goes by it from its next step on, with all that it has gathered.
//! One that is gone keeps where it stands: should it come back, it goes on there.

use super::cause::Kind;
use super::channel::{Channel, Line, Ways};
use super::config::{ChannelConfig, NotifyConfig};
use super::keep::META_PREFIX;
use super::level::{self, Seen};
use super::message::FarmName;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tessera_api::types::NotifyReloaded;
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};

/// The tasks of all channels. They end when it is dropped.
pub(crate) struct Tasks {
    farm: FarmName,
    ways: Ways,
    /// What the store has of channels that don't run, by the names of the facts.
    kept: BTreeMap<String, String>,
    running: JoinSet<(String, String)>,
    /// By name; also those that are about to end.
    by_name: BTreeMap<String, Arc<Line>>,
    /// The names in the order of the file.
    order: Vec<String>,
    levels: watch::Sender<Option<Seen>>,
    /// Who looks whether the farm is full or idle, and what goes by.
    watcher: Option<(Duration, AbortHandle)>,
    watchers: JoinSet<()>,
}

impl Tasks {
    /// Begins without any.
    pub(super) fn new(farm: FarmName, ways: Ways, kept: BTreeMap<String, String>) -> Self {
        Self {
            farm,
            ways,
            kept,
            running: JoinSet::new(),
            by_name: BTreeMap::new(),
            order: Vec::new(),
            levels: watch::Sender::new(None),
            watcher: None,
            watchers: JoinSet::new(),
        }
    }

    /// Answers the channels of the file, in its order.
    pub(super) fn lines(&self) -> Vec<Arc<Line>> {
        let line = |name: &String| self.by_name.get(name).cloned();
        self.order.iter().filter_map(line).collect()
    }

    /// Goes by a file; answers what that changed.
    pub(super) async fn take(&mut self, config: NotifyConfig) -> NotifyReloaded {
        let mut done = NotifyReloaded::default();
        self.watch_farm(&config);
        let order: Vec<String> = config.channels.iter().map(|it| it.name.clone()).collect();
        for (name, line) in &self.by_name {
            if !order.contains(name) && line.is_there() {
                line.remove();
                done.removed.push(name.clone());
            }
        }
        for channel in config.channels {
            let name = channel.name.clone();
            let was_there = self.by_name.get(&name).is_some_and(|it| it.is_there());
            let list = match (was_there, self.one(channel).await) {
                (false, _) => &mut done.added,
                (true, true) => &mut done.changed,
                (true, false) => &mut done.unchanged,
            };
            list.push(name);
        }
        self.order = order;
        done
    }

    /// Has one channel go by this; answers whether that is new to it.
    async fn one(&mut self, config: ChannelConfig) -> bool {
        let name = config.name.clone();
        let line = self.by_name.get(&name);
        if let Some(is_other) = line.and_then(|line| line.configure(config.clone())) {
            return is_other;
        }
        // It ends: what it keeps is where the next one begins.
        while self.by_name.contains_key(&name) {
            self.ended().await;
        }
        let line = Arc::new(Line::new(config, self.farm.clone()));
        let kept = self.kept.remove(&format!("{META_PREFIX}{name}"));
        let channel = Channel::new(Arc::clone(&line), self.ways.clone(), kept.as_ref());
        self.running.spawn(channel.run(self.levels.subscribe()));
        self.by_name.insert(name, line);
        true
    }

    /// Waits until a task ended; for ever when none does. Dropping the future loses nothing.
    pub(super) async fn ended(&mut self) {
        match self.running.join_next().await {
            Some(Ok((name, kept))) => {
                self.by_name.remove(&name);
                self.kept.insert(format!("{META_PREFIX}{name}"), kept);
            }
            Some(Err(error)) => {
                tracing::error!(%error, "a channel ended by a fault of the program; the others go on");
            }
            None => std::future::pending().await,
        }
    }

    /// Has the farm looked at if a channel is told of that.
    fn watch_farm(&mut self, config: &NotifyConfig) {
        let farms = [Kind::FarmFull, Kind::FarmIdle];
        let is_told = |it: &ChannelConfig| farms.iter().any(|kind| it.on.contains(kind));
        let wanted = config.channels.iter().any(is_told);
        let wanted = wanted.then_some(config.farm_after);
        if wanted == self.watcher.as_ref().map(|(after, _)| *after) {
            return;
        }
        if let Some((_, watcher)) = self.watcher.take() {
            watcher.abort();
        }
        self.watcher = wanted.map(|after| {
            let (core, clock) = (self.ways.core.clone(), self.ways.clock);
            let watch = level::watch_farm(core, clock, after, self.levels.clone());
            (after, self.watchers.spawn(watch))
        });
    }
}
