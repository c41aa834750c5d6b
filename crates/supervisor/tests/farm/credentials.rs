//! Registered passwords over the API: who may, what is refused, what a worker hears.

use crate::world::{Farm, Worker, eventually};
use tessera_api::types::{
    Credential, CredentialRef, CredentialRequest, SealedPassword, SubmitRequest,
};
use tessera_api::{Client, ClientError, ErrorCode};
use tessera_model::credential::{
    CredentialChecked, KeyId, NEEDS_CREDENTIAL, PoolKey, PoolKeys, Verdict,
};
use tessera_model::msg::{FromWorker, ToWorker};
use tessera_model::{HostFacts, Timestamp};

async fn refused<T: std::fmt::Debug>(
    call: impl Future<Output = Result<T, ClientError>>,
) -> ErrorCode {
    match call.await.expect_err("refused") {
        ClientError::Api(error) => error.code,
        other => panic!("not refused: {other}"),
    }
}

/// A Windows worker that the test plays; its one key is made of sevens.
async fn windows(farm: &Farm) -> Worker {
    let mut worker = farm.worker("win1", 2).await;
    let facts = HostFacts {
        slots: 2,
        properties: [(NEEDS_CREDENTIAL.to_owned(), "1".to_owned())].into(),
        ..HostFacts::default()
    };
    let keys = PoolKeys {
        pool: "default".parse().expect("a pool"),
        keys: vec![PoolKey {
            id: KeyId([7; 16]),
            public: [7; 32],
            created: Timestamp(1),
        }],
    };
    worker
        .say_all(vec![
            FromWorker::Hello(facts),
            FromWorker::PoolKeys(keys),
            FromWorker::Inventory(Vec::new()),
        ])
        .await;
    let reference = CredentialRef::default();
    let said = async || farm.client.seal_offer(&reference).await.ok();
    eventually("the key", said).await;
    worker
}

async fn request(client: &Client) -> CredentialRequest {
    let offer = client
        .seal_offer(&CredentialRef::default())
        .await
        .expect("an offer");
    assert_eq!(offer.keys.len(), 1);
    CredentialRequest {
        kind: offer.kind,
        account: offer.account,
        domain: "STUDIO".into(),
        pool: offer.pool,
        sid: String::new(),
        sequence: offer.sequence,
        created_ms: offer.now_ms,
        expires_ms: offer.now_ms + 86_400_000,
        sealed: vec![SealedPassword {
            key: offer.keys[0].id.clone(),
            sealed: "0102".into(),
        }],
    }
}

async fn listed(client: &Client) -> Vec<Credential> {
    client.credentials().await.expect("listed").credentials
}

