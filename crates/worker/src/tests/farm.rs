//! A supervisor that does what the test says, over real connections on loopback.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tempfile::TempDir;
use tessera_model::msg::{FromWorker, LaunchInventory, Report, Run, ToWorker};
use tessera_model::{HostFacts, HostName, ItemIndex, ServedSettings};
use tessera_wire::convert::{AttachRefused, Hello, LogAck, LogKey};
use tessera_wire::link::{Handler, LogConnection, Terms, WorkerConnection, serve_worker};
use tessera_wire::pki::{FarmCa, FarmId, WorkerIdentity, new_host_id};
use tessera_wire::tls::{Accepted, TlsServer, WorkerPeer};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Longest that a test waits for something that must happen.
const DEADLINE: Duration = Duration::from_secs(30);

/// A farm with one port.
pub(super) struct Farm {
    ca: FarmCa,
    pub(super) address: SocketAddr,
    pub(super) shop: Arc<Shop>,
    accepting: JoinHandle<()>,
    _dir: TempDir,
}

/// What the supervisor is like, and has heard.
#[derive(Default)]
pub(super) struct State {
    /// It takes connections.
    pub(super) is_up: bool,
    /// It ends each connection as soon as it has welcomed the worker.
    pub(super) sends_away: bool,
    /// What it sets for the worker, said on each connection.
    pub(super) settings: Option<ServedSettings>,
    /// It welcomes with the word that it serves settings.
    pub(super) serves: bool,
    /// It acknowledges reports.
    pub(super) acknowledges: bool,
    /// It orders items of what has ended one, up to this one.
    pub(super) items: u32,
    /// It keeps logs.
    pub(super) keeps_logs: bool,
    /// It ends the stream of logs after so many chunks.
    pub(super) log_fuse: Option<usize>,
    pub(super) hellos: Vec<HostFacts>,
    pub(super) said: Vec<FromWorker>,
    /// Reports in the order in which they came, those of each connection apart.
    pub(super) reports: Vec<Vec<(u64, Report)>>,
    pub(super) inventories: Vec<Vec<LaunchInventory>>,
    pub(super) logs: BTreeMap<LogKey, Vec<u8>>,
    pub(super) complete: BTreeSet<LogKey>,
    /// Bytes of all logs that were there when the first of a log came.
    pub(super) bytes_before: BTreeMap<LogKey, usize>,
    pub(super) log_streams: usize,
    connections: CancellationToken,
    to_worker: Option<mpsc::Sender<Vec<ToWorker>>>,
}

/// The supervisor behind the port.
pub(super) struct Shop {
    state: Mutex<State>,
    changed: watch::Sender<()>,
}

impl Shop {
    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let result = change(&mut self.lock());
        self.changed.send_replace(());
        result
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Farm {
    pub(super) async fn new() -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let ca = FarmCa::create(&dir.path().join("ca")).expect("a CA");
        let certificate = ca
            .server_certificate(&["localhost".into()])
            .expect("a certificate");
        let tls = Arc::new(TlsServer::new(&ca, certificate).expect("TLS"));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("its address");
        let state = State {
            is_up: true,
            acknowledges: true,
            keeps_logs: true,
            ..State::default()
        };
        let shop = Arc::new(Shop {
            state: Mutex::new(state),
            changed: watch::Sender::new(()),
        });
        let farm = ca.farm_id();
        let accepting = tokio::spawn(accept(listener, tls, Arc::clone(&shop), farm));
        Self {
            ca,
            address,
            shop,
            accepting,
            _dir: dir,
        }
    }

    /// Enrols a host: its key and certificate go to `dir`.
    pub(super) fn enrol(&self, dir: &Path) {
        let request = WorkerIdentity::generate_csr().expect("a request");
        let name: HostName = "rnd042".parse().expect("a name");
        let host = new_host_id().expect("an id");
        let certificate = self
            .ca
            .sign_worker(request.csr_pem(), host, &name)
            .expect("signs");
        let (ca, pin) = (self.ca.certificate_pem(), self.ca.fingerprint());
        let identity = request
            .complete(&certificate, &ca, pin)
            .expect("belongs together");
        identity.save(dir).expect("saves");
    }

    /// Answers the farm's id.
    pub(super) fn id(&self) -> String {
        self.ca.farm_id().to_string()
    }

    pub(super) fn set(&self, change: impl FnOnce(&mut State)) {
        self.shop.change(change);
    }

    /// Ends all connections; `is_up` decides whether there are new ones.
    pub(super) fn disconnect(&self, is_up: bool) {
        self.set(|state| {
            state.is_up = is_up;
            std::mem::take(&mut state.connections).cancel();
            state.to_worker = None;
        });
    }

    /// Answers all logs that it has.
    pub(super) fn shop_logs(&self) -> Vec<Vec<u8>> {
        self.shop.lock().logs.values().cloned().collect()
    }

    pub(super) async fn order(&self, message: ToWorker) {
        let sender = self
            .wait_for("a connection", |state| state.to_worker.clone())
            .await;
        sender.send(vec![message]).await.expect("is connected");
    }

    /// Waits until `look` finds something.
    pub(super) async fn wait_for<T>(
        &self,
        what: &str,
        mut look: impl FnMut(&mut State) -> Option<T>,
    ) -> T {
        let mut changed = self.shop.changed.subscribe();
        let found = async {
            loop {
                changed.borrow_and_update();
                if let Some(found) = look(&mut self.shop.lock()) {
                    return found;
                }
                changed.changed().await.expect("the farm lives");
            }
        };
        match tokio::time::timeout(DEADLINE, found).await {
            Ok(found) => found,
            Err(_) => panic!("{what}: not within {DEADLINE:?}"),
        }
    }

