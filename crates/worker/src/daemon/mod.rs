//! The one loop of the worker: what happens outside becomes inputs of the engine, its effects are carried out in order.
//!
//! Nothing in the loop waits for the supervisor, a launcher, a process or a log: those have tasks of their own. A turn
//! takes everything that has happened meanwhile, and what it says to the supervisor goes out together.

mod orders;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tessera_engine::Now;
use tessera_engine::worker::{Input, Worker};
use tessera_model::msg::{FromWorker, LaunchKey, RunLimits, ToWorker};
use tessera_model::{HostFacts, Running, ServedSettings, WhileActive};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use crate::connection::Connection;
use crate::credential::Vault;
use crate::desk::{self, Look, Watcher};
use crate::error::WorkerError;
use crate::keeper::Order;
use crate::looker::{Looker, Served, Settled};
use crate::options::Settings;
use crate::os;
use crate::output::{Command, Output, Told};
use crate::processes::Processes;
use crate::scan::{self, Taken};
use crate::state::{Spool, StateDir};

/// Events that may wait; who has more waits.
const EVENTS_MAX: usize = 4 * 1024;
/// Events of one turn.
const TURN_MAX: usize = 256;
/// Words for the supervisor that may wait for room; with more the connection is given up and made anew.
const OUTBOX_MAX: usize = 64 * 1024;
/// Keepers may take so long to finish when the worker ends; the next worker takes up what they leave.
const LET_GO_WITHIN: Duration = Duration::from_secs(2);
/// How often it is looked how old this worker's keys for registered passwords are.
const KEYS_EVERY: Duration = Duration::from_secs(3_600);
/// A supervisor that says that it serves settings may take so long.
const SETTLED_WITHIN: Duration = Duration::from_secs(10);

/// What happens outside.
#[derive(Debug)]
pub(crate) enum Event {
    /// Something the engine knows what to do with.
    Input(Input),
    /// The supervisor has welcomed us.
    Connected {
        number: u64,
        outgoing: mpsc::Sender<Vec<FromWorker>>,
        heartbeat: Duration,
        /// The farm's id.
        farm: String,
        /// What was said of the host.
        facts: Box<HostFacts>,
        /// Whether the supervisor says what it sets for this worker.
        serves: bool,
        /// Dropped to give the connection up.
        hold: oneshot::Sender<()>,
    },
    /// The supervisor spoke.
    Said {
        number: u64,
        messages: Vec<ToWorker>,
    },
    /// The connection is over.
    Disconnected { number: u64 },
    /// The host is not what we said it was.
    Facts(Box<HostFacts>),
    /// The vault has something to say.
    Tell(Vec<FromWorker>),
    /// It is time to look how old this worker's keys are.
    KeysDue,
    /// The person at the host wants something else, or has come or gone.
    Desk(Box<HostFacts>),
    /// What the supervisor serves was taken.
    Settled(Box<Settled>),
    /// For so long nobody has touched this host, which is closed while somebody is active.
    Idle(Duration),
}

/// The way to the supervisor.
struct Link {
    number: u64,
    outgoing: mpsc::Sender<Vec<FromWorker>>,
    heartbeat: Duration,
    last_said: Instant,
    _hold: oneshot::Sender<()>,
}

impl Link {
    /// Answers when a heartbeat is due: well before the supervisor starts to wonder.
    fn heartbeat_due(&self) -> Instant {
        self.last_said + self.heartbeat.mul_f32(0.6)
    }
}

