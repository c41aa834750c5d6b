//! Windows. On a user's desktop instances live in the worker, their processes in job objects that die with it. As a service they
//! live in the worker as well, and their processes in job objects of the launcher, which is asked over a pipe.

mod base;
mod link;
mod remote;
mod system;

use std::collections::BTreeMap;
use std::io;
use std::os::windows::io::{AsHandle as _, AsRawHandle as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tessera_ticket::launcher::Capabilities;
use tessera_ticket::pipe::{Answer, Ask};
use tessera_ticket::{Mode as TicketMode, PathMap, Refusal, Step, Ticket};
use tessera_windows::{Sid, Token};
use tokio::sync::{mpsc, watch};

use super::inside::{Handle, Instance, Order, System};
use super::owner::{Owner, refused, ticket_of_owner};
use super::{
    ChainError, EndCause, LaunchKey, RunItem, ShepherdEvent, ShepherdState, StartError,
    StartRequest, Started, spool,
};
use crate::config::Config;
use crate::credential::{LogonFailed, Vault};
use crate::error::WorkerError;
use crate::options::{self, Options};
use crate::os;
use link::{Link, PIPE};
use remote::Remote;
use system::Jobs;

/// How long what is left of a launch may take to end.
const GONE_TIMEOUT: Duration = Duration::from_secs(20);
/// What says in a directory which processes a launch began.
const PROCESSES: &str = "processes";
/// The most bytes of that file.
const PROCESSES_BYTES_MAX: u64 = 1 << 20;

/// How instances are started on this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mode {
    /// Through the privileged launcher beside the worker.
    Service {
        /// Its pipe.
        pipe: String,
        /// 0 to 19; more is less.
        nice: u8,
    },
    /// As the worker's own user.
    Desktop {
        /// The user (in small letters), and whom they let in.
        owner: Owner,
        /// Variables of the session that jobs see beside the usual ones.
        variables: Vec<String>,
        /// Where instances have their private directories.
        tmp: PathBuf,
        /// 0 to 19; more is less.
        nice: u8,
        /// How paths of other systems are called here.
        paths: PathMap,
    },
}

impl Mode {
    /// Settles what the options leave open.
    pub(crate) fn of(options: &Options, config: &Config) -> Result<Self, WorkerError> {
        let nice = config.proxy_nice_value;
        match &options.mode {
            options::Mode::Service { .. } if is_system() => Err(WorkerError::ServiceAsSystem),
            options::Mode::Service { launcher_socket } => {
                let named = launcher_socket.as_ref();
                let pipe = named.map_or_else(|| PIPE.into(), |it| it.to_string_lossy());
                let pipe = pipe.into_owned();
                Ok(Self::Service { pipe, nice })
            }
            options::Mode::Desktop if os::is_privileged() => Err(WorkerError::DesktopAsRoot),
            options::Mode::Desktop => Ok(Self::Desktop {
                owner: Owner {
                    user: os::own_account()?,
                    config: options.config_path(),
                },
                variables: config.desktop_environment.clone(),
                tmp: options.state.join("worker").join("tmp"),
                nice,
                paths: config.worker_path_map.clone(),
            }),
        }
    }

    /// Says what it means that capabilities can't be had, and what to do.
    pub(crate) fn no_answer(&self, cause: &str) -> String {
        match self {
            Self::Service { .. } => format!(
                "the launcher does not answer ({cause}); see whether the service TesseraLaunch runs, and its launcher.log"
            ),
            Self::Desktop { .. } => format!("nothing can be started ({cause})"),
        }
    }
}

/// What a desktop's instances are made of.
struct Own<'a> {
    owner: &'a Owner,
    variables: &'a [String],
    tmp: &'a Path,
    nice: u8,
    paths: &'a PathMap,
}

/// Instances of this worker; cheap to clone.
#[derive(Debug, Clone)]
pub struct Chain {
    mode: Arc<Mode>,
    /// Registered passwords, for launchers that take tokens.
    vault: Option<Vault>,
    /// Those that are not gone, each with the way to tell it, and to hear that it is.
    alive: Arc<Mutex<BTreeMap<LaunchKey, Alive>>>,
}

#[derive(Debug, Clone)]
struct Alive {
    orders: mpsc::Sender<Order>,
    /// Closed when the instance is gone.
    gone: watch::Receiver<()>,
}

/// An instance of this worker.
#[derive(Debug)]
pub struct Shepherd {
    key: LaunchKey,
    dir: PathBuf,
    orders: mpsc::Sender<Order>,
    events: mpsc::UnboundedReceiver<ShepherdEvent>,
}

