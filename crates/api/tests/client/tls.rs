//! Trust: the farm's CA is pinned, and only a supervisor's certificate under it will do.

use crate::server::{Seen, serve, short};
use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::sync::{Arc, Mutex};
use tessera_api::client::Fingerprint;
use tessera_api::types::Health;
use tessera_api::{Client, ClientError, Exit};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

const FARM: &str = "5f0c7e1e-3c1b-4a57-9d3a-0d3f5a8f1c11";

struct Ca {
    issuer: Issuer<'static, KeyPair>,
    der: CertificateDer<'static>,
}

fn ca() -> Ca {
    let key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::new(Vec::new()).expect("no names");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let der = params
        .self_signed(&key)
        .expect("a certificate")
        .der()
        .clone();
    Ca {
        issuer: Issuer::new(params, key),
        der,
    }
}

/// Makes a certificate under a CA.
fn leaf(
    ca: &Ca,
    name: &str,
    usage: ExtendedKeyUsagePurpose,
) -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
    let key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
    params.extended_key_usages = vec![usage];
    let certificate = params
        .signed_by(&key, &ca.issuer)
        .expect("a certificate")
        .der()
        .clone();
    (
        certificate,
        PrivateKeyDer::try_from(key.serialize_der()).expect("a key"),
    )
}

struct Farm {
    address: String,
    seen: Arc<Mutex<Vec<Seen>>>,
    _tasks: JoinSet<()>,
}

/// Serves health over TLS with that chain.
async fn farm(chain: Vec<CertificateDer<'static>>, key: PrivateKeyDer<'static>) -> Farm {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider);
    let config = config
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth();
    let mut config = config.with_single_cert(chain, key).expect("a good chain");
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let answer = Arc::new(|_: &Seen| {
        (
            200,
            serde_json::to_string(&Health {
                status: "ok".into(),
            })
            .expect("JSON"),
        )
    });
    let (log, mut tasks) = (seen.clone(), JoinSet::new());
    tasks.spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            if let Ok(stream) = acceptor.accept(stream).await {
                serve(stream, 0, log.clone(), answer.clone()).await;
            }
        }
    });
    Farm {
        address,
        seen,
        _tasks: tasks,
    }
}

fn name() -> String {
    format!("{FARM}.tessera")
}

fn refused(result: Result<Health, ClientError>) -> String {
    let error = result.expect_err("no trust");
    assert_eq!(error.exit_code(), Exit::Unreachable, "{error}");
    error.to_string()
}

#[tokio::test]
async fn a_farm_is_trusted_by_its_ca_and_gets_the_token() {
    let ca = ca();
    let (certificate, key) = leaf(&ca, &name(), ExtendedKeyUsagePurpose::ServerAuth);
    let farm = farm(vec![certificate, ca.der.clone()], key).await;
    let pin = Fingerprint::of(&ca.der);
    let client = Client::tls(&farm.address, pin, Some("secret".into())).with_time_limits(short());
    assert_eq!(client.health().await.expect("a farm").status, "ok");
    let seen = farm.seen.lock().expect("no test panicked here").clone();
    assert_eq!(seen[0].header("authorization"), Some("Bearer secret"));
    assert_eq!(seen[0].header("host"), Some(farm.address.as_str()));
    drop(client);
    let client = Client::tls_farm(&farm.address, pin, FARM, None).with_time_limits(short());
    assert!(client.health().await.is_ok());
    assert!(!format!("{client:?}").contains("secret"));
}

#[tokio::test]
async fn another_farm_is_refused() {
    let (ours, theirs) = (ca(), ca());
    let (certificate, key) = leaf(&theirs, &name(), ExtendedKeyUsagePurpose::ServerAuth);
    let pin = Fingerprint::of(&ours.der);
    // It shows its own CA; then ours, which did not sign for it; then none.
    for chain in [
        vec![theirs.der.clone()],
        vec![theirs.der.clone(), ours.der.clone()],
        vec![],
    ] {
        let chain: Vec<_> = std::iter::once(certificate.clone()).chain(chain).collect();
        let farm = farm(chain, key.clone_key()).await;
        let text = refused(
            Client::tls(&farm.address, pin, None)
                .with_time_limits(short())
                .health()
                .await,
        );
        assert!(
            text.contains(&farm.address) && !text.contains("unexpected"),
            "{text}"
        );
        assert!(
            farm.seen.lock().expect("no test panicked here").is_empty(),
            "nothing was sent"
        );
    }
}

#[tokio::test]
async fn only_a_supervisor_of_that_farm_will_do() {
    let ca = ca();
    let pin = Fingerprint::of(&ca.der);
    let cases = [
        (
            "a worker's certificate",
            name(),
            ExtendedKeyUsagePurpose::ClientAuth,
        ),
        (
            "a certificate without a farm",
            "host.example".to_owned(),
            ExtendedKeyUsagePurpose::ServerAuth,
        ),
    ];
    for (what, name, usage) in cases {
        let (certificate, key) = leaf(&ca, &name, usage);
        let farm = farm(vec![certificate, ca.der.clone()], key).await;
        let result = Client::tls(&farm.address, pin, None)
            .with_time_limits(short())
            .health()
            .await;
        assert!(result.is_err(), "{what}");
    }
    let (certificate, key) = leaf(&ca, &name(), ExtendedKeyUsagePurpose::ServerAuth);
    let farm = farm(vec![certificate, ca.der.clone()], key).await;
    let other = "00000000-0000-0000-0000-000000000000";
    refused(
        Client::tls_farm(&farm.address, pin, other, None)
            .with_time_limits(short())
            .health()
            .await,
    );
}

#[tokio::test]
async fn what_speaks_no_tls_is_refused() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";
            let _ = tokio::io::AsyncWriteExt::write_all(&mut stream, answer).await;
        }
    });
    refused(
        Client::tls(address, Fingerprint([0; 32]), None)
            .with_time_limits(short())
            .health()
            .await,
    );
}