struct Daemon<P> {
    engine: Worker,
    /// The origin of elapsed time.
    began: Instant,
    processes: P,
    spool: Spool,
    spool_max: u64,
    is_durable: bool,
    output: Output,
    events: mpsc::Sender<Event>,
    keepers: BTreeMap<LaunchKey, mpsc::Sender<Order>>,
    limits: BTreeMap<LaunchKey, RunLimits>,
    /// Whose jobs the launches are of, as far as is known.
    owners: BTreeMap<LaunchKey, String>,
    /// What was said to the supervisor of the host over this connection.
    said: Option<HostFacts>,
    /// Until when it is waited for what the supervisor sets for this worker, before it is told what this worker has.
    awaits: Option<Instant>,
    /// Whether this worker takes what the supervisor sets for it.
    takes_settings: bool,
    /// The way to who takes it; only the last of it counts.
    served: watch::Sender<Option<Served>>,
    /// The way to who looks whether somebody is active.
    watcher: mpsc::Sender<Option<WhileActive>>,
    /// The tasks of keepers.
    kept: JoinSet<()>,
    /// All others.
    tasks: JoinSet<()>,
    link: Option<Link>,
    outbox: Vec<FromWorker>,
    told: Told,
    recheck: Arc<Notify>,
    /// Registered passwords, on a host that needs them.
    vault: Option<Vault>,
    /// The farm that this worker was last connected to.
    farm: Option<String>,
    /// When it was last said that the spool fills up.
    warned_at: Option<Instant>,
}

/// Runs the worker until `stop`.
pub(crate) async fn run<P: Processes>(
    settings: Settings,
    processes: P,
    eyes: Arc<dyn Look>,
    vault: Option<Vault>,
    stop: CancellationToken,
) -> Result<(), WorkerError> {
    let state = StateDir::open(&settings.state)?;
    let (events, inbox) = mpsc::channel(EVENTS_MAX);
    let (orders, ordered) = mpsc::channel(desk::ORDERS_MAX);
    let (output, delivery) = Output::start(events.clone());
    let processes_too = processes.clone();
    let mut daemon = Daemon::new(
        &settings,
        processes_too,
        state.spool(),
        output,
        events,
        orders,
    );
    let path = settings.config_path.clone();
    let watcher = Watcher::new(&settings.config, path, settings.config_seen, eyes);
    let (desk_now, desk) = watch::channel(watcher.desk());
    let recheck = Arc::clone(&daemon.recheck);
    let mut looker = Looker::new(settings, processes, &state, desk, vault.is_some(), recheck);
    daemon.guard(vault);
    // Shepherds are taken over first: what is wrong with the launcher, say, may take a while to find out.
    daemon.take_over().await;
    let findings = looker.look().await;
    let (facts_now, facts) = watch::channel(looker.facts(&findings));
    let served = daemon.served.subscribe();
    let wanted = facts.borrow().clone();
    daemon.do_as_wanted(&wanted);
    let connection = Connection {
        supervisor: looker.settings.supervisor.clone(),
        identity: state.identity().to_owned(),
        facts,
        events: daemon.events.clone(),
        output: daemon.output.clone(),
        clock_offset_ms: Arc::clone(&looker.clock_offset_ms),
        recheck: Arc::clone(&daemon.recheck),
    };
    daemon.tasks.spawn(connection.run(stop.clone()));
    let events = daemon.events.clone();
    daemon
        .tasks
        .spawn(watcher.run(ordered, desk_now, events.clone()));
    daemon
        .tasks
        .spawn(looker.keep_looking(facts_now, events, served, findings));
    daemon.turns(inbox, stop).await;
    daemon.let_go().await;
    daemon.tasks.shutdown().await;
    daemon.output.tell_all(daemon.told.take()).await;
    drop(daemon);
    let _ended = delivery.await;
    Ok(())
}

impl<P: Processes> Daemon<P> {
    fn new(
        settings: &Settings,
        processes: P,
        spool: Spool,
        output: Output,
        events: mpsc::Sender<Event>,
        watcher: mpsc::Sender<Option<WhileActive>>,
    ) -> Self {
        Self {
            engine: Worker::new(),
            began: Instant::now(),
            processes,
            spool,
            spool_max: settings.config.worker_spool_max,
            is_durable: settings.config.worker_spool_durable,
            output,
            events,
            keepers: BTreeMap::new(),
            limits: BTreeMap::new(),
            owners: BTreeMap::new(),
            said: None,
            awaits: None,
            takes_settings: settings.own.lookup().asks_supervisor(),
            served: watch::Sender::new(None),
            watcher,
            kept: JoinSet::new(),
            tasks: JoinSet::new(),
            link: None,
            outbox: Vec::new(),
            told: Told::default(),
            recheck: Arc::new(Notify::new()),
            vault: None,
            farm: None,
            warned_at: None,
        }
    }

