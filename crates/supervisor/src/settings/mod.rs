//! The configuration of all workers: each connected one is served what `workers.toml` sets for it, at once and when that changes.
//!
//! Owns the file as it was read last, who is connected and what each was sent and said that it took. A worker believes little of
//! it (`tessera_hostconfig::worker`). A host gets what is for the name that it joined with, not for one that it claims.

mod edit;
mod file;
#[cfg(test)]
mod tests;

pub(crate) use edit::{Change, NotSet, Shown};
pub(crate) use file::{Mistakes, Place};

use sha2::{Digest as _, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tessera_engine::supervisor::SessionId;
use tessera_hostconfig::{Platform, Settings, Workers};
use tessera_model::{HostFacts, HostId, ServedSettings, SettingsHash, SettingsInUse};
use tokio::sync::Notify;

/// What a welcome says where settings are served: the worker waits for them before it says what it has.
pub(crate) const FEATURE: &str = "settings";
/// How long workers may take to say what they took before a reconfiguration is answered without them.
const ANSWERS_WITHIN: Duration = Duration::from_secs(10);
/// Values that one worker did not take that the log tells at a time; all are told to who asks.
const TOLD_MAX: usize = 8;

/// The configuration of all workers, and who has which.
#[derive(Debug)]
pub(crate) struct WorkerSettings {
    place: Place,
    state: Mutex<State>,
    /// Held while the file is read and taken, so that an older reading never comes after a newer one.
    reading: tokio::sync::Mutex<()>,
    /// Held while the file is looked at and replaced over the API.
    editing: tokio::sync::Mutex<()>,
    /// Somebody said what it took, came or went.
    heard: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// What the file said last; nothing when no good one was ever there.
    workers: Option<Arc<Workers>>,
    /// What is wrong with the file as it is now, when an older one is used.
    mistakes: Mistakes,
    connected: BTreeMap<HostId, Entry>,
}

/// A connected worker.
#[derive(Debug)]
struct Entry {
    session: SessionId,
    name: String,
    platform: Option<Platform>,
    /// What it is to have: what the file sets for it, or did when it was told last.
    due: Option<Arc<ServedSettings>>,
    /// Whether the file sets something else by now, which it is told with its next connection.
    is_behind: bool,
    sent: Option<SettingsHash>,
    said: Option<SettingsInUse>,
    /// Wakes who sends.
    wake: Arc<Notify>,
}

/// A worker's connection, for who sends to it.
#[derive(Debug)]
pub(crate) struct Line {
    host: HostId,
    session: SessionId,
    wake: Arc<Notify>,
}

/// What a reconfiguration came to for one connected host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// The host's name.
    pub(crate) name: String,
    /// Keys that are set otherwise than before.
    pub(crate) changed: BTreeSet<String>,
    /// What its worker said then; nothing when it takes no settings.
    pub(crate) said: Option<SettingsInUse>,
    /// Whether that is about the settings that it was sent now.
    pub(crate) is_current: bool,
}

/// The names of hosts, and the keys that are set otherwise for them than before.
type Changed = BTreeMap<HostId, (String, BTreeSet<String>)>;

impl Entry {
    fn asks(&self) -> bool {
        self.said
            .as_ref()
            .is_some_and(|it| it.lookup.asks_supervisor())
    }

    fn is_current(&self) -> bool {
        let taken = self.said.as_ref().and_then(|it| it.taken);
        let has_it = taken.is_some() && taken == self.due.as_ref().map(|it| it.hash);
        self.asks() && has_it && !self.is_behind
    }

    /// Answers whether it must say something still.
    fn is_awaited(&self) -> bool {
        self.asks() && !self.is_current()
    }
}

