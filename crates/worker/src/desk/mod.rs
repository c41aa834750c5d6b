//! What the person at this host lets the farm do, and whether they are there: the task that reads it from the
//! configuration when that changes, looks how long nobody has touched the host, and tells the others.
//!
//! What to make of what is seen is the engine's ([`Idle`]). How it is seen differs between systems and is behind [`Look`].

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "macos")]
mod macos;
#[cfg(windows)]
mod windows;

#[cfg(target_os = "linux")]
pub(crate) use linux::Eyes;
#[cfg(target_os = "macos")]
pub(crate) use macos::Eyes;
#[cfg(windows)]
pub(crate) use windows::Eyes;

use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tessera_engine::worker::idle::{Idle, Seen};
use tessera_model::{Consent, Presence, WhileActive};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep};

use crate::config::{Config, Unknown};
use crate::daemon::Event;

/// How often it is looked whether the configuration has changed.
const CONFIG_EVERY: Duration = Duration::from_secs(1);
/// How often it is looked whether somebody is active.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// How long a tool may take that is asked.
#[cfg(unix)]
const TOOL_TIMEOUT: Duration = Duration::from_secs(3);
/// Orders of the supervisor's that may wait.
pub(crate) const ORDERS_MAX: usize = 16;

/// A way to see how long nobody has touched the host.
pub(crate) trait Look: Send + Sync + 'static {
    /// Looks; takes a moment, and never longer than some seconds.
    fn look(&self) -> Pin<Box<dyn Future<Output = Seen> + Send + '_>>;

    /// Answers how often it is to look.
    fn every(&self) -> Duration {
        LOOK_EVERY
    }
}

/// What is known of the person at this host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Desk {
    pub(crate) allows: Consent,
    pub(crate) presence: Option<Presence>,
}

/// What of the configuration is read again when it changes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Wishes {
    allows: Consent,
    while_active: Option<WhileActive>,
    unknown: Unknown,
}

impl Wishes {
    fn of(config: &Config) -> Self {
        Self {
            allows: config.consent(),
            while_active: config.while_active(),
            unknown: config.desktop_idle_unknown,
        }
    }
}

/// What changes when a file is written: its time, and its size. `None` when there is no such file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp(Option<(SystemTime, u64)>);

impl Stamp {
    /// Looks at a file; to be done before it is read, so that what is written meanwhile is seen later.
    pub(crate) fn of(path: &Path) -> Self {
        let found = path.metadata().ok();
        Self(found.and_then(|it| Some((it.modified().ok()?, it.len()))))
    }
}

/// The task.
pub(crate) struct Watcher {
    config: PathBuf,
    /// The file as it was when it was last read.
    read_at: Stamp,
    wishes: Wishes,
    /// The rule that the supervisor gave; the configuration's own comes first.
    ordered: Option<WhileActive>,
    idle: Option<Idle>,
    eyes: Arc<dyn Look>,
    began: Instant,
}

impl Watcher {
    /// Makes the task of a host with this configuration, whose file was so before it was read.
    pub(crate) fn new(config: &Config, path: PathBuf, seen: Stamp, eyes: Arc<dyn Look>) -> Self {
        let mut watcher = Self {
            config: path,
            read_at: seen,
            wishes: Wishes::of(config),
            ordered: None,
            idle: None,
            eyes,
            began: Instant::now(),
        };
        watcher.follow_rule();
        watcher
    }

    /// Answers what is known now.
    pub(crate) fn desk(&self) -> Desk {
        Desk {
            allows: self.wishes.allows.clone(),
            presence: self.idle.as_ref().map(Idle::presence),
        }
    }

    /// Looks for ever, and tells what has changed.
    pub(crate) async fn run(
        mut self,
        mut orders: mpsc::Receiver<Option<WhileActive>>,
        told: watch::Sender<Desk>,
        events: mpsc::Sender<Event>,
    ) {
        let mut look_at = Instant::now();
        loop {
            let now = Stamp::of(&self.config);
            if now != self.read_at {
                self.read_at = now;
                self.read();
            }
            if self.follow_rule() {
                look_at = Instant::now();
            }
            if self.idle.is_some() && Instant::now() >= look_at {
                look_at = Instant::now() + self.eyes.every();
                self.look(&events).await;
            }
            let desk = self.desk();
            told.send_if_modified(|it| {
                let is_news = *it != desk;
                *it = desk;
                is_news
            });
            tokio::select! {
                order = orders.recv() => match order {
                    Some(rule) => self.ordered = rule,
                    None => return,
                },
                () = sleep(CONFIG_EVERY.min(self.eyes.every())) => {}
            }
        }
    }

    /// Reads the configuration again. With one that can't be understood nobody is let in, and the rest stays as it was.
    fn read(&mut self) {
        match Config::read_if_there(&self.config) {
            Ok(config) => self.wishes = Wishes::of(&config.unwrap_or_default()),
            Err(error) => {
                tracing::error!(%error, "the configuration can't be understood; meanwhile this desktop lets nobody in");
                self.wishes.allows = Consent::default();
            }
        }
    }