#[tokio::test]
async fn registered_passwords_are_ones_own() {
    let farm = Farm::start().await;
    let stranger = farm.over_tls(None).await;
    let own = CredentialRef::default();
    assert_eq!(
        refused(stranger.credentials()).await,
        ErrorCode::Unauthenticated
    );
    assert_eq!(
        refused(stranger.seal_offer(&own)).await,
        ErrorCode::Unauthenticated
    );
    let (mia, eve) = (farm.user("mia").await, farm.user("eve").await);
    assert_eq!(
        refused(mia.seal_offer(&own)).await,
        ErrorCode::WrongState,
        "no worker needs any"
    );
    let mut worker = windows(&farm).await;
    let hers = CredentialRef {
        account: Some("mia".into()),
        ..own.clone()
    };
    let good = request(&mia).await;
    for call in [
        eve.check_credential(&hers).await,
        eve.revoke_credential(&hers).await,
    ] {
        assert!(matches!(call, Err(ClientError::Api(error)) if error.code == ErrorCode::Forbidden));
    }
    assert_eq!(refused(eve.seal_offer(&hers)).await, ErrorCode::Forbidden);
    assert_eq!(
        refused(eve.register_credential(&good)).await,
        ErrorCode::Forbidden
    );
    assert_eq!(
        refused(mia.revoke_credential(&own)).await,
        ErrorCode::NotFound
    );
    let proxy = CredentialRef {
        kind: Some("proxy".into()),
        ..own.clone()
    };
    assert_eq!(refused(mia.seal_offer(&proxy)).await, ErrorCode::Forbidden);
    mia.register_credential(&good).await.expect("registered");
    let ToWorker::Credential {
        credential,
        is_check: true,
    } = worker.next().await
    else {
        panic!("no check")
    };
    assert_eq!(
        (credential.sealed.as_slice(), credential.domain.as_str()),
        (&[1, 2][..], "STUDIO")
    );
    assert_eq!(listed(&mia).await[0].status, "checking");
    let checked = CredentialChecked {
        id: credential.id.clone(),
        sequence: 1,
        verdict: Verdict::Valid,
        sid: "S-1-5-21-7".into(),
        detail: String::new(),
    };
    worker.say(FromWorker::CredentialChecked(checked)).await;
    let valid = || async {
        let all = listed(&mia).await;
        (all[0].status == "valid").then(|| all[0].clone())
    };
    let valid = eventually("valid", valid).await;
    assert_eq!(
        (valid.sid.as_deref(), valid.checked_on.as_deref()),
        (Some("S-1-5-21-7"), Some("win1"))
    );
    assert_eq!(
        (listed(&eve).await.len(), listed(&farm.client).await.len()),
        (0, 1)
    );
    worker.disconnect();
    let farm = farm.restart().await;
    assert_eq!(
        listed(&farm.client).await[0].status,
        "valid",
        "it outlives the supervisor"
    );
    let root = farm
        .client
        .revoke_credential(&hers)
        .await
        .expect("an administrator may");
    assert_eq!(
        (root.status.as_str(), root.sealed_to, root.by.as_str()),
        ("revoked", 0, "root")
    );
    worker
        .attach(farm.running.address())
        .await
        .expect("attaches");
    farm.running.stop().await.expect("stops");
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_by_name() {
    let farm = Farm::start().await;
    let mia = farm.user("mia").await;
    let _worker = windows(&farm).await;
    let good = request(&mia).await;
    let with = |change: &dyn Fn(&mut CredentialRequest)| {
        let mut other = good.clone();
        change(&mut other);
        other
    };
    let many = (0..2_100_u32).map(|number| SealedPassword {
        key: format!("{number:032x}"),
        sealed: String::new(),
    });
    let many: Vec<SealedPassword> = many.collect();
    for (bad, code) in [
        (with(&|it| it.kind = "root".into()), ErrorCode::Invalid),
        (with(&|it| it.pool = "../x".into()), ErrorCode::Invalid),
        (with(&|it| it.account = "Mia;".into()), ErrorCode::Invalid),
        (with(&|it| it.domain = "a b".into()), ErrorCode::Invalid),
        (with(&|it| it.sid = "x".repeat(300)), ErrorCode::Invalid),
        (with(&|it| it.created_ms = 0), ErrorCode::Invalid),
        (with(&|it| it.expires_ms = i64::MAX), ErrorCode::Invalid),
        (
            with(&|it| it.expires_ms = it.created_ms),
            ErrorCode::Invalid,
        ),
        (with(&|it| it.sealed.clear()), ErrorCode::Invalid),
        (
            with(&|it| it.sealed[0].key = "12".into()),
            ErrorCode::Invalid,
        ),
        (
            with(&|it| it.sealed[0].key = "0".repeat(32)),
            ErrorCode::Invalid,
        ),
        (
            with(&|it| it.sealed[0].sealed = "0g".into()),
            ErrorCode::Invalid,
        ),
        (
            with(&|it| it.sealed[0].sealed = "00".repeat(4_000)),
            ErrorCode::Invalid,
        ),
        (with(&|it| it.sealed.clone_from(&many)), ErrorCode::Invalid),
        (with(&|it| it.sequence = 0), ErrorCode::WrongState),
        (with(&|it| it.sequence = u64::MAX), ErrorCode::WrongState),
    ] {
        assert_eq!(
            refused(mia.register_credential(&bad)).await,
            code,
            "{bad:?}"
        );
    }
    assert_eq!(listed(&mia).await, []);
    mia.register_credential(&good).await.expect("registered");
    assert_eq!(
        refused(mia.register_credential(&good)).await,
        ErrorCode::WrongState,
        "sent twice"
    );
    let request = SubmitRequest {
        command: vec!["true".into()],
        ..SubmitRequest::default()
    };
    let job = mia
        .submit(&request, false)
        .await
        .expect("submitted")
        .job
        .expect("a number");
    let why = mia.why(job).await.expect("a reason");
    assert_eq!(why.reasons[0].kind, "credential_check", "{why:?}");
    farm.running.stop().await.expect("stops");
}
