//! The chain of systems without shepherds. On a person's desktop instances live in the worker, and so do their processes. As a service they live
//! in the worker as well, and their processes are the launcher's, which is asked over a connection for each instance.

use std::io;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tessera_ticket::launcher::Capabilities;
use tessera_ticket::pipe::{Answer, Ask};
use tessera_ticket::{Mode as TicketMode, PathMap, Refusal, Ticket};

use super::Instance;
use super::here::{Here, Link};
use super::living::{Living, PROCESSES, Shepherd, end_noted, in_time};
use super::remote::Remote;
use crate::chain::owner::{Owner, refused, ticket_of_owner};
use crate::chain::{ChainError, LaunchKey, ShepherdState, StartError, StartRequest, Started};
use crate::config::Config;
use crate::credential::{LogonFailed, Vault};
use crate::error::WorkerError;
use crate::options::{self, Options};
use crate::os;

/// How instances are started on this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mode<H> {
    /// Through the privileged launcher beside the worker.
    Service {
        /// Where it is.
        launcher: PathBuf,
        /// 0 to 19; more is less.
        nice: u8,
    },
    /// As the worker's own user.
    Desktop(Desktop, PhantomData<H>),
}

/// What a desktop's instances are made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Desktop {
    /// The user, and whom they let in.
    pub(crate) owner: Owner,
    /// Variables of the session that jobs see beside the usual ones.
    pub(crate) variables: Vec<String>,
    /// Where instances have their private directories.
    pub(crate) tmp: PathBuf,
    /// 0 to 19; more is less.
    pub(crate) nice: u8,
    /// How paths of other systems are called here.
    pub(crate) paths: PathMap,
}

#[cfg_attr(
    not(target_os = "linux"),
    expect(private_bounds, reason = "one system is named where this is exported")
)]
impl<H: Here> Mode<H> {
    /// Settles what the options leave open.
    pub(crate) fn of(options: &Options, config: &Config) -> Result<Self, WorkerError> {
        let nice = config.proxy_nice_value;
        match &options.mode {
            options::Mode::Service { launcher_socket } => match H::unfit() {
                Some(why) => Err(why),
                None => {
                    let usual = || H::launcher(&options.state);
                    let launcher = launcher_socket.clone().unwrap_or_else(usual);
                    Ok(Self::Service { launcher, nice })
                }
            },
            options::Mode::Desktop if os::is_privileged() => Err(WorkerError::DesktopAsRoot),
            options::Mode::Desktop => {
                let desktop = Desktop {
                    owner: Owner {
                        user: os::own_account()?,
                        config: options.config_path(),
                    },
                    variables: config.desktop_environment.clone(),
                    tmp: options.state.join("worker").join("tmp"),
                    nice,
                    paths: config.worker_path_map.clone(),
                };
                Ok(Self::Desktop(desktop, PhantomData))
            }
        }
    }

    /// Says what it means that capabilities can't be had, and what to do.
    pub(crate) fn no_answer(&self, cause: &str) -> String {
        match self {
            Self::Service { launcher, .. } => H::no_answer(launcher, cause),
            Self::Desktop(..) => format!("nothing can be started ({cause})"),
        }
    }
}

/// Instances of this worker; cheap to clone.
#[derive(Debug, Clone)]
pub struct Chain<H> {
    mode: Arc<Mode<H>>,
    /// Registered passwords, for launchers that take tokens.
    vault: Option<Vault>,
    living: Living,
}

#[cfg_attr(
    not(target_os = "linux"),
    expect(private_bounds, reason = "one system is named where this is exported")
)]
impl<H: Here> Chain<H> {
    /// Makes a chain.
    pub fn new(mode: Mode<H>) -> Self {
        Self {
            mode: Arc::new(mode),
            vault: None,
            living: Living::default(),
        }
    }