impl WorkerSettings {
    /// Reads the file. With a faulty one the last good one holds; where there is none, nothing is served, so that workers keep what
    /// they have.
    pub(crate) fn open(place: Place) -> Self {
        let mut state = State::default();
        match place.read() {
            Ok(good) => {
                place.keep(&good);
                for warning in &good.warnings {
                    tracing::warn!("{warning}");
                }
                state.workers = Some(Arc::new(good.workers));
            }
            Err(mistakes) => {
                for mistake in &mistakes {
                    tracing::error!("{mistake}");
                }
                let last = place.last_good();
                let then = if last.is_some() {
                    "the last good one holds on"
                } else {
                    "workers keep what they have"
                };
                tracing::error!(file = %place.path.display(), "the configuration of workers has mistakes: {then}; mend it, then run tessera reconfigure");
                state.workers = last.map(|good| Arc::new(good.workers));
                state.mistakes = mistakes;
            }
        }
        Self {
            place,
            state: Mutex::new(state),
            reading: tokio::sync::Mutex::new(()),
            editing: tokio::sync::Mutex::new(()),
            heard: Notify::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says whether there is something to serve.
    pub(crate) fn serves(&self) -> bool {
        self.lock().workers.is_some()
    }

    /// Answers where the file is.
    pub(crate) fn place(&self) -> &Place {
        &self.place
    }

    /// Answers what the file says, and what is wrong with it as it is now.
    pub(crate) fn file(&self) -> (Option<Arc<Workers>>, Mistakes) {
        let state = self.lock();
        (state.workers.clone(), state.mistakes.clone())
    }

    /// Says whether a connected host has what the file sets for it; nothing where that is no question.
    pub(crate) fn is_current(&self, host: HostId) -> Option<bool> {
        let state = self.lock();
        let entry = state
            .connected
            .get(&host)
            .filter(|it| it.asks() && it.due.is_some())?;
        Some(entry.is_current())
    }

    /// Takes up a worker's connection; `name` is the one that its host joined with.
    pub(crate) fn opened(
        &self,
        host: HostId,
        session: SessionId,
        name: String,
        facts: &HostFacts,
    ) -> Line {
        let wake = Arc::new(Notify::new());
        let mut state = self.lock();
        let platform = facts.properties.get("host.os");
        let mut entry = Entry {
            session,
            name,
            platform: platform.and_then(|word| Platform::of_word(word)),
            due: None,
            is_behind: false,
            sent: None,
            said: facts.settings.clone(),
            wake: Arc::clone(&wake),
        };
        entry.due = state
            .workers
            .as_ref()
            .map(|it| Arc::new(served(it, &entry)));
        state.connected.insert(host, entry);
        Line {
            host,
            session,
            wake,
        }
    }

    /// Forgets a connection, unless the host has a newer one.
    pub(crate) fn closed(&self, line: &Line) {
        let mut state = self.lock();
        let is_its = |it: &Entry| it.session == line.session;
        if state.connected.get(&line.host).is_some_and(is_its) {
            state.connected.remove(&line.host);
        }
        drop(state);
        self.heard.notify_waiters();
    }

    /// Waits until there is something to send, and answers it. Dropping the future loses nothing.
    pub(crate) async fn next(&self, line: &Line) -> ServedSettings {
        loop {
            if let Some(due) = self.take_due(line) {
                return due;
            }
            line.wake.notified().await;
        }
    }

    fn take_due(&self, line: &Line) -> Option<ServedSettings> {
        let mut state = self.lock();
        let entry = state.connected.get_mut(&line.host);
        let entry = entry.filter(|it| it.session == line.session && it.asks())?;
        let due = entry.due.clone()?;
        if entry.sent == Some(due.hash) {
            return None;
        }
        entry.sent = Some(due.hash);
        Some(ServedSettings::clone(&due))
    }

    /// Hears what a worker says of what it took.
    pub(crate) fn said(&self, host: HostId, session: SessionId, said: Option<&SettingsInUse>) {
        let mut state = self.lock();
        let entry = state.connected.get_mut(&host);
        let Some(entry) = entry.filter(|it| it.session == session) else {
            return;
        };
        if entry.said.as_ref() == said {
            return;
        }
        let refused = said.into_iter().flat_map(|it| &it.refused);
        for (key, why) in refused.take(TOLD_MAX) {
            tracing::warn!(
                host = entry.name,
                key,
                why,
                "a worker does not take a value that is set for it"
            );
        }
        entry.said = said.cloned();
        entry.wake.notify_one();
        drop(state);
        self.heard.notify_waiters();
    }

    /// Reads the file anew, has each connected host (of those, if some are named) sent what changed for it, and waits a little for
    /// what they say. With a faulty file nothing changes.
    ///
    /// # Errors
    /// All that is wrong with the file.
    pub(crate) async fn reconfigure(
        &self,
        hosts: Option<&BTreeSet<HostId>>,
    ) -> Result<(Vec<String>, Vec<Outcome>), Mistakes> {
        let (warnings, changed) = self.read_anew(hosts).await?;
        self.wait_for(&changed).await;
        let state = self.lock();
        let outcome = |(host, (name, keys)): (HostId, (String, BTreeSet<String>))| {
            let entry = state.connected.get(&host);
            Outcome {
                name,
                changed: keys,
                said: entry.and_then(|it| it.said.clone()),
                is_current: entry.is_some_and(Entry::is_current),
            }
        };
        Ok((warnings, changed.into_iter().map(outcome).collect()))
    }

    /// Reads the file and takes it; answers what in it has no effect, and what it changes.
    async fn read_anew(
        &self,
        hosts: Option<&BTreeSet<HostId>>,
    ) -> Result<(Vec<String>, Changed), Mistakes> {
        let _one_at_a_time = self.reading.lock().await;
        let place = self.place.clone();
        let read = tokio::task::spawn_blocking(move || {
            let good = place.read()?;
            place.keep(&good);
            Ok::<_, Mistakes>(good)
        });
        let read = read
            .await
            .unwrap_or_else(|error| Err(vec![error.to_string()]));
        match read {
            Ok(good) => Ok((good.warnings, self.replace(Arc::new(good.workers), hosts))),
            Err(mistakes) => {
                self.lock().mistakes.clone_from(&mistakes);
                Err(mistakes)
            }
        }
    }

    /// Takes another file; answers what it changes for each connected host that is meant.
    fn replace(&self, workers: Arc<Workers>, hosts: Option<&BTreeSet<HostId>>) -> Changed {
        let mut state = self.lock();
        let mut all = BTreeMap::new();
        for (host, entry) in &mut state.connected {
            let due = served(&workers, entry);
            if hosts.is_some_and(|hosts| !hosts.contains(host)) {
                entry.is_behind = entry.due.as_ref().map(|it| it.hash) != Some(due.hash);
                continue;
            }
            entry.is_behind = false;
            let before = entry.due.as_ref().map(|it| &it.values);
            all.insert(
                *host,
                (entry.name.clone(), differences(before, &due.values)),
            );
            entry.due = Some(Arc::new(due));
            entry.wake.notify_one();
        }
        state.workers = Some(workers);
        state.mistakes.clear();
        all
    }

    async fn wait_for<T>(&self, hosts: &BTreeMap<HostId, T>) {
        let all_said = async {
            loop {
                let heard = self.heard.notified();
                tokio::pin!(heard);
                heard.as_mut().enable();
                let is_awaited = {
                    let state = self.lock();
                    let entries = hosts.keys().filter_map(|host| state.connected.get(host));
                    entries.into_iter().any(Entry::is_awaited)
                };
                if !is_awaited {
                    return;
                }
                heard.await;
            }
        };
        let _in_time = tokio::time::timeout(ANSWERS_WITHIN, all_said).await;
    }
}

/// Answers the keys that are set otherwise.
fn differences(
    before: Option<&BTreeMap<String, String>>,
    after: &BTreeMap<String, String>,
) -> BTreeSet<String> {
    let nothing = BTreeMap::new();
    let before = before.unwrap_or(&nothing);
    let keys = before.keys().chain(after.keys());
    keys.filter(|key| before.get(*key) != after.get(*key))
        .cloned()
        .collect()
}

fn served(workers: &Workers, entry: &Entry) -> ServedSettings {
    let Settings { values } = workers.of_host(&entry.name, entry.platform);
    let values = values
        .into_iter()
        .map(|(key, it)| (key, it.value))
        .collect();
    ServedSettings {
        hash: hash_of(&values),
        values,
    }
}

/// Answers what tells a set of values from others.
fn hash_of(values: &BTreeMap<String, String>) -> SettingsHash {
    let mut sha = Sha256::new();
    for (key, value) in values {
        for part in [key, value] {
            sha.update((part.len() as u64).to_le_bytes());
            sha.update(part.as_bytes());
        }
    }
    let mut hash = [0; 16];
    hash.copy_from_slice(&sha.finalize()[..16]);
    SettingsHash(hash)
}
