//! What tests play with.

use std::future::Future;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;
use tessera_api::Client;
use tessera_api::client::Fingerprint;
use tessera_api::types::{JoinReply, JoinRequest, JoinTokenRequest, SubmitRequest, TokenRequest};
use tessera_model::host::{GROUPS_PROPERTY, LIMITS_PROPERTY};
use tessera_model::msg::{
    AttemptEnd, FromWorker, GoneCause, LaunchInventory, LaunchKey, Report, Run, ToWorker,
};
use tessera_model::state::End;
use tessera_model::{HostFacts, Timestamp};
use tessera_store::Store;
use tessera_store::memory::MemoryDisk;
use tessera_supervisor::{Options, Running, start, start_with};
use tessera_wire::link::{Attached, LinkError, LogPush, WorkerLink};
use tessera_wire::pki::{JoinString, WorkerIdentity};
use tessera_wire::tls::WorkerTls;

/// How long a test waits for what must come.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

/// A supervisor on a folder of its own.
pub(crate) struct Farm {
    pub(crate) running: Running,
    pub(crate) client: Client,
    pub(crate) dir: tempfile::TempDir,
}

/// Answers options for a folder; nothing outside of it is touched.
/// What every host has, in MiB.
pub(crate) const MEMORY: u64 = 65_536;

pub(crate) fn options(dir: &Path) -> Options {
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    Options {
        listen: Some(listen),
        ..Options::new(dir.join("farm"))
    }
}

impl Farm {
    pub(crate) async fn start() -> Self {
        Self::start_in(tempfile::tempdir().expect("a folder")).await
    }

    pub(crate) async fn start_in(dir: tempfile::TempDir) -> Self {
        let running = start(options(dir.path())).await.expect("starts");
        let client = Client::unix(running.socket());
        Self {
            running,
            client,
            dir,
        }
    }

    /// Starts one whose history is kept for no day.
    pub(crate) async fn start_forgetful() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let config = dir.path().join("supervisor.toml");
        std::fs::write(&config, "cleanup_journal_days = 0\n").expect("writes");
        let options = Options {
            config: Some(config),
            ..options(dir.path())
        };
        let running = start(options).await.expect("starts");
        let client = Client::unix(running.socket());
        Self {
            running,
            client,
            dir,
        }
    }

    /// Starts on a store in memory that can be made to fail.
    pub(crate) async fn start_on(disk: &MemoryDisk) -> Self {
        Self::start_with_store(Box::new(disk.open())).await
    }

    /// Starts on this store.
    pub(crate) async fn start_with_store(store: Box<dyn Store>) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let running = start_with(options(dir.path()), |_| Ok(store))
            .await
            .expect("starts");
        let client = Client::unix(running.socket());
        Self {
            running,
            client,
            dir,
        }
    }

    /// Stops the supervisor and starts another on the same state.
    pub(crate) async fn restart(self) -> Self {
        self.running.stop().await.expect("stops in order");
        Self::start_in(self.dir).await
    }

    pub(crate) async fn submit(&self, request: SubmitRequest) -> u64 {
        self.client
            .submit(&request, false)
            .await
            .expect("submitted")
            .job
            .expect("has a number")
    }

    /// Answers a client over TLS that is an ordinary user by a token.
    pub(crate) async fn user(&self, name: &str) -> Client {
        let request = TokenRequest {
            user: Some(name.into()),
            ..TokenRequest::default()
        };
        let token = self.client.create_token(&request).await.expect("a token");
        self.over_tls(Some(token.token)).await
    }

    pub(crate) async fn over_tls(&self, token: Option<String>) -> Client {
        let info = self.client.info().await.expect("info");
        let ca: Fingerprint = info.ca_sha256.parse().expect("a fingerprint");
        Client::tls(self.running.address().to_string(), ca, token)
    }

    /// Lets a host join; answers what it has to prove itself with.
    pub(crate) async fn enrol(&self, name: &str) -> (WorkerIdentity, JoinReply) {
        let token = self
            .client
            .create_join_token(&JoinTokenRequest::default())
            .await
            .expect("a join token");
        let join: JoinString = token.join_string.parse().expect("a join string");
        let request = WorkerIdentity::generate_csr().expect("a request");
        let body = JoinRequest {
            token: join.token.reveal(),
            csr_pem: request.csr_pem().to_owned(),
            name: name.to_owned(),
        };
        let stranger = self.over_tls(None).await;
        let reply = stranger.join(&body).await.expect("joins");
        let identity = request
            .complete(&reply.certificate_pem, &reply.ca_pem, join.ca)
            .expect("what was promised");
        (identity, reply)
    }

    /// Lets a host join and connects its worker.
    pub(crate) async fn worker(&self, name: &str, slots: u32) -> Worker {
        self.worker_in(name, slots, "").await
    }

    /// As [`Self::worker`], of a host in these groups.
    pub(crate) async fn worker_in(&self, name: &str, slots: u32, groups: &str) -> Worker {
        let (identity, reply) = self.enrol(name).await;
        let mut worker = Worker {
            identity,
            reply,
            slots,
            groups: groups.to_owned(),
            panic: None,
            link: None,
            seq: 0,
            left: Vec::new(),
        };
        worker
            .connect(self.running.address(), Vec::new())
            .await
            .expect("attaches");
        worker
    }
}

