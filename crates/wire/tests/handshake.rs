//! Who gets through the one TLS port, and as whom.
#![cfg(unix)]

mod common;

use common::{Farm, RawClient, forge, soon, uri};
use rcgen::{DnType, ExtendedKeyUsagePurpose, SanType};
use rustls::HandshakeKind;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use tessera_wire::pki::{FarmCa, Fingerprint, SiteCertificate, WorkerIdentity, new_host_id};
use tessera_wire::tls::{
    ALPN_PINNED, ALPN_WORKER, AcceptError, Accepted, ConnectError, TlsServer, WorkerTls,
    connect_pinned,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Connects and answers what the server made of it.
async fn try_raw(farm: &Farm, client: RawClient) -> Result<Accepted, AcceptError> {
    let (taken, connected) = tokio::join!(farm.accept(), client.connect(farm.address));
    // TLS 1.3 tells a client late that its certificate was refused; nothing may be read then.
    if taken.is_err()
        && let Ok(mut stream) = connected
    {
        let mut byte = [0];
        let read = soon("the refusal", stream.read(&mut byte)).await;
        assert!(!matches!(read, Ok(1..)), "a refused client was answered");
    }
    taken
}

fn worker_client(farm: &Farm) -> RawClient {
    RawClient::of(farm).alpn(ALPN_WORKER)
}

#[tokio::test]
async fn a_worker_is_known_by_its_certificate() {
    let farm = Farm::new().await;
    let host = new_host_id().unwrap();
    let identity = farm.identity_of(host);
    let tls = WorkerTls::new(&identity).unwrap();
    // Whatever name leads there: trust comes from the farm's name in the certificate.
    for address in [
        farm.address.to_string(),
        format!("localhost:{}", farm.address.port()),
    ] {
        let (taken, connected) = tokio::join!(farm.accept(), tls.connect(&address));
        let Ok(Accepted::Worker(worker)) = taken else {
            panic!("{taken:?}")
        };
        assert_eq!(worker.peer.host, host);
        assert!(worker.stream.get_ref().0.nodelay().unwrap());
        let stream = connected.unwrap();
        assert!(stream.get_ref().0.nodelay().unwrap());
        assert_eq!(
            stream.get_ref().1.protocol_version(),
            Some(rustls::ProtocolVersion::TLSv1_3)
        );
    }
}

#[tokio::test]
async fn a_later_connection_resumes_the_session_as_the_same_host() {
    let farm = Farm::new().await;
    let identity = farm.identity();
    let tls = WorkerTls::new(&identity).unwrap();
    let address = farm.address.to_string();
    for expected in [HandshakeKind::Full, HandshakeKind::Resumed] {
        let (taken, connected) = tokio::join!(farm.accept(), tls.connect(&address));
        let Ok(Accepted::Worker(mut worker)) = taken else {
            panic!("{taken:?}")
        };
        assert_eq!(worker.peer.host, identity.host_id());
        let mut stream = connected.unwrap();
        assert_eq!(stream.get_ref().1.handshake_kind(), Some(expected));
        // The session ticket arrives with the first bytes.
        worker.stream.write_all(b"x").await.unwrap();
        assert_eq!(soon("a byte", stream.read_u8()).await.unwrap(), b'x');
    }
}

#[tokio::test]
async fn others_are_asked_for_no_certificate() {
    let farm = Farm::new().await;
    for (word, http2) in [(Some("h2"), true), (Some("http/1.1"), false), (None, false)] {
        let client = RawClient::of(&farm);
        let client = word.map_or_else(|| RawClient::of(&farm), |word| client.alpn(word.as_bytes()));
        let taken = try_raw(&farm, client).await;
        let Ok(Accepted::Client(client)) = taken else {
            panic!("{word:?}: {taken:?}")
        };
        assert_eq!(client.is_http2, http2);
        assert_eq!(client.stream.get_ref().1.peer_certificates(), None);
    }
}

#[tokio::test]
async fn a_worker_certificate_is_worth_nothing_without_the_worker_alpn() {
    let farm = Farm::new().await;
    let made = forge(&farm.issuer(), |params| {
        params.subject_alt_names = vec![uri("tessera:host:00010203-0405-0607-0809-0a0b0c0d0e0f")];
    });
    let taken = try_raw(&farm, RawClient::of(&farm).alpn(b"h2").certificate(&made)).await;
    assert!(matches!(taken, Ok(Accepted::Client(_))), "{taken:?}");
}

#[tokio::test]
async fn no_certificate_no_worker() {
    let farm = Farm::new().await;
    let taken = try_raw(&farm, worker_client(&farm)).await;
    assert!(matches!(taken, Err(AcceptError::Handshake(_))), "{taken:?}");
}

#[tokio::test]
async fn an_unknown_alpn_word_is_refused() {
    let farm = Farm::new().await;
    let taken = try_raw(&farm, RawClient::of(&farm).alpn(b"tessera-worker/2")).await;
    assert!(matches!(taken, Err(AcceptError::Handshake(_))), "{taken:?}");
}

#[tokio::test]
async fn nothing_below_tls_1_3_is_spoken() {
    let farm = Farm::new().await;
    for word in [ALPN_WORKER, b"h2"] {
        let mut client = RawClient::of(&farm).alpn(word);
        client.versions = vec![&rustls::version::TLS12];
        let taken = try_raw(&farm, client).await;
        assert!(matches!(taken, Err(AcceptError::Handshake(_))), "{taken:?}");
    }
}

#[tokio::test]
async fn certificates_that_tls_refuses() {
    const HOST: &str = "tessera:host:00010203-0405-0607-0809-0a0b0c0d0e0f";
    let (farm, foreign) = (Farm::new().await, Farm::new().await);
    let issuer = farm.issuer();
    let cases = [
        (
            "foreign",
            forge(&foreign.issuer(), |p| p.subject_alt_names = vec![uri(HOST)]),
        ),
        (
            "ended",
            forge(&issuer, |p| {
                p.subject_alt_names = vec![uri(HOST)];
                p.not_after = rcgen::date_time_ymd(2025, 1, 1);
            }),
        ),
        (
            "not begun",
            forge(&issuer, |p| {
                p.subject_alt_names = vec![uri(HOST)];
                p.not_before = rcgen::date_time_ymd(2090, 1, 1);
            }),
        ),
        (
            "a server's",
            forge(&issuer, |p| {
                p.subject_alt_names = vec![uri(HOST)];
                p.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
            }),
        ),
    ];
    for (what, made) in &cases {
        let taken = try_raw(&farm, worker_client(&farm).certificate(made)).await;
        assert!(
            matches!(taken, Err(AcceptError::Handshake(_))),
            "{what}: {taken:?}"
        );
    }
}

#[tokio::test]
async fn only_the_exact_name_counts() {
    const HOST: &str = "tessera:host:00010203-0405-0607-0809-0a0b0c0d0e0f";
    let farm = Farm::new().await;
    let dns = |name: &str| SanType::DnsName(name.try_into().unwrap());
    let cases = [
        vec![],
        vec![dns("root")],
        vec![uri(HOST), dns("root")],
        vec![
            uri(HOST),
            uri("tessera:host:ffffffff-ffff-ffff-ffff-ffffffffffff"),
        ],
        vec![uri(&HOST.replace('f', "F"))],
        vec![uri(&HOST.replace('-', ""))],
        vec![uri(&HOST.replace("host", "farm"))],
        vec![uri(&format!("{HOST}/x"))],
        vec![uri("tessera:host:")],
    ];
    for names in cases {
        let made = forge(&farm.issuer(), |params| {
            params.distinguished_name.push(DnType::CommonName, "root");
            params.subject_alt_names.clone_from(&names);
        });
        let taken = try_raw(&farm, worker_client(&farm).certificate(&made)).await;
        assert!(
            matches!(taken, Err(AcceptError::Certificate(_))),
            "{names:?}: {taken:?}"
        );
    }
    let made = forge(&farm.issuer(), |params| {
        params.distinguished_name.push(DnType::CommonName, "root");
        params.subject_alt_names = vec![uri(HOST)];
    });
    let taken = try_raw(&farm, worker_client(&farm).certificate(&made)).await;
    let Ok(Accepted::Worker(worker)) = taken else {
        panic!("{taken:?}")
    };
    assert_eq!(format!("tessera:host:{}", worker.peer.host), HOST);
}

#[tokio::test]
async fn plaintext_gets_no_answer() {
    let farm = Farm::new().await;
    for first in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        b"PRI * HTTP/2.0",
        &[0x15, 3, 1],
        &[0],
    ] {
        let talk = async {
            let mut stream = TcpStream::connect(farm.address).await.unwrap();
            stream.write_all(first).await.unwrap();
            let mut answer = Vec::new();
            // Closing with unread bytes may show as a reset instead of an end.
            let _end_or_reset = soon("the end", stream.read_to_end(&mut answer)).await;
            answer
        };
        let (taken, answer) = tokio::join!(farm.accept(), talk);
        assert!(
            matches!(taken, Err(AcceptError::Plaintext { first: byte }) if byte == first[0]),
            "{taken:?}"
        );
        assert_eq!(answer, b"");
    }
}

