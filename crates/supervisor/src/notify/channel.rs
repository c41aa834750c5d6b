//! One channel: reads the journal behind a cursor of its own, gathers, hands over, tries again.
//!
//! A task apart from the core, which knows nothing of it: a receiver that is slow, gone or mad delays this channel only.
//! **Invariant:** a message is in the store before it is sent, and leaves it after it was taken: it is told at least once,
//! with the same id each time.

use super::cause::{Fact, Kind, known_jobs};
use super::config::{ChannelConfig, Target};
use super::digest::Digest;
use super::keep::{State, Waiting};
use super::level::{Level, Seen};
use super::message::{FarmName, Message};
use super::{mail, webhook};
use crate::clock::Clock;
use crate::core::CoreHandle;
use crate::events::Hub;
use crate::readers::Readers;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tessera_store::{Events, HistoryRow};
use tokio::sync::watch;

/// Rows that are read from the journal at once.
const ROWS: u32 = 500;
/// Pause between two readings of a journal that grows by less than that.
const READ_PAUSE: Duration = Duration::from_millis(200);
/// Messages that are on their way at a time; what happens meanwhile is gathered.
const OUTBOX_MAX: usize = 16;
/// First and longest pause between two tries; it doubles.
const PAUSE_FIRST: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(600);
/// How often a place in the journal is kept at which nothing was to be told.
const KEEP_EVERY: Duration = Duration::from_secs(30);
/// Pause after the store could not be read or written.
const TROUBLE_PAUSE: Duration = Duration::from_secs(1);

/// How a channel fares, for people.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Status {
    /// Messages on their way.
    pub(crate) waiting: usize,
    /// Summaries that are being gathered.
    pub(crate) gathering: usize,
    /// Messages taken since the start.
    pub(crate) told: u64,
    /// Messages given up since the start.
    pub(crate) given_up: u64,
    /// When the last one was taken.
    pub(crate) last_told_ms: Option<i64>,
    /// Since when none is taken.
    pub(crate) failing_since_ms: Option<i64>,
    /// Why the last try failed.
    pub(crate) last_error: Option<String>,
}

/// Why a message was not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refused {
    /// In words.
    pub(crate) why: String,
    /// Whether it would be the same at every try, and would hold up messages to others.
    pub(crate) is_final: bool,
}

impl Refused {
    /// Makes one after which it is tried again.
    pub(crate) fn later(why: String) -> Self {
        Self {
            why,
            is_final: false,
        }
    }
}

/// What a channel is made of, and what else may use.
pub(crate) struct Line {
    /// How it is configured.
    pub(crate) config: ChannelConfig,
    /// The farm as receivers know it.
    pub(crate) farm: FarmName,
    /// How it fares.
    status: Mutex<Status>,
}

impl Line {
    /// Makes one.
    pub(crate) fn new(config: ChannelConfig, farm: FarmName) -> Self {
        Self {
            config,
            farm,
            status: Mutex::default(),
        }
    }

    /// Answers how it fares.
    pub(crate) fn status(&self) -> Status {
        self.lock().clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Status> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands a message over, once.
    ///
    /// # Errors
    /// Why it was not taken.
    pub(crate) async fn deliver(&self, message: &Message) -> Result<String, Refused> {
        let config = &self.config;
        let (limit, farm) = (config.time_limit, &self.farm);
        match &config.target {
            Target::Webhook(target) => {
                let said = webhook::deliver(target, limit, message, farm, &config.name);
                said.await.map_err(Refused::later)
            }
            Target::Mail(target) => mail::deliver(target, limit, message, farm, &config.name).await,
        }
    }
}

/// Where a channel reads and keeps.
#[derive(Clone)]
pub(crate) struct Ways {
    /// Keeps the cursor, knows jobs.
    pub(crate) core: CoreHandle,
    /// Knows the newest line and the names of hosts.
    pub(crate) hub: Arc<Hub>,
    /// Reads the journal.
    pub(crate) readers: Readers,
    /// The time.
    pub(crate) clock: Clock,
}

/// The task's own.
pub(crate) struct Channel {
    line: Arc<Line>,
    ways: Ways,
    cursor: u64,
    next: u64,
    digest: Digest,
    outbox: VecDeque<(Message, Duration)>,
    level: Option<Level>,
    /// Elapsed time of the last keeping, and the cursor that was kept.
    kept: (Duration, u64),
    /// Whether something is to be kept before anything is sent.
    is_unkept: bool,
    pause: Duration,
    /// No try before.
    next_try: Duration,
}

impl Channel {
    /// Takes up what was kept; begins at the newest line of the journal when nothing was.
    pub(crate) fn new(line: Arc<Line>, ways: Ways, kept: Option<&String>) -> Self {
        let newest = ways.hub.last_seq();
        let now = ways.clock.now();
        let read = kept.map(|text| State::read(text));
        let lost = match &read {
            Some(Err(why)) => Some(format!(
                "what was kept of this channel can't be read: {why}"
            )),
            _ => None,
        };
        let is_new = !matches!(read, Some(Ok(_)));
        let state = read.and_then(Result::ok);
        let state = state.unwrap_or_else(|| State::new(newest));
        let mut channel = Self {
            cursor: state.cursor,
            next: state.next,
            digest: Digest::restore(line.config.pace, state.causes, now.elapsed),
            outbox: VecDeque::new(),
            level: state.level,
            kept: (now.elapsed, state.cursor),
            is_unkept: is_new,
            pause: PAUSE_FIRST,
            next_try: Duration::ZERO,
            line,
            ways,
        };
        // A try counts from its first; what was tried before the restart is added to it.
        for waiting in state.outbox.into_iter().take(OUTBOX_MAX) {
            let tried = Duration::from_millis(waiting.tried_ms);
            channel.outbox.push_back((waiting.message, tried));
        }
        if let Some(why) = lost {
            tracing::error!(
                channel = channel.line.config.name,
                why,
                "people may not be told of everything"
            );
            channel.missed(why);
        }
        channel
    }

