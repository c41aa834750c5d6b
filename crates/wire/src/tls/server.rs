//! The supervisor's side of the port.

use super::gate::Gate;
use super::{
    ALPN_PINNED, ALPN_WORKER, AcceptError, HANDSHAKE_TIME_LIMIT, HANDSHAKES_MAX, SESSIONS_MAX,
    ServerStream, provider,
};
use crate::pki::{
    FarmCa, Fingerprint, PkiError, ServerCertificate, SiteCertificate, Validity, host_of_worker,
    unix_now, validity_of,
};
use rustls::RootCertStore;
use rustls::ServerConfig;
use rustls::server::{Acceptor, ServerSessionMemoryCache, WebPkiClientVerifier};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tessera_model::HostId;
use tokio::net::TcpStream;
use tokio_rustls::LazyConfigAcceptor;

/// The first byte of a TLS handshake record.
const TLS_HANDSHAKE: u8 = 0x16;

/// Takes connections, tells workers from people, and proves who workers are.
pub struct TlsServer {
    configs: RwLock<Arc<Configs>>,
    site: RwLock<Option<Arc<Site>>>,
    gate: Gate,
    time_limit: Duration,
}

struct Configs {
    worker: Arc<ServerConfig>,
    people: Arc<ServerConfig>,
}

/// The site's own certificate, and how it is shown.
struct Site {
    certificate: SiteCertificate,
    config: Arc<ServerConfig>,
}

impl Site {
    /// Says whether it is shown to who asks for a name. One that has ended meanwhile is not.
    fn is_for(&self, name: &str, now: i64) -> bool {
        self.certificate.validity.includes(now) && self.certificate.covers(name)
    }
}

/// A connection whose handshake is done.
#[derive(Debug)]
pub enum Accepted {
    /// A worker, proven by certificate.
    Worker(AcceptedWorker),
    /// Somebody else; TLS says nothing about who.
    Client(AcceptedClient),
}

/// A worker's connection.
#[derive(Debug)]
pub struct AcceptedWorker {
    /// Who it is.
    pub peer: WorkerPeer,
    /// What to serve; see [`crate::link::serve_worker`].
    pub stream: ServerStream,
}

/// What a worker's certificate and connection say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WorkerPeer {
    /// The host, from the certificate.
    pub host: HostId,
    /// Which certificate; a second one for the same host is a clone or a host that joined again.
    pub certificate: Fingerprint,
    /// When the certificate ends, in seconds since 1970.
    pub not_after: i64,
    /// Where the connection comes from; to be shown, not to be trusted.
    pub address: SocketAddr,
}

/// A connection of the browser's, CLI's or somebody's.
#[derive(Debug)]
pub struct AcceptedClient {
    /// What to serve. Nobody has proven anything, so bound the time it may take to say something.
    pub stream: ServerStream,
    /// Where it comes from.
    pub address: SocketAddr,
    /// Whether it chose HTTP/2.
    pub is_http2: bool,
}

impl TlsServer {
    /// Makes the server's side of TLS from the farm's CA and the server's certificate.
    ///
    /// # Errors
    /// `Refused` when they can't be used.
    pub fn new(ca: &FarmCa, server: ServerCertificate) -> Result<Self, PkiError> {
        Ok(Self {
            configs: RwLock::new(Arc::new(configs(ca, server)?)),
            site: RwLock::default(),
            gate: Gate::new(HANDSHAKES_MAX),
            time_limit: HANDSHAKE_TIME_LIMIT,
        })
    }

    /// Sets how long a handshake may take.
    #[must_use]
    pub fn with_time_limit(mut self, time_limit: Duration) -> Self {
        self.time_limit = time_limit;
        self
    }

    /// Sets how many handshakes there may be at a time.
    #[must_use]
    pub fn with_handshakes_max(mut self, max: usize) -> Self {
        self.gate = Gate::new(max);
        self
    }