impl Chain {
    /// Makes a chain.
    pub fn new(mode: Mode) -> Self {
        Self {
            mode: Arc::new(mode),
            vault: None,
            alive: Arc::default(),
        }
    }

    /// Has accounts logged on with registered passwords where the launcher wants that.
    #[must_use]
    pub fn with_passwords(mut self, vault: Option<Vault>) -> Self {
        self.vault = vault;
        self
    }

    /// Says what this host can do.
    ///
    /// # Errors
    /// When the launcher of a service does not say.
    pub async fn capabilities(&self) -> Result<Capabilities, ChainError> {
        let pipe = match &*self.mode {
            Mode::Service { pipe, .. } => pipe.clone(),
            Mode::Desktop { .. } => {
                return Ok(Capabilities {
                    containment: "job".to_owned(),
                    modes: vec!["desktop".to_owned()],
                    version: env!("CARGO_PKG_VERSION").to_owned(),
                    ..Capabilities::default()
                });
            }
        };
        match ask_once(pipe, Ask::Capabilities).await? {
            Answer::Capabilities(what) => Ok(what),
            _ => Err(NONSENSE),
        }
    }

    /// Starts an instance; its items start when they are run.
    ///
    /// # Errors
    /// `Refused` when the ticket is not for this desktop or for another template, or the launcher refuses; `Unavailable` when
    /// that does not answer.
    pub async fn start(&self, req: StartRequest) -> Result<(Started, Shepherd), StartError> {
        match &*self.mode {
            Mode::Service { pipe, nice } => self.start_remote(req, pipe.clone(), *nice).await,
            Mode::Desktop {
                owner,
                variables,
                tmp,
                nice,
                paths,
            } => {
                let own = Own {
                    owner,
                    variables,
                    tmp,
                    nice: *nice,
                    paths,
                };
                self.start_here(req, &own)
            }
        }
    }

    /// Starts an instance as this user.
    fn start_here(
        &self,
        req: StartRequest,
        own: &Own<'_>,
    ) -> Result<(Started, Shepherd), StartError> {
        let ticket = ticket_of_owner(&req, own.owner)?;
        let refuse = |refusal: Refusal| {
            let text = refusal.sentence(&host(), "an instance", "of this desktop");
            refused(&refusal, text)
        };
        if ticket.mode != TicketMode::Desktop {
            let mode = ticket.mode.name();
            return Err(refuse(Refusal::ModeNotAllowed { mode }));
        }
        ticket.check_times(os::wall_ms()).map_err(refuse)?;
        let template = ticket.check_template(&req.template).map_err(refuse)?;
        let tmp = own.tmp.join(req.key.to_string());
        os::dirs().create(&tmp).map_err(|error| {
            let errno = error.raw_os_error().unwrap_or(0);
            refuse(Refusal::StateUnwritable { errno })
        })?;
        let instance = Instance {
            system: Jobs,
            template,
            env: base::environment(&tmp, &ticket.farm, own.variables),
            home: base::home(),
            nice: own.nice,
            paths: own.paths.clone(),
            tmp: Some(tmp),
            processes: req.dir.join(PROCESSES),
            ticket,
        };
        let started = self.started(own.owner.user.clone());
        Ok((started, self.begin(req.key, req.dir, instance)?))
    }

    /// Has the launcher log the account on. It judges the ticket; here it is only read.
    async fn start_remote(
        &self,
        req: StartRequest,
        pipe: String,
        nice: u8,
    ) -> Result<(Started, Shepherd), StartError> {
        let unreadable = |reason: String| {
            let refusal = Refusal::TicketMalformed { reason };
            let text = refusal.sentence(&host(), "an instance", "unknown");
            refused(&refusal, text)
        };
        let ticket = Ticket::decode(&req.ticket).map_err(|it| unreadable(it.to_string()))?;
        let template = ticket.check_template(&req.template);
        let template = template.map_err(|it| refused(&it, it.reason_and_hint()))?;
        let ask = Ask::Start {
            ticket: req.ticket,
            signature: req.signature,
            template: req.template,
            nice,
            token: 0,
        };
        let (vault, named) = (self.vault.clone(), ticket.clone());
        let talk = move || begin_remote(&pipe, ask, vault.as_ref(), &named);
        let asked = tokio::task::spawn_blocking(talk).await;
        let asked = asked.unwrap_or_else(|error| Err(io::Error::other(error)));
        let asked = asked
            .map_err(ChainError::io("the launcher could not be asked"))
            .map_err(StartError::Unavailable)?;
        let (link, answer) = asked.map_err(|failed| not_logged_on(&failed, &ticket))?;
        let account = match answer {
            Answer::Started { account } => account,
            Answer::Refused { code, text, hint } => {
                return Err(StartError::Refused { code, text, hint });
            }
            _ => return Err(StartError::Unavailable(NONSENSE)),
        };
        let instance = Instance {
            system: Remote::new(link, ticket.limits.memory),
            template,
            // The launcher has its own.
            env: Vec::new(),
            home: String::new(),
            nice,
            paths: PathMap::default(),
            tmp: None,
            processes: req.dir.join(PROCESSES),
            ticket,
        };
        let started = self.started(account);
        Ok((started, self.begin(req.key, req.dir, instance)?))
    }

