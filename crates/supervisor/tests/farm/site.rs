//! The certificate of the site's own: shown to who asks for its name, judged before, and no matter to who pins the farm's CA.

use crate::world::{Farm, options};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use tessera_api::client::{Fingerprint, roots};
use tessera_api::{ApiError, Client, ClientError, ErrorCode};
use tessera_supervisor::{Options, start};

fn refused<T: std::fmt::Debug>(answer: Result<T, ClientError>) -> ApiError {
    match answer.expect_err("refused") {
        ClientError::Api(error) => error,
        other => panic!("{other}"),
    }
}

/// Makes a certificate for a name, and the key of it, or another one.
fn make(dir: &Path, name: &str, is_its_key: bool) {
    let made = rcgen::generate_simple_self_signed(vec![name.to_owned()]).expect("makes");
    let other = rcgen::KeyPair::generate().expect("a key");
    let key = if is_its_key {
        &made.signing_key
    } else {
        &other
    };
    std::fs::write(dir.join("site.pem"), made.cert.pem()).expect("writes");
    std::fs::write(dir.join("site.key"), key.serialize_pem()).expect("writes");
    mode(dir, 0o600);
}

fn mode(dir: &Path, mode: u32) {
    let mode = std::fs::Permissions::from_mode(mode);
    std::fs::set_permissions(dir.join("site.key"), mode).expect("chmod");
}

async fn start_in(dir: tempfile::TempDir) -> Farm {
    let config = dir.path().join("supervisor.toml");
    let path = |name| dir.path().join(name).display().to_string();
    let text = format!(
        "site_certificate = {:?}\nsite_key = {:?}\n",
        path("site.pem"),
        path("site.key")
    );
    std::fs::write(&config, text).expect("writes");
    let options = Options {
        config: Some(config),
        ..options(dir.path())
    };
    let running = start(options).await.expect("starts");
    let client = Client::unix(running.socket());
    Farm {
        running,
        client,
        dir,
    }
}

#[tokio::test]
async fn a_faulty_site_certificate_is_told_and_the_farm_serves_with_its_own() {
    let dir = tempfile::tempdir().expect("a folder");
    make(dir.path(), "localhost", false);
    let farm = start_in(dir).await;
    let told = farm.client.site_certificate().await.expect("told");
    let problem = told.problem.expect("something is wrong");
    assert!(
        problem.ends_with("the key is that of another certificate"),
        "{problem}"
    );
    assert!(!told.is_shown && told.names.is_empty());
    let reload = refused(farm.client.site_reload().await);
    assert_eq!(reload.code, ErrorCode::Invalid);
    let link = farm.client.create_session_link().await.expect("a link");
    assert!(link.unknown_ca.is_some(), "a browser will warn");

    let mia = farm.user("mia").await;
    assert_eq!(mia.info().await.expect("pinned").caller.name, "mia");
    for answer in [mia.site_certificate().await, mia.site_reload().await] {
        assert_eq!(refused(answer).code, ErrorCode::Forbidden);
    }
    farm.running.stop().await.expect("stops");
}

#[tokio::test]
async fn a_site_certificate_is_shown_by_name_and_read_anew_and_pinning_goes_on() {
    let dir = tempfile::tempdir().expect("a folder");
    make(dir.path(), "localhost", true);
    let farm = start_in(dir).await;
    let told = farm.client.site_certificate().await.expect("told");
    assert!(told.is_shown && told.problem.is_none(), "{told:?}");
    assert_eq!(
        (told.names.as_slice(), told.is_of_links),
        (&["localhost".to_owned()][..], false)
    );
    let token = farm
        .client
        .create_token(&tessera_api::types::TokenRequest::default())
        .await;
    let token = Some(token.expect("a token").token);
    let address = format!("localhost:{}", farm.running.address().port());
    let trusted = || roots(Some(&farm.dir.path().join("site.pem"))).expect("reads");
    let by_site = Client::site(&address, trusted(), token.clone());
    let info = by_site.info().await.expect("the site's is shown");
    // What is learned over it is what later calls pin, by the same name.
    let ca: Fingerprint = info.ca_sha256.parse().expect("a fingerprint");
    let pinned = Client::tls(&address, ca, token.clone());
    pinned.info().await.expect("the farm's own is shown");
    let by_address = Client::site(farm.running.address().to_string(), trusted(), token.clone());
    let strange = by_address.info().await.expect_err("no name of it");
    assert!(
        matches!(strange, ClientError::Unreachable { .. }),
        "{strange}"
    );

    // One that can't be used changes nothing, and is told.
    mode(farm.dir.path(), 0o604);
    let open = refused(farm.client.site_reload().await);
    assert!(
        open.message.contains("is open to others"),
        "{}",
        open.message
    );
    let told = farm.client.site_certificate().await.expect("told");
    assert!(told.is_shown && told.problem.is_some(), "{told:?}");
    Client::site(&address, trusted(), token.clone())
        .info()
        .await
        .expect("as before");

    // One that was renewed is shown without a restart.
    make(farm.dir.path(), "localhost", true);
    let renewed = farm.client.site_reload().await.expect("reads");
    assert_ne!(renewed.sha256, told.sha256);
    Client::site(&address, trusted(), token)
        .info()
        .await
        .expect("the new one");
    let audit = farm.client.audit(&Default::default()).await.expect("told");
    assert_eq!(audit.events[0].kind, "site.read");
    farm.running.stop().await.expect("stops");
}
