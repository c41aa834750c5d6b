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
mod people;
mod reply;
mod sign;
mod smtp;
mod tasks;
mod webhook;

pub(crate) use channel::Ways;
pub use config::NotifyConfig;
pub(crate) use keep::META_PREFIX;
pub(crate) use people::{NotSet, Wishes};

use crate::config::ConfigError;
use cause::{Fact, Kind};
use channel::{Line, Taken};
use config::Target;
use digest::{Cause, Summary};
use message::{FarmName, Message};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use tasks::Tasks;
use tessera_api::types::{ChannelRow, ChannelTried, Channels, NotifyReloaded, NotifyTested};
use tessera_model::{JobMail, JobWebhooks};
use tessera_spec::FieldError;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

/// Reloads that wait at a time.
const RELOADS_MAX: usize = 16;

/// A good file that channels are to go by, and who is told what came of it.
pub(crate) type Reload = (NotifyConfig, oneshot::Sender<NotifyReloaded>);

/// The farm's channels.
pub(crate) struct Notify {
    path: PathBuf,
    farm: FarmName,
    seen: RwLock<Seen>,
    wishes: Arc<Wishes>,
    reloads: mpsc::Sender<Reload>,
    /// Held while the file is read and taken, so that an older reading never comes after a newer one.
    reading: tokio::sync::Mutex<()>,
    tests: AtomicU64,
}

/// What is there.
#[derive(Default)]
struct Seen {
    lines: Vec<Arc<Line>>,
    /// What is wrong with the file, when the channels go by what it said before.
    mistake: Option<String>,
}

/// Why a file was not taken up.
#[derive(Debug)]
pub(crate) enum NotReloaded {
    /// It is faulty; the channels go by what it said before.
    Faulty(ConfigError),
    /// The supervisor ends.
    Ending,
}

impl Notify {
    /// Makes them, of the file at `path`; there are none before [`Notify::begin`].
    pub(crate) fn new(
        path: PathBuf,
        farm_id: &str,
        farm_name: &str,
        wishes: Arc<Wishes>,
    ) -> (Self, mpsc::Receiver<Reload>) {
        let farm = FarmName {
            id: farm_id.to_owned(),
            name: farm_name.to_owned(),
        };
        let (reloads, inbox) = mpsc::channel(RELOADS_MAX);
        let notify = Self {
            path,
            farm,
            seen: RwLock::default(),
            wishes,
            reloads,
            reading: tokio::sync::Mutex::new(()),
            tests: AtomicU64::new(0),
        };
        (notify, inbox)
    }

    /// Begins all channels of the file as it was read. `kept` is what the store has of them, by the names of their facts.
    pub(crate) async fn begin(
        &self,
        config: NotifyConfig,
        ways: Ways,
        kept: BTreeMap<String, String>,
    ) -> Tasks {
        let mut tasks = Tasks::new(self.farm.clone(), ways, kept);
        tasks.take(config).await;
        self.show(tasks.lines());
        tasks
    }

    /// Runs them, for ever.
    pub(crate) async fn run(self: Arc<Self>, mut tasks: Tasks, mut inbox: mpsc::Receiver<Reload>) {
        loop {
            tokio::select! {
                () = tasks.ended() => {}
                Some((config, reply)) = inbox.recv() => {
                    let done = tasks.take(config).await;
                    self.show(tasks.lines());
                    // Whoever asked may have left.
                    let _ = reply.send(done);
                }
            }
        }
    }

    fn show(&self, lines: Vec<Arc<Line>>) {
        let mut seen = self.seen.write().unwrap_or_else(PoisonError::into_inner);
        *seen = Seen {
            lines,
            mistake: None,
        };
    }

    /// Reads the file anew. Dropping the future takes nothing back.
    ///
    /// # Errors
    /// Why it was not taken up: then nothing changed.
    pub(crate) async fn reload(&self) -> Result<NotifyReloaded, NotReloaded> {
        let _reading = self.reading.lock().await;
        let path = self.path.clone();
        let read = tokio::task::spawn_blocking(move || NotifyConfig::load(&path));
        let config = match read.await.map_err(|_| NotReloaded::Ending)? {
            Ok(config) => config,
            Err(error) => {
                tracing::error!(%error, "notify.toml has a mistake; the channels go by what it said before");
                let mut seen = self.seen.write().unwrap_or_else(PoisonError::into_inner);
                seen.mistake = Some(error.to_string());
                return Err(NotReloaded::Faulty(error));
            }
        };
        let (reply, done) = oneshot::channel();
        let sent = self.reloads.send((config, reply)).await;
        sent.map_err(|_| NotReloaded::Ending)?;
        let done = done.await.map_err(|_| NotReloaded::Ending)?;
        let NotifyReloaded {
            added,
            changed,
            removed,
            ..
        } = &done;
        tracing::info!(?added, ?changed, ?removed, "notify.toml was read anew");
        Ok(done)
    }