    #[expect(clippy::unused_self, reason = "of an instance of this chain")]
    fn started(&self, account: String) -> Started {
        Started {
            account,
            uid: 0,
            containment: "job".to_owned(),
            shepherd_pid: std::process::id(),
        }
    }

    fn begin<S: System>(
        &self,
        key: LaunchKey,
        dir: PathBuf,
        instance: Instance<S>,
    ) -> Result<Shepherd, StartError> {
        let mut alive = self.alive.lock().unwrap_or_else(PoisonError::into_inner);
        if alive.contains_key(&key) {
            let text = format!("launch {key} was started before");
            return Err(refused(&Refusal::Busy, text));
        }
        let (over, gone) = watch::channel(());
        let Handle { orders, events } = instance.begin(over);
        let known = Alive {
            orders: orders.clone(),
            gone,
        };
        alive.insert(key, known);
        Ok(Shepherd {
            key,
            dir,
            orders,
            events,
        })
    }

    /// Answers that there is no instance of an earlier worker: it has died with that.
    ///
    /// # Errors
    /// Always `NotThere`.
    #[expect(clippy::unused_async, reason = "as on other systems")]
    pub async fn adopt(
        &self,
        key: LaunchKey,
        _dir: &Path,
    ) -> Result<(Shepherd, ShepherdState), ChainError> {
        let launch = key.to_string();
        Err(ChainError::NotThere { launch })
    }

    /// Returns when nothing of the launch is alive. An instance of this worker is ended first. What an earlier worker began
    /// was ended by the system with that worker; its main processes are looked for all the same.
    ///
    /// # Errors
    /// When something is still alive; ask again later.
    pub async fn prove_gone(&self, key: LaunchKey, dir: &Path) -> Result<(), ChainError> {
        let known = {
            let alive = self.alive.lock().unwrap_or_else(PoisonError::into_inner);
            alive.get(&key).cloned()
        };
        if let Some(Alive { orders, mut gone }) = known {
            // It may be closing already.
            let _ = orders.try_send(Order::Close);
            // An error says that nobody holds the other end any more.
            let is_gone = async { while gone.changed().await.is_ok() {} };
            timeout(is_gone).await?;
        }
        if let Mode::Service { pipe, .. } = &*self.mode {
            let gone = Ask::Gone { key: wire_key(key) };
            return match ask_once(pipe.clone(), gone).await? {
                Answer::Done => {
                    self.forget(key, dir);
                    Ok(())
                }
                Answer::Refused { text, .. } => Err(ChainError::Refused { text }),
                _ => Err(NONSENSE),
            };
        }
        let path = dir.join(PROCESSES);
        let ended =
            tokio::task::spawn_blocking(move || system::end_all(&path, PROCESSES_BYTES_MAX));
        let ended = timeout(ended).await?;
        if !ended.unwrap_or(false) {
            let text = format!("a process of launch {key} does not end");
            return Err(ChainError::Refused { text });
        }
        self.forget(key, dir);
        Ok(())
    }

    /// Removes what only a living launch needs; output and exit records stay.
    pub fn forget(&self, key: LaunchKey, dir: &Path) {
        let mut alive = self.alive.lock().unwrap_or_else(PoisonError::into_inner);
        alive.remove(&key);
        let _missing_is_fine = std::fs::remove_file(dir.join(PROCESSES));
    }
}