    /// Runs for ever. Dropping the future leaves what is on its way in the store.
    pub(crate) async fn run(mut self, mut levels: watch::Receiver<Option<Seen>>) {
        let mut committed = self.ways.hub.watch();
        let mut was = self.now();
        loop {
            committed.mark_unchanged();
            let more = self.read().await;
            let seen = levels.borrow_and_update().clone();
            self.look(seen);
            self.hand_over().await;
            let now = self.now();
            self.age(now.saturating_sub(was));
            was = now;
            self.show();
            let wait = match more {
                Ok(true) => continue,
                Ok(false) => self.wait(now),
                Err(()) => TROUBLE_PAUSE,
            };
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                // The levels' task ends with us.
                Ok(()) = levels.changed() => {}
                Ok(()) = committed.changed() => tokio::time::sleep(READ_PAUSE).await,
            }
        }
    }

    fn now(&self) -> Duration {
        self.ways.clock.now().elapsed
    }

    /// Reads a portion of the journal; answers whether there is more. A failure changes nothing.
    async fn read(&mut self) -> Result<bool, ()> {
        let (newest, after) = (self.ways.hub.last_seq(), self.cursor);
        if after == newest {
            return Ok(false);
        }
        let found = self
            .ways
            .readers
            .read(move |it| it.events_after(after, ROWS));
        match found.await.map_err(drop)? {
            Events::Rows(rows) => {
                let upto = rows.last().map_or(newest, |row| row.seq);
                let is_full = rows.len() >= ROWS as usize;
                self.take(rows).await?;
                self.cursor = upto;
                Ok(is_full)
            }
            Events::Pruned { .. } => {
                self.cursor = newest;
                self.missed("the history was cleaned up, or the store is another one".to_owned());
                Ok(false)
            }
        }
    }

    /// Gathers what people are told of.
    async fn take(&mut self, rows: Vec<HistoryRow>) -> Result<(), ()> {
        let config = &self.line.config;
        let told = rows.into_iter().filter_map(|row| {
            let kind = Kind::of(&row.row)?;
            config.on.contains(&kind).then_some((kind, row.row))
        });
        let told: Vec<_> = told.collect();
        if told.is_empty() {
            return Ok(());
        }
        let asked = told
            .iter()
            .filter_map(|(_, row)| Some((row.job?, row.item)));
        let asked: Vec<_> = asked.collect();
        let known = self.ways.core.read(move |view| known_jobs(view, &asked));
        let known = known.await.map_err(drop)?;
        let hub = Arc::clone(&self.ways.hub);
        let now = self.ways.clock.now();
        for (kind, row) in told {
            let fact = Fact::of(kind, &row, &known, |host| hub.host_name(host));
            if self.is_for_us(&fact) && !self.is_stale(&fact, now.wall.0) {
                self.digest.take(fact, now.elapsed);
            }
        }
        Ok(())
    }

    fn is_for_us(&self, fact: &Fact) -> bool {
        let users = &self.line.config.users;
        let is_theirs = fact.user.as_ref().is_some_and(|user| users.contains(user));
        users.is_empty() || !fact.kind.is_of_a_job() || is_theirs
    }

    /// Says whether it is too long ago for anybody to be told.
    fn is_stale(&self, fact: &Fact, wall_ms: i64) -> bool {
        let age = u64::try_from(wall_ms.saturating_sub(fact.at_ms)).unwrap_or(0);
        Duration::from_millis(age) > self.line.config.give_up_after
    }

    fn missed(&mut self, why: String) {
        let now = self.ways.clock.now();
        let fact = Fact::of_farm(Kind::Missed, now.wall.0, why);
        self.digest.take(fact, now.elapsed);
    }

    /// Takes in how the farm is, if that is not what was told last.
    fn look(&mut self, seen: Option<Seen>) {
        let Some(seen) = seen.filter(|seen| Some(seen.level) != self.level) else {
            return;
        };
        self.level = Some(seen.level);
        let fact = seen.fact();
        if let Some(fact) = fact.filter(|fact| self.line.config.on.contains(&fact.kind)) {
            let now = self.now();
            self.digest.take(fact, now);
        }
    }