    /// Has accounts logged on with registered passwords where the launcher wants that.
    #[cfg(windows)]
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
        let Mode::Service { launcher, .. } = &*self.mode else {
            return Ok(Capabilities {
                containment: H::CONTAINMENT.to_owned(),
                modes: vec!["desktop".to_owned()],
                version: env!("CARGO_PKG_VERSION").to_owned(),
                ..Capabilities::default()
            });
        };
        match ask_once::<H>(launcher, Ask::Capabilities).await? {
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
            Mode::Service { launcher, nice } => {
                self.start_remote(req, launcher.clone(), *nice).await
            }
            Mode::Desktop(desktop, _) => self.start_here(req, desktop),
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
            system: H::own(&template),
            template,
            env: H::environment(user, &tmp, &ticket.farm, &desktop.variables),
            home: H::home(),
            nice: desktop.nice,
            paths: desktop.paths.clone(),
            tmp: Some(tmp),
            processes: req.dir.join(PROCESSES),
            ticket,
        };
        let started = started::<H>(user.clone());
        Ok((started, self.living.begin(req.key, req.dir, instance)?))
    }

    /// Has the launcher become the account. It judges the ticket; here it is only read.
    async fn start_remote(
        &self,
        req: StartRequest,
        launcher: PathBuf,
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
        let talk = move || begin_remote::<H>(&launcher, ask, vault.as_ref(), &named);
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
        let started = started::<H>(account);
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

    /// Returns when nothing of the launch is alive. An instance of this worker is ended first; then the launcher, or on a desktop the
    /// spool, knows what an earlier worker began.
    ///
    /// # Errors
    /// When something is still alive; ask again later.
    pub async fn prove_gone(&self, key: LaunchKey, dir: &Path) -> Result<(), ChainError> {
        self.living.end(key).await?;
        match &*self.mode {
            Mode::Service { launcher, .. } => {
                let gone = Ask::Gone { key: wire_key(key) };
                match ask_once::<H>(launcher, gone).await? {
                    Answer::Done => {}
                    Answer::Refused { text, .. } => return Err(ChainError::Refused { text }),
                    _ => return Err(NONSENSE),
                }
            }
            Mode::Desktop(..) => end_noted(key, dir, H::end_left).await?,
        }
        self.forget(key, dir);
        Ok(())
    }

    /// Removes what only a living launch needs; output and exit records stay.
    pub fn forget(&self, key: LaunchKey, dir: &Path) {
        self.living.forget(key, dir);
    }
}

/// Asks the launcher to start an instance. Where it wants the account logged on with a registered password, that is done first, and
/// the token named: this process' handle of it stays open until the launcher has its own.
///
/// The inner error is a logon that failed; the launcher was not asked then.
fn begin_remote<H: Here>(
    launcher: &Path,
    mut ask: Ask,
    vault: Option<&Vault>,
    ticket: &Ticket,
) -> io::Result<Result<(H::Link, Answer), LogonFailed>> {
    let link = H::Link::open(launcher)?;
    let mut held = None;
    if let Some(vault) = vault {
        let Answer::Capabilities(launcher) = link.ask(&Ask::Capabilities)? else {
            return Err(io::ErrorKind::InvalidData.into());
        };
        held = match vault.token_for(&launcher, ticket) {
            Ok(found) => found,
            Err(failed) => return Ok(Err(failed)),
        };
    }
    if let Some(held) = &held {
        H::name_token(&mut ask, held);
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
async fn ask_once<H: Here>(launcher: &Path, ask: Ask) -> Result<Answer, ChainError> {
    let launcher = launcher.to_owned();
    let talk = move || H::Link::open(&launcher)?.ask(&ask);
    let asked = in_time(tokio::task::spawn_blocking(talk)).await?;
    let asked = asked.unwrap_or_else(|error| Err(io::Error::other(error)));
    asked.map_err(ChainError::io("the launcher could not be asked"))
}

fn started<H: Here>(account: String) -> Started {
    Started {
        uid: H::uid_of(&account).unwrap_or_default(),
        account,
        containment: H::CONTAINMENT.to_owned(),
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
