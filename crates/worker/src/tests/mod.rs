//! The whole worker, with real files and real connections, on a host without processes.

mod credentials;
mod desk;
mod desktop;
mod farm;
mod host;
mod life;
mod limits;
mod logs;
mod settings;
mod throughput;

use std::future::{Future, ready};
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tempfile::TempDir;
use tessera_engine::worker::idle::Seen;
use tessera_model::msg::{LaunchKey, Run, RunLimits, ToWorker};
use tessera_model::{Attempt, InstanceNo, ItemIndex, JobId, LaunchNo};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::chain;
use crate::config::{Config, Own};
use crate::credential::Vault;
use crate::daemon;
use crate::desk::{Look, Stamp};
use crate::error::WorkerError;
use crate::options::Settings;
use crate::served;
use farm::Farm;
use host::Host;

/// Eyes that see what the test says.
struct Eyes(Mutex<Seen>);

impl Default for Eyes {
    fn default() -> Self {
        Self(Mutex::new(Seen::Nobody))
    }
}

impl Eyes {
    fn see(&self, seen: Seen) {
        *self.0.lock().expect("nobody panicked") = seen;
    }
}

impl Look for Eyes {
    fn look(&self) -> Pin<Box<dyn Future<Output = Seen> + Send + '_>> {
        let seen = self.0.lock().expect("nobody panicked").clone();
        Box::pin(ready(seen))
    }

    fn every(&self) -> Duration {
        Duration::from_millis(20)
    }
}

/// A farm, a host, and a worker that can be ended and started again on the same state.
struct Bench {
    farm: Farm,
    host: Host,
    state: TempDir,
    config: Config,
    /// What the host's own file says; without what is served `config` holds.
    own: Own,
    slots: Option<u32>,
    vault: Option<Vault>,
    eyes: Arc<Eyes>,
    worker: Option<(CancellationToken, JoinHandle<Result<(), WorkerError>>)>,
}

impl Bench {
    /// Starts everything; the host has joined.
    async fn new() -> Self {
        let mut bench = Self::without_worker().await;
        bench.farm.enrol(&bench.state.path().join("worker"));
        bench.start();
        bench
    }

    async fn without_worker() -> Self {
        tessera_wire::install_crypto_provider();
        Self {
            farm: Farm::new().await,
            host: Host::default(),
            state: tempfile::tempdir().expect("a temporary directory"),
            config: Config::default(),
            own: Own::default(),
            slots: Some(4),
            vault: None,
            eyes: Arc::default(),
            worker: None,
        }
    }

    fn settings(&self) -> Settings {
        let kept = served::kept(self.state.path(), self.own.lookup());
        let (mut config, in_use) = served::together(&self.own, kept.as_ref(), None, self.slots);
        if kept.is_none() {
            config = self.config.clone();
        }
        Settings {
            state: self.state.path().to_owned(),
            chain_mode: chain::Mode::Service {
                launcher_socket: PathBuf::from("/nonexistent"),
                nice: 0,
            },
            desktop_user: None,
            supervisor: self.farm.address.to_string(),
            slots: self.slots,
            name: "rnd042".to_owned(),
            own: self.own.clone(),
            began: config.clone(),
            config,
            in_use,
            config_path: self.config_path(),
            config_seen: Stamp::of(&self.config_path()),
        }
    }

    fn config_path(&self) -> PathBuf {
        self.state.path().join("worker/worker.toml")
    }

    fn start(&mut self) {
        let stop = CancellationToken::new();
        let task = tokio::spawn(daemon::run(
            self.settings(),
            self.host.clone(),
            self.eyes.clone(),
            self.vault.clone(),
            stop.clone(),
        ));
        self.worker = Some((stop, task));
    }

    /// Ends the worker as SIGTERM does.
    async fn stop(&mut self) {
        let Some((stop, task)) = self.worker.take() else {
            return;
        };
        stop.cancel();
        let ended = tokio::time::timeout(Duration::from_secs(20), task).await;
        ended
            .expect("ends soon")
            .expect("does not panic")
            .expect("ends well");
        self.host.hang_up();
        self.farm.disconnect(true);
    }

    fn dir(&self, key: LaunchKey) -> PathBuf {
        let instance = format!("{}.{}", key.instance, key.launch);
        self.state
            .path()
            .join("worker/spool")
            .join(key.job.to_string())
            .join(instance)
    }

    /// Starts an instance whose first item runs when this returns.
    async fn launch(&self, key: LaunchKey, limits: RunLimits) {
        self.farm.order(start(key, limits)).await;
        let run = run(0);
        self.until("the item runs", || {
            self.host
                .lock()
                .runs
                .iter()
                .any(|(k, it)| *k == key && it.item == run.item.0)
        })
        .await;
        self.until("its files are there", || {
            chain::spool_path(&self.dir(key), 0, 1, chain::SpoolFile::Exit).exists()
        })
        .await;
    }

    /// Waits for something outside the farm.
    async fn until(&self, what: &str, mut is: impl FnMut() -> bool) {
        let waited = async {
            while !is() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let in_time = tokio::time::timeout(Duration::from_secs(30), waited).await;
        assert!(in_time.is_ok(), "{what}: not in time");
    }
}

fn key(job: u64) -> LaunchKey {
    LaunchKey {
        job: JobId(job),
        instance: InstanceNo(0),
        launch: LaunchNo(1),
    }
}

fn run(item: u32) -> Run {
    Run {
        item: ItemIndex(item),
        attempt: Attempt(1),
    }
}

fn limits() -> RunLimits {
    RunLimits {
        grace: Duration::from_millis(100),
        output_limit: 1 << 30,
        ..RunLimits::default()
    }
}

fn start(key: LaunchKey, limits: RunLimits) -> ToWorker {
    let (ticket, template) = (vec![1], vec![2]);
    ToWorker::Start {
        key,
        ticket,
        signature: vec![0; 64],
        template,
        limits,
        run: run(0),
    }
}