    /// Uses another certificate for connections from now on; those there are go on. For a renewal without a restart.
    ///
    /// # Errors
    /// `Refused` when they can't be used; the old one stays.
    pub fn replace(&self, ca: &FarmCa, server: ServerCertificate) -> Result<(), PkiError> {
        let new = Arc::new(configs(ca, server)?);
        *self.configs.write().unwrap_or_else(PoisonError::into_inner) = new;
        Ok(())
    }

    /// Shows the site's own certificate from now on to who asks for one of its names and does not pin the farm's CA; without one,
    /// the farm's own to all. Connections that are there go on.
    ///
    /// # Errors
    /// `Refused` when TLS can't use it; what was shown before stays.
    pub fn set_site(&self, site: Option<SiteCertificate>) -> Result<(), PkiError> {
        let site = site.map(site_of).transpose()?;
        *self.site.write().unwrap_or_else(PoisonError::into_inner) = site.map(Arc::new);
        Ok(())
    }

    /// Answers how a handshake goes on with somebody who is no worker.
    fn for_people(&self, name: Option<&str>, is_pinned: bool) -> Arc<ServerConfig> {
        let site = self.site.read().unwrap_or_else(PoisonError::into_inner);
        let site = site.as_ref().filter(|_| !is_pinned).zip(name);
        if let Some((site, name)) = site
            && site.is_for(name, unix_now())
        {
            return Arc::clone(&site.config);
        }
        let configs = self.configs.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&configs.people)
    }

    /// Does the handshake of a connection. Takes as long as the peer lets it, at most the time limit, so each call is a
    /// task of its own; how many wait at a time is bounded here. Dropping the future closes the connection.
    ///
    /// # Errors
    /// Any; the connection is closed. Worth a counter and a debug line: anybody can cause them.
    pub async fn accept(&self, stream: TcpStream) -> Result<Accepted, AcceptError> {
        let mut place = self.gate.enter();
        let work = tokio::time::timeout(self.time_limit, self.handshake(stream));
        match place.unless_crowded(work).await {
            Some(Ok(accepted)) => accepted,
            Some(Err(_elapsed)) => Err(AcceptError::Late),
            None => Err(AcceptError::Crowded),
        }
    }

    async fn handshake(&self, stream: TcpStream) -> Result<Accepted, AcceptError> {
        stream.set_nodelay(true).map_err(AcceptError::Broken)?;
        let address = stream.peer_addr().map_err(AcceptError::Broken)?;
        refuse_plaintext(&stream).await?;
        let start = LazyConfigAcceptor::new(Acceptor::default(), stream)
            .await
            .map_err(AcceptError::Handshake)?;
        let hello = start.client_hello();
        let says = |wanted: &[u8]| {
            let words = hello.alpn();
            words.is_some_and(|mut words| words.any(|word| word == wanted))
        };
        let is_worker = says(ALPN_WORKER);
        let config = if is_worker {
            let configs = self.configs.read().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(&configs.worker)
        } else {
            self.for_people(hello.server_name(), says(ALPN_PINNED))
        };
        let stream = start
            .into_stream(config)
            .await
            .map_err(AcceptError::Handshake)?;
        if is_worker {
            accepted_worker(stream, address)
        } else {
            Ok(accepted_client(stream, address))
        }
    }
}

/// Looks at the first byte without taking it.
async fn refuse_plaintext(stream: &TcpStream) -> Result<(), AcceptError> {
    let mut first = [0];
    match stream.peek(&mut first).await {
        Ok(0) => Err(AcceptError::Broken(io::ErrorKind::UnexpectedEof.into())),
        Ok(_) if first[0] == TLS_HANDSHAKE => Ok(()),
        Ok(_) => Err(AcceptError::Plaintext { first: first[0] }),
        Err(error) => Err(AcceptError::Broken(error)),
    }
}