/// A request for frames of a command.
pub(crate) fn frames(range: &str) -> SubmitRequest {
    SubmitRequest {
        command: vec!["render".into(), "QB_FRAME_NUMBER".into()],
        range: Some(range.into()),
        ..SubmitRequest::default()
    }
}

/// A worker that does what the test says.
pub(crate) struct Worker {
    pub(crate) identity: WorkerIdentity,
    pub(crate) reply: JoinReply,
    pub(crate) slots: u32,
    groups: String,
    /// What keeps it from its work.
    panic: Option<String>,
    link: Option<(WorkerLink, Attached)>,
    seq: u64,
    left: Vec<ToWorker>,
}

impl Worker {
    /// Connects and says what it has.
    pub(crate) async fn connect(
        &mut self,
        address: SocketAddr,
        inventory: Vec<LaunchInventory>,
    ) -> Result<(), LinkError> {
        self.attach(address).await?;
        self.say(FromWorker::Inventory(inventory)).await;
        Ok(())
    }

    /// Connects; reports may follow, and then what it has.
    pub(crate) async fn attach(&mut self, address: SocketAddr) -> Result<(), LinkError> {
        let tls = WorkerTls::new(&self.identity).expect("an identity");
        let stream = tls.connect(&address.to_string()).await.expect("connects");
        let link = WorkerLink::open(stream, tls.farm_id()).await?;
        let facts = HostFacts {
            name: "claimed-name".into(),
            slots: self.slots,
            panic: self.panic.clone(),
            resources: [("host.memory".to_owned(), MEMORY)].into(),
            properties: [
                (LIMITS_PROPERTY.to_owned(), "memory,pids,cpu".to_owned()),
                (GROUPS_PROPERTY.to_owned(), self.groups.clone()),
            ]
            .into(),
            ..HostFacts::default()
        };
        let attached = link.attach(facts, Vec::new()).await?;
        self.left.clear();
        self.link = Some((link, attached));
        Ok(())
    }

    /// Connects anew and says that something is wrong with its host.
    pub(crate) async fn panics_of(&mut self, why: &str, address: SocketAddr) {
        self.panic = Some(why.to_owned());
        self.connect(address, Vec::new()).await.expect("attaches");
    }

    pub(crate) fn disconnect(&mut self) {
        self.link = None;
    }

    fn attached(&mut self) -> &mut Attached {
        &mut self.link.as_mut().expect("connected").1
    }

    pub(crate) async fn say(&mut self, what: FromWorker) {
        self.attached()
            .outgoing
            .send(vec![what])
            .await
            .expect("heard");
    }

