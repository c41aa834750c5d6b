//! Keys and certificates on disk.
#![cfg(unix)]

mod common;

use common::{Farm, forge, mode, uri};
use ed25519_dalek::{Signature, VerifyingKey};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use tessera_model::HostName;
use tessera_wire::pki::{
    CSR_BYTES_MAX, DispatchKey, FarmCa, PkiError, WorkerIdentity, farm_of_ca, host_of_worker,
    new_host_id,
};

fn host_name() -> HostName {
    "rnd042".parse().unwrap()
}

/// Checks that all files of a folder are private, and that there are exactly these.
fn check_private(dir: &Path, names: &[&str]) {
    assert_eq!(mode(dir), 0o700, "{}", dir.display());
    let mut found: Vec<String> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    found.sort();
    assert_eq!(found, names);
    for name in names {
        assert_eq!(mode(&dir.join(name)), 0o600, "{name}");
    }
}

#[test]
fn key_files_are_private_and_nothing_else_is_left() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("supervisor");
    let ca = FarmCa::create(&state).unwrap();
    DispatchKey::create(&state).unwrap();
    ca.server_certificate(&[]).unwrap();
    check_private(&state, &["dispatch.key", "farm-ca.pem", "server.pem"]);

    let request = WorkerIdentity::generate_csr().unwrap();
    let signed = ca
        .sign_worker(request.csr_pem(), new_host_id().unwrap(), &host_name())
        .unwrap();
    let identity = request
        .complete(&signed, &ca.certificate_pem(), ca.fingerprint())
        .unwrap();
    let worker = dir.path().join("worker");
    identity.save(&worker).unwrap();
    identity.save(&worker).unwrap();
    check_private(&worker, &["ca.pem", "cert.pem", "key.pem"]);
}

#[test]
fn a_farm_is_made_once() {
    let dir = tempfile::tempdir().unwrap();
    let made = FarmCa::create(dir.path()).unwrap();
    let before = fs::read(dir.path().join("farm-ca.pem")).unwrap();
    assert!(matches!(
        FarmCa::create(dir.path()),
        Err(PkiError::Exists { .. })
    ));
    assert_eq!(fs::read(dir.path().join("farm-ca.pem")).unwrap(), before);
    let opened = FarmCa::open_or_create(dir.path()).unwrap();
    assert_eq!(opened.farm_id(), made.farm_id());
    assert_eq!(opened.fingerprint(), made.fingerprint());
    assert_eq!(farm_of_ca(made.certificate()).unwrap(), made.farm_id());
    let other = FarmCa::create(&dir.path().join("other")).unwrap();
    assert_ne!(other.farm_id(), made.farm_id());
}

#[test]
fn what_others_could_read_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    FarmCa::create(dir.path()).unwrap();
    DispatchKey::create(dir.path()).unwrap();
    for name in ["farm-ca.pem", "dispatch.key"] {
        let open = fs::Permissions::from_mode(0o640);
        fs::set_permissions(dir.path().join(name), open).unwrap();
    }
    let ca = FarmCa::open(dir.path()).unwrap_err();
    assert!(
        matches!(ca, PkiError::OpenToOthers { mode: 0o640, .. }),
        "{ca}"
    );
    let key = DispatchKey::open(dir.path()).unwrap_err();
    assert!(matches!(key, PkiError::OpenToOthers { .. }), "{key}");
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let made = FarmCa::create(dir.path()).unwrap_err();
    assert!(
        matches!(made, PkiError::OpenToOthers { mode: 0o777, .. }),
        "{made}"
    );
}

#[test]
fn missing_and_damaged_files_are_told_apart() {
    let dir = tempfile::tempdir().unwrap();
    let missing = FarmCa::open(dir.path()).unwrap_err();
    assert!(
        matches!(&missing, PkiError::File { source, .. }
            if source.kind() == std::io::ErrorKind::NotFound),
        "{missing}"
    );
    FarmCa::create(dir.path()).unwrap();
    DispatchKey::create(dir.path()).unwrap();
    for content in [
        "",
        "junk",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    ] {
        fs::write(dir.path().join("farm-ca.pem"), content).unwrap();
        fs::write(dir.path().join("dispatch.key"), content).unwrap();
        assert!(FarmCa::open(dir.path()).is_err(), "{content}");
        assert!(matches!(
            DispatchKey::open(dir.path()),
            Err(PkiError::Damaged { .. })
        ));
        // Never silently a new farm.
        assert!(FarmCa::open_or_create(dir.path()).is_err(), "{content}");
    }
}