    /// Waits for a report that `is` what the test expects.
    pub(super) async fn report(&self, what: &str, is: impl Fn(&Report) -> bool) -> Report {
        self.wait_for(what, |state| {
            let all = state.reports.iter().flatten();
            all.map(|(_, report)| report)
                .find(|report| is(report))
                .cloned()
        })
        .await
    }
}

impl Drop for Farm {
    fn drop(&mut self) {
        self.accepting.abort();
        self.shop.lock().connections.cancel();
    }
}

async fn accept(listener: TcpListener, tls: Arc<TlsServer>, shop: Arc<Shop>, farm: FarmId) {
    let terms = Terms {
        farm,
        heartbeat: Duration::from_secs(1),
        features: Vec::new(),
    };
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            return;
        };
        let (is_up, serves, gone) = {
            let state = shop.lock();
            (state.is_up, state.serves, state.connections.clone())
        };
        if !is_up {
            continue;
        }
        let (tls, shop, mut terms) = (Arc::clone(&tls), Arc::clone(&shop), terms.clone());
        terms.features.extend(serves.then(|| "settings".to_owned()));
        tokio::spawn(async move {
            let Ok(Accepted::Worker(worker)) = tls.accept(stream).await else {
                return;
            };
            tokio::select! {
                _ended = serve_worker(worker, terms, shop) => {}
                () = gone.cancelled() => {}
            }
        });
    }
}

impl Handler for Shop {
    async fn admit(&self, _peer: &WorkerPeer, _hello: &Hello) -> Result<(), AttachRefused> {
        Ok(())
    }

    async fn attached(&self, mut connection: WorkerConnection) {
        let is_sent_away = self.change(|state| {
            state.hellos.push(connection.hello.facts.clone());
            if !state.sends_away {
                state.reports.push(Vec::new());
                state.to_worker = Some(connection.outgoing.clone());
            }
            state.sends_away
        });
        if is_sent_away {
            return;
        }
        let settings = self.lock().settings.clone();
        if let Some(settings) = settings {
            let message = ToWorker::Settings(Box::new(settings));
            let _gone = connection.outgoing.send(vec![message]).await;
        }
        while let Some(messages) = connection.incoming.recv().await {
            let answers = self.change(|state| heard(state, messages));
            if !answers.is_empty() {
                let _gone = connection.outgoing.send(answers).await;
            }
        }
    }

    async fn logs(&self, mut connection: LogConnection) {
        self.change(|state| state.log_streams += 1);
        while let Some(chunk) = connection.chunks.recv().await {
            if self.change(burns_through) {
                return;
            }
            let ack = self.change(|state| keep(state, &chunk));
            if let Some(ack) = ack {
                let _gone = connection.acks.send(ack).await;
            }
        }
    }
}

/// Says whether the stream of logs is to be ended with this chunk.
fn burns_through(state: &mut State) -> bool {
    match state.log_fuse {
        Some(0) => {
            state.log_fuse = None;
            true
        }
        Some(left) => {
            state.log_fuse = Some(left - 1);
            false
        }
        None => false,
    }
}

fn heard(state: &mut State, messages: Vec<FromWorker>) -> Vec<ToWorker> {
    let (mut last, mut answers) = (None, Vec::new());
    for message in messages {
        match &message {
            FromWorker::Hello(facts) => state.hellos.push(facts.clone()),
            FromWorker::Inventory(launches) => state.inventories.push(launches.clone()),
            FromWorker::Report { seq, report } => {
                last = Some(*seq);
                answers.extend(next_item(report, state.items));
                if let Some(reports) = state.reports.last_mut() {
                    reports.push((*seq, report.clone()));
                }
            }
            FromWorker::ItemStarted { .. }
            | FromWorker::Progress { .. }
            | FromWorker::PoolKeys(_)
            | FromWorker::CredentialChecked(_)
            | FromWorker::Resealed { .. }
            | FromWorker::Idle(_)
            | FromWorker::Heartbeat => {}
        }
        state.said.push(message);
    }
    answers.extend(last.filter(|_| state.acknowledges).map(ToWorker::Ack));
    answers
}

fn next_item(report: &Report, items: u32) -> Option<ToWorker> {
    let Report::ItemEnded { key, run, .. } = report else {
        return None;
    };
    let item = ItemIndex(run.item.0 + 1);
    (item.0 < items).then_some(ToWorker::Run {
        key: *key,
        run: Run {
            item,
            attempt: run.attempt,
        },
    })
}

/// Keeps what extends a log; a gap changes nothing and the answer says where it ends.
fn keep(state: &mut State, chunk: &tessera_wire::convert::LogChunk) -> Option<LogAck> {
    if !state.keeps_logs {
        return None;
    }
    let all = state.logs.values().map(Vec::len).sum();
    state.bytes_before.entry(chunk.key).or_insert(all);
    let log = state.logs.entry(chunk.key).or_default();
    let len = log.len() as u64;
    if let Some(known) = len.checked_sub(chunk.offset)
        && let Some(new) = usize::try_from(known)
            .ok()
            .and_then(|it| chunk.data.get(it..))
    {
        log.extend_from_slice(new);
    }
    let durable_to = log.len() as u64;
    let is_complete = chunk.final_size == Some(durable_to);
    if is_complete {
        state.complete.insert(chunk.key);
    }
    Some(LogAck {
        key: chunk.key,
        durable_to,
        is_complete,
    })
}