#[tokio::test]
async fn garbage_in_a_tls_record_is_refused() {
    let farm = Farm::new().await;
    let talk = async {
        let mut stream = TcpStream::connect(farm.address).await.unwrap();
        stream.write_all(&[0x16; 600]).await.unwrap();
        stream
    };
    let (taken, _stream) = tokio::join!(farm.accept(), talk);
    assert!(matches!(taken, Err(AcceptError::Handshake(_))), "{taken:?}");
}

#[tokio::test]
async fn a_slow_handshake_is_cut_off() {
    let farm = Farm::with(|tls| tls.with_time_limit(std::time::Duration::from_millis(100))).await;
    let idle = TcpStream::connect(farm.address).await.unwrap();
    let taken = farm.accept().await;
    assert!(matches!(taken, Err(AcceptError::Late)), "{taken:?}");
    drop(idle);
}

#[tokio::test]
async fn idle_connections_keep_nobody_out() {
    let farm = Farm::with(|tls| tls.with_handshakes_max(3)).await;
    let mut idle = Vec::new();
    let mut waiting = tokio::task::JoinSet::new();
    for _ in 0..20 {
        idle.push(TcpStream::connect(farm.address).await.unwrap());
        let (stream, _) = farm.listener.accept().await.unwrap();
        let tls = farm.tls.clone();
        waiting.spawn(async move { tls.accept(stream).await });
    }
    let identity = farm.identity();
    let tls = WorkerTls::new(&identity).unwrap();
    let address = farm.address.to_string();
    let (taken, connected) = tokio::join!(farm.accept(), tls.connect(&address));
    assert!(matches!(taken, Ok(Accepted::Worker(_))), "{taken:?}");
    connected.unwrap();
    for _ in 0..17 {
        let taken = soon("a dropped one", waiting.join_next())
            .await
            .unwrap()
            .unwrap();
        assert!(matches!(taken, Err(AcceptError::Crowded)), "{taken:?}");
    }
}