#[test]
fn the_dispatch_key_signs_and_stays_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let made = DispatchKey::create(dir.path()).unwrap();
    let opened = DispatchKey::open_or_create(dir.path()).unwrap();
    assert_eq!(opened.public(), made.public());
    let signature = Signature::from_bytes(&opened.sign(b"ticket"));
    let public = VerifyingKey::from_bytes(&made.public()).unwrap();
    assert!(public.verify_strict(b"ticket", &signature).is_ok());
    assert!(public.verify_strict(b"ticker", &signature).is_err());
}

#[tokio::test]
async fn server_certificates_are_kept_until_they_no_longer_do() {
    let farm = Farm::new().await;
    let names = vec!["localhost".to_owned()];
    let kept = farm.ca.server_certificate(&names).unwrap();
    assert!(!kept.is_new);
    assert_eq!(kept.chain.len(), 2);
    assert_eq!(&kept.chain[1], farm.ca.certificate());

    let more = vec![
        "Farm.Example".to_owned(),
        "10.0.0.1".into(),
        "fe80::1".into(),
    ];
    assert!(farm.ca.server_certificate(&more).unwrap().is_new);
    assert!(!farm.ca.server_certificate(&more).unwrap().is_new);
    assert!(farm.ca.server_certificate(&names).unwrap().is_new);

    let file = farm.ca_dir().join("server.pem");
    let replace = |days: u64, names: Vec<rcgen::SanType>| {
        let made = forge(&farm.issuer(), |params| {
            params.subject_alt_names = names;
            let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap();
            params.not_after = rcgen::date_time_ymd(1970, 1, 1)
                + now
                + std::time::Duration::from_secs(days * 24 * 3600);
        });
        fs::write(&file, made.1.serialize_pem() + &made.0.pem()).unwrap();
    };
    let dns = |name: &str| rcgen::SanType::DnsName(name.try_into().unwrap());
    let good = || vec![dns(&farm.ca.farm_id().server_name()), dns("localhost")];
    replace(31, good());
    assert!(!farm.ca.server_certificate(&names).unwrap().is_new);
    replace(29, good());
    assert!(farm.ca.server_certificate(&names).unwrap().is_new);
    replace(300, vec![dns("localhost")]);
    assert!(farm.ca.server_certificate(&names).unwrap().is_new);
    fs::write(&file, "junk").unwrap();
    assert!(farm.ca.server_certificate(&names).unwrap().is_new);
}

#[tokio::test]
async fn server_names_are_checked() {
    let farm = Farm::new().await;
    for bad in ["", "a b", "*.example", "x/y", "-x"] {
        let error = farm.ca.server_certificate(&[bad.into()]).unwrap_err();
        assert!(matches!(error, PkiError::BadName { .. }), "{bad}: {error}");
    }
    let many: Vec<String> = (0..100).map(|n| format!("host{n}")).collect();
    assert!(matches!(
        farm.ca.server_certificate(&many),
        Err(PkiError::TooMany { .. })
    ));
}

#[tokio::test]
async fn of_a_request_only_the_key_counts() {
    use rustls::pki_types::{CertificateDer, pem::PemObject as _};
    use x509_parser::prelude::{FromDer as _, X509Certificate};
    let farm = Farm::new().await;
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::default();
    params
        .distinguished_name
        .push(rcgen::DnType::CommonName, "root");
    params.subject_alt_names = vec![
        uri("tessera:host:ffffffff-ffff-ffff-ffff-ffffffffffff"),
        uri("tessera:farm:x"),
    ];
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
    let request = params.serialize_request(&key).unwrap().pem().unwrap();
    let host = new_host_id().unwrap();
    let signed = farm.ca.sign_worker(&request, host, &host_name()).unwrap();
    let der = CertificateDer::from_pem_slice(signed.as_bytes()).unwrap();
    assert_eq!(host_of_worker(&der).unwrap(), host);
    let (_, certificate) = X509Certificate::from_der(&der).unwrap();
    assert_eq!(certificate.subject().to_string(), "CN=rnd042");
    assert!(!certificate.is_ca());
    let usage = certificate.extended_key_usage().unwrap().unwrap().value;
    assert!(usage.client_auth && !usage.server_auth && !usage.any);
    assert_eq!(
        &*certificate.public_key().subject_public_key.data,
        key.public_key_raw()
    );
    let days = certificate
        .validity()
        .time_to_expiration()
        .unwrap()
        .whole_days();
    assert!((3_648..=3_650).contains(&days), "{days}");
}

