//! macOS. On a person's desktop instances live in the worker, their processes in sessions that a walk over all finds. As a service
//! they live in the worker as well, and their processes are the launcher's, which is asked over a socket.
//!
//! The system does not end them with the worker. On a desktop the next one finds the leaders in the spool and ends what is left of
//! their sessions before it says that a launch is gone; in a service the launcher does.

mod base;
mod link;
mod remote;
mod system;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tessera_ticket::launcher::Capabilities;
use tessera_ticket::pipe::{Answer, Ask};
use tessera_ticket::{Mode as TicketMode, PathMap, Refusal, Step, Ticket};

use super::inside::living::{Living, PROCESSES, Shepherd, end_noted, in_time};
use super::inside::{Failed, Instance};
use super::owner::{Owner, refused, ticket_of_owner};
use super::{ChainError, LaunchKey, ShepherdState, StartError, StartRequest, Started};
use crate::config::Config;
use crate::error::WorkerError;
use crate::options::{self, Options};
use crate::os;
use link::Link;
use remote::Remote;
use system::Sessions;

/// How processes are kept together here.
const CONTAINMENT: &str = "session";

/// How instances are started on this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mode {
    /// Through the privileged launcher beside the worker.
    Service {
        /// Its socket.
        socket: PathBuf,
        /// 0 to 19; more is less.
        nice: u8,
    },
    /// As the worker's own user.
    Desktop(Desktop),
}

/// What a desktop's instances are made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Desktop {
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
        let nice = config.proxy_nice_value;
        match &options.mode {
            options::Mode::Service { .. } if os::is_privileged() => Err(WorkerError::ServiceAsRoot),
            options::Mode::Service { launcher_socket } => {
                let usual = || options.state.join("run").join("launcher.sock");
                let socket = launcher_socket.clone().unwrap_or_else(usual);
                Ok(Self::Service { socket, nice })
            }
            options::Mode::Desktop if os::is_privileged() => Err(WorkerError::DesktopAsRoot),
            options::Mode::Desktop => Ok(Self::Desktop(Desktop {
                owner: Owner {
                    user: os::own_account()?,
                    config: options.config_path(),
                },
                variables: config.desktop_environment.clone(),
                tmp: options.state.join("worker").join("tmp"),
                nice,
                paths: config.worker_path_map.clone(),
            })),
        }
    }

    /// Says what it means that capabilities can't be had, and what to do.
    pub(crate) fn no_answer(&self, cause: &str) -> String {
        match self {
            Self::Service { socket, .. } => format!(
                "the launcher does not answer at {} ({cause}); see `launchctl print system/tessera.launch` and its log, \
                 /Library/Logs/tessera.launch.log",
                socket.display()
            ),
            Self::Desktop(_) => format!("nothing can be started ({cause})"),
        }
    }
}

/// Instances of this worker; cheap to clone.
#[derive(Debug, Clone)]
pub struct Chain {
    mode: Arc<Mode>,
    living: Living,
}

impl Chain {
    /// Makes a chain.
    pub fn new(mode: Mode) -> Self {
        Self {
            mode: Arc::new(mode),
            living: Living::default(),
        }
    }

    /// Says what this host can do.
    ///
    /// # Errors
    /// When the launcher of a service does not say.
    pub async fn capabilities(&self) -> Result<Capabilities, ChainError> {
        let Mode::Service { socket, .. } = &*self.mode else {
            return Ok(Capabilities {
                containment: CONTAINMENT.to_owned(),
                modes: vec!["desktop".to_owned()],
                version: env!("CARGO_PKG_VERSION").to_owned(),
                ..Capabilities::default()
            });
        };
        match ask_once(socket.clone(), Ask::Capabilities).await? {
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
            Mode::Service { socket, nice } => self.start_remote(req, socket.clone(), *nice).await,
            Mode::Desktop(desktop) => self.start_here(req, desktop),
        }
    }

