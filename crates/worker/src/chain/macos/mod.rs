//! A user's desktop on macOS: instances live in the worker, their processes in sessions that a walk over all finds.
//!
//! The system does not end them with the worker. The next one finds the leaders in the spool and ends what is left of their
//! sessions before it says that a launch is gone.

mod base;
mod system;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tessera_ticket::launcher::Capabilities;
use tessera_ticket::{Mode as TicketMode, PathMap, Refusal, Step};
use tokio::sync::{mpsc, watch};

use super::inside::{Handle, Instance, Order};
use super::owner::{Owner, refused, ticket_of_owner};
use super::{
    ChainError, EndCause, LaunchKey, RunItem, ShepherdEvent, ShepherdState, StartError,
    StartRequest, Started, spool,
};
use crate::config::Config;
use crate::error::WorkerError;
use crate::options::{self, Options};
use crate::os;
use system::Sessions;

/// How long what is left of a launch may take to end.
const GONE_TIMEOUT: Duration = Duration::from_secs(20);
/// How processes are kept together here.
const CONTAINMENT: &str = "session";
/// What says in a directory which processes a launch began.
const PROCESSES: &str = "processes";
/// The most bytes of that file.
const PROCESSES_BYTES_MAX: u64 = 1 << 20;

/// How instances are started on this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mode {
    /// The user, and whom they let in.
    owner: Owner,
    /// Variables of the session that jobs see beside the usual ones.
    variables: Vec<String>,
    /// Where instances have their private directories.
    tmp: PathBuf,
    /// 0 to 19; more is less.
    nice: u8,
    /// How paths of other systems are called here.
    paths: PathMap,
}

impl Mode {
    /// Settles what the options leave open.
    pub(crate) fn of(options: &Options, config: &Config) -> Result<Self, WorkerError> {
        match &options.mode {
            options::Mode::Service { .. } => Err(WorkerError::NoService),
            options::Mode::Desktop if os::is_privileged() => Err(WorkerError::DesktopAsRoot),
            options::Mode::Desktop => Ok(Self {
                owner: Owner {
                    user: os::own_account()?,
                    config: options.config_path(),
                },
                variables: config.desktop_environment.clone(),
                tmp: options.state.join("worker").join("tmp"),
                nice: config.proxy_nice_value,
                paths: config.worker_path_map.clone(),
            }),
        }
    }

    /// Says what it means that capabilities can't be had, and what to do.
    #[expect(clippy::unused_self, reason = "as on other systems")]
    pub(crate) fn no_answer(&self, cause: &str) -> String {
        format!("nothing can be started ({cause})")
    }
}

/// Instances of this worker; cheap to clone.
#[derive(Debug, Clone)]
pub struct Chain {
    mode: Arc<Mode>,
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
            alive: Arc::default(),
        }
    }

    /// Says what this host can do.
    ///
    /// # Errors
    /// None; as on other systems.
    #[expect(clippy::unused_async, reason = "as on other systems")]
    pub async fn capabilities(&self) -> Result<Capabilities, ChainError> {
        Ok(Capabilities {
            containment: CONTAINMENT.to_owned(),
            modes: vec!["desktop".to_owned()],
            proxy_account: String::new(),
            proxy_uid: None,
            proxy_problem: String::new(),
            uid_min: 0,
            no_new_privs: false,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            limits: Vec::new(),
        })
    }

    /// Starts an instance; its items start when they are run.
    ///
    /// # Errors
    /// `Refused` when the ticket is not for this desktop or for another template.
    #[expect(clippy::unused_async, reason = "as on other systems")]
    pub async fn start(&self, req: StartRequest) -> Result<(Started, Shepherd), StartError> {
        let ticket = ticket_of_owner(&req, &self.mode.owner)?;
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
        let tmp = self.mode.tmp.join(req.key.to_string());
        os::dirs().create(&tmp).map_err(|error| {
            let errno = error.raw_os_error().unwrap_or(0);
            refuse(Refusal::StateUnwritable { errno })
        })?;
        let instance = Instance {
            system: Sessions::of(&template),
            template,
            env: base::environment(
                &self.mode.owner.user,
                &tmp,
                &ticket.farm,
                &self.mode.variables,
            ),
            home: base::home(),
            nice: self.mode.nice,
            paths: self.mode.paths.clone(),
            tmp: Some(tmp),
            processes: req.dir.join(PROCESSES),
            ticket,
        };
        let started = Started {
            account: self.mode.owner.user.clone(),
            uid: os::own_uid(),
            containment: CONTAINMENT.to_owned(),
            shepherd_pid: std::process::id(),
        };
        Ok((started, self.begin(req.key, req.dir, instance)?))
    }

    fn begin(
        &self,
        key: LaunchKey,
        dir: PathBuf,
        instance: Instance<Sessions>,
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

    /// Answers that there is no instance of an earlier worker: nobody can wait for what another process began.
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

    /// Returns when nothing of the launch is alive, as far as a walk finds it. An instance of this worker is ended first; of
    /// what an earlier worker began the sessions are looked for and ended.
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

    /// Ends an item: SIGTERM, the grace time, SIGKILL.
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

fn host() -> String {
    os::host_name().unwrap_or_default()
}

/// Answers a failure at a step with the system's number.
fn failed(step: Step, error: &std::io::Error) -> super::inside::Failed {
    let errno = error.raw_os_error().unwrap_or(0);
    super::inside::Failed { step, errno }
}