#[tokio::test]
async fn bad_requests_are_refused() {
    let farm = Farm::new().await;
    let good = WorkerIdentity::generate_csr().unwrap().csr_pem().to_owned();
    let sign = |pem: &str| {
        farm.ca
            .sign_worker(pem, new_host_id().unwrap(), &host_name())
    };
    assert!(sign(&good).is_ok());
    let large = format!("{good}{}", "x".repeat(CSR_BYTES_MAX));
    assert!(matches!(sign(&large), Err(PkiError::TooMany { .. })));
    assert!(matches!(sign(""), Err(PkiError::Refused { .. })));
    assert!(matches!(
        sign(&farm.ca.certificate_pem()),
        Err(PkiError::Refused { .. })
    ));
    // A changed byte: the key in it no longer signed it.
    let pem = pem_with_last_byte_changed(&good);
    assert!(matches!(sign(&pem), Err(PkiError::Refused { .. })), "{pem}");
    let p384 = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
    let other = rcgen::CertificateParams::default()
        .serialize_request(&p384)
        .unwrap();
    assert!(matches!(
        sign(&other.pem().unwrap()),
        Err(PkiError::Refused { .. })
    ));
    let ed = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    let other = rcgen::CertificateParams::default()
        .serialize_request(&ed)
        .unwrap();
    assert!(sign(&other.pem().unwrap()).is_ok());
}

/// Changes the last letter but one of the body: part of the signature.
fn pem_with_last_byte_changed(pem: &str) -> String {
    let end = pem.find("\n-----END").unwrap();
    let body_end = pem[..end].trim_end_matches('=').len() - 2;
    let letter = if pem.as_bytes()[body_end] == b'A' {
        "B"
    } else {
        "A"
    };
    format!("{}{letter}{}", &pem[..body_end], &pem[body_end + 1..])
}

#[tokio::test]
async fn a_host_takes_only_what_was_promised() {
    let (farm, foreign) = (Farm::new().await, Farm::new().await);
    let host = new_host_id().unwrap();
    let request = WorkerIdentity::generate_csr().unwrap();
    let signed = farm
        .ca
        .sign_worker(request.csr_pem(), host, &host_name())
        .unwrap();
    let ca = farm.ca.certificate_pem();
    let wrong = request.complete(&signed, &ca, foreign.ca.fingerprint());
    assert!(matches!(wrong, Err(PkiError::WrongCa { .. })), "{wrong:?}");
    // The certificate of another key.
    let other = WorkerIdentity::generate_csr().unwrap();
    let wrong = other.complete(&signed, &ca, farm.ca.fingerprint());
    assert!(matches!(wrong, Err(PkiError::Refused { .. })), "{wrong:?}");
    // A certificate of another CA.
    let other = WorkerIdentity::generate_csr().unwrap();
    let strange = foreign
        .ca
        .sign_worker(other.csr_pem(), host, &host_name())
        .unwrap();
    let wrong = other.complete(&strange, &ca, farm.ca.fingerprint());
    assert!(matches!(wrong, Err(PkiError::Refused { .. })), "{wrong:?}");
}

#[tokio::test]
async fn an_identity_survives_the_disk() {
    let farm = Farm::new().await;
    let dir = tempfile::tempdir().unwrap();
    let worker = dir.path().join("worker");
    assert!(WorkerIdentity::load(&worker).unwrap().is_none());
    let identity = farm.identity();
    identity.save(&worker).unwrap();
    let loaded = WorkerIdentity::load(&worker).unwrap().unwrap();
    assert_eq!(loaded.host_id(), identity.host_id());
    assert_eq!(loaded.farm_id(), farm.ca.farm_id());
    assert_eq!(loaded.ca_fingerprint(), farm.ca.fingerprint());
    assert!((3_648..=3_650).contains(&loaded.days_left().unwrap()));
    fs::set_permissions(worker.join("key.pem"), fs::Permissions::from_mode(0o644)).unwrap();
    assert!(matches!(
        WorkerIdentity::load(&worker),
        Err(PkiError::OpenToOthers { .. })
    ));
    farm.identity().save(&dir.path().join("other")).unwrap();
    fs::copy(dir.path().join("other/key.pem"), worker.join("key.pem")).unwrap();
    assert!(matches!(
        WorkerIdentity::load(&worker),
        Err(PkiError::Refused { .. })
    ));
}