    /// Makes messages of what is due, keeps them, and tries the first.
    async fn hand_over(&mut self) {
        let now = self.now();
        if self.outbox.is_empty() {
            for summary in self.digest.due(now, OUTBOX_MAX) {
                let id = self.next_id();
                self.outbox
                    .push_back((Message { id, summary }, Duration::ZERO));
                self.is_unkept = true;
            }
        }
        if !self.keep_if_due(now).await {
            return;
        }
        while self.next_try <= self.now() {
            let Some((message, _)) = self.outbox.front() else {
                return;
            };
            let said = self.line.deliver(message).await;
            self.on_tried(said);
            let now = self.now();
            if !self.keep_if_due(now).await {
                return;
            }
        }
    }

    fn next_id(&mut self) -> String {
        let (farm, channel, number) = (&self.line.farm.id, &self.line.config.name, self.next);
        self.next += 1;
        format!("msg_{farm}_{channel}_{number}")
    }

    /// Takes the outcome of a try of the first message.
    fn on_tried(&mut self, said: Result<String, Refused>) {
        let wall = self.ways.clock.now().wall.0;
        let channel = &self.line.config.name;
        match said {
            Ok(_) => {
                self.outbox.pop_front();
                self.is_unkept = true;
                self.pause = PAUSE_FIRST;
                let mut status = self.line.lock();
                status.told += 1;
                status.last_told_ms = Some(wall);
                if status.failing_since_ms.take().is_some() {
                    tracing::info!(channel, "messages are taken again");
                }
                status.last_error = None;
            }
            Err(Refused {
                why,
                is_final: true,
            }) => {
                self.line.lock().last_error = Some(why);
                if let Some((message, _)) = self.outbox.pop_front() {
                    self.on_given_up(&message);
                }
            }
            Err(Refused { why, .. }) => {
                self.next_try = self.now() + self.pause;
                self.pause = (self.pause * 2).min(PAUSE_MAX);
                let mut status = self.line.lock();
                // Told once: a receiver that is down for a day fills no log.
                if status.failing_since_ms.is_none() {
                    tracing::warn!(
                        channel,
                        why,
                        "a message was not taken; it is tried again, less and less often"
                    );
                    status.failing_since_ms = Some(wall);
                }
                status.last_error = Some(why);
            }
        }
    }

    /// Gives up what has been on its way for too long.
    fn age(&mut self, by: Duration) {
        for (_, tried) in &mut self.outbox {
            *tried = tried.saturating_add(by);
        }
        let most = self.line.config.give_up_after;
        while self.outbox.front().is_some_and(|(_, tried)| *tried >= most) {
            if let Some((message, _)) = self.outbox.pop_front() {
                self.on_given_up(&message);
            }
        }
    }

    fn on_given_up(&mut self, message: &Message) {
        self.is_unkept = true;
        let (channel, id, what) = (&self.line.config.name, &message.id, message.headline());
        let mut status = self.line.lock();
        status.given_up += 1;
        let why = status.last_error.clone().unwrap_or_default();
        tracing::error!(
            channel,
            id,
            what,
            why,
            "a message was given up: nobody was told"
        );
    }

    /// Keeps the state if it must be kept, or was not for a while; answers whether what is to be kept is.
    async fn keep_if_due(&mut self, now: Duration) -> bool {
        let (kept_at, kept_cursor) = self.kept;
        let is_old = now.saturating_sub(kept_at) >= KEEP_EVERY && kept_cursor != self.cursor;
        if !self.is_unkept && !is_old {
            return true;
        }
        let mut state = State::new(self.cursor);
        state.next = self.next;
        state.causes = self.digest.kept(now);
        state.level = self.level;
        let waiting = |(message, tried): &(Message, Duration)| Waiting {
            message: message.clone(),
            tried_ms: u64::try_from(tried.as_millis()).unwrap_or(u64::MAX),
        };
        state.outbox = self.outbox.iter().map(waiting).collect();
        let row = state.write(&self.line.config.name);
        if self.ways.core.keep(vec![row]).await.is_err() {
            return false;
        }
        self.kept = (now, self.cursor);
        self.is_unkept = false;
        true
    }

    /// Answers how long there is nothing to do by itself.
    fn wait(&self, now: Duration) -> Duration {
        if self.is_unkept {
            return TROUBLE_PAUSE;
        }
        let next = if self.outbox.is_empty() {
            self.digest.next_due()
        } else {
            Some(self.next_try)
        };
        let until = |at: Duration| at.saturating_sub(now);
        next.map_or(KEEP_EVERY, until).min(KEEP_EVERY)
    }

    fn show(&self) {
        let mut status = self.line.lock();
        status.waiting = self.outbox.len();
        status.gathering = self.digest.gathering();
    }
}