    /// Takes the vault: what launches find goes to the supervisor, and its keys are looked at from time to time.
    fn guard(&mut self, vault: Option<Vault>) {
        let Some(vault) = vault else { return };
        let events = self.events.clone();
        vault.tell_through(Box::new(move |checked| {
            // What is lost here the refusal of the launch says, too.
            let _full = events.try_send(Event::Tell(vec![FromWorker::CredentialChecked(checked)]));
        }));
        self.vault = Some(vault);
        let events = self.events.clone();
        self.tasks.spawn(async move {
            loop {
                tokio::time::sleep(KEYS_EVERY).await;
                if events.send(Event::KeysDue).await.is_err() {
                    return;
                }
            }
        });
    }

    /// Says this worker's keys; the inventory, after which it is given work, follows them.
    fn tell_keys(&mut self) {
        let (Some(vault), Some(farm)) = (&self.vault, &self.farm) else {
            return;
        };
        match vault.keys(farm, os::wall()) {
            Ok(keys) => {
                for key in &keys.keys {
                    tracing::info!(pool = %keys.pool, fingerprint = %key.id, "this worker's key for registered passwords");
                }
                self.tell(vec![FromWorker::PoolKeys(keys)]);
            }
            Err(error) => {
                tracing::error!(%error, "this worker's keys for registered passwords can't be used; it is given no work that needs one");
            }
        }
    }

    fn tell(&mut self, messages: Vec<FromWorker>) {
        if self.link.is_some() {
            self.outbox.extend(messages);
        }
    }

    /// Has the vault do what the supervisor asks; what takes time on a thread of its own.
    fn ask_vault(&mut self, message: ToWorker, is_quick: bool) {
        let Some(vault) = self.vault.clone() else {
            return;
        };
        if is_quick {
            let said = vault.take(message);
            return self.tell(said);
        }
        let events = self.events.clone();
        self.tasks.spawn(async move {
            let said = tokio::task::spawn_blocking(move || vault.take(message)).await;
            let _ends_too = events.send(Event::Tell(said.unwrap_or_default())).await;
        });
    }

    fn now(&self) -> Now {
        Now {
            wall: os::wall(),
            elapsed: self.began.elapsed(),
        }
    }

    /// Takes up what an earlier worker left.
    async fn take_over(&mut self) {
        let taken = scan::take_over(&self.processes, &self.spool, &self.output).await;
        if !taken.is_empty() {
            tracing::info!(
                launches = taken.len(),
                "took over what an earlier worker left"
            );
        }
        for Taken {
            found,
            shepherd,
            dir,
            owner,
        } in taken
        {
            let (key, current) = (found.key, found.current);
            self.owners.extend(owner.map(|it| (key, it)));
            self.limits.insert(key, found.limits.clone());
            let keeper = self.keeper(key, dir, current);
            self.kept.spawn(keeper.take_over(shepherd));
            // An end that was found while its attempt still ran can't be: the shepherd says that one.
            for effect in self.engine.adopt(self.now(), found) {
                self.carry_out(effect);
            }
        }
    }

    async fn turns(&mut self, mut inbox: mpsc::Receiver<Event>, stop: CancellationToken) {
        let mut events = Vec::with_capacity(TURN_MAX);
        loop {
            let deadline = self.deadline();
            tokio::select! {
                count = inbox.recv_many(&mut events, TURN_MAX) => {
                    if count == 0 {
                        return;
                    }
                }
                () = until(deadline) => {}
                () = room(self.link.as_ref()), if !self.outbox.is_empty() => {}
                () = stop.cancelled() => return,
            }
            for event in events.drain(..) {
                self.on_event(event);
            }
            if self.awaits.is_some_and(|at| at <= Instant::now()) {
                tracing::warn!(
                    "the supervisor has not said what it sets for this host; it goes on with what it has"
                );
                self.greet();
            }
            if self.is_tick_due() {
                self.input(Input::Tick);
            }
            self.beat();
            if !self.flush() {
                self.disconnect();
            }
            if let Some(commands) = self.told.take_due() {
                self.output.tell_all(commands).await;
            }
            while self.kept.try_join_next().is_some() {}
            while self.tasks.try_join_next().is_some() {}
        }
    }