    pub(crate) async fn say_all(&mut self, turn: Vec<FromWorker>) {
        self.attached().outgoing.send(turn).await.expect("heard");
    }

    /// Says a report; answers its number.
    pub(crate) async fn report(&mut self, report: Report) -> u64 {
        self.seq += 1;
        let seq = self.seq;
        self.say(FromWorker::Report { seq, report }).await;
        seq
    }

    /// Says a report again under its number.
    pub(crate) async fn repeat(&mut self, seq: u64, report: Report) {
        self.say(FromWorker::Report { seq, report }).await;
    }

    /// Waits for the next message; nothing when the connection has ended.
    pub(crate) async fn try_next(&mut self) -> Option<ToWorker> {
        while self.left.is_empty() {
            let turn = tokio::time::timeout(DEADLINE, self.attached().incoming.recv())
                .await
                .expect("in time")?;
            self.left = turn;
        }
        Some(self.left.remove(0))
    }

    pub(crate) async fn next(&mut self) -> ToWorker {
        self.try_next().await.expect("a message")
    }

    /// Waits for a start, taking acknowledgements before it.
    pub(crate) async fn started(&mut self) -> Start {
        loop {
            match self.next().await {
                ToWorker::Start {
                    key,
                    run,
                    ticket,
                    signature,
                    template,
                    ..
                } => {
                    return Start {
                        key,
                        run,
                        ticket,
                        signature,
                        template,
                    };
                }
                ToWorker::Ack(_) => {}
                other => panic!("not a start: {other:?}"),
            }
        }
    }

    /// Waits for the acknowledgement of this report; answers what came before it.
    pub(crate) async fn acknowledged(&mut self, seq: u64) -> Vec<ToWorker> {
        let mut before = Vec::new();
        loop {
            match self.next().await {
                ToWorker::Ack(upto) if upto >= seq => return before,
                ToWorker::Ack(_) => {}
                other => before.push(other),
            }
        }
    }

    /// Says that an instance exists.
    pub(crate) async fn is_up(&mut self, key: LaunchKey) -> u64 {
        let (account, containment) = ("root".into(), "session".into());
        self.report(Report::Started {
            key,
            account,
            uid: 0,
            containment,
        })
        .await
    }

    /// Says that an item ended with this status.
    pub(crate) async fn ended(&mut self, key: LaunchKey, run: Run, status: i32) -> u64 {
        self.report(ended(key, run, status, [0, 0])).await
    }

    /// Says that nothing of a launch that was closed is left, and waits until that is acknowledged.
    pub(crate) async fn gone(&mut self, key: LaunchKey) {
        let cause = GoneCause::Closed;
        let seq = self.report(Report::Gone { key, cause }).await;
        self.acknowledged(seq).await;
    }

    pub(crate) async fn logs(&self) -> LogPush {
        self.link
            .as_ref()
            .expect("connected")
            .0
            .push_logs()
            .await
            .expect("a stream")
    }
}

/// An order to start an instance.
pub(crate) struct Start {
    pub(crate) key: LaunchKey,
    pub(crate) run: Run,
    pub(crate) ticket: Vec<u8>,
    pub(crate) signature: Vec<u8>,
    pub(crate) template: Vec<u8>,
}

/// The report that an item ended.
pub(crate) fn ended(key: LaunchKey, run: Run, status: i32, kept: [u64; 2]) -> Report {
    let end = AttemptEnd {
        end: End::Exit(status),
        started: Timestamp(1_000),
        elapsed: Duration::from_millis(20),
        cpu: Duration::from_millis(10),
        peak_memory: 4_096,
        printed: kept,
        kept,
        leftovers: 0,
    };
    Report::ItemEnded { key, run, end }
}

/// Waits until something is there.
pub(crate) async fn eventually<T, F>(what: &str, mut look: impl FnMut() -> F) -> T
where
    F: Future<Output = Option<T>>,
{
    let end = tokio::time::Instant::now() + DEADLINE;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(tokio::time::Instant::now() < end, "{what} did not come");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