/// Asks the launcher to start an instance. Where it wants the account logged on with a registered password, that is done first, and
/// the token named: this process' handle of it stays open until the launcher has its own.
///
/// The inner error is a logon that failed; the launcher was not asked then.
fn begin_remote(
    pipe: &str,
    mut ask: Ask,
    vault: Option<&Vault>,
    ticket: &Ticket,
) -> io::Result<Result<(Link, Answer), LogonFailed>> {
    let link = Link::open(pipe)?;
    let mut held = None;
    if let Some(vault) = vault {
        let Answer::Capabilities(launcher) = link.ask(&Ask::Capabilities)? else {
            return Err(io::ErrorKind::InvalidData.into());
        };
        held = match vault.token_for(&launcher, ticket) {
            Ok(found) => found.and_then(|it| it.downcast::<Token>().ok()),
            Err(failed) => return Ok(Err(failed)),
        };
    }
    if let (Ask::Start { token, .. }, Some(held)) = (&mut ask, &held) {
        *token = held.as_handle().as_raw_handle().addr() as u64;
    }
    let answer = link.ask(&ask);
    drop(held);
    Ok(Ok((link, answer?)))
}

/// Refuses a launch whose account could not be logged on.
fn not_logged_on(failed: &LogonFailed, ticket: &Ticket) -> StartError {
    let (key, account) = (ticket.key, &ticket.account);
    StartError::Refused {
        code: failed.code(),
        text: format!(
            "{} can't start {}.{} as {account}: {failed}",
            host(),
            key.job,
            key.instance
        ),
        hint: failed.verdict.in_words().1.to_owned(),
    }
}

/// What makes no sense of a launcher.
const NONSENSE: ChainError = ChainError::Nonsense {
    what: "the launcher",
};

/// Asks the launcher something on a connection of its own.
async fn ask_once(pipe: String, ask: Ask) -> Result<Answer, ChainError> {
    let talk = move || Link::open(&pipe)?.ask(&ask);
    let asked = timeout(tokio::task::spawn_blocking(talk)).await?;
    let asked = asked.unwrap_or_else(|error| Err(io::Error::other(error)));
    asked.map_err(ChainError::io("the launcher could not be asked"))
}

async fn timeout<T>(what: impl Future<Output = T>) -> Result<T, ChainError> {
    let timed = tokio::time::timeout(GONE_TIMEOUT, what).await;
    timed.map_err(|_| ChainError::TimedOut {
        what: "the end of a launch",
        seconds: GONE_TIMEOUT.as_secs(),
    })
}

impl Shepherd {
    /// Makes the attempt's files (never existing ones; those of `spare` may be had) and runs the item.
    ///
    /// # Errors
    /// `AlreadyRan` when the attempt's files exist; `Io` when they can't be made.
    pub async fn run_item(
        &self,
        run: RunItem,
        spare: Option<(u32, u32)>,
    ) -> Result<(), ChainError> {
        let files = match spare {
            Some(spare) => spool::reuse_files(&self.dir, run.item, run.attempt, spare)?,
            None => spool::make_files(&self.dir, run.item, run.attempt)?,
        };
        self.tell(Order::Run(run, files)).await
    }

    /// Ends an item: programs can't be asked to on Windows, so there is no grace time.
    ///
    /// # Errors
    /// When the instance is gone.
    pub async fn end_item(
        &self,
        item: u32,
        attempt: u32,
        grace: Duration,
        cause: EndCause,
    ) -> Result<(), ChainError> {
        self.tell(Order::End {
            item,
            attempt,
            grace,
            cause,
        })
        .await
    }

    /// Stops all processes where they are, or lets them go on.
    ///
    /// # Errors
    /// When the instance is gone.
    pub async fn set_suspended(&self, is: bool) -> Result<(), ChainError> {
        self.tell(Order::SetSuspended(is)).await
    }

    /// Ends everything.
    ///
    /// # Errors
    /// When the instance is gone.
    pub async fn close(&self) -> Result<(), ChainError> {
        self.tell(Order::Close).await
    }

    /// Waits for the next event; `None` when the instance is gone. Safe to cancel.
    pub async fn next_event(&mut self) -> Option<ShepherdEvent> {
        self.events.recv().await
    }

    async fn tell(&self, order: Order) -> Result<(), ChainError> {
        let launch = self.key.to_string();
        let told = self.orders.send(order).await;
        told.map_err(|_| ChainError::NotThere { launch })
    }
}

fn wire_key(key: LaunchKey) -> tessera_ticket::LaunchKey {
    tessera_ticket::LaunchKey {
        job: key.job.0,
        instance: key.instance.0,
        launch: key.launch.0,
    }
}

/// Says whether this process is the system itself. Who can't be asked about counts as such.
fn is_system() -> bool {
    let own = Token::own().and_then(|it| it.user());
    own.map_or(true, |it| it == Sid::system())
}

fn host() -> String {
    os::host_name().unwrap_or_default()
}

/// Answers a failure at a step with the system's number.
fn failed(step: Step, error: &io::Error) -> super::inside::Failed {
    let errno = error.raw_os_error().unwrap_or(0);
    super::inside::Failed { step, errno }
}