#[tokio::test]
async fn a_worker_believes_only_its_own_farm() {
    let (farm, foreign) = (Farm::new().await, Farm::new().await);
    let tls = WorkerTls::new(&farm.identity()).unwrap();
    let address = foreign.address.to_string();
    let (taken, connected) = tokio::join!(foreign.accept(), tls.connect(&address));
    assert!(
        matches!(connected, Err(ConnectError::Handshake { .. })),
        "{connected:?}"
    );
    assert!(taken.is_err());
}

#[tokio::test]
async fn a_worker_can_not_pose_as_the_supervisor() {
    // Its certificate is the farm's, and it knows the CA's; but it is for clients, and has another name.
    let farm = Farm::new().await;
    let made = forge(&farm.issuer(), |params| {
        params.subject_alt_names = vec![SanType::DnsName(
            farm.ca.farm_id().server_name().try_into().unwrap(),
        )];
    });
    let posing = tessera_wire::pki::ServerCertificate {
        chain: vec![made.0.der().clone(), farm.ca.certificate().clone()],
        key: rustls::pki_types::PrivateKeyDer::Pkcs8(made.1.serialize_der().into()),
        not_after: 0,
        is_new: true,
    };
    farm.tls.replace(&farm.ca, posing).unwrap();
    let tls = WorkerTls::new(&farm.identity()).unwrap();
    let address = farm.address.to_string();
    let (_, connected) = tokio::join!(farm.accept(), tls.connect(&address));
    assert!(
        matches!(connected, Err(ConnectError::Handshake { .. })),
        "{connected:?}"
    );
    let (_, pinned) = tokio::join!(
        farm.accept(),
        connect_pinned(&address, farm.ca.fingerprint())
    );
    assert!(
        matches!(pinned, Err(ConnectError::Handshake { .. })),
        "{pinned:?}"
    );
}

#[tokio::test]
async fn a_host_that_joins_knows_the_farm_by_the_fingerprint() {
    let (farm, foreign) = (Farm::new().await, Farm::new().await);
    let address = farm.address.to_string();
    let (taken, connected) = tokio::join!(
        farm.accept(),
        connect_pinned(&address, farm.ca.fingerprint())
    );
    assert!(matches!(taken, Ok(Accepted::Client(_))), "{taken:?}");
    connected.unwrap();
    for wrong in [foreign.ca.fingerprint(), Fingerprint([0; 32])] {
        let (_, connected) = tokio::join!(farm.accept(), connect_pinned(&address, wrong));
        assert!(
            matches!(connected, Err(ConnectError::Handshake { .. })),
            "{connected:?}"
        );
    }
}

#[tokio::test]
async fn a_pinned_ca_in_the_chain_does_not_vouch_for_a_strange_certificate() {
    let (farm, foreign) = (Farm::new().await, Farm::new().await);
    let mut strange = foreign
        .ca
        .server_certificate(&["localhost".into()])
        .unwrap();
    strange.chain[1] = farm.ca.certificate().clone();
    foreign.tls.replace(&foreign.ca, strange).unwrap();
    let address = foreign.address.to_string();
    let (_, connected) = tokio::join!(
        foreign.accept(),
        connect_pinned(&address, farm.ca.fingerprint())
    );
    assert!(
        matches!(connected, Err(ConnectError::Handshake { .. })),
        "{connected:?}"
    );
}