    /// Starts an instance as this user.
    fn start_here(
        &self,
        req: StartRequest,
        desktop: &Desktop,
    ) -> Result<(Started, Shepherd), StartError> {
        let ticket = ticket_of_owner(&req, &desktop.owner)?;
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
        let tmp = desktop.tmp.join(req.key.to_string());
        os::dirs().create(&tmp).map_err(|error| {
            let errno = error.raw_os_error().unwrap_or(0);
            refuse(Refusal::StateUnwritable { errno })
        })?;
        let user = &desktop.owner.user;
        let instance = Instance {
            system: Sessions::of(&template),
            template,
            env: base::environment(user, &tmp, &ticket.farm, &desktop.variables),
            home: base::home(),
            nice: desktop.nice,
            paths: desktop.paths.clone(),
            tmp: Some(tmp),
            processes: req.dir.join(PROCESSES),
            ticket,
        };
        let started = started(user.clone(), os::own_uid());
        Ok((started, self.living.begin(req.key, req.dir, instance)?))
    }

    /// Has the launcher look the account up. It judges the ticket; here it is only read.
    async fn start_remote(
        &self,
        req: StartRequest,
        socket: PathBuf,
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
        let talk = move || -> io::Result<(Link, Answer)> {
            let link = Link::open(&socket)?;
            let answer = link.ask(&ask)?;
            Ok((link, answer))
        };
        let asked = tokio::task::spawn_blocking(talk).await;
        let asked = asked.unwrap_or_else(|error| Err(io::Error::other(error)));
        let (link, answer) = asked
            .map_err(ChainError::io("the launcher could not be asked"))
            .map_err(StartError::Unavailable)?;
        let account = match answer {
            Answer::Started { account } => account,
            Answer::Refused { code, text, hint } => {
                return Err(StartError::Refused { code, text, hint });
            }
            _ => return Err(StartError::Unavailable(NONSENSE)),
        };
        let instance = Instance {
            system: Remote::new(link),
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
        let uid = os::uid_of(&account).unwrap_or_default();
        let started = started(account, uid);
        Ok((started, self.living.begin(req.key, req.dir, instance)?))
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

    /// Returns when nothing of the launch is alive, as far as a walk finds it. An instance of this worker is ended first; then the
    /// launcher, or on a desktop the spool, knows what an earlier worker began.
    ///
    /// # Errors
    /// When something is still alive; ask again later.
    pub async fn prove_gone(&self, key: LaunchKey, dir: &Path) -> Result<(), ChainError> {
        self.living.end(key).await?;
        match &*self.mode {
            Mode::Service { socket, .. } => {
                let gone = Ask::Gone { key: wire_key(key) };
                match ask_once(socket.clone(), gone).await? {
                    Answer::Done => {}
                    Answer::Refused { text, .. } => return Err(ChainError::Refused { text }),
                    _ => return Err(NONSENSE),
                }
            }
            Mode::Desktop(_) => end_noted(key, dir, tessera_macos::end_left).await?,
        }
        self.forget(key, dir);
        Ok(())
    }

    /// Removes what only a living launch needs; output and exit records stay.
    pub fn forget(&self, key: LaunchKey, dir: &Path) {
        self.living.forget(key, dir);
    }
}

/// What makes no sense of a launcher.
const NONSENSE: ChainError = ChainError::Nonsense {
    what: "the launcher",
};

/// Asks the launcher something on a connection of its own.
async fn ask_once(socket: PathBuf, ask: Ask) -> Result<Answer, ChainError> {
    let talk = move || Link::open(&socket)?.ask(&ask);
    let asked = in_time(tokio::task::spawn_blocking(talk)).await?;
    let asked = asked.unwrap_or_else(|error| Err(io::Error::other(error)));
    asked.map_err(ChainError::io("the launcher could not be asked"))
}

fn started(account: String, uid: u32) -> Started {
    Started {
        account,
        uid,
        containment: CONTAINMENT.to_owned(),
        shepherd_pid: std::process::id(),
    }
}

fn wire_key(key: LaunchKey) -> tessera_ticket::LaunchKey {
    tessera_ticket::LaunchKey {
        job: key.job.0,
        instance: key.instance.0,
        launch: key.launch.0,
    }
}

fn host() -> String {
    os::host_name().unwrap_or_default()
}

/// Answers a failure at a step with the system's number.
fn failed(step: Step, error: &io::Error) -> Failed {
    let errno = error.raw_os_error().unwrap_or(0);
    Failed { step, errno }
}
