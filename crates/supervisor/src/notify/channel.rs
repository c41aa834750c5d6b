//! One channel: reads the journal behind a cursor of its own, gathers, hands over, tries again.
//!
//! A task apart from the core, which knows nothing of it: a receiver that is slow, gone or mad delays this channel only.
//! **Invariant:** a message is in the store before it is sent, and leaves it after it was taken: it is told at least once,
//! with the same id each time.

use super::cause::{Fact, Kind, KnownJob, declared_failed, known_jobs};
use super::config::{ChannelConfig, Target};
use super::digest::Digest;
use super::keep::State;
use super::level::{Level, Seen};
use super::message::{FarmName, Message};
use super::outbox::{Left, Outbox};
use super::people::Wishes;
use super::{mail, webhook};
use crate::clock::Clock;
use crate::core::CoreHandle;
use crate::events::Hub;
use crate::readers::Readers;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tessera_store::{Events, HistoryRow};
use tokio::sync::{Notify, watch};

/// Rows that are read from the journal at once.
const ROWS: u32 = 500;
/// Pause between two readings of a journal that grows by less than that.
const READ_PAUSE: Duration = Duration::from_millis(200);
/// How often a place in the journal is kept at which nothing was to be told.
const KEEP_EVERY: Duration = Duration::from_secs(30);
/// Pause after the store could not be read or written.
const TROUBLE_PAUSE: Duration = Duration::from_secs(1);

/// How a channel fares, for people.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Status {
    /// Messages on their way.
    pub(crate) waiting: usize,
    /// Those of them that were refused for good, and are tried again now and then.
    pub(crate) aside: usize,
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
    /// What was refused for good last, to whom and why.
    pub(crate) last_refused: Option<String>,
}

/// What a failed try says of the next ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The receiver is away, or would take no message now: all wait.
    Later,
    /// This message is refused for good; others may be taken.
    Message,
    /// Whom it is for can't be written to, ever.
    Addressee,
}

/// Why a message was not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refused {
    /// In words.
    pub(crate) why: String,
    /// What follows of it.
    pub(crate) fault: Fault,
}

impl Refused {
    /// Makes one after which it is tried again.
    pub(crate) fn later(why: String) -> Self {
        let fault = Fault::Later;
        Self { why, fault }
    }
}

/// That a message was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Taken {
    /// What the other end said.
    pub(crate) said: String,
    /// Whom of several it was refused for all the same, and why.
    pub(crate) but: Option<String>,
}

/// What a channel is made of, and what else may use.
pub(crate) struct Line {
    /// What people call it; its place in the store.
    pub(crate) name: String,
    /// The farm as receivers know it.
    pub(crate) farm: FarmName,
    /// How it is configured.
    config: Mutex<Configured>,
    /// Wakes the task when that changed.
    wake: Notify,
    /// How it fares.
    status: Mutex<Status>,
}

/// How a channel is configured, and whether its task goes by that.
#[derive(Debug)]
struct Configured {
    config: Arc<ChannelConfig>,
    /// It is in the file no more.
    is_removed: bool,
    /// Its task saw that, and ends.
    is_over: bool,
}

impl Line {
    /// Makes one.
    pub(crate) fn new(config: ChannelConfig, farm: FarmName) -> Self {
        Self {
            name: config.name.clone(),
            farm,
            config: Mutex::new(Configured {
                config: Arc::new(config),
                is_removed: false,
                is_over: false,
            }),
            wake: Notify::new(),
            status: Mutex::default(),
        }
    }

    /// Answers how it is configured now.
    pub(crate) fn config(&self) -> Arc<ChannelConfig> {
        Arc::clone(&self.configured().config)
    }

    /// Says whether it is in the file.
    pub(crate) fn is_there(&self) -> bool {
        !self.configured().is_removed
    }

    /// Configures it anew; answers whether it was otherwise before, or nothing when its task ended and another is needed.
    pub(crate) fn configure(&self, config: ChannelConfig) -> Option<bool> {
        let mut configured = self.configured();
        if configured.is_over {
            return None;
        }
        let is_other = configured.is_removed || *configured.config != config;
        if is_other {
            configured.config = Arc::new(config);
            configured.is_removed = false;
            self.wake.notify_one();
        }
        Some(is_other)
    }

    /// Has its task end once it has kept where it stands.
    pub(crate) fn remove(&self) {
        self.configured().is_removed = true;
        self.wake.notify_one();
    }

    /// Says whether its task is to end, which is final.
    fn ends(&self) -> bool {
        let mut configured = self.configured();
        configured.is_over = configured.is_removed;
        configured.is_over
    }

