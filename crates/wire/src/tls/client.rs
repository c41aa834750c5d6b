//! A worker's side of the connection.

use super::pin::PinVerifier;
use super::{
    ALPN_WORKER, CONNECT_TIME_LIMIT, ClientStream, ConnectError, HANDSHAKE_TIME_LIMIT, provider,
};
use crate::pki::{FarmId, Fingerprint, PkiError, WorkerIdentity};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

/// Connects a worker to its supervisor. Keep it: a later connection resumes the session of an earlier one.
#[derive(Clone)]
pub struct WorkerTls {
    connector: TlsConnector,
    farm: FarmId,
    name: ServerName<'static>,
}

impl WorkerTls {
    /// Prepares connections of this host.
    ///
    /// # Errors
    /// `Identity` when its key or certificate can't be used.
    pub fn new(identity: &WorkerIdentity) -> Result<Self, ConnectError> {
        let mut roots = RootCertStore::empty();
        roots
            .add(identity.ca().clone())
            .map_err(ConnectError::Identity)?;
        let mut config = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(ConnectError::Identity)?
            .with_root_certificates(roots)
            .with_client_auth_cert(vec![identity.certificate().clone()], identity.private_key())
            .map_err(ConnectError::Identity)?;
        config.alpn_protocols = vec![ALPN_WORKER.to_vec()];
        let farm = identity.farm_id();
        let name = farm_name(farm)?;
        Ok(Self {
            connector: TlsConnector::from(Arc::new(config)),
            farm,
            name,
        })
    }

    /// Answers the farm whose supervisor is expected.
    #[must_use]
    pub fn farm_id(&self) -> FarmId {
        self.farm
    }

    /// Connects to `address` (`host:port`). Whatever name leads there, who answers must prove to be the farm's supervisor.
    /// Dropping the future closes the connection.
    ///
    /// # Errors
    /// `Unreachable`, `Late`, or `Handshake` when it is not the farm's supervisor or does not accept this host (that one
    /// may also show as an error of the first read: TLS 1.3 tells late).
    pub async fn connect(&self, address: &str) -> Result<ClientStream, ConnectError> {
        handshake(&self.connector, self.name.clone(), address).await
    }
}

/// Connects to a supervisor of which only the CA's fingerprint is known, to join (ALPN `http/1.1`, no certificate).
///
/// # Errors
/// As [`WorkerTls::connect`].
pub async fn connect_pinned(address: &str, ca: Fingerprint) -> Result<ClientStream, ConnectError> {
    let provider = provider();
    let verifier = Arc::new(PinVerifier::new(ca, provider.clone()));
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(ConnectError::Identity)?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    // The name that is checked is the farm's, known once its CA certificate has been seen.
    config.enable_sni = false;
    let name = ServerName::try_from("farm.tessera").map_err(|_| bad_name())?;
    handshake(&TlsConnector::from(Arc::new(config)), name, address).await
}

/// Answers the name that the farm's servers prove.
pub(super) fn farm_name(farm: FarmId) -> Result<ServerName<'static>, ConnectError> {
    ServerName::try_from(farm.server_name()).map_err(|_| bad_name())
}

fn bad_name() -> ConnectError {
    ConnectError::Pki(PkiError::Refused {
        what: "farm id",
        why: "it makes no server name",
    })
}

async fn handshake(
    connector: &TlsConnector,
    name: ServerName<'static>,
    address: &str,
) -> Result<ClientStream, ConnectError> {
    let late = |_elapsed| ConnectError::Late {
        address: address.to_owned(),
    };
    let unreachable = |source| ConnectError::Unreachable {
        address: address.to_owned(),
        source,
    };
    let tcp = timeout(CONNECT_TIME_LIMIT, TcpStream::connect(address))
        .await
        .map_err(late)?
        .map_err(unreachable)?;
    tcp.set_nodelay(true).map_err(unreachable)?;
    timeout(HANDSHAKE_TIME_LIMIT, connector.connect(name, tcp))
        .await
        .map_err(late)?
        .map_err(|source| ConnectError::Handshake {
            address: address.to_owned(),
            source,
        })
}
