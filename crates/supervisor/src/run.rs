//! Putting the parts together, and taking them apart in order.

use crate::accounts::Accounts;
use crate::cleanup::{Cleaner, remove_as_told, run_regularly};
use crate::clock::Clock;
use crate::config::Config;
use crate::core::{self, CoreHandle, Health, Parts};
use crate::error::SupervisorError;
use crate::events::Hub;
use crate::http::serve::{Bounds, Port, Serving, bind_socket, serve_port, serve_socket};
use crate::http::{AppParts, Refusals, router};
use crate::logs::LogStore;
use crate::metrics::{Counts, Metrics};
use crate::notify::{Notify, NotifyConfig, Ways, Wishes};
use crate::options::Options;
use crate::readers::Readers;
use crate::sessions::Links;
use crate::settings::{Place, WorkerSettings};
use crate::site::Site;
use crate::statedir::{StateDir, write_whole};
use crate::tickets::Tickets;
use crate::tokens::Tokens;
use crate::workers::Workers;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tessera_store::Store;
use tessera_store::sqlite::SqliteStore;
use tessera_wire::link::Terms;
use tessera_wire::pki::{DispatchKey, FarmCa};
use tessera_wire::tls::TlsServer;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// The file of the store, in the store's folder.
pub(crate) const STORE_FILE: &str = "tessera.db";
/// How often the server's certificate, and the site's own, are looked at.
const CERTIFICATE_EVERY: Duration = Duration::from_secs(24 * 3_600);
/// How long connections may take to end.
const TASKS_TIME_LIMIT: Duration = Duration::from_secs(10);

/// Runs a supervisor until SIGTERM or SIGINT.
///
/// # Errors
/// Why it does not start, or had to stop.
pub async fn run(options: Options) -> Result<(), SupervisorError> {
    let signals = || {
        Ok((
            signal(SignalKind::terminate())?,
            signal(SignalKind::interrupt())?,
        ))
    };
    let (mut terminate, mut interrupt) =
        signals().map_err(SupervisorError::io("watch the signals of", "this process"))?;
    raise_open_files();
    let running = start(options).await?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        () = running.core_ended() => {}
    }
    running.stop().await
}

/// Takes as many open files as the system allows: connections and logs need them.
fn raise_open_files() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let raised = getrlimit(Resource::RLIMIT_NOFILE)
        .and_then(|(_, hard)| setrlimit(Resource::RLIMIT_NOFILE, hard, hard));
    if let Err(error) = raised {
        tracing::warn!(%error, "the number of open files can't be raised");
    }
}

/// Starts a supervisor and answers when it serves.
///
/// # Errors
/// Why it does not start.
pub async fn start(options: Options) -> Result<Running, SupervisorError> {
    start_with(options, |path| {
        Ok(Box::new(SqliteStore::open(&path.join(STORE_FILE))?))
    })
    .await
}

