//! A farm on loopback for the tests of this crate.
#![allow(dead_code, reason = "each test file uses a part of it")]

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tessera_model::msg::{FromWorker, ToWorker};
use tessera_model::{HostFacts, HostId, HostName, Identity};
use tessera_wire::convert::{AttachRefused, Hello};
use tessera_wire::link::{
    Attached, Handler, LogConnection, Terms, WorkerConnection, WorkerLink, serve_worker,
};
use tessera_wire::pki::{FarmCa, WorkerIdentity, new_host_id};
use tessera_wire::tls::{AcceptError, Accepted, TlsServer, WorkerPeer, WorkerTls};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

/// Longest that a test waits for something that must happen.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

/// Waits for what must happen.
pub(crate) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(DEADLINE, future).await {
        Ok(value) => value,
        Err(_elapsed) => panic!("{what}: not within {DEADLINE:?}"),
    }
}

/// A farm's CA, its server's TLS and a port.
pub(crate) struct Farm {
    pub(crate) dir: TempDir,
    pub(crate) ca: FarmCa,
    pub(crate) tls: Arc<TlsServer>,
    pub(crate) listener: TcpListener,
    pub(crate) address: SocketAddr,
}

impl Farm {
    pub(crate) async fn new() -> Self {
        Self::with(|tls| tls).await
    }

    pub(crate) async fn with(change: impl FnOnce(TlsServer) -> TlsServer) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let ca = FarmCa::create(&dir.path().join("ca")).unwrap();
        let certificate = ca.server_certificate(&["localhost".into()]).unwrap();
        let tls = Arc::new(change(TlsServer::new(&ca, certificate).unwrap()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        Self {
            dir,
            ca,
            tls,
            listener,
            address,
        }
    }

    pub(crate) fn ca_dir(&self) -> PathBuf {
        self.dir.path().join("ca")
    }

    /// Enrols a new host.
    pub(crate) fn identity(&self) -> WorkerIdentity {
        self.identity_of(new_host_id().unwrap())
    }

    pub(crate) fn identity_of(&self, host: HostId) -> WorkerIdentity {
        let request = WorkerIdentity::generate_csr().unwrap();
        let name: HostName = "rnd042".parse().unwrap();
        let certificate = self.ca.sign_worker(request.csr_pem(), host, &name).unwrap();
        request
            .complete(
                &certificate,
                &self.ca.certificate_pem(),
                self.ca.fingerprint(),
            )
            .unwrap()
    }

    /// Takes one connection.
    pub(crate) async fn accept(&self) -> Result<Accepted, AcceptError> {
        let (stream, _) = self.listener.accept().await.unwrap();
        soon("a handshake", self.tls.accept(stream)).await
    }

    /// Serves workers until dropped.
    pub(crate) fn serve<H: Handler>(
        self: &Arc<Self>,
        handler: Arc<H>,
    ) -> tokio::task::JoinHandle<()> {
        let farm = self.clone();
        tokio::spawn(async move {
            let mut tasks = tokio::task::JoinSet::new();
            loop {
                let (stream, _) = farm.listener.accept().await.unwrap();
                let (tls, handler, terms) = (farm.tls.clone(), handler.clone(), farm.terms());
                tasks.spawn(async move {
                    if let Ok(Accepted::Worker(worker)) = tls.accept(stream).await {
                        let _how_it_ended = serve_worker(worker, terms, handler).await;
                    }
                });
            }
        })
    }

    pub(crate) fn terms(&self) -> Terms {
        let heartbeat = Duration::from_secs(10);
        Terms {
            farm: self.ca.farm_id(),
            heartbeat,
            features: vec!["test".into()],
        }
    }

    /// Connects as that host.
    pub(crate) async fn link(&self, identity: &WorkerIdentity) -> WorkerLink {
        let tls = WorkerTls::new(identity).unwrap();
        let stream = soon("a connection", tls.connect(&self.address.to_string()))
            .await
            .unwrap();
        WorkerLink::open(stream, self.ca.farm_id()).await.unwrap()
    }

    /// The CA's key, for certificates that the CA itself would never make.
    pub(crate) fn issuer(&self) -> rcgen::Issuer<'static, rcgen::KeyPair> {
        let pem = fs::read(self.ca_dir().join("farm-ca.pem")).unwrap();
        let key = PrivateKeyDer::from_pem_slice(&pem).unwrap();
        let key = rcgen::KeyPair::try_from(&key).unwrap();
        rcgen::Issuer::from_ca_cert_der(self.ca.certificate(), key).unwrap()
    }
}

/// A client that is not bound to do what a worker does.
pub(crate) struct RawClient {
    pub(crate) ca: CertificateDer<'static>,
    pub(crate) name: String,
    pub(crate) alpn: Vec<Vec<u8>>,
    pub(crate) certificate: Option<(CertificateDer<'static>, PrivateKeyDer<'static>)>,
    pub(crate) versions: Vec<&'static rustls::SupportedProtocolVersion>,
}

