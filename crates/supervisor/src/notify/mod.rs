//! Telling people: what the journal says becomes messages to the farm's channels.
//!
//! Owns `notify.toml`, the channels' tasks and what they keep. Leaves to others: what happened (the journal, which is
//! durable before anybody hears of it), and everything that decides. **Invariant:** nothing here is waited for by the core.

mod cause;
mod channel;
mod config;
mod digest;
mod keep;
mod level;
mod mail;
mod message;
mod outbox;
mod reply;
mod sign;
mod smtp;
mod webhook;

pub(crate) use channel::Ways;
pub use config::NotifyConfig;
pub(crate) use keep::META_PREFIX;

use cause::{Fact, Kind};
use channel::{Channel, Line, Taken};
use config::Target;
use digest::{Cause, Summary};
use message::{FarmName, Message};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tessera_api::types::{ChannelRow, ChannelTried, Channels, NotifyTested};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// The farm's channels.
pub(crate) struct Notify {
    lines: Vec<Arc<Line>>,
    tests: AtomicU64,
}

impl Notify {
    /// Makes them; nothing is told before [`Notify::run`].
    pub(crate) fn new(config: &NotifyConfig, farm_id: &str, farm_name: &str) -> Self {
        let farm = FarmName {
            id: farm_id.to_owned(),
            name: farm_name.to_owned(),
        };
        let lines = config.channels.iter();
        let lines = lines.map(|it| Arc::new(Line::new(it.clone(), farm.clone())));
        Self {
            lines: lines.collect(),
            tests: AtomicU64::new(0),
        }
    }

    /// Runs all channels, for ever. `kept` is what the store has of them, by the names of their facts.
    pub(crate) async fn run(
        self: Arc<Self>,
        config: NotifyConfig,
        ways: Ways,
        kept: BTreeMap<String, String>,
    ) {
        let (tell, levels) = watch::channel(None);
        let mut tasks = JoinSet::new();
        let farms = [Kind::FarmFull, Kind::FarmIdle];
        let is_watched = |line: &Arc<Line>| farms.iter().any(|it| line.config.on.contains(it));
        if self.lines.iter().any(is_watched) {
            let (core, clock) = (ways.core.clone(), ways.clock);
            tasks.spawn(level::watch_farm(
                core,
                clock,
                config.farm_after,
                tell.clone(),
            ));
        }
        for line in &self.lines {
            let kept = kept.get(&format!("{META_PREFIX}{}", line.config.name));
            let channel = Channel::new(Arc::clone(line), ways.clone(), kept);
            tasks.spawn(channel.run(levels.clone()));
        }
        while let Some(ended) = tasks.join_next().await {
            if let Err(error) = ended {
                tracing::error!(%error, "a channel ended by a fault of the program; the others go on");
            }
        }
    }

    /// Answers how the channels fare.
    pub(crate) fn status(&self) -> Channels {
        let channels = self.lines.iter().map(|line| row(line));
        Channels {
            channels: channels.collect(),
        }
    }

    /// Tries one channel, or all, in the name of who asks: they get what owners get. `None` when there is no such.
    pub(crate) async fn test(&self, channel: Option<&str>, by: &str) -> Option<NotifyTested> {
        let wanted = |line: &&Arc<Line>| channel.is_none_or(|name| line.config.name == name);
        let lines: Vec<_> = self.lines.iter().filter(wanted).cloned().collect();
        if channel.is_some() && lines.is_empty() {
            return None;
        }
        let mut tries = JoinSet::new();
        for (place, line) in lines.into_iter().enumerate() {
            let number = self.tests.fetch_add(1, Ordering::Relaxed);
            let by = by.to_owned();
            tries.spawn(async move { (place, tried(&line, number, by).await) });
        }
        let mut results = BTreeMap::new();
        while let Some(ended) = tries.join_next().await {
            if let Ok((place, result)) = ended {
                results.insert(place, result);
            }
        }
        let results = results.into_values().collect();
        Some(NotifyTested { results })
    }
}

async fn tried(line: &Line, number: u64, by: String) -> ChannelTried {
    let now = crate::clock::wall().0;
    let (farm, channel) = (&line.farm.id, &line.config.name);
    let cause = Cause {
        kind: Kind::Test,
        user: Some(by),
    };
    let mut summary = Summary::new(cause, now);
    let text = format!(
        "somebody tried the channel {channel} of the farm {}",
        line.farm.name
    );
    summary.add(Fact::of_farm(Kind::Test, now, text));
    // No number of a message: those are counted by the channel's task alone.
    let id = format!("msg_{farm}_{channel}_test-{now}-{number}");
    let said = line.deliver(&Message { id, summary }).await;
    ChannelTried {
        channel: channel.clone(),
        is_taken: said.is_ok(),
        said: match said {
            Ok(Taken { said, but: None }) => said,
            Ok(Taken {
                said,
                but: Some(why),
            }) => format!("{said}; but {why}"),
            Err(refused) => refused.why,
        },
    }
}

fn row(line: &Line) -> ChannelRow {
    let status = line.status();
    let (kind, target) = match &line.config.target {
        Target::Webhook(target) => ("webhook", target.shown()),
        Target::Mail(target) => ("mail", target.shown()),
    };
    ChannelRow {
        name: line.config.name.clone(),
        kind: kind.to_owned(),
        target,
        on: line
            .config
            .on
            .iter()
            .map(|it| it.word().to_owned())
            .collect(),
        users: line.config.users.iter().cloned().collect(),
        waiting: status.waiting as u64,
        aside: status.aside as u64,
        gathering: status.gathering as u64,
        told: status.told,
        given_up: status.given_up,
        last_told_ms: status.last_told_ms,
        failing_since_ms: status.failing_since_ms,
        last_error: status.last_error,
        last_refused: status.last_refused,
    }
}