    /// Answers when something is due though nothing happens.
    fn deadline(&self) -> Option<Instant> {
        let limit = self.engine.next_deadline().map(|it| self.began + it);
        let heartbeat = self.link.as_ref().map(Link::heartbeat_due);
        [limit, heartbeat, self.told.due(), self.awaits]
            .into_iter()
            .flatten()
            .min()
    }

    /// Lets keepers finish what they are at: an item whose files are made should also be told to run. What runs goes on.
    async fn let_go(&mut self) {
        self.keepers.clear();
        let all = async { while self.kept.join_next().await.is_some() {} };
        if timeout(LET_GO_WITHIN, all).await.is_err() {
            self.kept.shutdown().await;
        }
    }

    fn is_tick_due(&self) -> bool {
        self.engine
            .next_deadline()
            .is_some_and(|it| it <= self.began.elapsed())
    }

    fn on_event(&mut self, event: Event) {
        match event {
            Event::Input(input) => {
                self.tell_output(&input);
                self.input(input);
            }
            Event::Connected {
                number,
                outgoing,
                heartbeat,
                farm,
                facts,
                serves,
                hold: _hold,
            } => {
                self.outbox.clear();
                self.said = Some(*facts);
                let last_said = Instant::now();
                self.link = Some(Link {
                    number,
                    outgoing,
                    heartbeat,
                    last_said,
                    _hold,
                });
                self.farm = Some(farm);
                // With what it set before the connection: it would be given work by that.
                if serves && self.takes_settings {
                    self.awaits = Some(Instant::now() + SETTLED_WITHIN);
                } else {
                    self.greet();
                }
            }
            Event::Said { number, messages } => {
                if self.is_current(number) {
                    for message in messages {
                        if let ToWorker::LockWhileActive(rule) = &message {
                            self.tell_watcher(*rule);
                        }
                        if let ToWorker::Settings(settings) = message {
                            self.serve(number, *settings);
                            continue;
                        }
                        match Vault::is_for(&message) {
                            Some(is_quick) => self.ask_vault(message, is_quick),
                            None => self.input(Input::Said(Box::new(message))),
                        }
                    }
                }
            }
            Event::Disconnected { number } => {
                if self.is_current(number) {
                    self.disconnect();
                }
            }
            Event::Facts(facts) => self.say_facts(&facts),
            Event::Settled(settled) => {
                self.spool_max = settled.spool_max;
                self.is_durable = settled.is_durable;
                let is_awaited = self.awaits.is_some() && self.is_current(settled.connection);
                let is_news = self.tell_facts(&settled.facts);
                if is_awaited || (is_news && self.awaits.is_none()) {
                    self.greet();
                }
            }
            Event::Desk(facts) => {
                // The supervisor hears of it first, so that it has nothing come after what goes.
                self.say_facts(&facts);
                self.do_as_wanted(&facts);
            }
            Event::Idle(time) => {
                if self.link.is_some() {
                    self.outbox.push(FromWorker::Idle(time));
                }
            }
            Event::Tell(messages) => self.tell(messages),
            Event::KeysDue => self.tell_keys(),
        }
    }

    /// Tells the supervisor what the host is, unless it knows, and as on a new connection everything that it must know then.
    fn say_facts(&mut self, facts: &HostFacts) {
        if self.tell_facts(facts) && self.awaits.is_none() {
            self.greet();
        }
    }

    /// Tells the supervisor what the host is; says whether that is news.
    fn tell_facts(&mut self, facts: &HostFacts) -> bool {
        let is_news = self.link.is_some() && self.said.as_ref() != Some(facts);
        if is_news {
            self.said = Some(facts.clone());
            self.outbox.push(FromWorker::Hello(facts.clone()));
        }
        is_news
    }

    /// Says what this worker has; from then on it is given work.
    fn greet(&mut self) {
        self.awaits = None;
        self.tell_keys();
        self.input(Input::Connected);
    }