    /// Sees to it that the machine is that of the rule; says whether it is a new one.
    fn follow_rule(&mut self) -> bool {
        let wanted = self.wishes.while_active.or(self.ordered);
        if self.idle.as_ref().map(Idle::rule) == wanted {
            return false;
        }
        let blind_is_active = self.wishes.unknown == Unknown::Active;
        self.idle = wanted.map(|rule| Idle::new(rule, blind_is_active));
        self.idle.is_some()
    }

    async fn look(&mut self, events: &mpsc::Sender<Event>) {
        let seen = self.eyes.look().await;
        let Some(idle) = &mut self.idle else {
            return;
        };
        let before = idle.presence();
        idle.saw(self.began.elapsed(), seen);
        let presence = idle.presence();
        if presence.is_closed != before.is_closed || presence.unknown != before.unknown {
            say(&presence);
        }
        if let Some(time) = idle.idle().filter(|_| presence.is_closed) {
            let _ends_too = events.send(Event::Idle(time)).await;
        }
    }
}

fn say(presence: &Presence) {
    if presence.is_closed {
        tracing::info!("{}; no new work is taken", presence.reason(None));
    } else {
        tracing::info!("nobody is active here; work is taken");
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    /// Eyes that see what the test says.
    pub(crate) struct Told(pub(crate) Mutex<Seen>);

    impl Look for Told {
        fn look(&self) -> Pin<Box<dyn Future<Output = Seen> + Send + '_>> {
            let seen = self.0.lock().expect("not poisoned").clone();
            Box::pin(async move { seen })
        }
    }

    fn watcher(config: &str) -> Watcher {
        let path = PathBuf::from("/nonexistent/worker.toml");
        let config = Config::parse(&path, config).expect("is right");
        let eyes = Arc::new(Told(Mutex::new(Seen::Nobody)));
        Watcher::new(&config, path, Stamp(None), eyes)
    }

    #[tokio::test]
    async fn what_is_written_while_the_worker_starts_is_read() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("worker.toml");
        // Its owner takes the desktop back after the worker has read the file, and before the task runs.
        let text = "desktop_allowed_submitters = \"*\"\n";
        std::fs::write(&path, text).expect("writes");
        let seen = Stamp::of(&path);
        let config = Config::read(&path).expect("is right");
        std::fs::write(&path, "").expect("writes");
        let eyes = Arc::new(Told(Mutex::new(Seen::Nobody)));
        let watcher = Watcher::new(&config, path, seen, eyes);
        let (told, mut desk) = watch::channel(watcher.desk());
        assert_eq!(desk.borrow_and_update().allows, Consent::Everybody);
        let (_orders, ordered) = mpsc::channel(ORDERS_MAX);
        let (events, _inbox) = mpsc::channel(1);
        let task = tokio::spawn(watcher.run(ordered, told, events));
        let changed = tokio::time::timeout(Duration::from_secs(30), desk.changed());
        changed.await.expect("in time").expect("it looks still");
        assert_eq!(desk.borrow().allows, Consent::default());
        task.abort();
    }

    #[test]
    fn the_hosts_own_rule_comes_before_the_farms() {
        let of = |seconds| WhileActive {
            idle_after: Duration::from_secs(seconds),
            ..WhileActive::default()
        };
        let mut own = watcher("desktop_lock_while_active = true\ndesktop_idle_seconds = 900\n");
        let rule = |it: &Watcher| it.desk().presence.map(|it| it.rule);
        assert_eq!(rule(&own), Some(of(900)));
        own.ordered = Some(of(60));
        assert!(!own.follow_rule());
        assert_eq!(rule(&own), Some(of(900)));
        let mut open = watcher("");
        assert_eq!(rule(&open), None);
        open.ordered = Some(of(60));
        assert!(open.follow_rule());
        assert_eq!(rule(&open), Some(of(60)));
        assert!(open.desk().presence.is_some_and(|it| it.is_closed));
        open.ordered = None;
        open.follow_rule();
        assert_eq!(rule(&open), None);
    }

    #[test]
    fn a_configuration_that_cant_be_understood_lets_nobody_in() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("worker.toml");
        let mut watcher =
            watcher("desktop_allowed_submitters = \"*\"\ndesktop_lock_while_active = true\n");
        watcher.config.clone_from(&path);
        std::fs::write(&path, "desktop_allowed_submitters = \"*\" nonsense").expect("writes");
        watcher.read();
        let desk = watcher.desk();
        assert_eq!(desk.allows, Consent::default());
        assert!(desk.presence.is_some(), "it stopped to look");
        std::fs::write(&path, "desktop_allowed_submitters = [\"bob\"]").expect("writes");
        watcher.read();
        watcher.follow_rule();
        assert_eq!(watcher.desk().allows, Consent::of(["bob".to_owned()]));
        assert_eq!(watcher.desk().presence, None);
    }
}