/// Starts a supervisor on another store; for tests.
///
/// # Errors
/// Why it does not start.
#[doc(hidden)]
pub async fn start_with(
    options: Options,
    open: impl FnOnce(&Path) -> Result<Box<dyn Store>, tessera_store::StoreError>,
) -> Result<Running, SupervisorError> {
    tessera_wire::install_crypto_provider();
    let config = Config::load(options.config_path().as_deref())?;
    let told = NotifyConfig::load(&options.notify_path())?;
    let state = StateDir::open(&options)?;
    let ca = FarmCa::open_or_create(&state.keys())?;
    let dispatch = DispatchKey::open_or_create(&state.keys())?;
    let mut store = open(&state.store())?;
    let epoch = store.lease(&format!("process {}", std::process::id()))?;
    let readers = Readers::open(store.as_ref())?;
    let (hub, health) = (Arc::new(Hub::default()), Arc::new(Health::default()));
    let counts = Arc::new(Counts::default());
    let (removed_jobs, removed) = mpsc::unbounded_channel();
    let parts = Parts {
        store,
        epoch,
        config: config.engine.clone(),
        tickets: Tickets::new(ca.farm_id(), &dispatch),
        hub: Arc::clone(&hub),
        health: Arc::clone(&health),
        counts: Arc::clone(&counts),
        removed_jobs,
        farm: ca.farm_id().to_string(),
    };
    let core = core::start(parts, tokio::runtime::Handle::current())?;
    let listening = Listening::bind(&options, &config).await?;
    let logs = Arc::new(LogStore::new(state.logs()));
    let ending = CancellationToken::new();
    let ca_id = ca.farm_id().to_string();
    let wishes = Arc::new(Wishes::restore(&core.notify));
    let (notify, reloads) = Notify::new(
        options.notify_path(),
        &ca_id,
        &config.farm_name,
        Arc::clone(&wishes),
    );
    let settings = Arc::new(WorkerSettings::open(Place {
        path: config
            .worker_configfile
            .clone()
            .unwrap_or_else(|| options.workers_path()),
        is_named: config.worker_configfile.is_some(),
        own: options.own_dir(),
    }));
    let names = server_names(&config);
    let tls = Arc::new(TlsServer::new(&ca, ca.server_certificate(&names)?)?);
    let app = Arc::new(AppParts {
        site: Site::open(&config, Arc::clone(&tls)),
        core: core.handle.clone(),
        hub: Arc::clone(&hub),
        health,
        readers: readers.clone(),
        logs: Arc::clone(&logs),
        tokens: Tokens::new(core.tokens),
        links: Links::default(),
        refusals: Refusals::default(),
        accounts: Accounts::new(config.admin_group.clone()),
        cleaner: Cleaner::new(
            core.handle.clone(),
            readers.clone(),
            Arc::clone(&logs),
            options.own_dir(),
        ),
        config: config.clone(),
        settings: Arc::clone(&settings),
        ca,
        dispatch_keys: vec![dispatch.public()],
        address: listening.shown.clone(),
        ending: ending.clone(),
        notify: Arc::new(notify),
        metrics: Arc::new(Metrics::new(counts, &core.trends)),
    });
    let port = Port {
        tls: Arc::clone(&tls),
        terms: Terms {
            farm: app.ca.farm_id(),
            heartbeat: config.heartbeat,
            features: Vec::new(),
        },
        workers: Arc::new(Workers {
            core: core.handle.clone(),
            logs: Arc::clone(&logs),
            readers,
            settings,
            log_limit: config.log_limit,
        }),
    };
    let (tasks, chores) = (TaskTracker::new(), tokio::task::JoinSet::new());
    let serving = Serving {
        router: router(Arc::clone(&app)),
        ending: ending.clone(),
        tasks: tasks.clone(),
        bounds: Bounds::default(),
    };
    let ways = Ways {
        core: core.handle.clone(),
        hub: Arc::clone(&hub),
        readers: app.readers.clone(),
        clock: Clock::start(),
        wishes,
    };
    let told = app.notify.begin(told, ways, core.notify).await;
    let mut running = Running {
        address: listening.address,
        socket: options.socket_path(),
        address_path: options.address_path(),
        core: core.handle,
        health: Arc::clone(&app.health),
        thread: Some(core.thread),
        ending,
        tasks,
        chores,
        _state: state,
    };
    running
        .tasks
        .spawn(serve_socket(listening.socket, serving.clone()));
    running
        .tasks
        .spawn(serve_port(listening.port, port, serving));
    running
        .chores
        .spawn(remove_as_told(Arc::clone(&logs), removed));
    running
        .chores
        .spawn(run_regularly(app.cleaner.clone(), config));
    running
        .chores
        .spawn(Arc::clone(&app.notify).run(told, reloads));
    running
        .chores
        .spawn(Arc::clone(&app.metrics).run(running.core.clone()));
    running.chores.spawn(crate::http::wake_followers(hub, logs));
    running
        .chores
        .spawn(crate::http::tell_the_rest(Arc::clone(&app)));
    running.chores.spawn(renew_certificate(app, tls, names));
    write_whole(
        &running.address_path,
        &format!("{}\n", running.address),
        0o644,
    )?;
    tracing::info!(address = %running.address, socket = %running.socket.display(), "the supervisor serves");
    Ok(running)
}

/// The listeners, bound.
struct Listening {
    port: TcpListener,
    socket: tokio::net::UnixListener,
    address: SocketAddr,
    /// What others are told to connect to.
    shown: String,
}

impl Listening {
    async fn bind(options: &Options, config: &Config) -> Result<Self, SupervisorError> {
        let everywhere = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), config.port);
        let wanted = options.listen.unwrap_or(everywhere);
        let refused = |source| SupervisorError::Listen {
            address: wanted,
            source,
        };
        let port = TcpListener::bind(wanted).await.map_err(refused)?;
        let address = port.local_addr().map_err(refused)?;
        let socket = bind_socket(&options.socket_path())?;
        let shown = config
            .address
            .clone()
            .unwrap_or_else(|| shown_address(address));
        Ok(Self {
            port,
            socket,
            address,
            shown,
        })
    }
}