impl RawClient {
    pub(crate) fn of(farm: &Farm) -> Self {
        Self {
            ca: farm.ca.certificate().clone(),
            name: farm.ca.farm_id().server_name(),
            alpn: Vec::new(),
            certificate: None,
            versions: vec![&rustls::version::TLS13, &rustls::version::TLS12],
        }
    }

    pub(crate) fn alpn(mut self, word: &[u8]) -> Self {
        self.alpn.push(word.to_vec());
        self
    }

    pub(crate) fn certificate(mut self, made: &(rcgen::Certificate, rcgen::KeyPair)) -> Self {
        let key = PrivateKeyDer::Pkcs8(made.1.serialize_der().into());
        self.certificate = Some((made.0.der().clone(), key));
        self
    }

    pub(crate) async fn connect(
        self,
        address: SocketAddr,
    ) -> std::io::Result<tokio_rustls::client::TlsStream<TcpStream>> {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(self.ca).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = rustls::ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&self.versions)
            .unwrap()
            .with_root_certificates(roots);
        let mut config = match self.certificate {
            Some((certificate, key)) => builder
                .with_client_auth_cert(vec![certificate], key)
                .unwrap(),
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = self.alpn;
        let name = ServerName::try_from(self.name).unwrap();
        let tcp = TcpStream::connect(address).await?;
        tokio_rustls::TlsConnector::from(Arc::new(config))
            .connect(name, tcp)
            .await
    }
}

/// Makes a client certificate that the farm's CA signs whatever it says.
pub(crate) fn forge(
    issuer: &rcgen::Issuer<'_, rcgen::KeyPair>,
    change: impl FnOnce(&mut rcgen::CertificateParams),
) -> (rcgen::Certificate, rcgen::KeyPair) {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    let mut params = rcgen::CertificateParams::default();
    params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
    change(&mut params);
    (params.signed_by(&key, issuer).unwrap(), key)
}

/// A name in a certificate.
pub(crate) fn uri(text: &str) -> rcgen::SanType {
    rcgen::SanType::URI(text.try_into().unwrap())
}

/// Facts of a small host.
pub(crate) fn facts() -> HostFacts {
    HostFacts {
        name: "rnd042".into(),
        slots: 4,
        properties: [("host.os".into(), "linux".into())].into(),
        resources: [("host.memory".into(), 32_000)].into(),
        identity: Identity::User,
        version: "0.1.0".into(),
        ..HostFacts::default()
    }
}

/// A handler that hands every connection to the test.
pub(crate) struct Hand {
    pub(crate) refuse: Option<AttachRefused>,
    pub(crate) attached: mpsc::Sender<WorkerConnection>,
    pub(crate) logs: mpsc::Sender<LogConnection>,
}

/// What the test gets from a [`Hand`].
pub(crate) struct Received {
    pub(crate) attached: mpsc::Receiver<WorkerConnection>,
    pub(crate) logs: mpsc::Receiver<LogConnection>,
}

impl Hand {
    pub(crate) fn new() -> (Arc<Self>, Received) {
        Self::with(None)
    }

    pub(crate) fn with(refuse: Option<AttachRefused>) -> (Arc<Self>, Received) {
        let (attached, attached_out) = mpsc::channel(16);
        let (logs, logs_out) = mpsc::channel(16);
        let received = Received {
            attached: attached_out,
            logs: logs_out,
        };
        (
            Arc::new(Self {
                refuse,
                attached,
                logs,
            }),
            received,
        )
    }
}

impl Handler for Hand {
    async fn admit(&self, _: &WorkerPeer, _: &Hello) -> Result<(), AttachRefused> {
        self.refuse.clone().map_or(Ok(()), Err)
    }

    async fn attached(&self, connection: WorkerConnection) {
        self.attached.send(connection).await.ok();
    }

    async fn logs(&self, connection: LogConnection) {
        self.logs.send(connection).await.ok();
    }
}

/// Attaches a worker and answers both ends.
pub(crate) async fn attach(
    link: &WorkerLink,
    received: &mut Received,
) -> (Attached, WorkerConnection) {
    let attached = soon("a welcome", link.attach(facts(), Vec::new()))
        .await
        .unwrap();
    let connection = soon("an attached worker", received.attached.recv())
        .await
        .unwrap();
    (attached, connection)
}

/// Proves that control of this connection works both ways.
pub(crate) async fn echo(worker: &mut Attached, supervisor: &mut WorkerConnection) {
    soon(
        "room for a heartbeat",
        worker.outgoing.send(vec![FromWorker::Heartbeat]),
    )
    .await
    .unwrap();
    let heard = soon("a heartbeat", supervisor.incoming.recv()).await;
    assert_eq!(heard, Some(vec![FromWorker::Heartbeat]));
    soon(
        "room for an ack",
        supervisor.outgoing.send(vec![ToWorker::Ack(7)]),
    )
    .await
    .unwrap();
    assert_eq!(
        soon("an ack", worker.incoming.recv()).await,
        Some(vec![ToWorker::Ack(7)])
    );
}

/// Answers the permission bits of a file.
pub(crate) fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt as _;
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}