#[tokio::test]
async fn nobody_there_is_said_as_such() {
    let farm = Farm::new().await;
    let tls = WorkerTls::new(&farm.identity()).unwrap();
    let address = farm.address.to_string();
    drop(farm);
    let connected = tls.connect(&address).await;
    assert!(
        matches!(connected, Err(ConnectError::Unreachable { .. })),
        "{connected:?}"
    );
}

#[tokio::test]
async fn a_restarted_supervisor_is_still_the_farm() {
    let farm = Farm::new().await;
    let identity = farm.identity();
    let (taken, dir) = (farm.ca_dir(), tempfile::tempdir().unwrap());
    identity.save(dir.path()).unwrap();
    let ca = FarmCa::open(&taken).unwrap();
    let server = ca.server_certificate(&["localhost".into()]).unwrap();
    assert!(!server.is_new);
    let again = TlsServer::new(&ca, server).unwrap();
    let identity = WorkerIdentity::load(dir.path()).unwrap().unwrap();
    let tls = WorkerTls::new(&identity).unwrap();
    let address = farm.address.to_string();
    let accept = async {
        let (stream, _) = farm.listener.accept().await.unwrap();
        again.accept(stream).await
    };
    let (taken, connected) = tokio::join!(accept, tls.connect(&address));
    assert!(matches!(taken, Ok(Accepted::Worker(w)) if w.peer.host == identity.host_id()));
    connected.unwrap();
}

/// Makes a certificate of a site's own for a name; answers it and what is loaded of it.
fn site(farm: &Farm, name: &str) -> (rcgen::Certificate, SiteCertificate) {
    let key = rcgen::KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap();
    let certificate = params.self_signed(&key).unwrap();
    let (at, key_at) = (
        farm.dir.path().join("site.pem"),
        farm.dir.path().join("site.key"),
    );
    std::fs::write(&at, certificate.pem()).unwrap();
    std::fs::write(&key_at, key.serialize_pem()).unwrap();
    std::fs::set_permissions(&key_at, Permissions::from_mode(0o600)).unwrap();
    let loaded = SiteCertificate::load(&at, &key_at).unwrap();
    (certificate, loaded)
}

/// Connects as a browser would that trusts `ca`, for a name; says whether it believed what it was shown.
async fn believes(
    farm: &Farm,
    ca: &rustls::pki_types::CertificateDer<'static>,
    name: &str,
    alpn: &[&[u8]],
) -> bool {
    let mut client = RawClient::of(farm);
    (client.ca, client.name) = (ca.clone(), name.to_owned());
    client.alpn = alpn.iter().map(|it| it.to_vec()).collect();
    let (_, connected) = tokio::join!(farm.accept(), client.connect(farm.address));
    connected.is_ok()
}

#[tokio::test]
async fn the_sites_own_certificate_is_shown_to_people_who_ask_for_its_name_only() {
    let farm = Farm::new().await;
    let (known, loaded) = site(&farm, "farm.studio.lan");
    let (site, own) = (known.der().clone(), farm.ca.certificate().clone());
    let browser: &[&[u8]] = &[b"h2", b"http/1.1"];
    let pinned: &[&[u8]] = &[ALPN_PINNED, b"http/1.1"];
    assert!(!believes(&farm, &site, "farm.studio.lan", browser).await);
    farm.tls.set_site(Some(loaded)).unwrap();
    assert!(believes(&farm, &site, "farm.studio.lan", browser).await);
    assert!(believes(&farm, &site, "farm.studio.lan", &[]).await);
    // Another name, and who pins the farm's CA: the farm's own.
    assert!(believes(&farm, &own, "localhost", browser).await);
    assert!(!believes(&farm, &site, "farm.studio.lan", pinned).await);
    // Who joins, and workers, whatever name leads there.
    let fingerprint = Fingerprint::of(&own);
    let address = farm.address.to_string();
    let (_, joining) = tokio::join!(farm.accept(), connect_pinned(&address, fingerprint));
    joining.unwrap();
    let worker = WorkerTls::new(&farm.identity()).unwrap();
    let (taken, connected) = tokio::join!(farm.accept(), worker.connect(&address));
    assert!(matches!(taken, Ok(Accepted::Worker(_))), "{taken:?}");
    connected.unwrap();
    // The farm's own, made anew, takes nothing of it away.
    let again = farm.ca.server_certificate(&["localhost".into()]).unwrap();
    farm.tls.replace(&farm.ca, again).unwrap();
    assert!(believes(&farm, &site, "farm.studio.lan", browser).await);
    farm.tls.set_site(None).unwrap();
    assert!(!believes(&farm, &site, "farm.studio.lan", browser).await);
}