/// Answers how others reach an address: by itself, or by the host's name when it is every address.
fn shown_address(address: SocketAddr) -> String {
    if address.ip().is_unspecified() {
        format!("{}:{}", host_name(), address.port())
    } else {
        address.to_string()
    }
}

fn host_name() -> String {
    let name = nix::unistd::gethostname()
        .ok()
        .and_then(|name| name.into_string().ok());
    let name = name.map(|name| name.to_ascii_lowercase());
    name.filter(|name| name.parse::<tessera_model::HostName>().is_ok())
        .unwrap_or_else(|| "localhost".to_owned())
}

/// Answers the names that the server's certificate has beside the farm's.
fn server_names(config: &Config) -> Vec<String> {
    let mut names = vec![
        host_name(),
        "localhost".to_owned(),
        "127.0.0.1".to_owned(),
        "::1".to_owned(),
    ];
    names.extend(config.names.iter().cloned());
    let address = config
        .address
        .as_deref()
        .and_then(|address| address.rsplit_once(':'));
    names.extend(address.map(|(host, _)| host.trim_matches(['[', ']']).to_owned()));
    names
}

/// Makes the server's certificate anew before it ends, for ever.
async fn renew_certificate(app: Arc<AppParts>, tls: Arc<TlsServer>, names: Vec<String>) {
    loop {
        tokio::time::sleep(CERTIFICATE_EVERY).await;
        let site = Arc::clone(&app);
        // What can be wrong with it is told; nothing else comes of it.
        let _told = tokio::task::spawn_blocking(move || site.site.look()).await;
        let renewed = app.ca.server_certificate(&names).and_then(|certificate| {
            let is_new = certificate.is_new;
            if is_new {
                tls.replace(&app.ca, certificate).map(|()| true)
            } else {
                Ok(false)
            }
        });
        match renewed {
            Ok(true) => tracing::info!("the server's certificate was made anew"),
            Ok(false) => {}
            Err(error) => {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "the server's certificate can't be renewed"
                );
            }
        }
    }
}

/// A supervisor that serves. Dropping it without [`Running::stop`] ends it a little later by
/// itself, and nobody waits for it.
pub struct Running {
    address: SocketAddr,
    socket: PathBuf,
    address_path: PathBuf,
    core: CoreHandle,
    health: Arc<Health>,
    thread: Option<std::thread::JoinHandle<()>>,
    ending: CancellationToken,
    tasks: TaskTracker,
    chores: tokio::task::JoinSet<()>,
    _state: StateDir,
}

impl Running {
    /// Answers the address that is listened on.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers where the Unix socket is.
    #[must_use]
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Ends when the core has, which is a fault of the program unless it was asked to.
    async fn core_ended(&self) {
        const LOOK_EVERY: Duration = Duration::from_millis(500);
        while self
            .thread
            .as_ref()
            .is_some_and(|thread| !thread.is_finished())
        {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Stops taking requests, ends the connections, carries out what was queued and closes the store. Running frames go on.
    ///
    /// # Errors
    /// When the core had stopped by a fault.
    pub async fn stop(mut self) -> Result<(), SupervisorError> {
        let thread = self.thread.take();
        let fault = thread
            .as_ref()
            .is_none_or(std::thread::JoinHandle::is_finished);
        self.ending.cancel();
        self.tasks.close();
        let ended = tokio::time::timeout(TASKS_TIME_LIMIT, self.tasks.wait()).await;
        if ended.is_err() {
            tracing::warn!("some connections did not end in time");
        }
        self.chores.shutdown().await;
        self.core.stop().await;
        let joined =
            tokio::task::spawn_blocking(move || thread.map_or(Ok(()), |thread| thread.join()))
                .await;
        let _gone_already = std::fs::remove_file(&self.address_path);
        let _gone_already = std::fs::remove_file(&self.socket);
        tracing::info!("the supervisor has ended; running frames go on");
        match joined {
            Ok(Ok(())) if !fault => Ok(()),
            Ok(Ok(())) => {
                let why = self.health.problem().map(|why| why.message);
                let why = why.unwrap_or_else(|| "nobody asked it to".to_owned());
                Err(SupervisorError::CoreStopped(why))
            }
            Ok(Err(panic)) => Err(SupervisorError::CoreStopped(words_of(panic.as_ref()))),
            Err(error) => Err(SupervisorError::CoreStopped(error.to_string())),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.ending.cancel();
    }
}

/// Answers what a panic said.
fn words_of(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(ToString::to_string);
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no words".to_owned())
}