    fn configured(&self) -> MutexGuard<'_, Configured> {
        self.config.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Answers how it fares.
    pub(crate) fn status(&self) -> Status {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Status> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands a message over, once.
    ///
    /// # Errors
    /// Why it was not taken.
    pub(crate) async fn deliver(&self, message: &Message) -> Result<Taken, Refused> {
        let config = self.config();
        let (limit, farm) = (config.time_limit, &self.farm);
        match &config.target {
            Target::Webhook(target) => {
                let said = webhook::deliver(target, limit, message, farm, &config.name).await?;
                Ok(Taken { said, but: None })
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
    /// What people wish of all their jobs.
    pub(crate) wishes: Arc<Wishes>,
}

/// The task's own.
pub(crate) struct Channel {
    line: Arc<Line>,
    /// What it goes by.
    config: Arc<ChannelConfig>,
    ways: Ways,
    cursor: u64,
    next: u64,
    digest: Digest,
    outbox: Outbox,
    level: Option<Level>,
    /// Elapsed time of the last keeping, and the cursor that was kept.
    kept: (Duration, u64),
    /// Whether something is to be kept before anything is sent.
    is_unkept: bool,
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
        let config = line.config();
        let mut channel = Self {
            cursor: state.cursor,
            next: state.next,
            digest: Digest::restore(config.pace, state.causes, now.elapsed),
            // A try counts from its first; what was tried before the restart is added to it.
            outbox: Outbox::restore(state.outbox, now.elapsed),
            level: state.level,
            kept: (now.elapsed, state.cursor),
            is_unkept: is_new,
            config,
            line,
            ways,
        };
        if let Some(why) = lost {
            tracing::error!(
                channel = channel.line.name,
                why,
                "people may not be told of everything"
            );
            channel.missed(why);
        }
        channel
    }

    /// Runs until it is removed, and answers its name and what it kept last. Dropping the future leaves what is on its way in the
    /// store.
    pub(crate) async fn run(
        mut self,
        mut levels: watch::Receiver<Option<Seen>>,
    ) -> (String, String) {
        let mut committed = self.ways.hub.watch();
        let mut was = self.now();
        while !self.line.ends() {
            self.reconfigure();
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
                () = self.line.wake.notified() => {}
                // The levels' task ends with us.
                Ok(()) = levels.changed() => {}
                Ok(()) = committed.changed() => tokio::time::sleep(READ_PAUSE).await,
            }
        }
        self.is_unkept = true;
        let now = self.now();
        if !self.keep_if_due(now).await {
            tracing::error!(
                channel = self.line.name,
                "where the removed channel stood could not be kept"
            );
        }
        (self.line.name.clone(), self.state(now).text())
    }

    /// Goes by what the file says now. What was not taken is tried at once: that may be what was mended.
    fn reconfigure(&mut self) {
        let config = self.line.config();
        if Arc::ptr_eq(&config, &self.config) {
            return;
        }
        let now = self.now();
        self.digest.change_pace(config.pace, now);
        self.outbox.try_at_once(now);
        self.config = config;
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
            Events::Pruned { oldest_seq } => {
                let is_cleaned = after < oldest_seq;
                let why = if is_cleaned {
                    "history was cleaned up before it was read"
                } else {
                    "the store is another one"
                };
                // What is left is told.
                self.cursor = if is_cleaned { oldest_seq } else { newest };
                self.missed(why.to_owned());
                Ok(is_cleaned)
            }
        }
    }

    /// Gathers what people are told of.
    async fn take(&mut self, rows: Vec<HistoryRow>) -> Result<(), ()> {
        let config = Arc::clone(&self.config);
        // A job is declared failed before it is: at the same time, in one portion but by chance.
        let mut declared: BTreeMap<u64, (i64, String)> = BTreeMap::new();
        let mut told = Vec::new();
        for HistoryRow { row, .. } in rows {
            if let Some((job, who)) = declared_failed(&row) {
                declared.insert(job, (row.at_ms, who.to_owned()));
            }
            let Some(kind) = Kind::of(&row).filter(|kind| config.listens_to(*kind)) else {
                continue;
            };
            let of_job = row.job.and_then(|job| declared.get(&job));
            let by = of_job.filter(|(at, _)| *at == row.at_ms);
            let by = by
                .filter(|_| kind == Kind::Failed)
                .map(|(_, who)| who.clone());
            told.push((kind, row, by));
        }
        if told.is_empty() {
            return Ok(());
        }
        let asked = told
            .iter()
            .filter_map(|(_, row, _)| Some((row.job?, row.item)));
        let asked: Vec<_> = asked.collect();
        let known = self.ways.core.read(move |view| known_jobs(view, &asked));
        let mut known = known.await.map_err(drop)?;
        let hub = Arc::clone(&self.ways.hub);
        let now = self.ways.clock.now();
        for (kind, row, by) in told {
            let job = row.job.and_then(|id| known.get_mut(&id));
            if let (Some(job), Some(who)) = (job, by) {
                job.declared_by(&who);
            }
            let job = row.job.and_then(|id| known.get(&id));
            if !job.map_or(kind != Kind::Blocked, |job| job.is_worth(kind)) {
                continue;
            }
            let is_asked =
                config.is_for_jobs && job.is_some_and(|job| job.asks_for(&config.name, kind));
            let fact = Fact::of(kind, &row, &known, |host| hub.host_name(host));
            let is_ours = config.on.contains(&kind) && self.is_for_us(&fact);
            if (is_ours || is_asked) && !self.is_stale(fact.at_ms, now.wall.0) {
                for fact in self.addressed(fact, &known) {
                    self.digest.take(fact, now.elapsed);
                }
            }
        }
        Ok(())
    }

    /// Answers a fact for each address that it goes to at somebody's wish; the fact itself on all other channels.
    fn addressed(&self, fact: Fact, known: &BTreeMap<u64, KnownJob>) -> Vec<Fact> {
        let target = match &self.config.target {
            Target::Mail(target) if target.asked().is_some() => target,
            Target::Mail(_) | Target::Webhook(_) => return vec![fact],
        };
        let (Some(user), Some(when)) = (&fact.user, fact.kind.mail_when()) else {
            return Vec::new();
        };
        let job = fact.job.and_then(|id| known.get(&id));
        let of_job = job.and_then(|job| job.mail.as_ref());
        let of_job = of_job.filter(|mail| mail.on.contains(&when));
        let own = target.owner_address(user);
        let mut to = BTreeSet::new();
        to.extend(of_job.map(|mail| {
            let named = mail.to.as_ref().map(ToString::to_string);
            // Whoever names their own address is not written to twice.
            let is_own = |it: &String| own.as_ref().is_some_and(|own| own.eq_ignore_ascii_case(it));
            named.filter(|it| !is_own(it))
        }));
        if self.ways.wishes.of(user).contains(&when) {
            to.insert(None);
        }
        let addressed = |to| Fact { to, ..fact.clone() };
        to.into_iter().map(addressed).collect()
    }

    fn is_for_us(&self, fact: &Fact) -> bool {
        let users = &self.config.users;
        let is_theirs = fact.user.as_ref().is_some_and(|user| users.contains(user));
        users.is_empty() || !fact.kind.is_of_a_job() || is_theirs
    }

    /// Says whether it is too long ago for anybody to be told.
    fn is_stale(&self, at_ms: i64, wall_ms: i64) -> bool {
        let age = u64::try_from(wall_ms.saturating_sub(at_ms)).unwrap_or(0);
        Duration::from_millis(age) > self.config.give_up_after
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
        if let Some(fact) = fact.filter(|fact| self.config.on.contains(&fact.kind)) {
            let now = self.now();
            self.digest.take(fact, now);
        }
    }

    /// Makes messages of what is due, keeps them, and tries one after another, while the channel is in the file.
    async fn hand_over(&mut self) {
        let now = self.now();
        for summary in self.digest.due(now, self.outbox.room()) {
            let id = self.next_id();
            self.outbox.push(Message { id, summary });
            self.is_unkept = true;
        }
        if !self.keep_if_due(now).await {
            return;
        }
        while self.line.is_there() {
            let now = self.now();
            let Some(message) = self.outbox.next(now) else {
                return;
            };
            let said = self.line.deliver(message).await;
            self.on_tried(said);
            self.show();
            let now = self.now();
            if !self.keep_if_due(now).await {
                return;
            }
        }
    }

    /// Names a message: its number, and when it was made, since numbers come again when the store is restored from a backup.
    fn next_id(&mut self) -> String {
        let (farm, channel, number) = (&self.line.farm.id, &self.line.name, self.next);
        self.next += 1;
        message_id(farm, channel, number, self.ways.clock.now().wall.0)
    }

    /// Takes the outcome of a try of the first message.
    fn on_tried(&mut self, said: Result<Taken, Refused>) {
        match said {
            Ok(taken) => self.on_taken(taken.but),
            Err(Refused { why, fault }) => match fault {
                Fault::Later => self.on_not_now(why),
                Fault::Message => self.on_refused(why),
                Fault::Addressee => {
                    if let Some(message) = self.outbox.give_up_first() {
                        self.on_given_up(&message, &why);
                    }
                }
            },
        }
    }

    fn on_taken(&mut self, but: Option<String>) {
        self.outbox.on_taken(self.now());
        self.is_unkept = true;
        let channel = &self.line.name;
        let mut status = self.line.lock();
        status.told += 1;
        status.last_told_ms = Some(self.ways.clock.now().wall.0);
        if status.failing_since_ms.take().is_some() {
            tracing::info!(channel, "messages are taken again");
        }
        status.last_error = None;
        if let Some(why) = but {
            tracing::warn!(channel, why, "a message was taken for others only");
            status.last_refused = Some(why);
        }
    }

    fn on_not_now(&mut self, why: String) {
        self.outbox.on_not_now(self.now());
        self.is_failing(why);
    }

    fn on_refused(&mut self, why: String) {
        let channel = &self.line.name;
        let message = self.outbox.next(self.now());
        let (id, what) = message.map_or_else(Default::default, |it| (it.id.clone(), it.headline()));
        tracing::warn!(
            channel,
            id,
            what,
            why,
            "a message was refused for good; what is behind it goes on"
        );
        let is_to_one = match &self.config.target {
            Target::Mail(target) => target.is_to_one(),
            Target::Webhook(_) => false,
        };
        let left = self.outbox.on_refused(self.now(), is_to_one);
        self.is_unkept = true;
        self.line.lock().last_refused = Some(format!("{what}: {why}"));
        self.is_failing(why);
        match left {
            Some(Left::GivenUp(message)) => {
                self.on_given_up(&message, "too many others were refused after it");
            }
            Some(Left::Back(message)) => self.gather_again(message),
            None => {}
        }
    }

    /// Gathers what there is no room for with what follows of its cause, unless it is too long ago.
    fn gather_again(&mut self, message: Message) {
        let now = self.ways.clock.now();
        if self.is_stale(message.summary.last_ms, now.wall.0) {
            self.on_given_up(&message, "it was refused for too long");
        } else {
            self.digest.take_back(message.summary, now.elapsed);
        }
    }

    /// Notes that nothing is taken, until something is.
    fn is_failing(&self, why: String) {
        let mut status = self.line.lock();
        // Told once: a receiver that is down for a day fills no log.
        if status.failing_since_ms.is_none() {
            let channel = &self.line.name;
            tracing::warn!(
                channel,
                why,
                "a message was not taken; it is tried again, less and less often"
            );
            status.failing_since_ms = Some(self.ways.clock.now().wall.0);
        }
        status.last_error = Some(why);
    }

    /// Gives up what has been on its way for too long.
    fn age(&mut self, by: Duration) {
        for message in self.outbox.age(by, self.config.give_up_after) {
            let why = self.line.status().last_error.unwrap_or_default();
            self.on_given_up(&message, &why);
        }
    }

    fn on_given_up(&mut self, message: &Message, why: &str) {
        self.is_unkept = true;
        let (channel, id, what) = (&self.line.name, &message.id, message.headline());
        tracing::error!(
            channel,
            id,
            what,
            why,
            "a message was given up: nobody was told"
        );
        let mut status = self.line.lock();
        status.given_up += 1;
        status.last_refused = Some(format!("{what}: {why}"));
    }

    /// Keeps the state if it must be kept, or was not for a while; answers whether what is to be kept is.
    async fn keep_if_due(&mut self, now: Duration) -> bool {
        let (kept_at, kept_cursor) = self.kept;
        let is_old = now.saturating_sub(kept_at) >= KEEP_EVERY && kept_cursor != self.cursor;
        if !self.is_unkept && !is_old {
            return true;
        }
        let row = self.state(now).write(&self.line.name);
        if self.ways.core.keep(vec![row]).await.is_err() {
            return false;
        }
        self.kept = (now, self.cursor);
        self.is_unkept = false;
        true
    }

    /// Answers where it stands.
    fn state(&self, now: Duration) -> State {
        let mut state = State::new(self.cursor);
        state.next = self.next;
        state.causes = self.digest.kept(now);
        state.level = self.level;
        state.outbox = self.outbox.kept();
        state
    }

    /// Answers how long there is nothing to do by itself.
    fn wait(&self, now: Duration) -> Duration {
        if self.is_unkept {
            return TROUBLE_PAUSE;
        }
        let gathered = self.digest.next_due().filter(|_| self.outbox.room() > 0);
        let next = [gathered, self.outbox.next_at()];
        let next = next.into_iter().flatten().min();
        let until = next.map(|at| at.saturating_sub(now));
        let gives_up = self.outbox.gives_up_in(self.config.give_up_after);
        let wait = [until, gives_up].into_iter().flatten().min();
        wait.map_or(KEEP_EVERY, |wait| wait.min(KEEP_EVERY))
    }

    fn show(&self) {
        let mut status = self.line.lock();
        (status.waiting, status.aside) = self.outbox.counts();
        status.gathering = self.digest.gathering();
    }
}

/// Makes a name that no other message of any channel of the farm has, also after its store was restored from a backup: numbers come
/// again then, the time does not.
fn message_id(farm: &str, channel: &str, number: u64, wall_ms: i64) -> String {
    format!("msg_{farm}_{channel}_{number}-{wall_ms}")
}