    fn lines(&self) -> Vec<Arc<Line>> {
        let seen = self.seen.read().unwrap_or_else(PoisonError::into_inner);
        seen.lines.clone()
    }

    /// Says why a job may not ask for this mail, if it may not.
    pub(crate) fn refusal(&self, mail: &JobMail) -> Option<FieldError> {
        people::refusal(&self.lines(), mail)
    }

    /// Says why a job may not ask for these webhooks, if it may not.
    pub(crate) fn refused_webhook(&self, webhooks: &JobWebhooks) -> Option<FieldError> {
        let lines = self.lines();
        let open: Vec<&str> = lines
            .iter()
            .filter(|line| line.config().is_for_jobs)
            .map(|line| line.name.as_str())
            .collect();
        let refused = webhooks
            .keys()
            .find(|name| !open.contains(&name.as_str()))?;
        let text = format!("this farm has no webhook {refused} that jobs may ask for");
        let hint = match open.is_empty() {
            true => "an administrator opens one by jobs = true of a [[webhook]] in notify.toml"
                .to_owned(),
            false => format!("those are {}", open.join(", ")),
        };
        Some(FieldError::new("webhooks", text).hint(hint))
    }

    /// Answers where somebody has their mail, if the farm writes mail to people.
    pub(crate) fn address(&self, user: &str) -> Option<String> {
        let lines = self.lines();
        let people = lines.iter().find_map(|line| match &line.config().target {
            Target::Mail(target) if target.asked().is_some() => Some(target.clone()),
            Target::Mail(_) | Target::Webhook(_) => None,
        });
        people.and_then(|target| target.owner_address(user))
    }

    /// Answers what people wish of all their jobs.
    pub(crate) fn wishes(&self) -> &Wishes {
        &self.wishes
    }

    /// Answers how the channels fare.
    pub(crate) fn status(&self) -> Channels {
        let seen = self.seen.read().unwrap_or_else(PoisonError::into_inner);
        let channels = seen.lines.iter().map(|line| row(line));
        Channels {
            channels: channels.collect(),
            mistake: seen.mistake.clone(),
        }
    }

    /// Tries one channel, or all, in the name of who asks: they get what owners get. `None` when there is no such.
    pub(crate) async fn test(&self, channel: Option<&str>, by: &str) -> Option<NotifyTested> {
        let wanted = |line: &&Arc<Line>| channel.is_none_or(|name| line.name == name);
        let lines: Vec<_> = self.lines().into_iter().filter(|it| wanted(&it)).collect();
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
    let (farm, channel) = (&line.farm.id, &line.name);
    let cause = Cause {
        kind: Kind::Test,
        user: Some(by),
        to: None,
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
    let (status, config) = (line.status(), line.config());
    let (kind, target) = match &config.target {
        Target::Webhook(target) => ("webhook", target.shown()),
        Target::Mail(target) => ("mail", target.shown()),
    };
    ChannelRow {
        name: line.name.clone(),
        kind: kind.to_owned(),
        target,
        on: config.on.iter().map(|it| it.word().to_owned()).collect(),
        users: config.users.iter().cloned().collect(),
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test]
    async fn the_file_is_read_once_the_reading_before_was_taken() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("notify.toml");
        let write = |text: &str| std::fs::write(&path, text).expect("writes");
        let (notify, mut inbox) = Notify::new(path.clone(), "f", "north", Arc::default());
        let notify = Arc::new(notify);
        let reload = || {
            let notify = Arc::clone(&notify);
            tokio::spawn(async move { notify.reload().await })
        };
        write("farm_after = \"1m\"");
        let first = reload();
        let (config, taken) = inbox.recv().await.expect("the first");
        assert_eq!(config.farm_after, Duration::from_secs(60));
        let second = reload();
        let early = tokio::time::timeout(Duration::from_millis(200), inbox.recv()).await;
        assert!(early.is_err(), "the first is not taken yet");
        write("farm_after = \"2m\"");
        assert!(taken.send(NotifyReloaded::default()).is_ok());
        let (config, taken) = inbox.recv().await.expect("the second");
        assert_eq!(config.farm_after, Duration::from_secs(120));
        assert!(taken.send(NotifyReloaded::default()).is_ok());
        for reload in [first, second] {
            assert!(reload.await.expect("ends").is_ok());
        }
    }
}