    /// Has taken what the supervisor serves.
    fn serve(&mut self, connection: u64, settings: ServedSettings) {
        let farm = self.farm.clone().unwrap_or_default();
        self.served.send_replace(Some(Served {
            connection,
            farm,
            settings: Arc::new(settings),
        }));
    }

    /// Does with what runs as the person at the host wants it: whom they don't let in goes; who works here may have the rest
    /// suspended, or gone.
    fn do_as_wanted(&mut self, facts: &HostFacts) {
        let closed = facts.presence.as_ref().filter(|it| it.is_closed);
        let running = closed.map(|it| it.rule.running);
        self.input(Input::Closed {
            is_closed: closed.is_some(),
            suspends: running == Some(Running::Suspend),
        });
        let gives_all_back = running == Some(Running::Requeue);
        let goes = |key: &LaunchKey, owners: &BTreeMap<LaunchKey, String>| {
            gives_all_back || owners.get(key).is_some_and(|it| !facts.admits(it))
        };
        let keys = self.engine.launches().map(|it| it.key);
        let going: Vec<LaunchKey> = keys.filter(|key| goes(key, &self.owners)).collect();
        for key in going {
            tracing::info!(launch = %key, "the person at this host wants it gone; it is put back");
            self.input(Input::GiveBack(key));
        }
    }

    fn tell_watcher(&self, rule: Option<WhileActive>) {
        if self.watcher.try_send(rule).is_err() {
            tracing::error!(
                "orders to lock while somebody is active come too fast; one is dropped"
            );
        }
    }

    fn is_current(&self, number: u64) -> bool {
        self.link.as_ref().is_some_and(|it| it.number == number)
    }

    fn disconnect(&mut self) {
        self.link = None;
        self.awaits = None;
        self.outbox.clear();
        self.input(Input::Disconnected);
    }

    /// Output of what has ended is complete.
    fn tell_output(&mut self, input: &Input) {
        match input {
            Input::ItemEnded { key, run, end } => {
                self.told.push(
                    Command::Ended {
                        key: *key,
                        run: *run,
                    },
                    end.kept != [0, 0],
                );
            }
            Input::Gone(key) => {
                self.keepers.remove(key);
                self.told.push(Command::Gone(*key), false);
            }
            Input::Refused { key, refusal } => {
                tracing::info!(launch = %key, %refusal, "an instance was refused");
                self.keepers.remove(key);
            }
            Input::Connected
            | Input::Disconnected
            | Input::Said(_)
            | Input::Started { .. }
            | Input::ItemStarted { .. }
            | Input::Printed { .. }
            | Input::Progress { .. }
            | Input::StarterLost(_)
            | Input::ShepherdLost(_)
            | Input::Closed { .. }
            | Input::GiveBack(_)
            | Input::Tick => {}
        }
    }

    fn input(&mut self, input: Input) {
        for effect in self.engine.handle(self.now(), input) {
            self.carry_out(effect);
        }
    }

    fn beat(&mut self) {
        let is_due = self
            .link
            .as_ref()
            .is_some_and(|it| it.heartbeat_due() <= Instant::now());
        if is_due && self.outbox.is_empty() {
            self.outbox.push(FromWorker::Heartbeat);
        }
    }

    /// Sends what this turn said, if there is room; else it waits for the next. False when the supervisor has not read for
    /// too long.
    fn flush(&mut self) -> bool {
        let Some(link) = &mut self.link else {
            self.outbox.clear();
            return true;
        };
        if self.outbox.is_empty() {
            return true;
        }
        link.last_said = Instant::now();
        match link.outgoing.try_send(std::mem::take(&mut self.outbox)) {
            // The end of the connection is on its way as an event.
            Ok(()) | Err(TrySendError::Closed(_)) => true,
            Err(TrySendError::Full(messages)) => {
                self.outbox = messages;
                let is_bearable = self.outbox.len() <= OUTBOX_MAX;
                if !is_bearable {
                    tracing::warn!("the supervisor does not read; the connection is made anew");
                }
                is_bearable
            }
        }
    }
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

/// Waits until the supervisor can be told more, or can't be told anything.
async fn room(link: Option<&Link>) {
    match link {
        Some(link) => drop(link.outgoing.reserve().await),
        None => std::future::pending().await,
    }
}