/// Reads who the worker is. Its certificate was verified in this handshake or, for a resumed session, in an earlier one:
/// whether it still counts is looked at again.
fn accepted_worker(stream: ServerStream, address: SocketAddr) -> Result<Accepted, AcceptError> {
    let none = || AcceptError::Handshake(io::Error::other("no client certificate"));
    let certificate = stream
        .get_ref()
        .1
        .peer_certificates()
        .and_then(<[_]>::first)
        .ok_or_else(none)?;
    let host = host_of_worker(certificate).map_err(AcceptError::Certificate)?;
    let validity: Validity = validity_of(certificate).map_err(AcceptError::Certificate)?;
    if !validity.includes(unix_now()) {
        return Err(AcceptError::Expired);
    }
    let certificate = Fingerprint::of(certificate);
    let peer = WorkerPeer {
        host,
        certificate,
        not_after: validity.not_after,
        address,
    };
    Ok(Accepted::Worker(AcceptedWorker { peer, stream }))
}

fn accepted_client(stream: ServerStream, address: SocketAddr) -> Accepted {
    let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    Accepted::Client(AcceptedClient {
        stream,
        address,
        is_http2,
    })
}

/// Words of what people's programs speak, the better first.
fn of_people() -> Vec<Vec<u8>> {
    vec![b"h2".to_vec(), b"http/1.1".to_vec()]
}

/// Builds how the site's own certificate is shown.
fn site_of(certificate: SiteCertificate) -> Result<Site, PkiError> {
    let refused = |_| PkiError::Refused {
        what: "site certificate",
        why: "TLS can't use it",
    };
    let key = CertifiedKey::clone(&certificate.key);
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(refused)?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(key)));
    config.alpn_protocols = of_people();
    Ok(Site {
        certificate,
        config: Arc::new(config),
    })
}

/// Builds the two ways a handshake can go.
fn configs(ca: &FarmCa, server: ServerCertificate) -> Result<Configs, PkiError> {
    let refused = |_| PkiError::Refused {
        what: "server certificate",
        why: "TLS can't use it",
    };
    let mut roots = RootCertStore::empty();
    roots.add(ca.certificate().clone()).map_err(refused)?;
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider())
        .build()
        .map_err(|_| PkiError::Refused {
            what: "CA certificate",
            why: "TLS can't use it",
        })?;
    let builder = || {
        ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(refused)
    };
    let mut worker = builder()?
        .with_client_cert_verifier(verifier)
        .with_single_cert(server.chain.clone(), server.key.clone_key())
        .map_err(refused)?;
    worker.alpn_protocols = vec![ALPN_WORKER.to_vec()];
    worker.session_storage = ServerSessionMemoryCache::new(SESSIONS_MAX);
    let mut people = builder()?
        .with_no_client_auth()
        .with_single_cert(server.chain, server.key)
        .map_err(refused)?;
    people.alpn_protocols = of_people();
    Ok(Configs {
        worker: Arc::new(worker),
        people: Arc::new(people),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_site_certificate_that_has_ended_is_shown_to_nobody() {
        let mut params =
            rcgen::CertificateParams::new(vec!["farm.lan".to_owned()]).expect("a name");
        params.not_before = rcgen::date_time_ymd(2026, 1, 1);
        params.not_after = rcgen::date_time_ymd(2027, 1, 1);
        let key = rcgen::KeyPair::generate().expect("a key");
        let pem = params.self_signed(&key).expect("signs").pem();
        // The last day of November 2026.
        let now = 1_796_000_000;
        let key = key.serialize_pem();
        let made = SiteCertificate::of_pem(pem.as_bytes(), key.as_bytes(), now).expect("good");
        let site = site_of(made).expect("TLS takes it");
        assert!(site.is_for("farm.lan", now));
        assert!(!site.is_for("farm.lan", now + 40_000_000), "it has ended");
        assert!(!site.is_for("other.lan", now));
    }
}
